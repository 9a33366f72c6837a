"""OwnDrawings: the kind of data of classes of the user's choice, whose examples are drawings they labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

import numpy as np

from engine.data.augmentation import Augmentation, augment
from engine.data.data_kind import INPUT_GROUP, DataSettings, ExampleInput, InputShape
from engine.data.dataset import NO_CLASS, Dataset
from engine.data.drawing_kind import MAX_SIDE, MIN_SIDE, DrawingKind
from engine.drawings import Drawing
from engine.form_fields import FormField, check_fields, form_field
from engine.nn import Network

MAX_OWN_CLASSES: Final = 20  # as many have a colour and a shape of their own


def _metadata(name: str, most: float, unit: str, text: str) -> Mapping[str, FormField]:
    return form_field(FormField(name, text, unit=unit, least=0.0, most=most))


@dataclass(frozen=True)
class OwnSettings(DataSettings):
    """The classes, and how far each labelled drawing is varied, at random between minus and plus the setting.

    Raises ValueError for a setting outside its limits, and for fewer than two different classes.
    """

    kind: ClassVar[str] = "own"
    side: int = field(
        default=32,
        metadata=form_field(
            FormField(
                "side",
                "The height and width of the pictures.",
                unit="pixels",
                group=INPUT_GROUP,
                least=MIN_SIDE,
                most=MAX_SIDE,
            )
        ),
    )
    classes: tuple[str, ...] = ("A", "B")
    shift: float = field(
        default=0.08, metadata=_metadata("shift", 0.5, "of the frame", "The shift along each axis.")
    )
    rotation: float = field(default=12.0, metadata=_metadata("rotation", 180.0, "degrees", "The rotation."))
    scale: float = field(
        default=0.15, metadata=_metadata("size", 1.0, "of the drawing", "The change of the size, as a logarithm.")
    )
    shear: float = field(default=0.1, metadata=_metadata("shear", 0.5, "of the height", "The shear."))

    def __post_init__(self) -> None:
        check_fields(self)
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"Labelled drawings need two or more different classes, not {self.classes!r}.")


class OwnDrawings(DrawingKind[OwnSettings]):
    """Drawings of classes of the user's choice: those that they labelled, and variations of them.

    known: a kind that makes examples of some classes, and of what is neither
    """

    name = "own"
    title = "Your drawings"
    settings: ClassVar[type[DataSettings] | None] = OwnSettings
    varies_labelled = True

    def __init__(self, known: DrawingKind[Any]) -> None:
        self._known = known

    @property
    def not_generated(self) -> str:
        return "Drawings of classes of your own cannot be generated; draw some, and label them."

    def classes(self, settings: OwnSettings) -> tuple[str, ...]:
        return settings.classes

    def settings_for(self, network: Network) -> OwnSettings:
        fitted = self.with_input_shape(self.default_settings(), network.input_shape)
        return replace(fitted, classes=network.classes)

    def fits(self, network: Network) -> bool:
        """Whether the network reads drawings, whatever its classes are."""
        channels, height, width = network.input_shape
        return channels == 1 and height == width and MIN_SIDE <= height <= MAX_SIDE

    def generate(self, settings: OwnSettings, count: int, seed: int | Sequence[int]) -> Dataset:
        raise ValueError(self.not_generated)

    def vary(self, settings: OwnSettings, examples: Dataset, seed: int | Sequence[int]) -> Dataset:
        limits = Augmentation(settings.shift, settings.rotation, settings.scale, settings.shear)
        return augment(examples, limits, seed)

    def samples(self, settings: OwnSettings) -> Dataset:
        """None, since nothing is generated."""
        return Dataset(
            np.zeros((0, *self.input_shape(settings)), np.float32), np.zeros(0, np.int64), settings.classes
        )

    def class_counts(self, settings: OwnSettings, count: int) -> tuple[int, ...]:
        return (0,) * (len(settings.classes) + 1)

    def has_example(self, label: str) -> bool:
        return label in (*self._known.class_names, NO_CLASS)

    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Drawing]:
        if not self.has_example(label):
            raise ValueError(self.not_generated)
        return self._known.example(label, input_shape, rng, turn)
