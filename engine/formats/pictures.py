"""Picture files: decodes drawings, scans and photographs, and converts them to ink on a background."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from engine.formats.atomic_file import MEBIBYTE, FileError, FilePath, InvalidFile, checked_size, quoted
from engine.formats.ink import as_ink, transparent_as_ink
from engine.formats.large_pictures import is_large, load_reduced
from engine.formats.png_chunks import find_png_chunks

Array = NDArray[np.float32]
# Called with a sentence on a picture that is read, but not quite whole.
Note: TypeAlias = "Callable[[str], None]"

FORMATS = ("PNG", "BMP", "JPEG", "GIF", "WEBP", "TIFF", "PPM")
# Of the files that are read from a folder.
PICTURE_SUFFIXES = (
    ".png",
    ".bmp",
    ".dib",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
)
PIXEL_LIMIT = 100_000_000
FILE_LIMIT = 512 * MEBIBYTE

# The most pixels that a byte of each format can encode; a file that claims more is truncated. RLE, WebP and TIFF
# compress an empty page to almost nothing, so their limits are generous, and small pictures are always read.
_PIXELS_PER_BYTE = {"BMP": 512, "JPEG": 1024, "MPO": 1024, "GIF": 4096, "WEBP": 32_768, "TIFF": 65_536}
_ALWAYS_READ = 4_000_000  # pixels
_RAW_PIXELS_PER_BYTE = 8  # uncompressed, at one bit each
_DEFLATED_BITS_PER_BYTE = 8 * 1040  # deflate compresses at most 1,032 bytes into one

_MAX_READS: Final = 200_000
_BATCH, _SMALL_PIXELS = 64, 65_536  # pictures that are read together, and pixels of each at most
_SMALL_DATA: Final = MEBIBYTE  # packed pixels of a PNG that are read before its size is checked
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_MOST_ROWS: Final = 0.95  # of a JPEG that ends early
# By the EXIF orientation, which says how the picture is stored.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Exceptions of Pillow's readers on damaged files.
_DECODE_ERRORS = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    MemoryError, RuntimeError, AssertionError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_lock = threading.Lock()  # because warning filters are global
# Errors of the decoders are reported by the exceptions below.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def read_picture(path: FilePath, note: Note | None = None, proceed: Callable[[], None] | None = None) -> Array:
    """Reads a picture file as ink: (H, W) float32, -1 background to 1 ink.

    PNG, BMP, JPEG, GIF and WebP (the first frame), TIFF, PPM/PGM/PBM; up to 100 megapixels and 512 MiB, checked
    before any pixel is decoded. A picture of more than 8 megapixels is reduced, in strips or by its decoder; where
    the format allows neither, it is refused if it would take more than 200 MiB. Applies the EXIF orientation.
    Colours become luminance, 0.299 R + 0.587 G + 0.114 B; ink and background are detected by `as_ink`.

    Transparent pixels are background, as in `transparent_as_ink`. note is called with a sentence if the file ends
    early and is read all the same: a JPEG without its end mark, of which at most a twentieth is missing. proceed is
    called between the strips of a large picture; an exception from it stops the reading.

    Raises FileError, one sentence that names the file, for anything else.
    """
    size = checked_size(path, FILE_LIMIT)
    with _file_errors(path), open(path, "rb") as file:
        return _to_ink(_decode(file, size, path, note, proceed))


def read_pictures(paths: Iterable[FilePath], note: Note | None = None) -> Iterator[Array | FileError]:
    """Reads many picture files as `read_picture` does each: yields its ink, or what is wrong with it, in order.

    Small pictures of one size are separated from their background together, which takes a third of the time.
    """
    remaining = iter(paths)
    while batch := list(islice(remaining, _BATCH)):
        read = [_read_small(path, note) for path in batch]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for at, one in enumerate(read):
            if isinstance(one, _Grey):
                by_shape.setdefault(one.values.shape, []).append(at)
        inks: dict[int, Array] = {}
        for same in by_shape.values():
            greys = np.stack([one.values for one in (read[at] for at in same) if isinstance(one, _Grey)])
            inks.update(zip(same, as_ink(greys), strict=True))
        for at, one in enumerate(read):
            yield inks[at] if isinstance(one, _Grey) else one


@dataclass(frozen=True, eq=False)
class _Grey:
    """The luminance (H, W) of an opaque picture, 0 to 1, not separated into ink and background yet."""

    values: Array


def _read_small(path: FilePath, note: Note | None) -> _Grey | Array | FileError:
    """The luminance of a small opaque picture, the ink of another one, or what is wrong with the file."""
    try:
        size = checked_size(path, FILE_LIMIT)
        with _file_errors(path), open(path, "rb") as file:
            image = _decode(file, size, path, note)
            is_small = image.width * image.height <= _SMALL_PIXELS
            return _Grey(_luminance(image)) if is_small and not image.has_transparency_data else _to_ink(image)
    except FileError as error:
        return error


def decode_picture(data: bytes, name: FilePath, note: Note | None = None) -> Array:
    """Decodes the bytes of a picture file as `read_picture` does; `name` is used in error messages."""
    with _file_errors(name):
        return _to_ink(_decode(io.BytesIO(data), len(data), name, note))


def pixels_as_ink(pixels: NDArray[np.uint8] | NDArray[np.uint16], name: FilePath = "The picture") -> Array:
    """Converts pixels, RGBA (H, W, 4) uint8 or grey (H, W) uint16, as `read_picture` converts those of a file;
    `name` is used in error messages."""
    if pixels.shape[0] * pixels.shape[1] > PIXEL_LIMIT:
        raise _too_large(name, pixels.shape[1], pixels.shape[0])
    with _file_errors(name):
        return _to_ink(Image.fromarray(pixels))


@contextlib.contextmanager
def _file_errors(path: FilePath) -> Iterator[None]:
    """Converts exceptions of the decoders to FileError and suppresses their warnings."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except FileError:
            raise
        except InvalidFile as error:
            raise FileError(f"{quoted(path)} {error}.") from error
        except Image.DecompressionBombError as error:
            raise _too_large(path) from error
        except UnidentifiedImageError as error:
            raise FileError(
                f"{quoted(path)} is not an image that can be read; use PNG, BMP, JPEG, GIF, WebP, TIFF or PPM."
            ) from error
        except PermissionError as error:
            raise FileError(f"{quoted(path)} may not be read; ask for the permission, or copy it.") from error
        except MemoryError as error:
            raise FileError(f"{quoted(path)} needs more memory than there is; make it smaller.") from error
        except _DECODE_ERRORS as error:
            raise _damaged(path) from error


# --- decoding


def _decode(
    file: BinaryIO, size: int, path: FilePath, note: Note | None, proceed: Callable[[], None] | None = None
) -> Image.Image:
    """Decodes the first frame, upright; `note` is called if the file ends early.

    Raises FileError, InvalidFile or one of _DECODE_ERRORS.
    """
    try:
        image, orientation = _load(file, size, path, proceed)
    except OSError:
        file.seek(0)
        data = file.read()
        if not data.startswith(_JPEG_START):
            raise
        image, orientation = _load_unfinished(data, path, note)
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _load(
    file: BinaryIO, size: int, path: FilePath, proceed: Callable[[], None] | None = None
) -> tuple[Image.Image, int]:
    """Decodes the first frame, reduced if it is large; also returns its EXIF orientation."""
    file.seek(0)
    chunks = find_png_chunks(file, size)
    is_small = chunks is not None and chunks.data_size <= _SMALL_DATA
    if chunks is None:
        source: _LimitedFile | BinaryIO = _LimitedFile(file)
    else:
        source = chunks.with_data(file) if is_small else chunks.without_data()
    image = Image.open(cast("BinaryIO", source), formats=FORMATS)
    if isinstance(source, _LimitedFile):
        source.is_limited = False  # pixels are as many as the size that is checked now
    _check_size(image, size, path)
    uses_libtiff = any(tile[0] == "libtiff" for tile in _tiles(image))
    with _silent_libtiff() if uses_libtiff else contextlib.nullcontext():
        if is_large(image):
            # Pillow itself turns a TIFF while it loads it.
            orientation = 1 if image.format == "TIFF" else _orientation(image)
            return load_reduced(image, file, chunks, path, proceed), orientation
        if chunks is not None and not is_small:
            image = Image.open(chunks.with_data(file), formats=FORMATS)
        image.load()
        return image, _orientation(image)


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(), which loads a PNG that has none.
    return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))


def _load_unfinished(data: bytes, path: FilePath, note: Note | None) -> tuple[Image.Image, int]:
    """Decodes a JPEG that lacks its end mark, if hardly any of its rows are missing.

    The decoder fills what is missing, without saying what. So the file is completed twice, with the end mark alone
    and with noise before it: rows that differ are not in the file.
    """
    data = data.rstrip(_JPEG_END[:1])
    noise = bytes(np.random.default_rng(1).integers(0, 255, 4096, np.uint8))
    endings = (data + _JPEG_END, data + noise + _JPEG_END)
    (image, orientation), (other, _) = (_load(io.BytesIO(each), len(each), path) for each in endings)
    differ = np.flatnonzero(_rows_differ(image, other))
    rows = int(differ[0]) if len(differ) else image.height
    if rows < _MOST_ROWS * image.height:
        raise _damaged(path)
    if note is not None:
        missing = "but it is all there" if rows == image.height else "and its last rows are missing"
        note(
            f"{quoted(path)} ends early: it lacks the mark of its end, {missing}; save it again where it came from."
        )
    return image.crop((0, 0, image.width, rows)), orientation


def _rows_differ(image: Image.Image, other: Image.Image) -> NDArray[np.bool_]:
    first, second = (np.asarray(each).reshape(each.height, -1) for each in (image, other))
    differ: NDArray[np.bool_] = (first != second).any(axis=1)
    return differ


class _LimitedFile:
    """A file that refuses, while it is opened, to be read in more than 200,000 pieces: some formats can be made of
    millions."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left, self.is_limited = file, _MAX_READS, True
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def read(self, size: int = -1) -> bytes:
        self._left -= self.is_limited
        if self._left < 0:
            raise InvalidFile(f"is made of more than {_MAX_READS:,} pieces; save it again where it came from")
        return self._file.read(size)


@contextlib.contextmanager
def _silent_libtiff() -> Iterator[None]:
    """WORKAROUND: libtiff writes warnings to the stderr of the process, and Pillow does not prevent it.

    https://github.com/python-pillow/Pillow/issues/3487 reports the same for writing. Redirects stderr to the null
    device while one picture is decoded.
    """
    try:
        stderr_copy = os.dup(2)
    except OSError:  # a window without a console has no stderr
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(null)
        os.close(stderr_copy)


def _check_size(image: Image.Image, size: int, path: FilePath) -> None:
    pixels = image.width * image.height
    if pixels < 1:
        raise FileError(f"{quoted(path)} has no pixels ({image.width} × {image.height}); choose another.")
    if pixels > PIXEL_LIMIT:
        raise _too_large(path, image.width, image.height)
    if pixels > _max_pixels(image, size):
        raise _damaged(path)


def _max_pixels(image: Image.Image, size: int) -> int:
    """The most pixels that a file of `size` bytes can hold with the compression that its header names."""
    if image.format == "PNG":
        return size * _DEFLATED_BITS_PER_BYTE // _png_bits_per_pixel(image)
    if image.format == "PPM" or (_tiles(image) and _tiles(image)[0][0] == "raw"):
        return size * _RAW_PIXELS_PER_BYTE
    return max(_ALWAYS_READ, size * _PIXELS_PER_BYTE.get(image.format or "", 1))


def _png_bits_per_pixel(image: Image.Image) -> int:
    """Bits per pixel. Pillow's raw mode ends in the bits where they are fewer than eight: "P;4"."""
    raw_mode = str(_tiles(image)[0][3]) if _tiles(image) else ""
    bits = raw_mode.rpartition(";")[2]
    return int(bits) if bits in ("1", "2", "4") else 8 * len(image.getbands())


def _tiles(image: Image.Image) -> list[Any]:
    """Pillow's list of the compressed blocks of the image; empty once they are decoded."""
    return getattr(image, "tile", [])


def _too_large(path: FilePath, width: int = 0, height: int = 0) -> FileError:
    size = f"{width:,} × {height:,} pixels, more than" if width else "more than"
    return FileError(f"{quoted(path)} has {size} the 100 megapixels that are read; make it smaller.")


def _damaged(path: FilePath) -> FileError:
    return FileError(f"{quoted(path)} is damaged or cut short; save it again where it came from.")


# --- pixels


def _to_ink(image: Image.Image) -> Array:
    if not image.has_transparency_data:
        return as_ink(_luminance(image))
    if image.mode.startswith("I;16"):  # one value is transparent; Pillow does not convert it
        alpha = (np.asarray(image) != image.info["transparency"]).astype(np.float32)
        return transparent_as_ink(_luminance(image), alpha)
    pixels = np.asarray(image.convert("RGBA").convert("LA"))
    return transparent_as_ink(_normalize(pixels[..., 0], 255), _normalize(pixels[..., 1], 255))


def _luminance(image: Image.Image) -> Array:
    """Luminance (H, W) float32, 0 black to 1 white."""
    if image.mode == "1":
        return np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16"):
        return _normalize(image, 65535)
    if image.mode in ("I", "F"):
        return _luminance_of_32_bits(np.asarray(image))
    if image.mode == "LAB":
        image = image.getchannel("L")
    elif image.mode != "L":
        image = image.convert("RGB").convert("L")
    return _normalize(image, 255)


def _normalize(values: Image.Image | NDArray[np.uint8], white: int) -> Array:
    """The values divided by `white`, in one pass, because the arrays can be large."""
    normalized: Array = np.divide(np.asarray(values), np.float32(white), dtype=np.float32)
    return normalized


def _luminance_of_32_bits(values: NDArray[np.generic]) -> Array:
    """Luminance of 32-bit pixels; white, which is not in the file, is the first of 1, 255, 65535 to fit them."""
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("pixels that are not numbers")
    numbers = numbers - min(float(numbers.min()), 0.0)
    high = float(numbers.max())
    white = next((level for level in (1.0, 255.0, 65535.0) if high <= level), high)
    return (numbers / white).astype(np.float32)
