"""Likes: what one feature, hidden value or vote likes: the picture that excites it most, the examples that do and
those that do not, how its values are spread, and its weights. It learns nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter, sleep
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.ops import HostArray
from engine.data.dataset import Examples
from engine.data.pool import Lesson
from engine.explain.attribution import Gradients
from engine.explain.feature_visualization import Ascended, Ascent
from engine.explain.top_examples import Example, Favourites, Given, Spread
from engine.nn.model import Subject
from engine.nn.weight_editing import bias_of, slices, weighed_by

# Seconds between two steps of the ascent, so that the picture is seen to form; and between two Likes.
STEP: Final = 0.012
SHOWN: Final = 0.06
# So many generated examples are enough while weights are being learnt, that what is found is soon of other weights.
FEW: Final = 2_000
# Layers whose favourites are kept for the next question.
LAYERS: Final = 3


Key: TypeAlias = tuple[int, Lesson, bool]  # layer, lesson, whether the weights are being learnt
Found: TypeAlias = dict[str, Any]  # fields of Likes, those that are known better now


@dataclass(frozen=True)
class Wanted:
    """Of what it is to be found out: the value of `channel` of the output of `layer`, counted from 1. seed: of the
    noise that the picture begins with. lesson: whose examples are looked through; None for none."""

    layer: int
    channel: int
    seed: int = 1
    lesson: Lesson | None = None


@dataclass(frozen=True, eq=False)
class Weighed:
    """The weights behind a feature. layer: whose they are, counted from 1. weights: (slices, h, w) float32, a slice
    for each map below. bias: None where there is none."""

    layer: int
    weights: HostArray
    bias: float | None

    @property
    def size(self) -> float:
        """The root of the sum of their squares."""
        return float(np.sqrt(np.square(self.weights, dtype=np.float64).sum()))


@dataclass(frozen=True, eq=False)
class Likes:
    """What is known so far. ascended: the picture on its way, None before it has begun; climbed: the share of that
    way, 1 where there will be no picture. searched: the share of the `count` examples that is read. most, least: at
    most nine examples each, the most telling first; spread: of all of them, None before any is read. weighed: None
    where there are no weights. words: why there are no examples, or no picture, one sentence."""

    ascended: Ascended | None = None
    climbed: float = 0.0
    searched: float = 0.0
    count: int = 0
    most: tuple[Example, ...] = ()
    least: tuple[Example, ...] = ()
    spread: Spread | None = None
    weighed: Weighed | None = None
    words: str = ""

    @property
    def done(self) -> float:
        """The share of all the work that is done."""
        return (self.climbed + self.searched) / 2


class Liking:
    """Finds out what a value likes. Keeps what it has found of a few layers for the next question."""

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._gradients: Gradients | None = None
        self._favourites: dict[Key, Favourites] = {}

    def of(
        self, subject: Subject, wanted: Wanted, made: Examples | None = None, learning: bool = False
    ) -> Iterator[Likes | None]:
        """What a value likes, better and better; None after a piece of which nothing is told.

        made: the generated examples of the lesson, where somebody has them. learning: whether the weights are being
        learnt. If not, the picture takes its time, to be seen as it forms, even when there is nothing else to do.
        """
        self._follow(subject)
        known = Likes(weighed=_weighed(subject, wanted))
        if wanted.lesson is not None and (before := self._favourites.get((wanted.layer, wanted.lesson, learning))):
            known = replace(known, **next(_told(before, wanted.channel)))
        yield known
        told = perf_counter()
        for found in _in_turn(
            self._climb(subject, wanted), self._search(subject, wanted, made, learning), not learning
        ):
            words = " ".join(filter(None, (known.words, found.pop("words", ""))))
            known = replace(known, **found, words=words)
            if perf_counter() - told >= SHOWN and known.done < 1:
                yield known
                told = perf_counter()
            else:
                yield None
        yield known

    def _follow(self, subject: Subject) -> None:
        """What was found of other weights is of no use."""
        if self._subject is None or not same_weights(subject, self._subject):
            self._favourites.clear()
            self._subject = subject

    def _climb(self, subject: Subject, wanted: Wanted) -> Iterator[Found]:
        network = subject.network
        try:
            if self._gradients is None or self._gradients.network != network:
                self._gradients = Gradients(network)
        except ValueError as error:
            yield {"climbed": 1.0, "words": str(error)}
            return
        self._gradients.load(subject.parameters)
        for ascended in Ascent(self._gradients, wanted.layer, wanted.channel, wanted.seed).pieces():
            yield {} if ascended is None else {"ascended": ascended, "climbed": ascended.done}

    def _search(self, subject: Subject, wanted: Wanted, made: Examples | None, learning: bool) -> Iterator[Found]:
        """All features of the layer are searched at once, so that another one's favourites are known at once."""
        if wanted.lesson is None:
            yield {"searched": 1.0}
            return
        key = wanted.layer, wanted.lesson, learning
        try:
            favourites = self._favourites.pop(key, None)
            if favourites is None:
                given = Given(wanted.lesson, subject.network.input_shape[1], made, FEW if learning else None)
                favourites = Favourites(subject, wanted.layer, given)
            self._favourites[key] = favourites
            for old in list(self._favourites)[:-LAYERS]:
                del self._favourites[old]
            yield {}
            yield from _searched(favourites, wanted.channel)
        except ValueError as error:
            self._favourites.pop(key, None)  # it cannot be gone on with
            yield {"searched": 1.0, "words": str(error)}


def _searched(favourites: Favourites, channel: int) -> Iterator[Found]:
    """Goes on until all are read; tells the nine from time to time, and in the end."""
    begun = perf_counter()
    while favourites.done < 1:
        favourites.go_on()
        yield {}
        if perf_counter() - begun >= SHOWN and favourites.done < 1:
            yield from _told(favourites, channel)
            begun = perf_counter()
    yield from _told(favourites, channel)


def _told(favourites: Favourites, channel: int) -> Iterator[Found]:
    """What is known of a feature; before that nothing, each time that a picture has to be made again."""
    spread, done, read = favourites.spread(channel), favourites.done, favourites.read
    sides: list[tuple[Example, ...]] = []
    for side in (favourites.most(channel), favourites.least(channel)):
        found: list[Example] = []
        for example in side:
            if example is None:
                yield {}
            else:
                found.append(example)
        sides.append(tuple(found))
    yield {"searched": done, "count": read, "most": sides[0], "least": sides[1], "spread": spread}


def _in_turn(climb: Iterator[Found], search: Iterator[Found], paced: bool) -> Iterator[Found]:
    """A step of the ascent, then some of the search."""
    due, climbing, searching = 0.0, True, True
    while climbing or searching:
        wait = due - perf_counter()
        if climbing and (wait <= 0 or not searching):
            if paced and wait > 0:
                sleep(wait)
            found = next(climb, None)
            climbing = found is not None
            if found:
                due = perf_counter() + STEP
        else:
            found = next(search, None)
            searching = found is not None
        yield found or {}


def same_weights(one: Subject, other: Subject) -> bool:
    """Whether two subjects are the same network with the same weights, whatever they are called."""
    if one is other:
        return True
    if one.network != other.network:
        return False
    mine, theirs = one.parameters, other.parameters
    return all(mine[name] is theirs[name] or np.array_equal(mine[name], theirs[name]) for name in mine)


def _weighed(subject: Subject, wanted: Wanted) -> Weighed | None:
    layer = weighed_by(subject.network, wanted.layer)
    if layer is None:
        return None
    return Weighed(layer, slices(subject, layer, wanted.channel), bias_of(subject, layer, wanted.channel))
