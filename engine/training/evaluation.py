"""Evaluation: how well a network reads examples whose labels are known. Nothing is learnt here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.data.pool import HELD_OUT, PIECE, PoolSettings, piece
from engine.nn.layers import ShapeError, shape_text
from engine.nn.losses import cross_entropy
from engine.nn.model import Moment, Subject
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.training.history import History
from engine.training.train_step import reading_size

HostArray: TypeAlias = "np.ndarray[Any, Any]"

# Pictures a GPU reads at once: enough to fill it, few enough for a large network's maps.
GPU_BATCH = 256


@dataclass(frozen=True, eq=False)
class Score:
    """How well a network reads examples. loss: mean error of all; accuracy: share of the labelled ones whose class
    has the most votes; by_class: the same for each class alone; nan where there is no such example. confusion:
    (classes + 1, classes) int64, how many examples of each class, and last of "neither", were read as each
    class."""

    loss: float
    accuracy: float
    by_class: dict[str, float]
    confusion: HostArray


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a network made of held-out examples: its scores (N, classes) float32, infinite or nan where they
    overflow, and how good they are."""

    scores: HostArray
    score: Score


class Judge:
    """Reads the same examples again and again, each time by other parameters, in pieces that can be waited
    between."""

    def __init__(self, network: Network, backend: Backend, given: Examples) -> None:
        most = max(1, len(given))
        size = min(most, GPU_BATCH) if backend.name == "gpu" else reading_size(network, most)
        self._given, self._network, self._backend = given, network, backend
        self._plan = Plan(network, backend, size)

    def pieces(self, parameters: Parameters, seconds: float = math.inf) -> Iterator[Judgement | None]:
        """Read the examples by `parameters`; None after each piece, and about every `seconds` within one; at last
        the judgement."""
        plan, images, size = self._plan, self._given.images, self._plan.batch
        plan.load(parameters)
        found = np.empty((len(images), len(self._network.classes)), np.float32)
        batch = np.zeros((size, *self._network.input_shape), np.float32)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            batch[: len(part)] = part
            yield from unwarned(plan.slices(batch, seconds))
            found[start : start + size] = self._backend.operations.to_host(plan.scores).T[: len(part)]
            yield None
        yield Judgement(found, score(found, self._given.labels, self._network.classes))


def unwarned(reading: Iterator[None]) -> Iterator[None]:
    """The same pieces of a pass. Parameters may be so large that their products overflow: the scores say so, and no
    warning need."""
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            if next(reading, reading) is reading:
                return
        yield


def check_fit(network: Network, given: Examples) -> None:
    """Raises ShapeError unless the examples are of the network's input and classes."""
    if given.images.shape[1:] != network.input_shape:
        raise ShapeError(
            f"The network reads pictures {shape_text(network.input_shape)}, but the examples are "
            f"{shape_text(given.images.shape[1:])}; choose another network or fit the pictures."
        )
    if given.classes != network.classes:
        raise ShapeError(
            f"The network tells {', '.join(network.classes)} apart, but the examples are "
            f"{', '.join(given.classes)}; choose a network with these classes."
        )


def judge(network: Network, parameters: Parameters, given: Examples, backend: Backend) -> Judgement:
    """How well `parameters` read the given examples, in one go."""
    (found,) = (piece for piece in Judge(network, backend, given).pieces(parameters) if piece is not None)
    return found


def score(found: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Score:
    """How good the scores (N, classes) are for labels (N,), -1 for "neither"; the loss is nan where they
    overflowed."""
    chosen = found.argmax(1)
    right = chosen == labels
    confusion = np.zeros((len(classes) + 1, len(classes)), np.int64)
    np.add.at(confusion, (np.where(labels < 0, len(classes), labels), chosen), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = float(cross_entropy(found, labels).mean()) if len(labels) else float("nan")
    return Score(
        loss,
        _share(right[labels >= 0]),
        {name: _share(right[labels == place]) for place, name in enumerate(classes)},
        confusion,
    )


def _share(right: HostArray) -> float:
    return float(right.mean()) if len(right) else float("nan")


MOST: Final = 400  # kept at most


class Judgements:
    """The judgements of one network, a piece at a time."""

    def __init__(self) -> None:
        self._known: dict[Moment, Judgement] = {}
        self._under_way: tuple[Moment, Iterator[Judgement | None]] | None = None

    def __contains__(self, at: Moment) -> bool:
        return at in self._known

    def clear(self) -> None:
        """Forget all: another network begins."""
        self._known.clear()
        self._under_way = None

    def remember(self, at: Moment, judgement: Judgement) -> None:
        """Keep a judgement, and forget the oldest where there are many."""
        self._known[at] = judgement
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def advance(
        self,
        at: Moment,
        network: Network,
        backend: Backend,
        held_out: Examples,
        parameters: Callable[[], Parameters | None],
        seconds: float = math.inf,
    ) -> None:
        """One piece of reading the held-out examples by the parameters of `at`, which are asked for once.
        seconds: after which a piece may end."""
        if self._under_way is None or self._under_way[0] != at:
            now = parameters()
            assert now is not None
            self._under_way = at, Judge(network, backend, held_out).pieces(now, seconds)
        judgement = next(self._under_way[1])
        if judgement is not None:
            self.remember(at, judgement)

    def at(self, shown: Moment, running: bool) -> Judgement | None:
        """How they are read at a moment; while it trains, as they were read last before it."""
        if not running or shown in self._known:
            return self._known.get(shown)
        steps = [at.step for at in self._known if at.branch == shown.branch and at.step <= shown.step]
        return self._known[Moment(shown.branch, max(steps))] if steps else None


SLICE: Final = 0.005  # seconds: about so long is a piece of a large network's pass


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out examples, and what was made of them."""

    examples: Examples
    judgement: Judgement


class Judging:
    """Judges the subject last asked for on the held-out examples of the settings last asked for."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._subject: Subject | None = None
        self._settings: PoolSettings | None = None
        self._examples: Examples | None = None
        self._pieces: Iterator[None] | None = None
        self._found: HeldOut | None = None

    def follow(self, subject: Subject, settings: PoolSettings) -> None:
        """Judge this subject on these, unless that has been done or given up. Its network reads pictures of the
        settings' side and tells X from O."""
        if subject is self._subject and settings == self._settings:
            return
        if settings != self._settings:
            self._examples = self._found = None
        self._subject, self._settings = subject, settings
        self._pieces = self._work(subject, settings)

    @property
    def busy(self) -> bool:
        """Whether it is not done yet."""
        return self._pieces is not None

    def work(self, seconds: float) -> None:
        """Go on for about so long. Raises what Judge raises, for a network that is too large."""
        ends = perf_counter() + seconds
        while self._pieces is not None and perf_counter() < ends:
            if next(self._pieces, self) is self:
                self._pieces = None

    def give_up(self) -> None:
        """Judge nothing until something else is asked for."""
        self._pieces = None

    def report(self) -> HeldOut | None:
        """What was found last; None before anything was."""
        return self._found

    def _work(self, subject: Subject, settings: PoolSettings) -> Iterator[None]:
        if self._examples is None:
            parts = []
            for number in range(-(-settings.held_out // PIECE)):
                parts.append(piece(settings, HELD_OUT, number))
                yield
            images, labels = (
                np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels")
            )
            self._examples = Examples(images, labels, parts[0].classes)
        examples = self._examples
        for judgement in Judge(subject.network, self._backend, examples).pieces(subject.parameters, SLICE):
            if judgement is not None:
                self._found = HeldOut(examples, judgement)
            yield


SAMPLE: Final = 256  # examples, spread evenly: reading them costs a step or two


class Recall:
    """Reads the same sample again and again, a piece at a time."""

    def __init__(self, network: Network, backend: Backend, learnt_from: Examples) -> None:
        places = np.unique(np.linspace(0, len(learnt_from) - 1, SAMPLE).round().astype(np.intp))
        self._network, self._sample = network, learnt_from.take(places)
        self._judge = Judge(network, backend, self._sample)
        self._pieces: Iterator[Judgement | None] | None = None
        self._at = Moment(-1, -1)

    @property
    def busy(self) -> bool:
        """Whether a reading is under way."""
        return self._pieces is not None

    def begin(self, at: Moment, parameters: Parameters, seconds: float) -> None:
        """Read them by the parameters of `at`. seconds: after which a piece may end."""
        self._at, self._pieces = at, self._judge.pieces(parameters, seconds)

    def advance(self, history: History) -> None:
        """One piece; at the end the share read rightly is written into the history."""
        assert self._pieces is not None
        try:
            found = next(self._pieces)
        except DeviceFault:
            # What trains says what has happened to the device; here one reading is left out.
            self._judge, self._pieces = Judge(self._network, numpy_backend("the GPU failed"), self._sample), None
            return
        if found is not None:
            self._pieces = None
            history.recall(self._at.branch, self._at.step, found.score.accuracy)


@dataclass(frozen=True)
class Calibration:
    """threshold: the vote below which the verdict is "unsure". named: of each class and of "neither" the share that
    gets the right verdict with it; wrong: the share of all that is called a class it is not."""

    threshold: float
    named: dict[str, float]
    wrong: float


def calibrate(votes: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Calibration:
    """The threshold with the best mean, over the classes and "neither", of the share that is named rightly.

    votes (N, classes), labels (N,) with -1 for neither. Thresholds are tried upward from equal votes in steps of
    0.005; of equally good ones the middle is taken. Raises ValueError unless every class and "neither" occurs.
    """
    missing = [place for place in range(-1, len(classes)) if not (labels == place).any()]
    if missing:
        raise ValueError("Choosing the threshold needs examples of every class and of neither; some are missing.")
    tried = np.arange(1 / len(classes), 0.9951, 0.005)
    means = np.array([np.mean(list(_named(votes, labels, classes, at).values())) for at in tried])
    best = np.flatnonzero(means >= means.max() - 1e-12)
    threshold = round(float(tried[best[len(best) // 2]]), 3)
    sure = votes.max(1) >= threshold
    wrong = float((sure & (votes.argmax(1) != labels)).mean())
    return Calibration(threshold, _named(votes, labels, classes, threshold), wrong)


def _named(votes: HostArray, labels: HostArray, classes: tuple[str, ...], threshold: float) -> dict[str, float]:
    """Of each class and of "neither", the share that gets the right verdict."""
    top, sure = votes.argmax(1), votes.max(1) >= threshold
    shares = {name: float((sure & (top == place))[labels == place].mean()) for place, name in enumerate(classes)}
    return shares | {"neither": float(1 - sure[labels < 0].mean())}
