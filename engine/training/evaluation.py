"""Evaluation of a network on labelled examples: metrics, held-out and training accuracy, the "unsure" threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.backends import Backend, HostArray
from engine.data import Dataset
from engine.nn import BatchPredictor, Network, Parameters, RunPoint, cross_entropy
from engine.nn.layers import ShapeError, shape_text
from engine.training.train_step import inference_batch_size

# Enough to fill a GPU, few enough for the feature maps of a large network.
GPU_BATCH = 256
MAX_EVALUATIONS: Final = 400  # evaluations kept in the cache
SLICE_SECONDS: Final = 0.005  # seconds of a slice within a forward pass
TRAINING_SAMPLE: Final = 256  # training examples, evenly spread: they cost as much as a step or two


@dataclass(frozen=True, eq=False)
class Metrics:
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
class Evaluation:
    """A network's scores (N, classes) float32 for examples, inf or nan where they overflow, and their metrics."""

    scores: HostArray
    metrics: Metrics


class Evaluator:
    """Evaluates one network on the same examples with changing parameters, in slices."""

    def __init__(self, network: Network, backend: Backend, examples: Dataset) -> None:
        most = max(1, len(examples))
        size = min(most, GPU_BATCH) if backend.name == "gpu" else inference_batch_size(network, most)
        self._examples, self._network = examples, network
        self._predictor = BatchPredictor(network, backend, size)

    def iter_slices(self, parameters: Parameters, seconds: float = math.inf) -> Iterator[Evaluation | None]:
        """Evaluate `parameters`: None after each batch and about every `seconds` within one, at last the result."""
        self._predictor.load(parameters)
        scores = yield from self._predictor.iter_scores(self._examples.images, seconds)
        yield Evaluation(scores, compute_metrics(scores, self._examples.labels, self._network.classes))


def check_compatible(network: Network, examples: Dataset) -> None:
    """Raises ShapeError unless the examples have the network's input shape and classes."""
    if examples.images.shape[1:] != network.input_shape:
        raise ShapeError(
            f"The network's input is {shape_text(network.input_shape)}, but the examples are "
            f"{shape_text(examples.images.shape[1:])}; choose another network or fit the pictures."
        )
    if examples.classes != network.classes:
        raise ShapeError(
            f"The network's classes are {', '.join(network.classes)}, but those of the examples are "
            f"{', '.join(examples.classes)}; choose a network with these classes."
        )


def training_sample(training_set: Dataset) -> Dataset:
    """At most TRAINING_SAMPLE examples of a training set, evenly spread, for the accuracy on what is learnt."""
    indices = np.unique(np.linspace(0, len(training_set) - 1, TRAINING_SAMPLE).round().astype(np.intp))
    return training_set.take(indices)


def evaluate(network: Network, parameters: Parameters, examples: Dataset, backend: Backend) -> Evaluation:
    """Evaluate `parameters` on the examples, in one call."""
    (result,) = (
        found for found in Evaluator(network, backend, examples).iter_slices(parameters) if found is not None
    )
    return result


def compute_metrics(scores: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Metrics:
    """The metrics of scores (N, classes) for labels (N,), -1 for "neither"; the loss is nan after an overflow."""
    predicted = scores.argmax(1)
    correct = predicted == labels
    confusion = np.zeros((len(classes) + 1, len(classes)), np.int64)
    np.add.at(confusion, (np.where(labels < 0, len(classes), labels), predicted), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = float(cross_entropy(scores, labels).mean()) if len(labels) else float("nan")
    return Metrics(
        loss,
        _mean(correct[labels >= 0]),
        {name: _mean(correct[labels == index]) for index, name in enumerate(classes)},
        confusion,
    )


def _mean(correct: HostArray) -> float:
    return float(correct.mean()) if len(correct) else float("nan")


class EvaluationCache:
    """Evaluations by point of the history."""

    def __init__(self) -> None:
        self._known: dict[RunPoint, Evaluation] = {}

    def __contains__(self, point: RunPoint) -> bool:
        return point in self._known

    def add(self, point: RunPoint, evaluation: Evaluation) -> None:
        """Add an evaluation; the oldest is dropped beyond MAX_EVALUATIONS."""
        self._known[point] = evaluation
        while len(self._known) > MAX_EVALUATIONS:
            del self._known[next(iter(self._known))]

    def at(self, point: RunPoint, running: bool) -> tuple[RunPoint, Evaluation] | None:
        """The evaluation at a point; while training runs, the last one at or before it; with its point."""
        if not running or point in self._known:
            return (point, self._known[point]) if point in self._known else None
        steps = [known.step for known in self._known if known.branch == point.branch and known.step <= point.step]
        if not steps:
            return None
        last = RunPoint(point.branch, max(steps))
        return last, self._known[last]


@dataclass(frozen=True, eq=False)
class HeldOutEvaluation:
    """Held-out examples and their evaluation. point: of the training run, None for a model that is of no run."""

    examples: Dataset
    evaluation: Evaluation
    point: RunPoint | None = None


@dataclass(frozen=True)
class Calibration:
    """A threshold of the largest vote, below which the prediction is "unsure".

    recall_by_class: share of each class, and of "neither", that is predicted correctly with it.
    misclassified: share of all examples predicted as a wrong class.
    """

    threshold: float
    recall_by_class: dict[str, float]
    misclassified: float


LEAST_RECALL: Final = 0.985


def calibrate_threshold(votes: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Calibration:
    """The threshold with the best mean recall over the classes and "neither".

    A person who draws a class expects its name: if there are thresholds with which every class has a recall of at
    least LEAST_RECALL, only these are considered.

    votes (N, classes), labels (N,) with -1 for neither. Thresholds from 1 / classes upward in steps of 0.005 are
    tried; of equally good ones the middle is taken. Raises ValueError unless every class and "neither" occurs.
    """
    missing = [index for index in range(-1, len(classes)) if not (labels == index).any()]
    if missing:
        raise ValueError("Choosing the threshold needs examples of every class and of neither; some are missing.")
    tried = np.arange(1 / len(classes), 0.9951, 0.005)
    recalls = [_recall(votes, labels, classes, at) for at in tried]
    means = np.array([np.mean(list(recall.values())) for recall in recalls])
    naming = np.array([min(recall[name] for name in classes) >= LEAST_RECALL for recall in recalls])
    if naming.any():
        means[~naming] = 0
    best = np.flatnonzero(means >= means.max() - 1e-12)
    threshold = round(float(tried[best[len(best) // 2]]), 3)
    sure = votes.max(1) >= threshold
    wrong = float((sure & (votes.argmax(1) != labels)).mean())
    return Calibration(threshold, _recall(votes, labels, classes, threshold), wrong)


def _recall(votes: HostArray, labels: HostArray, classes: tuple[str, ...], threshold: float) -> dict[str, float]:
    top, sure = votes.argmax(1), votes.max(1) >= threshold
    shares = {name: float((sure & (top == index))[labels == index].mean()) for index, name in enumerate(classes)}
    return shares | {"neither": float(1 - sure[labels < 0].mean())}
