"""Statistics: how a network's weights, values and gradients are spread at one moment, and which features are dead.

It only counts what lies in host arrays; engine/observer.py brings them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from engine.nn.layers import Values
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters

HostArray: TypeAlias = "np.ndarray[Any, Any]"

BINS: Final = 32  # an even number, so that 0 lies between two bins of a scale with two sides
MOST_VALUES: Final = 250_000  # of one layer are counted: more would take long and say the same


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values lie where.

    counts: (BINS,) int64, in equal bins from low to high, the last with its upper edge; low is 0 where no value is
    below 0, otherwise -high. total: how many values; zeros: how many are exactly 0; strange: how many are not
    finite and so in no bin. mean, spread (standard deviation), least, most: of the finite ones.
    """

    counts: HostArray
    low: float
    high: float
    total: int
    zeros: int
    strange: int
    mean: float
    spread: float
    least: float
    most: float


def histogram(values: HostArray) -> Histogram:
    """The histogram of all values of an array."""
    flat = values.reshape(-1)
    fine = flat if not flat.size or np.isfinite([flat.min(), flat.max()]).all() else flat[np.isfinite(flat)]
    least, most = (float(fine.min()), float(fine.max())) if fine.size else (0.0, 0.0)
    high = max(-least, most) or 1.0
    low = -high if least < 0 else 0.0
    places = fine.astype(np.float64)
    mean, spread = (float(places.mean()), float(places.std())) if fine.size else (0.0, 0.0)
    # Multiplied first and moved then, so that 0 falls on its edge without rounding.
    places *= BINS / (high - low)
    places += 0 if low == 0 else BINS / 2
    counts = np.bincount(np.minimum(places.astype(np.intp), BINS - 1), minlength=BINS)
    counts.flags.writeable = False
    zeros = int(fine.size - np.count_nonzero(fine))
    return Histogram(counts, low, high, flat.size, zeros, flat.size - fine.size, mean, spread, least, most)


@dataclass(frozen=True, eq=False)
class Move:
    """The last step: its gradients by name, l2 and clipping included, and how much it changed every parameter."""

    gradients: Values
    changes: Values


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """A row: the layers (by number, 1 is the first) that share it, and what is known of them.

    weights: of all learnt parameters, biases included, None without any; values: what the last of the layers gave;
    gradients: in the weights, of the last step. size, gradient_size: lengths (2-norms) of the weights and of their
    gradient; change: the length of what the last step added to the weights, divided by that of the weights. None
    where it is not known.
    """

    layers: tuple[int, ...]
    weights: Histogram | None = None
    values: Histogram | None = None
    gradients: Histogram | None = None
    size: float | None = None
    gradient_size: float | None = None
    change: float | None = None


@dataclass(frozen=True)
class Dead:
    """Features (or values of a list) that are 0 on every example looked at: those of `layer`, as `cut`, the layer
    that cuts them, leaves them. channels: counted from 0."""

    layer: int
    cut: int
    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Course:
    """How gradients and changes went along a branch, as far as somebody looked: steps (m,) int64; sizes, changes
    (m, rows) float32, nan where a row has none."""

    steps: HostArray
    sizes: HostArray
    changes: HostArray


@dataclass(frozen=True, eq=False)
class Statistics:
    """What was found at a moment. examples: how many held-out drawings were read. rows: empty unless somebody looks
    at them."""

    network: Network
    at: Moment
    examples: int
    dead: tuple[Dead, ...]
    rows: tuple[LayerStatistics, ...]
    course: Course


def rows_of(network: Network) -> tuple[tuple[int, ...], ...]:
    """The layers that are shown as one row each: what only relays or reshapes has none, and what changes every
    value by itself, without parameters, such as a ReLU, shares that of the layer before it."""
    rows: list[list[int]] = []
    for place, (layer, shape) in enumerate(zip(network.layers, network.shapes, strict=False), 1):
        if layer.reshapes or layer.relays:
            continue
        if layer.pointwise and layer.block_shape(shape) is None and rows:
            rows[-1].append(place)
        else:
            rows.append([place])
    return tuple(tuple(row) for row in rows)


def learnt(network: Network, place: int) -> tuple[str, ...]:
    """The names of what layer `place` (1 is the first) learns, such as 01-conv2d.weight; not of what it gathers."""
    layer, shape = network.layers[place - 1], network.shapes[place - 1]
    block = layer.block_shape(shape)
    if block is None:
        return ()
    # A single number seen as the whole block: no memory is taken.
    parts = layer.parameters(np.broadcast_to(np.float32(0), block), shape)
    return tuple(f"{network.names[place]}.{part}" for part in parts)


def row_statistics(
    network: Network, layers: tuple[int, ...], parameters: Parameters, move: Move | None, values: HostArray
) -> LayerStatistics:
    """What is known of a row. values: what its last layer gave, (examples, ...)."""
    names = [name for place in layers for name in learnt(network, place)]
    if not names:
        return LayerStatistics(layers, values=histogram(some(values)))
    weights = _joined(parameters, names)
    size = _length(weights)
    row = LayerStatistics(layers, histogram(some(weights)), histogram(some(values)), size=size)
    if move is None:
        return row
    gradients, changes = _joined(move.gradients, names), _joined(move.changes, names)
    change = _length(changes) / size if size else None
    return LayerStatistics(
        layers, row.weights, row.values, histogram(some(gradients)), size, _length(gradients), change
    )


def some(values: HostArray) -> HostArray:
    """At most MOST_VALUES of the values, (n,), taken at equal distances."""
    flat = values.reshape(-1)
    return flat[:: -(-flat.size // MOST_VALUES) or 1]


def cuts_of(network: Network) -> Iterator[tuple[int, int]]:
    """Every layer that cuts values to 0, such as a ReLU, after the layer whose features, map by map, it cuts."""
    for cut, layer in enumerate(network.layers, 1):
        place = cut
        while layer.cuts and place and not network.layers[place - 1].mixes_maps:
            place -= 1
        if layer.cuts and place and network.shapes[place][0] == network.shapes[cut][0]:
            yield place, cut


def dead_of(network: Network, peaks: Mapping[int, HostArray]) -> tuple[Dead, ...]:
    """The dead features. peaks: for each layer that cuts, the largest value of every map on any example,
    (channels,)."""
    found = []
    for layer, cut in cuts_of(network):
        channels = tuple(int(channel) for channel in np.flatnonzero(peaks[cut] == 0))
        if channels:
            found.append(Dead(layer, cut, channels))
    return tuple(found)


def _joined(values: Parameters, names: list[str]) -> HostArray:
    return np.concatenate([values[name].reshape(-1) for name in names])


def _length(values: HostArray) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))
