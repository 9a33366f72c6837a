"""Random networks of up to twelve layers of all kinds in any order that fits, with odd strides and windows."""

from __future__ import annotations

import numpy as np

from engine.nn import Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Shape,
    ShapeError,
    Sigmoid,
    Tanh,
    Votes,
)


def random_network(rng: np.random.Generator) -> Network:
    """A random network with two classes; the first layer may be of any kind, and a kind may follow itself."""
    start = tuple(int(side) for side in (rng.integers(1, 4), *rng.integers(1, 13, 2)))
    layers = _random_stack(rng, start, int(rng.integers(0, 11)), 0)
    shape = _output_shape(layers, start)
    if len(shape) == 3:
        layers.append(GlobalAvgPool() if rng.random() < 0.3 else Flatten())
        shape = layers[-1].output_shape(shape)
    ends_in_votes = shape[0] > 1 and rng.random() < 0.2
    layers.append(Votes(((0,), (0, shape[0] - 1))) if ends_in_votes else Dense(2, bias=_coin(rng)))
    return Network(start, tuple(layers), classes=("X", "O"))


def _random_stack(rng: np.random.Generator, shape: Shape, count: int, depth: int) -> list[Layer]:
    """At most `count` layers that fit on `shape` and on each other."""
    layers: list[Layer] = []
    for _ in range(count):
        try:
            layer = _random_layer(rng, shape, depth)
            shape = layer.output_shape(shape)
        except ShapeError:
            continue
        layers.append(layer)
    return layers


def _random_layer(rng: np.random.Generator, shape: Shape, depth: int) -> Layer:
    features, size, stride, padding = (
        int(rng.integers(low, high)) for low, high in ((1, 4), (1, 5), (1, 4), (0, 4))
    )
    padded = (0.0, -1.0, 0.5)[features % 3]
    edge, spaced = "keep" if _coin(rng) else "drop", int(rng.integers(1, 5))
    kinds = (
        lambda: Conv2D(features, size, stride, padding, mean=_coin(rng), bias=_coin(rng), padding_value=padded),
        lambda: Conv2D(
            features,
            int(rng.choice([1, 3, 5])),
            1,
            "same",
            mean=_coin(rng),
            bias=_coin(rng),
            padding_value=padded,
        ),
        lambda: ReLU(),
        lambda: LeakyReLU(float(rng.choice([0.01, 0.3, 1]))),
        lambda: Tanh() if _coin(rng) else Sigmoid(),
        lambda: (MaxPool2D if _coin(rng) else AvgPool2D)(size, spaced, edge),
        lambda: (MaxPool2D if _coin(rng) else AvgPool2D)(int(rng.integers(1, 4)), 1, edge),
        lambda: Dropout(float(rng.choice([0, 0.3, 0.6]))),
        lambda: BatchNorm2D(float(rng.choice([0.1, 1])), float(rng.choice([0.01, 0.1]))),
        lambda: Center(),
        lambda: _random_residual(rng, shape, depth),
        lambda: Flatten() if rng.random() < 0.3 else ReLU(),
        lambda: Dense(int(rng.integers(1, 6)), bias=_coin(rng)),
    )
    return kinds[rng.integers(len(kinds))]()


def _random_residual(rng: np.random.Generator, shape: Shape, depth: int) -> Layer:
    """A residual block that keeps its shape."""
    layers = _random_stack(rng, shape, int(rng.integers(1, 4)), depth + 1) if depth < 2 else []
    given = _output_shape(layers, shape)
    if given != shape and len(given) == len(shape) == 3 and given[1:] == shape[1:]:
        layers.append(Conv2D(shape[0], 1))
    if given != shape and len(given) == len(shape) == 1:
        layers.append(Dense(shape[0]))
    return Residual(tuple(layers) or (Tanh(),))


def _output_shape(layers: list[Layer], shape: Shape) -> Shape:
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
