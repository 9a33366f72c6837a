"""Model files: one subject as a safetensors file, its architecture in the header. Not documents, nor pictures.

The header holds one metadata key, for several would be written in random order, and saving the same subject twice
must give the same bytes. A file is not trusted: every size it claims is held against the bytes that are there, and
against what the architecture needs, before anything is allocated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine.assets import asset
from engine.document import Subject
from engine.layers import Values
from engine.network import Network
from engine.presets import WALKTHROUGH, handmade_parameters, preset
from engine.storage.atomic import MEBIBYTE, FilePath, StorageError, read_whole, shown, write_atomically

Json: TypeAlias = "Mapping[str, Any]"

FORMAT_VERSION = 1
FILE_LIMIT = 64 * MEBIBYTE
HEADER_LIMIT = MEBIBYTE
# What one picture may take in all layers together; without a limit, a few bytes could ask for all the memory.
PASS_LIMIT = 256 * MEBIBYTE

_METADATA_KEY = "xo-gui"
_DEEPEST = 32
_DTYPES = {"F16": 2, "F32": 4, "F64": 8}
_LONGEST_NAME = 200


class _Damage(ValueError):
    """What is wrong with a file, to follow its name in a sentence."""


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
        text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
        tensors = {name: np.ascontiguousarray(v, np.float32) for name, v in subject.parameters.items()}
        data = save(tensors, {_METADATA_KEY: text})
        _subject(data)  # nothing is written that could not be opened again
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"{shown(path)} was not saved: the model {_end(error)}.") from error
    write_atomically(path, data)


def load_model(path: FilePath) -> Subject:
    """The subject in a model file, parameters float32 (F16 and F64 are converted) and read-only.

    Raises StorageError, one sentence that names the file and says what is wrong with it.
    """
    data = read_whole(path, FILE_LIMIT)
    try:
        return _subject(data)
    except ValueError as error:
        raise StorageError(f"{shown(path)} cannot be opened as a model: it {_end(error)}.") from error


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


@dataclass(frozen=True)
class _Tensor:
    """What a header claims of one tensor: dtype a key of _DTYPES, shape, first and last byte after the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def _subject(data: bytes) -> Subject:
    """The subject in a model file's bytes. Raises ValueError, to follow "it"."""
    header = _header(data)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_METADATA_KEY), str):
        raise _Damage("was not written by this program; there is no description of a network in it")
    description = _parsed(metadata[_METADATA_KEY])
    _check_version(description)
    tensors = {name: _tensor(name, claim) for name, claim in header.items()}
    network = _network(description)
    _check_needed(network, tensors)
    return Subject(
        _name(description),
        network,
        _values(data, tensors),
        _threshold(description),
        _origin(description),
    )


# --- the header


def _header(data: bytes) -> dict[str, Any]:
    """The header as parsed JSON: a tensor's claims by its name."""
    present = len(data) - 8
    length = int.from_bytes(data[:8], "little")
    if present < 2:
        raise _Damage("is cut short; fetch it again")
    if length > present:
        raise _Damage("is no safetensors file, or is cut short; fetch it again")
    if length > HEADER_LIMIT:
        raise _Damage(f"has a header of more than {HEADER_LIMIT // MEBIBYTE} MiB; it is no model of this program")
    try:
        return _parsed(data[8 : 8 + length].decode())
    except UnicodeDecodeError as error:
        raise _Damage("is no safetensors file; choose another") from error


def _tensor(name: str, claim: object) -> _Tensor:
    """One claim, checked against itself: shape, dtype and number of bytes must agree."""
    if not name or not name.isprintable() or ".." in name or "/" in name or "\\" in name:
        raise _Damage(f"holds a tensor with the name {name[:80]!r}, which looks like a path; it is not safe")
    dtype = claim.get("dtype") if isinstance(claim, dict) else None
    if isinstance(dtype, str) and dtype not in _DTYPES:
        raise _Damage(f"holds {name} as {dtype[:20]!r}, but weights are {', '.join(_DTYPES)}")
    try:
        tensor = msgspec.convert(claim, _Tensor)
    except msgspec.ValidationError as error:
        raise _Damage(f"describes {name} wrongly ({error})") from error
    first, last = tensor.data_offsets
    sane = len(tensor.shape) <= 8 and all(0 <= side < 1 << 31 for side in tensor.shape)
    if not sane or first < 0 or last - first != math.prod(tensor.shape) * _DTYPES[tensor.dtype]:
        raise _Damage(f"claims a size for {name} that does not agree with its bytes")
    return tensor


def _parsed(text: str) -> dict[str, Any]:
    """A JSON object without duplicate names, numbers that are not finite, or endless nesting."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise _Damage("has a header nested too deeply") from error
    except json.JSONDecodeError as error:
        raise _Damage("has a header that is not JSON") from error
    if not isinstance(value, dict):
        raise _Damage("has a header that is not a JSON object")
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise _Damage("names something twice in its header")
    return named


def _no_constant(word: str) -> None:
    raise _Damage(f"has {word} in its header where a number should be")


def _check_depth(value: object) -> None:
    """Level by level, for a function that called itself would be what it guards against."""
    level = [value]
    for _ in range(_DEEPEST):
        nested: list[object] = []
        for item in level:
            if isinstance(item, dict):
                nested.extend(item.values())
            elif isinstance(item, list):
                nested.extend(item)
        if not nested:
            return
        level = nested
    raise _Damage("has a header nested too deeply")


# --- the description


def _check_version(description: Json) -> None:
    version = description.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _Damage("does not say which version of the format it is")
    if version > FORMAT_VERSION:
        raise _Damage("was written by a newer version of this program; install that to open it")


def _name(description: Json) -> str:
    name = description.get("name")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise _Damage(f"has no name of 1 to {_LONGEST_NAME} printable characters")
    return name


def _threshold(description: Json) -> float | None:
    threshold = description.get("threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise _Damage("has a threshold that is not a number from 0 to 1")
    return float(threshold)


def _origin(description: Json) -> dict[str, Any]:
    origin = description.get("origin", {})
    if not isinstance(origin, dict):
        raise _Damage("does not say where it comes from in the form that is expected")
    return origin


def _network(description: Json) -> Network:
    """The network described, of a size that this program can run."""
    try:
        network = Network.from_json(_as_mapping(description.get("network")))
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise _Damage(f"describes a network that cannot be: {_clause(error)}") from error
    if network.picture_bytes > PASS_LIMIT:
        raise _Damage(f"describes a network that takes more than {PASS_LIMIT // MEBIBYTE} MiB for one picture")
    return network


def _as_mapping(value: object) -> Json:
    if not isinstance(value, dict):
        raise _Damage("there is none")
    return value


def _check_needed(network: Network, tensors: Mapping[str, _Tensor]) -> None:
    """The number of values, before Network.check makes a set of parameters to compare the names with."""
    needed = sum(math.prod(shape) for shape in network.parameter_shapes.values())
    held = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if needed != held:
        raise _Damage(f"holds {held:,} weights where its network needs {needed:,}")


def _values(data: bytes, tensors: Mapping[str, _Tensor]) -> Values:
    """The tensors as read-only float32."""
    try:
        loaded = load(data)
    except SafetensorError as error:
        raise _Damage(f"is damaged ({_clause(error)}); fetch it again") from error
    if loaded.keys() != tensors.keys():
        raise _Damage("is damaged: its header can be read in two ways")
    values = {}
    with np.errstate(over="ignore"):  # a double too large for a float becomes infinite, and is then refused
        for name in sorted(loaded):
            values[name] = np.ascontiguousarray(loaded[name].astype(np.float32))
            values[name].flags.writeable = False
    return values


# --- sentences


def _end(error: Exception) -> str:
    """An error's words, to end a sentence that begins with the file."""
    return _clause(error) if isinstance(error, _Damage) else f"does not fit together: {_clause(error)}"


def _clause(error: Exception) -> str:
    """One line, without its full stop, not too long."""
    words = " ".join(str(error).split()).rstrip(".")
    return words if len(words) <= 300 else words[:300] + " ..."
