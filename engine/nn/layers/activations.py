"""Activation functions: ReLU, LeakyReLU, Tanh and Sigmoid, elementwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from engine.backends import Activation as Function
from engine.backends import Calls, HostArray, Ops
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, Shape, require_number
from engine.nn.layers.value_formulas import CellIndex, ElementwiseFunction, flat_index

# The functions with a kink at 0.
_WITH_KINK: Final = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) elementwise; dx = dy * f'(x), computed from y."""

    is_elementwise: ClassVar[bool] = True
    function: ClassVar[Function]

    @property
    def negative_slope(self) -> float:
        """The slope for negative x, of the functions that have one."""
        return 0.0

    def multiplies(self, shape: Shape) -> int:
        """One per value, none for ReLU; an exponential counts as one."""
        return 0 if self.function == "relu" else math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One per value, dy × slope; one more where the slope is computed from y; none for ReLU."""
        return 0, self.multiplies(shape) if self.function in _WITH_KINK else 2 * math.prod(shape)

    def distances_to_kink(self, x: HostArray) -> Iterator[HostArray]:
        if self.function in _WITH_KINK:
            yield x

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> ElementwiseFunction:
        return ElementwiseFunction(flat_index(index, x.shape), self.function, float(x[index]), self.negative_slope)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return ops.activation(self.function, arrays.x.values, arrays.y, self.negative_slope)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if arrays.dx is None:
            return []
        return ops.activation_gradient(self.function, arrays.y, arrays.dy, arrays.dx, self.negative_slope)


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0); the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"
    function: ClassVar[Function] = "relu"
    commutes_with_max: ClassVar[bool] = True
    zeroes_negatives: ClassVar[bool] = True

    def can_be_negative(self, input_negative: bool) -> bool:
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
        require_number(self, "slope", 0, 1, exclusive_low=True)

    @property
    def negative_slope(self) -> float:
        return self.slope


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)); dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"
    function: ClassVar[Function] = "tanh"

    @property
    def changes_scale(self) -> bool:
        return True


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"
    function: ClassVar[Function] = "sigmoid"

    @property
    def changes_scale(self) -> bool:
        return True

    def can_be_negative(self, input_negative: bool) -> bool:
        return False
