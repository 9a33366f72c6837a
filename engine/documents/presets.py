"""Presets: named networks with the configuration of their training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.data import DATA_KINDS, DEFAULT_KIND, Augmentation
from engine.data.xo import XOSettings
from engine.nn import Network
from engine.nn.layers import Arrays, Center, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Votes
from engine.training import SGD, AdamW, Cosine, TrainingConfig

DRAWN_CLASSES = DATA_KINDS[DEFAULT_KIND].class_names

# Rohrer's three kernels ("features"): a falling line, a small cross, a rising line.
ARTICLE_KERNELS = np.array(
    [
        [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
        [[1, -1, 1], [-1, 1, -1], [1, -1, 1]],
        [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
    ],
    np.float32,
)[:, None]

# Per class, the indices of the values that are high in the article's list of twelve values.
ARTICLE_VOTE_INDICES = ((0, 3, 4, 9, 10), (1, 2, 8, 11))


@dataclass(frozen=True)
class Preset:
    """A named network.

    title, summary: a few words and a sentence for the window
    config: how its shipped weights were trained, None if they are hand-made
    other_recipes: further configurations, by name
    """

    name: str
    title: str
    summary: str
    network: Network
    config: TrainingConfig | None = None
    other_configs: Mapping[str, TrainingConfig] = field(default_factory=dict)


WALKTHROUGH = Preset(
    "walkthrough",
    "Walk-through",
    "The article's worked example: 9 × 9 pixels and three hand-made features (kernels).",
    Network(
        (1, 9, 9),
        (Conv2D(3, 3, mean=True), ReLU(), MaxPool2D(), MaxPool2D(), Flatten(), Votes(ARTICLE_VOTE_INDICES)),
        vote="score",
        classes=DRAWN_CLASSES,
    ),
)

# The walk-through with trainable parameters: a fully connected layer in place of the fixed votes, and sums in place
# of means, so that kernels and weights are of the same scale and a nudge of one size affects all alike.
TRAINABLE_WALKTHROUGH = Network(
    (1, 9, 9), (Conv2D(3, 3), ReLU(), MaxPool2D(), MaxPool2D(), Flatten(), Dense(2)), classes=DRAWN_CLASSES
)

# The padding is the value of an empty canvas, so that the frame of the picture is no edge; the votes start almost
# equal.
DEFAULT = Preset(
    "default",
    "Default",
    "48 × 48 pixels, three convolution stages with features (kernels) found by training.",
    Network(
        (1, 48, 48),
        (
            Conv2D(8, 5, padding="same", padding_value=-1.0),
            ReLU(),
            MaxPool2D(),
            Conv2D(16, 3, padding="same"),
            ReLU(),
            MaxPool2D(),
            Conv2D(24, 3, padding="same"),
            ReLU(),
            MaxPool2D(),
            Flatten(),
            Dense(32),
            ReLU(),
            Dense(2, spread=0.025),
        ),
        classes=DRAWN_CLASSES,
    ),
    TrainingConfig(
        AdamW(0.003, decay=0.1), Cosine(0.01, warmup=0.02), epochs=120, data=XOSettings(side=48, neither=0.3)
    ),
)

# Alexander Hanuschkin's MATLAB implementation for the article (hanuschkin/DeepLearning_XOexample_Matlab on GitHub):
# its layers and the standard deviation of its first kernels. The recipe "author" has its settings, with 20 epochs
# at once for his twice 10; "augmented" is ours and needs half as many. Both are measured in docs/hanuschkin.md. The
# shipped weights are trained on generated drawings, as his pictures are under the GPL.
HANUSCHKIN = Preset(
    "hanuschkin",
    "Hanuschkin",
    "116 × 116 pixels, three convolution stages with large kernels, after Hanuschkin's MATLAB example.",
    Network(
        (1, 116, 116),
        (
            Center(),
            Conv2D(16, 10, padding=4, spread=0.0001),
            ReLU(),
            MaxPool2D(5, 2, "drop"),
            Conv2D(32, 10, padding=4),
            ReLU(),
            MaxPool2D(5, 2, "drop"),
            Conv2D(32, 10, padding=2),
            ReLU(),
            MaxPool2D(3, 2, "drop"),
            Flatten(),
            Dense(2),
        ),
        classes=DRAWN_CLASSES,
    ),
    TrainingConfig(
        AdamW(0.001, decay=0.05),
        Cosine(0.01, warmup=0.05),
        batch=32,
        epochs=5,
        examples=16_000,
        held_out=4_000,
        data=XOSettings(side=116, neither=0.3),
    ),
    {
        "author": TrainingConfig(SGD(0.001), batch=64, epochs=20, l2=0.004),
        "augmented": TrainingConfig(
            AdamW(0.001, decay=0.01),
            Cosine(0.01, warmup=0.05),
            batch=32,
            epochs=10,
            augmentation=Augmentation(shift=0.1, rotation=15, scale=0.2, shear=0.2, flip=True),
        ),
    },
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (DEFAULT, WALKTHROUGH, HANUSCHKIN)}


def preset(name: str) -> Preset:
    """The preset called `name`. Raises ValueError, which lists the names."""
    if name not in PRESETS:
        raise ValueError(f"There is no preset called {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def handmade_parameters() -> Arrays:
    """The parameters of the walk-through: the article's kernels, with zero biases."""
    return {"conv2d-1.weight": ARTICLE_KERNELS, "conv2d-1.bias": np.zeros(3, np.float32)}
