"""Reading whole files within a size limit, and writing them atomically."""

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
_STALE_SECONDS = 3600.0  # no save takes an hour: older temporary files were left by a process that was killed

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)


class FileError(ValueError):
    """A file cannot be read or written; the message is a sentence that names the file and a remedy."""


class InvalidFile(ValueError):
    """Invalid content of a file; the message is a predicate, to be put after the name of the file."""


def quoted(path: FilePath) -> str:
    """A path for use in a message: as it is, or its repr if it has unprintable characters."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def read_bytes(path: FilePath, limit: int) -> bytes:
    """Reads a file. Raises FileError if it cannot be read or has more than `limit` bytes."""
    size = checked_size(path, limit)
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"{quoted(path)} cannot be read: {_reason(error)}.") from error
    if len(data) > limit or len(data) < size:
        raise FileError(f"{quoted(path)} changed while it was being read; try again.")
    return data


def checked_size(path: FilePath, limit: int) -> int:
    """The size of a file in bytes, without opening it.

    Raises FileError if it is missing, not a regular file (opening a pipe could block for ever), empty, or larger
    than `limit` bytes.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise FileError(f"{quoted(path)} does not exist; check the name.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise FileError(f"{quoted(path)} cannot be read: {_reason(error)}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise FileError(f"{quoted(path)} is a folder; name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{quoted(path)} is not an ordinary file; copy its content into one first.")
    if status.st_size == 0:
        raise FileError(f"{quoted(path)} is empty; save it again where it came from.")
    if status.st_size > limit:
        raise FileError(
            f"{quoted(path)} has {status.st_size / MEBIBYTE:,.0f} MiB, more than the {limit // MEBIBYTE:,} MiB "
            "that are read; choose a smaller file."
        )
    return status.st_size


def write_atomically(path: FilePath, data: bytes, *more: Buffer) -> None:
    """Writes `data`, followed by `more`, to `path` atomically: readers see the old file or the new one.

    The data are written to a temporary file in the same folder and synced to the disk; then the temporary file
    replaces the target. Permissions of an existing file are kept; a symbolic link is followed. Raises FileError;
    the old file is then unchanged and the temporary file removed.
    """
    try:
        target = Path(os.path.realpath(path))
        _remove_stale(target)
        _replace(target, (data, *more))
    except (OSError, ValueError) as error:
        raise FileError(f"{quoted(path)} was not saved: {_remedy(error)}.") from error
    _sync_folder(target.parent)


def _replace(target: Path, parts: Sequence[Buffer]) -> None:
    temporary = target.with_name(_prefix(target) + secrets.token_hex(6) + _SUFFIX)
    # The files of `tempfile` are private; a saved file should have the user's default permissions.
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
    """The prefix of a target's temporary files, truncated so that the file name does not get too long."""
    return f".{target.name[:40]}."


def _remove_stale(target: Path) -> None:
    """Removes temporary files of this target left by processes that were killed."""
    prefix, now = _prefix(target), time.time()
    with os.scandir(target.parent) as entries:
        found = [entry for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX)]
    for entry in found:
        with contextlib.suppress(OSError):  # must not prevent saving
            if now - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS:
                os.unlink(entry.path)


def _sync_folder(folder: Path) -> None:
    """Syncs the new file name to the disk, where possible: not on Windows, nor on some file systems."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remedy(error: OSError | ValueError) -> str:
    """The cause and a remedy, to end a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _DISK_FULL:
        return "there is no room left on the disk; free some space, or choose another place"
    if number in _NOT_PERMITTED:
        return "writing there is not allowed; choose another folder"
    if number == errno.ENOENT:
        return "its folder does not exist; create it first, or choose another"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY):
        return "there is a folder where a file should be, or a file where a folder should be; choose another name"
    return f"{_reason(error)}; choose another name or place"


def _reason(error: OSError | ValueError) -> str:
    """The system's message without error number and path."""
    message = error.strerror if isinstance(error, OSError) else None
    return (message or str(error) or type(error).__name__).rstrip(".").lower()
