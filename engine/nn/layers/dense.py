"""Dense, the fully connected layer, in which every input value votes for every output; and Flatten before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.nn.layers.layer import (
    Buffer,
    Layer,
    Shape,
    Stage,
    Values,
    need_flag,
    need_number,
    need_vector,
    need_whole,
)
from engine.nn.layers.value_formulas import Passed, Place, Products, WeightedSum


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
        need_whole(self, "units", 1)
        need_flag(self, "bias")
        if self.spread is not None:
            need_number(self, "spread", 0, 1000)

    @property
    def mixes_maps(self) -> bool:
        return True

    @property
    def rescales(self) -> bool:
        return True

    def signed(self, below: bool) -> bool:
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """(units,). Raises ShapeError unless the input is a vector."""
        need_vector(self, shape)
        return (self.units,)

    def block_shape(self, shape: Shape) -> Shape:
        """(units, n + 1): one row per output, its bias last; (units, n) without biases."""
        return self.units, shape[0] + self.bias

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        """weight (units, n) and, unless disabled, bias (units,)."""
        weight = block[:, : shape[0]]
        return {"weight": weight, "bias": block[:, -1]} if self.bias else {"weight": weight}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Weights from N(0, spread^2), or N(0, 2 / n) (He et al. 2015); biases 0."""
        std = math.sqrt(2 / shape[0]) if self.spread is None else self.spread
        weight = rng.standard_normal((self.units, shape[0]), np.float32)
        values: Values = {"weight": weight * np.float32(std)}
        return values | ({"bias": np.zeros(self.units, np.float32)} if self.bias else {})

    def multiplies(self, shape: Shape) -> int:
        return self.units * shape[0]

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def arithmetic(self, x: HostArray, index: Place, y: float, values: Values) -> WeightedSum:
        weights = values["weight"][index[0]].astype(np.float64)
        bias = float(values["bias"][index[0]]) if self.bias else None
        return WeightedSum(np.arange(len(x)), x.astype(np.float64), weights, 1, bias)

    def products(self, part: str, index: Shape, x: HostArray, dy: HostArray) -> Products:
        """The inputs are a weight's input value, and 1 for a bias."""
        gradients = dy[:, index[0]]
        return Products(np.ones_like(gradients) if part == "bias" else x[:, index[1]], gradients)

    def brings(self, x: HostArray, index: Place, above: Place, values: Values) -> HostArray:
        contributions: HostArray = values["weight"][:, index[0]].astype(np.float64) * float(x[index])
        return contributions

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        """The input is followed by a row of ones, which the bias multiplies."""
        full = ops.full((shape[0] + self.bias, batch), 1, dtype)
        return Buffer(full, full[: shape[0]])

    def forward(self, ops: Operations, arrays: Stage) -> Calls:
        return ops.product(arrays.block, arrays.x.full, arrays.y)

    def backward(self, ops: Operations, arrays: Stage) -> Calls:
        calls = [] if arrays.dblock is None else ops.product(arrays.dy, arrays.x.full.T, arrays.dblock)
        if arrays.dx is not None and arrays.block is not None:
            weights = arrays.block[:, : len(arrays.x.values)]
            calls += ops.product(weights.T, arrays.dy, arrays.dx)
        return calls


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes (C*H*W,) with y[(c*H + i)*W + j] = x[c, i, j]; the gradient is reshaped back."""

    kind: ClassVar[str] = "flatten"
    reshapes: ClassVar[bool] = True
    relays: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def reads_of(self, shape: Shape, mask: HostArray) -> HostArray:
        return mask.reshape(shape)

    def reached_from(self, shape: Shape, mask: HostArray) -> HostArray:
        return mask.reshape(-1)

    def arithmetic(self, x: HostArray, index: Place, y: float, values: Values) -> Passed:
        return Passed(np.array(index, np.int64), float(x.flat[index[0]]))

    def forward(self, ops: Operations, arrays: Stage) -> Calls:
        return ops.copy(arrays.x.values, arrays.y.reshape(arrays.x.values.shape))

    def backward(self, ops: Operations, arrays: Stage) -> Calls:
        if arrays.dx is None or arrays.dy is None:
            return []
        return ops.copy(arrays.dy.reshape(arrays.dx.shape), arrays.dx)
