"""Report: what `xo train` tells of a run, and when. Not how: lines, a bar on a terminal, or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.backends.backend import Backend
from engine.commands.train.result import Result
from engine.commands.train.task import Task
from engine.evaluation import Score
from engine.training import Step, Trainer


@dataclass(frozen=True, eq=False)
class Epoch:
    """An epoch that is over, after `step` steps. mean: of the losses of its steps; score: how the held-out examples
    are read now; speed: examples a second so far."""

    number: int
    step: int
    mean: float
    score: Score | None
    speed: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended. reason: as in training.ENDS, or "interrupted" or "diverged". model: the file that was
    written; aside: the one in which the run is kept."""

    reason: str
    result: Result | None = None
    model: Path | None = None
    aside: Path | None = None


class Report(Protocol):
    """What is told of a run."""

    def prepare(self, what: str, done: int, total: int) -> None:
        """Before the run, so many of so many pictures are there; what: reading, or drawing."""
        ...

    def begin(self, task: Task, backend: Backend, trainer: Trainer) -> None:
        """The run begins, or goes on."""
        ...

    def step(self, step: Step, trainer: Trainer) -> None:
        """A step is made."""
        ...

    def epoch(self, epoch: Epoch, trainer: Trainer) -> None:
        """An epoch is over."""
        ...

    def warn(self, sentence: str) -> None:
        """Something went wrong that does not stop the run."""
        ...

    def end(self, outcome: Outcome, trainer: Trainer) -> None:
        """The run is over."""
        ...
