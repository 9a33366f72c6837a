"""Table: a report as tables and sentences, for a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.bench.regression import MARGIN, Change
from engine.bench.report import Curve, Parity, Report, Row
from engine.bench.timing import Spread

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
