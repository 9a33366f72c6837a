"""Jobs of the training run: training itself, and the replay of its history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.data import ExamplePool
from engine.explain import Query
from engine.faults import PLAIN
from engine.nn import RunPoint
from engine.runtime.job_context import JobContext
from engine.runtime.scheduler import Job
from engine.runtime.training_protocol import TrainingReport
from engine.runtime.training_run import TrainingRun
from engine.training import SLICE_SECONDS, Evaluator, HeldOutEvaluation, NetworkStatistics, Replay


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
        return True

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
