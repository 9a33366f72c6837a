"""The exception hook: faults in slots, timers, paint events and threads are logged once and said once."""

from __future__ import annotations

import sys
import threading

import pytest
from PySide6.QtCore import QObject, QThread, QTimer
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand
from xo_gui.app import install_exception_hook
from xo_gui.views.votes import VotesView

pytestmark = [pytest.mark.expects_log, pytest.mark.qt_no_exception_capture]


@pytest.fixture(autouse=True)
def hooks_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


class Listener(QObject):
    """Receives sentences as a window does."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, int]] = []

    def receive(self, text: str) -> None:
        self.said.append((text, threading.get_ident()))


class Broken(QWidget):
    """A widget that cannot be painted."""

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        painter.drawLine(0, 0, 5, 5)
        raise RuntimeError("planted in painting")


class BrokenThread(QThread):
    def run(self) -> None:
        raise RuntimeError("planted in a Qt thread")


class BrokenFinalizer:
    def __del__(self) -> None:
        raise RuntimeError("planted in a finalizer")


def test_faults_everywhere_are_logged_once_and_said_once_in_the_window_s_thread(qapp, qtbot, caplog) -> None:
    listener = Listener()
    install_exception_hook(listener.receive)

    def tick() -> None:
        widget.update()
        raise RuntimeError("planted in a timer")

    def fail() -> None:
        raise RuntimeError("planted in a thread")

    widget = Broken()
    qtbot.addWidget(widget)
    widget.show()
    timer = QTimer(widget)
    timer.timeout.connect(tick)
    timer.start(5)
    thread = BrokenThread()
    thread.start()
    other = threading.Thread(target=fail)
    other.start()
    other.join()
    del other
    BrokenFinalizer()
    assert thread.wait(5000)
    qtbot.waitUntil(lambda: len(listener.said) >= 5, timeout=10_000)
    qtbot.wait(50)
    timer.stop()
    widget.hide()  # a picture still to be painted would fail outside of the test
    places = ["finalizer", "painting", "Qt thread", "thread", "timer"]
    said = sorted(text for text, _ in listener.said)
    assert len(said) == len(places), said
    for place in places:
        assert sum(f"planted in a {place}" in text or f"planted in {place}" in text for text in said) == 1, place
    assert {thread for _, thread in listener.said} == {threading.get_ident()}
    assert sum(record.exc_info is not None for record in caplog.records) == len(places)


def test_a_panel_that_fails_does_not_keep_the_others_from_following_the_pen(
    hand: Hand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    window = hand.window

    listener = Listener()
    install_exception_hook(listener.receive)
    first = window.views[0]
    assert not isinstance(first, VotesView)

    def broken(*_: object) -> None:
        raise RuntimeError("planted in a panel")

    for name in ("set_snapshot", "set_document", "set_selection", "set_training"):
        monkeypatch.setattr(first, name, broken)
    monkeypatch.setattr(window.training, "on_snapshot", broken)
    hand.draw(X_ARMS)
    assert hand.votes["X"] > 0.9
    before = hand.votes_text
    hand.draw(CIRCLE)
    assert hand.votes_text != before
    assert len([text for text, _ in listener.said if "planted" in text]) == 1
    assert len([record for record in caplog.records if record.exc_info]) == 1
