"""Contender: somebody who computes what others compute too, ready to be timed. Not the timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from engine.backends.ops import HostArray

Family: TypeAlias = Literal["engine", "pytorch", "onnxruntime", "yardstick"]


class BenchError(ValueError):
    """A measurement would be worth nothing; the message says why."""


def nothing() -> None:
    """For contenders that need no preparation, or do not work behind the caller's back."""


@dataclass(frozen=True)
class Contender:
    """run: does the work `units` times over, perhaps behind the caller's back; wait: until it is done.

    before: called before every sample and not timed, such as choosing how many threads there are. answer: does the
    work once and gives what was computed, by name, for comparison; None for a yardstick, whose work is its own.
    """

    name: str
    family: Family
    run: Callable[[], object]
    answer: Callable[[], Mapping[str, HostArray]] | None
    units: int = 1
    wait: Callable[[], object] = nothing
    before: Callable[[], object] = nothing


@dataclass(frozen=True)
class Entry:
    """A contender that has not been put together yet, which may fail for one that comes from elsewhere."""

    name: str
    make: Callable[[], Contender]


def gathered(engine: Contender, others: Sequence[Entry], tolerance: float) -> tuple[list[Contender], list[str]]:
    """The engine and those others that work, each after it has computed once; and a sentence for each other.

    tolerance: how far a value may be off the engine's, as a share of the largest of its array. Raises BenchError,
    naming the contender, if it computes something else.
    """
    engine.before()
    expected = engine.answer() if engine.answer is not None else {}
    found, notes = [engine], []
    for entry in others:
        # Whatever another's library raises where it cannot be used means the same: the row goes on without it.
        try:
            contender = entry.make()
            contender.before()
            given = None if contender.answer is None else contender.answer()
        except Exception as error:  # noqa: BLE001
            words = str(error).strip() or type(error).__name__
            notes.append(f"{entry.name} did not run: {words.splitlines()[0].rstrip('.')}.")
            continue
        if given is not None:
            check_same(contender.name, given, expected, tolerance)
        found.append(contender)
    return found, notes


def check_same(
    name: str, given: Mapping[str, HostArray], expected: Mapping[str, HostArray], tolerance: float
) -> None:
    """Raises BenchError unless what `name` gives is what is expected, as `gathered` says."""
    if set(given) != set(expected):
        odd = sorted(set(given) ^ set(expected))[0]
        raise BenchError(f"{name} cannot be compared: only one side gives {odd}.")
    for part, values in expected.items():
        _compare(name, part, given[part], values, tolerance)


def _compare(who: str, name: str, given: HostArray, expected: HostArray, tolerance: float) -> None:
    if given.shape != expected.shape:
        raise BenchError(f"{who} computes something else: its {name} is {given.shape}, not {expected.shape}.")
    largest = float(np.abs(expected).max(initial=0.0))
    # Written so that a value that is not a number fails too.
    off = float(np.abs(given.astype(np.float64) - expected).max(initial=0.0))
    if not off <= tolerance * largest + 1e-9:
        raise BenchError(
            f"{who} computes something else: its {name} is off by {off:.2g}, where values go up to {largest:.2g}."
        )
