"""Winograd's minimal filtering down the columns: four results of a filter of three take six multiplies, not twelve.

F(4, 3) as in Lavin and Gray (2016), but along one axis only: of six values x and a filter w of 3,

    y = A ((G w) * (B x)),

where each of the six products is a matrix product over channels and a row of windows. Along one axis every
transform is a product with a matrix of at most 6 x 6 over long runs, and the error stays low: with the points 0, 1,
-1, 1/2, -2 and infinity about three times that of the direct sum (on choosing points: Barabasz et al. 2020). Where
all values of a pool's window are equal, that may decide between them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.array_operations.calls import call
from engine.array_operations.features import Features
from engine.backends.ops import Array, Calls, HostArray

# Rows made at once, rows they read, and products that they take.
ROWS: Final = 4
POINTS: Final = 6
_FINITE: Final = (0.0, 1.0, -1.0, 0.5, -2.0)
# Fewer channels or features gain less from fewer multiplies than the transforms cost.
LEAST: Final = 32


def saves_time(features: Features) -> bool:
    """Whether, at stride 1, the transforms cost less than they save."""
    return features.size == 3 and min(features.channels, features.count) >= LEAST


def transforms() -> tuple[HostArray, HostArray, HostArray]:
    """A (4, 6), G (6, 3) and B (6, 6), after Toom and Cook: what evaluates a filter's and interpolates the result's
    polynomial at the points, transposed."""
    points = np.array(_FINITE)
    others = [np.delete(points, place) for place in range(len(points))]
    a, g, b = np.zeros((ROWS, POINTS)), np.zeros((POINTS, 3)), np.zeros((POINTS, POINTS))
    for place, (point, rest) in enumerate(zip(points, others, strict=True)):
        a[:, place] = point ** np.arange(ROWS)
        g[place] = point ** np.arange(3) / np.prod(point - rest)
        b[place, :-1] = np.poly(rest)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


class Tiles:
    """The transforms of rows of windows, four at a time, and of what is left of them at the end.

    rows: (rows, L, n), points: (tiles, 6, L, n), of any strides but along n.
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
        """points = B x: of the count + 2 rows that `count` rows of windows read."""
        whole, rest = divmod(count, ROWS)
        calls: Calls = []
        if whole:
            calls.append(call(np.matmul, self._values, _tiles(rows, whole, POINTS), out=_last(points[:whole])))
        if rest:
            # Below its last row a tile reads zeros.
            some = np.ascontiguousarray(self._values[:, : rest + 2])
            calls.append(
                call(np.matmul, some, _tiles(rows[ROWS * whole :], 1, rest + 2), out=_last(points[whole:]))
            )
        return calls

    def of_results(self, points: Array, rows: Array) -> Calls:
        """rows = A points."""
        whole, rest = divmod(len(rows), ROWS)
        calls: Calls = []
        if whole:
            calls.append(call(np.matmul, self._results, _last(points[:whole]), out=_tiles(rows, whole, ROWS)))
        if rest:
            tail = _tiles(rows[ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest], _last(points[whole:]), out=tail))
        return calls

    def of_result_gradients(self, rows: Array, points: Array) -> Calls:
        """points = A transposed rows."""
        whole, rest = divmod(len(rows), ROWS)
        calls: Calls = []
        if whole:
            calls.append(call(np.matmul, self._results.T, _tiles(rows, whole, ROWS), out=_last(points[:whole])))
        if rest:
            tail = _tiles(rows[ROWS * whole :], 1, rest)
            calls.append(call(np.matmul, self._results[:rest].T, tail, out=_last(points[whole:])))
        return calls


def _tiles(rows: Array, count: int, size: int) -> Array:
    """`count` tiles of `size` rows, each four rows after the one before, (count, L, size, n)."""
    step, plane, item = rows.strides
    return as_strided(rows, (count, rows.shape[1], size, rows.shape[2]), (ROWS * step, plane, step, item))


def _last(points: Array) -> Array:
    """The points of a tile as rows of a matrix: (tiles, L, 6, n)."""
    return points.transpose(0, 2, 1, 3)
