"""RowLayout, KernelLayout: inputs and kernels arranged so that a row of windows is one matrix; blocked products."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.ops import Array, Call, Calls


class RowLayout:
    """The layout of memory-efficient convolution (Cho and Brand 2017), `size` times smaller than im2col.

    Every input row is copied once as a strip (C * size, columns * N): for each channel and kernel column, the
    values of the windows of one row. Strips are adjacent, so the `size` strips of a row of windows are one matrix
    (size * C * size, columns * N), and the matrices of neighbouring rows overlap.

    The windows of a row are sorted by their position modulo `cycle`, (cycle, columns of each), padded with zeros.
    Max pooling with that stride then reads long contiguous runs.
    """

    def __init__(self, rows: int, channels: int, size: int, width: int, batch: int, cycle: int, dtype: Any) -> None:
        self.size, self.width, self.cycle, self.columns = size, width, cycle, -(-width // cycle)
        self._array = aligned_zeros((rows, channels, size, cycle, self.columns, batch), dtype)

    def window_matrices(self, first: int, count: int, stride: int) -> Array:
        """Views (count, size * C * size, cycle * columns * N) of `count` rows of windows from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        step, length = self._array.strides[0], cycle * columns * batch
        return as_strided(
            self._array[first * stride :],
            (count, size * channels * size, length),
            (stride * step, self._array.strides[2], self._array.itemsize),
        )

    def row_matrices(self, first: int, count: int) -> Array:
        """Views (count, C * size, cycle * columns * N) of `count` single strips from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        return self._array[first : first + count].reshape(count, channels * size, cycle * columns * batch)

    def fill_from(self, x: Array, stride: int) -> Calls:
        """Calls that fill the layout from a padded input x (C, H, W, N)."""
        plane, row, pixel, image = x.strides
        rows, channels, size, cycle, _, batch = self._array.shape
        calls: Calls = []
        even = self.width % self.cycle == 0
        for phase in range(1 if even else cycle):
            phases = cycle if even else 1
            count = len(range(phase, self.width, cycle))
            windows = as_strided(
                x[:, :, phase * stride :],
                (rows, channels, size, phases, count, batch),
                (row, plane, pixel, pixel * stride, pixel * stride * cycle, image),
            )
            calls.append(plain_call(np.copyto, self._array[:, :, :, phase : phase + phases, :count], windows))
        return calls


def as_row_matrices(maps: Array) -> Array:
    """A view of maps (F, H, ..., N) with contiguous rows as H matrices (F, rest)."""
    out_channels, height, *rest = maps.shape
    length = int(np.prod(rest))
    return as_strided(maps, (height, out_channels, length), (maps.strides[1], maps.strides[0], maps.itemsize))


class KernelLayout:
    """The weight matrix (F, C * size * size [+ 1]) of Ops.convolution in the order of RowLayout, divided by
    `normalizer`.

    RowLayout needs the weights of a kernel as (row, channel, column); they are stored as (channel, row, column).
    """

    def __init__(self, matrix: Array, channels: int, size: int, normalizer: int) -> None:
        self.out_channels, self.in_channels, self.size = len(matrix), channels, size
        self.fan_in = channels * size * size
        self._share = matrix.dtype.type(1 / normalizer)
        self._row_major = self._reordered(matrix)
        self.bias = matrix[:, self.fan_in :]
        self._as_stored = normalizer == 1 and (channels == 1 or size == 1)
        self.rows = (
            matrix[:, : self.fan_in]
            if self._as_stored
            else aligned_zeros((self.out_channels, self.fan_in), matrix.dtype)
        )

    def fill(self) -> Calls:
        """Calls that fill `rows` (F, size * C * size)."""
        if self._as_stored:
            return []
        return [call(np.multiply, self._row_major, self._share, out=self.rows.reshape(self._row_major.shape))]

    def flipped(self) -> tuple[Array, Calls]:
        """The weights of InputGradient, (size * C, size, F): (column, channel), flipped row, kernel; and the calls
        that fill them."""
        flipped = self._row_major[:, ::-1].transpose(3, 2, 1, 0)
        weights = aligned_zeros(flipped.shape, flipped.dtype)
        calls = [call(np.multiply, flipped, self._share, out=weights)]
        return weights.reshape(self.size * self.in_channels, self.size, self.out_channels), calls

    def add_bias(self, y: Array) -> Calls:
        """y (F, H, W, N) += bias, if there is one."""
        return [call(np.add, y, self.bias[:, :, None, None], out=y)] if self.bias.size else []

    def store_gradient(self, gradient: Array, dy: Array, dmatrix: Array) -> Calls:
        """Calls that fill dmatrix from the weight gradient (size * C * size, F), reordered, and from the sums of dy
        (F, H, W, N) for the biases."""
        target = self._reordered(dmatrix).transpose(1, 2, 3, 0)
        calls = [call(np.multiply, gradient.reshape(target.shape), self._share, out=target)]
        if self.bias.size:
            rows = dy.reshape(self.out_channels, dy.shape[1], -1)
            ones, sums = np.ones(rows.shape[2], dy.dtype), aligned_zeros(rows.shape[:2], dy.dtype)
            calls.append(call(np.matmul, rows, ones, out=sums))
            calls.append(plain_call(np.add.reduce, sums, axis=1, out=dmatrix[:, -1]))
        return calls

    def _reordered(self, matrix: Array) -> Array:
        """A view of the weights of a matrix as (F, row, channel, column)."""
        return matrix[:, : self.fan_in].reshape(-1, self.in_channels, self.size, self.size).transpose(0, 2, 1, 3)


# Below this many multiplications, OpenBLAS uses its small-matrix kernels where it has them (AVX-512), which are
# several times faster.
SMALL_PRODUCT = 1_000_000


def column_blocks(matrix: Array, rows: int) -> Array:
    """A view of (..., k, n) as (..., n / b, k, b), so that a product with `rows` multiplications per column becomes
    many small ones."""
    width = length = matrix.shape[-1]
    while width % 2 == 0 and width > 128 and rows * width > SMALL_PRODUCT:
        width //= 2
    if rows * width > SMALL_PRODUCT:
        width = length
    *ahead, depth, _ = matrix.shape
    *far, down, along = matrix.strides
    return as_strided(matrix, (*ahead, length // width, depth, width), (*far, width * along, down, along))


def matrix_product(left: Array, right: Array, out: Array) -> Call:
    """out = left @ right, for matrices, by dot where possible: a call of matmul costs twice as much."""
    contiguous = all(side.flags.c_contiguous or side.flags.f_contiguous for side in (left, right))
    if contiguous and out.flags.c_contiguous and left.dtype == right.dtype == out.dtype:
        return plain_call(left.dot, right, out)
    return call(np.matmul, left, right, out=out)


def blocked_matmul(weights: Array, matrices: Array, out: Array) -> Call:
    """out (rows, F, n) = weights (F, k) @ matrices (rows, k, n)."""
    return call(np.matmul, weights, column_blocks(matrices, weights.size), out=column_blocks(out, weights.size))
