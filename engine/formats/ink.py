"""Ink on a background: separates the strokes of drawings, scans and photographs from what they are drawn on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.drawings import area_resample

Array = NDArray[np.float32]
Levels = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LOW_CONTRAST = 0.5  # of 1: below it, the ink is stretched to full
_BLANK = 8 / 255  # contrast below which there is no ink: noise of a sensor, or of JPEG, on a clean page
_MIXED = 0.25  # fraction of the border: with at least this both dark and light, the border is ambiguous
_OPAQUE = 0.5

# A page within a frame. The picture is divided into at most this many cells a side.
_CELLS = 128
_FRAMED = 0.9  # fraction of the border that the frame covers, at least
_PAGE_SHARE = 0.3  # of the picture that the page covers, at least
_PAGE_EXTENT = 0.5  # of width and height of the picture that the page extends over, at least
_PAGE_FILL = 0.7  # of its bounding box that the page covers, at least: a sheet may lie askew
_STROKE_LENGTH = 10  # the area of pen strokes, in squares of their half width, at least; a disc has 3


def as_ink(grey: NDArray[np.floating]) -> Array:
    """Separates ink from background: greyscale (H, W), 0 black to 1 white, to (H, W) float32, -1 to 1.

    A batch (N, H, W) is converted picture by picture.

    1. The mean of the darkest and the lightest value divides the pixels into dark and light. If the border belongs
       to a frame around a page, such as a desk around a sheet of paper, the frame is painted over with the level
       of the page (see `_pages`).
    2. The class of most border pixels is the background. If the border is mixed, a quarter or more of it in either
       class, as when strokes are cut off by the frame, the background is the class of most pixels of the picture;
       in a tie, light.
    3. The background level, the median of the border pixels of that class, becomes -1; values beyond it are
       clipped, so that the paper of a photograph is as empty as a canvas.
    4. If the contrast, lightest minus darkest, is at least half the range, full black (or white) becomes 1, so that
       0 and 255 become exactly -1 and 1. Below that, the strongest ink becomes 1.
    5. If the contrast is below 8/255, the picture is blank: all -1.
    """
    grey = np.asarray(grey, np.float32)
    if grey.ndim == 2:
        single: Array = as_ink(grey[None])[0]
        return single
    low, high = (extreme(axis=(1, 2)).astype(np.float64) for extreme in (grey.min, grey.max))
    threshold = ((low + high) / 2).astype(np.float32)[:, None]
    is_blank, has_contrast = high - low < _BLANK, high - low >= _LOW_CONTRAST
    border = _border_pixels(grey)
    dark = _fraction(grey.reshape(len(grey), -1) < threshold)
    dark_border = _fraction(border < threshold)
    if framed := _pages(grey, threshold, dark, dark_border):
        grey = grey.copy()
        for index, page in framed.items():
            grey[index] = page
        return as_ink(grey)
    ink_is_dark = _ink_is_dark(dark, dark_border)
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


def transparent_as_ink(grey: Array, alpha: Array) -> Array:
    """Separates ink from background where pixels are transparent; grey and alpha (H, W), 0 to 1.

    1. An alpha that is the same everywhere says nothing: the picture is opaque. Many programs leave it at 0.
    2. If the opaque part has both dark and light, as a page cut out, it is put on its median lightness and read
       like an opaque picture.
    3. Else the opaque part is the ink, of whatever colour, and alpha its amount.
    """
    strongest = float(alpha.max())
    if strongest - float(alpha.min()) < _BLANK:
        return as_ink(grey)
    visible = grey[alpha >= _OPAQUE]
    if visible.size and float(visible.max() - visible.min()) >= _LOW_CONTRAST:
        background = np.float32(np.median(visible))
        return as_ink(grey * alpha + background * (1 - alpha))
    return _rescale(alpha, 0, 1 if strongest >= _LOW_CONTRAST else strongest)


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


def _fraction(flags: Flags) -> Levels:
    """The fraction of each picture's flags (N, F) that are set, (N,)."""
    fraction: Levels = flags.sum(axis=1) / flags.shape[1]
    return fraction


def _pages(grey: Array, threshold: Array, dark: Levels, dark_border: Levels) -> dict[int, Array]:
    """The pictures that show a page within a frame, by index, with the frame painted over.

    dark, dark_border: (N,), the fraction of dark pixels in each picture and on its border.

    The border alone cannot tell a dark desk around a sheet from the dark ground of a light stroke. A page is large,
    thick and close to a rectangle, and encloses strokes: thinner than itself, longer than wide. An O encloses a
    blob, and is thinner than what it encloses.
    """
    candidates = ((dark_border >= _FRAMED) & (1 - dark >= _PAGE_SHARE)) | (
        (dark_border <= 1 - _FRAMED) & (dark >= _PAGE_SHARE)
    )
    pages = {}
    for index in np.flatnonzero(candidates):
        is_frame = (grey[index] < threshold[index]) == (dark_border[index] >= _FRAMED)
        frame = _frame_around_page(is_frame)
        if frame is not None:
            pages[int(index)] = np.where(frame, np.median(grey[index][~is_frame]), grey[index])
    return pages


def _frame_around_page(is_frame: Flags) -> Flags | None:
    """Which pixels are the frame, None if there is no page in it; is_frame: (H, W), of the border's lightness."""
    cell = -(-max(is_frame.shape) // _CELLS)
    cells = _any_in_cells(is_frame, cell)
    outside = np.zeros_like(cells)
    outside[[0, -1]], outside[:, [0, -1]] = cells[[0, -1]], cells[:, [0, -1]]
    size = 0
    while size != (size := int(outside.sum())):
        outside = _grown(outside) & cells
    strokes, page = cells & ~outside, ~outside
    rows, columns = np.flatnonzero(page.any(axis=1)), np.flatnonzero(page.any(axis=0))
    if not (strokes.any() and len(rows) and len(columns)):
        return None
    extent = np.ptp(rows) + 1, np.ptp(columns) + 1
    is_page = (
        extent[0] >= _PAGE_EXTENT * len(page)
        and extent[1] >= _PAGE_EXTENT * page.shape[1]
        and page.sum() >= _PAGE_FILL * extent[0] * extent[1]
    )
    half_width = _half_width(strokes)
    if not is_page or strokes.sum() < _STROKE_LENGTH * half_width**2 or _half_width(~cells) < 2 * half_width:
        return None
    frame = np.kron(_grown(outside), np.ones((cell, cell), bool))  # grown over the blurred edge of the page
    within: Flags = frame[: is_frame.shape[0], : is_frame.shape[1]]
    return within


def _any_in_cells(mask: Flags, cell: int) -> Flags:
    """Whether any pixel of each cell is set; cells are squares of `cell` pixels."""
    height, width = (-(-length // cell) * cell for length in mask.shape)
    padded = np.pad(mask, ((0, height - mask.shape[0]), (0, width - mask.shape[1])), mode="edge")
    cells: Flags = np.any(padded.reshape(height // cell, cell, width // cell, cell), axis=(1, 3))
    return cells


def _grown(mask: Flags) -> Flags:
    """The mask with the four neighbours of each of its cells."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _half_width(mask: Flags) -> int:
    """Half the width of the widest part of a mask, in cells; nothing beyond the edge belongs to it."""
    steps, rest = 0, np.pad(mask, 1)
    while rest.any():
        rest = ~_grown(~rest)
        steps += 1
    return steps


def _ink_is_dark(dark: Levels, dark_border: Levels) -> Flags:
    """Whether the ink of each picture is its dark class; dark, dark_border: as for `_pages`."""
    mixed = (dark_border >= _MIXED) & (dark_border <= 1 - _MIXED)
    ink_is_dark: Flags = np.where(mixed, dark, dark_border) <= 0.5
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
