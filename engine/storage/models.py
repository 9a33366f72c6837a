"""Model files: one subject as a safetensors file, its architecture in the header. Not documents, nor pictures.

A file is not trusted: every size it claims is held against the bytes that are there, and against what the
architecture needs, before anything is allocated.
"""

from __future__ import annotations

from typing import Any

from engine.document import Subject
from engine.installation import asset
from engine.presets import WALKTHROUGH, handmade_parameters, preset
from engine.storage.atomic import MEBIBYTE, Damage, FilePath, StorageError, read_whole, shown, write_atomically
from engine.storage.networks import check_count, name_in, needed_values, network_in
from engine.storage.tensors import Json, end_of, pack, unpack

FORMAT_VERSION = 1
FILE_LIMIT = 64 * MEBIBYTE


def save_model(path: FilePath, subject: Subject) -> None:
    """Write the subject, weights as float32; the same subject gives the same bytes.

    Raises StorageError if the file cannot be written, or could not be read again: over 64 MiB, an origin that is
    not plain JSON (an object of words, finite numbers, lists and objects), a name of over 200 characters.
    """
    description = {
        "version": FORMAT_VERSION,
        "name": subject.name,
        "network": subject.network.to_json(),
        "threshold": subject.threshold,
        "origin": dict(subject.origin),
    }
    try:
        data = pack(description, subject.parameters, FILE_LIMIT)
        _subject(data)  # nothing is written that could not be opened again
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"{shown(path)} was not saved: the model {end_of(error)}.") from error
    write_atomically(path, data)


def load_model(path: FilePath) -> Subject:
    """The subject in a model file, parameters float32 (F16 and F64 are converted) and read-only.

    Raises StorageError, one sentence that names the file and says what is wrong with it.
    """
    data = read_whole(path, FILE_LIMIT)
    try:
        return _subject(data)
    except ValueError as error:
        raise StorageError(f"{shown(path)} cannot be opened as a model: it {end_of(error)}.") from error


def shipped_subject(name: str) -> Subject:
    """The subject of the preset called `name`: made by hand for the walk-through, with fresh weights where none are
    shipped (Preset.untrained says why), else the trained one shipped.

    Raises ValueError if there is no such preset, FileNotFoundError if its trained model is not shipped,
    StorageError if that is damaged.
    """
    chosen = preset(name)
    if chosen is WALKTHROUGH:
        return Subject(chosen.title, chosen.network, handmade_parameters())
    if chosen.untrained:
        seed = 1 if chosen.recipe is None else chosen.recipe.seed
        return Subject(chosen.title, chosen.network, chosen.network.initial(seed))
    return load_model(asset(f"{name}.safetensors"))


def _subject(data: bytes) -> Subject:
    """The subject in a model file's bytes. Raises ValueError, to follow "it"."""
    file = unpack(data, "model", FORMAT_VERSION)
    description = file.description
    network = network_in(description)
    check_count(needed_values(network), file.tensors, "weights")
    return Subject(name_in(description), network, file.values(), _threshold(description), _origin(description))


def _threshold(description: Json) -> float | None:
    threshold = description.get("threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise Damage("has a threshold that is not a number from 0 to 1")
    return float(threshold)


def _origin(description: Json) -> dict[str, Any]:
    origin = description.get("origin", {})
    if not isinstance(origin, dict):
        raise Damage("does not say where it comes from in the form that is expected")
    return origin
