"""Reports with invented numbers, for tests of tables and comparisons."""

from __future__ import annotations

from datetime import date

from engine.bench import BenchReport
from engine.bench.contender import Family
from engine.bench.machine import Machine
from engine.bench.report import BenchRow
from engine.bench.timing import Quartiles, Timing

MACHINE = Machine("Abacus", 2, "BEADS", "Desk 1", "hands (chosen)", {"Python": "3.11"}, {}, 0.25)


def timing(name: str, family: Family, seconds: float, times: float, wide: float = 0.02) -> Timing:
    """A timing whose quartiles are a share `wide` below and above its median."""
    spreads = [Quartiles(value, value * (1 - wide), value * (1 + wide)) for value in (seconds, times)]
    return Timing(name, family, *spreads, rounds=9)


def row(
    net: str = "tiny", *, torch: dict[str, float] | None = None, yardstick: float = 5.0, wide: float = 0.02
) -> BenchRow:
    """A live row in which the engine takes 10 µs, and others, by name, so many times as long."""
    timings = [timing("this engine, CPU", "engine", 1e-5, 1.0)]
    timings += [timing(name, "pytorch", 1e-5 * times, times, wide) for name, times in (torch or {}).items()]
    timings.append(timing("yardstick", "yardstick", 1e-5 * yardstick, yardstick, wide))
    return BenchRow("live", net, 1, 1000, tuple(timings))


def report(*rows: BenchRow) -> BenchReport:
    """A report of these rows."""
    return BenchReport(date(2026, 11, 24), MACHINE, rows)
