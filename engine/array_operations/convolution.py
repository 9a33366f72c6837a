"""Convolution on NumPy: the windows are copied into columns, and one matrix product does the rest."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.array_operations.calls import call, run
from engine.array_operations.windows import overlap
from engine.operations import Array, Calls

# Below this many multiplies a product, OpenBLAS takes its small-matrix path, which is several times faster.
SMALL_PRODUCT = 1_000_000


def blocks(matrix: Array, rows: int) -> Array:
    """(k, n) seen as (n / b, k, b), so that a product with `rows` multiplies a column is many small ones."""
    width = length = matrix.shape[1]
    while width % 2 == 0 and width > 128 and rows * width > SMALL_PRODUCT // 2:
        width //= 2
    if rows * width > SMALL_PRODUCT:
        width = length
    down, along = matrix.strides
    return as_strided(matrix, (length // width, matrix.shape[0], width), (width * along, down, along))


class Convolution:
    """See Operations.convolution.

    The bias meets a row of `divisor`s in the columns, so that dividing the whole product by `divisor` leaves the
    bias as it is.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        channels, _, _, batch = x.shape
        features, height, width, _ = y.shape
        window = (channels, size, size, height, width, batch)
        self._size, self._stride, self._margin, self._divisor = size, stride, margin, divisor
        self._matrix, self._y, self._taps = matrix, y, channels * size * size
        self._window_shape = window
        plane, row, pixel, image = x.strides
        self._windows = as_strided(x, window, (plane, row, pixel, row * stride, pixel * stride, image))
        self._columns = np.full((matrix.shape[1], height * width * batch), divisor, x.dtype)
        self._rows = features * matrix.shape[1]
        self._column_blocks = blocks(self._columns, self._rows)

    def forward(self) -> Calls:
        """The calls that fill y."""
        y = self._y
        flat = y if y.flags.c_contiguous else np.empty(y.shape, y.dtype)
        taps = self._columns[: self._taps].reshape(self._window_shape)
        calls = [
            run(np.copyto, taps, self._windows),
            call(np.matmul, self._matrix, self._column_blocks, out=self._blocks_of(flat)),
        ]
        if self._divisor != 1:
            calls.append(call(np.multiply, flat, y.dtype.type(1 / self._divisor), out=flat))
        return calls if flat is y else [*calls, run(np.copyto, y, flat)]

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        flat, calls = dy, []
        if not dy.flags.c_contiguous or self._divisor != 1:
            flat = np.empty(dy.shape, dy.dtype)
            calls = [call(np.multiply, dy, dy.dtype.type(1 / self._divisor), out=flat)]
        dblocks = self._blocks_of(flat)
        if dmatrix is not None:
            parts = np.empty((len(dblocks), *self._matrix.shape), dy.dtype)
            calls.append(call(np.matmul, dblocks, self._column_blocks.transpose(0, 2, 1), out=parts))
            calls.append(run(np.sum, parts, axis=0, out=dmatrix))
        return calls if dx is None else calls + self._input_gradient(dblocks, dx)

    def _input_gradient(self, dblocks: Array, dx: Array) -> Calls:
        """dx: every pixel gathers, over all windows it stood in, weight x gradient of that window's cell."""
        columns = np.empty((self._taps, self._columns.shape[1]), dx.dtype)
        weights = self._matrix[:, : self._taps].T
        calls = [call(np.matmul, weights, dblocks, out=blocks(columns, self._rows)), run(dx.fill, 0)]
        taps = columns.reshape(self._window_shape)
        for row in range(self._size):
            for column in range(self._size):
                down = overlap(row, self._margin, self._stride, taps.shape[3], dx.shape[1])
                along = overlap(column, self._margin, self._stride, taps.shape[4], dx.shape[2])
                if down is not None and along is not None:
                    seen = dx[:, down[1], along[1]]
                    calls.append(call(np.add, seen, taps[:, row, column, down[0], along[0]], out=seen))
        return calls

    def _blocks_of(self, maps: Array) -> Array:
        return blocks(maps.reshape(maps.shape[0], -1), self._rows)
