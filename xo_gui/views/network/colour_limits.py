"""Colour limits: the values at which the colour scale of each layer ends; they change only when adapted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import numpy as np

from engine.backends import HostArray
from engine.nn import Activations, Network
from engine.runtime import TrainingReport
from xo_gui.views.network.layer_labels import DisplayColumn

LimitMode = Literal["shared", "layer", "map"]

# Least number of seconds between two adaptations of the limits while training runs.
ADAPT_SECONDS = 1.0
MAX_WIDENING = 1.25
_ROUND_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.5, 10.0)


@dataclass(frozen=True, eq=False)
class ColourLimits:
    """The positive and negative peaks of every map: (channels,) arrays by layer, 0 the input.

    Peaks are 0 for maps without values yet; layers without any values have no entry.
    is_blank: whether the input is uniform, so that its limits say little about a drawing's.
    """

    network: Network
    positive_peaks: Mapping[int, HostArray]
    negative_peaks: Mapping[int, HostArray]
    is_blank: bool

    @classmethod
    def from_activations(cls, network: Network, outputs: Activations) -> ColourLimits:
        """The peaks of the finite values among a prediction's activations."""
        rises: dict[int, HostArray] = {}
        falls: dict[int, HostArray] = {}
        for layer, maps, values in outputs.iter_parts():
            rise, fall = np.zeros((2, outputs.shapes[layer][0]), np.float32)
            rise[maps.start : maps.stop], fall[maps.start : maps.stop] = _peaks(values.reshape(len(values), -1))
            rises[layer], falls[layer] = rise, fall
        return cls(network, rises, falls, bool(outputs[0].min() == outputs[0].max()))

    def widened_by(self, other: ColourLimits) -> ColourLimits:
        """The elementwise maximum with the peaks of `other`."""
        return replace(
            self,
            positive_peaks=_maximum(self.positive_peaks, other.positive_peaks),
            negative_peaks=_maximum(self.negative_peaks, other.negative_peaks),
        )

    def filled_from(self, other: ColourLimits) -> ColourLimits:
        """These peaks, and for layers that have none those of `other`."""
        return replace(
            self,
            positive_peaks={**other.positive_peaks, **self.positive_peaks},
            negative_peaks={**other.negative_peaks, **self.negative_peaks},
        )

    def limits(self, display: DisplayColumn, mode: LimitMode, gain: float = 1.0) -> HostArray:
        """The colour limits of a column: (1,) or, in mode "map" for maps, (channels,), float64.

        mode: "shared" for one limit from a layer up to the next convolution, "layer" for one a layer.
        gain: the factor that strengthens faint values.
        """
        if display.kind == "picture":
            return np.ones(1)
        if mode == "map" and display.kind == "maps":
            zeros = np.zeros(display.count)
            rises, falls = (peaks.get(display.layer, zeros) for peaks in (self.positive_peaks, self.negative_peaks))
            pairs = zip(rises.tolist(), falls.tolist(), strict=True)
            return np.array([rounded_limit(colour_limit(*pair)) for pair in pairs]) / gain
        layers = [display.layer]
        if mode == "shared":
            scales = self.network.scale_sources
            ends = (at for at in range(display.scale_layer, len(scales)) if scales[at] != display.scale_layer)
            layers = list(range(display.scale_layer, next(ends, len(scales))))
        rise, fall = (
            max((float(peaks[at].max()) for at in layers if at in peaks), default=0.0)
            for peaks in (self.positive_peaks, self.negative_peaks)
        )
        return np.array([rounded_limit(colour_limit(rise, fall))]) / gain

    def beyond(self, display: DisplayColumn, limit: float) -> tuple[bool, bool]:
        """Whether the column has values below -limit and above limit, which have the first and the last colour."""
        peaks = (of.get(display.layer) for of in (self.negative_peaks, self.positive_peaks))
        below, above = (peak is not None and float(peak.max()) > limit * (1 + 1e-6) for peak in peaks)
        return below, above


@dataclass
class LimitAdapter:
    """Decides when limits may adapt; adapted_at: perf_counter() of the last adaptation."""

    adapted_at: float = 0.0

    def is_on_hold(self, training: TrainingReport | None) -> bool:
        """Whether to keep the limits: training runs or the timeline is dragged, and they have just adapted.

        Legends that change with every frame cannot be read, and take longer to paint than the maps.
        """
        now = perf_counter()
        is_moving = training is not None and (training.state == "running" or not training.is_exact)
        if is_moving and now - self.adapted_at < ADAPT_SECONDS:
            return True
        self.adapted_at = now
        return False


def rounded_limit(value: float) -> float:
    """Round up to a number that is easy to read and stable from stroke to stroke: 5.5 for 4.61, 1 for 0."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    # The tolerance keeps 3.0000001 from becoming 4.
    return next(step for step in _ROUND_STEPS if step >= value / power * (1 - 1e-6)) * power


def colour_limit(rise: float, fall: float) -> float:
    """The limit of a symmetric colour scale for values from -fall to rise.

    Negative responses of trained features are far larger than positive ones, and ReLU zeroes them: negative values
    therefore widen the scale only to MAX_WIDENING times the positive peak, so that ReLU and pool, which keep that
    peak, are seen, or to a fifth of the negative one; values beyond that get the last colour.
    """
    return max(rise, min(fall, max(MAX_WIDENING * rise, fall / 5)))


def _peaks(values: HostArray) -> tuple[HostArray, HostArray]:
    """The positive and negative peak of each row of (n, values), both as magnitudes."""
    rise, fall = values.max(axis=1), -values.min(axis=1)
    if not (np.isfinite(rise).all() and np.isfinite(fall).all()):
        values = np.nan_to_num(values, posinf=0, neginf=0)
        rise, fall = values.max(axis=1), -values.min(axis=1)
    return np.maximum(rise, 0), np.maximum(fall, 0)


def _maximum(first: Mapping[int, HostArray], second: Mapping[int, HostArray]) -> dict[int, HostArray]:
    return {
        layer: np.maximum(first.get(layer, 0), second.get(layer, 0)).astype(np.float32)
        for layer in {**first, **second}
    }
