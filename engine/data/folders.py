"""Folders of pictures, one for each class: which there are, and what each of them is. No other files of data.

The same for folders on the disk and in an archive; both are made into a `Tree` first.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import Examples
from engine.drawings.drawing import Array
from engine.formats.array_files import PICTURES_LIMIT, named
from engine.formats.atomic_file import MEBIBYTE, Damage, StorageError, shown, size_of
from engine.formats.pictures import SUFFIXES, picture_of, read_picture, to_input


def check_room(path: Path, count: int, side: int) -> None:
    """Raises StorageError if so many pictures of side x side take more than a data set may."""
    if count * side * side > PICTURES_LIMIT:
        raise StorageError(
            f"{shown(path)} has {count:,} pictures, which at {side} × {side} pixels take more than the "
            f"{PICTURES_LIMIT * 4 // MEBIBYTE:,} MiB that are read; use fewer, or a network with a smaller input."
        )


def check_classes(path: Path, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raises StorageError if fewer than two classes have pictures."""
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        only = f"one class only, {shown(classes[present[0]])}" if len(present) else "no class"
        raise StorageError(f"{shown(path)} has pictures of {only}; a network needs two or more to tell apart.")


Parts: TypeAlias = "tuple[str, ...]"
# Told now and then how many pictures are in, and of how many; what it raises ends the reading.
Progress: TypeAlias = "Callable[[int, int], None]"

MOST_ENTRIES: Final = 1_000_000
# Kinds of pictures that are not read: said to be unreadable, not passed over like what is no picture.
_UNREAD = (".heic", ".heif", ".avif", ".jxl", ".svg", ".ico", ".psd", ".tga")
_LEFT_BEHIND = ("__MACOSX", "@eaDir")  # what archivers and file servers put beside pictures
_PARTS_OF_A_SET = {"train", "training", "test", "testing", "val", "valid", "validation"}
_WRAPPERS = 8  # folders in folders, around those of the classes
_TOLD_EVERY = 64  # pictures


@dataclass(frozen=True)
class Picture:
    """A picture in a tree. parts: the names that lead to it. read: gives it as ink, or raises StorageError."""

    parts: Parts
    read: Callable[[], Array]


@dataclass(frozen=True)
class Tree:
    """Every folder, by the names that lead to it, and every picture; hidden ones are left out."""

    folders: list[Parts]
    pictures: list[Picture]


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's data: hidden, or left behind by a program."""
    return name.startswith(".") or name in _LEFT_BEHIND


def is_picture(name: str) -> bool:
    """Whether a file is meant to be a picture, by its name."""
    return name.lower().endswith((*SUFFIXES, *_UNREAD))


def listed(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    parts = [shown(name) for name in names[:3]]
    if len(names) > 3:
        parts.append(f"{len(names) - 3:,} more")
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last


def tree_of(path: Path) -> Tree:
    """The tree of a folder on the disk; links to folders count as folders.

    Raises StorageError for a folder that cannot be listed, one that is there twice, as a link can make it, and more
    than a million entries.
    """
    tree, count = Tree([], []), 0
    seen: dict[str, Parts] = {os.path.realpath(path): ()}
    waiting: list[tuple[str, str, Parts]] = [(str(path), os.path.realpath(path), ())]
    while waiting:
        folder, true, above = waiting.pop()
        for entry in entries_of(folder):
            count += 1
            if count > MOST_ENTRIES:
                raise StorageError(
                    f"{shown(path)} has more than the {MOST_ENTRIES:,} files that are looked through; name a "
                    "folder with nothing but the pictures."
                )
            parts = (*above, entry.name)
            if is_hidden(entry.name):
                continue
            if _is_folder(entry):
                # Where a link leads is looked up for links alone: it takes long for what lies deep.
                leads = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(true, entry.name)
                _check_new(path, leads, parts, seen)
                tree.folders.append(parts)
                waiting.append((entry.path, leads, parts))
            elif is_picture(entry.name):
                tree.pictures.append(Picture(parts, partial(read_picture, entry.path)))
    return tree


def read_tree(path: Path, tree: Tree, side: int, progress: Progress | None = None) -> Examples:
    """The pictures of a tree, fitted to (side, side), with a class for each folder at its top, sorted.

    A picture at any depth is of the class whose folder it lies in; "neither" and "none" are no classes but -1. One
    folder that holds nothing but folders, as archives often do, stands for what is in it. Pictures of that size
    enter as they are; others are fitted as drawings are. Sorted by name, so that the order is always the same.

    Raises StorageError, one sentence that names `path`, for no classes, a class without pictures, more than 1 GiB
    of pixels, and pictures that cannot be read: a part of the data is not the data.
    """
    tree = _unwrapped(tree)
    classes = sorted(folder[0] for folder in tree.folders if len(folder) == 1)
    pictures = sorted((one for one in tree.pictures if len(one.parts) > 1), key=lambda one: one.parts)
    _check_classes(path, tree, classes, {one.parts[0] for one in pictures})
    check_room(path, len(pictures), side)
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[one.parts[0]] for one in pictures], np.int64)
    try:
        labels, kept = named(labels, classes)
    except Damage as error:
        raise StorageError(f"{shown(path)} {error}.") from error
    check_classes(path, labels, kept)
    return Examples(_read(path, pictures, side, progress)[:, None], labels, kept)


def entries_of(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder. Raises StorageError if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StorageError(f"{shown(folder)} cannot be looked into: {reason}; mend or remove it.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself leads to no folder
        return False


def _check_new(path: Path, real: str, parts: Parts, seen: dict[str, Parts]) -> None:
    if real in seen:
        first = shown("/".join(seen[real])) or "itself"
        again = shown("/".join(parts))
        raise StorageError(f"{shown(path)} holds {first} again as {again}; remove the link from one to the other.")
    seen[real] = parts


def _unwrapped(tree: Tree) -> Tree:
    """The tree without the folders that hold all of it."""
    for _ in range(_WRAPPERS):
        tops = sum(len(folder) == 1 for folder in tree.folders)
        bare = all(len(one.parts) > 2 for one in tree.pictures)
        if tops != 1 or not bare or len(tree.folders) == 1:
            break
        tree = Tree(
            [folder[1:] for folder in tree.folders if len(folder) > 1],
            [Picture(one.parts[1:], one.read) for one in tree.pictures],
        )
    return tree


def _check_classes(path: Path, tree: Tree, classes: list[str], filled: set[str]) -> None:
    name = shown(path)
    if not classes and tree.pictures:
        raise StorageError(f"{name} has pictures, but no folder for each class; put those of each class into one.")
    if not filled:
        raise StorageError(
            f"{name} holds no data set; give it a folder of pictures for each class, or name an npz or IDX file."
        )
    if {one.casefold() for one in classes} <= _PARTS_OF_A_SET:
        raise StorageError(f"{name} has {listed(classes)} where its classes should be; name one of those folders.")
    if empty := [one for one in classes if one not in filled]:
        raise StorageError(f"{name} has no pictures in {listed(empty)}; put some there, or remove what is empty.")


def _read(path: Path, pictures: list[Picture], side: int, progress: Progress | None) -> Array:
    images = np.empty((len(pictures), side, side), np.float32)
    failed: list[tuple[Picture, StorageError]] = []
    for place, picture in enumerate(pictures, 1):
        try:
            images[place - 1] = to_input(picture.read(), side)
        except StorageError as error:
            failed.append((picture, error))
        if progress and (place % _TOLD_EVERY == 0 or place == len(pictures)):
            progress(place, len(pictures))
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        names = listed(["/".join(picture.parts) for picture, _ in failed])
        raise StorageError(
            f"{shown(path)} has {len(failed):,} pictures that cannot be read, {names}; mend or remove them."
        ) from failed[0][1]
    return images


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
