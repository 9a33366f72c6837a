"""Lines: a run told to people, a line an epoch, or on a terminal with a bar. Not what is told when: see report."""

from __future__ import annotations

import shutil
import sys
from time import perf_counter
from typing import Final

from engine.backends.backend import Backend
from engine.commands.train.bar import Bar, duration
from engine.commands.train.report import Epoch, Outcome
from engine.commands.train.table import table
from engine.commands.train.task import Task
from engine.training import ENDS, Step, Trainer

_COLUMNS: Final = 100  # of a table where there is no terminal


class Lines:
    """For people: a line an epoch."""

    def __init__(self) -> None:
        self._warned = False

    def prepare(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def begin(self, task: Task, backend: Backend, trainer: Trainer) -> None:
        """What is trained on what."""
        material, recipe = task.material, task.recipe
        print(f"{task.name} on {backend.title} ({backend.reason}), seed {recipe.seed}")
        drawings = "fresh drawings" if recipe.fresh else "drawings"
        kind = drawings if material.data is None else "examples"
        held_out = 0 if material.held_out is None else len(material.held_out)
        print(f"{recipe.epochs} epochs of {material.source.count:,} {kind}, {held_out:,} held out")
        if trainer.made:
            print(f"goes on after step {trainer.made:,}")
        sys.stdout.flush()  # into a pipe it would otherwise come with the first epoch

    def step(self, step: Step, trainer: Trainer) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch, trainer: Trainer) -> None:
        """One line."""
        score, epochs = epoch.score, str(trainer.recipe.epochs)
        held_out = "" if score is None else f"  held out {score.accuracy:.2%}"
        number = f"{epoch.number:{len(epochs)}}"
        print(f"epoch {number}/{epochs}  loss {epoch.mean:.4f}{held_out}  {epoch.speed:,.0f} examples/s")
        sys.stdout.flush()

    def warn(self, sentence: str) -> None:
        """The first one; the others would be the same."""
        if not self._warned:
            print(f"xo: {sentence} The run goes on.", file=sys.stderr)
        self._warned = True

    def end(self, outcome: Outcome, trainer: Trainer) -> None:
        """How it reads what was held out, class by class."""
        result = outcome.result
        if result is None:
            return
        best = " The weights are those of the best epoch." if outcome.reason == "patience" else ""
        print(f"{ENDS[trainer.ended or 'epochs']} {trainer.made:,} steps were made.{best}")
        if result.score is not None:
            for line in table(result.score, self._columns()):
                print(line)
        if (found := result.calibration) is not None:
            named = ", ".join(f"{name} {share:.2%}" for name, share in found.named.items())
            print(f'"unsure" below {found.threshold:.3f}: {named} named rightly, {found.wrong:.2%} of all wrongly')
        print(f"wrote {outcome.model}")

    def _columns(self) -> int:
        return _COLUMNS


class OnTerminal(Lines):
    """For people at a terminal: a bar, and lines before and after it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = Bar(sys.stdout)
        self._begun, self._made_before, self._held_out = 0.0, 0, ""

    def prepare(self, what: str, done: int, total: int) -> None:
        """A bar of its own."""
        if self._bar.due:
            self._bar.draw(done / max(1, total), {"what": what, "bar": "", "count": f"{done:,} of {total:,}"})

    def begin(self, task: Task, backend: Backend, trainer: Trainer) -> None:
        """The clock runs."""
        self._bar.clear()
        super().begin(task, backend, trainer)
        self._begun, self._made_before = perf_counter(), trainer.made

    def step(self, step: Step, trainer: Trainer) -> None:
        """Redraw the bar if it is time to."""
        if not self._bar.due:
            return
        recipe = trainer.recipe
        whole, per_second = recipe.epochs * trainer.steps_an_epoch, self._steps_a_second(step)
        whole = whole if recipe.steps is None else min(whole, recipe.steps)
        left = (whole - step.number) / per_second
        if recipe.seconds is not None:
            left = min(left, recipe.seconds - trainer.seconds)
        parts = {
            "epoch": f"epoch {step.epoch}/{recipe.epochs}",
            "bar": "",
            "step": f"step {step.number:,}",
            "loss": f"loss {step.mean:.4f}",
            "held out": self._held_out,
            "speed": f"{per_second * recipe.batch:,.0f}/s",
            "left": f"{duration(max(0.0, left))} left",
        }
        self._bar.draw(step.number / whole, {name: text for name, text in parts.items() if text or name == "bar"})

    def epoch(self, epoch: Epoch, trainer: Trainer) -> None:
        """The bar shows it from now on."""
        if epoch.score is not None:
            self._held_out = f"held out {epoch.score.accuracy:.2%}"

    def warn(self, sentence: str) -> None:
        """On a line of its own."""
        self._bar.clear()
        super().warn(sentence)

    def end(self, outcome: Outcome, trainer: Trainer) -> None:
        """Instead of the bar."""
        self._bar.clear()
        super().end(outcome, trainer)

    def _steps_a_second(self, step: Step) -> float:
        return (step.number - self._made_before) / max(1e-9, perf_counter() - self._begun)

    def _columns(self) -> int:
        return shutil.get_terminal_size().columns
