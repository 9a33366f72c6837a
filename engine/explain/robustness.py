"""Robustness: accuracy of a network and of template matching on generated inputs with one property varied.

Every value of every property is tested with the same inputs (`Variations` of their kind of data), a few in each
round; the test runs in slices, between which it can be cancelled.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.backends import Backend, HostArray
from engine.data import DATA_KINDS, InputShape, Variations, VariedProperty, kind_for
from engine.explain.template_matching import template_scores, templates
from engine.nn import BatchPredictor, Network, Parameters, RunPoint
from engine.nn.layers import shape_text
from engine.training import inference_batch_size

SEED: Final = 90_210  # outside the seeds of training, which start at 1
ROUNDS: Final = 16
DRAWINGS_PER_ROUND: Final = 20  # half of them X
_PIXELS: Final = 40_000  # drawn at once, about
# Length of a slice of a large network's pass.
SLICE_SECONDS: Final = 0.005  # seconds
# Rounds of each test while training changes the parameters.
COARSE_ROUNDS: Final = 2


@dataclass(frozen=True, eq=False)
class RobustnessResult:
    """What has been measured so far. The arrays are (properties, values) int64, read-only.

    properties: what was varied, through which values.
    counts: drawings tested at each value.
    network_correct, template_correct: how many of them the network and template matching predicted correctly.
    first_network_error, first_template_error: index of the first drawing that each predicted wrongly, -1 for none.
    progress: share of all tests done.
    source: identifies the parameters, as given to RobustnessTest.
    run_point: of the training that the parameters are from, None for the model's own.
    variations, input_shape: of the inputs.
    rounds: in total.
    """

    properties: tuple[VariedProperty, ...]
    counts: HostArray
    network_correct: HostArray
    template_correct: HostArray
    first_network_error: HostArray
    first_template_error: HostArray
    progress: float
    source: object
    run_point: RunPoint | None
    variations: Variations
    input_shape: InputShape
    drawings_per_round: int
    rounds: int

    def varied_input(self, row: int, column: int, index: int) -> Any:
        """The source, such as a drawing, of the input of this index with a property (row) at a value (column)."""
        turn, offset = divmod(index, self.drawings_per_round)
        varied = self.properties[row]
        inputs = self.variations.inputs(self.input_shape, self.drawings_per_round, (SEED, turn))
        return inputs.source(offset, varied.name, varied.values[column])

    def accuracy(self, correct: HostArray) -> HostArray:
        """`network_correct` or `template_correct` as an accuracy, NaN where nothing was tested."""
        with np.errstate(invalid="ignore"):
            accuracy: HostArray = correct / self.counts
        return accuracy


def supports(network: Network) -> bool:
    """Whether the network can be tested: whether inputs of its kind of data can be varied and have templates."""
    kind = kind_for(network)
    return kind is not None and kind.variations is not None and templates(network) is not None


class RobustnessTest:
    """Tests one network with its parameters round by round; the same ones give the same numbers."""

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        backend: Backend,
        source: object = None,
        point: RunPoint | None = None,
    ) -> None:
        """Raises ValueError unless `supports(network)`, and what Plan raises."""
        kind, matching = kind_for(network), templates(network)
        if kind is None or kind.variations is None or matching is None:
            known = [
                f"{kind.plural} of {' and '.join(kind.class_names)}"
                for kind in DATA_KINDS.values()
                if kind.variations
            ]
            raise ValueError(
                f"No varied inputs can be made for a network with input {shape_text(network.input_shape)} and "
                f"classes {', '.join(network.classes)}; there are {', '.join(known)}."
            )
        self.network, self.source, self.run_point = network, source, point
        self._variations, self._templates = kind.variations, matching
        self.properties = kind.variations.properties(network.input_shape)
        classes, pixels = len(network.classes), math.prod(network.input_shape)
        per_round = classes * max(1, min(DRAWINGS_PER_ROUND, _PIXELS // pixels) // classes)
        self._predictor = BatchPredictor(network, backend, max(1, inference_batch_size(network, per_round)))
        self._predictor.load(parameters)
        self._per_round = per_round
        self._counts, self._network, self._template = np.zeros((3, *self._table_shape), np.int64)
        self._network_errors, self._template_errors = np.full((2, *self._table_shape), -1, np.int64)
        self.rounds_done = 0
        self._slices = self._run()
        self._result: RobustnessResult | None = None
        self._part = 0.0

    @property
    def is_done(self) -> bool:
        return self.rounds_done >= ROUNDS

    def advance(self) -> None:
        """Run one slice, some milliseconds; does nothing when done."""
        next(self._slices, None)

    def result(self) -> RobustnessResult:
        """What has been measured so far: the same object until there is more."""
        if self._result is None:
            progress = min((self.rounds_done + self._part) / ROUNDS, 1.0)
            self._result = RobustnessResult(
                self.properties,
                _frozen(self._counts),
                _frozen(self._network),
                _frozen(self._template),
                _frozen(self._network_errors),
                _frozen(self._template_errors),
                progress,
                self.source,
                self.run_point,
                self._variations,
                self.network.input_shape,
                self._per_round,
                ROUNDS,
            )
        return self._result

    def _run(self) -> Iterator[None]:
        settings = self._settings()
        for number in range(ROUNDS):
            varied = self._variations.inputs(self.network.input_shape, self._per_round, (SEED, number))
            yield
            for at, cells in enumerate(settings):
                first = self.properties[cells[0][0]]
                pictures = varied.images(first.name, first.values[cells[0][1]])
                yield
                network = (yield from self._predict(pictures)) == varied.labels
                template = template_scores(self._templates, pictures).argmax(1) == varied.labels
                for cell in cells:
                    self._counts[cell] += len(pictures)
                    _count(network, number, cell, self._network, self._network_errors)
                    _count(template, number, cell, self._template, self._template_errors)
                self._part, self._result = (at + 1) / len(settings), None
                yield
            self.rounds_done, self._part, self._result = number + 1, 0.0, None

    def _predict(self, pictures: HostArray) -> Generator[None, None, HostArray]:
        """Returns the class index with the highest score for each picture, (N,); -1 where a score is not finite."""
        scores = yield from self._predictor.iter_scores(pictures, SLICE_SECONDS)
        return np.where(np.isfinite(scores).all(1), scores.argmax(1), -1)

    def _settings(self) -> list[list[tuple[int, int]]]:
        """The (property, value) cells that share their drawings, in the order of the tests: the default values of
        all properties give the same drawings."""
        default = [(row, each.values.index(each.baseline)) for row, each in enumerate(self.properties)]
        rest = [
            (row, column) for column in _coarse_to_fine(self._table_shape[1]) for row in range(len(self.properties))
        ]
        return [default, *([cell] for cell in rest if cell not in default)]

    @property
    def _table_shape(self) -> tuple[int, int]:
        """(properties, values)."""
        return len(self.properties), len(self.properties[0].values)


def _coarse_to_fine(count: int) -> list[int]:
    """The indices of the values, so that the whole curve is visible before it is exact: each next one is as far as
    possible from those before."""
    order = [0, count - 1][:count]
    while len(order) < count:
        rest = [index for index in range(count) if index not in order]
        order.append(max(rest, key=lambda index: min(abs(index - done) for done in order)))
    return order


def _count(
    correct: HostArray, turn: int, cell: tuple[int, int], counts: HostArray, first_errors: HostArray
) -> None:
    """Add a round's drawings, (N,) bool, and store the index of the first wrong prediction."""
    counts[cell] += int(correct.sum())
    if first_errors[cell] < 0 and not correct.all():
        first_errors[cell] = turn * len(correct) + int(correct.argmin())


def _frozen(array: HostArray) -> HostArray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
