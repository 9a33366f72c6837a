"""Evaluation: how well a network reads examples whose labels are known. Nothing is learnt here."""

from __future__ import annotations

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


def scores(network: Network, parameters: Parameters, images: HostArray, backend: Backend) -> HostArray:
    """The scores (N, classes) of many pictures (N, C, H, W)."""
    most = min(len(images), GPU_BATCH) if backend.name == "gpu" else chunk_size(network, len(images))
    size = max(1, most)
    plan = Plan(network, backend, size)
    plan.load(parameters)
    found = np.empty((len(images), len(network.classes)), np.float32)
    batch = np.zeros((size, *network.input_shape), np.float32)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        batch[: len(part)] = part
        found[start : start + size] = backend.operations.to_host(plan.forward(batch)).T[: len(part)]
    return found


def evaluate(network: Network, parameters: Parameters, given: Examples, backend: Backend) -> Score:
    """How well `parameters` read the given examples."""
    return score(scores(network, parameters, given.images, backend), given.labels, network.classes)


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
