"""Arithmetic of one value of a reading: what its layer read, what it did with it, in the reading's own numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backends.ops import HostArray
from engine.nn.inference import Reading
from engine.nn.layers import Values
from engine.nn.layers.value_formulas import Arithmetic, Place
from engine.nn.network import Network


@dataclass(frozen=True, eq=False)
class Softmax:
    """How scores became the shares of the votes: exp(score) / sum of all exp. scores, powers, shares: (classes,)
    float64; `powers` are of the scores less the largest, which changes no share and keeps them finite."""

    scores: HostArray
    powers: HostArray
    shares: HostArray


def place_in(network: Network, layer: int, channel: int, row: int = 0, column: int = 0) -> Place:
    """Where a value stands in the output of `layer`: (channel, row, column), or (channel,) in a list.

    Raises IndexError if there is no such value.
    """
    if not 0 <= layer < len(network.shapes):
        raise IndexError(f"The network has layers 0 to {len(network.shapes) - 1}, not {layer}.")
    shape = network.shapes[layer]
    place = (channel, row, column) if len(shape) == 3 else (channel,)
    if not all(0 <= at < length for at, length in zip(place, shape, strict=True)):
        raise IndexError(f"Layer {layer} has no value at {place}.")
    return place


def arithmetic(reading: Reading, layer: int, place: Place) -> Arithmetic | None:
    """How the value at `place` of the output of `layer` (1 is the first) came about; None of a pixel of the input,
    which nobody computed. Raises IndexError if there is no such value, Missing if it, or the layer below, was not
    wanted when the picture was read."""
    network = reading.subject.network
    place = place_in(network, layer, *place)
    if layer == 0:
        return None
    channel, *rest = place
    made = float(reading.outputs.maps(layer, range(channel, channel + 1))[(0, *rest)])
    return network.layers[layer - 1].arithmetic(reading.outputs[layer - 1], place, made, _values(reading, layer))


def is_known(reading: Reading, layer: int, channel: int) -> bool:
    """Whether the arithmetic of this map of `layer` can be told: it, and the layer below, were wanted."""
    outputs = reading.outputs
    return outputs.holds(layer, range(channel, channel + 1)) and (layer == 0 or outputs.holds(layer - 1))


def brings(reading: Reading, layer: int, place: Place, above: Place) -> HostArray:
    """(channels,) float64: what the value at `place` of the input of `layer`, which mixes maps, brings to the
    values at `above`, (row, column) or () in a list, of all its maps. Raises IndexError, Missing if that layer
    was not wanted."""
    network = reading.subject.network
    place = place_in(network, layer - 1, *place)
    return network.layers[layer - 1].brings(reading.outputs[layer - 1], place, above, _values(reading, layer))


def _values(reading: Reading, layer: int) -> Values:
    """The parameters of one layer, and its state, by name."""
    start = reading.subject.network.names[layer] + "."
    found = reading.subject.parameters.items()
    return {name.removeprefix(start): array for name, array in found if name.startswith(start)}


def softmax_of(reading: Reading) -> Softmax | None:
    """How the scores became votes; None where the scores are the votes already."""
    if reading.subject.network.vote != "softmax":
        return None
    scores = reading.outputs[-1].astype(np.float64)
    powers = np.exp(scores - scores.max())
    return Softmax(scores, powers, powers / powers.sum())
