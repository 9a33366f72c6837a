"""Levels: the values at which the colours of every layer end. They hold still until told to adapt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.nn.inference import Outputs
from engine.nn.network import Network
from engine.runtime.training_protocol import Training
from xo_gui.views.network.layer_labels import Stage

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Mode = Literal["shared", "layer", "map"]

# Seconds between two looks at how far the colours should reach, while training goes on.
ADAPT_SECONDS = 1.0
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
    """How far every map rises above zero and falls below it: (channels,) arrays by layer, 0 the input; 0 for maps
    not seen yet, and nothing for layers of which none was.

    blank: whether they come from an empty picture, which says little about what a drawing will bring.
    """

    network: Network
    rises: Mapping[int, HostArray]
    falls: Mapping[int, HostArray]
    blank: bool

    @classmethod
    def of(cls, network: Network, outputs: Outputs) -> Peaks:
        """The peaks of what there is of a reading's outputs; values that are not finite are passed over."""
        rises: dict[int, HostArray] = {}
        falls: dict[int, HostArray] = {}
        for layer, maps, values in outputs.parts():
            rise, fall = np.zeros((2, outputs.shapes[layer][0]), np.float32)
            rise[maps.start : maps.stop], fall[maps.start : maps.stop] = _ends(values.reshape(len(values), -1))
            rises[layer], falls[layer] = rise, fall
        return cls(network, rises, falls, bool(outputs[0].min() == outputs[0].max()))

    def with_at_least(self, other: Peaks) -> Peaks:
        """These peaks, raised where `other` is higher."""
        return replace(self, rises=_raised(self.rises, other.rises), falls=_raised(self.falls, other.falls))

    def with_unseen(self, other: Peaks) -> Peaks:
        """These peaks, and those of `other` of layers that are not among them: seen before, but not now."""
        return replace(self, rises={**other.rises, **self.rises}, falls={**other.falls, **self.falls})

    def levels(self, stage: Stage, mode: Mode, gain: float = 1.0) -> HostArray:
        """(1,) or, in mode "map" for maps, (channels,): where the colours of `stage` end, float64.

        "shared": one for a layer and all that follows from it up to the next features; "layer": one a layer.
        """
        if stage.kind == "picture":
            return np.ones(1)
        if mode == "map" and stage.kind == "maps":
            none = np.zeros(stage.count)
            rises, falls = (peaks.get(stage.shown, none) for peaks in (self.rises, self.falls))
            pairs = zip(rises.tolist(), falls.tolist(), strict=True)
            return np.array([calm(end_of_colours(*pair)) for pair in pairs]) / gain
        layers = [stage.shown]
        if mode == "shared":
            scales = self.network.scales
            after = (at for at in range(stage.group, len(scales)) if scales[at] != stage.group)
            layers = list(range(stage.group, next(after, len(scales))))
        rise, fall = (
            max((float(peaks[at].max()) for at in layers if at in peaks), default=0.0)
            for peaks in (self.rises, self.falls)
        )
        return np.array([calm(end_of_colours(rise, fall))]) / gain


@dataclass
class Pace:
    """When levels may adapt; `adapted_at`: perf_counter() of the last time they did."""

    adapted_at: float = 0.0

    def holds(self, training: Training | None) -> bool:
        """Whether the levels hold still, adapted a moment ago, while training goes on or the timeline is dragged:
        legends that jump with every picture cannot be read, and take longer to paint than the maps."""
        now = perf_counter()
        moves = training is not None and (training.state == "running" or not training.exact)
        if moves and now - self.adapted_at < ADAPT_SECONDS:
            return True
        self.adapted_at = now
        return False


def _ends(values: HostArray) -> tuple[HostArray, HostArray]:
    """How far each row (n, values) rises above zero, and falls below it."""
    rise, fall = values.max(axis=1), -values.min(axis=1)
    if not (np.isfinite(rise).all() and np.isfinite(fall).all()):
        values = np.nan_to_num(values, posinf=0, neginf=0)
        rise, fall = values.max(axis=1), -values.min(axis=1)
    return np.maximum(rise, 0), np.maximum(fall, 0)


def _raised(mine: Mapping[int, HostArray], its: Mapping[int, HostArray]) -> dict[int, HostArray]:
    return {
        layer: np.maximum(mine.get(layer, 0), its.get(layer, 0)).astype(np.float32) for layer in {**mine, **its}
    }
