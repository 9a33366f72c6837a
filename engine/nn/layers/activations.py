"""Activation functions: ReLU, LeakyReLU, Tanh and Sigmoid, elementwise."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from engine.backends import ActivationFunction, Calls, HostArray, Ops
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, Shape, require_number
from engine.nn.layers.value_formulas import CellIndex, ElementwiseFunction, flat_index


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) elementwise; dx = dy * f'(x), computed from y."""

    is_elementwise: ClassVar[bool] = True
    # Whether the function is linear on either side of 0, with a kink there.
    has_kink: ClassVar[bool] = False

    @property
    @abstractmethod
    def function(self) -> ActivationFunction:
        """The function that the backends compute."""

    @abstractmethod
    def evaluate(self, x: float) -> float:
        """f(x), in float64."""

    def multiplies(self, shape: Shape) -> int:
        """One per value; an exponential counts as one."""
        return math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One per value, dy × slope; one more where the slope is computed from y."""
        return 0, self.multiplies(shape) if self.has_kink else 2 * math.prod(shape)

    def distances_to_kink(self, x: HostArray) -> Iterator[HostArray]:
        if self.has_kink:
            yield x

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> ElementwiseFunction:
        value = float(x[index])
        return ElementwiseFunction(flat_index(index, x.shape), self.function, value, self.evaluate(value))

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return ops.activation(self.function, arrays.x.values, arrays.y)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if arrays.dx is None:
            return []
        return ops.activation_gradient(self.function, arrays.y, arrays.dy, arrays.dx)


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0); the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"
    has_kink: ClassVar[bool] = True
    commutes_with_max: ClassVar[bool] = True
    zeroes_negatives: ClassVar[bool] = True

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("relu")

    def evaluate(self, x: float) -> float:
        return max(x, 0.0)

    def multiplies(self, shape: Shape) -> int:
        return 0

    def can_be_negative(self, input_negative: bool) -> bool:
        return False


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x where x > 0, else slope * x; the gradient is multiplied by 1 or slope likewise, by slope at 0 (Maas et
    al. 2013)."""

    kind: ClassVar[str] = "leakyrelu"
    has_kink: ClassVar[bool] = True
    commutes_with_max: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Raises ValueError for a slope outside (0, 1]."""
        require_number(self, "slope", 0, 1, exclusive_low=True)

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("leaky_relu", self.slope)

    def evaluate(self, x: float) -> float:
        return x if x > 0 else self.slope * x


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)); dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("tanh")

    def evaluate(self, x: float) -> float:
        return math.tanh(x)

    @property
    def changes_scale(self) -> bool:
        return True


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("sigmoid")

    def evaluate(self, x: float) -> float:
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0

    @property
    def changes_scale(self) -> bool:
        return True

    def can_be_negative(self, input_negative: bool) -> bool:
        return False
