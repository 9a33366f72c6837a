"""Range slider: a thin slider with two handles, from low to high. It knows places, not what they stand for."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from xo_gui.views.keyed_widget import KeyedWidget

_HANDLE: Final = 12
_GROOVE: Final = 3
_BACKWARD: Final = (Qt.FocusReason.BacktabFocusReason,)


class RangeSlider(KeyedWidget):
    """Two places from 0 to `most`, the low one never above the high one. moved: the person moved a handle.

    The mouse takes the nearer handle. Tab goes from one handle to the other before it leaves; arrows, Page Up and
    Down, Home and End move the one that has the keyboard.
    """

    moved = Signal(int, int)

    def __init__(self, most: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.most, self.low, self.high = most, 0, most
        self._upper = False  # the handle that has the keyboard
        self._dragging = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)

    def show_places(self, low: int, high: int) -> None:
        """Put the handles there, telling nobody; beyond the ends they stand at the ends."""
        places = min(max(low, 0), self.most), min(max(high, 0), self.most)
        if places != (self.low, self.high):
            self.low, self.high = places
            self.update()

    def sizeHint(self) -> QSize:
        """As high as its handles."""
        return QSize(84, _HANDLE + 4)

    # --- places

    def _at(self, place: int) -> float:
        return _HANDLE / 2 + place / self.most * (self.width() - _HANDLE)

    def handle(self, upper: bool) -> QPointF:
        """The middle of a handle."""
        return QPointF(self._at(self.high if upper else self.low), self.height() / 2)

    def _place(self, x: float) -> int:
        return round((x - _HANDLE / 2) / max(self.width() - _HANDLE, 1) * self.most)

    def _move(self, place: int) -> None:
        """Move the handle in hand; it stops at the other one."""
        low, high = self.low, self.high
        if self._upper:
            high = min(max(place, low), self.most)
        else:
            low = max(min(place, high), 0)
        if (low, high) != (self.low, self.high):
            self.low, self.high = low, high
            self.update()
            self.moved.emit(low, high)

    # --- hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the nearer handle to the mouse; of two in one place the one that can go where the mouse is."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        x = event.position().x()
        below, above = abs(x - self._at(self.low)), abs(x - self._at(self.high))
        self._upper = above < below or (above == below and x >= self._at(self.high) and self.high < self.most)
        self._dragging = True
        self._move(self._place(x))
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self._dragging and event.buttons() & Qt.MouseButton.LeftButton:
            self._move(self._place(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._dragging = False

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel scrolls the panel, unless the slider was chosen."""
        if not self.hasFocus():
            event.ignore()
            return
        here = self.high if self._upper else self.low
        self._move(here + (1 if event.angleDelta().y() > 0 else -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the handle that has the keyboard."""
        here, page = self.high if self._upper else self.low, max(1, self.most // 10)
        target = {
            Qt.Key.Key_Left: here - 1, Qt.Key.Key_Right: here + 1,
            Qt.Key.Key_Down: here - 1, Qt.Key.Key_Up: here + 1,
            Qt.Key.Key_PageDown: here - page, Qt.Key.Key_PageUp: here + page,
            Qt.Key.Key_Home: 0, Qt.Key.Key_End: self.most,
        }.get(Qt.Key(event.key()))  # fmt: skip
        if target is None:
            super().keyPressEvent(event)
        else:
            self._move(target)

    def focusNextPrevChild(self, next: bool) -> bool:
        """Tab goes to the other handle first."""
        if self.hasFocus() and self._upper != next:
            self._upper = next
            self.update()
            return True
        return super().focusNextPrevChild(next)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Tab comes to the lower handle, Shift+Tab to the upper one."""
        if event.reason() in (Qt.FocusReason.TabFocusReason, *_BACKWARD):
            self._upper = event.reason() in _BACKWARD
        super().focusInEvent(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The groove, the range in it, and the handles, that of the keyboard with a ring."""
        painter, palette, role = QPainter(self), self.palette(), QPalette.ColorRole
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, group = (
            self.height() / 2,
            QPalette.ColorGroup.Normal if self.isEnabled() else QPalette.ColorGroup.Disabled,
        )
        low, high = self.handle(False), self.handle(True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(group, role.Mid))
        painter.drawRoundedRect(QRectF(0, middle - _GROOVE / 2, self.width(), _GROOVE), 1, 1)
        painter.setBrush(palette.color(group, role.PlaceholderText))
        painter.drawRect(QRectF(low.x(), middle - _GROOVE / 2, high.x() - low.x(), _GROOVE))
        for upper in (not self._upper, self._upper):
            chosen = self.hasFocus() and upper == self._upper
            fill = QColor(palette.color(group, role.Text))
            painter.setBrush(fill)
            painter.setPen(
                QPen(palette.color(role.Highlight), 2) if chosen else QPen(palette.color(role.Window), 1)
            )
            inset = 1.0 if chosen else 0.5
            painter.drawEllipse(self.handle(upper), _HANDLE / 2 - inset, _HANDLE / 2 - inset)
        painter.end()
