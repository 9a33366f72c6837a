"""Pool2D: what MaxPool2D and AvgPool2D have in common: one window for each value that is left. Not a layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal

import numpy as np

from engine.backends.ops import Calls, HostArray, Operations, TwoWay
from engine.nn.layers.layer import Layer, Shape, ShapeError, Stage, Values, need, need_maps, need_whole, shape_text
from engine.nn.layers.value_formulas import Largest, Place, WeightedSum, values_at, window_cells


@dataclass(frozen=True)
class Pool2D(Layer):
    """y[c, i, j] tells of x[c, i*stride : i*stride + size, j*stride : j*stride + size].

    edge "keep": windows that hang over the right or bottom edge use what is there (7 x 7 becomes 4 x 4 with
    2/2, as in Rohrer's article); "drop": only whole windows.
    """

    size: int = 2
    stride: int = 2
    edge: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        """Raises ValueError for hyperparameters that mean nothing."""
        need_whole(self, "size", 1)
        need_whole(self, "stride", 1)
        need(self, "edge", self.edge in ("keep", "drop"), '"keep" or "drop"')

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H', W'). Raises ShapeError if no window fits."""
        channels, *sides = need_maps(self, shape)
        if self.edge == "drop" and min(sides) < self.size:
            raise ShapeError(
                f"its window is {self.size} × {self.size}, larger than the maps it gets, {shape_text(shape)}; "
                "make it smaller or keep the edge"
            )
        return (channels, *(self._windows(side) for side in sides))

    def reads(self, shape: Shape, rows: range, columns: range) -> tuple[range, range]:
        """The window, cut off at the edge."""
        return self._window(rows, shape[1]), self._window(columns, shape[2])

    def window_of(self, shape: Shape, place: Place) -> HostArray:
        """(h, w) int64: where the cells stand, flat in row order, that the value at `place` tells of."""
        channel, row, column = place
        cell = (range(row, row + 1), range(column, column + 1))
        return window_cells(shape, channel, *self.reads(shape, *cell))

    def pool(self, ops: Operations, stage: Stage) -> TwoWay:
        """What becomes of a window."""
        raise NotImplementedError

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """One value for each window."""
        stage.work = self.pool(ops, stage)
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient, given back to the windows."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx)
        return calls

    def _windows(self, length: int) -> int:
        """How many windows start inside `length` (and, with "drop", end inside it)."""
        beyond = length - self.size
        if self.edge == "drop":
            return beyond // self.stride + 1
        return min(max(-(-beyond // self.stride), 0) + 1, -(-length // self.stride))

    def _window(self, cells: range, length: int) -> range:
        first = cells.start * self.stride
        return range(first, min((cells.stop - 1) * self.stride + self.size, length))


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """y[c, i, j] = max of the window of Pool2D. The gradient goes to the winner; of equal values the first in row
    order wins."""

    kind: ClassVar[str] = "maxpool2d"
    kink: ClassVar[str] = "has no clear winner"

    def pool(self, ops: Operations, stage: Stage) -> TwoWay:
        """The largest of each window."""
        return ops.max_pool(stage.x.values, stage.y, self.size, self.stride)

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Largest:
        """The window and which of it won."""
        cells = self.window_of(x.shape, place)
        return Largest(cells, values_at(x, cells))

    def gaps(self, x: HostArray) -> Iterator[HostArray]:
        """Every value of a window less the one that wins at the first point."""
        winner, *others = self._taps(x)
        for rival in others:
            winner = np.where(rival[0] > winner[0], rival, winner)
        for value in self._taps(x):
            yield value - winner

    def _taps(self, x: HostArray) -> Iterator[HostArray]:
        """The values at each place in the windows; where a window hangs over the edge, its last ones again."""
        high, wide = x.shape[2:4]
        rows, columns = (np.arange(self._windows(length)) * self.stride for length in (high, wide))
        for down, right in product(range(self.size), repeat=2):
            yield x[:, :, np.minimum(rows + down, high - 1)[:, None], np.minimum(columns + right, wide - 1)]


@dataclass(frozen=True)
class AvgPool2D(Pool2D):
    """y[c, i, j] = mean of the window of Pool2D; a window that hangs over the edge takes the mean of what is there.
    Every value of the window gets an equal share of the gradient."""

    kind: ClassVar[str] = "avgpool2d"

    def multiplies(self, shape: Shape) -> int:
        """One for each value that is left: the division."""
        return math.prod(self.output_shape(shape))

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> WeightedSum:
        """The window added up and divided by how many values it has."""
        cells = self.window_of(x.shape, place)
        return WeightedSum(cells, values_at(x, cells), np.ones(cells.shape), cells.size)

    def pool(self, ops: Operations, stage: Stage) -> TwoWay:
        """The mean of each window."""
        return ops.average_pool(stage.x.values, stage.y, self.size, self.stride)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """(C, H, W) becomes the list y[c] = sum of x[c] / (H*W); dx[c] = dy[c] / (H*W) everywhere (Lin et al. 2013)."""

    kind: ClassVar[str] = "globalavgpool"

    def output_shape(self, shape: Shape) -> Shape:
        """(C,). Raises ShapeError unless the input is maps."""
        return (need_maps(self, shape)[0],)

    def multiplies(self, shape: Shape) -> int:
        """One for each map: the division."""
        return shape[0]

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        """Every value reads a whole map."""
        return

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> WeightedSum:
        """The whole map added up and divided by how many values it has."""
        cells = window_cells(x.shape, place[0], range(x.shape[1]), range(x.shape[2]))
        return WeightedSum(cells, values_at(x, cells), np.ones(cells.shape), cells.size)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The mean of each map."""
        stage.work = ops.global_average(stage.x.values, stage.y)
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Every value of a map takes its share of the map's gradient."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx)
        return calls
