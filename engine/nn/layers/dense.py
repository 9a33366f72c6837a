"""Dense: the fully connected layer, in which every value of the list below votes for every output."""

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

    spread: the standard deviation of fresh weights, None for He's.
    """

    kind: ClassVar[str] = "dense"
    units: int
    bias: bool = True
    spread: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for hyperparameters that mean nothing."""
        need_whole(self, "units", 1)
        need_flag(self, "bias")
        if self.spread is not None:
            need_number(self, "spread", 0, 1000)

    @property
    def mixes_maps(self) -> bool:
        """Yes."""
        return True

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True

    def signed(self, below: bool) -> bool:
        """Weights can be below 0."""
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """(units,). Raises ShapeError unless the input is a list."""
        need_vector(self, shape)
        return (self.units,)

    def block_shape(self, shape: Shape) -> Shape:
        """(units, n + 1): one row an output, its bias at the end; without the 1 if no bias."""
        return self.units, shape[0] + self.bias

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        """weight (units, n) and, unless switched off, bias (units,)."""
        weight = block[:, : shape[0]]
        return {"weight": weight, "bias": block[:, -1]} if self.bias else {"weight": weight}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Weights from N(0, spread^2), or N(0, 2 / n) (He et al. 2015), biases 0."""
        spread = math.sqrt(2 / shape[0]) if self.spread is None else self.spread
        weight = rng.standard_normal((self.units, shape[0]), np.float32)
        values: Values = {"weight": weight * np.float32(spread)}
        return values | ({"bias": np.zeros(self.units, np.float32)} if self.bias else {})

    def multiplies(self, shape: Shape) -> int:
        """units * n."""
        return self.units * shape[0]

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        """Every output reads everything."""
        return

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> WeightedSum:
        """Every value of the list times its weight."""
        weights = values["weight"][place[0]].astype(np.float64)
        bias = float(values["bias"][place[0]]) if self.bias else None
        return WeightedSum(np.arange(len(x)), x.astype(np.float64), weights, 1, bias)

    def products(self, part: str, index: Shape, x: HostArray, dy: HostArray) -> Products:
        """A weight meets one value of the list; a bias meets 1."""
        gradients = dy[:, index[0]]
        return Products(np.ones_like(gradients) if part == "bias" else x[:, index[1]], gradients)

    def brings(self, x: HostArray, place: Place, above: Place, values: Values) -> HostArray:
        """The value times its weight for every output."""
        brought: HostArray = values["weight"][:, place[0]].astype(np.float64) * float(x[place])
        return brought

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        """The input lies above a row of ones, which the bias multiplies."""
        full = ops.full((shape[0] + self.bias, batch), 1, dtype)
        return Buffer(full, full[: shape[0]])

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """All votes of all values, summed."""
        return ops.product(stage.block, stage.x.full, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Gradients of weights, biases and input."""
        calls = [] if stage.dblock is None else ops.product(stage.dy, stage.x.full.T, stage.dblock)
        if stage.dx is not None and stage.block is not None:
            weights = stage.block[:, : len(stage.x.values)]
            calls += ops.product(weights.T, stage.dy, stage.dx)
        return calls


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
