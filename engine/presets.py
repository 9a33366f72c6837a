"""Presets: networks with a name, ready to be opened. Not their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.datasets.xo_settings import XOSettings
from engine.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Values, Votes
from engine.network import Network
from engine.optimizers import AdamW
from engine.recipe import Recipe
from engine.schedules import Cosine

# Rohrer's three features: a falling line, a small cross, a rising line.
ARTICLE_FEATURES = np.array(
    [
        [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
        [[1, -1, 1], [-1, 1, -1], [1, -1, 1]],
        [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
    ],
    np.float32,
)[:, None]

# The places, counted from 0, of the values that are high in the article's twelve-value list for each class.
ARTICLE_STRONG = ((0, 3, 4, 9, 10), (1, 2, 8, 11))


@dataclass(frozen=True)
class Preset:
    """A named network. title and summary: what the window says of it, a few words and one sentence. recipe: how
    its shipped weights were trained, None if they were made by hand."""

    name: str
    title: str
    summary: str
    network: Network
    recipe: Recipe | None = None


WALKTHROUGH = Preset(
    "walkthrough",
    "Walk-through",
    "The article's worked example: 9 × 9 pixels and three features made by hand.",
    Network(
        (1, 9, 9),
        (Conv2D(3, 3, mean=True), ReLU(), MaxPool2D(), MaxPool2D(), Flatten(), Votes(ARTICLE_STRONG)),
        vote="score",
    ),
)

DEFAULT = Preset(
    "default",
    "Default",
    "32 × 32 pixels, two stages of features that training found by itself.",
    Network(
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
    ),
    Recipe(AdamW(0.003, decay=0.1), Cosine(0.01), epochs=60, data=XOSettings(neither=0.25)),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (DEFAULT, WALKTHROUGH)}


def preset(name: str) -> Preset:
    """The preset called `name`. Raises ValueError, naming those there are."""
    if name not in PRESETS:
        raise ValueError(f"There is no preset called {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def handmade_parameters() -> Values:
    """The walk-through's parameters: the article's features, no bias."""
    return {"01-conv2d.weight": ARTICLE_FEATURES, "01-conv2d.bias": np.zeros(3, np.float32)}
