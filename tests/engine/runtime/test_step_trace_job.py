"""Step traces during training: before each slow step, from time to time otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.documents import Document
from engine.explain import StepQuery, StepTrace
from engine.nn import RunPoint
from engine.runtime import Request, TrainingRequest
from engine.runtime.phases import Running
from engine.runtime.training_run import TrainingRun
from engine.training import SGD
from engine.training.optimizers import Adam
from tests.engine.run_driver import answered, following, runner_of
from tests.engine.runtime.test_training_run import CPU, GOAL

LOOK = StepQuery()
RUN = replace(GOAL, running=True)
ENDLESS = replace(RUN, config=replace(GOAL.config, epochs=10**6))


def traced(run: TrainingRun, request: TrainingRequest, query: StepQuery | None = LOOK) -> StepTrace | None:
    """The step traced once no work is left."""
    return answered(run, request, *([] if query is None else [query])).result_of_type(StepTrace)


class Follower:
    """Carries out one request piece by piece, as the engine thread does."""

    def __init__(self, run: TrainingRun, request: TrainingRequest) -> None:
        self.run, self.runner = run, runner_of(run, request)
        self.ask(request)

    def ask(self, request: TrainingRequest, query: StepQuery = LOOK) -> None:
        """Ask for this training, and this query."""
        document = Document.blank(request.model)
        self.wanted = Request(1, document, training=request, live=True, queries=frozenset({query}))
        self.snapshot = self.runner.compute(self.wanted)

    def advance(self) -> StepTrace | None:
        """Do some work; returns the trace of the latest Snapshot."""
        self.runner.run_for(0.002)
        if not self.runner.busy or self.runner.has_first_result:
            self.snapshot = self.runner.compute(self.wanted)
        return self.snapshot.result_of_type(StepTrace)

    def show(self) -> StepTrace | None:
        """The trace of a Snapshot that is made now."""
        self.snapshot = self.runner.compute(self.wanted)
        return self.snapshot.result_of_type(StepTrace)

    @property
    def point(self) -> RunPoint:
        """The last step made, of the latest Snapshot."""
        assert self.snapshot.training is not None
        return self.snapshot.training.current_point


def test_nothing_is_taken_apart_unless_somebody_looks() -> None:
    run = TrainingRun(CPU)
    assert traced(run, replace(RUN, stop_at_step=3), None) is None
    found = traced(run, replace(RUN, stop_at_step=3))
    assert found is not None
    assert found.run_point == RunPoint(0, 3)
    assert traced(run, GOAL, None) is None


def test_where_it_stands_the_coming_step_is_shown_and_comes_so() -> None:
    run = TrainingRun(CPU)
    for step in range(1, 12):
        found = traced(run, replace(RUN, stop_at_step=step - 1))
        assert found is not None
        assert found.update is not None
        report = following(run, replace(RUN, stop_at_step=step), LOOK)
        for name, values in found.update.after.items():
            np.testing.assert_array_equal(run.shown_parameters()[name], values)
        np.testing.assert_array_equal(report.batch, found.indices)


def test_a_slow_step_is_taken_apart_before_it_is_made_and_waits_to_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = TrainingRun(CPU)
    following(run, GOAL)
    request = replace(RUN, speed_limit=1.0)
    follower = Follower(run, request)
    for step in range(3):
        while (found := follower.advance()) is None or found.run_point.step < step:
            assert follower.point == RunPoint(0, step), "a step is shown before it is made"
        assert found.run_point == RunPoint(0, step)
        for _ in range(5):
            follower.advance()
            assert follower.show() is found
            assert follower.point == RunPoint(0, step), "and long enough"
        phase = run._phase
        assert isinstance(phase, Running)
        assert phase.pace.waiting > 0.5
        phase.pace._next_at = 0.0  # a second later
    # A single step that is asked for waits for nothing.
    while follower.point.step < 3:
        follower.advance()
    follower.ask(GOAL)
    follower.ask(replace(request, stop_at_step=4))
    monkeypatch.setattr("engine.runtime.training_run.sleep", lambda _: pytest.fail("it waits"))
    while follower.point.step < 4:
        follower.advance()


def test_a_slow_step_that_cannot_be_taken_apart_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("There is no room for it.")

    monkeypatch.setattr("engine.runtime.training_jobs.StepTracer", refuse)
    run = TrainingRun(CPU)
    following(run, GOAL)
    follower = Follower(run, replace(RUN, speed_limit=1.0))
    while follower.point.step < 2:
        follower.advance()
        if isinstance(run._phase, Running):
            run._phase.pace._next_at = 0.0
    assert [notice.text for notice in follower.snapshot.notices] == [
        "One step: not available. There is no room for it."
    ]


def test_while_it_goes_fast_a_step_is_taken_apart_now_and_then() -> None:
    follower = Follower(TrainingRun(CPU), ENDLESS)
    seen = set()
    while follower.point.step < 300:
        follower.advance()
        found = follower.show()
        if found is not None:
            seen.add(found.run_point.step)
    assert 1 <= len(seen) < 30


def test_another_example_or_value_of_the_same_step_is_shown_at_once_even_while_it_goes_fast() -> None:
    follower = Follower(TrainingRun(CPU), ENDLESS)
    for example in (3, 9):
        wanted = StepQuery(example, weight=("conv2d-1.weight", (1, 0, 2, 0)))
        follower.ask(ENDLESS, wanted)
        while (found := follower.show()) is None:
            follower.advance()
        assert found.example_pass is not None
        assert found.example_pass.example == example
        assert found.weight_trace is not None
        assert found.weight_trace.parameter == wanted.weight


def test_looking_back_shows_the_step_that_would_come_from_there_by_the_config_of_now() -> None:
    run = TrainingRun(CPU, budget=1)
    following(run, replace(RUN, stop_at_step=20))
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
    request = replace(RUN, config=replace(GOAL.config, optimizer=SGD(1e30)))
    assert following(run, request).state == "diverged"
    assert traced(run, request) is None
    ended = replace(RUN, run_id=2, config=replace(GOAL.config, optimizer=Adam(0.01), epochs=1))
    assert following(run, ended).state == "ended"
    assert traced(run, ended) is None
