"""Kinks and ties: where a small change of a value meets a place at which the network's slope jumps. No slopes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.backends.ops import HostArray
from engine.nn.layers import Layer, Stage
from engine.nudge.probe import Probe

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
