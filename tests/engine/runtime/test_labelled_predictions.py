"""Predictions for the user's own drawings, a few at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import LabelledSample
from engine.data.xo import XOSettings
from engine.data.xo import generate_drawing as drawn
from engine.documents import shipped_model
from engine.drawings import Drawing, render
from engine.nn import Model, Predictor, RunPoint
from engine.runtime import LabelledPredictionsQuery
from engine.runtime.jobs import JOBS
from tests.engine.query_driver import QueryDriver, report
from tests.samples import drawing_sample

CPU = choose_backend("cpu")
SUBJECT = shipped_model("default")
RNG = np.random.default_rng(4)
OWN = tuple(
    LabelledSample(drawing_sample(drawn(kind, XOSettings(), RNG)), kind) for kind in ("X", "O", "neither") * 8
)


QUERY = LabelledPredictionsQuery()


def other() -> Model:
    return replace(SUBJECT, parameters=SUBJECT.network.initial_parameters(3))


def test_each_is_read_as_it_would_be_on_the_canvas() -> None:
    reader = QueryDriver()
    reader.set_model(QUERY, SUBJECT, labelled=OWN)
    found = reader.finish()
    canvas = Predictor(SUBJECT, CPU)
    for own in OWN:
        prediction = canvas.predict(render(own.sample.source, 48))
        assert found[own.sample].predicted_class == prediction.predicted_class
        assert found[own.sample].vote == pytest.approx(prediction.votes.max(), abs=1e-5)


def test_other_weights_give_other_predictions_and_the_same_ones_none() -> None:
    reader = QueryDriver()
    reader.set_model(QUERY, SUBJECT, report(1, "paused"), OWN)
    before = reader.finish()
    reader.set_model(QUERY, replace(SUBJECT), report(1, "paused"), OWN)
    assert not reader.busy
    assert reader.result is before
    reader.set_model(QUERY, other(), report(2, "paused"), OWN)
    assert reader.busy
    assert reader.result is before
    assert reader.finish() != before


def test_one_that_is_new_is_read_alone_and_one_that_is_gone_is_forgotten() -> None:
    reader = QueryDriver()
    reader.set_model(QUERY, SUBJECT, report(1, "paused"), OWN[:2])
    before = reader.finish()
    reader.set_model(QUERY, SUBJECT, report(1, "paused"), (OWN[1], OWN[2], replace(OWN[1], label="X")))
    found = reader.finish()
    assert set(found) == {OWN[1].sample, OWN[2].sample}
    assert found[OWN[1].sample] is before[OWN[1].sample]


def test_weights_that_change_all_the_time_are_followed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, interval = [100.0], JOBS[LabelledPredictionsQuery].policy(QUERY).min_interval
    monkeypatch.setattr("engine.runtime.scheduler.perf_counter", lambda: now[0])
    reader, rounds, read = QueryDriver(), 0, 0
    for step in range(100):
        reader.set_model(QUERY, SUBJECT, report(step), OWN[:3])
        rounds += reader.busy
        read = step if reader.busy else read
        while reader.busy:
            now[0] += interval / 100
            reader.run_for(1)
        assert {each.point for each in reader.result.values()} == {RunPoint(0, read)}, "each names its step"
        now[0] += interval / 10
    assert 7 <= rounds <= 11
    reader.set_model(QUERY, SUBJECT, report(100), OWN[:3])
    reader.set_model(QUERY, SUBJECT, report(101, "paused"), OWN[:3])
    assert reader.busy, "the last weights are read at once"


def test_a_blank_one_is_unsure() -> None:
    reader, blank = QueryDriver(), LabelledSample(drawing_sample(Drawing()), "neither")
    reader.set_model(QUERY, SUBJECT, labelled=(blank,))
    assert reader.finish()[blank.sample].predicted_class == "unsure"


def test_what_failed_is_said_once_and_another_network_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> None:
        raise ValueError("It is too large.")

    reader = QueryDriver()
    with monkeypatch.context() as patch:
        patch.setattr("engine.runtime.jobs.BatchPredictor", too_large)
        for step in (1, 1, 2):
            reader.set_model(QUERY, SUBJECT, report(step, "paused"), OWN)
            reader.finish()
    assert reader.said == ["Predictions for your own drawings: not available. It is too large."]
    reader.set_model(QUERY, shipped_model("walkthrough"), labelled=OWN[:3])
    assert len(reader.finish()) == 3
