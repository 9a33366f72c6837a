"""The chunks of a PNG file that a picture needs, found without reading the others.

A PNG may hold any number of texts, colour profiles and chunks of other programs, packed or not; a decoder that
reads them takes as much time and memory as they like.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.formats.atomic_file import MEBIBYTE, InvalidFile

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
_TEXTS: Final = (b"tEXt", b"zTXt")
_EXIF_TEXT: Final = b"Raw profile type exif"  # as some programs write EXIF
_KEPT_LIMIT: Final = MEBIBYTE
_MAX_CHUNKS: Final = 200_000
_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_BANDS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of the header
_PIECE: Final = MEBIBYTE


@dataclass(frozen=True)
class PngChunks:
    """What a picture needs of a PNG file.

    header: signature, size, palette, transparency and EXIF, as they are in the file
    data: (offset, length) of the chunks of pixels, with their names and sums
    """

    header: bytes
    data: tuple[tuple[int, int], ...]
    depth: int
    bits_per_pixel: int

    @property
    def data_size(self) -> int:
        """Bytes of packed pixels."""
        return sum(length for _, length in self.data)

    def without_data(self) -> BinaryIO:
        """A file that can be opened, but not loaded."""
        return io.BytesIO(self.header + b"\0\0\0\0IDAT")

    def with_data(self, file: BinaryIO) -> BinaryIO:
        """A file of this picture alone, in memory."""
        parts = [self.header]
        for offset, length in self.data:
            file.seek(offset)
            parts.append(file.read(length))
        return io.BytesIO(b"".join((*parts, _END)))

    def iter_data(self, file: BinaryIO) -> Iterator[bytes]:
        """The packed pixels, in pieces."""
        for offset, length in self.data:
            file.seek(offset + 8)
            left = length - 12
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece


def find_png_chunks(file: BinaryIO, size: int) -> PngChunks | None:
    """The chunks of a PNG file of `size` bytes, None if it is no PNG; `file` is left at its beginning.

    Raises InvalidFile for more than 200,000 chunks, SyntaxError for damage.
    """
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        file.seek(0)
        return None
    kept: dict[bytes, bytes] = {}
    data: list[tuple[int, int]] = []
    at = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        start = file.read(8)
        if len(start) < 8 or start.endswith(b"IEND"):
            break
        length, name = struct.unpack(">I4s", start)
        if not name.isalpha():
            raise SyntaxError("a chunk without a name")
        if name == b"IDAT":
            data.append((at, min(length + 12, size - at)))
        elif name in _KEPT and name not in kept and length <= _KEPT_LIMIT:
            kept[name] = start + file.read(length + 4)
        elif name in _TEXTS and _EXIF_TEXT not in kept and length <= _KEPT_LIMIT:
            text = file.read(length + 4)
            if text.startswith(_EXIF_TEXT):
                kept[_EXIF_TEXT] = start + text
        at += length + 12
    else:
        raise InvalidFile(f"is made of more than {_MAX_CHUNKS:,} pieces; save it again where it came from")
    file.seek(0)
    if next(iter(kept), b"") != b"IHDR" or len(kept[b"IHDR"]) != 25 or not data:
        raise SyntaxError("no header, or no pixels")
    depth, colour = kept[b"IHDR"][16:18]
    header = _SIGNATURE + b"".join(kept[name] for name in (*_KEPT, _EXIF_TEXT) if name in kept)
    return PngChunks(header, tuple(data), depth, depth * _BANDS.get(colour, 4))
