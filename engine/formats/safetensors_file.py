"""Tensor files: named arrays as safetensors, with one JSON description in the header. Not what they mean.

The header holds one metadata key, for several would be written in random order, and saving the same thing twice
must give the same bytes. A file is not trusted: every size it claims is held against the bytes that are there
before anything is allocated.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine.formats.atomic_file import MEBIBYTE, Buffer, Damage
from engine.nn.layers import Values

Json: TypeAlias = "Mapping[str, Any]"

HEADER_LIMIT = MEBIBYTE

_METADATA_KEY = "xo-gui"
_DEEPEST = 32
_DTYPES = {"F16": 2, "F32": 4, "F64": 8}


# What a file may describe, as a sentence names it; one that does not say is a model.
KINDS = {
    "model": "a model",
    "run": "a training run that was interrupted",
    "session": "the work of a session",
}


@dataclass(frozen=True)
class Tensor:
    """What a header claims of one tensor: dtype a key of _DTYPES, shape, first and last byte after the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class Unpacked:
    """A tensor file whose header has been checked: its description, and what it claims of its tensors, by name."""

    data: bytes
    description: dict[str, Any]
    tensors: dict[str, Tensor]

    def values(self) -> Values:
        """The tensors as read-only float32. Raises Damage if they cannot be read."""
        try:
            loaded = load(self.data)
        except SafetensorError as error:
            raise Damage(f"is damaged ({clause(error)}); fetch it again") from error
        if loaded.keys() != self.tensors.keys():
            raise Damage("is damaged: its header can be read in two ways")
        values = {}
        with np.errstate(over="ignore"):  # a double too large for a float becomes infinite, and is then refused
            for name in sorted(loaded):
                values[name] = np.ascontiguousarray(loaded[name].astype(np.float32))
                values[name].flags.writeable = False
        return values


def pack(description: Json, tensors: Mapping[str, Any], limit: int) -> bytes:
    """A tensor file's bytes, at most `limit`, its tensors as float32; the same contents give the same bytes.

    Raises TypeError, ValueError or RecursionError for a description that is not plain JSON, Damage if it is too
    large.
    """
    arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}
    data = save(arrays, metadata(description))
    if len(data) > limit:
        raise Damage(f"takes {len(data) / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE} MiB that are read")
    return data


def metadata(description: Json) -> dict[str, str]:
    """A description as the header holds it. Raises TypeError, ValueError or RecursionError if it is not plain
    JSON."""
    return {_METADATA_KEY: json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)}


def described(data: bytes, kind: str, newest: int) -> dict[str, Any]:
    """What the beginning of a tensor file, its header in it, says of it. Raises Damage."""
    return _described(_header(data), kind, newest)


def unpack(data: bytes, kind: str, newest: int) -> Unpacked:
    """The checked header of a tensor file that describes a `kind`, "model" unless it says another, in a version of
    the format up to `newest`. Raises Damage."""
    header = _header(data)
    description = _described(header, kind, newest)
    return Unpacked(data, description, {name: _tensor(name, claim) for name, claim in header.items()})


def _described(header: dict[str, Any], kind: str, newest: int) -> dict[str, Any]:
    """The description in a header, which is taken out of it. Raises Damage."""
    held = header.pop("__metadata__", None)
    if not isinstance(held, dict) or not isinstance(held.get(_METADATA_KEY), str):
        raise Damage("was not written by this program; there is no description of a network in it")
    description = _parsed(held[_METADATA_KEY])
    found = description.get("kind", "model")
    if found != kind:
        what = KINDS.get(found, "something else") if isinstance(found, str) else "something else"
        raise Damage(f"holds {what}, not {KINDS[kind]}; choose another")
    _check_version(description, newest)
    return description


def _header(data: bytes) -> dict[str, Any]:
    """The header as parsed JSON: a tensor's claims by its name."""
    present = len(data) - 8
    length = int.from_bytes(data[:8], "little")
    if present < 2:
        raise Damage("is cut short; fetch it again")
    if length > present:
        raise Damage("is no safetensors file, or is cut short; fetch it again")
    if length > HEADER_LIMIT:
        raise Damage(f"has a header of more than {HEADER_LIMIT // MEBIBYTE} MiB; it is no file of this program")
    try:
        return _parsed(data[8 : 8 + length].decode())
    except UnicodeDecodeError as error:
        raise Damage("is no safetensors file; choose another") from error


def _tensor(name: str, claim: object) -> Tensor:
    """One claim, checked against itself: shape, dtype and number of bytes must agree."""
    if not name or not name.isprintable() or ".." in name or "/" in name or "\\" in name:
        raise Damage(f"holds a tensor with the name {name[:80]!r}, which looks like a path; it is not safe")
    dtype = claim.get("dtype") if isinstance(claim, dict) else None
    if isinstance(dtype, str) and dtype not in _DTYPES:
        raise Damage(f"holds {name} as {dtype[:20]!r}, but weights are {', '.join(_DTYPES)}")
    try:
        tensor = msgspec.convert(claim, Tensor)
    except msgspec.ValidationError as error:
        raise Damage(f"describes {name} wrongly ({error})") from error
    first, last = tensor.data_offsets
    sane = len(tensor.shape) <= 8 and all(0 <= side < 1 << 31 for side in tensor.shape)
    if not sane or first < 0 or last - first != math.prod(tensor.shape) * _DTYPES[tensor.dtype]:
        raise Damage(f"claims a size for {name} that does not agree with its bytes")
    return tensor


def _parsed(text: str) -> dict[str, Any]:
    """A JSON object without duplicate names, numbers that are not finite, or endless nesting."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise Damage("has a header nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Damage("has a header that is not JSON") from error
    if not isinstance(value, dict):
        raise Damage("has a header that is not a JSON object")
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise Damage("names something twice in its header")
    return named


def _no_constant(word: str) -> None:
    raise Damage(f"has {word} in its header where a number should be")


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
    raise Damage("has a header nested too deeply")


def _check_version(description: Json, newest: int) -> None:
    version = description.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise Damage("does not say which version of the format it is")
    if version > newest:
        raise Damage("was written by a newer version of this program; install that to open it")


def end_of(error: Exception) -> str:
    """An error's words, to end a sentence that begins with the file."""
    return clause(error) if isinstance(error, Damage) else f"does not fit together: {clause(error)}"


def clause(error: Exception) -> str:
    """One line, without its full stop, not too long."""
    words = " ".join(str(error).split()).rstrip(".")
    return words if len(words) <= 300 else words[:300] + " ..."


HostArray: TypeAlias = "np.ndarray[Any, Any]"
Stack: TypeAlias = "Sequence[HostArray]"

_CHECKSUM: Final = "checksum"
_KINDS: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def pieces(description: Json, tensors: Mapping[str, HostArray | Stack], limit: int) -> list[Buffer]:
    """A file's bytes, at most `limit`, in order; float64 arrays stay so, all others become float32.

    A list of k arrays of one shape becomes one tensor (k, *shape). Raises TypeError, ValueError or RecursionError
    for a description that is not plain JSON, Damage if the whole or its header is too large.
    """
    named = {name: _stack(values) for name, values in tensors.items()}
    doubles = {name: stack for name, stack in named.items() if stack[1].itemsize == 8}
    at, claims, parts = 0, {}, []
    for name, (shape, dtype, arrays) in {**doubles, **named}.items():
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        kind = next(kind for kind, known in _KINDS.items() if known == dtype)
        claims[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
        parts += [_raw(array, dtype) for array in arrays if array.size]
    sum_of_all = 0
    for part in parts:
        sum_of_all = zlib.crc32(part, sum_of_all)
    described = {**description, _CHECKSUM: sum_of_all}
    header = json.dumps({"__metadata__": metadata(described), **claims}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_LIMIT:
        raise Damage(f"needs a header of more than {HEADER_LIMIT // MEBIBYTE} MiB")
    if len(header) + at + 8 > limit:
        raise Damage(f"takes {at / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE} MiB that are read")
    return [len(header).to_bytes(8, "little") + header, *parts]


def arrays(file: Unpacked) -> dict[str, HostArray]:
    """A file's arrays, read-only, once its checksum is right and they follow each other without a gap. Raises
    Damage."""
    start = 8 + int.from_bytes(file.data[:8], "little")
    body = memoryview(file.data)[start:]
    at = 0
    for name, claim in sorted(file.tensors.items(), key=lambda item: item[1].data_offsets):
        if claim.data_offsets[0] != at or claim.dtype not in _KINDS:
            raise Damage(f"is damaged: {name[:80]} does not lie where it should")
        at = claim.data_offsets[1]
    if at != len(body):
        raise Damage("is damaged: it is cut short, or longer than it says")
    if zlib.crc32(body) != file.description.get(_CHECKSUM):
        raise Damage("is damaged: its checksum is another")
    found = {}
    for name, claim in file.tensors.items():
        first, last = claim.data_offsets
        array = np.frombuffer(body[first:last], _KINDS[claim.dtype]).reshape(claim.shape)
        found[name] = array.astype(_KINDS[claim.dtype].newbyteorder("="))
        found[name].flags.writeable = False
    return found


def _stack(values: HostArray | Stack) -> tuple[tuple[int, ...], np.dtype[Any], Stack]:
    """Shape, kind of number and parts of a tensor. Raises ValueError for arrays of different shapes."""
    if isinstance(values, np.ndarray):
        return values.shape, _kind(values), (values,)
    if len({array.shape for array in values}) != 1:
        raise ValueError("arrays of one stack have different shapes")
    return (len(values), *values[0].shape), _kind(values[0]), values


def _kind(array: HostArray) -> np.dtype[Any]:
    return _KINDS["F64" if array.dtype == np.float64 else "F32"]


def _raw(array: HostArray, dtype: np.dtype[Any]) -> Buffer:
    """The bytes of an array, not copied where they lie as they should."""
    return np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data
