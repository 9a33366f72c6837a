"""Moments: what jobs get of a run is the state between two steps, copied once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.nn import RunPoint
from engine.runtime.phases import branch_of
from engine.runtime.training_run import TrainingRun
from engine.training import Trainer
from tests.engine.run_driver import following
from tests.engine.runtime.test_training_run import CPU, GOAL, straight

RUN = replace(GOAL, running=True)


def trainer_of(run: TrainingRun) -> Trainer:
    branch = branch_of(run._phase)
    assert branch is not None
    return branch.trainer


def into_step(run: TrainingRun, number: int) -> None:
    """Train until a part of this step is made."""
    while (
        not branch_of(run._phase) or trainer_of(run).steps_made < number - 1 or not trainer_of(run).is_within_step
    ):
        run.advance()


def test_asked_for_within_a_step_the_change_is_kept_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.branch_data.SLICE_SECONDS", 0.0)
    run = TrainingRun(CPU)
    run.set_request(RUN)
    into_step(run, 3)
    assert run.moment(with_change=True) is None
    without = run.moment(with_change=False)
    assert without is not None
    assert without.point == RunPoint(0, 2)
    into_step(run, 5)
    moment = run.moment(with_change=True)
    assert moment is not None
    assert moment.point == RunPoint(0, 3)
    *_, change = moment.change()
    assert change is not None
    before, after = straight(2), straight(3)
    for name, values in change.changes.items():
        np.testing.assert_array_equal(moment.parameters[name], after[name])
        np.testing.assert_allclose(values, after[name] - before[name], atol=1e-7)


def test_where_training_stands_still_everything_is_copied_once() -> None:
    run = TrainingRun(CPU)
    following(run, replace(RUN, stop_at_step=3))
    seen = [(run.moment(with_change=True), run.coming_step(), run.shown_parameters()) for _ in range(3)]
    for one in seen[1:]:
        assert all(same is first for same, first in zip(one, seen[0], strict=True))
    following(run, replace(RUN, stop_at_step=4))
    assert run.coming_step() is not seen[0][1]


def test_until_a_point_of_the_history_is_reached_jobs_keep_the_moment_before() -> None:
    run = TrainingRun(CPU, budget=1)
    request = replace(RUN, stop_at_step=20)
    following(run, request)
    now, coming = run.moment(with_change=True), run.coming_step()
    assert now is not None
    look = replace(request, shown_point=RunPoint(0, 13))
    run.set_request(look)
    assert run.moment(with_change=True) is now
    assert run.coming_step() is coming
    following(run, look)
    then = run.moment(with_change=True)
    assert then is not None
    assert then.point == RunPoint(0, 13)
