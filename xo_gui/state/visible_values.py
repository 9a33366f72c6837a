"""Sight: which values of a network the window has use for: what is in view, and what explains the cells looked at.
It asks nobody for them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.nn.inference import Wanted
from engine.nn.network import Network

# A network of at most so many values, in so many layers, is brought along whole: choosing would save nothing.
WHOLE_VALUES, WHOLE_LAYERS = 1_000_000, 100
# How far back a cell is followed, where a network is not brought along whole: so many layers, and values.
BACK_LAYERS, BACK_VALUES = 24, 1_000_000
# From a layer with more values than these nobody is told where they go: masks alone would take longer than a frame.
MOST_ONWARD = 500_000


def is_small(network: Network) -> bool:
    """Whether all that it gave is brought along."""
    shapes = network.shapes
    return len(shapes) <= WHOLE_LAYERS and sum(map(math.prod, shapes)) <= WHOLE_VALUES


def wanted(network: Network, shown: Wanted, looked: Iterable[tuple[int, int]]) -> Wanted | None:
    """The maps in view (`shown`, by layer) and what explains the cells (layer, channel) that are `looked` at; None
    for everything."""
    if is_small(network):
        return None
    found = dict(shown)
    for layer, channel in looked:
        if 0 <= layer < len(network.shapes):
            found[layer] = _spanned(found.get(layer), range(channel, channel + 1))
            for one in (*_behind(network, layer), *_beyond(network, layer)):
                found[one] = range(network.shapes[one][0])
    return found


def _behind(network: Network, layer: int) -> Iterable[int]:
    """The layer that a cell read, and those before it as far back as its values are followed."""
    left = BACK_VALUES
    for one in range(layer - 1, max(layer - 1 - BACK_LAYERS, -1), -1):
        left -= math.prod(network.shapes[one])
        if left < 0 and one < layer - 1:
            return
        yield one


def _beyond(network: Network, layer: int) -> Iterable[int]:
    """The layers through which a value goes up to those that weigh it."""
    for one in range(layer, len(network.shapes)):
        if math.prod(network.shapes[one]) > MOST_ONWARD:
            return
        yield one
        if one == len(network.layers) or network.layers[one].mixes_maps:
            return


def joined(one: Wanted, other: Wanted) -> Wanted:
    """What either wants."""
    return {layer: _spanned(one.get(layer), other.get(layer)) for layer in {**one, **other}}


def _spanned(one: range | None, other: range | None) -> range:
    """The shortest range that has both; of none, nothing."""
    if one is None or other is None:
        return one or other or range(0)
    return range(min(one.start, other.start), max(one.stop, other.stop))
