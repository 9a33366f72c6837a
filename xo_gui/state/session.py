"""Session: sole owner of the Document, the Focus and the undo stack; it turns them into Requests. Not a widget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from engine.data.pool import PoolSettings
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.documents.open_file import Opened, Opening
from engine.explain.queries import Question
from engine.nn.inference import Wanted
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.runtime.protocol import Notice, Request
from engine.runtime.training_protocol import Goal
from xo_gui.state.selection import Cell, Focus
from xo_gui.state.visible_values import joined, wanted

UNDO_LIMIT = 500


class Replace(QUndoCommand):
    """The one kind of edit: this Document instead of that one. Edits with the same merge word become one undo."""

    def __init__(self, session: Session, before: Document, after: Document, text: str, merge: str) -> None:
        super().__init__(text)
        self._session, self._before, self._after, self._merge = session, before, after, merge

    def id(self) -> int:
        """Only commands with a merge word may merge."""
        return 1 if self._merge else -1

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take over a later edit of the same drag."""
        if not isinstance(other, Replace) or other._merge != self._merge:
            return False
        self._after = other._after
        return True

    def undo(self) -> None:
        """Back to what was."""
        self._session._adopt(self._before)

    def redo(self) -> None:
        """To what came after."""
        self._session._adopt(self._after)


class Session(QObject):
    """Everything that edits goes through `edit`; a stroke under way is only shown, through `preview`."""

    changed = Signal()
    focus_changed = Signal()
    asked = Signal()
    noticed = Signal(object)

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(UNDO_LIMIT)
        self.focus = Focus()
        self._document = document
        self._preview: Document | None = None
        self._generation = 1
        self._acknowledged = 0
        self._opening: Opening | None = None
        self._question: Question | None = None
        self._opened = 0
        self._shown: dict[str, tuple[tuple[Network, Wanted], ...]] = {}
        self._asked_for: tuple[Wanted | None, ...] = ()
        self._changed_at = perf_counter()

    @property
    def document(self) -> Document:
        """The Document as it stands, a stroke under way included."""
        return self._preview or self._document

    @property
    def settled(self) -> Document:
        """The Document without a stroke under way."""
        return self._document

    @property
    def generation(self) -> int:
        """Rises whenever the subjects are replaced."""
        return self._generation

    def preview(self, document: Document) -> None:
        """Show a Document that is not an edit yet: a stroke under way; one with the Document's own drawing ends
        the preview."""
        self._preview = None if document.drawing is self._document.drawing else document
        self._tell()

    def edit(self, document: Document, text: str, merge: str = "") -> None:
        """Make `document` the Document, as one undo called `text`; same `merge` word, same undo."""
        self._preview = None
        self.undo_stack.push(Replace(self, self._document, document, text, merge))

    def replace_subject(self, subject: Subject, text: str) -> None:
        """Let `subject` be the first one, as one undo called `text`; a stroke under way goes on."""
        self.replace_subjects((subject, *self._document.subjects[1:]), text)

    def replace_subjects(self, subjects: tuple[Subject, ...], text: str) -> None:
        """Let these one or two read the drawing, as one undo called `text`; a stroke under way goes on."""
        drawing = None if self._preview is None else self._preview.drawing
        self.edit(replace(self._document, subjects=subjects), text)
        if drawing is not None:
            self.preview(self._document.with_drawing(drawing))

    def look_at(self, focus: Focus) -> None:
        """Change what is looked at."""
        if focus != self.focus:
            self.focus = focus
            self.focus_changed.emit()
            self._want()

    def show(self, panel: str, shown: tuple[tuple[Network, Wanted], ...]) -> None:
        """Which maps of which layers are in view in a panel from now on, for the networks shown there."""
        self._shown[panel] = shown
        self._want()

    @property
    def wanted(self) -> tuple[Wanted | None, ...]:
        """For each subject, what the engine is to bring along."""
        cells = self.focus.cells
        found = []
        for number, subject in enumerate(self.document.subjects):
            looked = [(cell.layer, cell.channel) for cell in cells if cell.subject == number]
            shown: Wanted = {}
            for network, maps in (each[number] for each in self._shown.values() if number < len(each)):
                if maps and network == subject.network:
                    shown = joined(shown, maps)
            found.append(wanted(subject.network, shown, looked))
        return tuple(found)

    def _want(self) -> None:
        """Ask anew if something else has to be brought along."""
        if self.wanted != self._asked_for:
            self.asked.emit()

    def hover(self, cell: Cell | None) -> None:
        """Look at the cell under the mouse, or at none."""
        self.look_at(replace(self.focus, hovered=cell))

    def pin(self, cell: Cell | None) -> None:
        """Hold this cell, or let go of the one held."""
        self.look_at(replace(self.focus, pinned=cell, sliding=False))

    def slide(self, cell: Cell) -> None:
        """Hold this cell on the way over its map."""
        self.look_at(replace(self.focus, pinned=cell, sliding=True))

    def ask(self, question: Question | None) -> None:
        """Want this explained from now on, or nothing."""
        if question != self._question:
            self._question = question
            self.asked.emit()

    def watch(self, report: str, seen: bool) -> None:
        """Have a costly report computed, or no longer."""
        watched = self.focus.watched | {report} if seen else self.focus.watched - {report}
        if watched != self.focus.watched:
            self.look_at(replace(self.focus, watched=watched))
            self._tell()

    def request(
        self,
        goal: Goal | None = None,
        live: bool = False,
        sampled: XOSettings | None = None,
        own: bool = False,
        data: PoolSettings | None = None,
    ) -> Request:
        """What should be true now; goal and live: what training should be doing, and whether it is what reads;
        sampled: the generator's settings that somebody looks at; own: whether somebody looks at own drawings; data:
        the examples that training would judge by."""
        self._asked_for = self.wanted
        return Request(
            self._generation,
            self.document,
            self._preview is None,
            self._acknowledged,
            self._opening,
            self._changed_at,
            goal,
            live,
            sampled=sampled,
            question=self._question,
            own=own,
            robustness="robustness" in self.focus.watched,
            held_out=data if "held_out" in self.focus.watched else None,
            wanted=self._asked_for,
        )

    def touch(self) -> None:
        """Something else that a Request tells, such as the moment looked back at, has changed just now."""
        self._changed_at = perf_counter()

    def open(self, path: Path) -> Opening:
        """Wish for a file to be read, by the engine, so that the window never waits for a disk; the wish, by which
        what comes of it is known."""
        self._opening = Opening(self._opening.number + 1 if self._opening else 1, path)
        self._tell()
        return self._opening

    def is_new(self, opened: Opened) -> bool:
        """Whether this is the file last wished for, seen for the first time."""
        if opened.opening != self._opening or opened.opening.number == self._opened:
            return False
        self._opened = opened.opening.number
        return True

    def notice(self, notices: tuple[Notice, ...]) -> None:
        """Pass on the notices not seen yet and remember them as seen."""
        for notice in notices:
            if notice.number > self._acknowledged:
                self._acknowledged = notice.number
                self.noticed.emit(notice)

    def _adopt(self, document: Document) -> None:
        if document.subjects != self._document.subjects:
            self._generation += 1
        self._preview, self._document = None, document
        self._tell()
        pinned = self.focus.pinned
        if pinned is not None and pinned.subject >= len(document.subjects):
            self.pin(None)  # it was the other network's, which is gone

    def _tell(self) -> None:
        self._changed_at = perf_counter()
        self.changed.emit()
