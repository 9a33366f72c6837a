"""Weight editing: changes the user makes to a model's parameters: a weight, a bias, a whole kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.backends import HostArray
from engine.nn.model import Kernel, Model
from engine.nn.network import Network

# Weights of a vector that comes from no maps are arranged in rows of at most this length.
MAX_ROW_LENGTH = 16


def weight_layer_of(network: Network, layer: int) -> int | None:
    """The layer, counted from 1, whose weights compute a channel of `layer`: itself, or one below if the layers
    between keep channels apart. None if there is none."""
    for index in range(layer, 0, -1):
        current = network.layers[index - 1]
        if current.traits.connects_channels:
            return index if f"{network.names[index]}.weight" in network.parameter_shapes else None
        if current.traits.reshapes:
            return None
    return None


def kernel_slices(model: Model, layer: int, channel: int) -> HostArray:
    """float32 (slices, h, w), a copy: the weights of one kernel, a slice per input channel; those of a Dense output
    in the shape of the maps that were flattened, or else in rows."""
    network = model.network
    weights: HostArray = _parameter(model, layer, "weight")[channel]
    if weights.ndim == 3:
        return weights.copy()
    below = network.shapes[layer - 2] if layer > 1 and network.layers[layer - 2].traits.reshapes else ()
    if len(below) != 3:
        width = next(width for width in range(MAX_ROW_LENGTH, 0, -1) if weights.size % width == 0)
        below = (1, weights.size // width, width)
    return weights.reshape(below).copy()


def with_kernel_slices(model: Model, layer: int, channel: int, weights: HostArray) -> Model:
    """The model with these weights, as returned by `kernel_slices`, for one kernel. Raises ValueError unless they
    are finite, ShapeError unless they fit."""
    changed = _parameter(model, layer, "weight").copy()
    changed[channel] = weights.reshape(changed[channel].shape)
    return _with(model, layer, "weight", changed)


def bias_of(model: Model, layer: int, channel: int) -> float | None:
    """The bias of one kernel; None without biases."""
    name = f"{model.network.names[layer]}.bias"
    return float(model.parameters[name][channel]) if name in model.parameters else None


def with_bias(model: Model, layer: int, channel: int, bias: float) -> Model:
    """The model with this bias for one kernel. Raises ValueError unless it is finite."""
    changed = _parameter(model, layer, "bias").copy()
    changed[channel] = bias
    return _with(model, layer, "bias", changed)


def ablated(model: Model, layer: int, channel: int) -> Model:
    """The model with the weights and the bias of a kernel set to 0, so that its map is empty (ablation)."""
    before = Kernel(kernel_slices(model, layer, channel), bias_of(model, layer, channel))
    empty = Kernel(np.zeros_like(before.weights), None if before.bias is None else 0.0)
    zeroed = _with_kernel(model, layer, channel, empty)
    return replace(zeroed, ablated_kernels={**model.ablated_kernels, (layer, channel): before})


def restored(model: Model, layer: int, channel: int) -> Model | None:
    """The model with a kernel as it was before it was ablated in this model; None where that is not known."""
    before = model.ablated_kernels.get((layer, channel))
    return None if before is None else _with_kernel(model, layer, channel, before)


def _with_kernel(model: Model, layer: int, channel: int, kernel: Kernel) -> Model:
    changed = with_kernel_slices(model, layer, channel, kernel.weights)
    return changed if kernel.bias is None else with_bias(changed, layer, channel, kernel.bias)


def is_ablated(model: Model, layer: int, channel: int) -> bool:
    """Whether all weights and the bias of a kernel are 0."""
    return not kernel_slices(model, layer, channel).any() and not bias_of(model, layer, channel)


def normalized_kernel(weights: HostArray, mean: bool) -> HostArray:
    """The weights scaled so that the kernel, laid on itself, matches with exactly 1: the sum of their squares, or
    with `mean` their mean, is 1. Weights that are all 0 stay 0."""
    size = float(np.square(weights.astype(np.float64)).sum()) / (weights.size if mean else 1)
    return weights if size == 0 else (weights / np.sqrt(size)).astype(np.float32)


def _parameter(model: Model, layer: int, part: str) -> HostArray:
    parameter: HostArray = np.asarray(model.parameters[f"{model.network.names[layer]}.{part}"])
    return parameter


def _with(model: Model, layer: int, part: str, changed: HostArray) -> Model:
    """The model with a changed parameter; it no longer belongs to a run or a file."""
    parameters = dict(model.parameters) | {f"{model.network.names[layer]}.{part}": changed}
    return replace(model, parameters=parameters, run_point=None, origin={})
