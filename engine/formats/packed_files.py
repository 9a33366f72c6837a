"""Packed files: zip archives, whose entries are counted before they are listed, and gzip files."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, Final, Protocol

from engine.formats.atomic_file import MEBIBYTE, InvalidFile

GZIP_MAGIC: Final = b"\x1f\x8b"

_CHUNK: Final = 1 << 16
_MAX_MEMBERS: Final = 1_000  # of a gzip file; programs write one, or one for each piece of a large file
_HEADER_LIMIT: Final = MEBIBYTE  # of packed bytes that unpack to nothing, such as a file name in the header

# The records of a zip archive: signature and size. At the end, the last two may follow the directory.
_ENTRY: Final = (b"PK\x01\x02", 46)
_END: Final = (b"PK\x05\x06", 22)
_END_64: Final = (b"PK\x06\x06", 56)
_END_64_LOCATOR: Final = (b"PK\x06\x07", 20)
_COMMENT_LIMIT: Final = 1 << 16


class Readable(Protocol):
    """What can be read from its beginning to its end."""

    def read(self, size: int, /) -> bytes: ...


class GzipReader:
    """Unpacks a gzip file as it is read.

    Python's own reader takes a file name in the header byte by byte, and any number of members. Here, reading
    raises InvalidFile for more than a megabyte that unpacks to nothing, or more than a thousand members; zlib.error
    for damaged data and EOFError for data that end early.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._packed = b""
        self._unpacker = zlib.decompressobj(31)
        self._members = 1
        self._without_output = 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        parts: list[bytes] = []
        left = size
        while left and self._next_input():
            data = self._unpacker.decompress(self._packed, left)
            rest = len(self._unpacker.unconsumed_tail) + len(self._unpacker.unused_data)
            self._count_without_output(len(self._packed) - rest, len(data))
            self._packed = self._unpacker.unconsumed_tail
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _next_input(self) -> bool:
        """Have packed bytes at hand, of the next member if one has ended; False at the end of the file."""
        if self._unpacker.eof:
            rest = (self._unpacker.unused_data or self._file.read(_CHUNK)).lstrip(b"\0")  # padding of tapes
            if not rest:
                return False
            self._members += 1
            if self._members > _MAX_MEMBERS:
                raise InvalidFile(f"is packed in more than {_MAX_MEMBERS:,} pieces; unpack it first")
            self._packed, self._unpacker = rest, zlib.decompressobj(31)
        if not self._packed:
            self._packed = self._file.read(_CHUNK)
            if not self._packed:
                raise EOFError
        return True

    def _count_without_output(self, packed: int, unpacked: int) -> None:
        self._without_output = 0 if unpacked else self._without_output + packed
        if self._without_output > _HEADER_LIMIT:
            raise InvalidFile(
                "begins with more than a megabyte that holds no data; get it again where it came from"
            )


def count_zip_entries(file: BinaryIO, limit: int) -> int:
    """The number of entries in the directory of a zip archive, counted up to `limit` + 1.

    Python's reader lists all entries, of which an archive can claim millions, before any can be refused. Returns 0
    for a file without a directory. Leaves the file at its beginning.
    """
    start, end = _zip_directory(file)
    file.seek(start)
    count = 0
    while start < end and count <= limit:
        entry = file.read(_ENTRY[1])
        if len(entry) < _ENTRY[1] or not entry.startswith(_ENTRY[0]):
            break
        size = _ENTRY[1] + sum(struct.unpack_from("<3H", entry, 28))  # name, extra field, comment
        start += size
        file.seek(start)
        count += 1
    file.seek(0)
    return count


def _zip_directory(file: BinaryIO) -> tuple[int, int]:
    """Where the directory of a zip archive begins and ends, in bytes; twice the same if there is none."""
    size = file.seek(0, 2)
    tail_start = max(0, size - _COMMENT_LIMIT - _END[1] - _END_64[1] - _END_64_LOCATOR[1])
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(_END[0])
    if at < 0 or len(tail) - at < _END[1]:
        return 0, 0
    length, end = struct.unpack_from("<I", tail, at + 12)[0], tail_start + at
    record = at - _END_64_LOCATOR[1] - _END_64[1]
    if record >= 0 and tail[record:].startswith(_END_64[0]):
        length, end = struct.unpack_from("<Q", tail, record + 40)[0], tail_start + record
    return max(0, end - length), end
