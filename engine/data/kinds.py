"""DATA_KINDS: the table of all kinds of data, and what is looked up in it."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.data.data_kind import DataKind, DataSettings, InputShape, ReadProgress
from engine.data.dataset import Dataset
from engine.data.files import Pictures
from engine.data.own_drawings import OwnDrawings
from engine.data.xo import XODrawings
from engine.form_fields import settings_from
from engine.formats import Note
from engine.nn import Network

PICTURES: Final = Pictures(XODrawings.class_names)
_XO: Final = XODrawings()
DATA_KINDS: dict[str, DataKind[Any, Any]] = {kind.name: kind for kind in (_XO, PICTURES, OwnDrawings(_XO))}
# Of settings in files that name no kind, because there was one only.
DEFAULT_KIND: Final = XODrawings.name


def kind_of(settings: DataSettings) -> DataKind[Any, Any]:
    """The kind of these settings."""
    return DATA_KINDS[settings.kind]


def kind_for(network: Network) -> DataKind[Any, Any] | None:
    """The kind whose examples a network of its classes and input is for: the first in the table that generates
    some, or else one whose examples the user draws; None if there is none."""
    fitting = [kind for kind in DATA_KINDS.values() if kind.fits(network)]
    return next((kind for kind in fitting if not kind.varies_labelled), fitting[0] if fitting else None)


def generating_kind(network: Network) -> DataKind[Any, Any] | None:
    """The kind that generates examples for a network of its classes and input; None if there is none."""
    kind = kind_for(network)
    return None if kind is None or kind.varies_labelled else kind


def input_kind(network: Network) -> DataKind[Any, Any]:
    """The kind of the inputs that are shown to a network: its own, or else the default kind."""
    return kind_for(network) or DATA_KINDS[DEFAULT_KIND]


def read_dataset(
    path: Path, input_shape: InputShape, progress: ReadProgress | None = None, note: Note | None = None
) -> Dataset:
    """Reads the labelled examples in a file or folder for a network with this input, by the first kind in the table
    that makes such examples of files: see `DataKind.read_examples`."""
    readers = (kind for kind in DATA_KINDS.values() if kind.reads_examples(input_shape))
    # For an input that none reads, pictures say which ones can be.
    return next(readers, PICTURES).read_examples(Path(path), input_shape, progress, note)


def class_symbol(name: str) -> str:
    """The shape that stands for a class, "cross" or "ring"; "" for a class that no kind gives one."""
    return next((kind.symbols[name] for kind in DATA_KINDS.values() if name in kind.symbols), "")


def class_phrase(name: str) -> str:
    """How a class is called in a sentence, such as "an X"; its name if no kind says so."""
    return next((kind.phrases[name] for kind in DATA_KINDS.values() if name in kind.phrases), name)


def data_settings_to_json(settings: DataSettings) -> dict[str, Any]:
    """Settings as JSON values, with their kind unless it is the default one."""
    # Converted first, so that an int in a float field becomes a float.
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(asdict(settings), type(settings)))
    return plain if settings.kind == DEFAULT_KIND else {"kind": settings.kind, **plain}


def data_settings_from_json(values: object) -> DataSettings:
    """The settings that `data_settings_to_json` described, with defaults for missing ones. Raises ValueError with
    one sentence."""
    name = values.get("kind", DEFAULT_KIND) if isinstance(values, Mapping) else DEFAULT_KIND
    kind = DATA_KINDS.get(name) if isinstance(name, str) else None
    if kind is None or kind.settings is None:
        known = ", ".join(generated_kinds())
        raise ValueError(f"There is no kind of generated data called {reprlib.repr(name)}; there are {known}.")
    if isinstance(values, Mapping):
        values = {key: value for key, value in values.items() if key != "kind"}
    return settings_from(kind.noun, kind.settings, values)


@dataclass(frozen=True, eq=False)
class GeneratorSamples:
    """Generated examples for a preview, and the settings they were requested with."""

    settings: DataSettings
    dataset: Dataset


def generate_samples(settings: DataSettings) -> GeneratorSamples:
    """Samples from a fixed seed."""
    return GeneratorSamples(settings, kind_of(settings).samples(settings))


def generated_kinds() -> list[str]:
    """The names of the kinds whose examples can be generated."""
    return [name for name, kind in DATA_KINDS.items() if kind.settings is not None and not kind.varies_labelled]
