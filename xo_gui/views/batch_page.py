"""Batch page: the drawings that the last step learnt from, as it trains. It learns nothing."""

from __future__ import annotations

from time import perf_counter
from typing import Final

import numpy as np
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLabel, QStackedLayout, QVBoxLayout, QWidget

from engine.data.dataset import Examples
from engine.data.labelled_drawings import NEITHER
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.runtime.training_protocol import Training
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent
from xo_gui.views.quiet_words import QuietWords
from xo_gui.views.thumbnails import HostArray, Thumbnails, Tile, scrolled

_REDRAW: Final = 0.25  # seconds between two batches while it trains


class BatchPage(QWidget):
    """A wall of them, and above it which they are. edited as of a View."""

    edited = Signal(object, str, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._training: Training | None = None
        self._generated = 0
        self._examples: Examples | None = None
        self._batch: HostArray = np.zeros(0, np.int64)
        self._filled_at = 0.0
        self._later = QTimer(self, singleShot=True)
        self._later.timeout.connect(self._fill)
        tip = self.tr("Put this drawing on the canvas")
        self.wall = Thumbnails(self.tr("Drawings of the last step"), tip, self)
        self.wall.picked.connect(self._put)
        self.words = QLabel(self)
        self.words.setFont(font(SMALL_PX))
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.words)
        column.addWidget(scrolled(self.wall, full), 1)
        words = self.tr("Train, or make one step: the drawings it learns from stand here, as they are used.")
        empty = QuietWords(words, self)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(full)

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document

    def show_intent(self, intent: Intent) -> None:
        """Where the person's own begin among the examples."""
        self._generated = intent.data.count if intent.lesson is None else intent.lesson.data.count

    def show_training(self, training: Training | None) -> None:
        """The last step's, a few times a second, if somebody looks."""
        self._training = training
        if not self.isVisible() or self._later.isActive():
            return
        self._later.start(max(0, round(1000 * (self._filled_at + _REDRAW - perf_counter()))))

    def showEvent(self, event: QShowEvent) -> None:
        """What was missed meanwhile."""
        super().showEvent(event)
        self._fill()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.wall.set_theme(theme)

    def _fill(self) -> None:
        self._filled_at, training = perf_counter(), self._training
        examples = None if training is None else training.examples
        batch = np.zeros(0, np.int64) if training is None or examples is None else training.batch
        if examples is self._examples and batch is self._batch:
            return
        self._examples, self._batch = examples, batch
        self._pages.setCurrentIndex(1 if len(batch) else 0)
        if training is None or examples is None or not len(batch):
            self.wall.show_tiles(())
            return
        names = (*examples.classes, NEITHER)
        labels = [names[label] for label in examples.labels[batch]]
        mine = batch >= self._generated
        self.wall.show_tiles(
            [
                Tile(examples.images[at, 0], label, self.tr("mine") if own else "")
                for at, label, own in zip(batch, labels, mine, strict=True)
            ]
        )
        counts = ", ".join(f"{labels.count(name)} {name}" for name in names)
        text = self.tr("step {0}: {1}").format(training.now.step, counts)
        if mine.any():
            text += self.tr("; {0} of yours").format(int(mine.sum()))
        self.words.setText(text)

    def _put(self, at: int) -> None:
        if self._document is not None:
            drawing = Drawing(image=self.wall.tiles[at].picture)
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Drawing of the batch"), "")
