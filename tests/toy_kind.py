"""A kind of data that the program does not have: bars, upright or level. A test adds it to the one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from engine.data import (
    INPUT_GROUP,
    Dataset,
    DataSettings,
    DrawingKind,
    ExampleInput,
    InputShape,
)
from engine.drawings import Drawing, FloatArray
from engine.form_fields import FormField, check_fields, form_field


@dataclass(frozen=True)
class ToySettings(DataSettings):
    kind: ClassVar[str] = "toy"
    side: int = field(
        default=8, metadata=form_field(FormField("side", "The side.", group=INPUT_GROUP, least=4, most=64))
    )
    thickness: tuple[float, float] = field(
        default=(0.2, 0.4),
        metadata=form_field(
            FormField("thickness of bars", "How thick the bars are.", unit="of the frame", least=0.1, most=0.5)
        ),
    )
    empty: float = field(
        default=0.0,
        metadata=form_field(
            FormField("empty", "How many have no bar.", unit="of all pictures", least=0.0, most=1.0)
        ),
    )

    def __post_init__(self) -> None:
        check_fields(self)


class ToyKind(DrawingKind[ToySettings]):
    name = "toy"
    title = "Bars"
    noun = "bar"
    plural = "bars"
    settings: ClassVar[type[DataSettings] | None] = ToySettings
    class_names = ("upright", "level")
    phrases: ClassVar[Mapping[str, str]] = {"upright": "an upright bar", "level": "a level bar"}

    def generate(self, settings: ToySettings, count: int, seed: int | Sequence[int]) -> Dataset:
        rng, side = np.random.default_rng(seed), settings.side
        labels = np.repeat(np.array([0, 1, -1], np.int64), self.class_counts(settings, count))
        rng.shuffle(labels)
        images = np.full((count, 1, side, side), -1, np.float32)
        for image, label in zip(images, labels, strict=True):
            thick = max(1, round(side * rng.uniform(*settings.thickness)))
            start = int(rng.integers(0, side - thick + 1))
            bar = slice(start, start + thick)
            if label >= 0:
                image[(0, slice(None), bar) if label == 0 else (0, bar)] = 1
        return Dataset(images, labels, self.class_names)

    def class_counts(self, settings: ToySettings, count: int) -> tuple[int, ...]:
        empty = round(settings.empty * count)
        upright = (count - empty + 1) // 2
        return upright, count - empty - upright, empty

    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Drawing]:
        if label not in (*self.class_names, "neither"):
            raise ValueError(f"No bar is called {label}.")
        picture: FloatArray = np.full((8, 8), -1, np.float32)
        if label in self.class_names:
            picture[(slice(None), turn % 8) if label == "upright" else turn % 8] = 1
        return ExampleInput(Drawing(image=picture))
