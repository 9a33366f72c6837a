"""Own drawings: what a person drew, what they say it is, and how it becomes examples. Not where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.data.dataset import Examples
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render

NEITHER: Final = "neither"
HEAVIEST: Final = 20


@dataclass(frozen=True, eq=False)
class OwnDrawing:
    """drawing: as a network reads it. label: the name of its class, or "neither". weight: how many times it counts,
    that is, comes up in every epoch; 0 leaves it out. Raises ValueError for a weight outside 0 to 20."""

    drawing: Drawing
    label: str
    weight: int = 1

    def __post_init__(self) -> None:
        """Checks the weight."""
        if not 0 <= self.weight <= HEAVIEST:
            raise ValueError(f"A drawing's weight must be from 0 to {HEAVIEST}, not {self.weight}.")


def own_examples(own: Sequence[OwnDrawing], side: int, classes: tuple[str, ...]) -> Examples:
    """The drawings as pictures (N, 1, side, side), each as many times in a row as its weight says.

    Raises ValueError for a label that is neither a class nor "neither".
    """
    for each in own:
        if each.label not in (*classes, NEITHER):
            raise ValueError(
                f"A drawing is labelled {each.label}, but the network tells {' and '.join(classes)} apart; "
                "relabel the drawing or delete it."
            )
    pictures = [render(each.drawing, side) for each in own if each.weight]
    weights = [each.weight for each in own if each.weight]
    places = [classes.index(each.label) if each.label in classes else -1 for each in own if each.weight]
    images = np.array(pictures, np.float32).reshape(len(pictures), 1, side, side)
    return Examples(np.repeat(images, weights, 0), np.repeat(np.array(places, np.int64), weights), classes)


def counted(own: Sequence[OwnDrawing]) -> int:
    """How many examples they make in an epoch."""
    return sum(each.weight for each in own)
