"""`xo train`: trains a network on generated drawings or on examples from files, and writes it as a model file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

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
    from engine.commands.train.course import follow
    from engine.commands.train.json_lines import JsonLines
    from engine.commands.train.lines import Lines, OnTerminal
    from engine.commands.train.task import task_of

    report = JsonLines() if args.json else OnTerminal() if sys.stdout.isatty() else Lines()
    # With more threads the same seed would give other bytes, and the window keeps to one too.
    with one_blas_thread():
        task = task_of(args, report.prepare)
        return follow(task, choose_backend(args.device), report)
