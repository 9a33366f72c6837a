"""BatchNorm2D: brings every map to mean 0 and spread 1 over the batch, then scales and shifts it as learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.nn.layers.layer import Layer, Shape, Stage, Values, need_maps, need_number
from engine.nn.layers.value_formulas import Normalized, Place, Products, Shifted, flat_place


@dataclass(frozen=True)
class BatchNorm2D(Layer):
    """y[c] = weight[c] * (x[c] - mean[c]) / sqrt(variance[c] + epsilon) + bias[c] (Ioffe and Szegedy 2015).

    While learning, mean and variance are those of the batch, over all places and examples, and every example's
    gradient depends on all the others; each accepted step moves the running ones a share `momentum` towards them.
    Otherwise the running ones are used. With n = (x - mean) / sqrt(variance + epsilon):
    dweight = sum(dy * n), dbias = sum(dy), dx = weight / sqrt(...) * (dy - mean(dy) - n * mean(dy * n)).
    """

    kind: ClassVar[str] = "batchnorm2d"
    pointwise: ClassVar[bool] = True
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Raises ValueError for hyperparameters that mean nothing."""
        need_number(self, "momentum", 0, 1, beyond_least=True)
        need_number(self, "epsilon", 1e-12, 1)

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True

    def signed(self, below: bool) -> bool:
        """What is below the mean is."""
        return True

    @property
    def mixes_batch(self) -> bool:
        """Yes: through the batch's mean and variance."""
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """The input's. Raises ShapeError unless it is maps."""
        return need_maps(self, shape)

    def block_shape(self, shape: Shape) -> Shape:
        """(2, C): a row of weights, a row of biases."""
        return 2, shape[0]

    def state_shape(self, shape: Shape) -> Shape:
        """(2, C): a row of running means, a row of running variances."""
        return 2, shape[0]

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        """weight (C,) and bias (C,)."""
        return {"weight": block[0], "bias": block[1]}

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        """mean (C,) and variance (C,)."""
        return {"mean": block[0], "variance": block[1]}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Weights 1, biases 0, running means 0, running variances 1."""
        ones, zeros = np.ones(shape[0], np.float32), np.zeros(shape[0], np.float32)
        return {"weight": ones, "bias": zeros, "mean": zeros.copy(), "variance": ones.copy()}

    def check(self, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises ValueError for a variance below 0."""
        if (values["variance"] < 0).any():
            raise ValueError("variance holds values below 0")

    def multiplies(self, shape: Shape) -> int:
        """Two for each value: by the spread's inverse and by the weight."""
        return 2 * math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One for each value, of either; what the batch's own statistics cost is not counted, nor is it above."""
        return math.prod(shape), math.prod(shape)

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Normalized:
        """The value's distance from its map's running mean, in spreads, scaled and shifted."""
        mean, variance, weight, bias = (
            float(values[name][place[0]]) for name in ("mean", "variance", "weight", "bias")
        )
        return Normalized(flat_place(place, x.shape), float(x[place]), mean, variance, self.epsilon, weight, bias)

    def products(self, part: str, index: Shape, x: HostArray, dy: HostArray) -> Products:
        """A weight meets the map's normalized values; a bias meets 1."""
        values, gradients = x[:, index[0]].astype(np.float64), dy[:, index[0]]
        if part == "bias":
            return Products(np.ones_like(gradients), gradients)
        return Products((values - values.mean()) / np.sqrt(values.var() + self.epsilon), gradients)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The normalized maps."""
        stage.work = ops.batch_norm(stage.x.values, stage.block, stage.state, stage.y, self.epsilon, stage.training)
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Gradients of weights, biases and input."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx, stage.dblock)
        return calls

    def settle(self, ops: Operations, stage: Stage) -> Calls:
        """The running statistics move towards the batch's."""
        if not stage.training:
            return []
        calls: Calls = stage.work.settle(stage.state, self.momentum)
        return calls


@dataclass(frozen=True)
class Center(Layer):
    """y[c, i, j] = x[c, i, j] - mean[c]; dx = dy.

    The mean is no hyperparameter and is not learnt: a run with fresh weights measures it, over all places and all
    pictures of its first epoch, and from then on it lies beside the weights, so that a network read from a file
    centres new pictures as it did those it learnt from. Where nothing was measured it is 0. It goes before the
    features: what a convolution adds around the frame is then 0 after centring, not before.
    """

    kind: ClassVar[str] = "center"
    measures: ClassVar[bool] = True
    pointwise: ClassVar[bool] = True

    def signed(self, below: bool) -> bool:
        """What is below the mean is."""
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """The input's. Raises ShapeError unless it is maps."""
        return need_maps(self, shape)

    def state_shape(self, shape: Shape) -> Shape:
        """(C,): the means."""
        return (shape[0],)

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        """mean (C,)."""
        return {"mean": block}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Means 0."""
        return {"mean": np.zeros(shape[0], np.float32)}

    def measured(self, images: np.ndarray[Any, Any]) -> Values:
        """The mean of each channel of the images (N, C, H, W), float32."""
        return {"mean": images.mean((0, 2, 3), np.float64).astype(np.float32)}

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Shifted:
        """The pixel less its channel's mean."""
        return Shifted(flat_place(place, x.shape), float(x[place]), float(values["mean"][place[0]]))

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The values minus their channel's mean."""
        x, dtype, means = stage.x.values, stage.y.dtype, stage.state
        assert means is not None
        minus: Array = ops.zeros(x.shape, dtype)
        channels, places = x.shape[0], math.prod(x.shape[1:])
        spread = ops.product(
            means.reshape(channels, 1), ops.full((1, places), -1, dtype), minus.reshape(channels, places)
        )
        return spread + ops.add(x, minus, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient as it is."""
        return [] if stage.dx is None else ops.copy(stage.dy, stage.dx)
