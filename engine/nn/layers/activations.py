"""Activation: what ReLU, LeakyReLU, Tanh and Sigmoid have in common: one function, value by value. Not a layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from engine.backends.ops import Activation as Function
from engine.backends.ops import Calls, HostArray, Operations
from engine.nn.layers.layer import Layer, Shape, Stage, Values, need_number
from engine.nn.layers.value_formulas import Bent, Place, flat_place

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


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0), value by value; the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"
    function: ClassVar[Function] = "relu"
    commutes_with_max: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def signed(self, below: bool) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x where x > 0, else slope * x; the gradient is multiplied by 1 or by slope in the same way, at 0 by slope
    (Maas et al. 2013)."""

    kind: ClassVar[str] = "leakyrelu"
    function: ClassVar[Function] = "leaky_relu"
    commutes_with_max: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Raises ValueError for a slope that is not above 0 and at most 1."""
        need_number(self, "slope", 0, 1, beyond_least=True)

    @property
    def leak(self) -> float:
        """The slope."""
        return self.slope


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), value by value; dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"
    function: ClassVar[Function] = "tanh"

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)), value by value; dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"
    function: ClassVar[Function] = "sigmoid"

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True

    def signed(self, below: bool) -> bool:
        """Never."""
        return False
