"""AvgPool2D: shrinks every map by keeping the mean of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.backends.ops import HostArray, Operations, TwoWay
from engine.layers.arithmetic import Place, WeightedSum, values_at
from engine.layers.layer import Shape, Stage, Values
from engine.layers.pool2d import Pool2D


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
