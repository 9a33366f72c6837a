"""TrainingController: turns training commands into one Goal for the engine, and commits the trained weights to the
Document when training pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count
from typing import Literal
from weakref import WeakSet

from PySide6.QtCore import QCoreApplication, QObject, Signal

from engine.data import PoolSettings, TrainingData
from engine.data.xo import XOSettings
from engine.documents import PRESETS, ProjectState
from engine.explain import StepQuery
from engine.nn import Model, Network, RunPoint
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.training import AdamW, Branch, Cosine, Recipe, SavedRun
from xo_gui.state.as_command import TrainCommandLine, command_of_new_run, command_of_run
from xo_gui.state.commands import (
    BranchWithNewData,
    CollectLayerStatistics,
    Command,
    DataPreview,
    InspectStep,
    OneEpoch,
    OneStep,
    Pause,
    PreviewData,
    RenameBranch,
    Restart,
    SetBranchVisible,
    SetConfig,
    SetData,
    SetSpeedLimit,
    ShowPoint,
    Start,
    TrainFromCurrentWeights,
    TrainingSettings,
)
from xo_gui.state.session import Session

# The start values in the window: accurate after a few epochs, and long enough to follow.
DEFAULT_RECIPE = Recipe(AdamW(0.008, decay=0.02), Cosine(0.05), epochs=20)
_STOPPED_STATES = ("paused", "ended", "diverged", "failed")


class TrainingController(QObject):
    """Owns the Goal, which is None until training is first started.

    changed: the goal or the settings changed, so the engine and the views need them. message(text): why a command
    was not executed.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._run_ids = count(1)
        self._recipe, self._data = DEFAULT_RECIPE, PoolSettings(DEFAULT_RECIPE.data)
        self.data_preview: DataPreview = ""
        self._speed_limit: float | None = None
        self._layer_statistics = False
        self._names = BranchNames()
        self._step_query: StepQuery | None = None
        self.goal: TrainingRequest | None = None
        self.training: TrainingReport | None = None
        self._trained: Model | None = None  # the first model, if the goal trains it
        # Models whose moments are points of the engine's history, and the last goal in it: undo may return to them
        # from another network.
        self._known: WeakSet[Model] = WeakSet()
        self._last_seen = session.document.models[0]
        self._last_goal: TrainingRequest | None = None
        # The run of a restored project, and the latest run that the engine gave to be saved.
        self._restored_run: SavedRun | None = None
        self._latest_run: SavedRun | None = None
        self._stopped = True
        self._reset(self._last_seen)
        session.changed.connect(self._document_changed)

    # -- the current settings ----------------------------------------------------------------------------------

    @property
    def settings(self) -> TrainingSettings:
        """The current settings, for the views."""
        goal = self.goal
        if goal is None:
            return TrainingSettings(self._recipe, self._data, self._speed_limit, default_data=self._default_data)
        running, look, hidden = goal.running, goal.shown_point, self._names.hidden
        lesson, live = goal.training_data, self.live
        return TrainingSettings(
            self._recipe, self._data, self._speed_limit, running, look, self._default_data, lesson, live, hidden
        )

    @property
    def live(self) -> bool:
        """Whether the predictions shown use the weights in training instead of the Document's."""
        return self.goal is not None and self._session.document.models[0] is self._trained

    @property
    def is_stopped(self) -> bool:
        """Whether training has stopped and its weights are the Document's."""
        return self._stopped

    def is_current(self, training: TrainingReport) -> bool:
        """Whether this report belongs to the current goal and has begun a branch."""
        return self.goal is not None and training.run_id == self.goal.run_id and training.shown_point.branch >= 0

    def add_known_model(self, subject: Model) -> None:
        """Register a copy of a point of the engine's history: as the first model it continues from there."""
        self._known.add(subject)

    @property
    def sample_settings(self) -> XOSettings | None:
        """The generator settings to preview examples of; None while no preview is shown."""
        return self._data.drawing if self.data_preview == "samples" else None

    # -- events ------------------------------------------------------------------------------------------------

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Store the state of training; once it has stopped, commit its weights to the Document as one undo."""
        training = snapshot.training
        if training is None or self.goal is None or training.run_id != self.goal.run_id:
            return
        self.training = training
        self._names.set_taken(training.branches)
        self._latest_run = training.saved_run or self._latest_run
        if training.request is not self.goal:
            return  # its state is from before the latest goal
        if training.state not in _STOPPED_STATES:
            return
        trained = self._trained
        if self._stopped or not snapshot.predictions or trained is None or not self.live:
            return
        subject = snapshot.predictions[0].model
        if training.shown_point == training.current_point and subject is not trained:
            self._stopped = True
            if training.state == "diverged":
                self.message.emit(training.message)
            new = (
                trained not in self._known or trained.run_point != training.current_point
            )  # or it ended without a step
            if new:
                self._commit(subject, training)
        if self.goal.running:
            self._set(replace(self.goal, running=False))

    def _commit(self, subject: Model, training: TrainingReport) -> None:
        self._trained = replace(subject, run_point=training.current_point, origin={})
        self._last_seen = self._trained
        self._known.add(self._trained)
        self._session.replace_subject(
            self._trained, self.tr("training to step {0}").format(training.current_point.step)
        )

    def _document_changed(self) -> None:
        """Stop training if the first model was replaced or training was undone."""
        subject = self._session.document.models[0]
        if subject is self._last_seen:
            return
        self._last_seen, self._stopped = subject, True
        if subject in self._known:
            self._return_to(subject)
        elif subject.network != self._network:
            self._reset(subject)
        elif self.goal is not None:
            if subject is self._trained:
                self._trained = None  # the weights that the run has reached from it were never the Document's
            self._set(replace(self.goal, running=False, shown_point=None))

    def _return_to(self, subject: Model) -> None:
        """Continue at a point of the history that undo or redo has made the Document's again."""
        self._trained, self._network, goal = subject, subject.network, self.goal or self._last_goal
        if goal is None:
            return
        if self.goal is None:  # another network was shown meanwhile
            self._recipe, self._data = goal.recipe, goal.data
        self._set(replace(goal, running=False, shown_point=subject.run_point, step_query=self._step_query))

    def _reset(self, subject: Model) -> None:
        """Start without a goal, for another network; its preset determines its examples."""
        self._recipe = replace(self._recipe, frozen=())  # another network has other layers
        self.goal, self.training, self._trained, self._network = None, None, subject, subject.network
        self._data = replace(self._data, drawing=self._default_data.drawing)
        self.changed.emit()

    # -- commands ----------------------------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        """Execute a command of training; one that does not apply now is ignored."""
        goal = self.goal
        match command:
            case Start():
                self._train(None)
            case Pause() if goal is not None and goal.running:
                self._set(replace(goal, running=False))
            case OneStep():
                self._train(self._current_step + 1)
            case OneEpoch():
                per_epoch = -(-self._training_data.count // self._recipe.batch)
                self._train((self._current_step // per_epoch + 1) * per_epoch)
            case Restart(seed):
                if seed is not None:
                    self._recipe = replace(self._recipe, seed=seed)
                    self._data = replace(self._data, seed=seed)
                self._begin("fresh", None, 0)
            case TrainFromCurrentWeights():
                name = self.tr("from {0}").format(self._session.document.models[0].name)
                self._begin("weights", name, None)
            case ShowPoint(moment) if goal is not None and goal.shown_point != moment:
                self._set(replace(goal, shown_point=moment))
            case SetConfig(recipe):
                self._set_recipe(recipe)
            case SetData(data):
                self._data = data
                self._set(goal)
            case PreviewData(what) if what != self.data_preview:
                self.data_preview = what
                self._set(goal)
            case BranchWithNewData():
                self._branch_with_new_data()
            case SetSpeedLimit(steps):
                self._speed_limit = steps
                self._set(goal and replace(goal, speed_limit=steps))
            case CollectLayerStatistics(on) if on != self._layer_statistics:
                self._layer_statistics = on
                self._set(goal and replace(goal, layer_statistics=on))
            case InspectStep(inspection) if inspection != self._step_query:
                self._step_query = inspection
                self._set(goal and replace(goal, step_query=inspection))
            case SetBranchVisible(branch, shown):
                self._names.set_visible(branch, shown)
                self.changed.emit()
            case RenameBranch(branch, name) if goal is not None and name.strip():
                self._names.rename(branch, name.strip())
                self._set(replace(goal, branch_names=self._names.given))

    def _train(self, until: int | None) -> None:
        """Resume at the shown point of the history, or begin a fresh run if there is none. until: the last step."""
        goal, training = self.goal, self.training
        if goal is None or not self.live:
            self._begin("fresh", None, until)
        elif training is None:  # the engine has not reported yet
            if goal.shown_point is not None:
                self._branch(goal.shown_point, until)
            else:
                self._stopped = False
                self._set(replace(goal, running=True, stop_at_step=until))
        elif (
            goal.shown_point is None and training.stop_reason is not None and training.request.recipe == goal.recipe
        ):
            self.message.emit(stop_reason_text(training))  # resuming takes another stop condition
        elif training.state in ("diverged", "failed"):
            self._branch(goal.shown_point or training.restart_point or training.current_point, until)
        elif goal.shown_point is not None and goal.shown_point != training.current_point:
            self._branch(goal.shown_point, until)
        else:
            self._stopped = False
            self._set(replace(goal, running=True, stop_at_step=until, shown_point=None))

    def _set_recipe(self, recipe: Recipe) -> None:
        """Use `recipe` from now on, unless it freezes layers that this network does not have."""
        try:
            self._network.layer_indices(recipe.frozen)
        except ValueError as error:
            self.message.emit(str(error))
            self.changed.emit()  # resets the form that shows the refused recipe
            return
        self._recipe = recipe
        self._set(self.goal and replace(self.goal, recipe=recipe))

    def as_command_line(self, device: str) -> TrainCommandLine:
        """The shell command that reproduces the weights shown. Raises ValueError if there is none."""
        subject, training = self._session.document.models[0], self.training
        if self.live and training is not None and training.branches and training.current_point.branch >= 0:
            return command_of_run(subject, self.settings, training, device)
        return command_of_new_run(subject, self.settings, self._training_data, device)

    def _branch_with_new_data(self) -> None:
        """Branch at the shown point with the new examples, or begin a fresh run if there is none."""
        goal, training = self.goal, self.training
        if goal is None or not self.live:
            self._begin("fresh", None, None)
        elif goal.origin != "kept" and (training is None or not training.branches):
            self._begin(goal.origin, goal.branch_name, None)
        elif training is None:
            self._branch(self._restored_point(goal), None)
        else:
            last = training.restart_point if training.state == "diverged" else None
            self._branch(goal.shown_point or last or training.current_point, None)

    def _branch(self, at: RunPoint, until: int | None) -> None:
        self._begin(at, self.tr("from step {0}").format(at.step), until)

    def _begin(self, origin: Literal["fresh", "weights"] | RunPoint, name: str | None, until: int | None) -> None:
        """Set a goal that begins a branch. name: None for the name of a run."""
        self._stopped, self._trained = False, self._session.document.models[0]
        if self._last_goal is not None and self._last_goal.model.network != self._trained.network:
            self._known.clear()
            self._names.reset()
            self._latest_run = self._history
        self.training = None
        recipe, data, number = self._recipe, self._data, next(self._run_ids)
        own = self._session.document.labelled_drawings
        if name is None:
            name = self.tr("Run {0}, seed {1}").format(self._names.runs + 1, recipe.seed)
        name = self._names.unique(name, self.tr("{0} ({1})"))
        goal = TrainingRequest(
            number, self._trained, origin, name, recipe, data, own, True, until, self._speed_limit
        )
        goal = replace(goal, saved_run=self._history, branch_names=self._names.given)
        self._set(replace(goal, layer_statistics=self._layer_statistics, step_query=self._step_query))

    @property
    def _history(self) -> SavedRun | None:
        """The restored run, if this network continues it."""
        run, trained = self._restored_run, self._trained
        return run if run is not None and trained is not None and run.network == trained.network else None

    # -- project files -----------------------------------------------------------------------------------------

    @property
    def saved_run(self) -> SavedRun | None:
        """The latest run that the engine gave to be saved."""
        return None if self.goal is None else self._latest_run

    def project_state(self, latest: SavedRun | None = None) -> ProjectState:
        """The state of the whole project, to be saved. It includes weights of running training that are not
        committed yet. latest: a more recent run than `saved_run`."""
        goal, document = self.goal, self._session.settled
        run = self.saved_run if latest is None or goal is None else latest
        subject = document.models[0]
        if run is not None and run.network != subject.network:
            run = None
        live = run is not None and self.live and (subject.run_point is None or subject.run_point in run)
        if run is not None and goal is not None and live and not self._stopped and run.run_id == goal.run_id:
            subject = replace(subject, parameters=run.checkpoint.parameters, run_point=run.current_point, origin={})
            document = replace(document, models=(subject, *document.models[1:]))
        if any(other.run_point is not None and other not in self._known for other in document.models[1:]):
            # Its history is gone; in the saved one that point has other weights.
            others = tuple(replace(other, run_point=None) for other in document.models[1:])
            document = replace(document, models=(document.models[0], *others))
        look = goal.shown_point if goal is not None and live else None
        if look is not None and run is not None and look not in run:
            look = None
        running = goal is not None and goal.running
        names = self._names.given
        return ProjectState(
            document, self._recipe, self._data, run, self._speed_limit, look, names, live, was_running=running
        )

    def restore(self, work: ProjectState) -> None:
        """Continue a saved project, as one undo."""
        subject, run = work.document.models[0], work.run
        self._recipe, self._data, self._speed_limit = work.recipe, work.data, work.pace
        self._names.reset(work.branch_names, () if run is None else [line.branch for line in run.branches])
        self._known.clear()
        self._last_seen, self._network, self.training, self._stopped = subject, subject.network, None, True
        self._trained, self._restored_run, self._latest_run, self._last_goal, goal = subject, run, run, None, None
        if run is not None:
            lesson, branch = (
                run.branch_origins[run.current_point.branch].training_data,
                run.branches[run.current_point.branch].branch,
            )
            # The seed of the branch, since a restart with another seed may have been asked for that never began.
            self._recipe = replace(work.recipe, seed=branch.recipes[-1][1].seed)
            number = next(self._run_ids)
            goal = TrainingRequest(
                number, subject, "kept", branch.name, self._recipe, lesson.generated, lesson.labelled_drawings
            )
            goal = replace(
                goal,
                speed_limit=work.pace,
                shown_point=work.shown_point,
                layer_statistics=self._layer_statistics,
                saved_run=run,
            )
            goal = replace(goal, branch_names=work.branch_names, step_query=self._step_query)
            for other in work.document.models[1:]:
                if other.network == run.network and other.run_point is not None and other.run_point in run:
                    self._known.add(other)
            if work.live:
                self._known.add(subject)
            else:
                self._trained = None
        self._session.edit(work.document, self.tr("restoring a session"))
        self._set(goal)

    @property
    def _training_data(self) -> TrainingData:
        """The examples of the current branch, or else of the next one."""
        if self.goal is not None and self.live:
            return self.goal.training_data
        return TrainingData(self._data, self._session.document.labelled_drawings)

    @property
    def _default_data(self) -> PoolSettings:
        return default_data(self._network, self._data.seed)

    @property
    def _current_step(self) -> int:
        goal, training = self.goal, self.training
        if goal is None:
            return 0
        if goal.shown_point is not None:
            return goal.shown_point.step
        if training is not None:
            return training.current_point.step
        if goal.saved_run is not None and goal.origin == "kept":
            return goal.saved_run.current_point.step
        return goal.origin.step if isinstance(goal.origin, RunPoint) else 0

    @staticmethod
    def _restored_point(goal: TrainingRequest) -> RunPoint:
        """The point of a restored run that is shown, or else its latest."""
        assert goal.saved_run is not None
        return goal.shown_point or goal.saved_run.current_point

    def _set(self, goal: TrainingRequest | None) -> None:
        self.goal, self._last_goal = goal, goal or self._last_goal
        self.changed.emit()


class BranchNames:
    """The names that the user gave to branches, and the hidden branches, by branch number.

    runs: how many branches begin a run, that is, have no parent.
    """

    def __init__(self) -> None:
        self._given: dict[int, str] = {}
        self._hidden: set[int] = set()
        self._taken: tuple[str, ...] = ()
        self.runs = 0

    @property
    def given(self) -> dict[int, str]:
        """A copy of the names that the user gave."""
        return dict(self._given)

    @property
    def hidden(self) -> frozenset[int]:
        """Numbers of the branches that the charts leave out."""
        return frozenset(self._hidden)

    def rename(self, branch: int, name: str) -> None:
        self._given[branch] = name

    def set_visible(self, branch: int, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(branch)

    def set_taken(self, branches: Sequence[Branch]) -> None:
        """Register the names of all existing branches."""
        self._taken = tuple(branch.name for branch in branches)
        self.runs = sum(branch.parent is None for branch in branches)

    def reset(self, given: Mapping[int, str] | None = None, branches: Sequence[Branch] = ()) -> None:
        """Replace all names and branches; none is hidden."""
        self._given = dict(given or {})
        self.set_taken(branches)
        self._hidden.clear()

    def unique(self, name: str, numbered: str) -> str:
        """The name itself, or if a branch has it, `numbered` ("{0} ({1})") with the first free number."""
        number, unique = 2, name
        while unique in self._taken:
            unique, number = numbered.format(name, number), number + 1
        return unique


@lru_cache(maxsize=8)
def default_data(network: Network, seed: int) -> PoolSettings:
    """The training examples of a network: those of its preset, or else the start values of the window."""
    known = next((p.recipe for p in PRESETS.values() if p.recipe and p.network == network), DEFAULT_RECIPE)
    return PoolSettings(replace(known.data, side=network.input_shape[1]), seed=seed)


def stop_reason_text(training: TrainingReport) -> str:
    """The sentence about the stop condition that ended the run; "" if none did."""
    recipe = training.request.recipe
    match training.stop_reason:
        case "epochs":
            text = _tr("Epoch {0} of {0} is done: raise the number of epochs to resume.").format(recipe.epochs)
        case "steps":
            text = _tr("Step {0} was the last one set: raise the limit or remove it to resume.")
            text = text.format(recipe.steps)
        case "target":
            text = _tr("Accuracy on held-out drawings is {0} %: raise the target or remove it to resume.")
            text = text.format(f"{100 * training.accuracy:.4g}")
        case "patience":
            text = _tr("No lower error in {0} epochs: raise the patience or remove it to resume.")
            if recipe.patience == 1:
                text = _tr("No lower error in the last epoch: raise the patience or remove it to resume.")
            text = text.format(recipe.patience)
        case "seconds":
            text = _tr("The {0} s of training are over: raise the limit or remove it to resume.")
            text = text.format(f"{recipe.seconds:g}")
        case None:
            text = ""
    return text


def _tr(text: str) -> str:
    return QCoreApplication.translate("StopReasons", text)
