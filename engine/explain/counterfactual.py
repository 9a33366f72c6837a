"""Counterfactual: a small change of the drawing that makes the model predict another class."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from engine.backends import HostArray, numpy_backend
from engine.explain.attribution import Gradients
from engine.nn import Model, Network, Predictor
from engine.nn.layers import Layer, LeakyReLU

# What the network sees of a picture (1, H, W) on the canvas: (1, H, W), float32.
Canvas: TypeAlias = Callable[[HostArray], HostArray]

# How far past a class's threshold its score must end, in the scores' own unit, so that neither rounding nor another
# backend undoes it; and how far past the others where there is no threshold, votes being shares or scores.
PAST_THRESHOLD, PAST_OTHERS, PAST_OTHER_SCORES = 0.01, 0.04, 0.001
# The classes tried, the nearest first.
MAX_TARGETS = 3
# Steps at most: to any picture of the class; to the decision boundary; from there, and from that picture, to the
# shortest change; on the canvas. And those without a shorter one after which a search ends.
REACH_STEPS, BOUNDARY_STEPS, SHORTEN_STEPS, CANVAS_STEPS, PATIENCE = 80, 60, 150, 30, 60
BISECTION_STEPS = 10
# How far a pixel stays from 0, half ink, where it must not become ink, or stay so.
INK_MARGIN = 0.05
# Length of the first and the last step, L2, and the change of the length allowed per step.
FIRST_STEP, LAST_STEP, LENGTH_RATE = 0.7, 0.01, 0.05
# Below this share of the first gradient, the units that lead on are switched off: there, the gradient of the
# network with this slope below 0 in place of ReLU is used.
VANISHING, LEAK = 0.5, 0.05


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A changed drawing, and what the model makes of it.

    picture: (H, W) float32, -1 to 1, for the canvas.
    change: (H, W) float64, of what the network sees.
    target: index of the class that it comes nearest to.
    vote: the vote of that class for the changed drawing.
    new_class: that class once it is predicted, else None.
    boundary_distance: the L2 norm of the shortest change found to the decision boundary, where the votes of both
        classes are equal; 0 where none was.
    progress: share of the work done.
    """

    picture: HostArray
    change: HostArray
    target: int
    vote: float
    new_class: int | None
    boundary_distance: float
    progress: float

    @property
    def distance(self) -> float:
        """The L2 norm of the change."""
        return float(np.linalg.norm(self.change))


def counterfactual(
    gradients: Gradients, model: Model, picture: HostArray, canvas: Canvas | None = None
) -> Iterator[Counterfactual]:
    """Searches for the smallest change of `picture` (1, H, W) with which the model predicts another class.

    The class must end past the model's threshold. The direction and the length of the change are searched in turns
    (Rony et al. 2019, decoupled direction and norm), pixels clipped to -1 to 1, from two starts: the shortest
    change to the decision boundary, and a picture of the class. The result is checked on the path of a drawing.
    gradients: loaded with the model's parameters; its batch is at least the number of classes.
    canvas: what the network sees of a picture on the canvas; None for the picture itself.
    """
    search = _Search(gradients, model, picture.astype(np.float64), canvas)
    targets, outcomes = search.targets()[:MAX_TARGETS], []
    for index, target in enumerate(targets):
        for found in search.toward(target):
            if found.progress < 1:
                yield replace(found, progress=(index + found.progress) / len(targets))
            else:
                outcomes.append(found)
    reached = [found for found in outcomes if found.new_class is not None]
    if reached:
        yield min(reached, key=lambda found: found.distance)
    else:
        yield max(outcomes, key=lambda found: found.vote, default=search.unchanged())


class _Search:
    """The search from one picture."""

    def __init__(self, gradients: Gradients, model: Model, start: HostArray, canvas: Canvas | None) -> None:
        self._gradients, self._model, self._start, self._canvas = gradients, model, start, canvas
        self._network = gradients.network
        self._range = _unlimited(start) if canvas is None else _range_within_bounds(start)
        self._surrogate: Gradients | None = None
        self._predictor = Predictor(model, numpy_backend("explanations"))
        self._computed: HostArray | None = None
        self._scores = self._scores_of(start)
        self._first_norm = 0.0
        self._steps = 0

    def targets(self) -> list[int]:
        """The other classes, the nearest first with the scores linearized."""
        top, slopes = int(self._scores.argmax()), self._slopes(self._leaky(), self._start)
        others = [at for at in range(len(self._scores)) if at != top]

        def nearness(other: int) -> float:
            norm = float(np.linalg.norm(slopes[other] - slopes[top]))
            return float(self._scores[top] - self._scores[other]) / norm if norm > 0 else np.inf

        return sorted(others, key=nearness) if np.isfinite(self._scores).all() else []

    def unchanged(self) -> Counterfactual:
        """The start, where no change was found."""
        return self._outcome(self._start, int(self._scores.argmax()), 0.0, 1.0)

    def toward(self, target: int) -> Generator[Counterfactual]:
        """Better and better changes to one class; the last one has progress 1."""
        self._steps, self._first_norm = 0, float(np.linalg.norm(self._ascent(self._start, target, True)))
        reached = yield from self._reach(target)
        boundary = yield from self._shorten(target, False, np.zeros_like(self._start), BOUNDARY_STEPS)
        starts = []
        if reached is not None:
            starts.append(self._bisected(target, True, reached))
            boundary = _shortest(boundary, self._bisected(target, False, reached))
        if boundary is not None:
            starts.append(boundary)
        best = None
        for change in starts:
            best = _shortest(best, (yield from self._shorten(target, True, change, SHORTEN_STEPS)))
        if best is not None:
            boundary = _shortest(boundary, self._bisected(target, False, best))
        yield self._on_canvas(target, boundary, best if best is not None else _longest(reached, boundary))

    def _reach(self, target: int) -> Generator[Counterfactual, None, HostArray | None]:
        """A change with which the class is past the threshold, not a short one; None if none was found."""
        # From where a drawing is far from the class and no way leads on, one leads from the blank picture.
        for start in (self._start, self._clipped(np.full_like(self._start, -1))):
            picture = start
            for _ in range(REACH_STEPS):
                if self._margin(self._scores_of(picture), target, True) >= 0:
                    return picture - self._start
                yield self._progress(picture, target)
                slope = self._within_range(picture, self._ascent(picture, target, True, self._leaky()))
                norm = float(np.linalg.norm(slope))
                if not 0 < norm < np.inf:
                    break
                picture = self._clipped(picture + FIRST_STEP / norm * slope)
        return None

    def _shorten(
        self, target: int, past_threshold: bool, change: HostArray, steps: int
    ) -> Generator[Counterfactual, None, HostArray | None]:
        """The shortest change found near `change` that is past the threshold, or else past the boundary."""
        shortest: HostArray | None = None
        least, length = np.inf, float(np.linalg.norm(change)) or FIRST_STEP
        improved_at = 0
        for step in range(steps):
            picture = self._start + change
            margin = self._margin(self._scores_of(picture), target, past_threshold)
            norm = float(np.linalg.norm(change))
            if margin >= 0 and norm < least:
                improved_at = step if norm < 0.998 * least else improved_at
                shortest, least = change, norm
            if shortest is not None and step - improved_at > PATIENCE:
                break
            yield self._progress(picture, target)
            slope = self._within_range(picture, self._slope(picture, target, past_threshold))
            slope_norm = float(np.linalg.norm(slope))
            if not np.isfinite(slope_norm) or not (slope_norm or change.any()):
                break
            size = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + math.cos(math.pi * step / steps)) / 2
            change = change + size / max(slope_norm, 1e-30) * slope
            growth = LENGTH_RATE if shortest is not None else 2 * LENGTH_RATE
            length = min(length * (1 - LENGTH_RATE if margin >= 0 else 1 + growth), least)
            change = self._clipped(self._start + length / np.linalg.norm(change) * change) - self._start
        return None if shortest is None else self._bisected(target, past_threshold, shortest)

    def _on_canvas(self, target: int, boundary: HostArray | None, change: HostArray | None) -> Counterfactual:
        """The outcome of the change where the network sees the canvas another way than it is, moved on until the
        class is predicted there."""
        if change is None or self._canvas is None:
            distance = 0.0 if boundary is None else float(np.linalg.norm(boundary))
            return self._outcome(self._start + (0 if change is None else change), target, distance, 1.0)
        at_boundary = None if boundary is None else self._moved_on(target, False, boundary)
        distance = 0.0 if at_boundary is None else float(np.linalg.norm(self._seen(at_boundary) - self._start))
        return self._outcome(self._moved_on(target, True, change), target, distance, 1.0)

    def _moved_on(self, target: int, past_threshold: bool, change: HostArray) -> HostArray:
        """A picture on the canvas, from the start with the change on, with which the class is past the threshold,
        or the boundary; the last one tried if none is."""
        picture = self._start + change
        for _ in range(CANVAS_STEPS):
            seen = self._seen(picture)
            margin = self._margin(self._scores_of(seen), target, past_threshold)
            if margin >= 0:
                return self._start + self._bisected(target, past_threshold, picture - self._start, on_canvas=True)
            slope = self._within_range(picture, self._slope(seen, target, past_threshold))
            squared = float(np.square(slope).sum())
            if not 0 < squared < np.inf:
                break
            # Beyond what the linearized score needs, since the canvas is seen blurred.
            size = min((PAST_THRESHOLD - 1.2 * margin) / squared, FIRST_STEP / math.sqrt(squared))
            picture = self._clipped(picture + size * slope)
        return picture

    def _bisected(self, target: int, past_threshold: bool, change: HostArray, on_canvas: bool = False) -> HostArray:
        """The change, shortened along its direction as far as it stays past the threshold, or the boundary."""
        low, high = 0.0, 1.0
        for _ in range(BISECTION_STEPS):
            middle = (low + high) / 2
            picture = self._start + middle * change
            scores = self._scores_of(self._seen(picture) if on_canvas else picture)
            is_past = self._margin(scores, target, past_threshold) >= 0
            low, high = (low, middle) if is_past else (middle, high)
        return high * change

    def _outcome(
        self, picture: HostArray, target: int, boundary_distance: float, progress: float
    ) -> Counterfactual:
        """What the model predicts for a picture on the canvas."""
        shown = picture[0].astype(np.float32).clip(-1, 1)
        seen = self._seen(shown[None])[0].astype(np.float32)
        prediction = self._predictor.predict(seen)
        is_predicted = prediction.predicted_class == self._network.classes[target]
        moved = target != int(self._scores.argmax())
        return Counterfactual(
            shown, seen - self._start[0], target, float(prediction.votes[target]),
            target if is_predicted and moved else None, boundary_distance, progress,
        )  # fmt: skip

    def _progress(self, picture: HostArray, target: int) -> Counterfactual:
        """A picture of the search."""
        self._steps += 1
        total = 2 * REACH_STEPS + BOUNDARY_STEPS + 2 * SHORTEN_STEPS
        share = min(self._steps / total, 0.99)
        change = (picture - self._start)[0]
        return Counterfactual(picture[0].astype(np.float32), change, target, 0.0, None, 0.0, share)

    # --- scores

    def _seen(self, picture: HostArray) -> HostArray:
        """What the network sees of a picture (1, H, W) on the canvas."""
        return picture if self._canvas is None else self._canvas(picture.astype(np.float32)).astype(np.float64)

    def _scores_of(self, seen: HostArray) -> HostArray:
        """The scores of what the network sees, (classes,)."""
        if seen is not self._computed:
            self._gradients.forward(seen)
            self._computed = seen
        return self._gradients.output(len(self._network.layers))

    def _margin(self, scores: HostArray, target: int, past_threshold: bool) -> float:
        """How far the class's score is past the decision boundary, or past what its vote must reach: below 0 before
        it."""
        others = np.delete(scores, target)
        lead = float(scores[target] - others.max())
        if not past_threshold:
            return lead
        lead -= PAST_OTHERS if self._network.vote == "softmax" else PAST_OTHER_SCORES
        least = self._least_lead
        return lead if least is None else min(lead, float(scores[target]) - _log_sum(others) - least)

    @property
    def _least_lead(self) -> float | None:
        """The least logit of a vote that is past the threshold; None without a threshold."""
        threshold = self._model.threshold
        if threshold is None or self._network.vote != "softmax":
            return None
        bounded = min(max(threshold, 1e-6), 1 - 1e-6)
        return math.log(bounded / (1 - bounded)) + PAST_THRESHOLD

    def _slope(self, seen: HostArray, target: int, past_threshold: bool) -> HostArray:
        """The gradient of the margin; where it vanishes, that of the leaky network."""
        slope = self._ascent(seen, target, past_threshold)
        if np.linalg.norm(slope) < VANISHING * self._first_norm:
            slope = self._ascent(seen, target, past_threshold, self._leaky())
        return slope

    def _ascent(
        self, seen: HostArray, target: int, past_threshold: bool, gradients: Gradients | None = None
    ) -> HostArray:
        """The gradient of the class's score less that of the others, each weighted by its vote; without a
        threshold, of the highest other."""
        slopes = self._slopes(gradients or self._gradients, seen)
        others = self._scores_of(seen)
        others[target] = -np.inf
        weights = np.zeros(len(others))
        if past_threshold and self._least_lead is not None:
            weights = np.exp(others - _log_sum(others))
        else:
            weights[others.argmax()] = 1.0
        ascent: HostArray = slopes[target] - np.tensordot(weights, slopes, 1)
        return ascent

    def _slopes(self, gradients: Gradients, seen: HostArray) -> HostArray:
        """The gradient of each score."""
        if gradients is self._gradients:
            self._scores_of(seen)
        else:
            gradients.forward(seen)
        count = len(self._network.classes)
        return gradients.backward(len(self._network.layers), [(at,) for at in range(count)])[0]

    def _clipped(self, picture: HostArray) -> HostArray:
        clipped: HostArray = np.clip(picture, *self._range)
        return clipped

    def _within_range(self, picture: HostArray, slope: HostArray) -> HostArray:
        """The gradient without the pixels at the end of their range, which cannot move further."""
        least, most = self._range
        stuck = (picture >= most) & (slope > 0) | (picture <= least) & (slope < 0)
        moving: HostArray = np.where(stuck, 0.0, slope)
        return moving

    def _leaky(self) -> Gradients:
        """Gradients that pass units that are switched off."""
        if self._surrogate is None:
            network = self._network
            layers = tuple(map(_leaky_layer, network.layers))
            leaky = Network(network.input_shape, layers, classes=network.classes, vote=network.vote)
            self._surrogate = Gradients(leaky, len(network.classes))
            self._surrogate.load(self._model.parameters)
        return self._surrogate


def _unlimited(picture: HostArray) -> tuple[HostArray, HostArray]:
    """The least and the most of each pixel."""
    return np.full_like(picture, -1), np.ones_like(picture)


def _range_within_bounds(picture: HostArray) -> tuple[HostArray, HostArray]:
    """As `_unlimited`, for changes that keep the bounds of the ink, by which a canvas is fitted to the frame: no
    ink appears outside them, and on each side one pixel of it stays."""
    least, most = _unlimited(picture)
    ink = picture[0] > 0
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return least, most
    outside = np.ones_like(ink)
    outside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
    most[0][outside] = -INK_MARGIN
    for row in (rows[0], rows[-1]):
        least[0, row, picture[0, row].argmax()] = INK_MARGIN
    for column in (columns[0], columns[-1]):
        least[0, picture[0, :, column].argmax(), column] = INK_MARGIN
    return np.minimum(least, picture), np.maximum(most, picture)


def _leaky_layer(layer: Layer) -> Layer:
    """The layer with a slope below 0 where it has none."""
    return LeakyReLU(LEAK) if layer.traits.zeroes_negatives else layer.with_inner(_leaky_layer)


def _log_sum(scores: HostArray) -> float:
    """The logarithm of the sum of the exponentials."""
    most = float(scores.max())
    return most + math.log(float(np.exp(scores - most).sum()))


def _shortest(one: HostArray | None, other: HostArray | None) -> HostArray | None:
    known = [change for change in (one, other) if change is not None]
    return min(known, key=lambda change: float(np.linalg.norm(change)), default=None)


def _longest(one: HostArray | None, other: HostArray | None) -> HostArray | None:
    known = [change for change in (one, other) if change is not None]
    return max(known, key=lambda change: float(np.linalg.norm(change)), default=None)
