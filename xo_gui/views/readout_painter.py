"""Readout painter: draws a readout as one line whose parts keep their places, so that nothing jumps."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter

from xo_gui.app.theme import SMALL_PX, TEXT_PX, Theme
from xo_gui.views.column_painter import kept_font
from xo_gui.views.readout import Readout

PLACE_WIDTH, VALUE_WIDTH, GAP = 268.0, 56.0, 12.0


def paint_readout(painter: QPainter, theme: Theme, said: Readout, left: float, right: float, base: float) -> None:
    """Place, value and what it reads, from `left` to `right`, on the baseline `base`."""
    small, metrics = kept_font(SMALL_PX)
    strong, strong_metrics = kept_font(TEXT_PX, True)
    painter.setFont(small)
    painter.setPen(QColor(theme.quiet))
    painter.drawText(QPointF(left, base), said.place)
    value = left + max(PLACE_WIDTH, metrics.horizontalAdvance(said.place) + GAP)
    reads = value + max(VALUE_WIDTH, strong_metrics.horizontalAdvance(said.value) + GAP)
    cut = metrics.elidedText(said.reads, Qt.TextElideMode.ElideRight, max(right - reads, 0.0))
    painter.drawText(QPointF(reads, base), cut)
    painter.setFont(strong)
    painter.setPen(QColor(theme.text))
    painter.drawText(QPointF(value, base), said.value)
