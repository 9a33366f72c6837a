"""Predictions for the user's own drawings, a few at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import LabelledDrawing
from engine.data.xo import XOSettings
from engine.data.xo import generate_drawing as drawn
from engine.documents import shipped_model
from engine.drawings import Drawing, render
from engine.nn import Model, Predictor, RunPoint
from engine.runtime.jobs import RUNNING_INTERVAL, DrawingPredictionJob

CPU = choose_backend("cpu")
SUBJECT = shipped_model("default")
RNG = np.random.default_rng(4)
OWN = tuple(LabelledDrawing(drawn(kind, XOSettings(), RNG), kind) for kind in ("X", "O", "neither") * 8)


def finished(reader: DrawingPredictionJob) -> DrawingPredictionJob:
    while reader.busy:
        reader.run_for(0.001)
    return reader


def at(step: int, state: str = "paused") -> SimpleNamespace:
    """A training report with the fields the job reads."""
    return SimpleNamespace(run_id=1, shown_point=RunPoint(0, step), state=state)


def other() -> Model:
    return replace(SUBJECT, parameters=SUBJECT.network.initial_parameters(3))


def test_each_is_read_as_it_would_be_on_the_canvas() -> None:
    reader = DrawingPredictionJob(CPU)
    reader.update(OWN, SUBJECT, None)
    found = finished(reader).report()
    canvas = Predictor(SUBJECT, CPU)
    for own in OWN:
        prediction = canvas.predict(render(own.drawing, 32))
        assert found[own.drawing].predicted_class == prediction.predicted_class
        assert found[own.drawing].vote == pytest.approx(prediction.votes.max(), abs=1e-5)


def test_other_weights_give_other_verdicts_and_the_same_ones_none() -> None:
    reader = DrawingPredictionJob(CPU)
    reader.update(OWN, SUBJECT, at(1))
    before = finished(reader).report()
    reader.update(OWN, replace(SUBJECT), at(1))
    assert not reader.busy
    assert reader.report() is before
    reader.update(OWN, other(), at(2))
    assert reader.busy
    assert reader.report() is before
    assert finished(reader).report() != before


def test_one_that_is_new_is_read_alone_and_one_that_is_gone_is_forgotten() -> None:
    reader = DrawingPredictionJob(CPU)
    reader.update(OWN[:2], SUBJECT, at(1))
    before = finished(reader).report()
    reader.update((OWN[1], OWN[2], replace(OWN[1], label="X")), SUBJECT, at(1))
    found = finished(reader).report()
    assert set(found) == {OWN[1].drawing, OWN[2].drawing}
    assert found[OWN[1].drawing] is before[OWN[1].drawing]


def test_weights_that_change_all_the_time_are_followed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("engine.runtime.jobs.perf_counter", lambda: now[0])
    reader, rounds = DrawingPredictionJob(CPU), 0
    for step in range(100):
        reader.update(OWN[:3], SUBJECT, at(step, "running"))
        rounds += reader.busy
        reader.run_for(1)
        now[0] += RUNNING_INTERVAL / 10
    assert 9 <= rounds <= 11
    reader.update(OWN[:3], SUBJECT, at(99, "running"))
    assert not reader.busy
    reader.update(OWN[:3], SUBJECT, at(100))
    assert reader.busy


def test_a_blank_one_is_unsure() -> None:
    reader = DrawingPredictionJob(CPU)
    blank = LabelledDrawing(Drawing(), "neither")
    reader.update((blank,), SUBJECT, at(1))
    assert finished(reader).report()[blank.drawing].predicted_class == "unsure"


def test_what_failed_is_not_tried_again_until_the_network_is_another() -> None:
    reader = DrawingPredictionJob(CPU)
    reader.update(OWN[:3], SUBJECT, at(1))
    reader.cancel()
    reader.update(OWN[:3], SUBJECT, at(2))
    assert not reader.busy
    walkthrough = shipped_model("walkthrough")
    reader.update(OWN[:3], walkthrough, None)
    assert len(finished(reader).report()) == 3


def test_a_network_that_cannot_be_laid_out_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def too_large(*_: object) -> None:
        tries.append(1)
        raise ValueError("It is too large.")

    monkeypatch.setattr("engine.runtime.jobs.Plan", too_large)
    reader = DrawingPredictionJob(CPU)
    with pytest.raises(ValueError, match="too large"):
        reader.update(OWN, SUBJECT, None)
    reader.cancel()
    reader.update(OWN, SUBJECT, at(1))
    assert (tries, reader.busy, dict(reader.report())) == ([1], False, {})
