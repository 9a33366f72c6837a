"""Image operations: area resampling, warping by a transform, dilation and erosion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.drawings.drawing import DrawingTransform, FloatArray

_WARP_SIDE = 128  # images are warped at this side or more, then averaged down


def as_float32(values: NDArray[Any]) -> FloatArray:
    """The values as float32, typed as such."""
    return values.astype(np.float32, copy=False)


def place_image(image: FloatArray, transform: DrawingTransform, side: int) -> FloatArray:
    """An image under a transform that does not invert: (side, side) float32."""
    if transform.is_identity:
        return area_resample(image, side)
    factor = max(1, -(-_WARP_SIDE // side))
    fine = side * factor
    # One source pixel per pixel of the fine picture, so that bilinear sampling neither skips thin lines nor blurs
    # the squares of an enlarged image.
    source_side = min(max(round(fine * transform.pen_scale), 1), 4 * fine)
    warped = _warp(area_resample(image, source_side), fine, transform)
    if transform.thicken:
        warped = _thicken(warped, transform.thicken / 2 * fine)
    return warped if factor == 1 else area_resample(warped, side)


def area_resample(image: FloatArray, side: int) -> FloatArray:
    """An image (H, W), or a batch (N, H, W), fitted whole and centred into (side, side) by exact area averaging;
    float32, -1 to 1.

    An image that is not square is padded with background. Enlarging draws each pixel as a square. An image of this
    size is returned as an unchanged copy.
    """
    height, width = image.shape[-2:]
    if (height, width) == (side, side):
        return np.array(image, np.float32)
    rows, columns = _weights(height, max(height, width), side), _weights(width, max(height, width), side)
    above = image + np.float32(1)  # background becomes 0, and so does the padding
    # The longer side is reduced first: fewer multiplications.
    fit = (rows @ above) @ columns.T if height >= width else rows @ (above @ columns.T)
    fit -= np.float32(1)
    return as_float32(np.clip(fit, -1, 1, out=fit))


def _warp(source: FloatArray, side: int, transform: DrawingTransform) -> FloatArray:
    """The square source under a transform, sampled bilinearly at pixel centres; background outside."""
    size = len(source)
    centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    grid = np.column_stack([np.tile(centres, side), np.repeat(centres, side)])
    x, y = np.clip(transform.inverse(grid).T * np.float32(size) + np.float32(0.5), 0, np.float32(size + 0.999))
    framed = np.full((size + 2, size + 2), -1, np.float32)
    framed[1:-1, 1:-1] = source
    values = framed.ravel()
    column, row = x.astype(np.intp), y.astype(np.intp)
    x -= column
    y -= row
    corner = row * (size + 2) + column
    top = values[corner]
    top += x * (values[corner + 1] - top)
    corner += size + 2
    bottom = values[corner]
    bottom += x * (values[corner + 1] - bottom)
    bottom -= top
    bottom *= y
    top += bottom
    return as_float32(top.reshape(side, side))


def _thicken(picture: FloatArray, radius: float) -> FloatArray:
    """Greyscale dilation by a disc of a radius in pixels; erosion for a negative radius.

    The disc is an octagon, made of plus-shaped and square steps of one pixel; a fraction of a step is a mixture.
    """
    if radius < 0:
        return -_thicken(-picture, -radius)
    for fraction, square in zip(_step_sizes(min(radius, len(picture))), _square_steps(), strict=False):
        grown = _dilate_step(picture, square)
        picture = grown if fraction == 1 else picture + np.float32(fraction) * (grown - picture)
    return picture


def _step_sizes(radius: float) -> Iterator[float]:
    while radius > 0:
        yield min(radius, 1.0)
        radius -= 1


def _square_steps() -> Iterator[bool]:
    """Which steps are squares: a share of sqrt(2) - 1 of them makes the octagon regular."""
    share = 0.0
    while True:
        share += 2**0.5 - 1
        yield share >= 1
        share %= 1


def _dilate_step(picture: FloatArray, square: bool) -> FloatArray:
    """The maximum over the neighbours of each pixel: all eight, or only the four beside it."""
    row_max = picture.copy()
    np.maximum(row_max[:, 1:], picture[:, :-1], out=row_max[:, 1:])
    np.maximum(row_max[:, :-1], picture[:, 1:], out=row_max[:, :-1])
    lines = row_max if square else picture
    dilated = row_max.copy()
    np.maximum(dilated[1:], lines[:-1], out=dilated[1:])
    np.maximum(dilated[:-1], lines[1:], out=dilated[:-1])
    return dilated


def _weights(length: int, padded: int, side: int) -> FloatArray:
    """The share (side, length) of each pixel in each cell: `length` pixels centred in `padded`, divided into `side`
    cells."""
    edges = np.arange(side + 1) * (padded / side)
    pixels = np.arange(length) + (padded - length) / 2
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return as_float32(np.maximum(overlap, 0) * (side / padded))
