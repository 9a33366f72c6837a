"""Curve lines: which lines a branch's curves are drawn as, smoothed, and thinned to what a screen can show. It
draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from engine.training.history import Curves

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Measure: TypeAlias = Literal["error", "accuracy", "rate"]

MOST_POINTS: Final = 1_200


@dataclass(frozen=True, eq=False)
class Line:
    """steps, values: (n,) each. held_out: of the examples that are not learnt from; raw: not smoothed."""

    steps: HostArray
    values: HostArray
    held_out: bool = False
    raw: bool = False


def lines_of(curves: Curves, measure: Measure, window: int) -> tuple[Line, ...]:
    """The lines to draw, the faint ones first. window: steps that an error is smoothed over, 1 for not at all."""
    if measure == "accuracy":
        held_out = Line(curves.judged, curves.accuracies, held_out=True)
        return Line(curves.recalled, curves.training_accuracies), held_out
    if measure == "rate":
        places = _corners(curves.rates)
        return (Line(curves.steps[places], curves.rates[places]),)
    held_out = Line(curves.judged, curves.held_out_losses, held_out=True)
    raw = Line(*thinned(curves.steps, curves.losses), raw=True)
    if window == 1:
        return Line(raw.steps, raw.values), held_out
    return raw, Line(*thinned(curves.steps, smoothed(curves.losses, window))), held_out


def thinned(steps: HostArray, values: HostArray) -> tuple[HostArray, HostArray]:
    """At most MOST_POINTS points: the means of equally many neighbours each, at their last step; the last step
    itself is always there."""
    each = -(-len(values) // (MOST_POINTS - 1))
    if each <= 1:
        return steps, values
    whole = len(values) // each * each
    kept, means = steps[each - 1 : whole : each], values[:whole].reshape(-1, each).mean(1)
    if whole < len(values):
        kept, means = np.append(kept, steps[-1]), np.append(means, values[whole:].mean())
    return kept, means


def smoothed(values: HostArray, window: int) -> HostArray:
    """(n,): at each place the mean of the last `window` values up to it; of as many as there are at the start. What
    is not finite is passed over."""
    fine = np.isfinite(values)
    sums = np.cumsum(np.concatenate([[0.0], np.where(fine, values, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], fine]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    with np.errstate(invalid="ignore"):
        means: HostArray = (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])
    return means


def _corners(values: HostArray) -> HostArray:
    """Places enough to draw a curve that hardly bends: evenly many, and both sides of every jump."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    even = np.linspace(0, len(values) - 1, MOST_POINTS // 2).round().astype(np.intp)
    jumps = np.flatnonzero(np.abs(np.diff(values)) > 0.02 * np.abs(values[:-1]))[: MOST_POINTS // 4]
    places: HostArray = np.unique(np.concatenate([even, jumps, jumps + 1]))
    return places
