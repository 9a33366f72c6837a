"""Regression: whether this engine got slower than it was, told from ratios, which a busy or another machine leaves
alone far more than it does times."""

from __future__ import annotations

from dataclasses import dataclass

from engine.bench.report import Report, Row
from engine.bench.timing import Spread

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
