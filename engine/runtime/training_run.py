"""Training run of the window: trains in slices, branches, and replays points of the history."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter, sleep
from typing import Final

import numpy as np

from engine.backends import Backend
from engine.data import ExamplePool, FixedSource, PoolCache, TrainingData, kind_of
from engine.explain import StepQuery, StepTrace
from engine.faults import NAMED, Faults
from engine.nn import Model, Network, Parameters, RunPoint
from engine.nn.layers import Arrays
from engine.runtime.training_jobs import BranchJobs, TrainingContext, TrainingStatus
from engine.runtime.training_protocol import Keyframe, TrainingReport, TrainingRequest, TrainingState
from engine.training import (
    HISTORY_BYTES,
    SAVED_KEYFRAME_BYTES,
    STOP_MESSAGES,
    BranchOrigin,
    Checkpoint,
    Evaluated,
    EvaluationCache,
    History,
    HistoryCursor,
    Replay,
    SavedRun,
    SaveThrottle,
    StepDone,
    Trainer,
    TrainingConfig,
    TrainingError,
    adapt_checkpoint,
    best_point,
    carry_checkpoint,
    describe_changes,
    keyframe_bytes,
    last_stable_point,
)

SLICE_SECONDS: Final = 0.010  # seconds of a slice of a step or evaluation
REPLAY_SLICE_SECONDS: Final = 0.003  # seconds of a slice while a point of the history is replayed
GRADIENT_COPY_INTERVAL: Final = 0.25  # seconds between two copies of the gradients
MAX_TIMELINE_KEYFRAMES: Final = 12
RATE_SECONDS: Final = 0.5  # the least time that the steps per second are counted over
# Parts of a run without which training goes on.
_REPLAY, _JOBS, _EVALUATION, _SAVING = "Replay", "Statistics and traces", "Held-out accuracy", "Saving the run"


class TrainingRun:
    """Carries out TrainingRequests on one backend, in slices."""

    def __init__(
        self,
        backend: Backend,
        budget: int = HISTORY_BYTES,
        save_throttle: SaveThrottle | None = None,
        faults: Faults | None = None,
    ) -> None:
        """faults: reports the parts that fail while training goes on; without it they are only logged."""
        self._data, self._budget, self._save_throttle = BranchData(backend), budget, save_throttle or SaveThrottle()
        self._restored: SavedRun | None = None
        self._request: TrainingRequest | None = None
        self._history: History | None = None
        self._trainer: Trainer | None = None
        self._slices: Iterator[StepDone | Evaluated | None] | None = None
        self._branch = -1
        self._state: TrainingState = "paused"
        self._suspended = False
        self._message = ""
        self._cursor = HistoryCursor(self._data.replay, self._data.of_branch)
        self._origin_replay: Replay | None = None
        self._evaluations = EvaluationCache()
        self._next_step_at = 0.0
        self._step_rate = StepRate()
        self._latest_gradients = LatestGradients()
        self._jobs: list[BranchJobs] = []  # one of each network
        self._within_step = False  # a step is partly made
        self._step_query: StepQuery | None = None
        self._layer_statistics = False
        self._faults = faults or Faults(lambda _: None)
        # Until another branch is requested.
        self._failed_parts: set[str] = set()
        self._is_broken = False

    # -- requests ----------------------------------------------------------------------------------------------

    def set_request(self, request: TrainingRequest) -> None:
        """Set what to train. Raises ValueError or ShapeError if it cannot be trained, and stands still."""
        before, self._request, self._suspended = self._request, request, False
        self._data.set_current(request.training_data)
        if before is None or request.branch_id != before.branch_id:
            self._start(request, before)
        elif request.config != before.config:
            self._change_config(request)
        self._rename_branches()
        if self._state in ("running", "paused"):
            self._run_or_pause(wanted=self._should_run())
        if request.shown_point is not None and self._history is not None:
            self._cursor.move_to(self._history, request.shown_point)

    def trains(self, network: Network) -> bool:
        """Whether the network is that of the latest request, or of a branch of the history."""
        requested = () if self._request is None else (self._request.model.network,)
        return network in requested or (self._history is not None and network in self._history.networks)

    def set_queries(self, step_query: StepQuery | None, *, layer_statistics: bool = False) -> None:
        """Set what to trace of the step after the point shown, and whether layer statistics are wanted."""
        self._step_query, self._layer_statistics = step_query, layer_statistics

    @property
    def step_trace(self) -> StepTrace | None:
        """The step traced last, while steps are traced."""
        jobs = self._shown_jobs
        return None if jobs is None or self._trainer is None or self._step_query is None else jobs.step_trace

    def suspend(self) -> None:
        """Do nothing until the next request; the state is kept."""
        self._suspended = True

    def set_aside(self) -> None:
        """As `suspend`, and keep no more of the history than a saved run does, because another network trains."""
        self.suspend()
        if self._history is not None:
            self._history.thin_to(SAVED_KEYFRAME_BYTES)

    @property
    def busy(self) -> bool:
        """Whether work is left."""
        if self._suspended or self._is_broken:
            return False
        active = self._state in ("preparing", "running")
        return active or self._replay_is_due() or self._evaluation_is_due() or self._jobs_are_due()

    def run_for(self, seconds: float) -> None:
        """Continue for about `seconds`: generate examples, replay the point shown, train.

        Divergence becomes a state: TrainingError is never raised. A part that fails while training can go on
        is reported, and stops until another branch is requested.
        """
        # The timeline is being dragged: a slice of the replay must not hold up the next frame.
        deadline = perf_counter() + (min(seconds, REPLAY_SLICE_SECONDS) if self._replay_is_due() else seconds)
        while self.busy and perf_counter() < deadline:
            if self._state == "preparing":
                self._prepare()
            elif self._replay_is_due():
                self._run_part(_REPLAY, lambda: self._advance_replay(deadline))
            elif self._jobs_are_due():
                self._run_part(_JOBS, self._advance_jobs)
            elif self._state != "running":
                self._run_part(_EVALUATION, self._evaluate)
            elif (waiting := self._next_step_at - perf_counter()) > 0:
                sleep(min(waiting, max(0.0, deadline - perf_counter())))
            else:
                self._train()

    def _run_part(self, part: str, action: Callable[[], None]) -> None:
        self._faults.guard(part, action, None, lambda _: self._failed_parts.add(part), refusal=NAMED)

    def take_messages(self) -> list[str]:
        """New messages about the device, one sentence each."""
        trainers = [self._trainer, None if self._cursor.replay is None else self._cursor.replay.trainer]
        messages = [message for trainer in trainers if trainer is not None for message in trainer.messages]
        for trainer in trainers:
            if trainer is not None:
                self._data.backend = trainer.backend
                trainer.messages.clear()
        return messages

    def fail(self, message: str) -> None:
        """Train no more until another branch is requested, and report why; a second time, do nothing at all."""
        self._is_broken = self._state == "failed"
        self._state, self._message, self._slices = "failed", message, None

    # -- reports -----------------------------------------------------------------------------------------------

    def shown_parameters(self) -> Parameters | None:
        """The parameters of the point shown; None before there are any."""
        if (replay := self._shown_replay()) is not None:
            return replay.parameters
        return None if self._trainer is None else self._trainer.parameters()

    @property
    def _shown_network(self) -> Network | None:
        if (replay := self._shown_replay()) is not None:
            return replay.network
        return None if self._trainer is None else self._trainer.network

    def shown_model(self, model: Model) -> Model | None:
        """The model with the network and the parameters of the point shown; None before there are any."""
        network, parameters = self._shown_network, self.shown_parameters()
        if network is None or parameters is None:
            return None
        return replace(model, network=network, parameters=parameters)

    def report(self) -> TrainingReport | None:
        """The state of training; None without a request."""
        request, history = self._request, self._history
        if request is None or self._suspended:
            return None
        trainer, pool, jobs = self._trainer, self._data.current, self._shown_jobs
        current, replay = self._current_point(), self._shown_replay()
        shown = current if replay is None else replay.parameters_point
        per_epoch = trainer.steps_per_epoch if trainer is not None else 0
        evaluated = self._evaluations.at(shown, self._state == "running")
        shown_pool = self._data.of_branch(shown.branch)
        return TrainingReport(
            run_id=request.run_id,
            request=request,
            state=self._state,
            message=self._message,
            stop_reason=trainer.stop_reason if trainer is not None and self._state == "ended" else None,
            accuracy=trainer.accuracy if trainer is not None else math.nan,
            data_progress=pool.progress,
            current_point=current,
            shown_point=shown,
            is_exact=replay is None or replay.is_exact,
            steps_per_epoch=per_epoch,
            steps_per_second=self._step_rate.value if self._state == "running" else None,
            branches=() if history is None else history.branches(),
            branch_origins=tuple(self._data.origins),
            keyframes=timeline_keyframes(
                history, current.branch if request.shown_point is None else request.shown_point.branch
            ),
            restart_point=self._restart_point(),
            evaluation=None if evaluated is None else evaluated[1],
            evaluated_point=None if evaluated is None else evaluated[0],
            examples=pool.training if pool.progress >= 1 else None,
            held_out=shown_pool.held_out if shown_pool.progress >= 1 else None,
            batch=trainer.last_batch if trainer is not None else np.zeros(0, np.int64),
            gradients=self._latest_gradients.get(trainer),
            statistics=None if jobs is None else jobs.statistics,
            saved_run=self._saved_run_to_report(),
        )

    def _saved_run_to_report(self) -> SavedRun | None:
        at_once = self._state not in ("preparing", "running")
        return self._faults.guard(_SAVING, lambda: self.saved_run(at_once=at_once), None)

    def saved_run(self, *, at_once: bool) -> SavedRun | None:
        """The run to save for another session.

        at_once: the current state, otherwise possibly one some seconds old.
        """
        request, history, trainer = self._request, self._history, self._trainer
        if request is None or history is None or trainer is None:
            return self._restored if self._save_throttle.last is None else self._save_throttle.last
        current = RunPoint(self._branch, trainer.steps_made)
        return self._save_throttle.saved_run(
            request.run_id, history, self._data.origins, current, trainer.checkpoint, at_once=at_once
        )

    def _current_point(self) -> RunPoint:
        """The last step made; while a branch is prepared, the point it begins from, with branch -1 for none."""
        if self._trainer is not None:
            return RunPoint(self._branch, self._trainer.steps_made)
        return RunPoint(-1, 0) if self._origin_replay is None else self._origin_replay.target

    def _shown_replay(self) -> Replay | None:
        """The replay whose point is shown: to the one requested, or to the one that a branch begins from while it
        is prepared; None for the last step made."""
        if self._request is not None and self._request.shown_point is not None:
            return self._cursor.replay
        return self._origin_replay if self._trainer is None else None

    def _restart_point(self) -> RunPoint | None:
        """The last stable point after divergence, the best one after early stopping."""
        stopped_early = (
            self._state == "ended" and self._trainer is not None and self._trainer.stop_reason == "patience"
        )
        if self._history is None or self._request is None or not (stopped_early or self._state == "diverged"):
            return None
        branch = self._history.branches()[self._branch]
        return (
            best_point(branch)
            if stopped_early
            else last_stable_point(branch, len(self._request.model.network.classes))
        )

    # -- branches ----------------------------------------------------------------------------------------------

    def _start(self, request: TrainingRequest, before: TrainingRequest | None) -> None:
        """Prepare a new branch. Raises ValueError if the network has other classes than the generated examples."""
        self._message, self._slices, self._trainer, self._origin_replay = "", None, None, None
        self._is_broken = False
        self._failed_parts.clear()
        self._cursor.clear()
        network = request.model.network
        same = before is not None and (request.edited or network == before.model.network or self.trains(network))
        if not same or request.saved_run is not self._restored:
            self._history, self._branch, self._data.origins, self._restored = None, -1, [], request.saved_run
            self._jobs.clear()
            self._evaluations.clear()
            self._save_throttle.reset()
            if request.saved_run is not None:
                self._restore(request.saved_run)
        if network.classes != request.data.classes:
            made = kind_of(request.data.generator).plural
            raise ValueError(
                f"The classes of {request.model.name} are {' and '.join(network.classes)}, but those of the "
                f"{made} made here are {' and '.join(request.data.classes)}; train it on its own pictures with "
                "xo train --data."
            )
        self._state = "preparing"
        if not isinstance(request.origin, RunPoint):
            self._data.retain_current()
        saved = request.saved_run if request.origin == "kept" else None
        origin = request.origin if saved is None else saved.current_point
        if isinstance(origin, RunPoint) and self._history is not None:
            self._origin_replay = self._data.replay(self._history, origin)

    def _restore(self, saved: SavedRun) -> None:
        self._history = History.from_records(saved.branches, saved.spacing, self._budget)
        self._branch, self._data.origins = saved.current_point.branch, list(saved.branch_origins)

    def _rename_branches(self) -> None:
        if self._request is not None and self._history is not None:
            for number, name in self._request.branch_names.items():
                self._history.rename(number, name)

    def _prepare(self) -> None:
        """Generate examples, also those of the parent branch; when all are complete, begin the branch."""
        request, history = self._request, self._history
        assert request is not None
        parent = None
        if isinstance(request.origin, RunPoint) and history is not None:
            parent = history.nearest_keyframe(request.origin)[0].branch
        if self._data.grow(parent) and self._advance_to_origin():
            self._begin_branch()
            self._run_or_pause(wanted=self._step_is_wanted())

    def _advance_to_origin(self) -> bool:
        """Replay one slice towards the point to continue from; True once it is reached."""
        if self._origin_replay is None:
            return True
        if not self._origin_replay.is_exact:
            self._origin_replay.advance()
        return self._origin_replay.is_exact

    def _begin_branch(self) -> None:
        """Add a branch to the history and create its trainer."""
        request = self._request
        assert request is not None
        parent, replay, self._origin_replay = None, self._origin_replay, None
        if request.origin == "kept" and request.saved_run is not None:
            self._resume(request, request.saved_run)
            return
        model = request.model if request.origin == "weights" else None
        network, edited = request.model.network, False
        if replay is not None:
            parent, checkpoint, edited = replay.target, replay.checkpoint, network != replay.network
            if edited:
                checkpoint = carry_checkpoint(checkpoint, network, request.config.seed)
            self._trainer = self._data.trainer(network, request.config, checkpoint)
        else:
            values = None if model is None else model.parameters
            self._trainer = self._data.trainer(network, request.config, values=values)
        self._create_jobs(network)
        start = self._trainer.checkpoint()
        if self._history is None:
            self._history = History(keyframe_bytes(start), self._budget)
        # Where the configuration differs from the parent's, the first step marks the change.
        config = request.config if parent is None or edited else self._history.config_at(parent)[0]
        self._branch = self._history.add_branch(request.branch_name, network, config, start.steps, start, parent)
        self._data.origins.append(BranchOrigin(request.training_data, None if model is None else model.name))

    def _resume(self, request: TrainingRequest, saved: SavedRun) -> None:
        """Continue the branch of an earlier session."""
        assert self._history is not None
        config, _ = self._history.config_at(saved.current_point)
        self._branch = saved.current_point.branch
        self._trainer = self._data.trainer(saved.network, config, saved.checkpoint)
        self._create_jobs(saved.network)
        if request.config != config:
            self._change_config(request)

    def _create_jobs(self, network: Network) -> None:
        data, previous = self._data, self._jobs_of(network)
        self._jobs = [jobs for jobs in self._jobs if jobs is not previous]
        self._jobs.append(BranchJobs(network, data.current.training, data.backend, previous))

    def _jobs_of(self, network: Network | None) -> BranchJobs | None:
        return next((jobs for jobs in self._jobs if jobs.network == network), None)

    @property
    def _shown_jobs(self) -> BranchJobs | None:
        """The jobs of the network shown, which is another one where the history is looked at before an edit."""
        return self._jobs_of(self._shown_network)

    def _change_config(self, request: TrainingRequest) -> None:
        """Continue with another configuration, which the next step marks; a diverged or failed run stays so."""
        if self._trainer is None or self._state in ("diverged", "failed"):
            return
        trainer = self._trainer
        self._trainer = self._data.trainer(trainer.network, request.config, trainer.checkpoint())
        self._slices = None
        if self._trainer.stop_reason is not None:
            self._state, self._message = "ended", STOP_MESSAGES[self._trainer.stop_reason]
        elif self._state == "ended":
            self._state, self._message = "paused", ""

    # -- steps -------------------------------------------------------------------------------------------------

    def _run_or_pause(self, *, wanted: bool) -> None:
        if wanted and self._state != "running":
            self._step_rate = StepRate()
        self._state = "running" if wanted else "paused"

    def _step_is_wanted(self) -> bool:
        request, made = self._request, self._trainer.steps_made if self._trainer is not None else 0
        return (
            request is not None
            and request.running
            and (request.stop_at_step is None or made < request.stop_at_step)
        )

    def _should_run(self) -> bool:
        """Whether a step is to be made, or the evaluation that belongs to an epoch's last step."""
        return self._step_is_wanted() or (self._trainer is not None and self._trainer.is_evaluation_due)

    def _train(self) -> None:
        """One slice of a step."""
        trainer, history = self._trainer, self._history
        assert trainer is not None
        assert history is not None
        if self._slices is None:
            self._slices = trainer.iter_slices()
        try:
            event = next(self._slices, None)
        except TrainingError as error:
            history.pin(RunPoint(self._branch, trainer.steps_made), trainer.checkpoint())
            self._state, self._message, self._slices = "diverged", str(error), None
            return
        self._within_step = event is None
        if isinstance(event, StepDone):
            self._record_step(event)
        elif isinstance(event, Evaluated):
            metrics = event.evaluation.metrics
            history.record_evaluation(self._branch, event.number, metrics.loss, metrics.accuracy)
            point = RunPoint(self._branch, event.number)
            self._evaluations.add(point, event.evaluation)
            if (jobs := self._jobs_of(trainer.network)) is not None:
                jobs.on_epoch_end(point, trainer.parameters(), SLICE_SECONDS)
        if trainer.stop_reason is not None:
            self._state, self._message, self._slices = "ended", STOP_MESSAGES[trainer.stop_reason], None
        elif not self._should_run():
            self._state = "paused"

    def _record_step(self, step: StepDone) -> None:
        trainer, history, request = self._trainer, self._history, self._request
        assert trainer is not None
        assert history is not None
        assert request is not None
        before = history.config_at(RunPoint(self._branch, step.number - 1))[0]
        if before != trainer.config:
            text = ", ".join(describe_changes(before, trainer.config))
            history.change_config(self._branch, step.number - 1, trainer.config, text)
        history.record_step(self._branch, step.number, step.loss, step.rate, trainer.checkpoint)
        self._step_rate.count()
        if request.speed_limit is not None:
            self._next_step_at = max(self._next_step_at, perf_counter()) + 1 / request.speed_limit

    # -- replay ------------------------------------------------------------------------------------------------

    def _replay_is_due(self) -> bool:
        look = None if self._request is None or _REPLAY in self._failed_parts else self._request.shown_point
        return look is not None and self._history is not None and self._cursor.is_due(look)

    def _advance_replay(self, deadline: float) -> None:
        assert self._request is not None
        assert self._request.shown_point is not None
        assert self._history is not None
        self._cursor.advance(self._history, self._request.shown_point, deadline)

    # -- evaluation --------------------------------------------------------------------------------------------

    def _idle_point(self) -> RunPoint | None:
        """The point shown while its parameters do not change, None otherwise."""
        if self._trainer is None or self._state in ("preparing", "running"):
            return None
        if self._request is None or self._request.shown_point is None:
            return RunPoint(self._branch, self._trainer.steps_made)
        replay = self._cursor.replay
        return replay.point if replay is not None and replay.is_exact else None

    def _evaluation_is_due(self) -> bool:
        point = None if _EVALUATION in self._failed_parts else self._idle_point()
        return point is not None and point not in self._evaluations

    def _evaluate(self) -> None:
        """One slice of the evaluation of the parameters shown on the held-out examples."""
        point, network = self._idle_point(), self._shown_network
        assert point is not None
        assert network is not None
        pool = self._data.of_branch(point.branch)
        if pool.progress < 1:
            pool.generate_next()
            return
        self._evaluations.advance(
            point, network, self._data.backend, pool.held_out, self.shown_parameters, SLICE_SECONDS
        )

    # -- jobs --------------------------------------------------------------------------------------------------

    def _status(self) -> TrainingStatus | None:
        if self._request is None or self._trainer is None:
            return None
        current = RunPoint(self._branch, self._trainer.steps_made)
        return TrainingStatus(
            self._request,
            self._state,
            current,
            self._cursor.replay,
            self._within_step,
            self._step_query,
            self._layer_statistics,
        )

    def _jobs_are_due(self) -> bool:
        status = None if _JOBS in self._failed_parts else self._status()
        jobs = self._shown_jobs
        return status is not None and jobs is not None and jobs.is_due(status)

    def _advance_jobs(self) -> None:
        status, jobs = self._status(), self._shown_jobs
        assert status is not None
        assert self._trainer is not None
        assert self._history is not None
        assert jobs is not None
        context = TrainingContext(
            self._trainer, self.shown_parameters, self._history, self._data.of_branch, self._data.replay
        )
        self._next_step_at = max(self._next_step_at, jobs.advance(status, context))


class BranchData:
    """The examples of all branches, and the trainers on them.

    backend: of new trainers; replaced when the device is lost. origins: of every branch, by number.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.origins = backend, list[BranchOrigin]()
        self._pools = PoolCache()
        self._current: TrainingData | None = None

    def set_current(self, data: TrainingData) -> None:
        """Set the training data of the current or next branch."""
        self._current = data

    def retain_current(self) -> None:
        """Keep the examples of the current branch only."""
        assert self._current is not None
        self._pools.retain(self._current)

    @property
    def current(self) -> ExamplePool:
        """The examples of the current branch, which may not be complete yet."""
        assert self._current is not None
        return self._pools.get(self._current)

    def of_branch(self, branch: int) -> ExamplePool:
        """The examples of a branch; those of the current one if it does not exist yet."""
        known = 0 <= branch < len(self.origins)
        return self._pools.get(self.origins[branch].training_data) if known else self.current

    def grow(self, parent: int | None) -> bool:
        """Generate examples of the current branch, then of its parent; True once all are complete."""
        for pool in [self.current] if parent is None else [self.current, self.of_branch(parent)]:
            if pool.progress < 1:
                pool.generate_next()
                return False
        return True

    def trainer(
        self,
        network: Network,
        config: TrainingConfig,
        checkpoint: Checkpoint | None = None,
        values: Parameters | None = None,
        training_data: TrainingData | None = None,
    ) -> Trainer:
        """A trainer on the given training data, by default that of the current branch.

        The optimizer state of the checkpoint is dropped if it belongs to another optimizer.
        """
        if checkpoint is not None:
            checkpoint = adapt_checkpoint(checkpoint, config)
        pool = self.current if training_data is None else self._pools.get(training_data)
        source, held_out = FixedSource(pool.training), pool.held_out
        return Trainer(
            network, source, config, self.backend, values, held_out, checkpoint, slice_seconds=SLICE_SECONDS
        )

    def replay(self, history: History, target: RunPoint, before: RunPoint | None = None) -> Replay:
        """The Replay to a point, on the examples of its branch."""
        assert self._current is not None
        start = history.nearest_keyframe(before or target)[0]
        data, network = self.origins[start.branch].training_data, history.network_at(start)
        self._pools.retain(self._current, data)
        return Replay(history, target, partial(self.trainer, network, training_data=data), before)


class StepRate:
    """Steps per second over about the last half second; None before the first step is made."""

    def __init__(self) -> None:
        self._since, self._count = perf_counter(), 0
        self.value: float | None = None

    def count(self) -> None:
        """Count one step."""
        self._count += 1
        now = perf_counter()
        if (passed := now - self._since) > RATE_SECONDS or (self.value is None and passed > 0):
            self.value = self._count / passed
        if passed > RATE_SECONDS:
            self._since, self._count = now, 0


class LatestGradients:
    """The gradients copied to the host last; none before the first copy."""

    def __init__(self) -> None:
        self._gradients: Arrays = {}
        self._copied_at = 0.0

    def get(self, trainer: Trainer | None) -> Arrays:
        """Gradients of a recent step by parameter name, copied anew every GRADIENT_COPY_INTERVAL seconds."""
        now = perf_counter()
        if trainer is not None and now - self._copied_at > GRADIENT_COPY_INTERVAL:
            self._gradients, self._copied_at = trainer.gradients(), now
        return self._gradients


def timeline_keyframes(history: History | None, branch: int) -> tuple[Keyframe, ...]:
    """At most MAX_TIMELINE_KEYFRAMES keyframes of a branch and its ancestors, evenly spread over the steps, the
    first and the last included; none without such a branch."""
    if history is None or branch < 0:
        return ()
    stored = _keyframe_steps(history, branch)
    targets = np.linspace(stored[0], stored[-1], min(MAX_TIMELINE_KEYFRAMES, len(stored)))
    steps = sorted({_nearest(stored, target) for target in targets.tolist()})
    # A point before the branch's start is named as one of this branch, the one shown.
    points = [RunPoint(branch, step) for step in steps]
    return tuple(Keyframe(point, history.nearest_keyframe(point)[1].parameters) for point in points)


def _keyframe_steps(history: History, number: int) -> list[int]:
    """The steps of all keyframes of a branch and its ancestors, in order."""
    branches = history.branches()
    branch, steps = branches[number], list(branches[number].keyframes)
    while branch.parent is not None:
        start, branch = branch.parent.step, branches[branch.parent.branch]
        steps = [*(step for step in branch.keyframes if step < start), *(step for step in steps if step >= start)]
    return steps


def _nearest(steps: list[int], target: float) -> int:
    """The step nearest to the target, the earlier of two."""
    index = bisect_left(steps, target)
    around = steps[max(0, index - 1) : index + 1]
    return min(around, key=lambda step: abs(step - target))
