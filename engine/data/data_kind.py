"""DataKind: what a kind of data says about itself: how its inputs are made, read, encoded and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.backends import HostArray
from engine.data.dataset import Dataset
from engine.drawings import FloatArray
from engine.formats import Note
from engine.nn import Network

InputShape: TypeAlias = tuple[int, int, int]
# Called with the number of examples read and the total; an exception from it stops the reading.
ReadProgress: TypeAlias = Callable[[int, int], None]

INPUT_GROUP: Final = "input"
SAMPLES_PER_CLASS: Final = 6
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
    source_type: the class of its sources, which several kinds may share
    settings: the class of the generator's settings, None for a kind that is only read from files
    class_names: unless settings say otherwise, as `classes` does
    input_view: the key of the view that shows and edits a source, in the window's INPUT_VIEWS
    phrases: how a class is called in a sentence, such as "an X", by name; others are called by their name
    symbols: the shape that stands for a class, "cross" or "ring", by name; others get a shape by their index
    variations: how robustness tests vary its inputs, None if they cannot
    varies_labelled: whether it generates no examples, so that those of a run are variations of labelled samples
    """

    name: ClassVar[str]
    title: ClassVar[str]
    noun: ClassVar[str]
    plural: ClassVar[str]
    source_type: ClassVar[type]
    settings: ClassVar[type[DataSettings] | None] = None
    class_names: ClassVar[tuple[str, ...]] = ()
    input_view: ClassVar[str]
    phrases: ClassVar[Mapping[str, str]] = {}
    symbols: ClassVar[Mapping[str, str]] = {}
    variations: ClassVar[Variations | None] = None
    varies_labelled: ClassVar[bool] = False

    # --- examples

    def default_settings(self) -> Settings:
        """Raises ValueError for a kind that is only read from files."""
        if self.settings is None:
            raise ValueError(self.not_generated)
        settings: Any = self.settings()
        checked: Settings = settings
        return checked

    @property
    def not_generated(self) -> str:
        """Why there are no settings, in one sentence, of a kind that is only read from files."""
        return f"{self.title} cannot be generated; give the path of a file or folder."

    def reads_examples(self, input_shape: InputShape) -> bool:
        """Whether `read_examples` can make examples for such an input of files."""
        return False

    def read_examples(
        self,
        path: Path,
        input_shape: InputShape,
        progress: ReadProgress | None = None,
        note: Note | None = None,
    ) -> Dataset:
        """The labelled examples in a file or folder, with classes of their own.

        progress: called at intervals. note: called with a sentence on a flaw that is no error.

        Raises FileError, and ShapeError for an input that it makes no examples for.
        """
        raise ValueError(
            f"{self.title} cannot be read from files; give the settings with which they are generated."
        )

    def classes(self, settings: Settings) -> tuple[str, ...]:
        """The classes of examples with these settings, in the order of a network's scores."""
        return self.class_names

    @abstractmethod
    def input_shape(self, settings: Settings) -> InputShape:
        """(channels, height, width) of examples with these settings."""

    @abstractmethod
    def with_input_shape(self, settings: Settings, input_shape: InputShape) -> Settings:
        """The settings for examples of this shape. Raises ShapeError or ValueError if there are none."""

    def settings_for(self, network: Network) -> Settings:
        """The settings for examples of a network's input. Raises ShapeError or ValueError if there are none."""
        return self.with_input_shape(self.default_settings(), network.input_shape)

    def vary(self, settings: Settings, examples: Dataset, seed: int | Sequence[int]) -> Dataset:
        """A variation of each example, for a kind that `varies_labelled`."""
        raise ValueError(f"{self.title} are generated, not varied.")

    @abstractmethod
    def generate(self, settings: Settings, count: int, seed: int | Sequence[int]) -> Dataset:
        """`count` examples; the same settings, count and seed give the same bytes."""

    def generate_in_slices(
        self, settings: Settings, count: int, seed: int | Sequence[int]
    ) -> Generator[None, None, Dataset]:
        """As `generate`, which it returns; yields where other work may be done, for a kind that takes long."""
        yield from ()
        return self.generate(settings, count, seed)

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
        """Whether there are examples for a network: its classes and its input are those of this kind."""
        return _fits(self, network.input_shape, network.classes)

    # --- a single input

    @abstractmethod
    def blank(self) -> Source:
        """A source without content."""

    def is_empty(self, source: Source) -> bool:
        """Whether there is nothing to clear in the source."""
        return source == self.blank()

    def is_blank(self, image: FloatArray) -> bool:
        """Whether an encoded source (C, H, W) shows nothing, so that it is of no class."""
        return False

    def has_example(self, label: str) -> bool:
        """Whether `example` can make one of this class, or of "neither"."""
        return True

    @abstractmethod
    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Source]:
        """A source that shows this class, or none for "neither"; turn: how many of this label were made before.

        Raises ValueError for an unknown label.
        """

    def named_examples(self, input_shape: InputShape) -> Mapping[str, Mapping[str, ExampleInput[Source]]]:
        """Examples that have a name, by class and name, "" for the plain one; empty where there are none."""
        return {}

    def opening_source(self, input_shape: InputShape) -> Source:
        """What a network with this input opens on: the first named example, or else a blank source."""
        examples = [one for named in self.named_examples(input_shape).values() for one in named.values()]
        return examples[0].source if examples else self.blank()

    @abstractmethod
    def encode(self, source: Source, input_shape: InputShape) -> FloatArray:
        """The source as a network reads it, (C, H, W), -1 to 1."""

    @abstractmethod
    def decode(self, image: FloatArray) -> Source:
        """A source that is encoded as this image (C, H, W)."""

    def fit_to_frame(self, source: Source) -> Source:
        """The source as it is encoded if the user wants its content centred and scaled to the input."""
        return source

    def from_picture(self, picture: FloatArray) -> Source:
        """The source that a picture is, such as a pasted one; picture: (H, W), -1 background to 1 ink.

        Raises ValueError, one sentence, for a kind whose sources are no pictures.
        """
        raise ValueError(f"A picture cannot be used here: the network reads {self.plural}.")

    def preview(self, source: Source, side: int) -> FloatArray:
        """A picture (H, W) of the source for a list, -1 to 1; side: about its height and width in pixels."""
        picture: FloatArray = self.encode(source, self.input_shape(self.default_settings()))[0]
        return picture

    def find_sources(self, folder: Path) -> list[Path]:
        """The files below a folder that may hold a source, sorted. Raises FileError."""
        return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))

    @abstractmethod
    def read_source(
        self, path: Path, note: Note | None = None, proceed: Callable[[], None] | None = None
    ) -> Source:
        """The source in a file.

        note: called with a sentence on a flaw that is no error. proceed: called now and then; an exception from it
        stops the reading. Raises FileError.
        """

    def read_sources(self, paths: Sequence[Path], note: Note | None = None) -> Iterator[Source | ValueError]:
        """The sources in many files, or what is wrong with each, in order; note: as of `read_source`."""
        for path in paths:
            try:
                yield self.read_source(path, note)
            except ValueError as error:
                yield error

    @abstractmethod
    def sources_to_arrays(self, sources: Sequence[Source]) -> Mapping[str, HostArray]:
        """Sources as the tensors of a project file, by name."""

    @abstractmethod
    def sources_from_arrays(self, arrays: Mapping[str, HostArray]) -> list[Source]:
        """The inverse of `sources_to_arrays`. The arrays are not trusted: raises InvalidFile or ValueError."""

    @abstractmethod
    def check_input(self, network: Network, name: str) -> None:
        """Raises ShapeError or ValueError, one sentence, unless the network called `name` reads such inputs."""

    def templates(self, input_shape: InputShape) -> FloatArray | None:
        """One typical input of each class, (classes, H, W), for template matching; None if there are none."""
        return None


@dataclass(frozen=True, eq=False)
class InputSample(Generic[Source]):
    """One input: its source, which stays untouched however it is encoded, and its kind, which encodes it.

    Raises ValueError for a source that is none of its kind.
    """

    kind: DataKind[Any, Source]
    source: Source

    def __post_init__(self) -> None:
        if not isinstance(self.source, self.kind.source_type):
            raise ValueError(f"A {type(self.source).__name__} is no {self.kind.noun}.")

    def array(self, input_shape: InputShape, fit: bool = False) -> FloatArray:
        """The source as a network with this input reads it, (C, H, W); fit: fitted to the frame before."""
        return self.kind.encode(self.fitted().source if fit else self.source, input_shape)

    def preview(self, side: int) -> FloatArray:
        """A picture (H, W) for a list, -1 to 1; side: about its height and width in pixels."""
        return self.kind.preview(self.source, side)

    def fitted(self) -> InputSample[Source]:
        """The sample with its content centred and scaled to the input."""
        return InputSample(self.kind, self.kind.fit_to_frame(self.source))

    def has_source_of(self, kind: DataKind[Any, Any]) -> bool:
        """Whether this kind can encode the source, too."""
        return isinstance(self.source, kind.source_type)

    def of_kind(self, kind: DataKind[Any, Any]) -> InputSample[Any]:
        """The same source as a sample of another kind, which encodes it from now on. Raises ValueError for a source
        that is none of that kind."""
        return self if kind is self.kind else InputSample(kind, self.source)


@lru_cache(maxsize=64)  # asked several times a stroke
def _fits(kind: DataKind[Any, Any], input_shape: InputShape, classes: tuple[str, ...]) -> bool:
    if kind.settings is None:
        return False
    try:
        fitted = kind.with_input_shape(kind.default_settings(), input_shape)
    except ValueError:
        return False
    return kind.classes(fitted) == classes
