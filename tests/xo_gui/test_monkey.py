"""Random events in the real window, from a seed: nothing may fail, warn or freeze.

Exceptions in slots, Qt's warnings and log records fail the test by themselves, see pytest-qt and conftest.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QContextMenuEvent, QDropEvent, QKeyEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QTabBar,
    QWidget,
)

from engine.documents import PRESETS, save_model, shipped_model
from engine.nn import Model
from engine.training import OPTIMIZERS, SCHEDULES
from tests.conftest import Effort
from xo_gui.state import Pause, SetConfig, ShowPoint
from xo_gui.window import MainWindow

Kind = TypeVar("Kind", bound=QWidget)
Button, Modifier = Qt.MouseButton, Qt.KeyboardModifier
KEYS = (
    Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End,
    Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Escape,
    Qt.Key.Key_Tab, Qt.Key.Key_Backtab, Qt.Key.Key_Delete, Qt.Key.Key_Backspace, Qt.Key.Key_E, Qt.Key.Key_P,
    Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight, Qt.Key.Key_F1, Qt.Key.Key_F11, Qt.Key.Key_0, Qt.Key.Key_A,
)  # fmt: skip
COMMANDS = "ZZYLXOCV120N"
NUMBERS = ("0", "1", "7", "20", "-3", "0.25", "0,25", "1e9", "1e-30", "1,000", "٣", "5 %", "-", "", "many")
ENDS = (Qt.Key.Key_Return, Qt.Key.Key_Tab, Qt.Key.Key_Escape, Qt.Key.Key_Up, Qt.Key.Key_Down)
AREAS = (
    Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea,
    Qt.DockWidgetArea.BottomDockWidgetArea,
)  # fmt: skip
# A window that computes for longer about one event, or waits for longer on a shared machine, is frozen: seconds.
LONGEST, LONGEST_WAIT = 5.0, 60.0
CALM_EVERY = 500


class Monkey:
    """Sends random events to a window, and records the latest."""

    def __init__(self, window: MainWindow, files: list[Path], seed: int) -> None:
        self.window, self.files, self.random = window, files, random.Random(seed)
        self.canvas = window.drawing_view.canvas
        self.done: deque[str] = deque(maxlen=40)
        self.actions = [action for action in window.findChildren(QAction) if action.text() != "&Quit"]
        self.acts: list[tuple[int, Callable[[], str]]] = [
            (30, self.draw), (12, self.point), (14, self.type), (8, self.command), (6, self.click), (6, self.slide),
            (5, self.trigger), (3, self.drop), (2, self.wheel), (2, self.dock), (2, self.resize), (1, self.theme),
            (2, self.preset), (1, self.hide), (1, self.popup), (1, self.elsewhere), (4, self.number),
            (2, self.learning), (2, self.choose), (2, self.focus), (2, self.tab), (1, self.menu), (1, self.compare),
        ]  # fmt: skip

    def step(self) -> None:
        """Send one event and wait until it is handled."""
        weights = [weight for weight, _ in self.acts]
        act = self.random.choices(self.acts, weights)[0][1]
        began, worked = perf_counter(), thread_time()
        self.done.append(act())
        if self.random.random() < 0.4:
            QApplication.processEvents()
        self.close_popups()
        took = perf_counter() - began, thread_time() - worked
        assert took[0] < LONGEST_WAIT, f"stuck for {took} s after: {list(self.done)}"
        assert took[1] < LONGEST, f"stuck for {took} s after: {list(self.done)}"

    def close_popups(self) -> None:
        """Close menus, and now and then dialogs."""
        while popup := QApplication.activePopupWidget():
            popup.close()
        if self.random.random() < 0.3:
            for dialog in self.window.findChildren(QDialog):
                dialog.close()

    def calm(self) -> None:
        """Release all buttons, cancel the stroke, pause the training at its last step, and show the window."""
        for dialog in self.window.findChildren(QDialog):
            dialog.close()
        for button in (Button.LeftButton, Button.RightButton):
            QTest.mouseRelease(self.canvas, button, pos=QPoint(5, 5))
        QTest.keyClick(self.canvas, Qt.Key.Key_Escape)
        # Until then, the predictions are of the weights of the run, or of an earlier step.
        training = self.window.training
        if training.settings.running:
            training.execute(Pause())
        if training.live and training.settings.shown_point is not None:
            training.execute(ShowPoint(None))
        self.window.show()

    # --- events

    def place(self, widget: QWidget) -> QPoint:
        """A random position in a widget or a little outside."""
        return QPoint(self.random.randint(-10, widget.width() + 10), self.random.randint(-10, widget.height() + 10))

    def draw(self) -> str:
        button = self.random.choice((Button.LeftButton, Button.LeftButton, Button.RightButton, Button.MiddleButton))
        kind = self.random.choice(("press", "move", "move", "move", "release", "double"))
        at = self.place(self.canvas)
        if kind == "press":
            QTest.mousePress(self.canvas, button, pos=at)
        elif kind == "release":
            QTest.mouseRelease(self.canvas, button, pos=at)
        elif kind == "double":
            QTest.mouseDClick(self.canvas, button, pos=at)
        else:
            QTest.mouseMove(self.canvas, at)
        return f"{kind} {button.name} {at.x()},{at.y()}"

    def point(self) -> str:
        view = self.window.network_view
        at = self.place(view)
        if self.random.random() < 0.2:
            at.setY(self.random.randint(25, 75))
            QTest.mouseClick(view, Button.LeftButton, pos=at)
        else:
            QTest.mouseMove(view, at)
        return f"point {at.x()},{at.y()}"

    def type(self) -> str:
        key = self.random.choice(KEYS)
        some = self.random.choice((Modifier.NoModifier, Modifier.NoModifier, Modifier.ShiftModifier))
        if key in KEYS[:8] and self.random.random() < 0.2:
            some = Modifier.ControlModifier
        QTest.keyClick(self.focused(), key, some)
        return f"type {key.name} {some.name}"

    def command(self) -> str:
        letter, some = self.random.choice(COMMANDS), Modifier.ControlModifier
        if self.random.random() < 0.3:
            some |= Modifier.ShiftModifier
        QTest.keyClick(self.focused(), letter, some)
        return f"command {letter} {some}"

    def reached(self, kind: type[Kind]) -> list[Kind]:
        """The visible and enabled widgets of a class."""
        return [one for one in self.window.findChildren(kind) if one.isVisible() and one.isEnabled()]

    def focused(self) -> QWidget:
        if self.random.random() < 0.3:
            self.canvas.setFocus()
        return QApplication.focusWidget() or self.window

    def click(self) -> str:
        # Qt's own buttons, such as the menu bar's », open menus that block.
        buttons = [one for one in self.reached(QAbstractButton) if not one.objectName().startswith("qt_")]
        if not buttons:
            return "no button to click"
        button = self.random.choice(buttons)
        QTest.mouseClick(button, Button.LeftButton)
        return f"click {button.accessibleName()}"

    def slide(self) -> str:
        sliders = self.reached(QAbstractSlider)
        if not sliders:
            return "no slider to move"
        slider = self.random.choice(sliders)
        at = self.place(slider)
        QTest.mousePress(slider, Button.LeftButton, pos=at)
        QTest.mouseMove(slider, self.place(slider))
        if self.random.random() < 0.8:
            QTest.mouseRelease(slider, Button.LeftButton, pos=self.place(slider))
        return f"slide {slider.accessibleName()}"

    def trigger(self) -> str:
        action = self.random.choice(self.actions)
        action.trigger()
        return f"trigger {action.text()}"

    def drop(self) -> str:
        path, mime = self.random.choice(self.files), QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))] * self.random.choice((1, 1, 2)))
        event = QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, mime, Button.LeftButton, Modifier.NoModifier)
        QApplication.sendEvent(self.window, event)
        return f"drop {path.name}"

    def wheel(self) -> str:
        target = self.random.choice((self.canvas, self.window.network_view, self.focused()))
        at, turn = QPointF(self.place(target)), QPoint(0, self.random.choice((-120, 120)))
        event = QWheelEvent(
            at, target.mapToGlobal(at), QPoint(), turn, Button.NoButton, Modifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(target, event)
        return "wheel"

    def dock(self) -> str:
        """Close or open a panel, have it float, give it a size, or move it among the others."""
        dock, other = self.random.sample(self.window.panels.all, 2)
        kind = self.random.choice(("float", "toggle", "toggle", "size", "tab", "area", "raise"))
        if kind == "float":
            dock.setFloating(not dock.isFloating())
        elif kind == "toggle":
            dock.toggleViewAction().trigger()
        elif kind == "size":
            dock.resize(self.random.randint(20, 700), self.random.randint(20, 700))
        elif kind == "tab":
            self.window.tabifyDockWidget(dock, other)
        elif kind == "area":
            self.window.addDockWidget(self.random.choice(AREAS), dock)
        else:
            dock.show()
            dock.raise_()
        return f"{kind} dock {dock.objectName()} {other.objectName()}"

    def number(self) -> str:
        """Type a number, and end it or leave it unfinished."""
        edits = self.reached(QLineEdit)
        if not edits:
            return "nothing to type into"
        edit, text = self.random.choice(edits), self.random.choice(NUMBERS)
        edit.setFocus()
        if self.random.random() < 0.7:
            edit.selectAll()
        QApplication.sendEvent(edit, QKeyEvent(QEvent.Type.KeyPress, 0, Modifier.NoModifier, text))
        end = self.random.choice((*ENDS, None, None))
        if end is not None:
            QTest.keyClick(edit, end)
        return f"number {edit.accessibleName()} {text!r} {end}"

    def learning(self) -> str:
        """Another optimizer or another schedule, whatever has the focus."""
        config = self.window.training.settings.config
        if self.random.random() < 0.5:
            config = replace(config, optimizer=self.random.choice(list(OPTIMIZERS.values()))())
        else:
            config = replace(config, schedule=self.random.choice(list(SCHEDULES.values()))())
        self.window.training.execute(SetConfig(config))
        return f"learning {config.optimizer} {config.schedule}"

    def choose(self) -> str:
        boxes = self.reached(QComboBox)
        if not boxes:
            return "nothing to choose from"
        box, key = self.random.choice(boxes), self.random.choice((Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_End))
        QTest.keyClick(box, key)
        return f"choose {box.accessibleName()} {box.currentText()}"

    def focus(self) -> str:
        widgets = [one for one in self.reached(QWidget) if one.focusPolicy() != Qt.FocusPolicy.NoFocus]
        if not widgets:
            return "nothing to focus"
        widget = self.random.choice(widgets)
        widget.setFocus()
        return f"focus {type(widget).__name__} {widget.accessibleName()}"

    def tab(self) -> str:
        bars = [bar for bar in self.reached(QTabBar) if bar.count()]
        if not bars:
            return "no tabs"
        bar = self.random.choice(bars)
        at = self.random.randrange(bar.count())
        QTest.mouseClick(bar, Button.LeftButton, pos=bar.tabRect(at).center())
        return f"tab {bar.accessibleName()} {at}"

    def menu(self) -> str:
        """Open a menu, move in it, and close it or choose."""
        menus = [menu for menu in self.window.menuBar().findChildren(QMenu) if menu.actions()]
        menu = self.random.choice(menus)
        menu.popup(QPoint(10, 10))
        for _ in range(self.random.randint(0, 8)):
            QTest.keyClick(menu, Qt.Key.Key_Down)
        action = menu.activeAction()
        chosen = action in self.actions and action.menu() is None and self.random.random() < 0.5
        QTest.keyClick(menu, Qt.Key.Key_Return if chosen else Qt.Key.Key_Escape)
        return f"menu {menu.title()} {action.text() if chosen else ''}"

    def compare(self) -> str:
        """Begin, swap or end a comparison, by a random action of its menu."""
        made = self.window.menus
        others = made.actions["swap"], made.actions["stop-comparing"]
        action = self.random.choice((*made.menus["compare"].actions(), *others))
        action.trigger()
        return f"compare {action.text()}"

    def resize(self) -> str:
        size = self.random.randint(300, 2600), self.random.randint(300, 1600)
        self.window.resize(*size)
        return f"resize {size}"

    def theme(self) -> str:
        name = self.random.choice(("dark", "light", "system"))
        self.window.menus.actions[f"theme-{name}"].trigger()
        return f"theme {name}"

    def preset(self) -> str:
        name = self.random.choice(list(PRESETS))
        self.window.menus.actions[f"preset-{name}"].trigger()
        return f"preset {name}"

    def hide(self) -> str:
        self.window.setVisible(not self.window.isVisible())
        return "hide or show"

    def popup(self) -> str:
        target = self.random.choice((self.window, self.canvas, self.window.menuBar(), self.window.panels.all[0]))
        at = self.place(target)
        QApplication.sendEvent(
            target, QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, target.mapToGlobal(at))
        )
        return "context menu"

    def elsewhere(self) -> str:
        """Another program gets the focus, or this one gets it back."""
        kind = self.random.choice((QEvent.Type.WindowDeactivate, QEvent.Type.WindowActivate, QEvent.Type.Leave))
        QApplication.sendEvent(self.random.choice((self.window, self.canvas)), QEvent(kind))
        return kind.name


def same_weights(one: Model, other: Model) -> bool:
    """Whether two models compute the same; the engine makes one of the weights in training."""
    return one.network == other.network and all(
        np.array_equal(array, other.parameters[name], equal_nan=True) for name, array in one.parameters.items()
    )


@pytest.fixture
def some_files(tmp_path) -> list[Path]:
    """Pictures and models to drop: valid, unusual and broken."""
    good, tiny, broken = tmp_path / "good.png", tmp_path / "tiny.png", tmp_path / "broken.png"
    Image.fromarray((np.eye(40) * 255).astype(np.uint8)).save(good)
    Image.new("L", (1, 1), 255).save(tiny)
    broken.write_bytes(good.read_bytes()[:60])
    model, damaged, text = tmp_path / "m.safetensors", tmp_path / "d.safetensors", tmp_path / "note.txt"
    save_model(model, shipped_model("default"))
    damaged.write_bytes(model.read_bytes()[:5000])
    text.write_text("neither a picture nor a model", encoding="utf-8")
    return [good, tiny, broken, model, damaged, text, tmp_path / "missing.png", tmp_path]


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_monkey_finds_nothing(
    seed: int, window: MainWindow, some_files: list[Path], tmp_path: Path, qtbot, monkeypatch, effort: Effort
) -> None:
    events = effort(6_000 if seed == 1 else 0, 50_000)
    if not events:
        pytest.skip("nightly")
    chosen = iter(range(10**9))
    names = ("", str(some_files[0]), str(some_files[2]))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (names[next(chosen) % len(names)], ""))
    targets = ("", str(tmp_path / "out"), str(tmp_path / "no folder" / "out"))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (targets[next(chosen) % len(targets)], ""))
    monkey = Monkey(window, some_files, seed)
    session, canvas = window.session, monkey.canvas

    def at_rest() -> None:
        document, snapshot = session.document, window.last
        assert session.request().settled
        assert canvas.current_drawing is document.input.source
        assert snapshot.input.source is document.input.source
        assert len(snapshot.predictions) == len(document.models)
        for prediction, model in zip(snapshot.predictions, document.models, strict=True):
            assert same_weights(prediction.model, model)

    for count in range(events):
        monkey.step()
        if count % CALM_EVERY == CALM_EVERY - 1:
            monkey.calm()
            try:
                qtbot.waitUntil(at_rest, timeout=60_000)
            except (AssertionError, qtbot.TimeoutError) as error:
                report = window.training.training
                state = report and (report.state, report.shown_point, report.current_point, report.is_exact)
                shown = window.training.live, state, [model.run_point for model in session.document.models]
                pytest.fail(f"{error} after: {list(monkey.done)}, with {shown}")
