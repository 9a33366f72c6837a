"""Benchmark cases: the reference networks that are timed, with images and labels, and one case per kind of
layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.backends import HostArray
from engine.data import DATA_KINDS, DEFAULT_KIND
from engine.documents import PRESETS
from engine.nn import Network
from engine.nn.layers import (
    Arrays,
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
    Sigmoid,
    Tanh,
    Votes,
)
from engine.training import SGD, TrainingConfig

DRAWN_CLASSES = DATA_KINDS[DEFAULT_KIND].class_names
# Hanuschkin trained on 1,400 of his 2,000 pictures.
HANUSCHKIN_EPOCH = 1400


@dataclass(frozen=True)
class BenchNet:
    """A named network and its training configuration. epoch: pictures per epoch, 0 if not reported."""

    name: str
    network: Network
    config: TrainingConfig
    epoch: int = 0


def _conv_block(features: int) -> tuple[Conv2D, ReLU, MaxPool2D]:
    return Conv2D(features, 3, padding="same"), ReLU(), MaxPool2D()


SGD_CONFIG = TrainingConfig(SGD(0.01, momentum=0.9), batch=64)

TINY = BenchNet(
    "tiny",
    Network((1, 9, 9), (Conv2D(3, 3), ReLU(), MaxPool2D(edge="drop"), Flatten(), Dense(2)), classes=DRAWN_CLASSES),
    SGD_CONFIG,
)
DEFAULT = BenchNet("default", PRESETS["default"].network, SGD_CONFIG)
LARGE = BenchNet(
    "large",
    Network(
        (1, 64, 64),
        (*_conv_block(32), *_conv_block(64), *_conv_block(128), Flatten(), Dense(128), ReLU(), Dense(2)),
        classes=DRAWN_CLASSES,
    ),
    SGD_CONFIG,
)

REFERENCE_NETS = (TINY, DEFAULT, LARGE)


def hanuschkin_net() -> BenchNet:
    """Hanuschkin's network and his own settings."""
    preset = PRESETS["hanuschkin"]
    return BenchNet("hanuschkin", preset.network, preset.other_configs["author"], HANUSCHKIN_EPOCH)


def start_parameters(net: BenchNet) -> Arrays:
    """Initial parameters, the same for every contender; He-initialized kernels, large enough to be compared."""
    layers = tuple(
        replace(layer, spread=None) if isinstance(layer, Conv2D) else layer for layer in net.network.layers
    )
    values = Network(net.network.input_shape, layers, net.network.classes).initial_parameters(1)
    return {name: np.full_like(array, 0.01) if name.endswith("bias") else array for name, array in values.items()}


def noise_batch(net: BenchNet, count: int) -> tuple[HostArray, HostArray]:
    """Noise images (N, C, H, W) from -1 to 1, float32, and random labels (N,) int64.

    Their content makes no difference to the time, and nothing can be learnt from them so fast that gradients vanish
    during the measurement.
    """
    rng = np.random.default_rng(7)
    images = rng.uniform(-1, 1, (count, *net.network.input_shape)).astype(np.float32)
    return images, rng.integers(0, len(net.network.classes), count)


# Windows that fit, extend over the edge, overlap, leave gaps, and are larger than the maps.
POOL_CASES: list[tuple[tuple[int, int, Literal["keep", "drop"]], Shape]] = [
    ((2, 2, "keep"), (2, 7, 7)),
    ((2, 2, "keep"), (2, 6, 8)),
    ((2, 2, "drop"), (2, 7, 5)),
    ((3, 2, "keep"), (3, 8, 7)),
    ((3, 2, "drop"), (3, 8, 7)),
    ((5, 2, "keep"), (2, 9, 12)),
    ((3, 1, "keep"), (2, 5, 5)),
    ((2, 3, "keep"), (2, 8, 7)),
    ((1, 3, "keep"), (1, 5, 8)),
    ((4, 4, "keep"), (1, 3, 3)),
]

LAYER_CASES: list[tuple[Layer, Shape]] = [
    (Conv2D(3, 3), (1, 7, 7)),
    (Conv2D(3, 3, mean=True), (1, 9, 9)),
    (Conv2D(4, 3, padding="same"), (3, 6, 5)),
    (Conv2D(2, 5, padding="same", mean=True), (2, 7, 6)),
    (Conv2D(3, 2, stride=2), (2, 7, 5)),
    (Conv2D(2, 4, stride=3, padding=2), (3, 9, 7)),
    (Conv2D(2, 3, stride=2, padding=3, bias=False), (2, 5, 8)),
    (Conv2D(5, 1), (3, 4, 4)),
    (Conv2D(2, 2, stride=4), (1, 9, 9)),
    (Conv2D(2, 3, padding=1, bias=False, mean=True), (1, 3, 3)),
    (Conv2D(3, 5, padding="same", padding_value=-1.0), (2, 7, 6)),
    (Conv2D(2, 3, stride=2, padding=2, mean=True, padding_value=0.5), (3, 5, 8)),
    *((kind(*options), shape) for kind in (MaxPool2D, AvgPool2D) for options, shape in POOL_CASES),
    (GlobalAvgPool(), (3, 4, 5)),
    (GlobalAvgPool(), (2, 1, 1)),
    *((kind(), shape) for kind in (ReLU, LeakyReLU, Tanh, Sigmoid) for shape in ((3, 5, 4), (11,))),
    (LeakyReLU(0.3), (2, 3, 3)),
    (Flatten(), (3, 2, 4)),
    (Flatten(), (5,)),
    (Dense(4), (6,)),
    (Dense(3, bias=False), (5,)),
    (Dropout(), (3, 4, 5)),
    (Dropout(0.2), (9,)),
    (Dropout(0), (2, 2, 2)),
    (BatchNorm2D(), (3, 4, 5)),
    (BatchNorm2D(momentum=0.5, epsilon=1e-2), (2, 3, 2)),
    (BatchNorm2D(momentum=1, epsilon=1e-3), (2, 1, 1)),
    (Center(), (3, 4, 5)),
    (Center(), (1, 1, 2)),
    (Residual((ReLU(),)), (2, 3, 4)),
    (Residual((Dense(6), Tanh(), Dense(5, bias=False))), (5,)),
    (Residual((Conv2D(2, 3, padding=1), ReLU(), Conv2D(3, 5, padding="same", bias=False))), (3, 5, 4)),
    (Residual((BatchNorm2D(), LeakyReLU(0.2), Conv2D(2, 3, padding="same"), Dropout(0.4))), (2, 4, 4)),
    (
        Residual((Conv2D(3, 1), BatchNorm2D(0.3), Residual((Dropout(0.3), Conv2D(3, 3, padding=1))), Conv2D(2, 1))),
        (2, 3, 4),
    ),
    (Residual((Conv2D(2, 3, padding="same", padding_value=-1.0), ReLU())), (2, 4, 5)),
    (Votes(((0, 2), (1, 3, 4))), (5,)),
]


# Each at inference, and in training mode where that differs.
LAYER_MODE_CASES: list[tuple[Layer, Shape, bool]] = [
    (layer, shape, training)
    for layer, shape in LAYER_CASES
    for training in (
        (False, True) if layer.traits.uses_batch_statistics or layer.traits.is_stochastic else (False,)
    )
]


def case_id(case: tuple[Layer, Shape]) -> str:
    """The pytest id of a case."""
    layer, shape = case
    return f"{layer}-{'x'.join(map(str, shape))}"


def mode_case_id(value: Layer | Shape | bool) -> str:
    """The pytest id of a part of a case with its mode."""
    if isinstance(value, bool):
        return "training" if value else "inference"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def network_around(layer: Layer, shape: Shape) -> Network:
    """A network with `layer` between a first convolution (or Flatten and Dense) and a Dense of two classes, so that
    gradients flow through its parameters, into its input, and onward."""
    if len(shape) == 3:
        layers: tuple[Layer, ...] = (Conv2D(shape[0], 1), layer)
        if len(layer.output_shape(shape)) == 3:
            layers += (Flatten(),)
        return Network((2, *shape[1:]), (*layers, Dense(2)), classes=DRAWN_CLASSES)
    return Network((1, 2, 3), (Flatten(), Dense(shape[0]), layer, Dense(2)), classes=DRAWN_CLASSES)


def random_parameters(network: Network, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """Random parameters, biases too, and buffers whose variances are never near 0."""
    values = {name: rng.normal(0, 0.7, shape) for name, shape in network.parameter_shapes.items()}
    return {name: 0.5 + abs(value) if name.endswith(".variance") else value for name, value in values.items()}
