"""Evaluation: how well a network reads examples whose labels are known. Nothing is learnt here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.backend import Backend
from engine.datasets.examples import Examples
from engine.losses import cross_entropy
from engine.network import Network, Parameters
from engine.plan import Plan
from engine.stepper import chunk_size

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
    """What a network made of held-out examples: its scores (N, classes) float32, and how good they are."""

    scores: HostArray
    score: Score


class Judge:
    """Reads the same examples again and again, each time by other parameters, in pieces that can be waited
    between."""

    def __init__(self, network: Network, backend: Backend, given: Examples) -> None:
        most = min(len(given), GPU_BATCH) if backend.name == "gpu" else chunk_size(network, len(given))
        self._given, self._network, self._backend = given, network, backend
        self._plan = Plan(network, backend, max(1, most))

    def pieces(self, parameters: Parameters) -> Iterator[Judgement | None]:
        """Read the examples by `parameters`; None after each piece but the last, which gives the judgement."""
        plan, images, size = self._plan, self._given.images, self._plan.batch
        plan.load(parameters)
        found = np.empty((len(images), len(self._network.classes)), np.float32)
        batch = np.zeros((size, *self._network.input_shape), np.float32)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            batch[: len(part)] = part
            found[start : start + size] = self._backend.operations.to_host(plan.forward(batch)).T[: len(part)]
            yield None
        yield Judgement(found, score(found, self._given.labels, self._network.classes))


def judge(network: Network, parameters: Parameters, given: Examples, backend: Backend) -> Judgement:
    """How well `parameters` read the given examples, in one go."""
    (found,) = (piece for piece in Judge(network, backend, given).pieces(parameters) if piece is not None)
    return found


def score(found: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Score:
    """How good the scores (N, classes) are for labels (N,), -1 for "neither"."""
    chosen = found.argmax(1)
    right = chosen == labels
    confusion = np.zeros((len(classes) + 1, len(classes)), np.int64)
    np.add.at(confusion, (np.where(labels < 0, len(classes), labels), chosen), 1)
    return Score(
        float(cross_entropy(found, labels).mean()) if len(labels) else float("nan"),
        _share(right[labels >= 0]),
        {name: _share(right[labels == place]) for place, name in enumerate(classes)},
        confusion,
    )


def _share(right: HostArray) -> float:
    return float(right.mean()) if len(right) else float("nan")
