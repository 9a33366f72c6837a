"""Pooling: maximum and average over windows (Pool2D, MaxPool2D, AvgPool2D) and over whole maps (GlobalAvgPool)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np

from engine.backends import Calls, DifferentiableOp, HostArray, Ops, PoolSpec
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.layer import (
    Arrays,
    Layer,
    LayerArrays,
    Shape,
    ShapeError,
    require,
    require_int,
    require_maps,
    shape_text,
)
from engine.nn.layers.value_formulas import CellIndex, Maximum, WeightedSum, values_at, window_cells


@dataclass(frozen=True)
class Pool2D(Layer):
    """y[c, i, j] summarizes x[c, i*stride : i*stride + size, j*stride : j*stride + size].

    edge "keep": windows that extend over the right or bottom edge use what is inside (7 × 7 becomes 4 × 4 with 2/2,
    as in Rohrer's article; ceil_mode in PyTorch); "drop": only whole windows.
    """

    size: int = 2
    stride: int = 2
    edge: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        """Raises ValueError for invalid hyperparameters."""
        require_int(self, "size", 1)
        require_int(self, "stride", 1)
        require(self, "edge", self.edge in ("keep", "drop"), '"keep" or "drop"')

    @property
    def spec(self) -> PoolSpec:
        return PoolSpec(self.size, self.stride)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H', W'). Raises ShapeError if no window fits."""
        channels, *sides = require_maps(self, shape)
        if self.edge == "drop" and min(sides) < self.size:
            raise ShapeError(
                f"its window is {self.size} × {self.size}, larger than the maps it gets, {shape_text(shape)}; "
                "make it smaller or keep the edge"
            )
        return (channels, *(self._windows(side) for side in sides))

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> tuple[range, range]:
        return self._window(rows, shape[1]), self._window(columns, shape[2])

    def window_of(self, shape: Shape, index: CellIndex) -> HostArray:
        """int64 (h, w): flat indices, in row order, of the cells that the output at `index` reads."""
        channel, row, column = index
        cell = (range(row, row + 1), range(column, column + 1))
        return window_cells(shape, channel, *self.receptive_range(shape, *cell))

    def pool_op(self, ops: Ops, arrays: LayerArrays) -> DifferentiableOp:
        """The operation over windows."""
        raise NotImplementedError

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        arrays.context = self.pool_op(ops, arrays)
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx)
        return calls

    def _windows(self, length: int) -> int:
        """The number of windows that start inside `length` (and, with "drop", end inside it)."""
        last = length - self.size
        if self.edge == "drop":
            return last // self.stride + 1
        return min(max(-(-last // self.stride), 0) + 1, -(-length // self.stride))

    def _window(self, cells: range, length: int) -> range:
        first = cells.start * self.stride
        return range(first, min((cells.stop - 1) * self.stride + self.size, length))


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """y[c, i, j] = max of the window of Pool2D. The gradient goes to the maximum; of equal values, to the first in
    row order."""

    kind: ClassVar[str] = "maxpool2d"

    @cached_property
    def traits(self) -> Traits:
        return Traits(takes_maximum=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Pool",
            Phrase("max of {0} × {0}", (self.size,)),
            "max pooling. Of each window only the largest value, the strongest match, is kept.",
            "only the maximum of each window gets any gradient.",
            kink="has no clear winner",
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        size, stride, keep = self.size, self.stride, self.edge == "keep"
        return lambda x: torch.max_pool2d(x, size, stride, 0, 1, keep)

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        square = {"kernel_shape": [self.size] * 2, "strides": [self.stride] * 2}
        return "MaxPool", square | {"ceil_mode": int(self.edge == "keep")}

    def pool_op(self, ops: Ops, arrays: LayerArrays) -> DifferentiableOp:
        return ops.max_pool(arrays.x.values, arrays.y, self.spec)

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> Maximum:
        cells = self.window_of(x.shape, index)
        return Maximum(cells, values_at(x, cells))

    def distances_to_kink(self, x: HostArray) -> Iterator[HostArray]:
        """Every value of a window minus the one that is the maximum at the first point."""
        winner, *others = self._window_values(x)
        for other in others:
            winner = np.where(other[0] > winner[0], other, winner)
        for value in self._window_values(x):
            yield value - winner

    def _window_values(self, x: HostArray) -> Iterator[HostArray]:
        """The values at each offset in the windows; where a window extends over the edge, its last ones again."""
        high, wide = x.shape[2:4]
        rows, columns = (np.arange(self._windows(length)) * self.stride for length in (high, wide))
        for down, right in product(range(self.size), repeat=2):
            yield x[:, :, np.minimum(rows + down, high - 1)[:, None], np.minimum(columns + right, wide - 1)]


@dataclass(frozen=True)
class AvgPool2D(Pool2D):
    """y[c, i, j] = mean of the window of Pool2D; over the edge, the mean of what is inside. Every value of the
    window gets an equal share of the gradient."""

    kind: ClassVar[str] = "avgpool2d"

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Pool",
            Phrase("mean of {0} × {0}", (self.size,)),
            "average pooling. Of each window the mean is kept.",
            "every value of a window gets an equal share of the gradient.",
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        size, stride, keep = self.size, self.stride, self.edge == "keep"
        return lambda x: torch.nn.functional.avg_pool2d(x, size, stride, 0, keep)

    def multiplies(self, shape: Shape) -> int:
        """One per output value: the division."""
        return math.prod(self.output_shape(shape))

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> WeightedSum:
        cells = self.window_of(x.shape, index)
        return WeightedSum(cells, values_at(x, cells), np.ones(cells.shape), cells.size)

    def pool_op(self, ops: Ops, arrays: LayerArrays) -> DifferentiableOp:
        return ops.average_pool(arrays.x.values, arrays.y, self.spec)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """(C, H, W) becomes the vector y[c] = sum of x[c] / (H*W); dx[c] = dy[c] / (H*W) everywhere (Lin et al.
    2013)."""

    kind: ClassVar[str] = "globalavgpool"

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Global average",
            Phrase("one per map"),
            "global average pooling. Of every map only the mean is kept.",
            "every value of a map gets an equal share of the gradient.",
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        return lambda x: x.mean((2, 3))

    def output_shape(self, shape: Shape) -> Shape:
        """(C,). Raises ShapeError unless the input is maps."""
        return (require_maps(self, shape)[0],)

    def multiplies(self, shape: Shape) -> int:
        """One per map: the division."""
        return shape[0]

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> WeightedSum:
        cells = window_cells(x.shape, index[0], range(x.shape[1]), range(x.shape[2]))
        return WeightedSum(cells, values_at(x, cells), np.ones(cells.shape), cells.size)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        arrays.context = ops.global_average_pool(arrays.x.values, arrays.y)
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx)
        return calls
