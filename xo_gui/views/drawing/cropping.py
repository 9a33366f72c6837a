"""Cropping: the rectangle that is dragged, or moved with the keys, over a picture to choose the part to keep."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath, QPen

from engine.drawings import Box
from xo_gui.app import current_theme

_MIN_DRAG: Final = 0.02  # of the frame's side: a shorter drag is a click
_STEP: Final = 1 / 64
_FIRST_INSET: Final = 1 / 8
_KEYS: Final = {
    Qt.Key.Key_Left: (-_STEP, 0.0), Qt.Key.Key_Right: (_STEP, 0.0), Qt.Key.Key_Up: (0.0, -_STEP),
    Qt.Key.Key_Down: (0.0, _STEP),
}  # fmt: skip
_VEIL_ALPHA: Final = 170


class CropRectangle:
    """The part of the frame to be kept. first: the corner where a drag began; None while there is no drag."""

    def __init__(self, room: Box, box: Box | None) -> None:
        """room: where the picture lies in the frame. box: what is cropped already, None for nothing."""
        self._room = room
        self.box = box if box is not None else _inset(room)
        self._first: tuple[float, float] | None = None
        self._before = self.box

    def press(self, place: tuple[float, float]) -> None:
        """Begin a drag."""
        self._first, self._before = self._inside(place), self.box

    def drag(self, place: tuple[float, float]) -> None:
        """Extend the rectangle to `place`, if there is a drag."""
        if self._first is None:
            return
        (x, y), (first_x, first_y) = self._inside(place), self._first
        self.box = min(x, first_x), min(y, first_y), max(x, first_x), max(y, first_y)

    def release(self) -> bool:
        """End the drag; whether a rectangle was dragged. After a click it is as before."""
        left, top, right, bottom = self.box
        was_dragged = self._first is not None and min(right - left, bottom - top) >= _MIN_DRAG
        if self._first is not None and not was_dragged:
            self.box = self._before
        self._first = None
        return was_dragged

    def move(self, event: QKeyEvent) -> bool:
        """Move the rectangle with an arrow key, or its right and lower edge with Shift; False for other keys."""
        if event.key() not in _KEYS:
            return False
        right, down = _KEYS[Qt.Key(event.key())]
        x0, y0, x1, y1 = self.box
        left, top, most_right, most_down = self._room
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            x1, y1 = min(max(x1 + right, x0 + _STEP), most_right), min(max(y1 + down, y0 + _STEP), most_down)
        else:
            right, down = min(max(right, left - x0), most_right - x1), min(max(down, top - y0), most_down - y1)
            x0, y0, x1, y1 = x0 + right, y0 + down, x1 + right, y1 + down
        self.box = x0, y0, x1, y1
        return True

    def paint(self, painter: QPainter, frame: QRectF) -> None:
        """Veil what is left out, and outline what is kept."""
        left, top, right, bottom = (side * frame.width() for side in self.box)
        kept = QRectF(frame.topLeft() + QPointF(left, top), frame.topLeft() + QPointF(right, bottom))
        theme, left_out = current_theme(), QPainterPath()
        left_out.addRect(frame)
        left_out.addRect(kept)
        veil = QColor(theme.background)
        veil.setAlpha(_VEIL_ALPHA)
        painter.fillPath(left_out, veil)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(theme.canvas), 3), QPen(QColor(theme.text), 1)):
            painter.setPen(pen)
            painter.drawRect(kept)

    def _inside(self, place: tuple[float, float]) -> tuple[float, float]:
        left, top, right, bottom = self._room
        return min(max(place[0], left), right), min(max(place[1], top), bottom)


def _inset(room: Box) -> Box:
    left, top, right, bottom = room
    across, down = (right - left) * _FIRST_INSET, (bottom - top) * _FIRST_INSET
    return left + across, top + down, right - across, bottom - down
