"""LossProbe: the loss of a network with one parameter changed, for many changes at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops, choose_backend, replay
from engine.nn import Network, Plan
from engine.nn.layers import Layer, LayerArrays


def forward_multiplies(network: Network, first: int = 0) -> int:
    """Multiplications of a forward pass through the layers from index `first`, for one example."""
    return sum(cost.multiplies for cost in network.costs[first:])


def backward_multiplies(network: Network, frozen: Collection[str] = ()) -> int:
    """Multiplications of the backward pass for all parameter gradients, for one example.

    Every layer above the lowest trainable one computes its input gradient; layers named in `frozen` (conv2d-1)
    compute nothing else.
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


class LossProbe:
    """The losses of `examples` images under up to `max_changes` changes of one parameter each, tried at once.

    Only what a change affects is computed: the layers below keep their outputs, the parameter's own layer is
    computed for one change after the other, and all layers above once, for all changes stacked along the batch. The
    network is in inference mode (training=False): dropout passes everything and batch norm uses its running
    statistics, so that a loss depends on its example and the parameters alone. It runs on NumPy, since single
    values are too little work for a GPU. `shared_parameters` is as in Plan; `multiplies` counts the multiplications
    so far.
    """

    def __init__(
        self,
        network: Network,
        examples: int,
        max_changes: int = 2,
        dtype: Any = np.float64,
        shared_parameters: tuple[Array, Array] | None = None,
    ) -> None:
        self.network, self.examples, self.max_changes = network, examples, max_changes
        backend = choose_backend("cpu")
        self.base = Plan(
            network, backend, examples, dtype=dtype, keep_outputs=True, shared_parameters=shared_parameters
        )
        self.parameter_vector: HostArray = self.base.parameter_vector
        self.perturbed = Plan(
            network,
            backend,
            examples * max_changes,
            dtype=dtype,
            keep_outputs=True,
            shared_parameters=(self.base.parameter_vector, self.base.buffer_vector),
        )
        self.multiplies = 0
        self._current = 0
        self._base_loss, self._perturbed_loss = (
            _CrossEntropy(backend.operations, plan.scores) for plan in (self.base, self.perturbed)
        )
        self._copies: dict[tuple[int, int], Calls] = {}
        self._upper_calls = [
            [call for calls in self.perturbed.forward_calls[place + 1 :] for call in calls]
            + self._perturbed_loss.calls
            for place in range(len(network.layers))
        ]
        self._costs = [examples * cost.multiplies for cost in network.costs]
        self._costs_from = [examples * forward_multiplies(network, place) for place in range(len(network.layers))]

    def set_batch(self, images: HostArray, shares: HostArray) -> HostArray:
        """A whole pass over these images (examples, C, H, W) with target votes `shares` (examples, classes).

        Returns the loss of each, (examples,). Raises ShapeError unless they fit.
        """
        self._base_loss.targets[...] = shares.T
        self._perturbed_loss.targets[...] = np.tile(shares.T, self.max_changes)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self.base.forward(images)
            replay(self._base_loss.calls)
        self._current = len(self.network.layers)
        self.multiplies += self._costs_from[0]
        return self._base_loss.errors.copy()

    def perturbed_losses(self, place: int, changes: Sequence[tuple[int, Any]]) -> HostArray:
        """The losses (changes, examples) of the current batch, for each change alone.

        place: the index of the layer that the changed parameters belong to
        changes: positions in `parameter_vector` and the new values; at most `max_changes`
        The array is overwritten by the next call. A loss that overflows is infinite or NaN, without a warning.
        """
        calls, values = self.base.forward_calls[place], self.parameter_vector
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._refresh(place)
            for column, (position, value) in enumerate(changes):
                before = values[position]
                values[position] = value
                replay(calls)
                replay(self._copy_calls(place, column))
                values[position] = before
            replay(self._upper_calls[place])
        self._current = place
        self.multiplies += len(changes) * self._costs_from[place]
        return self._perturbed_loss.errors.reshape(self.max_changes, self.examples)[: len(changes)]

    def _refresh(self, place: int) -> None:
        """Recompute the layers below `place` that a change has left stale."""
        for stale in range(self._current, place):
            replay(self.base.forward_calls[stale])
            self.multiplies += self._costs[stale]
        self._current = max(self._current, place)

    def _copy_calls(self, place: int, column: int) -> Calls:
        """The calls that copy a change's layer output to its column in the stacked batch."""
        key = (place, column)
        if key not in self._copies:
            part = slice(column * self.examples, (column + 1) * self.examples)
            pairs = _output_pairs(
                self.network.layers[place], self.base.layer_arrays[place], self.perturbed.layer_arrays[place]
            )
            copy = self.base.backend.operations.copy
            self._copies[key] = [call for source, target in pairs for call in copy(source, target[..., part])]
        return self._copies[key]


def _output_pairs(layer: Layer, source: LayerArrays, target: LayerArrays) -> list[tuple[Array, Array]]:
    """A layer's output in two plans, and, for a layer with layers inside, their inputs."""
    pairs = [(source.y, target.y)]
    for (_, _, inner, below), above in zip(layer.children(source), layer.children(target), strict=True):
        pairs += [(below.x.values, above.arrays.x.values), *_output_pairs(inner, below, above.arrays)]
    return pairs


class _CrossEntropy:
    """The loss of each column of scores (classes, N)."""

    def __init__(self, ops: Ops, scores: Array) -> None:
        self.targets, votes, dscores = (ops.zeros(scores.shape, scores.dtype) for _ in range(3))
        self.errors: HostArray = ops.zeros(scores.shape[1:], scores.dtype)
        self.calls = ops.softmax_cross_entropy(scores, self.targets, votes, self.errors, dscores, 1)
