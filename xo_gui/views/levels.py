"""Levels: the values at which the colours of every layer end. They hold still until told to adapt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.network import Network
from xo_gui.views.stages import Stage

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Mode = Literal["shared", "layer", "map"]

CALM = (1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.5, 10.0)


def calm(value: float) -> float:
    """The next number up that is easy to read and does not change with every stroke: 5.5 for 4.61, 1 for 0."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    # A hair below, so that 3.0000001 does not become 4.
    return next(step for step in CALM if step >= value / power * (1 - 1e-6)) * power


def end_of_colours(rise: float, fall: float) -> float:
    """Where a scale should end for values from -fall to rise.

    Trained features say no far more loudly than yes, and ReLU cuts every no: so values below zero widen the scale
    to twice what is above zero, or to a fifth of their own depth, and what lies deeper has the last colour.
    """
    return max(rise, min(fall, max(2 * rise, fall / 5)))


@dataclass(frozen=True, eq=False)
class Peaks:
    """How far every map rises above zero and falls below it: (channels,) arrays, one a layer, input included.

    blank: whether they come from an empty picture, which says little about what a drawing will bring.
    """

    network: Network
    rises: tuple[HostArray, ...]
    falls: tuple[HostArray, ...]
    blank: bool

    @classmethod
    def of(cls, network: Network, outputs: tuple[HostArray, ...]) -> Peaks:
        """The peaks of a reading's outputs, (C, H, W) or (n,); values that are not finite are passed over."""
        flat = [np.nan_to_num(one, posinf=0, neginf=0).reshape(len(one), -1) for one in outputs]
        rises = tuple(np.maximum(one.max(axis=1), 0) for one in flat)
        falls = tuple(np.maximum(-one.min(axis=1), 0) for one in flat)
        return cls(network, rises, falls, bool(outputs[0].min() == outputs[0].max()))

    def with_at_least(self, other: Peaks) -> Peaks:
        """These peaks, raised where `other` is higher."""
        rises, falls = (
            tuple(map(np.maximum, mine, its))
            for mine, its in ((self.rises, other.rises), (self.falls, other.falls))
        )
        return replace(self, rises=rises, falls=falls)

    def levels(self, stage: Stage, mode: Mode, gain: float = 1.0) -> HostArray:
        """(1,) or, in mode "map" for maps, (channels,): where the colours of `stage` end, float64.

        "shared": one for a layer and all that follows from it up to the next features; "layer": one a layer.
        """
        if stage.kind == "picture":
            return np.ones(1)
        if mode == "map" and stage.kind == "maps":
            pairs = zip(self.rises[stage.shown].tolist(), self.falls[stage.shown].tolist(), strict=True)
            return np.array([calm(end_of_colours(*pair)) for pair in pairs]) / gain
        layers = [stage.shown]
        if mode == "shared":
            layers = [at for at, scale in enumerate(self.network.scales) if scale == stage.group]
        rise, fall = (float(max(peaks[at].max() for at in layers)) for peaks in (self.rises, self.falls))
        return np.array([calm(end_of_colours(rise, fall))]) / gain
