"""Networks of up to eight layers in any order that fits, with odd strides, paddings and windows. Not a test."""

from __future__ import annotations

import numpy as np

from engine.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, ShapeError, Votes
from engine.network import Network


def random_network(rng: np.random.Generator) -> Network:
    """Some network with two classes; the first layer may be of any kind, and the same kind may follow itself."""
    start = tuple(int(side) for side in (rng.integers(1, 4), *rng.integers(1, 11, 2)))
    shape, layers = start, []
    for _ in range(rng.integers(0, 7)):
        layer = _random_layer(rng)
        try:
            shape = layer.output_shape(shape)
        except ShapeError:
            continue
        layers.append(layer)
    if len(shape) == 3:
        layers.append(Flatten())
        shape = layers[-1].output_shape(shape)
    ends_in_votes = shape[0] > 1 and rng.random() < 0.2
    layers.append(Votes(((0,), (0, shape[0] - 1))) if ends_in_votes else Dense(2, bias=_coin(rng)))
    return Network(start, tuple(layers))


def _random_layer(rng: np.random.Generator) -> Layer:
    features, size, stride, padding = (
        int(rng.integers(low, high)) for low, high in ((1, 4), (1, 5), (1, 4), (0, 4))
    )
    kinds = (
        lambda: Conv2D(features, size, stride, padding, mean=_coin(rng), bias=_coin(rng)),
        lambda: Conv2D(features, int(rng.choice([1, 3, 5])), stride, "same", mean=_coin(rng), bias=_coin(rng)),
        lambda: ReLU(),
        lambda: MaxPool2D(size, int(rng.integers(1, 5)), "keep" if _coin(rng) else "drop"),
        lambda: Flatten(),
        lambda: Dense(int(rng.integers(1, 6)), bias=_coin(rng)),
    )
    return kinds[rng.integers(len(kinds))]()


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
