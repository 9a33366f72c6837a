"""Favourites: which examples of a lesson excite the features of one layer most, and least, and where in them. All
features of the layer are looked at at once. Nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.backends.backend import numpy_backend
from engine.backends.ops import HostArray, slices
from engine.data.dataset import Examples
from engine.data.labelled_drawings import NEITHER, own_examples
from engine.data.pool import OWN_PIECE, PIECE, TRAINING, Lesson, piece
from engine.data.xo.generator import CLASSES
from engine.explain.receptive_field import Window, cells_read, receptive_field
from engine.nn.layers.value_formulas import Place
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.nn.plan import Plan


class Given:
    """The examples of a lesson as pictures of `side`, part by part, made again whenever they are asked for. Own
    drawings come last, each once. made: all of those that are generated, where somebody has them anyway. most: so
    many of those are enough."""

    def __init__(self, lesson: Lesson, side: int, made: Examples | None = None, most: int | None = None) -> None:
        self.lesson, self.side = lesson, side
        drawing, wanted = replace(lesson.data.drawing, side=side), lesson.data.count
        # Pieces are made whole, so that fewer examples are the first of them.
        count = wanted if most is None else min(wanted, -(-most // PIECE) * PIECE)
        self._data = replace(lesson.data, drawing=drawing, count=count)
        self._own = [replace(each, weight=1) for each in lesson.own if each.weight]
        fits = made is not None and len(made) >= self._data.count and made.images.shape[2] == side
        self._made = made if fits else None
        self._last: tuple[int, Examples] | None = None
        self._generated = -(-self._data.count // PIECE)
        self.parts = self._generated + -(-len(self._own) // OWN_PIECE)
        self.count = self._data.count + len(self._own)

    def first(self, part: int) -> int:
        """The number of the first example of a part."""
        more = part - self._generated
        return part * PIECE if more < 0 else self._data.count + more * OWN_PIECE

    def part(self, part: int) -> Examples:
        """One part. Raises ValueError for an own drawing of a class that is not there."""
        if self._last is None or self._last[0] != part:
            self._last = part, self._made_part(part)
        return self._last[1]

    def picture(self, number: int) -> HostArray:
        """(H, W): one example's picture."""
        more = number - self._data.count
        part = number // PIECE if more < 0 else self._generated + more // OWN_PIECE
        found: HostArray = self.part(part).images[number - self.first(part), 0]
        return found

    def _made_part(self, part: int) -> Examples:
        first = self.first(part)
        if part >= self._generated:
            start = first - self._data.count
            return own_examples(self._own[start : start + OWN_PIECE], self.side, CLASSES)
        if self._made is None:
            return piece(self._data, TRAINING, part)
        last = min(first + PIECE, self._data.count)
        return Examples(self._made.images[first:last], self._made.labels[first:last], CLASSES)


def window_of(network: Network, layer: int, place: Place) -> Window:
    """The (rows, columns) of the picture that hold everything which the value at `place` of the output of `layer`
    reads; empty where it sees nothing but padding. Raises IndexError if there is no such value."""
    row, column = place[1:] if len(place) == 3 else (0, 0)
    found = receptive_field(network, layer, row, column)[0] if len(network.shapes[layer]) == 3 else None
    if found is not None:
        return found
    read = np.any(cells_read(network, layer, place)[0], axis=0)
    return _extent(np.any(read, axis=1)), _extent(np.any(read, axis=0))


def _extent(marked: HostArray) -> range:
    """From the first that is marked to the last."""
    places = np.flatnonzero(marked)
    return range(int(places[0]), int(places[-1]) + 1) if len(places) else range(0)


# So many of each are kept.
NINE: Final = 9
BINS: Final = 24
# Pictures at a time: fewer where one costs or takes much; and seconds after which a pass pauses.
MOST_MULTIPLIES, MOST_BYTES, SLICE = 20_000_000, 32 * 2**20, 0.008
# So many values are counted at once: some ms.
MAX_VALUES: Final = 500_000
# Bytes that the pictures of all features together may take; beyond them pictures are made again when they are asked
# for. And how many values the histograms of all features are made of, at most.
MAX_PICTURE_BYTES, MAX_PEAKS = 64 * 2**20, 4_000_000


@dataclass(frozen=True, eq=False)
class Example:
    """number: its place among the examples. picture: (H, W) float32, -1 to 1. label: the name of its class, or
    "neither". value: the largest value of the feature's map, or the value of a list. window: the part of the
    picture which that value reads."""

    number: int
    picture: HostArray
    label: str
    value: float
    window: Window


@dataclass(frozen=True, eq=False)
class Spread:
    """How a feature's values are spread over the examples read so far. count: how many those are; mean, deviation,
    low, high: of all values of its map, or of the value of a list; zero: the share of them that are exactly 0;
    silent: the share of examples in which all are. peaks: (classes + 1, BINS) int64, how many examples of each
    class, and of none, have their largest value in each of BINS equal parts of `first` to `last`. single: whether
    there is but one value in an example, that of a list."""

    count: int
    mean: float
    deviation: float
    low: float
    high: float
    zero: float
    silent: float
    peaks: HostArray
    first: float
    last: float
    single: bool


class Favourites:
    """Looks through all the examples for every feature of `layer`, counted from 1, a piece at a time. Raises
    ValueError for a network that does not tell X from O."""

    def __init__(self, subject: Subject, layer: int, given: Given) -> None:
        network = subject.network
        if network.classes != CLASSES:
            raise ValueError("Only a network that reads X and O can be shown generated drawings.")
        self._network, self._layer, self._given = network, layer, given
        self._shape = network.shapes[layer]
        count = self._shape[0]
        self._parameters = subject.parameters
        self._labels = np.full(given.count, -1, np.int64)
        # For the most exciting, and with the opposite sign for the least: (features, NINE).
        self._values = np.full((2, count, NINE), -np.inf, np.float32)
        self._numbers = np.full((2, count, NINE), -1, np.int64)
        self._places = np.zeros((2, count, NINE), np.int64)
        self._sums, self._squares = np.zeros(count), np.zeros(count)
        self._counts = np.zeros(count, np.int64)
        self._zeros, self._silent = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._low, self._high = np.full(count, np.inf), np.full(count, -np.inf)
        self._every = -(-given.count * count // MAX_PEAKS)
        self._peaks = np.zeros((-(-given.count // self._every), count), np.float32)
        self._kept: dict[int, HostArray] | None = {}
        if 2 * NINE * count * 4 * given.side**2 > MAX_PICTURE_BYTES:
            self._kept = None
        self._windows: dict[int, Window] = {}
        self.read = 0
        self._pieces = self._look()

    @property
    def done(self) -> float:
        """The share of the examples that is read."""
        return self.read / self._given.count

    def go_on(self) -> None:
        """One piece, if there is one. Raises ValueError for an own drawing of a class that is not there, and for a
        network that is too large."""
        with np.errstate(over="ignore", invalid="ignore"):  # weights that have run away give no numbers
            next(self._pieces, None)

    def most(self, channel: int) -> Iterator[Example | None]:
        """Those that excite the feature most, the most first; None before a picture has to be made again."""
        return self._found(0, channel)

    def least(self, channel: int) -> Iterator[Example | None]:
        """Those that excite it least, the least first."""
        return self._found(1, channel)

    def spread(self, channel: int) -> Spread | None:
        """How its values are spread; None before any is read."""
        read = int(self._counts[channel])
        if not read:
            return None
        values = read * int(np.prod(self._shape[1:]))
        mean = float(self._sums[channel]) / values
        variance = max(float(self._squares[channel]) / values - mean**2, 0.0)
        seen = -(-read // self._every)
        peaks, labels = self._peaks[:seen, channel], self._labels[: read : self._every]
        fine = np.isfinite(peaks)
        first, last = (float(peaks[fine].min()), float(peaks[fine].max())) if fine.any() else (0.0, 0.0)
        kinds = [peaks[fine & (labels == kind)] for kind in (*range(len(CLASSES)), -1)]
        counted = np.stack([np.histogram(kind, BINS, (first, last))[0] for kind in kinds])
        return Spread(
            read,
            mean,
            float(np.sqrt(variance)),
            float(self._low[channel]),
            float(self._high[channel]),
            int(self._zeros[channel]) / values,
            int(self._silent[channel]) / read,
            counted,
            first,
            last,
            len(self._shape) == 1,
        )

    def _found(self, side: int, channel: int) -> Iterator[Example | None]:
        sign = -1 if side else 1
        for value, number, place in zip(
            self._values[side, channel].tolist(),
            self._numbers[side, channel].tolist(),
            self._places[side, channel].tolist(),
            strict=True,
        ):
            if number < 0:
                return
            picture = None if self._kept is None else self._kept.get(number)
            if picture is None:
                yield None
                picture = self._given.picture(number)
            label = (*CLASSES, NEITHER)[int(self._labels[number])]
            yield Example(number, picture, label, sign * value, self._window(channel, place))

    def _window(self, channel: int, place: int) -> Window:
        """What the value at a flat place of the feature's map reads."""
        key = place if len(self._shape) == 3 else channel
        if key not in self._windows:
            inside = (channel, *divmod(place, self._shape[2])) if len(self._shape) == 3 else (channel,)
            self._windows[key] = window_of(self._network, self._layer, inside)
        return self._windows[key]

    # -- looking -----------------------------------------------------------------------------------------------

    def _look(self) -> Iterator[None]:
        plan = self._plan()
        size, calls = plan.batch, [call for calls in plan.forward_calls[: self._layer] for call in calls]
        filled = np.zeros((size, *self._network.input_shape), np.float32)
        for part in range(self._given.parts):
            examples, first = self._given.part(part), self._given.first(part)
            yield
            for start in range(0, len(examples), size):
                images = examples.images[start : start + size]
                filled[: len(images)] = images
                plan.show(filled)
                for _ in slices(plan.backend.operations.sliced([calls]), SLICE):
                    yield
                made = plan.stages[self._layer - 1].y[..., : len(images)]
                yield from self._take(made, examples.labels[start : start + size], first + start)
                self._keep(images, first + start)
                yield

    def _plan(self) -> Plan:
        """Kept only as long as it is needed."""
        network = self._network
        cost = sum(cost.multiplies for cost in network.costs[: self._layer])
        fits = min(MOST_MULTIPLIES // max(cost, 1), MOST_BYTES // network.picture_bytes, PIECE)
        plan = Plan(network, numpy_backend("explanations"), max(1, fits), keep=True)
        plan.load(self._parameters)
        return plan

    def _take(self, made: HostArray, labels: HostArray, first: int) -> Iterator[None]:
        """Count values (*shape, n) of the examples from number `first` on, some features at a time."""
        count, examples = self._shape[0], made.shape[-1]
        self._labels[first : first + examples] = labels
        at_once = max(1, MAX_VALUES * count // made.size)
        for start in range(0, count, at_once):
            if start:
                yield
            some = slice(start, min(start + at_once, count))
            self._count(made[some].reshape(some.stop - start, -1, examples), some, first)
        self.read = first + examples

    def _count(self, maps: HostArray, some: slice, first: int) -> None:
        """Of the features in `some`: maps (features, cells, examples)."""
        examples = maps.shape[-1]
        places = maps.argmax(axis=1)
        peaks = np.take_along_axis(maps, places[:, None], axis=1)[:, 0]
        for side, signed in enumerate((peaks, -peaks)):
            self._rank(side, some, signed, places, first)
        self._sums[some] += maps.sum(axis=(1, 2), dtype=np.float64)
        self._squares[some] += np.einsum("cpn,cpn->c", maps, maps, dtype=np.float64)
        zero = maps == 0
        self._zeros[some] += zero.sum(axis=(1, 2))
        self._silent[some] += zero.all(axis=1).sum(axis=1)
        self._low[some] = np.minimum(self._low[some], maps.min(axis=(1, 2)))
        self._high[some] = np.maximum(self._high[some], peaks.max(axis=1))
        chosen = np.arange(-first % self._every, examples, self._every)
        self._peaks[(first + chosen) // self._every, some] = peaks[:, chosen].T
        self._counts[some] = first + examples

    def _rank(self, side: int, some: slice, values: HostArray, places: HostArray, first: int) -> None:
        """The largest NINE of those kept and these (features, n); of equal ones the earlier comes first."""
        numbers = np.broadcast_to(np.arange(first, first + values.shape[1]), values.shape)
        all_values = np.concatenate([self._values[side, some], values], axis=1)
        order = np.argsort(-all_values, axis=1, kind="stable")[:, :NINE]
        for kept, new in ((self._values, values), (self._numbers, numbers), (self._places, places)):
            both = np.concatenate([kept[side, some], new], axis=1)
            kept[side, some] = np.take_along_axis(both, order, axis=1)

    def _keep(self, images: HostArray, first: int) -> None:
        """The pictures of those that are among the nine of any feature, and no others."""
        if self._kept is None:
            return
        wanted = set(np.unique(self._numbers).tolist())
        self._kept = {number: picture for number, picture in self._kept.items() if number in wanted}
        for number in wanted.intersection(range(first, first + len(images))):
            picture = images[number - first, 0].copy()
            picture.flags.writeable = False
            self._kept[number] = picture
