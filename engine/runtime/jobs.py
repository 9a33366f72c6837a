"""Background jobs, computed in slices: predictions for the user's drawings, robustness, held-out evaluation, layer
statistics and step traces. Each runs only while a panel that shows it is visible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from engine.backends import Backend, HostArray
from engine.data import Dataset, ExamplePool, LabelledDrawing, PoolSettings, input_kind
from engine.documents import Document
from engine.drawings import Drawing
from engine.explain import (
    COARSE_ROUNDS,
    COARSE_SECONDS,
    ROUNDS,
    LiveStepTracer,
    RobustnessResult,
    RobustnessTest,
    StepTrace,
    TraceRequest,
    supports,
)
from engine.faults import NAMED, Faults
from engine.nn import Model, Network, Parameters, Plan, RunPoint, compute_votes, predict_class
from engine.runtime.training_protocol import TrainingReport, TrainingRequest, TrainingState
from engine.training import (
    Checkpoint,
    HeldOutEvaluation,
    HeldOutJob,
    History,
    NetworkStatistics,
    ParameterChange,
    Replay,
    StatisticsObserver,
    Trainer,
    TrainingAccuracyJob,
    adapt_checkpoint,
    inference_batch_size,
)

MAX_BATCH: Final = 16
# Seconds between two passes over all drawings while training runs.
RUNNING_INTERVAL: Final = 0.5
# Seconds of a slice: the longest a dragged slider waits.
MAX_SLICE_SECONDS: Final = 0.004
# Steps per second, at most, of which each is traced before it is made.
SLOW_STEPS_PER_SECOND: Final = 1.0


@dataclass(frozen=True)
class DrawingPrediction:
    """The predicted class of a drawing, or "unsure", and the largest vote."""

    predicted_class: str
    vote: float


class DrawingPredictionJob:
    """Predictions for the user's labelled drawings; each drawing keeps its last one until there is a newer."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._plan: Plan | None = None
        self._model: Model | None = None
        self._source: object = None
        self._started, self._cancelled = 0.0, False
        self._images: dict[Drawing, HostArray] = {}
        self._pending: list[Drawing] = []
        self._results: Mapping[Drawing, DrawingPrediction] = MappingProxyType({})

    def update(self, labelled: Sequence[LabelledDrawing], model: Model, training: TrainingReport | None) -> None:
        """Predict these drawings with the model.

        training: the training report if the model has the parameters of the point it shows, None if it has its own;
        while training runs, the drawings are read again at most every RUNNING_INTERVAL seconds. Raises what Plan
        raises for a network that is too large.
        """
        source: object = model if training is None else (training.run_id, training.shown_point)
        running = training is not None and training.state == "running"
        drawings = list(dict.fromkeys(each.drawing for each in labelled))
        self._images = {drawing: self._images[drawing] for drawing in drawings if drawing in self._images}
        if self._model is None or self._model.network != model.network:
            self._model = model
            self._build_plan(model.network)
        self._model = model
        if self._cancelled:
            return
        known = {drawing: self._results[drawing] for drawing in drawings if drawing in self._results}
        if len(known) != len(self._results):
            self._results = MappingProxyType(known)
        changed = source != self._source and not (running and perf_counter() - self._started < RUNNING_INTERVAL)
        if changed:
            self._source, self._started, self._pending = source, perf_counter(), drawings
            assert self._plan is not None
            self._plan.load(model.parameters)
        else:
            pending = {*self._pending, *(drawing for drawing in drawings if drawing not in known)}
            self._pending = [drawing for drawing in drawings if drawing in pending]

    @property
    def busy(self) -> bool:
        """Whether drawings are pending."""
        return bool(self._pending)

    def run_for(self, seconds: float) -> None:
        """Predict pending drawings for about `seconds`."""
        deadline = perf_counter() + seconds
        while self._pending and perf_counter() < deadline:
            self._predict_batch()

    def cancel(self) -> None:
        """Do nothing until the network changes."""
        self._pending, self._cancelled = [], True

    def report(self) -> Mapping[Drawing, DrawingPrediction]:
        """The last prediction of each drawing, read-only; the same object until it changes."""
        return self._results

    def _build_plan(self, network: Network) -> None:
        self._source, self._pending, self._plan, self._cancelled = None, [], None, False
        self._images.clear()
        self._results = MappingProxyType({})
        self._plan = Plan(network, self._backend, max(1, inference_batch_size(network, MAX_BATCH)))

    def _predict_batch(self) -> None:
        model, plan = self._model, self._plan
        assert model is not None
        assert plan is not None
        kind, shape, size = input_kind(model.network), model.network.input_shape, plan.batch
        drawings, self._pending = self._pending[:size], self._pending[size:]
        for drawing in drawings:
            if drawing not in self._images:
                self._images[drawing] = kind.encode(drawing, shape)
        images = [self._images[drawing] for drawing in drawings]
        batch = np.zeros((size, *shape), np.float32)
        batch[: len(drawings)] = images
        # Large weights may overflow; the predicted class is then "unsure", without a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._backend.operations.to_host(plan.forward(batch)).T[: len(drawings)]
            votes = compute_votes(model.network, scores)
        results = dict(self._results)
        for drawing, image, vote in zip(drawings, images, votes, strict=True):
            results[drawing] = DrawingPrediction(predict_class(model, vote, image), float(vote.max()))
        self._results = MappingProxyType(results)


class RobustnessJob:
    """The robustness test of the parameters shown, restarted whenever they change."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._test: RobustnessTest | None = None
        self._previous: RobustnessResult | None = None
        self._network: Network | None = None
        self._coarse, self._started = False, 0.0

    def update(self, model: Model, training: TrainingReport | None) -> None:
        """Test the model's parameters.

        training: the training report if they are those of the point it shows, None if they are the model's own.
        Raises what RobustnessTest raises, once for a network.
        """
        network, point = model.network, None if training is None else training.shown_point
        source: object = model if training is None else (training.run_id, point)
        changing = training is not None and (not training.is_exact or training.state in ("preparing", "running"))
        known, self._coarse = self._network == network, changing
        if known and not self._should_restart(source):
            return
        self._previous = self.report() if known else None
        self._network, self._test, self._started = network, None, perf_counter()
        self._test = RobustnessTest(network, model.parameters, self._backend, source, point)

    def cancel(self) -> None:
        """Do nothing until the network changes."""
        self._test = self._previous = None

    def _should_restart(self, source: object) -> bool:
        """Whether the parameters from `source` replace those under test."""
        test = self._test
        if test is None or test.source == source:
            return False
        return not self._coarse or (test.rounds_done >= 1 and perf_counter() - self._started >= COARSE_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether rounds of the test are left."""
        test = self._test
        return test is not None and test.rounds_done < (COARSE_ROUNDS if self._coarse else ROUNDS)

    def run_for(self, seconds: float) -> None:
        """Run rounds of the test for about `seconds`."""
        deadline = perf_counter() + seconds
        while self.busy and perf_counter() < deadline:
            assert self._test is not None
            self._test.advance()

    def report(self) -> RobustnessResult | None:
        """The result so far; that of the previous parameters until the first round is done."""
        if self._test is None or (self._test.rounds_done < 1 and self._previous is not None):
            return self._previous
        return self._test.result()


_ROBUSTNESS, _OWN, _HELD_OUT = "Robustness", "Predictions for your own drawings", "Accuracy on held-out drawings"


class BackgroundJob(Protocol):
    """A computation that runs in slices."""

    @property
    def busy(self) -> bool:
        """Whether work is left."""

    def run_for(self, seconds: float) -> None:
        """Continue for about `seconds`."""

    def cancel(self) -> None:
        """Do nothing until something else is requested."""


@dataclass(frozen=True, eq=False)
class ActiveQueries:
    """The visible reports: robustness, predictions for the user's drawings, and the held-out examples of the given
    data, None if hidden."""

    robustness: bool = False
    drawing_predictions: bool = False
    held_out: PoolSettings | None = None


@dataclass(frozen=True, eq=False)
class QueryResults:
    """The results so far of the visible reports, read-only."""

    robustness: RobustnessResult | None = None
    drawing_predictions: Mapping[Drawing, DrawingPrediction] = field(default_factory=dict)
    held_out: HeldOutEvaluation | None = None


class QueryJobs:
    """One job of each kind, kept while its report is visible. A job that fails stops.

    faults: reports it.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._robustness: RobustnessJob | None = None
        self._drawings: DrawingPredictionJob | None = None
        self._held_out: HeldOutJob | None = None
        self._turn = 0

    def update(
        self,
        queries: ActiveQueries,
        document: Document,
        model: Model,
        training: TrainingReport | None,
        backend: Backend,
    ) -> QueryResults:
        """Set what is computed from now on, and return the results so far.

        model: the document's first one, or that with the parameters of the point that `training` shows.
        """
        shown = None if model is document.models[0] else training
        return QueryResults(
            self._update_robustness(queries, model, shown, backend),
            self._update_drawings(queries, document, model, shown, backend),
            self._update_held_out(queries, model, shown, backend),
        )

    def stop(self) -> QueryResults:
        """Drop all jobs."""
        self._robustness = self._drawings = self._held_out = None
        return QueryResults()

    @property
    def busy(self) -> bool:
        """Whether a job has work left."""
        return any(job.busy for job, _ in self._jobs())

    def run_for(self, seconds: float) -> None:
        """Continue one job, another at each call, for about `seconds` and at most MAX_SLICE_SECONDS."""
        busy = [(job, name) for job, name in self._jobs() if job.busy]
        self._turn += 1
        if busy:
            job, name = busy[self._turn % len(busy)]
            self._guard(lambda: job.run_for(min(seconds, MAX_SLICE_SECONDS)), job, name)

    def _jobs(self) -> list[tuple[BackgroundJob, str]]:
        jobs = ((self._robustness, _ROBUSTNESS), (self._drawings, _OWN), (self._held_out, _HELD_OUT))
        return [(job, name) for job, name in jobs if job is not None]

    def _update_robustness(
        self, queries: ActiveQueries, model: Model, shown: TrainingReport | None, backend: Backend
    ) -> RobustnessResult | None:
        if not queries.robustness or not supports(model.network):
            self._robustness = None
            return None
        job = self._robustness = self._robustness or RobustnessJob(backend)
        self._guard(lambda: job.update(model, shown), job, _ROBUSTNESS)
        return job.report()

    def _update_drawings(
        self,
        queries: ActiveQueries,
        document: Document,
        model: Model,
        shown: TrainingReport | None,
        backend: Backend,
    ) -> Mapping[Drawing, DrawingPrediction]:
        if not queries.drawing_predictions or not document.labelled_drawings:
            self._drawings = None
            return {}
        job = self._drawings = self._drawings or DrawingPredictionJob(backend)
        self._guard(lambda: job.update(document.labelled_drawings, model, shown), job, _OWN)
        return job.report()

    def _update_held_out(
        self, queries: ActiveQueries, model: Model, shown: TrainingReport | None, backend: Backend
    ) -> HeldOutEvaluation | None:
        """The evaluation of the model's own parameters; the training run evaluates its own."""
        settings = queries.held_out
        fits = settings is not None and (settings.classes, settings.input_shape) == (
            model.network.classes,
            model.network.input_shape,
        )
        if settings is None or not fits or shown is not None:
            self._held_out = None
            return None
        job = self._held_out = self._held_out or HeldOutJob(backend)
        self._guard(lambda: job.update(model, settings), job, _HELD_OUT)
        return job.report()

    def _guard(self, action: Callable[[], None], job: BackgroundJob, name: str) -> None:
        """Run the action; on failure cancel the job."""
        self._faults.guard(name, action, None, lambda _: job.cancel(), refusal=NAMED)


@dataclass(frozen=True)
class TrainingContext:
    """What a job reads from the training run.

    parameters: gives the parameters shown, None before there are any.
    pool_of: gives the examples of a branch by number, which may not be complete yet.
    make_replay: gives the replay to the second argument, starting at or before the third.
    """

    trainer: Trainer
    parameters: Callable[[], Parameters | None]
    history: History
    pool_of: Callable[[int], ExamplePool]
    make_replay: Callable[[History, RunPoint, RunPoint], Replay]


class LayerStatisticsJob:
    """The statistics of one network's layers at the point shown."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self._observer = StatisticsObserver(network, backend)
        self._point, self._running = RunPoint(-1, -1), False

    @property
    def latest(self) -> NetworkStatistics | None:
        """The latest statistics."""
        return self._observer.latest

    def is_due(
        self,
        request: TrainingRequest,
        state: TrainingState,
        current: RunPoint,
        replay: Replay | None,
        within_step: bool,
    ) -> bool:
        """Whether statistics are to be computed: from time to time between steps while training runs, once for a
        point that is shown."""
        if state in ("preparing", "failed"):
            return False
        if request.shown_point is None:
            self._point, self._running = current, state == "running"
        elif replay is None or not replay.is_exact or replay.target != request.shown_point:
            return False
        else:
            self._point, self._running = replay.point, False
        if self._running and within_step and not self._observer.busy:
            return False
        return self._observer.is_due(self._point, request.layer_statistics, self._running)

    def advance(self, request: TrainingRequest, context: TrainingContext) -> None:
        """Run one slice, when due."""
        pool = context.pool_of(self._point.branch)
        if pool.progress < 1:
            pool.generate_next()
            return
        point = request.shown_point or self._point

        def last_change() -> Iterator[ParameterChange | None]:
            return _last_change(context, point, replayed=request.shown_point is not None)

        self._observer.advance(
            self._point, request.layer_statistics, self._running, pool.held_out, context.parameters, last_change
        )


def _last_change(context: TrainingContext, point: RunPoint, replayed: bool) -> Iterator[ParameterChange | None]:
    """The change made by the step to `point`; it is repeated where it was replayed or another trainer made it."""
    if not replayed and (change := context.trainer.last_change()) is not None:
        yield change
        return
    before = replace(point, step=point.step - 1)
    while (pool := context.pool_of(context.history.nearest_keyframe(before)[0].branch)).progress < 1:
        pool.generate_next()
        yield None
    yield from context.make_replay(context.history, point, before).iter_last_change()


_WITHOUT_STEPS: Final = ("preparing", "diverged", "failed")


class StepTraceJob:
    """Traces of the steps of one branch."""

    def __init__(self, network: Network, examples: Dataset, backend: Backend) -> None:
        self._tracer = LiveStepTracer(network, examples, backend)
        self._request: TraceRequest | None = None

    @property
    def latest(self) -> StepTrace | None:
        """The step traced last."""
        return self._tracer.result

    def is_due(
        self, request: TrainingRequest, state: TrainingState, current: RunPoint, replay: Replay | None
    ) -> bool:
        """Whether the step after the point shown is to be traced."""
        self._request = _trace_request(request, state, current, replay)
        return self._tracer.is_due(self._request)

    def advance(
        self, request: TrainingRequest, state: TrainingState, checkpoint: Callable[[], Checkpoint]
    ) -> float:
        """Run one slice, when due.

        Returns the perf_counter() seconds the next step should wait for, so that a slow step is shown before it is
        made.
        """
        traced = self._request
        assert traced is not None
        ended = self._tracer.advance(traced, lambda: adapt_checkpoint(checkpoint(), traced.config))
        slow = state == "running" and request.stop_at_step is None and not traced.fast
        return (
            perf_counter() + 1 / request.speed_limit if ended and slow and request.speed_limit is not None else 0.0
        )


def _trace_request(
    request: TrainingRequest, state: TrainingState, current: RunPoint, replay: Replay | None
) -> TraceRequest | None:
    """The step to trace, None until the replay has reached its point."""
    if request.step_query is None or state in _WITHOUT_STEPS:
        return None
    if request.shown_point is None:
        fast = state == "running" and (request.speed_limit or math.inf) > SLOW_STEPS_PER_SECOND
        return TraceRequest(current, request.config, request.step_query, fast)
    if replay is None or not replay.is_exact or replay.target != request.shown_point:
        return None
    return TraceRequest(request.shown_point, request.config, request.step_query, False)


@dataclass(frozen=True)
class TrainingStatus:
    """The state of the training run that decides which jobs are due.

    replay: towards the point shown. within_step: a step is partly made.
    """

    request: TrainingRequest
    state: TrainingState
    current_point: RunPoint
    replay: Replay | None
    within_step: bool


class BranchJobs:
    """The jobs of one branch: step traces, layer statistics and training accuracy.

    previous: the jobs of an earlier branch of the same network in the same history, whose statistics continue.
    """

    def __init__(
        self, network: Network, training_set: Dataset, backend: Backend, previous: BranchJobs | None
    ) -> None:
        self.network = network
        self._step_trace = StepTraceJob(network, training_set, backend)
        self._statistics: LayerStatisticsJob = (
            previous._statistics if previous is not None else LayerStatisticsJob(network, backend)
        )
        self._training_accuracy = TrainingAccuracyJob(network, backend, training_set)

    @property
    def step_trace(self) -> StepTrace | None:
        """The step traced last."""
        return self._step_trace.latest

    @property
    def statistics(self) -> NetworkStatistics | None:
        """The latest layer statistics."""
        return self._statistics.latest

    def is_due(self, status: TrainingStatus) -> bool:
        """Whether any job has work."""
        return self._trace_is_due(status) or self._statistics_are_due(status) or self._training_accuracy.busy

    def advance(self, status: TrainingStatus, context: TrainingContext) -> float:
        """Run one slice of a job that is due; returns the perf_counter() seconds the next step should wait for."""
        request = status.request
        if self._trace_is_due(status):
            replay = status.replay if request.shown_point is not None else None
            checkpoint = context.trainer.checkpoint if replay is None else lambda: replay.checkpoint
            return self._step_trace.advance(request, status.state, checkpoint)
        if self._statistics_are_due(status):
            self._statistics.advance(request, context)
        elif self._training_accuracy.busy:
            self._training_accuracy.advance(context.history)
        return 0.0

    def on_epoch_end(self, point: RunPoint, parameters: Parameters, seconds: float) -> None:
        """Start measuring the training accuracy at the end of an epoch, in slices of about `seconds`."""
        self._training_accuracy.start(point, parameters, seconds)

    def _trace_is_due(self, status: TrainingStatus) -> bool:
        return self._step_trace.is_due(status.request, status.state, status.current_point, status.replay)

    def _statistics_are_due(self, status: TrainingStatus) -> bool:
        return self._statistics.is_due(
            status.request, status.state, status.current_point, status.replay, status.within_step
        )
