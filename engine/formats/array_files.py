"""Array files: reads labelled pictures from npz and IDX files, and writes npz files."""

from __future__ import annotations

import contextlib
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
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.formats.atomic_file import MEBIBYTE, FileError, FilePath, InvalidFile, checked_size, quoted
from engine.formats.ink import as_ink
from engine.formats.packed_files import GZIP_MAGIC, GzipReader, Readable, count_zip_entries

Array = NDArray[np.float32]
Labels = NDArray[np.int64]

FILE_LIMIT = 1024 * MEBIBYTE
UNPACKED_LIMIT: Final = 1024 * MEBIBYTE
PICTURES_LIMIT: Final = 1 << 28  # values; 1 GiB as float32
MAX_CLASSES: Final = 1_000
# Pictures of classes with these names get the label -1.
NO_CLASS_NAMES: Final = ("neither", "none")
GZIP_SUFFIX = ".gz"

_MAX_NAME_LENGTH = 100
_DTYPE_KINDS = "uifb"
_WHITE_LEVELS = (1, 255, 65535)
_CHUNK = 1 << 20  # values converted at once, to limit memory
_MAX_MEMBERS = 10_000
_DEFLATE_RATIO = 1040  # deflate compresses at most 1,032 bytes into one
_IDX_DTYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
# Exceptions of Python's and NumPy's readers on damaged files.
_READ_ERRORS = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error, AttributeError, tokenize.TokenError,
)  # fmt: skip

_lock = threading.Lock()  # because warning filters are global


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures of a file, with labels and class names if it has them.

    pictures: (N, H, W) float32, -1 background to 1 ink
    labels: (N,) int64, class indices, or -1 for no class
    classes: names
    """

    pictures: Array
    labels: Labels | None = None
    classes: tuple[str, ...] | None = None


def read_npz(path: FilePath) -> LabelledPictures:
    """Reads an npz file with `images` (N, H, W) and, optionally, `labels` (N,) and `classes` (K,).

    In the file, images are numbers or booleans in 0..1, -1..1, 0..255 or 0..65535, as in `numbers_to_ink`; labels
    are class indices, or -1 for no class; classes are names, as text. Up to 1 GiB packed, unpacked, and as float32.

    Raises FileError, one sentence that names the file. Nothing is unpickled, and every size that the file claims
    is checked against its actual bytes before anything is allocated.
    """
    size = checked_size(path, FILE_LIMIT)
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open(path, "rb") as file:
                if count_zip_entries(file, _MAX_MEMBERS) > _MAX_MEMBERS:
                    raise InvalidFile(f"has more than the {_MAX_MEMBERS:,} arrays that are read")
                with zipfile.ZipFile(file) as archive:
                    return _read_members(archive, size)
        except InvalidFile as error:
            raise FileError(f"{quoted(path)} {error}.") from error
        except PermissionError as error:
            raise FileError(f"{quoted(path)} may not be read; ask for the permission, or copy it.") from error
        except MemoryError as error:
            raise FileError(f"{quoted(path)} needs more memory than there is; split it.") from error
        except _READ_ERRORS as error:
            raise FileError(f"{quoted(path)} is not an npz file, or is damaged; save it again.") from error


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an npz file with these arrays, in this order; deterministic.

    Raises ValueError for an array of objects, or a name that looks like a path.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if _is_path_like(name):
                raise ValueError(f"an npz file cannot hold an array called {name!r}")
            member = io.BytesIO()
            npy.write_array(member, np.asanyarray(array), allow_pickle=False)
            # ZipInfo has a fixed date, 1980; the current time would change the bytes.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return packed.getvalue()


def read_idx(images: FilePath, labels: FilePath) -> LabelledPictures:
    """Reads pictures from an IDX file with three axes (idx3-ubyte) and labels from one with one axis (idx1-ubyte).

    All types of the format are read, in the ranges of `numbers_to_ink`, gzipped or not. Up to 1 GiB packed,
    unpacked and as float32. The format has no class names.

    Raises FileError, one sentence that names the file. Every size that a file claims is checked against its
    actual bytes, or what gzip can unpack them to, before anything is allocated, and limits what is unpacked.
    """
    with _file_errors(images):
        values = _read_idx_array(images, "images", 3)
    with _file_errors(labels):
        label_values = numbers_to_labels(_read_idx_array(labels, "labels", 1), len(values))
    with _file_errors(images):
        return LabelledPictures(numbers_to_ink(values), label_values)


def is_idx(path: FilePath) -> bool:
    """Whether a regular file begins like IDX. Raises FileError if it cannot be read."""
    with _file_errors(path), _open_unpacked(path) as (file, _):
        try:
            header = file.read(4)
        except (EOFError, zlib.error, InvalidFile):
            return False  # damaged gzip
        return len(header) == 4 and header[:2] == b"\0\0" and header[2] in _IDX_DTYPES and header[3] > 0


def find_labels_file(images: Path) -> Path | None:
    """The labels file beside an images file, or None: named with "labels" for "images" and "idx1" for "idx3", with
    or without .gz."""
    name = images.name.removesuffix(GZIP_SUFFIX)
    labels_name = name.replace("images", "labels").replace("idx3", "idx1")
    if labels_name == name:
        return None
    # A labels file packed like the images file comes first.
    suffixes = sorted(("", GZIP_SUFFIX), reverse=images.name != name)
    candidates = (images.with_name(labels_name + suffix) for suffix in suffixes)
    return next((path for path in candidates if path.is_file()), None)


# --- validation


def check_array_header(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], dimensions: int) -> int:
    """The size in bytes of an array with this shape and dtype. Raises InvalidFile if it cannot be pictures (three
    dimensions) or labels (one), or is too large."""
    if dtype.kind not in _DTYPE_KINDS or dtype.itemsize > 8:
        raise InvalidFile(f"holds {name} as {dtype.name[:40]}; they must be integers, real numbers or booleans")
    if len(shape) != dimensions or not all(shape):
        expected = "(N, H, W), pictures × rows × columns" if dimensions == 3 else "(N,), one for each picture"
        raise InvalidFile(f"has {name} of shape {shape}; they must be {expected}, and not empty")
    values = math.prod(shape)
    if values > PICTURES_LIMIT:
        raise InvalidFile(f"has {name} of shape {shape}, more than the {PICTURES_LIMIT:,} values that are read")
    if values * dtype.itemsize > UNPACKED_LIMIT:
        raise InvalidFile(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    return values * dtype.itemsize


def numbers_to_ink(values: NDArray[Any]) -> Array:
    """Converts numbers (N, H, W) to ink, -1 to 1.

    The range, 0..1, -1..1, 0..255 or 0..65535, is detected from the whole array; `as_ink` then separates ink from
    background in each picture. Raises InvalidFile for other values.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidFile("has images with values that are not finite numbers")
    white = next((white for white in _WHITE_LEVELS if high <= white), None)
    if white is None or low < -1 or (low < 0 and white > 1):
        raise InvalidFile(
            f"has images with values from {low:g} to {high:g}; use 0 to 1, -1 to 1, 0 to 255 or 0 to 65535"
        )
    pictures = np.empty(values.shape, np.float32)
    chunk = max(1, _CHUNK // math.prod(values.shape[1:]))
    for start in range(0, len(values), chunk):
        grey = values[start : start + chunk]
        pictures[start : start + chunk] = as_ink(
            (grey + np.float32(1)) / 2 if low < 0 else grey / np.float32(white)
        )
    return pictures


def numbers_to_labels(values: NDArray[Any], count: int) -> Labels:
    """Converts numbers to `count` labels. Raises InvalidFile unless they are integers from -1 on."""
    if len(values) != count:
        raise InvalidFile(f"has {len(values):,} labels for {count:,} images; it needs one for each")
    if not np.isfinite(values).all() or not ((values >= -1) & (values < 1 << 31) & (values % 1 == 0)).all():
        raise InvalidFile("has labels that are not integers from 0 on (or -1 for no class)")
    return values.astype(np.int64)


def resolve_classes(labels: Labels, names: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    """Removes the names "neither" and "none" from the classes; their pictures get the label -1.

    labels: indices into `names`, or -1. Returns the new labels and the names of the classes. Raises InvalidFile for
    a label without a name, and for names that are unprintable, too long or not unique.
    """
    if labels.size and labels.max() >= len(names):
        raise InvalidFile(f"has the label {labels.max()}, but names only {len(names)} classes, from 0 on")
    if len(names) > MAX_CLASSES:
        raise InvalidFile(f"has {len(names):,} classes; use at most {MAX_CLASSES:,}")
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME_LENGTH:
            raise InvalidFile(f"has a class called {name[:_MAX_NAME_LENGTH]!r}; give it a short, printable name")
    if len(set(names)) != len(names):
        raise InvalidFile("has two classes of the same name; rename one")
    classes = tuple(name for name in names if name.casefold() not in NO_CLASS_NAMES)
    index = {name: at for at, name in enumerate(classes)}
    new_labels = np.array([*(index.get(name, -1) for name in names), -1], np.int64)  # the label -1 indexes the last
    return new_labels[labels], classes


# --- members of npz files


def _read_members(archive: zipfile.ZipFile, size: int) -> LabelledPictures:
    members = _checked_members(archive, size)
    if "images.npy" not in members:
        raise InvalidFile("has no array called images; it needs images (N, H, W) and may have labels (N,)")
    values = _read_array(archive, members["images.npy"], "images", 3)
    if "labels.npy" not in members:
        return LabelledPictures(numbers_to_ink(values))
    labels = numbers_to_labels(_read_array(archive, members["labels.npy"], "labels", 1), len(values))
    if "classes.npy" not in members:
        return LabelledPictures(numbers_to_ink(values), labels)
    return LabelledPictures(
        numbers_to_ink(values), *resolve_classes(labels, _read_names(archive, members["classes.npy"]))
    )


def _checked_members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, all of them checked, also unused ones."""
    entries = archive.infolist()
    members = {entry.filename: entry for entry in entries}
    if len(members) != len(entries):
        raise InvalidFile("has two arrays of the same name; save it again")
    if unsafe := next((name for name in members if _is_path_like(name)), None):
        raise InvalidFile(f"holds {unsafe[:80]!r}, which looks like a path; it is not safe to open")
    if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT:
        raise InvalidFile(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    for entry in entries:
        if entry.flag_bits & 1:
            raise InvalidFile("is locked with a password; save it without one")
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_RATIO}.get(entry.compress_type)
        if ratio is None:
            raise InvalidFile("is packed in a way that NumPy does not use; save it with numpy.savez")
        if entry.compress_size > size or entry.file_size > ratio * (entry.compress_size + 1):
            raise InvalidFile("claims to hold more than its bytes can; it is damaged")
    return members


def _is_path_like(name: str) -> bool:
    return not name.isprintable() or ".." in name or any(mark in name for mark in '/\\:*?"<>|')


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, dimensions: int) -> NDArray[Any]:
    """Reads a member as an array, after checking shape, dtype and size."""
    with archive.open(member) as file:
        shape, fortran_order, dtype = _read_header(file)
        size = check_array_header(name, shape, dtype, dimensions)
        data = _read_exactly(file, member, name, shape, size)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_names(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> list[str]:
    """Reads a member as strings."""
    with archive.open(member) as file:
        shape, _, dtype = _read_header(file)
        if dtype.kind != "U" or len(shape) != 1 or not dtype.itemsize:
            raise InvalidFile(
                f"has classes of shape {shape} as {dtype.name[:40]}; they must be (K,), names as text"
            )
        if shape[0] > MAX_CLASSES:
            raise InvalidFile(f"has {shape[0]:,} classes; use at most {MAX_CLASSES:,}")
        data = _read_exactly(file, member, "classes", shape, shape[0] * dtype.itemsize)
    # Decoded here because NumPy does not check that the code points are valid.
    encoding = "utf-32-le" if dtype.str[0] == "<" else "utf-32-be"
    ends = range(dtype.itemsize, len(data) + 1, dtype.itemsize)
    return [data[end - dtype.itemsize : end].decode(encoding).rstrip("\0") for end in ends]


def _read_exactly(file: IO[bytes], member: zipfile.ZipInfo, name: str, shape: tuple[int, ...], size: int) -> bytes:
    """Reads the rest of a member, which must have `size` bytes."""
    if file.tell() + size != member.file_size:
        raise InvalidFile(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    data = file.read(size)
    if len(data) != size:
        raise InvalidFile("is cut short; save it again")
    return data


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of an npy file. NumPy's parser accepts literals only, 10,000 at most."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise InvalidFile(f"is written in version {version[0]}.{version[1]} of NumPy's format, which is not read")
    try:
        shape, fortran_order, dtype = readers[version](file)
    except zlib.error:
        raise
    except _READ_ERRORS as error:  # MemoryError is what Python's parser says of deep nesting
        raise InvalidFile("has an array whose header cannot be read; save it again") from error
    if any(isinstance(length, bool) or not 0 <= length < 1 << 31 for length in shape):
        raise InvalidFile("has an array with an impossible shape; it is damaged")
    return shape, fortran_order, dtype


# --- IDX files


@contextlib.contextmanager
def _file_errors(path: FilePath) -> Iterator[None]:
    """Converts exceptions of the IDX reader to FileError."""
    try:
        yield
    except FileError:
        raise
    except InvalidFile as error:
        raise FileError(f"{quoted(path)} {error}.") from error
    except PermissionError as error:
        raise FileError(f"{quoted(path)} may not be read; ask for the permission, or copy it.") from error
    except MemoryError as error:
        raise FileError(f"{quoted(path)} needs more memory than there is; split it.") from error
    except (OSError, EOFError, zlib.error) as error:  # from gzip
        raise FileError(f"{quoted(path)} is damaged or cut short; get it again where it came from.") from error


@contextlib.contextmanager
def _open_unpacked(path: FilePath) -> Iterator[tuple[Readable, bool]]:
    """Opens a file, through gzip if it is gzipped; also yields whether it is."""
    with open(path, "rb") as file:
        is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        yield GzipReader(file) if is_gzip else file, is_gzip


def _read_idx_array(path: FilePath, name: str, axes: int) -> NDArray[Any]:
    """Reads the values of an IDX file, after checking that its size agrees with its header."""
    size = checked_size(path, FILE_LIMIT)
    with _open_unpacked(path) as (file, is_gzip):
        shape, dtype = _read_idx_header(file, name, axes)
        expected, header_size = check_array_header(name, shape, dtype, axes), 4 + 4 * axes
        limit = size * _DEFLATE_RATIO if is_gzip else size
        data = file.read(expected + 1) if header_size + expected <= limit else b""
    if len(data) != expected:
        raise InvalidFile(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    return np.frombuffer(data, dtype).reshape(shape)


def _read_idx_header(file: Readable, name: str, axes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an IDX file."""
    header = file.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in _IDX_DTYPES:
        raise InvalidFile("is not an IDX file; name the images of a data set such as MNIST")
    if header[3] != axes:
        raise InvalidFile(f"has {header[3]} axes, but {name} have {axes}; is it another file of the same data set?")
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise InvalidFile("is cut short; get it again where it came from")
    return struct.unpack(f">{axes}I", lengths), np.dtype(_IDX_DTYPES[header[2]])
