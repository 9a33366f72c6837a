"""Course: a run from its beginning to its end, or to Ctrl+C. How it is told of is report's business."""

from __future__ import annotations

import contextlib
import shlex
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from engine.backends.backend import Backend
from engine.commands.train.interrupt import Interrupt
from engine.commands.train.report import Epoch, Outcome, Report
from engine.commands.train.result import result_of, save
from engine.commands.train.task import MODEL, Task
from engine.datasets.examples import Examples
from engine.datasets.sources import Source
from engine.document import Subject
from engine.storage.atomic import StorageError, shown
from engine.storage.checkpoints import save_checkpoint
from engine.storage.models import save_model
from engine.training import Judged, Step, Trainer, TrainingError

SAVE_SECONDS: Final = 30.0
# Steps that a GPU makes between two looks at it.
GPU_STRIDE: Final = 32
DONE, FAILED, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class _Interruptible:
    """A source whose making of examples, which may take seconds, need not be waited for after Ctrl+C."""

    source: Source
    interrupt: Interrupt

    @property
    def count(self) -> int:
        return self.source.count

    def epoch(self, number: int) -> Examples:
        with self.interrupt.at_once():
            return self.source.epoch(number)


def follow(task: Task, backend: Backend, report: Report) -> int:
    """Make the run, and write what came of it; returns the exit code. Raises ValueError and OSError."""
    material, interrupt = task.material, Interrupt()
    source = _Interruptible(material.source, interrupt)
    stride = GPU_STRIDE if backend.name == "gpu" else 1
    trainer = Trainer(
        task.network, source, task.recipe, backend, task.start, material.held_out, task.checkpoint, stride
    )
    report.begin(task, backend, trainer)
    with interrupt:
        try:
            _train(task, trainer, report, interrupt)
        except TrainingError as error:
            return _diverged(task, trainer, report, error)
        if trainer.ended is None:
            return _interrupted(task, trainer, report)
        result = result_of(task, trainer.result(), backend)
        save(task, result, backend, trainer.made, trainer.ended)
        # It would hold a run that has ended.
        for kept in {task.aside, task.resumed or task.aside}:
            kept.unlink(missing_ok=True)
    report.end(Outcome(trainer.ended, result, model=task.out), trainer)
    return DONE


def _train(task: Task, trainer: Trainer, report: Report, interrupt: Interrupt) -> None:
    """All steps until the run ends or is interrupted."""
    with contextlib.suppress(KeyboardInterrupt):  # while examples were made: the run stands where it stood
        _steps(task, trainer, report, interrupt)


def _steps(task: Task, trainer: Trainer, report: Report, interrupt: Interrupt) -> None:
    begun, made, saved_at = perf_counter(), trainer.made, perf_counter()
    for event in trainer.pieces():
        if isinstance(event, Step):
            report.step(event, trainer)
        told = event is not None and event.number == trainer.made
        if event is not None and told and not trainer.made % trainer.steps_an_epoch and not trainer.judging:
            score = event.judgement.score if isinstance(event, Judged) else None
            speed = (trainer.made - made) * task.recipe.batch / (perf_counter() - begun)
            report.epoch(Epoch(event.epoch, event.number, event.mean, score, speed), trainer)
        if interrupt.asked:
            return
        if perf_counter() - saved_at >= SAVE_SECONDS:
            _save_aside(task, trainer, report)
            saved_at = perf_counter()


def _save_aside(task: Task, trainer: Trainer, report: Report) -> None:
    """Keep the run as it is now. That it cannot be kept is no reason to stop it."""
    try:
        save_checkpoint(task.aside, task.at(trainer.checkpoint()))
    except StorageError as error:
        report.warn(str(error))


def _interrupted(task: Task, trainer: Trainer, report: Report) -> int:
    save_checkpoint(task.aside, task.at(trainer.checkpoint()))
    report.end(Outcome("interrupted", aside=task.aside), trainer)
    sys.stdout.flush()
    print(
        f"Stopped after step {trainer.made:,}; the run is kept in {shown(task.aside)}. Go on with: xo train "
        f"--resume {shlex.quote(str(task.aside))}",
        file=sys.stderr,
    )
    return INTERRUPTED


def _diverged(task: Task, trainer: Trainer, report: Report, error: TrainingError) -> int:
    """Keep the last finite weights, beside the model that may be there from before."""
    last = task.out.with_name(f"{task.out.stem}.diverged{MODEL}")
    origin = {"command": task.commands[0], "ended": "diverged", "steps": trainer.made}
    save_model(last, Subject(task.name, task.network, trainer.parameters(), None, origin))
    report.end(Outcome("diverged", model=last), trainer)
    sys.stdout.flush()
    print(f"xo: {error} They are in {shown(last)}.{_way_back(task)}", file=sys.stderr)
    return FAILED


def _way_back(task: Task) -> str:
    """What may be done with a run that was kept before it diverged."""
    if not task.aside.exists():
        return " Begin again with a smaller --rate."
    return (
        f" {shown(task.aside)} holds the run as it was a little earlier: go on from it with xo train --resume "
        f"{shlex.quote(str(task.aside))} --rate SMALLER, or remove it and begin again."
    )
