"""Status bar: a message at the left, permanent facts at the right."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from xo_gui.app import font
from xo_gui.state import Statement
from xo_gui.widgets import tooltip_text

# How long a message stays: at least, and for each of its characters.
MESSAGE_MS, CHARACTER_MS = 5_000, 50
_SPACING = 24
# Logical pixels that a fact may be wider than its text.
MAX_SPARE_WIDTH = 24
MAX_FACT_WIDTH = 480  # logical pixels: so that all facts fit into the narrowest window


class StatusBar(QStatusBar):
    """Shows each message long enough to be read; tips of what is under the mouse wait until then.

    A message that needs the space hides facts, the leftmost first, so that the others do not move.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._message: list[str | Statement] = []
        self._facts: list[QLabel] = []
        self._tip = ""
        self._message_timer = QTimer(self)
        self._message_timer.setSingleShot(True)
        self._message_timer.timeout.connect(self._end_message)
        self.messageChanged.connect(self._hide_facts)

    def add_fact(self, name: str, tip: str) -> QLabel:
        """Add an empty label at the right. name: its accessible name."""
        label = FactLabel(self, tip)
        label.setAccessibleName(name)
        label.setFont(font())
        label.setContentsMargins(10, 2, 10, 2)
        self.addPermanentWidget(label)
        self._facts.append(label)
        return label

    def show_message(self, sentence: str | Statement) -> None:
        """Show a sentence for as long as it takes to read it. The tooltip has its whole text.

        Sentences of the start are shown together: none could be read before the window is visible.
        """
        earlier = self._message if not self.isVisible() else []
        self._message = [*earlier, sentence]
        self._tip = ""
        self._show_sentences()

    def end_untrue(self) -> None:
        """End the statements that no longer hold."""
        true = [each for each in self._message if isinstance(each, str) or each.holds()]
        if len(true) == len(self._message):
            return
        self._message = true
        if true:
            self._show_sentences()
        else:
            self._end_message()

    def _show_sentences(self) -> None:
        text = " ".join(each if isinstance(each, str) else each.text for each in self._message)
        self._message_timer.start(MESSAGE_MS + CHARACTER_MS * len(text))
        self.setToolTip(tooltip_text(text))
        self.showMessage(text)

    def show_tip(self, text: str) -> None:
        """Show the tip of what is under the mouse, "" for none, once the current message has been read."""
        self._tip = text
        if not self._message:
            self.showMessage(text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._hide_facts(self.currentMessage())

    def _end_message(self) -> None:
        """End what has been read; what is still going on stays."""
        staying: list[str | Statement] = [
            each for each in self._message if isinstance(each, Statement) and each.stays and each.holds()
        ]
        self._message_timer.stop()
        self._message = staying
        if staying:
            self._show_sentences()
            return
        self.setToolTip("")
        self.showMessage(self._tip)

    def _hide_facts(self, text: str) -> None:
        """Hide the facts that the message leaves no space for."""
        width = self.width() - (self.fontMetrics().horizontalAdvance(text) + _SPACING if text else 0)
        for label in reversed(self._facts):
            width -= label.width()
            label.setVisible(width >= 0 or not text)


class FactLabel(QLabel):
    """A label that keeps the width of its widest recent text, so that changing numbers move nothing.

    Its size is fixed: for a label that could change its size, Qt would lay out the whole window at every text.
    tip: its tooltip, which also has the whole of a text that is longer than MAX_FACT_WIDTH and elided.
    """

    def __init__(self, parent: QWidget, tip: str) -> None:
        super().__init__(parent)
        self._tip = tip
        self.setToolTip(tip)

    def setText(self, text: str) -> None:
        """Set the text; grow at once if needed, and shrink only if more than SPARE is left over."""
        shown = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, MAX_FACT_WIDTH)
        super().setText(shown)
        self.setToolTip(self._tip if shown == text else tooltip_text(f"{self._tip}: {text}"))
        # The size hint would never be less than the fixed size.
        needed = self.fontMetrics().size(0, shown).grownBy(self.contentsMargins())
        if (
            not needed.width() <= self.width() <= needed.width() + MAX_SPARE_WIDTH
            or self.height() != needed.height()
        ):
            self.setFixedSize(needed)
