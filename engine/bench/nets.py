"""Nets: the reference networks that are timed, and the pictures and labels they are timed on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.backends.ops import HostArray
from engine.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Values
from engine.network import Network
from engine.optimizers import SGD
from engine.presets import PRESETS
from engine.recipe import Recipe

# Hanuschkin trained on 1,400 of his 2,000 pictures.
HANUSCHKIN_EPOCH = 1400


@dataclass(frozen=True)
class Net:
    """A network with a name, and how it learns. epoch: how many pictures make an epoch, 0 if nobody asks."""

    name: str
    network: Network
    recipe: Recipe
    epoch: int = 0


def _stage(features: int) -> tuple[Conv2D, ReLU, MaxPool2D]:
    return Conv2D(features, 3, padding="same"), ReLU(), MaxPool2D()


PLAIN = Recipe(SGD(0.01, momentum=0.9), batch=64)

TINY = Net("tiny", Network((1, 9, 9), (Conv2D(3, 3), ReLU(), MaxPool2D(edge="drop"), Flatten(), Dense(2))), PLAIN)
DEFAULT = Net("default", PRESETS["default"].network, PLAIN)
LARGE = Net(
    "large",
    Network((1, 64, 64), (*_stage(32), *_stage(64), *_stage(128), Flatten(), Dense(128), ReLU(), Dense(2))),
    PLAIN,
)

REFERENCE = (TINY, DEFAULT, LARGE)


def hanuschkin() -> Net:
    """His network and settings; his epoch was one of 1,400 pictures."""
    preset = PRESETS["hanuschkin"]
    assert preset.recipe is not None
    return Net("hanuschkin", preset.network, preset.recipe, HANUSCHKIN_EPOCH)


def parameters(net: Net) -> Values:
    """Weights to start from, the same for every contender; features all large enough to be seen in comparison."""
    layers = tuple(
        replace(layer, spread=None) if isinstance(layer, Conv2D) else layer for layer in net.network.layers
    )
    values = Network(net.network.input_shape, layers, net.network.classes).initial(1)
    return {name: np.full_like(array, 0.01) if name.endswith("bias") else array for name, array in values.items()}


def pictures(net: Net, count: int) -> tuple[HostArray, HostArray]:
    """Pictures (N, C, H, W) of noise from -1 to 1, float32, and labels (N,) int64 without rhyme or reason.

    What is in them makes no difference to the time, and nothing can be learnt from them so fast that gradients
    would vanish while the clock runs.
    """
    rng = np.random.default_rng(7)
    images = rng.uniform(-1, 1, (count, *net.network.input_shape)).astype(np.float32)
    return images, rng.integers(0, len(net.network.classes), count)
