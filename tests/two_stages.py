"""TWO_STAGES: a network of two convolution stages, for tests of how networks are shown."""

from __future__ import annotations

from engine.nn import Network
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU

TWO_STAGES = Network(
    (1, 32, 32),
    (
        Conv2D(8, 5, padding="same"),
        ReLU(),
        MaxPool2D(),
        Conv2D(16, 3, padding="same"),
        ReLU(),
        MaxPool2D(),
        Flatten(),
        Dense(32),
        ReLU(),
        Dense(2),
    ),
    classes=("X", "O"),
)
