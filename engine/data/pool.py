"""Data sources for training, and pools of generated examples that are filled chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from engine.data.dataset import Examples
from engine.data.labelled_drawings import OwnDrawing, counted, own_examples
from engine.data.xo.generator import CLASSES, examples, numbers
from engine.data.xo.settings import XOSettings

# Second words of the generator's seeds: separate random streams, so that no held-out drawing is ever trained on.
TRAINING, HELD_OUT = 0, 1

PIECE: Final = 100  # drawings generated at once: about 10 ms
OWN_PIECE: Final = 20  # labelled drawings may be large pictures or have many strokes
BUDGET: Final = 256 * 2**20  # bytes


class Source(Protocol):
    """The source of the examples of each epoch."""

    @property
    def count(self) -> int:
        """Examples per epoch, constant."""
        ...

    def epoch(self, number: int) -> Examples:
        """The examples of epoch `number`, from 0; deterministic."""
        ...


@dataclass(frozen=True)
class Generated:
    """Generates `count` new drawings for each epoch; held-out drawings use a separate random stream."""

    settings: XOSettings
    count: int
    seed: int

    def epoch(self, number: int) -> Examples:
        return examples(self.settings, self.count, (self.seed, TRAINING, number))

    def held_out(self, count: int) -> Examples:
        """`count` drawings that occur in no epoch."""
        return examples(self.settings, count, (self.seed, HELD_OUT))


@dataclass(frozen=True)
class Fixed:
    """The same examples in every epoch."""

    examples: Examples

    @property
    def count(self) -> int:
        return len(self.examples)

    def epoch(self, number: int) -> Examples:
        return self.examples


@dataclass(frozen=True)
class PoolSettings:
    """Settings of the generated examples of a pool; the same settings give the same bytes, in the window and in
    `xo train --fixed`.

    drawing: how they are drawn
    count: number of training examples
    held_out: number of held-out examples for evaluation
    seed: of the generator

    Raises ValueError for counts below 1.
    """

    drawing: XOSettings
    count: int = 16_000
    held_out: int = 2_000
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("count", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"The data need {name} of at least 1, not {getattr(self, name)}.")

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The number of training examples that are X, O and neither."""
        chunks = [numbers(self.drawing, min(PIECE, self.count - first)) for first in range(0, self.count, PIECE)]
        crosses, circles, others = (sum(counts) for counts in zip(*chunks, strict=True))
        return crosses, circles, others


@dataclass(frozen=True)
class Lesson:
    """The training data of a branch: generated drawings, followed by the user's labelled drawings."""

    data: PoolSettings
    own: tuple[OwnDrawing, ...] = ()

    @property
    def count(self) -> int:
        """Examples per epoch."""
        return self.data.count + counted(self.own)

    @property
    def nbytes(self) -> int:
        """Size of all pictures as float32, in bytes."""
        return 4 * self.data.drawing.side**2 * (self.count + self.data.held_out)


class Pool:
    """A fixed set of examples, generated in chunks.

    Each `generate_next` adds a chunk until `progress` is 1. labelled: drawings appended to the training
    examples, each repeated by its weight.
    """

    def __init__(self, settings: PoolSettings, labelled: Sequence[OwnDrawing] = ()) -> None:
        self.settings, self._labelled = settings, tuple(labelled)
        self._chunks: dict[int, list[Examples]] = {TRAINING: [], HELD_OUT: []}
        self._rendered: list[Examples] = []
        self._generated = 0
        self._joined: dict[int, Examples] = {}

    @property
    def done(self) -> float:
        """The fraction of the examples that is generated, 0 to 1."""
        return self._generated / (self.settings.count + self.settings.held_out + len(self._labelled))

    def grow(self) -> None:
        """Generates one more chunk, if any is missing. Raises ValueError for a drawing with an unknown label."""
        if self._generated < len(self._labelled):
            labelled = self._labelled[self._generated : self._generated + OWN_PIECE]
            self._rendered.append(own_examples(labelled, self.settings.drawing.side, CLASSES))
            self._generated += len(labelled)
            return
        if self.done == 1:
            return
        for stream, count in ((TRAINING, self.settings.count), (HELD_OUT, self.settings.held_out)):
            chunks = self._chunks[stream]
            if sum(map(len, chunks)) < count:
                chunks.append(piece(self.settings, stream, len(chunks)))
                self._generated += len(chunks[-1])
                return

    def fill(self) -> None:
        """Generates all missing chunks."""
        while self.done < 1:
            self.grow()

    @property
    def training(self) -> Examples:
        """The training examples, labelled drawings last. Raises ValueError while some are missing."""
        return self._join(TRAINING, self._rendered)

    @property
    def held_out(self) -> Examples:
        """The held-out examples. Raises ValueError while some are missing."""
        return self._join(HELD_OUT, [])

    def _join(self, stream: int, more: list[Examples]) -> Examples:
        if self.done < 1:
            raise ValueError("The examples are not all generated yet.")
        if stream not in self._joined:
            chunks = self._chunks[stream] + more
            images = np.concatenate([chunk.images for chunk in chunks])
            labels = np.concatenate([chunk.labels for chunk in chunks])
            self._joined[stream] = Examples(images, labels, chunks[0].classes)
            self._chunks[stream] = []  # frees the copies
        return self._joined[stream]


def piece(settings: PoolSettings, stream: int, number: int) -> Examples:
    """Chunk `number`, from 0, of the training or held-out stream: CHUNK_SIZE examples, fewer in the last chunk."""
    count = settings.held_out if stream == HELD_OUT else settings.count
    return examples(settings.drawing, min(PIECE, count - PIECE * number), (settings.seed, stream, number))


class Pools:
    """LRU cache of pools. An evicted pool is generated again with the same bytes.

    budget: size of all pools in bytes; retained pools may exceed it.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._pools: dict[Lesson, Pool] = {}

    def of(self, data: Lesson) -> Pool:
        """The pool of this training data, possibly incomplete."""
        pool = self._pools.pop(data, None) or Pool(data.data, data.own)
        self._pools[data] = pool
        return pool

    def need(self, *retained: Lesson) -> None:
        """Retains these pools; evicts others, least recently used first, until all fit the budget."""
        for data in [each for each in self._pools if each not in retained]:
            if sum(each.nbytes for each in self._pools) > self._budget:
                del self._pools[data]
