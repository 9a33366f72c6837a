"""JSON lines: a run told to programs, one object an epoch, one at the end. docs/command-line.md lists the names."""

from __future__ import annotations

import json
import sys
from typing import Any

from engine.backends.backend import Backend
from engine.commands.train.report import Epoch, Outcome
from engine.commands.train.result import judged, rounded
from engine.commands.train.task import Task
from engine.training import Step, Trainer


class JsonLines:
    """For programs: one object an epoch, and one at the end."""

    def prepare(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def begin(self, task: Task, backend: Backend, trainer: Trainer) -> None:
        """Nothing."""

    def step(self, step: Step, trainer: Trainer) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch, trainer: Trainer) -> None:
        """{"event": "epoch", ...}"""
        _print(
            {
                "event": "epoch",
                "epoch": epoch.number,
                "epochs": trainer.recipe.epochs,
                "step": epoch.step,
                "loss": rounded(epoch.mean, 6),
                "held_out": None if epoch.score is None else judged(epoch.score, None),
                "examples_per_second": round(epoch.speed, 1),
                "seconds": round(trainer.seconds, 3),
            }
        )

    def warn(self, sentence: str) -> None:
        """On standard error, where there are words."""
        print(f"xo: {sentence} The run goes on.", file=sys.stderr)

    def end(self, outcome: Outcome, trainer: Trainer) -> None:
        """{"event": "end", ...}"""
        result = outcome.result
        score = None if result is None else result.score
        found = None if result is None else result.calibration
        _print(
            {
                "event": "end",
                "reason": outcome.reason,
                "step": trainer.made,
                "seconds": round(trainer.seconds, 3),
                "held_out": None if score is None else judged(score, found),
                "threshold": None if found is None else found.threshold,
                "model": None if outcome.model is None else str(outcome.model),
                "checkpoint": None if outcome.aside is None else str(outcome.aside),
            }
        )


def _print(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)
