"""WinogradProducts: rows of a convolution with features of 3 x 3, four at a time, with half of the multiplies."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.features import Features
from engine.array_operations.strips import Strips, rows_of
from engine.array_operations.winograd import POINTS, ROWS, Tiles
from engine.backends.ops import Array, Calls


class WinogradProducts:
    """See RowProducts; at stride 1. The pixels are transformed row by row, and the strips are made of that."""

    tile = ROWS

    def __init__(self, x: Array, features: Features, height: int, width: int, cycle: int) -> None:
        channels, _, padded_width, batch = x.shape
        self._x, self._features, self._height = x, features, height
        self._tiles = Tiles(x.dtype)
        count = -(-height // ROWS)
        self._points = memory.zeros((count, POINTS, channels, padded_width * batch), x.dtype)
        self._strips = Strips(count * POINTS, channels, features.size, width, batch, cycle, x.dtype)
        self._weights = memory.zeros((features.count, POINTS, features.size * channels), x.dtype)
        self._scratch: Array = None

    def prepare(self) -> Calls:
        """The calls that lay out weights and pixels, both transformed."""
        count, points, channels, _ = self._points.shape
        rows = self._points.reshape(count * points, channels, *self._x.shape[2:])
        filters = self._features.rows.reshape(self._features.count, self._features.size, -1)
        return [
            *self._features.lay_out(),
            *self._tiles.of_filters(filters, self._weights),
            *self._tiles.of_values(rows_of(self._x), self._height, self._points),
            *self._strips.windows_of(rows.transpose(1, 0, 2, 3), 1),
        ]

    def forward(self, first: int, maps: Array) -> Calls:
        """The calls that fill the rows from `first` on."""
        strips, sums = self._of_rows(first, maps.shape[1])
        weights = self._weights.transpose(1, 0, 2)
        return [call(np.matmul, weights, strips, out=sums), *self._tiles.of_results(sums, rows_of(maps))]

    def start(self) -> None:
        """Make room for each tile's part of the gradient of the weights."""
        shape = (len(self._points), POINTS, self._weights.shape[2], self._features.count)
        self._parts = memory.zeros(shape, self._x.dtype)

    def backward(self, first: int, dmaps: Array) -> Calls:
        """The calls that take in the gradient of rows from `first` on."""
        strips, dsums = self._of_rows(first, dmaps.shape[1])
        part = self._parts[first // ROWS : first // ROWS + len(strips)]
        product = call(np.matmul, strips, dsums.transpose(0, 1, 3, 2), out=part)
        return [*self._tiles.of_result_gradients(rows_of(dmaps), dsums), product]

    def finish(self, dy: Array, dmatrix: Array) -> Calls:
        """The calls that fill dmatrix, once all rows are taken in."""
        total = memory.zeros(self._parts.shape[1:], dy.dtype)
        filters = memory.zeros((self._features.size, *total.shape[1:]), dy.dtype)
        return [
            run(np.add.reduce, self._parts, axis=0, out=total),
            *self._tiles.of_filter_gradients(total.reshape(POINTS, -1), filters.reshape(len(filters), -1)),
            *self._features.store(filters, dy, dmatrix),
        ]

    def _of_rows(self, first: int, count: int) -> tuple[Array, Array]:
        """The strips of `count` rows from `first` on, (tiles, 6, 3 * C, n), and scratch memory (tiles, 6, F, n)."""
        tiles = -(-count // ROWS)
        strips = self._strips.matrices_of(first // ROWS * POINTS, tiles * POINTS)
        strips = strips.reshape(tiles, POINTS, *strips.shape[1:])
        shape = (POINTS, self._features.count, strips.shape[-1])
        if self._scratch is None or len(self._scratch) < tiles:
            self._scratch = memory.zeros((tiles, *shape), self._x.dtype)
        return strips, self._scratch[:tiles]
