"""Multiples: one small plot for each property of a drawing, on one grid: how many are read rightly at each of its
values. It counts nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from engine.explain.robustness import Robustness
from xo_gui.app.theme import DARK, Theme
from xo_gui.views.keyed_widget import KeyedWidget
from xo_gui.views.multiples_painter import Grid, MultiplesPainter

Point = tuple[int, int]


class Multiples(KeyedWidget):
    """pointed(): another point, or none, is under the mouse or the keys; `point` says which: property, value.
    picked(point): it was clicked."""

    pointed = Signal()
    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._found: Robustness | None = None
        self._marks: Mapping[str, float] = {}
        self.point: Point | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Drawings read rightly, by shift, size, rotation, thickness and noise"))

    def sizeHint(self) -> QSize:
        """Five plots side by side."""
        return QSize(460, 160)

    def minimumSizeHint(self) -> QSize:
        """Three beside each other whose course can be made out."""
        return QSize(290, 90)

    def show_robustness(self, found: Robustness | None) -> None:
        """Show these curves; None: there are none."""
        self._found = found
        if found is None:
            self.point = None
        self.update()

    def show_marks(self, marks: Mapping[str, float]) -> None:
        """Where the drawing on the canvas lies, by property, as far as that is known."""
        if marks != self._marks:
            self._marks = marks
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def grid(self) -> Grid:
        """Where the plots stand."""
        return Grid(self.width(), self.height(), 5 if self._found is None else len(self._found.properties))

    def place(self, point: Point, share: float) -> QPointF:
        """Where a share of one value of one property is painted."""
        box = self.grid().boxes[point[0]]
        assert self._found is not None
        steps = len(self._found.properties[point[0]].values) - 1
        return QPointF(box.left() + box.width() * point[1] / steps, box.bottom() - box.height() * share)

    # -- the person --------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read the value under the mouse."""
        self._point_at(self._under(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put a drawing of this value on the canvas."""
        self._point_at(self._under(event.position()))
        if self.point is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(self.point)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is read any more."""
        self._point_at(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right go through the values, up and down through the properties, Return puts a drawing on the
        canvas, Esc lets go."""
        key, found = Qt.Key(event.key()), self._found
        step = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
        }.get(key)  # fmt: skip
        if found is not None and step is not None:
            rows, columns = found.tried.shape
            row, column = self.point or (0, found.properties[0].values.index(found.properties[0].usual) - step[1])
            moved = (row + step[0]) % rows, min(max(column + step[1], 0), columns - 1)
            self._point_at(moved)
        elif self.point is not None and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self.point)
        elif self.point is not None and key == Qt.Key.Key_Escape:
            self._point_at(None)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """They are elsewhere."""
        self._point_at(None)
        super().focusOutEvent(event)

    def _under(self, at: QPointF) -> Point | None:
        """The value of a property whose column is nearest to a place in its plot."""
        if self._found is None:
            return None
        for row, box in enumerate(self.grid().boxes):
            if box.adjusted(-8, -18, 8, 18).contains(at):
                steps = len(self._found.properties[row].values) - 1
                column = round(float(np.clip((at.x() - box.left()) / box.width(), 0, 1)) * steps)
                return row, column
        return None

    def _point_at(self, point: Point | None) -> None:
        if point != self.point:
            self.point = point
            self.update()
            self.pointed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """All plots."""
        if self._found is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        grid = self.grid()
        MultiplesPainter(painter, self._theme, grid, self._found).paint(self._marks, self.point)
        if self.hasFocus():
            painter.setPen(self._theme.o)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
