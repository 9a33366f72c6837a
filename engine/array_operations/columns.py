"""Columns: convolution by copying every window into a column of one matrix, and one matrix product."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.products import blocks
from engine.array_operations.scatter import scatter
from engine.operations import Array, Call, Calls


class Columns:
    """See Operations.convolution. Fewest calls, most memory: for rows of few values.

    The bias meets a row of `divisor`s in the columns, so that dividing the whole product by `divisor` leaves the
    bias as it is.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        channels, _, _, batch = x.shape
        features, height, width, _ = y.shape
        self._stride, self._margin, self._divisor = stride, margin, divisor
        self._matrix, self._y, self._taps = matrix, y, channels * size * size
        plane, row, pixel, image = x.strides
        self._windows = as_strided(
            x,
            (channels, size, size, height, width, batch),
            (plane, row, pixel, row * stride, pixel * stride, image),
        )
        self._columns = memory.full((matrix.shape[1], height * width * batch), divisor, x.dtype)
        self._rows = features * matrix.shape[1]
        self._column_blocks = blocks(self._columns, self._rows)

    def lay_out(self) -> Call:
        """The call that copies the windows."""
        return run(np.copyto, self._columns[: self._taps].reshape(self._windows.shape), self._windows)

    def forward(self) -> Calls:
        """The calls that fill y."""
        y = self._y
        flat = y if y[0].flags.c_contiguous else memory.zeros(y.shape, y.dtype)
        calls = [self.lay_out(), call(np.matmul, self._matrix, self._column_blocks, out=self._blocks_of(flat))]
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

    def _blocks_of(self, maps: Array) -> Array:
        """Maps (F, H', W', N), of which each is without gaps."""
        shape, strides = (len(maps), self._columns.shape[1]), (maps.strides[0], maps.itemsize)
        return blocks(as_strided(maps, shape, strides), self._rows)
