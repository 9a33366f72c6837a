"""Small training runs shared by several tests: networks, drawings, and a loop over all steps."""

from __future__ import annotations

import hashlib

import numpy as np

from engine.backends import choose_backend
from engine.data import GeneratedSource
from engine.data.xo import XOSettings
from engine.explain import Templates, templates
from engine.nn import Network
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Residual, Tanh
from engine.training import Trainer, TrainingConfig

CPU = choose_backend("cpu")
SMALL = Network((1, 12, 12), (Conv2D(4, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O"))
DATA = XOSettings(side=12, noise=(0, 0.1), size=(0.6, 1.0))

# Everything that has state of its own in a run: dropout, running statistics, a residual block.
MIXED = Network(
    (1, 12, 12),
    (
        Conv2D(3, 3, padding="same"),
        BatchNorm2D(),
        ReLU(),
        Residual((Conv2D(3, 3, padding="same"), BatchNorm2D(), Tanh())),
        MaxPool2D(),
        Flatten(),
        Dropout(0.3),
        Dense(2),
    ),
    classes=("X", "O"),
)
# Without layers that use batch statistics, so that batches can be split.
SLICEABLE = Network(
    (1, 12, 12), (Conv2D(4, 3), ReLU(), MaxPool2D(), Flatten(), Dropout(0.3), Dense(2)), classes=("X", "O")
)


def xo_templates(side: int) -> Templates:
    """The templates of X and O that a network of this side is compared with."""
    found = templates(Network((1, side, side), (Flatten(), Dense(2)), classes=("X", "O")))
    assert found is not None
    return found


def generated_source(config: TrainingConfig) -> GeneratedSource:
    """The generated drawings of a configuration."""
    return GeneratedSource(config.data, config.examples, config.seed)


def train_to_end(config: TrainingConfig, network: Network = SMALL) -> Trainer:
    """A run from start to end."""
    trainer = Trainer(network, generated_source(config), config, CPU)
    for _ in trainer.run():
        pass
    return trainer


def chunk_sizes(trainer: Trainer) -> set[int]:
    """The sizes of the slices that batches of the run were split into."""
    return {size for _, size, total in trainer._stepper._plans if total}


def digest(values: dict[str, np.ndarray]) -> str:
    """A hash that differs if a single bit does."""
    parts = (name.encode() + values[name].tobytes() for name in sorted(values))
    return hashlib.sha256(b"".join(parts)).hexdigest()
