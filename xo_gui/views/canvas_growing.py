"""Growing ink: a drawing with the stroke under way on top, of which only what is new is painted. Not a widget."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPixmap

from engine.drawings.drawing import Drawing
from xo_gui.app.theme import DARK, Theme
from xo_gui.views.canvas_ink import Ink, paint_line
from xo_gui.views.canvas_pen import PenStroke


class GrowingInk:
    """What of the stroke has settled is painted once, onto a copy of the finished drawing; its tail each time."""

    def __init__(self) -> None:
        self._ink = Ink()
        self._live: QPixmap | None = None
        self._of: tuple[PenStroke | None, Theme] = None, DARK

    def paint(
        self,
        painter: QPainter,
        frame: QRectF,
        drawing: Drawing,
        stroke: PenStroke | None,
        theme: Theme,
        ratio: float,
    ) -> None:
        """drawing: the finished one. stroke: on top of it, None if none is under way. ratio: of device pixels."""
        finished = self._ink.pixmap(drawing, theme, round(frame.width() * ratio), ratio)
        if self._of != (stroke, theme):
            self._live, self._of = None, (stroke, theme)
        if stroke is None:
            painter.drawPixmap(frame.topLeft(), finished)
            return
        colour = theme.paper if stroke.erase else theme.ink
        if self._live is None or self._live.size() != finished.size():
            self._live = QPixmap(finished)
            stroke.retell()
        settled = stroke.settled()
        if len(settled):
            onto = QPainter(self._live)
            onto.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_line(onto, settled, frame.width(), colour)
            onto.end()
        painter.drawPixmap(frame.topLeft(), self._live)
        painter.save()
        painter.setClipRect(frame)
        painter.translate(frame.topLeft())
        paint_line(painter, stroke.tail(), frame.width(), colour)
        painter.restore()
