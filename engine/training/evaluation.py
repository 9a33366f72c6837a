"""Evaluation of a network on labelled examples: metrics, held-out and training accuracy, the "unsure" threshold."""

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

# Enough to fill a GPU, few enough for the feature maps of a large network.
GPU_BATCH = 256
MOST: Final = 400  # evaluations kept in the cache
SLICE: Final = 0.005  # seconds of a slice within a forward pass
SAMPLE: Final = 256  # training examples, evenly spread: they cost as much as a step or two


@dataclass(frozen=True, eq=False)
class Score:
    """Metrics of predictions.

    loss: mean cross-entropy of all examples.
    accuracy: share of the examples with a class that are predicted correctly, nan without any.
    by_class: the same by class.
    confusion: (classes + 1, classes) int64, true class ("neither" last) by predicted class.
    """

    loss: float
    accuracy: float
    by_class: dict[str, float]
    confusion: HostArray


@dataclass(frozen=True, eq=False)
class Judgement:
    """A network's scores (N, classes) float32 for examples, inf or nan where they overflow, and their metrics."""

    scores: HostArray
    score: Score


class Judge:
    """Evaluates one network on the same examples with changing parameters, in slices."""

    def __init__(self, network: Network, backend: Backend, examples: Examples) -> None:
        most = max(1, len(examples))
        size = min(most, GPU_BATCH) if backend.name == "gpu" else reading_size(network, most)
        self._examples, self._network, self._backend = examples, network, backend
        self._plan = Plan(network, backend, size)

    def pieces(self, parameters: Parameters, seconds: float = math.inf) -> Iterator[Judgement | None]:
        """Evaluate `parameters`: None after each batch and about every `seconds` within one, at last the result."""
        plan, images, size = self._plan, self._examples.images, self._plan.batch
        plan.load(parameters)
        scores = np.empty((len(images), len(self._network.classes)), np.float32)
        batch = np.zeros((size, *self._network.input_shape), np.float32)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            batch[: len(part)] = part
            yield from unwarned(plan.slices(batch, seconds))
            scores[start : start + size] = self._backend.operations.to_host(plan.scores).T[: len(part)]
            yield None
        yield Judgement(scores, score(scores, self._examples.labels, self._network.classes))


def unwarned(slices: Iterator[None]) -> Iterator[None]:
    """The slices of a forward pass without overflow warnings; the scores show an overflow anyway."""
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            if next(slices, slices) is slices:
                return
        yield


def check_fit(network: Network, examples: Examples) -> None:
    """Raises ShapeError unless the examples have the network's input shape and classes."""
    if examples.images.shape[1:] != network.input_shape:
        raise ShapeError(
            f"The network reads pictures {shape_text(network.input_shape)}, but the examples are "
            f"{shape_text(examples.images.shape[1:])}; choose another network or fit the pictures."
        )
    if examples.classes != network.classes:
        raise ShapeError(
            f"The network tells {', '.join(network.classes)} apart, but the examples are "
            f"{', '.join(examples.classes)}; choose a network with these classes."
        )


def judge(network: Network, parameters: Parameters, examples: Examples, backend: Backend) -> Judgement:
    """Evaluate `parameters` on the examples, in one call."""
    (result,) = (found for found in Judge(network, backend, examples).pieces(parameters) if found is not None)
    return result


def score(scores: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Score:
    """The metrics of scores (N, classes) for labels (N,), -1 for "neither"; the loss is nan after an overflow."""
    predicted = scores.argmax(1)
    correct = predicted == labels
    confusion = np.zeros((len(classes) + 1, len(classes)), np.int64)
    np.add.at(confusion, (np.where(labels < 0, len(classes), labels), predicted), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = float(cross_entropy(scores, labels).mean()) if len(labels) else float("nan")
    return Score(
        loss,
        _mean(correct[labels >= 0]),
        {name: _mean(correct[labels == index]) for index, name in enumerate(classes)},
        confusion,
    )


def _mean(correct: HostArray) -> float:
    return float(correct.mean()) if len(correct) else float("nan")


class Judgements:
    """Evaluations of one network by point of the history, computed in slices."""

    def __init__(self) -> None:
        self._known: dict[Moment, Judgement] = {}
        self._current: tuple[Moment, Iterator[Judgement | None]] | None = None

    def __contains__(self, point: Moment) -> bool:
        return point in self._known

    def clear(self) -> None:
        """Drop all, for another network."""
        self._known.clear()
        self._current = None

    def remember(self, point: Moment, evaluation: Judgement) -> None:
        """Add an evaluation; the oldest is dropped beyond MAX_EVALUATIONS."""
        self._known[point] = evaluation
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def advance(
        self,
        point: Moment,
        network: Network,
        backend: Backend,
        held_out: Examples,
        parameters: Callable[[], Parameters | None],
        seconds: float = math.inf,
    ) -> None:
        """One slice of about `seconds` of the evaluation at `point`; `parameters` is called once, at the start."""
        if self._current is None or self._current[0] != point:
            values = parameters()
            assert values is not None
            self._current = point, Judge(network, backend, held_out).pieces(values, seconds)
        evaluation = next(self._current[1])
        if evaluation is not None:
            self.remember(point, evaluation)

    def at(self, point: Moment, running: bool) -> Judgement | None:
        """The evaluation at a point; while training runs, the last one at or before it."""
        if not running or point in self._known:
            return self._known.get(point)
        steps = [known.step for known in self._known if known.branch == point.branch and known.step <= point.step]
        return self._known[Moment(point.branch, max(steps))] if steps else None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out examples and their evaluation."""

    examples: Examples
    judgement: Judgement


class Judging:
    """Evaluates a model on the held-out examples of generator settings, in slices."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._model: Subject | None = None
        self._settings: PoolSettings | None = None
        self._examples: Examples | None = None
        self._slices: Iterator[None] | None = None
        self._latest: HeldOut | None = None

    def follow(self, model: Subject, settings: PoolSettings) -> None:
        """Set model and settings, whose side and classes must be those of the network; nothing is repeated."""
        if model is self._model and settings == self._settings:
            return
        if settings != self._settings:
            self._examples = self._latest = None
        self._model, self._settings = model, settings
        self._slices = self._iter_slices(model, settings)

    @property
    def busy(self) -> bool:
        """Whether the evaluation is incomplete."""
        return self._slices is not None

    def work(self, seconds: float) -> None:
        """Continue for about `seconds`. Raises what Evaluator raises for a network that is too large."""
        deadline = perf_counter() + seconds
        while self._slices is not None and perf_counter() < deadline:
            if next(self._slices, self) is self:
                self._slices = None

    def give_up(self) -> None:
        """Do nothing until model or settings change."""
        self._slices = None

    def report(self) -> HeldOut | None:
        """The latest evaluation, None before the first."""
        return self._latest

    def _iter_slices(self, model: Subject, settings: PoolSettings) -> Iterator[None]:
        if self._examples is None:
            chunks = []
            for number in range(-(-settings.held_out // PIECE)):
                chunks.append(piece(settings, HELD_OUT, number))
                yield
            images = np.concatenate([chunk.images for chunk in chunks])
            labels = np.concatenate([chunk.labels for chunk in chunks])
            self._examples = Examples(images, labels, chunks[0].classes)
        examples = self._examples
        for evaluation in Judge(model.network, self._backend, examples).pieces(model.parameters, SLICE):
            if evaluation is not None:
                self._latest = HeldOut(examples, evaluation)
            yield


class Recall:
    """Measures the accuracy on a fixed sample of the training set, in slices."""

    def __init__(self, network: Network, backend: Backend, training_set: Examples) -> None:
        indices = np.unique(np.linspace(0, len(training_set) - 1, SAMPLE).round().astype(np.intp))
        self._network, self._sample = network, training_set.take(indices)
        self._evaluator = Judge(network, backend, self._sample)
        self._slices: Iterator[Judgement | None] | None = None
        self._point = Moment(-1, -1)

    @property
    def busy(self) -> bool:
        """Whether a measurement is running."""
        return self._slices is not None

    def begin(self, point: Moment, parameters: Parameters, seconds: float) -> None:
        """Measure the parameters of `point`, in slices of about `seconds`."""
        self._point, self._slices = point, self._evaluator.pieces(parameters, seconds)

    def advance(self, history: History) -> None:
        """Run one slice; the last one records the accuracy in the history."""
        assert self._slices is not None
        try:
            evaluation = next(self._slices)
        except DeviceFault:
            # The trainer reports the fault; here one measurement is skipped.
            fallback = numpy_backend("the GPU failed")
            self._evaluator, self._slices = Judge(self._network, fallback, self._sample), None
            return
        if evaluation is not None:
            self._slices = None
            history.recall(self._point.branch, self._point.step, evaluation.score.accuracy)


@dataclass(frozen=True)
class Calibration:
    """A threshold of the largest vote, below which the prediction is "unsure".

    recall_by_class: share of each class, and of "neither", that is predicted correctly with it.
    misclassified: share of all examples predicted as a wrong class.
    """

    threshold: float
    named: dict[str, float]
    wrong: float


def calibrate(votes: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Calibration:
    """The threshold with the best mean recall over the classes and "neither".

    votes (N, classes), labels (N,) with -1 for neither. Thresholds from 1 / classes upward in steps of 0.005 are
    tried; of equally good ones the middle is taken. Raises ValueError unless every class and "neither" occurs.
    """
    missing = [index for index in range(-1, len(classes)) if not (labels == index).any()]
    if missing:
        raise ValueError("Choosing the threshold needs examples of every class and of neither; some are missing.")
    tried = np.arange(1 / len(classes), 0.9951, 0.005)
    means = np.array([np.mean(list(_recall(votes, labels, classes, at).values())) for at in tried])
    best = np.flatnonzero(means >= means.max() - 1e-12)
    threshold = round(float(tried[best[len(best) // 2]]), 3)
    sure = votes.max(1) >= threshold
    wrong = float((sure & (votes.argmax(1) != labels)).mean())
    return Calibration(threshold, _recall(votes, labels, classes, threshold), wrong)


def _recall(votes: HostArray, labels: HostArray, classes: tuple[str, ...], threshold: float) -> dict[str, float]:
    top, sure = votes.argmax(1), votes.max(1) >= threshold
    shares = {name: float((sure & (top == index))[labels == index].mean()) for index, name in enumerate(classes)}
    return shares | {"neither": float(1 - sure[labels < 0].mean())}
