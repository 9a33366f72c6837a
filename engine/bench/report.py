"""Report: the results of a benchmark, their JSON, their tables, and the comparison of two reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench.contender import BenchError
from engine.bench.machine import Machine
from engine.bench.timing import Quartiles, Timing
from engine.form_fields import conversion_reason
from engine.formats import read_bytes

VERSION = 1
LARGEST = 1 << 20

Kind: TypeAlias = Literal["live", "train", "photo"]


class Roofline(msgspec.Struct, frozen=True):
    """The least time that work can take on a device: every call's start, then the longer of moving the bytes and
    making the multiplies. seconds: for one unit of work."""

    calls: int
    bytes: int
    multiplies: int
    seconds: float


class BenchRow(msgspec.Struct, frozen=True):
    """The work of one network, and the time of each contender, the engine first.

    kind: of the work
    net: its name
    pictures: per unit of work
    multiplies: per unit of work
    epoch: pictures per epoch, 0 if not reported
    growth: the growth in bytes of the engine's process during the work, 0 if not measured, None if unknown
    """

    kind: Kind
    net: str
    pictures: int
    multiplies: int
    timings: tuple[Timing, ...]
    epoch: int = 0
    growth: int | None = 0
    roofline: Roofline | None = msgspec.field(default=None, name="floor")

    @property
    def name(self) -> str:
        return f"{self.kind} {self.net}"

    @property
    def engine_timing(self) -> Timing:
        return self.timings[0]

    @property
    def best_pytorch(self) -> Timing | None:
        """The timing of PyTorch's fastest mode; None without PyTorch."""
        candidates = [timing for timing in self.timings if timing.family == "pytorch"]
        return min(candidates, key=lambda timing: timing.seconds.median, default=None)

    @property
    def reference_timing(self) -> Timing | None:
        """The timing of the fixed reference work."""
        return next((timing for timing in self.timings if timing.family == "yardstick"), None)


class ScalingCurve(msgspec.Struct, frozen=True):
    """How the cost of a convolution grows.

    of: what is varied, in words
    at: its values
    multiplies, seconds, low, high: at each; low and high are the quartiles of the seconds
    multiplies_slope, seconds_slope: on logarithmic axes; 1 is proportional
    """

    of: str
    at: tuple[int, ...]
    multiplies: tuple[int, ...]
    seconds: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    multiplies_slope: float
    seconds_slope: float


class ParityResult(msgspec.Struct, frozen=True):
    """The difference of one result between two devices. share: the largest difference relative to the tolerance, at
    most 1 if within it."""

    subject: str
    what: str
    difference: float
    share: float

    @property
    def is_within(self) -> bool:
        """Whether the difference is within the tolerance; false for NaN."""
        return self.share <= 1


class PartResult(msgspec.Struct, frozen=True):
    """A line about something that is not timed in turn with others, or that could not be measured.

    part: what was tried; result: what came of it, or why nothing did.
    failed: whether it was tried and went wrong.
    """

    part: str
    result: str
    failed: bool = False


class BenchReport(msgspec.Struct, frozen=True):
    """All results of one benchmark run. notes: sentences that a reader must know."""

    day: date
    machine: Machine
    rows: tuple[BenchRow, ...] = ()
    curves: tuple[ScalingCurve, ...] = ()
    parity: tuple[ParityResult, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[PartResult, ...] = ()
    version: int = VERSION


def report_json(report: BenchReport) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def read_report(path: Path) -> BenchReport:
    """A saved report. Raises FileError if there is no file, BenchError if it is not a report."""
    try:
        report = msgspec.json.decode(read_bytes(path, LARGEST), type=BenchReport)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path} is no report of xo bench ({conversion_reason(error)}); give one that --json wrote."
        ) from error
    if report.version != VERSION:
        raise BenchError(f"{path} is of another version of xo bench; measure it again with this one.")
    return report


REGRESSION_MARGIN = 0.15


@dataclass(frozen=True)
class RowChange:
    """The change of a row's ratio between two reports.

    against: what both ratios compare with
    before, now: its time relative to the engine's
    slower: whether the engine got slower by more than the margin, beyond the quartiles of both
    """

    row: str
    against: str
    before: Quartiles
    now: Quartiles
    slower: bool

    @property
    def factor(self) -> float:
        """The ratio now over the ratio before; below 1 the engine is slower."""
        return self.now.median / self.before.median


def compare_reports(before: BenchReport, now: BenchReport, margin: float = REGRESSION_MARGIN) -> list[RowChange]:
    """The rows that both reports have, compared with PyTorch's best if both have it, else with the reference
    work."""
    old = {row.name: row for row in before.rows}
    compared = []
    for row in now.rows:
        if row.name in old and (pair := _ratios(old[row.name], row)):
            against, ratio_before, ratio_now = pair
            # Noise widens the quartiles: where they overlap, a worse median is not significant.
            slower = ratio_now.median < (1 - margin) * ratio_before.median and ratio_now.high < ratio_before.low
            compared.append(RowChange(row.name, against, ratio_before, ratio_now, slower))
    return compared


def _ratios(before: BenchRow, now: BenchRow) -> tuple[str, Quartiles, Quartiles] | None:
    if before.best_pytorch is not None and now.best_pytorch is not None:
        return "PyTorch", before.best_pytorch.times, now.best_pytorch.times
    if before.reference_timing is not None and now.reference_timing is not None:
        return "the reference work", before.reference_timing.times, now.reference_timing.times
    return None


TITLES = {
    "live": "Live pass: one picture, every intermediate value kept",
    "train": "Training step: pictures a second",
    "photo": "One picture of eight megapixels: 16 features of 5 × 5, ReLU, pool",
}


@dataclass(frozen=True)
class ReportTable:
    """A titled table: column names, and rows of as many cells."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report_tables(report: BenchReport) -> list[ReportTable]:
    all_tables = [_rows(kind, [row for row in report.rows if row.kind == kind]) for kind in TITLES]
    all_tables += [_epochs(report.rows), _floors(report.rows), _curves(report.curves), _parity(report.parity)]
    all_tables.append(_parts(report.parts))
    return [table for table in all_tables if table.rows]


def report_text(report: BenchReport) -> str:
    """The report for a terminal, as aligned columns."""
    parts = [*report_header(report), ""]
    for table in report_tables(report):
        widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
        parts += [table.title, ""]
        for line in (table.header, *table.rows):
            cells = [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
            parts.append("  " + "  ".join(cells).rstrip())
        parts.append("")
    return "\n".join([*parts, *report.notes]).rstrip() + "\n"


def report_markdown(report: BenchReport, pictures: Sequence[str] = ()) -> str:
    """The report for a page. pictures: addresses of the curves' charts, relative to the page."""
    parts = [" ".join(report_header(report)), ""]
    for table in report_tables(report):
        parts += [f"### {table.title}", ""]
        for line in (table.header, ("---", *["--:"] * (len(table.header) - 1)), *table.rows):
            parts.append(f"| {' | '.join(line)} |")
        parts.append("")
    parts += [f"![What a convolution costs as it grows]({address})\n" for address in pictures]
    parts += [f"- {note}" for note in report.notes]
    return "\n".join(parts).rstrip() + "\n"


def card_markdown(report: BenchReport) -> str:
    """The report of a GPU as one table, to be pasted into a page."""
    lines = [("part", "result"), ("---", "---")]
    for what in dict.fromkeys(case.what for case in report.parity):
        same = [case for case in report.parity if case.what == what]
        worst, within = max(same, key=lambda case: case.share), sum(case.is_within for case in same)
        text = f"{within} of {len(same)} within the tolerance, at most {worst.share:.2f} of it ({worst.subject})"
        lines.append((f"parity with NumPy, {what}", text))
    lines += [(row.name, _row_text(row)) for row in report.rows]
    lines += [(part.part, part.result) for part in report.parts]
    lines += [
        (
            f"cost against {curve.of}",
            f"slope {curve.seconds_slope:.2f}, of the multiplies {curve.multiplies_slope:.2f}",
        )
        for curve in report.curves
    ]
    table = [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
    return (
        "\n".join([" ".join(report_header(report)), "", *table, "", *(f"- {note}" for note in report.notes)]) + "\n"
    )


def _row_text(row: BenchRow) -> str:
    """The engine's time, and how many times as long PyTorch's best or the reference work takes."""
    parts = [duration_text(row.engine_timing.seconds.median)]
    against = row.best_pytorch or row.reference_timing
    if against is not None:
        parts.append(f"{against.name} {_quartiles_text(against.times)}")
    if row.roofline is not None:
        parts.append(f"{_ratio_text(row.engine_timing.seconds.median / row.roofline.seconds)} the roofline")
    return "; ".join(parts)


def report_header(report: BenchReport) -> list[str]:
    """What the report was measured on, and how to read it, in sentences."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    load = "" if machine.load is None else f", load {machine.load:.2f} before"
    sentences = [
        f"{report.day.isoformat()}, {machine.processor}, {machine.cores} cores ({machine.flags}), "
        f"{machine.system}{load}.",
        f"Computing: {machine.device}.",
        f"{versions}.",
    ]
    if machine.variables:
        variables = ", ".join(f"{name}={value}" for name, value in machine.variables.items())
        sentences.append(f"CAUTION, environment variables that change speeds are set: {variables}.")
    if report.rows:
        sentences.append(
            "All contenders were timed in turn in one process; medians, and in brackets how many times as long as "
            "this engine, with the quartiles of the ratio in the last line."
        )
    return sentences


def regression_text(changes: Sequence[RowChange], margin: float = REGRESSION_MARGIN) -> str:
    """One line per row, the slower ones first."""
    lines = [
        f"Against the earlier report (slower: the ratio fell by more than {margin:.0%}, beyond both quartiles):"
    ]
    for change in sorted(changes, key=lambda change: (not change.slower, change.factor)):
        word = "SLOWER" if change.slower else "fine"
        lines.append(
            f"  {word:<6}  {change.row}: {change.now.median:.2f} times {change.against}'s speed, "
            f"was {change.before.median:.2f} ({change.factor - 1:+.0%})"
        )
    if not changes:
        lines.append("  no row is in both with the same contender")
    return "\n".join(lines) + "\n"


def duration_text(seconds: float) -> str:
    """Three digits with a unit: 5.21 µs, 117 ms."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 0.9995 or unit == "µs":
            value = seconds * factor
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    raise AssertionError("unreachable")


def _quartiles_text(spread: Quartiles) -> str:
    return f"{_ratio_text(spread.median)} ({_ratio_text(spread.low)} to {_ratio_text(spread.high)})"


def _ratio_text(value: float) -> str:
    return f"{value:.2g}×" if value < 0.1 else f"{value:.2f}×" if value < 9.995 else f"{value:.0f}×"


def _rows(kind: str, rows: Sequence[BenchRow]) -> ReportTable:
    """The rows of one kind: a line per contender, in order of first appearance, and a column per network."""
    others = [timing for row in rows for timing in row.timings if timing.family != "yardstick"]
    lines = [
        (name, *(_cell(row, name) for row in rows)) for name in dict.fromkeys(timing.name for timing in others)
    ]
    against = [row.best_pytorch or row.reference_timing for row in rows]
    baseline = "PyTorch's best" if any(row.best_pytorch for row in rows) else "the reference work"
    if rows:
        lines.append(
            (
                f"{baseline} / this engine",
                *("" if timing is None else _quartiles_text(timing.times) for timing in against),
            )
        )
    growth = [f"; a process grows by {_megabytes(row.growth)}" for row in rows if row.growth != 0]
    return ReportTable(TITLES[kind] + "".join(growth), ("", *(row.net for row in rows)), tuple(lines))


def _cell(row: BenchRow, name: str) -> str:
    timing = next((timing for timing in row.timings if timing.name == name), None)
    if timing is None:
        return ""
    median = timing.seconds.median
    value = f"{row.pictures / median:,.0f}" if row.kind == "train" else duration_text(median)
    return value if timing.family == "engine" else f"{value} ({_ratio_text(timing.times.median)})"


def _epochs(rows: Sequence[BenchRow]) -> ReportTable:
    lines = []
    for row in rows:
        if row.epoch:
            seconds = {
                timing.family: timing for timing in (row.engine_timing, row.best_pytorch) if timing is not None
            }
            share = row.epoch / row.pictures
            cells = [duration_text(share * timing.seconds.median) for timing in seconds.values()]
            lines.append((f"{row.net}, {row.epoch:,} pictures", *cells, *[""] * (2 - len(cells))))
    return ReportTable("Time of an epoch", ("net", "this engine", "PyTorch's best"), tuple(lines))


def _floors(rows: Sequence[BenchRow]) -> ReportTable:
    lines = []
    for row in rows:
        if row.roofline is not None:
            ratio = row.engine_timing.seconds.median / row.roofline.seconds
            cells = (
                f"{row.roofline.calls:,}",
                _megabytes(row.roofline.bytes),
                f"{row.roofline.multiplies / 1e6:,.2f} M",
            )
            lines.append((row.name, *cells, duration_text(row.roofline.seconds), _ratio_text(ratio)))
    head = ("row", "calls", "bytes", "multiplies", "roofline", "engine / roofline")
    return ReportTable("Roofline: calls started, then bytes moved or multiplies made", head, tuple(lines))


def _curves(curves: Sequence[ScalingCurve]) -> ReportTable:
    lines = [
        (
            curve.of,
            f"{curve.at[0]:,} to {curve.at[-1]:,}",
            f"{curve.multiplies_slope:.3f}",
            f"{curve.seconds_slope:.2f}",
            f"{duration_text(curve.seconds[0])} to {duration_text(curve.seconds[-1])}",
        )
        for curve in curves
    ]
    head = ("cost against", "range", "slope of multiplies", "slope of time", "time")
    return ReportTable(
        "How the cost of a convolution grows (slope 1 on logarithmic axes: in proportion)", head, tuple(lines)
    )


def _parity(cases: Sequence[ParityResult]) -> ReportTable:
    """One line per result compared, with its case nearest to the tolerance, and a line per failure."""
    lines = []
    for what in dict.fromkeys(case.what for case in cases):
        same = [case for case in cases if case.what == what]
        worst = max(same, key=lambda case: case.share)
        wrong = [case for case in same if not case.is_within]
        lines.append(
            (
                what,
                f"{len(same) - len(wrong)} of {len(same)}",
                f"{worst.difference:.1e}",
                f"{worst.share:.2f}",
                worst.subject if worst.difference else "",
            )
        )
        lines += [
            (f"DIFFERS: {what}", "", f"{case.difference:.1e}", f"{case.share:.2f}", case.subject) for case in wrong
        ]
    head = ("compared", "within", "largest difference", "share of the tolerance", "where")
    return ReportTable("Parity with NumPy on the CPU, float32", head, tuple(lines))


def _parts(parts: Sequence[PartResult]) -> ReportTable:
    return ReportTable("Parts", ("part", "result"), tuple((part.part, part.result) for part in parts))


def _megabytes(count: int | None) -> str:
    return (
        "an unknown amount"
        if count is None
        else f"{count / 1e6:,.2f} MB"
        if count < 1e7
        else f"{count / 1e6:,.0f} MB"
    )


BEGIN_MARK, END_MARK = "<!-- xo bench writes what follows -->", "<!-- up to here -->"


def markdown_section(path: Path, tables: str) -> str:
    """The new text of the file: the tables replace what is between BEGIN_MARK and END_MARK, each on a line of its
    own, if it exists, else are all of it.

    Raises FileError if the file cannot be read, BenchError if it has other text but not both marks, which is not
    overwritten.
    """
    if not path.exists():
        return tables
    text = read_bytes(path, LARGEST).decode("utf-8", "replace")
    start, end = text.find(f"{BEGIN_MARK}\n"), text.find(f"\n{END_MARK}")
    if start < 0 or end < start:
        raise BenchError(
            f"{path} has no lines {BEGIN_MARK} and {END_MARK} to write between; add them, or choose a new file."
        )
    return f"{text[:start]}{BEGIN_MARK}\n\n{tables}{text[end:]}"
