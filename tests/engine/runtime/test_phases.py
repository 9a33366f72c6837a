"""Phases of a training run: which one follows from which, and what each holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.nn import RunPoint
from engine.runtime.phases import (
    Diverged,
    Ended,
    Failed,
    Idle,
    LiveBranch,
    Pace,
    Paused,
    Preparing,
    Running,
    advanced,
    begun,
    branch_of,
    failed,
    message_of,
    origin_of,
    requested,
)
from tests.engine.runtime.test_training_run import GOAL

RUN = replace(GOAL, running=True)


def branch(steps: int = 3, reason: Any = None, *, due: bool = False) -> LiveBranch:
    """A branch whose trainer has made this many steps."""
    trainer: Any = SimpleNamespace(steps_made=steps, stop_reason=reason, is_evaluation_due=due)
    return LiveBranch(0, trainer, iter(()))


def test_a_prepared_branch_runs_only_if_a_step_is_wanted() -> None:
    live = branch(3)
    assert isinstance(begun(GOAL, live), Paused)
    assert isinstance(begun(RUN, live), Running)
    assert isinstance(begun(replace(RUN, stop_at_step=3), live), Paused)
    assert isinstance(begun(replace(RUN, stop_at_step=4), live), Running)


def test_a_run_pauses_at_its_step_once_the_evaluation_of_the_epoch_is_made() -> None:
    stop = replace(RUN, stop_at_step=3)
    assert isinstance(advanced(Running(stop, branch(2))), Running)
    assert isinstance(advanced(Running(stop, branch(3, due=True))), Running)
    assert isinstance(advanced(Running(stop, branch(3))), Paused)
    ended = advanced(Running(RUN, branch(3, "epochs")))
    assert isinstance(ended, Ended)
    assert (ended.state, message_of(ended)) == ("ended", "All epochs are done.")


def test_pause_and_run_keep_the_branch_and_a_stroke_keeps_the_pace() -> None:
    running = Running(RUN, branch())
    again = requested(running, replace(RUN), None)
    assert isinstance(again, Running)
    assert again.pace is running.pace
    paused = requested(running, GOAL, None)
    assert isinstance(paused, Paused)
    assert paused.branch is running.branch
    resumed = requested(paused, RUN, None)
    assert isinstance(resumed, Running)
    assert resumed.pace is not running.pace


def test_another_configuration_lifts_the_stop_or_ends_the_run() -> None:
    ended = Ended(RUN, branch(5, "steps"), "steps")
    assert isinstance(requested(ended, RUN, None), Ended)
    assert isinstance(requested(ended, RUN, branch(5)), Running)
    assert isinstance(requested(ended, GOAL, branch(5)), Paused)
    assert isinstance(requested(Running(RUN, branch(5)), RUN, branch(5, "steps")), Ended)


@pytest.mark.parametrize("request_", [GOAL, RUN])
def test_a_diverged_or_failed_run_is_revived_by_no_request(request_: Any) -> None:
    for phase in (Diverged(RUN, branch(), "Too fast."), Failed(RUN, branch(), None, "Broken.")):
        after = requested(phase, request_, branch())
        assert type(after) is type(phase)
        assert after.request is request_
        assert branch_of(after) is phase.branch
        assert message_of(after) == phase.message


def test_a_failure_keeps_what_can_be_looked_at() -> None:
    assert isinstance(failed(Idle(), "?"), Idle), "nothing was requested"
    origin: Any = SimpleNamespace(target=RunPoint(0, 2))
    preparing = failed(Preparing(RUN, origin), "No room.")
    assert isinstance(preparing, Failed)
    assert (origin_of(preparing), branch_of(preparing), message_of(preparing)) == (origin, None, "No room.")
    live = branch()
    first = failed(Running(RUN, live), "First.")
    assert isinstance(first, Failed)
    assert branch_of(first) is live
    second = failed(first, "Second.")
    assert isinstance(second, Failed)
    assert (branch_of(second), second.message) == (live, "Second.")


def test_a_step_that_is_to_be_shown_waits_for_its_release() -> None:
    pace = Pace()
    pace.show_each(True)
    assert pace.is_held
    pace.release(60.0)
    assert not pace.is_held
    assert 50 < pace.waiting <= 60
    pace.show_each(True)
    assert not pace.is_held, "a stroke does not hold it again"
    pace.count(None)
    assert pace.is_held
    pace.show_each(False)
    assert not pace.is_held
