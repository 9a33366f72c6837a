"""What each event makes of the state of training in the window.

`step` is pure: the TrainingController feeds it what happens, and carries out the effects that it returns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from engine.data import LabelledSample, TrainingData
from engine.documents import Document, ProjectState
from engine.nn import Model, Network, RunPoint
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.training import SavedRun, TrainingConfig, ancestry, configs_up_to
from xo_gui.app import translate
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
)
from xo_gui.state.training_state import (
    STOPPED_STATES,
    BranchNames,
    ControllerState,
    NetworkRuns,
    has_done_all_epochs,
)

# What is trained before the next pause: nothing, a step, the rest of an epoch, or None for everything.
Span: TypeAlias = Literal["nothing", "step", "epoch"] | None
Origin: TypeAlias = Literal["fresh", "weights", "kept"] | RunPoint


# -- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DocumentChanged:
    """The Document has this first model and these labelled samples, as after every edit, stroke, undo and redo."""

    model: Model
    labelled_samples: tuple[LabelledSample, ...]


@dataclass(frozen=True, eq=False)
class SnapshotArrived:
    """The engine has computed a Snapshot of the present models."""

    snapshot: Snapshot


@dataclass(frozen=True)
class NetworkChosen:
    """A network is about to become that of the first model: `returning` is the model to continue its runs with."""

    network: Network


@dataclass(frozen=True, eq=False)
class ModelCopied:
    """A model was made of the weights on the screen: as the first model it continues from there."""

    model: Model


@dataclass(frozen=True, eq=False)
class RunShipped:
    """A network's shipped weights come with the run that made them: as the first model they are its last point."""

    project: ProjectState


@dataclass(frozen=True, eq=False)
class ProjectRestored:
    """A saved project takes the place of the work."""

    project: ProjectState


Event: TypeAlias = (
    Command | DocumentChanged | SnapshotArrived | NetworkChosen | ModelCopied | RunShipped | ProjectRestored
)


# -- effects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ReplaceModel:
    """Make this the first model of the Document, as one undo called `text`."""

    model: Model
    text: str


@dataclass(frozen=True, eq=False)
class ReplaceDocument:
    """Make this the Document, as one undo called `text`."""

    document: Document
    text: str


@dataclass(frozen=True)
class Publish:
    """Give the request and the settings to the engine and the views."""


@dataclass(frozen=True)
class Say:
    """Say why a command was not executed."""

    text: str


@dataclass(frozen=True)
class SayUntilRunning:
    """Say why training does not run, until it does."""

    text: str


Effect: TypeAlias = ReplaceModel | ReplaceDocument | Publish | Say | SayUntilRunning


# -- transitions -----------------------------------------------------------------------------------------------


Step: TypeAlias = tuple[ControllerState, tuple[Effect, ...]]


def step(state: ControllerState, event: Event) -> Step:
    """The state after an event, and what is to be done in the world, in this order. A command that does not apply
    now changes nothing."""
    match event:
        case DocumentChanged(model, labelled_samples):
            return _document_changed(state, model, labelled_samples)
        case SnapshotArrived(snapshot):
            return _snapshot_arrived(state, snapshot)
        case NetworkChosen(network):
            runs = state.left.get(network)
            returning = None if runs is None or runs.trained is None else replace(runs.trained)
            return replace(state, returning=returning), ()
        case ModelCopied(model):
            return state.with_known(model), ()
        case RunShipped(project):
            return _shipped(state, project)
        case ProjectRestored(project):
            return _restored(state, project)
    return _executed(state, event)


def _with_request(state: ControllerState, request: TrainingRequest | None) -> ControllerState:
    return replace(state, runs=replace(state.runs, request=request))


def _publish(state: ControllerState, request: TrainingRequest | None) -> Step:
    return _with_request(state, request), (Publish(),)


# -- snapshots -------------------------------------------------------------------------------------------------


def _snapshot_arrived(state: ControllerState, snapshot: Snapshot) -> Step:
    """Keep the report; once training has stopped, its weights become the Document's as one undo."""
    report, request = snapshot.training, state.runs.request
    if snapshot.predictions:
        state = replace(state, painted=(snapshot, state.model))
    if report is None or request is None or report.run_id != request.run_id:
        return state, ()
    latest = report.saved_run or state.runs.latest_run
    state = replace(state, runs=replace(state.runs, training=report, latest_run=latest))
    if report.request is not request:
        return state, ()  # its state is from before the latest request
    if report.state not in STOPPED_STATES or not snapshot.predictions or not state.live:
        return state, ()
    return _stopped(state, request, report, snapshot.predictions[0].model)


def _stopped(state: ControllerState, request: TrainingRequest, report: TrainingReport, model: Model) -> Step:
    """Training stands at a point whose weights `model` has."""
    effects: tuple[Effect, ...] = ()
    at_end, awaits, wanted = report.shown_point == report.current_point, state.runs.awaits, request
    stops = awaits == "stop" and at_end and model is not state.runs.trained
    if stops or (awaits == "point" and report.is_exact and report.shown_point.branch >= 0):
        state, effects = _committed(state, model, report)
    if awaits == "stop":
        wanted = replace(request, running=False) if request.running else request
    if wanted is request and request.shown_point is not None and at_end and report.is_exact:
        wanted = replace(request, shown_point=None)  # to show the last step made is not to look back
    if wanted is not request:
        state, effects = _with_request(state, wanted), (*effects, Publish())
    if stops and report.state == "diverged":
        effects = (*effects, SayUntilRunning(report.message))
    return state, effects


def _committed(state: ControllerState, model: Model, report: TrainingReport) -> Step:
    """The weights shown become the Document's, unless training stopped without a step."""
    trained, runs = state.runs.trained, replace(state.runs, awaits="nothing")
    stands = trained is not None and state.is_known(trained) and trained.run_point == report.current_point
    if stands and state.runs.awaits == "stop":
        return replace(state, runs=runs), ()
    model = replace(model, run_point=report.shown_point, origin={}, fresh_classes=None)
    painted = None if state.painted is None else (state.painted[0], model)
    state = replace(state, model=model, runs=replace(runs, trained=model), painted=painted).with_known(model)
    text = translate("TrainingController", "training to step {0}").format(report.shown_point.step)
    return state, (ReplaceModel(model, text),)


# -- the Document ----------------------------------------------------------------------------------------------


def _document_changed(state: ControllerState, model: Model, labelled: tuple[LabelledSample, ...]) -> Step:
    """Stop training if the first model was replaced or training was undone."""
    if labelled is not state.labelled_samples:
        state = replace(state, labelled_samples=labelled)
    if model is state.model:
        return state, ()
    is_other, returns = model.network != state.model.network, model is state.returning
    if is_other:
        state = _entered(_left(state), model)
    state = replace(state, model=model, returning=None)
    if not returns:
        state = _at_document(state)
    request = state.runs.request
    if request is None:
        return state, (Publish(),) if is_other else ()
    return _publish(state, replace(request, running=False))


def _at_document(state: ControllerState) -> ControllerState:
    """With the weights shown of a first model that undo, redo or the user has chosen: where it is a point of the
    history, training continues from there."""
    model, runs, known = state.model, state.runs, state.is_known(state.model)
    trained, request = runs.trained, runs.request
    if known or request is None:
        trained = model
    elif model is trained:
        trained = None  # the weights that the run has reached from it were never the Document's
    if request is not None:
        request = replace(request, shown_point=model.run_point if known else None)
    return replace(state, runs=replace(runs, trained=trained, request=request, awaits="nothing"))


def _left(state: ControllerState) -> ControllerState:
    """With the runs of the network of the first model kept."""
    runs = state.runs
    if runs.request is None:
        return state
    if runs.awaits == "point" or runs.trained is not state.model:
        awaits = "nothing" if runs.awaits == "point" else runs.awaits
        runs = replace(runs, trained=None, awaits=awaits)
    return replace(state, left={**state.left, state.model.network: runs})


def _entered(state: ControllerState, model: Model) -> ControllerState:
    """With the runs of the network of a model, as they were left."""
    if model.network not in state.left:
        recorded = state.recorded.get(model.network)
        if recorded is not None and recorded.run is not None and model.run_point == recorded.run.current_point:
            return _with_shipped_run(state, model, recorded, recorded.run)
        return replace(state, runs=state.runs.of_new(model))
    left = {network: runs for network, runs in state.left.items() if network != model.network}
    runs, number, returns = state.left[model.network], state.last_run_id + 1, model is state.returning
    assert runs.request is not None
    request = replace(
        runs.request,
        run_id=number,
        resumes=runs.request.branch_id,
        running=False,
        speed_limit=state.speed_limit,
    )
    runs = replace(runs, request=request, trained=model if returns else None)
    state = replace(state, runs=runs, left=left, last_run_id=number)
    return state.with_known(model) if returns and model.run_point is not None else state


def _shipped(state: ControllerState, project: ProjectState) -> Step:
    """With a shipped run, at once that of the first model where that is its last point."""
    model, run = project.document.models[0], project.run
    if run is None or model.network in state.recorded:
        return state, ()
    state = replace(state, recorded={**state.recorded, model.network: project})
    is_first = state.model.network == model.network and state.model.run_point == run.current_point
    if is_first and state.runs.request is None:
        return _with_shipped_run(state, state.model, project, run), (Publish(),)
    return state, ()


def _with_shipped_run(
    state: ControllerState, model: Model, project: ProjectState, run: SavedRun
) -> ControllerState:
    """With the shipped run as that of the first model, which is a point of it."""
    document = replace(project.document, models=(model,))
    state = _with_run(state, replace(project, document=document, speed_limit=state.speed_limit), run)
    return replace(state, runs=replace(state.runs, of_shipped=True))


# -- commands --------------------------------------------------------------------------------------------------


def _executed(state: ControllerState, command: Command) -> Step:
    runs, request = state.runs, state.runs.request
    match command:
        case Start():
            return _train(state, None)
        case Pause() if request is not None and request.running:
            return _publish(state, replace(request, running=False))
        case OneStep():
            return _train(state, "step")
        case OneEpoch():
            return _train(state, "epoch")
        case Restart(seed):
            if seed is not None:
                config, data = replace(runs.config, seed=seed), replace(runs.data, seed=seed)
                state = replace(state, runs=replace(runs, config=config, data=data))
            return _begin(state, "fresh", "nothing")
        case TrainFromCurrentWeights():
            return _begin(state, "weights", None)
        case ShowPoint(point) if request is not None and (request.shown_point != point or not state.live):
            return _show(state, request, point)
        case SetConfig(config):
            return _set_config(state, config)
        case SetData(data):
            return _publish(replace(state, runs=replace(runs, data=data)), request)
        case BranchWithNewData():
            return _branch_with_new_data(state)
        case SetSpeedLimit(steps):
            wanted = None if request is None else replace(request, speed_limit=steps)
            return _publish(replace(state, speed_limit=steps), wanted)
        case SetBranchVisible(branch, visible):
            names = runs.names.with_visible(branch, visible)
            return replace(state, runs=replace(runs, names=names)), (Publish(),)
        case RenameBranch(branch, name) if request is not None and name.strip():
            names = runs.names.renamed(branch, name.strip())
            state = replace(state, runs=replace(runs, names=names))
            return _publish(state, replace(request, branch_names=names.given))
    return state, ()


def _show(state: ControllerState, request: TrainingRequest, point: RunPoint | None) -> Step:
    """Show a point of the history; where the weights shown are of no run, it becomes the Document's."""
    if not state.live:
        if state.runs.training is None or not state.runs.training.branches:
            return state, ()
        state = replace(state, runs=replace(state.runs, trained=state.model, awaits="point"))
    return _publish(state, replace(request, shown_point=point))


def _set_config(state: ControllerState, config: TrainingConfig) -> Step:
    """Use `config` from now on, unless it freezes layers that this network does not have."""
    try:
        state.model.network.layer_indices(config.frozen)
    except ValueError as error:
        return state, (Say(str(error)), Publish())  # the form that shows the refused configuration is reset
    request = state.runs.request
    state = replace(state, runs=replace(state.runs, config=config))
    return _publish(state, None if request is None else replace(request, config=config))


def _train(state: ControllerState, span: Span) -> Step:
    """Resume at the shown point of the history, or begin a fresh run if there is none."""
    request, training = state.runs.request, state.runs.training
    if request is None or not state.live:
        # After an edit of the classes, the other layers and the classes that were kept need not learn again.
        return _begin(state, "fresh" if state.model.fresh_classes is None else "weights", span)
    point = request.shown_point
    if point is None and training is not None and has_done_all_epochs(training, request.config):
        return _begin(state, "fresh", span)
    if training is None:  # the engine has not reported yet
        return _resume(state, request, span) if point is None else _begin(state, point, span)
    if point is None and training.stop_reason is not None and training.request.config == request.config:
        return state, (SayUntilRunning(stop_reason_text(training)),)  # resuming takes another stop condition
    if training.state in ("diverged", "failed"):
        point = point or training.restart_point or training.current_point
        # Without a branch it failed before its first one began.
        return _begin(state, request.origin if point.branch < 0 else point, span)
    if point is not None and point != training.current_point:
        return _begin(_with_settings_of(state, point), point, span)
    return _resume(state, request, span)


def _with_settings_of(state: ControllerState, point: RunPoint) -> ControllerState:
    """With the settings by which the run went on from a point, where those of the form leave nothing to do."""
    runs, training = state.runs, state.runs.training
    per_epoch = -(-TrainingData(runs.data, state.labelled_samples).count // runs.config.batch)
    if training is None or point.step < runs.config.epochs * per_epoch:
        return state
    branch = ancestry(training.branches, point)[-1].branch
    config = configs_up_to(training.branches, point)[-1][1]
    data = training.branch_origins[branch].training_data.generated
    return replace(state, runs=replace(runs, config=config, data=data))


def _resume(state: ControllerState, request: TrainingRequest, span: Span) -> Step:
    """Train on from the last step made."""
    if state.runs.training is not None:
        made = state.runs.training.current_point.step
    elif request.origin == "kept" and request.saved_run is not None:
        made = request.saved_run.current_point.step
    else:
        made = request.origin.step if isinstance(request.origin, RunPoint) else 0
    until = _last_step(state.runs.config, span, made, request.training_data)
    state = replace(state, runs=replace(state.runs, awaits="stop"))
    return _publish(state, replace(request, running=True, stop_at_step=until, shown_point=None))


def _last_step(config: TrainingConfig, span: Span, made: int, data: TrainingData) -> int | None:
    """The step to pause at after the `made` ones; None for none."""
    if span == "epoch":
        per_epoch = -(-data.count // config.batch)
        return (made // per_epoch + 1) * per_epoch
    return None if span is None else made + (span == "step")


def _branch_with_new_data(state: ControllerState) -> Step:
    """Branch at the shown point with the new examples; begin a run with its weights if all epochs are done there,
    a fresh one if there is no point."""
    request, training = state.runs.request, state.runs.training
    if request is None or not state.live:
        return _begin(state, "fresh", None)
    if request.origin != "kept" and (training is None or training.current_point.branch < 0):
        return _begin(state, request.origin, None)
    if training is None:  # a restored run that the engine has not reported yet
        assert request.saved_run is not None
        return _begin(state, request.shown_point or request.saved_run.current_point, None)
    if request.shown_point is None and has_done_all_epochs(training, request.config):
        return _begin(state, "weights", None)  # a branch would have no epoch left
    last = training.restart_point if training.state == "diverged" else None
    return _begin(state, request.shown_point or last or training.current_point, None)


def _begin(state: ControllerState, origin: Origin, span: Span) -> Step:
    """Request a new branch."""
    runs, number = state.runs, state.last_run_id + 1
    if not isinstance(origin, RunPoint):
        config, data = state.settings_from_scratch
        runs = replace(runs, config=config, data=data, of_shipped=False)
    made = origin.step if isinstance(origin, RunPoint) else 0
    until = _last_step(runs.config, span, made, TrainingData(runs.data, state.labelled_samples))
    request = TrainingRequest(
        number,
        state.model,
        origin,
        _branch_name(origin, state.model, runs.config),
        runs.config,
        runs.data,
        state.labelled_samples,
        running=True,
        stop_at_step=until,
        speed_limit=state.speed_limit,
        saved_run=runs.restored_run,
        branch_names=runs.names.given,
    )
    runs = replace(runs, training=None, trained=state.model, awaits="stop")
    return _publish(replace(state, runs=runs, last_run_id=number), request)


def _branch_name(origin: Origin, model: Model, config: TrainingConfig) -> str:
    """The name of a new branch that begins with `model`; the engine knows its number, and which names are taken."""
    match origin:
        case RunPoint(step=made):
            return translate("TrainingController", "from step {0}").format(made)
        case "weights":
            return translate("TrainingController", "from {0}").format(model.name)
        case "fresh":
            return translate("TrainingController", "Run {0}, seed {1}").format("{run}", config.seed)
        case "kept":
            return ""  # it is no new branch


# -- project files ---------------------------------------------------------------------------------------------


def _restored(state: ControllerState, project: ProjectState) -> Step:
    """Continue a saved project, as one undo."""
    text, effects = translate("TrainingController", "restoring a session"), (Publish(),)
    document, limit = project.document, project.speed_limit
    if project.run is None:
        state, _ = _document_changed(
            replace(state, speed_limit=limit), document.models[0], document.labelled_samples
        )
        runs = replace(state.runs, config=project.config, data=project.data, of_shipped=False)
        state = replace(state, runs=runs)
        if (request := state.runs.request) is not None:
            state = _with_request(state, replace(request, config=project.config, speed_limit=limit))
    else:
        state = _with_run(replace(state, speed_limit=limit), project, project.run)
    return state, (ReplaceDocument(document, text), *effects)


def _with_run(state: ControllerState, project: ProjectState, run: SavedRun) -> ControllerState:
    """Continue the run of a saved project in place of those that this session has of its network."""
    model, at, number = project.document.models[0], run.current_point.branch, state.last_run_id + 1
    if model.network != state.model.network:
        state = _left(state)
    left = {network: runs for network, runs in state.left.items() if network not in run.networks}
    training_data, branch = run.branch_origins[at].training_data, run.branches[at].branch
    # The seed of the branch, since a restart with another seed may have been asked for that never began.
    config = replace(project.config, seed=branch.configs[-1][1].seed)
    request = TrainingRequest(
        number,
        model,
        "kept",
        branch.name,
        config,
        training_data.generated,
        training_data.labelled_samples,
        speed_limit=project.speed_limit,
        shown_point=project.shown_point,
        saved_run=run,
        branch_names=project.branch_names,
    )
    runs = NetworkRuns(
        config,
        project.data,
        request,
        trained=model if project.live else None,
        names=BranchNames(dict(project.branch_names)),
        restored_run=run,
        latest_run=run,
    )
    state = replace(state, model=model, runs=runs, left=left, last_run_id=number).without_known(run.networks)
    others = [other for other in project.document.models[1:] if other.network in run.networks]
    known = [other for other in others if other.run_point is not None and other.run_point in run]
    return state.with_known(*known, *([model] if project.live else []))


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
