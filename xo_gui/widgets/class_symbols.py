"""Class symbols: the one place where a class is painted: its symbol, its colour, and its name as far as it fits."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from engine.data import class_symbol
from xo_gui.app import SMALL_PX, Theme, font

# The least width in which an elided name says anything.
MIN_NAME_WIDTH: Final = 22.0

# Corners of each shape in -1..1; first all of them outlined, then all of them filled.
_SHAPES: Final = (
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),  # square
    ((0, -1), (1, 0.85), (-1, 0.85)),  # triangle
    ((0, -1), (1, 0), (0, 1), (-1, 0)),  # diamond
    ((0, 1), (1, -0.85), (-1, -0.85)),  # triangle on its tip
    ((-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3), (0.3, 1), (-0.3, 1), (-0.3, 0.3),
     (-1, 0.3), (-1, -0.3), (-0.3, -0.3)),  # plus
    ((-1, -1), (1, -1), (-1, 1), (1, 1)),  # hourglass
    ((1, 0), (-0.85, 1), (-0.85, -1)),  # triangle to the right
    ((-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)),  # bar
    ((-1, 0), (0.85, -1), (0.85, 1)),  # triangle to the left
    ((-0.5, -1), (0.5, -1), (0.5, 1), (-0.5, 1)),  # pillar
)  # fmt: skip
SYMBOL_COUNT: Final = 2 * len(_SHAPES)


def paint_class_symbol(
    painter: QPainter, theme: Theme, index: int, name: str, centre: QPointF, side: float
) -> None:
    """Paint the symbol of the class at `index`, `side` wide: the one that its kind of data gives the name, or else
    the shape of its index."""
    colour, half = QColor(theme.class_colour(index)), side / 2 - 1
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, max(side / 6, 1.6), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    symbol = class_symbol(name)
    if symbol == "cross":
        for rise in (half, -half):
            painter.drawLine(centre + QPointF(-half, -rise), centre + QPointF(half, rise))
    elif symbol == "ring":
        painter.drawEllipse(centre, half + 0.5, half + 0.5)
    else:
        number = index % SYMBOL_COUNT
        filled = number >= len(_SHAPES)
        painter.setPen(QPen(colour, 1.0 if filled else max(side / 8, 1.2)))
        if filled:
            painter.setBrush(colour)
        corners = [QPointF(x * half, y * half) + centre for x, y in _SHAPES[number % len(_SHAPES)]]
        painter.drawPolygon(QPolygonF(corners))
    painter.restore()


def class_name_width(name: str, most: float, px: int = SMALL_PX) -> float:
    """The width for a name beside its symbol, at most `most`; 0 for a class whose symbol says its name."""
    return 0.0 if class_symbol(name) else float(min(math.ceil(_metrics(px).horizontalAdvance(name)), most))


def elided_class_name(name: str, width: float, px: int = SMALL_PX) -> str:
    """The name as it is written in `width`; "" where its symbol says it all, or where little would be left."""
    if class_symbol(name) or width < min(MIN_NAME_WIDTH, class_name_width(name, math.inf, px)):
        return ""
    return elided_text(name, width, px)


def paint_class_name(
    painter: QPainter, theme: Theme, index: int, name: str, box: QRectF, px: int = SMALL_PX
) -> None:
    """Paint the name within the box, with an ellipsis where it is too long; the rest of it is for a tooltip."""
    text = elided_class_name(name, box.width(), px)
    if text:
        painter.setFont(font(px))
        painter.setPen(QColor(theme.class_colour(index)))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


def elided_text(text: str, width: float, px: int = SMALL_PX) -> str:
    """The text, with an ellipsis where it is too long for `width`."""
    return _metrics(px).elidedText(text, Qt.TextElideMode.ElideRight, width)


@cache
def _metrics(px: int) -> QFontMetricsF:
    return QFontMetricsF(font(px))
