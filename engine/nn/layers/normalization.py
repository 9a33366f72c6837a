"""BatchNorm2D, which normalizes every map over the batch, then scales and shifts it; Center, which subtracts the
mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, Shape, require_maps, require_number
from engine.nn.layers.value_formulas import CellIndex, Centered, GradientTerms, Normalized, flat_index


@dataclass(frozen=True)
class BatchNorm2D(Layer):
    """y[c] = weight[c] * (x[c] - mean[c]) / sqrt(variance[c] + epsilon) + bias[c] (Ioffe and Szegedy 2015).

    In training mode, mean and variance are the batch's, over all positions and examples, and every example's
    gradient depends on all the others; each accepted step moves the running statistics a share `momentum` towards
    them. At inference the running statistics are used. With n = (x - mean) / sqrt(variance + epsilon): dweight =
    sum(dy * n), dbias = sum(dy), dx = weight / sqrt(...) * (dy - mean(dy) - n * mean(dy * n)).
    """

    kind: ClassVar[str] = "batchnorm2d"
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Raises ValueError for invalid hyperparameters."""
        require_number(self, "momentum", 0, 1, exclusive_low=True)
        require_number(self, "epsilon", 1e-12, 1)

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, changes_scale=True, sign="any", uses_batch_statistics=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Batch norm",
            Phrase("mean 0, std 1"),
            "batch norm. Every map is scaled to mean 0 and standard deviation 1 over the batch.",
            "the gradient also goes through the batch's mean and standard deviation.",
        )

    def output_shape(self, shape: Shape) -> Shape:
        """The input's shape. Raises ShapeError unless the input is maps."""
        return require_maps(self, shape)

    def parameter_shape(self, shape: Shape) -> Shape:
        """(2, C): a row of weights, a row of biases."""
        return 2, shape[0]

    def buffer_shape(self, shape: Shape) -> Shape:
        """(2, C): a row of running means, a row of running variances."""
        return 2, shape[0]

    def parameter_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """weight (C,) and bias (C,)."""
        return {"weight": array[0], "bias": array[1]}

    def buffer_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """mean (C,) and variance (C,)."""
        return {"mean": array[0], "variance": array[1]}

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        ones, zeros = np.ones(shape[0], np.float32), np.zeros(shape[0], np.float32)
        return {"weight": ones, "bias": zeros, "mean": zeros.copy(), "variance": ones.copy()}

    def check_parameters(self, parameters: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises ValueError for a negative variance."""
        if (parameters["variance"] < 0).any():
            raise ValueError("variance holds values below 0")

    def multiplies(self, shape: Shape) -> int:
        """Two per value: by the inverse standard deviation and by the weight."""
        return 2 * math.prod(shape)

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """One per value for each; the batch statistics are not counted, nor in `multiplies`."""
        return math.prod(shape), math.prod(shape)

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> Normalized:
        mean, variance, weight, bias = (
            float(parameters[name][index[0]]) for name in ("mean", "variance", "weight", "bias")
        )
        return Normalized(flat_index(index, x.shape), float(x[index]), mean, variance, self.epsilon, weight, bias)

    def gradient_terms(self, name: str, index: Shape, x: HostArray, dy: HostArray) -> GradientTerms:
        """The inputs are the map's normalized values for a weight, and 1 for a bias."""
        values, gradients = x[:, index[0]].astype(np.float64), dy[:, index[0]]
        if name == "bias":
            return GradientTerms(np.ones_like(gradients), gradients)
        return GradientTerms((values - values.mean()) / np.sqrt(values.var() + self.epsilon), gradients)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        arrays.context = ops.batch_norm(
            arrays.x.values, arrays.parameters, arrays.buffers, arrays.y, self.epsilon, arrays.training
        )
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx, arrays.parameter_gradient)
        return calls

    def update_running_statistics(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if not arrays.training:
            return []
        calls: Calls = arrays.context.update_running_statistics(arrays.buffers, self.momentum)
        return calls


@dataclass(frozen=True)
class Center(Layer):
    """y[c, i, j] = x[c, i, j] - mean[c]; dx = dy.

    The mean is a buffer: a run with fresh weights computes it over all positions and all images of its first epoch,
    and it is saved with the weights, so that a network read from a file centers new images as it did its training
    images. Before that it is 0. The layer belongs before the first convolution, whose zero padding is then the mean
    of the images.
    """

    kind: ClassVar[str] = "center"

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, sign="any", fits_to_data=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Center",
            Phrase("minus the mean"),
            "the mean of all drawings is subtracted.",
            "the gradient passes unchanged.",
        )

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        mean = tensors["mean"][:, None, None]
        return lambda x: x - mean

    def output_shape(self, shape: Shape) -> Shape:
        """The input's shape. Raises ShapeError unless the input is maps."""
        return require_maps(self, shape)

    def buffer_shape(self, shape: Shape) -> Shape:
        return (shape[0],)

    def buffer_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        return {"mean": array}

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        return {"mean": np.zeros(shape[0], np.float32)}

    def fit(self, images: np.ndarray[Any, Any]) -> Arrays:
        """The mean of each channel of the images (N, C, H, W), float32."""
        return {"mean": images.mean((0, 2, 3), np.float64).astype(np.float32)}

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> Centered:
        return Centered(flat_index(index, x.shape), float(x[index]), float(parameters["mean"][index[0]]))

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        x, dtype, means = arrays.x.values, arrays.y.dtype, arrays.buffers
        assert means is not None
        negated: Array = ops.zeros(x.shape, dtype)
        channels, cells = x.shape[0], math.prod(x.shape[1:])
        broadcast = ops.matmul(
            means.reshape(channels, 1), ops.full((1, cells), -1, dtype), negated.reshape(channels, cells)
        )
        return broadcast + ops.add(x, negated, arrays.y)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return [] if arrays.dx is None else ops.copy(arrays.dy, arrays.dx)
