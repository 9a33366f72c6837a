"""Robustness: how many X and O are still read rightly when one property of a drawing is not as usual, by a network
and by whole-image comparison. It is tried piece by piece, so that whoever asks can stop in between, and nothing is
learnt.

Every value of every property is tried with the same drawings (`engine/data/xo/variations.py`), a few in each round.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend
from engine.data.xo.generator import CLASSES
from engine.data.xo.variations import VALUES, Property, Varied, properties
from engine.drawings.drawing import Drawing
from engine.explain.template_matching import exemplars, scores_of
from engine.nn.layers import shape_text
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.training.evaluation import unwarned
from engine.training.train_step import reading_size

HostArray: TypeAlias = "np.ndarray[Any, Any]"

SEED: Final = 90_210  # apart from those of training, which begin at 1
ROUNDS: Final = 16
TOGETHER: Final = 20  # drawings of a round, half of them X
_PIXELS: Final = 40_000  # about as many are drawn at once
# Coarse to fine, so that a curve is seen whole before it is exact.
_ORDER: Final = (0, 10, 3, 7, 1, 9, 2, 8, 4, 6, 5)
# A piece of a large network's pass takes about so long.
SLICE: Final = 0.005  # seconds
# While parameters change all the time: so many rounds of each, and seconds from one beginning to the next.
HURRIED_ROUNDS: Final = 2
HURRIED_SECONDS: Final = 4.0


@dataclass(frozen=True, eq=False)
class Robustness:
    """What has been found so far.

    properties: what was varied, through which values. The arrays are (properties, values) int64, read-only. tried:
    with how many drawings each value was tried; network, whole_image: how many of them the network and whole-image
    comparison took for the right class; missed, fooled: the number of the first drawing that each took for the
    wrong one, -1 where there is none. done: the share of what will be tried. source: whose parameters, as given;
    moment: of training, that they are of, None if they are the subject's own.
    side: of the pictures; together, rounds: how many drawings a round has, and how many rounds there will be.
    """

    properties: tuple[Property, ...]
    tried: HostArray
    network: HostArray
    whole_image: HostArray
    missed: HostArray
    fooled: HostArray
    done: float
    source: object
    moment: Moment | None
    side: int
    together: int
    rounds: int

    def drawing(self, row: int, column: int, number: int) -> Drawing:
        """The drawing of this number with a property (row) of a value (column)."""
        turn, place = divmod(number, self.together)
        each = self.properties[row]
        return Varied(self.side, self.together, (SEED, turn)).drawing(place, each.name, each.values[column])

    def shares(self, right: HostArray) -> HostArray:
        """`network` or `whole_image` as shares of those tried, nan where none was."""
        with np.errstate(invalid="ignore"):
            found: HostArray = right / self.tried
        return found


def tries(network: Network) -> bool:
    """Whether drawings of X and O can be varied for this network at all."""
    channels, height, width = network.input_shape
    return channels == 1 and height == width and network.classes == CLASSES


class Trial:
    """One network with its parameters, tried round by round; the same ones give the same numbers."""

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        backend: Backend,
        source: object = None,
        moment: Moment | None = None,
    ) -> None:
        """Raises ValueError unless the network `tries`, and whatever a Plan raises."""
        if not tries(network):
            raise ValueError(
                f"Only a network that reads one square map and tells X from O can be tried, not one that reads "
                f"{shape_text(network.input_shape)} and tells {', '.join(network.classes)}."
            )
        self.network, self.source, self.moment = network, source, moment
        self._side = network.input_shape[1]
        self.properties = properties(self._side)
        wanted = 2 * max(1, min(TOGETHER, _PIXELS // self._side**2) // 2)
        self._plan = Plan(network, backend, max(1, reading_size(network, wanted)))
        self._plan.load(parameters)
        self._together, self._to_host = wanted, backend.operations.to_host
        self._tried, self._network, self._whole = np.zeros((3, len(self.properties), VALUES), np.int64)
        self._missed, self._fooled = np.full((2, len(self.properties), VALUES), -1, np.int64)
        self.rounds = 0
        self._pieces = self._work()
        self._report: Robustness | None = None
        self._part = 0.0

    @property
    def done(self) -> bool:
        """Whether all rounds are made."""
        return self.rounds >= ROUNDS

    def advance(self) -> None:
        """One piece, some milliseconds of work; nothing when all is done."""
        next(self._pieces, None)

    def report(self) -> Robustness:
        """What has been found so far: the same object until there is more."""
        if self._report is None:
            kept = (self._tried, self._network, self._whole, self._missed, self._fooled)
            tried, network, whole, missed, fooled = (_frozen(array) for array in kept)
            share = min((self.rounds + self._part) / ROUNDS, 1.0)
            self._report = Robustness(
                self.properties,
                tried,
                network,
                whole,
                missed,
                fooled,
                share,
                self.source,
                self.moment,
                self._side,
                self._together,
                ROUNDS,
            )
        return self._report

    def _work(self) -> Iterator[None]:
        jobs = self._jobs()
        for number in range(ROUNDS):
            varied = Varied(self._side, self._together, (SEED, number))
            yield
            for at, places in enumerate(jobs):
                first = self.properties[places[0][0]]
                pictures = varied.pictures(first.name, first.values[places[0][1]])
                yield
                network = (yield from self._read(pictures)) == varied.labels
                whole = scores_of(exemplars(self._side), pictures).argmax(1) == varied.labels
                for place in places:
                    self._tried[place] += len(pictures)
                    _count(network, number, place, self._network, self._missed)
                    _count(whole, number, place, self._whole, self._fooled)
                self._part, self._report = (at + 1) / len(jobs), None
                yield
            self.rounds, self._part, self._report = number + 1, 0.0, None

    def _read(self, pictures: HostArray) -> Generator[None, None, HostArray]:
        """The class with the most votes for each picture, (N,), as the generator's value; -1 where votes are
        beyond numbers."""
        size = self._plan.batch
        batch = np.zeros((size, *self.network.input_shape), np.float32)
        found = []
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            batch[: len(part), 0] = part
            yield from unwarned(self._plan.slices(batch, SLICE))
            scores = self._to_host(self._plan.scores)
            found.append(np.where(np.isfinite(scores).all(0), scores.argmax(0), -1)[: len(part)])
            yield
        return np.concatenate(found)

    def _jobs(self) -> list[list[tuple[int, int]]]:
        """The places to try in turn. A usual drawing is the same whichever property it is the usual value of."""
        usual = [(row, each.values.index(each.usual)) for row, each in enumerate(self.properties)]
        rest = [(row, column) for column in _ORDER for row in range(len(self.properties))]
        return [usual, *([place] for place in rest if place not in usual)]


def _count(right: HostArray, turn: int, place: tuple[int, int], counts: HostArray, first: HostArray) -> None:
    """Add a round's drawings (N,) bool, and remember the first that was taken for the wrong class."""
    counts[place] += int(right.sum())
    if first[place] < 0 and not right.all():
        first[place] = turn * len(right) + int(right.argmin())


def _frozen(array: HostArray) -> HostArray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
