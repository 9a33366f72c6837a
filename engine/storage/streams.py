"""Streams: tensor files too large to be put together in memory, written piece by piece. Not what they mean.

They are safetensors files like any other, whose arrays are float32 or float64, the latter first, each one array or
a stack of equal ones; the description holds a checksum of all that follows the header. Pieces are as large as
arrays are, so that whoever writes them, or sums them up, lets go of the interpreter's lock.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from engine.storage.atomic import MEBIBYTE, Buffer, Damage
from engine.storage.tensors import HEADER_LIMIT, Json, Unpacked, metadata

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
