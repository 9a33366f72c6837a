"""Feature board: the weights of one slice of a feature as cells that can be painted. It knows no network."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from xo_gui.app.theme import DARK, Theme
from xo_gui.views.inspector.sheet_blocks import Grid, Pair, Picture
from xo_gui.views.inspector.sheet_painting import Pass, height, paint
from xo_gui.views.network.colour_limits import calm
from xo_gui.widgets.buttons import KeyedWidget

HostArray: TypeAlias = "np.ndarray[Any, Any]"
# Beyond so many cells a side there is no room for numbers, and cells are as small as they must be.
MOST_NUMBERS = 10
_MOVES = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip


class FeatureBoard(KeyedWidget):
    """painted(row, column, sign): a cell was painted, sign -1 by the right button; begun(): a new stroke of the
    brush; chosen(row, column): a cell is the one whose number can be typed."""

    begun = Signal()
    painted = Signal(int, int, int)
    chosen = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._weights: HostArray = np.zeros((1, 1), np.float32)
        self._level = 1.0
        self.title = ""
        self.cell = (0, 0)
        self._sign = 0
        self._last: tuple[int, int] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Weights of the feature"))
        self.setToolTip(
            self.tr("Paint the weights: left button with the number beside “paint”, right button with its opposite")
        )

    def show_weights(self, title: str, weights: HostArray, level: float) -> None:
        """Show the weights (h, w) under a title; the colours end at `level`."""
        self.title = title
        if weights.shape != self._weights.shape:
            self.cell = (0, 0)
        self._weights, self._level = weights, level
        tall = max(round(self._tall()), 1)
        if tall != self.height():
            self.setFixedHeight(tall)
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """As tall as its cells."""
        return QSize(240, round(self._tall()))

    def _block(self) -> Pair | Picture:
        if max(self._weights.shape) > MOST_NUMBERS:
            return Picture(self.title, self._weights, self._level)
        row, column = self.cell
        ring = frozenset({row * self._weights.shape[1] + column}) if self.hasFocus() else frozenset()
        return Pair(Grid(self.title, self._weights, "value", self._level, ring=ring))

    def _tall(self) -> float:
        return height(self._block(), self._room())

    def _room(self) -> float:
        return float(max(self.width(), 60))

    def _area(self) -> QRectF:
        """Where the cells lie: under the block's title line."""
        high, wide = self._weights.shape
        title = 16.0
        if max(high, wide) > MOST_NUMBERS:
            scale = min(self._room() / wide, 200.0 / max(high, wide))
            return QRectF(1, title, round(wide * scale), round(high * scale))
        side = float(int(min(self._room() / wide, 30.0)))
        return QRectF(0, title, side * wide, min(side, 22.0) * high)

    def _at(self, place: QPointF) -> tuple[int, int] | None:
        area, (high, wide) = self._area(), self._weights.shape
        row = int((place.y() - area.top()) * high / max(area.height(), 1))
        column = int((place.x() - area.left()) * wide / max(area.width(), 1))
        return (row, column) if area.contains(place) and row < high and column < wide else None

    def paintEvent(self, event: QPaintEvent) -> None:
        """The cells, and the chosen one's outline."""
        painter = QPainter(self)
        paint(self._block(), 0.0, Pass(painter, self._theme, self._room(), False))
        if self.hasFocus() and max(self._weights.shape) > MOST_NUMBERS:
            area, (high, wide) = self._area(), self._weights.shape
            step = area.width() / wide, area.height() / high
            box = QRectF(area.left() + self.cell[1] * step[0], area.top() + self.cell[0] * step[1], *step)
            painter.setPen(QPen(QColor(self._theme.text), 1.2))
            painter.drawRect(box)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to paint; with Ctrl only choose the cell."""
        found = self._at(event.position())
        if found is None:
            event.ignore()
            return
        self._choose(*found)
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._sign = -1 if event.button() == Qt.MouseButton.RightButton else 1
            self.begun.emit()
            self._paint(found)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Paint what the mouse goes over."""
        found = self._at(event.position())
        if self._sign and found is not None and found != self._last:
            self._choose(*found)
            self._paint(found)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The stroke ends."""
        self._sign, self._last = 0, None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows choose a cell, Space paints it."""
        key = Qt.Key(event.key())
        if key in _MOVES:
            down, right = _MOVES[key]
            high, wide = self._weights.shape
            self._choose(min(max(self.cell[0] + down, 0), high - 1), min(max(self.cell[1] + right, 0), wide - 1))
        elif key == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.begun.emit()
            self.painted.emit(*self.cell, 1)
        else:
            super().keyPressEvent(event)

    def _choose(self, row: int, column: int) -> None:
        self.cell = (row, column)
        self.chosen.emit(row, column)
        self.update()

    def _paint(self, cell: tuple[int, int]) -> None:
        self._last = cell
        self.painted.emit(*cell, self._sign)


def level_of(weights: HostArray) -> float:
    """Where the colours of a feature's slices should end: beyond the largest weight, never at 0."""
    return calm(float(np.abs(weights).max()))
