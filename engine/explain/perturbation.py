"""Occlusion: what the network says when a patch of the drawing is covered, patch by patch (Zeiler, Fergus 2013)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.backends.backend import numpy_backend
from engine.backends.ops import HostArray
from engine.data.dataset import Examples
from engine.data.xo.generator import CLASSES, examples
from engine.data.xo.settings import XOSettings
from engine.explain.attribution import Gradients
from engine.nn.model import Subject
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.nn.weight_editing import switched_off
from engine.training.evaluation import Judge, Judgement

# What a covered pixel is: background.
COVER = -1.0
# Pictures at a time: fewer where one costs much, so that there is soon something to see, and it is soon given up.
MOST_MULTIPLIES, MAX_PICTURES = 4_000_000, 32


def patches(length: int) -> tuple[int, list[int]]:
    """How long a patch is on a side of `length` pixels, an eighth of it, and where each begins, half a patch on."""
    size = max(1, round(length / 8))
    starts = list(range(0, length - size, max(1, size // 2)))
    return size, [*starts, length - size]


class Occlusion:
    """Reads covered pictures with one subject; plans are kept for the next drawing."""

    def __init__(self, subject: Subject) -> None:
        cost = sum(cost.multiplies for cost in subject.network.costs)
        self.batch = max(1, min(MAX_PICTURES, MOST_MULTIPLIES // max(cost, 1)))
        self._plan = Plan(subject.network, numpy_backend("explanations"), self.batch)
        self._plan.load(subject.parameters)
        self.subject = subject

    def drops(self, picture: HostArray, target: int) -> Iterator[tuple[float, HostArray]]:
        """The share that is done and (H, W) float64: for each pixel by how much the score of `target` drops on
        average when a patch over it is covered; NaN where none was yet. In a scattered order that is always the
        same, so that the whole drawing soon shows."""
        high, wide = picture.shape[1:]
        (tall, rows), (broad, columns) = patches(high), patches(wide)
        places = [(row, column) for row in rows for column in columns]
        order = np.random.default_rng(0).permutation(len(places))
        whole = self._scores(picture[None], target)[0]
        sums, counts = np.zeros((high, wide)), np.zeros((high, wide))
        for first in range(0, len(order), self.batch):
            chosen = [places[at] for at in order[first : first + self.batch].tolist()]
            covered = np.repeat(picture[None], len(chosen), axis=0)
            for at, (row, column) in enumerate(chosen):
                covered[at, :, row : row + tall, column : column + broad] = COVER
            for (row, column), score in zip(chosen, self._scores(covered, target), strict=True):
                sums[row : row + tall, column : column + broad] += whole - score
                counts[row : row + tall, column : column + broad] += 1
            done = min(first + self.batch, len(order)) / len(order)
            yield done, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def _scores(self, pictures: HostArray, target: int) -> list[float]:
        filled = np.zeros((self.batch, *pictures.shape[1:]), np.float32)
        filled[: len(pictures)] = pictures
        with np.errstate(over="ignore", invalid="ignore"):
            scores: list[float] = np.array(self._plan.forward(filled))[target, : len(pictures)].tolist()
        return scores


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


# Drawings that nobody learns from: apart from the seeds of training, which begin at 1. So many tell features apart.
SEED, COUNT = 70_707, 200
# Of held-out examples so many are read: each feature takes a reading of all.
MOST = 500
# Seconds that a piece of it may take.
PIECE = 0.01


@dataclass(frozen=True)
class Loss:
    """What switching a feature off costs: how much the mean error rises, and how much the share of those read
    rightly falls."""

    channel: int
    error: float
    accuracy: float


def ablation(subject: Subject, layer: int, given: Examples) -> Iterator[tuple[float, tuple[Loss, ...]]]:
    """The share that is done, and what is known: for every feature, or value, of `layer`, counted from 1, which
    must have weights. given: what is read, as `drawings` gives them."""
    network = subject.network
    yield 0.0, ()
    judge = Judge(network, numpy_backend("explanations"), given)
    count = network.shapes[layer][0]
    whole: Judgement | None = None
    found: tuple[Loss, ...] = ()
    for step in range(-1, count):
        parameters: Parameters = subject.parameters if step < 0 else switched_off(subject, layer, step).parameters
        judged: Judgement | None = None
        for judged in judge.pieces(parameters, PIECE):
            if judged is None:
                yield (step + 1) / (count + 2), found
        assert judged is not None
        if whole is None:
            whole = judged
        else:
            before, after = whole.score, judged.score
            found = (*found, Loss(step, after.loss - before.loss, before.accuracy - after.accuracy))
    yield 1.0, found


def drawings(network: Network, held_out: Examples | None) -> tuple[Examples, bool]:
    """What to try a network with, and whether training holds it out: the first of `held_out`, if there are any and
    they fit, or else generated drawings, half of them X, always the same. Raises ValueError if there are none."""
    kind = network.input_shape, network.classes
    if held_out is not None and len(held_out) and kind == (held_out.images.shape[1:], held_out.classes):
        return Examples(held_out.images[:MOST], held_out.labels[:MOST], held_out.classes), True
    if network.classes != CLASSES:
        raise ValueError("Only X and O can be generated: train this network, and what it holds out is tried.")
    return examples(_settings(network), COUNT, SEED), False


def _settings(network: Network) -> XOSettings:
    """Drawings as large as the network reads them, none of which is neither."""
    return XOSettings(side=network.input_shape[1], neither=0.0)
