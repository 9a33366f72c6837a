"""Model files: one subject as a safetensors file, its architecture in the header. Not documents, nor pictures.

A file is not trusted: every size it claims is held against the bytes that are there, and against what the
architecture needs, before anything is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.documents.presets import WALKTHROUGH, handmade_parameters, preset
from engine.formats.atomic_file import MEBIBYTE, Damage, FilePath, StorageError, read_whole, shown, write_atomically
from engine.formats.safetensors_file import Json, Tensor, clause, end_of, pack, unpack
from engine.installation import asset
from engine.nn.model import Subject
from engine.nn.network import Network

# What one picture may take in all layers together; without a limit, a few bytes could ask for all the memory.
PASS_LIMIT = 256 * MEBIBYTE

_LONGEST_NAME = 200


def name_in(description: Json) -> str:
    """What the network in a file is called. Raises Damage."""
    name = description.get("name")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise Damage(f"has no name of 1 to {_LONGEST_NAME} printable characters")
    return name


def network_in(description: Json) -> Network:
    """The network in a file. Raises Damage if it cannot be, or is too large to be run."""
    try:
        network = Network.from_json(_as_mapping(description.get("network")))
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise Damage(f"describes a network that cannot be: {clause(error)}") from error
    if network.picture_bytes > PASS_LIMIT:
        raise Damage(f"describes a network that takes more than {PASS_LIMIT // MEBIBYTE} MiB for one picture")
    return network


def needed_values(network: Network) -> int:
    """How many weights, and other values that layers keep, the network has."""
    return sum(math.prod(shape) for shape in network.parameter_shapes.values())


def learnt_values(network: Network) -> int:
    """How many weights the network learns."""
    return sum(cost.parameters for cost in network.costs)


def check_count(needed: int, tensors: Mapping[str, Tensor], what: str) -> None:
    """Raises Damage unless the tensors hold as many values as are needed; to be asked before their names and shapes
    are, which would take as much memory as the description asks for."""
    held = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if needed != held:
        raise Damage(f"holds {held:,} {what} where its network needs {needed:,}")


def _as_mapping(value: object) -> Json:
    if not isinstance(value, dict):
        raise Damage("there is none")
    return value


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
