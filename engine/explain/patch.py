"""Patch: the part of the picture that one value of a network reads, as a rectangle. It reads no values."""

from __future__ import annotations

import numpy as np

from engine.backends.ops import HostArray
from engine.explain.reach import cells_read
from engine.explain.receptive_field import Window, receptive_field
from engine.layers.arithmetic import Place
from engine.network import Network


def window_of(network: Network, layer: int, place: Place) -> Window:
    """The (rows, columns) of the picture that hold everything which the value at `place` of the output of `layer`
    reads; empty where it sees nothing but padding. Raises IndexError if there is no such value."""
    row, column = place[1:] if len(place) == 3 else (0, 0)
    found = receptive_field(network, layer, row, column)[0] if len(network.shapes[layer]) == 3 else None
    if found is not None:
        return found
    read = np.any(cells_read(network, layer, place)[0], axis=0)
    return _extent(np.any(read, axis=1)), _extent(np.any(read, axis=0))


def _extent(marked: HostArray) -> range:
    """From the first that is marked to the last."""
    places = np.flatnonzero(marked)
    return range(int(places[0]), int(places[-1]) + 1) if len(places) else range(0)
