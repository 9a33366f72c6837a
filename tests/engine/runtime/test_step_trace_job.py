"""Step traces during training: before each slow step, from time to time otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.explain import StepQuery, StepTrace
from engine.nn import RunPoint
from engine.runtime import TrainingRequest
from engine.runtime.training_run import TrainingRun
from engine.training import SGD
from engine.training.optimizers import Adam
from tests.engine.run_driver import following
from tests.engine.runtime.test_training_run import CPU, GOAL

LOOK = StepQuery()


def traced(run: TrainingRun, request: TrainingRequest, query: StepQuery | None = LOOK) -> StepTrace | None:
    """The step traced once no work is left."""
    following(run, request, *([] if query is None else [query]))
    return run.step_trace


def test_nothing_is_taken_apart_unless_somebody_looks() -> None:
    run = TrainingRun(CPU)
    assert traced(run, replace(GOAL, running=True, stop_at_step=3), None) is None
    found = traced(run, replace(GOAL, running=True, stop_at_step=3))
    assert found is not None
    assert found.run_point == RunPoint(0, 3)
    assert traced(run, GOAL, None) is None


def test_where_it_stands_the_coming_step_is_shown_and_comes_so() -> None:
    run = TrainingRun(CPU)
    for step in range(1, 12):
        found = traced(run, replace(GOAL, running=True, stop_at_step=step - 1))
        assert found is not None
        assert found.update is not None
        report = following(run, replace(GOAL, running=True, stop_at_step=step), LOOK)
        for name, values in found.update.after.items():
            np.testing.assert_array_equal(run.shown_parameters()[name], values)
        np.testing.assert_array_equal(report.batch, found.indices)


def test_a_slow_step_is_taken_apart_before_it_is_made_and_waits_to_be_seen() -> None:
    run = TrainingRun(CPU)
    following(run, GOAL)
    request = replace(GOAL, running=True, speed_limit=1.0)
    run.set_queries(LOOK)
    run.set_request(request)
    for _ in range(20):
        run.advance()
    report = run.report()
    assert run.step_trace.run_point == report.current_point == RunPoint(0, 0)
    run._phase.pace._next_at = 0.0  # a second later
    run.advance()
    assert run.report().current_point == RunPoint(0, 1)
    # Whoever asks for one step waits for nothing.
    assert following(run, replace(request, stop_at_step=2), LOOK).current_point == RunPoint(0, 2)


def test_while_it_goes_fast_a_step_is_taken_apart_now_and_then() -> None:
    run = TrainingRun(CPU)
    run.set_queries(LOOK)
    run.set_request(replace(GOAL, running=True))
    seen = set()
    while (report := run.report()) is None or report.current_point.step < 300:
        run.advance()
        if run.step_trace is not None:
            seen.add(run.step_trace.run_point.step)
    assert 1 <= len(seen) < 30


def test_another_example_or_value_of_the_same_step_is_shown_at_once_even_while_it_goes_fast() -> None:
    run = TrainingRun(CPU)
    run.set_queries(LOOK)
    run.set_request(replace(GOAL, running=True))
    for example in (3, 9):
        wanted = StepQuery(example, weight=("conv2d-1.weight", (1, 0, 2, 0)))
        run.set_queries(wanted)
        while run.step_trace is None or run.step_trace.example_pass.example != example:
            run.advance()
        assert run.step_trace.weight_trace.parameter == wanted.weight


def test_looking_back_shows_the_step_that_would_come_from_there_by_the_config_of_now() -> None:
    run = TrainingRun(CPU, budget=1)
    following(run, replace(GOAL, running=True, stop_at_step=20))
    other = replace(GOAL.config, optimizer=SGD(0.02))
    for config in (GOAL.config, other):
        request = replace(GOAL, config=config, running=True, stop_at_step=20, shown_point=RunPoint(0, 9))
        found = traced(run, request)
        assert found.run_point == RunPoint(0, 9)
        assert found.update.rate == np.float32(config.optimizer.rate)
        branch = replace(request, run_id=2, origin=RunPoint(0, 9), shown_point=None, stop_at_step=10)
        if config is other:
            following(run, branch)
            for name, values in found.update.after.items():
                np.testing.assert_array_equal(run.shown_parameters()[name], values)


def test_what_cannot_go_on_is_not_taken_apart() -> None:
    run = TrainingRun(CPU)
    request = replace(GOAL, config=replace(GOAL.config, optimizer=SGD(1e30)), running=True)
    assert following(run, request, LOOK).state == "diverged"
    assert not run.busy
    ended = replace(GOAL, run_id=2, config=replace(GOAL.config, optimizer=Adam(0.01), epochs=1), running=True)
    assert following(run, ended, LOOK).state == "ended"
    assert not run.busy
