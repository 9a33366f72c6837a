"""Predictions for the user's own drawings, a few at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine.backends.backend import choose_backend
from engine.data.labelled_drawings import OwnDrawing
from engine.data.xo.generator import drawing as drawn
from engine.data.xo.settings import XOSettings
from engine.documents.model_file import shipped_subject
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render
from engine.nn.inference import Reader
from engine.nn.model import Moment, Subject
from engine.runtime.jobs import HURRIED, OwnReader

CPU = choose_backend("cpu")
SUBJECT = shipped_subject("default")
RNG = np.random.default_rng(4)
OWN = tuple(OwnDrawing(drawn(kind, XOSettings(), RNG), kind) for kind in ("X", "O", "neither") * 8)


def finished(reader: OwnReader) -> OwnReader:
    while reader.busy:
        reader.work(0.001)
    return reader


def at(step: int, state: str = "paused") -> SimpleNamespace:
    """A training report with the fields the job reads."""
    return SimpleNamespace(goal=1, shown=Moment(0, step), state=state)


def other() -> Subject:
    return replace(SUBJECT, parameters=SUBJECT.network.initial(3))


def test_each_is_read_as_it_would_be_on_the_canvas() -> None:
    reader = OwnReader(CPU)
    reader.follow(OWN, SUBJECT, None)
    found = finished(reader).report()
    canvas = Reader(SUBJECT, CPU)
    for own in OWN:
        reading = canvas.read(render(own.drawing, 32))
        assert found[own.drawing].word == reading.verdict
        assert found[own.drawing].vote == pytest.approx(reading.votes.max(), abs=1e-5)


def test_other_weights_give_other_verdicts_and_the_same_ones_none() -> None:
    reader = OwnReader(CPU)
    reader.follow(OWN, SUBJECT, at(1))
    before = finished(reader).report()
    reader.follow(OWN, replace(SUBJECT), at(1))
    assert not reader.busy
    assert reader.report() is before
    reader.follow(OWN, other(), at(2))
    assert reader.busy
    assert reader.report() is before
    assert finished(reader).report() != before


def test_one_that_is_new_is_read_alone_and_one_that_is_gone_is_forgotten() -> None:
    reader = OwnReader(CPU)
    reader.follow(OWN[:2], SUBJECT, at(1))
    before = finished(reader).report()
    reader.follow((OWN[1], OWN[2], replace(OWN[1], label="X")), SUBJECT, at(1))
    found = finished(reader).report()
    assert set(found) == {OWN[1].drawing, OWN[2].drawing}
    assert found[OWN[1].drawing] is before[OWN[1].drawing]


def test_weights_that_change_all_the_time_are_followed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("engine.runtime.jobs.perf_counter", lambda: now[0])
    reader, rounds = OwnReader(CPU), 0
    for step in range(100):
        reader.follow(OWN[:3], SUBJECT, at(step, "running"))
        rounds += reader.busy
        reader.work(1)
        now[0] += HURRIED / 10
    assert 9 <= rounds <= 11
    reader.follow(OWN[:3], SUBJECT, at(99, "running"))
    assert not reader.busy
    reader.follow(OWN[:3], SUBJECT, at(100))
    assert reader.busy


def test_a_blank_one_is_unsure() -> None:
    reader = OwnReader(CPU)
    blank = OwnDrawing(Drawing(), "neither")
    reader.follow((blank,), SUBJECT, at(1))
    assert finished(reader).report()[blank.drawing].word == "unsure"


def test_what_failed_is_not_tried_again_until_the_network_is_another() -> None:
    reader = OwnReader(CPU)
    reader.follow(OWN[:3], SUBJECT, at(1))
    reader.give_up()
    reader.follow(OWN[:3], SUBJECT, at(2))
    assert not reader.busy
    walkthrough = shipped_subject("walkthrough")
    reader.follow(OWN[:3], walkthrough, None)
    assert len(finished(reader).report()) == 3


def test_a_network_that_cannot_be_laid_out_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def too_large(*_: object) -> None:
        tries.append(1)
        raise ValueError("It is too large.")

    monkeypatch.setattr("engine.runtime.jobs.Plan", too_large)
    reader = OwnReader(CPU)
    with pytest.raises(ValueError, match="too large"):
        reader.follow(OWN, SUBJECT, None)
    reader.give_up()
    reader.follow(OWN, SUBJECT, at(1))
    assert (tries, reader.busy, dict(reader.report())) == ([1], False, {})
