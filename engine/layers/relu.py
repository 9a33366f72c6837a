"""ReLU: keeps what is positive and turns everything negative into 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.layers.layer import Layer, Stage
from engine.operations import Calls, Operations


@dataclass(frozen=True)
class ReLU(Layer):
    """y = max(x, 0), value by value; the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The cut at 0."""
        return ops.relu(stage.x.values, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient where the value was let through."""
        return [] if stage.dx is None else ops.relu_gradient(stage.y, stage.dy, stage.dx.values)
