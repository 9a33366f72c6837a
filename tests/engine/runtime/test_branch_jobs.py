"""Training accuracy, branch names and the keyframes of a branch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.data.pool import Pool
from engine.nn.model import Moment
from engine.runtime.training_run import Run
from engine.training.evaluation import SAMPLE, judge
from engine.training.history import History
from tests.engine.runtime.test_training_run import CPU, DATA, GOAL, NETWORK, following, straight


def test_after_every_epoch_some_of_what_is_learnt_from_is_read() -> None:
    run = Run(CPU)
    curves = following(run, replace(GOAL, running=True, until=16)).branches[0].curves
    assert curves.recalled.tolist() == [8, 16]
    pool = Pool(DATA)
    while pool.done < 1:
        pool.grow()
    assert len(pool.training) < SAMPLE
    for step, accuracy in zip((8, 16), curves.training_accuracies, strict=True):
        expected = judge(NETWORK, straight(step), pool.training, CPU).score.accuracy
        assert accuracy == np.float32(expected)
    # Another session goes on with it.
    assert run._history is not None
    again = History.taken_up(run._history.lines(), run._history.spacing).branches()[0].curves
    np.testing.assert_array_equal(again.recalled, curves.recalled)
    np.testing.assert_array_equal(again.training_accuracies, curves.training_accuracies)


def test_branches_are_called_what_the_person_calls_them() -> None:
    run = Run(CPU)
    goal = replace(GOAL, running=True, until=3)
    following(run, goal)
    assert run._history is not None
    # One that is not there yet is none to name.
    report = following(run, replace(goal, names={0: "mine", 4: "nobody"}))
    assert [branch.name for branch in report.branches] == ["mine"]
    written = run._history.changes
    following(run, replace(goal, names={0: "mine"}))
    assert run._history.changes == written


def test_the_film_of_a_branch_begins_where_its_training_began() -> None:
    run = Run(CPU)
    following(run, replace(GOAL, running=True, until=30))
    goal = replace(GOAL, number=2, origin=Moment(0, 12), name="other", running=True, until=20)
    report = following(run, goal)
    steps = [frame.moment.step for frame in report.frames]
    assert (steps[0], steps[-1]) == (0, 20)
    assert steps == sorted(set(steps))
    assert {frame.moment.branch for frame in report.frames} == {1}
    for frame in report.frames:
        expected = straight(frame.moment.step) if frame.moment.step else NETWORK.initial(5)
        for name, values in expected.items():
            np.testing.assert_array_equal(frame.parameters[name], values)
    # Looking at the other branch shows that one's.
    back = following(run, replace(goal, look=Moment(0, 25)))
    assert back.frames[-1].moment == Moment(0, 30)
