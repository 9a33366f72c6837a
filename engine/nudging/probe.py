"""Probe: the errors a network would make if one of its values were another. It changes nothing for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from engine.backends.backend import choose_backend
from engine.backends.ops import Array, Calls, HostArray, Operations, replay
from engine.nn.layers import Layer, Stage
from engine.nn.network import Network
from engine.nn.plan import Plan


def forward_multiplies(network: Network, first: int = 0) -> int:
    """Of a forward pass through the layers from place `first` (from 0) upward, for one example."""
    return sum(cost.multiplies for cost in network.costs[first:])


def backward_multiplies(network: Network, frozen: Collection[str] = ()) -> int:
    """Of the backward pass that finds all gradients of the parameters, for one example.

    Down to the lowest layer that learns every layer passes its input's gradient on; that layer, and those below,
    do not. Layers named in `frozen` (01-conv2d) only pass on.
    """
    pairs = zip(network.layers, network.shapes, strict=False)
    costs = [layer.gradient_multiplies(shape) for layer, shape in pairs]
    learning = [
        place
        for place, (name, cost) in enumerate(zip(network.names[1:], network.costs, strict=True))
        if cost.parameters and name not in frozen
    ]
    lowest = min(learning, default=len(costs))
    return sum(costs[place][0] for place in learning) + sum(below for _, below in costs[lowest + 1 :])


class Probe:
    """The errors of `examples` pictures under up to `most` changes of one value, tried at once.

    Only what a change reaches is computed: the layers below the changed value stay as they are, its own layer is
    computed for one change after the other, and all layers above it once, for all changes stacked along the batch.
    The network reads, it does not train (training=False): dropout lets everything through and batch norm uses its
    running statistics, so that an error depends on its example and the parameters alone. NumPy computes, for values
    one at a time are no work for a GPU. memory: as Plan's; `multiplies` counts those made so far.
    """

    def __init__(
        self,
        network: Network,
        examples: int,
        most: int = 2,
        dtype: Any = np.float64,
        memory: tuple[Array, Array] | None = None,
    ) -> None:
        self.network, self.examples, self.most = network, examples, most
        backend = choose_backend("cpu")
        self.base = Plan(network, backend, examples, dtype=dtype, keep=True, memory=memory)
        self.values: HostArray = self.base.values
        self.tried = Plan(
            network, backend, examples * most, dtype=dtype, keep=True, memory=(self.base.values, self.base.state)
        )
        self.multiplies = 0
        self._current = 0
        self._base_error, self._tried_error = (
            _CrossEntropy(backend.operations, plan.scores) for plan in (self.base, self.tried)
        )
        self._carried: dict[tuple[int, int], Calls] = {}
        self._above = [
            [call for calls in self.tried.forward_calls[place + 1 :] for call in calls] + self._tried_error.calls
            for place in range(len(network.layers))
        ]
        self._costs = [examples * cost.multiplies for cost in network.costs]
        self._costs_from = [examples * forward_multiplies(network, place) for place in range(len(network.layers))]

    def show(self, images: HostArray, shares: HostArray) -> HostArray:
        """A whole pass over these pictures (examples, C, H, W), whose votes should be `shares` (examples, classes).

        Returns the error of each, (examples,). Raises ShapeError unless they fit.
        """
        self._base_error.targets[...] = shares.T
        self._tried_error.targets[...] = np.tile(shares.T, self.most)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self.base.forward(images)
            replay(self._base_error.calls)
        self._current = len(self.network.layers)
        self.multiplies += self._costs_from[0]
        return self._base_error.errors.copy()

    def errors(self, place: int, changes: Sequence[tuple[int, Any]]) -> HostArray:
        """The errors (changes, examples) of the pictures shown, for each change alone.

        place: the layer (from 0) that the changed values belong to. changes: where a value stands in `values`, and
        what it should be instead; at most `most`. The array is overwritten by the next call. An
        error that overflows is infinite or not a number, without a warning.
        """
        calls, values = self.base.forward_calls[place], self.values
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._catch_up(place)
            for column, (position, value) in enumerate(changes):
                kept = values[position]
                values[position] = value
                replay(calls)
                replay(self._carry(place, column))
                values[position] = kept
            replay(self._above[place])
        self._current = place
        self.multiplies += len(changes) * self._costs_from[place]
        return self._tried_error.errors.reshape(self.most, self.examples)[: len(changes)]

    def _catch_up(self, place: int) -> None:
        """Compute the layers below `place` that a change has left behind."""
        for behind in range(self._current, place):
            replay(self.base.forward_calls[behind])
            self.multiplies += self._costs[behind]
        self._current = max(self._current, place)

    def _carry(self, place: int, column: int) -> Calls:
        """The calls that carry what a change makes of its layer to its place among the others."""
        key = (place, column)
        if key not in self._carried:
            part = slice(column * self.examples, (column + 1) * self.examples)
            pairs = _results(self.network.layers[place], self.base.stages[place], self.tried.stages[place])
            copy = self.base.backend.operations.copy
            self._carried[key] = [call for done, target in pairs for call in copy(done, target[..., part])]
        return self._carried[key]


def _results(layer: Layer, done: Stage, target: Stage) -> list[tuple[Array, Array]]:
    """A layer's output in two plans, and, in a layer put together from others, what those read."""
    pairs = [(done.y, target.y)]
    for (_, inner, below), (_, _, above) in zip(layer.stack(done), layer.stack(target), strict=True):
        pairs += [(below.x.values, above.x.values), *_results(inner, below, above)]
    return pairs


class _CrossEntropy:
    """The error of each column of scores (classes, N)."""

    def __init__(self, ops: Operations, scores: Array) -> None:
        self.targets, votes, dscores = (ops.zeros(scores.shape, scores.dtype) for _ in range(3))
        self.errors: HostArray = ops.zeros(scores.shape[1:], scores.dtype)
        self.calls = ops.softmax_cross_entropy(scores, self.targets, votes, self.errors, dscores, 1)
