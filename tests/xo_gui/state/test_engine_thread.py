"""The engine thread: the latest request wins, no signals queue up, and it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QObject

from engine.data import PoolSettings
from engine.data.xo import XOSettings
from engine.documents import WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing, Stroke
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from engine.runtime import Request, Runner, TrainingRequest
from engine.training import Recipe
from xo_gui.state import EngineThread

TINY = Network((1, 8, 8), (Flatten(), Dense(2)))
DOCUMENT = Document(Drawing(), (Model("Walk-through", WALKTHROUGH.network, handmade_parameters()),))


def drawn(number: int) -> Request:
    stroke = Stroke(np.array([[number / 1000, 0.5, 0.1]], np.float32))
    return Request(1, DOCUMENT.with_drawing(Drawing((stroke,))), requested_at=number)


@pytest.fixture
def thread(qapp: object) -> Iterator[EngineThread]:
    made = EngineThread("cpu")
    made.start()
    yield made
    assert made.stop()
    assert made.isFinished()


def test_the_answer_to_the_last_of_many_requests_always_arrives(thread: EngineThread, qtbot) -> None:
    taken: list[float] = []
    thread.snapshot_ready.connect(lambda: taken.append(thread.take().requested_at))
    for number in range(1, 501):
        thread.submit(drawn(number))
    qtbot.waitUntil(lambda: bool(taken) and taken[-1] == 500, timeout=10_000)
    assert taken == sorted(taken)
    assert len(taken) < 500


def test_a_sleeping_window_finds_one_snapshot_and_one_signal(thread: EngineThread, qtbot) -> None:
    signals: list[None] = []
    thread.snapshot_ready.connect(lambda: signals.append(None))
    for number in range(1, 101):
        thread.submit(drawn(number))
        time.sleep(0.002)
    time.sleep(0.1)
    qtbot.wait(50)
    assert len(signals) == 1
    assert thread.take().requested_at == 100
    assert thread.take() is None


def test_the_engine_works_in_its_own_thread_and_signals_into_the_window_s(
    thread: EngineThread, qtbot, monkeypatch
) -> None:
    worked_in: list[int] = []
    answer = Runner.compute

    def watched(self: Runner, request: Request) -> object:
        worked_in.append(threading.get_ident())
        return answer(self, request)

    monkeypatch.setattr(Runner, "compute", watched)
    listener = Listener()
    thread.snapshot_ready.connect(listener.receive)
    thread.submit(drawn(1))
    qtbot.waitUntil(lambda: bool(listener.received_in), timeout=5000)
    assert worked_in[0] != threading.get_ident()
    assert listener.received_in == [threading.get_ident()]


class Listener(QObject):
    """Receives a signal as the window does: with a bound method of a QObject of its thread."""

    def __init__(self) -> None:
        super().__init__()
        self.received_in: list[int] = []

    def receive(self) -> None:
        self.received_in.append(threading.get_ident())


def test_a_fault_in_the_engine_is_a_sentence_and_the_thread_lives_on(thread: EngineThread, qtbot) -> None:
    bad = Model("Strange", WALKTHROUGH.network, handmade_parameters())
    object.__setattr__(bad, "parameters", {})
    with qtbot.waitSignal(thread.snapshot_ready, timeout=5000):
        thread.submit(Request(1, replace(DOCUMENT, models=(bad,))))
    snapshot = thread.take()
    assert snapshot.predictions == ()
    assert "missing" in snapshot.notices[0].text
    with qtbot.waitSignal(thread.snapshot_ready, timeout=5000):
        thread.submit(drawn(2))
    assert thread.take().predictions


def test_stopping_is_quick_while_busy_and_while_idle(qapp) -> None:
    for busy in (True, False):
        thread = EngineThread("cpu")
        thread.start()
        if busy:
            for number in range(50):
                thread.submit(drawn(number))
        begun = time.perf_counter()
        assert thread.stop()
        assert time.perf_counter() - begun < 1


def test_a_window_that_sleeps_while_it_trains_finds_one_snapshot_and_one_signal(
    thread: EngineThread, qtbot
) -> None:
    subject = Model("Tiny", TINY, TINY.initial_parameters(1))
    data = PoolSettings(XOSettings(side=8, size=(0.6, 1.0)), 40, 12)
    goal = TrainingRequest(1, subject, "fresh", "Run 1, seed 1", Recipe(batch=20, epochs=10**6), data, running=True)
    signals: list[None] = []
    thread.snapshot_ready.connect(lambda: signals.append(None))
    request = Request(1, Document(Drawing(), (subject,)), training=goal, live=True)
    thread.submit(request)
    qtbot.waitUntil(lambda: bool(signals), timeout=10_000)
    time.sleep(0.5)
    qtbot.wait(50)
    assert len(signals) == 1
    first = thread.take()
    assert thread.take() is None
    thread.submit(replace(request, requested_at=1.0))
    qtbot.waitUntil(lambda: len(signals) == 2, timeout=10_000)
    # Training continued meanwhile, without waiting for the window.
    assert thread.take().training.current_point.step > first.training.current_point.step
