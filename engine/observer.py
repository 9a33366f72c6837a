"""Observer: looks into a network while it learns, a slice at a time, and no more often than somebody can follow.

It reads a sample of the held-out examples by the parameters of a moment and has the values counted. It trains
nothing, and changes nothing of what training comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.statistics import (
    MOST_VALUES,
    Course,
    LayerStatistics,
    Move,
    Statistics,
    cuts_of,
    dead_of,
    row_statistics,
    rows_of,
)

HostArray: TypeAlias = "np.ndarray[Any, Any]"

SAMPLE: Final = 64  # held-out examples that are read, at most
_LEAST_SAMPLE: Final = 8
# Seconds between two looks while it trains: at all rows, which somebody watches, and at dead features alone.
WATCHED, UNWATCHED = 0.25, 2.0
# And so many times as long as the last look took, that training keeps most of the time.
_WATCHED_REST, _UNWATCHED_REST = 6.0, 40.0
_AT_ONCE: Final = 200_000_000  # multiplies of one slice: a few ms
_IN_ALL: Final = 10_000_000_000  # multiplies of a look, unless the least sample takes more
_COURSE: Final = 240  # looks that the course of a branch remembers


class Observer:
    """Looks at one network, by whatever parameters it is given. latest: what it found last, None before that."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self.network, self._backend = network, backend
        self.latest: Statistics | None = None
        self._rows = rows_of(network)
        self._cuts = tuple(cut for _, cut in cuts_of(network))
        self._plan: Plan | None = None
        self._pieces: Iterator[Statistics | None] | None = None
        self._at, self._whole = Moment(-1, -1), False
        self._latest_whole = False
        self._begun, self._worked = 0.0, 0.0
        self._courses: dict[int, list[tuple[int, list[float], list[float]]]] = {}

    @property
    def busy(self) -> bool:
        """Whether a look is under way."""
        return self._pieces is not None

    def due(self, at: Moment, whole: bool, running: bool) -> bool:
        """Whether there is anything to find out about `at`. whole: whether somebody looks at the rows; running:
        whether `at` only is where training passes by."""
        if self._pieces is not None:
            return True
        known = self.latest is not None and (self._latest_whole or not whole)
        if running:
            rest = max(WATCHED, _WATCHED_REST * self._worked)
            if not whole:
                rest = max(UNWATCHED, _UNWATCHED_REST * self._worked)
            return not known or perf_counter() - self._begun > rest
        return not known or self.latest is None or self.latest.at != at

    def advance(
        self,
        at: Moment,
        whole: bool,
        running: bool,
        held_out: Examples,
        parameters: Callable[[], Parameters | None],
        moves: Callable[[], Iterator[Move | None]],
    ) -> None:
        """One piece of a look at `at`; of one under way, unless it has become another that stands still.

        parameters: gives those of `at`; moves: the way to the step that led there, None where it is not done.
        """
        stale = not running and self._at != at
        if self._pieces is None or stale or (whole and not self._whole):
            self._at, self._whole, self._begun, self._worked = at, whole, perf_counter(), 0.0
            now = parameters()
            assert now is not None
            self._pieces = self._look(at, whole, held_out, now, moves)
        started = perf_counter()
        try:
            found = next(self._pieces)
        except DeviceFault:
            # What trains says what has happened to the device; here it is enough to go on.
            self._backend, self._plan, self._pieces = numpy_backend("the GPU failed"), None, None
            return
        self._worked += perf_counter() - started
        if found is not None:
            self.latest, self._latest_whole, self._pieces = found, whole, None

    def _look(
        self,
        at: Moment,
        whole: bool,
        held_out: Examples,
        parameters: Parameters,
        moves: Callable[[], Iterator[Move | None]],
    ) -> Iterator[Statistics | None]:
        """None after each piece but the last, which gives what was found."""
        move: Move | None = None
        for found in moves() if whole else ():
            move = found
            yield None
        peaks: dict[int, HostArray] = {}
        kept: dict[int, list[HostArray]] = {row[-1]: [] for row in self._rows}
        read = 0
        for outputs, count in self._read(held_out, parameters):
            self._rise(peaks, outputs)
            for place, arrays in kept.items():
                if whole and (not arrays or read * outputs[place][0].size < MOST_VALUES):
                    arrays.append(outputs[place])
            read += count
            yield None
        rows: list[LayerStatistics] = []
        for row in self._rows if whole else ():
            values = np.concatenate(kept[row[-1]])
            rows.append(row_statistics(self.network, row, parameters, move, values))
            yield None
        if whole:
            self._remember(at, rows)
        dead = dead_of(self.network, peaks)
        yield Statistics(self.network, at, read, dead, tuple(rows), self._course(at))

    def _read(self, held_out: Examples, parameters: Parameters) -> Iterator[tuple[list[HostArray], int]]:
        """The outputs of the input and every layer, (n, ...) each, and n, piece by piece."""
        multiplies = max(1, sum(cost.multiplies for cost in self.network.costs))
        images = held_out.images[: min(SAMPLE, max(_LEAST_SAMPLE, _IN_ALL // multiplies))]
        if self._plan is None:
            size = min(max(1, _AT_ONCE // multiplies), SAMPLE)
            self._plan = Plan(self.network, self._backend, size, keep=True)
        plan, size = self._plan, self._plan.batch
        plan.load(parameters)
        batch = np.zeros((size, *self.network.input_shape), np.float32)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            batch[: len(part)] = part
            # Weights may be so large that their products overflow; the counts then say so.
            with np.errstate(over="ignore", invalid="ignore"):
                plan.forward(batch)
            yield [output[: len(part)] for output in plan.outputs()], len(part)

    def _rise(self, peaks: dict[int, HostArray], outputs: list[HostArray]) -> None:
        """The largest value of every map so far, of the layers that cut."""
        for cut in self._cuts:
            values = outputs[cut]
            found = values.reshape(len(values), values.shape[1], -1).max(axis=(0, 2))
            peaks[cut] = np.maximum(peaks[cut], found) if cut in peaks else found

    def _remember(self, at: Moment, rows: list[LayerStatistics]) -> None:
        """Add to the course of the branch, which is in order of its steps."""
        if all(row.gradient_size is None for row in rows):
            return
        course = self._courses.setdefault(at.branch, [])
        course[:] = [each for each in course if each[0] != at.step]
        sizes = [np.nan if row.gradient_size is None else row.gradient_size for row in rows]
        course.append((at.step, sizes, [np.nan if row.change is None else row.change for row in rows]))
        course.sort(key=lambda each: each[0])
        if len(course) > _COURSE:
            # Every other one goes, but not the last, so that the course reaches back however long the run.
            course[:] = course[(len(course) - 1) % 2 :: 2]

    def _course(self, at: Moment) -> Course:
        course = self._courses.get(at.branch, [])
        count = len(self._rows)
        arrays = (
            np.array([step for step, _, _ in course], np.int64),
            np.array([sizes for _, sizes, _ in course], np.float32).reshape(-1, count),
            np.array([changes for _, _, changes in course], np.float32).reshape(-1, count),
        )
        for array in arrays:
            array.flags.writeable = False
        return Course(*arrays)
