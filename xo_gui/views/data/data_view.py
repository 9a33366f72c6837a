"""Data view: what training learns from: the generator, the person's own drawings, and the batch in use. It learns
nothing: it only wishes and edits."""

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


class DataView(View):
    """Three pages, and under them what is learnt from and when."""

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
        self._make_head()
        self._make_foot()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._head)
        column.addWidget(self.pages, 1)
        column.addLayout(self._foot)

    def sizeHint(self) -> QSize:
        """Room for five drawings beside each other."""
        return QSize(225, 200)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_document(self, document: Document) -> None:
        """The person's own drawings."""
        before, self._document = self._document, document
        for page in (self.own, self.generator, self.batch):
            page.show_document(document)
        if before is None or before.own != document.own or before.subjects != document.subjects:
            self._say()

    def show_intent(self, intent: Intent) -> None:
        """The settings as they are wished for."""
        self._intent = intent
        self.generator.show_intent(intent)
        self.batch.show_intent(intent)
        self._say()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Examples by the settings, and the batch in use."""
        self.generator.show_samples(snapshot.samples)
        if self.own.show_verdicts(snapshot.own):
            self._say()
        self.batch.show_training(snapshot.training)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
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

    def _say(self) -> None:
        """What is learnt from, and whether what is wished for waits for a start."""
        document, intent = self._document, self._intent
        if document is None or intent is None:
            return
        wished = Lesson(intent.data, document.own)
        self._own_button.setText(self.tr("mine · {0}").format(len(document.own)))
        waits = intent.lesson is not None and intent.lesson != wished
        self.start_button.setVisible(waits)
        self.go_on_button.setVisible(waits)
        generating = self.pages.currentWidget() is self.generator
        if waits:
            text = self.tr("Not learnt from yet:")
            self.words.setText(f"{text} {listed(intent.data.numbers)}" if generating else text)
            self.words.setToolTip(self.tr("What is changed here is learnt from at the next start or branch."))
            return
        if not learns(document):
            text = self.tr("{0} tells {1} apart: it cannot learn from these.")
            subject = document.subjects[0]
            self.words.setText(text.format(subject.name, self.tr(" and ").join(subject.network.classes)))
            self.words.setToolTip(self.words.text())
            return
        generated = f"{intent.data.count:,}".replace(",", " ")
        if not document.own and generating:
            text = self.tr("An epoch: {0}.").format(listed(intent.data.numbers))
        elif not document.own:
            text = self.tr("Learns from {0} generated drawings.").format(generated)
        elif self.pages.currentWidget() is self.own:
            text = tally(document.own)
            text += self.tr("; {0} read rightly.").format(self.own.right) if self.own.judged else "."
        elif generating:
            text = self.tr("{0}, and {1} of yours.").format(listed(intent.data.numbers), counted(document.own))
        else:
            text = self.tr("Learns from {0} generated, {1} of yours.")
            text = text.format(generated, counted(document.own))
        self.words.setText(text)
        tip = self.tr("Every epoch has {0} generated drawings and, as often as they weigh, {1} of yours")
        self.words.setToolTip(tip.format(generated, counted(document.own)))

    # -- what the person does ----------------------------------------------------------------------------------

    def _turn(self, page: int) -> None:
        self.pages.setCurrentIndex(page)
        self._say()
        self._look()

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks: what the page needs is wanted."""
        super().showEvent(event)
        self._look()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks."""
        super().hideEvent(event)
        self._look()

    def _look(self) -> None:
        looks: tuple[DataLook, ...] = ("own", "samples", "")
        self.wished.emit(LookAtData(looks[self.pages.currentIndex()] if self.isVisible() else ""))

    def _start_over(self) -> None:
        self.wished.emit(StartOver())
        self.wished.emit(Train())

    def _go_on(self) -> None:
        self.wished.emit(LearnOn())

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_head(self) -> None:
        self._head = QHBoxLayout()
        self._head.setSpacing(2)
        self.choices = QButtonGroup(self)
        for at, (name, tip) in enumerate(
            (
                (self.tr("mine"), self.tr("The drawings that you saved with X, O or N on the canvas")),
                (self.tr("generated"), self.tr("How the drawings are made that training learns from")),
                (self.tr("batch"), self.tr("The drawings that the last step learnt from")),
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
            self._head.addWidget(button)
        self._own_button = self.choices.button(0)
        self._head.addStretch()
        self.choices.idClicked.connect(self._turn)

    def _make_foot(self) -> None:
        self.words = QLabel(self)
        self.words.setFont(font(SMALL_PX))
        self.words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.words.setWordWrap(True)
        self._foot = QHBoxLayout()
        self._foot.setSpacing(4)
        self._foot.addWidget(self.words, 1)
        tip = self.tr("Start over from the same first weights, with these drawings, as a branch of its own")
        self.start_button = CompactButton(self.tr("Start over"), tip, self._start_over, self, (3, 4), small=True)
        tip = self.tr("Go on from the weights as they are, with these drawings, as a branch of its own")
        self.go_on_button = CompactButton(self.tr("Go on"), tip, self._go_on, self, (3, 4), small=True)
        for button in (self.start_button, self.go_on_button):
            self._foot.addWidget(button)
