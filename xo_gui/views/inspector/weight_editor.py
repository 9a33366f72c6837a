"""Weight editor: a widget that shows one slice of a kernel as cells and lets the user paint them."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.backends import HostArray
from xo_gui.app import current_theme
from xo_gui.views.inspector.sheet_blocks import HeatMap, NumberGrid, SideBySide
from xo_gui.views.inspector.sheet_painting import (
    MAX_HEAT_MAP_SIDE,
    TITLE,
    PaintContext,
    block_height,
    cells_box,
    paint_block,
)
from xo_gui.views.network import rounded_limit
from xo_gui.widgets import FocusFrameWidget

# With more cells a side the weights are shown as a heat map without numbers.
MAX_NUMBERED_SIDE = 10
_ARROW_KEYS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip


class WeightEditor(FocusFrameWidget):
    """Signals: stroke_started(); weight_painted(row, column, sign), sign -1 for the right button;
    cell_selected(row, column)."""

    stroke_started = Signal()
    weight_painted = Signal(int, int, int)
    cell_selected = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._weights: HostArray = np.zeros((1, 1), np.float32)
        self._limit = 1.0
        self.title = ""
        self.selected_cell = (0, 0)
        self._sign = 0
        self._last_painted: tuple[int, int] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Weights of the feature"))
        self.setToolTip(
            self.tr(
                "Paint the weights: the left button sets the number under “paint”, the right button its negative"
            )
        )

    def set_weights(self, title: str, weights: HostArray, limit: float) -> None:
        """Show the weights (h, w) of one slice; the colour scale ends at ±limit."""
        self.title = title
        if weights.shape != self._weights.shape:
            self.selected_cell = (0, 0)
        self._weights, self._limit = weights, limit
        total = max(round(self._block_height()), 1)
        if total != self.height():
            self.setFixedHeight(total)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, round(self._block_height()))

    def _block(self) -> SideBySide | HeatMap:
        if max(self._weights.shape) > MAX_NUMBERED_SIDE:
            return HeatMap(self.title, self._weights, self._limit)
        return SideBySide(self._grid())

    def _grid(self) -> NumberGrid:
        row, column = self.selected_cell
        ring = frozenset({row * self._weights.shape[1] + column}) if self.hasFocus() else frozenset()
        return NumberGrid(self.title, self._weights, "value", self._limit, outlined=ring)

    def _block_height(self) -> float:
        return block_height(self._block(), self._block_width())

    def _block_width(self) -> float:
        return float(max(self.width(), 60))

    def _area(self) -> QRectF:
        """The rectangle of all cells, below the title."""
        high, wide = self._weights.shape
        if max(high, wide) > MAX_NUMBERED_SIDE:
            scale = min(self._block_width() / wide, MAX_HEAT_MAP_SIDE / max(high, wide))
            return QRectF(1, TITLE, round(wide * scale), round(high * scale))
        return cells_box(self._grid(), self._block_width())

    def _cell_at(self, position: QPointF) -> tuple[int, int] | None:
        area, (high, wide) = self._area(), self._weights.shape
        row = int((position.y() - area.top()) * high / max(area.height(), 1))
        column = int((position.x() - area.left()) * wide / max(area.width(), 1))
        return (row, column) if area.contains(position) and row < high and column < wide else None

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            paint_block(self._block(), 0.0, PaintContext(painter, current_theme(), self._block_width(), False))
            if self.hasFocus() and max(self._weights.shape) > MAX_NUMBERED_SIDE:
                area, (high, wide) = self._area(), self._weights.shape
                step = area.width() / wide, area.height() / high
                box = QRectF(
                    area.left() + self.selected_cell[1] * step[0],
                    area.top() + self.selected_cell[0] * step[1],
                    *step,
                )
                painter.setPen(QPen(QColor(current_theme().text), 1.2))
                painter.drawRect(box)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a stroke; with Ctrl, only select the cell."""
        cell = self._cell_at(event.position())
        if cell is None:
            event.ignore()
            return
        self._select(*cell)
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._sign = -1 if event.button() == Qt.MouseButton.RightButton else 1
            self.stroke_started.emit()
            self._paint(cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if self._sign and cell is not None and cell != self._last_painted:
            self._select(*cell)
            self._paint(cell)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.end_stroke()

    def end_stroke(self) -> None:
        """Paint no more until the next press."""
        self._sign, self._last_painted = 0, None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys select a cell; Space paints it."""
        key = Qt.Key(event.key())
        if key in _ARROW_KEYS:
            down, right = _ARROW_KEYS[key]
            high, wide = self._weights.shape
            self._select(
                min(max(self.selected_cell[0] + down, 0), high - 1),
                min(max(self.selected_cell[1] + right, 0), wide - 1),
            )
        elif key == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.stroke_started.emit()
            self.weight_painted.emit(*self.selected_cell, 1)
        else:
            super().keyPressEvent(event)

    def _select(self, row: int, column: int) -> None:
        self.selected_cell = (row, column)
        self.cell_selected.emit(row, column)
        self.update()

    def _paint(self, cell: tuple[int, int]) -> None:
        self._last_painted = cell
        self.weight_painted.emit(*cell, self._sign)


def weight_limit(weights: HostArray) -> float:
    """The colour limit for the slices of a kernel: the largest magnitude, rounded up; never 0."""
    return rounded_limit(float(np.abs(weights).max()))
