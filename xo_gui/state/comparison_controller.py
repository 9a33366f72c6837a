"""ComparisonController: adds a second model to the Document, another network or earlier weights of the first, and
removes it again."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine.documents.model_file import shipped_subject
from engine.documents.presets import preset
from engine.nn.inference import side_of
from engine.nn.model import Subject
from engine.runtime.protocol import Snapshot
from xo_gui.state.commands import (
    CompareWithFile,
    CompareWithPreset,
    CompareWithThis,
    Pause,
    StopComparing,
    Swap,
    Wish,
)
from xo_gui.state.session import Session
from xo_gui.state.training_controller import TrainingControl


class Comparing(QObject):
    """Executes the commands of a comparison, each as one undo.

    started: a second model was added. file_requested: the user is to choose a model file.
    message(text): why a command was not executed.
    """

    begun = Signal()
    file_wished = Signal()
    said = Signal(str)

    def __init__(self, session: Session, control: TrainingControl) -> None:
        super().__init__(session)
        self._session, self._controller = session, control
        self._last: Snapshot | None = None
        self._last_subject: Subject | None = None  # the Document's first model when that was shown
        self._swap_pending = False  # until training has paused

    @property
    def possible(self) -> bool:
        """Whether the Document has two models."""
        return len(self._session.settled.subjects) == 2

    def hear(self, snapshot: Snapshot) -> None:
        """Store what is shown now, and carry out a pending swap once training has paused."""
        if snapshot.readings:
            self._last, self._last_subject = snapshot, self._session.settled.subjects[0]
        if self._swap_pending and self._controller.intent.running:
            self._swap_pending = False  # training was resumed meanwhile
        elif self._swap_pending and self._controller.stands:
            self._swap()

    def wish(self, wish: Wish) -> None:
        """Execute a command of the comparison; others are ignored."""
        match wish:
            case CompareWithPreset(name):
                self._with_preset(name)
            case CompareWithFile():
                self.file_wished.emit()
            case CompareWithThis():
                self.put(self._current_copy())
            case Swap() if self.possible:
                if self._controller.intent.running:
                    self._swap_pending = True
                    self._controller.wish(Pause())
                else:
                    self._swap()
            case StopComparing() if self.possible:
                self._set(self._session.settled.subjects[:1], self.tr("stop comparing"))

    def put(self, subject: Subject) -> None:
        """Compare the first model with `subject`; one whose input is no drawing is refused with a message."""
        try:
            side_of(subject)
        except ValueError as error:
            self.said.emit(str(error))
            return
        self._set((self._session.settled.subjects[0], subject), self.tr("comparing with {0}").format(subject.name))
        self.begun.emit()

    def _with_preset(self, name: str) -> None:
        try:
            self.put(shipped_subject(name))
        except (ValueError, OSError) as error:
            self.said.emit(str(error))
            return
        if untrained := preset(name).untrained:
            self.said.emit(untrained)

    def _swap(self) -> None:
        self._swap_pending = False
        if self.possible:
            current = self._current_copy()
            self._set((self._session.settled.subjects[1], current), self.tr("swapping the networks"))

    def _current_copy(self) -> Subject:
        """A copy of the first model with the weights shown, unaffected by further training."""
        last, controller, first = self._last, self._controller, self._session.settled.subjects[0]
        if last is None or self._last_subject is not first:  # not shown yet
            return replace(first)
        subject, training = last.readings[0].subject, last.training
        if not controller.live or training is None or not controller.answered(training):
            return replace(subject)
        at = training.shown
        text = self.tr("step {0} of {1}").format(at.step, training.branches[at.branch].name)
        copy = replace(subject, moment=at, origin={"moment": text})
        controller.know(copy)
        return copy

    def _set(self, subjects: tuple[Subject, ...], text: str) -> None:
        self._session.replace_subjects(subjects, text)
