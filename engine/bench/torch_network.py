"""A network in PyTorch, put together from the same layers and parameters. PyTorch is no dependency: it is imported
only here and in torch_contender, and only when it is installed and asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from engine.bench.contender import BenchError
from engine.layers import (
    AvgPool2D,
    Center,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Tanh,
)
from engine.network import Network, Parameters

Tensor: TypeAlias = Any
Step: TypeAlias = Callable[[Tensor], Tensor]
Tensors: TypeAlias = "dict[str, Tensor]"


class TorchNetwork:
    """steps: one function a layer. parameters: its tensors by the engine's names; learnt: those that move.

    Plain functions instead of modules, which are slower to call. Raises BenchError for a layer that has no
    counterpart here.
    """

    def __init__(
        self, network: Network, parameters: Parameters, device: str = "cpu", channels_last: bool = False
    ) -> None:
        import torch

        self.parameters: Tensors = {}
        self.learnt: Tensors = {}
        self.steps: list[Step] = []
        for name, layer, shape in zip(network.names[1:], network.layers, network.shapes, strict=False):
            own: Tensors = {}
            for key, values in parameters.items():
                if key.startswith(f"{name}."):
                    tensor = torch.tensor(values, device=device)
                    if channels_last and tensor.ndim == 4:
                        tensor = tensor.contiguous(memory_format=torch.channels_last)
                    own[key.removeprefix(f"{name}.")] = tensor
            if type(layer) not in BUILDERS:
                raise BenchError(
                    f"There is no counterpart of {type(layer).__name__} in PyTorch here; leave it out."
                )
            self.steps.append(BUILDERS[type(layer)](torch, layer, own))
            self.parameters |= {f"{name}.{key}": tensor for key, tensor in own.items()}
            block = layer.block_shape(shape)
            if block is not None:
                views = layer.parameters(np.empty(block, np.float32), shape)
                self.learnt |= {f"{name}.{key}": own[key].requires_grad_() for key in views}

    def scores(self, images: Tensor) -> Tensor:
        """The last layer's output."""
        for step in self.steps:
            images = step(images)
        return images

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Every layer's output."""
        found = []
        for step in self.steps:
            images = step(images)
            found.append(images)
        return found


def _conv(torch: Any, layer: Conv2D, own: Tensors) -> Step:
    weight, bias, stride, padding = own["weight"], own.get("bias"), layer.stride, layer.margin
    if layer.mean:
        taps = weight[0].numel()
        return lambda x: torch.conv2d(x, weight / taps, bias, stride, padding)
    return lambda x: torch.conv2d(x, weight, bias, stride, padding)


def _max_pool(torch: Any, layer: MaxPool2D, own: Tensors) -> Step:
    size, stride, keep = layer.size, layer.stride, layer.edge == "keep"
    return lambda x: torch.max_pool2d(x, size, stride, 0, 1, keep)


def _average_pool(torch: Any, layer: AvgPool2D, own: Tensors) -> Step:
    size, stride, keep = layer.size, layer.stride, layer.edge == "keep"
    return lambda x: torch.nn.functional.avg_pool2d(x, size, stride, 0, keep)


def _dense(torch: Any, layer: Dense, own: Tensors) -> Step:
    weight, bias = own["weight"], own.get("bias")
    return lambda x: torch.nn.functional.linear(x, weight, bias)


def _leaky_relu(torch: Any, layer: LeakyReLU, own: Tensors) -> Step:
    slope = layer.slope
    return lambda x: torch.nn.functional.leaky_relu(x, slope)


def _center(torch: Any, layer: Center, own: Tensors) -> Step:
    mean = own["mean"][:, None, None]
    return lambda x: x - mean


BUILDERS: dict[type[Layer], Callable[[Any, Any, Tensors], Step]] = {
    Conv2D: _conv,
    MaxPool2D: _max_pool,
    AvgPool2D: _average_pool,
    GlobalAvgPool: lambda torch, layer, own: lambda x: x.mean((2, 3)),
    ReLU: lambda torch, layer, own: torch.relu,
    LeakyReLU: _leaky_relu,
    Tanh: lambda torch, layer, own: torch.tanh,
    Sigmoid: lambda torch, layer, own: torch.sigmoid,
    Dense: _dense,
    Flatten: lambda torch, layer, own: lambda x: torch.flatten(x, 1),
    Center: _center,
}
