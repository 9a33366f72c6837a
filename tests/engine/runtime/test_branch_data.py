"""BranchData: the examples of each branch, and the trainers on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.data import TrainingData
from engine.nn import RunPoint
from engine.runtime.branch_data import BranchData
from engine.training import BranchOrigin, History
from tests.engine.runtime.test_training_run import CPU, DATA, GOAL, NETWORK, OWN, straight

FIRST, SECOND = TrainingData(DATA, ()), TrainingData(replace(DATA, seed=8), OWN)


def test_the_examples_of_the_branch_come_first_and_then_those_of_its_parent() -> None:
    data = BranchData(CPU)
    data.set_current(SECOND)
    data.origins.append(BranchOrigin(FIRST, None))
    assert data.of_branch(1) is data.current, "a branch that is still to begin"
    slices = 1
    while not data.grow(0):
        slices += 1
        assert data.of_branch(0).progress == 0 or data.current.progress == 1
    assert slices > 2
    assert (len(data.current.training), len(data.of_branch(0).training)) == (150 + 2, 150)


def test_a_replay_uses_the_examples_of_its_branch_and_not_the_current_ones() -> None:
    data = BranchData(CPU)
    data.set_current(FIRST)
    while not data.grow(None):
        pass
    start = data.trainer(NETWORK, GOAL.config).checkpoint()
    history = History()
    assert history.is_empty
    history.add_branch("first", NETWORK, GOAL.config, 0, start)
    data.origins.append(BranchOrigin(FIRST, None))
    data.set_current(SECOND)
    while not data.grow(0):
        pass
    replay = data.replay(history, RunPoint(0, 4))
    while not replay.is_exact:
        replay.advance()
    for name, values in straight(4).items():
        np.testing.assert_array_equal(replay.parameters[name], values)
