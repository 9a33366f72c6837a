"""Activation functions: ReLU, LeakyReLU, Tanh and Sigmoid, elementwise."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from engine.backends import ActivationFunction, Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Phrase, Spelling, Traits
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, Shape, require_number
from engine.nn.layers.value_formulas import CellIndex, ElementwiseFunction, flat_index


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) elementwise; dx = dy * f'(x), computed from y."""

    # Whether the function is linear on either side of 0, with a kink there.
    has_kink: ClassVar[bool] = False

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True)

    @abstractmethod
    def spelling(self, x: float) -> Spelling:
        """How the function is written out at x."""

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
        return ElementwiseFunction(flat_index(index, x.shape), value, self.evaluate(value), self.spelling(value))

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

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, commutes_with_max=True, zeroes_negatives=True, sign="never negative")

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "ReLU",
            Phrase("negative → 0"),
            "ReLU. Every value below zero becomes zero.",
            "where ReLU set a value to zero, no gradient comes through.",
        )

    def spelling(self, x: float) -> Spelling:
        rule = Phrase("above 0: stays as it is" if x > 0 else "0 or below: becomes 0")
        return Spelling(rule, lambda x: np.maximum(x, 0))

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        function: Callable[[Any], Any] = torch.relu
        return function

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        return "Relu", {}

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("relu")

    def evaluate(self, x: float) -> float:
        return max(x, 0.0)

    def multiplies(self, shape: Shape) -> int:
        return 0


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x where x > 0, else slope * x; the gradient is multiplied by 1 or slope likewise, by slope at 0 (Maas et
    al. 2013)."""

    kind: ClassVar[str] = "leakyrelu"
    has_kink: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Raises ValueError for a slope outside (0, 1]."""
        require_number(self, "slope", 0, 1, exclusive_low=True)

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, commutes_with_max=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Leaky ReLU",
            Phrase("negative × {0:g}", (self.slope,)),
            "leaky ReLU. Values below zero are multiplied by a small number.",
            "values that were below zero get only a little of the gradient.",
        )

    def spelling(self, x: float) -> Spelling:
        rule = Phrase("above 0: stays as it is" if x > 0 else "0 or below: times {0:g}", (self.slope,))
        return Spelling(rule, lambda x: np.where(x > 0, x, self.slope * x))

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        slope = self.slope
        return lambda x: torch.nn.functional.leaky_relu(x, slope)

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("leaky_relu", self.slope)

    def evaluate(self, x: float) -> float:
        return x if x > 0 else self.slope * x


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)); dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, changes_scale=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText("Tanh", Phrase("squashed to −1 … 1"))

    def spelling(self, x: float) -> Spelling:
        return Spelling(
            Phrase("(eˣ − e⁻ˣ) ÷ (eˣ + e⁻ˣ)"),
            lambda powers: (powers[0] - powers[1]) / (powers[0] + powers[1]),
            ("eˣ", "e⁻ˣ"),
            lambda x: np.exp(np.multiply((1, -1), x)),
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        function: Callable[[Any], Any] = torch.tanh
        return function

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("tanh")

    def evaluate(self, x: float) -> float:
        return math.tanh(x)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, changes_scale=True, sign="never negative")

    @cached_property
    def text(self) -> LayerText:
        return LayerText("Sigmoid", Phrase("squashed to 0 … 1"))

    def spelling(self, x: float) -> Spelling:
        return Spelling(Phrase("1 ÷ (1 + e⁻ˣ)"), lambda powers: 1 / (1 + powers), ("e⁻ˣ",), lambda x: np.exp(-x))

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        function: Callable[[Any], Any] = torch.sigmoid
        return function

    @property
    def function(self) -> ActivationFunction:
        return ActivationFunction("sigmoid")

    def evaluate(self, x: float) -> float:
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
