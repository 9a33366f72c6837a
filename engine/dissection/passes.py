"""Passes: a batch's examples on their way through the network and back, some at a time, every layer's values and
gradients kept. They change no parameter."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from engine.backends.backend import Backend
from engine.backends.ops import Array, replay
from engine.dissection.dissection import ExamplePass, HostArray, Place
from engine.layers import Layer, Products, Stage
from engine.losses import softmax
from engine.network import Network, Parameters
from engine.plan import Plan
from engine.recipe import Recipe

# What the examples that are passed together may keep busy: so much is made between two looks at what is asked for.
TOGETHER_BYTES = 8_000_000
# Seconds of work between two looks at what is asked for.
SLICE = 0.005


class Passes:
    """Passes of batches of `batch` by one recipe. The network learns: dropout tosses the step's own coins, and
    batch norm goes by the batch, which then is passed at once."""

    def __init__(self, network: Network, backend: Backend, recipe: Recipe, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self.network, self.batch, self.recipe = network, batch, recipe
        self.chunk = batch
        if not any(layer.mixes_batch for layer in network.layers):
            self.chunk = even_share(batch, TOGETHER_BYTES // network.picture_bytes)
        self._ops = backend.operations
        self._plan = Plan(
            network,
            backend,
            self.chunk,
            keep=True,
            learn=True,
            input_gradient=True,
            frozen=recipe.frozen,
            seed=recipe.seed,
            total=1,
        )

    def load(self, parameters: Parameters) -> None:
        """By these parameters from now on."""
        self._plan.load(parameters)

    def chunks(self, first: int) -> list[int]:
        """Where the chunks start, the one with example `first` before the others."""
        starts = list(range(0, self.batch, self.chunk))
        return sorted(starts, key=lambda start: (not start <= first < start + self.chunk, start))

    def through(self, images: HostArray, shares: HostArray, start: int, steps: int) -> Iterator[None]:
        """Pass the chunk that starts at `start` of these examples (N, C, H, W) whose votes should be `shares`
        (N, classes), in pieces; `steps` were made before."""
        plan, ops = self._plan, self._ops
        part = slice(start, start + self.chunk)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            plan.show(images[part])
            ops.upload(np.array([steps % 2**32, start], np.uint32), plan.moment)
            ops.upload(shares[part].T, plan.targets)
        begun = perf_counter()
        for calls in (*plan.forward_calls, plan.loss_calls, *plan.backward_calls):
            for call in calls:
                # Never across a yield: what NumPy is told here would hold for whoever is yielded to.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    replay((call,))
                if perf_counter() - begun > SLICE:
                    yield
                    begun = perf_counter()

    def errors(self) -> HostArray:
        """Of the chunk that was passed last, (n,)."""
        return self._plan.loss

    def seen(self, example: int, start: int, shares: HostArray, maps: int) -> ExamplePass:
        """One example of the chunk that was passed last; `maps` of each layer at most."""
        plan, column = self._plan, example - start
        first = plan.stages[0]
        outputs = [self._copy(array, column, maps) for array in (first.x.values, *(s.y for s in plan.stages))]
        gradients = [self._copy(array, column, maps) for array in (first.dx, *(s.dy for s in plan.stages))]
        scores = np.ascontiguousarray(self._ops.to_host(plan.scores)[:, column])
        with np.errstate(over="ignore", invalid="ignore"):
            votes = softmax(scores)
        error = float(plan.loss[column])
        return ExamplePass(example, tuple(outputs), tuple(gradients), scores, votes, shares[example], error)

    def products(self, place: Place) -> Products | None:
        """Of the chunk that was passed last: what the gradient of a parameter's value is the sum of."""
        name, index = place
        owner, _, part = name.partition(".")
        at = self.network.names.index(owner) - 1
        layer, stage, part = _inside(self.network.layers[at], self._plan.stages[at], part)
        if stage.dy is None:
            return None
        x, dy = (np.moveaxis(self._ops.to_host(array), -1, 0) for array in (stage.x.values, stage.dy))
        return layer.products(part, index, x, dy)

    def _copy(self, array: Array, column: int, maps: int) -> HostArray:
        copied: HostArray = np.ascontiguousarray(self._ops.to_host(array[:maps, ..., column]))
        copied.flags.writeable = False
        return copied


def even_share(batch: int, most: int) -> int:
    """How many examples are passed together: at most `most`, at least 1, and so that no rest is left."""
    return next(count for count in range(max(1, min(batch, most)), 0, -1) if batch % count == 0)


def _inside(layer: Layer, stage: Stage, part: str) -> tuple[Layer, Stage, str]:
    """The layer that a parameter belongs to, if need be within stacks: 1-conv2d.weight is weight of the first."""
    stack = layer.stack(stage)
    if not stack:
        return layer, stage, part
    inner, _, part = part.partition(".")
    _, below, its = stack[int(inner.partition("-")[0]) - 1]
    return _inside(below, its, part)
