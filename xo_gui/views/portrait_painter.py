"""Portrait painter: how a picture with numbers beside it, and how examples are spread, are drawn on a sheet. It
decides nothing that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPen

from xo_gui.app.theme import SMALL_PX, TEXT_PX, colours, to_qimage
from xo_gui.views.blocks import Portrait, Spread
from xo_gui.views.column_painter import SYMBOL, kept_font
from xo_gui.views.symbols import paint_class

if TYPE_CHECKING:
    from xo_gui.views.block_painter import Pass

TITLE, LINE = 16.0, 18.0
# The longer side of a picture, and what stays free for the numbers beside it.
LARGEST, NUMBERS, BETWEEN = 220.0, 96.0, 12.0
ROW, SIGN = 22.0, 20.0


def portrait_height(block: Portrait, width: float) -> float:
    """How tall it is, without room below."""
    return max(_size(block, width)[1] + TITLE, len(block.lines) * 2 * LINE)


def _size(block: Portrait, width: float) -> tuple[float, float]:
    """How wide and tall the picture is: whole logical pixels for every pixel, where there is room for that."""
    high, wide = block.picture.shape
    room = min(width - NUMBERS - BETWEEN, LARGEST)
    scale = room / max(high, wide)
    scale = float(int(scale)) if scale >= 2 else scale
    return wide * scale, high * scale


def paint_portrait(block: Portrait, top: float, on: Pass) -> None:
    """The picture, its scale below it and the numbers beside it."""
    theme, painter = on.theme, on.painter
    wide, tall = _size(block, on.width)
    box = QRectF(1, top + 1, wide, tall)
    painter.drawImage(box, to_qimage(colours(block.picture, -1.0, 1.0, theme.picture_table)))
    painter.setPen(QPen(QColor(theme.line), 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    y, start = box.bottom() + 3, 20.0
    on.text(QRectF(0, y, start, TITLE - 2), "−1", theme.quiet)
    painter.drawImage(QRectF(start, y + 5, 48, 5), to_qimage(theme.picture_table[None]))
    painter.drawRect(QRectF(start - 0.5, y + 4.5, 49, 6))
    on.text(QRectF(start + 54, y, 20, TITLE - 2), "1", theme.quiet)
    left = box.right() + BETWEEN
    for at, line in enumerate(block.lines):
        row = QRectF(left, top + at * 2 * LINE - 2, on.width - left, LINE)
        on.text(row, line.label, theme.quiet)
        on.text(row.translated(0, LINE - 3), line.number, theme.text, TEXT_PX, line.total)


def spread_height(block: Spread) -> float:
    """How tall it is, without room below."""
    return TITLE + ROW * len(block.rows) + TITLE


def paint_spread(block: Spread, top: float, on: Pass) -> None:
    """A row of bars for each class, all to the same scales, with its sign at the left and one axis below."""
    theme, painter = on.theme, on.painter
    on.text(QRectF(0, top, on.width, TITLE - 2), block.title, theme.quiet)
    most = max((float(np.max(row.counts)) for row in block.rows), default=0.0) or 1.0
    for at, row in enumerate(block.rows):
        y = top + TITLE + at * ROW
        if row.index >= 0:
            paint_class(painter, theme, row.index, row.name, QPointF(SYMBOL / 2, y + ROW / 2), SYMBOL)
        else:
            on.text(QRectF(2, y, SIGN, ROW), "?", theme.text)
        box = QRectF(SIGN, y + 2, on.width - SIGN - 2, ROW - 4)
        each = box.width() / len(row.counts)
        colour = QColor(theme.class_colour(row.index) if row.index >= 0 else theme.quiet)
        for place, count in enumerate(np.asarray(row.counts).tolist()):
            if count:
                high = max(count / most * box.height(), 1.0)
                bar = QRectF(box.left() + place * each, box.bottom() - high, max(each - 1, 1.0), high)
                painter.fillRect(bar, colour)
        painter.setPen(QPen(QColor(theme.line), 1.0))
        painter.drawLine(QLineF(box.left(), box.bottom() + 0.5, box.right(), box.bottom() + 0.5))
    y = top + TITLE + ROW * len(block.rows)
    below = QRectF(SIGN, y, on.width - SIGN - 2, TITLE - 2)
    on.text(below, block.first, theme.quiet, SMALL_PX)
    on.text(below, block.last, theme.quiet, SMALL_PX, right=True)
    metrics = kept_font(SMALL_PX)[1]
    if block.zero is not None:
        middle = below.left() + block.zero * below.width()
        painter.setPen(QPen(QColor(theme.quiet), 1.0))
        painter.drawLine(QLineF(middle, y - 2, middle, y + 2))
        wide = metrics.horizontalAdvance("0")
        ends = metrics.horizontalAdvance(block.first) + 6, metrics.horizontalAdvance(block.last) + 6
        if below.left() + ends[0] < middle - wide / 2 and middle + wide / 2 < below.right() - ends[1]:
            on.text(QRectF(middle - wide / 2, y, wide + 2, TITLE - 2), "0", theme.quiet, SMALL_PX)
