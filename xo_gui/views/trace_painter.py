"""Trace painter: draws the rings, windows and lines of a looked-at cell over the strip."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from xo_gui.app.theme import Theme
from xo_gui.state.selection import Cell
from xo_gui.views.column_painter import rect
from xo_gui.views.columns import Box, Strip
from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.trace import Trace, trace_of

# A cell smaller than this gets a ring around its middle instead of an outline.
LEAST_OUTLINE = 9.0
RING = 3.2
# The thinnest and the thickest line: the one that carries most of its fan has the latter.
THIN, THICK = 0.7, 3.6


def paint_looked(painter: QPainter, shown: ShownStrip, cell: Cell, theme: Theme, sliding: bool) -> None:
    """All that belongs to a cell; sliding: whether its window has filled the map only as far as there."""
    if shown.strip is None:
        return
    if sliding:
        paint_unfilled(painter, shown.strip, cell, theme)
    trace = trace_of(shown.reading.subject.network, shown.strip, cell, shown.reading)
    if trace is not None:
        paint_trace(painter, trace, theme)


def paint_trace(painter: QPainter, trace: Trace, theme: Theme) -> None:
    """Lines first, then outlines, each with a rim of the ground's colour so that it shows on any value."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _fan(painter, trace, theme)
    painter.setPen(QPen(QColor(theme.text), 1.2))
    painter.drawLines([QLineF(*line) for line in trace.lines])
    if trace.tile is not None:
        _outline(painter, rect(trace.tile).adjusted(-2, -2, 2, 2), theme, 2.0)
    for window in trace.windows:
        _outline(painter, rect(window).adjusted(-0.5, -0.5, 0.5, 0.5), theme, 1.2)
    for ring in trace.rings:
        paint_ring(painter, ring, theme)
    painter.restore()


def _fan(painter: QPainter, trace: Trace, theme: Theme) -> None:
    """The lines, as thick as what they carry; what takes away is dashed and violet."""
    for carried, line in zip(trace.carried, trace.fan, strict=True):
        pen = QPen(QColor(theme.stops[4] if carried > 0 else theme.stops[0]), THIN + (THICK - THIN) * abs(carried))
        if carried < 0:
            pen.setDashPattern([2.0, 1.5])
        painter.setPen(pen)
        painter.drawLine(QLineF(*line))


def paint_unfilled(painter: QPainter, strip: Strip, cell: Cell, theme: Theme) -> None:
    """Cover what comes after `cell` on its map, or in its list: what a sliding window has not filled yet."""
    column = strip.column_of(cell.layer)
    if column is None:
        return
    ground = QColor(theme.ground)
    if not column.is_map:
        for channel in range(cell.channel + 1, column.stage.count):
            painter.fillRect(rect(column.tile(channel)), ground)
        return
    if cell.channel not in column.maps:
        return
    (high, wide), tile = column.cells, column.tile(cell.channel)
    painter.fillRect(rect(tile.part((high, wide), range(cell.row + 1, high), range(wide))), ground)
    rest = tile.part((high, wide), range(cell.row, cell.row + 1), range(cell.column + 1, wide))
    painter.fillRect(rect(rest), ground)


def paint_ring(painter: QPainter, cell: Box, theme: Theme) -> None:
    """Mark one cell: an outline, or a ring around the middle of a small one."""
    if min(cell.width, cell.height) >= LEAST_OUTLINE:
        _outline(painter, rect(cell), theme, 1.4)
        return
    for colour, width in ((theme.ground, 3.0), (theme.text, 1.3)):
        painter.setPen(QPen(QColor(colour), width))
        painter.drawEllipse(QPointF(*cell.centre), RING, RING)


def _outline(painter: QPainter, box: QRectF, theme: Theme, width: float) -> None:
    for colour, wide in ((theme.ground, width + 1.6), (theme.text, width)):
        painter.setPen(QPen(QColor(colour), wide))
        painter.drawRoundedRect(box, 1.5, 1.5)
