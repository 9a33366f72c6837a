"""Reach: exactly which cells one value reads, all the way down, and which read it, all the way up. No values.

`receptive_field` says the same as rectangles, which is enough to draw; here gaps of strides are left out and maps
are told apart.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from engine.backends.ops import HostArray
from engine.layers.arithmetic import Place
from engine.network import Network

# Of layers with more values than this the gaps are not looked for.
MOST_CELLS = 200_000


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


@lru_cache(maxsize=256)
def runs_read(network: Network, layer: int, row: int, column: int) -> tuple[tuple[range, ...], ...] | None:
    """(runs of rows, runs of columns): those cells of the input are read by a value of the maps of `layer` that are
    in one of both, and no others. None where they are no such grid, or the layers are too large to tell.

    Raises IndexError if there is no such value.
    """
    if any(math.prod(shape) > MOST_CELLS for shape in network.shapes[: layer + 1]):
        return None
    seen: HostArray = np.any(cells_read(network, layer, (0, row, column))[0], axis=0)
    rows: HostArray = np.any(seen, axis=1)
    columns: HostArray = np.any(seen, axis=0)
    return (_runs(rows), _runs(columns)) if np.array_equal(seen, np.outer(rows, columns)) else None


def _runs(line: HostArray) -> tuple[range, ...]:
    """Where `line` (n,) bool is True, without gaps."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8))).tolist()
    return tuple(range(first, last) for first, last in zip(ends[::2], ends[1::2], strict=True))


def _only(network: Network, layer: int, place: Place) -> HostArray:
    mask = np.zeros(network.shapes[layer], bool)
    if any(at < 0 for at in place):
        raise IndexError(f"Layer {layer} has no value at {place}.")
    mask[place] = True
    return mask
