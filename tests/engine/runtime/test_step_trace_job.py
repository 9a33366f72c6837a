"""Step traces during training: before each slow step, from time to time otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.explain.step_trace import Inspection
from engine.nn.model import Moment
from engine.runtime.training_run import Run
from engine.training.optimizers import SGD, Adam
from tests.engine.runtime.test_training_run import CPU, GOAL, following

LOOK = replace(GOAL, inspection=Inspection())


def test_nothing_is_taken_apart_unless_somebody_looks() -> None:
    run = Run(CPU)
    assert following(run, replace(GOAL, running=True, until=3)).dissection is None
    found = following(run, replace(LOOK, running=True, until=3)).dissection
    assert found is not None
    assert found.moment == Moment(0, 3)
    assert following(run, GOAL).dissection is None


def test_where_it_stands_the_coming_step_is_shown_and_comes_so() -> None:
    run = Run(CPU)
    for step in range(1, 12):
        found = following(run, replace(LOOK, running=True, until=step - 1)).dissection
        assert found is not None
        assert found.update is not None
        report = following(run, replace(LOOK, running=True, until=step))
        for name, values in found.update.after.items():
            np.testing.assert_array_equal(run.parameters()[name], values)
        np.testing.assert_array_equal(report.batch, found.places)


def test_a_slow_step_is_taken_apart_before_it_is_made_and_waits_to_be_seen() -> None:
    run = Run(CPU)
    following(run, GOAL)
    goal = replace(LOOK, running=True, pace=1.0)
    run.follow(goal)
    for _ in range(100):
        run.work(0.001)
    report = run.report()
    assert report.dissection.moment == report.now == Moment(0, 0)
    run._next_step_at = 0.0  # a second later
    run.work(0.001)
    assert run.report().now == Moment(0, 1)
    # Whoever asks for one step waits for nothing.
    assert following(run, replace(goal, until=2)).now == Moment(0, 2)


def test_while_it_goes_fast_a_step_is_taken_apart_now_and_then() -> None:
    run = Run(CPU)
    run.follow(replace(LOOK, running=True))
    seen = set()
    while (report := run.report()) is None or report.now.step < 300:
        run.work(0.002)
        if report is not None and report.dissection is not None:
            seen.add(report.dissection.moment.step)
    assert 1 <= len(seen) < 30


def test_another_example_or_value_of_the_same_step_is_shown_at_once_even_while_it_goes_fast() -> None:
    run = Run(CPU)
    run.follow(replace(LOOK, running=True))
    for example in (3, 9):
        wanted = Inspection(example, weight=("01-conv2d.weight", (1, 0, 2, 0)))
        run.follow(replace(LOOK, running=True, inspection=wanted))
        while (report := run.report()).dissection is None or report.dissection.seen.example != example:
            run.work(0.002)
        assert report.dissection.worked.place == wanted.weight


def test_looking_back_shows_the_step_that_would_come_from_there_by_the_recipe_of_now() -> None:
    run = Run(CPU, budget=1)
    following(run, replace(GOAL, running=True, until=20))
    other = replace(GOAL.recipe, optimizer=SGD(0.02))
    for recipe in (GOAL.recipe, other):
        goal = replace(LOOK, recipe=recipe, running=True, until=20, look=Moment(0, 9))
        found = following(run, goal).dissection
        assert found.moment == Moment(0, 9)
        assert found.update.rate == np.float32(recipe.optimizer.rate)
        branch = replace(goal, number=2, origin=Moment(0, 9), look=None, until=10)
        if recipe is other:
            following(run, branch)
            for name, values in found.update.after.items():
                np.testing.assert_array_equal(run.parameters()[name], values)


def test_what_cannot_go_on_is_not_taken_apart() -> None:
    run = Run(CPU)
    goal = replace(LOOK, recipe=replace(GOAL.recipe, optimizer=SGD(1e30)), running=True)
    assert following(run, goal).state == "diverged"
    assert not run.busy
    ended = replace(LOOK, number=2, recipe=replace(GOAL.recipe, optimizer=Adam(0.01), epochs=1), running=True)
    assert following(run, ended).state == "ended"
    assert not run.busy
