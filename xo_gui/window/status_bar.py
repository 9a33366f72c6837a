"""Status bar: one sentence at the left, the facts that always stand at the right. It knows no Document."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from xo_gui.app.theme import font

SENTENCE_MS, PER_LETTER_MS = 5_000, 50
_ROOM = 24
# Logical pixels that a fact may be wider than its text.
SPARE = 24


class Fact(QLabel):
    """A label as wide as its widest text of late, so that numbers that change all the time move nothing.

    Its size is fixed: a label that might be of another size has Qt lay out the whole window for every text.
    """

    def setText(self, text: str) -> None:
        """Show this; wider at once where it needs it, narrower only where a good deal is left over."""
        super().setText(text)
        # Not its size hint, which is never less than the size that is fixed.
        needed = self.fontMetrics().size(0, text).grownBy(self.contentsMargins())
        if not needed.width() <= self.width() <= needed.width() + SPARE or self.height() != needed.height():
            self.setFixedSize(needed)


class StatusBar(QStatusBar):
    """Lets a sentence be read to its end: tips of what the mouse passes over wait until it has stood its time.

    A sentence that needs the room hides facts, the leftmost first, so that those that stay do not move.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._facts: list[QLabel] = []
        self._tip = ""
        self._reading = QTimer(self, singleShot=True)
        self._reading.timeout.connect(self._read)
        self.messageChanged.connect(self._make_room)

    def add_fact(self, name: str, tip: str) -> QLabel:
        """One more label at the right, empty so far."""
        label = Fact(self)
        label.setAccessibleName(name)
        label.setToolTip(tip)
        label.setFont(font())
        label.setContentsMargins(10, 2, 10, 2)
        self.addPermanentWidget(label)
        self._facts.append(label)
        return label

    def say(self, text: str) -> None:
        """A sentence, for as long as it takes to read it. Its tooltip has all of it, if it is still too long."""
        self._tip = ""
        self._reading.start(SENTENCE_MS + PER_LETTER_MS * len(text))
        self.setToolTip(text)
        self.showMessage(text)

    def show_tip(self, text: str) -> None:
        """What the mouse is over, "" when it has left; after the sentence that is being read."""
        self._tip = text
        if not self._reading.isActive():
            self.showMessage(text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width has room for other facts."""
        super().resizeEvent(event)
        self._make_room(self.currentMessage())

    def _read(self) -> None:
        self.setToolTip("")
        self.showMessage(self._tip)

    def _make_room(self, text: str) -> None:
        room = self.width() - (self.fontMetrics().horizontalAdvance(text) + _ROOM if text else 0)
        for label in reversed(self._facts):
            room -= label.width()
            label.setVisible(room >= 0 or not text)
