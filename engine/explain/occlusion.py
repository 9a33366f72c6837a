"""Occlusion: what the network says when a patch of the drawing is covered, patch by patch (Zeiler, Fergus 2013)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.backends.backend import numpy_backend
from engine.backends.ops import HostArray
from engine.documents.document import Subject
from engine.plan import Plan

# What a covered pixel is: background.
COVER = -1.0
# Pictures at a time: fewer where one costs much, so that there is soon something to see, and it is soon given up.
MOST_MULTIPLIES, MOST_PICTURES = 4_000_000, 32


def patches(length: int) -> tuple[int, list[int]]:
    """How long a patch is on a side of `length` pixels, an eighth of it, and where each begins, half a patch on."""
    size = max(1, round(length / 8))
    starts = list(range(0, length - size, max(1, size // 2)))
    return size, [*starts, length - size]


class Occlusion:
    """Reads covered pictures with one subject; plans are kept for the next drawing."""

    def __init__(self, subject: Subject) -> None:
        cost = sum(cost.multiplies for cost in subject.network.costs)
        self.batch = max(1, min(MOST_PICTURES, MOST_MULTIPLIES // max(cost, 1)))
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
