"""Winograd's minimal filtering along columns: four outputs of a filter of size 3 take 6 multiplications instead of
12.

F(4, 3) as in Lavin and Gray (2016), but along one axis only: for six values x and a filter w of size 3,

    y = A ((G w) * (B x)),

where each of the six products is a matrix product over channels and a row of windows. Along one axis every
transform is a product with a matrix of at most 6 x 6 over long runs, and the rounding error stays low: with the
points 0, 1, -1, 1/2, -2 and infinity about three times that of the direct sum (on choosing points: Barabasz et al.
2020). Where all values of a pooling window are equal, it may decide which of them is the maximum.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy.calls import call, run, zeros
from engine.backends.numpy.row_layout import Features, Strips, rows_of
from engine.backends.ops import Array, Calls, HostArray

# Output rows of a tile; its input rows, which is also the number of products.
ROWS: Final = 4
POINTS: Final = 6
_FINITE: Final = (0.0, 1.0, -1.0, 0.5, -2.0)
# With fewer input or output channels, the transforms cost more than they save.
MIN_CHANNELS: Final = 32


def saves_time(kernels: Features) -> bool:
    """Whether Winograd's algorithm saves time at stride 1."""
    return kernels.size == 3 and min(kernels.channels, kernels.count) >= MIN_CHANNELS


def transforms() -> tuple[HostArray, HostArray, HostArray]:
    """A (4, 6), G (6, 3) and B (6, 6) by the Toom-Cook construction: the transposed matrices that evaluate the
    filter's polynomial at the points and interpolate the result's."""
    points = np.array(_FINITE)
    others = [np.delete(points, index) for index in range(len(points))]
    a, g, b = np.zeros((ROWS, POINTS)), np.zeros((POINTS, 3)), np.zeros((POINTS, POINTS))
    for index, (point, rest) in enumerate(zip(points, others, strict=True)):
        a[:, index] = point ** np.arange(ROWS)
        g[index] = point ** np.arange(3) / np.prod(point - rest)
        b[index, :-1] = np.poly(rest)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


class Tiles:
    """The transforms of rows of windows in tiles of four, with a smaller last tile.

    Arrays are rows (rows, L, n) and points (tiles, 6, L, n), of any strides but along n.
    """

    def __init__(self, dtype: Any) -> None:
        self._results, self._filter, self._values = (np.ascontiguousarray(each, dtype) for each in transforms())

    def of_filters(self, filters: Array, points: Array) -> Calls:
        """points (k, 6, l) = G w, for filters (k, 3, l)."""
        return [call(np.matmul, self._filter, filters, out=points)]

    def of_filter_gradients(self, points: Array, filters: Array) -> Calls:
        """filters (3, l) = G transposed points, of points (6, l)."""
        return [call(np.matmul, self._filter.T, points, out=filters)]

    def of_values(self, rows: Array, count: int, points: Array) -> Calls:
        """points = B x, for the count + 2 input rows of `count` rows of windows."""
        whole, rest = divmod(count, ROWS)
        calls: Calls = []
        if whole:
            calls.append(
                call(np.matmul, self._values, _tiles(rows, whole, POINTS), out=_tile_matrices(points[:whole]))
            )
        if rest:
            # Rows beyond the last are zeros.
            partial = np.ascontiguousarray(self._values[:, : rest + 2])
            calls.append(
                call(
                    np.matmul,
                    partial,
                    _tiles(rows[ROWS * whole :], 1, rest + 2),
                    out=_tile_matrices(points[whole:]),
                )
            )
        return calls

    def of_results(self, points: Array, rows: Array) -> Calls:
        """rows = A points."""
        whole, rest = divmod(len(rows), ROWS)
        calls: Calls = []
        if whole:
            calls.append(
                call(np.matmul, self._results, _tile_matrices(points[:whole]), out=_tiles(rows, whole, ROWS))
            )
        if rest:
            tail = _tiles(rows[ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest], _tile_matrices(points[whole:]), out=tail))
        return calls

    def of_result_gradients(self, rows: Array, points: Array) -> Calls:
        """points = A transposed rows."""
        whole, rest = divmod(len(rows), ROWS)
        calls: Calls = []
        if whole:
            calls.append(
                call(np.matmul, self._results.T, _tiles(rows, whole, ROWS), out=_tile_matrices(points[:whole]))
            )
        if rest:
            tail = _tiles(rows[ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest].T, tail, out=_tile_matrices(points[whole:])))
        return calls


def _tiles(rows: Array, count: int, size: int) -> Array:
    """A view of `count` tiles of `size` rows, four rows apart, (count, L, size, n)."""
    step, plane, item = rows.strides
    return as_strided(rows, (count, rows.shape[1], size, rows.shape[2]), (ROWS * step, plane, step, item))


def _tile_matrices(points: Array) -> Array:
    """A view with the points of a tile as rows of a matrix: (tiles, L, 6, n)."""
    return points.transpose(0, 2, 1, 3)


class WinogradProducts:
    """RowProducts at stride 1; the layout holds the transformed input rows."""

    tile = ROWS

    def __init__(self, x: Array, kernels: Features, height: int, width: int, cycle: int) -> None:
        channels, _, padded_width, batch = x.shape
        self._x, self._kernels, self._height = x, kernels, height
        self._tiles = Tiles(x.dtype)
        count = -(-height // ROWS)
        self._points = zeros((count, POINTS, channels, padded_width * batch), x.dtype)
        self._layout = Strips(count * POINTS, channels, kernels.size, width, batch, cycle, x.dtype)
        self._weights = zeros((kernels.count, POINTS, kernels.size * channels), x.dtype)
        self._scratch: Array = None

    def prepare(self) -> Calls:
        count, points, channels, _ = self._points.shape
        rows = self._points.reshape(count * points, channels, *self._x.shape[2:])
        filters = self._kernels.rows.reshape(self._kernels.count, self._kernels.size, -1)
        return [
            *self._kernels.lay_out(),
            *self._tiles.of_filters(filters, self._weights),
            *self._tiles.of_values(rows_of(self._x), self._height, self._points),
            *self._layout.windows_of(rows.transpose(1, 0, 2, 3), 1),
        ]

    def forward(self, first: int, maps: Array) -> Calls:
        strips, sums = self._of_rows(first, maps.shape[1])
        weights = self._weights.transpose(1, 0, 2)
        return [call(np.matmul, weights, strips, out=sums), *self._tiles.of_results(sums, rows_of(maps))]

    def start(self) -> None:
        shape = (len(self._points), POINTS, self._weights.shape[2], self._kernels.count)
        self._parts = zeros(shape, self._x.dtype)

    def backward(self, first: int, dmaps: Array) -> Calls:
        strips, dsums = self._of_rows(first, dmaps.shape[1])
        part = self._parts[first // ROWS : first // ROWS + len(strips)]
        product = call(np.matmul, strips, dsums.transpose(0, 1, 3, 2), out=part)
        return [*self._tiles.of_result_gradients(rows_of(dmaps), dsums), product]

    def finish(self, dy: Array, dmatrix: Array) -> Calls:
        total = zeros(self._parts.shape[1:], dy.dtype)
        filters = zeros((self._kernels.size, *total.shape[1:]), dy.dtype)
        return [
            run(np.add.reduce, self._parts, axis=0, out=total),
            *self._tiles.of_filter_gradients(total.reshape(POINTS, -1), filters.reshape(len(filters), -1)),
            *self._kernels.store(filters, dy, dmatrix),
        ]

    def _of_rows(self, first: int, count: int) -> tuple[Array, Array]:
        """The layout of `count` rows from `first` on, (tiles, 6, 3 * C, n), and scratch memory (tiles, 6, F, n)."""
        tiles = -(-count // ROWS)
        strips = self._layout.matrices_of(first // ROWS * POINTS, tiles * POINTS)
        strips = strips.reshape(tiles, POINTS, *strips.shape[1:])
        shape = (POINTS, self._kernels.count, strips.shape[-1])
        if self._scratch is None or len(self._scratch) < tiles:
            self._scratch = zeros((tiles, *shape), self._x.dtype)
        return strips, self._scratch[:tiles]
