"""Jobs of the training run: training itself, the replay of its history, and what is computed of a point of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from engine.backends import Backend
from engine.data import Dataset, ExamplePool
from engine.explain import Query, StepQuery, StepTrace, StepTracer
from engine.faults import PLAIN
from engine.nn import RunPoint
from engine.runtime.job_context import JobContext
from engine.runtime.moments import ComingStep, Moment
from engine.runtime.scheduler import Job
from engine.runtime.training_protocol import TrainingReport
from engine.runtime.training_run import TrainingRun
from engine.training import (
    SLICE_SECONDS,
    Evaluator,
    HeldOutEvaluation,
    NetworkStatistics,
    Replay,
    StatisticsCalculator,
)


@dataclass(frozen=True)
class TrainingQuery(Query[None]):
    """The training that is requested."""


class TrainingJob(Job):
    """Prepares a branch and makes its steps until nothing is left to do."""

    is_training = True
    refusal = PLAIN

    def __init__(self, run: TrainingRun) -> None:
        self._run = run

    def has_same_inputs(self, previous: TrainingJob) -> bool:
        """Each Request may ask for more, so that it is begun again."""
        return False

    @property
    def is_waiting(self) -> bool:
        return self._run.is_held

    def run(self) -> Iterator[None]:
        while self._run.busy:
            self._run.advance()
            yield None

    def fail(self, sentence: str) -> None:
        self._run.fail(sentence)


def training_job(_: TrainingQuery, context: JobContext) -> TrainingJob | None:
    """The job of the training run, None where nothing is left to do."""
    return None if context.run is None or not context.run.busy else TrainingJob(context.run)


@dataclass(frozen=True)
class ReplayQuery(Query[RunPoint]):
    """The steps up to the point of the history that is shown."""


class ReplayJob(Job):
    """Repeats the steps from a keyframe to a point of the history; training waits, so that a drag is followed."""

    goes_first = True

    def __init__(self, replay: Replay, pool: ExamplePool) -> None:
        """pool: the examples of its branch."""
        self._replay, self._pool = replay, pool
        self.source = replay

    def has_same_inputs(self, previous: ReplayJob) -> bool:
        """That to another point is left at once, and not continued while the timeline is dragged."""
        return self._replay is previous._replay

    def run(self) -> Iterator[RunPoint | None]:
        while self._pool.progress < 1:
            self._pool.generate_next()
            yield None
        while not self._replay.is_exact:
            self._replay.advance()
            yield None
        yield self._replay.target


def replay_job(_: ReplayQuery, context: JobContext) -> ReplayJob | None:
    """The job of the replay to the point shown, None where it is reached."""
    run = context.run
    if run is None or run.replay is None or run.replay.is_exact:
        return None
    return ReplayJob(run.replay, run.pool_of(run.replay.point))


@dataclass(frozen=True)
class RunEvaluationQuery(Query[HeldOutEvaluation]):
    """The evaluation on the held-out examples of the training run at the point shown, while training runs the last
    one before it."""

    of_training_run: ClassVar[bool] = True


class RunEvaluationJob(Job):
    """Evaluates the point shown where training stands still; each epoch's end has been evaluated by the trainer."""

    is_small = False
    knows_something = True

    def __init__(self, context: JobContext, training: TrainingReport, run: TrainingRun) -> None:
        point = training.shown_point
        self._known = run.evaluations.at(point, running=training.state == "running")
        self._is_still = not training.is_changing
        self._point = point if self._known is None else self._known[0]
        self.source = training.run_id, self._point, self._is_still
        self._model, self._backend, self._pool = context.model, context.backend, run.pool_of(point)
        self._evaluations = run.evaluations

    def has_same_inputs(self, previous: RunEvaluationJob) -> bool:
        return self._model.network == previous._model.network

    def may_show(self, previous: RunEvaluationJob) -> bool:
        """During a drag the last one stays."""
        is_same = self._point.branch == previous._point.branch and self.has_same_inputs(previous)
        return is_same and self._known is None

    def run(self) -> Iterator[HeldOutEvaluation | None]:
        while self._pool.progress < 1:
            self._pool.generate_next()
            yield None
        examples = self._pool.held_out
        if self._known is not None:
            yield HeldOutEvaluation(examples, self._known[1], self._point)
        elif self._is_still:
            evaluator = Evaluator(self._model.network, self._backend, examples)
            for evaluation in evaluator.iter_slices(self._model.parameters, SLICE_SECONDS):
                yield (
                    None
                    if evaluation is None
                    else self._remember(HeldOutEvaluation(examples, evaluation, self._point))
                )

    def _remember(self, result: HeldOutEvaluation) -> HeldOutEvaluation:
        self._evaluations.add(self._point, result.evaluation)
        return result


def run_evaluation_job(_: RunEvaluationQuery, context: JobContext) -> RunEvaluationJob | None:
    """The job of the training run whose parameters are shown, None without one."""
    training, run = context.training, context.run
    return None if training is None or run is None else RunEvaluationJob(context, training, run)


@dataclass(frozen=True)
class LayerStatisticsQuery(Query[NetworkStatistics]):
    """The statistics of weights, values and gradients of the network in training, at the point shown."""

    of_training_run: ClassVar[bool] = True


@dataclass(frozen=True)
class DeadFeaturesQuery(Query[NetworkStatistics]):
    """The statistics of dead features alone."""

    of_training_run: ClassVar[bool] = True


class StatisticsJob(Job):
    """The statistics of one network's layers after a step. complete: all of them, not only the dead features."""

    is_small = False

    def __init__(self, moment: Moment, calculator: StatisticsCalculator, *, complete: bool) -> None:
        self.source = self._moment = moment
        self._calculator, self._complete = calculator, complete

    def has_same_inputs(self, previous: StatisticsJob) -> bool:
        return self._moment.network == previous._moment.network

    def may_show(self, previous: StatisticsJob) -> bool:
        return self.has_same_inputs(previous)

    def adopt(self, previous: StatisticsJob) -> None:
        one, other = self._calculator, previous._calculator
        if one.network == other.network and one.backend is other.backend and one.norms is other.norms:
            self._calculator = other

    def run(self) -> Iterator[NetworkStatistics | None]:
        moment, change = self._moment, None
        while moment.pool.progress < 1:
            moment.pool.generate_next()
            yield None
        for found in moment.change() if self._complete else ():
            change = found
            yield None
        held_out = moment.pool.held_out
        yield from self._calculator.iter_slices(
            moment.point, held_out, moment.parameters, change, complete=self._complete
        )


def statistics_job(query: LayerStatisticsQuery | DeadFeaturesQuery, context: JobContext) -> StatisticsJob | None:
    """The job of the training run, None before it has begun."""
    complete = isinstance(query, LayerStatisticsQuery)
    moment = None if context.run is None else context.run.moment(with_change=complete)
    if context.run is None or moment is None:
        return None
    calculator = StatisticsCalculator(moment.network, context.backend, context.run.norms)
    return StatisticsJob(moment, calculator, complete=complete)


class StepTraceJob(Job):
    """Traces the coming step. goes_first: that it is shown before it is made.

    idle: tracers that no job uses; one is kept, because it knows the update if another example is asked for.
    """

    is_small = False

    def __init__(
        self, query: StepQuery, step: ComingStep, backend: Backend, idle: list[StepTracer], *, goes_first: bool
    ) -> None:
        self.source = self._step = step
        self._query, self._backend, self._idle, self.goes_first = query, backend, idle, goes_first
        self._tracer: StepTracer | None = None
        self._is_done = False

    def has_same_inputs(self, previous: StepTraceJob) -> bool:
        one, other = self._step, previous._step
        is_same = one.start.config == other.start.config and one.source is other.source
        is_traced = one is other and previous._is_done
        return is_same and one.network == other.network and (is_traced or self.goes_first == previous.goes_first)

    def may_show(self, previous: StepTraceJob) -> bool:
        return self._step.network == previous._step.network

    def adopt(self, previous: StepTraceJob) -> None:
        previous.close()

    def close(self) -> None:
        if self._tracer is not None:
            self._idle[:], self._tracer = [self._tracer], None

    def run(self) -> Iterator[StepTrace | None]:
        step = self._step
        examples = yield from step.source.epoch_in_slices(step.epoch)
        fitting = [tracer for tracer in self._idle if self._fits(tracer, examples)]
        self._tracer = fitting[0] if fitting else StepTracer(step.network, examples, self._backend)
        self._idle.clear()
        trace = yield from self._tracer.trace_in_slices(step.start, self._query)
        self._is_done = True
        if trace is not None:
            yield trace

    def _fits(self, tracer: StepTracer, examples: Dataset) -> bool:
        is_same = tracer.examples is examples and tracer.backend is self._backend
        return is_same and tracer.network == self._step.network


def step_trace_job(query: StepQuery, context: JobContext) -> StepTraceJob | None:
    """The job of the training run, None before it has begun."""
    step = None if context.run is None else context.run.coming_step()
    if context.run is None or step is None:
        return None
    goes_first = context.run.replay is None and context.run.is_slow
    return StepTraceJob(query, step, context.backend, context.tracers, goes_first=goes_first)
