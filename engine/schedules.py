"""Schedules: how the learning rate changes over a run. A schedule knows shares of a run, not steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from engine.form_fields import Setting, explained

_FINAL = Setting("at the end", "What is left of the rate at the end of the run.", 0.01, unit="%")


@dataclass(frozen=True)
class Schedule:
    """The rate stays as it is. warmup: the share of the run, at its start, over which the rate rises from 0.

    title, summary: what it is called, and one plain sentence on what it does with the rate."""

    kind: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant"
    summary: ClassVar[str] = "The rate stays as it is."
    warmup: float = field(
        default=0.0,
        kw_only=True,
        metadata=explained(
            Setting(
                "warmup", "The share of the run, at its start, over which the rate rises from 0.", 0.01, unit="%"
            )
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a warmup outside 0 to 1, 1 excluded."""
        if not 0 <= self.warmup < 1:
            raise ValueError(f"A schedule's warmup must be at least 0 and below 1, not {self.warmup!r}.")

    def factor(self, done: float) -> float:
        """What the optimizer's rate is multiplied by when the share `done`, 0 to 1, of the run lies behind."""
        rise = min(1.0, done / self.warmup) if self.warmup else 1.0
        return rise * self.shape(max(0.0, done - self.warmup) / (1 - self.warmup))

    def shape(self, done: float) -> float:
        """The factor after the warmup, whose end is 0 here."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `final` along half a cosine: final + (1 - final) * (1 + cos(pi * done)) / 2 (Loshchilov, Hutter
    2017)."""

    kind: ClassVar[str] = "cosine"
    title: ClassVar[str] = "Cosine"
    summary: ClassVar[str] = "The rate falls slowly, then quickly, then slowly again, like half a wave."
    final: float = field(default=0.01, metadata=explained(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        """Half a cosine."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Linear(Schedule):
    """From 1 to `final` along a line."""

    kind: ClassVar[str] = "linear"
    title: ClassVar[str] = "Linear"
    summary: ClassVar[str] = "The rate falls along a straight line."
    final: float = field(default=0.0, metadata=explained(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        """A line."""
        return 1 + (self.final - 1) * done


@dataclass(frozen=True)
class Steps(Schedule):
    """Multiplied by `factor_each` at the end of each of `parts` equal parts of the run."""

    kind: ClassVar[str] = "steps"
    title: ClassVar[str] = "Steps"
    summary: ClassVar[str] = "The rate falls in a few stairs."
    parts: int = field(
        default=3, metadata=explained(Setting("stairs", "Into how many equal parts the run is cut.", 1))
    )
    factor_each: float = field(
        default=0.1,
        metadata=explained(Setting("each", "What is left of the rate from one stair to the next.", 0.05, unit="%")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for fewer than 2 parts or a factor outside 0 to 1."""
        super().__post_init__()
        if self.parts < 2:
            raise ValueError(f"A schedule in steps needs at least 2 parts, not {self.parts}.")
        _need_share("factor_each", self.factor_each)

    def shape(self, done: float) -> float:
        """Stairs."""
        # The share of a run is a quotient, which may come out a rounding below the end of a part.
        return float(self.factor_each ** min(int(done * self.parts + 1e-9), self.parts - 1))


SCHEDULES: dict[str, type[Schedule]] = {schedule.kind: schedule for schedule in (Schedule, Cosine, Linear, Steps)}


def _need_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"A schedule's {name} must be from 0 to 1, not {value!r}.")
