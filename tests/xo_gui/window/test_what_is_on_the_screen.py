"""What is saved, copied and named is what is on the screen, while it trains and while an earlier step is shown."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog

from engine.documents import load_model
from engine.nn import RunPoint
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state import OneEpoch, OneStep, Pause, Restart, SetConfig, ShowPoint, Start
from xo_gui.views.training import BranchesView, FeatureHistoryView, HeldOutView
from xo_gui.views.training.training_view import speed_text
from xo_gui.window import MainWindow
from xo_gui.window.docks import ScrolledPanelFrame


@pytest.fixture
def coach(window: MainWindow, qtbot: object) -> Coach:
    return Coach(window, qtbot)


class Files:
    """Answers the dialog that asks where to save."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "saved.safetensors"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(self.path), ""))

    def saved_weights(self, window: MainWindow) -> dict[str, np.ndarray]:
        window.import_export.ask_save_model()
        return dict(load_model(self.path).parameters)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def same(weights: dict[str, np.ndarray], model: object) -> bool:
    return all(np.array_equal(values, model.parameters[name]) for name, values in weights.items())


def copied(window: MainWindow) -> list[str]:
    window.menus.actions["copy-command"].trigger()
    return shlex.split(QGuiApplication.clipboard().text())


def test_while_training_and_looking_back_the_weights_shown_are_saved_copied_and_named(
    coach: Coach, files: Files
) -> None:
    window = coach.window
    assert window.windowTitle() == "Default network — XO"
    window.training.execute(Start())
    coach.until(lambda training: training.current_point.step >= 5)
    shown = window.last.predictions[0].model
    step = coach.training.shown_point.step
    assert same(files.saved_weights(window), shown)
    assert not same(files.saved_weights(window), window.session.document.models[0])
    assert window.statusBar().currentMessage() == f"Saved saved.safetensors: step {step} of Run 1, seed 1."
    assert window.windowTitle() == "Default network, in training — XO"
    words = copied(window)
    assert words[words.index("--steps") + 1] == str(step)
    # An earlier step is looked at while it trains on.
    window.training.execute(ShowPoint(RunPoint(0, 3)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 3)
    assert window.training.settings.running
    assert same(files.saved_weights(window), window.last.predictions[0].model)
    assert window.windowTitle() == "Default network, step 3 of Run 1, seed 1 — XO"
    words = copied(window)
    assert words[words.index("--steps") + 1] == "3"
    window.training.execute(ShowPoint(RunPoint(0, 0)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 0)
    before = QGuiApplication.clipboard().text()
    copied(window)
    assert QGuiApplication.clipboard().text() == before
    assert "before the first step" in window.statusBar().currentMessage()


def test_the_seed_named_is_that_of_the_weights_shown(coach: Coach) -> None:
    window = coach.window
    window.training.execute(OneStep())
    coach.stand()
    window.training.execute(Restart(7))
    coach.until(lambda training: training.current_point == RunPoint(1, 0))
    coach.stand()
    assert window._facts.text().endswith("seed 7")
    window.training.execute(ShowPoint(RunPoint(0, 1)))
    coach.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 1))
    coach.qtbot.wait(20)
    assert window._facts.text().endswith("seed 1")
    assert "seed 1" in coach.line._facts()


def test_a_network_chosen_again_shows_no_run_and_one_that_was_left_shows_its_own(coach: Coach) -> None:
    window = coach.window
    branches = next(view for view in window.views if isinstance(view, BranchesView))
    history = next(view for view in window.views if isinstance(view, FeatureHistoryView))
    window.training.execute(SetConfig(replace(window.training.settings.config, epochs=3)))
    coach.click(coach.panel.step_button)
    coach.stand()
    window.use_preset("hanuschkin")
    coach.qtbot.waitUntil(lambda: window.last.predictions[0].model.name != "Default", timeout=10_000)
    coach.qtbot.wait(50)
    assert "Once the network trains" in coach.line.accessibleDescription()
    window.use_preset("default")
    coach.until(lambda training: training.current_point == RunPoint(0, 1))
    coach.qtbot.wait(50)
    assert coach.panel.main_button.text() == "▶ Resume"
    assert "step 1 · Run 1" in coach.line.accessibleDescription()
    assert "as you left it" in window.statusBar().currentMessage()
    window.use_preset("default")
    coach.qtbot.waitUntil(lambda: window.last.generation == window.session.generation, timeout=10_000)
    coach.qtbot.wait(50)
    assert coach.panel.main_button.text() == "▶ Train from scratch"
    assert "Once the network trains" in coach.line.accessibleDescription()
    assert coach.curves.empty_label.isVisibleTo(coach.curves)
    assert not coach.curves.plot._branches
    assert not history.strip._keyframes
    assert branches.table.branches.rowCount() == 1, "the run is kept, and can be gone to from there"
    coach.click(coach.panel.step_button)
    coach.until(lambda training: training.current_point == RunPoint(1, 1))
    assert window.windowTitle().startswith("Default network")


def test_pictures_are_of_the_moment_they_were_asked_for(coach: Coach, files: Files) -> None:
    """The dialog may stay open for long: what is saved is what was on the screen before."""
    window, before = coach.window, coach.window.drawing_view.to_image()

    def answer(*_: object) -> tuple[str, str]:
        window.drawing_view.load_example("X")
        return str(files.path.with_suffix(".png")), ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QFileDialog, "getSaveFileName", answer)
        window.import_export.ask_save_input()
    assert QImage(str(files.path.with_suffix(".png"))).convertToFormat(before.format()) == before


def test_all_panels_show_one_moment_while_it_trains_fast(coach: Coach) -> None:
    window = coach.window
    history = next(view for view in window.views if isinstance(view, FeatureHistoryView))
    window.training.execute(SetConfig(replace(window.training.settings.config, epochs=100)))
    window.training.execute(Start())
    coach.until(lambda training: training.current_point.step >= 5)
    seen: set[int] = set()
    end = time.monotonic() + 30
    while len(seen) < 5 and time.monotonic() < end:
        coach.qtbot.wait(31)
        step = window.last.training.current_point.step
        seen.add(step)
        assert coach.line.accessibleDescription() == f"step {step} · Run 1, seed 1"
        assert coach.curves.value.text().startswith(f"step {step} ·")
        assert history.strip._keyframes[-1].point.step == step
        reports = {id(view._training) for view in window.views if hasattr(view, "_training")}
        assert reports == {id(window.last.training)}
        assert "0 steps/s" not in coach.panel.status_label.text().split(", ")
    assert len(seen) == 5
    window.training.execute(Pause())
    coach.stand()


def test_a_step_on_its_way_is_said_to_be(coach: Coach) -> None:
    """While a point is replayed, the timeline says whose predictions are shown."""
    window = coach.window
    window.training.execute(OneEpoch())
    coach.stand()
    report, line = window.last.training, coach.line
    window.training.execute(ShowPoint(RunPoint(0, 7)))
    line.set_snapshot(replace(window.last, training=replace(report, shown_point=RunPoint(0, 4), is_exact=False)))
    assert line.accessibleDescription().endswith("on its way: predictions are still those of step 4")
    coach.until(lambda training: training.is_exact and training.shown_point.step == 7)
    coach.qtbot.wait(20)
    assert line.accessibleDescription().endswith("predictions are those of the network at this step")


@pytest.mark.parametrize(
    ("speed", "text"),
    [(None, "step 1 is under way"), (0.0314, "0.031 steps/s"), (3.27, "3.3 steps/s"), (123.4, "123 steps/s")],
)
def test_the_speed_has_the_digits_that_it_needs(speed: float | None, text: str) -> None:
    report = SimpleNamespace(steps_per_second=speed, current_point=RunPoint(0, 0))
    assert speed_text(report) == text


def test_panels_with_room_for_their_buttons_do_not_scroll_once_they_show_a_run(coach: Coach) -> None:
    """A list within a panel has a scroll bar of its own; the panel needs none beside it."""
    window = coach.window
    window.resize(1280, 800)
    coach.click(coach.panel.step_button)
    coach.stand()
    for kind in (BranchesView, HeldOutView):
        window.panels.show_panel(kind)
        coach.qtbot.wait(300)
        view = next(view for view in window.views if isinstance(view, kind))
        frame = window.panels.dock_of(kind).widget()
        assert isinstance(frame, ScrolledPanelFrame)
        assert frame.needed_size.height() <= frame.height(), "there is room"
        assert not frame.verticalScrollBar().isVisible()
        assert view.height() <= frame.viewport().height()
