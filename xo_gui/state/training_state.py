"""The state of training in the window: all that the TrainingController knows, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar
from weakref import ReferenceType, ref

from engine.data import LabelledSample, PoolSettings, TrainingData, input_kind, kind_of
from engine.documents import PRESETS, Document, ProjectState
from engine.nn import Model, Network
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.training import AdamW, Cosine, SavedRun, TrainingConfig, ancestry
from xo_gui.app import translate
from xo_gui.state.commands import TrainingSettings

# The start values in the window: accurate after a few epochs, and long enough to follow. Without the warmup the
# second step raises the error to many times the first, and leaves most hidden values dead.
DEFAULT_CONFIG = TrainingConfig(AdamW(0.004, decay=0.1), Cosine(0.05, warmup=0.02), epochs=20)

VARIED_COUNT: Final = 1_000  # variations of labelled drawings in an epoch

Settings = TypeVar("Settings", bound=Any)  # a frozen dataclass of settings
STOPPED_STATES: Final = ("paused", "ended", "diverged", "failed")


@dataclass(frozen=True)
class BranchNames:
    """The names that the user gave to branches, and which branches are hidden.

    given: by branch number.
    hidden: numbers of the branches that the charts leave out.
    """

    given: Mapping[int, str] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()

    def renamed(self, branch: int, name: str) -> BranchNames:
        """With the name that the user gives to a branch."""
        return replace(self, given={**self.given, branch: name})

    def with_visible(self, branch: int, visible: bool) -> BranchNames:
        """With a branch that is shown or hidden."""
        return replace(self, hidden=self.hidden - {branch} if visible else self.hidden | {branch})


@dataclass(frozen=True, eq=False)
class NetworkRuns:
    """The runs of one network in this session; kept while another network is shown.

    config, data: the settings; those of the request are as they were when it was made.
    request, training: what is requested, None before training is first started; the last report about it.
    trained: the first model, if the request trains it.
    awaits: when the Document gets the weights of the run: once training has "stopped", once the requested "point"
        is shown, as those of the Document are of no run, or at "nothing", as it has them.
    restored_run, latest_run: the run of a restored project; the latest run that the engine gave to be saved.
    of_shipped: whether the settings are those of the shipped run, with the changes that the user made to them.
    """

    config: TrainingConfig
    data: PoolSettings
    request: TrainingRequest | None = None
    training: TrainingReport | None = None
    trained: Model | None = None
    awaits: Literal["stop", "point", "nothing"] = "nothing"
    names: BranchNames = field(default_factory=BranchNames)
    restored_run: SavedRun | None = None
    latest_run: SavedRun | None = None
    of_shipped: bool = False

    def of_new(self, model: Model) -> NetworkRuns:
        """Those of a network that was not trained yet: its preset determines the examples, other settings stay."""
        config = replace(self.config, frozen=())  # another network has other layers
        data = default_data(model.network, self.data.seed)
        if kind_of(data.generator).varies_labelled == kind_of(self.data.generator).varies_labelled:
            data = replace(self.data, generator=data.generator)
        return NetworkRuns(config, data, trained=model)


def has_done_all_epochs(training: TrainingReport, config: TrainingConfig) -> bool:
    """Whether the run has made all epochs of this configuration, so that Train begins one from scratch."""
    request = training.request
    made, batch = request.config.epochs, request.config.batch
    steps = made * -(-TrainingData(request.data, request.labelled_samples).count // batch)
    # While the examples of a saved run are being generated, it has no stop reason yet.
    is_restored = training.state == "preparing" and request.saved_run is not None
    ended = training.stop_reason == "epochs" or (is_restored and training.current_point.step >= steps)
    return ended and config.epochs <= made


@dataclass(frozen=True, eq=False)
class ControllerState:
    """All that the TrainingController knows.

    model, labelled_samples: the first model of the Document, and the inputs that the user labelled.
    runs: of the network of that model. left: those of other networks, as they were left.
    speed_limit: the most steps per second; None for full speed.
    last_run_id: of all requests so far.
    known: models that are points of their network's history, to which undo may return; weakly, as those that undo
        has forgotten take memory.
    returning: as the first model it continues its network's runs.
    recorded: by network, the shipped run that made its shipped weights.
    painted: the last Snapshot with predictions, and the first model then.
    """

    model: Model
    labelled_samples: tuple[LabelledSample, ...]
    runs: NetworkRuns
    left: Mapping[Network, NetworkRuns] = field(default_factory=dict)
    speed_limit: float | None = None
    last_run_id: int = 0
    known: frozenset[ReferenceType[Model]] = frozenset()
    returning: Model | None = None
    painted: tuple[Snapshot, Model] | None = None
    recorded: Mapping[Network, ProjectState] = field(default_factory=dict)

    @classmethod
    def initial(cls, document: Document) -> ControllerState:
        """The state before anything was trained."""
        model, settings = document.models[0], NetworkRuns(DEFAULT_CONFIG, PoolSettings(DEFAULT_CONFIG.data))
        return cls(model, document.labelled_samples, settings.of_new(model))

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was trained of the first model's network: there is no run but the shipped one."""
        request, recorded = self.runs.request, self.recorded.get(self.model.network)
        if request is None:
            return True
        is_shipped = recorded is not None and request.saved_run is recorded.run and request.origin == "kept"
        return is_shipped and recorded is not None and request.config == recorded.config

    @property
    def settings_from_scratch(self) -> tuple[TrainingConfig, PoolSettings]:
        """The settings of a run that begins with step 0: those of the form, with the start values of the window in
        place of those of the shipped run, which takes minutes, unless the user has changed them."""
        runs, recorded = self.runs, self.recorded.get(self.model.network)
        is_shipped = recorded is not None and replace(runs.config, seed=recorded.config.seed) == recorded.config
        if recorded is None or not (runs.of_shipped or is_shipped):
            return runs.config, runs.data
        data = default_data(self.model.network, recorded.data.seed)
        return _changed_as(runs.config, recorded.config, DEFAULT_CONFIG), _changed_as(
            runs.data, recorded.data, data
        )

    @property
    def settings(self) -> TrainingSettings:
        """The current settings, for the views."""
        runs, default = self.runs, default_data(self.model.network, self.runs.data.seed)
        if (request := runs.request) is None:
            return TrainingSettings(runs.config, runs.data, self.speed_limit, default_data=default)
        return TrainingSettings(
            runs.config,
            runs.data,
            self.speed_limit,
            request.running,
            request.shown_point,
            default,
            request.training_data if self.live else None,
            self.live,
            runs.names.hidden,
        )

    def trains(self, model: Model) -> bool:
        """Whether the request trains this model, so that predictions use the weights in training."""
        return self.runs.request is not None and model is self.runs.trained

    @property
    def live(self) -> bool:
        """Whether the request trains the first model."""
        return self.trains(self.model)

    @property
    def is_stopped(self) -> bool:
        """Whether training has stopped, and its weights are the Document's unless an earlier step is shown."""
        training, request = self.runs.training, self.runs.request
        if self.runs.awaits != "stop" or training is None or request is None or request.shown_point is None:
            return self.runs.awaits != "stop"
        return training.request is request and not request.running and training.state in STOPPED_STATES

    @property
    def saved_run(self) -> SavedRun | None:
        """The latest run that the engine gave to be saved."""
        return None if self.runs.request is None else self.runs.latest_run

    @property
    def next_training_data(self) -> TrainingData:
        """The examples of the current branch, or else of the next one."""
        if self.runs.request is not None and self.live:
            return self.runs.request.training_data
        return TrainingData(self.runs.data, self.labelled_samples)

    @property
    def shown_training(self) -> TrainingReport | None:
        """The report whose `shown_point` has the weights on the screen; None where they are of no run."""
        if self.painted is None or self.painted[1] is not self.model or not self.live:
            return None
        snapshot = self.painted[0]
        return None if snapshot.predictions[0].model is self.model else snapshot.training

    @property
    def shown_model(self) -> Model:
        """The first model with the weights on the screen: the Document's, or a new one that is a point of the run,
        whose origin names it."""
        training = self.shown_training
        if training is None or self.painted is None:
            return self.model
        shown = self.painted[0].predictions[0].model
        return replace(shown, run_point=training.shown_point, origin={"moment": self.shown_moment})

    @property
    def shown_moment(self) -> str:
        """The step and branch that the weights on the screen are of, in words; "" where they are of no run."""
        if (training := self.shown_training) is None:
            return ""
        at = training.shown_point
        text = translate("TrainingController", "step {0} of {1}")
        return text.format(at.step, training.branches[at.branch].name)

    @property
    def shown_seed(self) -> int | None:
        """The seed of the initial weights of those on the screen; None if they are not known to have one."""
        training = self.shown_training
        if training is None:
            seed = self.model.origin.get("recipe", {}).get("seed")
            return seed if isinstance(seed, int) else None
        at = ancestry(training.branches, training.shown_point)[0].branch
        named = training.branch_origins[at].initial_model is not None
        return None if named else training.branches[at].configs[0][1].seed

    def may_show(self, project: ProjectState) -> bool:
        """Whether the last point of a shipped run is one of its network's history: there is no other history."""
        network = project.document.models[0].network
        runs = self.runs if network == self.model.network else self.left.get(network)
        return runs is None or runs.request is None or runs.restored_run is project.run

    def is_known(self, model: Model) -> bool:
        """Whether the model is a point of its network's history."""
        return ref(model) in self.known

    def with_known(self, *models: Model) -> ControllerState:
        """With models that are points of their network's history."""
        alive = {reference for reference in self.known if reference() is not None}
        return replace(self, known=frozenset(alive.union(map(ref, models))))

    def without_known(self, networks: tuple[Network, ...]) -> ControllerState:
        """Without the models of these networks, whose history is replaced."""
        kept = [model for reference in self.known if (model := reference()) and model.network not in networks]
        return replace(self, known=frozenset(map(ref, kept)))

    def project(self, document: Document, latest: SavedRun | None) -> ProjectState:
        """The state of the whole project, to be saved. It includes weights of running training that are not
        committed yet. latest: a more recent run than `saved_run`."""
        runs, request, model = self.runs, self.runs.request, document.models[0]
        # The engine may not have heard yet that another network is shown.
        newer = latest is not None and request is not None and model.network in latest.networks
        run = latest if newer else self.saved_run
        if run is not None and model.network not in run.networks:
            run = None
        # The engine may not have begun the branch requested yet: the weights are then those that it begins with.
        has_branch = run is not None and request is not None and run.run_id >= request.branch_id
        live = run is not None and self.trains(model) and runs.awaits != "point"
        live = live and run is not None and (has_branch if model.run_point is None else model.run_point in run)
        if run is not None and live and has_branch and runs.awaits == "stop":
            model = replace(model, network=run.network, parameters=run.checkpoint.parameters, origin={})
            model = replace(model, run_point=run.current_point)
            document = document.with_models((model, *document.models[1:]))
        if any(
            other.run_point is not None
            and not (run is not None and self.is_known(other) and other.network in run.networks)
            for other in document.models[1:]
        ):
            # Its history is not the saved one, in which that point has other weights.
            others = tuple(replace(other, run_point=None) for other in document.models[1:])
            document = document.with_models((document.models[0], *others))
        look = request.shown_point if request is not None and live else None
        if live and run is not None and not has_branch and look is None and model.run_point != run.current_point:
            look = model.run_point
        if look is not None and run is not None and look not in run:
            look = None
        running = request is not None and request.running
        return ProjectState(
            document,
            runs.config,
            runs.data,
            run,
            self.speed_limit,
            look,
            dict(runs.names.given),
            live,
            was_running=running,
        )


def _changed_as(after: Settings, before: Settings, start: Settings) -> Settings:
    """The settings `start` with the changes from `before` to `after`."""
    changed: dict[str, Any] = {}
    for name in (each.name for each in fields(start)):
        new, old, own = getattr(after, name), getattr(before, name), getattr(start, name)
        if new != old:
            is_group = is_dataclass(own) and type(new) is type(old) is type(own)
            changed[name] = _changed_as(new, old, own) if is_group else new
    return replace(start, **changed)


@lru_cache(maxsize=8)
def default_data(network: Network, seed: int) -> PoolSettings:
    """The training examples of a network: those of its preset, or else the default ones of its kind of data."""
    known = next((p.config.data for p in PRESETS.values() if p.config and p.network == network), None)
    if known is not None:
        return PoolSettings(kind_of(known).with_input_shape(known, network.input_shape), seed=seed)
    kind = input_kind(network)
    if kind.varies_labelled:
        return PoolSettings(kind.settings_for(network), VARIED_COUNT, 1, seed)
    return PoolSettings(kind.settings_for(network), seed=seed)
