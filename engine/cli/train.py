"""Course: a run from its beginning to its end, or to Ctrl+C. How it is told of is report's business."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import FrameType, TracebackType
from typing import Any, Final

from engine.backends.backend import Backend
from engine.cli.train_options import MODEL, Task
from engine.cli.train_output import Epoch, Outcome, Report, result_of, save
from engine.data.dataset import Examples
from engine.data.pool import Source
from engine.documents.model_file import save_model
from engine.documents.training_file import save_checkpoint
from engine.formats.atomic_file import StorageError, shown
from engine.nn.model import Subject
from engine.training.trainer import Judged, Step, Trainer, TrainingError

_ANSWER: Final = b"\nStopping after this step, and saving the run ...\n"


class Interrupt:
    """While it is entered, Ctrl+C sets `asked`. Pressed again it does nothing more, so that nobody loses what is
    being saved. To be entered in the main thread, where Python lets signals be handled."""

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._before: Any = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Meanwhile, where nothing can be lost, Ctrl+C also raises KeyboardInterrupt."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            with suppress(OSError):  # nobody is there to read it
                os.write(2, _ANSWER)  # print() might be interrupted within itself
            if self._at_once:
                raise KeyboardInterrupt


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


# What may be given with --resume; whatever else there is belongs to the beginning of a run.
ON_RESUME: Final = (
    *("resume", "out", "device", "json", "data"),
    *("rate", "l2", "clip", "epochs", "steps", "patience", "target", "seconds"),
)
EPILOG: Final = """
examples:
  xo train --out mine.safetensors
  xo train --data letters/ --hold-out 0.3 --epochs 20 --patience 3 --out letters.safetensors
  xo train --data xo:size=0.3..0.9,neither=0.25 --optimizer sgd --momentum 0.9 --rate 0.05 --out mine.safetensors
  xo train --model mine.safetensors --data letters/ --freeze 01-conv2d,04-conv2d --out tuned.safetensors
  xo train --resume mine.checkpoint

Ctrl+C saves the run beside the model, as NAME.checkpoint, and so does the program every half minute. Exit codes: 0
done, 1 something you can mend, or a run that diverged, 2 wrong usage, 130 stopped with Ctrl+C.
"""


def add(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "train",
        help="train a network",
        description="Train a network on generated drawings or examples from files, and write it as a model file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", metavar="NAME", help="a network of this program (default: default)")
    which.add_argument("--model", metavar="FILE", type=Path, help="a model file, whose weights to start from")
    which.add_argument("--resume", metavar="FILE", type=Path, help="go on with an interrupted run; see below")
    parser.add_argument(
        "--from-scratch", action="store_true", help="with --model: take only its network, and fresh weights"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the model file to write, ending in .safetensors; needed"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"], help="where to compute")
    parser.add_argument("--json", action="store_true", help="print one JSON object an epoch, and one at the end")
    _add_data(parser.add_argument_group("what it learns from"))
    _add_recipe(parser.add_argument_group("how it learns (defaults: the preset's, or the default preset's)"))
    _add_ends(parser.add_argument_group("when it ends, if not earlier than its epochs"))
    parser.set_defaults(wrong=parser.error)


def _add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        metavar="PATH_OR_SETTINGS",
        help="a folder with a folder of pictures for each class, an npz or IDX file; or the settings of generated "
        "drawings, such as xo:size=0.3..0.9,neither=0.25 (default: the preset's drawings)",
    )
    group.add_argument(
        "--hold-out",
        metavar="SHARE",
        type=float,
        help="the share, from 0 to 1, of examples that it is judged by and does not learn from (default: 0.2 of "
        "those from files); of drawings, as many more are made",
    )
    group.add_argument(
        "--augment",
        metavar="SETTINGS",
        help="see pictures from files a little differently in every epoch: shift=0.1,rotation=15,flip=yes",
    )
    group.add_argument("--examples", metavar="N", type=int, help="drawings an epoch")
    group.add_argument(
        "--fixed",
        action="store_true",
        help="the same drawings in every epoch, as in the window, not fresh ones",
    )
    group.add_argument("--seed", metavar="N", type=int, help="of first weights, drawings, order and dropout")
    group.add_argument("--data-seed", metavar="N", type=int, help="of the drawings, if not --seed")


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help="sgd, adam or adamw, maybe with settings: adamw:decay=0.1,beta1=0.8",
    )
    group.add_argument("--recipe", metavar="NAME", help="another recipe of the preset: hanuschkin has augmented")
    group.add_argument("--rate", metavar="R", type=float, help="the learning rate, where the schedule begins")
    group.add_argument("--momentum", metavar="M", type=float, help="of sgd")
    group.add_argument(
        "--schedule",
        metavar="NAME",
        help="constant, cosine, linear or steps, maybe with settings: cosine:final=0.01,warmup=0.05",
    )
    group.add_argument("--l2", metavar="S", type=float, help="add S / 2 times the sum of all squared weights")
    group.add_argument("--clip", metavar="LENGTH", type=float, help="shorten longer gradients to this length")
    group.add_argument(
        "--freeze", metavar="LAYERS", help="layers that stay as they are, such as 01-conv2d,04-conv2d (xo info)"
    )
    group.add_argument("--batch", metavar="N", type=int, help="examples a step")
    group.add_argument("--epochs", metavar="N", type=int, help="how often all examples are gone through")


def _add_ends(group: Any) -> None:
    group.add_argument("--steps", metavar="N", type=int, help="after so many steps")
    group.add_argument(
        "--patience", metavar="N", type=int, help="after N epochs without a lower error on what is held out"
    )
    group.add_argument("--target", metavar="A", type=float, help="at this accuracy, 0 to 1, on what is held out")
    group.add_argument("--seconds", metavar="S", type=float, help="after so many seconds of training")


def run(args: argparse.Namespace) -> int:
    """Train, judge, save; returns the exit code. Raises ValueError and OSError, one sentence."""
    if args.resume is None and args.out is None:
        args.wrong("--out is needed: the model file to write, such as --out mine.safetensors")
    given = [name for name, value in vars(args).items() if value not in (None, False)]
    fixed = sorted(set(given) - {*ON_RESUME, "command", "wrong"})
    if args.resume is not None and fixed:
        words = fixed[0].replace("_", "-")
        args.wrong(f"--{words} belongs to the beginning of a run, and cannot be given with --resume")
    from engine.backends.backend import choose_backend, one_blas_thread

    pass
    from engine.cli.train_options import task_of
    from engine.cli.train_output import JsonLines, Lines, OnTerminal

    report = JsonLines() if args.json else OnTerminal() if sys.stdout.isatty() else Lines()
    # With more threads the same seed would give other bytes, and the window keeps to one too.
    with one_blas_thread():
        task = task_of(args, report.prepare)
        return follow(task, choose_backend(args.device), report)
