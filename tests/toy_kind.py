"""Kinds of data that the program does not have, which tests add to the one table: bars, upright or level, which are
drawn, and rows of a table, rising or falling, whose sources are no drawings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from engine.backends import HostArray
from engine.data import (
    INPUT_GROUP,
    DataKind,
    Dataset,
    DataSettings,
    DrawingKind,
    ExampleInput,
    InputShape,
    ReadProgress,
)
from engine.drawings import Drawing, FloatArray
from engine.form_fields import FormField, check_fields, form_field
from engine.formats import FileError, InvalidFile, Note
from engine.nn import Network


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


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class RowSettings(DataSettings):
    kind: ClassVar[str] = "rows"
    noise: float = field(default=0.1, metadata=form_field(FormField("noise", "How noisy.", least=0.0, most=0.5)))


class RowKind(DataKind[RowSettings, Row]):
    name = "rows"
    title = "Rows of a table"
    noun = "row"
    plural = "rows"
    source_type: ClassVar[type] = Row
    settings: ClassVar[type[DataSettings] | None] = RowSettings
    class_names = ("rising", "falling")
    input_view = "row"
    shape: ClassVar[InputShape] = (1, 1, 4)

    def input_shape(self, settings: RowSettings) -> InputShape:
        return self.shape

    def with_input_shape(self, settings: RowSettings, input_shape: InputShape) -> RowSettings:
        if input_shape != self.shape:
            raise ValueError(f"Rows have {self.shape[-1]} numbers.")
        return settings

    def generate(self, settings: RowSettings, count: int, seed: int | Sequence[int]) -> Dataset:
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.array([0, 1], np.int64), self.class_counts(settings, count)[:2])
        rng.shuffle(labels)
        rows = np.linspace(-0.5, 0.5, 4) * np.where(labels, -1, 1)[:, None]
        rows = rows + settings.noise * rng.standard_normal(rows.shape)
        return Dataset(rows.clip(-1, 1).astype(np.float32).reshape(-1, *self.shape), labels, self.class_names)

    def class_counts(self, settings: RowSettings, count: int) -> tuple[int, ...]:
        return (count + 1) // 2, count // 2, 0

    def blank(self) -> Row:
        return Row((0.0,) * 4)

    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Row]:
        if label == "neither":
            return ExampleInput(self.blank())
        ends = (-1, 1) if label == "rising" else (1, -1)
        return ExampleInput(Row(tuple(np.linspace(*ends, 4).tolist())), f"{label}, number {turn}")

    def encode(self, source: Row, input_shape: InputShape) -> FloatArray:
        return np.array(source.values, np.float32).reshape(input_shape)

    def decode(self, image: FloatArray) -> Row:
        return Row(tuple(image.ravel().tolist()))

    def reads_examples(self, input_shape: InputShape) -> bool:
        return input_shape == self.shape

    def read_examples(
        self, path: Path, input_shape: InputShape, progress: ReadProgress | None = None, note: Note | None = None
    ) -> Dataset:
        """A folder with a subfolder of text files for each class."""
        files = self.find_sources(path)
        classes = sorted({file.parent.name for file in files})
        labels = np.array([classes.index(file.parent.name) for file in files], np.int64)
        images = [self.encode(self.read_source(file), input_shape) for file in files]
        return Dataset(np.stack(images), labels, tuple(classes))

    def read_source(self, path: Path, note: Note | None = None, proceed: Callable[[], None] | None = None) -> Row:
        try:
            return Row(tuple(float(word) for word in path.read_text().split()))
        except (OSError, ValueError) as error:
            raise FileError(f"{path} is no row of numbers.") from error

    def sources_to_arrays(self, sources: Sequence[Row]) -> Mapping[str, HostArray]:
        return {"values": np.array([source.values for source in sources], np.float32).reshape(-1, 4)}

    def sources_from_arrays(self, arrays: Mapping[str, HostArray]) -> list[Row]:
        values = arrays.get("values")
        if values is None or values.shape[1:] != (4,):
            raise InvalidFile("holds no rows")
        return [Row(tuple(row)) for row in values.tolist()]

    def check_input(self, network: Network, name: str) -> None:
        if network.input_shape != self.shape:
            raise ValueError(f"{name} reads no rows.")
