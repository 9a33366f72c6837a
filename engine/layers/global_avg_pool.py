"""GlobalAvgPool: keeps one number of every map, its mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.layers.layer import Layer, Shape, Stage, need_maps
from engine.operations import Calls, Operations


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

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The mean of each map."""
        stage.work = ops.global_average(stage.x.values, stage.y)
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Every value of a map takes its share of the map's gradient."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx)
        return calls
