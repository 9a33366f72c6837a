"""RecoveryBar: a bar above the central widget that offers to restore an autosaved session."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.documents import ProjectSummary

_MARGIN = 16


class RecoveryBar(QFrame):
    """Describes the offered session, with the buttons Restore and Discard; hidden while there is none."""

    restored = Signal()
    discarded = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("offer")
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        tip = self.tr("Restore drawing, network, curves and timeline; Undo reverts it")
        self.restore_button = self._button(self.tr("Restore"), tip)
        tip = self.tr("Discard it; until another session ends, the File menu still opens it as the last session")
        self.discard_button = self._button(self.tr("Discard"), tip)
        self.restore_button.clicked.connect(self.restored)
        self.discard_button.clicked.connect(self.discarded)
        row = QHBoxLayout(self)
        row.setContentsMargins(_MARGIN, 8, _MARGIN, 8)
        row.setSpacing(8)
        row.addWidget(self.label, 1)
        row.addWidget(self.restore_button)
        row.addWidget(self.discard_button)
        self.hide()

    def show_digest(self, digest: ProjectSummary | None) -> None:
        """Offer this session; None hides the bar."""
        self.setVisible(digest is not None)
        if digest is not None:
            self.label.setText(self._sentence(digest))
            self.setAccessibleName(self.label.text())

    def _sentence(self, digest: ProjectSummary) -> str:
        when = QDateTime.fromSecsSinceEpoch(round(digest.saved_at))
        locale, at = QLocale(), when.toString("HH:mm")
        if when.date() != QDateTime.currentDateTime().date():
            at = self.tr("{0} on {1}").format(at, locale.toString(when.date(), QLocale.FormatType.ShortFormat))
        if digest.step is None:
            return self.tr("The last session ended unexpectedly at {0}.").format(at)
        step = f"{digest.step:,}"
        if digest.was_running:
            return self.tr("The last session ended unexpectedly at {0} while training (step {1}).").format(at, step)
        return self.tr("The last session ended unexpectedly at {0}, trained to step {1}.").format(at, step)

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setAccessibleDescription(tip)
        return button


def with_bar_above(bar: QWidget, widget: QWidget) -> QWidget:
    """A widget that shows `bar` above `widget`."""
    box = QWidget()
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(bar)
    column.addWidget(widget, 1)
    return box
