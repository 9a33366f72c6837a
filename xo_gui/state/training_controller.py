"""TrainingController: turns training commands into one TrainingRequest for the engine, and commits the trained
weights to the Document when training pauses."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine.documents import ProjectState
from engine.nn import Model, Network
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.training import SavedRun
from xo_gui.state.as_command import TrainCommandLine, command_of_new_run, command_of_run
from xo_gui.state.commands import Command, TrainingSettings
from xo_gui.state.session import Session
from xo_gui.state.statement import Statement
from xo_gui.state.training_state import ControllerState
from xo_gui.state.training_transitions import (
    DocumentChanged,
    Effect,
    Event,
    ModelCopied,
    NetworkChosen,
    ProjectRestored,
    Publish,
    ReplaceDocument,
    ReplaceModel,
    RunShipped,
    Say,
    SayUntilRunning,
    SnapshotArrived,
    step,
)


class TrainingController(QObject):
    """Holds the state of training; feeds it what happens in the window, and carries out what follows.

    changed: the request or the settings changed, so the engine and the views need them.
    message(text): why a command was not executed. stated(Statement): why training does not run.
    """

    changed = Signal()
    message = Signal(str)
    stated = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._state = ControllerState.initial(session.document)
        session.changed.connect(self._document_changed)

    # -- the current state -------------------------------------------------------------------------------------

    @property
    def request(self) -> TrainingRequest | None:
        """What training should be doing; None until it is first started."""
        return self._state.runs.request

    @property
    def training(self) -> TrainingReport | None:
        """The last report of the engine about the request."""
        return self._state.runs.training

    @property
    def settings(self) -> TrainingSettings:
        """The current settings, for the views."""
        return self._state.settings

    @property
    def live(self) -> bool:
        """Whether the predictions shown use the weights in training instead of the Document's."""
        # A Request may be made of a new Document before its change is announced.
        return self._state.trains(self._session.document.models[0])

    @property
    def is_stopped(self) -> bool:
        """Whether training has stopped, and its weights are the Document's unless an earlier step is shown."""
        return self._state.is_stopped

    @property
    def shown_training(self) -> TrainingReport | None:
        """The report whose `shown_point` has the weights on the screen; None where they are of no run."""
        return self._state.shown_training

    @property
    def shown_moment(self) -> str:
        """The step and branch that the weights on the screen are of, in words; "" where they are of no run."""
        return self._state.shown_moment

    @property
    def shown_seed(self) -> int | None:
        """The seed of the initial weights of those on the screen; None if they are not known to have one."""
        return self._state.shown_seed

    @property
    def shown_model(self) -> Model:
        """The first model with the weights on the screen, unaffected by further training: the Document's, or a new
        one that is a point of the run, whose origin names it; as the first model it continues from there."""
        model = self._state.shown_model
        if self._state.shown_training is not None:
            self._happened(ModelCopied(model))
        return model

    @property
    def saved_run(self) -> SavedRun | None:
        """The latest run that the engine gave to be saved."""
        return self._state.saved_run

    def project_state(self, latest: SavedRun | None = None) -> ProjectState:
        """The state of the whole project, to be saved. It includes weights of running training that are not
        committed yet. latest: a more recent run than `saved_run`."""
        return self._state.project(self._session.settled, latest)

    def as_command_line(self, device: str) -> TrainCommandLine:
        """The shell command that reproduces the weights shown, or if no run made them, that of the whole run that
        Start would begin. Raises ValueError if there is none."""
        model, training = self._state.model, self.shown_training
        if training is not None:
            return command_of_run(model, training, device)
        return command_of_new_run(model, self.settings, self._state.next_training_data, device)

    # -- events ------------------------------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        """Execute a command of training; one that does not apply now is ignored."""
        self._happened(command)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Store the state of training; once it has stopped, commit its weights to the Document as one undo."""
        self._happened(SnapshotArrived(snapshot))

    def returning_model(self, network: Network) -> Model | None:
        """The first model as it was when this network was left, to be made the first model again, which continues
        its run; None if its weights were not those of a run."""
        self._happened(NetworkChosen(network))
        return self._state.returning

    def add_shipped_run(self, project: ProjectState) -> None:
        """Have the weights of a shipped network be the last point of the run that made them."""
        self._happened(RunShipped(project))

    def shipped_model(self, project: ProjectState) -> Model:
        """The shipped weights, to be made the first model: the last point of their run, unless the network has
        another history by now."""
        self.add_shipped_run(project)
        model = replace(project.document.models[0])
        if not self._state.may_show(project):
            return replace(model, run_point=None)
        self._happened(ModelCopied(model))
        return model

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was trained: there is no run, or only that of the shipped weights."""
        return self._state.is_untouched

    def restore(self, work: ProjectState) -> None:
        """Continue a saved project, as one undo."""
        self._happened(ProjectRestored(work))

    def _document_changed(self) -> None:
        document = self._session.document
        self._happened(DocumentChanged(document.models[0], document.labelled_samples))

    def _happened(self, event: Event) -> None:
        """The state is complete before the first effect, which may cause the next event."""
        self._state, effects = step(self._state, event)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case ReplaceModel(model, text):
                self._session.replace_model(model, text)
            case ReplaceDocument(document, text):
                self._session.edit(document, text)
            case Publish():
                self.changed.emit()
            case Say(text):
                self.message.emit(text)
            case SayUntilRunning(text):
                self.stated.emit(Statement(text, lambda: not self.settings.running))
