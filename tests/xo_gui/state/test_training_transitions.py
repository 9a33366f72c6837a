"""Random events in any order on the state of training, beside a small engine that computes nothing: what a user
would notice holds after each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from engine.documents import Document
from engine.nn import Model, Network, Prediction, RunPoint
from engine.runtime import Snapshot, TrainingReport, TrainingRequest
from engine.runtime.protocol import DeviceReport
from engine.training import Branch, BranchOrigin, BranchRecord, Checkpoint, Curves, SavedRun
from tests.conftest import Effort
from tests.xo_gui.workbench import BATCH, NETWORK, OTHER, SMALL, subject
from xo_gui.state import (
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
from xo_gui.state.training_state import ControllerState
from xo_gui.state.training_transitions import (
    DocumentChanged,
    Effect,
    Event,
    NetworkChosen,
    ProjectRestored,
    Publish,
    ReplaceDocument,
    ReplaceModel,
    Say,
    SnapshotArrived,
    step,
)

NOWHERE = RunPoint(-1, 0)
LAST_STEP = 9  # of any branch: a stop condition
NONE = np.zeros(0, np.float32)
CURVES = Curves(*[NONE] * 8)
BEGINNING = (Start, OneStep, OneEpoch, Restart, TrainFromCurrentWeights, BranchWithNewData)
numbers = st.integers(0, 9)
# Which part runs next: the engine reads a request, works, or its loss is not finite; the window takes a snapshot.
acts = st.lists(st.sampled_from("rrwwwwsd"), max_size=8)


@lru_cache
def chosen(network: Network, seed: int) -> Model:
    return subject(network, seed)


@dataclass
class Run:
    """The history of a network in the engine, and the branch in training."""

    restored: SavedRun | None
    branches: list[Branch] = field(default_factory=list)
    origins: list[BranchOrigin] = field(default_factory=list)
    request: TrainingRequest | None = None
    state: str = "preparing"
    at: RunPoint = NOWHERE

    def set_request(self, request: TrainingRequest) -> None:
        if self.request is None or request.branch_id != self.request.branch_id:
            self.state, self.at = "preparing", NOWHERE
            if request.origin == "kept":
                self.at = request.saved_run.current_point
            elif isinstance(request.origin, RunPoint):
                self.at = request.origin
        self.request = request
        for number, name in request.branch_names.items():
            self.branches[number] = replace(self.branches[number], name=name)
        self._run_or_pause()

    def work(self, diverges: bool = False) -> None:
        if self.state == "preparing":
            self._begin(self.request)
        elif self.state == "running" and diverges:
            self.state = "diverged"
        elif self.state == "running":
            self.at = replace(self.at, step=self.at.step + 1)
            self.branches[self.at.branch] = replace(self.branches[self.at.branch], end=self.at.step)
        self._run_or_pause()

    def _begin(self, request: TrainingRequest) -> None:
        if request.origin != "kept":
            parent = request.origin if isinstance(request.origin, RunPoint) else None
            made, number = 0 if parent is None else parent.step, len(self.branches)
            name, network = request.branch_name, request.model.network
            configs = ((made, request.config),)
            self.branches.append(Branch(number, name, network, parent, made, made, CURVES, (), (), configs))
            self.origins.append(BranchOrigin(request.training_data, None))
            self.at = RunPoint(number, made)
        self.state = "paused"

    def _run_or_pause(self) -> None:
        if self.state in ("running", "paused", "ended"):
            until, made = self.request.stop_at_step, self.at.step
            wanted = self.request.running and (until is None or made < until)
            self.state = "ended" if made >= LAST_STEP else "running" if wanted else "paused"

    @property
    def shown(self) -> RunPoint:
        return (self.request.shown_point if self.state != "preparing" else None) or self.at

    def report(self) -> TrainingReport:
        return TrainingReport(
            run_id=self.request.run_id,
            request=self.request,
            state=self.state,
            message="The loss is not finite." if self.state == "diverged" else "",
            stop_reason="steps" if self.state == "ended" else None,
            accuracy=0.5,
            data_progress=1.0,
            current_point=self.at,
            shown_point=self.shown,
            is_exact=True,
            steps_per_epoch=4,
            steps_per_second=None,
            restart_point=None,
            branches=tuple(self.branches),
            branch_origins=tuple(self.origins),
            keyframes=(),
            examples=None,
            held_out=None,
            batch=NONE,
            gradients={},
            saved_run=self.saved(),
        )

    def saved(self) -> SavedRun | None:
        if self.state == "preparing":
            return self.restored
        parameters = self.request.model.parameters
        records = tuple(
            BranchRecord(branch, {branch.end: Checkpoint(parameters, {}, branch.end)}, frozenset())
            for branch in self.branches
        )
        return SavedRun(records, tuple(self.origins), self.at, 1, self.request.run_id)


@dataclass(frozen=True)
class Asked:
    """What the window asks the engine for."""

    generation: int
    model: Model
    request: TrainingRequest | None
    live: bool


class Engine:
    """Carries out what is asked, one run for each network."""

    def __init__(self) -> None:
        self.runs: dict[Network, Run] = {}
        self.asked: Asked | None = None

    @property
    def run(self) -> Run | None:
        return (
            None
            if self.asked is None or self.asked.request is None
            else self.runs[self.asked.request.model.network]
        )

    def read(self, asked: Asked) -> None:
        self.asked = asked
        if (request := asked.request) is not None:
            run = self.runs.get(request.model.network)
            if run is None or (request.resumes is None and request.saved_run is not run.restored):
                saved = request.saved_run
                run = Run(saved)
                if saved is not None:
                    run.branches, run.origins = [each.branch for each in saved.branches], list(saved.branch_origins)
                self.runs[request.model.network] = run
            run.set_request(request)

    def snapshot(self) -> Snapshot:
        asked, run = self.asked, self.run
        model = asked.model
        if asked.live and run is not None and run.shown.branch >= 0:
            model = replace(model, run_point=None)
        prediction = Prediction(model, (), NONE, "unsure", ())
        document = Document.blank(asked.model)
        report = None if run is None else run.report()
        device = DeviceReport()
        return Snapshot(
            asked.generation, document.input, (prediction,), device, (), None, True, 0.0, 0.0, training=report
        )


class World(RuleBasedStateMachine):
    """A window without widgets: the Document's models, undo and redo, and the two mailboxes."""

    def __init__(self) -> None:
        super().__init__()
        first = chosen(NETWORK, 1)
        self.state, self.engine = ControllerState.initial(Document.blank(first)), Engine()
        self.models, self.at, self.generation = [first], 0, 1
        self.asked: Asked | None = None
        self.snapshot: Snapshot | None = None
        self.effects: list[Effect] = []
        self.looked = False  # since training ran or the models were replaced
        self.points: set[Model] = set()  # models that training has reached
        self.left: dict[Network, tuple[object, ...]] = {}
        self.happen(SetData(SMALL))
        self.happen(SetConfig(replace(self.state.settings.config, batch=BATCH)))

    @property
    def request(self) -> TrainingRequest | None:
        return self.state.runs.request

    @property
    def model(self) -> Model:
        return self.models[self.at]

    def happen(self, event: Event) -> list[Effect]:
        """One event; what follows from it is carried out. Returns the effects."""
        before = self.state
        self.state, effects = step(before, event)
        self.check(before, event)
        for effect in effects:
            if isinstance(effect, ReplaceModel):
                assert isinstance(event, SnapshotArrived), "only what training has reached becomes the Document's"
                self.points.add(effect.model)
                self.push(effect.model)
            elif isinstance(effect, ReplaceDocument):
                self.push(effect.document.models[0])
            elif isinstance(effect, Publish):
                self.ask()
        return list(effects)

    def check(self, before: ControllerState, event: Event) -> None:
        """What an event may change."""
        old, new = before.runs.request, self.request
        is_other = self.state.model.network != before.model.network
        restored = isinstance(event, ProjectRestored) and event.project.run is not None
        if restored or isinstance(event, (Restart, TrainFromCurrentWeights)):
            assert new.run_id > before.last_run_id
        elif not isinstance(event, BEGINNING) and not is_other:
            assert self.state.last_run_id == before.last_run_id, "no branch begins by itself"
            assert (new is None) == (old is None)
        assert (
            (new is None)
            or old is None
            or new.run_id > old.run_id
            or (new.origin, new.model) == (old.origin, old.model)
        )
        if self.state.settings.running and not (before.settings.running and not is_other):
            assert isinstance(event, BEGINNING), "nothing but a command starts training"
            assert self.state.live, "what is trained is what is shown"
            self.looked = False
        if isinstance(event, SnapshotArrived) and before.settings.running and not self.state.settings.running:
            assert event.snapshot.training.request is old, "a report from before Start does not stop what it asks"

    def push(self, model: Model) -> None:
        self.models[self.at + 1 :] = [model]
        self.move_to(self.at + 1)

    def move_to(self, place: int) -> None:
        self.looked = False
        if self.models[place] is not self.models[self.at]:
            self.generation += 1
        self.at = place
        self.happen(DocumentChanged(self.model, self.state.labelled_samples))
        self.ask()

    def ask(self) -> None:
        self.asked = Asked(self.generation, self.model, self.request, self.state.trains(self.model))

    # -- what the user does ------------------------------------------------------------------------------------

    @rule(
        command=st.sampled_from(
            [
                *(Start(), OneStep(), OneEpoch()) * 2,
                *(Pause(), Restart(), Restart(7), TrainFromCurrentWeights(), BranchWithNewData(), SetData(SMALL)),
                *(SetSpeedLimit(3.0), SetSpeedLimit(None), SetBranchVisible(0, False), SetBranchVisible(0, True)),
            ]
        ),
        acts=acts,
    )
    def command(self, command: Command, acts: list[str]) -> None:
        self.happen(command)
        if isinstance(command, Pause):
            assert not self.state.settings.running
        self.time_passes(acts)

    @rule(batch=st.integers(5, 9))
    def configure(self, batch: int) -> None:
        self.happen(SetConfig(replace(self.state.settings.config, batch=batch)))
        assert self.request is None or self.request.config == self.state.settings.config

    @rule()
    def refuse(self) -> None:
        before = self.state.settings
        effects = self.happen(SetConfig(replace(before.config, frozen=("conv2d-99",))))
        assert any(isinstance(effect, Say) for effect in effects)
        assert self.state.settings == before

    @precondition(lambda self: self.state.runs.training is not None and self.state.runs.training.branches)
    @rule(branch=numbers, made=st.one_of(st.none(), numbers))
    def look_back(self, branch: int, made: int | None) -> None:
        branches = self.state.runs.training.branches
        self.looked = True
        branch %= len(branches)
        self.happen(ShowPoint(None if made is None else RunPoint(branch, made % (branches[branch].end + 1))))
        assert not self.state.live or self.request.shown_point is None or self.request.shown_point.branch == branch

    @precondition(lambda self: self.state.runs.training is not None and self.state.runs.training.branches)
    @rule(number=numbers)
    def rename(self, number: int) -> None:
        self.happen(RenameBranch(0, f"Name {number}"))
        assert self.request.branch_names[0] == f"Name {number}"

    @rule()
    def draw(self) -> None:
        """A stroke changes the Document, but not its models: training goes on as it did, or stands as it did."""
        request = self.request
        assert self.happen(DocumentChanged(self.model, self.state.labelled_samples)) == []
        assert self.request is request
        self.ask()

    @precondition(lambda self: self.at > 0)
    @rule()
    def undo(self) -> None:
        self.travel(self.at - 1)

    @precondition(lambda self: self.at + 1 < len(self.models))
    @rule()
    def redo(self) -> None:
        self.travel(self.at + 1)

    def travel(self, place: int) -> None:
        self.leave()
        same, other = self.models[place] is self.model, self.models[place].network != self.model.network
        self.move_to(place)
        if same:
            return
        assert not self.state.settings.running
        if self.model in self.points:
            assert self.state.live
            assert self.request.shown_point == self.model.run_point, "the point of its weights is shown"
        elif not self.state.is_known(self.model):
            assert not self.state.live, "its weights are of no run"
        if other:
            self.is_as_left()

    @rule(network=st.sampled_from([NETWORK, OTHER]), seed=st.integers(1, 3))
    def choose(self, network: Network, seed: int) -> None:
        self.leave()
        other = network != self.model.network
        self.push(replace(chosen(network, seed)))
        assert not self.state.settings.running
        if other:
            self.is_as_left()

    @precondition(lambda self: self.state.left)
    @rule(network=st.sampled_from([NETWORK, OTHER]))
    def come_back(self, network: Network) -> None:
        """Choose a network that was left, as the menu does."""
        self.happen(NetworkChosen(network))
        left, model = self.state.left.get(network), self.state.returning
        assert (model is not None) == (left is not None and left.trained is not None)
        if model is not None:
            self.leave()
            self.push(model)
            assert self.state.live
            assert self.state.runs.awaits == left.awaits
            self.is_as_left()

    def leave(self) -> None:
        if self.request is not None:
            self.left[self.model.network] = self.settings_of_run()

    def is_as_left(self) -> None:
        if self.model.network in self.left:
            assert self.settings_of_run() == self.left[self.model.network], "its run is as it was left"

    def settings_of_run(self) -> tuple[object, ...]:
        runs = self.state.runs
        given = dict(runs.names.given), runs.names.hidden
        asked = None if self.request is None else (self.request.branch_id, self.request.branch_name)
        return runs.config, runs.data, asked, given, runs.latest_run

    @rule()
    def save_and_restore(self) -> None:
        document, before, looked = Document.blank(self.model), self.state, self.looked
        project = before.project(document, None)
        # A file is read into new objects.
        read, run = replace(project.document.models[0]), project.run and replace(project.run, run_id=0)
        project = replace(project, document=project.document.with_models((read,)), run=run)
        if project.run is not None:
            self.points = {model for model in self.points if model.network not in project.run.networks}
        self.left.pop(self.model.network, None)
        self.happen(ProjectRestored(project))
        self.looked = looked  # what was shown is shown again
        assert self.model is read
        assert not self.state.settings.running
        assert (self.state.settings.config.batch, self.state.speed_limit) == (
            before.settings.config.batch,
            before.speed_limit,
        )
        if project.run is not None:
            assert self.request.origin == "kept"
            assert self.state.live == project.live
            assert dict(self.request.branch_names) == project.branch_names

    # -- time --------------------------------------------------------------------------------------------------

    def time_passes(self, acts: list[str]) -> None:
        for act in acts:
            {"r": self.read, "w": self.work, "s": self.take, "d": lambda: self.work(diverges=True)}[act]()

    def read(self) -> None:
        if self.asked is not None:
            self.engine.read(self.asked)
            self.asked, self.snapshot = None, self.engine.snapshot()

    def work(self, diverges: bool = False) -> None:
        if self.engine.run is not None:
            self.engine.run.work(diverges)
            self.snapshot = self.engine.snapshot()

    def take(self) -> None:
        snapshot, self.snapshot = self.snapshot, None
        if snapshot is not None and snapshot.generation >= self.generation:
            self.happen(SnapshotArrived(snapshot))

    def settle(self) -> None:
        """Until two rounds of all three parts change nothing."""
        quiet = 0
        for _ in range(100):
            before = self.at_work()
            self.read()
            self.work()
            self.take()
            quiet = quiet + 1 if before == self.at_work() else 0
            if quiet == 2:
                return
        raise AssertionError("the work does not end")

    def at_work(self) -> tuple[object, ...]:
        run = self.engine.run
        return self.request, self.model, run and (run.state, run.at)

    @rule(command=st.sampled_from([OneStep(), OneEpoch(), OneStep(), Restart()]))
    def train_and_wait(self, command: Command) -> None:
        self.happen(command)
        self.rest()

    @rule()
    def rest(self) -> None:
        """Once all is done, the Document has the weights that training stopped at, and nothing more happens."""
        self.settle()
        settings, training = self.state.settings, self.state.runs.training
        assert not settings.running
        assert self.state.is_stopped
        if self.request is not None and self.state.live:
            assert training.request is self.request
            assert training.shown_point == (settings.shown_point or training.current_point)
            assert settings.shown_point != training.current_point, "to show the last step is not to look back"
            if settings.shown_point is None and self.model.run_point is not None and not self.looked:
                assert self.model.run_point == training.current_point
        if self.engine.asked is not None:
            assert self.happen(SnapshotArrived(self.engine.snapshot())) == [], "it was all known"
        made = None if training is None else training.current_point
        self.draw()
        self.settle()
        assert training is None or self.state.runs.training.current_point == made, "a stroke starts no training"

    # -- invariants --------------------------------------------------------------------------------------------

    @invariant()
    def the_document_is_the_one_on_the_undo_stack(self) -> None:
        assert self.state.model is self.model

    @invariant()
    def the_report_is_of_the_branch_requested(self) -> None:
        training = self.state.runs.training
        assert training is None or training.request.branch_id == self.request.branch_id

    @invariant()
    def nothing_runs_without_a_request(self) -> None:
        assert self.request is not None or not self.state.settings.running


def test_any_events_in_any_order(effort: Effort) -> None:
    run_state_machine_as_test(
        World, settings=settings(max_examples=effort(100, 5_000), stateful_step_count=40, deadline=None)
    )
