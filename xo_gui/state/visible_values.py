"""Which values of a network the window needs from the engine: the visible maps, and what explains the selected
values."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.nn import ChannelRanges, Network

# A network of at most so many values, in so many layers, is sent whole: choosing would save nothing.
WHOLE_VALUES, WHOLE_LAYERS = 1_000_000, 100
# How far back a value of a larger network is traced, in layers and in values.
BACK_LAYERS, BACK_VALUES = 24, 1_000_000
# Values of layers larger than this are not traced downstream: the masks alone would take longer than a frame.
MAX_TRACED_VALUES = 500_000


def is_small(network: Network) -> bool:
    """Whether all activations of the network are sent to the window."""
    shapes = network.shapes
    return len(shapes) <= WHOLE_LAYERS and sum(map(math.prod, shapes)) <= WHOLE_VALUES


def needed_channels(
    network: Network, shown: ChannelRanges, selected: Iterable[tuple[int, int]]
) -> ChannelRanges | None:
    """The channels needed of each layer; None for all of them.

    shown: visible channels, by layer.
    selected: (layer, channel) of each selected value, which needs the layers that explain it as well.
    """
    if is_small(network):
        return None
    found = dict(shown)
    for layer, channel in selected:
        if 0 <= layer < len(network.shapes):
            found[layer] = _spanned(found.get(layer), range(channel, channel + 1))
            for other in (*_upstream(network, layer), *_downstream(network, layer)):
                found[other] = range(network.shapes[other][0])
    return found


def _upstream(network: Network, layer: int) -> Iterable[int]:
    """The input of a layer, and the layers before it, back to BACK_LAYERS and BACK_VALUES."""
    left = BACK_VALUES
    for at in range(layer - 1, max(layer - 1 - BACK_LAYERS, -1), -1):
        left -= math.prod(network.shapes[at])
        if left < 0 and at < layer - 1:
            return
        yield at


def _downstream(network: Network, layer: int) -> Iterable[int]:
    """The layers that a value passes through, up to the input of the next layer that connects channels."""
    for at in range(layer, len(network.shapes)):
        if math.prod(network.shapes[at]) > MAX_TRACED_VALUES:
            return
        yield at
        if at == len(network.layers) or network.layers[at].traits.connects_channels:
            return


def union(one: ChannelRanges, other: ChannelRanges) -> ChannelRanges:
    """The channels needed by either, as one range for each layer."""
    return {layer: _spanned(one.get(layer), other.get(layer)) for layer in {**one, **other}}


def _spanned(one: range | None, other: range | None) -> range:
    """The shortest range that covers both."""
    if one is None or other is None:
        return one or other or range(0)
    return range(min(one.start, other.start), max(one.stop, other.stop))
