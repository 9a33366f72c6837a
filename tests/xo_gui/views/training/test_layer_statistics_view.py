"""The distributions panel in the real window: histograms, gradients, dead features, and when they are computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTabBar

from engine.nn import RunPoint
from engine.runtime import LayerStatisticsQuery
from engine.training import NetworkStatistics
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state import ShowPoint, TrainFromCurrentWeights
from xo_gui.views.training import LayerStatisticsView
from xo_gui.window import MainWindow


class Inside:
    """Opens the panel by its tab, hovers over it, and reads its text."""

    def __init__(self, coach: Coach) -> None:
        self.coach, self.window = coach, coach.window
        self.view = next(view for view in self.window.views if isinstance(view, LayerStatisticsView))

    def tab(self, title: str) -> None:
        bars = self.window.findChildren(QTabBar)
        bar, place = next((b, at) for b in bars for at in range(b.count()) if b.tabText(at) == title)
        QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(place).center())

    @property
    def statistics(self) -> NetworkStatistics | None:
        """Those in the Snapshot shown."""
        return self.window.last.result(LayerStatisticsQuery())

    def until_seen(self) -> NetworkStatistics:
        """Wait until the panel shows the current point."""
        self.coach.until(
            lambda training: (
                training.is_exact and (found := self.statistics) is not None and found.point == training.shown_point
            )
        )
        self.coach.qtbot.wait(20)
        return self.statistics

    def point(self, row: int, column: str, along: float = 0.5) -> str:
        box = self.view.rows.box(row, column)
        QTest.mouseMove(self.view.rows, QPoint(1, 1))
        QTest.mouseMove(self.view.rows, QPoint(int(box.left() + along * box.width()), int(box.center().y())))
        self.coach.qtbot.wait(10)
        return self.view.value.text()


@pytest.fixture
def inside(window: MainWindow, qtbot: object) -> Inside:
    return Inside(Coach(window, qtbot))


def test_the_panel_says_what_to_do_until_there_is_something_to_see(inside: Inside) -> None:
    inside.tab("Distributions")
    assert inside.view.isVisible()
    assert not inside.view.value.isVisible()
    inside.coach.click(inside.coach.panel.step_button)
    inside.coach.stand()
    inside.until_seen()
    assert inside.view.value.isVisible()
    assert "Features 1" in inside.view.rows.accessibleDescription()


def test_pointing_at_a_histogram_counts_the_weights_on_the_screen(inside: Inside) -> None:
    inside.tab("Distributions")
    inside.coach.click(inside.coach.panel.step_button)
    inside.coach.stand()
    inside.until_seen()
    parameters = inside.window.last.predictions[0].model.parameters
    weights = np.concatenate([parameters[f"conv2d-1.{part}"].ravel() for part in ("weight", "bias")])
    said = inside.point(0, "weights", 0.99)
    low, high = np.abs(weights).max() * 30 / 32, np.abs(weights).max()
    count = int(((weights >= low) & (weights <= high)).sum())
    assert said == f"weights from {low:.3g} to {high:.3g}: {count} of {weights.size}"
    after = inside.point(0, "course")
    assert "learns nothing" in inside.point(1, "weights")
    # How far the step moved them is how far they are from those of the start.
    inside.window.training.execute(ShowPoint(RunPoint(0, 0)))
    inside.coach.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 0))
    start = inside.window.last.predictions[0].model.parameters
    before = np.concatenate([start[f"conv2d-1.{part}"].ravel() for part in ("weight", "bias")])
    moved = 100 * np.linalg.norm(weights - before) / np.linalg.norm(weights)
    assert after.startswith("step 1: gradient ")
    assert after.endswith(f"weights changed by {moved:.2g} %")


def test_the_keyboard_reaches_every_number(inside: Inside) -> None:
    inside.tab("Distributions")
    inside.coach.click(inside.coach.panel.step_button)
    inside.coach.stand()
    inside.until_seen()
    rows = inside.view.rows
    rows.setFocus()
    QTest.keyClick(rows, Qt.Key.Key_Down)
    assert inside.view.value.text().startswith("Features 1 · norm of the weights")
    QTest.keyClick(rows, Qt.Key.Key_Down)
    QTest.keyClick(rows, Qt.Key.Key_Right)
    QTest.keyClick(rows, Qt.Key.Key_Right)
    assert inside.view.value.text().startswith("values from")


def test_a_moment_looked_back_at_shows_its_own_numbers(inside: Inside) -> None:
    inside.tab("Distributions")
    for step in (1, 2, 3):
        inside.coach.click(inside.coach.panel.step_button)
        inside.coach.until(lambda training, step=step: training.current_point.step == step)
        inside.coach.stand()
        inside.until_seen()
    now = [inside.point(0, column) for column in ("weights", "gradients", "course")]
    inside.window.training.execute(ShowPoint(RunPoint(0, 2)))
    inside.coach.until(lambda training: training.shown_point == RunPoint(0, 2))
    statistics = inside.until_seen()
    weights = inside.window.last.predictions[0].model.parameters["conv2d-1.weight"]
    assert statistics.rows[0].weights.maximum == pytest.approx(float(weights.max()), rel=1e-6)
    then = [inside.point(0, column) for column in ("weights", "gradients", "course")]
    assert then[0] != now[0]
    assert then[1] != now[1]
    assert "step 2" in then[2]


def test_nothing_is_counted_behind_another_tab(inside: Inside) -> None:
    inside.coach.click(inside.coach.panel.step_button)
    inside.coach.stand()
    assert LayerStatisticsQuery() not in inside.window.visible_queries()
    inside.tab("Distributions")
    inside.until_seen()
    inside.tab("Features over time")
    assert LayerStatisticsQuery() not in inside.window.visible_queries()


def test_a_dead_feature_is_counted_and_named(inside: Inside) -> None:
    document = inside.window.session.document
    model = document.models[0]
    parameters = {name: values.copy() for name, values in model.parameters.items()}
    parameters["conv2d-1.bias"][2] = -100
    inside.window.use_model(replace(model, parameters=parameters))
    inside.tab("Distributions")
    inside.window.training.execute(TrainFromCurrentWeights())
    inside.coach.until(lambda training: training.current_point.step >= 1)
    inside.coach.click(inside.coach.panel.main_button)
    inside.coach.stand()
    inside.until_seen()
    QTest.mouseMove(inside.view.rows, QPoint(1, 1))
    inside.coach.qtbot.wait(10)
    assert "dead: 3" in inside.view.value.text()
    assert "dead: 3" in inside.view.rows.accessibleDescription()
