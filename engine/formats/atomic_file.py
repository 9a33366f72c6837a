"""Whole files: read within a limit, or written all or nothing. Not what is in them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

FilePath: TypeAlias = "str | os.PathLike[str]"
Buffer: TypeAlias = "bytes | memoryview"

MEBIBYTE = 1 << 20
_SUFFIX = ".saving"
_STALE_SECONDS = 3600.0  # nobody saves for an hour: what is older was left by a process that was killed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class StorageError(ValueError):
    """A file cannot be read or written; the message is one sentence that names it and says what to do."""


class Damage(ValueError):
    """What is wrong with a file, to follow its name in a sentence."""


def shown(path: FilePath) -> str:
    """A path as a sentence names it: on one line, whatever is in it."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def read_whole(path: FilePath, limit: int) -> bytes:
    """The file's bytes. Raises StorageError if it cannot be read or has more than `limit` bytes."""
    size = size_of(path, limit)
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StorageError(f"{shown(path)} cannot be read: {_reason(error)}.") from error
    if len(data) > limit or len(data) < size:
        raise StorageError(f"{shown(path)} changed while it was being read; try again.")
    return data


def size_of(path: FilePath, limit: int) -> int:
    """The file's size in bytes, looked up without opening it.

    Raises StorageError if it is missing, no ordinary file (opening a pipe could wait for ever), empty, or larger
    than `limit` bytes.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise StorageError(f"{shown(path)} does not exist; check the name.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise StorageError(f"{shown(path)} cannot be read: {_reason(error)}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise StorageError(f"{shown(path)} is a folder; name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{shown(path)} is not an ordinary file; copy what it gives into one first.")
    if status.st_size == 0:
        raise StorageError(f"{shown(path)} is empty; save it again where it came from.")
    if status.st_size > limit:
        raise StorageError(
            f"{shown(path)} has {status.st_size / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE:,} MiB that "
            "are read; choose a smaller file."
        )
    return status.st_size


def write_atomically(path: FilePath, data: bytes, *more: Buffer) -> None:
    """Put `data`, and what comes after it, at `path`, so that whoever looks finds the old file or the new one,
    never a part of it.

    The data goes to a temporary file beside the target, reaches the disk, and then takes the target's place. A
    file that was there keeps its permissions; a link keeps pointing where it does. Raises StorageError, with the
    old file as it was and nothing left beside it.
    """
    try:
        target = Path(os.path.realpath(path))
        _remove_stale(target)
        _replace(target, (data, *more))
    except (OSError, ValueError) as error:
        raise StorageError(f"{shown(path)} was not saved: {_remedy(error)}.") from error
    _sync_folder(target.parent)


def _replace(target: Path, parts: Sequence[Buffer]) -> None:
    temporary = target.with_name(_prefix(target) + secrets.token_hex(6) + _SUFFIX)
    # Not tempfile: its files are private, and a saved file should be as readable as any other the user makes.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with open(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _prefix(target: Path) -> str:
    """How the temporary files for a target begin; cut so that the whole stays a name a disk accepts."""
    return f".{target.name[:40]}."


def _remove_stale(target: Path) -> None:
    """Remove what earlier saves of this file left behind because their process was killed."""
    prefix, now = _prefix(target), time.time()
    with os.scandir(target.parent) as entries:
        left = [entry for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX)]
    for entry in left:
        with contextlib.suppress(OSError):  # tidying up is no reason not to save
            if now - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS:
                os.unlink(entry.path)


def _sync_folder(folder: Path) -> None:
    """Make the new name reach the disk, where the system can: Windows opens no folders, some disks refuse."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remedy(error: OSError | ValueError) -> str:
    """Why it failed and what to do about it, to end a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL:
        return "there is no room left on the disk; free some space, or choose another place"
    if number in _FORBIDDEN:
        return "writing there is not allowed; choose another folder"
    if number == errno.ENOENT:
        return "its folder does not exist; make it first, or choose another"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY):
        return "a folder stands where a file should be, or a file where a folder should; choose another name"
    return f"{_reason(error)}; choose another name or place"


def _reason(error: OSError | ValueError) -> str:
    """The system's words, without the number and the path that it puts around them."""
    words = error.strerror if isinstance(error, OSError) else None
    return (words or str(error) or type(error).__name__).rstrip(".").lower()
