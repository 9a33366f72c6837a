"""Report: what a benchmark found, as values that are written to and read from JSON. Not how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from engine.bench.contender import BenchError
from engine.bench.machine import Machine
from engine.bench.timing import Spread, Timing
from engine.formats.atomic_file import read_whole

VERSION = 1
LARGEST = 1 << 20

Kind: TypeAlias = Literal["live", "train", "photo"]


class Floor(msgspec.Struct, frozen=True):
    """The least time that work can take on a device: every call's start, then the longer of moving the bytes and
    making the multiplies. seconds: all of it for one unit of work."""

    calls: int
    bytes: int
    multiplies: int
    seconds: float


class Row(msgspec.Struct, frozen=True):
    """One net's work, and how long each contender takes for it, the engine first.

    kind: what the work is; net: its name. pictures: how many one unit of work goes through; multiplies: of
    one unit. epoch: how many pictures make an epoch, 0 if that is not asked for. growth: by how many bytes the
    engine's process grew doing the work, 0 if that is not asked for, None where the system does not say.
    """

    kind: Kind
    net: str
    pictures: int
    multiplies: int
    timings: tuple[Timing, ...]
    epoch: int = 0
    growth: int | None = 0
    floor: Floor | None = None

    @property
    def name(self) -> str:
        """Such as live default."""
        return f"{self.kind} {self.net}"

    @property
    def engine(self) -> Timing:
        """This engine's timing."""
        return self.timings[0]

    @property
    def best(self) -> Timing | None:
        """PyTorch's timing in whichever mode it is fastest; None without PyTorch."""
        found = [timing for timing in self.timings if timing.family == "pytorch"]
        return min(found, key=lambda timing: timing.seconds.median, default=None)

    @property
    def yardstick(self) -> Timing | None:
        """How long the fixed work took that was timed alongside."""
        return next((timing for timing in self.timings if timing.family == "yardstick"), None)


class Curve(msgspec.Struct, frozen=True):
    """How the cost of a convolution grows. of: what is varied, in words; at: its values.

    multiplies, and seconds with its quartiles low and high, at each. slopes: how steeply both grow on logarithmic
    axes, 1 for in proportion.
    """

    of: str
    at: tuple[int, ...]
    multiplies: tuple[int, ...]
    seconds: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    multiplies_slope: float
    seconds_slope: float


class Parity(msgspec.Struct, frozen=True):
    """How far one thing that is computed on both sides differs. share: the largest difference, as a share of
    what is allowed, so that at most 1 is fine."""

    subject: str
    what: str
    difference: float
    share: float

    @property
    def fine(self) -> bool:
        """Whether the difference is allowed; not if it is not a number."""
        return self.share <= 1


class Report(msgspec.Struct, frozen=True):
    """Everything that one run of the benchmark found. notes: sentences that a reader must know."""

    day: date
    machine: Machine
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    parity: tuple[Parity, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = VERSION


def to_json(report: Report) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def read_report(path: Path) -> Report:
    """A report that was written before. Raises StorageError if there is none, BenchError if it is none."""
    try:
        report = msgspec.json.decode(read_whole(path, LARGEST), type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} is no report of xo bench ({error}); give one that --json wrote.") from error
    if report.version != VERSION:
        raise BenchError(f"{path} is of another version of xo bench; measure it again with this one.")
    return report


MARGIN = 0.15


@dataclass(frozen=True)
class Change:
    """How a row's ratio changed. against: whom both ratios compare with; before, now: how many times as long it
    takes as the engine. slower: whether it got worse by more than the margin, beyond the spread of both."""

    row: str
    against: str
    before: Spread
    now: Spread
    slower: bool

    @property
    def factor(self) -> float:
        """The ratio now over the ratio before: below 1 is slower."""
        return self.now.median / self.before.median


def changes(before: Report, now: Report, margin: float = MARGIN) -> list[Change]:
    """The rows that both reports have, with PyTorch's best if both have it, else with the yardstick."""
    old = {row.name: row for row in before.rows}
    found = []
    for row in now.rows:
        if row.name in old and (pair := _ratios(old[row.name], row)):
            against, was, is_now = pair
            # Noise widens the quartiles: where they overlap, a worse median proves nothing.
            slower = is_now.median < (1 - margin) * was.median and is_now.high < was.low
            found.append(Change(row.name, against, was, is_now, slower))
    return found


def _ratios(before: Row, now: Row) -> tuple[str, Spread, Spread] | None:
    if before.best is not None and now.best is not None:
        return "PyTorch", before.best.times, now.best.times
    if before.yardstick is not None and now.yardstick is not None:
        return "the yardstick", before.yardstick.times, now.yardstick.times
    return None


TITLES = {
    "live": "Live pass: one picture, every intermediate value kept",
    "train": "Training step: pictures a second",
    "photo": "One picture of eight megapixels: 16 features of 5 × 5, ReLU, pool",
}


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns, and lines of as many cells."""

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tables(report: Report) -> list[Table]:
    """All that the report holds."""
    found = [_rows(kind, [row for row in report.rows if row.kind == kind]) for kind in TITLES]
    found += [_epochs(report.rows), _floors(report.rows), _curves(report.curves), _parity(report.parity)]
    return [table for table in found if table.lines]


def as_text(report: Report) -> str:
    """For a terminal: columns under each other."""
    parts = [*about(report), ""]
    for table in tables(report):
        widths = [max(map(len, column)) for column in zip(table.head, *table.lines, strict=True)]
        parts += [table.title, ""]
        for line in (table.head, *table.lines):
            cells = [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
            parts.append("  " + "  ".join(cells).rstrip())
        parts.append("")
    return "\n".join([*parts, *report.notes]).rstrip() + "\n"


def as_markdown(report: Report, pictures: Sequence[str] = ()) -> str:
    """For a page; pictures: of the curves, by their addresses as the page sees them."""
    parts = [" ".join(about(report)), ""]
    for table in tables(report):
        parts += [f"### {table.title}", ""]
        for line in (table.head, ("---", *["--:"] * (len(table.head) - 1)), *table.lines):
            parts.append(f"| {' | '.join(line)} |")
        parts.append("")
    parts += [f"![What a convolution costs as it grows]({address})\n" for address in pictures]
    parts += [f"- {note}" for note in report.notes]
    return "\n".join(parts).rstrip() + "\n"


def about(report: Report) -> list[str]:
    """What it was measured on, and how to read it, in sentences."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    load = "" if machine.load is None else f", load {machine.load:.2f} before"
    found = [
        f"{report.day.isoformat()}, {machine.processor}, {machine.cores} cores ({machine.flags}), "
        f"{machine.system}{load}.",
        f"Computing: {machine.device}.",
        f"{versions}.",
    ]
    if machine.variables:
        told = ", ".join(f"{name}={value}" for name, value in machine.variables.items())
        found.append(f"CAUTION, set in the environment, which changes speeds: {told}.")
    if report.rows:
        found.append(
            "All contenders were timed in turn in one process; medians, and in brackets how many times as long as "
            "this engine, with the quartiles of the ratio in the last line."
        )
    return found


def regression_text(changes: Sequence[Change], margin: float = MARGIN) -> str:
    """What became of the rows, one a line, the slower ones first."""
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
        lines.append("  no row is in both with the same partner")
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """Three digits with a unit: 5.21 µs, 117 ms."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 0.9995 or unit == "µs":
            value = seconds * factor
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    raise AssertionError("unreachable")


def _times(spread: Spread) -> str:
    return f"{_ratio(spread.median)} ({_ratio(spread.low)} to {_ratio(spread.high)})"


def _ratio(value: float) -> str:
    return f"{value:.2g}×" if value < 0.1 else f"{value:.2f}×" if value < 9.995 else f"{value:.0f}×"


def _rows(kind: str, rows: Sequence[Row]) -> Table:
    """Rows of one kind: a contender a line, in the order in which they are first met, and a net a column."""
    met = [timing for row in rows for timing in row.timings if timing.family != "yardstick"]
    lines = [(name, *(_cell(row, name) for row in rows)) for name in dict.fromkeys(timing.name for timing in met)]
    against = [row.best or row.yardstick for row in rows]
    whom = "PyTorch's best" if any(row.best for row in rows) else "the yardstick"
    if rows:
        lines.append(
            (f"{whom} / this engine", *("" if timing is None else _times(timing.times) for timing in against))
        )
    grown = [f"; a process grows by {_megabytes(row.growth)}" for row in rows if row.growth != 0]
    return Table(TITLES[kind] + "".join(grown), ("", *(row.net for row in rows)), tuple(lines))


def _cell(row: Row, name: str) -> str:
    timing = next((timing for timing in row.timings if timing.name == name), None)
    if timing is None:
        return ""
    median = timing.seconds.median
    value = f"{row.pictures / median:,.0f}" if row.kind == "train" else duration(median)
    return value if timing.family == "engine" else f"{value} ({_ratio(timing.times.median)})"


def _epochs(rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        if row.epoch:
            seconds = {timing.family: timing for timing in (row.engine, row.best) if timing is not None}
            share = row.epoch / row.pictures
            cells = [duration(share * timing.seconds.median) for timing in seconds.values()]
            lines.append((f"{row.net}, {row.epoch:,} pictures", *cells, *[""] * (2 - len(cells))))
    return Table("Time of an epoch", ("net", "this engine", "PyTorch's best"), tuple(lines))


def _floors(rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        if row.floor is not None:
            per = row.engine.seconds.median / row.floor.seconds
            cells = (f"{row.floor.calls:,}", _megabytes(row.floor.bytes), f"{row.floor.multiplies / 1e6:,.2f} M")
            lines.append((row.name, *cells, duration(row.floor.seconds), _ratio(per)))
    head = ("row", "calls", "bytes", "multiplies", "floor", "engine / floor")
    return Table("Against the floor: calls started, then bytes moved or multiplies made", head, tuple(lines))


def _curves(curves: Sequence[Curve]) -> Table:
    lines = [
        (
            curve.of,
            f"{curve.at[0]:,} to {curve.at[-1]:,}",
            f"{curve.multiplies_slope:.3f}",
            f"{curve.seconds_slope:.2f}",
            f"{duration(curve.seconds[0])} to {duration(curve.seconds[-1])}",
        )
        for curve in curves
    ]
    head = ("cost against", "range", "slope of multiplies", "slope of time", "time")
    return Table(
        "How the cost of a convolution grows (slope 1 on logarithmic axes: in proportion)", head, tuple(lines)
    )


def _parity(cases: Sequence[Parity]) -> Table:
    """One line for each thing compared, with the case that comes nearest to what is allowed; all that fail."""
    lines = []
    for what in dict.fromkeys(case.what for case in cases):
        same = [case for case in cases if case.what == what]
        worst = max(same, key=lambda case: case.share)
        wrong = [case for case in same if not case.fine]
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
    head = ("compared", "within", "largest difference", "share of what is allowed", "where")
    return Table("Parity with NumPy on the processor, float32", head, tuple(lines))


def _megabytes(count: int | None) -> str:
    return (
        "an unknown amount"
        if count is None
        else f"{count / 1e6:,.2f} MB"
        if count < 1e7
        else f"{count / 1e6:,.0f} MB"
    )


BEGIN, END = "<!-- xo bench writes what follows -->", "<!-- up to here -->"


def into_page(path: Path, tables: str) -> str:
    """What the file is to hold: the tables between BEGIN and END, each on a line of its own, if it has them, else
    the tables alone.

    Raises StorageError if the file cannot be read, BenchError if it has other text but not both marks: that is not
    written over.
    """
    if not path.exists():
        return tables
    text = read_whole(path, LARGEST).decode("utf-8", "replace")
    start, end = text.find(f"{BEGIN}\n"), text.find(f"\n{END}")
    if start < 0 or end < start:
        raise BenchError(f"{path} has no lines {BEGIN} and {END} to write between; add them, or choose a new file.")
    return f"{text[:start]}{BEGIN}\n\n{tables}{text[end:]}"
