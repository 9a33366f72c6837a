"""Background jobs, computed in slices: predictions for the user's drawings, robustness, held-out evaluation, layer
statistics and step traces. Each runs only while a panel that shows it is visible."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from engine.backends.backend import Backend, DeviceError
from engine.data.dataset import Examples
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Pool, PoolSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render
from engine.explain.robustness import HURRIED_ROUNDS, HURRIED_SECONDS, ROUNDS, Robustness, Trial, tries
from engine.explain.step_trace import Dissection
from engine.explain.step_tracer import Wanted, Watch
from engine.nn.inference import verdict, votes_of
from engine.nn.model import Moment, Subject
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.runtime.training_protocol import Goal, State, Training
from engine.training.checkpoint import Checkpoint, fitting
from engine.training.evaluation import HeldOut, Judging, Recall
from engine.training.history import History
from engine.training.layer_statistics import Move, Observer, Statistics
from engine.training.replay import Replay
from engine.training.train_step import reading_size
from engine.training.trainer import Trainer

HostArray: TypeAlias = "np.ndarray[Any, Any]"

log = logging.getLogger(__name__)

TOGETHER: Final = 16
# Seconds between two passes over all drawings while training runs.
HURRIED: Final = 0.5
# Seconds of a slice: the longest a dragged slider waits.
SHORT: Final = 0.004
# Steps per second, at most, of which each is traced before it is made.
SLOW: Final = 1.0


@dataclass(frozen=True)
class Verdict:
    """The predicted class of a drawing, or "unsure", and the largest vote."""

    word: str
    vote: float


class OwnReader:
    """Predictions for the user's labelled drawings; each drawing keeps its last one until there is a newer."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._plan: Plan | None = None
        self._model: Subject | None = None
        self._source: object = None
        self._started, self._cancelled = 0.0, False
        self._images: dict[Drawing, HostArray] = {}
        self._pending: list[Drawing] = []
        self._results: Mapping[Drawing, Verdict] = MappingProxyType({})

    def follow(self, labelled: Sequence[OwnDrawing], model: Subject, training: Training | None) -> None:
        """Predict these drawings with the model.

        training: the training report if the model has the parameters of the point it shows, None if it has its own;
        while training runs, the drawings are read again at most every RUNNING_INTERVAL seconds. Raises what Plan
        raises for a network that is too large.
        """
        source: object = model if training is None else (training.goal, training.shown)
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
        changed = source != self._source and not (running and perf_counter() - self._started < HURRIED)
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

    def work(self, seconds: float) -> None:
        """Predict pending drawings for about `seconds`."""
        deadline = perf_counter() + seconds
        while self._pending and perf_counter() < deadline:
            self._predict_batch()

    def give_up(self) -> None:
        """Do nothing until the network changes."""
        self._pending, self._cancelled = [], True

    def report(self) -> Mapping[Drawing, Verdict]:
        """The last prediction of each drawing, read-only; the same object until it changes."""
        return self._results

    def _build_plan(self, network: Network) -> None:
        self._source, self._pending, self._plan, self._cancelled = None, [], None, False
        self._images.clear()
        self._results = MappingProxyType({})
        self._plan = Plan(network, self._backend, max(1, reading_size(network, TOGETHER)))

    def _predict_batch(self) -> None:
        model, plan = self._model, self._plan
        assert model is not None
        assert plan is not None
        side, size = model.network.input_shape[1], plan.batch
        drawings, self._pending = self._pending[:size], self._pending[size:]
        for drawing in drawings:
            if drawing not in self._images:
                self._images[drawing] = render(drawing, side)
        images = [self._images[drawing] for drawing in drawings]
        batch = np.zeros((size, *model.network.input_shape), np.float32)
        batch[: len(drawings), 0] = images
        # Large weights may overflow; the predicted class is then "unsure", without a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._backend.operations.to_host(plan.forward(batch)).T[: len(drawings)]
            votes = votes_of(model.network, scores)
        results = dict(self._results)
        for drawing, image, vote in zip(drawings, images, votes, strict=True):
            results[drawing] = Verdict(verdict(model, vote, image), float(vote.max()))
        self._results = MappingProxyType(results)


class Trials:
    """The robustness test of the parameters shown, restarted whenever they change."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._test: Trial | None = None
        self._previous: Robustness | None = None
        self._network: Network | None = None
        self._coarse, self._started = False, 0.0

    def follow(self, model: Subject, training: Training | None) -> None:
        """Test the model's parameters.

        training: the training report if they are those of the point it shows, None if they are the model's own.
        Raises what RobustnessTest raises, once for a network.
        """
        network, point = model.network, None if training is None else training.shown
        source: object = model if training is None else (training.goal, point)
        changing = training is not None and (not training.exact or training.state in ("preparing", "running"))
        known, self._coarse = self._network == network, changing
        if known and not self._should_restart(source):
            return
        self._previous = self.report() if known else None
        self._network, self._test, self._started = network, None, perf_counter()
        self._test = Trial(network, model.parameters, self._backend, source, point)

    def give_up(self) -> None:
        """Do nothing until the network changes."""
        self._test = self._previous = None

    def _should_restart(self, source: object) -> bool:
        """Whether the parameters from `source` replace those under test."""
        test = self._test
        if test is None or test.source == source:
            return False
        return not self._coarse or (test.rounds >= 1 and perf_counter() - self._started >= HURRIED_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether rounds of the test are left."""
        test = self._test
        return test is not None and test.rounds < (HURRIED_ROUNDS if self._coarse else ROUNDS)

    def work(self, seconds: float) -> None:
        """Run rounds of the test for about `seconds`."""
        deadline = perf_counter() + seconds
        while self.busy and perf_counter() < deadline:
            assert self._test is not None
            self._test.advance()

    def report(self) -> Robustness | None:
        """The result so far; that of the previous parameters until the first round is done."""
        if self._test is None or (self._test.rounds < 1 and self._previous is not None):
            return self._previous
        return self._test.report()


_ROBUSTNESS, _OWN, _HELD_OUT = "Robustness", "Predictions for your own drawings", "Accuracy on held-out drawings"


class Side(Protocol):
    """A computation that runs in slices."""

    @property
    def busy(self) -> bool:
        """Whether work is left."""

    def work(self, seconds: float) -> None:
        """Continue for about `seconds`."""

    def give_up(self) -> None:
        """Do nothing until something else is requested."""


@dataclass(frozen=True, eq=False)
class Looks:
    """The visible reports: robustness, predictions for the user's drawings, and the held-out examples of the given
    data, None if hidden."""

    robustness: bool = False
    own: bool = False
    held_out: PoolSettings | None = None


@dataclass(frozen=True, eq=False)
class Watched:
    """The results so far of the visible reports, read-only."""

    robustness: Robustness | None = None
    own: Mapping[Drawing, Verdict] = field(default_factory=dict)
    held_out: HeldOut | None = None


class Watching:
    """One job of each kind, kept while its report is visible.

    notify: called with one sentence when a job fails, which then stops; no method raises.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._robustness: Trials | None = None
        self._drawings: OwnReader | None = None
        self._held_out: Judging | None = None
        self._turn = 0

    def follow(
        self, queries: Looks, document: Document, model: Subject, training: Training | None, backend: Backend
    ) -> Watched:
        """Set what is computed from now on, and return the results so far.

        model: the document's first one, or that with the parameters of the point that `training` shows.
        """
        shown = None if model is document.subjects[0] else training
        return Watched(
            self._update_robustness(queries, model, shown, backend),
            self._update_drawings(queries, document, model, shown, backend),
            self._update_held_out(queries, model, shown, backend),
        )

    def rest(self) -> Watched:
        """Drop all jobs."""
        self._robustness = self._drawings = self._held_out = None
        return Watched()

    @property
    def busy(self) -> bool:
        """Whether a job has work left."""
        return any(job.busy for job, _ in self._jobs())

    def work(self, seconds: float) -> None:
        """Continue one job, another at each call, for about `seconds` and at most MAX_SLICE_SECONDS."""
        busy = [(job, name) for job, name in self._jobs() if job.busy]
        self._turn += 1
        if busy:
            job, name = busy[self._turn % len(busy)]
            self._guard(lambda: job.work(min(seconds, SHORT)), job, name)

    def _jobs(self) -> list[tuple[Side, str]]:
        jobs = ((self._robustness, _ROBUSTNESS), (self._drawings, _OWN), (self._held_out, _HELD_OUT))
        return [(job, name) for job, name in jobs if job is not None]

    def _update_robustness(
        self, queries: Looks, model: Subject, shown: Training | None, backend: Backend
    ) -> Robustness | None:
        if not queries.robustness or not tries(model.network):
            self._robustness = None
            return None
        job = self._robustness = self._robustness or Trials(backend)
        self._guard(lambda: job.follow(model, shown), job, _ROBUSTNESS)
        return job.report()

    def _update_drawings(
        self, queries: Looks, document: Document, model: Subject, shown: Training | None, backend: Backend
    ) -> Mapping[Drawing, Verdict]:
        if not queries.own or not document.own:
            self._drawings = None
            return {}
        job = self._drawings = self._drawings or OwnReader(backend)
        self._guard(lambda: job.follow(document.own, model, shown), job, _OWN)
        return job.report()

    def _update_held_out(
        self, queries: Looks, model: Subject, shown: Training | None, backend: Backend
    ) -> HeldOut | None:
        """The evaluation of the model's own parameters; the training run evaluates its own."""
        settings = queries.held_out
        fits = (
            settings is not None and tries(model.network) and settings.drawing.side == model.network.input_shape[1]
        )
        if settings is None or not fits or shown is not None:
            self._held_out = None
            return None
        job = self._held_out = self._held_out or Judging(backend)
        self._guard(lambda: job.follow(model, settings), job, _HELD_OUT)
        return job.report()

    def _guard(self, action: Callable[[], None], job: Side, name: str) -> None:
        """Run the action; on failure notify and cancel the job."""
        try:
            action()
        except (ValueError, DeviceError) as error:
            self._notify(f"{name}: not available. {error}")
            job.give_up()
        except Exception as error:
            log.exception("a background job failed: %s", name)
            self._notify(f"{name}: not available, {type(error).__name__}: {error}. See the log for details.")
            job.give_up()


@dataclass(frozen=True)
class Sources:
    """What a job reads from the training run.

    parameters: gives the parameters shown, None before there are any.
    pool_of: gives the examples of a branch by number, which may not be complete yet.
    make_replay: gives the replay to the second argument, starting at or before the third.
    """

    trainer: Trainer
    parameters: Callable[[], Parameters | None]
    history: History
    pool_of: Callable[[int], Pool]
    way: Callable[[History, Moment, Moment], Replay]


class Insight:
    """The statistics of one network's layers at the point shown."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self._observer = Observer(network, backend)
        self._point, self._running = Moment(-1, -1), False

    @property
    def found(self) -> Statistics | None:
        """The latest statistics."""
        return self._observer.latest

    def due(self, request: Goal, state: State, current: Moment, replay: Replay | None, within_step: bool) -> bool:
        """Whether statistics are to be computed: from time to time between steps while training runs, once for a
        point that is shown."""
        if state in ("preparing", "failed"):
            return False
        if request.look is None:
            self._point, self._running = current, state == "running"
        elif replay is None or not replay.exact or replay.wished != request.look:
            return False
        else:
            self._point, self._running = replay.at, False
        if self._running and within_step and not self._observer.busy:
            return False
        return self._observer.due(self._point, request.inside, self._running)

    def advance(self, request: Goal, context: Sources) -> None:
        """Run one slice, when due."""
        pool = context.pool_of(self._point.branch)
        if pool.done < 1:
            pool.grow()
            return
        point = request.look or self._point

        def last_change() -> Iterator[Move | None]:
            return _last_change(context, point, replayed=request.look is not None)

        self._observer.advance(
            self._point, request.inside, self._running, pool.held_out, context.parameters, last_change
        )


def _last_change(context: Sources, point: Moment, replayed: bool) -> Iterator[Move | None]:
    """The change made by the step to `point`; it is repeated where it was replayed or another trainer made it."""
    if not replayed and (change := context.trainer.last_move()) is not None:
        yield change
        return
    before = replace(point, step=point.step - 1)
    while (pool := context.pool_of(context.history.nearest(before)[0].branch)).done < 1:
        pool.grow()
        yield None
    yield from context.way(context.history, point, before).last_step()


_WITHOUT_STEPS: Final = ("preparing", "diverged", "failed")


class SlowMotion:
    """Traces of the steps of one branch."""

    def __init__(self, network: Network, examples: Examples, backend: Backend) -> None:
        self._tracer = Watch(network, examples, backend)
        self._request: Wanted | None = None

    @property
    def found(self) -> Dissection | None:
        """The step traced last."""
        return self._tracer.found

    def due(self, request: Goal, state: State, current: Moment, replay: Replay | None) -> bool:
        """Whether the step after the point shown is to be traced."""
        self._request = _trace_request(request, state, current, replay)
        return self._tracer.due(self._request)

    def advance(self, request: Goal, state: State, checkpoint: Callable[[], Checkpoint]) -> float:
        """Run one slice, when due.

        Returns the perf_counter() seconds the next step should wait for, so that a slow step is shown before it is
        made.
        """
        traced = self._request
        assert traced is not None
        ended = self._tracer.advance(traced, lambda: fitting(checkpoint(), traced.recipe))
        slow = state == "running" and request.until is None and not traced.fast
        return perf_counter() + 1 / request.pace if ended and slow and request.pace is not None else 0.0


def _trace_request(request: Goal, state: State, current: Moment, replay: Replay | None) -> Wanted | None:
    """The step to trace, None until the replay has reached its point."""
    if request.inspection is None or state in _WITHOUT_STEPS:
        return None
    if request.look is None:
        fast = state == "running" and (request.pace or math.inf) > SLOW
        return Wanted(current, request.recipe, request.inspection, fast)
    if replay is None or not replay.exact or replay.wished != request.look:
        return None
    return Wanted(request.look, request.recipe, request.inspection, False)


@dataclass(frozen=True)
class Standing:
    """The state of the training run that decides which jobs are due.

    replay: towards the point shown. within_step: a step is partly made.
    """

    goal: Goal
    state: State
    now: Moment
    replay: Replay | None
    within: bool


class Onlookers:
    """The jobs of one branch: step traces, layer statistics and training accuracy.

    previous: the jobs of the branch before it in the same history, whose statistics continue.
    """

    def __init__(
        self, network: Network, training_set: Examples, backend: Backend, previous: Onlookers | None
    ) -> None:
        self._step_trace = SlowMotion(network, training_set, backend)
        self._statistics: Insight = previous._statistics if previous is not None else Insight(network, backend)
        self._training_accuracy = Recall(network, backend, training_set)

    @property
    def dissection(self) -> Dissection | None:
        """The step traced last."""
        return self._step_trace.found

    @property
    def statistics(self) -> Statistics | None:
        """The latest layer statistics."""
        return self._statistics.found

    def due(self, status: Standing) -> bool:
        """Whether any job has work."""
        return self._trace_is_due(status) or self._statistics_are_due(status) or self._training_accuracy.busy

    def advance(self, status: Standing, context: Sources) -> float:
        """Run one slice of a job that is due; returns the perf_counter() seconds the next step should wait for."""
        request = status.goal
        if self._trace_is_due(status):
            replay = status.replay if request.look is not None else None
            checkpoint = context.trainer.checkpoint if replay is None else lambda: replay.checkpoint
            return self._step_trace.advance(request, status.state, checkpoint)
        if self._statistics_are_due(status):
            self._statistics.advance(request, context)
        elif self._training_accuracy.busy:
            self._training_accuracy.advance(context.history)
        return 0.0

    def epoch_over(self, point: Moment, parameters: Parameters, seconds: float) -> None:
        """Start measuring the training accuracy at the end of an epoch, in slices of about `seconds`."""
        self._training_accuracy.begin(point, parameters, seconds)

    def _trace_is_due(self, status: Standing) -> bool:
        return self._step_trace.due(status.goal, status.state, status.now, status.replay)

    def _statistics_are_due(self, status: Standing) -> bool:
        return self._statistics.due(status.goal, status.state, status.now, status.replay, status.within)
