"""Training accuracy, branch names and the keyframes of a branch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.data import ExamplePool
from engine.nn import RunPoint
from engine.runtime.training_run import TrainingRun
from engine.training import History, evaluate
from engine.training.evaluation import TRAINING_SAMPLE
from tests.engine.run_driver import following
from tests.engine.runtime.test_training_run import CPU, DATA, GOAL, NETWORK, straight


def test_after_every_epoch_some_of_what_is_learnt_from_is_read() -> None:
    run = TrainingRun(CPU)
    curves = following(run, replace(GOAL, running=True, stop_at_step=16)).branches[0].curves
    assert curves.training_accuracy_steps.tolist() == [8, 16]
    pool = ExamplePool(DATA)
    while pool.progress < 1:
        pool.generate_next()
    assert len(pool.training) < TRAINING_SAMPLE
    for step, accuracy in zip((8, 16), curves.training_accuracies, strict=True):
        expected = evaluate(NETWORK, straight(step), pool.training, CPU).metrics.accuracy
        assert accuracy == np.float32(expected)
    # Another session goes on with it.
    again = History.from_records(run._history.records(), run._history.spacing).branches()[0].curves
    np.testing.assert_array_equal(again.training_accuracy_steps, curves.training_accuracy_steps)
    np.testing.assert_array_equal(again.training_accuracies, curves.training_accuracies)


def test_branches_are_called_what_the_person_calls_them() -> None:
    run = TrainingRun(CPU)
    request = replace(GOAL, running=True, stop_at_step=3)
    following(run, request)
    # One that is not there yet is none to name.
    report = following(run, replace(request, branch_names={0: "mine", 4: "nobody"}))
    assert [branch.name for branch in report.branches] == ["mine"]
    written = run._history.revision
    following(run, replace(request, branch_names={0: "mine"}))
    assert run._history.revision == written


def test_the_film_of_a_branch_begins_where_its_training_began() -> None:
    run = TrainingRun(CPU)
    following(run, replace(GOAL, running=True, stop_at_step=30))
    request = replace(GOAL, run_id=2, origin=RunPoint(0, 12), branch_name="other", running=True, stop_at_step=20)
    report = following(run, request)
    steps = [frame.point.step for frame in report.keyframes]
    assert (steps[0], steps[-1]) == (0, 20)
    assert steps == sorted(set(steps))
    assert {frame.point.branch for frame in report.keyframes} == {1}
    for frame in report.keyframes:
        expected = straight(frame.point.step) if frame.point.step else NETWORK.initial_parameters(5)
        for name, values in expected.items():
            np.testing.assert_array_equal(frame.parameters[name], values)
    # Looking at the other branch shows that one's.
    back = following(run, replace(request, shown_point=RunPoint(0, 25)))
    assert back.keyframes[-1].point == RunPoint(0, 30)
