"""Training: the loop that lowers a network's error on examples, one step at a time. It prints and saves nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.data.pool import Source
from engine.nn.layers import Values
from engine.nn.losses import targets
from engine.nn.network import Network, Parameters
from engine.training.checkpoint import Checkpoint
from engine.training.evaluation import Judge, Judgement, check_fit
from engine.training.layer_statistics import Move
from engine.training.recipe import Recipe
from engine.training.train_step import Stepper

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def order_of(recipe: Recipe, count: int, epoch: int) -> HostArray:
    """Places among `count` examples, (steps, batch) int64, a row a step, of which a last, shorter batch uses the
    start."""
    steps = -(-count // recipe.batch)
    order = np.zeros((steps, min(recipe.batch, count)), np.int64)
    order.ravel()[:count] = np.random.default_rng((recipe.seed, epoch)).permutation(count)
    return order


def rates_of(recipe: Recipe, count: int, epoch: int) -> HostArray:
    """The learning rate of each step of an epoch, (steps,) float32."""
    steps = -(-count // recipe.batch)
    total, first = recipe.epochs * steps, epoch * steps
    factors = [recipe.schedule.factor((first + place) / total) for place in range(steps)]
    rates: HostArray = (recipe.optimizer.rate * np.array(factors)).astype(np.float32)
    return rates


@dataclass(frozen=True, eq=False)
class Coming:
    """What the next step will see. epoch, row: from 0, which step of which epoch; places: (n,) int64, its batch;
    rate: float32."""

    epoch: int
    row: int
    places: HostArray
    rate: np.float32


def coming(recipe: Recipe, count: int, made: int) -> Coming | None:
    """The step after `made`, None when all epochs are done."""
    epoch, row = divmod(made, -(-count // recipe.batch))
    if epoch >= recipe.epochs:
        return None
    size = min(recipe.batch, count - row * recipe.batch)
    places = order_of(recipe, count, epoch)[row, :size]
    return Coming(epoch, row, places, rates_of(recipe, count, epoch)[row])


# Seconds: how old the copy on the host may be from which a run goes on after a fault.
OLDEST = 1.0


class Endurance:
    """Remembers where a run stood at most a second ago, and chooses what it goes on with after a fault: the same
    device in smaller parts, once, where it lacked memory; otherwise the processor.

    backend: what computes now. parts: into how many parts it cuts a batch. words: what has happened, one sentence
    each, for the person.
    """

    def __init__(self, backend: Backend, start: Checkpoint) -> None:
        self.backend, self.parts, self.kept = backend, 1, start
        self.words: list[str] = []
        self._kept_at = perf_counter()

    def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Copy where the run stands, if the last copy is old; the processor needs none. Raises DeviceFault."""
        if self.backend.name != "cpu" and perf_counter() - self._kept_at >= OLDEST:
            self.kept, self._kept_at = checkpoint(), perf_counter()

    def recover(self, fault: DeviceFault) -> Checkpoint:
        """Choose what to go on with after a fault; returns where from."""
        if fault.out_of_memory and self.parts == 1:
            self.parts = 2
            self.words.append("The GPU lacks memory: training goes on there in smaller parts.")
        else:
            self.parts, self.backend = 1, numpy_backend("the GPU failed")
            self.words.append(f"{fault} Training goes on with the processor, from step {self.kept.steps}.")
        self._kept_at = perf_counter()
        return self.kept


T = TypeVar("T")
End: TypeAlias = Literal["epochs", "steps", "patience", "target", "seconds"]

# Why a run is over, for people.
ENDS: Final[dict[End, str]] = {
    "epochs": "All epochs are done.",
    "steps": "All steps asked for are made.",
    "patience": "The error on the held-out examples has stopped falling.",
    "target": "The accuracy asked for is reached.",
    "seconds": "The time is up.",
}


class TrainingError(ValueError):
    """Training cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """What one step did. number and epoch count from 1; loss: mean error of its batch before the update; mean: of
    the losses of its epoch's steps up to it; rate: the learning rate it moved with."""

    number: int
    epoch: int
    loss: float
    mean: float
    rate: float


@dataclass(frozen=True, eq=False)
class Judged:
    """An epoch is over: after step `number` the held-out examples are read like this. mean: of the losses of its
    steps."""

    number: int
    epoch: int
    mean: float
    judgement: Judgement


@dataclass
class Trainer:
    """One run: a network, its parameters as they are now, and where it stands in its data.

    parameters_at_start: to start from, instead of fresh ones of the recipe's seed. held_out: examples that the run
    is judged on after every epoch, and that patience and target look at. checkpoint_at_start: where an earlier run
    of the same recipe stopped. stride: how many steps are made together, which a GPU does without waiting for the
    host; the parameters are then those after the last of them, and so is where the run stands. slice: seconds after
    which `pieces` stops within a step or judgement. ended: why the run is over, None while it is not.

    The same arguments give the same bytes on one machine, as long as matrix products keep to one thread: whoever
    trains on the processor does it under backend.one_blas_thread().

    Raises ShapeError if pictures or classes are not the network's, ValueError for a frozen layer that is not there,
    a stop condition that needs held-out examples without any, or a checkpoint of another network or optimizer.
    """

    network: Network
    source: Source
    recipe: Recipe
    backend: Backend
    parameters_at_start: Parameters | None = None
    held_out: Examples | None = None
    checkpoint_at_start: Checkpoint | None = None
    stride: int = 1
    slice: float = math.inf
    ended: End | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Lays out the network, and goes to where the run stands."""
        self._check()
        at = self.checkpoint_at_start or Checkpoint({}, {})
        start = at.parameters or self.parameters_at_start or self._fresh()
        self._last_batch: HostArray = np.zeros(0, np.int64)
        self._told: tuple[int, bool] = (at.steps, False)
        self._layouts = 0
        self._endurance = Endurance(self.backend, replace(at, parameters=dict(start)))
        self._surely(lambda: self._stand_at(self._endurance.kept))
        self.ended = self._end()

    def _stand_at(self, at: Checkpoint) -> None:
        """Lay out the network on what computes now, and go to where the run stood. Raises DeviceFault."""
        self._steps, self._seconds, self._loss_sum = at.steps, at.seconds, at.loss_sum
        self._judged, self._accuracy, self._best, self._stale = at.judged, at.accuracy, at.best, at.stale
        self._best_parameters = at.best_parameters
        self.backend, self._layouts = self._endurance.backend, self._layouts + 1
        self._reader: Judge | None = None
        self._behind = 0  # steps that are made but not told yet
        self._stepper = Stepper(self.network, self.backend, self.recipe, at.parameters, self._endurance.parts)
        if at.memory:
            self._stepper.restore(at.parameters, at.memory)

    def _surely(self, act: Callable[[], T]) -> T:
        """Do what needs the device; where that fails, go on with what can still compute, which in the end is the
        processor, and do it there."""
        while True:
            try:
                return act()
            except DeviceFault as fault:
                # What lies on the device is let go before anything is laid out anew.
                self.__dict__.pop("_stepper", None)
                self._reader = None
                at = self._endurance.recover(fault)
            self._surely(partial(self._stand_at, at))

    @property
    def words(self) -> list[str]:
        """What has happened to the device, one sentence each; whoever tells the person empties it."""
        return self._endurance.words

    def _check(self) -> None:
        """What can be checked before anything is allocated."""
        recipe = self.recipe
        self.network.places(recipe.frozen)
        if self.held_out is None and (recipe.patience is not None or recipe.target is not None):
            raise ValueError("Patience and target look at held-out examples; give the run some.")
        if self.source.count < 1:
            raise ValueError("There are no examples to learn from; give the run some.")
        if self.held_out is not None:
            check_fit(self.network, self.held_out)

    @property
    def steps_an_epoch(self) -> int:
        """How many batches all examples make."""
        return -(-self.source.count // self.recipe.batch)

    @property
    def made(self) -> int:
        """How many steps the run has made, those before a checkpoint included."""
        return self._steps

    @property
    def judging(self) -> bool:
        """Whether an epoch is over whose judgement is not made yet."""
        return self.held_out is not None and self._judged < self._steps // self.steps_an_epoch

    @property
    def accuracy(self) -> float:
        """The share of the held-out examples that was read rightly the last time, not a number before."""
        return self._accuracy

    @property
    def last_batch(self) -> HostArray:
        """Places in the epoch's examples of the batch that was used last, (n,) int64; none before the first
        step."""
        return self._last_batch

    @property
    def seconds(self) -> float:
        """How long the run has trained, pauses not counted."""
        return self._seconds

    def steps(self) -> Iterator[Step | Judged]:
        """Goes through all epochs, one update at each next(), until the run ends: `ended` then says why.

        With held-out examples, each epoch's last Step is followed by what they are read like. Raises TrainingError
        when the error stops being a finite number; the parameters are then those of before that step, and no later
        step is made. It may be left and asked for again: it goes on where it stood.
        """
        for event in self.pieces():
            if event is not None:
                yield event

    def pieces(self) -> Iterator[Step | Judged | None]:
        """As `steps`, but stops more often, and gives None where something is not done yet, so that whoever trains
        can do something else in between."""
        events, layout = self._events(), self._layouts
        if self._behind:  # whoever trained left before all steps of a stride were told
            self._behind, self.ended = 0, self._end()
        while self.ended is None:
            begun = perf_counter()
            if self._layouts != layout:
                events, layout = self._events(), self._layouts
            event = self._surely(partial(self._next, events, layout))
            self._seconds += perf_counter() - begun
            if not self._behind:
                self._surely(lambda: self._endurance.keep(self._copy))
                self.ended = self._end()
            yield self._untold(event)

    def _next(self, events: Iterator[Step | Judged | None], layout: int) -> Step | Judged | None:
        """The next event, unless all has been laid out anew since these events began. Raises DeviceFault."""
        return next(events) if self._layouts == layout else None

    def _untold(self, event: Step | Judged | None) -> Step | Judged | None:
        """The event, unless it was told before a fault threw the run back behind it."""
        if event is None or (told := (event.number, isinstance(event, Judged))) <= self._told:
            return None
        self._told = told
        return event

    def _events(self) -> Iterator[Step | Judged | None]:
        """Steps and judgements from where the run stands, without an end."""
        fed = False
        while True:
            epoch, row = divmod(self._steps, self.steps_an_epoch)
            if self.held_out is not None and self.judging:
                yield from self._judge(self.held_out, epoch)
                continue
            if row == 0 or not fed:
                self._feed(epoch, row)
                fed = True
            yield from self._stride(epoch, row)

    def parameters(self) -> Values:
        """Host copies of the parameters, and of what layers gathered, as they are now, by name."""
        return self._surely(lambda: self._stepper.parameters())

    def gradients(self) -> Values:
        """Host copies of the last step's gradients by name."""
        return self._surely(lambda: self._stepper.gradients())

    def last_move(self) -> Move | None:
        """What the last step did, None before this trainer has made one, and within one."""
        changes = self._surely(lambda: self._stepper.changes())
        return Move(self.gradients(), changes) if changes else None

    def result(self) -> Values:
        """What the run gives: where patience ended it the parameters of its best epoch, else those of now."""
        best = self._best_parameters if self.ended == "patience" else None
        return self.parameters() if best is None else {name: values.copy() for name, values in best.items()}

    def checkpoint(self) -> Checkpoint:
        """Where the run stands now; to be asked for between steps."""
        return self._surely(self._copy)

    def _copy(self) -> Checkpoint:
        """Where the run stands now. Raises DeviceFault."""
        return Checkpoint(
            self._stepper.parameters(),
            self._stepper.memory(),
            self._steps,
            self._seconds,
            self._loss_sum,
            self._judged,
            self._accuracy,
            self._best,
            self._stale,
            self._best_parameters,
        )

    def _fresh(self) -> Values:
        """Parameters to begin with, and what a first layer measures on the first epoch's pictures."""
        values = self.network.initial(self.recipe.seed)
        if self.network.layers[0].measures:
            first = self.source.epoch(0)
            check_fit(self.network, first)
            values |= self.network.measured(first.images)
        return values

    def _feed(self, epoch: int, row: int) -> None:
        """Lay out an epoch's examples, their order and the rates, and go to `row`."""
        given, recipe = self.source.epoch(epoch), self.recipe
        check_fit(self.network, given)
        order, rates = order_of(recipe, len(given), epoch), rates_of(recipe, len(given), epoch)
        self._order, self._rates = order, rates
        shares = targets(given.labels, len(self.network.classes))
        self._stepper.feed(given.images, shares, order, rates)
        self._stepper.seek(row, self._steps)

    def _stride(self, epoch: int, row: int) -> Iterator[Step | None]:
        """The next steps of an epoch that are made together, each of which is told when all are made."""
        batch, left = self.recipe.batch, self.source.count - row * self.recipe.batch
        more = self.stride if self.recipe.steps is None else min(self.stride, self.recipe.steps - self._steps)
        size, times = min(batch, left), max(1, min(more, left // batch))
        if times == 1 and self.slice < math.inf:
            yield from self._stepper.slices(size, self.slice)
        else:
            self._stepper.run(size, times)
        fine = self._stepper.fine
        done = times if fine else self._stepper.steps_made - self._steps
        first, losses = self._steps, self._stepper.losses(row, row + done)
        self._steps += done
        means = []
        for place, loss in enumerate(losses.tolist()):
            self._loss_sum = loss + (self._loss_sum if row + place else 0.0)
            means.append((loss, self._loss_sum / (row + place + 1)))
        for place, (loss, mean) in enumerate(means):
            self._behind = done - place - 1
            self._last_batch = self._order[row + place, :size]
            yield Step(first + place + 1, epoch + 1, loss, mean, float(self._rates[row + place]))
        if not fine:
            raise TrainingError(
                f"The error stopped being a finite number at step {self._steps + 1}: the learning rate, "
                f"{self.recipe.optimizer.rate:g}, is probably too high; choose a smaller one. "
                "The weights are those of the step before."
            )

    def _judge(self, held_out: Examples, epoch: int) -> Iterator[Judged | None]:
        """Read the held-out examples, and remember what was best."""
        if self._reader is None:
            self._reader = Judge(self.network, self.backend, held_out)
        parameters = self._stepper.parameters()
        for judgement in self._reader.pieces(parameters, self.slice):
            if judgement is None:
                yield None
                continue
            self._judged, self._accuracy, self._stale = epoch, judgement.score.accuracy, self._stale + 1
            if judgement.score.loss < self._best:
                self._best, self._stale = judgement.score.loss, 0
                self._best_parameters = None if self.recipe.patience is None else parameters
            yield Judged(self._steps, epoch, self._loss_sum / self.steps_an_epoch, judgement)

    def _end(self) -> End | None:
        """Why the run is over where it stands, None if it is not."""
        recipe = self.recipe
        if recipe.target is not None and self._accuracy >= recipe.target:
            return "target"
        if recipe.patience is not None and self._stale >= recipe.patience:
            return "patience"
        if self._steps >= recipe.epochs * self.steps_an_epoch and not self.judging:
            return "epochs"
        if recipe.steps is not None and self._steps >= recipe.steps and not self.judging:
            return "steps"
        if recipe.seconds is not None and self._seconds >= recipe.seconds:
            return "seconds"
        return None
