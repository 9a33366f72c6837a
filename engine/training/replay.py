"""Replay of the training history: repeats the steps from a keyframe to any point, with exactly the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter, sleep
from typing import Final

from engine.data import ExamplePool
from engine.nn import Parameters, RunPoint
from engine.training.checkpoint import Checkpoint
from engine.training.config import TrainingConfig, without_stop_conditions
from engine.training.history import History
from engine.training.layer_statistics import ParameterChange
from engine.training.trainer import Evaluated, StepDone, Trainer


class Replay:
    """Starts at the nearest keyframe and advances to `target`.

    trainer: makes a trainer that continues from a checkpoint by a configuration, on the examples of the branch.
    before: the replay starts at or before this point, None for `target`.
    """

    def __init__(
        self,
        history: History,
        target: RunPoint,
        trainer: Callable[[TrainingConfig, Checkpoint], Trainer],
        before: RunPoint | None = None,
    ) -> None:
        self.target, self._history, self._make_trainer = target, history, trainer
        self.point, self.checkpoint = history.nearest_keyframe(before or target)
        self.network = history.network_at(self.point)
        self.trainer: Trainer | None = None
        self._config: TrainingConfig | None = None
        self._slices: Iterator[StepDone | Evaluated | None] = iter(())

    @property
    def is_exact(self) -> bool:
        """Whether the target is reached."""
        return self.point.step >= self.target.step

    @property
    def parameters(self) -> Parameters:
        """The parameters of the last checkpoint: that of the keyframe, or of the target."""
        return self.checkpoint.parameters

    @property
    def parameters_point(self) -> RunPoint:
        """The point that `parameters` belong to."""
        return replace(self.point, step=self.checkpoint.steps)

    def advance(self) -> None:
        """One slice of a step."""
        config = self._history.config_at(self.point)[0]
        if config is not self._config:
            self._set_config(config)
        assert self.trainer is not None
        if isinstance(next(self._slices, None), StepDone):
            self.point = replace(self.point, step=self.trainer.steps_made)
            if self.is_exact:
                self.checkpoint = self.trainer.checkpoint()

    def iter_last_change(self) -> Iterator[ParameterChange | None]:
        """Advances to the target, None after each slice; at last the change made by the step to it, None if the
        replay started there, or the network was edited there."""
        if self._history.network_at(self.target) != self.network:
            yield None
            return
        while not self.is_exact:
            self.advance()
            yield None
        yield None if self.trainer is None else self.trainer.last_change()

    def _set_config(self, config: TrainingConfig) -> None:
        self._config = config
        if self.trainer is not None:
            self.checkpoint = self.trainer.checkpoint()
        # The steps were made once, so no stop condition, such as the time, may end the replay.
        self.trainer = self._make_trainer(without_stop_conditions(config), self.checkpoint)
        self._slices = self.trainer.iter_slices()


SETTLE_SECONDS: Final = 0.050  # seconds the cursor rests on a point before its replay starts


class HistoryCursor:
    """The point of the history that is shown, and the replay to it.

    make_replay: gives the replay to a point. pool_of: gives the examples of a branch, possibly incomplete.
    """

    def __init__(
        self, make_replay: Callable[[History, RunPoint], Replay], pool_of: Callable[[int], ExamplePool]
    ) -> None:
        self._make_replay, self._pool_of = make_replay, pool_of
        self.replay: Replay | None = None
        self._moved_at = 0.0

    def clear(self) -> None:
        """Show no point of the history."""
        self.replay = None

    def is_due(self, point: RunPoint) -> bool:
        """Whether the replay to `point` is incomplete."""
        return self.replay is None or self.replay.target != point or not self.replay.is_exact

    def move_to(self, history: History, point: RunPoint) -> None:
        """Move to another point; the nearest keyframe is shown first."""
        if self.replay is None or self.replay.target != point:
            self.replay, self._moved_at = self._make_replay(history, point), perf_counter()

    def advance(self, history: History, point: RunPoint, deadline: float) -> None:
        """One slice of the replay once the cursor rests, because starting one takes as long as some frames of a
        drag; before that, sleep until then or until perf_counter() is `deadline`."""
        self.move_to(history, point)
        assert self.replay is not None
        waiting = self._moved_at + SETTLE_SECONDS - perf_counter()
        if (pool := self._pool_of(self.replay.point.branch)).progress < 1:
            pool.generate_next()
        elif self.replay.is_exact:
            return
        elif waiting > 0:
            sleep(min(waiting, max(0.0, deadline - perf_counter())))
        else:
            self.replay.advance()
