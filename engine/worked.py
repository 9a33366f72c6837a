"""Line: one line of arithmetic with its numbers plugged in, for a person to follow. It computes nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """name: of what the line gives. words: the formula in words. pattern: the formula with {0}, {1} ... for
    numbers; ×, ÷, −, √() and ² stand for themselves. value: what came out, as the engine computed it."""

    name: str
    words: str
    pattern: str
    numbers: tuple[float, ...]
    value: float


@dataclass(frozen=True)
class Moved:
    """One value in one step of an optimizer. before, after; gradient: what it moves against, l2 and clipping
    included. rate: of this step. shortened: whether it is a weight that decay shortens. remembered, remembers: what
    the optimizer knew of it before and after, by the name of the vector. count: how many steps, this one included,
    the optimizer has made."""

    before: float
    after: float
    gradient: float
    rate: float
    shortened: bool
    remembered: dict[str, float]
    remembers: dict[str, float]
    count: int
