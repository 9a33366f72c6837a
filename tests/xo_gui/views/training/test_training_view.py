"""Training in the real window: buttons, display, undo, and drawing meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.drawings import Drawing
from engine.runtime import TrainingReport
from engine.training import SGD
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand
from xo_gui.state import OneStep, Pause, SetConfig, SetData, ShowPoint
from xo_gui.views.training import CurvesView, TimelineView, TrainingView
from xo_gui.window import MainWindow


class Coach:
    """Presses the buttons of the training panel and waits for the result."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        self.window, self.qtbot = window, qtbot
        self.panel = next(view for view in window.views if isinstance(view, TrainingView))
        self.line = next(view for view in window.views if isinstance(view, TimelineView))
        self.curves = next(view for view in window.views if isinstance(view, CurvesView))
        data = window.training.settings.data
        window.training.execute(SetData(replace(data, count=600, held_out=100)))

    @property
    def training(self) -> TrainingReport:
        assert self.window.last is not None
        assert self.window.last.training is not None
        return self.window.last.training

    def until(self, true: Callable[[TrainingReport], bool]) -> TrainingReport:
        def check() -> None:
            last = self.window.last
            # Of a Training itself pytest would write out every array, each time that it is not so yet.
            fits = last is not None and last.training is not None and true(last.training)
            assert fits

        self.qtbot.waitUntil(check, timeout=60_000)
        return self.training

    def stand(self) -> TrainingReport:
        """Wait until training pauses and the document has its weights."""
        self.until(lambda training: training.state not in ("preparing", "running"))
        self.qtbot.waitUntil(lambda: not self.window.training.settings.running, timeout=10_000)
        self.qtbot.wait(50)
        return self.training

    def click(self, button: object) -> None:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    @property
    def weights(self) -> np.ndarray:
        return self.window.session.document.models[0].parameters["conv2d-1.weight"]


@pytest.fixture
def coach(window: MainWindow, qtbot: object) -> Coach:
    return Coach(window, qtbot)


def stroke_by_stroke(coach: Coach, hand: Hand) -> Drawing:
    """Draws an X while training continues."""
    for stroke in X_ARMS:
        hand.press(stroke[0])
        for place in stroke[1:]:
            hand.move(place)
        QTest.mouseRelease(hand.canvas, Qt.MouseButton.LeftButton, pos=hand.at(stroke[-1]))
    return coach.window.session.document.input.source


def test_run_and_pause_change_the_features_and_are_one_undo(coach: Coach, hand: Hand) -> None:
    hand.draw(X_ARMS)
    shipped, votes = coach.weights, hand.votes
    undo = coach.window.session.undo_stack
    before = undo.count()
    coach.click(coach.panel.main_button)
    coach.until(lambda training: training.current_point.step >= 3)
    assert coach.panel.main_button.text() == "Pause"
    assert hand.votes != votes
    coach.click(coach.panel.main_button)
    made = coach.stand().current_point.step
    assert undo.count() == before + 1
    assert undo.undoText() == f"training to step {made}"
    assert not np.array_equal(coach.weights, shipped)
    undo.undo()
    hand.settle()
    np.testing.assert_array_equal(coach.weights, shipped)
    assert hand.votes == votes


def test_step_and_epoch_stop_by_themselves(coach: Coach) -> None:
    coach.click(coach.panel.step_button)
    assert coach.stand().current_point.step == 1
    bottom, top = coach.curves.plot.viewRange()[1]
    assert 0.3 <= top - bottom < 2, "decades: the axis of one point has labels that can be read"
    coach.click(coach.panel.step_button)
    coach.until(lambda training: training.current_point.step == 2)
    coach.stand()
    coach.click(coach.panel.epoch_button)
    coach.until(lambda training: training.current_point.step == 10)
    report = coach.stand()
    assert report.branches[0].curves.held_out_steps.tolist() == [10]
    assert "10" in coach.line.accessibleDescription()


def test_drawing_goes_on_while_it_trains(coach: Coach, hand: Hand) -> None:
    coach.click(coach.panel.main_button)
    coach.until(lambda training: training.current_point.step >= 2)
    drawing = stroke_by_stroke(coach, hand)
    made = coach.training.current_point.step
    coach.until(lambda training: training.current_point.step > made)
    coach.qtbot.waitUntil(lambda: coach.window.last.input.source is drawing, timeout=10_000)
    assert len(drawing.strokes) == 2
    coach.window.training.execute(Pause())
    coach.stand()


def test_dragging_the_timeline_shows_the_network_as_it_was_and_continuing_branches(coach: Coach) -> None:
    for _ in range(2):
        coach.click(coach.panel.epoch_button)
        coach.stand()
        coach.until(lambda training: training.current_point.step % 10 == 0)
    end = coach.weights
    line = coach.line
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() // 2, 10))
    QTest.mouseMove(line, QPoint(line.width() // 4, 10))
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() // 4, 10))
    report = coach.until(lambda training: training.is_exact and training.shown_point.step < 10)
    assert "history" in line.accessibleDescription()
    then = coach.window.last.predictions[0].model.parameters["conv2d-1.weight"]
    assert not np.array_equal(then, end)
    np.testing.assert_array_equal(coach.weights, end)
    assert coach.panel.main_button.text() == "▶ Continue from here"
    coach.click(coach.panel.step_button)
    coach.until(lambda training: len(training.branches) == 2)
    report = coach.stand()
    assert report.branches[1].parent.step == report.branches[1].start < 10
    assert report.branches[0].end == 20


def test_reset_gives_the_same_start_and_a_seed_another(coach: Coach) -> None:
    coach.click(coach.panel.step_button)
    coach.stand()
    coach.window.training.execute(ShowPoint(replace(coach.training.current_point, step=0)))
    coach.until(lambda training: training.is_exact and training.shown_point.step == 0)
    start = coach.window.last.predictions[0].model.parameters["conv2d-1.weight"]
    coach.click(coach.panel.reset_button)
    coach.until(lambda training: len(training.branches) == 2)
    coach.stand()
    np.testing.assert_array_equal(coach.weights, start)
    coach.click(coach.panel.new_seed_button)
    coach.until(lambda training: len(training.branches) >= 1 and training.run_id == 3)
    coach.stand()
    assert coach.panel.seed_box.value == 2
    assert not np.array_equal(coach.weights, start)


def test_divergence_is_one_sentence_and_continuing_goes_on_from_before_it(coach: Coach) -> None:
    coach.window.training.execute(SetConfig(replace(coach.window.training.settings.config, optimizer=SGD(1e20))))
    coach.click(coach.panel.main_button)
    report = coach.until(lambda training: training.state == "diverged")
    assert "choose a smaller one" in coach.panel.status_label.text()
    coach.qtbot.waitUntil(lambda: not coach.window.training.settings.running)
    coach.window.training.execute(SetConfig(replace(coach.window.training.settings.config, optimizer=SGD(1e-3))))
    coach.click(coach.panel.step_button)
    coach.until(lambda training: len(training.branches) == 2)
    assert coach.stand().branches[1].start == report.restart_point.step
    assert coach.training.state == "paused"


def test_what_ran_away_offers_the_last_good_moment_and_nothing_revives_it(coach: Coach, hand: Hand) -> None:
    coach.click(coach.panel.epoch_button)
    coach.until(lambda training: training.current_point.step == 10)
    coach.stand()
    assert not coach.panel.restart_button.isVisible()
    config = coach.window.training.settings.config
    coach.window.training.execute(SetConfig(replace(config, optimizer=SGD(1e20))))
    coach.click(coach.panel.main_button)
    report = coach.until(lambda training: training.state == "diverged")
    coach.qtbot.waitUntil(coach.panel.restart_button.isVisible)
    good = report.restart_point.step
    assert 10 <= good < report.current_point.step
    assert coach.panel.restart_button.text() == f"Go to step {good}"
    assert "is probably too high" in coach.window.statusBar().currentMessage()
    drawing = stroke_by_stroke(coach, hand)
    coach.qtbot.waitUntil(lambda: coach.window.last.input.source is drawing, timeout=10_000)
    assert coach.training.state == "diverged"
    assert coach.training.current_point == report.current_point
    coach.click(coach.panel.restart_button)
    coach.until(lambda training: training.is_exact and training.shown_point.step == good)
    assert not coach.panel.restart_button.isVisible()
    assert np.isfinite(coach.window.last.predictions[0].votes).all()
    assert coach.panel.main_button.text() == "▶ Continue from here"
    coach.window.training.execute(SetConfig(config))
    coach.click(coach.panel.step_button)
    coach.until(lambda training: len(training.branches) == 2)
    after = coach.stand()
    assert (after.state, after.current_point.step, after.branches[1].start) == ("paused", good + 1, good)
    assert after.branches[0].end == report.current_point.step


def test_other_weights_are_not_said_to_be_trained_on(coach: Coach) -> None:
    """After an undo or an edit the weights are not those of the run: Train starts anew, and the button says so."""
    coach.click(coach.panel.step_button)
    coach.stand()
    assert coach.panel.main_button.text() == "▶ Resume"
    coach.window.session.undo_stack.undo()
    assert coach.panel.main_button.text() == "▶ Train from scratch"
    assert coach.window.menus.actions["train"].text() == "&Train from scratch"
    coach.click(coach.panel.step_button)
    coach.until(lambda training: len(training.branches) == 2)
    assert coach.stand().branches[1].start == 0


def test_undo_while_it_runs_stops_it_first(coach: Coach, hand: Hand) -> None:
    coach.click(coach.panel.step_button)
    coach.stand()
    coach.click(coach.panel.main_button)
    coach.until(lambda training: training.state == "running")
    coach.window.session.undo_stack.undo()
    coach.qtbot.waitUntil(lambda: not coach.window.training.settings.running)
    hand.settle()
    assert coach.window.session.document.models[0].run_point is None


@pytest.mark.parametrize("taken_back", [False, True])
def test_training_that_ends_in_the_middle_of_a_stroke_leaves_the_stroke_alone(
    coach: Coach, hand: Hand, taken_back: bool
) -> None:
    hand.draw(X_ARMS)
    before = coach.window.session.document.input.source
    hand.press(CIRCLE[0][0])
    for place in CIRCLE[0][1:15]:
        hand.move(place)
    coach.window.training.execute(OneStep())
    coach.until(lambda training: training.current_point.step == 1)
    trained = coach.stand() and coach.weights
    for place in CIRCLE[0][15:]:
        hand.move(place)
    if taken_back:
        QTest.keyClick(hand.canvas, Qt.Key.Key_Escape)
    QTest.mouseRelease(hand.canvas, Qt.MouseButton.LeftButton, pos=hand.at(CIRCLE[0][-1]))
    session = coach.window.session
    assert len(session.document.input.source.strokes) == (2 if taken_back else 3)
    assert session.request().settled
    assert coach.weights is trained
    session.undo_stack.setIndex(2)
    assert session.document.input.source is before
    assert session.document.models[0].run_point is None
