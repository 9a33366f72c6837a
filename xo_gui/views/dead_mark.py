"""Dead mark: the sign of a feature that is 0 on every drawing. It finds none."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from xo_gui.theme import Theme


def paint_dead(painter: QPainter, theme: Theme, middle: QPointF, side: float) -> None:
    """A circle with a bar through it, `side` wide, in the text's colour: no sign of a class, and no value."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme.text), 1.3))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    half = side / 2
    painter.drawEllipse(middle, half, half)
    part = half * 0.7
    painter.drawLine(middle + QPointF(-part, part), middle + QPointF(part, -part))
    painter.restore()
