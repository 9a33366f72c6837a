"""Image folders: a data set as one folder of pictures per class, on the disk or in a zip archive."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.data.data_kind import ReadProgress
from engine.data.dataset import Dataset
from engine.drawings import FloatArray
from engine.formats import (
    MEBIBYTE,
    PICTURE_SUFFIXES,
    PICTURES_LIMIT,
    FileError,
    InvalidFile,
    Note,
    checked_size,
    count_zip_entries,
    decode_picture,
    quoted,
    read_picture,
    resolve_classes,
    to_input,
)

PathParts: TypeAlias = "tuple[str, ...]"

ENTRIES_LIMIT: Final = 1_000_000
ARCHIVE_ENTRIES_LIMIT: Final = 200_000  # a list of them takes a second, and is read before any picture
# Unsupported picture formats: reported as unreadable, while files that are no pictures are ignored.
_UNSUPPORTED = (".heic", ".heif", ".avif", ".jxl", ".svg", ".ico", ".psd", ".tga")
# Put beside pictures by archivers, file servers and Windows.
_SYSTEM_NAMES = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found")
_SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}
_MAX_WRAPPERS = 8  # nested folders around the class folders
_PROGRESS_INTERVAL = 64  # pictures


@dataclass(frozen=True)
class PictureFile:
    """A picture in a tree.

    parts: its relative path
    read: returns it as ink, or raises FileError; the function that it is given is called if the file ends early
    """

    parts: PathParts
    read: Callable[[Note], FloatArray]


@dataclass(frozen=True)
class PictureTree:
    """All folders, by relative path, and all pictures, without hidden ones."""

    folders: list[PathParts]
    pictures: list[PictureFile]


def scan_folder(path: Path) -> PictureTree:
    """Scans a folder on the disk, following links to folders.

    Raises FileError for a folder that cannot be listed, a folder reached twice through a link, a link to a folder
    that is gone, and more than a million entries.
    """
    tree, count = PictureTree([], []), 0
    seen: dict[str, PathParts] = {os.path.realpath(path): ()}
    pending: list[tuple[str, str, PathParts]] = [(str(path), os.path.realpath(path), ())]
    while pending:
        folder, real_folder, above = pending.pop()
        for entry in list_entries(folder):
            count += 1
            if count > ENTRIES_LIMIT:
                raise FileError(
                    f"{quoted(path)} has more than the {ENTRIES_LIMIT:,} files that are looked through; name a "
                    "folder with only the pictures."
                )
            parts = (*above, entry.name)
            if is_hidden(entry.name) or _has_hidden_attribute(entry):
                continue
            if _is_folder(entry):
                # realpath is slow for deep paths, so it is called for links only.
                real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(real_folder, entry.name)
                _check_new(path, real, parts, seen)
                tree.folders.append(parts)
                pending.append((entry.path, real, parts))
            elif _may_be_lost_folder(entry):
                link = quoted("/".join(parts))
                raise FileError(f"{quoted(path)} has a link to what does not exist, {link}; mend or remove it.")
            elif is_picture(entry.name):
                tree.pictures.append(PictureFile(parts, partial(read_picture, entry.path)))
    return tree


def read_tree(
    path: Path, tree: PictureTree, side: int, progress: ReadProgress | None = None, note: Note | None = None
) -> Dataset:
    """Reads the pictures of a tree as (N, 1, side, side), with a class for each top-level folder.

    A picture at any depth belongs to the class of its top-level folder; "neither" and "none" become the label -1. A
    single folder around all others, as in many archives, is unwrapped. Pictures of another size are resampled.
    Classes and pictures are sorted by name, so that the order is reproducible.

    Raises FileError, one sentence that names `path`, for no classes, a class without pictures, more than 1 GiB
    of pixels, and pictures that cannot be read: an incomplete data set is refused.
    """
    tree = _unwrap(tree)
    folder_names = sorted(folder[0] for folder in tree.folders if len(folder) == 1)
    pictures = sorted((picture for picture in tree.pictures if len(picture.parts) > 1), key=lambda one: one.parts)
    _check_folders(path, tree, folder_names, {picture.parts[0] for picture in pictures})
    check_total_size(path, len(pictures), side)
    index = {name: at for at, name in enumerate(folder_names)}
    labels = np.array([index[picture.parts[0]] for picture in pictures], np.int64)
    try:
        labels, classes = resolve_classes(labels, folder_names)
    except InvalidFile as error:
        raise FileError(f"{quoted(path)} {error}.") from error
    check_classes(path, labels, classes)
    return Dataset(_read_pictures(path, pictures, side, progress, note)[:, None], labels, classes)


def check_total_size(path: Path, count: int, side: int) -> None:
    """Raises FileError if `count` pictures of side x side exceed the size limit of a data set."""
    if count * side * side > PICTURES_LIMIT:
        raise FileError(
            f"{quoted(path)} has {count:,} pictures, which at {side} × {side} pixels take more than the "
            f"{PICTURES_LIMIT * 4 // MEBIBYTE:,} MiB that are read; use fewer, or a network with a smaller input."
        )


def check_classes(path: Path, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raises FileError if fewer than two classes have pictures."""
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        only = f"one class only, {quoted(classes[present[0]])}" if len(present) else "no class"
        raise FileError(f"{quoted(path)} has pictures of {only}; a network needs two or more to tell apart.")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden or created by an archiver or file server."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _has_hidden_attribute(entry: os.DirEntry[str]) -> bool:
    """Whether Windows shows the file or folder to nobody; elsewhere files have no attributes."""
    if sys.platform != "win32":
        return False
    return bool(entry.stat(follow_symlinks=False).st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of a picture format, supported or not."""
    return name.lower().endswith((*PICTURE_SUFFIXES, *_UNSUPPORTED))


def join_names(names: Sequence[str]) -> str:
    """The first three names and the number of the others."""
    parts = [quoted(name) for name in names[:3]]
    if len(names) > 3:
        parts.append(f"{len(names) - 3:,} more")
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last


def list_entries(folder: str) -> list[os.DirEntry[str]]:
    """Lists a folder. Raises FileError if that fails."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(f"{quoted(folder)} cannot be listed: {reason}; repair or remove it.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _may_be_lost_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link to nothing, named as a folder is: the pictures of a class may be missing."""
    return entry.is_symlink() and not os.path.splitext(entry.name)[1] and not os.path.exists(entry.path)


def _check_new(path: Path, real: str, parts: PathParts, seen: dict[str, PathParts]) -> None:
    if real in seen:
        first = quoted("/".join(seen[real])) or "itself"
        again = quoted("/".join(parts))
        raise FileError(f"{quoted(path)} holds {first} again as {again}; remove the link from one to the other.")
    seen[real] = parts


def _unwrap(tree: PictureTree) -> PictureTree:
    """The tree without the outer folders that hold nothing but one folder."""
    for _ in range(_MAX_WRAPPERS):
        top_level = sum(len(folder) == 1 for folder in tree.folders)
        all_nested = all(len(picture.parts) > 2 for picture in tree.pictures)
        if top_level != 1 or not all_nested or len(tree.folders) == 1:
            break
        tree = PictureTree(
            [folder[1:] for folder in tree.folders if len(folder) > 1],
            [PictureFile(picture.parts[1:], picture.read) for picture in tree.pictures],
        )
    return tree


def _check_folders(path: Path, tree: PictureTree, folder_names: list[str], filled: set[str]) -> None:
    name = quoted(path)
    if not folder_names and tree.pictures:
        raise FileError(f"{name} has pictures, but no folder for each class; put those of each class into one.")
    if not filled:
        raise FileError(
            f"{name} holds no data set; give it a folder of pictures for each class, or name an npz or IDX file."
        )
    if {folder.casefold() for folder in folder_names} <= _SPLIT_NAMES:
        several = join_names(folder_names)
        raise FileError(f"{name} has {several} where its classes should be; name one of those folders.")
    if empty := [folder for folder in folder_names if folder not in filled]:
        raise FileError(f"{name} has no pictures in {join_names(empty)}; put some there, or remove what is empty.")


def _read_pictures(
    path: Path, pictures: list[PictureFile], side: int, progress: ReadProgress | None, note: Note | None
) -> FloatArray:
    images = np.empty((len(pictures), side, side), np.float32)
    failed: list[tuple[PictureFile, FileError]] = []
    notes: dict[str, str] = {}
    for count, picture in enumerate(pictures, 1):
        try:
            images[count - 1] = to_input(picture.read(partial(notes.__setitem__, "/".join(picture.parts))), side)
        except FileError as error:
            failed.append((picture, error))
        if progress and (count % _PROGRESS_INTERVAL == 0 or count == len(pictures)):
            progress(count, len(pictures))
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        names = join_names(["/".join(picture.parts) for picture, _ in failed])
        raise FileError(
            f"{quoted(path)} has {len(failed):,} pictures that cannot be read, {names}; repair or remove them."
        ) from failed[0][1]
    if notes and note is not None:
        several = (
            f"{quoted(path)} has {len(notes):,} pictures that end early, {join_names(list(notes))}; all are read."
        )
        note(several if len(notes) > 1 else next(iter(notes.values())))
    return images


# --- zip archives

FILE_LIMIT: Final = 1024 * MEBIBYTE
PICTURE_LIMIT: Final = 32 * MEBIBYTE  # of one, unpacked
UNPACKED_LIMIT: Final = 1024 * MEBIBYTE

_MAX_DEPTH = 500  # of folders in folders
# Against zip bombs: pictures are compressed already or small, so an archive may unpack to _ALWAYS_READ bytes or to
# _MAX_RATIO times its size, whichever is more.
_ALWAYS_READ = 32 * MEBIBYTE
_MAX_RATIO = 40
_ENCRYPTED_FLAG = 1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Exceptions of Python's zip reader on damaged files.
_READ_ERRORS = (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_archive(path: Path, side: int, progress: ReadProgress | None = None, note: Note | None = None) -> Dataset:
    """Reads the pictures of a zip archive in memory, as `read_tree` does.

    Raises FileError, one sentence that names the file. The size that the archive claims to unpack to is checked
    against its own size before anything is unpacked, and limits what is unpacked.
    """
    size = checked_size(path, FILE_LIMIT)
    with contextlib.ExitStack() as stack:
        with _file_errors(path):
            file = stack.enter_context(open(path, "rb"))
            if count_zip_entries(file, ARCHIVE_ENTRIES_LIMIT) > ARCHIVE_ENTRIES_LIMIT:
                raise FileError(
                    f"{quoted(path)} holds more than the {ARCHIVE_ENTRIES_LIMIT:,} files that are looked through; "
                    "unpack it and name the folder."
                )
            archive = stack.enter_context(zipfile.ZipFile(file))
            tree = _scan_archive(path, archive, size)
        return read_tree(path, tree, side, progress, note)


@contextlib.contextmanager
def _file_errors(path: Path | str) -> Iterator[None]:
    """Converts exceptions of the zip reader to FileError."""
    try:
        yield
    except FileError:
        raise
    except PermissionError as error:
        raise FileError(f"{quoted(path)} may not be read; ask for the permission, or copy it.") from error
    except MemoryError as error:
        raise FileError(f"{quoted(path)} needs more memory than there is; unpack the archive.") from error
    except _READ_ERRORS as error:
        raise FileError(f"{quoted(path)} is not a zip archive, or is damaged; get it again.") from error


def _scan_archive(path: Path, archive: zipfile.ZipFile, size: int) -> PictureTree:
    folders: dict[PathParts, None] = {}
    pictures: dict[PathParts, PictureFile] = {}
    unpacked = 0
    for entry in archive.infolist():
        parts, is_folder = _path_parts(path, entry)
        if not parts or any(map(is_hidden, parts)):
            continue
        above = parts if is_folder else parts[:-1]
        for depth in range(1, min(len(above), _MAX_WRAPPERS + 2) + 1):  # no deeper folder counts
            folders[above[:depth]] = None
        if is_folder or not is_picture(parts[-1]):
            continue
        if parts in pictures:
            raise FileError(f"{quoted(path)} holds {quoted(entry.filename)} twice; pack it again.")
        _check_entry(path, entry, size)
        unpacked += entry.file_size
        pictures[parts] = PictureFile(parts, partial(_read_picture, path, archive, entry))
    if unpacked > min(UNPACKED_LIMIT, max(_ALWAYS_READ, _MAX_RATIO * size)):
        raise FileError(
            f"{quoted(path)} claims to unpack to {unpacked / MEBIBYTE:,.0f} MiB, more than is safe for its size; "
            "unpack it yourself and name the folder."
        )
    return PictureTree(list(folders), list(pictures.values()))


def _path_parts(path: Path, entry: zipfile.ZipInfo) -> tuple[PathParts, bool]:
    """The path of an entry, and whether it is a folder. Raises FileError if it leads out of the archive.

    Some programs write backslashes for slashes, or begin every name with "./".
    """
    name = entry.filename.replace("\\", "/")
    if name.count("/") > _MAX_DEPTH:
        raise FileError(
            f"{quoted(path)} holds folders in folders, more than {_MAX_DEPTH} deep; unpack it and name the folder "
            "with the pictures."
        )
    names = name.removesuffix("/").split("/")
    if not all(names) or ".." in names or ":" in names[0]:
        raise FileError(
            f"{quoted(path)} holds {entry.filename[:80]!r}, which leads out of it; it is not safe to open."
        )
    return tuple(part for part in names if part != "."), name.endswith("/")


def _check_entry(path: Path, entry: zipfile.ZipInfo, size: int) -> None:
    name = quoted(entry.filename[:80])
    if entry.flag_bits & _ENCRYPTED_FLAG:
        raise FileError(f"{quoted(path)} is locked with a password; pack it again without one.")
    if entry.compress_type not in _COMPRESSIONS:
        raise FileError(f"{quoted(path)} is packed in a way that is not read; pack it as an ordinary zip.")
    if entry.file_size > PICTURE_LIMIT:
        raise FileError(
            f"{quoted(path)} holds {name}, which unpacks to more than the {PICTURE_LIMIT // MEBIBYTE} MiB that are "
            "read of one picture; unpack the archive and name the folder."
        )
    if entry.compress_size > size:
        raise FileError(f"{quoted(path)} claims more bytes for {name} than it has; get it again.")


def _read_picture(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, note: Note) -> FloatArray:
    """Reads a picture of the archive; errors name it as a file below the archive."""
    name = f"{path}/{entry.filename}"
    with _file_errors(name), archive.open(entry) as file:
        data = file.read(entry.file_size + 1)
        if len(data) != entry.file_size:
            raise zipfile.BadZipFile
    return decode_picture(data, name, note)
