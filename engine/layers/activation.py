"""Activation: what ReLU, LeakyReLU, Tanh and Sigmoid have in common: one function, value by value. Not a layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from engine.backends.ops import Activation as Function
from engine.backends.ops import Calls, HostArray, Operations
from engine.layers.arithmetic import Bent, Place, flat_place
from engine.layers.layer import Layer, Shape, Stage, Values

# The functions whose slope jumps, at 0.
BENT: Final = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) for every value; dx = dy * f'(x), told from y alone."""

    pointwise: ClassVar[bool] = True
    function: ClassVar[Function]

    @property
    def leak(self) -> float:
        """The slope left of 0, for the functions that have one."""
        return 0.0

    def multiplies(self, shape: Shape) -> int:
        """One for each value, unless the function only cuts; an exponential counts as one."""
        return 0 if self.function == "relu" else math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One for each value, dy x slope; one more where the slope is worked out from y; none for a cut."""
        return 0, self.multiplies(shape) if self.function in BENT else 2 * math.prod(shape)

    def gaps(self, x: HostArray) -> Iterator[HostArray]:
        """The values themselves, for the functions whose slope jumps at 0."""
        if self.function in BENT:
            yield x

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Bent:
        """The function of the value in its place."""
        return Bent(flat_place(place, x.shape), self.function, float(x[place]), self.leak)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The function of every value."""
        return ops.activation(self.function, stage.x.values, stage.y, self.leak)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient times the slope there."""
        if stage.dx is None:
            return []
        return ops.activation_gradient(self.function, stage.y, stage.dy, stage.dx, self.leak)
