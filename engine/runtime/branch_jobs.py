"""Work beside the training steps: layer statistics and step traces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from engine.backends import Backend
from engine.data import Dataset, ExamplePool
from engine.explain import LiveStepTracer, StepQuery, StepTrace, TraceRequest
from engine.nn import Network, Parameters, RunPoint
from engine.runtime.training_protocol import TrainingRequest, TrainingState
from engine.training import (
    Checkpoint,
    History,
    NetworkStatistics,
    ParameterChange,
    Replay,
    StatisticsObserver,
    Trainer,
    adapt_checkpoint,
)

# Steps per second, at most, of which each is traced before it is made.
SLOW_STEPS_PER_SECOND: Final = 1.0


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
        status: TrainingStatus,
    ) -> bool:
        """Whether statistics are to be computed: from time to time between steps while training runs, once for a
        point that is shown."""
        request, replay = status.request, status.replay
        if status.state in ("preparing", "failed"):
            return False
        if request.shown_point is None:
            self._point, self._running = status.current_point, status.state == "running"
        elif replay is None or not replay.is_exact or replay.target != request.shown_point:
            return False
        else:
            self._point, self._running = replay.point, False
        if self._running and status.within_step and not self._observer.busy:
            return False
        return self._observer.is_due(self._point, status.layer_statistics, self._running)

    def advance(self, status: TrainingStatus, context: TrainingContext) -> None:
        """Run one slice, when due."""
        pool = context.pool_of(self._point.branch)
        if pool.progress < 1:
            pool.generate_next()
            return
        shown = status.request.shown_point
        point = shown or self._point

        def last_change() -> Iterator[ParameterChange | None]:
            return _last_change(context, point, replayed=shown is not None)

        self._observer.advance(
            self._point, status.layer_statistics, self._running, pool.held_out, context.parameters, last_change
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

    def is_due(self, status: TrainingStatus) -> bool:
        """Whether the step after the point shown is to be traced."""
        self._request = _trace_request(status)
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


def _trace_request(status: TrainingStatus) -> TraceRequest | None:
    """The step to trace, None until the replay has reached its point."""
    request, query, replay = status.request, status.step_query, status.replay
    if query is None or status.state in _WITHOUT_STEPS:
        return None
    if request.shown_point is None:
        fast = status.state == "running" and (request.speed_limit or math.inf) > SLOW_STEPS_PER_SECOND
        return TraceRequest(status.current_point, request.config, query, fast)
    if replay is None or not replay.is_exact or replay.target != request.shown_point:
        return None
    return TraceRequest(request.shown_point, request.config, query, False)


@dataclass(frozen=True)
class TrainingStatus:
    """The state of the training run that decides which jobs are due.

    replay: towards the point shown. within_step: a step is partly made.
    step_query: what to trace of the step after the point shown, None for nothing.
    layer_statistics: the statistics of weights, values and gradients are visible.
    """

    request: TrainingRequest
    state: TrainingState
    current_point: RunPoint
    replay: Replay | None
    within_step: bool
    step_query: StepQuery | None
    layer_statistics: bool


class BranchJobs:
    """The jobs of one branch: step traces and layer statistics.

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
        return self._trace_is_due(status) or self._statistics_are_due(status)

    def advance(self, status: TrainingStatus, context: TrainingContext) -> float:
        """Run one slice of a job that is due; returns the perf_counter() seconds the next step should wait for."""
        request = status.request
        if self._trace_is_due(status):
            replay = status.replay if request.shown_point is not None else None
            checkpoint = context.trainer.checkpoint if replay is None else lambda: replay.checkpoint
            return self._step_trace.advance(request, status.state, checkpoint)
        if self._statistics_are_due(status):
            self._statistics.advance(status, context)
        return 0.0

    def _trace_is_due(self, status: TrainingStatus) -> bool:
        return self._step_trace.is_due(status)

    def _statistics_are_due(self, status: TrainingStatus) -> bool:
        return self._statistics.is_due(status)
