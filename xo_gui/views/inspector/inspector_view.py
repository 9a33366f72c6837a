"""Inspector view: one value spelled out, and what changes the verdict. It reckons none of it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPalette
from PySide6.QtWidgets import QLabel, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from engine.backends.ops import HostArray
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.explain.queries import Answer, Question
from engine.explain.value_arithmetic import is_known
from engine.nn.inference import Reading
from engine.nn.model import Subject
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent
from xo_gui.state.selection import Cell, Focus
from xo_gui.views.inspector.attribution_page import GradientPage
from xo_gui.views.inspector.feature_page import FeaturePage
from xo_gui.views.inspector.feature_profile_page import LikesPage
from xo_gui.views.inspector.sheet_blocks import Note
from xo_gui.views.inspector.value_page import ValuePage
from xo_gui.views.inspector.value_text import Spelled
from xo_gui.views.network.model_names import LETTERS
from xo_gui.views.network.trace import is_in
from xo_gui.views.network.value_text import say_cell
from xo_gui.views.view import View
from xo_gui.widgets.number_text import fixed

VALUE_PX = 24
# What a screen reader is told changes at most four times a second.
CALM_MS = 250
# While the pen moves, numbers change no more often than this: nobody reads them quicker, and the pen needs time.
SOON_MS = 80


class InspectorView(View):
    """Shows the value under the mouse, else the one that a click holds, on a page for each thing to know of it."""

    title = "Inspector"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._readings: tuple[Reading, ...] = ()
        self._answer: Answer | None = None
        self._question: Question | None = None
        self._focus = Focus()
        self._document: Document | None = None
        self._intent: Intent | None = None
        self._made: Subject | None = None
        self._seen = False
        self._calm = QTimer(self, singleShot=True, interval=CALM_MS)
        self._calm.timeout.connect(self._say)
        self._soon = QTimer(self, singleShot=True)
        self._soon.timeout.connect(self._refresh)
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(self.tr("Inspector"))
        self.setWhatsThis(
            self.tr(
                "Spells out how one value came about: what was read, what it was multiplied with, the sum, the "
                "bias. Click a value in the network to hold it; pointing at another shows that one meanwhile; Esc "
                "lets go. Numbers here can be clicked, too: they lead to the values they are."
            )
        )
        self._refresh()

    def _build(self) -> None:
        self.place, self.value = QLabel(self), QLabel(self)
        self.place.setFont(font(SMALL_PX))
        self.place.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.place.setWordWrap(True)
        self.value.setFont(font(VALUE_PX, strong=True))
        self.value_page, self.feature_page = ValuePage(self), FeaturePage(self)
        self.gradient_page, self.likes_page = GradientPage(self), LikesPage(self)
        self.feature_page.edited.connect(self._edit)
        self.feature_page.picked.connect(self.pinned)
        self.value_page.picked.connect(self.pinned)
        self.value_page.slid.connect(self.slid)
        self.value_page.changed.connect(self._refresh)
        self.gradient_page.changed.connect(self._refresh)
        self.likes_page.changed.connect(self._refresh)
        self.likes_page.drawn.connect(self._draw)
        self.gradient_page.drawn.connect(self._draw)
        self.tabs, self._pages = QTabBar(self), QStackedWidget(self)
        self.tabs.setObjectName("pages")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setAccessibleName(self.tr("Pages of the inspector"))
        for name, tip, page in (
            (self.tr("Value"), self.tr("The arithmetic that made this value"), self.value_page),
            (
                self.tr("Feature"),
                self.tr("The weights behind this value; change them by hand"),
                self.feature_page,
            ),
            (self.tr("Gradient"), self.tr("What in the drawing changes the verdict"), self.gradient_page),
            (self.tr("Likes"), self.tr("The pictures that excite this feature or vote most"), self.likes_page),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(name), tip)
            self._pages.addWidget(page)
        self.tabs.currentChanged.connect(self._turn)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for widget in (self.place, self.value, self.tabs, self._pages):
            column.addWidget(widget)

    def sizeHint(self) -> QSize:
        """Narrow, and as tall as there is."""
        return QSize(268, 420)

    def minimumSizeHint(self) -> QSize:
        """Below this a window of 5 × 5 has no numbers."""
        return QSize(240, 240)

    # --- what is shown

    def show_document(self, document: Document) -> None:
        """What is changed by hand is changed in this."""
        self._document = document

    def show_intent(self, intent: Intent) -> None:
        """While training goes on, its weights are the ones that are seen."""
        self._intent = intent
        self._ask(self._there(self._focus.pinned))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Spell out the same value as it is now; without readings, keep the last."""
        if snapshot.readings:
            self._readings, self._answer = snapshot.readings, snapshot.answer
            if not self._soon.isActive():
                self._soon.start(0 if snapshot.settled else SOON_MS)

    def show_focus(self, focus: Focus) -> None:
        """Spell out what is looked at now."""
        if focus != self._focus:
            self._focus = focus
            self._refresh()

    def set_seen(self, seen: bool) -> None:
        """Nothing is asked of the engine while nobody looks."""
        self._seen = seen
        self._refresh()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.value_page.set_theme(theme)
        self.feature_page.set_theme(theme)
        self.gradient_page.set_theme(theme)
        self.likes_page.set_theme(theme)

    def _found(self) -> tuple[Cell, Reading] | None:
        """The cell to show, and who read it."""
        return next(filter(None, map(self._there, self._focus.cells)), None)

    def _there(self, cell: Cell | None) -> tuple[Cell, Reading] | None:
        if cell is None or cell.subject >= len(self._readings):
            return None
        reading = self._readings[cell.subject]
        there = is_in(reading.subject.network, cell) and is_known(reading, cell.layer, cell.channel)
        return (cell, reading) if there else None

    def _refresh(self) -> None:
        held = self._there(self._focus.pinned)
        self.value_page.stand(held[1] if held else None, held[0] if held else None)
        self._ask(held)
        if not self._seen:
            return
        found = self._found()
        self.place.setText(self._place(*found) if found else self.tr("no value held"))
        self.value.setText(fixed(Spelled(found[1], found[0]).value, self.value_page.cut) if found else "")
        answer = self._answer if self._answer and self._answer.question == self._question else None
        if self._pages.currentWidget() is self.gradient_page and self._readings:
            fit = self._document is not None and self._document.fit
            self.gradient_page.show_answer(self._readings[self._subject()], answer, fit)
        elif self._pages.currentWidget() is self.feature_page:
            base = self._base(held) if held else None
            self.feature_page.show_feature(held[1] if held else None, base, held[0] if held else None)
            self.feature_page.show_losses(answer)
        elif self._pages.currentWidget() is self.likes_page:
            self.likes_page.show_answer(held[0] if held else None, answer)
        elif found is None:
            coming = self._readings and self._focus.pinned is not None
            self.value_page.show_nothing(self.tr("On its way from the engine…") if coming else self._invitation())
        else:
            cell, reading = found
            self.value_page.show_cell(reading, cell, held is not None and cell == held[0], answer)
        if not self._calm.isActive():
            self._calm.start()

    def _place(self, cell: Cell, reading: Reading) -> str:
        """Where the value is; of two networks, in which."""
        place = say_cell(reading, cell).place
        return place if len(self._readings) == 1 else f"{LETTERS[cell.subject]} · {place}"

    def _base(self, held: tuple[Cell, Reading]) -> Subject:
        """The subject that a change by hand begins from: the one that is seen, or, if its picture is still
        to come, what the last such change made."""
        cell, reading = held
        assert self._document is not None
        training = self._intent is not None and (self._intent.running or self._intent.look is not None)
        last = self._document.subjects[cell.subject] if cell.subject < len(self._document.subjects) else None
        return last if last is not None and last is self._made and not training else reading.subject

    def _subject(self) -> int:
        """Whose verdict the pictures explain: that of the network looked into."""
        found = self._found()
        return found[0].subject if found else 0

    def _ask(self, held: tuple[Cell, Reading] | None) -> None:
        """Ask the engine for what this page needs; nothing while nobody looks."""
        question: Question | None = None
        if self._seen and self._readings and self._pages.currentWidget() is self.gradient_page:
            subject = self._subject()
            question = self.gradient_page.question(self._readings[subject], subject)
        elif self._seen and held is not None and self._pages.currentWidget() is self.feature_page:
            question = self.feature_page.question(held[1], held[0])
        elif self._seen and self._pages.currentWidget() is self.likes_page:
            question = self.likes_page.question(held[0] if held else None, self._intent)
        elif self._seen and held is not None and self._pages.currentWidget() is self.value_page:
            question = self.value_page.question(held[1], held[0])
        if question != self._question:
            self._question = question
            self.asked.emit(question)

    def _invitation(self) -> str:
        return self.tr(
            "Click any value: a cell of a map, a pixel, a bar, a vote. The arithmetic that made it is spelled out "
            "here and follows the drawing and the training. Esc lets go."
        )

    def _say(self) -> None:
        """What a screen reader says: the place, the value, and the sentences."""
        page = self._pages.currentWidget()
        sheets = {self.gradient_page: self.gradient_page.sheet, self.likes_page: self.likes_page.picture}
        sheet = sheets.get(page, self.value_page.sheet)
        notes = [block.text for block in sheet.blocks if isinstance(block, Note)]
        if page is self.likes_page:
            notes.append(sheet.accessibleDescription())
        self.setAccessibleDescription(" ".join([self.place.text(), self.value.text(), *notes]).strip())

    # --- what the person does

    def _edit(self, subject: Subject, text: str, merge: str) -> None:
        """Make this the network of the Document."""
        held = self._there(self._focus.pinned)
        if held is None or self._document is None:
            return
        subjects = list(self._document.subjects)
        subjects[held[0].subject] = self._made = subject
        self.edited.emit(replace(self._document, subjects=tuple(subjects)), text, merge)

    def _draw(self, picture: HostArray, text: str) -> None:
        """Make this picture the drawing."""
        if self._document is not None:
            self.edited.emit(self._document.with_drawing(Drawing(image=picture)), text, "")

    def show_likes(self) -> None:
        """Turn to what the held value likes."""
        self.tabs.setCurrentIndex(self._pages.indexOf(self.likes_page))

    def _turn(self, page: int) -> None:
        self._pages.setCurrentIndex(page)
        self._refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc lets go."""
        if event.key() == Qt.Key.Key_Escape and self._focus.pinned is not None:
            self.pinned.emit(None)
        else:
            super().keyPressEvent(event)
