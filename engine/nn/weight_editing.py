"""Weight editing: changes the user makes to a model's parameters: a weight, a bias, a whole kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.backends.ops import HostArray
from engine.nn.model import Subject
from engine.nn.network import Network

# Weights of a vector that comes from no maps are arranged in rows of at most this length.
LONGEST_ROW = 16


def weighed_by(network: Network, layer: int) -> int | None:
    """The layer, counted from 1, whose weights compute a channel of `layer`: itself, or one below if the layers
    between keep channels apart. None if there is none."""
    for index in range(layer, 0, -1):
        current = network.layers[index - 1]
        if current.mixes_maps:
            return index if f"{network.names[index]}.weight" in network.parameter_shapes else None
        if current.reshapes:
            return None
    return None


def slices(subject: Subject, layer: int, channel: int) -> HostArray:
    """float32 (slices, h, w), a copy: the weights of one kernel, a slice per input channel; those of a Dense output
    in the shape of the maps that were flattened, or else in rows."""
    network = subject.network
    weights: HostArray = _parameter(subject, layer, "weight")[channel]
    if weights.ndim == 3:
        return weights.copy()
    below = network.shapes[layer - 2] if layer > 1 and network.layers[layer - 2].reshapes else ()
    if len(below) != 3:
        width = next(width for width in range(LONGEST_ROW, 0, -1) if weights.size % width == 0)
        below = (1, weights.size // width, width)
    return weights.reshape(below).copy()


def with_slices(subject: Subject, layer: int, channel: int, weights: HostArray) -> Subject:
    """The model with these weights, as returned by `kernel_slices`, for one kernel. Raises ValueError unless they
    are finite, ShapeError unless they fit."""
    changed = _parameter(subject, layer, "weight").copy()
    changed[channel] = weights.reshape(changed[channel].shape)
    return _with(subject, layer, "weight", changed)


def bias_of(subject: Subject, layer: int, channel: int) -> float | None:
    """The bias of one kernel; None without biases."""
    name = f"{subject.network.names[layer]}.bias"
    return float(subject.parameters[name][channel]) if name in subject.parameters else None


def with_bias(subject: Subject, layer: int, channel: int, bias: float) -> Subject:
    """The model with this bias for one kernel. Raises ValueError unless it is finite."""
    changed = _parameter(subject, layer, "bias").copy()
    changed[channel] = bias
    return _with(subject, layer, "bias", changed)


def switched_off(subject: Subject, layer: int, channel: int) -> Subject:
    """The model with the weights and the bias of a kernel set to 0, so that its map is empty (ablation)."""
    zeroed = with_slices(subject, layer, channel, np.zeros_like(slices(subject, layer, channel)))
    return zeroed if bias_of(zeroed, layer, channel) is None else with_bias(zeroed, layer, channel, 0.0)


def is_off(subject: Subject, layer: int, channel: int) -> bool:
    """Whether all weights and the bias of a kernel are 0."""
    return not slices(subject, layer, channel).any() and not bias_of(subject, layer, channel)


def normalised(weights: HostArray, mean: bool) -> HostArray:
    """The weights scaled so that the kernel, laid on itself, matches with exactly 1: the sum of their squares, or
    with `mean` their mean, is 1. Weights that are all 0 stay 0."""
    size = float(np.square(weights.astype(np.float64)).sum()) / (weights.size if mean else 1)
    return weights if size == 0 else (weights / np.sqrt(size)).astype(np.float32)


def _parameter(subject: Subject, layer: int, part: str) -> HostArray:
    parameter: HostArray = np.asarray(subject.parameters[f"{subject.network.names[layer]}.{part}"])
    return parameter


def _with(subject: Subject, layer: int, part: str, changed: HostArray) -> Subject:
    """The model with a changed parameter; it no longer belongs to a run or a file."""
    parameters = dict(subject.parameters) | {f"{subject.network.names[layer]}.{part}": changed}
    return replace(subject, parameters=parameters, moment=None, origin={})
