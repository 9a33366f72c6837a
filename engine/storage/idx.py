"""IDX files, the format of MNIST: pictures in one file, their labels in another. Not what the pictures show.

Format: http://yann.lecun.com/exdb/mnist/. Two zero bytes, the type of a value, the number of axes, the length of
each as 32 bits, then the values, all with the highest byte first. Either file may be packed with gzip.
"""

from __future__ import annotations

import contextlib
import gzip
import struct
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.storage.atomic import MEBIBYTE, Damage, FilePath, StorageError, shown, size_of
from engine.storage.labelled import Labelled, check_claim, ink_of, labels_of

FILE_LIMIT = 1024 * MEBIBYTE

_TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_PACKED = b"\x1f\x8b"  # how gzip begins
PACKED_SUFFIX = ".gz"
_DEFLATE_RATIO = 1040  # deflate packs at most 1,032 bytes into one


def read_idx(images: FilePath, labels: FilePath) -> Labelled:
    """The pictures of an IDX file with three axes (idx3-ubyte), with the labels of one with one axis (idx1-ubyte).

    Values of every type that the format has; as pictures, in the ranges of `ink_of`. Up to 1 GiB packed, unpacked
    and as float32. The format has no names for classes.

    Raises StorageError, one sentence that names the file. Every size a file claims is held against the bytes that
    are there, or that gzip can make of them, before anything is allocated; no more than that is unpacked.
    """
    with _told(images):
        values = _array(images, "images", 3)
    with _told(labels):
        places = labels_of(_array(labels, "labels", 1), len(values))
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


def _array(path: FilePath, name: str, axes: int) -> NDArray[Any]:
    """The file's values, if they are exactly as many as it claims."""
    size = size_of(path, FILE_LIMIT)
    with _unpacked(path) as (file, packed):
        shape, dtype = _claim(file, name, axes)
        needed, head = check_claim(name, shape, dtype, axes), 4 + 4 * axes
        most = size * _DEFLATE_RATIO if packed else size
        data = file.read(needed + 1) if head + needed <= most else b""
    if len(data) != needed:
        raise Damage(f"claims {name} of shape {shape}, which does not agree with its bytes; it is damaged")
    return np.frombuffer(data, dtype).reshape(shape)


def _claim(file: BufferedIOBase, name: str, axes: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
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
