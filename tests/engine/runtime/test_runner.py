"""The Runner: one Snapshot per Request, without a thread."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image

from engine.backends.backend import Backend
from engine.documents.document import Document
from engine.documents.open_file import Opened, Opening
from engine.documents.presets import DEFAULT, WALKTHROUGH, handmade_parameters
from engine.drawings.drawing import Drawing, Stroke
from engine.nn.inference import Reader
from engine.nn.layers import Dense, Flatten
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.runtime.protocol import Request
from engine.runtime.runner import Runner

LINE = Drawing((Stroke(np.array([[0.2, 0.2, 0.1], [0.8, 0.8, 0.1]], np.float32)),))


def walkthrough() -> Subject:
    return Subject("Walk-through", WALKTHROUGH.network, handmade_parameters())


def untrained(seed: int = 1) -> Subject:
    return Subject("Default", DEFAULT.network, DEFAULT.network.initial(seed))


def request(*subjects: Subject, drawing: Drawing = LINE, **rest: object) -> Request:
    return Request(1, Document(drawing, subjects), **rest)


def test_a_snapshot_carries_the_drawing_it_belongs_to_and_every_layer() -> None:
    snapshot = Runner("cpu").answer(request(untrained(), asked_at=7.5, settled=False))
    assert snapshot.drawing is LINE
    assert (snapshot.generation, snapshot.asked_at, snapshot.settled) == (1, 7.5, False)
    (reading,) = snapshot.readings
    assert [output.shape for output in reading.outputs] == list(DEFAULT.network.shapes)
    assert len(reading.seconds) == len(DEFAULT.network.layers)
    assert reading.votes.sum() == pytest.approx(1)
    assert snapshot.device.title == "CPU"


def test_arrays_cross_read_only() -> None:
    (reading,) = Runner("cpu").answer(request(untrained())).readings
    for array in (*reading.outputs, reading.votes):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_two_subjects_read_the_same_drawing_each_in_its_own_size() -> None:
    first, second = Runner("cpu").answer(request(untrained(), walkthrough())).readings
    assert first.outputs[0].shape == (1, 32, 32)
    assert second.outputs[0].shape == (1, 9, 9)
    assert first.outputs[0].mean() == pytest.approx(second.outputs[0].mean(), abs=0.05)


def test_later_snapshots_leave_earlier_ones_as_they_were() -> None:
    runner, subject = Runner("cpu"), untrained()
    first = runner.answer(request(subject))
    before = [output.copy() for output in first.readings[0].outputs]
    runner.answer(request(subject, drawing=Drawing()))
    for now, then in zip(first.readings[0].outputs, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_fit_reads_a_small_drawing_as_large() -> None:
    small = Drawing((Stroke(np.array([[0.1, 0.1, 0.02], [0.25, 0.25, 0.02]], np.float32)),))
    document = Document(small, (untrained(),), fit=True)
    plain = Runner("cpu").answer(Request(1, replace(document, fit=False))).readings[0].outputs[0]
    fitted = Runner("cpu").answer(Request(1, document)).readings[0].outputs[0]
    assert (fitted > 0).sum() > 4 * (plain > 0).sum()


def test_a_blank_canvas_is_unsure_for_every_network() -> None:
    for subject in (untrained(), walkthrough()):
        (reading,) = Runner("cpu").answer(request(subject, drawing=Drawing())).readings
        assert reading.verdict == "unsure"


def test_a_vote_below_the_threshold_is_unsure() -> None:
    subject = untrained()
    vote = float(Runner("cpu").answer(request(subject)).readings[0].votes.max())
    for threshold, unsure in ((vote + 1e-4, True), (vote - 1e-4, False)):
        (reading,) = Runner("cpu").answer(request(replace(subject, threshold=threshold))).readings
        assert (reading.verdict == "unsure") is unsure


def test_a_network_that_cannot_read_drawings_is_one_sentence_and_the_next_request_works() -> None:
    network = Network((3, 8, 8), (Flatten(), Dense(2)))
    runner = Runner("cpu")
    snapshot = runner.answer(request(Subject("Colour", network, network.initial(1))))
    assert snapshot.readings == ()
    assert [notice.number for notice in snapshot.notices] == [1]
    assert "3 × 8 × 8" in snapshot.notices[0].text
    assert runner.answer(request(walkthrough())).readings


def test_notices_are_repeated_until_acknowledged() -> None:
    network = Network((3, 8, 8), (Flatten(), Dense(2)))
    runner = Runner("cpu")
    runner.answer(request(Subject("Colour", network, network.initial(1))))
    assert [n.number for n in runner.answer(request(walkthrough())).notices] == [1]
    assert runner.answer(request(walkthrough(), acknowledged=1)).notices == ()


def colour() -> Subject:
    """A network for colour images."""
    network = Network((3, 8, 8), (Flatten(), Dense(2)))
    return Subject("Colour", network, network.initial(1))


def test_notices_are_numbered_on_and_the_same_one_waits_only_once() -> None:
    runner = Runner("cpu")
    bad, worse = request(colour()), request(replace(colour(), name="Worse"))
    assert [n.number for n in runner.answer(bad).notices] == [1]
    assert [n.number for n in runner.answer(bad).notices] == [1]
    assert [n.number for n in runner.answer(worse).notices] == [1, 2]
    assert [n.number for n in runner.answer(request(walkthrough(), acknowledged=1)).notices] == [2]
    assert [n.number for n in runner.answer(replace(bad, acknowledged=2)).notices] == [3]


def test_a_snapshot_says_which_generation_it_answers_and_how_long_it_took() -> None:
    begun = perf_counter()
    snapshot = Runner("cpu").answer(replace(request(walkthrough()), generation=7))
    assert snapshot.generation == 7
    assert 0 < snapshot.engine_seconds <= perf_counter() - begun


def test_the_plan_of_a_subject_is_kept_from_stroke_to_stroke(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Subject] = []

    def counted(subject: Subject, backend: Backend) -> Reader:
        made.append(subject)
        return Reader(subject, backend)

    monkeypatch.setattr("engine.runtime.runner.Reader", counted)
    runner, first, second = Runner("cpu"), untrained(), walkthrough()
    for subjects in ((first, second), (first, second), (second, first), (first,), (second,)):
        readings = runner.answer(request(*subjects)).readings
        assert tuple(reading.subject for reading in readings) == subjects
    assert made == [first, second, second]


def test_the_second_is_read_anew_only_when_it_or_the_drawing_is_another() -> None:
    runner, second = Runner("cpu"), walkthrough()
    seen = [runner.answer(request(untrained(), second)).readings[1] for _ in range(2)]
    assert seen[0] is seen[1]
    other = replace(second, parameters={name: 2 * values for name, values in second.parameters.items()})
    moved = replace(LINE, transform=replace(LINE.transform, shift_x=0.3))
    for change in (request(untrained(), second, drawing=moved), request(untrained(), other)):
        found = runner.answer(change).readings[1]
        alone = Runner("cpu").answer(
            replace(change, document=replace(change.document, subjects=(change.document.subjects[1],)))
        )
        for one, expected in zip(found.outputs, alone.readings[0].outputs, strict=True):
            np.testing.assert_array_equal(one, expected)


def test_a_file_is_opened_once_and_shown_until_another_is_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Opening] = []

    def counted(opening: Opening) -> Opened:
        opened.append(opening)
        return Opened(opening, None, f"trouble {opening.number}")

    monkeypatch.setattr("engine.runtime.runner.answer", counted)
    runner, wishes = Runner("cpu"), [Opening(number, Path("x.png")) for number in (1, 2)]
    assert runner.answer(request(walkthrough())).opened is None
    for number, wish in ((1, wishes[0]), (1, wishes[0]), (1, None), (2, wishes[1]), (2, wishes[1])):
        snapshot = runner.answer(request(walkthrough(), opening=wish))
        assert snapshot.opened is not None
        assert (snapshot.opened.opening, snapshot.opened.trouble) == (wishes[number - 1], f"trouble {number}")
        assert snapshot.readings
    assert opened == wishes


def test_an_opened_picture_crosses_read_only(tmp_path: Path) -> None:
    Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(tmp_path / "line.png")
    opened = Runner("cpu").answer(request(walkthrough(), opening=Opening(1, tmp_path / "line.png"))).opened
    assert opened is not None
    assert isinstance(opened.found, np.ndarray)
    assert not opened.found.flags.writeable


def test_an_unexpected_fault_is_logged_and_shown(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    def broken(*_: object) -> np.ndarray:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("engine.runtime.runner.render", broken)
    with caplog.at_level(logging.ERROR):
        snapshot = Runner("cpu").answer(request(walkthrough()))
    assert "ZeroDivisionError: planted" in snapshot.notices[0].text
    assert "planted" in caplog.text
    caplog.clear()
