"""npz files: pictures with their labels in, arrays out. Not what the pictures show, nor single images."""

from __future__ import annotations

import io
import threading
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.storage.atomic import MEBIBYTE, Damage, FilePath, StorageError, shown, size_of
from engine.storage.labelled import (
    MOST_CLASSES,
    UNPACKED_LIMIT,
    Labelled,
    check_claim,
    ink_of,
    labels_of,
    named,
)

FILE_LIMIT = 1024 * MEBIBYTE

_MOST_MEMBERS = 10_000
_DEFLATE_RATIO = 1040  # deflate packs at most 1,032 bytes into one
# What Python's own readers raise on damaged files.
_FAULTS = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error, AttributeError, tokenize.TokenError,
)  # fmt: skip

_one_at_a_time = threading.Lock()  # for the filter of warnings belongs to the whole process


def read_images(path: FilePath) -> Labelled:
    """The pictures of an npz file with `images` (N, H, W) and, if it has them, `labels` (N,) and `classes` (K,).

    In the file, images are numbers or truth values in 0..1, -1..1, 0..255 or 0..65535, as in `ink_of`; labels are
    classes' places from 0, or -1 for "neither"; classes are names, as text. Up to 1 GiB packed, unpacked, and as
    float32.

    Raises StorageError, one sentence that names the file. Nothing is unpickled, and every size the file claims is
    held against the bytes that are there before anything is allocated.
    """
    size = size_of(path, FILE_LIMIT)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
                return _images(archive, size)
        except Damage as error:
            raise StorageError(f"{shown(path)} {error}.") from error
        except PermissionError as error:
            raise StorageError(f"{shown(path)} may not be read; ask for the permission, or copy it.") from error
        except MemoryError as error:
            raise StorageError(f"{shown(path)} needs more memory than there is; split it.") from error
        except _FAULTS as error:
            raise StorageError(f"{shown(path)} is no npz file, or is damaged; save it again.") from error


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz file with these arrays, in this order; the same arrays give the same bytes.

    Raises ValueError for an array of objects, or a name that looks like a path.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if _path_like(name):
                raise ValueError(f"an npz file cannot hold an array called {name!r}")
            member = io.BytesIO()
            npy.write_array(member, np.asanyarray(array), allow_pickle=False)
            # ZipInfo's own date, 1980, for the time of saving would change the bytes.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return packed.getvalue()


# --- members


def _images(archive: zipfile.ZipFile, size: int) -> Labelled:
    members = _members(archive, size)
    if "images.npy" not in members:
        raise Damage("has no array called images; it needs images (N, H, W) and may have labels (N,)")
    values = _array(archive, members["images.npy"], "images", 3)
    if "labels.npy" not in members:
        return Labelled(ink_of(values))
    labels = labels_of(_array(archive, members["labels.npy"], "labels", 1), len(values))
    if "classes.npy" not in members:
        return Labelled(ink_of(values), labels)
    return Labelled(ink_of(values), *named(labels, _names(archive, members["classes.npy"])))


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, all of them checked, also those that nobody reads."""
    entries = archive.infolist()
    if len(entries) > _MOST_MEMBERS:
        raise Damage(f"has {len(entries):,} arrays, more than the {_MOST_MEMBERS:,} that are read")
    names = {entry.filename: entry for entry in entries}
    if len(names) != len(entries):
        raise Damage("has two arrays of the same name; save it again")
    if odd := next((name for name in names if _path_like(name)), None):
        raise Damage(f"holds {odd[:80]!r}, which looks like a path; it is not safe to open")
    if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT:
        raise Damage(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    for entry in entries:
        if entry.flag_bits & 1:
            raise Damage("is locked with a password; save it without one")
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_RATIO}.get(entry.compress_type)
        if ratio is None:
            raise Damage("is packed in a way that NumPy does not use; save it with numpy.savez")
        if entry.compress_size > size or entry.file_size > ratio * (entry.compress_size + 1):
            raise Damage("claims to hold more than its bytes can; it is damaged")
    return names


def _path_like(name: str) -> bool:
    return not name.isprintable() or ".." in name or any(mark in name for mark in '/\\:*?"<>|')


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, dimensions: int) -> NDArray[Any]:
    """A member as an array, of a shape and dtype that can be, and exactly as many bytes as it claims."""
    with archive.open(member) as file:
        shape, columns_first, dtype = _claim(file)
        size = check_claim(name, shape, dtype, dimensions)
        data = _whole(file, member, name, shape, size)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")


def _names(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> list[str]:
    """A member as text."""
    with archive.open(member) as file:
        shape, _, dtype = _claim(file)
        if dtype.kind != "U" or len(shape) != 1 or not dtype.itemsize:
            raise Damage(f"has classes of shape {shape} as {dtype.name[:40]}; they must be (K,), names as text")
        if shape[0] > MOST_CLASSES:
            raise Damage(f"has {shape[0]:,} classes; use at most {MOST_CLASSES:,}")
        data = _whole(file, member, "classes", shape, shape[0] * dtype.itemsize)
    # Not by NumPy, which trusts that every letter is one.
    letters = "utf-32-le" if dtype.str[0] == "<" else "utf-32-be"
    ends = range(dtype.itemsize, len(data) + 1, dtype.itemsize)
    return [data[end - dtype.itemsize : end].decode(letters).rstrip("\0") for end in ends]


def _whole(file: IO[bytes], member: zipfile.ZipInfo, name: str, shape: tuple[int, ...], size: int) -> bytes:
    """The rest of a member, which must have `size` bytes."""
    if file.tell() + size != member.file_size:
        raise Damage(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    data = file.read(size)
    if len(data) != size:
        raise Damage("is cut short; save it again")
    return data


def _claim(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype from the head of an npy file. NumPy's parser takes literals only, 10,000 at most."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise Damage(f"is written in version {version[0]}.{version[1]} of NumPy's format, which is not read")
    shape, columns_first, dtype = readers[version](file)
    if any(isinstance(side, bool) or not 0 <= side < 1 << 31 for side in shape):
        raise Damage("has an array with a shape that cannot be; it is damaged")
    return shape, columns_first, dtype
