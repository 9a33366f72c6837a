"""Activation functions: ReLU, LeakyReLU, Tanh and Sigmoid, elementwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from engine.backends.ops import Activation as Function
from engine.backends.ops import Calls, HostArray, Operations
from engine.nn.layers.layer import Layer, Shape, Stage, Values, need_number
from engine.nn.layers.value_formulas import Bent, Place, flat_place

# The functions with a kink at 0.
_WITH_KINK: Final = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) elementwise; dx = dy * f'(x), computed from y."""

    pointwise: ClassVar[bool] = True
    function: ClassVar[Function]

    @property
    def leak(self) -> float:
        """The slope for negative x, of the functions that have one."""
        return 0.0

    def multiplies(self, shape: Shape) -> int:
        """One per value, none for ReLU; an exponential counts as one."""
        return 0 if self.function == "relu" else math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One per value, dy × slope; one more where the slope is computed from y; none for ReLU."""
        return 0, self.multiplies(shape) if self.function in _WITH_KINK else 2 * math.prod(shape)

    def gaps(self, x: HostArray) -> Iterator[HostArray]:
        if self.function in _WITH_KINK:
            yield x

    def arithmetic(self, x: HostArray, index: Place, y: float, values: Values) -> Bent:
        return Bent(flat_place(index, x.shape), self.function, float(x[index]), self.leak)

    def forward(self, ops: Operations, arrays: Stage) -> Calls:
        return ops.activation(self.function, arrays.x.values, arrays.y, self.leak)

    def backward(self, ops: Operations, arrays: Stage) -> Calls:
        if arrays.dx is None:
            return []
        return ops.activation_gradient(self.function, arrays.y, arrays.dy, arrays.dx, self.leak)


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0); the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"
    function: ClassVar[Function] = "relu"
    commutes_with_max: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def signed(self, below: bool) -> bool:
        return False


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x where x > 0, else slope * x; the gradient is multiplied by 1 or slope likewise, by slope at 0 (Maas et
    al. 2013)."""

    kind: ClassVar[str] = "leakyrelu"
    function: ClassVar[Function] = "leaky_relu"
    commutes_with_max: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Raises ValueError for a slope outside (0, 1]."""
        need_number(self, "slope", 0, 1, beyond_least=True)

    @property
    def leak(self) -> float:
        return self.slope


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)); dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"
    function: ClassVar[Function] = "tanh"

    @property
    def rescales(self) -> bool:
        return True


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"
    function: ClassVar[Function] = "sigmoid"

    @property
    def rescales(self) -> bool:
        return True

    def signed(self, below: bool) -> bool:
        return False
