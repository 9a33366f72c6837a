"""Flip: a change of the drawing, as small as can be found, that makes the network read another class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.backends.ops import HostArray
from engine.explain.gradients import Gradients

MOST_STEPS, HALVINGS = 40, 12
# Each step goes a little further than to where the two scores would be equal.
BEYOND = 1.02


@dataclass(frozen=True, eq=False)
class Flip:
    """change: (C, H, W) float64, to be added to the picture, which stays within -1 to 1. becomes: the class it is
    then read as, None while it is still the first. done: the share of the work that is done."""

    change: HostArray
    becomes: int | None
    done: float


def flip(gradients: Gradients, picture: HostArray) -> Iterator[Flip]:
    """Step by step to the nearest class, the scores taken as straight in the pixels at each step (DeepFool,
    Moosavi-Dezfooli et al. 2016), pixels kept within -1 to 1; then back along the way as far as the class holds.

    `gradients` must hold as many values at a time as the network has classes.
    """
    network = gradients.network
    layer, count = len(network.layers), len(network.classes)
    start = picture.astype(np.float64)
    there, first = start, int(_scores(gradients, start).argmax())
    for step in range(MOST_STEPS):
        scores = _scores(gradients, there)
        if int(scores.argmax()) != first:
            break
        slopes = gradients.below(layer, [(at,) for at in range(count)])[0]
        move = _nearest(scores, slopes, there, first)
        if move is None:
            break
        there = np.clip(there + move, -1.0, 1.0)
        yield Flip(there - start, None, 0.7 * (step + 1) / MOST_STEPS)
    if int(_scores(gradients, there).argmax()) == first:
        yield Flip(there - start, None, 1.0)
        return
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        flipped = int(_scores(gradients, start + middle * (there - start)).argmax()) != first
        low, high = (low, middle) if flipped else (middle, high)
    found = high * (there - start)
    yield Flip(found, int(_scores(gradients, start + found).argmax()), 1.0)


def _scores(gradients: Gradients, picture: HostArray) -> HostArray:
    gradients.show(picture)
    return gradients.outputs()[-1]


def _nearest(scores: HostArray, slopes: HostArray, there: HostArray, first: int) -> HostArray | None:
    """The shortest step to another class's boundary; None if no pixel can bring it nearer."""
    best, shortest = None, np.inf
    for other in range(len(scores)):
        if other == first:
            continue
        slope = slopes[other] - slopes[first]
        # A pixel at the end of its range moves nothing further.
        slope = np.where((there >= 1) & (slope > 0) | (there <= -1) & (slope < 0), 0.0, slope)
        size = float(np.square(slope).sum())
        gap = float(scores[first] - scores[other])
        if size > 0 and gap / np.sqrt(size) < shortest:
            shortest = gap / np.sqrt(size)
            best = BEYOND * (gap + 1e-6) / size * slope
    return best
