"""What the canvas shows besides the drawing: its edge, the pen, the grid, the invitation. It keeps nothing."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen

from xo_gui.app.theme import LARGE_PX, SMALL_PX, Theme, font

CORNER = 4.0
_SMALLEST_RING = 5.0
_LINE_GAP = 6.0


def paint_grid(painter: QPainter, frame: QRectF, side: int, theme: Theme) -> None:
    """Hairlines between the cells of a pixel canvas, on the very pixels where its cells meet."""
    ratio = painter.device().devicePixelRatio()
    pixels = round(frame.width() * ratio)
    hair = 1 / ratio
    colour = QColor(theme.line)
    for cell in range(1, side):
        edge = -(-cell * pixels // side) / ratio
        painter.fillRect(QRectF(frame.left() + edge, frame.top(), hair, frame.height()), colour)
        painter.fillRect(QRectF(frame.left(), frame.top() + edge, frame.width(), hair), colour)


def paint_edge(painter: QPainter, frame: QRectF, theme: Theme, focused: bool, by_keys: bool) -> None:
    """The frame's thin rounded border, stronger when the canvas has the keyboard."""
    outside = QPainterPath()
    outside.addRect(frame.adjusted(-1, -1, 1, 1))
    outside.addRoundedRect(frame.adjusted(-0.5, -0.5, 0.5, 0.5), CORNER, CORNER)
    painter.fillPath(outside, QColor(theme.ground))
    width = 2.0 if by_keys else 1.0
    colour = theme.o if by_keys else theme.quiet if focused else theme.line
    inset = width / 2 - 1
    painter.setPen(QPen(QColor(colour), width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(frame.adjusted(inset, inset, -inset, -inset), CORNER, CORNER)


def paint_pen(painter: QPainter, centre: QPointF, diameter: float, theme: Theme, erase: bool) -> None:
    """A thin ring of the pen's size, seen on paper and on ink alike; dashed for the eraser."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    radius = max(diameter, _SMALLEST_RING) / 2
    for pen in _outline(theme, dashed=erase):
        painter.setPen(pen)
        painter.drawEllipse(centre, radius, radius)


def _outline(theme: Theme, dashed: bool = False) -> tuple[QPen, QPen]:
    """A quiet line on a halo of paper, which is seen on paper and on ink."""
    halo, line = QColor(theme.paper), QPen(QColor(theme.quiet), 1.25)
    halo.setAlpha(150)
    if dashed:
        line.setDashPattern([3.0, 2.5])
    return QPen(halo, 3.25), line


def paint_cell(painter: QPainter, frame: QRectF, side: int, place: tuple[float, float], theme: Theme) -> None:
    """An outline around the cell at `place` (frame units), if there is one."""
    column, row = int(place[0] * side // 1), int(place[1] * side // 1)
    if not (0 <= column < side and 0 <= row < side):
        return
    cell = frame.width() / side
    painter.setBrush(Qt.BrushStyle.NoBrush)
    left, top = frame.left() + column * cell, frame.top() + row * cell
    for pen in _outline(theme):
        painter.setPen(pen)
        painter.drawRect(QRectF(left, top, cell, cell).adjusted(2, 2, -2, -2))


def paint_cross_hair(painter: QPainter, frame: QRectF, centre: QPointF, theme: Theme) -> None:
    """Two hairlines through the place of the keyboard's pen."""
    painter.setPen(QPen(QColor(theme.faint), 1))
    painter.drawLine(QPointF(frame.left(), centre.y()), QPointF(frame.right(), centre.y()))
    painter.drawLine(QPointF(centre.x(), frame.top()), QPointF(centre.x(), frame.bottom()))


def paint_invitation(painter: QPainter, frame: QRectF, first: str, second: str, theme: Theme) -> None:
    """Two quiet lines in the middle of an empty canvas, on paper of their own where there is a grid."""
    painter.setPen(QColor(theme.quiet))
    large, small = font(LARGE_PX), font(SMALL_PX)
    room = frame.adjusted(8, 8, -8, -8)
    heights = [QFontMetricsF(which).height() for which in (large, small)]
    top = frame.center().y() - (sum(heights) + _LINE_GAP) / 2
    for which, text, height in zip((large, small), (first, second), heights, strict=True):
        painter.setFont(which)
        line = QRectF(room.left(), top, room.width(), height)
        words = painter.boundingRect(line, Qt.AlignmentFlag.AlignCenter, text)
        painter.fillRect(words.adjusted(-6, -_LINE_GAP / 2, 6, _LINE_GAP / 2), QColor(theme.paper))
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)
        top += height + _LINE_GAP
