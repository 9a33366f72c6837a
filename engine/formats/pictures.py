"""Picture files: any drawing, scan or photograph as ink on a background. Not what a network makes of it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.drawings.image_ops import area_resample
from engine.formats.atomic_file import MEBIBYTE, FilePath, StorageError, shown, size_of

Array = NDArray[np.float32]
Levels = NDArray[np.float64]
Flags = NDArray[np.bool_]

FORMATS = ("PNG", "BMP", "JPEG", "GIF", "WEBP", "TIFF", "PPM")
# What a folder is searched for.
SUFFIXES = (
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

# The most pixels that a byte of each format can stand for; a file that claims more is cut short. RLE, WebP and TIFF
# can say of a whole empty page that it is empty, so theirs are only sane, and what is small is read in any case.
_PIXELS_PER_BYTE = {"BMP": 512, "JPEG": 1024, "GIF": 4096, "WEBP": 32_768, "TIFF": 65_536}
_ALWAYS_READ = 4_000_000
_RAW_PIXELS_PER_BYTE = 8  # without packing, at one bit each
_DEFLATED_BITS_PER_BYTE = 8 * 1040  # deflate packs at most 1,032 bytes into one

_FAINT = 0.5  # below this contrast, of 1, the ink is stretched to full
_BLANK = 8 / 255  # below this there is no ink: the noise of a sensor, or of JPEG, on a clean page
_MIXED = 0.25  # of the border: where both sides have at least this, the border does not tell
_OPAQUE = 0.5

# What Pillow raises on damaged files, over all its readers: a broken file meets code that expected a whole one.
_FAULTS = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    MemoryError, RuntimeError, AssertionError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_one_at_a_time = threading.Lock()  # for the filter of warnings belongs to the whole process
# What a reader complains of is told in our own words, not in a log that somebody else reads.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def read_picture(path: FilePath) -> Array:
    """The picture in an image file as ink: (H, W) float32, -1 background to 1 ink.

    PNG, BMP, JPEG, GIF and WebP (of several frames the first), TIFF, PPM/PGM/PBM; up to 100 megapixels and
    512 MiB, told from the header before any pixel is read. Turned upright as its EXIF says; colours by their
    luminance, 0.299 R + 0.587 G + 0.114 B; which side is the ink as in `as_ink`.

    What is transparent is background. Where the opaque part is all of one lightness, it is the ink, be it black
    or white, and its opacity says how much; where it is a picture in itself, such as a page cut out, it lies on
    its own commonest lightness and is read like any other.

    Raises StorageError, one sentence that names the file, for anything else.
    """
    size = size_of(path, FILE_LIMIT)
    with _told(path), open(path, "rb") as file:
        return _ink_of(_decoded(file, size, path))


def picture_of(data: bytes, name: FilePath) -> Array:
    """The picture in the bytes of an image file as `read_picture` reads it; errors call it by this name."""
    with _told(name):
        return _ink_of(_decoded(io.BytesIO(data), len(data), name))


@contextlib.contextmanager
def _told(path: FilePath) -> Iterator[None]:
    """Turns what goes wrong with a file into one sentence; what else its reader has to say goes nowhere."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except StorageError:
            raise
        except Image.DecompressionBombError as error:
            raise _too_large(path) from error
        except UnidentifiedImageError as error:
            raise StorageError(
                f"{shown(path)} is no image that can be read; use PNG, BMP, JPEG, GIF, WebP, TIFF or PPM."
            ) from error
        except PermissionError as error:
            raise StorageError(f"{shown(path)} may not be read; ask for the permission, or copy it.") from error
        except MemoryError as error:
            raise StorageError(f"{shown(path)} needs more memory than there is; make it smaller.") from error
        except _FAULTS as error:
            raise _damaged(path) from error


def as_ink(grey: NDArray[np.floating]) -> Array:
    """Which side of a grey picture is the ink: (H, W), 0 black to 1 white, gives (H, W) float32, -1 to 1.

    Of many, (N, H, W), each is told by itself.

    1. The middle between the darkest and the lightest value divides the pixels into dark and light. The side that
       most of the outermost pixels are on (that of their median) is the background. If the border is mixed, a
       quarter or more of it on either side, as when strokes are cut by the frame, the side that most of the whole
       picture is on is the background; in a tie the light one.
    2. The background's level, the median of the border's pixels on that side, becomes -1, and what is beyond it is
       background too: the paper of a photograph is as empty as a canvas.
    3. If the darkest and the lightest are at least half the range apart, full black (or white) becomes 1, so 0 and
       255 become exactly -1 and 1. If they are closer, the picture is faint, and its strongest ink becomes 1.
    4. If they are practically equal, below 8/255 apart, the picture is blank: all -1.
    """
    grey = np.asarray(grey, np.float32)
    if grey.ndim == 2:
        single: Array = as_ink(grey[None])[0]
        return single
    low, high = (end(axis=(1, 2)).astype(np.float64) for end in (grey.min, grey.max))
    middle = ((low + high) / 2).astype(np.float32)[:, None]
    blank, clear = high - low < _BLANK, high - low >= _FAINT
    border = _borders(grey)
    ink_is_dark = _ink_is_dark(grey, border, middle)
    ground, unseen = _ground(border, middle, ink_is_dark)
    unseen &= ~blank
    if unseen.any():  # no pixel of the border is on the background's side: then of the whole picture's pixels
        whole = grey[unseen].reshape(unseen.sum(), -1)
        ground[unseen] = _ground(whole, middle[unseen], ink_is_dark[unseen])[0]
    strongest = np.where(ink_is_dark, np.where(clear, 0, low), np.where(clear, 1, high))
    strongest[blank] = ground[blank] + 1  # anything but a division by 0
    ink = _stretched(grey, ground[:, None, None], strongest[:, None, None])
    ink[blank] = -1
    return ink


def to_input(picture: Array, side: int) -> Array:
    """A picture (H, W), -1 to 1, as a network of side x side pixels reads it: (side, side) float32.

    One of that size enters unresampled; another is fitted whole and centred, by area averaging. Of many, (N, H, W),
    each by itself.
    """
    return area_resample(picture, side)


# --- polarity


def _borders(grey: Array) -> Array:
    """The outermost pixels of each, once: top and bottom rows, and what is left of the columns at both sides."""
    rows = grey[:, :: max(grey.shape[1] - 1, 1)]
    columns = grey[:, 1:-1, :: max(grey.shape[2] - 1, 1)]
    return np.concatenate([side.reshape(len(grey), -1) for side in (rows, columns)], axis=1)


def _ink_is_dark(grey: Array, border: Array, middle: Array) -> Flags:
    """Whether the ink of each picture is its dark side; border: (N, B), middle: (N, 1)."""
    dark = (border < middle).mean(axis=1)
    mixed = (dark >= _MIXED) & (dark <= 1 - _MIXED)
    if mixed.any():
        dark = np.where(mixed, (grey < middle[..., None]).mean(axis=(1, 2)), dark)
    told: Flags = dark <= 0.5
    return told


def _ground(values: Array, middle: Array, ink_is_dark: Flags) -> tuple[Levels, Flags]:
    """The median of each picture's values on the background's side, and whether there is none; values: (N, V).

    In order, that side is their upper end where the ink is dark, and their lower end where it is light.
    """
    light, last = (values > middle).sum(axis=1), values.shape[1] - 1
    count = np.where(ink_is_dark, light, last + 1 - light)
    first = np.where(ink_is_dark, last + 1 - light, 0)
    picture, ordered = np.arange(len(values)), np.sort(values, axis=1)
    below = ordered[picture, np.minimum(first + np.maximum(count - 1, 0) // 2, last)]
    above = ordered[picture, np.minimum(first + count // 2, last)]
    return ((below + above) * np.float32(0.5)).astype(np.float64), count == 0


def _stretched(grey: Array, ground: float | Levels, strongest: float | Levels) -> Array:
    """The values with `ground` at -1 and `strongest` at 1."""
    ink = grey - np.float32(ground)
    ink *= np.float32(2 / (strongest - ground))
    ink -= np.float32(1)
    np.clip(ink, -1, 1, out=ink)
    return ink


# --- decoding


def _decoded(file: BinaryIO, size: int, path: FilePath) -> Image.Image:
    """The first frame, upright, its pixels read. Raises StorageError or one of _FAULTS."""
    image = Image.open(file, formats=FORMATS)
    _check_size(image, size, path)
    if any(tile[0] == "libtiff" for tile in _tiles(image)):
        with _silent_libtiff():
            image.load()
    else:
        image.load()
    return ImageOps.exif_transpose(image)


@contextlib.contextmanager
def _silent_libtiff() -> Iterator[None]:
    """WORKAROUND: libtiff writes what it dislikes to the process's error output, past Python, and Pillow lets it.

    https://github.com/python-pillow/Pillow/issues/3487 has the same for writing. For the while of one picture,
    that output goes nowhere.
    """
    try:
        kept = os.dup(2)
    except OSError:  # a window without a console has none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _check_size(image: Image.Image, size: int, path: FilePath) -> None:
    pixels = image.width * image.height
    if pixels < 1:
        raise StorageError(f"{shown(path)} has no pixels ({image.width} × {image.height}); choose another.")
    if pixels > PIXEL_LIMIT:
        raise _too_large(path, image.width, image.height)
    if pixels > _most_pixels(image, size):
        raise _damaged(path)


def _most_pixels(image: Image.Image, size: int) -> int:
    """How many pixels a file of `size` bytes can hold, from what its header says of how they are packed."""
    if image.format == "PNG":
        return size * _DEFLATED_BITS_PER_BYTE // _png_bits(image)
    if image.format == "PPM" or (_tiles(image) and _tiles(image)[0][0] == "raw"):
        return size * _RAW_PIXELS_PER_BYTE
    return max(_ALWAYS_READ, size * _PIXELS_PER_BYTE.get(image.format or "", 1))


def _png_bits(image: Image.Image) -> int:
    """Bits a pixel. Pillow's name for the packing ends in them where they are fewer than a byte: "P;4"."""
    packing = str(_tiles(image)[0][3]) if _tiles(image) else ""
    few = packing.rpartition(";")[2]
    return int(few) if few in ("1", "2", "4") else 8 * len(image.getbands())


def _tiles(image: Image.Image) -> list[Any]:
    """Where the pixels lie in the file and how they are packed; empty once they are read."""
    return getattr(image, "tile", [])


def _too_large(path: FilePath, width: int = 0, height: int = 0) -> StorageError:
    size = f"{width:,} × {height:,} pixels, more than" if width else "more than"
    return StorageError(f"{shown(path)} has {size} the 100 megapixels that are read; make it smaller.")


def _damaged(path: FilePath) -> StorageError:
    return StorageError(f"{shown(path)} is damaged or cut short; save it again where it came from.")


# --- pixels


def _ink_of(image: Image.Image) -> Array:
    if image.has_transparency_data and not image.mode.startswith("I;16"):
        pixels = np.asarray(image.convert("RGBA").convert("LA"))
        alpha = _share(pixels[..., 1], 255)
        if alpha.min() < 1:
            return _ink_of_transparent(_share(pixels[..., 0], 255), alpha)
    return as_ink(_grey(image))


def _ink_of_transparent(grey: Array, alpha: Array) -> Array:
    """The rule of read_picture for what is partly transparent; grey and alpha (H, W), 0 to 1."""
    visible = grey[alpha >= _OPAQUE]
    if visible.size and float(visible.max() - visible.min()) >= _FAINT:
        ground = np.float32(np.median(visible))
        return as_ink(grey * alpha + ground * (1 - alpha))
    strongest = float(alpha.max())
    if strongest - float(alpha.min()) < _BLANK:
        return np.full(grey.shape, -1, np.float32)
    return _stretched(alpha, 0, 1 if strongest >= _FAINT else strongest)


def _grey(image: Image.Image) -> Array:
    """Luminance (H, W) float32, 0 black to 1 white."""
    if image.mode == "1":
        return np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16"):
        return _share(image, 65535)
    if image.mode in ("I", "F"):
        return _grey_of_numbers(np.asarray(image))
    if image.mode == "LAB":
        image = image.getchannel("L")
    elif image.mode != "L":
        image = image.convert("RGB").convert("L")
    return _share(image, 255)


def _share(values: Image.Image | NDArray[np.uint8], white: int) -> Array:
    """The values with `white` as 1, in one pass: these arrays can be large."""
    share: Array = np.divide(np.asarray(values), np.float32(white), dtype=np.float32)
    return share


def _grey_of_numbers(values: NDArray[np.generic]) -> Array:
    """Luminance of 32-bit pixels, whose white is nowhere written: the first of 1, 255, 65535 that none exceeds."""
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("pixels that are not numbers")
    numbers = numbers - min(float(numbers.min()), 0.0)
    high = float(numbers.max())
    white = next((level for level in (1.0, 255.0, 65535.0) if high <= level), high)
    return (numbers / white).astype(np.float32)
