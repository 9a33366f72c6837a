"""Autosave: a crash loses the last seconds and nothing else, and the session is offered for recovery."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from engine.backends import choose_backend
from engine.data import ExamplePool, FixedSource, PoolSettings
from engine.documents import DEFAULT, ProjectSummary, read_project_summary
from engine.documents.project_file import load_project
from engine.formats import FileError
from engine.training import Trainer, TrainingConfig
from tests.conftest import Effort
from tests.xo_gui.child import ENDLESS
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand, OpenWindow
from tests.xo_gui.lessons import DATA, STROKES
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state import OneEpoch, SessionOffer, session_folder
from xo_gui.state.training_state import DEFAULT_CONFIG
from xo_gui.window import MainWindow
from xo_gui.window.recovery_bar import RecoveryBar, distinct

ROOT = Path(__file__).parents[3]
LATE = 3.0  # seconds of training that may be lost with an autosave every 0.2 s, on a busy machine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty autosave folder, for this process and its children."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return session_folder()


class Child:
    """The window in a child process."""

    def __init__(self, close_after: float | None = None) -> None:
        words = [] if close_after is None else [str(close_after)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.xo_gui.child", *words],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.seen: list[tuple[float, int]] = []

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("step "):
                self.seen.append((time.monotonic(), int(line.split()[1])))
            yield line.strip()

    def until_step(self, step: int) -> None:
        for _ in self.lines():
            if self.seen and self.seen[-1][1] >= step:
                return
        assert self.process.stderr is not None
        pytest.fail(f"the window ended: {self.process.stderr.read()}")

    def train_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for _ in self.lines():
            if time.monotonic() >= until:
                return

    def kill(self) -> int:
        """Kill the process; returns the step that it had shown LATE seconds before."""
        self.process.kill()
        killed = time.monotonic()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.read()
            stream.close()
        self.process.wait()
        return max((step for at, step in self.seen if at <= killed - LATE), default=0)


def straight(steps: int, config: TrainingConfig = ENDLESS) -> dict[str, np.ndarray]:
    """The default network's weights after `steps` steps of an uninterrupted run."""
    drawing = replace(DEFAULT.config.data if DEFAULT.config else config.data, side=48)
    pool = ExamplePool(PoolSettings(drawing, **DATA))
    while pool.progress < 1:
        pool.generate_next()
    trainer = Trainer(
        DEFAULT.network, FixedSource(pool.training), config, choose_backend("cpu"), held_out=pool.held_out
    )
    for event in trainer.run():
        if event.number == steps:
            break
    return trainer.parameters()


def left_in(folder: Path) -> list[ProjectSummary]:
    """The sessions of crashed windows, the latest last."""
    return sorted(
        (read_project_summary(path) for path in folder.glob("[0-9]*.session")), key=lambda each: each.saved_at
    )


def test_a_window_killed_repeatedly_while_training_is_recovered(
    folder: Path, open_window: OpenWindow, qtbot, effort: Effort
) -> None:
    """Every window resumes the session of the one before; in the end only the last seconds are missing."""
    rng, reached = random.Random(4), 0
    for _ in range(effort(2, 40)):
        child = Child()
        child.until_step(reached + 3)
        child.train_for(1 + rng.random())
        sure = child.kill()
        left = left_in(folder)[-1]
        assert left.step is not None
        assert max(reached, sure) <= left.step
        assert left.was_running
        reached = left.step
    window: MainWindow = open_window()
    assert window.recovery_bar.isVisible()
    assert "ended unexpectedly" in window.recovery_bar.label.text()
    assert f"while training (step {reached:,})" in window.recovery_bar.label.text()
    QTest.mouseClick(window.recovery_bar.restore_button, Qt.MouseButton.LeftButton)

    def restored() -> bool:
        return window.last.training is not None and window.last.training.state == "paused"

    qtbot.waitUntil(restored, timeout=20_000)
    assert not window.recovery_bar.isVisible()
    training, document = window.last.training, window.session.document
    for stroke, points in zip(document.input.source.strokes, STROKES, strict=True):
        np.testing.assert_array_equal(stroke.points, points)
    assert training.current_point.step == document.models[0].run_point.step == reached
    assert len(training.branches[0].curves.losses) == reached
    expected = straight(reached)
    for name, values in expected.items():
        np.testing.assert_array_equal(document.models[0].parameters[name], values)
    window.session.undo_stack.undo()
    assert document.models[0].run_point is not window.session.document.models[0].run_point
    assert window.session.document.input.source.is_empty


def test_closed_at_any_time_while_training_it_is_saved_as_the_last_session(folder: Path, effort: Effort) -> None:
    rng = random.Random(5)
    children = [Child(rng.random() * 2.5) for _ in range(effort(2, 30))]
    for child in children:
        list(child.lines())
        assert child.process.wait(timeout=20) == 0
        assert child.process.stderr is not None
        assert child.process.stderr.read() == ""
        child.kill()
    names = {path.name for path in folder.iterdir()}
    assert "last.session" in names
    assert not {name for name in names if name != "last.session" and not name.endswith(".lock")}
    assert read_project_summary(folder / "last.session").was_closed


def test_an_interrupt_from_the_terminal_closes_the_window(folder: Path) -> None:
    child = Child()
    child.until_step(3)
    child.process.send_signal(signal.SIGINT)
    list(child.lines())
    assert child.process.wait(timeout=20) == 0
    assert child.process.stderr is not None
    assert child.process.stderr.read() == ""
    child.kill()
    assert read_project_summary(folder / "last.session").was_closed


def test_after_closing_the_file_menu_opens_the_last_session(folder: Path, open_window: OpenWindow, qtbot) -> None:
    first = open_window("--preset", "default")
    coach = Coach(first, qtbot)
    Hand(first, qtbot).draw(X_ARMS)
    coach.window.training.execute(OneEpoch())
    coach.until(lambda training: training.current_point.step == 10)
    coach.stand()
    weights, strokes = coach.weights, first.session.document.input.source.strokes
    first.close()
    window = open_window("--preset", "walkthrough")
    assert not window.recovery_bar.isVisible()
    action(window, "Open last session").trigger()
    qtbot.waitUntil(lambda: window.session.undo_stack.count() == 1, timeout=10_000)
    again = Coach(window, qtbot)
    again.until(lambda training: training.state == "paused")
    np.testing.assert_array_equal(again.weights, weights)
    for one, other in zip(window.session.document.input.source.strokes, strokes, strict=True):
        np.testing.assert_array_equal(one.points, other.points)
    assert "step 10" in again.line.accessibleDescription()
    assert again.panel.main_button.text() == "▶ Resume"
    assert len(again.training.branches[0].curves.held_out_steps) == 1
    again.click(again.panel.step_button)
    again.until(lambda training: training.current_point.step == 11)
    assert len(again.stand().branches) == 1
    for name, values in straight(11, DEFAULT_CONFIG).items():
        np.testing.assert_array_equal(window.session.document.models[0].parameters[name], values)


def action(window: MainWindow, name: str) -> QAction:
    return next(each for each in window.findChildren(QAction) if each.text().replace("&", "") == name)


def test_an_unused_window_saves_nothing(folder: Path, open_window: OpenWindow, qtbot) -> None:
    window = open_window()
    action(window, "Open last session").trigger()
    assert "No session has been closed" in window.statusBar().currentMessage()
    window.close()
    assert not list(folder.glob("*.session"))


def test_two_windows_at_once_do_not_take_each_others_work(folder: Path, open_window: OpenWindow, qtbot) -> None:
    first = open_window("--keep-every", "0.1")
    Hand(first, qtbot).draw(X_ARMS)
    qtbot.waitUntil(lambda: bool(list(folder.glob("*.session"))), timeout=10_000)
    second = open_window("--keep-every", "0.1")
    assert not second.recovery_bar.isVisible()
    Hand(second, qtbot).draw(CIRCLE)
    qtbot.waitUntil(lambda: len(list(folder.glob("*.session"))) == 2, timeout=10_000)
    second.close()
    first.close()
    assert [path.name for path in folder.glob("*.session")] == ["last.session"]


def left_behind(folder: Path, open_window: OpenWindow, qtbot) -> None:
    """Leave a file as a crashed window does."""
    window = open_window()
    Hand(window, qtbot).draw(X_ARMS)
    window.close()
    (folder / "last.session").replace(folder / "1.session")


def test_a_window_that_is_open_for_long_keeps_its_session_and_a_lock_left_by_an_old_version_keeps_none(
    folder: Path, open_window: OpenWindow, qtbot
) -> None:
    left_behind(folder, open_window, qtbot)
    shutil.copy(folder / "1.session", folder / "2.session")
    (folder / "2.lock").write_bytes(b"")  # as versions before wrote it, and never removed it
    hold = "import sys; from PySide6.QtCore import QLockFile; lock = QLockFile(sys.argv[1]); "
    hold += "print(lock.tryLock(0), flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder / "1.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline().strip() == "True"
    yesterday = time.time() - 86_400
    for name in ("1.lock", "2.lock"):
        os.utime(folder / name, (yesterday, yesterday))
    try:
        window = open_window()
        assert [offer.path.name for offer in window.autosave.offers] == ["2.session"]
    finally:
        other.kill()
        other.communicate()


def test_a_discarded_session_becomes_the_last_session(folder: Path, open_window: OpenWindow, qtbot) -> None:
    left_behind(folder, open_window, qtbot)
    window = open_window()
    assert "ended unexpectedly" in window.recovery_bar.label.text()
    QTest.keyClick(window.recovery_bar.discard_button, Qt.Key.Key_Space)
    assert not window.recovery_bar.isVisible()
    assert window.session.document.input.source.is_empty
    assert [path.name for path in folder.glob("*.session")] == ["last.session"]
    action(window, "Open last session").trigger()
    qtbot.waitUntil(lambda: len(window.session.document.input.source.strokes) == 2, timeout=10_000)


def strokes_of(window: MainWindow) -> int:
    return len(window.session.document.input.source.strokes)


def choose(window: MainWindow, network: str) -> None:
    """Restore the session with this network."""
    bar = window.recovery_bar
    at = next(at for at in range(bar.box.count()) if bar.box.itemText(at).startswith(network))
    bar.box.setCurrentIndex(at)
    QTest.mouseClick(bar.restore_button, Qt.MouseButton.LeftButton)


def test_of_two_crashed_windows_restoring_one_never_loses_the_other(
    folder: Path, open_window: OpenWindow, qtbot
) -> None:
    for name, strokes in (("default", X_ARMS), ("walkthrough", CIRCLE)):
        window = open_window("--preset", name)
        Hand(window, qtbot).draw(strokes)
        window.close()
        (folder / "last.session").replace(folder / ("1.session" if name == "default" else "2.session"))
    window = open_window("--keep-every", "0.1")
    bar = window.recovery_bar
    assert "2 sessions" in bar.label.text()
    entries = [bar.box.itemText(at) for at in range(2)]
    assert entries[0].startswith("Walk-through network · saved at ")
    assert entries[1].startswith("Default network · saved at ")
    choose(window, "Default")
    qtbot.waitUntil(lambda: strokes_of(window) == 2, timeout=10_000)
    assert not bar.box.isVisible()
    Hand(window, qtbot).draw([X_ARMS[0]])
    QTest.mouseClick(bar.restore_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: strokes_of(window) == 1, timeout=10_000)
    assert bar.label.text().startswith("A session was put aside at ")
    QTest.mouseClick(bar.restore_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: strokes_of(window) == 3, timeout=10_000)
    window.close()
    kept = {len(load_project(path).document.input.source.strokes) for path in folder.glob("*.session")}
    assert kept == {1, 3}


def test_a_restored_session_is_offered_again_while_its_restoring_is_undone(
    folder: Path, open_window: OpenWindow, qtbot
) -> None:
    left_behind(folder, open_window, qtbot)
    window = open_window("--keep-every", "0.1")
    bar, undo_stack = window.recovery_bar, window.session.undo_stack
    for _ in range(2):
        QTest.mouseClick(bar.restore_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: strokes_of(window) == 2, timeout=10_000)
        qtbot.waitUntil((folder / "restored.session").exists, timeout=10_000)
        assert not bar.isVisible()
        undo_stack.undo()
        assert bar.isVisible()
        undo_stack.redo()
        assert not bar.isVisible()
        undo_stack.undo()
    Hand(window, qtbot).draw([X_ARMS[0]])
    window.close()
    assert len(load_project(folder / "last.session").document.input.source.strokes) == 1
    again = open_window()
    assert again.recovery_bar.isVisible()
    QTest.mouseClick(again.recovery_bar.restore_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: strokes_of(again) == 2, timeout=10_000)


def test_equal_sessions_are_told_apart_by_number(qapp: object) -> None:
    assert distinct(["a", "b", "a"]) == ["a", "b", "a (2)"]
    window = QWidget()
    bar, summary = RecoveryBar(window), ProjectSummary(1e9, None, False, False, "Default")
    bar.show_offers([SessionOffer(Path(name), summary) for name in ("1.session", "2.session")])
    first, second = (bar.box.itemText(at) for at in range(2))
    assert second == f"{first} (2)"
    window.deleteLater()


def test_an_unanswered_offer_is_repeated(folder: Path, open_window: OpenWindow, qtbot) -> None:
    left_behind(folder, open_window, qtbot)
    for _ in range(2):
        window = open_window()
        assert window.recovery_bar.isVisible()
        assert window.focusWidget() is window.drawing_view.canvas
        window.close()
    assert (folder / "1.session").exists()


@pytest.mark.parametrize("where", ["header", "body", "all"])
def test_a_damaged_file_is_moved_aside_and_reported(
    folder: Path, open_window: OpenWindow, qtbot, where: str
) -> None:
    left_behind(folder, open_window, qtbot)
    path = folder / "1.session"
    data = bytearray(path.read_bytes())
    if where == "all":
        data = bytearray(b"nonsense")
    else:
        data[8 if where == "header" else -40] ^= 0x55
    path.write_bytes(data)
    window = open_window()
    if where == "body":  # the start reads no more than the header
        assert window.recovery_bar.isVisible()
        QTest.mouseClick(window.recovery_bar.restore_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.recovery_bar.isVisible() and not path.exists(), timeout=10_000)
    assert (folder / "damaged.session").exists()
    assert "damaged" in window.statusBar().currentMessage()
    Hand(window, qtbot).draw(CIRCLE)
    assert len(window.session.document.input.source.strokes) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders there")
def test_pipes_and_leftovers_in_the_folder_do_not_stop_the_start(folder: Path, open_window: OpenWindow) -> None:
    """A pipe would be waited for, for ever; a save that was killed leaves up to a gigabyte."""
    folder.mkdir(parents=True)
    os.mkfifo(folder / "1.session")
    os.mkfifo(folder / "last.session")
    os.mkfifo(folder / "2.lock")
    (folder / ".2.session.0123456789ab.saving").write_bytes(bytes(1000))
    window = open_window()
    assert "not an ordinary file" in window.statusBar().currentMessage()
    assert not list(folder.glob(".*"))
    assert not window.recovery_bar.isVisible()


def test_an_unusable_folder_is_reported_and_the_window_opens(folder: Path, open_window: OpenWindow, qtbot) -> None:
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_text("a file where the folder should be")
    window = open_window()
    assert "Autosave is off" in window.statusBar().currentMessage()
    Hand(window, qtbot).draw(X_ARMS)
    window.close()


def test_a_full_disk_is_reported_once(folder: Path, open_window: OpenWindow, qtbot, monkeypatch) -> None:
    def full(path: Path, work: object) -> None:
        raise FileError(f"{path.name} was not saved: there is no room left on the disk; free some space.")

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("xo_gui.state.autosave.save_project", full)
        window = open_window("--keep-every", "0.1")
        window.autosave.message.connect(said.append)
        hand = Hand(window, qtbot)
        hand.draw(X_ARMS)
        qtbot.waitUntil(lambda: len(said) == 1, timeout=10_000)
        hand.draw(CIRCLE)
        qtbot.wait(300)
        assert len(said) == 1
        assert "no room left" in said[0]
        assert not (folder / "1.session").exists()
    hand.draw(CIRCLE)
    qtbot.waitUntil((folder / "1.session").exists, timeout=10_000)


@pytest.mark.expects_log
def test_an_unexpected_error_is_logged_and_reported_and_saving_is_retried(
    folder: Path, open_window: OpenWindow, qtbot, monkeypatch
) -> None:
    def broken(path: Path, work: object) -> None:
        raise RuntimeError("odd")

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("xo_gui.state.autosave.save_project", broken)
        window = open_window("--keep-every", "0.1")
        window.autosave.message.connect(said.append)
        hand = Hand(window, qtbot)
        hand.draw(X_ARMS)
        qtbot.waitUntil(lambda: len(said) == 1, timeout=10_000)
        assert "RuntimeError: odd" in said[0]
    hand.draw(CIRCLE)
    qtbot.waitUntil((folder / "1.session").exists, timeout=10_000)
