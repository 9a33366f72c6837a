"""Data sources for training, and pools of generated examples that are filled chunk by chunk."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.data.data_kind import DataSettings
from engine.data.dataset import Dataset, FixedSource
from engine.data.kinds import kind_of
from engine.data.labelled_samples import LabelledSample, encode_labelled, total_weight

# Second words of the generator's seeds: separate random streams, so that no held-out example is ever trained on.
TRAINING_STREAM, HELD_OUT_STREAM = 0, 1

CHUNK_SIZE: Final = 100  # examples generated at once: about 10 ms
LABELLED_CHUNK_SIZE: Final = 20  # labelled drawings may be large pictures or have many strokes
CACHE_BUDGET: Final = 256 * 2**20  # bytes
HELD_OUT_SHARE: Final = 0.2  # of the labelled drawings that are varied


class DataSource(Protocol):
    """The source of the examples of each epoch."""

    @property
    def count(self) -> int:
        """Examples per epoch, constant."""
        ...

    def epoch(self, number: int) -> Dataset:
        """The examples of epoch `number`, from 0; deterministic."""
        ...

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        """As `epoch`, which it returns; yields where other work may be done."""
        ...


@dataclass(frozen=True)
class GeneratedSource:
    """Generates `count` new examples for each epoch; held-out examples use a separate random stream."""

    settings: DataSettings
    count: int
    seed: int

    def epoch(self, number: int) -> Dataset:
        return kind_of(self.settings).generate(self.settings, self.count, (self.seed, TRAINING_STREAM, number))

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        seed = self.seed, TRAINING_STREAM, number
        return (yield from kind_of(self.settings).generate_in_slices(self.settings, self.count, seed))

    def held_out(self, count: int) -> Dataset:
        """`count` examples that occur in no epoch."""
        return kind_of(self.settings).generate(self.settings, count, (self.seed, HELD_OUT_STREAM))


class FreshSource:
    """The examples of a GeneratedSource, new in each epoch, followed by the same further ones; it keeps those of
    the epoch that was asked for last."""

    def __init__(self, generated: GeneratedSource, further: Dataset | None) -> None:
        self._generated, self._further = generated, further
        self._last: tuple[int, Dataset] | None = None

    @property
    def count(self) -> int:
        return self._generated.count + (0 if self._further is None else len(self._further))

    def epoch(self, number: int) -> Dataset:
        if self._last is None or self._last[0] != number:
            self._last = number, self._joined(self._generated.epoch(number))
        return self._last[1]

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        if self._last is None or self._last[0] != number:
            examples = yield from self._generated.epoch_in_slices(number)
            self._last = number, self._joined(examples)
        return self._last[1]

    def _joined(self, generated: Dataset) -> Dataset:
        return generated if self._further is None else _join([generated, self._further])


@dataclass(frozen=True)
class PoolSettings:
    """Settings of the generated examples of a pool; the same settings give the same bytes, in the window and in
    `xo train`.

    generator: the settings of their kind
    count: number of training examples of an epoch
    held_out: number of held-out examples for evaluation
    seed: of the generator
    fresh: every epoch has new training examples, those of a GeneratedSource, instead of the same ones

    Raises ValueError for counts below 1, and for new variations in every epoch.
    """

    generator: DataSettings
    count: int = 16_000
    held_out: int = 2_000
    seed: int = 1
    fresh: bool = False

    def __post_init__(self) -> None:
        for name in ("count", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"The data need {name} of at least 1, not {getattr(self, name)}.")
        if self.fresh and kind_of(self.generator).varies_labelled:
            raise ValueError("Variations of drawings are the same in every epoch: the data must not be fresh.")

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The number of training examples of each class, and of none."""
        chunks = [
            kind_of(self.generator).class_counts(self.generator, min(CHUNK_SIZE, self.count - first))
            for first in range(0, self.count, CHUNK_SIZE)
        ]
        return tuple(sum(counts) for counts in zip(*chunks, strict=True))

    @property
    def classes(self) -> tuple[str, ...]:
        return kind_of(self.generator).classes(self.generator)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the examples."""
        return kind_of(self.generator).input_shape(self.generator)


@dataclass(frozen=True)
class TrainingData:
    """The training data of a branch: generated examples, followed by the user's labelled drawings; or variations of
    these, for a kind of data that generates none."""

    generated: PoolSettings
    labelled_samples: tuple[LabelledSample, ...] = ()

    @property
    def count(self) -> int:
        """Examples per epoch."""
        return self.generated.count if self.varies else self.generated.count + total_weight(self.labelled_samples)

    @property
    def varies(self) -> bool:
        """Whether all examples are variations of the labelled drawings."""
        return kind_of(self.generated.generator).varies_labelled

    @property
    def generated_count(self) -> int:
        """Examples per epoch that are generated; the others are the user's."""
        return 0 if self.varies else self.generated.count

    def check(self) -> None:
        """Raises ValueError, one sentence, if there are too few labelled drawings to train on and to hold out."""
        if not self.varies:
            return
        classes = self.generated.classes
        counts = Counter(each.label for each in self.labelled_samples if each.weight)
        if sum(counts[name] > 1 for name in classes) < 2:
            raise ValueError(
                f"Training on {' and '.join(classes)} takes drawings of yours, at least two of each "
                "of two classes: draw one on the canvas and press the key of its class."
            )

    @property
    def nbytes(self) -> int:
        """Size of all pictures as float32, in bytes."""
        return 4 * math.prod(self.generated.input_shape) * (self.count + self.generated.held_out)


class ExamplePool:
    """The held-out examples and, unless every epoch has new ones, the training examples, generated in chunks.

    Each `generate_next` adds a chunk until `progress` is 1. labelled: drawings appended to the training
    examples, each repeated by its weight. For a kind of data that generates none, the training examples are
    variations of four in five of the drawings, as many of each label, and the others, unvaried, are held out.
    """

    def __init__(self, settings: PoolSettings, labelled: Sequence[LabelledSample] = ()) -> None:
        self.settings, self._labelled = settings, tuple(labelled)
        self._chunks: dict[int, list[Dataset]] = {TRAINING_STREAM: [], HELD_OUT_STREAM: []}
        self._rendered: list[Dataset] = []
        self._generated = 0
        self._joined: dict[int, Dataset] = {}
        self._varied: _VariedDrawings | None = None
        self._is_varied = kind_of(settings.generator).varies_labelled
        self._counts = {
            TRAINING_STREAM: 0 if settings.fresh else settings.count,
            HELD_OUT_STREAM: 0 if self._is_varied else settings.held_out,
        }

    @property
    def progress(self) -> float:
        """The fraction of the examples that is generated, 0 to 1."""
        return self._generated / (sum(self._counts.values()) + len(self._labelled))

    def generate_next(self) -> None:
        """Generates one more chunk, if any is missing. Raises ValueError for a drawing with an unknown label."""
        if self._generated < len(self._labelled):
            labelled = self._labelled[self._generated : self._generated + LABELLED_CHUNK_SIZE]
            self._generated += len(labelled)
            if self._is_varied:  # a weight repeats no drawing that may be held out
                labelled = tuple(replace(each, weight=1) for each in labelled if each.weight)
            self._rendered.append(encode_labelled(labelled, self.settings.generator))
            return
        if self.progress == 1:
            return
        if self._is_varied:
            self._vary_next()
            return
        for stream, count in self._counts.items():
            chunks = self._chunks[stream]
            if sum(map(len, chunks)) < count:
                chunks.append(generate_chunk(self.settings, stream, len(chunks)))
                self._generated += len(chunks[-1])
                return

    def _vary_next(self) -> None:
        if self._varied is None:
            weights = [each.weight for each in self._labelled if each.weight]
            self._varied = _VariedDrawings(self.settings, _join(self._rendered), np.array(weights, np.int64))
            self._rendered = []
            self._joined[HELD_OUT_STREAM] = self._varied.held_out
        chunks = self._chunks[TRAINING_STREAM]
        chunks.append(self._varied.chunk(len(chunks)))
        self._generated += len(chunks[-1])

    def generate_all(self) -> None:
        """Generates all missing chunks."""
        while self.progress < 1:
            self.generate_next()

    @property
    def training(self) -> Dataset:
        """The training examples, labelled drawings last. Raises ValueError while some are missing, and where every
        epoch has new ones."""
        return self._join(TRAINING_STREAM, self._rendered)

    @cached_property
    def source(self) -> DataSource:
        """The training examples of each epoch, labelled drawings last. Raises ValueError while some are missing."""
        if not self.settings.fresh:
            return FixedSource(self.training)
        if self.progress < 1:
            raise ValueError("The examples are not all generated yet.")
        generated = GeneratedSource(self.settings.generator, self.settings.count, self.settings.seed)
        return FreshSource(generated, _join(self._rendered) if self._rendered else None)

    @property
    def held_out(self) -> Dataset:
        """The held-out examples. Raises ValueError while some are missing."""
        return self._join(HELD_OUT_STREAM, [])

    def _join(self, stream: int, more: list[Dataset]) -> Dataset:
        if self.progress < 1:
            raise ValueError("The examples are not all generated yet.")
        if stream not in self._joined:
            if stream == TRAINING_STREAM and self.settings.fresh:
                raise ValueError("Every epoch has new examples: there is no set of all.")
            self._joined[stream] = _join(self._chunks[stream] + more)
            self._chunks[stream] = []  # frees the copies
        return self._joined[stream]


def _join(parts: Sequence[Dataset]) -> Dataset:
    """The examples of all parts, at least one, in their order."""
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return Dataset(images, labels, parts[0].classes)


class _VariedDrawings:
    """Variations of the part of labelled drawings that is trained on, chunk by chunk; the other part, `held_out`.

    drawings: each once. weights: (N,), how often each occurs beside the others of its label.
    """

    def __init__(self, settings: PoolSettings, drawings: Dataset, weights: NDArray[np.int64]) -> None:
        self._settings = settings
        training, held_out = drawings.split_indices(HELD_OUT_SHARE, settings.seed)
        self.held_out = drawings.take(held_out)
        self._drawings, weights = drawings.take(training), weights[training]
        labels = self._drawings.labels
        present = np.unique(labels)
        shares = np.array_split(np.arange(settings.count), len(present))
        order = np.concatenate(
            [
                np.resize(np.repeat(members, weights[members]), len(share))
                for share, members in zip(
                    shares, (np.flatnonzero(labels == label) for label in present), strict=True
                )
            ]
        )
        self._order = np.random.default_rng(settings.seed).permutation(order)

    def chunk(self, number: int) -> Dataset:
        """Chunk `number`, from 0, of CHUNK_SIZE examples, fewer in the last."""
        drawings = self._drawings.take(self._order[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE])
        generator, seed = self._settings.generator, self._settings.seed
        return kind_of(generator).vary(generator, drawings, (seed, TRAINING_STREAM, number))


def generate_chunk(settings: PoolSettings, stream: int, number: int) -> Dataset:
    """Chunk `number`, from 0, of the training or held-out stream: CHUNK_SIZE examples, fewer in the last chunk."""
    count = settings.held_out if stream == HELD_OUT_STREAM else settings.count
    return kind_of(settings.generator).generate(
        settings.generator, min(CHUNK_SIZE, count - CHUNK_SIZE * number), (settings.seed, stream, number)
    )


class PoolCache:
    """LRU cache of pools. An evicted pool is generated again with the same bytes.

    budget: size of all pools in bytes; retained pools may exceed it.
    """

    def __init__(self, budget: int = CACHE_BUDGET) -> None:
        self._budget = budget
        self._pools: dict[TrainingData, ExamplePool] = {}

    def get(self, data: TrainingData) -> ExamplePool:
        """The pool of this training data, possibly incomplete."""
        pool = self._pools.pop(data, None) or ExamplePool(data.generated, data.labelled_samples)
        self._pools[data] = pool
        return pool

    def retain(self, *retained: TrainingData) -> None:
        """Retains these pools; evicts others, least recently used first, until all fit the budget."""
        for data in [each for each in self._pools if each not in retained]:
            if sum(each.nbytes for each in self._pools) > self._budget:
                del self._pools[data]
