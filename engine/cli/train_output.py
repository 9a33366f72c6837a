"""Output of `xo train`: the model file, and the log of a run as lines of text, with a progress bar, or as JSON."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, TextIO

import numpy as np

from engine.backends import Backend
from engine.cli.json_text import json_text
from engine.cli.train_options import TrainJob
from engine.data import kind_of
from engine.documents import save_model
from engine.formats import quoted
from engine.nn import Model, softmax
from engine.nn.layers import Arrays
from engine.training import STOP_MESSAGES, Calibration, Metrics, StepDone, Trainer, calibrate_threshold, evaluate

REDRAW_SECONDS: Final = 0.1
_WIDEST, _NARROWEST = 30, 6
# What is omitted first where the terminal is narrow.
_LEAST_NEEDED: Final = ("speed", "step", "bar", "held out", "left", "loss")
_GAP: Final = "  "


class ProgressBar:
    """A progress bar, redrawn at most ten times a second at the terminal's current width."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._length, self._drawn_at = stream, 0, 0.0
        self._full, self._empty = ("━", "─") if _can_show(stream, "━─") else ("#", "-")

    @property
    def due(self) -> bool:
        """Whether it may be redrawn."""
        return perf_counter() - self._drawn_at >= REDRAW_SECONDS

    def draw(self, done: float, parts: dict[str, str]) -> None:
        """Show the share `done`, 0 to 1, and these texts; "bar" among them is the position of the bar."""
        self._drawn_at = perf_counter()
        text = self._fitted(done, parts, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + text + " " * (self._length - len(text)))
        self._stream.flush()
        self._length = len(text)

    def clear(self) -> None:
        """Clear the line, before other output."""
        if self._length:
            self._stream.write("\r" + " " * self._length + "\r")
            self._stream.flush()
            self._length = 0

    def _fitted(self, done: float, parts: dict[str, str], columns: int) -> str:
        """The parts that fit into the columns, in their order."""
        kept = dict(parts)
        for name in ("", *_LEAST_NEEDED):
            kept.pop(name, None)
            texts = [text for part, text in kept.items() if part != "bar"]
            room = columns - sum(map(len, texts)) - len(_GAP) * (len(kept) - 1)
            if room >= (_NARROWEST if "bar" in kept else 0):
                break
        bar = self._bar(done, min(room, _WIDEST)) if "bar" in kept else ""
        return _GAP.join(bar if part == "bar" else text for part, text in kept.items())[: max(0, columns)]

    def _bar(self, done: float, width: int) -> str:
        full = round(min(max(done, 0.0), 1.0) * width)
        return self._full * full + self._empty * (width - full)


def clock_text(seconds: float) -> str:
    """Minutes and seconds, or hours too: 1:05, 2:03:04."""
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
class TrainResult:
    """A trained model's parameters and evaluation.

    score: on the held-out examples, None if there are none.
    calibration: of the "unsure" threshold, None unless they include every class and "neither".
    """

    parameters: Arrays
    metrics: Metrics | None
    calibration: Calibration | None


def train_result(task: TrainJob, parameters: Arrays, backend: Backend) -> TrainResult:
    """Evaluate on the held-out examples, and choose the threshold of "unsure"."""
    held_out, classes = task.data.held_out, task.network.classes
    if held_out is None:
        return TrainResult(parameters, None, None)
    evaluation = evaluate(task.network, parameters, held_out, backend)
    calibration = None
    if set(range(-1, len(classes))) <= set(held_out.labels.tolist()) and np.isfinite(evaluation.scores).all():
        calibration = calibrate_threshold(softmax(evaluation.scores), held_out.labels, classes)
    return TrainResult(parameters, evaluation.metrics, calibration)


def save_result(task: TrainJob, result: TrainResult, backend: Backend, steps: int, ended: str) -> Model:
    """Write the model file, and return the model. Raises FileError."""
    threshold = None if result.calibration is None else result.calibration.threshold
    origin = _origin(task, result, backend, steps, ended)
    model = Model(task.name, task.network, result.parameters, threshold, origin)
    save_model(task.out, model)
    return model


def _origin(task: TrainJob, result: TrainResult, backend: Backend, steps: int, ended: str) -> dict[str, Any]:
    """The origin stored in the model file; it contains no time and no folder, so that equal runs give equal
    bytes."""
    files = task.data.files
    command, *changed = task.commands
    origin = {
        "command": command,
        "recipe": task.config.to_json(),
        "device": backend.name,
        "versions": {"xo-gui": version("xo-gui"), "numpy": np.__version__},
        "ended": ended,
        "steps": steps,
    }
    if changed:
        origin["changed"] = changed
    if files is not None:
        origin["data"] = {"hold_out": files.hold_out, "sha256": files.digest}
    return origin | (
        {} if result.metrics is None else {"held_out": metrics_json(result.metrics, result.calibration)}
    )


def metrics_json(score: Metrics, calibration: Calibration | None) -> dict[str, Any]:
    """An evaluation as JSON values; null where there were no examples."""
    values = {
        "loss": json_number(score.loss, 6),
        "accuracy": json_number(score.accuracy),
        "by_class": {name: json_number(share) for name, share in score.by_class.items()},
        "confusion": score.confusion.tolist(),
    }
    if calibration is not None:
        values["named"] = {name: json_number(share) for name, share in calibration.recall_by_class.items()}
        values["wrong"] = json_number(calibration.misclassified)
    return values


def json_number(value: float, digits: int = 5) -> float | None:
    """A rounded number for JSON, null if it is not finite."""
    return round(value, digits) if np.isfinite(value) else None


@dataclass(frozen=True, eq=False)
class EpochReport:
    """A finished epoch.

    step: number of steps made so far.
    mean_loss: of its steps.
    score: on the held-out examples now.
    examples_per_second: since the start of the run.
    """

    number: int
    step: int
    mean_loss: float
    metrics: Metrics | None
    examples_per_second: float


@dataclass(frozen=True, eq=False)
class RunOutcome:
    """How a run ended.

    reason: as in training.ENDS, or "interrupted" or "diverged".
    model: the file written.
    checkpoint: the file in which the run is saved.
    """

    reason: str
    result: TrainResult | None = None
    model: Path | None = None
    checkpoint: Path | None = None


class TrainingLog(Protocol):
    """The log of a run, as text or JSON."""

    def prepare(self, what: str, done: int, total: int) -> None:
        """Before the run, `done` of `total` pictures are ready; what: "reading" or "drawing"."""
        ...

    def begin(self, task: TrainJob, backend: Backend, trainer: Trainer) -> None: ...

    def step(self, step: StepDone, trainer: Trainer) -> None: ...

    def epoch(self, epoch: EpochReport, trainer: Trainer) -> None: ...

    def warn(self, sentence: str) -> None:
        """A problem that does not stop the run."""
        ...

    def say(self, sentence: str) -> None:
        """What happened to the device."""
        ...

    def end(self, outcome: RunOutcome, trainer: Trainer) -> None: ...


def _epochs(trainer: Trainer, number: int) -> int:
    """How many epochs there are; a resumed run may have made more than it is told to."""
    return max(trainer.config.epochs, number)


def confusion_lines(score: Metrics, columns: int) -> list[str]:
    """The confusion matrix with the accuracy of each class, as lines; without its columns if they do not fit."""
    classes = list(score.by_class)
    labelled = int(score.confusion[:-1].sum())
    lines = [f"held out: accuracy {score.accuracy:.2%} of {labelled:,}, loss {score.loss:.4f}"]
    names = [*classes, "neither"] if score.confusion[-1].any() else classes
    first, width = max(map(len, names)), max(9, *(len(name) + 12 for name in classes))
    fits = first + 2 + width * len(classes) + 9 <= columns
    heads = "".join(f"{'predicted ' + name:>{width}}" for name in classes) if fits else f"{'examples':>9}"
    lines.append(f"{'':{first}}{heads}{'accuracy':>10}")
    for index, name in enumerate(names):
        row = score.confusion[index]
        cells = "".join(f"{count:{width},}" for count in row) if fits else f"{row.sum():9,}"
        accuracy = f"{score.by_class[name]:.2%}" if index < len(classes) and row.sum() else ""
        lines.append(f"{name:{first}}{cells}{accuracy:>10}".rstrip())
    return lines


_COLUMNS: Final = 100  # of a table without a terminal


class TextLog:
    """Log as text: a line per epoch."""

    def __init__(self) -> None:
        self._warned = False

    def prepare(self, what: str, done: int, total: int) -> None:
        pass

    def begin(self, task: TrainJob, backend: Backend, trainer: Trainer) -> None:
        data, config = task.data, task.config
        print(f"{task.name} on {backend.title} ({backend.reason}), seed {config.seed}")
        made = kind_of(config.data).plural
        kind = "examples" if data.files is not None else f"fresh {made}" if config.fresh else made
        held_out = 0 if data.held_out is None else len(data.held_out)
        print(f"{config.epochs} epochs of {data.source.count:,} {kind}, {held_out:,} held out")
        if trainer.steps_made:
            print(f"resumes after step {trainer.steps_made:,}")
        sys.stdout.flush()  # a pipe is block-buffered

    def step(self, step: StepDone, trainer: Trainer) -> None:
        pass

    def epoch(self, epoch: EpochReport, trainer: Trainer) -> None:
        score, epochs = epoch.metrics, str(_epochs(trainer, epoch.number))
        held_out = "" if score is None else f"  held out {score.accuracy:.2%}"
        number = f"{epoch.number:{len(epochs)}}"
        print(
            f"epoch {number}/{epochs}  loss {epoch.mean_loss:.4f}{held_out}  "
            f"{epoch.examples_per_second:,.0f} examples/s"
        )
        sys.stdout.flush()

    def warn(self, sentence: str) -> None:
        """Print the first warning only; later ones are the same."""
        if not self._warned:
            print(f"xo: {sentence} Training continues.", file=sys.stderr)
        self._warned = True

    def say(self, sentence: str) -> None:
        print(f"xo: {sentence}", file=sys.stderr)

    def end(self, outcome: RunOutcome, trainer: Trainer) -> None:
        result = outcome.result
        if result is None:
            return
        best = " The weights are those of the best epoch." if outcome.reason == "patience" else ""
        print(f"{STOP_MESSAGES[trainer.stop_reason or 'epochs']} {trainer.steps_made:,} steps were made.{best}")
        if result.metrics is not None:
            for line in confusion_lines(result.metrics, self._columns()):
                print(line)
        if (calibration := result.calibration) is not None:
            named = ", ".join(f"{name} {share:.2%}" for name, share in calibration.recall_by_class.items())
            threshold, wrong = f"{calibration.threshold:.3f}", f"{calibration.misclassified:.2%}"
            print(f'"unsure" below {threshold}: {named} predicted correctly, {wrong} of all wrongly')
        if outcome.model is not None:
            print(f"wrote {quoted(outcome.model)}")

    def _columns(self) -> int:
        return _COLUMNS


class TerminalLog(TextLog):
    """Log at a terminal: a progress bar, and lines of text before and after it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = ProgressBar(sys.stdout)
        self._started, self._made_before, self._held_out = 0.0, 0, ""

    def prepare(self, what: str, done: int, total: int) -> None:
        if self._bar.due:
            self._bar.draw(done / max(1, total), {"what": what, "bar": "", "count": f"{done:,} of {total:,}"})

    def begin(self, task: TrainJob, backend: Backend, trainer: Trainer) -> None:
        self._bar.clear()
        super().begin(task, backend, trainer)
        self._started, self._made_before = perf_counter(), trainer.steps_made

    def step(self, step: StepDone, trainer: Trainer) -> None:
        if not self._bar.due:
            return
        config = trainer.config
        total, per_second = config.epochs * trainer.steps_per_epoch, self._steps_per_second(step)
        total = total if config.steps is None else min(total, config.steps)
        left = (total - step.number) / per_second
        if config.seconds is not None:
            left = min(left, config.seconds - trainer.seconds)
        parts = {
            "epoch": f"epoch {step.epoch}/{_epochs(trainer, step.epoch)}",
            "bar": "",
            "step": f"step {step.number:,}",
            "loss": f"loss {step.mean_loss:.4f}",
            "held out": self._held_out,
            "speed": f"{per_second * trainer.source.count / trainer.steps_per_epoch:,.0f}/s",
            "left": f"{clock_text(max(0.0, left))} left",
        }
        self._bar.draw(step.number / total, {name: text for name, text in parts.items() if text or name == "bar"})

    def epoch(self, epoch: EpochReport, trainer: Trainer) -> None:
        if epoch.metrics is not None:
            self._held_out = f"held out {epoch.metrics.accuracy:.2%}"

    def warn(self, sentence: str) -> None:
        self._bar.clear()
        super().warn(sentence)

    def say(self, sentence: str) -> None:
        self._bar.clear()
        super().say(sentence)

    def end(self, outcome: RunOutcome, trainer: Trainer) -> None:
        self._bar.clear()
        super().end(outcome, trainer)

    def _steps_per_second(self, step: StepDone) -> float:
        return (step.number - self._made_before) / max(1e-9, perf_counter() - self._started)

    def _columns(self) -> int:
        return shutil.get_terminal_size().columns


class JsonLog:
    """Log as JSON: one object per epoch, and one at the end."""

    def prepare(self, what: str, done: int, total: int) -> None:
        pass

    def begin(self, task: TrainJob, backend: Backend, trainer: Trainer) -> None:
        pass

    def step(self, step: StepDone, trainer: Trainer) -> None:
        pass

    def epoch(self, epoch: EpochReport, trainer: Trainer) -> None:
        _print(
            {
                "event": "epoch",
                "epoch": epoch.number,
                "epochs": _epochs(trainer, epoch.number),
                "step": epoch.step,
                "loss": json_number(epoch.mean_loss, 6),
                "held_out": None if epoch.metrics is None else metrics_json(epoch.metrics, None),
                "examples_per_second": round(epoch.examples_per_second, 1),
                "seconds": round(trainer.seconds, 3),
            }
        )

    def warn(self, sentence: str) -> None:
        print(f"xo: {sentence} Training continues.", file=sys.stderr)

    def say(self, sentence: str) -> None:
        print(f"xo: {sentence}", file=sys.stderr)

    def end(self, outcome: RunOutcome, trainer: Trainer) -> None:
        result = outcome.result
        score = None if result is None else result.metrics
        calibration = None if result is None else result.calibration
        _print(
            {
                "event": "end",
                "reason": outcome.reason,
                "step": trainer.steps_made,
                "seconds": round(trainer.seconds, 3),
                "held_out": None if score is None else metrics_json(score, calibration),
                "threshold": None if calibration is None else calibration.threshold,
                "model": None if outcome.model is None else str(outcome.model),
                "checkpoint": None if outcome.checkpoint is None else str(outcome.checkpoint),
            }
        )


def _print(event: dict[str, Any]) -> None:
    print(json_text(event), flush=True)
