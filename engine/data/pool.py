"""Pool: a fixed set of examples that is made piece by piece, so that whoever makes it can stop in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from engine.data.dataset import Examples
from engine.data.labelled_drawings import OwnDrawing, counted, own_examples
from engine.data.xo.generator import CLASSES, examples, numbers
from engine.data.xo.settings import XOSettings

# Second words of the generator's seeds, so that no held-out drawing is ever trained on.
TRAINING, HELD_OUT = 0, 1


class Source(Protocol):
    """Where the examples of an epoch come from."""

    @property
    def count(self) -> int:
        """How many examples an epoch has, the same for each."""
        ...

    def epoch(self, number: int) -> Examples:
        """The examples of epoch `number`, from 0; the same number gives the same examples."""
        ...


@dataclass(frozen=True)
class Generated:
    """A source of fresh generated drawings: `count` new ones an epoch. Held-out ones never share their seed."""

    settings: XOSettings
    count: int
    seed: int

    def epoch(self, number: int) -> Examples:
        """The drawings of epoch `number`."""
        return examples(self.settings, self.count, (self.seed, TRAINING, number))

    def held_out(self, count: int) -> Examples:
        """`count` drawings that no epoch gives."""
        return examples(self.settings, count, (self.seed, HELD_OUT))


@dataclass(frozen=True)
class Fixed:
    """A source that gives the same examples in every epoch."""

    examples: Examples

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.examples)

    def epoch(self, number: int) -> Examples:
        """The examples."""
        return self.examples


# Drawings made at once: some 10 ms of work.
PIECE: Final = 100
OWN_PIECE: Final = 20  # a person's own may be large pictures, or have many strokes
BUDGET: Final = 256 * 2**20  # bytes


@dataclass(frozen=True)
class PoolSettings:
    """Which examples a pool holds: `count` generated drawings to learn from and `held_out` to judge by, drawn as
    `drawing` says from `seed`; the same settings give the same bytes, in the window and in `xo train --fixed`.
    Raises ValueError for counts below 1."""

    drawing: XOSettings
    count: int = 16_000
    held_out: int = 2_000
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks the counts."""
        for name in ("count", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"The data need {name} of at least 1, not {getattr(self, name)}.")

    @property
    def numbers(self) -> tuple[int, int, int]:
        """How many of those to learn from are X, O and neither."""
        parts = [numbers(self.drawing, min(PIECE, self.count - first)) for first in range(0, self.count, PIECE)]
        crosses, rounds, others = (sum(kind) for kind in zip(*parts, strict=True))
        return crosses, rounds, others


@dataclass(frozen=True)
class Lesson:
    """What a branch learns from: generated drawings, and the person's own after them."""

    data: PoolSettings
    own: tuple[OwnDrawing, ...] = ()

    @property
    def count(self) -> int:
        """How many examples an epoch has."""
        return self.data.count + counted(self.own)

    @property
    def nbytes(self) -> int:
        """What its pictures take, float32."""
        return 4 * self.data.drawing.side**2 * (self.count + self.data.held_out)


class Pool:
    """The examples of `settings`, growing at each `grow` until `done`. own: labelled drawings of the person, which
    follow those to learn from, each as often as its weight says."""

    def __init__(self, settings: PoolSettings, own: Sequence[OwnDrawing] = ()) -> None:
        self.settings, self._own = settings, tuple(own)
        self._parts: dict[int, list[Examples]] = {TRAINING: [], HELD_OUT: []}
        self._rendered: list[Examples] = []
        self._made = 0
        self._whole: dict[int, Examples] = {}

    @property
    def done(self) -> float:
        """The share that is made, 1 when nothing is missing."""
        return self._made / (self.settings.count + self.settings.held_out + len(self._own))

    def grow(self) -> None:
        """Make one more piece, if one is missing. Raises ValueError for a drawing of a class that is not there."""
        if self._made < len(self._own):
            own = self._own[self._made : self._made + OWN_PIECE]
            self._rendered.append(own_examples(own, self.settings.drawing.side, CLASSES))
            self._made += len(own)
            return
        if self.done == 1:
            return
        for which, wanted in ((TRAINING, self.settings.count), (HELD_OUT, self.settings.held_out)):
            parts = self._parts[which]
            made = sum(map(len, parts))
            if made < wanted:
                parts.append(piece(self.settings, which, len(parts)))
                self._made += len(parts[-1])
                return

    def fill(self) -> None:
        """Make all that are missing."""
        while self.done < 1:
            self.grow()

    @property
    def training(self) -> Examples:
        """Those to learn from, the person's own last. Raises ValueError while some are missing."""
        return self._joined(TRAINING, self._rendered)

    @property
    def held_out(self) -> Examples:
        """Those to judge by. Raises ValueError while some are missing."""
        return self._joined(HELD_OUT, [])

    def _joined(self, which: int, more: list[Examples]) -> Examples:
        if self.done < 1:
            raise ValueError("The examples are not all made yet.")
        if which not in self._whole:
            parts = self._parts[which] + more
            images = np.concatenate([part.images for part in parts])
            labels = np.concatenate([part.labels for part in parts])
            self._whole[which] = Examples(images, labels, parts[0].classes)
            self._parts[which] = []  # all is in one place now
        return self._whole[which]


def piece(settings: PoolSettings, which: int, number: int) -> Examples:
    """One piece of those to learn from (TRAINING) or held out (HELD_OUT), numbered from 0: PIECE of them, the last
    one fewer."""
    wanted = settings.held_out if which == HELD_OUT else settings.count
    return examples(settings.drawing, min(PIECE, wanted - PIECE * number), (settings.seed, which, number))


class Pools:
    """The pools asked for last. One that was let go is made anew: the same lesson gives the same bytes.

    budget: what all may take, in bytes, but for those that are needed.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: dict[Lesson, Pool] = {}

    def of(self, lesson: Lesson) -> Pool:
        """The pool of this lesson, which may still have to grow."""
        pool = self._kept.pop(lesson, None) or Pool(lesson.data, lesson.own)
        self._kept[lesson] = pool
        return pool

    def need(self, *lessons: Lesson) -> None:
        """These are needed from now on; others are let go, the longest unasked first, until all fit the budget."""
        for lesson in [each for each in self._kept if each not in lessons]:
            if sum(each.nbytes for each in self._kept) > self._budget:
                del self._kept[lesson]
