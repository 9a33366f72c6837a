"""Fixtures with the real window and its engine thread, and a driver that draws with the mouse."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
import shiboken6
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from xo_gui.__main__ import build_window, parse_arguments
from xo_gui.app import DARK, current_theme, theme_service
from xo_gui.views.votes.votes_view import VoteBars
from xo_gui.window import MainWindow

Points: TypeAlias = list[tuple[float, float]]
OpenWindow: TypeAlias = Callable[..., MainWindow]

X_ARMS: list[Points] = [
    [(0.2 + 0.6 * t / 12, 0.2 + 0.6 * t / 12) for t in range(13)],
    [(0.8 - 0.6 * t / 12, 0.2 + 0.6 * t / 12) for t in range(13)],
]
CIRCLE: list[Points] = [
    [(0.5 + 0.3 * math.cos(2 * math.pi * t / 30), 0.5 + 0.3 * math.sin(2 * math.pi * t / 30)) for t in range(31)]
]

# A window of a given size neither restores a layout nor keeps its own.
SIZE: tuple[str, ...] = ("--size", "1280x800")


class Hand:
    """Draws with the mouse, and waits until the prediction is painted."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        self.window, self.qtbot = window, qtbot
        self.canvas = window.drawing_view.canvas

    def draw(self, strokes: list[Points], button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        for stroke in strokes:
            self.press(stroke[0], button)
            for place in stroke[1:]:
                self.move(place)
            QTest.mouseRelease(self.canvas, button, pos=self.at(stroke[-1]))
        self.settle()

    def press(self, place: tuple[float, float], button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        QTest.mousePress(self.canvas, button, pos=self.at(place))

    def move(self, place: tuple[float, float]) -> None:
        QTest.mouseMove(self.canvas, self.at(place))
        QApplication.sendPostedEvents(None, QEvent.Type.MouseMove)
        QApplication.processEvents()

    def at(self, place: tuple[float, float]) -> QPoint:
        return QPoint(round(place[0] * self.canvas.width()), round(place[1] * self.canvas.height()))

    def settle(self) -> None:
        """Wait until the snapshot shown belongs to the current Document."""
        drawing = self.window.session.document.input.source
        models = self.window.session.document.models

        def shown() -> None:
            snapshot = self.window.last
            assert snapshot is not None
            assert snapshot.input.source is drawing
            assert tuple(prediction.model for prediction in snapshot.predictions) == models

        self.qtbot.waitUntil(shown, timeout=60_000)

    @property
    def votes(self) -> dict[str, float]:
        prediction = self.window.last.predictions[0]
        return dict(zip(prediction.model.network.classes, prediction.votes.tolist(), strict=True))

    @property
    def votes_text(self) -> str:
        """The accessible description of the votes."""
        return self.window.votes_view.findChild(VoteBars).accessibleDescription()


@pytest.fixture(autouse=True)
def collected_here() -> Iterator[None]:
    """As in the program, no garbage collection may run in the engine thread and destroy widgets there."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def dark_theme_again() -> Iterator[None]:
    yield
    if current_theme() is not DARK:
        theme_service.set_theme(DARK)


@pytest.fixture(autouse=True)
def no_button_held() -> Iterator[None]:
    """Release all buttons: QTest remembers one left pressed, and later presses would count as two buttons."""
    yield
    if QApplication.instance() is not None:
        widget = QWidget()
        for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton):
            QTest.mouseRelease(widget, button)
        shiboken6.delete(widget)


@pytest.fixture
def has_shipped_run() -> bool:
    """Whether the shipped network brings its recorded training. Most tests begin without a run; those that look at
    the past of the shipped network override this."""
    return False


@pytest.fixture
def open_window(qapp, qtbot, monkeypatch, has_shipped_run) -> Iterator[OpenWindow]:
    """A function that opens the window with the given command line."""
    if not has_shipped_run:
        for module in ("engine.documents", "xo_gui.window.main_window"):
            monkeypatch.setattr(f"{module}.shipped_run", lambda _: None)
    opened: list[MainWindow] = []

    def opener(*arguments: str) -> MainWindow:
        window = build_window(qapp, parse_arguments(["--device", "cpu", "--theme", "dark", *SIZE, *arguments]))
        opened.append(window)
        with qtbot.waitSignal(window.shown, timeout=10_000):
            window.show()
        return window

    yield opener
    for window in opened:
        window.close()
        window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def window(open_window: OpenWindow) -> MainWindow:
    return open_window("--preset", "default")


@pytest.fixture
def hand(window: MainWindow, qtbot: object) -> Hand:
    return Hand(window, qtbot)
