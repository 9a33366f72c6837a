"""Reading whole files within a size limit, and writing them atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

FilePath: TypeAlias = "str | os.PathLike[str]"
Buffer: TypeAlias = "bytes | memoryview"

MEBIBYTE = 1 << 20
_SUFFIX = ".saving"
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.saving")
_SPARSE_SIZE = MEBIBYTE  # above it, holes are counted
_MAX_HOLES = 1_000  # that are counted

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
    """The size of a file in bytes, without reading it.

    Raises FileError if it is missing, not a regular file (opening a pipe could block for ever), empty, larger than
    `limit` bytes, or large and mostly holes, whose size costs whoever made it nothing.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise FileError(f"{quoted(path)} is a link to what does not exist; mend or remove it.") from error
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
    if status.st_size > _SPARSE_SIZE and _bytes_in_holes(path, status.st_size) > status.st_size / 2:
        raise FileError(
            f"{quoted(path)} is mostly holes: of its {status.st_size / MEBIBYTE:,.0f} MiB, more than half was "
            "never written; fetch it again."
        )
    return status.st_size


def _bytes_in_holes(path: FilePath, size: int) -> int:
    """The bytes of a file that are stored nowhere, as far as the system tells."""
    if not hasattr(os, "SEEK_HOLE"):
        return 0
    holes = end = 0
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:  # not allowed, or not supported
        for _ in range(_MAX_HOLES):
            start = os.lseek(file.fileno(), end, os.SEEK_HOLE)
            if start >= size:
                return holes
            try:
                end = os.lseek(file.fileno(), start, os.SEEK_DATA)
            except OSError:  # no more data
                return holes + size - start
            holes += end - start
    return holes


def write_atomically(path: FilePath, data: bytes, *more: Buffer) -> None:
    """Writes `data`, followed by `more`, to `path` atomically: readers see the old file or the new one.

    The data are written to a temporary file in the same folder and synced to the disk; then the temporary file
    replaces the target. Permissions of an existing file are kept; a symbolic link is followed. Raises FileError;
    the old file is then unchanged and the temporary file removed. A device or a pipe is refused: it would be
    replaced by a file.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not (target.is_file() or target.is_dir()):
            raise FileError(f"{quoted(path)} was not saved: it is not an ordinary file; choose another name.")
        remove_leftovers(target.parent, _prefix(target))
        _replace(target, (data, *more))
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(f"{quoted(path)} was not saved: {_remedy(error)}.") from error
    _sync_folder(target.parent)


def _replace(target: Path, parts: Sequence[Buffer]) -> None:
    temporary = target.with_name(_prefix(target) + secrets.token_hex(6) + _SUFFIX)
    # The files of `tempfile` are private; a saved file should have the user's default permissions.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with _locked(descriptor):
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


def remove_leftovers(folder: Path, prefix: str = ".") -> None:
    """Removes temporary files in a folder whose writers were killed; failures are ignored.

    A file that is still written is locked by its writer, or cannot be removed, as on Windows.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [each.path for each in entries if each.name.startswith(prefix) and _LEFTOVER.fullmatch(each.name)]
        for name in names:
            with contextlib.suppress(OSError):
                _remove_unlocked(name)


def _remove_unlocked(path: str) -> None:
    """Removes a file unless it is locked. Raises OSError."""
    if sys.platform == "win32":
        os.unlink(path)
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Locks an open file, also once it is closed, where the system can; some network drives cannot."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = os.dup(descriptor)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


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
