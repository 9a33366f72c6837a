"""Quiet words: what a panel says in small letters beside what it shows, or where it has nothing to show yet."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QWidget

from xo_gui.app.theme import SMALL_PX, font


class QuietWords(QLabel):
    """As many lines as it takes, from the top, in the theme's quiet colour."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setFont(font(SMALL_PX))
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
