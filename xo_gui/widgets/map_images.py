"""Map images: atlas images of all maps, kernels or bars of a layer."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QColor, QImage

from engine.backends import HostArray
from xo_gui.app import Theme, colours, to_qimage


def maps_atlas(values: HostArray, levels: HostArray, rows: int, theme: Theme) -> QImage:
    """An image of maps (C, H, W), one pixel per cell, `rows` maps down, column by column.

    levels: (1,) or (C,), the limits: the scale is symmetric about 0, so that non-negative values use its upper half
    and equal values look equal before and after a ReLU.
    """
    # The rounded limit of diverged values may exceed float32.
    limits = np.minimum(levels, np.finfo(np.float32).max).astype(np.float32)
    share = values / limits[:, None, None]
    return to_qimage(_tiled(colours(share, -1.0, 1.0, theme.value_table), rows))


def picture_atlas(values: HostArray, theme: Theme) -> QImage:
    """An image of a network's input (C, H, W) in -1..1, its channels one below the other."""
    return to_qimage(_tiled(colours(values, -1.0, 1.0, theme.picture_table), len(values)))


def kernel_atlas(weights: HostArray, level: float, theme: Theme) -> QImage:
    """An image of weights (F, C, size, size): one row of slices per feature, one column per input channel."""
    pixels = colours(weights, -level, level, theme.value_table)
    features, channels, height, width = pixels.shape
    return to_qimage(pixels.transpose(0, 2, 1, 3).reshape(features * height, channels * width))


def bars_image(
    shares: HostArray, size: tuple[int, int], zero: int, room: int, tops: HostArray, thick: int, theme: Theme
) -> QImage:
    """An image of values as bars one below the other, on the background colour.

    shares: (n,), the signed lengths relative to `room`, clipped to -1..1; NaN has no bar.
    size: (width, height) in device pixels, as all lengths.
    zero: the x of the value 0.
    room: the length of the longest bar.
    tops: (n,), ascending, the y of each bar.
    thick: the height of a bar.
    """
    width, height = size
    known = np.nan_to_num(np.clip(shares, -1.0, 1.0))
    # The colour of the value, but strong enough for a short bar to be visible.
    indices = 127 + np.sign(known) * np.rint(127 * (0.45 + 0.55 * np.abs(known)))
    paint = theme.value_table[indices.astype(np.intp), None]
    across = np.arange(width) - zero
    from_zero = np.where(known[:, None] > 0, across, -1 - across)
    inside = (from_zero >= 0) & (from_zero < np.rint(np.abs(known) * room)[:, None])
    background = np.uint32(QColor(theme.background).rgb())
    bars = np.where(inside, paint, background)
    down = np.arange(height)
    bar = np.searchsorted(tops, down, side="right") - 1
    is_drawn = (bar >= 0) & (down - tops[bar] < thick)
    return to_qimage(np.where(is_drawn[:, None], bars[bar], background))


def atlas_rect(channel: int, rows: int, cells: tuple[int, int]) -> QRect:
    """The rectangle of map `channel` in an atlas of `rows` maps down, each of `cells` (rows, columns)."""
    across, down = divmod(channel, rows)
    return QRect(across * cells[1], down * cells[0], cells[1], cells[0])


def downsampled(values: HostArray, side: float) -> HostArray:
    """Downsample maps (C, H, W) by area averaging to `side` pixels along their longer side.

    Maps of which a pixel covers fewer than two cells are returned unchanged.
    """
    count, *shape = values.shape
    if max(shape) < 2 * side:
        return values
    sides = [max(round(side * cells / max(shape)), 1) for cells in shape]
    rows, columns = (np.arange(small) * cells // small for small, cells in zip(sides, shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(values, columns, axis=2), rows, axis=1)
    heights, widths = (
        np.diff(np.append(starts, cells)) for starts, cells in zip((rows, columns), shape, strict=True)
    )
    means: HostArray = sums / np.outer(heights, widths).astype(np.float32)
    return means.reshape(count, *sides)


def _tiled(pixels: HostArray, rows: int) -> HostArray:
    """Arrange (C, H, W) as (rows * H, across * W); places without a map are black."""
    count, height, width = pixels.shape
    across = -(-count // rows)
    if across * rows > count:
        pixels = np.concatenate([pixels, np.zeros((across * rows - count, height, width), pixels.dtype)])
    grid = pixels.reshape(across, rows, height, width).transpose(1, 2, 0, 3)
    return grid.reshape(rows * height, across * width)


def needs_black_text(pixels: HostArray) -> HostArray:
    """Whether black text has more contrast than white on RGB32 pixels, by WCAG's relative luminance; bool."""
    parts = np.stack([(pixels >> shift) & 255 for shift in (16, 8, 0)], axis=-1) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    is_light: HostArray = linear @ np.array([0.2126, 0.7152, 0.0722]) > 0.179
    return is_light
