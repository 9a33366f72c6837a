"""Lines: a run told to people, a line an epoch, or on a terminal with a bar. Not what is told when: see report."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, TextIO

import numpy as np

from engine.backends.backend import Backend
from engine.cli.train_options import Task
from engine.documents.model_file import save_model
from engine.nn.layers import Values
from engine.nn.losses import softmax
from engine.nn.model import Subject
from engine.training.evaluation import Calibration, Score, calibrate, judge
from engine.training.trainer import ENDS, Step, Trainer

REDRAW_SECONDS: Final = 0.1
_WIDEST, _NARROWEST = 30, 6
# What is left out first where the terminal is narrow.
_LEAST_NEEDED: Final = ("speed", "step", "bar", "held out", "left", "loss")
_GAP: Final = "  "


class Bar:
    """Redraws itself at most ten times a second, as wide as the terminal is then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._shown, self._drawn_at = stream, 0, 0.0
        self._full, self._empty = ("━", "─") if _can_show(stream, "━─") else ("#", "-")

    @property
    def due(self) -> bool:
        """Whether it may be redrawn."""
        return perf_counter() - self._drawn_at >= REDRAW_SECONDS

    def draw(self, done: float, parts: dict[str, str]) -> None:
        """Show the share `done`, 0 to 1, and these words; "bar" among them marks the place of the bar."""
        self._drawn_at = perf_counter()
        text = self._fitted(done, parts, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + text + " " * (self._shown - len(text)))
        self._stream.flush()
        self._shown = len(text)

    def clear(self) -> None:
        """Leave the line empty, for other words to come."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def _fitted(self, done: float, parts: dict[str, str], columns: int) -> str:
        """The parts that have room, in their order."""
        left = dict(parts)
        for name in ("", *_LEAST_NEEDED):
            left.pop(name, None)
            words = [text for part, text in left.items() if part != "bar"]
            room = columns - sum(map(len, words)) - len(_GAP) * (len(left) - 1)
            if room >= (_NARROWEST if "bar" in left else 0):
                break
        bar = self._bar(done, min(room, _WIDEST)) if "bar" in left else ""
        return _GAP.join(bar if part == "bar" else text for part, text in left.items())[: max(0, columns)]

    def _bar(self, done: float, width: int) -> str:
        full = round(min(max(done, 0.0), 1.0) * width)
        return self._full * full + self._empty * (width - full)


def duration(seconds: float) -> str:
    """1:05, 2:03:04: what is left, as a clock shows it."""
    whole = round(seconds)
    minutes, hours = divmod(whole, 60)[0] % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _can_show(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True, eq=False)
class Result:
    """score: on the held-out examples, None where there are none. calibration: None where they do not hold every
    class and "neither", and nothing says when to be unsure."""

    parameters: Values
    score: Score | None
    calibration: Calibration | None


def result_of(task: Task, parameters: Values, backend: Backend) -> Result:
    """Read what is held out, and choose the threshold of "unsure"."""
    held_out, classes = task.material.held_out, task.network.classes
    if held_out is None:
        return Result(parameters, None, None)
    judged = judge(task.network, parameters, held_out, backend)
    found = None
    if set(range(-1, len(classes))) <= set(held_out.labels.tolist()) and np.isfinite(judged.scores).all():
        found = calibrate(softmax(judged.scores), held_out.labels, classes)
    return Result(parameters, judged.score, found)


def save(task: Task, result: Result, backend: Backend, steps: int, ended: str) -> None:
    """Write the model file. Raises StorageError."""
    threshold = None if result.calibration is None else result.calibration.threshold
    origin = _origin(task, result, backend, steps, ended)
    save_model(task.out, Subject(task.name, task.network, result.parameters, threshold, origin))


def _origin(task: Task, result: Result, backend: Backend, steps: int, ended: str) -> dict[str, Any]:
    """What the model file says of where it comes from; nothing in it depends on when or in which folder."""
    data = task.material.data
    begun, *changed = task.commands
    origin = {
        "command": begun,
        "recipe": task.recipe.to_json(),
        "device": backend.name,
        "versions": {"xo-gui": version("xo-gui"), "numpy": np.__version__},
        "ended": ended,
        "steps": steps,
    }
    if changed:
        origin["changed"] = changed
    if data is not None:
        origin["data"] = {"hold_out": data.hold_out, "sha256": data.digest}
    return origin | ({} if result.score is None else {"held_out": judged(result.score, result.calibration)})


def judged(score: Score, found: Calibration | None) -> dict[str, Any]:
    """A judgement as plain values: null for what there was no example of."""
    told = {
        "loss": rounded(score.loss, 6),
        "accuracy": rounded(score.accuracy),
        "by_class": {name: rounded(share) for name, share in score.by_class.items()},
        "confusion": score.confusion.tolist(),
    }
    if found is not None:
        told["named"] = {name: rounded(share) for name, share in found.named.items()}
        told["wrong"] = rounded(found.wrong)
    return told


def rounded(value: float, digits: int = 5) -> float | None:
    """A number that JSON can hold."""
    return round(value, digits) if np.isfinite(value) else None


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


def table(score: Score, columns: int) -> list[str]:
    """How each class was read, as lines: what it was read as, if that has room, and the share that is right."""
    classes = list(score.by_class)
    labelled = int(score.confusion[:-1].sum())
    lines = [f"held out: {score.accuracy:.2%} of {labelled:,} read rightly, loss {score.loss:.4f}"]
    names = [*classes, "neither"] if score.confusion[-1].any() else classes
    first, width = max(map(len, names)), max(9, *(len(name) + 10 for name in classes))
    counts = first + 2 + width * len(classes) + 9 <= columns
    heads = "".join(f"{'read as ' + name:>{width}}" for name in classes) if counts else f"{'examples':>9}"
    lines.append(f"{'':{first}}{heads}{'right':>10}")
    for place, name in enumerate(names):
        row = score.confusion[place]
        cells = "".join(f"{count:{width},}" for count in row) if counts else f"{row.sum():9,}"
        right = f"{score.by_class[name]:.2%}" if place < len(classes) and row.sum() else ""
        lines.append(f"{name:{first}}{cells}{right:>10}".rstrip())
    return lines


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
