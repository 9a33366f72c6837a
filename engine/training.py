"""Training: the loop that lowers a network's error on examples, one step at a time. It prints and saves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.backend import Backend
from engine.checkpoint import Checkpoint
from engine.datasets.examples import Examples
from engine.datasets.sources import Source
from engine.evaluation import Judge, Judgement, Score
from engine.layers import ShapeError, Values, shape_text
from engine.losses import targets
from engine.network import Network, Parameters
from engine.recipe import Recipe
from engine.stepper import Stepper

HostArray: TypeAlias = "np.ndarray[Any, Any]"
End: TypeAlias = Literal["epochs", "patience", "target", "seconds"]


class TrainingError(ValueError):
    """Training cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """What one step did. number and epoch count from 1; loss: mean error of its batch before the update; rate: the
    learning rate it moved with."""

    number: int
    epoch: int
    loss: float
    rate: float


@dataclass(frozen=True, eq=False)
class Judged:
    """An epoch is over: after step `number` the held-out examples are read like this."""

    number: int
    epoch: int
    judgement: Judgement


@dataclass
class Trainer:
    """One run: a network, its parameters as they are now, and where it stands in its data.

    parameters: to start from, instead of fresh ones of the recipe's seed. held_out: examples that the run is judged
    on after every epoch, and that patience and target look at. checkpoint: where an earlier run of the same recipe
    stopped. Raises ShapeError if pictures or classes are not the network's, ValueError for a frozen layer that is
    not there, or a stop condition that needs held-out examples without any.
    """

    network: Network
    source: Source
    recipe: Recipe
    backend: Backend
    parameters_at_start: Parameters | None = None
    held_out: Examples | None = None
    checkpoint_at_start: Checkpoint | None = None
    ended: End | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Lays out the network, and goes to where the run stands."""
        recipe, given = self.recipe, self.checkpoint_at_start
        if unknown := sorted(set(recipe.frozen) - set(self.network.names[1:])):
            raise ValueError(f"The network has no layer called {unknown[0]} that could be frozen.")
        if self.held_out is None and (recipe.patience is not None or recipe.target is not None):
            raise ValueError("Patience and target look at held-out examples; give the run some.")
        if self.source.count < 1:
            raise ValueError("There are no examples to learn from.")
        if self.held_out is not None:
            self._fit(self.held_out)
        start = self._fresh() if self.parameters_at_start is None else self.parameters_at_start
        self._stepper = Stepper(self.network, self.backend, recipe, start)
        self._at = given or Checkpoint({}, {})
        if given is not None:
            self._stepper.restore(given.parameters, given.memory)
        self._reader: Judge | None = None
        self._last_batch: HostArray = np.zeros(0, np.int64)

    @property
    def steps_an_epoch(self) -> int:
        """How many batches all examples make."""
        return -(-self.source.count // self.recipe.batch)

    @property
    def made(self) -> int:
        """How many steps the run has made."""
        return self._at.steps

    @property
    def judging(self) -> bool:
        """Whether an epoch is over whose judgement is not made yet."""
        return self.held_out is not None and self._at.judged < self._at.steps // self.steps_an_epoch

    @property
    def last_batch(self) -> HostArray:
        """Places in the epoch's examples of the batch that was used last, (n,) int64; none before the first
        step."""
        return self._last_batch

    def steps(self) -> Iterator[Step | Judged]:
        """Goes through all epochs, one update at each next(), until the run ends: `ended` then says why.

        With held-out examples, each epoch's last Step is followed by what they are read like. Raises TrainingError
        when the error stops being a finite number; the parameters are then those of before that step. It may be
        left and asked for again: it goes on where it stood.
        """
        for event in self.pieces():
            if event is not None:
                yield event

    def pieces(self) -> Iterator[Step | Judged | None]:
        """As `steps`, but stops more often, and gives None where something is not done yet, so that whoever trains
        can do something else in between."""
        per_epoch, self.ended = self.steps_an_epoch, None
        begun = perf_counter() - self._at.seconds
        while self.ended is None:
            epoch, row = divmod(self._at.steps, per_epoch)
            if self.held_out is not None and self.judging:
                yield from self._judge(self.held_out, epoch)
            elif epoch >= self.recipe.epochs:
                self.ended = "epochs"
            else:
                self._feed(epoch, row)
                while row < per_epoch and self.ended is None:
                    step = self._step(epoch, row)
                    row += 1
                    self._at = replace(self._at, steps=step.number, seconds=perf_counter() - begun)
                    if self.recipe.seconds is not None and self._at.seconds >= self.recipe.seconds:
                        self.ended = "seconds"
                    yield step

    def parameters(self) -> Values:
        """Host copies of the parameters, and of what layers gathered, as they are now, by name."""
        return self._stepper.parameters()

    def gradients(self) -> Values:
        """Host copies of the last step's gradients by name."""
        return self._stepper.gradients()

    def checkpoint(self) -> Checkpoint:
        """Where the run stands now."""
        return replace(self._at, parameters=self._stepper.parameters(), memory=self._stepper.memory())

    def _fresh(self) -> Values:
        """Parameters to begin with, and what a first layer measures on the first epoch's pictures."""
        values = self.network.initial(self.recipe.seed)
        if self.network.layers[0].measures and self.checkpoint_at_start is None:
            first = self.source.epoch(0)
            self._fit(first)
            values |= self.network.measured(first.images)
        return values

    def _feed(self, epoch: int, row: int) -> None:
        """Lay out an epoch's examples, their order and the rates, and go to `row`."""
        given, recipe, per_epoch = self.source.epoch(epoch), self.recipe, self.steps_an_epoch
        self._fit(given)
        order = np.zeros((per_epoch, recipe.batch), np.int64)
        order.ravel()[: len(given)] = np.random.default_rng((recipe.seed, epoch)).permutation(len(given))
        total, first = recipe.epochs * per_epoch, epoch * per_epoch
        factors = [recipe.schedule.factor((first + place) / total) for place in range(per_epoch)]
        self._order, self._rates = order, (recipe.optimizer.rate * np.array(factors)).astype(np.float32)
        shares = targets(given.labels, len(self.network.classes))
        self._stepper.feed(given.images, shares, order, self._rates)
        self._stepper.seek(row, self._at.steps)

    def _step(self, epoch: int, row: int) -> Step:
        """One step."""
        size = min(self.recipe.batch, self.source.count - row * self.recipe.batch)
        self._stepper.run(size)
        loss = float(self._stepper.losses(row, row + 1)[0])
        if not self._stepper.fine:
            raise TrainingError(
                f"The error stopped being a finite number at step {self._at.steps + 1}: the learning rate, "
                f"{self.recipe.optimizer.rate:g}, is probably too high; choose a smaller one. "
                "The weights are those of the step before."
            )
        self._last_batch = self._order[row, :size]
        return Step(self._at.steps + 1, epoch + 1, loss, float(self._rates[row]))

    def _judge(self, held_out: Examples, epoch: int) -> Iterator[Judged | None]:
        """Read the held-out examples, and see whether that ends the run."""
        if self._reader is None:
            self._reader = Judge(self.network, self.backend, held_out)
        for judgement in self._reader.pieces(self.parameters()):
            if judgement is None:
                yield None
                continue
            self._look_at(judgement.score, epoch)
            yield Judged(self._at.steps, epoch, judgement)

    def _look_at(self, found: Score, epoch: int) -> None:
        best, stale = (found.loss, 0) if found.loss < self._at.best else (self._at.best, self._at.stale + 1)
        self._at = replace(self._at, judged=epoch, best=best, stale=stale)
        if self.recipe.target is not None and found.accuracy >= self.recipe.target:
            self.ended = "target"
        elif self.recipe.patience is not None and stale >= self.recipe.patience:
            self.ended = "patience"

    def _fit(self, given: Examples) -> None:
        """Raises ShapeError unless the examples are of the network's input and classes."""
        if given.images.shape[1:] != self.network.input_shape:
            raise ShapeError(
                f"The network reads pictures {shape_text(self.network.input_shape)}, but the examples are "
                f"{shape_text(given.images.shape[1:])}; choose another network or fit the pictures."
            )
        if given.classes != self.network.classes:
            raise ShapeError(
                f"The network tells {', '.join(self.network.classes)} apart, but the examples are "
                f"{', '.join(given.classes)}; choose a network with these classes."
            )
