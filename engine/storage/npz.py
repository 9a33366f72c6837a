"""npz files: pictures with their labels in, arrays out. Not what the pictures show, nor single images."""

from __future__ import annotations

import io
import math
import threading
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.storage.atomic import MEBIBYTE, FilePath, StorageError, shown, size_of
from engine.storage.pictures import as_ink

Array = NDArray[np.float32]
Labels = NDArray[np.int64]

FILE_LIMIT = 1024 * MEBIBYTE
UNPACKED_LIMIT = 1024 * MEBIBYTE
PICTURES_LIMIT = 1 << 28  # values; as float32 they take 1 GiB

_MOST_MEMBERS = 10_000
_DEFLATE_RATIO = 1040  # deflate packs at most 1,032 bytes into one
_KINDS = "uifb"
_WHITES = (1, 255, 65535)  # where white may be in numbers that do not say
# What Python's own readers raise on damaged files.
_FAULTS = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error, AttributeError, tokenize.TokenError,
)  # fmt: skip

_one_at_a_time = threading.Lock()  # for the filter of warnings belongs to the whole process


class _Damage(ValueError):
    """What is wrong with a file, to follow its name in a sentence."""


def read_images(path: FilePath) -> tuple[Array, Labels | None]:
    """The pictures of an npz file with `images` (N, H, W) and, if it has them, `labels` (N,).

    Returns the pictures, (N, H, W) float32, -1 background to 1 ink, and the labels, (N,) int64, a class's place
    from 0 or -1 for "neither". In the file, images are numbers or truth values in 0..1, -1..1, 0..255 or 0..65535,
    told by what the whole array holds; for each picture by itself `as_ink` tells ink from background. Up to 1 GiB
    packed, unpacked, and as float32.

    Raises StorageError, one sentence that names the file. Nothing is unpickled, and every size the file claims is
    held against the bytes that are there before anything is allocated.
    """
    size = size_of(path, FILE_LIMIT)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
                return _images(archive, size)
        except _Damage as error:
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


def _images(archive: zipfile.ZipFile, size: int) -> tuple[Array, Labels | None]:
    members = _members(archive, size)
    if "images.npy" not in members:
        raise _Damage("has no array called images; it needs images (N, H, W) and may have labels (N,)")
    with archive.open(members["images.npy"]) as file:
        values = _array(file, members["images.npy"].file_size, "images", 3)
    labels = None
    if "labels.npy" in members:
        with archive.open(members["labels.npy"]) as file:
            labels = _labels(_array(file, members["labels.npy"].file_size, "labels", 1), len(values))
    return _pictures(values), labels


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, all of them checked, also those that nobody reads."""
    entries = archive.infolist()
    if len(entries) > _MOST_MEMBERS:
        raise _Damage(f"has {len(entries):,} arrays, more than the {_MOST_MEMBERS:,} that are read")
    names = {entry.filename: entry for entry in entries}
    if len(names) != len(entries):
        raise _Damage("has two arrays of the same name; save it again")
    if odd := next((name for name in names if _path_like(name)), None):
        raise _Damage(f"holds {odd[:80]!r}, which looks like a path; it is not safe to open")
    if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT:
        raise _Damage(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    for entry in entries:
        if entry.flag_bits & 1:
            raise _Damage("is locked with a password; save it without one")
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_RATIO}.get(entry.compress_type)
        if ratio is None:
            raise _Damage("is packed in a way that NumPy does not use; save it with numpy.savez")
        if entry.compress_size > size or entry.file_size > ratio * (entry.compress_size + 1):
            raise _Damage("claims to hold more than its bytes can; it is damaged")
    return names


def _path_like(name: str) -> bool:
    return not name.isprintable() or ".." in name or any(mark in name for mark in '/\\:*?"<>|')


def _array(file: Any, present: int, name: str, dimensions: int) -> NDArray[Any]:
    """A member as an array, of a shape and dtype that can be, and exactly as many bytes as it claims."""
    shape, columns_first, dtype = _claim(file)
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        raise _Damage(f"holds {name} as {dtype.name[:40]}; they must be whole or real numbers, or truth values")
    if len(shape) != dimensions or not all(shape):
        wanted = "(N, H, W), pictures × rows × columns" if dimensions == 3 else "(N,), one for each picture"
        raise _Damage(f"has {name} of shape {shape}; they must be {wanted}, and not empty")
    if math.prod(shape) > PICTURES_LIMIT:
        raise _Damage(f"has {name} of shape {shape}, more than the {PICTURES_LIMIT:,} values that are read")
    size = math.prod(shape) * dtype.itemsize
    if file.tell() + size != present:
        raise _Damage(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    data = file.read(size)
    if len(data) != size:
        raise _Damage("is cut short; save it again")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")


def _claim(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype from the head of an npy file. NumPy's parser takes literals only, 10,000 at most."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise _Damage(f"is written in version {version[0]}.{version[1]} of NumPy's format, which is not read")
    shape, columns_first, dtype = readers[version](file)
    if any(isinstance(side, bool) or not 0 <= side < 1 << 31 for side in shape):
        raise _Damage("has an array with a shape that cannot be; it is damaged")
    return shape, columns_first, dtype


# --- values


def _pictures(values: NDArray[Any]) -> Array:
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _Damage("has images with values that are not finite numbers")
    white = next((white for white in _WHITES if high <= white), None)
    if white is None or low < -1 or (low < 0 and white > 1):
        raise _Damage(
            f"has images with values from {low:g} to {high:g}; use 0 to 1, -1 to 1, 0 to 255 or 0 to 65535"
        )
    pictures = np.empty(values.shape, np.float32)
    for picture, grey in zip(pictures, values, strict=True):
        np.copyto(picture, as_ink((grey + np.float32(1)) / 2 if low < 0 else grey / np.float32(white)))
    return pictures


def _labels(values: NDArray[Any], count: int) -> Labels:
    if len(values) != count:
        raise _Damage(f"has {len(values):,} labels for {count:,} images; it needs one for each")
    if not np.isfinite(values).all() or not ((values >= -1) & (values < 1 << 31) & (values % 1 == 0)).all():
        raise _Damage("has labels that are no whole numbers from 0 up (or -1 for neither)")
    return values.astype(np.int64)
