"""Pool2D: what MaxPool2D and AvgPool2D have in common: one window for each value that is left. Not a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.backends.ops import Calls, HostArray, Operations, TwoWay
from engine.layers.arithmetic import Place, window_cells
from engine.layers.hyperparameters import need, need_whole
from engine.layers.layer import Layer, Shape, ShapeError, Stage, need_maps, shape_text


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
