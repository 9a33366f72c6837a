"""Data view: the training data: the user's labelled drawings, the generator, and the current batch."""

from __future__ import annotations

from time import perf_counter
from typing import Final

import numpy as np
from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.data.dataset import Examples
from engine.data.labelled_drawings import NEITHER, counted
from engine.data.pool import Lesson
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import DataLook, Intent, LearnOn, LookAtData, StartOver, Train
from xo_gui.views.data.drawings_page import OwnPage, learns, listed, tally
from xo_gui.views.data.generator_page import GeneratorPage
from xo_gui.views.view import View
from xo_gui.widgets.buttons import CompactButton, QuietWords
from xo_gui.widgets.thumbnails import HostArray, Thumbnails, Tile, scrolled

_UPDATE_INTERVAL: Final = 0.25  # seconds between two batches that are shown during training


class BatchPage(QWidget):
    """The drawings of the last training batch. Signal `edited`: as of View."""

    edited = Signal(object, str, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._training: Training | None = None
        self._generated = 0
        self._examples: Examples | None = None
        self._batch: HostArray = np.zeros(0, np.int64)
        self._updated_at = 0.0
        self._update_timer = QTimer(self, singleShot=True)
        self._update_timer.timeout.connect(self._update)
        tip = self.tr("Put this drawing on the canvas")
        self.wall = Thumbnails(self.tr("Drawings of the last step"), tip, self)
        self.wall.picked.connect(self._put_on_canvas)
        self.words = QLabel(self)
        self.words.setFont(font(SMALL_PX))
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.words)
        column.addWidget(scrolled(self.wall, full), 1)
        empty = QuietWords(self.tr("Train, or run one step: the drawings of the batch are shown here."), self)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(full)

    def show_document(self, document: Document) -> None:
        self._document = document

    def show_intent(self, intent: Intent) -> None:
        """Notes where the labelled drawings begin among the examples."""
        self._generated = intent.data.count if intent.lesson is None else intent.lesson.data.count

    def show_training(self, training: Training | None) -> None:
        """Shows the batch of the last step, at most every _UPDATE_INTERVAL, while the page is visible."""
        self._training = training
        if not self.isVisible() or self._update_timer.isActive():
            return
        self._update_timer.start(max(0, round(1000 * (self._updated_at + _UPDATE_INTERVAL - perf_counter()))))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._update()

    def set_theme(self, theme: Theme) -> None:
        self.wall.set_theme(theme)

    def _update(self) -> None:
        self._updated_at, training = perf_counter(), self._training
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
        is_labelled = batch >= self._generated
        self.wall.show_tiles(
            [
                Tile(examples.images[at, 0], label, self.tr("mine") if labelled else "")
                for at, label, labelled in zip(batch, labels, is_labelled, strict=True)
            ]
        )
        counts = ", ".join(f"{labels.count(name)} {name}" for name in names)
        text = self.tr("step {0}: {1}").format(training.now.step, counts)
        if is_labelled.any():
            text += self.tr("; {0} of yours").format(int(is_labelled.sum()))
        self.words.setText(text)

    def _put_on_canvas(self, at: int) -> None:
        if self._document is not None:
            drawing = Drawing(image=self.wall.tiles[at].picture)
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Drawing of the batch"), "")


class DataView(View):
    """Three pages, and below them a summary of the training data."""

    title = "Data"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._intent: Intent | None = None
        self.own, self.generator, self.batch = OwnPage(self), GeneratorPage(self), BatchPage(self)
        self.pages = QStackedWidget(self)
        for page in (self.own, self.generator, self.batch):
            self.pages.addWidget(page)
            page.edited.connect(self.edited)
        self.generator.wished.connect(self.wished)
        self._create_header()
        self._create_footer()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._header)
        column.addWidget(self.pages, 1)
        column.addLayout(self._footer)

    def sizeHint(self) -> QSize:
        return QSize(225, 200)  # five drawings beside each other

    # -- state -------------------------------------------------------------------------------------------------

    def show_document(self, document: Document) -> None:
        before, self._document = self._document, document
        for page in (self.own, self.generator, self.batch):
            page.show_document(document)
        if before is None or before.own != document.own or before.subjects != document.subjects:
            self._update_summary()

    def show_intent(self, intent: Intent) -> None:
        self._intent = intent
        self.generator.show_intent(intent)
        self.batch.show_intent(intent)
        self._update_summary()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.generator.show_samples(snapshot.samples)
        if self.own.show_verdicts(snapshot.own):
            self._update_summary()
        self.batch.show_training(snapshot.training)

    def set_theme(self, theme: Theme) -> None:
        for page in (self.own, self.generator, self.batch):
            page.set_theme(theme)
        for button in self.choices.buttons():
            button.setStyleSheet(
                f"QToolButton {{ color: {theme.quiet}; background: transparent; padding: 1px 7px; }}"
                f"QToolButton:hover {{ color: {theme.text}; background: {theme.raised}; }}"
                f"QToolButton:checked {{ color: {theme.text}; background: {theme.control}; "
                f"border-color: transparent; }}"
                f"QToolButton:focus {{ border-color: {theme.o}; }}"
            )

    def _update_summary(self) -> None:
        """Shows the training data and, if it differs from that of the run, the buttons to apply it."""
        document, intent = self._document, self._intent
        if document is None or intent is None:
            return
        edited = Lesson(intent.data, document.own)
        self._drawings_button.setText(self.tr("mine · {0}").format(len(document.own)))
        is_pending = intent.lesson is not None and intent.lesson != edited
        self.start_button.setVisible(is_pending)
        self.go_on_button.setVisible(is_pending)
        on_generator_page = self.pages.currentWidget() is self.generator
        if is_pending:
            text = self.tr("Not trained on yet:")
            self.words.setText(f"{text} {listed(intent.data.numbers)}" if on_generator_page else text)
            self.words.setToolTip(self.tr("Changes here are used from the next start or branch on."))
            return
        if not learns(document):
            text = self.tr("The classes of {0} are {1}: it cannot be trained on these.")
            subject = document.subjects[0]
            self.words.setText(text.format(subject.name, self.tr(" and ").join(subject.network.classes)))
            self.words.setToolTip(self.words.text())
            return
        generated = f"{intent.data.count:,}".replace(",", " ")
        if not document.own and on_generator_page:
            text = self.tr("Per epoch: {0}.").format(listed(intent.data.numbers))
        elif not document.own:
            text = self.tr("Trains on {0} generated drawings.").format(generated)
        elif self.pages.currentWidget() is self.own:
            text = tally(document.own)
            text += self.tr("; {0} predicted correctly.").format(self.own.right) if self.own.judged else "."
        elif on_generator_page:
            text = self.tr("{0}, and {1} of yours.").format(listed(intent.data.numbers), counted(document.own))
        else:
            text = self.tr("Trains on {0} generated, {1} of yours.")
            text = text.format(generated, counted(document.own))
        self.words.setText(text)
        tip = self.tr("Every epoch has {0} generated drawings and {1} of yours, each counted by its weight")
        self.words.setToolTip(tip.format(generated, counted(document.own)))

    # -- user input --------------------------------------------------------------------------------------------

    def _set_page(self, page: int) -> None:
        self.pages.setCurrentIndex(page)
        self._update_summary()
        self._request_data()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._request_data()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._request_data()

    def _request_data(self) -> None:
        """Requests the data that the visible page needs."""
        looks: tuple[DataLook, ...] = ("own", "samples", "")
        self.wished.emit(LookAtData(looks[self.pages.currentIndex()] if self.isVisible() else ""))

    def _restart(self) -> None:
        self.wished.emit(StartOver())
        self.wished.emit(Train())

    def _continue(self) -> None:
        self.wished.emit(LearnOn())

    # -- widgets -----------------------------------------------------------------------------------------------

    def _create_header(self) -> None:
        self._header = QHBoxLayout()
        self._header.setSpacing(2)
        self.choices = QButtonGroup(self)
        for at, (name, tip) in enumerate(
            (
                (self.tr("mine"), self.tr("The drawings that you saved with X, O or N on the canvas")),
                (self.tr("generated"), self.tr("The generator of the training drawings")),
                (self.tr("batch"), self.tr("The drawings of the last training batch")),
            )
        ):
            button = QToolButton(self)
            button.setText(name)
            button.setToolTip(tip)
            button.setStatusTip(tip)
            button.setCheckable(True)
            button.setChecked(at == 0)
            button.setFont(font(SMALL_PX))
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setAccessibleName(self.tr("Data: {0}").format(name))
            self.choices.addButton(button, at)
            self._header.addWidget(button)
        self._drawings_button = self.choices.button(0)
        self._header.addStretch()
        self.choices.idClicked.connect(self._set_page)

    def _create_footer(self) -> None:
        self.words = QLabel(self)
        self.words.setFont(font(SMALL_PX))
        self.words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.words.setWordWrap(True)
        self._footer = QHBoxLayout()
        self._footer.setSpacing(4)
        self._footer.addWidget(self.words, 1)
        tip = self.tr("Start over from the same initial weights, with these drawings, on a new branch")
        self.start_button = CompactButton(self.tr("Start over"), tip, self._restart, self, (3, 4), small=True)
        tip = self.tr("Continue from the current weights, with these drawings, on a new branch")
        self.go_on_button = CompactButton(self.tr("Continue"), tip, self._continue, self, (3, 4), small=True)
        for button in (self.start_button, self.go_on_button):
            self._footer.addWidget(button)
