"""TrainingRun: pause, step, replay, branch, change of configuration, divergence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import ExamplePool, FixedSource, GeneratedSource, LabelledSample, PoolSettings, encode_labelled
from engine.data.pool import FreshSource
from engine.data.xo import XOSettings
from engine.documents import Document, ProjectState, save_project
from engine.documents.project_file import load_project
from engine.drawings import Drawing, Stroke
from engine.nn import Model, Network, RunPoint
from engine.nn.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from engine.runtime import LayerStatisticsQuery, Request, RunEvaluationQuery, TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SGD, Trainer, TrainingConfig, evaluate
from engine.training.optimizers import Adam
from tests.engine.run_driver import answered, following, runner_of
from tests.samples import drawing_sample

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 10, 10),
    (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(2)),
    classes=("X", "O"),
)
SUBJECT = Model("Small", NETWORK, NETWORK.initial_parameters(9))
DATA = PoolSettings(XOSettings(side=10, size=(0.6, 1.0)), 150, 40, seed=3)
GOAL = TrainingRequest(1, SUBJECT, "fresh", "first", TrainingConfig(Adam(0.01), batch=20, epochs=100, seed=5), DATA)

DOT = Drawing((Stroke(np.array([[0.5, 0.5, 0.3]], np.float32)),))
OWN = (LabelledSample(drawing_sample(DOT), "neither", 2),)


def straight(
    steps: int,
    config: TrainingConfig = GOAL.config,
    data: PoolSettings = DATA,
    own: tuple[LabelledSample, ...] = (),
) -> dict[str, np.ndarray]:
    """The parameters after so many steps of an uninterrupted trainer."""
    pool = ExamplePool(data, own)
    while pool.progress < 1:
        pool.generate_next()
    trainer = Trainer(NETWORK, FixedSource(pool.training), config, CPU)
    for step in trainer.run():
        if step.number == steps:
            break
    return trainer.parameters()


def assert_same(got: dict[str, np.ndarray] | None, expected: dict[str, np.ndarray]) -> None:
    assert got is not None
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)


def test_it_stands_still_until_it_is_told_to_run_and_then_stops_where_it_is_told() -> None:
    run = TrainingRun(CPU)
    assert following(run, GOAL).current_point.step == 0
    report = following(run, replace(GOAL, running=True, stop_at_step=13))
    assert (report.state, report.current_point) == ("paused", RunPoint(0, 13))
    assert following(run, replace(GOAL, running=True, stop_at_step=13)).current_point.step == 13
    assert_same(run.shown_parameters(), straight(13))


def test_steps_taken_one_by_one_are_those_of_a_run() -> None:
    run = TrainingRun(CPU)
    for step in range(1, 10):
        following(run, replace(GOAL, running=True, stop_at_step=step))
    assert_same(run.shown_parameters(), straight(9))


def test_every_moment_can_be_looked_back_at_exactly_however_few_are_kept() -> None:
    run = TrainingRun(CPU, budget=1)
    request = replace(GOAL, running=True, stop_at_step=40)
    following(run, request)
    for step in (0, 7, 23, 39):
        report = following(run, replace(request, shown_point=RunPoint(0, step)))
        assert (report.shown_point, report.is_exact) == (RunPoint(0, step), True)
        assert_same(run.shown_parameters(), straight(step) if step else NETWORK.initial_parameters(5))
    assert_same(following(run, request) and run.shown_parameters(), straight(40))


def test_the_nearest_kept_moment_is_shown_at_once() -> None:
    run = TrainingRun(CPU, budget=1)
    request = replace(GOAL, running=True, stop_at_step=39)
    following(run, request)
    run.set_request(replace(request, shown_point=RunPoint(0, 31)))  # and before anything is worked at
    report = run.report()
    assert report is not None
    assert not report.is_exact
    assert report.shown_point.step < 31
    assert run.shown_parameters() is not None


def test_a_point_of_a_history_that_is_no_longer_this_one_is_not_looked_for() -> None:
    """The window may ask for it while it still shows another network's run."""
    run = TrainingRun(CPU)
    request = replace(GOAL, running=True, stop_at_step=5)
    for point in (RunPoint(2, 3), RunPoint(0, 6)):
        report = following(run, replace(request, shown_point=point))
        assert (report.state, report.shown_point, report.is_exact) == ("paused", RunPoint(0, 5), True)
    assert following(run, replace(request, shown_point=RunPoint(0, 3))).shown_point == RunPoint(0, 3)
    with pytest.raises(
        ValueError, match="cannot continue from step 3: it is of another history than that of Small"
    ):
        run.set_request(replace(request, run_id=2, origin=RunPoint(2, 3)))


def test_a_drag_on_the_timeline_leaves_the_replay_to_a_point_that_it_has_passed() -> None:
    run = TrainingRun(CPU, budget=1)
    request = replace(GOAL, running=True, stop_at_step=63)
    following(run, request)
    runner, passed = runner_of(run, request), replace(request, shown_point=RunPoint(0, 63))
    look = Request(1, Document.blank(SUBJECT), training=passed, live=True)
    runner.compute(look)
    left = run.replay
    assert left is not None
    while left.trainer is None:
        sleep(runner.seconds_until_busy or 0)
        runner.run_for(0)
    assert not left.is_exact
    runner.compute(replace(look, training=replace(request, shown_point=RunPoint(0, 31))))
    while runner.busy or runner.seconds_until_busy is not None:
        sleep(runner.seconds_until_busy or 0)
        runner.run_for(0)
    assert not left.is_exact
    assert run.replay is not None
    assert run.replay.is_exact
    assert_same(run.shown_parameters(), straight(31))


def test_a_branch_goes_on_from_its_moment_and_overwrites_nothing() -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, running=True, stop_at_step=30))
    changed = replace(GOAL.config, optimizer=Adam(0.05))
    branch = replace(
        GOAL, run_id=2, origin=RunPoint(0, 12), branch_name="faster", config=changed, running=True, stop_at_step=20
    )
    report = following(run, branch)
    assert [(b.name, b.start, b.end, b.parent) for b in report.branches] == [
        ("first", 0, 30, None),
        ("faster", 12, 20, RunPoint(0, 12)),
    ]
    assert_same(
        following(run, replace(branch, shown_point=RunPoint(0, 30))) and run.shown_parameters(), straight(30)
    )
    following(run, replace(branch, shown_point=RunPoint(1, 5)))
    assert_same(run.shown_parameters(), straight(5))


EDITED = NETWORK.insert_layer(2, Conv2D(4, 3, padding=1)).move_layer("relu-1", 2)
EDIT = replace(
    GOAL,
    run_id=2,
    model=Model("Edited", EDITED, EDITED.initial_parameters(1)),
    origin=RunPoint(0, 12),
    edited=True,
    branch_name="edited",
    running=True,
    stop_at_step=20,
)


def test_an_edit_of_the_network_begins_a_branch_and_the_history_before_it_stays_as_it_was() -> None:
    run = TrainingRun(CPU)
    first = following(run, replace(GOAL, running=True, stop_at_step=30), LayerStatisticsQuery())
    before = run.saved_run(at_once=True)
    report = following(run, EDIT)
    assert [(b.network, b.start, b.end, b.parent) for b in report.branches] == [
        (NETWORK, 0, 30, None), (EDITED, 12, 20, RunPoint(0, 12))
    ]  # fmt: skip
    assert report.branches[0].curves.losses.tolist() == first.branches[0].curves.losses.tolist()
    saved = run.saved_run(at_once=True)
    assert saved is not None
    assert before is not None
    assert saved.network == EDITED
    start = saved.branches[1].keyframes[12]
    kept = set(straight(12))
    assert_same(start.parameters, {name: values for name, values in straight(12).items() if name in kept})
    assert start.parameters.keys() - kept == {"conv2d-2.weight", "conv2d-2.bias"}
    old = before.branches[0].keyframes[12].optimizer_state
    assert_same(start.optimizer_state, old)
    # Rewinding brings back exactly the old network, and training goes on from there, too.
    for point, network, steps in (
        (RunPoint(0, 30), NETWORK, 30), (RunPoint(1, 5), NETWORK, 5), (RunPoint(1, 20), EDITED, None)
    ):  # fmt: skip
        snapshot = answered(run, replace(EDIT, shown_point=point), LayerStatisticsQuery(), RunEvaluationQuery())
        shown, evaluation = snapshot.training, snapshot.result(RunEvaluationQuery())
        assert shown is not None
        assert evaluation is not None
        model = run.shown_model(SUBJECT)
        assert model is not None
        assert (model.network, evaluation.point) == (network, point if point.step != 5 else RunPoint(0, 5))
        statistics = snapshot.result(LayerStatisticsQuery())
        assert statistics is not None
        assert statistics.network == network
        if steps is not None:
            assert_same(dict(model.parameters), straight(steps))
    back = replace(GOAL, run_id=3, origin=RunPoint(0, 12), branch_name="back", running=True, stop_at_step=20)
    assert [branch.network for branch in following(run, back).branches] == [NETWORK, EDITED, NETWORK]
    assert_same(dict(run.shown_parameters() or {}), straight(20))


def test_steps_before_an_edit_are_replayed_with_the_network_that_made_them() -> None:
    run = TrainingRun(CPU, 1)  # a budget for the fewest keyframes
    following(run, replace(GOAL, running=True, stop_at_step=30))
    following(run, EDIT)
    for point in (RunPoint(0, 29), RunPoint(1, 11)):
        assert following(run, replace(EDIT, shown_point=point)).is_exact
        assert_same(dict(run.shown_parameters() or {}), straight(point.step))


def test_branches_of_edited_networks_are_saved_and_go_on(tmp_path: Path) -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, running=True, stop_at_step=15))
    following(run, EDIT)
    saved = run.saved_run(at_once=True)
    document = Document(drawing_sample(DOT), (EDIT.model,))
    save_project(tmp_path / "a.session", ProjectState(document, EDIT.config, DATA, saved))
    back = load_project(tmp_path / "a.session").run
    assert back is not None
    assert back.networks == (NETWORK, EDITED)
    other = TrainingRun(CPU)
    goes_on = replace(EDIT, run_id=1, origin="kept", saved_run=back, edited=False, stop_at_step=26)
    following(other, goes_on)
    following(run, replace(EDIT, stop_at_step=26))
    assert_same(dict(other.shown_parameters() or {}), dict(run.shown_parameters() or {}))
    following(other, replace(goes_on, shown_point=RunPoint(0, 15)))
    assert_same(dict(other.shown_parameters() or {}), straight(15))


def test_a_change_on_the_fly_is_marked_and_replayed() -> None:
    run = TrainingRun(CPU, budget=1)
    request = replace(GOAL, running=True, stop_at_step=10)
    following(run, request)
    request = replace(request, config=replace(GOAL.config, optimizer=Adam(0.03), l2=0.01), stop_at_step=25)
    report = following(run, request)
    assert [(mark.step, mark.text) for mark in report.branches[0].marks] == [(10, "rate 0.03, L2 0.01")]
    then = run.shown_parameters()
    following(run, replace(request, stop_at_step=40))
    following(run, replace(request, stop_at_step=40, shown_point=RunPoint(0, 25)))
    assert_same(run.shown_parameters(), then)


def test_only_what_a_step_is_made_with_is_marked() -> None:
    """A slider dragged while paused passes many values, of which only the last is used."""
    run = TrainingRun(CPU)
    request = replace(GOAL, running=True, stop_at_step=10)
    following(run, request)
    for rate in (0.02, 0.05, 0.04):
        following(run, replace(request, config=replace(GOAL.config, optimizer=Adam(rate))))
    report = following(run, replace(request, config=replace(GOAL.config, optimizer=Adam(0.04)), stop_at_step=11))
    assert [(mark.step, mark.text) for mark in report.branches[0].marks] == [(10, "rate 0.04")]
    following(run, replace(request, config=replace(GOAL.config, optimizer=SGD(0.04)), stop_at_step=11))
    report = following(run, replace(request, config=replace(GOAL.config, optimizer=Adam(0.04)), stop_at_step=12))
    assert len(report.branches[0].marks) == 1


def test_a_branch_marks_what_it_does_otherwise_than_the_one_it_left() -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, running=True, stop_at_step=10))
    branch = replace(GOAL, run_id=2, origin=RunPoint(0, 4), running=True, stop_at_step=6)
    report = following(run, replace(branch, config=replace(GOAL.config, optimizer=SGD(0.1))))
    assert [mark.step for mark in report.branches[1].marks] == [4]
    assert report.branches[1].marks[0].text.startswith("SGD, rate 0.1, momentum 0.9")
    assert not following(run, replace(branch, run_id=3)).branches[2].marks


def test_reset_and_a_new_seed_start_over_beside_what_was() -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, running=True, stop_at_step=10))
    following(run, replace(GOAL, run_id=2, branch_name="again", running=True, stop_at_step=10))
    assert_same(run.shown_parameters(), straight(10))
    other = replace(GOAL.config, seed=6)
    report = following(
        run, replace(GOAL, run_id=3, branch_name="other", config=other, running=True, stop_at_step=10)
    )
    assert_same(run.shown_parameters(), straight(10, other))
    assert [branch.name for branch in report.branches] == ["first", "again", "other"]


def test_a_branch_on_other_examples_leaves_the_moments_of_the_first_as_they_were() -> None:
    run = TrainingRun(CPU, budget=1)
    following(run, replace(GOAL, running=True, stop_at_step=12))
    data = replace(DATA, seed=8)
    other = replace(
        GOAL, run_id=2, branch_name="other", data=data, labelled_samples=OWN, running=True, stop_at_step=12
    )
    report = following(run, other)
    assert_same(run.shown_parameters(), straight(12, data=data, own=OWN))
    assert report.examples is not None
    assert len(report.examples) == 150 + 2
    assert report.steps_per_epoch == 8
    snapshot = answered(run, replace(other, shown_point=RunPoint(0, 7)), RunEvaluationQuery())
    then = snapshot.result(RunEvaluationQuery())
    assert_same(run.shown_parameters(), straight(7))
    pool = ExamplePool(DATA)
    while pool.progress < 1:
        pool.generate_next()
    assert then is not None
    assert snapshot.training is not None
    assert snapshot.training.held_out is not None
    np.testing.assert_array_equal(snapshot.training.held_out.images, pool.held_out.images)
    np.testing.assert_array_equal(then.examples.images, pool.held_out.images)
    np.testing.assert_array_equal(then.evaluation.scores, evaluate(NETWORK, straight(7), pool.held_out, CPU).scores)


def test_own_drawings_are_learnt_from_in_the_middle_of_a_run_as_a_branch() -> None:
    run = TrainingRun(CPU, budget=1)
    following(run, replace(GOAL, running=True, stop_at_step=9))
    branch = replace(GOAL, run_id=2, origin=RunPoint(0, 9), labelled_samples=OWN, running=True, stop_at_step=10)
    report = following(run, branch)
    assert report.branches[1].parent == RunPoint(0, 9)
    following(run, replace(branch, shown_point=RunPoint(1, 9)))
    assert_same(run.shown_parameters(), straight(9))


def test_a_label_of_no_class_is_one_sentence_and_nothing_begins() -> None:
    run = TrainingRun(CPU)
    run.set_request(
        replace(GOAL, labelled_samples=(LabelledSample(drawing_sample(Drawing()), "cat"),), running=True)
    )
    with pytest.raises(ValueError, match="labelled cat"):
        run.advance()


def test_training_can_go_on_from_the_weights_on_the_screen() -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, origin="weights"))
    assert_same(run.shown_parameters(), dict(SUBJECT.parameters))


def test_each_epoch_is_judged_and_what_is_held_out_is_known() -> None:
    snapshot = answered(TrainingRun(CPU), replace(GOAL, running=True, stop_at_step=16), RunEvaluationQuery())
    report, found = snapshot.training, snapshot.result(RunEvaluationQuery())
    assert report is not None
    assert report.branches[0].curves.held_out_steps.tolist() == [8, 16]
    assert found is not None
    assert found.evaluation.scores.shape == (40, 2)
    assert report.held_out is not None
    assert len(report.held_out) == 40
    assert len(report.batch) == 10


def test_a_request_between_a_step_and_its_judgement_does_not_lose_it() -> None:
    run = TrainingRun(CPU)
    request = replace(GOAL, running=True, stop_at_step=8)
    run.set_request(request)
    for _ in range(10_000):
        if not run.busy:
            break
        run.advance()
        run.set_request(replace(request))
    report = run.report()
    assert report is not None
    assert report.branches[0].curves.held_out_steps.tolist() == [8]


def test_what_stands_still_is_judged_wherever_that_is() -> None:
    run = TrainingRun(CPU)
    request = replace(GOAL, running=True, stop_at_step=13)
    look = replace(request, shown_point=RunPoint(0, 3))
    now, then = (answered(run, each, RunEvaluationQuery()).result(RunEvaluationQuery()) for each in (request, look))
    assert now is not None
    assert then is not None
    pool = ExamplePool(DATA)
    while pool.progress < 1:
        pool.generate_next()
    for judgement, steps in ((now, 13), (then, 3)):
        expected = evaluate(NETWORK, straight(steps), pool.held_out, CPU)
        assert judgement.point == RunPoint(0, steps)
        np.testing.assert_array_equal(judgement.evaluation.scores, expected.scores)


def test_divergence_is_said_and_a_stroke_or_a_step_does_not_revive_it() -> None:
    run = TrainingRun(CPU)
    config = replace(GOAL.config, optimizer=SGD(1e30))
    request = replace(GOAL, config=config, running=True)
    report = following(run, request)
    assert report.state == "diverged"
    assert "choose a smaller one" in report.message
    last = report.current_point
    assert all(np.isfinite(values).all() for values in run.shown_parameters().values())
    assert following(run, replace(request, stop_at_step=last.step + 1)).state == "diverged"
    assert report.restart_point == RunPoint(0, 0)
    again = replace(request, run_id=2, origin=report.restart_point, config=GOAL.config, stop_at_step=5)
    assert following(run, again).state == "paused"


def test_a_stop_condition_ends_it_and_says_which() -> None:
    report = following(TrainingRun(CPU), replace(GOAL, config=replace(GOAL.config, epochs=2), running=True))
    assert (report.state, report.message, report.current_point.step) == ("ended", "All epochs are done.", 16)


def test_a_condition_that_ended_it_holds_until_it_is_lifted() -> None:
    run = TrainingRun(CPU)
    request = replace(GOAL, config=replace(GOAL.config, steps=5), running=True)
    report = following(run, request)
    assert (report.state, report.stop_reason, report.current_point.step) == ("ended", "steps", 5)
    report = following(run, replace(request, config=replace(request.config, l2=0.01)))
    assert (report.state, report.stop_reason, report.current_point.step) == ("ended", "steps", 5)
    lifted = replace(request, config=replace(request.config, steps=None), stop_at_step=20)
    report = following(run, lifted)
    assert (report.state, report.stop_reason, report.current_point.step) == ("paused", None, 20)
    assert_same(run.shown_parameters(), straight(20))
    report = following(run, replace(lifted, config=replace(request.config, steps=20), stop_at_step=None))
    assert (report.state, report.stop_reason, report.message) == ("ended", "steps", "All requested steps are done.")


def test_what_a_run_made_until_its_time_was_up_can_be_looked_back_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that runs faster during the replay, which must not end before its target."""
    now, pace = 0.0, 1.0

    def clock() -> float:
        nonlocal now
        now += pace
        return now

    monkeypatch.setattr("engine.training.trainer.perf_counter", clock)
    run = TrainingRun(CPU, budget=1)
    request = replace(GOAL, config=replace(GOAL.config, seconds=100.0), running=True)
    report = following(run, request)
    assert (report.state, report.stop_reason) == ("ended", "seconds")
    assert report.current_point.step > 20
    pace = 50.0
    look = RunPoint(0, report.current_point.step - 1)
    report = following(run, replace(request, shown_point=look))
    assert (report.shown_point, report.is_exact) == (look, True)
    assert_same(run.shown_parameters(), straight(look.step))


def test_where_patience_ended_it_the_best_moment_is_known() -> None:
    """At this rate the held-out loss soon oscillates."""
    config = replace(GOAL.config, optimizer=SGD(0.4), patience=3)
    report = following(TrainingRun(CPU), replace(GOAL, config=config, running=True))
    assert (report.state, report.stop_reason) == ("ended", "patience")
    curves = report.branches[0].curves
    assert report.restart_point is not None
    assert report.restart_point.step == report.current_point.step - 3 * 8
    assert (
        curves.held_out_losses[curves.held_out_steps == report.restart_point.step] == curves.held_out_losses.min()
    )


@pytest.mark.parametrize("way", ["another setting", "a branch", "a saved run"])
def test_patience_time_and_the_best_epoch_count_on_however_a_run_is_continued(way: str) -> None:
    """Every epoch is as good as the first: patience counts from there. It is continued within the fourth."""
    config = replace(GOAL.config, optimizer=SGD(1e-30), patience=5)
    run, request = TrainingRun(CPU), replace(GOAL, config=config, running=True, stop_at_step=28)
    following(run, request)
    saved = run.saved_run(at_once=True)
    assert saved is not None
    before = saved.checkpoint
    assert before.epochs_since_best == 2
    if way == "another setting":
        request = replace(request, config=replace(config, optimizer=SGD(2e-30)))
    elif way == "a branch":
        request = replace(request, run_id=2, origin=RunPoint(0, 28))
    else:
        run, request = TrainingRun(CPU), replace(request, origin="kept", saved_run=saved)
    following(run, replace(request, stop_at_step=29))
    saved = run.saved_run(at_once=True)
    assert saved is not None
    after = saved.checkpoint
    assert after.steps == 29
    assert after.seconds > before.seconds > 0
    for name in ("evaluated_epochs", "accuracy", "best_loss", "epochs_since_best"):
        assert getattr(after, name) == getattr(before, name)
    assert before.best_parameters is not None
    assert_same(after.best_parameters, before.best_parameters)
    report = following(run, replace(request, stop_at_step=None))
    assert (report.stop_reason, report.current_point.step) == ("patience", 6 * 8)


def test_the_pace_is_kept() -> None:
    run = TrainingRun(CPU)
    following(run, GOAL)
    run.set_request(replace(GOAL, running=True, speed_limit=1.0))
    for _ in range(20):
        run.advance()
    report = run.report()
    assert report is not None
    assert report.current_point.step == 1


def test_frames_go_from_the_start_to_now() -> None:
    report = following(TrainingRun(CPU), replace(GOAL, running=True, stop_at_step=30))
    steps = [frame.point.step for frame in report.keyframes]
    assert (steps[0], steps[-1], len(steps)) == (0, 30, 12)
    assert_same(report.keyframes[-1].parameters, straight(30))


def test_a_network_of_other_classes_is_refused_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExamplePool, "generate_next", lambda self: pytest.fail("drew an example"))
    cats = replace(NETWORK, classes=("cat", "dog"))
    run = TrainingRun(CPU)
    with pytest.raises(ValueError, match=r"The classes of Cats are cat and dog, .* xo train --data\.$"):
        run.set_request(replace(GOAL, model=Model("Cats", cats, cats.initial_parameters(1)), running=True))


@pytest.mark.parametrize("name", ["count", "held_out"])
def test_an_empty_pool_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of at least 1"):
        replace(DATA, **{name: 0})


def test_drawings_that_are_new_in_every_epoch_train_as_xo_train_does_and_are_replayed_exactly() -> None:
    data, own = replace(DATA, fresh=True), OWN
    run, request = TrainingRun(CPU, budget=1), replace(GOAL, data=data, labelled_samples=own)
    following(run, replace(request, running=True, stop_at_step=20))  # 8 steps an epoch
    drawn = encode_labelled(own, data.generator)
    trainer = Trainer(NETWORK, FreshSource(GeneratedSource(data.generator, 150, 3), drawn), GOAL.config, CPU)
    weights = {step.number: trainer.parameters() for step, _ in zip(trainer.run(), range(20), strict=False)}
    assert_same(run.shown_parameters(), weights[20])
    report = following(run, replace(request, running=True, stop_at_step=20, shown_point=RunPoint(0, 11)))
    assert report.is_exact
    assert_same(run.shown_parameters(), weights[11])


def test_a_fresh_run_of_the_generator_alone_has_the_weights_of_xo_train() -> None:
    data = replace(DATA, fresh=True)
    run = TrainingRun(CPU)
    following(run, replace(GOAL, data=data, running=True, stop_at_step=20))
    trainer = Trainer(NETWORK, GeneratedSource(data.generator, data.count, data.seed), GOAL.config, CPU)
    for step in trainer.run():
        if step.number == 20:
            break
    assert_same(run.shown_parameters(), trainer.parameters())


def test_a_run_that_was_saved_after_its_last_epoch_has_ended_when_it_is_restored() -> None:
    first, request = TrainingRun(CPU), replace(GOAL, config=replace(GOAL.config, epochs=2), running=True)
    assert following(first, request).state == "ended"
    saved = first.saved_run(at_once=True)
    kept = replace(request, run_id=2, origin="kept", saved_run=saved, running=False)
    assert following(TrainingRun(CPU), kept).stop_reason == "epochs"
