"""Row names: what the rows of a scrolled strip are, at the left of it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QWidget

from xo_gui.app.theme import SMALL_PX, font

_WIDE, _HIGH = 62, 60


class RowNames(QWidget):
    """One name beside each row. rows: gives where each begins, y, and its name."""

    def __init__(self, rows: Callable[[], tuple[tuple[float, str], ...]], parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setFixedWidth(_WIDE)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The names, quiet."""
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        for top, words in self._rows():
            painter.drawText(0, round(top), _WIDE, _HIGH, Qt.AlignmentFlag.AlignLeft, words)
