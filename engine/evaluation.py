"""Evaluation: how well a network reads examples whose labels are known. Nothing is learnt here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.backends.backend import Backend
from engine.data.dataset import Examples
from engine.nn.layers import ShapeError, shape_text
from engine.nn.losses import cross_entropy
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.stepper import reading_size

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
