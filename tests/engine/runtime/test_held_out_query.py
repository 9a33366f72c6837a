"""The held-out query: an untrained network is evaluated in slices, with the same result as in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import ExamplePool, PoolSettings
from engine.data.xo import XOSettings
from engine.documents import Document
from engine.nn import Model, Network
from engine.nn.layers import Conv2D, Dense, Flatten, ReLU
from engine.runtime import HeldOutQuery, Request, Runner
from engine.training import evaluate
from tests.engine.query_driver import QueryDriver

CPU = choose_backend("cpu")
NETWORK = Network((1, 10, 10), (Conv2D(3, 3), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
SUBJECT, OTHER = (Model("Small", NETWORK, NETWORK.initial_parameters(seed)) for seed in (3, 4))
DATA = PoolSettings(XOSettings(side=10, size=(0.7, 1.0)), 50, 230, seed=2)


def test_it_is_judged_on_the_drawings_and_by_the_numbers_of_training() -> None:
    judging = QueryDriver()
    judging.set_model(HeldOutQuery(DATA), SUBJECT)
    assert judging.result is None
    found = judging.finish()
    pool = ExamplePool(DATA)
    pool.generate_all()
    assert found.examples.digest == pool.held_out.digest
    expected = evaluate(NETWORK, SUBJECT.parameters, pool.held_out, CPU)
    np.testing.assert_array_equal(found.evaluation.scores, expected.scores)
    np.testing.assert_array_equal(found.evaluation.metrics.confusion, expected.metrics.confusion)


def test_another_subject_is_read_on_the_same_drawings_and_the_last_one_stands_until_then() -> None:
    judging, query = QueryDriver(), HeldOutQuery(DATA)
    judging.set_model(query, SUBJECT)
    first = judging.finish()
    judging.set_model(query, SUBJECT)
    assert not judging.busy
    judging.set_model(query, OTHER)
    assert judging.result is first
    second = judging.finish()
    assert second.examples is first.examples
    assert not np.array_equal(second.evaluation.scores, first.evaluation.scores)
    judging.set_model(HeldOutQuery(replace(DATA, seed=9)), OTHER)
    assert judging.result is None, "other drawings are not those"


def test_a_runner_judges_only_while_somebody_looks_and_only_what_fits() -> None:
    runner, request = Runner("cpu"), Request(1, Document.blank(SUBJECT))
    runner.compute(request)
    assert not runner.busy
    looking = replace(request, queries=frozenset({HeldOutQuery(DATA)}))
    runner.compute(looking)
    while runner.busy:
        runner.run_for(0.01)
    found = runner.compute(looking).result(HeldOutQuery(DATA))
    assert found is not None
    assert len(found.examples) == DATA.held_out
    assert not runner.compute(request).results
    wrong_side = replace(DATA, generator=XOSettings(side=12))
    wrong = frozenset({HeldOutQuery(wrong_side)})
    assert not runner.compute(replace(request, queries=wrong)).results
    assert not runner.busy


def test_what_cannot_be_judged_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("There is no room for it.")

    monkeypatch.setattr("engine.runtime.jobs.Evaluator", refuse)
    runner, request = (
        Runner("cpu"),
        Request(1, Document.blank(SUBJECT), queries=frozenset({HeldOutQuery(DATA)})),
    )
    runner.compute(request)
    while runner.busy:
        runner.run_for(0.01)
    snapshot = runner.compute(request)
    assert [notice.text for notice in snapshot.notices] == [
        "Accuracy on held-out drawings: not available. There is no room for it."
    ]
    assert runner.compute(replace(request, acknowledged=1)).notices == ()
    assert not runner.busy
