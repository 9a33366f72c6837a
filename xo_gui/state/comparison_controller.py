"""Comparing: puts a second network, or an earlier moment of the first, beside it, and takes it away again. It reads
nothing and shows nothing: the Document holds both."""

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
    """Does what is wished of the second subject, each as one undo.

    begun: another network stands beside the first from now on. file_wished: somebody is to be asked for a file.
    said(text): why a wish was not done.
    """

    begun = Signal()
    file_wished = Signal()
    said = Signal(str)

    def __init__(self, session: Session, control: TrainingControl) -> None:
        super().__init__(session)
        self._session, self._control = session, control
        self._last: Snapshot | None = None
        self._read: Subject | None = None  # the first one when that was shown
        self._swaps = False  # as soon as training stands still

    @property
    def possible(self) -> bool:
        """Whether there are two that could change places."""
        return len(self._session.settled.subjects) == 2

    def hear(self, snapshot: Snapshot) -> None:
        """Take in what is shown now."""
        if snapshot.readings:
            self._last, self._read = snapshot, self._session.settled.subjects[0]
        if self._swaps and self._control.intent.running:
            self._swaps = False  # somebody has let it train on
        elif self._swaps and self._control.stands:
            self._swap()

    def wish(self, wish: Wish) -> None:
        """Do what is wished for, as far as it makes sense now."""
        match wish:
            case CompareWithPreset(name):
                self._with_preset(name)
            case CompareWithFile():
                self.file_wished.emit()
            case CompareWithThis():
                self.put(self._held())
            case Swap() if self.possible:
                if self._control.intent.running:
                    self._swaps = True
                    self._control.wish(Pause())
                else:
                    self._swap()
            case StopComparing() if self.possible:
                self._set(self._session.settled.subjects[:1], self.tr("stop comparing"))

    def put(self, subject: Subject) -> None:
        """Let `subject` read the drawing beside the first; one that cannot read drawings changes nothing."""
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
        self._swaps = False
        if self.possible:
            held = self._held()
            self._set((self._session.settled.subjects[1], held), self.tr("swapping the networks"))

    def _held(self) -> Subject:
        """The first network as it is shown: what becomes of it changes this one no more."""
        last, control, first = self._last, self._control, self._session.settled.subjects[0]
        if last is None or self._read is not first:  # not shown yet
            return replace(first)
        subject, training = last.readings[0].subject, last.training
        if not control.live or training is None or not control.answered(training):
            return replace(subject)
        at = training.shown
        name = training.branches[at.branch].name
        said = self.tr("step {0} of {1}").format(at.step, name)
        held = replace(subject, moment=at, origin={"moment": said})
        control.know(held)
        return held

    def _set(self, subjects: tuple[Subject, ...], text: str) -> None:
        self._session.replace_subjects(subjects, text)
