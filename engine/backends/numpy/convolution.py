"""Convolution on NumPy: which way of doing it suits a shape. The ways are in the files beside this one."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.convolution_cost import spectra_pay
from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.convolution_by_rows import Rows
from engine.backends.numpy.fft_convolution import FourierConvolution
from engine.backends.numpy.indexing import gather, gathers, places, scatter
from engine.backends.numpy.row_layout import blocks, matrix_product
from engine.backends.numpy.threads import Lanes
from engine.backends.ops import Array, Call, Calls, ConvolutionTwoWay


class Columns:
    """See Operations.convolution. Fewest calls, most memory: for rows of few values.

    The bias meets a row of `divisor`s in the columns, so that dividing the whole product by `divisor` leaves the
    bias as it is.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        channels, batch = len(x), x.shape[3]
        features, height, width, _ = y.shape
        self._size, self._stride, self._margin, self._divisor = size, stride, margin, divisor
        self._matrix, self._y, self._taps = matrix, y, channels * size * size
        self._windows = self._seen(x, height, width)
        self._x = x
        self._places: Array | None = None
        if gathers(x, width * batch, self._taps * height * width * batch):
            lying = self._seen(places(x), height, width).reshape(self._taps, -1)
            self._places = np.ascontiguousarray(lying)
        self._columns = memory.zeros((matrix.shape[1], height * width * batch), x.dtype)
        self._columns[self._taps :] = divisor
        self._rows = features * matrix.shape[1]
        self._column_blocks = blocks(self._columns, self._rows)

    def lay_out(self) -> Call:
        """The call that copies the windows."""
        if self._places is not None:
            return gather(self._x, self._places, self._columns[: self._taps])
        return run(np.copyto, self._columns[: self._taps].reshape(self._windows.shape), self._windows)

    def forward(self) -> Calls:
        """The calls that fill y."""
        y = self._y
        flat = y if y[0].flags.c_contiguous else memory.zeros(y.shape, y.dtype)
        calls = [self.lay_out(), self._product(flat)]
        if self._divisor != 1:
            calls.append(call(np.multiply, flat, y.dtype.type(1 / self._divisor), out=flat))
        return calls if flat is y else [*calls, run(np.copyto, y, flat)]

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        calls: Calls = []
        if self._divisor != 1:
            share = memory.zeros(dy.shape, dy.dtype)
            calls.append(call(np.multiply, dy, dy.dtype.type(1 / self._divisor), out=share))
            dy = share
        dblocks = self._blocks_of(dy)
        if dmatrix is not None:
            parts = memory.zeros((len(dblocks), *self._matrix.shape), dy.dtype)
            calls.append(call(np.matmul, dblocks, self._column_blocks.transpose(0, 2, 1), out=parts))
            calls.append(run(np.add.reduce, parts, axis=0, out=dmatrix))
        if dx is not None:
            columns = memory.zeros((self._taps, self._columns.shape[1]), dx.dtype)
            weights = self._matrix[:, : self._taps].T
            calls.append(call(np.matmul, weights, dblocks, out=blocks(columns, self._rows)))
            taps = columns.reshape(self._windows.shape).transpose(1, 2, 0, 3, 4, 5)
            calls += scatter(taps, dx, self._stride, self._margin)
        return calls

    def _seen(self, x: Array, height: int, width: int) -> Array:
        """x (C, H, W, N) as its windows (C, size, size, H', W', N)."""
        plane, row, pixel, image = x.strides
        shape = (len(x), self._size, self._size, height, width, x.shape[3])
        return as_strided(x, shape, (plane, row, pixel, row * self._stride, pixel * self._stride, image))

    def _product(self, maps: Array) -> Call:
        """The call that fills maps (F, H', W', N) without gaps."""
        if len(self._column_blocks) == 1:
            return matrix_product(self._matrix, self._columns, maps.reshape(len(maps), -1))
        return call(np.matmul, self._matrix, self._column_blocks, out=self._blocks_of(maps))

    def _blocks_of(self, maps: Array) -> Array:
        """Maps (F, H', W', N), of which each is without gaps."""
        shape, strides = (len(maps), self._columns.shape[1]), (maps.strides[0], maps.itemsize)
        return blocks(as_strided(maps, shape, strides), self._rows)


class Halves:
    """See Operations.convolution. Both halves are made alike, whatever runs at the same time, so the bytes do not
    depend on it.

    A gradient is that of the whole, whose columns are laid out again for it: it is rarely asked for here.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int, lanes: Lanes
    ) -> None:
        middle = y.shape[1] // 2
        upper = x[:, : (middle - 1) * stride + size], y[:, :middle]
        lower = x[:, middle * stride :], y[:, middle:]
        self._halves = [Columns(half, matrix, out, size, stride, margin, divisor) for half, out in (upper, lower)]
        self._whole = x, matrix, y, size, stride, margin, divisor
        self._lanes = lanes

    def forward(self) -> Calls:
        """The calls that fill y."""
        return self._lanes.together([half.forward() for half in self._halves])

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and what x holds."""
        whole = Columns(*self._whole)
        return [whole.lay_out(), *whole.backward(dy, dx, dmatrix)]


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
