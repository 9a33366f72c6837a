"""Symbols: the shape that stands for a class, in its colour. What is neither an X nor an O is written out."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from xo_gui.app.theme import SMALL_PX, Theme, font

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
