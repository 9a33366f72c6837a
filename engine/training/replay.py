"""Replay of the training history: repeats the steps from a keyframe to any point, with exactly the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.backends import Backend
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
        next(self._slices, None)
        # Not by the event: after a fault of the device, steps are repeated without any.
        if (made := self.trainer.steps_made) > self.point.step:
            if made >= self.target.step:
                self.checkpoint = self.trainer.checkpoint()
            self.point = replace(self.point, step=made)

    def move_to(self, backend: Backend) -> None:
        """Continue on another backend; see Trainer.move_to."""
        if self.trainer is not None:
            self.trainer.move_to(backend)
            self._slices = self.trainer.iter_slices()

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
        if self.trainer is not None:
            self.checkpoint = self.trainer.checkpoint()
        # The steps were made once, so no stop condition, such as the time, may end the replay.
        self.trainer = self._make_trainer(without_stop_conditions(config), self.checkpoint)
        self._slices = self.trainer.iter_slices()
        self._config = config
