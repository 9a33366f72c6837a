"""Labelled drawings: what the user drew and labelled, rendered as a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.data.data_kind import DataSettings
from engine.data.dataset import NO_CLASS, Dataset
from engine.data.kinds import kind_of
from engine.drawings import Drawing

MAX_WEIGHT: Final = 20


@dataclass(frozen=True, eq=False)
class LabelledDrawing:
    """A drawing with its label.

    drawing: as the network reads it
    label: the name of its class, or "neither"
    weight: how many times it occurs in every epoch; 0 leaves it out

    Raises ValueError for a weight outside 0 to 20.
    """

    drawing: Drawing
    label: str
    weight: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= MAX_WEIGHT:
            raise ValueError(f"A drawing's weight must be from 0 to {MAX_WEIGHT}, not {self.weight}.")


def render_labelled(labelled: Sequence[LabelledDrawing], settings: DataSettings) -> Dataset:
    """Encodes labelled drawings as examples with these settings, each repeated `weight` times in a row.

    Raises ValueError for a label that is neither a class nor "neither".
    """
    kind = kind_of(settings)
    classes, shape = kind.classes(settings), kind.input_shape(settings)
    for each in labelled:
        if each.label not in (*classes, NO_CLASS):
            raise ValueError(
                f"A drawing is labelled {each.label}, but the classes of the network are {' and '.join(classes)}; "
                "relabel the drawing or delete it."
            )
    counted_drawings = [each for each in labelled if each.weight]
    pictures = [kind.encode(each.drawing, shape) for each in counted_drawings]
    weights = [each.weight for each in counted_drawings]
    labels = [classes.index(each.label) if each.label in classes else -1 for each in counted_drawings]
    images = np.array(pictures, np.float32).reshape(len(pictures), *shape)
    return Dataset(np.repeat(images, weights, 0), np.repeat(np.array(labels, np.int64), weights), classes)


def total_weight(labelled: Sequence[LabelledDrawing]) -> int:
    """The number of examples that the drawings add to an epoch."""
    return sum(each.weight for each in labelled)
