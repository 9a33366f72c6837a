"""Atlas: one picture that holds all maps, or bars, of a layer as its column shows them. It paints nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from xo_gui.app.theme import SMALL_PX, Theme, colours, font, to_qimage

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def averaged(values: HostArray, side: float) -> HostArray:
    """Maps (C, H, W) as small as they are shown, `side` pixels along the longer of their sides, each pixel the mean
    of the cells it covers; as they are where a pixel covers less than two."""
    count, *shape = values.shape
    if max(shape) < 2 * side:
        return values
    sides = [max(round(side * cells / max(shape)), 1) for cells in shape]
    rows, columns = (np.arange(small) * cells // small for small, cells in zip(sides, shape, strict=True))
    sums = np.add.reduceat(np.add.reduceat(values, columns, axis=2), rows, axis=1)
    high, wide = (np.diff(np.append(starts, cells)) for starts, cells in zip((rows, columns), shape, strict=True))
    made: HostArray = sums / np.outer(high, wide).astype(np.float32)
    return made.reshape(count, *sides)


def maps_atlas(values: HostArray, levels: HostArray, rows: int, theme: Theme) -> QImage:
    """Maps (C, H, W) as a picture, one pixel a cell, `rows` maps down, column by column.

    levels: (1,) or (C,), the value of the last colour; minus that is the first. What cannot be negative so uses
    the upper half of the colours, and equal values look equal before and after a ReLU.
    """
    # The next calm number above values that have run away may lie beyond float32.
    ends = np.minimum(levels, np.finfo(np.float32).max).astype(np.float32)
    share = values / ends[:, None, None]
    return to_qimage(_tiled(colours(share, -1.0, 1.0, theme.value_table), rows))


def picture_atlas(values: HostArray, theme: Theme) -> QImage:
    """What the network sees, (C, H, W) in -1..1, its channels one below the other."""
    return to_qimage(_tiled(colours(values, -1.0, 1.0, theme.picture_table), len(values)))


def kernel_atlas(weights: HostArray, level: float, theme: Theme) -> QImage:
    """Weights (F, C, size, size): a row of pixels for every feature, a column for every channel it reads."""
    words = colours(weights, -level, level, theme.value_table)
    features, channels, high, wide = words.shape
    return to_qimage(words.transpose(0, 2, 1, 3).reshape(features * high, channels * wide))


def bars_picture(
    shares: HostArray, size: tuple[int, int], zero: int, room: int, tops: HostArray, thick: int, theme: Theme
) -> QImage:
    """Values as bars one below the other: a picture of `size` (wide, high), in device pixels, on the ground.

    shares: (n,), the part of `room` that each bar takes from `zero` on, to the left where it is negative; longer
    ones are cut, and what is no number has no bar. tops: (n,), rising, where each bar begins; thick: its height.
    """
    wide, high = size
    known = np.nan_to_num(np.clip(shares, -1.0, 1.0))
    # The value's own colour, though never so faint that a short bar is lost.
    places = 127 + np.sign(known) * np.rint(127 * (0.45 + 0.55 * np.abs(known)))
    paint = theme.value_table[places.astype(np.intp), None]
    across = np.arange(wide) - zero
    from_zero = np.where(known[:, None] > 0, across, -1 - across)
    inside = (from_zero >= 0) & (from_zero < np.rint(np.abs(known) * room)[:, None])
    ground = np.uint32(QColor(theme.ground).rgb())
    bars = np.where(inside, paint, ground)
    down = np.arange(high)
    place = np.searchsorted(tops, down, side="right") - 1
    drawn = (place >= 0) & (down - tops[place] < thick)
    return to_qimage(np.where(drawn[:, None], bars[place], ground))


def source(channel: int, rows: int, cells: tuple[int, int]) -> QRect:
    """Where map number `channel` lies in an atlas of `rows` maps down, each `cells` (rows, columns)."""
    across, down = divmod(channel, rows)
    return QRect(across * cells[1], down * cells[0], cells[1], cells[0])


def _tiled(words: HostArray, rows: int) -> HostArray:
    """(C, H, W) as (rows * H, across * W); places without a map are black."""
    count, high, wide = words.shape
    across = -(-count // rows)
    if across * rows > count:
        words = np.concatenate([words, np.zeros((across * rows - count, high, wide), words.dtype)])
    return words.reshape(across, rows, high, wide).transpose(1, 2, 0, 3).reshape(rows * high, across * wide)


DRAWN = ("X", "O")  # the classes that have a shape


def paint_class(painter: QPainter, theme: Theme, index: int, name: str, centre: QPointF, side: float) -> None:
    """The class's cross or ring, `side` wide; any other class's name, cut to three letters."""
    colour, half = QColor(theme.class_colour(index)), side / 2 - 1
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, max(side / 6, 1.6), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if name == "X":
        for rise in (half, -half):
            painter.drawLine(centre + QPointF(-half, -rise), centre + QPointF(half, rise))
    elif name == "O":
        painter.drawEllipse(centre, half + 0.5, half + 0.5)
    else:
        painter.setFont(font(SMALL_PX))
        painter.drawText(centre + QPointF(-side / 2, 4), name[:3])
    painter.restore()


def reads_dark(words: HostArray) -> HostArray:
    """bool: whether black is read better than white on RGB32 words (WCAG's relative luminance)."""
    parts = np.stack([(words >> shift) & 255 for shift in (16, 8, 0)], axis=-1) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    dark: HostArray = linear @ np.array([0.2126, 0.7152, 0.0722]) > 0.179
    return dark
