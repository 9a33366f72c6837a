"""TrainingController: turns training commands into one Goal for the engine, and commits the trained weights to the
Document when training pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Literal, TypeAlias
from weakref import WeakSet

from PySide6.QtCore import QObject, Signal

from engine.data import PoolSettings, TrainingData, input_kind, kind_of
from engine.documents import PRESETS, ProjectState
from engine.nn import Model, Network, RunPoint
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.training import AdamW, Branch, Cosine, SavedRun, TrainingConfig, ancestry
from xo_gui.app import translate
from xo_gui.state.as_command import TrainCommandLine, command_of_new_run, command_of_run
from xo_gui.state.commands import (
    BranchWithNewData,
    Command,
    OneEpoch,
    OneStep,
    Pause,
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
from xo_gui.state.statement import Statement

# The start values in the window: accurate after a few epochs, and long enough to follow.
DEFAULT_CONFIG = TrainingConfig(AdamW(0.008, decay=0.02), Cosine(0.05), epochs=20)
_STOPPED_STATES = ("paused", "ended", "diverged", "failed")
# What is trained before the next pause: nothing, a step, the rest of an epoch, or None for everything.
Span: TypeAlias = Literal["nothing", "step", "epoch"] | None


@dataclass
class NetworkRuns:
    """The runs of one network in this session, kept while another network is shown.

    goal, training: the last goal, and the last report about it.
    trained: the first model, if its weights were the run's when the network was left.
    stopped: whether they were the Document's.
    restored_run, latest_run: the run of a restored project, and the latest one that the engine gave to be saved.
    """

    config: TrainingConfig
    data: PoolSettings
    goal: TrainingRequest
    training: TrainingReport | None
    trained: Model | None
    stopped: bool
    names: BranchNames
    restored_run: SavedRun | None
    latest_run: SavedRun | None


class TrainingController(QObject):
    """Owns the Goal, which is None until training is first started.

    changed: the goal or the settings changed, so the engine and the views need them. message(text): why a command
    was not executed.
    """

    changed = Signal()
    message = Signal(str)
    stated = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._run_ids = count(1)
        self._config, self._data = DEFAULT_CONFIG, PoolSettings(DEFAULT_CONFIG.data)
        self._speed_limit: float | None = None
        self.request: TrainingRequest | None = None
        self.training: TrainingReport | None = None
        self._trained: Model | None = None  # the first model, if the goal trains it
        # Models that are points of their network's history: undo may return to them.
        self._known: WeakSet[Model] = WeakSet()
        # The run of a restored project, and the latest run that the engine gave to be saved.
        self._restored_run: SavedRun | None = None
        self._latest_run: SavedRun | None = None
        self._left: dict[Network, NetworkRuns] = {}
        self._returning: Model | None = None  # as the first model it continues its network's run
        self._adopting = False  # the point shown becomes the Document's, as its weights are of no run
        self._painted: tuple[Snapshot, Model] | None = None  # the last one, and the first model then
        self._last_seen = session.document.models[0]
        self._enter_network(self._last_seen)
        session.changed.connect(self._document_changed)

    # -- the current settings ----------------------------------------------------------------------------------

    @property
    def settings(self) -> TrainingSettings:
        """The current settings, for the views."""
        request = self.request
        if request is None:
            return TrainingSettings(self._config, self._data, self._speed_limit, default_data=self._default_data)
        running, look, hidden, live = request.running, request.shown_point, self._names.hidden, self.live
        training_data = request.training_data if live else None
        return TrainingSettings(
            self._config,
            self._data,
            self._speed_limit,
            running,
            look,
            self._default_data,
            training_data,
            live,
            hidden,
        )

    @property
    def live(self) -> bool:
        """Whether the predictions shown use the weights in training instead of the Document's."""
        return self.request is not None and self._session.document.models[0] is self._trained

    @property
    def is_stopped(self) -> bool:
        """Whether training has stopped and its weights are the Document's."""
        return self._stopped

    @property
    def shown_model(self) -> Model:
        """The first model with the weights on the screen, unaffected by further training: the Document's, or a new
        one that is a point of the run, whose origin names it; as the first model it continues from there."""
        training = self.shown_training
        if training is None or self._painted is None:
            return self._session.settled.models[0]
        model = self._painted[0].predictions[0].model
        copy = replace(model, run_point=training.shown_point, origin={"moment": self.shown_moment})
        self._known.add(copy)
        return copy

    @property
    def shown_training(self) -> TrainingReport | None:
        """The report whose `shown_point` has the weights on the screen; None where they are of no run."""
        painted, first = self._painted, self._session.settled.models[0]
        if painted is None or painted[1] is not first or not self.live:
            return None
        of_run = painted[0].predictions[0].model is not first
        return painted[0].training if of_run else None

    @property
    def shown_moment(self) -> str:
        """The step and branch that the weights on the screen are of, in words; "" where they are of no run."""
        if (training := self.shown_training) is None:
            return ""
        at = training.shown_point
        return self.tr("step {0} of {1}").format(at.step, training.branches[at.branch].name)

    @property
    def shown_seed(self) -> int | None:
        """The seed of the initial weights of those on the screen; None if they are not known to have one."""
        training, origin = self.shown_training, self._session.settled.models[0].origin
        if training is None:
            seed = origin.get("recipe", {}).get("seed")
            return seed if isinstance(seed, int) else None
        at = ancestry(training.branches, training.shown_point)[0].branch
        named = training.branch_origins[at].initial_model is not None
        return None if named else training.branches[at].configs[0][1].seed

    # -- events ------------------------------------------------------------------------------------------------

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Store the state of training; once it has stopped, commit its weights to the Document as one undo."""
        training = snapshot.training
        if snapshot.predictions:
            self._painted = snapshot, self._session.settled.models[0]
        if training is None or self.request is None or training.run_id != self.request.run_id:
            return
        self.training = training
        self._names.set_taken(training.branches)
        self._latest_run = training.saved_run or self._latest_run
        if training.request is not self.request:
            return  # its state is from before the latest goal
        if training.state not in _STOPPED_STATES or not snapshot.predictions or not self.live:
            return
        model = snapshot.predictions[0].model
        at_end, at_goal = training.shown_point == training.current_point, training.is_exact
        if self._adopting:
            if at_goal and training.shown_point.branch >= 0:
                self._adopting = False
                self._commit(model, training)
        elif not self._stopped:
            stops = at_end and model is not self._trained
            if stops:
                self._stop(model, training)
            if self.request.running:
                self._set(replace(self.request, running=False))
            if stops and training.state == "diverged":
                self._state_until_running(training.message)
        if training.request is self.request and self.request.shown_point is not None and at_end and at_goal:
            self._set(replace(self.request, shown_point=None))  # to show the last step made is not to look back

    def _state_until_running(self, text: str) -> None:
        """Say why training does not run, until it does."""
        self.stated.emit(Statement(text, lambda: not self.settings.running))

    def _stop(self, model: Model, training: TrainingReport) -> None:
        """Make the weights that training has stopped at the Document's, unless it ended without a step."""
        trained, self._stopped = self._trained, True
        if trained not in self._known or trained is None or trained.run_point != training.current_point:
            self._commit(model, training)

    def _commit(self, model: Model, training: TrainingReport) -> None:
        self._trained = replace(model, run_point=training.shown_point, origin={})
        self._last_seen, self._network = self._trained, model.network
        self._known.add(self._trained)
        if self._painted is not None:
            self._painted = self._painted[0], self._trained
        self._session.replace_model(
            self._trained, self.tr("training to step {0}").format(training.shown_point.step)
        )

    def _document_changed(self) -> None:
        """Stop training if the first model was replaced or training was undone."""
        model, left = self._session.document.models[0], self._last_seen
        if model is left:
            return
        other = model.network != left.network
        if other:
            self._leave_network(left)
            self._enter_network(model)
        self._last_seen, self._adopting = model, False
        if model is not self._returning:
            self._stopped = True
            self._show_document(model)
        self._returning = None
        if other or self.request is not None:
            self._set(self.request and replace(self.request, running=False))

    def _show_document(self, model: Model) -> None:
        """Show the weights of a first model that undo, redo or the user has chosen: where it is a point of the
        history, training continues from there."""
        known = model in self._known
        if known or self.request is None:
            self._trained = model
        elif model is self._trained:
            self._trained = None  # the weights that the run has reached from it were never the Document's
        self.request = self.request and replace(self.request, shown_point=model.run_point if known else None)

    # -- other networks ----------------------------------------------------------------------------------------

    def returning_model(self, network: Network) -> Model | None:
        """The first model as it was when this network was left, to be made the first model again, which continues
        its run; None if its weights were not those of a run."""
        runs = self._left.get(network)
        self._returning = None if runs is None or runs.trained is None else replace(runs.trained)
        return self._returning

    def _leave_network(self, left: Model) -> None:
        """Keep the runs of the network of the first model `left`."""
        if self.request is None:
            return
        trained = left if left is self._trained and not self._adopting else None
        self._left[left.network] = NetworkRuns(
            self._config,
            self._data,
            self.request,
            self.training,
            trained,
            self._stopped,
            self._names,
            self._restored_run,
            self._latest_run,
        )

    def _enter_network(self, model: Model) -> None:
        """Take up the runs of another network where they were left; without any there is no goal, and its preset
        determines its examples."""
        runs = self._left.pop(model.network, None)
        self._network, self._trained, self._stopped = model.network, model, True
        if runs is None:
            self._config = replace(self._config, frozen=())  # another network has other layers
            self._data = replace(self._data, generator=self._default_data.generator)
            self.request, self.training, self._names = None, None, BranchNames()
            self._restored_run = self._latest_run = None
            return
        self._config, self._data, self.training, self._names = runs.config, runs.data, runs.training, runs.names
        self._restored_run, self._latest_run = runs.restored_run, runs.latest_run
        self.request = replace(
            runs.goal,
            run_id=next(self._run_ids),
            resumes=runs.goal.branch_id,
            running=False,
            speed_limit=self._speed_limit,
        )
        if model is self._returning:
            self._stopped = runs.stopped
            if model.run_point is not None:
                self._known.add(model)
        else:
            self._trained = None

    # -- commands ----------------------------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        """Execute a command of training; one that does not apply now is ignored."""
        request = self.request
        match command:
            case Start():
                self._train(None)
            case Pause() if request is not None and request.running:
                self._set(replace(request, running=False))
            case OneStep():
                self._train("step")
            case OneEpoch():
                self._train("epoch")
            case Restart(seed):
                if seed is not None:
                    self._config = replace(self._config, seed=seed)
                    self._data = replace(self._data, seed=seed)
                self._begin("fresh", None, "nothing")
            case TrainFromCurrentWeights():
                name = self.tr("from {0}").format(self._session.document.models[0].name)
                self._begin("weights", name, None)
            case ShowPoint(moment) if request is not None and (request.shown_point != moment or not self.live):
                self._show(request, moment)
            case SetConfig(config):
                self._set_config(config)
            case SetData(data):
                self._data = data
                self._set(request)
            case BranchWithNewData():
                self._branch_with_new_data()
            case SetSpeedLimit(steps):
                self._speed_limit = steps
                self._set(request and replace(request, speed_limit=steps))
            case SetBranchVisible(branch, shown):
                self._names.set_visible(branch, shown)
                self.changed.emit()
            case RenameBranch(branch, name) if request is not None and name.strip():
                self._names.rename(branch, name.strip())
                self._set(replace(request, branch_names=self._names.given))

    def _show(self, request: TrainingRequest, point: RunPoint | None) -> None:
        """Show a point of the history; where the weights shown are of no run, it becomes the Document's."""
        if not self.live:
            if self.training is None or not self.training.branches:
                return
            self._trained, self._adopting = self._session.document.models[0], True
        self._set(replace(request, shown_point=point))

    def _train(self, span: Span) -> None:
        """Resume at the shown point of the history, or begin a fresh run if there is none."""
        request, training = self.request, self.training
        if request is None or not self.live:
            self._begin("fresh", None, span)
        elif training is None:  # the engine has not reported yet
            if request.shown_point is not None:
                self._branch(request.shown_point, span)
            else:
                self._resume(request, span)
        elif (
            request.shown_point is None
            and training.stop_reason is not None
            and training.request.config == request.config
        ):
            self._state_until_running(stop_reason_text(training))  # resuming takes another stop condition
        elif training.state in ("diverged", "failed"):
            point = request.shown_point or training.restart_point or training.current_point
            if point.branch < 0:  # it failed before its first branch began
                self._begin(request.origin, request.branch_name, span)
            else:
                self._branch(point, span)
        elif request.shown_point is not None and request.shown_point != training.current_point:
            self._branch(request.shown_point, span)
        else:
            self._resume(request, span)

    def _resume(self, request: TrainingRequest, span: Span) -> None:
        """Train on from the last step made."""
        if self.training is not None:
            made = self.training.current_point.step
        elif request.origin == "kept" and request.saved_run is not None:
            made = request.saved_run.current_point.step
        else:
            made = request.origin.step if isinstance(request.origin, RunPoint) else 0
        self._stopped = self._adopting = False
        until = self._last_step(span, made, request.training_data)
        self._set(replace(request, running=True, stop_at_step=until, shown_point=None))

    def _last_step(self, span: Span, made: int, data: TrainingData) -> int | None:
        """The step to pause at after the `made` ones; None for none."""
        if span == "epoch":
            per_epoch = -(-data.count // self._config.batch)
            return (made // per_epoch + 1) * per_epoch
        return None if span is None else made + (span == "step")

    def _set_config(self, config: TrainingConfig) -> None:
        """Use `config` from now on, unless it freezes layers that this network does not have."""
        try:
            self._network.layer_indices(config.frozen)
        except ValueError as error:
            self.message.emit(str(error))
            self.changed.emit()  # resets the form that shows the refused configuration
            return
        self._config = config
        self._set(self.request and replace(self.request, config=config))

    def as_command_line(self, device: str) -> TrainCommandLine:
        """The shell command that reproduces the weights shown, or if no run made them, that of the whole run that
        Start would begin. Raises ValueError if there is none."""
        model, training = self._session.document.models[0], self.shown_training
        if training is not None:
            return command_of_run(model, training, device)
        return command_of_new_run(model, self.settings, self._training_data, device)

    def _branch_with_new_data(self) -> None:
        """Branch at the shown point with the new examples, or begin a fresh run if there is none."""
        request, training = self.request, self.training
        if request is None or not self.live:
            self._begin("fresh", None, None)
        elif request.origin != "kept" and (training is None or training.current_point.branch < 0):
            self._begin(request.origin, request.branch_name, None)
        elif training is None:
            self._branch(self._restored_point(request), None)
        else:
            last = training.restart_point if training.state == "diverged" else None
            self._branch(request.shown_point or last or training.current_point, None)

    def _branch(self, at: RunPoint, span: Span) -> None:
        self._begin(at, self.tr("from step {0}").format(at.step), span)

    def _begin(
        self,
        origin: Literal["fresh", "weights", "kept"] | RunPoint,
        name: str | None,
        span: Span,
    ) -> None:
        """Set a goal that begins a branch. name: None for the name of a run."""
        self._stopped, self._adopting, self._trained = False, False, self._session.document.models[0]
        self.training = None
        config, data, number = self._config, self._data, next(self._run_ids)
        own = self._session.document.labelled_samples
        if name is None:
            name = self.tr("Run {0}, seed {1}").format(self._names.runs + 1, config.seed)
        name = self._names.unique(name, self.tr("{0} ({1})"))
        made = origin.step if isinstance(origin, RunPoint) else 0
        until = self._last_step(span, made, TrainingData(data, own))
        request = TrainingRequest(
            number, self._trained, origin, name, config, data, own, True, until, self._speed_limit
        )
        request = replace(request, saved_run=self._restored_run, branch_names=self._names.given)
        self._set(request)

    # -- project files -----------------------------------------------------------------------------------------

    @property
    def saved_run(self) -> SavedRun | None:
        """The latest run that the engine gave to be saved."""
        return None if self.request is None else self._latest_run

    def project_state(self, latest: SavedRun | None = None) -> ProjectState:
        """The state of the whole project, to be saved. It includes weights of running training that are not
        committed yet. latest: a more recent run than `saved_run`."""
        request, document = self.request, self._session.settled
        model = document.models[0]
        # The engine may not have heard yet that another network is shown.
        newer = latest is not None and request is not None and model.network in latest.networks
        run = latest if newer else self.saved_run
        if run is not None and model.network not in run.networks:
            run = None
        live = run is not None and self.live and not self._adopting
        live = live and run is not None and (model.run_point is None or model.run_point in run)
        if run is not None and request is not None and live and not self._stopped and run.run_id == request.run_id:
            model = replace(model, network=run.network, parameters=run.checkpoint.parameters, origin={})
            model = replace(model, run_point=run.current_point)
            document = document.with_models((model, *document.models[1:]))
        of_run = [other for other in self._known if run is not None and other.network in run.networks]
        if any(other.run_point is not None and other not in of_run for other in document.models[1:]):
            # Its history is not the saved one, in which that point has other weights.
            others = tuple(replace(other, run_point=None) for other in document.models[1:])
            document = document.with_models((document.models[0], *others))
        look = request.shown_point if request is not None and live else None
        if look is not None and run is not None and look not in run:
            look = None
        running = request is not None and request.running
        names = self._names.given
        return ProjectState(
            document, self._config, self._data, run, self._speed_limit, look, names, live, was_running=running
        )

    def restore(self, work: ProjectState) -> None:
        """Continue a saved project, as one undo."""
        self._speed_limit, text = work.speed_limit, self.tr("restoring a session")
        if work.run is not None:
            self._restore_run(work, work.run)
            self._session.edit(work.document, text)
            self._set(self.request)
            return
        self._session.edit(work.document, text)
        self._config, self._data = work.config, work.data
        self._set(self.request and replace(self.request, config=work.config, speed_limit=work.speed_limit))

    def _restore_run(self, work: ProjectState, run: SavedRun) -> None:
        """Continue the run of a saved project in place of those that this session has of its network."""
        subject, at = work.document.models[0], run.current_point.branch
        if subject.network != self._network:
            self._leave_network(self._last_seen)
        for network in run.networks:
            self._left.pop(network, None)
        for model in [model for model in self._known if model.network in run.networks]:
            self._known.discard(model)
        self._last_seen, self._network, self.training = subject, subject.network, None
        self._stopped, self._adopting, self._restored_run, self._latest_run = True, False, run, run
        self._names = BranchNames()
        self._names.reset(work.branch_names, [line.branch for line in run.branches])
        training_data, branch = run.branch_origins[at].training_data, run.branches[at].branch
        # The seed of the branch, since a restart with another seed may have been asked for that never began.
        self._config, self._data = replace(work.config, seed=branch.configs[-1][1].seed), work.data
        number = next(self._run_ids)
        request = TrainingRequest(
            number,
            subject,
            "kept",
            branch.name,
            self._config,
            training_data.generated,
            training_data.labelled_samples,
        )
        request = replace(request, speed_limit=work.speed_limit, shown_point=work.shown_point, saved_run=run)
        self.request = replace(request, branch_names=work.branch_names)
        for other in work.document.models[1:]:
            if other.network in run.networks and other.run_point is not None and other.run_point in run:
                self._known.add(other)
        self._trained = subject if work.live else None
        if work.live:
            self._known.add(subject)

    @property
    def _training_data(self) -> TrainingData:
        """The examples of the current branch, or else of the next one."""
        if self.request is not None and self.live:
            return self.request.training_data
        return TrainingData(self._data, self._session.document.labelled_samples)

    @property
    def _default_data(self) -> PoolSettings:
        return default_data(self._network, self._data.seed)

    @staticmethod
    def _restored_point(request: TrainingRequest) -> RunPoint:
        """The point of a restored run that is shown, or else its latest."""
        assert request.saved_run is not None
        return request.shown_point or request.saved_run.current_point

    def _set(self, request: TrainingRequest | None) -> None:
        self.request = request
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
    """The training examples of a network: those of its preset, or else the default ones of its kind of data."""
    known = next((p.config.data for p in PRESETS.values() if p.config and p.network == network), None)
    settings = input_kind(network).default_settings() if known is None else known
    return PoolSettings(kind_of(settings).with_input_shape(settings, network.input_shape), seed=seed)


def stop_reason_text(training: TrainingReport) -> str:
    """The sentence about the stop condition that ended the run; "" if none did."""
    config = training.request.config
    match training.stop_reason:
        case "epochs":
            text = translate(
                "StopReasons", "Epoch {0} of {0} is done: raise the number of epochs to resume."
            ).format(config.epochs)
        case "steps":
            text = translate(
                "StopReasons", "Step {0} was the last one set: raise the limit or remove it to resume."
            )
            text = text.format(config.steps)
        case "target":
            text = translate(
                "StopReasons", "Accuracy on held-out drawings is {0} %: raise the target or remove it to resume."
            )
            text = text.format(f"{100 * training.accuracy:.4g}")
        case "patience":
            text = translate(
                "StopReasons", "No lower error in {0} epochs: raise the patience or remove it to resume."
            )
            if config.patience == 1:
                text = translate(
                    "StopReasons", "No lower error in the last epoch: raise the patience or remove it to resume."
                )
            text = text.format(config.patience)
        case "seconds":
            text = translate(
                "StopReasons", "The {0} s of training are over: raise the limit or remove it to resume."
            )
            text = text.format(f"{config.seconds:g}")
        case None:
            text = ""
    return text
