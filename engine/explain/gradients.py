"""Gradients: how much one value of a network moves for each unit of every value below it. They train nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from time import perf_counter
from typing import TypeVar

import numpy as np

from engine.backends.backend import numpy_backend
from engine.backends.ops import Calls, HostArray
from engine.layers.arithmetic import Place
from engine.network import Network, Parameters
from engine.plan import Plan

T = TypeVar("T")
# Seconds: passes of a large network are cut into pieces of about so long, where others wait for the same thread.
PIECE = 0.01


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
                done = go_on(perf_counter() + PIECE)
            if not done:
                yield
