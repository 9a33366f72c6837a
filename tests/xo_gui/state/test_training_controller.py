"""What the first model is, what is shown of a run and what a new one counts, with an engine beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from engine.documents import ProjectState
from engine.nn import Model, RunPoint
from engine.runtime import Snapshot
from engine.training import SGD
from tests.xo_gui.workbench import NETWORK, OTHER, Workbench, subject
from xo_gui.state import (
    BranchWithNewData,
    ComparisonController,
    OneEpoch,
    OneStep,
    Pause,
    RenameBranch,
    Restart,
    SetConfig,
    SetData,
    ShowPoint,
    Start,
    SwapModels,
    TrainFromCurrentWeights,
)


@pytest.fixture
def bench(qapp: object) -> Iterator[Workbench]:
    with pytest.MonkeyPatch.context() as patch:
        yield Workbench(patch)


def choose(bench: Workbench, model: Model) -> Model:
    bench.session.edit(replace(bench.session.document, models=(model,)), "network")
    return model


def shown(bench: Workbench) -> Snapshot:
    """What is on the screen once all work is done; the Document holds the same weights."""
    last = bench.settle()
    assert same(last.predictions[0].model, bench.subject)
    return last


def same(one: Model, other: Model) -> bool:
    return all(np.array_equal(one.parameters[name], other.parameters[name]) for name in one.parameters)


@pytest.mark.parametrize(("command", "steps"), [(OneStep(), 1), (OneEpoch(), 4)])
def test_a_network_chosen_again_counts_its_steps_from_the_start(
    bench: Workbench, command: object, steps: int
) -> None:
    bench.execute(OneEpoch())
    bench.execute(OneStep())
    bench.settle()
    choose(bench, subject())
    bench.execute(command)
    training = shown(bench).training
    assert training.current_point == RunPoint(1, steps)
    assert training.branches[0].end in (1, 4, 5), "the first run is still there"


def test_a_step_after_a_divergence_is_one_step_from_where_it_continues(bench: Workbench) -> None:
    bench.execute(OneEpoch())
    bench.settle()
    calm = bench.control.settings.config
    bench.execute(SetConfig(replace(calm, optimizer=SGD(1e30))))
    bench.execute(OneEpoch())
    training = bench.settle().training
    assert training.state == "diverged"
    start = training.restart_point
    bench.execute(SetConfig(calm))
    bench.execute(OneStep())
    assert bench.settle().training.current_point.step == start.step + 1


def test_a_step_on_other_examples_ends_at_their_epoch(bench: Workbench) -> None:
    bench.execute(OneStep())
    bench.settle()
    bench.execute(SetConfig(replace(bench.control.settings.config, batch=20)))
    bench.execute(OneEpoch())
    assert bench.settle().training.current_point == RunPoint(0, 2)
    bench.execute(SetData(replace(bench.control.settings.data, count=200)))  # for the next run
    bench.execute(OneEpoch())
    assert bench.settle().training.current_point == RunPoint(0, 4)


def test_a_network_that_was_left_by_undo_keeps_its_run_though_another_trained(bench: Workbench) -> None:
    bench.execute(OneEpoch())
    bench.settle()
    choose(bench, subject(OTHER))
    bench.execute(OneStep())
    assert bench.settle().training.current_point == RunPoint(0, 1)
    for _ in range(2):
        bench.session.undo_stack.undo()
    training = shown(bench).training
    assert training.current_point == RunPoint(0, 4)
    assert bench.control.settings.shown_point is None, "it stands at its latest step"
    bench.execute(OneStep())
    assert bench.settle().training.current_point == RunPoint(0, 5)
    for _ in range(3):
        bench.session.undo_stack.redo()


@pytest.mark.parametrize("pause", [True, False])
def test_a_network_is_taken_up_again_as_it_was_left(bench: Workbench, pause: bool) -> None:
    bench.execute(Start())
    bench.until_step(3)
    if pause:
        bench.execute(Pause())
        bench.settle()
    choose(bench, subject(OTHER))
    bench.execute(OneStep())
    bench.settle()
    back = bench.control.returning_model(NETWORK)
    assert back is not None
    choose(bench, back)
    training = shown(bench).training
    made = training.current_point.step
    assert made >= 3
    assert bench.subject.run_point == training.current_point
    assert [branch.end for branch in training.branches] == [made]
    bench.execute(OneStep())
    assert bench.settle().training.current_point == RunPoint(0, made + 1)
    other = bench.control.returning_model(OTHER)
    choose(bench, other)
    assert shown(bench).training.current_point == RunPoint(0, 1)


def test_a_network_left_with_weights_of_no_run_is_not_taken_up(bench: Workbench) -> None:
    bench.execute(OneStep())
    bench.settle()
    choose(bench, subject())
    bench.settle()
    choose(bench, subject(OTHER))
    assert bench.control.returning_model(NETWORK) is None
    assert bench.control.returning_model(OTHER) is None, "it is the one shown"


def test_going_to_a_point_from_weights_of_no_run_makes_it_the_network_as_one_undo(bench: Workbench) -> None:
    bench.execute(OneEpoch())
    bench.settle()
    chosen = choose(bench, subject())
    bench.settle()
    assert not bench.control.live
    count = bench.session.undo_stack.count()
    bench.execute(ShowPoint(RunPoint(0, 2)))
    assert shown(bench).training.shown_point == RunPoint(0, 2)
    assert bench.subject.run_point == RunPoint(0, 2)
    assert bench.session.undo_stack.count() == count + 1
    bench.session.undo_stack.undo()
    assert shown(bench).predictions[0].model is chosen
    bench.execute(ShowPoint(None))
    shown(bench)
    assert bench.subject.run_point == RunPoint(0, 4)


def test_networks_are_swapped_once_training_has_paused_also_while_an_earlier_step_is_shown(
    bench: Workbench,
) -> None:
    comparison = ComparisonController(bench.session, bench.control)
    comparison.compare_with(other := subject(OTHER))
    bench.execute(Start())
    bench.until_step(3)
    bench.execute(ShowPoint(RunPoint(0, 1)))
    comparison.execute(SwapModels())
    comparison.on_snapshot(bench.settle())
    first, second = bench.session.document.models
    assert first is other
    assert second.run_point == RunPoint(0, 1), "the weights that were on the screen"


def test_the_model_on_the_screen_has_the_weights_on_the_screen(bench: Workbench) -> None:
    assert bench.control.shown_model is bench.subject
    bench.execute(Start())
    bench.until_step(3)
    at = bench.last.training.shown_point
    for point, text in ((at, f"step {at.step} of Run 1, seed 5"), (RunPoint(0, 1), "step 1 of Run 1, seed 5")):
        model = bench.control.shown_model
        assert model.run_point == point
        assert model.origin == {"moment": text}
        assert same(model, bench.last.predictions[0].model)
        assert not same(model, bench.subject)
        bench.execute(Pause())
        bench.settle()
        bench.execute(ShowPoint(RunPoint(0, 1)))
        bench.settle()


def test_a_restored_project_stands_at_its_step_while_its_examples_are_made(bench: Workbench) -> None:
    bench.execute(OneEpoch())
    bench.settle()
    bench.execute(ShowPoint(RunPoint(0, 2)))
    bench.settle()
    saved = bench.control.project_state()
    with pytest.MonkeyPatch.context() as patch:
        for project in (saved, replace(saved, shown_point=None)):
            other = Workbench(patch)
            other.control.restore(project)
            assert isinstance(project, ProjectState)
            while not (other.take() or other.answer()):
                pass
            other.take()
            training = other.last.training
            assert training.state == "preparing"
            assert training.current_point == RunPoint(0, 4)
            assert training.shown_point.step <= 2 if project.shown_point else training.shown_point == RunPoint(0, 4)
            expected = saved.run.branches[0].keyframes[training.shown_point.step].parameters
            weights = other.last.predictions[0].model.parameters
            assert all(np.array_equal(weights[name], expected[name]) for name in weights)


@pytest.mark.parametrize("branches", [True, False])
def test_a_project_saved_before_its_branch_is_begun_opens_with_the_weights_of_then(
    bench: Workbench, branches: bool
) -> None:
    bench.execute(OneStep())
    bench.settle()
    bench.execute(OneStep())
    bench.settle()
    if branches:
        bench.session.undo_stack.undo()
        bench.execute(Start())
    else:
        choose(bench, subject(seed=9))
        bench.execute(TrainFromCurrentWeights())
    project = bench.control.project_state()
    with pytest.MonkeyPatch.context() as patch:
        other = Workbench(patch)
        other.control.restore(project)
        assert same(shown(other).predictions[0].model, bench.subject)
        assert other.control.settings.shown_point == (RunPoint(0, 1) if branches else None)
        assert other.control.live == branches


def test_a_new_run_is_at_no_step_of_the_old_one_while_its_examples_are_made(bench: Workbench) -> None:
    bench.execute(OneEpoch())
    bench.settle()
    bench.execute(Restart(9))
    bench.answer()
    bench.take()
    training = bench.last.training
    assert training.state == "preparing"
    assert training.current_point == RunPoint(-1, 0)
    bench.settle()
    assert bench.last.training.current_point == RunPoint(1, 0)


@pytest.mark.parametrize("begun", [True, False], ids=["the first one is begun", "the first one is never begun"])
def test_two_quick_restarts_give_two_branches_two_names(bench: Workbench, begun: bool) -> None:
    bench.execute(OneStep())
    bench.settle()
    for command in (Restart(), Restart(), BranchWithNewData(), BranchWithNewData()):
        bench.execute(command)
        while begun and (bench.answer() or bench.runner._run._phase.state == "preparing"):
            bench.work()  # the window takes no snapshot meanwhile
    names = [branch.name for branch in bench.settle().training.branches]
    assert names == [f"Run {number}, seed 5" for number in range(1, 6 if begun else 3)]


def test_a_branch_gets_no_name_that_the_user_gave_just_before(bench: Workbench) -> None:
    bench.execute(OneStep())
    bench.settle()
    bench.execute(RenameBranch(0, "Run 2, seed 5"))
    bench.execute(Restart())
    names = [branch.name for branch in bench.settle().training.branches]
    assert names == ["Run 2, seed 5", "Run 2, seed 5 (2)"]


def test_a_step_that_is_only_on_its_way_is_not_said_to_be_shown(bench: Workbench) -> None:
    """While a point is replayed, the weights shown are those of the nearest keyframe, and the report says so."""
    bench.execute(OneEpoch())
    bench.settle()
    run = bench.runner._run
    for branch in run._history._branches:
        for step in (1, 2, 3):
            branch.keyframes.pop(step, None)
    bench.execute(ShowPoint(RunPoint(0, 3)))
    seen: set[tuple[int, bool]] = set()
    while (3, True) not in seen:
        if bench.take():
            training = bench.last.training
            if training.request.shown_point is not None:
                seen.add((training.shown_point.step, training.is_exact))
        elif not bench.answer():
            bench.work()
    assert seen == {(0, False), (3, True)}


def test_a_run_is_saved_though_the_engine_was_last_busy_with_another_network(bench: Workbench) -> None:
    """The window is closed just after a network was chosen again: the engine gives the other one's run."""
    bench.execute(OneStep())
    bench.settle()
    choose(bench, subject(OTHER))
    bench.execute(OneStep())
    bench.settle()
    choose(bench, bench.control.returning_model(NETWORK))
    project = bench.control.project_state(bench.runner.saved_run())
    assert project.run is not None
    assert project.run.network == NETWORK
    assert project.live
