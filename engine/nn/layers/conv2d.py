"""Conv2D: slides kernels over the input maps; each output value says how well a kernel matches there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from engine.backends import Array, Calls, ConvSpec, HostArray, Ops, preferred_batch
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.layer import (
    Arrays,
    Layer,
    LayerArrays,
    PaddedInput,
    Shape,
    ShapeError,
    centred_normal,
    padding_memory,
    require,
    require_bool,
    require_int,
    require_maps,
    require_number,
    shape_text,
)
from engine.nn.layers.pooling import MaxPool2D
from engine.nn.layers.value_formulas import CellIndex, GradientTerms, WeightedSum, values_at, window_cells


@dataclass(frozen=True)
class Conv2D(Layer):
    """Cross-correlation of (C, H, W) with `features` kernels of C × size × size, plus a bias for each.

    y[f, i, j] = sum over c, a, b of w[f, c, a, b] * x[c, i*stride + a - padding, j*stride + b - padding]
                 (divided by C*size*size if `mean`, as in Rohrer's article) + bias[f]

    x is padding_value outside the frame; with -1, the background of drawings, the maps of a blank one are as calm
    at their edges as in their middle. padding "same" keeps height and width at stride 1: (size - 1) / 2 on each
    side, so the size must be odd. spread: the standard deviation of initial weights, None for He's. Gradients: dw =
    sum over positions of dy * window, db = sum of dy, dx = sum of w * dy over the windows that contain the pixel.
    """

    kind: ClassVar[str] = "conv2d"
    features: int
    size: int = 3
    stride: int = 1
    padding: int | Literal["same"] = 0
    mean: bool = False
    bias: bool = True
    spread: float | None = None
    padding_value: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError for invalid hyperparameters."""
        for name in ("features", "size", "stride"):
            require_int(self, name, 1)
        require_int(self, "padding", 0, "same")
        even = self.padding == "same" and self.size % 2 == 0
        require(self, "size", not even, 'odd with padding "same" (or give the padding as a number)')
        require_bool(self, "mean")
        require_bool(self, "bias")
        if self.spread is not None:
            require_number(self, "spread", 0, 1000)
        require_number(self, "padding_value", -1000, 1000)

    @cached_property
    def traits(self) -> Traits:
        return Traits(connects_channels=True, changes_scale=True, sign="any", kernel_size=self.size)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Features",
            Phrase(
                "{0} of {1} × {1}, step {2}" if self.stride > 1 else "{0} of {1} × {1}",
                (self.features, self.size, self.stride),
            ),
            "filtering (convolution). Every feature is laid on every place: how well does it match there?",
            "each value under a feature gets gradient in proportion to the weight on it, each weight to its value.",
        )

    def fused_with(self, above: Layer) -> Layer | None:
        """With a max pool as one operation."""
        return ConvMaxPool(self, above) if isinstance(above, MaxPool2D) else None

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any]:
        weight, bias, stride, padding = tensors["weight"], tensors.get("bias"), self.stride, self.pad_width
        taps = weight[0].numel()

        def convolved(x: Any, width: int) -> Any:
            return torch.conv2d(x, weight / taps if self.mean else weight, bias, stride, width)

        if padding and self.padding_value:
            frame, value = (padding,) * 4, self.padding_value
            return lambda x: convolved(torch.nn.functional.pad(x, frame, value=value), 0)
        return lambda x: convolved(x, padding)

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        if self.mean or (self.pad_width and self.padding_value):
            return None
        return "Conv", {"pads": [self.pad_width] * 4, "strides": [self.stride] * 2}

    @property
    def pad_width(self) -> int:
        return (self.size - 1) // 2 if self.padding == "same" else int(self.padding)

    @property
    def pad_value(self) -> float:
        return self.padding_value

    def output_shape(self, shape: Shape) -> Shape:
        """(features, H', W') with H' = (H + 2*padding - size) // stride + 1. Raises ShapeError."""
        channels, *sides = require_maps(self, shape)
        padded = [side + 2 * self.pad_width for side in sides]
        if min(padded) < self.size:
            raise ShapeError(
                f"its features are {channels} × {self.size} × {self.size}, larger than the padded maps "
                f"it gets, {shape_text((channels, *padded))}; make the size smaller or the padding wider"
            )
        return (self.features, *((side - self.size) // self.stride + 1 for side in padded))

    def parameter_shape(self, shape: Shape) -> Shape:
        """(features, C*size*size + 1): one row per kernel, its bias last; without biases one column less."""
        return self.features, self._kernel_values(shape) + self.bias

    def parameter_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """weight (features, C, size, size) and, unless disabled, bias (features,)."""
        weight = array[:, : self._kernel_values(shape)].reshape(self.features, shape[0], self.size, self.size)
        return {"weight": weight, "bias": array[:, -1]} if self.bias else {"weight": weight}

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        """Weights from `centred_normal`, times `spread`, or sqrt(2 / (C*size*size)) (He et al. 2015), and times
        C*size*size if `mean`; biases 0."""
        fan_in = self._kernel_values(shape)
        std = (math.sqrt(2 / fan_in) if self.spread is None else self.spread) * (fan_in if self.mean else 1)
        weight = centred_normal(rng, self.features, fan_in) * np.float32(std)
        values: Arrays = {"weight": weight.reshape(self.features, shape[0], self.size, self.size)}
        return values | ({"bias": np.zeros(self.features, np.float32)} if self.bias else {})

    def normalizer(self, shape: Shape) -> int:
        """What the sum over a window is divided by: its number of values if `mean`, else 1."""
        return self._kernel_values(shape) if self.mean else 1

    def spec(self, shape: Shape) -> ConvSpec:
        return ConvSpec(self.size, self.stride, self.pad_width, self.normalizer(shape))

    def multiplies(self, shape: Shape) -> int:
        """features * C*size*size * H' * W', and with `mean` a division per output value."""
        return math.prod(self.output_shape(shape)) * (self._kernel_values(shape) + self.mean)

    def workspace_bytes(self, shape: Shape) -> int:
        """All windows as columns (im2col)."""
        return 4 * self._kernel_values(shape) * math.prod(self.output_shape(shape)[1:])

    def preferred_batch(self, shape: Shape) -> int:
        """More than 1 where the kernels are large enough for FFT convolution."""
        channels, height, width = require_maps(self, shape)
        padded = (channels, height + 2 * self.pad_width, width + 2 * self.pad_width)
        return preferred_batch(padded, self.features, self.size) if self.stride == 1 else 1

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> tuple[range, range]:
        return self._window(rows, shape[1]), self._window(columns, shape[2])

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> WeightedSum:
        kernel, *corner = index
        rows, columns = (
            range(at * self.stride - self.pad_width, at * self.stride - self.pad_width + self.size) for at in corner
        )
        cells = np.stack([window_cells(x.shape, channel, rows, columns) for channel in range(len(x))])
        weights = parameters["weight"][kernel].astype(np.float64)
        bias = float(parameters["bias"][kernel]) if self.bias else None
        values = values_at(x, cells, self.padding_value)
        return WeightedSum(cells, values, weights, self.normalizer(x.shape), bias)

    def gradient_terms(self, name: str, index: Shape, x: HostArray, dy: HostArray) -> GradientTerms:
        """The inputs are a weight's pixel at each position of the kernel, and 1 for a bias."""
        gradients = dy[:, index[0]]
        if name == "bias":
            return GradientTerms(np.ones_like(gradients), gradients)
        _, channel, row, column = index
        pad, (high, wide) = self.pad_width, gradients.shape[1:]
        maps = np.pad(x[:, channel], ((0, 0), (pad, pad), (pad, pad)), constant_values=self.padding_value)
        inputs = maps[:, row :: self.stride, column :: self.stride][:, :high, :wide]
        return GradientTerms(inputs, gradients, self.normalizer(x.shape[1:]))

    def contributions(
        self, x: HostArray, index: CellIndex, output_index: CellIndex, parameters: Arrays
    ) -> HostArray:
        channel, *cell = index
        down, right = (
            at - (top * self.stride - self.pad_width) for at, top in zip(cell, output_index, strict=True)
        )
        if not (0 <= down < self.size and 0 <= right < self.size):
            return np.zeros(self.features)
        weights = parameters["weight"][:, channel, down, right].astype(np.float64)
        contributions: HostArray = weights * float(x[index]) / self.normalizer(x.shape)
        return contributions

    def allocate_input(self, ops: Ops, shape: Shape, batch: int, dtype: Any) -> PaddedInput:
        """The layer below writes directly into the padded array."""
        channels, height, width = shape
        pad = self.pad_width
        full = padding_memory(ops, (channels, height + 2 * pad, width + 2 * pad, batch), self.padding_value, dtype)
        return PaddedInput(full, full[:, pad : pad + height, pad : pad + width])

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        spec = self.spec(arrays.x.values.shape[:-1])
        arrays.context = ops.convolution(arrays.x.padded, arrays.parameters, arrays.y, spec)
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx, arrays.parameter_gradient)
        return calls

    def _kernel_values(self, shape: Shape) -> int:
        return shape[0] * self.size * self.size

    def _window(self, cells: range, length: int) -> range:
        first = cells.start * self.stride - self.pad_width
        last = (cells.stop - 1) * self.stride - self.pad_width + self.size
        return range(max(first, 0), min(last, length))


@dataclass(frozen=True)
class ConvMaxPool(Layer):
    """A convolution and the max pool after it as one operation (Operations.convolution_max_pool)."""

    convolution: Conv2D
    pool: MaxPool2D

    def output_shape(self, shape: Shape) -> Shape:
        return self.pool.output_shape(self.convolution.output_shape(shape))

    def parameter_shape(self, shape: Shape) -> Shape:
        return self.convolution.parameter_shape(shape)

    def allocate_input(self, ops: Ops, shape: Shape, batch: int, dtype: Any) -> PaddedInput:
        return self.convolution.allocate_input(ops, shape, batch, dtype)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        layer = self.convolution
        shape = arrays.x.values.shape[:-1]
        arrays.context = ops.convolution_max_pool(
            arrays.x.padded,
            arrays.parameters,
            arrays.y,
            layer.spec(shape),
            layer.output_shape(shape),
            self.pool.spec,
            arrays.needs_backward,
        )
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx, arrays.parameter_gradient)
        return calls
