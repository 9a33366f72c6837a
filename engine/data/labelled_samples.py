"""Labelled samples: inputs that the user labelled, encoded as a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.data.data_kind import DataKind, DataSettings, InputSample
from engine.data.dataset import NO_CLASS, Dataset
from engine.data.kinds import kind_of

MAX_WEIGHT: Final = 20


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """An input with its label.

    sample: as the network reads it
    label: the name of its class, or "neither"
    weight: how many times it occurs in every epoch; 0 leaves it out

    Raises ValueError for a weight outside 0 to 20.
    """

    sample: InputSample[Any]
    label: str
    weight: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= MAX_WEIGHT:
            raise ValueError(f"The weight of an example must be from 0 to {MAX_WEIGHT}, not {self.weight}.")


def encode_labelled(labelled: Sequence[LabelledSample], settings: DataSettings) -> Dataset:
    """Encodes labelled samples as examples with these settings, each repeated `weight` times in a row.

    Raises ValueError for a label that is neither a class nor "neither", and for a sample of another kind of data.
    """
    kind = kind_of(settings)
    classes, shape = kind.classes(settings), kind.input_shape(settings)
    for each in labelled:
        _check(each, kind, classes)
    counted = [each for each in labelled if each.weight]
    images = [each.sample.of_kind(kind).array(shape) for each in counted]
    weights = [each.weight for each in counted]
    labels = [classes.index(each.label) if each.label in classes else -1 for each in counted]
    stacked = np.array(images, np.float32).reshape(len(images), *shape)
    return Dataset(np.repeat(stacked, weights, 0), np.repeat(np.array(labels, np.int64), weights), classes)


def _check(labelled: LabelledSample, kind: DataKind[Any, Any], classes: tuple[str, ...]) -> None:
    noun = labelled.sample.kind.noun
    if labelled.label not in (*classes, NO_CLASS):
        raise ValueError(
            f"A {noun} is labelled {labelled.label}, but the classes of the network are {' and '.join(classes)}; "
            f"relabel the {noun} or delete it."
        )
    if not labelled.sample.has_source_of(kind):
        raise ValueError(
            f"A {noun} is labelled {labelled.label}, but the network reads {kind.plural}; delete the {noun}."
        )


def total_weight(labelled: Sequence[LabelledSample]) -> int:
    """The number of examples that the samples add to an epoch."""
    return sum(each.weight for each in labelled)
