"""HeldOutJob: an untrained network is evaluated in slices, with the same result as in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.backends.backend import choose_backend
from engine.data.pool import Pool, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.nn.layers import Conv2D, Dense, Flatten, ReLU
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.runtime.protocol import Request
from engine.runtime.runner import Runner
from engine.training.evaluation import HeldOut, Judging, judge

CPU = choose_backend("cpu")
NETWORK = Network((1, 10, 10), (Conv2D(3, 3), ReLU(), Flatten(), Dense(2)))
SUBJECT, OTHER = (Subject("Small", NETWORK, NETWORK.initial(seed)) for seed in (3, 4))
DATA = PoolSettings(XOSettings(side=10, size=(0.7, 1.0)), 50, 230, seed=2)


def all_of(judging: Judging) -> HeldOut:
    while judging.busy:
        judging.work(0.0005)
    found = judging.report()
    assert found is not None
    return found


def test_it_is_judged_on_the_drawings_and_by_the_numbers_of_training() -> None:
    judging = Judging(CPU)
    judging.follow(SUBJECT, DATA)
    assert judging.report() is None
    found = all_of(judging)
    pool = Pool(DATA)
    pool.fill()
    assert found.examples.digest == pool.held_out.digest
    expected = judge(NETWORK, SUBJECT.parameters, pool.held_out, CPU)
    np.testing.assert_array_equal(found.judgement.scores, expected.scores)
    np.testing.assert_array_equal(found.judgement.score.confusion, expected.score.confusion)


def test_another_subject_is_read_on_the_same_drawings_and_the_last_one_stands_until_then() -> None:
    judging = Judging(CPU)
    judging.follow(SUBJECT, DATA)
    first = all_of(judging)
    judging.follow(SUBJECT, DATA)
    assert not judging.busy
    judging.follow(OTHER, DATA)
    assert judging.report() is first
    second = all_of(judging)
    assert second.examples is first.examples
    assert not np.array_equal(second.judgement.scores, first.judgement.scores)
    judging.follow(OTHER, replace(DATA, seed=9))
    assert judging.report() is None, "other drawings are not those"


def test_a_runner_judges_only_while_somebody_looks_and_only_what_fits() -> None:
    runner, request = Runner("cpu"), Request(1, Document(Drawing(), (SUBJECT,)))
    runner.answer(request)
    assert not runner.busy
    looking = replace(request, held_out=DATA)
    runner.answer(looking)
    while runner.busy:
        runner.work(0.01)
    found = runner.answer(looking).held_out
    assert found is not None
    assert len(found.examples) == DATA.held_out
    assert runner.answer(request).held_out is None
    wrong_side = replace(DATA, drawing=XOSettings(side=12))
    assert runner.answer(replace(request, held_out=wrong_side)).held_out is None
    assert not runner.busy


def test_what_cannot_be_judged_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("There is no room for it.")

    monkeypatch.setattr("engine.training.evaluation.Judge", refuse)
    runner, request = Runner("cpu"), Request(1, Document(Drawing(), (SUBJECT,)), held_out=DATA)
    runner.answer(request)
    while runner.busy:
        runner.work(0.01)
    snapshot = runner.answer(request)
    assert [notice.text for notice in snapshot.notices] == [
        "Accuracy on held-out drawings: not available. There is no room for it."
    ]
    assert runner.answer(replace(request, acknowledged=1)).notices == ()
    assert not runner.busy
