"""`xo bench`: times this engine and other libraries such as PyTorch, and plots the cost of a convolution. Of a GPU
it also compares the numbers with NumPy's, and tries its memory, its bytes, its tiles and a fault."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.backends import choose_backend
from engine.bench import (
    GPU_KINDS,
    KINDS,
    REGRESSION_MARGIN,
    BenchReport,
    BenchSuite,
    card_markdown,
    case_text,
    compare_reports,
    cost_chart,
    markdown_section,
    read_report,
    regression_text,
    report_json,
    report_markdown,
    report_text,
)
from engine.formats import write_atomically

CHART = "cost.svg"


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser("bench", help="time this engine and other libraries", description=__doc__)
    option = parser.add_argument
    option("--device", default="auto", choices=["auto", "cpu", "gpu"])
    option("--rows", type=_kinds, help=f"of {','.join(KINDS)} (default: all; from parity on, only on a GPU)")
    option("--seconds", type=_positive, default=4.0, help="for each row and curve (default: 4)")
    option(
        "--markdown", type=Path, metavar="FILE", help="write the tables, between the markers in FILE if it has any"
    )
    option("--json", type=Path, metavar="FILE", help="write everything measured")
    option("--pictures", type=Path, metavar="FOLDER", help=f"plot the scaling curves, as {CHART} in this folder")
    option("--against", type=Path, metavar="FILE", help="compare ratios with an earlier --json file")
    option(
        "--margin",
        type=_positive,
        default=REGRESSION_MARGIN,
        help=f"share by which a ratio may fall (default: {REGRESSION_MARGIN})",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; returns 1 if numbers differ, a part failed or a row got slower.

    Raises DeviceUnavailable if the device is missing, FileError for a file that cannot be used.
    """
    before = None if args.against is None else read_report(args.against)
    _check_folders([path for path in (args.markdown, args.json) if path is not None], args.pictures)
    backend = choose_backend(args.device)
    kinds = args.rows or [kind for kind in KINDS if kind not in GPU_KINDS or backend.name == "gpu"]
    report = BenchSuite(backend, kinds, args.seconds, _progress).report()
    _progress("")
    print(card_markdown(report) if backend.name == "gpu" else report_text(report), end="")
    _write(args, report)
    found = [] if before is None else compare_reports(before, report, args.margin)
    if before is not None:
        print("\n" + regression_text(found, args.margin), end="")
    wrong = [case for case in report.parity if not case.is_within]
    if wrong:
        print(f"xo: {len(wrong)} of {len(report.parity)} comparisons with NumPy differ.", file=sys.stderr)
    failed = [part for part in report.parts if part.failed]
    for part in failed:
        print(f"xo: {part.part} was not measured: {part.result}.", file=sys.stderr)
    return int(bool(wrong or failed) or any(change.slower for change in found))


def _write(args: argparse.Namespace, report: BenchReport) -> None:
    pictures = []
    if args.pictures is not None and report.curves:
        picture = args.pictures / CHART
        title, caption = "What a convolution costs as it grows", f"Varied from {case_text()}."
        write_atomically(picture, cost_chart(report.curves, title, caption).encode())
        pictures.append(picture)
    if args.markdown is not None:
        page = args.markdown
        addresses = [Path(os.path.relpath(picture, page.parent)).as_posix() for picture in pictures]
        write_atomically(page, markdown_section(page, report_markdown(report, addresses)).encode())
    if args.json is not None:
        write_atomically(args.json, report_json(report))


def _check_folders(files: Sequence[Path], pictures: Path | None) -> None:
    """Raises ValueError, before anything is measured, if a folder to write into does not exist."""
    for folder in [path.parent for path in files] + ([] if pictures is None else [pictures]):
        if not folder.is_dir():
            raise ValueError(f"The folder {folder} does not exist; create it first, or choose another.")


def _kinds(text: str) -> list[str]:
    found = text.split(",")
    if unknown := [kind for kind in found if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"no rows are called {unknown[0]!r}; there are {', '.join(KINDS)}")
    return found


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"it must be above 0, not {text}")
    return value


def _progress(text: str) -> None:
    """One line that is overwritten on a terminal; elsewhere a line for each step."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)
