"""Convolution on NumPy: which way of doing it suits a shape. The ways are in the files beside this one."""

from __future__ import annotations

from engine.array_operations.columns import Columns
from engine.array_operations.fourier_convolution import FourierConvolution
from engine.array_operations.halves import Halves
from engine.array_operations.lanes import Lanes
from engine.array_operations.rows import Rows
from engine.backends.convolution_cost import spectra_pay
from engine.backends.ops import Array, ConvolutionTwoWay

# Values in one row of windows from which a matrix product for each row is as fast as one for all.
LONG_ROW = 128
# Multiplies of a convolution (about 0.2 ms) from which its halves are worth a thread.
HALVES = 8_000_000


def convolution(
    x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int, lanes: Lanes
) -> ConvolutionTwoWay:
    """See Operations.convolution. lanes: for what is worth two threads."""
    if stride == 1 and spectra_pay(x.shape, len(y), size):
        return FourierConvolution(x, matrix, y, size, margin, divisor)
    if y.shape[2] * y.shape[3] >= LONG_ROW:
        return Rows(x, matrix, y, size, stride, margin, divisor)
    if matrix.shape[1] * y.size >= HALVES and y.shape[1] > 1:
        return Halves(x, matrix, y, size, stride, margin, divisor, lanes)
    return Columns(x, matrix, y, size, stride, margin, divisor)


def fits_pooled_rows(x: Array, y: Array, size: int, stride: int, pool_size: int, pool_stride: int) -> bool:
    """Whether PooledRows does a convolution and the max pool after it, and does it faster than one after the other.

    x: (C, H, W, N), padded; y: what is pooled.
    """
    long = y.shape[2] * y.shape[3] >= LONG_ROW
    return long and stride == 1 and pool_size == pool_stride > 1 and not spectra_pay(x.shape, len(y), size)
