"""Training run of the window: trains in slices, branches, and replays points of the history."""

from __future__ import annotations

import math
from dataclasses import replace
from time import perf_counter, sleep
from typing import Final

import numpy as np

from engine.backends import Backend
from engine.data import Dataset, ExamplePool, kind_of
from engine.faults import Faults
from engine.nn import Model, Network, Parameters, RunPoint
from engine.nn.layers import Arrays
from engine.runtime.branch_data import SLICE_SECONDS, BranchData
from engine.runtime.moments import ComingStep, Moment, Moments
from engine.runtime.phases import (
    Diverged,
    Ended,
    Idle,
    LiveBranch,
    Phase,
    Preparing,
    Running,
    advanced,
    begun,
    branch_of,
    failed,
    message_of,
    moved,
    origin_of,
    requested,
)
from engine.runtime.training_protocol import Keyframe, TrainingReport, TrainingRequest
from engine.training import (
    HISTORY_BYTES,
    SAVED_KEYFRAME_BYTES,
    BranchOrigin,
    Evaluated,
    EvaluationCache,
    History,
    NormHistory,
    Replay,
    SavedRun,
    SaveThrottle,
    StepDone,
    Trainer,
    TrainingError,
    best_point,
    can_cut,
    carry_checkpoint,
    describe_changes,
    last_stable_point,
)

GRADIENT_COPY_INTERVAL: Final = 0.25  # seconds between two copies of the gradients
MAX_TIMELINE_KEYFRAMES: Final = 12
# Steps per second, at most, of which each is traced before it is made.
SLOW_STEPS_PER_SECOND: Final = 1.0


class TrainingRun:
    """Carries out TrainingRequests on one backend, in slices."""

    def __init__(
        self,
        backend: Backend,
        budget: int = HISTORY_BYTES,
        save_throttle: SaveThrottle | None = None,
        faults: Faults | None = None,
    ) -> None:
        """faults: reports the parts that fail while training goes on; without it they are only logged.

        evaluations: on the held-out examples, by point of the history. norms: of gradients and changes.
        """
        self._data, self._budget, self._save_throttle = BranchData(backend), budget, save_throttle or SaveThrottle()
        self._restored: SavedRun | None = None
        self._phase: Phase = Idle()
        self._history = History(budget=budget)
        self._replay: Replay | None = None
        self.evaluations, self.norms = EvaluationCache(), NormHistory()
        self._latest_gradients = LatestGradients()
        self._faults = faults or Faults(lambda _: None)
        self._moments = Moments(self._data)
        self._shows_slow_steps = False

    # -- requests ----------------------------------------------------------------------------------------------

    def set_request(self, request: TrainingRequest) -> None:
        """Set what to train. Raises ValueError or ShapeError if it cannot be trained, and stands still."""
        before = self._phase.request
        self._data.set_current(request.training_data)
        if before is None or request.branch_id != before.branch_id:
            self._phase = Idle(request)
            self._phase = self._start(request, before)
        else:
            self._phase = requested(self._phase, request, self._reconfigured(request, before))
        for number, name in request.branch_names.items():
            self._history.rename(number, name)
        point, replay = self._shown_point, self._replay
        if point is not None and (replay is None or replay.target != point):
            self._replay = self._data.replay(self._history, point)

    def trains(self, network: Network) -> bool:
        """Whether the network is that of the latest request, or of a branch of the history."""
        request = self._phase.request
        return network in self._history.networks or (request is not None and network == request.model.network)

    def show_slow_steps(self, wanted: bool) -> None:
        """Whether each slow step is traced and shown before it is made, and so waits for `release`."""
        self._shows_slow_steps = wanted
        if isinstance(self._phase, Running):
            self._phase.pace.show_each(wanted and self.is_slow)

    @property
    def is_slow(self) -> bool:
        """Whether training is so slow that each step can be seen."""
        request = self._phase.request
        limit = None if request is None else request.speed_limit
        return isinstance(self._phase, Running) and limit is not None and limit <= SLOW_STEPS_PER_SECOND

    @property
    def is_held(self) -> bool:
        """Whether the next step waits for `release`."""
        return isinstance(self._phase, Running) and self._phase.pace.is_held

    def release(self) -> None:
        """The coming step is shown: make it after a while, or at once where a single one was asked for."""
        phase = self._phase
        if isinstance(phase, Running):
            limit, is_single = phase.request.speed_limit, phase.request.stop_at_step is not None
            phase.pace.release(0.0 if limit is None or is_single else 1 / limit)

    def set_aside(self) -> None:
        """Keep no more of the history than a saved run does, because another network trains."""
        self._history.thin_to(SAVED_KEYFRAME_BYTES)
        self._moments.clear()

    @property
    def busy(self) -> bool:
        """Whether work is left."""
        return isinstance(self._phase, Preparing | Running)

    def advance(self) -> None:
        """One slice of what is to be done: generate examples, train; while the next step waits, sleep.

        Divergence becomes a phase: TrainingError is never raised.
        """
        phase = self._phase
        if isinstance(phase, Preparing):
            self._phase = self._prepare(phase)
            self.show_slow_steps(self._shows_slow_steps)
        elif isinstance(phase, Running) and (waiting := phase.pace.waiting) > 0:
            sleep(min(waiting, SLICE_SECONDS))
        elif isinstance(phase, Running):
            self._phase = self._train(phase)

    def move_to(self, backend: Backend) -> None:
        """Continue on another backend, at most about a second of training before the last step."""
        self._data.backend = backend
        if self._replay is not None:
            self._replay.move_to(backend)
        self._phase = moved(self._phase, backend)

    @property
    def can_cut(self) -> bool:
        """Whether its batches can be cut into smaller parts."""
        branch = branch_of(self._phase)
        return branch is None or can_cut(branch.trainer.network)

    def fail(self, message: str) -> None:
        """Train no more until another branch is requested, and report why."""
        self._phase = failed(self._phase, message)

    @property
    def replay(self) -> Replay | None:
        """The replay to the point of the history that is to be shown, None for the last step made."""
        replay, point = self._replay, self._shown_point
        return replay if replay is not None and replay.target == point else None

    @property
    def _shown_point(self) -> RunPoint | None:
        """The point requested; None for the last step made, also where the window knows another history so far."""
        request = self._phase.request
        point = None if request is None else request.shown_point
        return point if point is not None and point in self._history else None

    def pool_of(self, point: RunPoint) -> ExamplePool:
        """The examples of the branch of a point, which may not be complete yet."""
        return self._data.of_branch(point.branch)

    # -- reports -----------------------------------------------------------------------------------------------

    def shown_parameters(self) -> Parameters | None:
        """The parameters of the point shown; None before there are any."""
        if (replay := self._shown_replay()) is not None:
            return replay.parameters
        branch = branch_of(self._phase)
        return None if branch is None else self._moments.parameters_of(branch)

    @property
    def _shown_network(self) -> Network | None:
        if (replay := self._shown_replay()) is not None:
            return replay.network
        branch = branch_of(self._phase)
        return None if branch is None else branch.trainer.network

    def shown_model(self, model: Model) -> Model | None:
        """The model with the network and the parameters of the point shown; None before there are any."""
        network, parameters = self._shown_network, self.shown_parameters()
        if network is None or parameters is None:
            return None
        return replace(model, network=network, parameters=parameters)

    def report(self) -> TrainingReport | None:
        """The state of training; None without a request."""
        phase, request = self._phase, self._phase.request
        if request is None:
            return None
        branch, pool = branch_of(phase), self._data.current
        current, replay = self._current_point(), self._shown_replay()
        trainer = None if branch is None else branch.trainer
        shown = current if replay is None else replay.parameters_point
        shown_pool = self._data.of_branch(shown.branch)
        return TrainingReport(
            run_id=request.run_id,
            request=request,
            state=phase.state,
            message=message_of(phase),
            stop_reason=phase.reason if isinstance(phase, Ended) else None,
            accuracy=trainer.accuracy if trainer is not None else math.nan,
            data_progress=pool.progress,
            current_point=current,
            shown_point=shown,
            is_exact=replay is None or replay.is_exact,
            steps_per_epoch=trainer.steps_per_epoch if trainer is not None else 0,
            steps_per_second=phase.pace.rate if isinstance(phase, Running) else None,
            branches=self._history.branches(),
            branch_origins=tuple(self._data.origins),
            keyframes=self._timeline_keyframes((self._shown_point or current).branch),
            restart_point=self._restart_point(),
            examples=_training_examples(pool, trainer),
            held_out=shown_pool.held_out if shown_pool.progress >= 1 else None,
            batch=trainer.last_batch if trainer is not None else np.zeros(0, np.int64),
            gradients=self._latest_gradients.get(trainer),
            saved_run=self._saved_run_to_report(),
        )

    def _timeline_keyframes(self, branch: int) -> tuple[Keyframe, ...]:
        if self._history.is_empty or branch < 0:
            return ()
        spread = self._history.spread_keyframes(branch, MAX_TIMELINE_KEYFRAMES)
        return tuple(Keyframe(point, checkpoint.parameters) for point, checkpoint in spread)

    def _saved_run_to_report(self) -> SavedRun | None:
        at_once = not isinstance(self._phase, Preparing | Running)
        return self._faults.guard("Saving the run", lambda: self.saved_run(at_once=at_once), None)

    def saved_run(self, *, at_once: bool) -> SavedRun | None:
        """The run to save for another session.

        at_once: the current state, otherwise possibly one some seconds old.
        """
        request, branch = self._phase.request, branch_of(self._phase)
        if request is None or branch is None:
            return self._restored if self._save_throttle.last is None else self._save_throttle.last
        checkpoint, origins = branch.trainer.checkpoint, self._data.origins
        return self._save_throttle.saved_run(
            request.run_id, self._history, origins, branch.point, checkpoint, at_once=at_once
        )

    def _current_point(self) -> RunPoint:
        """The last step made; while a branch is prepared, the point it begins from, with branch -1 for none."""
        if (branch := branch_of(self._phase)) is not None:
            return branch.point
        origin = origin_of(self._phase)
        return RunPoint(-1, 0) if origin is None else origin.target

    def _shown_replay(self) -> Replay | None:
        """The replay whose point is shown: to the one requested, or to the one that a branch begins from while it
        is prepared; None for the last step made."""
        if (replay := self.replay) is not None:
            return replay
        return origin_of(self._phase) if branch_of(self._phase) is None else None

    def _restart_point(self) -> RunPoint | None:
        """The last stable point after divergence, the best one after early stopping."""
        match self._phase:
            case Ended(reason="patience", branch=branch):
                return best_point(self._history.branches()[branch.number])
            case Diverged(branch=branch):
                classes = len(branch.trainer.network.classes)
                return last_stable_point(self._history.branches()[branch.number], classes)
        return None

    # -- branches ----------------------------------------------------------------------------------------------

    def _start(self, request: TrainingRequest, before: TrainingRequest | None) -> Preparing:
        """Prepare a new branch. Raises ValueError if the network has other classes than the generated examples."""
        self._replay = None
        if before is None or request.saved_run is not self._restored:
            self._restore(request.saved_run)
        network = request.model.network
        if network.classes != request.data.classes:
            made = kind_of(request.data.generator).plural
            raise ValueError(
                f"The classes of {request.model.name} are {' and '.join(network.classes)}, but those of the "
                f"{made} made here are {' and '.join(request.data.classes)}; train it on its own pictures with "
                "xo train --data."
            )
        request.training_data.check()
        if not isinstance(request.origin, RunPoint):
            self._data.retain_current()
        saved = request.saved_run if request.origin == "kept" else None
        origin = request.origin if saved is None else saved.current_point
        if not isinstance(origin, RunPoint) or self._history.is_empty:
            return Preparing(request, None)
        if origin not in self._history:
            raise ValueError(
                f"Training cannot continue from step {origin.step}: it is of another history than that of "
                f"{request.model.name}; choose a point on the timeline."
            )
        return Preparing(request, self._data.replay(self._history, origin))

    def _restore(self, saved: SavedRun | None) -> None:
        """Begin with the history of an earlier session, or an empty one."""
        self._restored, self._data.origins = saved, []
        self.evaluations, self.norms = EvaluationCache(), NormHistory()
        self._moments.clear()
        self._save_throttle.reset()
        self._history = History(budget=self._budget)
        if saved is not None:
            self._history = History.from_records(saved.branches, saved.spacing, self._budget)
            self._data.origins = list(saved.branch_origins)

    def _prepare(self, phase: Preparing) -> Phase:
        """Generate examples, also those of the parent branch; when all are complete, begin the branch."""
        request, parent = phase.request, None
        if isinstance(request.origin, RunPoint) and not self._history.is_empty:
            parent = self._history.nearest_keyframe(request.origin)[0].branch
        if not self._data.grow(parent):
            return phase
        if phase.origin is not None and not phase.origin.is_exact:
            phase.origin.advance()
            return phase
        return begun(request, self._begin_branch(request, phase.origin))

    def _begin_branch(self, request: TrainingRequest, origin: Replay | None) -> LiveBranch:
        """Add a branch to the history, or resume the one of an earlier session, and create its trainer."""
        if request.origin == "kept" and (saved := request.saved_run) is not None:
            trainer = self._data.trainer(saved.network, request.config, saved.checkpoint)
            return LiveBranch.begin(saved.current_point.branch, trainer)
        model = request.model if request.origin == "weights" else None
        network, config, parent = request.model.network, request.config, None
        if origin is None:
            values = None if model is None else model.parameters
            trainer = self._data.trainer(network, request.config, values=values)
        else:
            parent, checkpoint = origin.target, origin.checkpoint
            if network == origin.network:
                # Where the configuration differs from the parent's, the first step marks the change.
                config = self._history.config_at(parent)[0]
            else:
                checkpoint = carry_checkpoint(checkpoint, network, request.config.seed)
            trainer = self._data.trainer(network, request.config, checkpoint)
        start = trainer.checkpoint()
        name = self._history.new_name(request.branch_name)
        number = self._history.add_branch(name, network, config, start.steps, start, parent)
        self._data.origins.append(BranchOrigin(request.training_data, None if model is None else model.name))
        return LiveBranch.begin(number, trainer)

    def _reconfigured(self, request: TrainingRequest, before: TrainingRequest) -> LiveBranch | None:
        """The branch with a trainer by another configuration, which the next step marks; None for the same one."""
        branch = branch_of(self._phase)
        if branch is None or request.config == before.config:
            return None
        trainer = branch.trainer
        return LiveBranch.begin(
            branch.number, self._data.trainer(trainer.network, request.config, trainer.checkpoint())
        )

    # -- steps -------------------------------------------------------------------------------------------------

    def _train(self, phase: Running) -> Phase:
        """One slice of a step or of the evaluation after an epoch."""
        branch = phase.branch
        try:
            event = next(branch.slices, None)
        except TrainingError as error:
            self._history.pin(branch.point, branch.trainer.checkpoint())
            return Diverged(phase.request, branch, str(error))
        if isinstance(event, StepDone):
            self._record_step(branch, event)
            phase.pace.count(phase.request.speed_limit)
            self._moments.on_step_end(phase, self._history)
        elif isinstance(event, Evaluated):
            self._record_evaluation(branch, event)
        return advanced(phase)

    def _record_step(self, branch: LiveBranch, step: StepDone) -> None:
        trainer, history = branch.trainer, self._history
        before = history.config_at(RunPoint(branch.number, step.number - 1))[0]
        if before != trainer.config:
            text = ", ".join(describe_changes(before, trainer.config))
            history.change_config(branch.number, step.number - 1, trainer.config, text)
        history.record_step(branch.number, step.number, step.loss, step.rate, trainer.checkpoint)

    def _record_evaluation(self, branch: LiveBranch, event: Evaluated) -> None:
        metrics, point = event.evaluation.metrics, RunPoint(branch.number, event.number)
        self._history.record_evaluation(branch.number, event.number, metrics.loss, metrics.accuracy)
        if event.training_accuracy is not None:
            self._history.record_training_accuracy(branch.number, event.number, event.training_accuracy)
        self.evaluations.add(point, event.evaluation)

    # -- what jobs are computed from ---------------------------------------------------------------------------

    def moment(self, *, with_change: bool) -> Moment | None:
        """The point shown, or the one before until it is reached; None before there is any.

        with_change: with the change that the step to it made.
        """
        return self._moments.of(self._phase, self.replay, self._history, with_change=with_change)

    def coming_step(self) -> ComingStep | None:
        """The step after the point shown, or after the one before until it is reached; None before there is any."""
        return self._moments.coming_step(self._phase, self.replay)


def _training_examples(pool: ExamplePool, trainer: Trainer | None) -> Dataset | None:
    """The training examples, those of the epoch of the last step where each has new ones; None before there are
    any."""
    if pool.settings.fresh:
        return None if trainer is None else trainer.examples
    return pool.training if pool.progress >= 1 else None


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
