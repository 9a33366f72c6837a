"""Timing: contenders measured in turn, round by round, so that other load on the machine affects all alike."""

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

MIN_ROUNDS, MAX_ROUNDS = 3, 25
# The least duration of a sample of short runs, and that of a run that needs no warm-up.
MIN_SAMPLE_SECONDS, LONG_RUN_SECONDS = 0.005, 0.05
# A contender's threads may go on spinning for this time after its last call.
SETTLE_SECONDS = 0.002


class Quartiles(msgspec.Struct, frozen=True):
    """The median of some samples, and the quartiles below and above it."""

    median: float
    low: float
    high: float


class Timing(msgspec.Struct, frozen=True):
    """The time of a contender.

    seconds: for one unit of work
    times: relative to the engine's time, compared round by round
    rounds: the number of samples
    """

    name: str
    family: Family
    seconds: Quartiles
    times: Quartiles
    rounds: int


def quartiles(samples: Sequence[float]) -> Quartiles:
    """Of one or more samples."""
    low, median, high = (float(value) for value in np.percentile(samples, (25, 50, 75)))
    return Quartiles(median, low, high)


def time_contenders(
    contenders: Sequence[Contender], seconds: float, clock: Clock = time.perf_counter
) -> list[Timing]:
    """Time the contenders, the first being the engine, for about `seconds` in all."""
    samples = collect_samples(contenders, seconds, clock)
    return [
        Timing(
            contender.name,
            contender.family,
            quartiles(own_samples),
            quartiles([a / b for a, b in zip(own_samples, samples[0], strict=True)]),
            len(own_samples),
        )
        for contender, own_samples in zip(contenders, samples, strict=True)
    ]


def collect_samples(
    contenders: Sequence[Contender], seconds: float, clock: Clock = time.perf_counter
) -> list[list[float]]:
    """The samples of each contender, in seconds per unit of work, one per round.

    Every round takes each contender once, and starts with another one. A sample has as many runs as fit into its
    share of `seconds`, at least one.
    """
    alone = [_alone(contender, clock) for contender in contenders]
    round_length = sum(max(length, MIN_SAMPLE_SECONDS) for length in alone)
    rounds = int(min(max(seconds / round_length, MIN_ROUNDS), MAX_ROUNDS))
    share = seconds / rounds / len(contenders)
    samples: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for offset in range(len(contenders)):
            index = (number + offset) % len(contenders)
            contender, length = contenders[index], alone[index]
            runs = max(1, int(share / length))
            elapsed = _sample(contender, runs, clock, warm_up=length < LONG_RUN_SECONDS)
            samples[index].append(elapsed / runs / contender.units)
    return samples


def _alone(contender: Contender, clock: Clock) -> float:
    """The approximate seconds of one run, found with as few runs as are measurable."""
    runs, elapsed = 1, _sample(contender, 1, clock, warm_up=True)
    while elapsed < MIN_SAMPLE_SECONDS:
        runs *= 4
        elapsed = _sample(contender, runs, clock, warm_up=False)
    return elapsed / runs


def _sample(contender: Contender, runs: int, clock: Clock, *, warm_up: bool) -> float:
    """The seconds of `runs` runs, from an idle start until all work is done."""
    time.sleep(SETTLE_SECONDS)
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
    """Disables garbage collection, so that no sample pays for the garbage of another."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
