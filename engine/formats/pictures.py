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
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.drawings import area_resample
from engine.formats.atomic_file import MEBIBYTE, FileError, FilePath, checked_size, quoted

Array = NDArray[np.float32]
Levels = NDArray[np.float64]
Flags = NDArray[np.bool_]

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
_PIXELS_PER_BYTE = {"BMP": 512, "JPEG": 1024, "GIF": 4096, "WEBP": 32_768, "TIFF": 65_536}
_ALWAYS_READ = 4_000_000  # pixels
_RAW_PIXELS_PER_BYTE = 8  # uncompressed, at one bit each
_DEFLATED_BITS_PER_BYTE = 8 * 1040  # deflate compresses at most 1,032 bytes into one

_LOW_CONTRAST = 0.5  # of 1: below it, the ink is stretched to full
_BLANK = 8 / 255  # contrast below which there is no ink: noise of a sensor, or of JPEG, on a clean page
_MIXED = 0.25  # fraction of the border: with at least this both dark and light, the border is ambiguous
_OPAQUE = 0.5

# Exceptions of Pillow's readers on damaged files.
_DECODE_ERRORS = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    MemoryError, RuntimeError, AssertionError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_lock = threading.Lock()  # because warning filters are global
# Errors of the decoders are reported by the exceptions below.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def read_picture(path: FilePath) -> Array:
    """Reads a picture file as ink: (H, W) float32, -1 background to 1 ink.

    PNG, BMP, JPEG, GIF and WebP (the first frame), TIFF, PPM/PGM/PBM; up to 100 megapixels and 512 MiB, checked
    before any pixel is decoded. Applies the EXIF orientation. Colours become luminance, 0.299 R + 0.587 G +
    0.114 B; ink and background are detected by `as_ink`.

    Transparent pixels are background. If the opaque part is of one lightness, black or white, it is the ink, and
    alpha its amount. If it is a picture in itself, such as a page cut out, it is put on its median lightness and
    read like an opaque picture.

    Raises FileError, one sentence that names the file, for anything else.
    """
    size = checked_size(path, FILE_LIMIT)
    with _file_errors(path), open(path, "rb") as file:
        return _to_ink(_decode(file, size, path))


def decode_picture(data: bytes, name: FilePath) -> Array:
    """Decodes the bytes of a picture file as `read_picture` does; `name` is used in error messages."""
    with _file_errors(name):
        return _to_ink(_decode(io.BytesIO(data), len(data), name))


@contextlib.contextmanager
def _file_errors(path: FilePath) -> Iterator[None]:
    """Converts exceptions of the decoders to FileError and suppresses their warnings."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except FileError:
            raise
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


def as_ink(grey: NDArray[np.floating]) -> Array:
    """Separates ink from background: greyscale (H, W), 0 black to 1 white, to (H, W) float32, -1 to 1.

    A batch (N, H, W) is converted picture by picture.

    1. The mean of the darkest and the lightest value divides the pixels into dark and light. The class of most
       border pixels is the background. If the border is mixed, a quarter or more of it in either class, as when
       strokes are cut off by the frame, the background is the class of most pixels of the picture; in a tie, light.
    2. The background level, the median of the border pixels of that class, becomes -1; values beyond it are
       clipped, so that the paper of a photograph is as empty as a canvas.
    3. If the contrast, lightest minus darkest, is at least half the range, full black (or white) becomes 1, so that
       0 and 255 become exactly -1 and 1. Below that, the strongest ink becomes 1.
    4. If the contrast is below 8/255, the picture is blank: all -1.
    """
    grey = np.asarray(grey, np.float32)
    if grey.ndim == 2:
        single: Array = as_ink(grey[None])[0]
        return single
    low, high = (extreme(axis=(1, 2)).astype(np.float64) for extreme in (grey.min, grey.max))
    threshold = ((low + high) / 2).astype(np.float32)[:, None]
    is_blank, has_contrast = high - low < _BLANK, high - low >= _LOW_CONTRAST
    border = _border_pixels(grey)
    ink_is_dark = _ink_is_dark(grey, border, threshold)
    background, missing = _background_level(border, threshold, ink_is_dark)
    missing &= ~is_blank
    if missing.any():  # no border pixel is background: use all pixels of these pictures
        pixels = grey[missing].reshape(missing.sum(), -1)
        background[missing] = _background_level(pixels, threshold[missing], ink_is_dark[missing])[0]
    strongest = np.where(ink_is_dark, np.where(has_contrast, 0, low), np.where(has_contrast, 1, high))
    strongest[is_blank] = background[is_blank] + 1  # avoids a division by 0
    ink = _rescale(grey, background[:, None, None], strongest[:, None, None])
    ink[is_blank] = -1
    return ink


def to_input(picture: Array, side: int) -> Array:
    """Fits a picture (H, W), -1 to 1, to the network's input (side, side), float32.

    Another size is fitted whole and centred, by area averaging. A batch (N, H, W) is fitted picture by picture.
    """
    return area_resample(picture, side)


# --- ink and background


def _border_pixels(grey: Array) -> Array:
    """The outermost pixels of each picture, each once: (N, B)."""
    rows = grey[:, :: max(grey.shape[1] - 1, 1)]
    columns = grey[:, 1:-1, :: max(grey.shape[2] - 1, 1)]
    return np.concatenate([side.reshape(len(grey), -1) for side in (rows, columns)], axis=1)


def _ink_is_dark(grey: Array, border: Array, threshold: Array) -> Flags:
    """Whether the ink of each picture is its dark class; border: (N, B), threshold: (N, 1)."""
    dark_fraction = (border < threshold).mean(axis=1)
    mixed = (dark_fraction >= _MIXED) & (dark_fraction <= 1 - _MIXED)
    if mixed.any():
        of_picture = (grey < threshold[..., None]).mean(axis=(1, 2))
        dark_fraction = np.where(mixed, of_picture, dark_fraction)
    ink_is_dark: Flags = dark_fraction <= 0.5
    return ink_is_dark


def _background_level(values: Array, threshold: Array, ink_is_dark: Flags) -> tuple[Levels, Flags]:
    """The median of each picture's background values, and whether it has none; values: (N, V).

    Of the sorted values, these are the upper part where the ink is dark, and the lower part where it is light.
    """
    light, last = (values > threshold).sum(axis=1), values.shape[1] - 1
    count = np.where(ink_is_dark, light, last + 1 - light)
    first = np.where(ink_is_dark, last + 1 - light, 0)
    picture, ordered = np.arange(len(values)), np.sort(values, axis=1)
    below = ordered[picture, np.minimum(first + np.maximum(count - 1, 0) // 2, last)]
    above = ordered[picture, np.minimum(first + count // 2, last)]
    return ((below + above) * np.float32(0.5)).astype(np.float64), count == 0


def _rescale(grey: Array, background: float | Levels, strongest: float | Levels) -> Array:
    """The values with `background` mapped to -1 and `strongest` to 1, clipped."""
    ink = grey - np.float32(background)
    ink *= np.float32(2 / (strongest - background))
    ink -= np.float32(1)
    np.clip(ink, -1, 1, out=ink)
    return ink


# --- decoding


def _decode(file: BinaryIO, size: int, path: FilePath) -> Image.Image:
    """Decodes the first frame, upright. Raises FileError or one of _DECODE_ERRORS."""
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
    if image.has_transparency_data and not image.mode.startswith("I;16"):
        pixels = np.asarray(image.convert("RGBA").convert("LA"))
        alpha = _normalize(pixels[..., 1], 255)
        if alpha.min() < 1:
            return _transparent_to_ink(_normalize(pixels[..., 0], 255), alpha)
    return as_ink(_luminance(image))


def _transparent_to_ink(grey: Array, alpha: Array) -> Array:
    """The rule of `read_picture` for partly transparent pictures; grey and alpha (H, W), 0 to 1."""
    visible = grey[alpha >= _OPAQUE]
    if visible.size and float(visible.max() - visible.min()) >= _LOW_CONTRAST:
        background = np.float32(np.median(visible))
        return as_ink(grey * alpha + background * (1 - alpha))
    strongest = float(alpha.max())
    if strongest - float(alpha.min()) < _BLANK:
        return np.full(grey.shape, -1, np.float32)
    return _rescale(alpha, 0, 1 if strongest >= _LOW_CONTRAST else strongest)


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
