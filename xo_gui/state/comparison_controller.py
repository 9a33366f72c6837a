"""ComparisonController: adds a second model to the Document, another network or earlier weights of the first, and
removes it again."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine.documents import check_reads_drawings, preset, shipped_model
from engine.nn import Model
from engine.runtime import Snapshot
from xo_gui.state.commands import (
    Command,
    CompareWithCurrent,
    CompareWithFile,
    CompareWithPreset,
    Pause,
    StopComparing,
    SwapModels,
)
from xo_gui.state.session import Session
from xo_gui.state.training_controller import TrainingController


class ComparisonController(QObject):
    """Executes the commands of a comparison, each as one undo.

    started: a second model was added. file_requested: the user is to choose a model file.
    message(text): why a command was not executed.
    """

    started = Signal()
    file_requested = Signal()
    message = Signal(str)

    def __init__(self, session: Session, control: TrainingController) -> None:
        super().__init__(session)
        self._session, self._controller = session, control
        self._last: Snapshot | None = None
        self._last_subject: Model | None = None  # the Document's first model when that was shown
        self._swap_pending = False  # until training has paused

    @property
    def is_comparing(self) -> bool:
        """Whether the Document has two models."""
        return len(self._session.settled.models) == 2

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Store what is shown now, and carry out a pending swap once training has paused."""
        if snapshot.predictions:
            self._last, self._last_subject = snapshot, self._session.settled.models[0]
        if self._swap_pending and self._controller.settings.running:
            self._swap_pending = False  # training was resumed meanwhile
        elif self._swap_pending and self._controller.is_stopped:
            self._swap()

    def execute(self, wish: Command) -> None:
        """Execute a command of the comparison; others are ignored."""
        match wish:
            case CompareWithPreset(name):
                self._with_preset(name)
            case CompareWithFile():
                self.file_requested.emit()
            case CompareWithCurrent():
                self.compare_with(self._current_copy())
            case SwapModels() if self.is_comparing:
                if self._controller.settings.running:
                    self._swap_pending = True
                    self._controller.execute(Pause())
                else:
                    self._swap()
            case StopComparing() if self.is_comparing:
                self._set(self._session.settled.models[:1], self.tr("stop comparing"))

    def compare_with(self, subject: Model) -> None:
        """Compare the first model with `subject`; one whose input is no drawing is refused with a message."""
        try:
            check_reads_drawings(subject)
        except ValueError as error:
            self.message.emit(str(error))
            return
        self._set((self._session.settled.models[0], subject), self.tr("comparing with {0}").format(subject.name))
        self.started.emit()

    def _with_preset(self, name: str) -> None:
        try:
            self.compare_with(shipped_model(name))
        except (ValueError, OSError) as error:
            self.message.emit(str(error))
            return
        if untrained := preset(name).untrained_reason:
            self.message.emit(untrained)

    def _swap(self) -> None:
        self._swap_pending = False
        if self.is_comparing:
            current = self._current_copy()
            self._set((self._session.settled.models[1], current), self.tr("swapping the networks"))

    def _current_copy(self) -> Model:
        """A copy of the first model with the weights shown, unaffected by further training."""
        last, controller, first = self._last, self._controller, self._session.settled.models[0]
        if last is None or self._last_subject is not first:  # not shown yet
            return replace(first)
        subject, training = last.predictions[0].model, last.training
        if not controller.live or training is None or not controller.is_current(training):
            return replace(subject)
        at = training.shown_point
        text = self.tr("step {0} of {1}").format(at.step, training.branches[at.branch].name)
        copy = replace(subject, run_point=at, origin={"moment": text})
        controller.add_known_model(copy)
        return copy

    def _set(self, subjects: tuple[Model, ...], text: str) -> None:
        self._session.replace_subjects(subjects, text)
