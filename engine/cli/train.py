"""`xo train`: the command's options, and the training run from its start to its end or to Ctrl+C."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import FrameType, TracebackType
from typing import Any, Final

from engine.backends import Backend
from engine.cli.device import ChosenDevice
from engine.cli.recording import RunRecorder
from engine.cli.train_options import MODEL_SUFFIX, TrainJob
from engine.cli.train_output import EpochReport, RunOutcome, TrainingLog, save_result, train_result
from engine.data import Dataset, DataSource
from engine.documents import save_checkpoint, save_model
from engine.formats import FileError, quoted
from engine.nn import Model
from engine.training import Evaluated, StepDone, Trainer, TrainingError

_MESSAGE: Final = b"\nStopping after this step, and saving the run ...\n"


class InterruptHandler:
    """Context manager in which Ctrl+C sets `requested`. Pressing it again does nothing, so that saving is not
    interrupted. To be entered in the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self.requested = False
        self._raises = False
        self._previous: Any = None

    @contextmanager
    def raise_at_once(self) -> Iterator[None]:
        """In this context Ctrl+C also raises KeyboardInterrupt; only where nothing can be lost."""
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def __enter__(self) -> InterruptHandler:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            with suppress(OSError):  # stderr may be closed
                os.write(2, _MESSAGE)  # print() is not reentrant
            if self._raises:
                raise KeyboardInterrupt


SAVE_SECONDS: Final = 30.0
# Steps that a GPU makes between two synchronizations.
GPU_STRIDE: Final = 32
DONE, FAILED, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class _Interruptible:
    """A data source whose generation of examples, which may take seconds, Ctrl+C interrupts."""

    source: DataSource
    interrupt: InterruptHandler

    @property
    def count(self) -> int:
        return self.source.count

    def epoch(self, number: int) -> Dataset:
        with self.interrupt.raise_at_once():
            return self.source.epoch(number)

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        yield from ()
        return self.epoch(number)


def run_training(task: TrainJob, device: ChosenDevice, report: TrainingLog) -> int:
    """Train and write the model; returns the exit code. Raises ValueError and OSError."""
    data, backend, interrupt = task.data, device.backend, InterruptHandler()
    source = _Interruptible(data.source, interrupt)
    stride = GPU_STRIDE if backend.name == "gpu" else 1
    trainer = device.run(
        lambda: Trainer(
            task.network, source, task.config, device.backend, task.start, data.held_out, task.checkpoint, stride
        )
    )
    device.moves.append(trainer.move_to)
    recorder = None if task.project is None else RunRecorder(task, trainer)
    report.begin(task, backend, trainer)
    for note in data.notes:
        print(f"xo: {note}", file=sys.stderr)
    with interrupt:
        return device.run(lambda: _train_and_save(task, trainer, device.backend, report, interrupt, recorder))


def _train_and_save(
    task: TrainJob,
    trainer: Trainer,
    backend: Backend,
    report: TrainingLog,
    interrupt: InterruptHandler,
    recorder: RunRecorder | None,
) -> int:
    """As run_training, from where the trainer is. Raises DeviceFault too, after which it can be repeated."""
    try:
        _train(task, trainer, report, interrupt, recorder)
    except TrainingError as error:
        return _diverged(task, trainer, report, error)
    if trainer.stop_reason is None:
        return _interrupted(task, trainer, report)
    result = train_result(task, trainer.final_parameters(), backend)
    model = save_result(task, result, backend, trainer.steps_made, trainer.stop_reason)
    if recorder is not None and task.project is not None:
        recorder.save(task.project, model)
    # The checkpoints of a finished run are of no use.
    for checkpoint in {task.checkpoint_path, task.resumed_from or task.checkpoint_path}:
        checkpoint.unlink(missing_ok=True)
    report.end(RunOutcome(trainer.stop_reason, result, model=task.out), trainer)
    return DONE


def _train(
    task: TrainJob,
    trainer: Trainer,
    report: TrainingLog,
    interrupt: InterruptHandler,
    recorder: RunRecorder | None,
) -> None:
    """Make all steps until the run ends or is interrupted."""
    with contextlib.suppress(KeyboardInterrupt):  # raised while examples are generated: the run is unchanged
        _steps(task, trainer, report, interrupt, recorder)


def _steps(
    task: TrainJob,
    trainer: Trainer,
    report: TrainingLog,
    interrupt: InterruptHandler,
    recorder: RunRecorder | None,
) -> None:
    started, examples, saved_at = perf_counter(), 0, perf_counter()
    for event in trainer.iter_slices():
        if recorder is not None:
            recorder.record(event)
        if isinstance(event, StepDone):
            examples += len(trainer.last_batch)
            report.step(event, trainer)
        is_last = event is not None and event.number == trainer.steps_made
        if (
            event is not None
            and is_last
            and not trainer.steps_made % trainer.steps_per_epoch
            and not trainer.is_evaluation_due
        ):
            score = event.evaluation.metrics if isinstance(event, Evaluated) else None
            speed = examples / (perf_counter() - started)
            report.epoch(EpochReport(event.epoch, event.number, event.mean_loss, score, speed), trainer)
        if interrupt.requested:
            return
        if perf_counter() - saved_at >= SAVE_SECONDS:
            _save_checkpoint(task, trainer, report)
            saved_at = perf_counter()


def _save_checkpoint(task: TrainJob, trainer: Trainer, report: TrainingLog) -> None:
    """Save the run as it is now; a failure becomes a warning."""
    try:
        save_checkpoint(task.checkpoint_path, task.interrupted_run(trainer.checkpoint()))
    except FileError as error:
        report.warn(str(error))


def _interrupted(task: TrainJob, trainer: Trainer, report: TrainingLog) -> int:
    save_checkpoint(task.checkpoint_path, task.interrupted_run(trainer.checkpoint()))
    report.end(RunOutcome("interrupted", checkpoint=task.checkpoint_path), trainer)
    sys.stdout.flush()
    print(
        f"Stopped after step {trainer.steps_made:,}; the run is saved in {quoted(task.checkpoint_path)}. "
        f"Resume with: xo train --resume {shlex.quote(str(task.checkpoint_path))}",
        file=sys.stderr,
    )
    return INTERRUPTED


def _diverged(task: TrainJob, trainer: Trainer, report: TrainingLog, error: TrainingError) -> int:
    """Save the last finite weights to a file of their own, so that an existing model is not overwritten."""
    last = task.out.with_name(f"{task.out.stem}.diverged{MODEL_SUFFIX}")
    origin = {"command": task.commands[0], "ended": "diverged", "steps": trainer.steps_made}
    save_model(last, Model(task.name, task.network, trainer.parameters(), None, origin))
    report.end(RunOutcome("diverged", model=last), trainer)
    sys.stdout.flush()
    print(f"xo: {error} They are in {quoted(last)}.{_restart_hint(task)}", file=sys.stderr)
    return FAILED


def _restart_hint(task: TrainJob) -> str:
    """What the user can do with a run that was saved before it diverged."""
    if not task.checkpoint_path.exists():
        return " Start again with a smaller --rate."
    return (
        f" {quoted(task.checkpoint_path)} holds an earlier state of the run: resume it with xo train --resume "
        f"{shlex.quote(str(task.checkpoint_path))} --rate SMALLER, or remove it and start again."
    )


# Options allowed with --resume; all others are fixed at the start of a run.
ON_RESUME: Final = (
    *("resume", "out", "device", "json", "data"),
    *("rate", "l2", "clip", "epochs", "steps", "patience", "target", "seconds"),
)
EPILOG: Final = """
examples:
  xo train --out mine.safetensors
  xo train --data letters/ --hold-out 0.3 --epochs 20 --patience 3 --out letters.safetensors
  xo train --data xo:size=0.3..0.9,neither=0.25 --optimizer sgd --momentum 0.9 --rate 0.05 --out mine.safetensors
  xo train --model mine.safetensors --data letters/ --freeze conv2d-1,conv2d-2 --out tuned.safetensors
  xo train --resume mine.checkpoint

Ctrl+C saves the run next to the model, as NAME.checkpoint, and so does the program every half minute. Exit codes: 0
success, 1 an error you can fix or a run that diverged, 2 wrong usage, 130 stopped with Ctrl+C.
"""


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a network",
        description="Train a network on generated drawings or examples from files, and write it as a model file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", metavar="NAME", help="a network of this program (default: default)")
    which.add_argument("--model", metavar="FILE", type=Path, help="a model file whose weights to start from")
    which.add_argument("--resume", metavar="FILE", type=Path, help="resume an interrupted run; see below")
    parser.add_argument(
        "--from-scratch", action="store_true", help="with --model: use only its network, with fresh weights"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the model file to write, ending in .safetensors; required"
    )
    parser.add_argument(
        "--project",
        metavar="FILE",
        type=Path,
        help="also write the run with its curves and some of its steps, as a project that the window opens, ending "
        "in .session; of generated drawings, and not of a run that is resumed",
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"], help="where to compute")
    parser.add_argument("--json", action="store_true", help="print one JSON object per epoch, and one at the end")
    _add_data(parser.add_argument_group("training data"))
    _add_config(parser.add_argument_group("training settings (defaults: the preset's, or the default preset's)"))
    _add_stopping(parser.add_argument_group("stopping before the last epoch"))
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
        help="the share, from 0 to 1, of examples held out for evaluation (default: 0.2 of those from files); "
        "drawings are generated in addition",
    )
    group.add_argument(
        "--augment",
        metavar="SETTINGS",
        help="data augmentation of pictures from files, anew in every epoch: shift=0.1,rotation=15,flip=yes",
    )
    group.add_argument("--examples", metavar="N", type=int, help="drawings per epoch")
    group.add_argument(
        "--fixed",
        action="store_true",
        help="the same drawings in every epoch, as in the window, instead of fresh ones",
    )
    group.add_argument("--seed", metavar="N", type=int, help="of initial weights, drawings, order and dropout")
    group.add_argument("--data-seed", metavar="N", type=int, help="of the drawings (default: --seed)")


def _add_config(group: Any) -> None:
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help="sgd, adam or adamw, optionally with settings: adamw:decay=0.1,beta1=0.8",
    )
    group.add_argument(
        "--recipe", metavar="NAME", help="another recipe of the preset: hanuschkin has author and augmented"
    )
    group.add_argument("--rate", metavar="R", type=float, help="the learning rate at the start of the schedule")
    group.add_argument("--momentum", metavar="M", type=float, help="of sgd")
    group.add_argument(
        "--schedule",
        metavar="NAME",
        help="constant, cosine, linear or steps, optionally with settings: cosine:final=0.01,warmup=0.05",
    )
    group.add_argument(
        "--l2", metavar="S", type=float, help="L2 regularization: adds S / 2 times the sum of all squared weights"
    )
    group.add_argument("--clip", metavar="LENGTH", type=float, help="clip the gradient's norm to this length")
    group.add_argument("--freeze", metavar="LAYERS", help="layers to freeze, such as conv2d-1,conv2d-2 (xo info)")
    group.add_argument("--batch", metavar="N", type=int, help="examples per step")
    group.add_argument("--epochs", metavar="N", type=int, help="passes over all examples")


def _add_stopping(group: Any) -> None:
    group.add_argument("--steps", metavar="N", type=int, help="after so many steps")
    group.add_argument(
        "--patience", metavar="N", type=int, help="after N epochs without a lower error on held-out examples"
    )
    group.add_argument("--target", metavar="A", type=float, help="at this accuracy, 0 to 1, on held-out examples")
    group.add_argument("--seconds", metavar="S", type=float, help="after so many seconds of training")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate and save; returns the exit code. Raises ValueError and OSError with one sentence."""
    if args.resume is None and args.out is None:
        args.wrong("--out is required: the model file to write, such as --out mine.safetensors")
    given = [name for name, value in vars(args).items() if value not in (None, False)]
    fixed = sorted(set(given) - {*ON_RESUME, "command", "wrong"})
    if args.resume is not None and fixed:
        option = fixed[0].replace("_", "-")
        args.wrong(f"--{option} can be given only at the start of a run, not with --resume")
    from engine.cli.train_options import train_job
    from engine.cli.train_output import JsonLog, TerminalLog, TextLog

    report = JsonLog() if args.json else TerminalLog() if sys.stdout.isatty() else TextLog()
    return run_training(train_job(args, report.prepare), ChosenDevice(args.device, report.say), report)
