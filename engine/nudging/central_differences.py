"""Central differences: the slope of the error in every value, by trying; and by backpropagation, to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends.backend import choose_backend
from engine.backends.ops import HostArray
from engine.nn.layers import Layer, Stage, Values
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.nudging.probe import Probe

# What rounding may do to a value, in units in the last place of the largest one of its layer: what moves less does
# not move.
ROUNDING = 256


@dataclass(frozen=True)
class Kink:
    """Where a slope jumps. layer: its title; what: what it does there; cell: which of its outputs; example: of
    which picture, None if there is only one."""

    layer: str
    what: str
    cell: tuple[int, ...]
    example: int | None = None

    @property
    def sentence(self) -> str:
        """It in words."""
        where = "" if self.example is None else f" of example {self.example}"
        return (
            "The central difference and backpropagation may differ here: "
            f"{self.layer} {self.what} in cell {self.cell}{where}."
        )


@dataclass(frozen=True, eq=False)
class _Spot:
    """A layer whose slope jumps somewhere: how deep it stands (0 in the network, more inside a stack), what it
    reads as things are, and where the probe leaves what it reads under changes."""

    place: int
    depth: int
    title: str
    layer: Layer
    base: HostArray
    tried: HostArray


class Kinks:
    """Finds the kinks that the changes of a Probe meet; made after its `show`, for the pictures shown."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        network = probe.network
        self._spots = [
            spot
            for place, layer in enumerate(network.layers)
            for spot in _spots(
                place, 0, network.title(place + 1), layer, probe.base.stages[place], probe.tried.stages[place]
            )
        ]

    def found(self, place: int, count: int) -> dict[int, Kink]:
        """After `probe.errors` with `count` pairs of changes, up and down, in the layer at `place`: for each pair
        that meets a kink or a tie, by its number, the first one on the way up.

        At one, the three errors (down, as it is, up) do not lie on one smooth curve, or only by chance.
        """
        kinks: dict[int, Kink] = {}
        for spot in self._spots:
            if spot.place > place or (spot.place == place and spot.depth > 0):
                self._search(spot, count, kinks)
        return kinks

    def _search(self, spot: _Spot, count: int, kinks: dict[int, Kink]) -> None:
        examples = self._probe.examples
        shape = spot.base.shape[:-1]
        sides = spot.tried.reshape(*shape, -1, 2, examples)[..., :count, :, :]
        base = np.broadcast_to(spot.base[..., None, :], (*shape, count, examples))
        points = np.stack([base, sides[..., 0, :], sides[..., 1, :]]).reshape(3, *shape, count * examples)
        near = ROUNDING * np.finfo(points.dtype).eps * np.abs(points).max(initial=0)
        for gaps in spot.layer.gaps(points):
            low, high = gaps.min(0), gaps.max(0)
            met = (low < 0) & (high > 0) & (high - low > near)
            met = met.reshape(*met.shape[:-1], count, examples)
            for number in np.flatnonzero(met.any((*range(met.ndim - 2), -1))):
                if int(number) not in kinks:
                    *cell, example = (int(at) for at in np.argwhere(met[..., number, :])[0])
                    which = example if examples > 1 else None
                    kinks[int(number)] = Kink(spot.title, spot.layer.kink, tuple(cell), which)


def _spots(place: int, depth: int, title: str, layer: Layer, base: Stage, tried: Stage) -> Iterator[_Spot]:
    """The layers whose slope jumps, in this layer or, if it is put together from others, among those."""
    x = base.x.values.copy()
    if next(layer.gaps(x[None]), None) is not None:
        yield _Spot(place, depth, title, layer, x, tried.x.values)
    for (inner_title, inner, below), (_, _, above) in zip(layer.stack(base), layer.stack(tried), strict=True):
        yield from _spots(place, depth + 1, f"{title}, {inner_title}", inner, below, above)


# What the changes that are tried at once may keep busy: about one core's share of the caches.
TRIED_BYTES = 4_000_000
MOST_TRIED = 4096


@dataclass(frozen=True, eq=False)
class CentralDifferences:
    """What trying says of every value, by name.

    slopes: (E(w + step) - E(w - step)) / (2 step), E being the mean error of the examples. kinked: bool, where the
    network is not smooth between w - step and w + step, so that backpropagation, which takes one side of a kink
    and one winner of a tie, may say something else. kinks: the first kink met on the way up, by name and index.
    """

    slopes: Values
    kinked: Values
    kinks: dict[tuple[str, tuple[int, ...]], Kink]

    def sentence(self, name: str, index: tuple[int, ...]) -> str | None:
        """Why the two may differ for this value, None where they agree."""
        kink = self.kinks.get((name, index))
        return None if kink is None else kink.sentence


def central_differences(
    network: Network,
    parameters: Parameters,
    images: HostArray,
    shares: HostArray,
    step: float = 1e-5,
    dtype: Any = np.float64,
) -> CentralDifferences:
    """The central difference of the error in every value, many values at once, each by itself.

    images: (N, C, H, W); shares: (N, classes), what the votes should be. The network reads as in Probe: dropout
    lets everything through, batch norm uses its running statistics, whose own slopes are not asked for. The result
    is off by about step^2 / 6 times the third derivative, and by rounding, about 1e-16 / step in float64.
    Raises ValueError for a step that is not above 0, ShapeError for what does not fit.
    """
    if not step > 0:
        raise ValueError(f"The step of a central difference must be above 0, not {step!r}.")
    probe = Probe(network, len(images), 2 * _pairs(network, len(images)), dtype)
    probe.base.load(parameters)
    probe.show(images, shares)
    search = Kinks(probe)
    slopes, kinked = ({name: np.zeros(view.shape, kind) for name, view in probe.base.parts(probe.values).items()}
                      for kind in (probe.values.dtype, np.bool_))  # fmt: skip
    kinks: dict[tuple[str, tuple[int, ...]], Kink] = {}
    for name, where in probe.base.parts(np.arange(len(probe.values))).items():
        place = network.names.index(name.split(".")[0]) - 1
        for first in range(0, where.size, probe.most // 2):
            positions = where.ravel()[first : first + probe.most // 2]
            slopes[name].ravel()[first : first + len(positions)] = _slopes(probe, place, positions, step)
            for number, kink in search.found(place, len(positions)).items():
                index = tuple(int(at) for at in np.unravel_index(first + number, where.shape))
                kinks[name, index] = kink
                kinked[name][index] = True
    return CentralDifferences(slopes, kinked, kinks)


def backpropagated(
    network: Network, parameters: Parameters, images: HostArray, shares: HostArray, dtype: Any = np.float64
) -> Values:
    """The slopes of the mean error in every value, by name, as one backward pass finds them all.

    The network reads, as in central_differences. Raises ShapeError or ValueError for what does not fit.
    """
    plan = Plan(network, choose_backend("cpu"), len(images), dtype=dtype, keep=True, learn=True, training=False)
    plan.load(parameters)
    plan.forward(images)
    plan.backward(shares)
    return plan.parameter_gradients()


def _slopes(probe: Probe, place: int, positions: HostArray, step: float) -> HostArray:
    """Of the values at these positions, (n,)."""
    sides = ((int(at), probe.values[at] + side) for at in positions for side in (step, -step))
    errors = probe.errors(place, list(sides)).mean(1).reshape(-1, 2)
    slopes: HostArray = (errors[:, 0] - errors[:, 1]) / (2 * step)
    return slopes


def _pairs(network: Network, examples: int) -> int:
    """How many values are tried at once, so that the widest layer's work stays in the cache."""
    pairs = zip(network.layers, network.shapes, strict=False)
    widest = 2 * examples * 2 * max(layer.work_bytes(shape) for layer, shape in pairs)
    largest = max(cost.parameters for cost in network.costs)
    return max(1, min(TRIED_BYTES // max(widest, 1), MOST_TRIED, largest))
