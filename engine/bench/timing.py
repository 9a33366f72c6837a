"""Timing: contenders measured in turn, round by round, so that whatever else the machine does meets all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
import numpy as np

from engine.bench.contender import Contender, Family

Clock: TypeAlias = Callable[[], float]

FEWEST_ROUNDS, MOST_ROUNDS = 3, 25
# A sample is at least so long if runs are shorter, and a run of this length needs no other one to warm up.
SHORTEST_SAMPLE, LONG_RUN = 0.005, 0.05
# What a contender's threads may go on spinning for after its last call.
SETTLE = 0.002


class Spread(msgspec.Struct, frozen=True):
    """The median of some samples, and the quartiles below and above it."""

    median: float
    low: float
    high: float


class Timing(msgspec.Struct, frozen=True):
    """How long a contender takes. seconds: for one unit of work; times: how many times as long as the engine,
    compared round by round; rounds: how many samples there are."""

    name: str
    family: Family
    seconds: Spread
    times: Spread
    rounds: int


def spread(samples: Sequence[float]) -> Spread:
    """Of one or more samples."""
    low, median, high = (float(value) for value in np.percentile(samples, (25, 50, 75)))
    return Spread(median, low, high)


def timings(contenders: Sequence[Contender], seconds: float, clock: Clock = time.perf_counter) -> list[Timing]:
    """Time the contenders, the engine being the first, for about `seconds` in all."""
    samples = measure(contenders, seconds, clock)
    return [
        Timing(
            each.name,
            each.family,
            spread(own),
            spread([a / b for a, b in zip(own, samples[0], strict=True)]),
            len(own),
        )
        for each, own in zip(contenders, samples, strict=True)
    ]


def measure(contenders: Sequence[Contender], seconds: float, clock: Clock = time.perf_counter) -> list[list[float]]:
    """The samples of each contender, in seconds for one unit of work, one a round.

    Every round takes each contender once, and each round begins with another one. A contender's sample has as many
    runs as fit into its share of `seconds`, at least one.
    """
    alone = [_alone(contender, clock) for contender in contenders]
    round_length = sum(max(length, SHORTEST_SAMPLE) for length in alone)
    rounds = int(min(max(seconds / round_length, FEWEST_ROUNDS), MOST_ROUNDS))
    share = seconds / rounds / len(contenders)
    samples: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for turn in range(len(contenders)):
            place = (number + turn) % len(contenders)
            contender, length = contenders[place], alone[place]
            runs = max(1, int(share / length))
            elapsed = _sample(contender, runs, clock, warm_up=length < LONG_RUN)
            samples[place].append(elapsed / runs / contender.units)
    return samples


def _alone(contender: Contender, clock: Clock) -> float:
    """About how many seconds one run takes, found with as few runs as can be told from nothing."""
    runs, elapsed = 1, _sample(contender, 1, clock, warm_up=True)
    while elapsed < SHORTEST_SAMPLE:
        runs *= 4
        elapsed = _sample(contender, runs, clock, warm_up=False)
    return elapsed / runs


def _sample(contender: Contender, runs: int, clock: Clock, *, warm_up: bool) -> float:
    """The seconds that `runs` runs take, from when nothing is under way to when all is done."""
    time.sleep(SETTLE)
    contender.before()
    if warm_up:
        contender.run()
    contender.wait()
    with _no_collection():
        begun = clock()
        for _ in range(runs):
            contender.run()
        contender.wait()
        return clock() - begun


@contextmanager
def _no_collection() -> Any:
    """Nobody's sample pays for the garbage of another."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
