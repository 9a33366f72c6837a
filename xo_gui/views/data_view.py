"""Data view: what training learns from: the generator, the person's own drawings, and the batch in use. It learns
nothing: it only wishes and edits."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QHideEvent, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.data.labelled_drawings import counted
from engine.data.pool import Lesson
from engine.documents.document import Document
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import DataLook, Intent, LearnOn, LookAtData, StartOver, Train
from xo_gui.views.batch_page import BatchPage
from xo_gui.views.compact_button import CompactButton
from xo_gui.views.generator_page import GeneratorPage
from xo_gui.views.own_page import OwnPage
from xo_gui.views.own_words import learns, listed, tally
from xo_gui.views.view import View


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
