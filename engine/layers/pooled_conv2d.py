"""PooledConv2D: a Conv2D and the MaxPool2D after it as one stage, for plans that show nothing in between. Networks
are not made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.backends.ops import Calls, Operations
from engine.layers.conv2d import Conv2D
from engine.layers.layer import Buffer, Layer, Shape, Stage
from engine.layers.max_pool2d import MaxPool2D


@dataclass(frozen=True)
class PooledConv2D(Layer):
    """What both layers give one after the other; see Operations.convolution_max_pool."""

    convolution: Conv2D
    pool: MaxPool2D

    def output_shape(self, shape: Shape) -> Shape:
        """The pool's."""
        return self.pool.output_shape(self.convolution.output_shape(shape))

    def block_shape(self, shape: Shape) -> Shape:
        """The convolution's."""
        return self.convolution.block_shape(shape)

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        """As the convolution wants it."""
        return self.convolution.buffer(ops, shape, batch, dtype)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The largest match in each window."""
        layer = self.convolution
        between = layer.output_shape(stage.x.values.shape[:-1])
        stage.work = ops.convolution_max_pool(
            stage.x.full,
            stage.block,
            stage.y,
            layer.size,
            layer.stride,
            layer.margin,
            layer.divisor(stage.x.values.shape[:-1]),
            between,
            self.pool.size,
            self.pool.stride,
            stage.learning,
        )
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Gradients of features, biases and input."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx, stage.dblock)
        return calls
