"""The options that say which network reads, and where: shared by the sub-commands. Not a sub-command itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.document import Subject


def add_subject(parser: argparse.ArgumentParser) -> None:
    """Add --preset, --model and --device."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", metavar="NAME", help="a network of this program (default: default)")
    which.add_argument("--model", metavar="FILE", type=Path, help="a model file")
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "gpu"], help="where to compute (default: auto)"
    )


def chosen_subject(args: argparse.Namespace) -> Subject:
    """The subject asked for. Raises ValueError or FileNotFoundError, one sentence."""
    from engine.presets import preset
    from engine.storage.models import load_model, shipped_subject

    if args.model is not None:
        return load_model(args.model)
    name = "default" if args.preset is None else args.preset
    if preset(name).untrained:
        raise ValueError(f"{preset(name).untrained.removesuffix('.')}, then give the file it writes as --model.")
    return shipped_subject(name)
