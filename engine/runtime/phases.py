"""Phases of a training run: what each one holds, and the transitions between them.

    Idle ---> Preparing ---> Running <---> Paused        a request; its examples are complete; run and pause
                                Running ---> Ended       a stop condition is met, until it is lifted
                                Running ---> Diverged    the loss is not finite
    any of them ---> Failed                              an unexpected error

From each of them a request for another branch leads to Idle, and from there to Preparing unless it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import ClassVar, Final, TypeAlias

from engine.backends import Backend
from engine.nn import RunPoint
from engine.runtime.training_protocol import TrainingRequest, TrainingState
from engine.training import STOP_MESSAGES, Evaluated, Replay, StepDone, StopReason, Trainer

RATE_SECONDS: Final = 0.5  # the least time that the steps per second are counted over


@dataclass(frozen=True, eq=False)
class LiveBranch:
    """The branch in training.

    number: of the branch in the history. slices: the steps and evaluations of its trainer, in slices.
    """

    number: int
    trainer: Trainer
    slices: Iterator[StepDone | Evaluated | None]

    @classmethod
    def begin(cls, number: int, trainer: Trainer) -> LiveBranch:
        """The branch with a trainer whose next slice is its first."""
        return cls(number, trainer, trainer.iter_slices())

    @property
    def point(self) -> RunPoint:
        """The last step made."""
        return RunPoint(self.number, self.trainer.steps_made)


class Pace:
    """How fast steps are made, and when the next one may be.

    rate: steps per second over about the last half second, None before the first step.
    is_held: the next step waits until the Snapshot before it is shown.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self.is_held = False
        self._since, self._count = perf_counter(), 0
        self._next_at = 0.0
        self._shows_each = False

    def count(self, limit: float | None) -> None:
        """Count one step; the next one waits for the limit in steps per second."""
        self._count += 1
        now = perf_counter()
        if (passed := now - self._since) > RATE_SECONDS or (self.rate is None and passed > 0):
            self.rate = self._count / passed
        if passed > RATE_SECONDS:
            self._since, self._count = now, 0
        if limit is not None:
            self._next_at = max(self._next_at, perf_counter()) + 1 / limit
        self.is_held = self._shows_each

    def show_each(self, wanted: bool) -> None:
        """Hold each step, from the next one on, or none."""
        self.is_held = wanted and (self.is_held or not self._shows_each)
        self._shows_each = wanted

    def release(self, seconds: float) -> None:
        """Make the next step in `seconds`, if it is held."""
        if self.is_held:
            self.is_held, self._next_at = False, max(self._next_at, perf_counter() + seconds)

    @property
    def waiting(self) -> float:
        """Seconds until the next step, 0 or less for none."""
        return self._next_at - perf_counter()


@dataclass(frozen=True, eq=False)
class Idle:
    """There is no branch: nothing was requested, or what was requested is refused."""

    state: ClassVar[TrainingState] = "paused"
    request: TrainingRequest | None = None


@dataclass(frozen=True, eq=False)
class Preparing:
    """Examples are generated. origin: the replay to the point that the branch begins from, None for none."""

    state: ClassVar[TrainingState] = "preparing"
    request: TrainingRequest
    origin: Replay | None


@dataclass(frozen=True, eq=False)
class Running:
    """Steps are made."""

    state: ClassVar[TrainingState] = "running"
    request: TrainingRequest
    branch: LiveBranch
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, eq=False)
class Paused:
    """No step is wanted."""

    state: ClassVar[TrainingState] = "paused"
    request: TrainingRequest
    branch: LiveBranch


@dataclass(frozen=True, eq=False)
class Ended:
    """A stop condition is met."""

    state: ClassVar[TrainingState] = "ended"
    request: TrainingRequest
    branch: LiveBranch
    reason: StopReason


@dataclass(frozen=True, eq=False)
class Diverged:
    """The loss of the next step is not finite. message: what to do."""

    state: ClassVar[TrainingState] = "diverged"
    request: TrainingRequest
    branch: LiveBranch
    message: str


@dataclass(frozen=True, eq=False)
class Failed:
    """An unexpected error ended the training of a branch, or its preparation."""

    state: ClassVar[TrainingState] = "failed"
    request: TrainingRequest
    branch: LiveBranch | None
    origin: Replay | None
    message: str


Trained: TypeAlias = Running | Paused | Ended
Phase: TypeAlias = Idle | Preparing | Running | Paused | Ended | Diverged | Failed


def branch_of(phase: Phase) -> LiveBranch | None:
    """The branch in training, None before there is one."""
    return None if isinstance(phase, Idle | Preparing) else phase.branch


def origin_of(phase: Phase) -> Replay | None:
    """The replay to the point that a branch begins from, while it is prepared."""
    return phase.origin if isinstance(phase, Preparing | Failed) else None


def message_of(phase: Phase) -> str:
    """Why training stands still, one sentence; "" where that needs no reason."""
    if isinstance(phase, Ended):
        return STOP_MESSAGES[phase.reason]
    return phase.message if isinstance(phase, Diverged | Failed) else ""


def step_is_wanted(request: TrainingRequest, steps_made: int) -> bool:
    """Whether the request asks for another step."""
    return request.running and (request.stop_at_step is None or steps_made < request.stop_at_step)


# -- transitions


def begun(request: TrainingRequest, branch: LiveBranch) -> Trained:
    """The phase of a branch that is prepared: it has ended if a stop condition is met, as in a run that was saved
    after its end."""
    if (reason := branch.trainer.stop_reason) is not None:
        return Ended(request, branch, reason)
    wanted = step_is_wanted(request, branch.trainer.steps_made)
    return Running(request, branch) if wanted else Paused(request, branch)


def requested(phase: Phase, request: TrainingRequest, reconfigured: LiveBranch | None) -> Phase:
    """The phase after another request for the same branch.

    reconfigured: the branch by the configuration of this request, None for the same configuration.
    """
    after = replace(phase, request=request)
    if reconfigured is not None and isinstance(after, Running | Paused | Ended):
        after = _reconfigured(after, reconfigured)
    return _run_or_pause(after) if isinstance(after, Running | Paused) else after


def _reconfigured(phase: Trained, branch: LiveBranch) -> Trained:
    """A stop condition of the configuration ends the branch, or is lifted."""
    if (reason := branch.trainer.stop_reason) is not None:
        return Ended(phase.request, branch, reason)
    return Paused(phase.request, branch) if isinstance(phase, Ended) else replace(phase, branch=branch)


def _run_or_pause(phase: Running | Paused) -> Running | Paused:
    """Run while a step is wanted, or the evaluation that belongs to an epoch's last step is due."""
    request, branch = phase.request, phase.branch
    if step_is_wanted(request, branch.trainer.steps_made) or branch.trainer.is_evaluation_due:
        return phase if isinstance(phase, Running) else Running(request, branch)
    return Paused(request, branch)


def advanced(phase: Running) -> Trained:
    """The phase after a slice of a step or an evaluation."""
    if (reason := phase.branch.trainer.stop_reason) is not None:
        return Ended(phase.request, phase.branch, reason)
    return _run_or_pause(phase)


def moved(phase: Phase, backend: Backend) -> Phase:
    """The phase after its trainers have moved to another backend, which may have set them back by some steps."""
    if (origin := origin_of(phase)) is not None:
        origin.move_to(backend)
    if isinstance(phase, Idle | Preparing) or phase.branch is None:
        return phase
    trainer = phase.branch.trainer
    trainer.move_to(backend)
    branch = LiveBranch.begin(phase.branch.number, trainer)
    if isinstance(phase, Ended) and trainer.stop_reason is None:
        return _run_or_pause(Paused(phase.request, branch))
    return replace(phase, branch=branch)


def failed(phase: Phase, message: str) -> Phase:
    """The phase after an error that training cannot go on from."""
    if phase.request is None:
        return phase
    return Failed(phase.request, branch_of(phase), origin_of(phase), message)
