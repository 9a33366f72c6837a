"""GlobalAvgPool: keeps one number of every map, its mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.backends.ops import Calls, HostArray, Operations
from engine.layers.arithmetic import Place, WeightedSum, values_at, window_cells
from engine.layers.layer import Layer, Shape, Stage, Values, need_maps


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
