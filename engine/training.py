"""Training: the loop that lowers a network's error on examples, one step at a time. It prints and saves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from engine.backend import Backend
from engine.datasets.examples import Examples
from engine.datasets.xo import examples
from engine.datasets.xo_settings import XOSettings
from engine.layers import Values
from engine.losses import cross_entropy, targets
from engine.network import Network, Parameters
from engine.operations import Array, replay
from engine.plan import Plan
from engine.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"

# What the examples worked on at once may keep busy: about one core's second-level cache.
CACHE_BYTES = 2_000_000

# Second words of the generator's seeds, so that no held-out drawing is ever trained on.
TRAINING, HELD_OUT = 0, 1


class TrainingError(ValueError):
    """Training cannot go on; the message says why and what to do."""


class Source(Protocol):
    """Where the examples of an epoch come from."""

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

    def epoch(self, number: int) -> Examples:
        """The examples."""
        return self.examples


@dataclass(frozen=True)
class Step:
    """What one step did. number and epoch count from 1; loss: mean error of its batch before the update."""

    number: int
    epoch: int
    loss: float


@dataclass(frozen=True)
class Score:
    """How well a network reads examples. loss: mean error of all; accuracy: share of the labelled ones whose class
    has the most votes; by_class: the same for each class alone. nan where there is no such example."""

    loss: float
    accuracy: float
    by_class: dict[str, float]


class Trainer:
    """One run: a network, its parameters as they are now, and where it stands in its data.

    A batch is cut into chunks of a size that follows from the network and the batch alone, and their gradients are
    summed in order, so the same seed gives the same bytes whatever else the machine does.
    """

    def __init__(
        self,
        network: Network,
        source: Source,
        recipe: Recipe,
        backend: Backend,
        parameters: Parameters | None = None,
    ) -> None:
        self.network, self.source, self.recipe, self.backend = network, source, recipe, backend
        self._ops = backend.operations
        self._chunk = _chunk(network, recipe.batch)
        self._plans: dict[int, Plan] = {}
        plan = self._plan(self._chunk)
        plan.load(network.initial(recipe.seed) if parameters is None else parameters)
        self._sum = self._ops.xp.zeros_like(plan.gradients)
        self._state = recipe.optimizer.start(self._ops, plan.values)
        self._values, before = plan.values, self._ops.xp.empty_like(plan.values)
        self._update = self._ops.copy(self._values, before)
        self._update += recipe.optimizer.update(self._ops, self._values, self._sum, self._state)
        self._undo = self._ops.copy(before, self._values)
        self._steps = 0

    def steps(self) -> Iterator[Step]:
        """Goes through all epochs, one update at each next(). Raises TrainingError when the error stops being a
        finite number; the parameters are then those of before that step."""
        for epoch in range(self.recipe.epochs):
            given = self.source.epoch(epoch)
            order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(given))
            total = self.recipe.epochs * -(-len(order) // self.recipe.batch)
            for start in range(0, len(order), self.recipe.batch):
                chosen = order[start : start + self.recipe.batch]
                self._schedule(self._steps / total)
                loss = self._step(given.images[chosen], given.labels[chosen])
                self._steps += 1
                yield Step(self._steps, epoch + 1, loss)

    def parameters(self) -> Values:
        """Host copies of the parameters as they are now, by name."""
        return self._plan(self._chunk).parameters()

    def _step(self, images: HostArray, labels: HostArray) -> float:
        """Forward, error, backward, update; returns the batch's mean error."""
        # What overflows here ends in a sentence instead of a warning.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = self._gradient(images, labels)
            fine = bool(np.isfinite(loss)) and self._finite(self._sum)
            if fine:
                replay(self._update)
                # What the optimizer remembers counts too: with an infinite average it would stand still for ever.
                fine = all(map(self._finite, (self._values, *self._state.vectors.values())))
                if not fine:
                    replay(self._undo)
        if not fine:
            raise TrainingError(
                f"The error stopped being a finite number at step {self._steps + 1}: the learning rate, "
                f"{self.recipe.optimizer.rate:g}, is probably too high; choose a smaller one. "
                "The weights are those of the step before."
            )
        return loss

    def _gradient(self, images: HostArray, labels: HostArray) -> float:
        """Sum the gradient of the mean error chunk by chunk, in order; returns the mean error."""
        shares = targets(labels, len(self.network.classes))
        self._sum.fill(0)
        losses = []
        for start in range(0, len(labels), self._chunk):
            part = slice(start, start + self._chunk)
            plan = self._plan(len(labels[part]))
            plan.forward(images[part])
            plan.backward(shares[part], total=len(labels))
            self._ops.xp.add(self._sum, plan.gradients, out=self._sum)
            losses.append(plan.loss)
        return float(np.concatenate(losses).mean())

    def _finite(self, values: Array) -> bool:
        return bool(self._ops.xp.isfinite(values).all())

    def _schedule(self, done: float) -> None:
        """Write the rate for the share of the run that is done."""
        left = self.recipe.final_rate
        factor = left + (1 - left) * (1 + np.cos(np.pi * done)) / 2
        self._state.rate.fill(self.recipe.optimizer.rate * factor)

    def _plan(self, size: int) -> Plan:
        """The plan for a chunk of `size`; a shorter last chunk gets its own plan on the same parameters."""
        if size not in self._plans:
            self._plans[size] = Plan(
                self.network, self.backend, size, learn=True, share=self._plans.get(self._chunk)
            )
        return self._plans[size]


def scores(network: Network, parameters: Parameters, images: HostArray, backend: Backend) -> HostArray:
    """The scores (N, classes) of many pictures (N, C, H, W)."""
    size = max(1, min(_chunk(network, len(images)), len(images)))
    plan = Plan(network, backend, size)
    plan.load(parameters)
    found = np.empty((len(images), len(network.classes)), np.float32)
    batch = np.zeros((size, *network.input_shape), np.float32)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        batch[: len(part)] = part
        found[start : start + size] = backend.to_host(plan.forward(batch)).T[: len(part)]
    return found


def evaluate(network: Network, parameters: Parameters, given: Examples, backend: Backend) -> Score:
    """How well `parameters` read the given examples."""
    found = scores(network, parameters, given.images, backend)
    labels = given.labels
    right = found.argmax(1) == labels
    by_class = {name: _share(right[labels == place]) for place, name in enumerate(network.classes)}
    return Score(float(cross_entropy(found, labels).mean()), _share(right[labels >= 0]), by_class)


def _share(right: HostArray) -> float:
    return float(right.mean()) if len(right) else float("nan")


def _chunk(network: Network, batch: int) -> int:
    """How many examples are worked on at once: a power of two whose work fits the cache, at most the batch."""
    widest = max(layer.work_bytes(shape) for layer, shape in zip(network.layers, network.shapes, strict=False))
    chunk = 1
    while chunk * 2 <= batch and chunk * 2 * widest <= CACHE_BYTES:
        chunk *= 2
    return chunk
