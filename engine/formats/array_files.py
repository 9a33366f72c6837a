"""npz files: pictures with their labels in, arrays out. Not what the pictures show, nor single images."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import struct
import threading
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.formats.atomic_file import MEBIBYTE, Damage, FilePath, StorageError, shown, size_of
from engine.formats.pictures import as_ink

Array = NDArray[np.float32]
Labels = NDArray[np.int64]

UNPACKED_LIMIT: Final = 1024 * MEBIBYTE
PICTURES_LIMIT: Final = 1 << 28  # values; as float32 they take 1 GiB
MOST_CLASSES: Final = 1_000
# Classes of these names are none: their pictures are labelled -1.
NEITHER: Final = ("neither", "none")

_LONGEST_NAME = 100
_KINDS = "uifb"
_WHITES = (1, 255, 65535)  # where white may be in numbers that do not say
_CHUNK = 1 << 20  # values worked on at once, so that they take little room


@dataclass(frozen=True, eq=False)
class Labelled:
    """pictures: (N, H, W) float32, -1 background to 1 ink. labels: (N,) int64, a class's place from 0 or -1 for
    "neither"; classes: their names. None where the file says nothing of them."""

    pictures: Array
    labels: Labels | None = None
    classes: tuple[str, ...] | None = None


def check_claim(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], dimensions: int) -> int:
    """The bytes that an array of this shape and dtype takes. Raises Damage if it holds no pictures or labels."""
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        raise Damage(f"holds {name} as {dtype.name[:40]}; they must be whole or real numbers, or truth values")
    if len(shape) != dimensions or not all(shape):
        wanted = "(N, H, W), pictures × rows × columns" if dimensions == 3 else "(N,), one for each picture"
        raise Damage(f"has {name} of shape {shape}; they must be {wanted}, and not empty")
    values = math.prod(shape)
    if values > PICTURES_LIMIT:
        raise Damage(f"has {name} of shape {shape}, more than the {PICTURES_LIMIT:,} values that are read")
    if values * dtype.itemsize > UNPACKED_LIMIT:
        raise Damage(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    return values * dtype.itemsize


def ink_of(values: NDArray[Any]) -> Array:
    """Numbers (N, H, W) in 0..1, -1..1, 0..255 or 0..65535, told by what the whole array holds, as ink, -1 to 1.

    For each picture by itself `as_ink` tells ink from background. Raises Damage for other values.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Damage("has images with values that are not finite numbers")
    white = next((white for white in _WHITES if high <= white), None)
    if white is None or low < -1 or (low < 0 and white > 1):
        raise Damage(
            f"has images with values from {low:g} to {high:g}; use 0 to 1, -1 to 1, 0 to 255 or 0 to 65535"
        )
    pictures = np.empty(values.shape, np.float32)
    step = max(1, _CHUNK // math.prod(values.shape[1:]))
    for start in range(0, len(values), step):
        grey = values[start : start + step]
        pictures[start : start + step] = as_ink((grey + np.float32(1)) / 2 if low < 0 else grey / np.float32(white))
    return pictures


def labels_of(values: NDArray[Any], count: int) -> Labels:
    """Numbers as the labels of `count` pictures. Raises Damage unless they are whole, from -1 up, one for each."""
    if len(values) != count:
        raise Damage(f"has {len(values):,} labels for {count:,} images; it needs one for each")
    if not np.isfinite(values).all() or not ((values >= -1) & (values < 1 << 31) & (values % 1 == 0)).all():
        raise Damage("has labels that are no whole numbers from 0 up (or -1 for neither)")
    return values.astype(np.int64)


def named(labels: Labels, names: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    """Labels that are places in `names`, or -1, with the names that are classes: "neither" and "none" are not.

    Raises Damage for a label without a name and for names that nobody could read or tell apart.
    """
    if labels.size and labels.max() >= len(names):
        raise Damage(f"has the label {labels.max()}, but names only {len(names)} classes, from 0 up")
    if len(names) > MOST_CLASSES:
        raise Damage(f"has {len(names):,} classes; use at most {MOST_CLASSES:,}")
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise Damage(f"has a class called {name[:_LONGEST_NAME]!r}; give it a short name of visible letters")
    if len(set(names)) != len(names):
        raise Damage("has two classes of the same name; rename one")
    classes = tuple(name for name in names if name.casefold() not in NEITHER)
    places = {name: place for place, name in enumerate(classes)}
    moved = np.array([*(places.get(name, -1) for name in names), -1], np.int64)  # the label -1 takes the last
    return moved[labels], classes


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


_TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_PACKED = b"\x1f\x8b"  # how gzip begins
PACKED_SUFFIX = ".gz"


def read_idx(images: FilePath, labels: FilePath) -> Labelled:
    """The pictures of an IDX file with three axes (idx3-ubyte), with the labels of one with one axis (idx1-ubyte).

    Values of every type that the format has; as pictures, in the ranges of `ink_of`. Up to 1 GiB packed, unpacked
    and as float32. The format has no names for classes.

    Raises StorageError, one sentence that names the file. Every size a file claims is held against the bytes that
    are there, or that gzip can make of them, before anything is allocated; no more than that is unpacked.
    """
    with _told(images):
        values = _idx_array(images, "images", 3)
    with _told(labels):
        places = labels_of(_idx_array(labels, "labels", 1), len(values))
    with _told(images):
        return Labelled(ink_of(values), places)


def is_idx(path: FilePath) -> bool:
    """Whether an ordinary file begins as IDX does. Raises StorageError if it cannot be looked into."""
    with _told(path), _unpacked(path) as (file, _):
        try:
            head = file.read(4)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return False  # packed, but not whole
        return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and head[3] > 0


def labels_of_images(images: Path) -> Path | None:
    """Where the labels of an images file are: beside it, under the same name with "labels" for "images" and "idx1"
    for "idx3", with or without .gz. None if they are not there."""
    name = images.name.removesuffix(PACKED_SUFFIX)
    wanted = name.replace("images", "labels").replace("idx3", "idx1")
    if wanted == name:
        return None
    # First the one that is packed as the images are.
    suffixes = sorted(("", PACKED_SUFFIX), reverse=images.name != name)
    return next((beside for end in suffixes if (beside := images.with_name(wanted + end)).is_file()), None)


@contextlib.contextmanager
def _told(path: FilePath) -> Iterator[None]:
    """Turns what goes wrong with a file into one sentence."""
    try:
        yield
    except StorageError:
        raise
    except Damage as error:
        raise StorageError(f"{shown(path)} {error}.") from error
    except PermissionError as error:
        raise StorageError(f"{shown(path)} may not be read; ask for the permission, or copy it.") from error
    except MemoryError as error:
        raise StorageError(f"{shown(path)} needs more memory than there is; split it.") from error
    except (OSError, EOFError, zlib.error) as error:  # from Python's reader of gzip
        raise StorageError(f"{shown(path)} is damaged or cut short; get it again where it came from.") from error


@contextlib.contextmanager
def _unpacked(path: FilePath) -> Iterator[tuple[BufferedIOBase, bool]]:
    """The file's bytes, those within it if gzip packed it, and whether it did."""
    with open(path, "rb") as file:
        packed = file.read(len(_PACKED)) == _PACKED
        file.seek(0)
        if not packed:
            yield file, False
            return
        with gzip.GzipFile(fileobj=file) as inside:
            yield inside, True


def _idx_array(path: FilePath, name: str, axes: int) -> NDArray[Any]:
    """The file's values, if they are exactly as many as it claims."""
    size = size_of(path, FILE_LIMIT)
    with _unpacked(path) as (file, packed):
        shape, dtype = _idx_claim(file, name, axes)
        needed, head = check_claim(name, shape, dtype, axes), 4 + 4 * axes
        most = size * _DEFLATE_RATIO if packed else size
        data = file.read(needed + 1) if head + needed <= most else b""
    if len(data) != needed:
        raise Damage(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    return np.frombuffer(data, dtype).reshape(shape)


def _idx_claim(file: BufferedIOBase, name: str, axes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype from the head of a file."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise Damage("is no IDX file; name the images of a data set such as MNIST")
    if head[3] != axes:
        raise Damage(f"has {head[3]} axes, but {name} have {axes}; is it another file of the same data set?")
    sides = file.read(4 * axes)
    if len(sides) < 4 * axes:
        raise Damage("is cut short; get it again where it came from")
    return struct.unpack(f">{axes}I", sides), np.dtype(_TYPES[head[2]])
