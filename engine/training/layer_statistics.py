"""Statistics: how a network's weights, values and gradients are spread at one moment, and which features are dead.

It only counts what lies in host arrays; engine/training/layer_statistics.py brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.nn.layers import Values
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan

HostArray: TypeAlias = "np.ndarray[Any, Any]"

BINS: Final = 32  # an even number, so that 0 lies between two bins of a scale with two sides
MOST_VALUES: Final = 250_000  # of one layer are counted: more would take long and say the same


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values lie where.

    counts: (BINS,) int64, in equal bins from low to high, the last with its upper edge; low is 0 where no value is
    below 0, otherwise -high. total: how many values; zeros: how many are exactly 0; strange: how many are not
    finite and so in no bin. mean, spread (standard deviation), least, most: of the finite ones.
    """

    counts: HostArray
    low: float
    high: float
    total: int
    zeros: int
    strange: int
    mean: float
    spread: float
    least: float
    most: float


def histogram(values: HostArray) -> Histogram:
    """The histogram of all values of an array."""
    flat = values.reshape(-1)
    fine = flat if not flat.size or np.isfinite([flat.min(), flat.max()]).all() else flat[np.isfinite(flat)]
    least, most = (float(fine.min()), float(fine.max())) if fine.size else (0.0, 0.0)
    high = max(-least, most) or 1.0
    low = -high if least < 0 else 0.0
    places = fine.astype(np.float64)
    mean, spread = (float(places.mean()), float(places.std())) if fine.size else (0.0, 0.0)
    # Multiplied first and moved then, so that 0 falls on its edge without rounding.
    places *= BINS / (high - low)
    places += 0 if low == 0 else BINS / 2
    counts = np.bincount(np.minimum(places.astype(np.intp), BINS - 1), minlength=BINS)
    counts.flags.writeable = False
    zeros = int(fine.size - np.count_nonzero(fine))
    return Histogram(counts, low, high, flat.size, zeros, flat.size - fine.size, mean, spread, least, most)


@dataclass(frozen=True, eq=False)
class Move:
    """The last step: its gradients by name, l2 and clipping included, and how much it changed every parameter."""

    gradients: Values
    changes: Values


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """A row: the layers (by number, 1 is the first) that share it, and what is known of them.

    weights: of all learnt parameters, biases included, None without any; values: what the last of the layers gave;
    gradients: in the weights, of the last step. size, gradient_size: lengths (2-norms) of the weights and of their
    gradient; change: the length of what the last step added to the weights, divided by that of the weights. None
    where it is not known.
    """

    layers: tuple[int, ...]
    weights: Histogram | None = None
    values: Histogram | None = None
    gradients: Histogram | None = None
    size: float | None = None
    gradient_size: float | None = None
    change: float | None = None


@dataclass(frozen=True)
class Dead:
    """Features (or values of a list) that are 0 on every example looked at: those of `layer`, as `cut`, the layer
    that cuts them, leaves them. channels: counted from 0."""

    layer: int
    cut: int
    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Course:
    """How gradients and changes went along a branch, as far as somebody looked: steps (m,) int64; sizes, changes
    (m, rows) float32, nan where a row has none."""

    steps: HostArray
    sizes: HostArray
    changes: HostArray


@dataclass(frozen=True, eq=False)
class Statistics:
    """What was found at a moment. examples: how many held-out drawings were read. rows: empty unless somebody looks
    at them."""

    network: Network
    at: Moment
    examples: int
    dead: tuple[Dead, ...]
    rows: tuple[LayerStatistics, ...]
    course: Course


def rows_of(network: Network) -> tuple[tuple[int, ...], ...]:
    """The layers that are shown as one row each: what only relays or reshapes has none, and what changes every
    value by itself, without parameters, such as a ReLU, shares that of the layer before it."""
    rows: list[list[int]] = []
    for place, (layer, shape) in enumerate(zip(network.layers, network.shapes, strict=False), 1):
        if layer.reshapes or layer.relays:
            continue
        if layer.pointwise and layer.block_shape(shape) is None and rows:
            rows[-1].append(place)
        else:
            rows.append([place])
    return tuple(tuple(row) for row in rows)


def learnt(network: Network, place: int) -> tuple[str, ...]:
    """The names of what layer `place` (1 is the first) learns, such as 01-conv2d.weight; not of what it gathers."""
    layer, shape = network.layers[place - 1], network.shapes[place - 1]
    block = layer.block_shape(shape)
    if block is None:
        return ()
    # A single number seen as the whole block: no memory is taken.
    parts = layer.parameters(np.broadcast_to(np.float32(0), block), shape)
    return tuple(f"{network.names[place]}.{part}" for part in parts)


def row_statistics(
    network: Network, layers: tuple[int, ...], parameters: Parameters, move: Move | None, values: HostArray
) -> LayerStatistics:
    """What is known of a row. values: what its last layer gave, (examples, ...)."""
    names = [name for place in layers for name in learnt(network, place)]
    if not names:
        return LayerStatistics(layers, values=histogram(some(values)))
    weights = _joined(parameters, names)
    size = _length(weights)
    row = LayerStatistics(layers, histogram(some(weights)), histogram(some(values)), size=size)
    if move is None:
        return row
    gradients, changes = _joined(move.gradients, names), _joined(move.changes, names)
    change = _length(changes) / size if size else None
    return LayerStatistics(
        layers, row.weights, row.values, histogram(some(gradients)), size, _length(gradients), change
    )


def some(values: HostArray) -> HostArray:
    """At most MOST_VALUES of the values, (n,), taken at equal distances."""
    flat = values.reshape(-1)
    return flat[:: -(-flat.size // MOST_VALUES) or 1]


def cuts_of(network: Network) -> Iterator[tuple[int, int]]:
    """Every layer that cuts values to 0, such as a ReLU, after the layer whose features, map by map, it cuts."""
    for cut, layer in enumerate(network.layers, 1):
        place = cut
        while layer.cuts and place and not network.layers[place - 1].mixes_maps:
            place -= 1
        if layer.cuts and place and network.shapes[place][0] == network.shapes[cut][0]:
            yield place, cut


def dead_of(network: Network, peaks: Mapping[int, HostArray]) -> tuple[Dead, ...]:
    """The dead features. peaks: for each layer that cuts, the largest value of every map on any example,
    (channels,)."""
    found = []
    for layer, cut in cuts_of(network):
        channels = tuple(int(channel) for channel in np.flatnonzero(peaks[cut] == 0))
        if channels:
            found.append(Dead(layer, cut, channels))
    return tuple(found)


def _joined(values: Parameters, names: list[str]) -> HostArray:
    return np.concatenate([values[name].reshape(-1) for name in names])


def _length(values: HostArray) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))


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
