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

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.numpy.row_layout import KernelLayout, RowLayout, as_row_matrices
from engine.backends.ops import Array, Calls, HostArray

# Output rows of a tile; its input rows, which is also the number of products.
TILE_ROWS: Final = 4
POINTS: Final = 6
_FINITE: Final = (0.0, 1.0, -1.0, 0.5, -2.0)
# With fewer input or output channels, the transforms cost more than they save.
MIN_CHANNELS: Final = 32


def is_winograd_faster(kernels: KernelLayout) -> bool:
    """Whether Winograd's algorithm saves time at stride 1."""
    return kernels.size == 3 and min(kernels.in_channels, kernels.out_channels) >= MIN_CHANNELS


def transform_matrices() -> tuple[HostArray, HostArray, HostArray]:
    """A (4, 6), G (6, 3) and B (6, 6) by the Toom-Cook construction: the transposed matrices that evaluate the
    filter's polynomial at the points and interpolate the result's."""
    points = np.array(_FINITE)
    others = [np.delete(points, index) for index in range(len(points))]
    a, g, b = np.zeros((TILE_ROWS, POINTS)), np.zeros((POINTS, 3)), np.zeros((POINTS, POINTS))
    for index, (point, rest) in enumerate(zip(points, others, strict=True)):
        a[:, index] = point ** np.arange(TILE_ROWS)
        g[index] = point ** np.arange(3) / np.prod(point - rest)
        b[index, :-1] = np.poly(rest)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


class WinogradTransform:
    """The transforms of rows of windows in tiles of four, with a smaller last tile.

    Arrays are rows (rows, L, n) and points (tiles, 6, L, n), of any strides but along n.
    """

    def __init__(self, dtype: Any) -> None:
        self._results, self._filter, self._values = (
            np.ascontiguousarray(each, dtype) for each in transform_matrices()
        )

    def transform_filters(self, filters: Array, points: Array) -> Calls:
        """points (k, 6, l) = G w, for filters (k, 3, l)."""
        return [call(np.matmul, self._filter, filters, out=points)]

    def transform_filter_gradients(self, points: Array, filters: Array) -> Calls:
        """filters (3, l) = G transposed points, of points (6, l)."""
        return [call(np.matmul, self._filter.T, points, out=filters)]

    def transform_input(self, rows: Array, count: int, points: Array) -> Calls:
        """points = B x, for the count + 2 input rows of `count` rows of windows."""
        whole, rest = divmod(count, TILE_ROWS)
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
                    _tiles(rows[TILE_ROWS * whole :], 1, rest + 2),
                    out=_tile_matrices(points[whole:]),
                )
            )
        return calls

    def transform_output(self, points: Array, rows: Array) -> Calls:
        """rows = A points."""
        whole, rest = divmod(len(rows), TILE_ROWS)
        calls: Calls = []
        if whole:
            calls.append(
                call(np.matmul, self._results, _tile_matrices(points[:whole]), out=_tiles(rows, whole, TILE_ROWS))
            )
        if rest:
            tail = _tiles(rows[TILE_ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest], _tile_matrices(points[whole:]), out=tail))
        return calls

    def transform_output_gradient(self, rows: Array, points: Array) -> Calls:
        """points = A transposed rows."""
        whole, rest = divmod(len(rows), TILE_ROWS)
        calls: Calls = []
        if whole:
            calls.append(
                call(np.matmul, self._results.T, _tiles(rows, whole, TILE_ROWS), out=_tile_matrices(points[:whole]))
            )
        if rest:
            tail = _tiles(rows[TILE_ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest].T, tail, out=_tile_matrices(points[whole:])))
        return calls


def _tiles(rows: Array, count: int, size: int) -> Array:
    """A view of `count` tiles of `size` rows, four rows apart, (count, L, size, n)."""
    step, plane, item = rows.strides
    return as_strided(rows, (count, rows.shape[1], size, rows.shape[2]), (TILE_ROWS * step, plane, step, item))


def _tile_matrices(points: Array) -> Array:
    """A view with the points of a tile as rows of a matrix: (tiles, L, 6, n)."""
    return points.transpose(0, 2, 1, 3)


class WinogradProducts:
    """RowProducts at stride 1; the layout holds the transformed input rows."""

    tile_rows = TILE_ROWS

    def __init__(self, x: Array, kernels: KernelLayout, height: int, width: int, cycle: int) -> None:
        channels, _, padded_width, batch = x.shape
        self._x, self._kernels, self._height = x, kernels, height
        self._tiles = WinogradTransform(x.dtype)
        count = -(-height // TILE_ROWS)
        self._points = aligned_zeros((count, POINTS, channels, padded_width * batch), x.dtype)
        self._layout = RowLayout(count * POINTS, channels, kernels.size, width, batch, cycle, x.dtype)
        self._weights = aligned_zeros((kernels.out_channels, POINTS, kernels.size * channels), x.dtype)
        self._scratch: Array = None

    def prepare(self) -> Calls:
        count, points, channels, _ = self._points.shape
        rows = self._points.reshape(count * points, channels, *self._x.shape[2:])
        filters = self._kernels.rows.reshape(self._kernels.out_channels, self._kernels.size, -1)
        return [
            *self._kernels.fill(),
            *self._tiles.transform_filters(filters, self._weights),
            *self._tiles.transform_input(as_row_matrices(self._x), self._height, self._points),
            *self._layout.fill_from(rows.transpose(1, 0, 2, 3), 1),
        ]

    def forward(self, first: int, maps: Array) -> Calls:
        strips, sums = self._of_rows(first, maps.shape[1])
        weights = self._weights.transpose(1, 0, 2)
        return [
            call(np.matmul, weights, strips, out=sums),
            *self._tiles.transform_output(sums, as_row_matrices(maps)),
        ]

    def start_gradient(self) -> None:
        shape = (len(self._points), POINTS, self._weights.shape[2], self._kernels.out_channels)
        self._parts = aligned_zeros(shape, self._x.dtype)

    def add_gradient(self, first: int, dmaps: Array) -> Calls:
        strips, dsums = self._of_rows(first, dmaps.shape[1])
        part = self._parts[first // TILE_ROWS : first // TILE_ROWS + len(strips)]
        product = call(np.matmul, strips, dsums.transpose(0, 1, 3, 2), out=part)
        return [*self._tiles.transform_output_gradient(as_row_matrices(dmaps), dsums), product]

    def finish_gradient(self, dy: Array, dmatrix: Array) -> Calls:
        total = aligned_zeros(self._parts.shape[1:], dy.dtype)
        filters = aligned_zeros((self._kernels.size, *total.shape[1:]), dy.dtype)
        return [
            plain_call(np.add.reduce, self._parts, axis=0, out=total),
            *self._tiles.transform_filter_gradients(total.reshape(POINTS, -1), filters.reshape(len(filters), -1)),
            *self._kernels.store_gradient(filters, dy, dmatrix),
        ]

    def _of_rows(self, first: int, count: int) -> tuple[Array, Array]:
        """The layout of `count` rows from `first` on, (tiles, 6, 3 * C, n), and scratch memory (tiles, 6, F, n)."""
        tiles = -(-count // TILE_ROWS)
        strips = self._layout.row_matrices(first // TILE_ROWS * POINTS, tiles * POINTS)
        strips = strips.reshape(tiles, POINTS, *strips.shape[1:])
        shape = (POINTS, self._kernels.out_channels, strips.shape[-1])
        if self._scratch is None or len(self._scratch) < tiles:
            self._scratch = aligned_zeros((tiles, *shape), self._x.dtype)
        return strips, self._scratch[:tiles]
