"""Random user actions in any order, with an engine of any speed: the Document equals that of a simple reference
model, undo and redo give the same bytes, and the history is never overwritten."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from engine.backends import choose_backend
from engine.data import ExamplePool, FixedSource
from engine.documents import Document, save_project
from engine.documents.project_file import load_project
from engine.nn import Network, RunPoint
from engine.runtime import TrainingReport
from engine.training import Branch, BranchOrigin, Checkpoint, SavedRun, Trainer
from tests.conftest import Effort
from tests.xo_gui.conftest import OpenWindow
from tests.xo_gui.workbench import NETWORK, OTHER, SMALL, Workbench, stroke, subject
from xo_gui.state import Command, OneEpoch, OneStep, Pause, Restart, SetConfig, SetData, ShowPoint, Start

CPU = choose_backend("cpu")
EPOCHS = 4
numbers = st.integers(0, 100)
commands = st.sampled_from([Start(), Start(), Pause(), OneStep(), OneEpoch(), OneEpoch()])
# Which part runs next: the engine reads a request, the engine works, the window takes a snapshot; mostly work.
orders = st.lists(st.sampled_from([0, 1, 1, 1, 1, 2]), min_size=10, max_size=60)


@dataclass(frozen=True)
class Seen:
    """The visible parts of a Document: where its strokes begin, its network, its weights."""

    strokes: tuple[float, ...]
    network: Network
    weights: bytes


def weights_of(parameters: object) -> bytes:
    assert hasattr(parameters, "items")
    return b"".join(np.asarray(values).tobytes() for _, values in sorted(parameters.items()))


def seen(document: Document) -> Seen:
    first = document.models[0]
    starts = tuple(round(float(each.points[0, 0]), 3) for each in document.input.source.strokes)
    return Seen(starts, first.network, weights_of(first.parameters))


class Reference:
    """Computes the weights at any point of the history by training from the initial weights, without keyframes."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Checkpoint] = {}

    def weights(self, network: Network, training: TrainingReport | SavedRun, point: RunPoint) -> bytes:
        """The weights at a point of the branches of a training report or a saved run."""
        kept = isinstance(training, SavedRun)
        branches = [line.branch for line in training.branches] if kept else list(training.branches)
        return weights_of(self._at(network, branches, training.branch_origins, point).parameters)

    def _at(
        self, network: Network, branches: Sequence[Branch], origins: Sequence[BranchOrigin], point: RunPoint
    ) -> Checkpoint:
        branch, training_data = branches[point.branch], origins[point.branch].training_data
        if branch.parent is not None and point.step <= branch.start:
            return self._at(network, branches, origins, replace(branch.parent, step=point.step))
        before = None if branch.parent is None else self._at(network, branches, origins, branch.parent)
        parts = [(max(step, branch.start), config) for step, config in branch.configs if step < point.step]
        ends = [step for step, _ in parts[1:]] + [point.step]
        key: tuple[object, ...] = (network, training_data, None if before is None else id(before))
        for (_, config), end in zip(parts or [(0, branch.configs[0][1])], ends, strict=True):
            key = (*key, config, end)
            if key not in self._known:
                self._known[key] = self._on(network, training_data, config, before, end)
            before = self._known[key]
        assert before is not None
        return before

    def _on(self, network: Network, training_data, config, before: Checkpoint | None, end: int) -> Checkpoint:
        pool = ExamplePool(training_data.generated, training_data.labelled_samples)
        while pool.progress < 1:
            pool.generate_next()
        trainer = Trainer(network, FixedSource(pool.training), config, CPU, None, pool.held_out, before)
        steps = trainer.run()
        while trainer.steps_made < end:
            next(steps)
        return trainer.checkpoint()


class User(RuleBasedStateMachine):
    """Random actions of a user. `stack` is the reference of the undo stack: what was seen after each edit."""

    reference = Reference()

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.folder = pytest.MonkeyPatch(), TemporaryDirectory()
        self.open(Workbench(self.patch))
        self.stack, self.at = [seen(self.document)], 0

    def open(self, bench: Workbench) -> None:
        self.bench, self.edits, self.number, self.pen, self.came_back = bench, [], 0, None, False
        self.curves: dict[tuple[int, int], list[bytes]] = {}
        bench.execute(SetConfig(replace(bench.control.settings.config, epochs=EPOCHS)))
        edit = bench.session.edit

        def watched(document: Document, text: str, merge: str = "") -> None:
            self.edits.append((document, text))
            edit(document, text, merge)

        self.patch.setattr(bench.session, "edit", watched)

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    @property
    def document(self) -> Document:
        return self.bench.session.settled

    @property
    def training(self) -> TrainingReport | None:
        return None if self.bench.last is None else self.bench.last.training

    def edited(self, expected: Seen) -> None:
        """Apply an edit of the user to the reference, after the edits that training made before."""
        document, _ = self.edits.pop()
        self.trained()
        self.stack[self.at + 1 :] = [expected]
        self.at += 1
        assert seen(document) == expected

    def trained(self) -> None:
        """Apply the edits of training to the reference: they replace only the weights, by those of their step."""
        for document, text in self.edits:
            point = document.models[0].run_point
            assert text == f"training to step {point.step}"
            training = self.training
            assert training is not None
            weights = self.reference.weights(document.models[0].network, training, point)
            self.stack[self.at + 1 :] = [replace(self.stack[self.at], weights=weights)]
            self.at += 1
        self.edits.clear()

    # -- drawing, undo -----------------------------------------------------------------------------------------

    def draw(self, x: int) -> None:
        self.lift()
        self.press(x)
        self.lift()

    @rule(x=numbers)
    def press(self, x: int) -> None:
        self.lift()
        session, self.pen = self.bench.session, x / 1000
        drawing = self.document.input.source.with_stroke(stroke(self.pen))
        session.preview(session.document.with_source(drawing))

    @rule()
    def lift(self) -> None:
        session, pen, self.pen = self.bench.session, self.pen, None
        if pen is None or session.document.input.source is self.document.input.source:
            return
        session.edit(session.document, "Pen stroke")
        was = self.stack[self.at]
        self.edited(replace(was, strokes=(*was.strokes, round(pen, 3))))

    @rule(back=st.booleans(), times=st.integers(1, 5))
    def turn_back_or_forth(self, back: bool, times: int) -> None:
        stack, was = self.bench.session.undo_stack, self.document.models[0]
        for _ in range(times):
            (stack.undo if back else stack.redo)()
            self.trained()
            self.at = max(0, self.at - 1) if back else min(len(self.stack) - 1, self.at + 1)
        self.came_back = self.came_back or self.document.models[0] is not was

    @rule()
    def undo_all_and_redo_all(self) -> None:
        self.lift()
        stack, place = self.bench.session.undo_stack, self.at
        document = self.document
        for at in range(place, 0, -1):
            assert seen(self.document) == self.stack[at]
            stack.undo()
        assert seen(self.document) == self.stack[0]
        stack.setIndex(place)
        assert self.document is document

    @rule(other=st.sampled_from([True, False, False]), seed=st.integers(1, 2))
    def choose_network(self, other: bool, seed: int) -> None:
        self.lift()
        chosen = subject(OTHER if other else NETWORK, seed)
        self.bench.session.edit(replace(self.document, models=(chosen,)), "network")
        was = self.stack[self.at]
        self.edited(Seen(was.strokes, chosen.network, weights_of(chosen.parameters)))

    @rule(other=st.booleans())
    def come_back_to_a_network(self, other: bool) -> None:
        """As the button of a network that was trained before another one was chosen."""
        self.lift()
        left = self.bench.control.returning_model(OTHER if other else NETWORK)
        if left is not None:
            self.came_back = False
            self.bench.session.edit(replace(self.document, models=(left,)), "network")
            self.edited(Seen(self.stack[self.at].strokes, left.network, weights_of(left.parameters)))

    # -- training ----------------------------------------------------------------------------------------------

    @rule(command=commands, order=orders)
    def train(self, command: Command, order: list[int]) -> None:
        self.came_back = False
        self.bench.execute(command)
        self.pass_time(order)

    @rule(seed=st.one_of(st.none(), st.integers(1, 3)))
    def start_over(self, seed: int | None) -> None:
        self.came_back = False
        self.bench.execute(Restart(seed))

    @rule(
        rate=st.sampled_from([0.001, 0.003, 0.01]),
        batch=st.sampled_from([10, 10, 10, 20]),
        count=st.sampled_from([None, None, None, 30, 40]),
        command=commands,
        order=orders,
    )
    def change(self, rate: float, batch: int, count: int | None, command: Command, order: list[int]) -> None:
        """Change the hyperparameters from now on, or the data of the next run."""
        settings, self.came_back = self.bench.control.settings, False
        if count is not None:
            self.bench.execute(SetData(replace(settings.data, count=count, held_out=SMALL.held_out)))
        else:
            config = settings.config
            self.bench.execute(
                SetConfig(replace(config, batch=batch, optimizer=replace(config.optimizer, rate=rate)))
            )
        self.bench.execute(command)
        self.pass_time(order)

    @precondition(lambda self: self.training is not None and self.training.branches)
    @rule(branch=numbers, step=st.one_of(st.none(), numbers, numbers))
    def jump(self, branch: int, step: int | None) -> None:
        assert self.training is not None
        self.came_back = False
        line = self.training.branches[branch % len(self.training.branches)]
        self.bench.execute(ShowPoint(None if step is None else RunPoint(line.number, step % (line.end + 1))))

    # -- time --------------------------------------------------------------------------------------------------

    @rule(order=orders)
    def time_passes(self, order: list[int]) -> None:
        self.pass_time(order)

    def pass_time(self, order: list[int]) -> None:
        for act in order:
            (self.bench.answer, self.bench.work, self.bench.take)[act]()

    @rule()
    def wait(self) -> None:
        """A second rule for rest(), so that it is chosen more often."""
        self.rest()

    @rule()
    def rest(self) -> None:
        """Wait until all work is done; the snapshot then equals the reference, and a stroke starts no training."""
        last = self.bench.settle()
        self.trained()
        control, training, shown = self.bench.control, last.training, last.predictions[0].model
        assert not control.settings.running
        assert not self.bench.notices
        if not control.live:
            assert shown is self.document.models[0]
        else:
            assert training is not None
            expected = self.reference.weights(shown.network, training, training.shown_point)
            assert weights_of(shown.parameters) == expected
            assert training.is_exact
            if self.came_back:  # and has asked for nothing else since
                assert weights_of(shown.parameters) == weights_of(self.document.models[0].parameters)
            assert (
                training.shown_point.step
                == (
                    training.current_point if control.request.shown_point is None else control.request.shown_point
                ).step
            )
        if training is not None:
            self.check_history(training)
        self.draw(50)
        again = self.bench.settle()
        assert again.training is None or again.training.current_point == training.current_point

    def check_history(self, training: TrainingReport) -> None:
        """Earlier curves are unchanged, and keyframes equal the weights of training from the start."""
        run = self.bench.runner._run
        assert run is not None
        first = id(run._history)
        for branch in training.branches:
            curve = [value.tobytes() for value in branch.curves.losses]
            before = self.curves.get((first, branch.number), [])
            assert curve[: len(before)] == before
            self.curves[first, branch.number] = curve
        network = run._phase.request.model.network
        for line in run._history.records():
            for step in sorted(line.keyframes)[-3:]:
                expected = self.reference.weights(network, training, RunPoint(line.branch.number, step))
                assert weights_of(line.keyframes[step].parameters) == expected

    @rule(closed=st.booleans())
    def end_and_start_again(self, closed: bool) -> None:
        """The program is closed or crashes; the next session restores the autosaved project."""
        self.pen = None
        path = Path(self.folder.name) / "1.session"
        work = self.bench.control.project_state(self.bench.runner.saved_run() if closed else None)
        save_project(path, work)
        expected = self.stack[self.at]
        if work.document is not self.document:  # its weights were not committed yet
            assert work.run is not None
            weights = self.reference.weights(work.run.network, work.run, work.run.current_point)
            expected = replace(expected, weights=weights)
        self.open(Workbench(self.patch))
        self.stack, self.at = [seen(self.document)], 0
        self.bench.control.restore(load_project(path))
        self.edited(expected)

    # -- invariants --------------------------------------------------------------------------------------------

    @invariant()
    def the_document_is_the_model_s(self) -> None:
        self.trained()
        assert seen(self.document) == self.stack[self.at]
        assert self.bench.session.undo_stack.index() == self.at

    @invariant()
    def goals_are_numbered_upwards(self) -> None:
        request = self.bench.control.request
        if request is not None:
            assert request.run_id >= self.number
            self.number = request.run_id


def test_any_actions_in_any_order(qapp: object, effort: Effort) -> None:
    run_state_machine_as_test(
        User, settings=settings(max_examples=effort(60, 2_000), stateful_step_count=50, deadline=None)
    )


def test_any_actions_in_the_real_window_end_in_a_consistent_state(
    open_window: OpenWindow, qtbot, effort: Effort
) -> None:
    """The same with the engine in its thread, which is as quick or slow as the machine makes it."""
    window, rng, reference = open_window(), random.Random(11), Reference()
    session, control = window.session, window.training
    session.edit(replace(session.document, models=(subject(),)), "network")
    control.execute(SetData(SMALL))
    control.execute(SetConfig(replace(control.settings.config, batch=10, epochs=EPOCHS, seed=5)))
    first = session.undo_stack.index()

    def jump() -> None:
        training = window.last.training
        if training is not None and training.branches:
            line = rng.choice(training.branches)
            control.execute(
                rng.choice([ShowPoint(None), ShowPoint(RunPoint(line.number, rng.randint(0, line.end)))])
            )

    def draw() -> None:
        drawing = session.document.input.source.with_stroke(stroke(rng.random()))
        session.edit(session.document.with_source(drawing), "Pen stroke")

    def undo() -> None:
        if session.undo_stack.index() > first:
            session.undo_stack.undo()

    commands = [Start(), Start(), Pause(), OneStep(), OneEpoch(), Restart(), Restart(3)]
    acts = [*(partial(control.execute, command) for command in commands), undo, session.undo_stack.redo, draw, jump]

    def at_rest() -> None:
        last = window.last
        assert last.generation == session.generation
        assert last.input.source is session.document.input.source
        assert not control.settings.running
        assert (last.training is None) == (control.request is None)
        if last.training is not None:
            assert last.training.request is control.request
            assert last.training.state in ("paused", "ended")
            assert last.training.is_exact

    for _ in range(effort(6, 1_000)):
        for _ in range(rng.randint(3, 12)):
            rng.choice(acts)()
            qtbot.wait(rng.choice([0, 0, 5, 30]))
        control.execute(Pause())
        qtbot.waitUntil(at_rest, timeout=30_000)
        last, held = window.last, session.document.models[0]
        shown = last.predictions[0].model
        if control.live:
            expected = reference.weights(NETWORK, last.training, last.training.shown_point)
            assert weights_of(shown.parameters) == expected
        else:
            assert shown is held
        if held.run_point is not None and last.training is not None:
            assert weights_of(held.parameters) == reference.weights(NETWORK, last.training, held.run_point)


def test_back_at_the_weights_that_a_run_began_from_they_are_shown_and_not_the_run_s(qapp: object) -> None:
    """Found by the random test: another network was chosen before the first snapshot of a restart, and undone."""
    user = User()
    try:
        user.start_over(seed=None)
        user.choose_network(other=False, seed=1)
        user.turn_back_or_forth(back=True, times=1)
        user.rest()
    finally:
        user.teardown()
