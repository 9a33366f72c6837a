"""By hand: what a person changes in a subject's parameters: a weight, a bias, a feature. It trains nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.backends.ops import HostArray
from engine.nn.model import Subject
from engine.nn.network import Network

# A list of weights that comes from no maps is laid out in rows of at most so many.
LONGEST_ROW = 16


def weighed_by(network: Network, layer: int) -> int | None:
    """The layer, counted from 1, whose weights a map or value of `layer` owes itself to: itself, or one below whose
    maps only went through layers that keep to one map. None where there are no such weights."""
    for at in range(layer, 0, -1):
        made = network.layers[at - 1]
        if made.mixes_maps:
            return at if f"{network.names[at]}.weight" in network.parameter_shapes else None
        if made.reshapes:
            return None
    return None


def slices(subject: Subject, layer: int, channel: int) -> HostArray:
    """(slices, h, w) float32, a copy: the weights of one feature, a slice for each map below; those of a value of a
    list as the maps that the list was written out from, or else in rows."""
    network = subject.network
    weights: HostArray = _parameter(subject, layer, "weight")[channel]
    if weights.ndim == 3:
        return weights.copy()
    below = network.shapes[layer - 2] if layer > 1 and network.layers[layer - 2].reshapes else ()
    if len(below) != 3:
        wide = next(wide for wide in range(LONGEST_ROW, 0, -1) if weights.size % wide == 0)
        below = (1, weights.size // wide, wide)
    return weights.reshape(below).copy()


def with_slices(subject: Subject, layer: int, channel: int, weights: HostArray) -> Subject:
    """The subject with these weights, as `slices` gives them, for one feature. Raises ValueError unless they are
    finite, ShapeError unless they fit."""
    changed = _parameter(subject, layer, "weight").copy()
    changed[channel] = weights.reshape(changed[channel].shape)
    return _with(subject, layer, "weight", changed)


def bias_of(subject: Subject, layer: int, channel: int) -> float | None:
    """The bias of one feature; None where there is none."""
    name = f"{subject.network.names[layer]}.bias"
    return float(subject.parameters[name][channel]) if name in subject.parameters else None


def with_bias(subject: Subject, layer: int, channel: int, bias: float) -> Subject:
    """The subject with this bias for one feature. Raises ValueError unless it is finite."""
    changed = _parameter(subject, layer, "bias").copy()
    changed[channel] = bias
    return _with(subject, layer, "bias", changed)


def switched_off(subject: Subject, layer: int, channel: int) -> Subject:
    """The subject without this feature: its weights and its bias are 0, so that its map is empty (ablation)."""
    off = with_slices(subject, layer, channel, np.zeros_like(slices(subject, layer, channel)))
    return off if bias_of(off, layer, channel) is None else with_bias(off, layer, channel, 0.0)


def is_off(subject: Subject, layer: int, channel: int) -> bool:
    """Whether a feature has no weight and no bias but 0."""
    return not slices(subject, layer, channel).any() and not bias_of(subject, layer, channel)


def normalised(weights: HostArray, mean: bool) -> HostArray:
    """The weights scaled so that the feature, laid on itself, matches with exactly 1: the sum of their squares, or
    with `mean` the mean of them, is 1. Weights that are all 0 stay so."""
    size = float(np.square(weights.astype(np.float64)).sum()) / (weights.size if mean else 1)
    return weights if size == 0 else (weights / np.sqrt(size)).astype(np.float32)


def _parameter(subject: Subject, layer: int, part: str) -> HostArray:
    found: HostArray = np.asarray(subject.parameters[f"{subject.network.names[layer]}.{part}"])
    return found


def _with(subject: Subject, layer: int, part: str, changed: HostArray) -> Subject:
    """No longer what training or a file made it."""
    parameters = dict(subject.parameters) | {f"{subject.network.names[layer]}.{part}": changed}
    return replace(subject, parameters=parameters, moment=None, origin={})
