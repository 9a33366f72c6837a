"""The states of a training run that jobs compute from: copies made between two steps, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from engine.data import DataSource, ExamplePool
from engine.explain import StepStart
from engine.nn import Network, Parameters, RunPoint
from engine.runtime.branch_data import BranchData
from engine.runtime.phases import Ended, Failed, LiveBranch, Paused, Phase, Running, branch_of
from engine.training import History, ParameterChange, Replay, Trainer, TrainingConfig, adapt_checkpoint

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Moment:
    """The state of a run between two steps.

    parameters: of the network after the step to `point`. pool: the examples of its branch.
    change: gives the change made by that step, None after each slice and where there is none.
    """

    point: RunPoint
    network: Network
    parameters: Parameters
    pool: ExamplePool
    change: Callable[[], Iterator[ParameterChange | None]]


@dataclass(frozen=True, eq=False)
class ComingStep:
    """The step that would be made next, with batches of the examples of epoch number `epoch` of `source`."""

    network: Network
    source: DataSource
    epoch: int
    start: StepStart


class Moments:
    """Copies the state of a run, at most once for each step, and keeps the latest copies.

    replay: in what follows, to the point of the history that is shown, None for the last step made.
    """

    def __init__(self, data: BranchData) -> None:
        self._data = data
        self._parameters = _Kept[Parameters]()
        self._moments = _Kept[Moment](), _Kept[Moment]()  # without the change of the step, and with it
        self._coming_step = _Kept[ComingStep]()
        self._is_wanted = False

    def clear(self) -> None:
        """Keep no copy."""
        for kept in (self._parameters, *self._moments, self._coming_step):
            kept.clear()

    def parameters_of(self, branch: LiveBranch) -> Parameters:
        """The parameters after the last step."""
        return self._parameters.get((branch, branch.trainer.steps_made), branch.trainer.parameters)

    def of(self, phase: Phase, replay: Replay | None, history: History, *, with_change: bool) -> Moment | None:
        """The point shown, or the one before until it is reached; None before there is any.

        with_change: with the change that the step to it made. While a step is partly made the change is lost: the
        moment is then kept at the end of the step.
        """
        kept, branch = self._moments[with_change], branch_of(phase)
        if replay is not None and replay.is_exact:
            kept.get(replay, partial(self._of_replay, replay, history))
        elif replay is None and branch is not None and not isinstance(phase, Failed):
            if with_change and isinstance(phase, Running) and branch.trainer.is_within_step:
                self._is_wanted = True
            else:
                key = branch, branch.trainer.steps_made
                kept.get(key, partial(self._of_branch, branch, history, with_change=with_change))
        return kept.value

    def on_step_end(self, phase: Running, history: History) -> None:
        """Keep the moment with its change, if one was wanted within the step."""
        if self._is_wanted:
            self._is_wanted = False
            self.of(phase, None, history, with_change=True)

    def _of_replay(self, replay: Replay, history: History) -> Moment:
        pool = self._data.of_branch(replay.point.branch)
        change = partial(self._repeated_change, replay.target, history)
        return Moment(replay.point, replay.network, replay.parameters, pool, change)

    def _of_branch(self, branch: LiveBranch, history: History, *, with_change: bool) -> Moment:
        trainer, point = branch.trainer, branch.point
        change: Callable[[], Iterator[ParameterChange | None]] = partial(self._repeated_change, point, history)
        if with_change and (known := trainer.last_change()) is not None:
            change = partial(iter, (known,))
        pool = self._data.of_branch(point.branch)
        return Moment(point, trainer.network, self.parameters_of(branch), pool, change)

    def _repeated_change(self, point: RunPoint, history: History) -> Iterator[ParameterChange | None]:
        """The change made by the step to `point`, which is repeated; None after each slice."""
        before = replace(point, step=point.step - 1)
        while (pool := self._data.of_branch(history.nearest_keyframe(before)[0].branch)).progress < 1:
            pool.generate_next()
            yield None
        yield from self._data.replay(history, point, before).iter_last_change()

    def coming_step(self, phase: Phase, replay: Replay | None) -> ComingStep | None:
        """The step after the point shown, or after the one before until it is reached; None before there is any."""
        kept = self._coming_step
        if isinstance(phase, Running | Paused | Ended):
            branch, config = phase.branch, phase.request.config
            if replay is None:
                key = branch, branch.trainer.steps_made, config
                kept.get(key, partial(self._step_after, branch.point, branch.trainer, config))
            elif replay.is_exact:
                kept.get((replay, config), partial(self._step_after, replay.target, replay, config))
        return kept.value

    def _step_after(self, point: RunPoint, made_by: Trainer | Replay, config: TrainingConfig) -> ComingStep:
        checkpoint = made_by.checkpoint() if isinstance(made_by, Trainer) else made_by.checkpoint
        start, source = StepStart(point, config, adapt_checkpoint(checkpoint, config)), self._data.current.source
        epoch = checkpoint.steps // -(-source.count // config.batch)
        return ComingStep(made_by.network, source, epoch, start)


class _Kept(Generic[Value]):
    """The value made last.

    value: None before the first.
    """

    def __init__(self) -> None:
        self.value: Value | None = None
        self._key: object = None

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value, made anew for another key."""
        if self.value is None or key != self._key:
            self.value, self._key = make(), key
        return self.value

    def clear(self) -> None:
        """Keep none."""
        self.value = None
