"""Reach: exactly which cells one value reads, all the way down, and which read it, all the way up. No values.

`receptive_field` says the same as rectangles, which is enough to draw; here gaps of strides are left out and maps
are told apart.
"""

from __future__ import annotations

import numpy as np

from engine.layers.arithmetic import Place
from engine.network import Network
from engine.operations import HostArray


def cells_read(network: Network, layer: int, place: Place) -> list[HostArray]:
    """For the input (first) and every layer up to `layer` (last): bool in its shape, the cells that the value at
    `place` of `layer` depends on. Raises IndexError if there is no such value."""
    masks = [_only(network, layer, place)]
    for at in reversed(range(layer)):
        masks.insert(0, network.layers[at].reads_of(network.shapes[at], masks[0]))
    return masks


def cells_reached(network: Network, layer: int, place: Place) -> list[HostArray]:
    """For `layer` (first) and every layer above it, the last included: bool in its shape, the cells that depend on
    the value at `place` of `layer`. Raises IndexError if there is no such value."""
    masks = [_only(network, layer, place)]
    for at in range(layer, len(network.layers)):
        masks.append(network.layers[at].reached_from(network.shapes[at], masks[-1]))
    return masks


def _only(network: Network, layer: int, place: Place) -> HostArray:
    mask = np.zeros(network.shapes[layer], bool)
    if any(at < 0 for at in place):
        raise IndexError(f"Layer {layer} has no value at {place}.")
    mask[place] = True
    return mask
