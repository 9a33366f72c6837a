"""Gradients: how much one value of a network moves for each unit of every value below it. They train nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np

from engine.backends.backend import numpy_backend
from engine.backends.ops import Calls, HostArray
from engine.nn.layers.value_formulas import Place
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan

T = TypeVar("T")
# Seconds: passes of a large network are cut into pieces of about so long, where others wait for the same thread.
SLICE_SECONDS = 0.01


def drained(work: Generator[None, None, T]) -> T:
    """What comes of work that is done in pieces, done at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


class Gradients:
    """Backward passes in float64 from any values of any layer down to the picture, `batch` values at a time.

    The network reads, it does not train: dropout lets everything through and batch norm uses its running
    statistics. At a kink the slope is the one that training uses: 0 at a ReLU's 0, and of equal values under a pool
    the first. The processor computes.
    """

    def __init__(self, network: Network, batch: int = 1) -> None:
        """Raises ValueError for a network too large for a plan of float64."""
        self.network, self.batch = network, batch
        self._backend = numpy_backend("explanations need float64")
        self._plan = Plan(
            network,
            self._backend,
            batch,
            dtype=np.float64,
            keep=True,
            learn=True,
            input_gradient=True,
            training=False,
            frozen=network.names[1:],
        )
        calls = iter(self._plan.backward_calls)
        self._calls = [[] if layer.reshapes else next(calls) for layer in reversed(network.layers)][::-1]

    def load(self, parameters: Parameters) -> None:
        """Read with these. Raises ShapeError or ValueError if they are not the network's."""
        self._plan.load(parameters)

    def show(self, picture: HostArray) -> None:
        """A forward pass over one picture (C, H, W). Raises ShapeError for another shape."""
        with np.errstate(over="ignore", invalid="ignore"):
            self._plan.forward(self._many(picture))

    def show_in_pieces(self, picture: HostArray) -> Iterator[None]:
        """As `show`, yielding now and then."""
        self._plan.show(self._many(picture))
        yield from self._in_pieces([call for calls in self._plan.forward_calls for call in calls])

    def output(self, layer: int) -> HostArray:
        """The output of one layer, 0 for the input, of the picture shown: float64, a copy."""
        made = self._plan.stages[layer - 1].y if layer else self._plan.input
        return np.array(made[..., 0])

    def climb(
        self, picture: HostArray, targets: list[tuple[int, Place]]
    ) -> Generator[None, None, tuple[int | None, HostArray]]:
        """Shows one picture (C, H, W), but only as far up as the layers of `targets`, values each of which is named
        by its layer and place; yields now and then. Comes to the place in `targets` of the first value that has a
        gradient in the picture which is not 0 everywhere, None if none has, and that gradient, (C, H, W) float64.
        `outputs` of layers above are of an earlier picture."""
        plan = self._plan
        plan.show(self._many(picture))
        top = max(layer for layer, _ in targets)
        yield from self._in_pieces([call for calls in plan.forward_calls[:top] for call in calls])
        for at, (layer, place) in enumerate(targets):
            slope = (yield from self.below_in_pieces(layer, [place]))[0][0]
            if slope.any():
                return at, slope
        return None, np.zeros(picture.shape)

    def value(self, layer: int, place: Place) -> float:
        """The value at `place` of the output of `layer`, of the picture last shown."""
        return float(self._plan.stages[layer - 1].y[(*place, 0)])

    def outputs(self) -> list[HostArray]:
        """The input and every layer's output of the picture shown, float64, (C, H, W) or (n,)."""
        return [output[0] for output in self._plan.outputs()]

    def below(self, layer: int, places: list[Place]) -> list[HostArray]:
        """The gradient of the values at `places` of the output of `layer`, at most `batch` of them, in every output
        from the input (first) up to `layer` (last): float64, (places, *shape), copies."""
        return [found[: len(places)] for found in self.carried(layer, self._at(layer, places))]

    def below_in_pieces(
        self, layer: int, places: list[Place], lowest: int = 0
    ) -> Generator[None, None, list[HostArray]]:
        """As `below`, but only down to the output of `lowest` (first), yielding now and then."""
        found = yield from self._carried(layer, self._at(layer, places), lowest)
        return [each[: len(places)] for each in found]

    def carried(self, layer: int, start: HostArray) -> list[HostArray]:
        """As `below`, for weighed sums of the values: `start` (*shape, batch) says how much each of them counts."""
        return drained(self._carried(layer, start, 0))

    def _carried(self, layer: int, start: HostArray, lowest: int) -> Generator[None, None, list[HostArray]]:
        """The backward pass down to the output of `lowest`, in pieces."""
        found, passed = [self._begin(layer, start)], range(layer - 1, lowest - 1, -1)
        yield from self._in_pieces([call for at in passed for call in self._calls[at]])
        for at in passed:
            below = self._plan.stages[at].dx
            assert below is not None
            found.append(below)
        return [np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in reversed(found)]

    def _many(self, picture: HostArray) -> HostArray:
        """The picture, once for each of the batch."""
        return np.broadcast_to(picture, (self.batch, *picture.shape))

    def _at(self, layer: int, places: list[Place]) -> HostArray:
        """(*shape, batch): each place alone."""
        start: HostArray = np.zeros((*self.network.shapes[layer], self.batch))
        for at, place in enumerate(places):
            start[(*place, at)] = 1.0
        return start

    def _begin(self, layer: int, start: HostArray) -> HostArray:
        """Where a backward pass from `layer` sets out."""
        if layer:
            top = self._plan.stages[layer - 1].dy
            assert top is not None
            top[...] = start
        return start

    def _in_pieces(self, calls: Calls) -> Iterator[None]:
        go_on, done = self._backend.operations.sliced([calls]), False
        while not done:
            with np.errstate(over="ignore", invalid="ignore"):
                done = go_on(perf_counter() + SLICE_SECONDS)
            if not done:
                yield


@dataclass(frozen=True, eq=False)
class Contributions:
    """results: (targets,), the values traced. layers: for the lowest layer asked for, the input unless another was
    named, and every one up to theirs, (targets, *shape), what each value there is worth to each target. rest:
    (layers, targets), what is added above that layer, by biases and bends. All float64: results = layers[l] summed
    + rest[l] for every l."""

    results: HostArray
    layers: tuple[HostArray, ...]
    rest: HostArray


def contributions(gradients: Gradients, layer: int, places: list[Place]) -> Contributions:
    """What every value is worth to the values at `places` of the output of `layer`, for the picture last shown."""
    return drained(contributions_in_pieces(gradients, layer, places))


def contributions_in_pieces(
    gradients: Gradients, layer: int, places: list[Place], lowest: int = 0
) -> Generator[None, None, Contributions]:
    """The same, only down to the output of `lowest`, yielding now and then."""
    slopes = yield from gradients.below_in_pieces(layer, places, lowest)
    found = [gradients.output(at) * each for at, each in enumerate(slopes, lowest)]
    made = gradients.output(layer)
    results = np.array([made[place] for place in places])
    sums = np.array([each.reshape(len(places), -1).sum(axis=1) for each in found])
    return Contributions(results, tuple(found), results - sums)


def votes_traced(gradients: Gradients) -> Contributions:
    """What every value is worth to each class's score, for the picture last shown."""
    return contributions(gradients, len(gradients.network.layers), scores_of(gradients))


def scores_of(gradients: Gradients) -> list[Place]:
    """Where each class's score stands in the last output."""
    return [(at,) for at in range(len(gradients.network.classes))]


def score_gradient(gradients: Gradients, target: int) -> HostArray:
    """(C, H, W) float64: by how much the score of class `target` rises for each unit of each pixel of the picture
    last shown (Simonyan et al. 2013)."""
    found: HostArray = gradients.below(len(gradients.network.layers), [(target,)])[0][0]
    return found


def gradient_times_input(gradients: Gradients, target: int) -> HostArray:
    """(C, H, W) float64: what each pixel is worth to the score: its value times its gradient."""
    made: HostArray = gradients.outputs()[0] * score_gradient(gradients, target)
    return made


def grad_cam(gradients: Gradients, target: int) -> HostArray:
    """(H, W) float64, 0 or above: where the last feature maps speak for the class, spread over the drawing's size.

    The maps are those of the last layer that weighs maps and still gives maps, as the layers bend them that change
    every value by itself, such as a ReLU; each counts by its mean gradient, and what speaks against the class is
    left out (Selvaraju et al. 2017). Raises ValueError for a network without such maps.
    """
    network, layer = gradients.network, last_maps(gradients)
    slopes = gradients.below(len(network.layers), [(target,)])[layer][0]
    maps = gradients.outputs()[layer]
    summed = np.einsum("c,chw->hw", slopes.mean(axis=(1, 2)), maps)
    return spread(np.maximum(summed, 0.0), network.input_shape[1:])


def last_maps(gradients: Gradients) -> int:
    """The layer whose maps Grad-CAM weighs, counted from 1. Raises ValueError if there is none."""
    network = gradients.network
    weighed = [
        at for at, layer in enumerate(network.layers, 1) if len(network.shapes[at]) == 3 and layer.mixes_maps
    ]
    if not weighed:
        raise ValueError("Grad-CAM needs feature maps, and this network has none.")
    place = weighed[-1]
    while place < len(network.layers) and network.layers[place].pointwise and len(network.shapes[place + 1]) == 3:
        place += 1
    return place


def spread(values: HostArray, size: tuple[int, int]) -> HostArray:
    """`values` (h, w) drawn out to `size`, each value in the middle of its part, straight lines between."""
    rows, columns = (_lines(there, length) for there, length in zip(values.shape, size, strict=True))
    made: HostArray = rows @ values @ columns.T
    return made


def _lines(there: int, length: int) -> HostArray:
    """(length, there): how much of each of `there` values goes into each of `length` places."""
    at = np.clip((np.arange(length) + 0.5) * there / length - 0.5, 0, there - 1)
    shares: HostArray = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(there)))
    return shares
