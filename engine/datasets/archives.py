"""Zip archives of folders of pictures, read without being unpacked. Not npz files, which are zips of arrays."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from engine.datasets.examples import Examples
from engine.datasets.folders import MOST_ENTRIES, Parts, Picture, Progress, Tree, is_hidden, is_picture, read_tree
from engine.drawing import Array
from engine.storage.atomic import MEBIBYTE, StorageError, shown, size_of
from engine.storage.pictures import picture_of

FILE_LIMIT: Final = 1024 * MEBIBYTE
PICTURE_LIMIT: Final = 32 * MEBIBYTE  # of one, unpacked
UNPACKED_LIMIT: Final = 1024 * MEBIBYTE

# Pictures are packed already, or simple and small: they may unpack to this, or to so many times the archive.
_ALWAYS_READ = 32 * MEBIBYTE
_RATIO = 40
_LOCKED = 1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What Python's own reader raises on damaged files.
_FAULTS = (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_archive(path: Path, side: int, progress: Progress | None = None) -> Examples:
    """The pictures of a zip archive as in `read_tree`. Nothing is written anywhere.

    Raises StorageError, one sentence that names the file. What the archive claims to unpack to is held against its
    bytes before anything is unpacked, and no more than that is unpacked.
    """
    size = size_of(path, FILE_LIMIT)
    with contextlib.ExitStack() as stack:
        with _told(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            tree = _tree(path, archive, size)
        return read_tree(path, tree, side, progress)


@contextlib.contextmanager
def _told(path: Path | str) -> Iterator[None]:
    """Turns what goes wrong with the archive, or a file in it, into one sentence."""
    try:
        yield
    except StorageError:
        raise
    except PermissionError as error:
        raise StorageError(f"{shown(path)} may not be read; ask for the permission, or copy it.") from error
    except MemoryError as error:
        raise StorageError(f"{shown(path)} needs more memory than there is; unpack the archive.") from error
    except _FAULTS as error:
        raise StorageError(f"{shown(path)} is no zip archive, or is damaged; get it again.") from error


def _tree(path: Path, archive: zipfile.ZipFile, size: int) -> Tree:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise StorageError(f"{shown(path)} holds more than the {MOST_ENTRIES:,} files that are looked through.")
    folders: dict[Parts, None] = {}
    pictures: dict[Parts, Picture] = {}
    unpacked = 0
    for entry in entries:
        parts = _parts(path, entry)
        if any(map(is_hidden, parts)):
            continue
        above = parts if entry.is_dir() else parts[:-1]
        folders.update((above[: depth + 1], None) for depth in range(len(above)))
        if entry.is_dir() or not is_picture(parts[-1]):
            continue
        if parts in pictures:
            raise StorageError(f"{shown(path)} holds {shown(entry.filename)} twice; pack it again.")
        _check_entry(path, entry, size)
        unpacked += entry.file_size
        pictures[parts] = Picture(parts, partial(_picture, path, archive, entry))
    if unpacked > min(UNPACKED_LIMIT, max(_ALWAYS_READ, _RATIO * size)):
        raise StorageError(
            f"{shown(path)} claims to unpack to {unpacked / MEBIBYTE:,.0f} MiB, more than is safe for its size; "
            "unpack it yourself and name the folder."
        )
    return Tree(list(folders), list(pictures.values()))


def _parts(path: Path, entry: zipfile.ZipInfo) -> Parts:
    """The names that lead to an entry."""
    parts = tuple(entry.filename.removesuffix("/").split("/"))
    if not all(parts) or ".." in parts or "\\" in entry.filename or ":" in parts[0]:
        raise StorageError(
            f"{shown(path)} holds {entry.filename[:80]!r}, which leads out of it; it is not safe to open."
        )
    return parts


def _check_entry(path: Path, entry: zipfile.ZipInfo, size: int) -> None:
    name = shown(entry.filename[:80])
    if entry.flag_bits & _LOCKED:
        raise StorageError(f"{shown(path)} is locked with a password; pack it again without one.")
    if entry.compress_type not in _PACKINGS:
        raise StorageError(f"{shown(path)} is packed in a way that is not read; pack it as an ordinary zip.")
    if entry.file_size > PICTURE_LIMIT:
        raise StorageError(
            f"{shown(path)} holds {name}, which unpacks to more than the {PICTURE_LIMIT // MEBIBYTE} MiB that are "
            "read of one picture; unpack the archive and name the folder."
        )
    if entry.compress_size > size:
        raise StorageError(f"{shown(path)} claims more bytes for {name} than it has; get it again.")


def _picture(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """A picture of the archive; errors name it as a file below the archive."""
    name = f"{path}/{entry.filename}"
    with _told(name), archive.open(entry) as file:
        data = file.read(entry.file_size + 1)
        if len(data) != entry.file_size:
            raise zipfile.BadZipFile
    return picture_of(data, name)
