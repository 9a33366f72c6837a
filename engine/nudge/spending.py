"""What a pass costs in multiplies, forward and backward, for one example. Not what it costs in time."""

from __future__ import annotations

from collections.abc import Collection

from engine.nn.network import Network


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
