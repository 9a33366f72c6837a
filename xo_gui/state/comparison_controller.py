"""ComparisonController: adds a second model to the Document, another network or earlier weights of the first, and
removes it again."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine.documents import shipped_model
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
    stated = Signal(object)

    def __init__(self, session: Session, control: TrainingController) -> None:
        super().__init__(session)
        self._session, self._controller = session, control
        self._swap_pending = False  # until training has paused

    @property
    def is_comparing(self) -> bool:
        """Whether the Document has two models."""
        return len(self._session.settled.models) == 2

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Carry out a pending swap once training has paused."""
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
                shown = self._controller.shown_model
                # Two models of a Document are two objects.
                self.compare_with(replace(shown) if shown is self._session.settled.models[0] else shown)
            case SwapModels() if self.is_comparing:
                if self._controller.settings.running:
                    self._swap_pending = True
                    self._controller.execute(Pause())
                else:
                    self._swap()
            case StopComparing() if self.is_comparing:
                self._set(self._session.settled.models[:1], self.tr("stop comparing"))

    def compare_with(self, model: Model) -> None:
        """Compare the first model with another; one that cannot read its inputs is refused with a message."""
        try:
            self._session.settled.check_model(model)
        except ValueError as error:
            self.message.emit(str(error))
            return
        self._set((self._session.settled.models[0], model), self.tr("comparing with {0}").format(model.name))
        self.started.emit()

    def _with_preset(self, name: str) -> None:
        try:
            model = shipped_model(name)
            self.compare_with(model)
        except (ValueError, OSError) as error:
            self.message.emit(str(error))
            return

    def _swap(self) -> None:
        self._swap_pending = False
        if self.is_comparing:
            current = self._controller.shown_model
            self._set((self._session.settled.models[1], current), self.tr("swapping the networks"))

    def _set(self, models: tuple[Model, ...], text: str) -> None:
        self._session.replace_models(models, text)
