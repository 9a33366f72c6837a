"""The Train menu in the real window: its keys, when its actions are enabled, and the command that it copies."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtTest import QTest

from engine.cli.main import main
from engine.documents import load_model, save_model, shipped_model
from engine.training import SGD, TrainingConfig
from engine.training.config import Linear, StepDecay
from engine.training.optimizers import Adam
from tests.xo_gui.conftest import X_ARMS, Hand, OpenWindow
from tests.xo_gui.views.training.test_training_view import Coach
from tests.xo_gui.workbench import model_of_other_classes
from xo_gui.state import SetConfig, ShowPoint
from xo_gui.window import MainWindow
from xo_gui.window.dialogs import SeedDialog


@pytest.fixture
def coach(window: MainWindow, qtbot: object) -> Coach:
    return Coach(window, qtbot)


def press(window: MainWindow, keys: str) -> None:
    """Press the shortcut of an action in the window."""
    combined = QKeySequence(keys)[0]
    QTest.keyClick(window, combined.key(), combined.keyboardModifiers())


def made_again(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The parameters that a copied command produces."""
    words = shlex.split(command)
    assert words[:2] == ["xo", "train"]
    monkeypatch.chdir(folder)
    assert main(words[1:]) == 0
    return dict(load_model(folder / words[words.index("--out") + 1]).parameters)


def copied(coach: Coach) -> str:
    press(coach.window, "Ctrl+Shift+C")
    return QGuiApplication.clipboard().text()


def assert_same_bytes(coach: Coach, made: dict[str, np.ndarray]) -> None:
    shown = coach.window.session.document.models[0].parameters
    assert set(made) == set(shown)
    for name, values in made.items():
        assert values.tobytes() == shown[name].tobytes(), name


OWN = TrainingConfig(
    SGD(0.03, 0.8, nesterov=True), StepDecay(4, 0.5, warmup=0.1), 37, 3, 0.003, 2.0, ("conv2d-2",), steps=20
)


@pytest.mark.parametrize(
    "config",
    [None, OWN, TrainingConfig(Adam(0.002, 0.85), Linear(0.1), 100, 2, target=0.5, seed=1)],
    ids=["as it comes", "stopped after steps", "stopped by the target"],
)
def test_the_copied_command_makes_the_same_bytes(
    coach: Coach, config: TrainingConfig | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = coach.window.training.settings.config
    coach.window.training.execute(SetConfig(config or replace(default, steps=13)))
    press(coach.window, "Ctrl+Return")
    report = coach.until(lambda training: training.state == "ended")
    coach.stand()
    assert report.stop_reason == ("target" if config and config.target else "steps")
    command = copied(coach)
    assert "not include" not in coach.window.statusBar().currentMessage()
    assert f"step {report.current_point.step}" in coach.window.statusBar().currentMessage()
    assert_same_bytes(coach, made_again(command, tmp_path, monkeypatch))


def test_the_copied_command_makes_the_same_bytes_in_a_process_of_its_own(coach: Coach, tmp_path: Path) -> None:
    """Another process has its own threads and its own order of imports. Paused, with an earlier step shown."""
    for _ in range(2):
        press(coach.window, "Ctrl+E")
        coach.until(lambda training: training.state == "paused" and training.current_point.step % 10 == 0)
        coach.stand()
    coach.window.training.execute(ShowPoint(replace(coach.training.current_point, step=14)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 14)
    words = shlex.split(copied(coach))
    run = [sys.executable, "-m", "engine.cli.main", *words[1:]]
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(run, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = load_model(tmp_path / "trained.safetensors").parameters
    shown = coach.window.last.predictions[0].model.parameters
    for name, values in made.items():
        assert values.tobytes() == shown[name].tobytes(), name


def test_before_training_the_command_is_that_of_the_whole_run(coach: Coach, hand: Hand) -> None:
    hand.settle()
    command = copied(coach)
    assert command.startswith("xo train --preset default --seed 1 --fixed --examples 600 ")
    assert "--steps" not in command
    assert f"--epochs {coach.window.training.settings.config.epochs}" in command
    assert "whole run" in coach.window.statusBar().currentMessage()


def test_what_the_command_does_not_include_is_reported(coach: Coach) -> None:
    press(coach.window, "Ctrl+T")
    coach.stand()
    config = coach.window.training.settings.config
    coach.window.training.execute(
        SetConfig(replace(config, optimizer=replace(config.optimizer, rate=0.01), target=0.99))
    )
    press(coach.window, "Ctrl+T")
    coach.until(lambda training: training.current_point.step == 2)
    coach.stand()
    copied(coach)
    said = coach.window.statusBar().currentMessage()
    assert "does not include the change at step 1: rate 0.01." in said
    press(coach.window, "Ctrl+Shift+T")
    coach.until(lambda training: training.current_point.branch == 1 and training.current_point.step >= 1)
    press(coach.window, "Ctrl+Return")
    coach.stand()
    words = shlex.split(copied(coach))
    assert words[words.index("--model") + 1] == "Default.safetensors"
    assert "initial weights" in coach.window.statusBar().currentMessage()


def test_own_drawings_are_not_in_the_command(coach: Coach, hand: Hand) -> None:
    hand.draw(X_ARMS)
    QTest.keyClick(hand.canvas, Qt.Key.Key_X)
    copied(coach)
    assert "your own drawings (1 of the examples)" in coach.window.statusBar().currentMessage()


def test_only_actions_that_apply_are_enabled(coach: Coach, hand: Hand) -> None:
    made = coach.window.menus.actions
    hand.settle()

    def enabled() -> set[str]:
        names = {"train": "train", "over": "restart", "on": "train-from-weights", "here": "branch-here"}
        names |= {"now": "back-to-now", "good": "last-good"}
        return {name for name, known in names.items() if made[known].isEnabled()}

    assert (enabled(), made["train"].text()) == ({"train", "on"}, "&Train from scratch")
    press(coach.window, "Ctrl+Return")
    coach.until(lambda training: training.current_point.step >= 3)
    assert (enabled(), made["train"].text()) == ({"train", "over"}, "&Pause")
    press(coach.window, "Ctrl+Return")
    last = coach.stand().current_point.step
    assert (enabled(), made["train"].text()) == ({"train", "over", "on"}, "&Resume")
    coach.window.training.execute(ShowPoint(replace(coach.training.current_point, step=2)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 2)
    assert enabled() == {"train", "over", "here", "now"}
    press(coach.window, "Ctrl+B")
    coach.until(lambda training: training.shown_point.step == last)
    assert enabled() == {"train", "over", "on"}
    coach.window.training.execute(ShowPoint(replace(coach.training.current_point, step=2)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 2)
    press(coach.window, "Ctrl+Shift+Return")
    coach.until(lambda training: training.current_point.branch == 1 and training.current_point.step > 2)
    press(coach.window, "Ctrl+Return")
    assert coach.stand().branches[1].start == 2


def test_start_over_and_a_new_start(coach: Coach, qtbot: object) -> None:
    press(coach.window, "Ctrl+T")
    coach.stand()
    press(coach.window, "Ctrl+R")
    coach.until(lambda training: training.current_point.branch == 1)
    coach.stand()
    start = coach.weights
    press(coach.window, "Ctrl+Shift+R")
    (dialog,) = coach.window.findChildren(SeedDialog)
    assert dialog.isVisible()
    assert dialog.box.value == 2
    for text in ("7,5", "77"):
        dialog.box.selectAll()
        QTest.keyClicks(dialog.box, text)
        QTest.keyClick(dialog.box, Qt.Key.Key_Return)
        assert dialog.message_label.text() == "“7,5” is not a valid number here; type a whole number such as 20."
    coach.until(lambda training: training.current_point.branch == 2)
    coach.stand()
    assert coach.panel.seed_box.value == 77
    assert not np.array_equal(coach.weights, start)


def test_every_action_has_a_mnemonic_and_a_tip_and_no_key_is_owned_by_two(coach: Coach, hand: Hand) -> None:
    hand.settle()
    owned: dict[str, str] = {}
    for action in coach.window.findChildren(QAction):
        for key in action.shortcuts():
            text = key.toString()
            assert not action.isEnabled() or owned.setdefault(text, action.text()) == action.text(), text
    (train,) = [menu for menu in coach.window.menuBar().actions() if menu.text() == "&Train"]
    actions = [action for action in train.menu().actions() if not action.isSeparator()]
    letters = [action.text()[action.text().index("&") + 1].lower() for action in actions]
    assert sorted(letters) == sorted(set(letters))
    assert all(action.statusTip() for action in actions)
    titles = [action.text().replace("&", "") for action in coach.window.menuBar().actions()]
    assert titles[titles.index("Train") - 1 : titles.index("Train") + 2] == ["Network", "Train", "Data"]


def test_a_network_that_is_no_preset_is_named_as_a_file(
    open_window: OpenWindow, qtbot: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """xo train has no training preset of the walk-through, so its command takes the network from a file."""
    coach = Coach(open_window("--preset", "walkthrough"), qtbot)
    coach.click(coach.panel.epoch_button)
    coach.stand()
    command = copied(coach)
    said = coach.window.statusBar().currentMessage()
    assert said.endswith("the network, which it reads from Walk-through.safetensors: save it there first.")
    save_model(tmp_path / "Walk-through.safetensors", shipped_model("walkthrough"))
    assert_same_bytes(coach, made_again(command, tmp_path, monkeypatch))
    coach.window.use_model(model_of_other_classes(), opening=True)
    assert copied(coach) == command
    assert coach.window.statusBar().currentMessage().endswith("give xo train its own pictures with --data.")
