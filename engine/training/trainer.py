"""The training loop: updates a network's parameters batch by batch and evaluates it after each epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.backends import Backend, ComputeDevice, HostArray, choose_backend
from engine.data import Dataset, DataSource, FixedSource
from engine.nn import Model, Network, Parameters, targets
from engine.nn.layers import Arrays
from engine.training.checkpoint import Checkpoint
from engine.training.config import TrainingConfig
from engine.training.evaluation import Evaluation, Evaluator, check_compatible
from engine.training.layer_statistics import ParameterChange
from engine.training.train_step import TrainStep

# Seconds: the age at which the host copy that a run resumes from after a device fault is made anew.
MAX_COPY_AGE = 1.0
# The most of the time that these copies may take: those of large weights are made less often.
COPY_SHARE = 0.05

log = logging.getLogger(__name__)
StopReason: TypeAlias = Literal["epochs", "steps", "patience", "target", "seconds"]

# Shown to the user.
STOP_MESSAGES: Final[dict[StopReason, str]] = {
    "epochs": "All epochs are done.",
    "steps": "All requested steps are done.",
    "patience": "The error on the held-out examples has stopped falling.",
    "target": "The target accuracy is reached.",
    "seconds": "The time is up.",
}


class TrainingError(ValueError):
    """Training cannot continue; the message says why and what to do."""


@dataclass(frozen=True)
class StepDone:
    """A step was made.

    number, epoch: counted from 1.
    loss: mean loss of the batch before the update.
    mean_loss: mean of the losses of the epoch so far.
    rate: the learning rate of the step.
    """

    number: int
    epoch: int
    loss: float
    mean_loss: float
    rate: float


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The held-out examples were evaluated after step `number`, at the end of an epoch.

    mean_loss: mean of the losses of the epoch.
    training_accuracy: on the sample of the training set, None without one.
    """

    number: int
    epoch: int
    mean_loss: float
    evaluation: Evaluation
    training_accuracy: float | None = None


@dataclass
class Trainer:
    """A training run of one network.

    initial_parameters: to start from, instead of those initialized from the configuration's seed.
    held_out: examples for the evaluation after every epoch, which patience and target need.
    training_sample: examples of the training set on which the accuracy is measured then, too.
    resume_from: a checkpoint of an earlier run.
    steps_per_call: steps a GPU makes without waiting for the host; the state is then that after the last.
    slice_seconds: `iter_slices` stops within a step or evaluation about this often.
    stop_reason: why the run has ended, None while it has not.
    is_within_step: a step is partly made.

    The same arguments give the same bytes on one machine if matrix products use one thread: train on the processor
    under backend.one_blas_thread().

    All methods raise DeviceFault if the device fails; `move_to` another one then continues the run.
    Raises ShapeError if images or classes are not the network's, ValueError for an unknown frozen layer, a stop
    condition without the held-out examples it needs, or a checkpoint of another network or optimizer.
    """

    network: Network
    source: DataSource
    config: TrainingConfig
    backend: Backend
    initial_parameters: Parameters | None = None
    held_out: Dataset | None = None
    resume_from: Checkpoint | None = None
    steps_per_call: int = 1
    slice_seconds: float = math.inf
    training_sample: Dataset | None = None
    stop_reason: StopReason | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._check()
        at = self.resume_from or Checkpoint({}, {})
        start = at.parameters or self.initial_parameters or self._initialize()
        self._last_batch: HostArray = np.zeros(0, np.int64)
        self._examples: Dataset | None = None
        self._reported: tuple[int, bool] = (at.steps, False)
        self._recent = RecentCopy(replace(at, parameters=dict(start)))
        self._restore()
        _ = self._stepper

    def move_to(self, backend: Backend) -> None:
        """Continue on another backend from the recent copy on the host, with a new iterator of events, which does
        not repeat those that were yielded. Nothing is done on the device before the next use."""
        self.backend = backend
        self._restore()

    def _restore(self) -> None:
        """Continue from the recent copy, and free all memory of the device."""
        self.__dict__.pop("_stepper", None)
        at = self._recent.checkpoint
        self._steps, self._seconds, self._loss_sum = at.steps, at.seconds, at.loss_sum
        self._evaluated_epochs, self._accuracy = at.evaluated_epochs, at.accuracy
        self._best_loss, self._epochs_since_best, self._best_parameters = (
            at.best_loss,
            at.epochs_since_best,
            at.best_parameters,
        )
        self._evaluators: dict[int, Evaluator] = {}  # by the identity of the examples
        self._unreported = 0  # steps made together that are not yielded yet
        self.is_within_step = False
        self.stop_reason = self._stop_reason()

    @cached_property
    def _stepper(self) -> TrainStep:
        """The steps from the recent copy on."""
        at = self._recent.checkpoint
        stepper = TrainStep(self.network, self.backend, self.config, at.parameters)
        if at.optimizer_state:
            stepper.restore(at.parameters, at.optimizer_state)
        return stepper

    def _check(self) -> None:
        config = self.config
        self.network.layer_indices(config.frozen)
        if self.held_out is None and (config.patience is not None or config.target is not None):
            raise ValueError("Patience and target need held-out examples; give the run some.")
        if self.source.count < 1:
            raise ValueError("There are no examples to train on; give the run some.")
        if self.held_out is not None:
            check_compatible(self.network, self.held_out)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.source.count // self.config.batch)

    @property
    def steps_made(self) -> int:
        """Number of steps made, those before a checkpoint included."""
        return self._steps

    @property
    def is_evaluation_due(self) -> bool:
        """Whether an epoch has ended whose evaluation is not complete."""
        return self.held_out is not None and self._evaluated_epochs < self._steps // self.steps_per_epoch

    @property
    def accuracy(self) -> float:
        """Accuracy of the last evaluation on the held-out examples, nan before the first."""
        return self._accuracy

    @property
    def last_batch(self) -> HostArray:
        """Indices of the last batch in the epoch's examples, (n,) int64; empty before the first step."""
        return self._last_batch

    @property
    def examples(self) -> Dataset | None:
        """The examples of the epoch of the last step; None before the first."""
        return self._examples

    @property
    def seconds(self) -> float:
        """Seconds trained, without pauses."""
        return self._seconds

    def run(self) -> Iterator[StepDone | Evaluated]:
        """Trains until the run ends, one update at each next(); `stop_reason` then says why.

        With held-out examples, each epoch's last StepDone is followed by an Evaluated. The iterator may be dropped;
        a new one continues. Raises TrainingError when the loss is not finite: the parameters are then those before
        that step, and no later step is made.
        """
        for event in self.iter_slices():
            if event is not None:
                yield event

    def iter_slices(self) -> Iterator[StepDone | Evaluated | None]:
        """As `run`, but also yields None within a step or evaluation, so that the caller can do other work."""
        events = self._events()
        if self._unreported:  # an earlier iterator was dropped before all steps of a call were yielded
            self._unreported, self.stop_reason = 0, self._stop_reason()
        while self.stop_reason is None:
            started = perf_counter()
            event = next(events)
            self._seconds += perf_counter() - started
            if not self._unreported:
                if self.backend.name != "cpu" and self._recent.is_old:
                    self._recent.take(self._copy)
                self.stop_reason = self._stop_reason()
            yield self._unless_reported(event)

    def _unless_reported(self, event: StepDone | Evaluated | None) -> StepDone | Evaluated | None:
        """The event, None if it was yielded before a fault set the run back."""
        if event is None or (key := (event.number, isinstance(event, Evaluated))) <= self._reported:
            return None
        self._reported = key
        return event

    def _events(self) -> Iterator[StepDone | Evaluated | None]:
        """Endless steps and evaluations from the current position."""
        loaded = False
        while True:
            epoch, row = divmod(self._steps, self.steps_per_epoch)
            if self.held_out is not None and self.is_evaluation_due:
                yield from self._evaluate(self.held_out, epoch)
                continue
            if row == 0 or not loaded:
                examples = yield from self.source.epoch_in_slices(epoch)
                self._load_epoch(epoch, row, examples)
                loaded = True
            yield from self._make_steps(epoch, row)

    def parameters(self) -> Arrays:
        """Host copies of the parameters and buffers, by name."""
        return self._stepper.parameters()

    def gradients(self) -> Arrays:
        """Host copies of the last step's gradients, by name."""
        return self._stepper.gradients()

    def last_change(self) -> ParameterChange | None:
        """The change made by the last step; None before this trainer's first, and within a step."""
        changes = self._stepper.changes()
        return ParameterChange(self.gradients(), changes) if changes else None

    def final_parameters(self) -> Arrays:
        """The trained parameters: those of the best epoch if patience ended the run, else the current ones."""
        best = self._best_parameters if self.stop_reason == "patience" else None
        return self.parameters() if best is None else {name: values.copy() for name, values in best.items()}

    def checkpoint(self) -> Checkpoint:
        """The state of the run; call it between steps."""
        return self._copy() if self.backend.name == "cpu" else self._recent.take(self._copy)

    def _copy(self) -> Checkpoint:
        return Checkpoint(
            self._stepper.parameters(),
            self._stepper.optimizer_state(),
            self._steps,
            self._seconds,
            self._loss_sum,
            self._evaluated_epochs,
            self._accuracy,
            self._best_loss,
            self._epochs_since_best,
            self._best_parameters,
        )

    def _initialize(self) -> Arrays:
        """Initial parameters, and the input statistics of the first epoch where the first layer needs them."""
        values = self.network.initial_parameters(self.config.seed)
        if self.network.layers[0].traits.fits_to_data:
            first = self.source.epoch(0)
            check_compatible(self.network, first)
            values |= self.network.fit_input_statistics(first.images)
        return values

    def _load_epoch(self, epoch: int, row: int, examples: Dataset) -> None:
        """Load an epoch's examples, their order and the learning rates, and go to `row`."""
        config = self.config
        check_compatible(self.network, examples)
        self._examples = examples
        order, rates = epoch_order(config, len(examples), epoch), epoch_rates(config, len(examples), epoch)
        self._order, self._rates = order, rates
        shares = targets(examples.labels, len(self.network.classes))
        self._stepper.load_epoch(examples.images, shares, order, rates)
        self._stepper.set_position(row, self._steps)

    def _make_steps(self, epoch: int, row: int) -> Iterator[StepDone | None]:
        """Make the steps of one call and then yield each; None between slices."""
        batch, left = self.config.batch, self.source.count - row * self.config.batch
        more = (
            self.steps_per_call
            if self.config.steps is None
            else min(self.steps_per_call, self.config.steps - self._steps)
        )
        size, times = min(batch, left), max(1, min(more, left // batch))
        if times == 1 and self.slice_seconds < math.inf:
            self.is_within_step = True
            try:
                yield from self._stepper.iter_slices(size, self.slice_seconds)
            finally:
                self.is_within_step = False
        else:
            self._stepper.run(size, times)
        finite = self._stepper.is_finite
        done = times if finite else self._stepper.steps_made - self._steps
        first, losses = self._steps, self._stepper.losses(row, row + done)
        self._steps += done
        means = []
        for index, loss in enumerate(losses.tolist()):
            self._loss_sum = loss + (self._loss_sum if row + index else 0.0)
            means.append((loss, self._loss_sum / (row + index + 1)))
        for index, (loss, mean) in enumerate(means):
            self._unreported = done - index - 1
            self._last_batch = self._order[row + index, :size]
            yield StepDone(first + index + 1, epoch + 1, loss, mean, float(self._rates[row + index]))
        if not finite:
            raise TrainingError(
                f"The error stopped being a finite number at step {self._steps + 1}: the learning rate, "
                f"{self.config.optimizer.rate:g}, is probably too high; choose a smaller one. "
                "The weights are those of the step before."
            )

    def _evaluate(self, held_out: Dataset, epoch: int) -> Iterator[Evaluated | None]:
        """Evaluate the held-out examples and keep the best result."""
        parameters = self._stepper.parameters()
        evaluation = yield from self._evaluation(held_out, parameters)
        accuracy = None
        if self.training_sample is not None:
            accuracy = (yield from self._evaluation(self.training_sample, parameters)).metrics.accuracy
        self._evaluated_epochs, self._accuracy = epoch, evaluation.metrics.accuracy
        self._epochs_since_best += 1
        if evaluation.metrics.loss < self._best_loss:
            self._best_loss, self._epochs_since_best = evaluation.metrics.loss, 0
            self._best_parameters = None if self.config.patience is None else parameters
        yield Evaluated(self._steps, epoch, self._loss_sum / self.steps_per_epoch, evaluation, accuracy)

    def _evaluation(self, examples: Dataset, parameters: Parameters) -> Generator[None, None, Evaluation]:
        """Returns the evaluation of the examples; yields None between slices."""
        evaluator = self._evaluators.get(id(examples))
        if evaluator is None:
            evaluator = self._evaluators[id(examples)] = Evaluator(self.network, self.backend, examples)
        found = None
        for found in evaluator.iter_slices(parameters, self.slice_seconds):
            if found is None:
                yield None
        assert found is not None
        return found

    def _stop_reason(self) -> StopReason | None:
        """The stop condition that is met, None for none."""
        config = self.config
        if config.target is not None and self._accuracy >= config.target:
            return "target"
        if config.patience is not None and self._epochs_since_best >= config.patience:
            return "patience"
        if self._steps >= config.epochs * self.steps_per_epoch and not self.is_evaluation_due:
            return "epochs"
        if config.steps is not None and self._steps >= config.steps and not self.is_evaluation_due:
            return "steps"
        if config.seconds is not None and self._seconds >= config.seconds:
            return "seconds"
        return None


class RecentCopy:
    """A copy of a run on the host, from which it continues when its device has failed.

    checkpoint: the copy. It is about MAX_COPY_AGE old, or older where copies would take more than COPY_SHARE of the
        time.
    """

    def __init__(self, start: Checkpoint) -> None:
        self.checkpoint = start
        self._copied_at, self._interval = perf_counter(), MAX_COPY_AGE

    @property
    def is_old(self) -> bool:
        """Whether a new copy is due."""
        return perf_counter() - self._copied_at >= self._interval

    def take(self, checkpoint: Callable[[], Checkpoint]) -> Checkpoint:
        """Replace the copy by a new one, and return it."""
        started = perf_counter()
        self.checkpoint = checkpoint()
        self._copied_at = perf_counter()
        self._interval = max(MAX_COPY_AGE, (self._copied_at - started) / COPY_SHARE)
        return self.checkpoint


def epoch_order(config: TrainingConfig, count: int, epoch: int) -> HostArray:
    """The shuffled order of an epoch: indices into `count` examples, (steps, batch) int64, a row per step; a last,
    shorter batch uses the start of its row."""
    steps = -(-count // config.batch)
    order = np.zeros((steps, min(config.batch, count)), np.int64)
    order.ravel()[:count] = np.random.default_rng((config.seed, epoch)).permutation(count)
    return order


def epoch_rates(config: TrainingConfig, count: int, epoch: int) -> HostArray:
    """The learning rate of each step of an epoch, (steps,) float32."""
    steps = -(-count // config.batch)
    total, first = config.epochs * steps, epoch * steps
    factors = [config.schedule.factor((first + step) / total) for step in range(steps)]
    rates: HostArray = (config.optimizer.rate * np.array(factors)).astype(np.float32)
    return rates


@dataclass(frozen=True, eq=False)
class NextBatch:
    """The batch of the next step.

    epoch, row: of the step, from 0. indices: (n,) int64, into the examples. rate: the learning rate, float32.
    """

    epoch: int
    row: int
    indices: HostArray
    rate: np.float32


def next_batch(config: TrainingConfig, count: int, made: int) -> NextBatch | None:
    """The batch of the step after `made` steps, None when all epochs are done."""
    epoch, row = divmod(made, -(-count // config.batch))
    if epoch >= config.epochs:
        return None
    size = min(config.batch, count - row * config.batch)
    places = epoch_order(config, count, epoch)[row, :size]
    return NextBatch(epoch, row, places, epoch_rates(config, count, epoch)[row])


def train(
    network: Network,
    data: Dataset | DataSource,
    config: TrainingConfig | None = None,
    held_out: Dataset | None = None,
    backend: Backend | None = None,
) -> Model:
    """Train a network from initial weights to the end of the run, and return the model.

    data: the examples, the same in every epoch, or a source of each epoch's.
    config: the training settings, by default those of `TrainingConfig()`.
    held_out: examples for patience and target.
    backend: the CPU if None.
    Raises ValueError for settings or data that do not fit, TrainingError when the loss is not finite.
    """
    source = FixedSource(data) if isinstance(data, Dataset) else data
    device = ComputeDevice(backend or choose_backend("cpu"), log.warning)
    trainer = device.run(
        lambda: Trainer(network, source, config or TrainingConfig(), device.backend, held_out=held_out)
    )
    device.moves.append(trainer.move_to)

    def trained() -> Arrays:
        for _ in trainer.run():
            pass
        return trainer.final_parameters()

    return Model("trained", network, device.run(trained))
