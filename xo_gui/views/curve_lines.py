"""Curve lines: which lines a branch's curves are drawn as, thinned to what a screen can show. It draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.history import Curves

HostArray: TypeAlias = "np.ndarray[Any, Any]"

MOST_POINTS = 1_200
_SMOOTHING = 25  # steps


@dataclass(frozen=True, eq=False)
class Line:
    """steps, values: (n,) each. held_out: of the examples that are not learnt from; raw: not smoothed."""

    steps: HostArray
    values: HostArray
    held_out: bool = False
    raw: bool = False


def lines_of(curves: Curves, accuracy: bool) -> tuple[Line, ...]:
    """The lines to draw, the faint ones first: accuracies, or errors."""
    if accuracy:
        return (Line(curves.judged, curves.accuracies, held_out=True),)
    steps, losses = thinned(curves.steps, curves.losses)
    held_out = Line(curves.judged, curves.held_out_losses, held_out=True)
    return Line(steps, losses, raw=True), Line(steps, smoothed(losses, len(curves.steps))), held_out


def thinned(steps: HostArray, values: HostArray) -> tuple[HostArray, HostArray]:
    """At most MOST_POINTS points: the means of equally many neighbours each, at their last step."""
    each = -(-len(values) // MOST_POINTS)
    if each <= 1:
        return steps, values
    whole = len(values) // each * each
    return steps[each - 1 : whole : each], values[:whole].reshape(-1, each).mean(1)


def smoothed(values: HostArray, steps: int) -> HostArray:
    """A running mean over about _SMOOTHING of the `steps` that the values stand for, shorter at the start."""
    window = max(1, round(_SMOOTHING * len(values) / max(steps, 1)))
    if window == 1 or not len(values):
        return values
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: HostArray = (sums[ends] - sums[starts]) / (ends - starts)
    return means
