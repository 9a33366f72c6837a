"""RecoveryBar: a bar above the central widget that offers to restore autosaved sessions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDateTime, QLocale, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.documents import ProjectSummary
from xo_gui.state import SessionOffer
from xo_gui.widgets import ComboBox, WrappingRow, tooltip_text

_MARGIN = 16
_LEAST_TEXT = 240  # the width that the text needs beside the buttons


class RecoveryBar(QFrame):
    """Describes the offered session, or lists them all, with the buttons Restore and Discard; hidden while there is
    none.

    restored, discarded (offer): the button was clicked for this one.
    """

    restored = Signal(object)
    discarded = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("offer")
        self._offers: Sequence[SessionOffer] = ()
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.box = ComboBox(self)
        self.box.setAccessibleName(self.tr("Sessions that can be restored"))
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.setMinimumContentsLength(20)
        self.box.currentTextChanged.connect(lambda text: self.box.setToolTip(tooltip_text(text)))
        tip = self.tr("Restore drawing, network, curves and timeline; Undo reverts it")
        self.restore_button = self._button(self.tr("Restore"), tip)
        tip = self.tr("Discard it; until another session ends, the File menu still opens it as the last session")
        self.discard_button = self._button(self.tr("Discard"), tip)
        self.restore_button.clicked.connect(self._restore)
        self.discard_button.clicked.connect(self._discard)
        self._buttons = WrappingRow((self.restore_button, self.discard_button), self)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(_MARGIN, 8, _MARGIN, 8)
        self._row.setSpacing(8)
        self._row.addWidget(self.label, 1)
        self._row.addWidget(self.box, 2)
        self._row.addWidget(self._buttons)
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the buttons below the text where there is little room beside them."""
        super().resizeEvent(event)
        room = self.width() - 2 * _MARGIN - self._buttons.sizeHint().width()
        direction = QBoxLayout.Direction
        self._row.setDirection(direction.LeftToRight if room >= _LEAST_TEXT else direction.TopToBottom)

    def show_offers(self, offers: Sequence[SessionOffer]) -> None:
        """Offer these sessions, the latest first; none hides the bar."""
        before = self._chosen.path if self._offers else None
        self._offers = offers
        paths = [offer.path for offer in offers]
        self.box.clear()
        self.box.addItems(distinct([self._entry(offer.summary) for offer in offers]))
        self.box.setCurrentIndex(paths.index(before) if before in paths else 0)
        self.box.setVisible(len(offers) > 1)
        if offers:
            several = self.tr("{0} sessions can be restored:").format(len(offers))
            self.label.setText(several if len(offers) > 1 else self._sentence(offers[0]))
            self.setAccessibleName(self.label.text())
        self.setVisible(bool(offers))

    @property
    def _chosen(self) -> SessionOffer:
        return self._offers[max(self.box.currentIndex(), 0)]

    def _restore(self) -> None:
        self.restored.emit(self._chosen)

    def _discard(self) -> None:
        self.discarded.emit(self._chosen)

    def _sentence(self, offer: SessionOffer) -> str:
        """What is known of the only session."""
        summary = offer.summary
        at = self._time(summary, "HH:mm")
        if offer.is_put_aside:
            return self.tr("A session was put aside at {0}.").format(at)
        if summary.step is None:
            return self.tr("The last session ended unexpectedly at {0}.").format(at)
        step = f"{summary.step:,}"
        if summary.was_running:
            return self.tr("The last session ended unexpectedly at {0} while training (step {1}).").format(at, step)
        return self.tr("The last session ended unexpectedly at {0}, trained to step {1}.").format(at, step)

    def _entry(self, summary: ProjectSummary) -> str:
        """What tells a session apart from others, as an entry of the list."""
        parts = [self.tr("saved at {0}").format(self._time(summary, "HH:mm:ss"))]
        if summary.network:
            parts.insert(0, self.tr("{0} network").format(summary.network[:40]))
        if summary.step is not None:
            step = self.tr("step {0}, training") if summary.was_running else self.tr("step {0}")
            parts.append(step.format(f"{summary.step:,}"))
        return " · ".join(parts)

    def _time(self, summary: ProjectSummary, pattern: str) -> str:
        """When the session was saved; with its date, if that was not today."""
        when = QDateTime.fromSecsSinceEpoch(round(summary.saved_at))
        at = when.toString(pattern)
        if when.date() == QDateTime.currentDateTime().date():
            return at
        date = QLocale().toString(when.date(), QLocale.FormatType.ShortFormat)
        return self.tr("{0} on {1}").format(at, date)

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


def distinct(texts: Sequence[str]) -> list[str]:
    """The texts, with a number after those that are equal to an earlier one."""
    counts = [texts[: at + 1].count(text) for at, text in enumerate(texts)]
    return [text if count == 1 else f"{text} ({count})" for text, count in zip(texts, counts, strict=True)]
