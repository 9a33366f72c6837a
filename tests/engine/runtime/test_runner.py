"""The Runner: one Snapshot per Request, without a thread."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image

from engine.backends import Backend
from engine.data import InputSample
from engine.documents import DEFAULT, WALKTHROUGH, Document, OpenRequest, OpenResult
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing, Stroke
from engine.nn import Model, Network, Predictor
from engine.nn.layers import Dense, Flatten
from engine.runtime import Request, Runner, Snapshot
from tests.samples import DRAWINGS, drawing_sample

LINE = Drawing((Stroke(np.array([[0.2, 0.2, 0.1], [0.8, 0.8, 0.1]], np.float32)),))


def walkthrough() -> Model:
    return Model("Walk-through", WALKTHROUGH.network, handmade_parameters())


def untrained(seed: int = 1) -> Model:
    return Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(seed))


def request(*subjects: Model, drawing: Drawing = LINE, **rest: object) -> Request:
    return Request(1, Document(drawing_sample(drawing), subjects), **rest)


def test_a_snapshot_carries_the_drawing_it_belongs_to_and_every_layer() -> None:
    snapshot = Runner("cpu").compute(request(untrained(), requested_at=7.5, settled=False))
    assert snapshot.input.source is LINE
    assert (snapshot.generation, snapshot.requested_at, snapshot.settled) == (1, 7.5, False)
    (prediction,) = snapshot.predictions
    assert [output.shape for output in prediction.activations] == list(DEFAULT.network.shapes)
    assert len(prediction.layer_seconds) == len(DEFAULT.network.layers)
    assert prediction.votes.sum() == pytest.approx(1)
    assert snapshot.device.title == "CPU"


def test_arrays_cross_read_only() -> None:
    (prediction,) = Runner("cpu").compute(request(untrained())).predictions
    for array in (*prediction.activations, prediction.votes):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_two_subjects_read_the_same_drawing_each_in_its_own_size() -> None:
    first, second = Runner("cpu").compute(request(untrained(), walkthrough())).predictions
    assert first.activations[0].shape == (1, 48, 48)
    assert second.activations[0].shape == (1, 9, 9)
    assert first.activations[0].mean() == pytest.approx(second.activations[0].mean(), abs=0.05)


def test_later_snapshots_leave_earlier_ones_as_they_were() -> None:
    runner, model = Runner("cpu"), untrained()
    first = runner.compute(request(model))
    before = [output.copy() for output in first.predictions[0].activations]
    runner.compute(request(model, drawing=Drawing()))
    for now, then in zip(first.predictions[0].activations, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_fit_reads_a_small_drawing_as_large() -> None:
    small = Drawing((Stroke(np.array([[0.1, 0.1, 0.02], [0.25, 0.25, 0.02]], np.float32)),))
    document = Document(drawing_sample(small), (untrained(),), fit_to_frame=True)
    plain = Runner("cpu").compute(Request(1, replace(document, fit_to_frame=False))).predictions[0].activations[0]
    fitted = Runner("cpu").compute(Request(1, document)).predictions[0].activations[0]
    assert (fitted > 0).sum() > 4 * (plain > 0).sum()


def test_a_blank_canvas_is_unsure_for_every_network() -> None:
    for model in (untrained(), walkthrough()):
        (prediction,) = Runner("cpu").compute(request(model, drawing=Drawing())).predictions
        assert prediction.predicted_class == "unsure"


def test_a_vote_below_the_threshold_is_unsure() -> None:
    model = untrained()
    vote = float(Runner("cpu").compute(request(model)).predictions[0].votes.max())
    for threshold, unsure in ((vote + 1e-4, True), (vote - 1e-4, False)):
        (prediction,) = Runner("cpu").compute(request(replace(model, threshold=threshold))).predictions
        assert (prediction.predicted_class == "unsure") is unsure


def test_a_network_that_cannot_read_drawings_is_one_sentence_and_the_next_request_works() -> None:
    network = Network((3, 8, 8), (Flatten(), Dense(2)), classes=("X", "O"))
    runner = Runner("cpu")
    snapshot = runner.compute(request(Model("Colour", network, network.initial_parameters(1))))
    assert snapshot.predictions == ()
    assert [notice.number for notice in snapshot.notices] == [1]
    assert "3 × 8 × 8" in snapshot.notices[0].text
    assert runner.compute(request(walkthrough())).predictions


def test_notices_are_repeated_until_acknowledged() -> None:
    network = Network((3, 8, 8), (Flatten(), Dense(2)), classes=("X", "O"))
    runner = Runner("cpu")
    runner.compute(request(Model("Colour", network, network.initial_parameters(1))))
    assert [n.number for n in runner.compute(request(walkthrough())).notices] == [1]
    assert runner.compute(request(walkthrough(), acknowledged=1)).notices == ()


def colour() -> Model:
    """A network for colour images."""
    network = Network((3, 8, 8), (Flatten(), Dense(2)), classes=("X", "O"))
    return Model("Colour", network, network.initial_parameters(1))


def test_notices_are_numbered_on_and_the_same_one_waits_only_once() -> None:
    runner = Runner("cpu")
    bad, worse = request(colour()), request(replace(colour(), name="Worse"))
    assert [n.number for n in runner.compute(bad).notices] == [1]
    assert [n.number for n in runner.compute(bad).notices] == [1]
    assert [n.number for n in runner.compute(worse).notices] == [1, 2]
    assert [n.number for n in runner.compute(request(walkthrough(), acknowledged=1)).notices] == [2]
    assert [n.number for n in runner.compute(replace(bad, acknowledged=2)).notices] == [3]


def test_a_snapshot_says_which_generation_it_answers_and_how_long_it_took() -> None:
    begun = perf_counter()
    snapshot = Runner("cpu").compute(replace(request(walkthrough()), generation=7))
    assert snapshot.generation == 7
    assert 0 < snapshot.engine_seconds <= perf_counter() - begun


def test_the_plan_of_a_subject_is_kept_from_stroke_to_stroke(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Model] = []

    def counted(subject: Model, backend: Backend) -> Predictor:
        made.append(subject)
        return Predictor(subject, backend)

    monkeypatch.setattr("engine.runtime.runner.Predictor", counted)
    runner, first, second = Runner("cpu"), untrained(), walkthrough()
    for models in ((first, second), (first, second), (second, first), (first,), (second,)):
        predictions = runner.compute(request(*models)).predictions
        assert tuple(prediction.model for prediction in predictions) == models
    assert made == [first, second, second]


def test_the_second_is_read_anew_only_when_it_or_the_drawing_is_another() -> None:
    runner, second = Runner("cpu"), walkthrough()
    seen = [runner.compute(request(untrained(), second)).predictions[1] for _ in range(2)]
    assert seen[0] is seen[1]
    other = replace(second, parameters={name: 2 * values for name, values in second.parameters.items()})
    moved = replace(LINE, transform=replace(LINE.transform, shift_x=0.3))
    for change in (request(untrained(), second, drawing=moved), request(untrained(), other)):
        found = runner.compute(change).predictions[1]
        alone = Runner("cpu").compute(
            replace(change, document=replace(change.document, models=(change.document.models[1],)))
        )
        for one, expected in zip(found.activations, alone.predictions[0].activations, strict=True):
            np.testing.assert_array_equal(one, expected)


def opened_by(runner: Runner, wish: Request) -> Snapshot:
    """The answer to a request once its file is read."""
    snapshot = runner.compute(wish)
    while runner.seconds_until_busy is not None or runner.busy:
        time.sleep(runner.seconds_until_busy or 0)
        snapshot = runner.compute(wish)
    return snapshot


def test_strokes_are_followed_while_a_large_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, release = [], threading.Event()

    def slow(opening: OpenRequest, proceed: Callable[[], None]) -> OpenResult:
        while not release.wait(0.001):
            try:
                proceed()
            except Exception:
                stopped.append(opening)
                raise
        return OpenResult(opening, None, "read")

    monkeypatch.setattr("engine.runtime.runner.open_file", slow)
    runner, wishes = Runner("cpu"), [OpenRequest(number, Path("x.png"), DRAWINGS) for number in (1, 2, 3)]
    for wish in (wishes[0], wishes[0], wishes[1]):
        snapshot = runner.compute(request(walkthrough(), open_request=wish))
        assert snapshot.predictions
        assert snapshot.open_result is None
        assert not runner.busy
        assert runner.seconds_until_busy is not None
    release.set()
    snapshot = opened_by(runner, request(walkthrough(), open_request=wishes[1]))
    assert snapshot.open_result is not None
    assert (snapshot.open_result.request, snapshot.open_result.error) == (wishes[1], "read")
    assert stopped == [wishes[0]]
    release.clear()
    assert runner.compute(request(walkthrough(), open_request=wishes[2])).open_result == snapshot.open_result
    runner.close()
    assert stopped == [wishes[0], wishes[2]]
    for thread in threading.enumerate():
        if thread.name == "file reader":
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only there has each thread a priority")
def test_the_thread_that_reads_gives_way_to_those_that_follow_the_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    priorities = []

    def read(opening: OpenRequest, _: object) -> OpenResult:
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return OpenResult(opening, None, "read")

    monkeypatch.setattr("engine.runtime.runner.open_file", read)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    opened_by(Runner("cpu"), request(walkthrough(), open_request=OpenRequest(1, Path("x.png"), DRAWINGS)))
    assert priorities[0] > before
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_file_is_opened_once_and_shown_until_another_is_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[OpenRequest] = []

    def counted(opening: OpenRequest, _: object) -> OpenResult:
        opened.append(opening)
        return OpenResult(opening, None, f"trouble {opening.number}")

    monkeypatch.setattr("engine.runtime.runner.open_file", counted)
    runner, wishes = Runner("cpu"), [OpenRequest(number, Path("x.png"), DRAWINGS) for number in (1, 2)]
    assert runner.compute(request(walkthrough())).open_result is None
    for number, wish in ((1, wishes[0]), (1, wishes[0]), (1, None), (2, wishes[1]), (2, wishes[1])):
        snapshot = opened_by(runner, request(walkthrough(), open_request=wish))
        assert snapshot.open_result is not None
        assert (snapshot.open_result.request, snapshot.open_result.error) == (
            wishes[number - 1],
            f"trouble {number}",
        )
        assert snapshot.predictions
    assert opened == wishes


def test_an_opened_picture_crosses_read_only(tmp_path: Path) -> None:
    Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(tmp_path / "line.png")
    wanted = OpenRequest(1, tmp_path / "line.png", DRAWINGS)
    opened = opened_by(Runner("cpu"), request(walkthrough(), open_request=wanted)).open_result
    assert opened is not None
    assert isinstance(opened.content, InputSample)
    assert not opened.content.source.image.flags.writeable


def test_an_unexpected_fault_is_logged_and_shown(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    def broken(*_: object) -> np.ndarray:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("engine.documents.Document.encoded", broken)
    with caplog.at_level(logging.ERROR):
        snapshot = Runner("cpu").compute(request(walkthrough()))
    assert "ZeroDivisionError: planted" in snapshot.notices[0].text
    assert "planted" in caplog.text
    caplog.clear()
