"""Flatten: writes all maps out as one list, map by map and row by row. It computes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.backends.ops import Calls, HostArray, Operations
from engine.layers.arithmetic import Passed, Place
from engine.layers.layer import Layer, Shape, Stage, Values


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes (C*H*W,) with y[(c*H + i)*W + j] = x[c, i, j]; the gradient is put back the same way."""

    kind: ClassVar[str] = "flatten"
    reshapes: ClassVar[bool] = True
    relays: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """(C*H*W,)."""
        return (math.prod(shape),)

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        """A list has no rows and columns to follow back."""
        return

    def reads_of(self, shape: Shape, mask: HostArray) -> HostArray:
        """The same cells, in the maps."""
        return mask.reshape(shape)

    def reached_from(self, shape: Shape, mask: HostArray) -> HostArray:
        """The same cells, in the list."""
        return mask.reshape(-1)

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Passed:
        """The value of the maps that the place in the list stands for."""
        return Passed(np.array(place, np.int64), float(x.flat[place[0]]))

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The values, copied in the list's order."""
        return ops.copy(stage.x.values, stage.y.reshape(stage.x.values.shape))

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient, in the maps' order."""
        if stage.dx is None or stage.dy is None:
            return []
        return ops.copy(stage.dy.reshape(stage.dx.shape), stage.dx)
