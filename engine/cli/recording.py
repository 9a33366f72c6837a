"""RunRecorder: keeps the history of a run of `xo train`, and writes it as a project that the window opens."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from engine.cli.train_options import TrainJob
from engine.data import Dataset, ExamplePool, PoolSettings, TrainingData
from engine.documents import Document, ProjectState, save_project
from engine.nn import Model, RunPoint
from engine.training import (
    BranchOrigin,
    Evaluated,
    History,
    SavedRun,
    StepDone,
    Trainer,
    evaluate,
    keyframe_bytes,
)

PROJECT_BYTES: Final = 3_000_000  # of curves and keyframes
MIN_KEYFRAMES, MAX_KEYFRAMES = 4, 12
# Steps from the last keyframe but one to the end, so that a replay shows at once that the run is exact.
LAST_STEPS: Final = 20
_CURVE_BYTES: Final = 16  # of a step: its number, loss and rate
_FIRST_SHARE: Final = 1 / 200
_NO_SPACING: Final = 1 << 40  # in steps: no keyframe beside the chosen ones


class RunRecorder:
    """The history of one run: all curves, and keyframes that are dense at the start, where most changes.

    Where every epoch has new drawings, the held-out ones are those that the window would use, so that its panels
    and the curves are of the same ones.
    """

    def __init__(self, job: TrainJob, trainer: Trainer, budget: int = PROJECT_BYTES) -> None:
        """Raises ValueError for examples from files, of which a project holds none."""
        if job.data.files is not None:
            raise ValueError("--project is for generated drawings: a project holds no pictures of files.")
        self._job, self._trainer, config = job, trainer, job.config
        # Fewer than for the threshold: the window evaluates them at its start.
        held_out = min(config.held_out, PoolSettings.held_out) if config.fresh else config.held_out
        pool = PoolSettings(config.data, config.examples, max(1, held_out), config.example_seed, config.fresh)
        self._origin = BranchOrigin(TrainingData(pool), None if job.start is None else job.name)
        first, steps = trainer.checkpoint(), config.epochs * trainer.steps_per_epoch
        steps = steps if config.steps is None else min(steps, config.steps)
        start = replace(first, optimizer_state={})  # before the first step it is zero
        count = 1 + (budget - _CURVE_BYTES * steps - keyframe_bytes(start)) // keyframe_bytes(first)
        self._targets = deque(keyframe_steps(steps, min(max(count, MIN_KEYFRAMES), MAX_KEYFRAMES)))
        self._history = History()
        self._history.spacing = _NO_SPACING
        name = f"Run 1, seed {config.seed}"
        self._branch = self._history.add_branch(name, job.network, config, trainer.steps_made, start)

    def record(self, event: StepDone | Evaluated | None) -> None:
        """Record what the trainer has just yielded."""
        trainer, history = self._trainer, self._history
        if isinstance(event, StepDone):
            history.record_step(self._branch, event.number, event.loss, event.rate, trainer.checkpoint)
            if event.number == trainer.steps_made and self._targets and event.number >= self._targets[0]:
                history.pin(RunPoint(self._branch, event.number), trainer.checkpoint())
                while self._targets and self._targets[0] <= event.number:
                    self._targets.popleft()
        elif isinstance(event, Evaluated):
            evaluation = event.evaluation
            if self._job.config.fresh:
                evaluation = evaluate(self._job.network, trainer.parameters(), self._held_out, trainer.backend)
            metrics = evaluation.metrics
            history.record_evaluation(self._branch, event.number, metrics.loss, metrics.accuracy)

    @cached_property
    def _held_out(self) -> Dataset:
        pool = ExamplePool(self._origin.training_data.generated)
        pool.generate_all()
        return pool.held_out

    def save(self, path: Path, model: Model) -> None:
        """Write the project with the run and its model, which is the point of its last step unless patience has
        chosen an earlier one. Raises FileError."""
        at = RunPoint(self._branch, self._trainer.steps_made)
        self._history.pin(at, self._trainer.checkpoint())
        run = SavedRun(self._history.records(), (self._origin,), at, spacing=1)
        live = self._trainer.stop_reason != "patience"
        if live:
            model = replace(model, run_point=at)
        data = self._origin.training_data.generated
        document = Document.opening(model)
        save_project(
            path,
            ProjectState(document, self._job.config, data, run, live=live, saved_at=time.time(), was_closed=True),
        )


def keyframe_steps(steps: int, count: int) -> list[int]:
    """The steps of `count` keyframes of a run of so many steps, the first and the last left out: each further from
    the start by the same factor, and one LAST_STEPS before the end."""
    between = np.geomspace(max(1.0, steps * _FIRST_SHARE), max(1.0, steps / 2), max(1, count - 3))
    return sorted({*between.round().astype(int).tolist(), max(1, steps - LAST_STEPS)})
