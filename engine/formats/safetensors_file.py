"""Safetensors files: named arrays, with a JSON description in the header.

The header has a single metadata key, because several keys are written in random order, and the same content must
give the same bytes. Files are not trusted: every size that a file claims is checked against its actual bytes before
anything is allocated.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine.backends import HostArray
from engine.form_fields import conversion_reason
from engine.formats.atomic_file import MEBIBYTE, Buffer, InvalidFile
from engine.nn.layers import Arrays

Json: TypeAlias = "Mapping[str, Any]"

HEADER_LIMIT = MEBIBYTE

_METADATA_KEY = "xo-gui"
_CHECKSUM_KEY: Final = "checksum"
_MAX_DEPTH = 32
_MAX_DIGITS = 40  # of a number
_ITEM_SIZES = {"F16": 2, "F32": 4, "F64": 8}
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}

# The kinds of content, for error messages; a file without a kind is a model.
CONTENT_KINDS = {
    "model": "a model",
    "run": "a training run that was interrupted",
    "session": "a project",
}


@dataclass(frozen=True)
class TensorInfo:
    """What the header claims of a tensor.

    dtype: "F16", "F32" or "F64"
    data_offsets: begin and end, in bytes after the header
    """

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file with a validated header: its description, and its tensors by name."""

    data: bytes
    description: dict[str, Any]
    tensors: dict[str, TensorInfo]

    def float32_arrays(self) -> Arrays:
        """The tensors as read-only float32 arrays. Raises InvalidFile if they cannot be read."""
        try:
            loaded = load(self.data)
        except SafetensorError as error:
            raise InvalidFile(
                "is damaged: its header and its values do not fit together; fetch it again"
            ) from error
        if loaded.keys() != self.tensors.keys():
            raise InvalidFile("is damaged: its header can be read in two ways")
        values = {}
        with np.errstate(over="ignore"):  # a float64 that overflows becomes infinite, which callers refuse
            for name in sorted(loaded):
                values[name] = np.ascontiguousarray(loaded[name].astype(np.float32))
                values[name].flags.writeable = False
        return values

    def renamed(self, description: dict[str, Any], rename: Callable[[str], str]) -> TensorFile:
        """The same tensors under other names, with another description. Raises InvalidFile if two names become
        equal."""
        tensors = {rename(name): info for name, info in self.tensors.items()}
        if len(tensors) != len(self.tensors):
            raise InvalidFile("names something twice in its header")
        header = json.dumps({name: msgspec.to_builtins(info) for name, info in tensors.items()}).encode()
        header += b" " * (-len(header) % 8)
        body = self.data[8 + int.from_bytes(self.data[:8], "little") :]
        return TensorFile(len(header).to_bytes(8, "little") + header + body, description, tensors)


def pack(description: Json, tensors: Mapping[str, Any], limit: int) -> bytes:
    """The bytes of a file with these tensors as float32, at most `limit` bytes; deterministic.

    Raises TypeError, ValueError or RecursionError for a description that is not plain JSON, InvalidFile if the file
    is too large.
    """
    arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}
    data = save(arrays, header_metadata(description))
    if len(data) > limit:
        raise InvalidFile(
            f"takes {len(data) / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE} MiB that are read"
        )
    return data


def header_metadata(description: Json) -> dict[str, str]:
    """The metadata of a header. Raises TypeError, ValueError or RecursionError for what is not plain JSON."""
    return {_METADATA_KEY: json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)}


def read_description(data: bytes, kind: str, newest: int) -> dict[str, Any]:
    """Reads the description from the beginning of a file, which must include the header. Raises InvalidFile."""
    return _pop_description(_parse_header(data), kind, newest)


def unpack(data: bytes, kind: str, newest: int) -> TensorFile:
    """Parses and validates the header of a file with content of a `kind`, in a format version up to `newest`.

    Raises InvalidFile.
    """
    header = _parse_header(data)
    description = _pop_description(header, kind, newest)
    return TensorFile(data, description, {name: _parse_tensor(name, claim) for name, claim in header.items()})


# --- header


def _parse_header(data: bytes) -> dict[str, Any]:
    """The header as parsed JSON: tensors by name, and the metadata."""
    available = len(data) - 8
    length = int.from_bytes(data[:8], "little")
    if available < 2:
        raise InvalidFile("is cut short; fetch it again")
    if length > available:
        raise InvalidFile("is not a safetensors file, or is cut short; fetch it again")
    if length > HEADER_LIMIT:
        raise InvalidFile(
            f"has a header of more than {HEADER_LIMIT // MEBIBYTE} MiB; it is not a file of this program"
        )
    try:
        return _parse_json(data[8 : 8 + length].decode())
    except UnicodeDecodeError as error:
        raise InvalidFile("is not a safetensors file; choose another") from error


def _pop_description(header: dict[str, Any], kind: str, newest: int) -> dict[str, Any]:
    """Removes the description from a header and returns it. Raises InvalidFile."""
    metadata_entry = header.pop("__metadata__", None)
    if not isinstance(metadata_entry, dict) or not isinstance(metadata_entry.get(_METADATA_KEY), str):
        raise InvalidFile("was not written by this program; there is no description of a network in it")
    description = _parse_json(metadata_entry[_METADATA_KEY])
    found = description.get("kind", "model")
    if found != kind:
        content = CONTENT_KINDS.get(found, "something else") if isinstance(found, str) else "something else"
        raise InvalidFile(f"holds {content}, not {CONTENT_KINDS[kind]}; choose another")
    _check_version(description, newest)
    return description


def _parse_tensor(name: str, claim: object) -> TensorInfo:
    """A tensor of the header, after checking that shape, dtype and number of bytes agree."""
    if not name or not name.isprintable() or ".." in name or "/" in name or "\\" in name:
        raise InvalidFile(f"holds a tensor with the name {name[:80]!r}, which looks like a path; it is not safe")
    dtype = claim.get("dtype") if isinstance(claim, dict) else None
    if isinstance(dtype, str) and dtype not in _ITEM_SIZES:
        raise InvalidFile(f"holds {name} as {dtype[:20]!r}, but weights are {', '.join(_ITEM_SIZES)}")
    try:
        tensor = msgspec.convert(claim, TensorInfo)
    except msgspec.ValidationError as error:
        raise InvalidFile(f"describes {name} wrongly ({conversion_reason(error, claim)})") from error
    begin, end = tensor.data_offsets
    has_valid_shape = len(tensor.shape) <= 8 and all(0 <= length < 1 << 31 for length in tensor.shape)
    if not has_valid_shape or begin < 0 or end - begin != math.prod(tensor.shape) * _ITEM_SIZES[tensor.dtype]:
        raise InvalidFile(f"claims a size for {name} that does not agree with its bytes")
    return tensor


def _parse_json(text: str) -> dict[str, Any]:
    """Parses a JSON object. Raises InvalidFile for duplicate keys, non-finite numbers and deep nesting."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_dict,
            parse_constant=_refuse_constant,
            parse_int=_checked_int,
            parse_float=_checked_float,
        )
    except RecursionError as error:
        raise InvalidFile("has a header nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InvalidFile("has a header that is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidFile("has a header that is not a JSON object")
    _check_depth(value)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # half of a pair of \\u escapes
        raise InvalidFile("has a character in its header that is none; it is damaged") from error
    return value


def _unique_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidFile("names something twice in its header")
    return result


def _checked_int(digits: str) -> int:
    """An integer of any use. Python itself gives up on thousands of digits, with advice to programmers."""
    if len(digits) > _MAX_DIGITS:
        raise InvalidFile(f"has a number of {len(digits):,} digits in its header; it is damaged")
    return int(digits)


def _checked_float(text: str) -> float:
    if len(text) > _MAX_DIGITS or not math.isfinite(number := float(text)):
        raise InvalidFile(
            f"has the number {text[:20]} in its header, which is too large or too long; it is damaged"
        )
    return number


def _refuse_constant(name: str) -> None:
    raise InvalidFile(f"has {name} in its header where a number should be")


def _check_depth(value: object) -> None:
    """Raises InvalidFile for more than _MAX_DEPTH levels; iterative, because recursion could overflow the stack."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        nested: list[object] = []
        for item in level:
            if isinstance(item, dict):
                nested.extend(item.values())
            elif isinstance(item, list):
                nested.extend(item)
        if not nested:
            return
        level = nested
    raise InvalidFile("has a header nested too deeply")


def _check_version(description: Json, newest: int) -> None:
    version = description.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidFile("does not say which version of the format it is")
    if version > newest:
        raise InvalidFile("was written by a newer version of this program; install that to open it")


def reason_text(error: Exception) -> str:
    """The message of an error as a predicate, to be put after the name of the file."""
    return one_line(error) if isinstance(error, InvalidFile) else f"does not fit together: {one_line(error)}"


def one_line(error: Exception) -> str:
    """The message of an error as one line of at most 300 characters, without the full stop."""
    message = " ".join(conversion_reason(error).split())
    return message if len(message) <= 300 else message[:300] + " ..."


# --- stacked float32 and float64 arrays, with a checksum


ArrayStack: TypeAlias = "Sequence[HostArray]"


def pack_stacks(description: Json, tensors: Mapping[str, HostArray | ArrayStack], limit: int) -> list[Buffer]:
    """The bytes of a file, as buffers in order, at most `limit` bytes; float64 is kept, all else becomes float32.

    A list of k arrays of the same shape becomes one tensor (k, *shape). Raises TypeError, ValueError or
    RecursionError for a description that is not plain JSON, InvalidFile if the file or its header is too large.
    """
    stacks = {name: _stack(values) for name, values in tensors.items()}
    float64_stacks = {name: stack for name, stack in stacks.items() if stack[1].itemsize == 8}
    offset, claims, buffers = 0, {}, []
    for name, (shape, dtype, members) in {**float64_stacks, **stacks}.items():  # aligns float64 to 8 bytes
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        dtype_name = next(key for key, known in _DTYPES.items() if known == dtype)
        claims[name] = {"dtype": dtype_name, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
        buffers += [_buffer(array, dtype) for array in members if array.size]
    checksum = 0
    for buffer in buffers:
        checksum = zlib.crc32(buffer, checksum)
    with_checksum = {**description, _CHECKSUM_KEY: checksum}
    header = json.dumps({"__metadata__": header_metadata(with_checksum), **claims}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_LIMIT:
        raise InvalidFile(f"needs a header of more than {HEADER_LIMIT // MEBIBYTE} MiB")
    if len(header) + offset + 8 > limit:
        raise InvalidFile(
            f"takes {offset / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE} MiB that are read"
        )
    return [len(header).to_bytes(8, "little") + header, *buffers]


def checked_arrays(file: TensorFile) -> dict[str, HostArray]:
    """The arrays of a file, read-only, after verifying its checksum and layout. Raises InvalidFile."""
    start = 8 + int.from_bytes(file.data[:8], "little")
    body = memoryview(file.data)[start:]
    offset = 0
    for name, claim in sorted(file.tensors.items(), key=lambda item: item[1].data_offsets):
        if claim.data_offsets[0] != offset or claim.dtype not in _DTYPES:
            raise InvalidFile(f"is damaged: {name[:80]} is not at its expected position")
        offset = claim.data_offsets[1]
    if offset != len(body):
        raise InvalidFile("is damaged: it is cut short, or longer than it says")
    if zlib.crc32(body) != file.description.get(_CHECKSUM_KEY):
        raise InvalidFile("is damaged: its checksum does not match")
    result = {}
    for name, claim in file.tensors.items():
        begin, end = claim.data_offsets
        array = np.frombuffer(body[begin:end], _DTYPES[claim.dtype]).reshape(claim.shape)
        result[name] = array.astype(_DTYPES[claim.dtype].newbyteorder("="))
        result[name].flags.writeable = False
    return result


def _stack(values: HostArray | ArrayStack) -> tuple[tuple[int, ...], np.dtype[Any], ArrayStack]:
    """Shape, dtype and members of a tensor. Raises ValueError for arrays of different shapes."""
    if isinstance(values, np.ndarray):
        return values.shape, _file_dtype(values), (values,)
    if len({array.shape for array in values}) != 1:
        raise ValueError("arrays of one stack have different shapes")
    return (len(values), *values[0].shape), _file_dtype(values[0]), values


def _file_dtype(array: HostArray) -> np.dtype[Any]:
    return _DTYPES["F64" if array.dtype == np.float64 else "F32"]


def _buffer(array: HostArray, dtype: np.dtype[Any]) -> Buffer:
    """The bytes of an array, without a copy if it is contiguous and has this dtype."""
    return np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data
