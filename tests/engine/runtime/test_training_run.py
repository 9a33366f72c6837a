"""TrainingRun: pause, step, replay, branch, change of recipe, divergence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.backends.backend import choose_backend
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Fixed, Pool, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.drawings.drawing import Drawing, Stroke
from engine.nn.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from engine.nn.model import Moment, Subject
from engine.nn.network import Network
from engine.runtime.training_protocol import Goal, Training
from engine.runtime.training_run import Run
from engine.training.evaluation import judge
from engine.training.optimizers import SGD, Adam
from engine.training.recipe import Recipe
from engine.training.trainer import Trainer

CPU = choose_backend("cpu")
NETWORK = Network((1, 10, 10), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(2)))
SUBJECT = Subject("Small", NETWORK, NETWORK.initial(9))
DATA = PoolSettings(XOSettings(side=10, size=(0.6, 1.0)), 150, 40, seed=3)
GOAL = Goal(1, SUBJECT, "fresh", "first", Recipe(Adam(0.01), batch=20, epochs=100, seed=5), DATA)

DOT = Drawing((Stroke(np.array([[0.5, 0.5, 0.3]], np.float32)),))
OWN = (OwnDrawing(DOT, "neither", 2),)


def following(run: Run, goal: Goal) -> Training:
    """The report of a request once no work is left."""
    run.follow(goal)
    for _ in range(10_000):
        if not run.busy:
            break
        run.work(0.01)
    report = run.report()
    assert report is not None
    return report


def straight(
    steps: int, recipe: Recipe = GOAL.recipe, data: PoolSettings = DATA, own: tuple[OwnDrawing, ...] = ()
) -> dict[str, np.ndarray]:
    """The parameters after so many steps of an uninterrupted trainer."""
    pool = Pool(data, own)
    while pool.done < 1:
        pool.grow()
    trainer = Trainer(NETWORK, Fixed(pool.training), recipe, CPU)
    for step in trainer.steps():
        if step.number == steps:
            break
    return trainer.parameters()


def assert_same(got: dict[str, np.ndarray] | None, expected: dict[str, np.ndarray]) -> None:
    assert got is not None
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)


def test_it_stands_still_until_it_is_told_to_run_and_then_stops_where_it_is_told() -> None:
    run = Run(CPU)
    assert following(run, GOAL).now.step == 0
    report = following(run, replace(GOAL, running=True, until=13))
    assert (report.state, report.now) == ("paused", Moment(0, 13))
    assert following(run, replace(GOAL, running=True, until=13)).now.step == 13
    assert_same(run.parameters(), straight(13))


def test_steps_taken_one_by_one_are_those_of_a_run() -> None:
    run = Run(CPU)
    for step in range(1, 10):
        following(run, replace(GOAL, running=True, until=step))
    assert_same(run.parameters(), straight(9))


def test_every_moment_can_be_looked_back_at_exactly_however_few_are_kept() -> None:
    run = Run(CPU, budget=1)
    goal = replace(GOAL, running=True, until=40)
    following(run, goal)
    for step in (0, 7, 23, 39):
        report = following(run, replace(goal, look=Moment(0, step)))
        assert (report.shown, report.exact) == (Moment(0, step), True)
        assert_same(run.parameters(), straight(step) if step else NETWORK.initial(5))
    assert_same(following(run, goal) and run.parameters(), straight(40))


def test_the_nearest_kept_moment_is_shown_at_once() -> None:
    run = Run(CPU, budget=1)
    goal = replace(GOAL, running=True, until=39)
    following(run, goal)
    run.follow(replace(goal, look=Moment(0, 31)))  # and before anything is worked at
    report = run.report()
    assert report is not None
    assert not report.exact
    assert report.shown.step < 31
    assert run.parameters() is not None


def test_a_branch_goes_on_from_its_moment_and_overwrites_nothing() -> None:
    run = Run(CPU)
    following(run, replace(GOAL, running=True, until=30))
    changed = replace(GOAL.recipe, optimizer=Adam(0.05))
    branch = replace(GOAL, number=2, origin=Moment(0, 12), name="faster", recipe=changed, running=True, until=20)
    report = following(run, branch)
    assert [(b.name, b.start, b.end, b.parent) for b in report.branches] == [
        ("first", 0, 30, None),
        ("faster", 12, 20, Moment(0, 12)),
    ]
    assert_same(following(run, replace(branch, look=Moment(0, 30))) and run.parameters(), straight(30))
    following(run, replace(branch, look=Moment(1, 5)))
    assert_same(run.parameters(), straight(5))


def test_a_change_on_the_fly_is_marked_and_replayed() -> None:
    run = Run(CPU, budget=1)
    goal = replace(GOAL, running=True, until=10)
    following(run, goal)
    goal = replace(goal, recipe=replace(GOAL.recipe, optimizer=Adam(0.03), l2=0.01), until=25)
    report = following(run, goal)
    assert [(mark.step, mark.text) for mark in report.branches[0].marks] == [(10, "rate 0.03, L2 0.01")]
    then = run.parameters()
    following(run, replace(goal, until=40))
    following(run, replace(goal, until=40, look=Moment(0, 25)))
    assert_same(run.parameters(), then)


def test_only_what_a_step_is_made_with_is_marked() -> None:
    """A slider dragged while paused passes many values, of which only the last is used."""
    run = Run(CPU)
    goal = replace(GOAL, running=True, until=10)
    following(run, goal)
    for rate in (0.02, 0.05, 0.04):
        following(run, replace(goal, recipe=replace(GOAL.recipe, optimizer=Adam(rate))))
    report = following(run, replace(goal, recipe=replace(GOAL.recipe, optimizer=Adam(0.04)), until=11))
    assert [(mark.step, mark.text) for mark in report.branches[0].marks] == [(10, "rate 0.04")]
    following(run, replace(goal, recipe=replace(GOAL.recipe, optimizer=SGD(0.04)), until=11))
    report = following(run, replace(goal, recipe=replace(GOAL.recipe, optimizer=Adam(0.04)), until=12))
    assert len(report.branches[0].marks) == 1


def test_a_branch_marks_what_it_does_otherwise_than_the_one_it_left() -> None:
    run = Run(CPU)
    following(run, replace(GOAL, running=True, until=10))
    branch = replace(GOAL, number=2, origin=Moment(0, 4), running=True, until=6)
    report = following(run, replace(branch, recipe=replace(GOAL.recipe, optimizer=SGD(0.1))))
    assert [mark.step for mark in report.branches[1].marks] == [4]
    assert report.branches[1].marks[0].text.startswith("SGD, rate 0.1, momentum 0.9")
    assert not following(run, replace(branch, number=3)).branches[2].marks


def test_reset_and_a_new_seed_start_over_beside_what_was() -> None:
    run = Run(CPU)
    following(run, replace(GOAL, running=True, until=10))
    following(run, replace(GOAL, number=2, name="again", running=True, until=10))
    assert_same(run.parameters(), straight(10))
    other = replace(GOAL.recipe, seed=6)
    report = following(run, replace(GOAL, number=3, name="other", recipe=other, running=True, until=10))
    assert_same(run.parameters(), straight(10, other))
    assert [branch.name for branch in report.branches] == ["first", "again", "other"]


def test_a_branch_on_other_examples_leaves_the_moments_of_the_first_as_they_were() -> None:
    run = Run(CPU, budget=1)
    following(run, replace(GOAL, running=True, until=12))
    data = replace(DATA, seed=8)
    other = replace(GOAL, number=2, name="other", data=data, own=OWN, running=True, until=12)
    report = following(run, other)
    assert_same(run.parameters(), straight(12, data=data, own=OWN))
    assert report.examples is not None
    assert len(report.examples) == 150 + 2
    assert report.steps_an_epoch == 8
    then = following(run, replace(other, look=Moment(0, 7)))
    assert_same(run.parameters(), straight(7))
    pool = Pool(DATA)
    while pool.done < 1:
        pool.grow()
    assert then.held_out is not None
    assert then.judgement is not None
    np.testing.assert_array_equal(then.held_out.images, pool.held_out.images)
    np.testing.assert_array_equal(then.judgement.scores, judge(NETWORK, straight(7), pool.held_out, CPU).scores)


def test_own_drawings_are_learnt_from_in_the_middle_of_a_run_as_a_branch() -> None:
    run = Run(CPU, budget=1)
    following(run, replace(GOAL, running=True, until=9))
    branch = replace(GOAL, number=2, origin=Moment(0, 9), own=OWN, running=True, until=10)
    report = following(run, branch)
    assert report.branches[1].parent == Moment(0, 9)
    following(run, replace(branch, look=Moment(1, 9)))
    assert_same(run.parameters(), straight(9))


def test_a_label_of_no_class_is_one_sentence_and_nothing_begins() -> None:
    run = Run(CPU)
    run.follow(replace(GOAL, own=(OwnDrawing(Drawing(), "cat"),), running=True))
    with pytest.raises(ValueError, match="labelled cat"):
        run.work(1)


def test_training_can_go_on_from_the_weights_on_the_screen() -> None:
    run = Run(CPU)
    following(run, replace(GOAL, origin="weights"))
    assert_same(run.parameters(), dict(SUBJECT.parameters))


def test_each_epoch_is_judged_and_what_is_held_out_is_known() -> None:
    report = following(Run(CPU), replace(GOAL, running=True, until=16))
    assert report.branches[0].curves.judged.tolist() == [8, 16]
    assert report.judgement is not None
    assert report.judgement.scores.shape == (40, 2)
    assert report.held_out is not None
    assert len(report.held_out) == 40
    assert len(report.batch) == 10


def test_a_request_between_a_step_and_its_judgement_does_not_lose_it() -> None:
    run = Run(CPU)
    goal = replace(GOAL, running=True, until=8)
    run.follow(goal)
    for _ in range(10_000):
        if not run.busy:
            break
        run.work(0)
        run.work(0.001)
        run.follow(replace(goal))
    report = run.report()
    assert report is not None
    assert report.branches[0].curves.judged.tolist() == [8]


def test_what_stands_still_is_judged_wherever_that_is() -> None:
    run = Run(CPU)
    goal = replace(GOAL, running=True, until=13)
    now = following(run, goal).judgement
    then = following(run, replace(goal, look=Moment(0, 3))).judgement
    assert now is not None
    assert then is not None
    pool = Pool(DATA)
    while pool.done < 1:
        pool.grow()
    for judgement, steps in ((now, 13), (then, 3)):
        expected = judge(NETWORK, straight(steps), pool.held_out, CPU)
        np.testing.assert_array_equal(judgement.scores, expected.scores)


def test_divergence_is_said_and_a_stroke_or_a_step_does_not_revive_it() -> None:
    run = Run(CPU)
    recipe = replace(GOAL.recipe, optimizer=SGD(1e30))
    goal = replace(GOAL, recipe=recipe, running=True)
    report = following(run, goal)
    assert report.state == "diverged"
    assert "choose a smaller one" in report.words
    last = report.now
    assert all(np.isfinite(values).all() for values in run.parameters().values())
    assert following(run, replace(goal, until=last.step + 1)).state == "diverged"
    assert report.good == Moment(0, 0)
    again = replace(goal, number=2, origin=report.good, recipe=GOAL.recipe, until=5)
    assert following(run, again).state == "paused"


def test_a_stop_condition_ends_it_and_says_which() -> None:
    report = following(Run(CPU), replace(GOAL, recipe=replace(GOAL.recipe, epochs=2), running=True))
    assert (report.state, report.words, report.now.step) == ("ended", "All epochs are done.", 16)


def test_a_condition_that_ended_it_holds_until_it_is_lifted() -> None:
    run = Run(CPU)
    goal = replace(GOAL, recipe=replace(GOAL.recipe, steps=5), running=True)
    report = following(run, goal)
    assert (report.state, report.ended, report.now.step) == ("ended", "steps", 5)
    report = following(run, replace(goal, recipe=replace(goal.recipe, l2=0.01)))
    assert (report.state, report.ended, report.now.step) == ("ended", "steps", 5)
    lifted = replace(goal, recipe=replace(goal.recipe, steps=None), until=20)
    report = following(run, lifted)
    assert (report.state, report.ended, report.now.step) == ("paused", None, 20)
    assert_same(run.parameters(), straight(20))
    report = following(run, replace(lifted, recipe=replace(goal.recipe, steps=20), until=None))
    assert (report.state, report.ended, report.words) == ("ended", "steps", "All steps asked for are made.")


def test_what_a_run_made_until_its_time_was_up_can_be_looked_back_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that runs faster during the replay, which must not end before its target."""
    now, pace = 0.0, 1.0

    def clock() -> float:
        nonlocal now
        now += pace
        return now

    monkeypatch.setattr("engine.training.trainer.perf_counter", clock)
    run = Run(CPU, budget=1)
    goal = replace(GOAL, recipe=replace(GOAL.recipe, seconds=100.0), running=True)
    report = following(run, goal)
    assert (report.state, report.ended) == ("ended", "seconds")
    assert report.now.step > 20
    pace = 50.0
    look = Moment(0, report.now.step - 1)
    report = following(run, replace(goal, look=look))
    assert (report.shown, report.exact) == (look, True)
    assert_same(run.parameters(), straight(look.step))


def test_where_patience_ended_it_the_best_moment_is_known() -> None:
    """At this rate the held-out loss soon oscillates."""
    recipe = replace(GOAL.recipe, optimizer=SGD(0.4), patience=3)
    report = following(Run(CPU), replace(GOAL, recipe=recipe, running=True))
    assert (report.state, report.ended) == ("ended", "patience")
    curves = report.branches[0].curves
    assert report.good is not None
    assert report.good.step == report.now.step - 3 * 8
    assert curves.held_out_losses[curves.judged == report.good.step] == curves.held_out_losses.min()


def test_the_pace_is_kept() -> None:
    run = Run(CPU)
    following(run, GOAL)
    run.follow(replace(GOAL, running=True, pace=1.0))
    for _ in range(20):
        run.work(0.005)
    report = run.report()
    assert report is not None
    assert report.now.step == 1


def test_frames_go_from_the_start_to_now() -> None:
    report = following(Run(CPU), replace(GOAL, running=True, until=30))
    steps = [frame.moment.step for frame in report.frames]
    assert (steps[0], steps[-1], len(steps)) == (0, 30, 12)
    assert_same(report.frames[-1].parameters, straight(30))


def test_a_network_of_other_classes_is_refused_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "grow", lambda self: pytest.fail("drew an example"))
    cats = replace(NETWORK, classes=("cat", "dog"))
    run = Run(CPU)
    with pytest.raises(ValueError, match=r"Cats tells cat and dog apart, .* xo train --data\.$"):
        run.follow(replace(GOAL, subject=Subject("Cats", cats, cats.initial(1)), running=True))


@pytest.mark.parametrize("name", ["count", "held_out"])
def test_an_empty_pool_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of at least 1"):
        replace(DATA, **{name: 0})
