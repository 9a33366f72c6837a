"""MaxPool2D: shrinks every map by keeping the largest value of each window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.layers.layer import Stage
from engine.layers.pool2d import Pool2D
from engine.operations import Operations, TwoWay


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """y[c, i, j] = max of the window of Pool2D. The gradient goes to the winner; of equal values the first in row
    order wins."""

    kind: ClassVar[str] = "maxpool2d"

    def pool(self, ops: Operations, stage: Stage) -> TwoWay:
        """The largest of each window."""
        return ops.max_pool(stage.x.values, stage.y, self.size, self.stride)
