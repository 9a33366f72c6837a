"""Offer: a quiet bar above the network that offers back what an earlier session left. It asks nothing and waits."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.documents.project_file import Digest

_MARGIN = 16


def under(offer: QWidget, widget: QWidget) -> QWidget:
    """The widget with the offer above it."""
    both = QWidget()
    column = QVBoxLayout(both)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(offer)
    column.addWidget(widget, 1)
    return both


class Offer(QFrame):
    """Hidden unless something is offered."""

    restored = Signal()
    discarded = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("offer")
        self.words = QLabel(self)
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        tip = self.tr("Drawing, network, curves and timeline as they were; Undo takes it back")
        self.restore_button = self._button(self.tr("Restore"), tip)
        tip = self.tr("Put it away; until another session ends, File still opens it as the last session")
        self.discard_button = self._button(self.tr("Discard"), tip)
        self.restore_button.clicked.connect(self.restored)
        self.discard_button.clicked.connect(self.discarded)
        row = QHBoxLayout(self)
        row.setContentsMargins(_MARGIN, 8, _MARGIN, 8)
        row.setSpacing(8)
        row.addWidget(self.words, 1)
        row.addWidget(self.restore_button)
        row.addWidget(self.discard_button)
        self.hide()

    def show_digest(self, digest: Digest | None) -> None:
        """Offer this, or nothing."""
        self.setVisible(digest is not None)
        if digest is not None:
            self.words.setText(self._sentence(digest))
            self.setAccessibleName(self.words.text())

    def _sentence(self, digest: Digest) -> str:
        when = QDateTime.fromSecsSinceEpoch(round(digest.saved))
        locale, at = QLocale(), when.toString("HH:mm")
        if when.date() != QDateTime.currentDateTime().date():
            at = self.tr("{0} on {1}").format(at, locale.toString(when.date(), QLocale.FormatType.ShortFormat))
        if digest.step is None:
            return self.tr("The last session ended unexpectedly at {0}.").format(at)
        step = f"{digest.step:,}"
        if digest.running:
            return self.tr("The last session ended unexpectedly at {0} while training (step {1}).").format(at, step)
        return self.tr("The last session ended unexpectedly at {0}, trained to step {1}.").format(at, step)

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setAccessibleDescription(tip)
        return button
