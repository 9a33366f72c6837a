"""DataKind: what a kind of data says about itself: how its inputs are made, read, encoded and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import Dataset
from engine.drawings import Drawing, FloatArray, fit_to_frame, render
from engine.formats import Note, read_picture
from engine.nn import Network
from engine.nn.layers import ShapeError, shape_text

InputShape: TypeAlias = tuple[int, int, int]

INPUT_GROUP: Final = "input"
SAMPLES_PER_CLASS: Final = 6
MIN_SIDE, MAX_SIDE = 4, 1024  # of a drawing, in pixels
_SAMPLES_SEED: Final = 1


@dataclass(frozen=True)
class DataSettings:
    """The base of the settings with which examples of a kind are generated, a frozen dataclass.

    kind: the kind's name in DATA_KINDS. The names of the fields are keys in saved files and on the command line;
    the FormField of each holds its limits. Those of the group "" are shown in the window; those of INPUT_GROUP
    follow from the network's input.
    """

    kind: ClassVar[str]


Settings = TypeVar("Settings", bound=DataSettings)
Source = TypeVar("Source")


@dataclass(frozen=True, eq=False)
class ExampleInput(Generic[Source]):
    """A source that shows a class, and a caption in words, "" for none."""

    source: Source
    caption: str = ""


@dataclass(frozen=True)
class VariedProperty:
    """A property of an input that is varied in robustness tests.

    name: one word, such as "shift"
    values: ascending, `baseline` among them
    unit: "of the frame", "degrees" or "of the ink"
    """

    name: str
    values: tuple[float, ...]
    baseline: float
    unit: str


class VariedInputs(Protocol):
    """Generated inputs of which one property at a time is set to a value."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), indices into the classes."""
        ...

    def images(self, name: str, value: float) -> FloatArray:
        """All inputs (N, C, H, W) with property `name` set to `value`."""
        ...

    def source(self, index: int, name: str, value: float) -> Any:
        """The source of one of them."""
        ...


class Variations(ABC):
    """How the inputs of a kind are varied in robustness tests."""

    @abstractmethod
    def properties(self, input_shape: InputShape) -> tuple[VariedProperty, ...]:
        """The varied properties, all with the same number of values."""

    @abstractmethod
    def inputs(self, input_shape: InputShape, count: int, seed: Sequence[int]) -> VariedInputs:
        """`count` inputs, equally many of each class; the same arguments give the same inputs."""

    @abstractmethod
    def measure(self, source: Any, image: FloatArray) -> Mapping[str, float]:
        """The properties of an input, by name, that can be measured; image: the encoded source."""


class DataKind(ABC, Generic[Settings, Source]):
    """A kind of data. All that depends on the kind of data is asked here, by way of DATA_KINDS.

    A source is an input as the user edits it, such as a Drawing; encoded, it is what a network reads.

    name: in files and on the command line
    title: for the user; noun, plural: what an input is called, such as "drawing" and "drawings"
    settings: the class of the generator's settings, None for a kind that is only read from files
    class_names: unless settings say otherwise, as `classes` does
    input_view: the key of the view that shows and edits a source, in the window's INPUT_VIEWS
    phrases: how a class is called in a sentence, such as "an X", by name; others are called by their name
    symbols: the shape that stands for a class, "cross" or "ring", by name; others get a shape by their index
    variations: how robustness tests vary its inputs, None if they cannot
    """

    name: ClassVar[str]
    title: ClassVar[str]
    noun: ClassVar[str]
    plural: ClassVar[str]
    settings: ClassVar[type[DataSettings] | None] = None
    class_names: ClassVar[tuple[str, ...]] = ()
    input_view: ClassVar[str]
    phrases: ClassVar[Mapping[str, str]] = {}
    symbols: ClassVar[Mapping[str, str]] = {}
    variations: ClassVar[Variations | None] = None

    # --- examples

    def default_settings(self) -> Settings:
        """Raises ValueError for a kind that is only read from files."""
        if self.settings is None:
            raise ValueError(f"{self.title} cannot be generated; give the path of a file or folder.")
        settings: Any = self.settings()
        checked: Settings = settings
        return checked

    def classes(self, settings: Settings) -> tuple[str, ...]:
        """The classes of examples with these settings, in the order of a network's scores."""
        return self.class_names

    @abstractmethod
    def input_shape(self, settings: Settings) -> InputShape:
        """(channels, height, width) of examples with these settings."""

    @abstractmethod
    def with_input_shape(self, settings: Settings, input_shape: InputShape) -> Settings:
        """The settings for examples of this shape. Raises ShapeError or ValueError if there are none."""

    @abstractmethod
    def generate(self, settings: Settings, count: int, seed: int | Sequence[int]) -> Dataset:
        """`count` examples; the same settings, count and seed give the same bytes."""

    @abstractmethod
    def class_counts(self, settings: Settings, count: int) -> tuple[int, ...]:
        """How many of `count` generated examples are of each class, and at the end, of none."""

    def without_unlabelled(self, settings: Settings) -> Settings:
        """The settings under which every example is of a class."""
        return settings

    def samples(self, settings: Settings) -> Dataset:
        """About SAMPLES_PER_CLASS examples of each class, for a preview, in the order of the classes."""
        labels = len(self.classes(settings)) + 1
        generated = self.generate(settings, SAMPLES_PER_CLASS * labels, _SAMPLES_SEED)
        return generated.take(np.argsort(generated.labels % labels, kind="stable"))

    def fits(self, network: Network) -> bool:
        """Whether examples can be generated for a network: its classes and its input are those of this kind."""
        return _fits(self, network.input_shape, network.classes)

    # --- a single input

    @abstractmethod
    def blank(self) -> Source:
        """A source without content."""

    @abstractmethod
    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Source]:
        """A source that shows this class, or none for "neither"; turn: how many of this label were made before.

        Raises ValueError for an unknown label.
        """

    @abstractmethod
    def encode(self, source: Source, input_shape: InputShape) -> FloatArray:
        """The source as a network reads it, (C, H, W), -1 to 1."""

    @abstractmethod
    def decode(self, image: FloatArray) -> Source:
        """A source that is encoded as this image (C, H, W)."""

    def fit_to_frame(self, source: Source) -> Source:
        """The source as it is encoded if the user wants its content centred and scaled to the input."""
        return source

    @abstractmethod
    def read_source(self, path: Path, note: Note | None = None) -> Source:
        """The source in a file; note: called with a sentence on a flaw that is no error. Raises FileError."""

    @abstractmethod
    def check_input(self, network: Network, name: str) -> None:
        """Raises ShapeError or ValueError, one sentence, unless the network called `name` reads such inputs."""

    def templates(self, input_shape: InputShape) -> FloatArray | None:
        """One typical input of each class, (classes, H, W), for template matching; None if there are none."""
        return None


@lru_cache(maxsize=64)  # asked several times a stroke
def _fits(kind: DataKind[Any, Any], input_shape: InputShape, classes: tuple[str, ...]) -> bool:
    if kind.settings is None:
        return False
    try:
        fitted = kind.with_input_shape(kind.default_settings(), input_shape)
    except ValueError:
        return False
    return kind.classes(fitted) == classes


class DrawingKind(DataKind[Settings, Drawing]):
    """The base of kinds whose sources are drawings, read as one square map; the settings have a field `side`."""

    noun = "drawing"
    plural = "drawings"
    input_view = "canvas"

    def input_shape(self, settings: Settings) -> InputShape:
        side: int = getattr(settings, "side")  # noqa: B009
        return 1, side, side

    def with_input_shape(self, settings: Settings, input_shape: InputShape) -> Settings:
        channels, height, width = input_shape
        if channels != 1 or height != width:
            raise ShapeError(
                f"Generated {self.plural} are one square map, but the network's input is "
                f"{shape_text(input_shape)}; "
                "give it pictures with --data."
            )
        changes: dict[str, Any] = {"side": height}
        return replace(settings, **changes)

    def blank(self) -> Drawing:
        return Drawing()

    def encode(self, source: Drawing, input_shape: InputShape) -> FloatArray:
        return render(source, input_shape[1])[None]

    def decode(self, image: FloatArray) -> Drawing:
        return Drawing(image=image[0])

    def fit_to_frame(self, source: Drawing) -> Drawing:
        return fit_to_frame(source)

    def read_source(self, path: Path, note: Note | None = None) -> Drawing:
        return Drawing(image=read_picture(path, note))

    def check_input(self, network: Network, name: str) -> None:
        channels, side, width = network.input_shape
        if channels != 1 or side != width:
            raise ShapeError(
                f"{name} reads {shape_text(network.input_shape)}, but a drawing is one square map; choose a "
                "network with a 1 × n × n input."
            )
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise ValueError(
                f"{name} reads {side:,} × {side:,} pixels, but a drawing is read at {MIN_SIDE} × {MIN_SIDE} to "
                f"{MAX_SIDE:,} × {MAX_SIDE:,}; choose a network with such an input."
            )
