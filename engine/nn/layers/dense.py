"""Dense, the fully connected layer, in which every input value votes for every output; and Flatten before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops
from engine.nn.layers.description import NO_DETAIL, LayerText, Phrase, Traits
from engine.nn.layers.layer import (
    Arrays,
    Layer,
    LayerArrays,
    PaddedInput,
    Shape,
    centred_normal,
    require_bool,
    require_int,
    require_number,
    require_vector,
)
from engine.nn.layers.value_formulas import CellIndex, GradientTerms, Identity, WeightedSum


@dataclass(frozen=True)
class Dense(Layer):
    """y[o] = sum over i of w[o, i] * x[i] + bias[o]; dw = dy x transposed, db = dy, dx = w transposed dy.

    spread: the standard deviation of initial weights, None for He's.
    """

    kind: ClassVar[str] = "dense"
    units: int
    bias: bool = True
    spread: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for invalid hyperparameters."""
        require_int(self, "units", 1)
        require_bool(self, "bias")
        if self.spread is not None:
            require_number(self, "spread", 0, 1000)

    @cached_property
    def traits(self) -> Traits:
        return Traits(connects_channels=True, changes_scale=True, sign="any")

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Hidden",
            NO_DETAIL,
            "fully connected layer. Every value below votes for every value here, as strongly as their weight "
            "says.",
            "each value gets gradient through its weights from all it voted for; each weight, by its value.",
        )

    def with_outputs(self, kept: Sequence[int | None]) -> Dense:
        return replace(self, units=len(kept))

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        weight, bias = tensors["weight"], tensors.get("bias")
        return lambda x: torch.nn.functional.linear(x, weight, bias)

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        return "Gemm", {"transB": 1}

    def output_shape(self, shape: Shape) -> Shape:
        """(units,). Raises ShapeError unless the input is a vector."""
        require_vector(self, shape)
        return (self.units,)

    def parameter_shape(self, shape: Shape) -> Shape:
        """(units, n + 1): one row per output, its bias last; (units, n) without biases."""
        return self.units, shape[0] + self.bias

    def parameter_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """weight (units, n) and, unless disabled, bias (units,)."""
        weight = array[:, : shape[0]]
        return {"weight": weight, "bias": array[:, -1]} if self.bias else {"weight": weight}

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        """Weights from `centred_normal`, times `spread`, or sqrt(2 / n) (He et al. 2015); biases 0."""
        std = math.sqrt(2 / shape[0]) if self.spread is None else self.spread
        values: Arrays = {"weight": centred_normal(rng, self.units, shape[0]) * np.float32(std)}
        return values | ({"bias": np.zeros(self.units, np.float32)} if self.bias else {})

    def multiplies(self, shape: Shape) -> int:
        return self.units * shape[0]

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> WeightedSum:
        weights = parameters["weight"][index[0]].astype(np.float64)
        bias = float(parameters["bias"][index[0]]) if self.bias else None
        return WeightedSum(np.arange(len(x)), x.astype(np.float64), weights, 1, bias)

    def gradient_terms(self, name: str, index: Shape, x: HostArray, dy: HostArray) -> GradientTerms:
        """The inputs are a weight's input value, and 1 for a bias."""
        gradients = dy[:, index[0]]
        return GradientTerms(np.ones_like(gradients) if name == "bias" else x[:, index[1]], gradients)

    def contributions(
        self, x: HostArray, index: CellIndex, output_index: CellIndex, parameters: Arrays
    ) -> HostArray:
        contributions: HostArray = parameters["weight"][:, index[0]].astype(np.float64) * float(x[index])
        return contributions

    def allocate_input(self, ops: Ops, shape: Shape, batch: int, dtype: Any) -> PaddedInput:
        """The input is followed by a row of ones, which the bias multiplies."""
        full = ops.full((shape[0] + self.bias, batch), 1, dtype)
        return PaddedInput(full, full[: shape[0]])

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return ops.matmul(arrays.parameters, arrays.x.padded, arrays.y)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls = (
            []
            if arrays.parameter_gradient is None
            else ops.matmul(arrays.dy, arrays.x.padded.T, arrays.parameter_gradient)
        )
        if arrays.dx is not None and arrays.parameters is not None:
            weights = arrays.parameters[:, : len(arrays.x.values)]
            calls += ops.matmul(weights.T, arrays.dy, arrays.dx)
        return calls


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes (C*H*W,) with y[(c*H + i)*W + j] = x[c, i, j]; the gradient is reshaped back."""

    kind: ClassVar[str] = "flatten"

    @cached_property
    def traits(self) -> Traits:
        return Traits(reshapes=True, is_identity=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Flatten",
            Phrase("one vector"),
            "flatten. The maps are written out as one list.",
            "the gradient is reshaped from a list back into maps.",
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        return lambda x: torch.flatten(x, 1)

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        return "Flatten", {}

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def receptive_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        return mask.reshape(shape)

    def influence_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        return mask.reshape(-1)

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> Identity:
        return Identity(np.array(index, np.int64), float(x.flat[index[0]]))

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return ops.copy(arrays.x.values, arrays.y.reshape(arrays.x.values.shape))

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if arrays.dx is None or arrays.dy is None:
            return []
        return ops.copy(arrays.dy.reshape(arrays.dx.shape), arrays.dx)
