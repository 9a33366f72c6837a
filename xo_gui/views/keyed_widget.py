"""Keyed widget: a painted widget that keys go to. What it shows of that, and what the keys do, is its own."""

from __future__ import annotations

from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QWidget


class KeyedWidget(QWidget):
    """Painted anew whenever the keyboard comes or goes, so that it can show where keys go."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Keys go here now."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """And no longer."""
        super().focusOutEvent(event)
        self.update()
