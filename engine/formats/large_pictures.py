"""Large pictures: decoded in strips or at a reduced size, so that time and memory stay within limits.

PNG, BMP, PPM and uncompressed TIFF are read strip by strip; JPEG is reduced while it is decoded. Other formats are
decoded whole, and refused where that takes too much memory.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import ExifTags, Image

from engine.formats.atomic_file import MEBIBYTE, FileError, FilePath, quoted
from engine.formats.png_chunks import PngChunks

# A picture with more pixels is reduced, and one with longer sides.
FULL_PIXELS: Final = 8_000_000
REDUCED_PIXELS: Final = 1_500_000  # that are left at most; far more than a network reads, and quick to paint
FULL_SIDE: Final = 50_000
MEMORY_LIMIT: Final = 200 * MEBIBYTE  # of what a decoder holds at once

# Large pieces, because other threads take a turn, of milliseconds, after each.
_STRIP_PIXELS: Final = 4_000_000
_INPUT_BYTES: Final = 4 * MEBIBYTE
_JPEG_SCALES: Final = (2, 4, 8)
# Bits per pixel of the layouts of uncompressed files.
_RAW_BITS: Final = {
    "1": 1, "1;I": 1, "L": 8, "L;I": 8, "P": 8, "LA": 16, "I;16": 16, "I;16B": 16, "BGR;15": 16, "BGR;16": 16,
    "RGB": 24, "BGR": 24, "RGBX": 32, "BGRX": 32, "RGBA": 32, "BGRA": 32, "CMYK": 32, "RGB;16L": 48, "RGB;16B": 48,
}  # fmt: skip
_SLOW_CODECS: Final = ("bmp_rle", "ppm_plain")  # Pillow decodes them pixel by pixel
_SCALED: Final = "ppm"  # and this one too, although it is nearly uncompressed
_WHOLE_KINDS: Final = {"TIFF": "a TIFF that is packed or tiled", "WEBP": "a WebP picture", "GIF": "a GIF"}
# A mode whose pixels have this many bytes, in which a PNG is unfiltered before its bytes are interpreted.
_CARRIERS: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_large(image: Image.Image) -> bool:
    """Whether a picture is to be read by `load_reduced`."""
    return _exceeds(image) or any(tile[0] == _SCALED for tile in _tiles(image))


def _exceeds(image: Image.Image) -> bool:
    return image.width * image.height > FULL_PIXELS or max(image.size) > FULL_SIDE


def load_reduced(
    image: Image.Image,
    file: BinaryIO,
    chunks: PngChunks | None,
    path: FilePath,
    proceed: Callable[[], None] | None = None,
) -> Image.Image:
    """Decodes an opened picture with each side divided by a whole number, in grey, with alpha if it has any.

    chunks: of a PNG
    proceed: called before each strip

    Raises FileError if that takes too much time or memory, or an exception of Pillow's decoders.
    """
    if image.format in ("JPEG", "MPO"):
        return _load_jpeg(image, path)
    factor = max(
        math.ceil(math.sqrt(image.width * image.height / REDUCED_PIXELS)), math.ceil(max(image.size) / FULL_SIDE)
    )
    rows = max(1, _STRIP_PIXELS // (image.width * factor)) * factor
    if not _exceeds(image):
        factor = 1
    reduced: Image.Image | None = None
    top = 0
    for strip in _iter_strips(image, file, chunks, rows, path):
        if proceed is not None:
            proceed()
        part = _reduced(strip, factor)
        if reduced is None:
            reduced = Image.new(part.mode, (part.width, -(-image.height // factor)))
        elif part.mode == "LA" != reduced.mode:
            reduced = reduced.convert("LA")
        elif part.mode == "L" != reduced.mode:
            part = part.convert("LA")
        reduced.paste(part, (0, top))
        top += part.height
    assert reduced is not None
    return reduced


def _load_jpeg(image: Image.Image, path: FilePath) -> Image.Image:
    """A JPEG reduced by its decoder, in grey."""
    pixels = image.width * image.height
    if image.info.get("progressive"):
        # The decoder holds all coefficients, of two bytes; colour may have fewer than lightness.
        samples = [horizontal * vertical for _, horizontal, vertical, _ in getattr(image, "layer", [])]
        if 2 * pixels * sum(samples) / max(samples, default=1) > MEMORY_LIMIT:
            raise _too_large(image, "a progressive JPEG", path)
    scale = next((scale for scale in _JPEG_SCALES if pixels <= REDUCED_PIXELS * scale**2), _JPEG_SCALES[-1])
    image.draft("L", (image.width // scale, image.height // scale))
    image.load()
    return image


# --- strips


def _iter_strips(
    image: Image.Image, file: BinaryIO, chunks: PngChunks | None, rows: int, path: FilePath
) -> Iterator[Image.Image]:
    """The picture in strips of `rows` rows; the last may have fewer."""
    if chunks is not None and not image.info.get("interlace"):
        return _png_strips(image, file, chunks, rows)
    if chunks is not None:
        _check_memory(image, "an interlaced PNG", path, chunks.data_size)
        with Image.open(chunks.with_data(file), formats=("PNG",)) as whole:
            return _loaded_strips(whole, rows)
    is_turned = image.format == "TIFF" and Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) != 1
    tiles = _tiles(image)
    if any(tile[0] in _SLOW_CODECS for tile in tiles):
        raise _too_large(image, f"a picture in {image.format} as it is packed", path)
    if [tile[0] for tile in tiles] == [_SCALED]:
        return _scaled_bands(image, file, rows)
    if tiles and not is_turned and all(_is_raw_band(tile, image.width) for tile in tiles):
        return _joined(_raw_bands(image, file, rows), rows)
    kind = _WHOLE_KINDS.get(image.format or "", f"a picture in {image.format} as it is packed")
    _check_memory(image, kind, path)
    return _loaded_strips(image, rows)


def _loaded_strips(image: Image.Image, rows: int) -> Iterator[Image.Image]:
    image.load()
    tops = range(0, image.height, rows)
    return (image.crop((0, top, image.width, min(top + rows, image.height))) for top in tops)


def _png_strips(image: Image.Image, file: BinaryIO, chunks: PngChunks, rows: int) -> Iterator[Image.Image]:
    """The strips of a PNG that is not interlaced.

    Each row is filtered by the one above, so a strip is unpacked with the last row of the strip before it on top.
    Filters act on the bytes of pixels, whatever they mean: on each byte of a pixel apart.
    """
    pixel_bytes = max(1, chunks.bits_per_pixel // 8)
    row_bytes = (image.width * chunks.bits_per_pixel + 7) // 8
    is_deep_colour = chunks.depth == 16 and pixel_bytes > 2  # then the upper bytes are enough
    kept_bytes = pixel_bytes // 2 if is_deep_colour else pixel_bytes
    carrier = _CARRIERS[kept_bytes]
    width = row_bytes // pixel_bytes
    source = _Inflated(chunks.iter_data(file))
    above = bytes(width * kept_bytes)
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        filtered = source.read(count * (1 + row_bytes))
        if is_deep_colour:
            by_row = np.frombuffer(filtered, np.uint8).reshape(count, 1 + row_bytes)
            filtered = np.column_stack([by_row[:, :1], by_row[:, 1::2]]).tobytes()
        packed = zlib.compress(b"".join((b"\0", above, filtered)), 0)
        strip = Image.frombytes(carrier, (width, count + 1), packed, "zip", carrier)
        above = strip.crop((0, count, width, count + 1)).tobytes()
        yield _interpreted(strip.crop((0, 1, width, count + 1)), image, chunks)


def _interpreted(strip: Image.Image, image: Image.Image, chunks: PngChunks) -> Image.Image:
    """A strip of bytes as what they mean in the image."""
    if chunks.bits_per_pixel == chunks.depth == 16:
        return _like(
            image,
            Image.fromarray(
                np.frombuffer(strip.tobytes(), ">u2").astype(np.uint16).reshape(strip.height, strip.width)
            ),
        )
    if chunks.depth == 16 or strip.mode == image.mode:
        return _like(image, strip)
    raw_mode, _, _ = _raw_layout(_tiles(image)[0][3])
    return _like(image, Image.frombytes(image.mode, (image.width, strip.height), strip.tobytes(), "raw", raw_mode))


class _Inflated:
    """Unpacks a zlib stream that comes in pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._packed, self._unpacker = pieces, b"", zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises OSError if there are fewer, zlib.error for damage."""
        parts: list[bytes] = []
        while size:
            if not self._packed:
                self._packed = self._next_input()
            if not self._packed or self._unpacker.eof:
                raise OSError("too few bytes")
            parts.append(self._unpacker.decompress(self._packed, size))
            self._packed = self._unpacker.unconsumed_tail
            size -= len(parts[-1])
        return b"".join(parts)

    def _next_input(self) -> bytes:
        """Many pieces at once, or nothing at the end."""
        pieces: list[bytes] = []
        size = 0
        while size < _INPUT_BYTES and (piece := next(self._pieces, b"")):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


def _raw_bands(image: Image.Image, file: BinaryIO, rows: int) -> Iterator[Image.Image]:
    """The rows of an uncompressed picture, up to `rows` at once."""
    for _, (_, top, _, bottom), offset, args in _tiles(image):
        raw_mode, stride, step = _raw_layout(args)
        stride = stride or (image.width * _RAW_BITS[raw_mode] + 7) // 8
        height = min(bottom, image.height) - top
        for start in range(0, height, rows):
            count = min(rows, height - start)
            file.seek(offset + stride * (start if step > 0 else height - start - count))
            data = file.read(stride * count)
            yield _like(
                image, Image.frombytes(image.mode, (image.width, count), data, "raw", raw_mode, stride, step)
            )


def _scaled_bands(image: Image.Image, file: BinaryIO, rows: int) -> Iterator[Image.Image]:
    """The rows of a PNM picture whose largest value is neither 255 nor 65,535."""
    _, _, offset, (_, largest) = _tiles(image)[0]
    bands = len(image.getbands())
    dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
    file.seek(offset)
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        data = file.read(count * image.width * bands * dtype.itemsize)
        values = np.frombuffer(data, dtype).reshape(count, image.width, bands).astype(np.float32)
        values *= np.float32(1 / largest)
        np.minimum(values, 1, out=values)
        if bands == 1:
            yield Image.fromarray(values[..., 0])
        else:
            yield Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _joined(bands: Iterable[Image.Image], rows: int) -> Iterator[Image.Image]:
    """The same rows in strips of `rows`; the last may have fewer."""
    strip: Image.Image | None = None
    filled = 0
    for band in bands:
        if not filled and band.height == rows:
            yield band
            continue
        used = 0
        while used < band.height:
            if strip is None:
                strip = band.resize((band.width, rows), Image.Resampling.NEAREST)  # of its mode, palette and info
            strip.paste(band.crop((0, used, band.width, min(band.height, used + rows - filled))), (0, filled))
            moved = min(band.height - used, rows - filled)
            used, filled = used + moved, filled + moved
            if filled == rows:
                yield strip
                strip, filled = None, 0
    if strip is not None:
        yield strip.crop((0, 0, strip.width, filled))


def _tiles(image: Image.Image) -> list[Any]:
    """Pillow's list of the compressed blocks of the image."""
    return getattr(image, "tile", [])


def _raw_layout(args: Any) -> tuple[str, int, int]:
    """Layout, bytes per row (0: as many as there must be) and direction of uncompressed rows."""
    values = (args,) if isinstance(args, str) else args
    raw_mode, stride, step = (*values, 0, 1)[:3] if len(values) == 1 else (*values, 1)[:3]
    return raw_mode, stride, step


def _is_raw_band(tile: Any, width: int) -> bool:
    codec, box, _, args = tile
    return codec == "raw" and (box[0], box[2]) == (0, width) and _raw_layout(args)[0] in _RAW_BITS


def _like(image: Image.Image, strip: Image.Image) -> Image.Image:
    """The strip with the palette and the transparent colour of the image."""
    if image.palette is not None and strip.mode == "P":
        strip.putpalette(image.palette.palette, image.palette.rawmode or image.palette.mode)
    if "transparency" in image.info:
        strip.info["transparency"] = image.info["transparency"]
    return strip


def _reduced(strip: Image.Image, factor: int) -> Image.Image:
    """A strip in grey, with alpha if it has any, each side divided by `factor`; of 16 bits, 0 to 1."""
    if strip.mode.startswith("I;16"):
        strip = Image.fromarray(np.asarray(strip).astype(np.float32) / np.float32(65535))
    elif strip.has_transparency_data:
        return _reduced_with_alpha(strip, factor)
    elif strip.mode == "LAB":
        strip = strip.getchannel("L")
    elif strip.mode in ("1", "P", "RGB"):
        strip = strip.convert("L")
    elif strip.mode not in ("L", "I", "F"):
        strip = strip.convert("RGB").convert("L")
    return strip.reduce(factor)


def _reduced_with_alpha(strip: Image.Image, factor: int) -> Image.Image:
    """Averages are weighted by alpha, except where it is the same everywhere: 0 may mean nothing."""
    if strip.mode not in ("LA", "RGBA"):
        strip = strip.convert("RGBA")
    alpha = strip.getchannel("A")
    low, high = (int(np.asarray(alpha).min()), int(np.asarray(alpha).max()))
    if low != high:
        return strip.convert("LA").reduce(factor)
    grey = strip.convert("L").reduce(factor)
    return grey if high == 255 else Image.merge("LA", (grey, Image.new("L", grey.size, high)))


# --- what is refused


def _check_memory(image: Image.Image, kind: str, path: FilePath, more: int = 0) -> None:
    """Raises FileError if a picture takes too much memory to be decoded whole."""
    pixel_bytes = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    if image.format == "WEBP":
        pixel_bytes *= 4  # its decoder keeps several copies
    if image.width * image.height * pixel_bytes + more > MEMORY_LIMIT:
        raise _too_large(image, kind, path)


def _too_large(image: Image.Image, kind: str, path: FilePath) -> FileError:
    return FileError(
        f"{quoted(path)} has {image.width:,} × {image.height:,} pixels, too many for {kind}, which cannot be read "
        "in parts; make it smaller, or save it as an ordinary PNG or JPEG."
    )
