"""The window opens with the past of the shipped network: it is looked at, continued, left and found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.documents import save_project, shipped_run
from engine.nn import RunPoint
from tests.xo_gui.conftest import OpenWindow
from xo_gui.state import BranchWithNewData, OneStep, Pause, Restart, SetConfig, SetData, ShowPoint, Start
from xo_gui.state.training_state import DEFAULT_CONFIG
from xo_gui.views.training import BranchesView, FeatureHistoryView, TimelineView, TrainingView
from xo_gui.window import MainWindow


@pytest.fixture
def has_shipped_run() -> bool:
    return True


@pytest.fixture
def recorded():
    found = shipped_run("default")
    assert found is not None
    assert found.run is not None
    return found


def end_of(recorded) -> RunPoint:
    return recorded.run.current_point


def button(window: MainWindow) -> str:
    return window._view(TrainingView).main_button.text()


def wait_for(window: MainWindow, qtbot, condition) -> None:
    qtbot.waitUntil(lambda: window.last.training is not None and condition(window.last.training), timeout=20_000)


def test_the_first_start_shows_the_recorded_run_and_changes_nothing(
    open_window: OpenWindow, qtbot, recorded
) -> None:
    window, end = open_window(), end_of(recorded)
    wait_for(window, qtbot, lambda training: training.state == "ended")
    training = window.last.training
    assert training.current_point == training.shown_point == end
    assert training.branches[0].end == end.step
    assert button(window) == "▶ Train from scratch"
    strip = window._view(FeatureHistoryView).strip
    boxes = [each.box for each in strip.keyframe_boxes()]
    assert len(boxes) >= 4
    # The images are as large as the panel allows, in width or in height.
    assert boxes[-1].right() > 0.9 * strip.width() or boxes[-1].height() > 0.9 * strip.height()
    shown = window.last.predictions[0].model.parameters
    for name, values in recorded.document.models[0].parameters.items():
        np.testing.assert_array_equal(shown[name], values)
    assert not window.session.undo_stack.canUndo()
    assert window.training.is_untouched
    assert window.autosave is not None
    assert not window.autosave._is_worth_saving
    # A drag of the timeline stops where the network is at once, as the next keyframe is thousands of steps away.
    line, stored = window._view(TimelineView), training.branches[0].keyframes
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(round(0.6 * line.width()), 10))
    wait_for(window, qtbot, lambda training: training.shown_point == RunPoint(0, stored[-3]) and training.is_exact)
    assert button(window) == "▶ Continue from here"
    QTest.keyClick(line, Qt.Key.Key_Right)  # a key goes to any step
    wait_for(window, qtbot, lambda training: training.shown_point == RunPoint(0, stored[-3] + 1))


def test_training_from_scratch_begins_with_the_quick_settings_and_the_past_stays(
    open_window: OpenWindow, qtbot, recorded
) -> None:
    window, end = open_window(), end_of(recorded)
    wait_for(window, qtbot, lambda training: training.state == "ended")
    assert window.training.settings.config == recorded.config
    window.execute(OneStep())
    wait_for(window, qtbot, lambda training: training.current_point == RunPoint(1, 1))
    wait_for(window, qtbot, lambda training: training.state == "paused")
    settings, training = window.training.settings, window.last.training
    assert settings.config == DEFAULT_CONFIG
    assert not settings.data.fresh
    assert [(branch.start, branch.parent) for branch in training.branches] == [(0, None), (0, None)]
    # The shipped weights are found again where they are, at the end of their run.
    window.use_preset("default")
    wait_for(window, qtbot, lambda training: training.shown_point == end and training.is_exact)
    np.testing.assert_array_equal(
        window.last.predictions[0].model.parameters["dense-1.weight"],
        recorded.document.models[0].parameters["dense-1.weight"],
    )
    window.session.undo_stack.undo()
    wait_for(window, qtbot, lambda training: training.shown_point == RunPoint(1, 1))


def test_what_is_changed_before_training_from_scratch_is_kept(open_window: OpenWindow, qtbot, recorded) -> None:
    window = open_window()
    wait_for(window, qtbot, lambda training: training.state == "ended")
    config = window.training.settings.config
    window.execute(SetConfig(replace(config, optimizer=replace(config.optimizer, rate=0.08), seed=3)))
    window.execute(OneStep())
    wait_for(window, qtbot, lambda training: training.current_point == RunPoint(1, 1))
    chosen = window.training.settings.config
    assert chosen == replace(DEFAULT_CONFIG, optimizer=replace(DEFAULT_CONFIG.optimizer, rate=0.08), seed=3)
    window.execute(SetConfig(replace(chosen, epochs=recorded.config.epochs)))  # a choice like any other by now
    window.execute(Restart())
    wait_for(window, qtbot, lambda training: training.current_point == RunPoint(2, 0))
    assert window.training.settings.config.epochs == recorded.config.epochs


def test_from_any_keyframe_training_continues_as_it_went_on(
    open_window: OpenWindow, qtbot, recorded, tmp_path: Path
) -> None:
    window = open_window()
    wait_for(window, qtbot, lambda training: training.state == "ended")
    steps = window.last.training.branches[0].keyframes
    window.execute(Restart())  # whose settings leave nothing to do so late
    wait_for(window, qtbot, lambda training: training.current_point == RunPoint(1, 0))
    window.execute(ShowPoint(RunPoint(0, steps[-3])))
    wait_for(window, qtbot, lambda training: training.shown_point == RunPoint(0, steps[-3]) and training.is_exact)
    assert button(window) == "▶ Continue from here"
    window.execute(Start())
    wait_for(window, qtbot, lambda training: training.current_point.branch == 2)
    wait_for(window, qtbot, lambda training: training.current_point.step >= steps[-3] + 3)
    window.execute(Pause())
    wait_for(window, qtbot, lambda training: training.state == "paused")
    branch, run = window.last.training.branches[2], recorded.run.branches[0].branch
    made = slice(steps[-3], branch.end)
    np.testing.assert_array_equal(branch.curves.losses, run.curves.losses[made])
    assert not window.training.is_untouched
    # It is saved with its past, and opened again.
    path = tmp_path / "a.session"
    save_project(path, window.training.project_state())
    again = open_window(str(path))
    wait_for(again, qtbot, lambda training: training.current_point == RunPoint(2, branch.end))
    assert set(steps) == set(again.last.training.branches[0].keyframes)


def test_other_examples_train_on_from_the_shipped_weights(open_window: OpenWindow, qtbot, recorded) -> None:
    window = open_window()
    wait_for(window, qtbot, lambda training: training.state == "ended")
    assert not window._view(BranchesView).continue_button.isEnabled()  # there is no epoch left
    window.execute(SetData(replace(window.training.settings.data, count=640, held_out=100, fresh=False)))
    window.execute(BranchWithNewData())
    wait_for(window, qtbot, lambda training: training.current_point.branch == 1 and training.current_point.step > 3)
    window.execute(Pause())
    wait_for(window, qtbot, lambda training: training.state == "paused")
    training = window.last.training
    assert training.branch_origins[1].initial_model == recorded.document.models[0].name
    assert training.branches[1].curves.losses[0] < 0.5 < recorded.run.branches[0].branch.curves.losses[0]


def test_another_network_and_back_is_the_same_past(open_window: OpenWindow, qtbot, recorded) -> None:
    window, end, said = open_window("--preset", "walkthrough"), end_of(recorded), []
    window.use_preset("default")
    wait_for(window, qtbot, lambda training: training.shown_point == end)
    window.use_preset("walkthrough")
    qtbot.waitUntil(lambda: window.last.training is None, timeout=10_000)
    window.show_message = said.append
    window.use_preset("default")
    wait_for(window, qtbot, lambda training: training.shown_point == end and training.state == "ended")
    assert not said
    assert button(window) == "▶ Train from scratch"
    assert window.training.is_untouched
