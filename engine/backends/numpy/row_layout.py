"""Strips: the pixels that rows of windows read, laid out so that each row of windows is one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.ops import Array, Call, Calls


class Strips:
    """Memory-efficient convolution (Cho and Brand 2017): every row of pixels is laid out once as a strip
    (C * size, columns * N), for each channel and column of a feature what the windows of one row read there.

    Strips lie one under the other, so the `size` strips that a row of windows reads are one matrix
    (size * C * size, columns * N), and those of neighbouring rows overlap: the copy is `size` times smaller than
    one of whole windows.

    The windows of a row are sorted by their place modulo `cycle`: (cycle, columns of each), of which the last may
    be missing from some and reads zeros. A pool of that stride then finds its values in long runs, not one by one.
    """

    def __init__(self, rows: int, channels: int, size: int, width: int, batch: int, cycle: int, dtype: Any) -> None:
        self.size, self.width, self.cycle, self.columns = size, width, cycle, -(-width // cycle)
        self._array = memory.zeros((rows, channels, size, cycle, self.columns, batch), dtype)

    def matrices(self, first: int, count: int, stride: int) -> Array:
        """The matrices (count, size * C * size, cycle * columns * N) of `count` rows of windows from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        step, length = self._array.strides[0], cycle * columns * batch
        return as_strided(
            self._array[first * stride :],
            (count, size * channels * size, length),
            (stride * step, self._array.strides[2], self._array.itemsize),
        )

    def matrices_of(self, first: int, count: int) -> Array:
        """The matrices (count, C * size, cycle * columns * N) of `count` single strips from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        return self._array[first : first + count].reshape(count, channels * size, cycle * columns * batch)

    def windows_of(self, x: Array, stride: int) -> Calls:
        """Lay out padded maps x (C, H, W, N)."""
        plane, row, pixel, image = x.strides
        rows, channels, size, cycle, _, batch = self._array.shape
        calls: Calls = []
        whole = self.width % self.cycle == 0
        for turn in range(1 if whole else cycle):
            turns = cycle if whole else 1
            count = len(range(turn, self.width, cycle))
            seen = as_strided(
                x[:, :, turn * stride :],
                (rows, channels, size, turns, count, batch),
                (row, plane, pixel, pixel * stride, pixel * stride * cycle, image),
            )
            calls.append(run(np.copyto, self._array[:, :, :, turn : turn + turns, :count], seen))
        return calls


def rows_of(maps: Array) -> Array:
    """(F, H, ..., N) with rows without gaps, seen as H matrices (F, rest)."""
    features, height, *rest = maps.shape
    length = int(np.prod(rest))
    return as_strided(maps, (height, features, length), (maps.strides[1], maps.strides[0], maps.itemsize))


class Features:
    """The matrix (F, C * size * size [+ 1]) of Operations.convolution, divided by `divisor` but for the bias.

    Strips want a feature's weights in the order (row, channel, column); they are stored as (channel, row, column).
    """

    def __init__(self, matrix: Array, channels: int, size: int, divisor: int) -> None:
        self.count, self.channels, self.size = len(matrix), channels, size
        self.taps = channels * size * size
        self._share = matrix.dtype.type(1 / divisor)
        self._by_row = self._sorted(matrix)
        self.bias = matrix[:, self.taps :]
        self._as_stored = divisor == 1 and (channels == 1 or size == 1)
        self.rows = (
            matrix[:, : self.taps] if self._as_stored else memory.zeros((self.count, self.taps), matrix.dtype)
        )

    def lay_out(self) -> Calls:
        """The calls that fill `rows` (F, size * C * size)."""
        if self._as_stored:
            return []
        return [call(np.multiply, self._by_row, self._share, out=self.rows.reshape(self._by_row.shape))]

    def turned(self) -> tuple[Array, Calls]:
        """The weights (size * C, size, F) with which InputGradient multiplies: (column, channel), row from the last
        on, feature; and the calls that fill them."""
        turned = self._by_row[:, ::-1].transpose(3, 2, 1, 0)
        weights = memory.zeros(turned.shape, turned.dtype)
        calls = [call(np.multiply, turned, self._share, out=weights)]
        return weights.reshape(self.size * self.channels, self.size, self.count), calls

    def add_bias(self, y: Array) -> Calls:
        """y (F, H, W, N) += bias, if there is one."""
        return [call(np.add, y, self.bias[:, :, None, None], out=y)] if self.bias.size else []

    def store(self, gradient: Array, dy: Array, dmatrix: Array) -> Calls:
        """dmatrix = the gradient (size * C * size, F) in the order that is stored, and the sums of dy (F, H, W, N)
        for the biases."""
        target = self._sorted(dmatrix).transpose(1, 2, 3, 0)
        calls = [call(np.multiply, gradient.reshape(target.shape), self._share, out=target)]
        if self.bias.size:
            rows = dy.reshape(self.count, dy.shape[1], -1)
            ones, sums = np.ones(rows.shape[2], dy.dtype), memory.zeros(rows.shape[:2], dy.dtype)
            calls.append(call(np.matmul, rows, ones, out=sums))
            calls.append(run(np.add.reduce, sums, axis=1, out=dmatrix[:, -1]))
        return calls

    def _sorted(self, matrix: Array) -> Array:
        """The weights of a matrix seen as (F, row, channel, column)."""
        return matrix[:, : self.taps].reshape(-1, self.channels, self.size, self.size).transpose(0, 2, 1, 3)


# Below this many multiplies a product, OpenBLAS takes its small-matrix path where it has one (AVX-512), which is
# several times faster.
SMALL_PRODUCT = 1_000_000


def blocks(matrix: Array, rows: int) -> Array:
    """(..., k, n) seen as (..., n / b, k, b): a product with `rows` multiplies a column becomes many small ones."""
    width = length = matrix.shape[-1]
    while width % 2 == 0 and width > 128 and rows * width > SMALL_PRODUCT:
        width //= 2
    if rows * width > SMALL_PRODUCT:
        width = length
    *ahead, depth, _ = matrix.shape
    *far, down, along = matrix.strides
    return as_strided(matrix, (*ahead, length // width, depth, width), (*far, width * along, down, along))


def matrix_product(left: Array, right: Array, out: Array) -> Call:
    """out = left @ right, for matrices: the same product as matmul's, which costs twice as much to call."""
    together = all(each.flags.c_contiguous or each.flags.f_contiguous for each in (left, right))
    if together and out.flags.c_contiguous and left.dtype == right.dtype == out.dtype:
        return run(left.dot, right, out)
    return call(np.matmul, left, right, out=out)


def product(weights: Array, matrices: Array, out: Array) -> Call:
    """out (rows, F, n) = weights (F, k) @ matrices (rows, k, n)."""
    return call(np.matmul, weights, blocks(matrices, weights.size), out=blocks(out, weights.size))
