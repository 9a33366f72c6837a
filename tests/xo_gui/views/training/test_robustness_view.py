"""The robustness panel in the real window: computed while visible, read by mouse and keyboard, drawings put on the
canvas."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest

import engine.explain.robustness
from engine.backends import choose_backend
from engine.explain import RobustnessResult, RobustnessTest
from engine.runtime import RobustnessQuery
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.training.test_training_view import Coach
from tests.xo_gui.workbench import model_of_other_classes
from xo_gui.app import DARK
from xo_gui.views.training import FeatureHistoryView, RobustnessView
from xo_gui.window import MainWindow

SHIFT, SIZE, ROTATION, THICKNESS, NOISE = range(5)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds of drawings are enough."""
    monkeypatch.setattr(engine.explain.robustness, "ROUNDS", 2)
    monkeypatch.setattr("engine.runtime.jobs.ROUNDS", 2)


@pytest.fixture
def view(window: MainWindow) -> RobustnessView:
    return next(view for view in window.views if isinstance(view, RobustnessView))


def looked(view: RobustnessView, hand: Hand) -> RobustnessResult:
    """Bring the panel to the front and wait for the final result."""
    hand.window.panels.show_panel(RobustnessView)

    def known() -> None:
        assert view._result is not None
        assert view._result.progress == 1

    hand.qtbot.waitUntil(known, timeout=60_000)
    return view._result


def test_the_curves_are_those_of_the_shipped_network_and_come_only_when_looked_at(
    view: RobustnessView, hand: Hand
) -> None:
    hand.draw(X_ARMS)
    assert hand.window.last.result(RobustnessQuery()) is None
    found = looked(view, hand)
    model = hand.window.session.document.models[0]
    trial = RobustnessTest(model.network, model.parameters, choose_backend("cpu"))
    while not trial.is_done:
        trial.advance()
    np.testing.assert_array_equal(found.network_correct, trial.result().network_correct)
    hand.window.panels.show_panel(FeatureHistoryView)
    hand.qtbot.waitUntil(lambda: hand.window.last.result(RobustnessQuery()) is None, timeout=10_000)
    hand.draw(X_ARMS)
    assert hand.window.last.result(RobustnessQuery()) is None


def test_the_mouse_reads_a_value_and_both_curves_have_their_look(view: RobustnessView, hand: Hand) -> None:
    found = looked(view, hand)
    tried = int(found.counts[SHIFT, 0])
    assert view.status_label.text() == f"Accuracy on {tried} drawings at each value"
    QTest.mouseMove(view.plots, view.plots.position((SHIFT, 0), 0.5).toPoint())
    network, whole = (
        100 * found.accuracy(right)[SHIFT, 0] for right in (found.network_correct, found.template_correct)
    )
    values = f"network {network:.0f} %, template matching {whole:.0f} % correct of {tried} drawings"
    expected = f"shift −30 %: {values}"
    hand.qtbot.waitUntil(lambda: view.status_label.text() == expected)
    assert view.plots.accessibleDescription() == expected
    shot = view.plots.grab().toImage()
    for share, colour in ((network, DARK.text), (whole, DARK.secondary_text)):
        near = view.plots.position((SHIFT, 0), share / 100).toPoint()
        assert QColor(shot.pixelColor(near)).name() == colour
    QTest.mouseMove(view.plots, QPoint(1, view.plots.height() - 1))
    hand.qtbot.waitUntil(lambda: view.status_label.text().startswith("Accuracy"))


def test_a_click_puts_a_misread_drawing_on_the_canvas_and_then_others(view: RobustnessView, hand: Hand) -> None:
    found = looked(view, hand)
    worst = int(found.network_correct[THICKNESS].argmin())
    assert found.first_network_error[THICKNESS, worst] >= 0
    place = view.plots.position((THICKNESS, worst), 0.5).toPoint()
    QTest.mouseClick(view.plots, Qt.MouseButton.LeftButton, pos=place)
    hand.settle()
    drawing = hand.window.session.document.input.source
    expected = found.varied_input(THICKNESS, worst, int(found.first_network_error[THICKNESS, worst]))
    assert [stroke.points.tolist() for stroke in drawing.strokes] == [s.points.tolist() for s in expected.strokes]
    assert drawing.transform.thicken == expected.transform.thicken
    label = "XO"[int(found.first_network_error[THICKNESS, worst]) % 2]
    assert max(hand.votes, key=lambda name: hand.votes[name]) != label
    assert hand.window.session.undo_stack.undoText() == "Varied drawing"
    QTest.mouseClick(view.plots, Qt.MouseButton.LeftButton, pos=place)
    hand.settle()
    other = hand.window.session.document.input.source
    assert [s.points.tolist() for s in other.strokes] != [s.points.tolist() for s in expected.strokes]


def test_keys_go_through_the_values_and_put_a_drawing_on_the_canvas(view: RobustnessView, hand: Hand) -> None:
    looked(view, hand)
    view.plots.setFocus()
    QTest.keyClick(view.plots, Qt.Key.Key_Right)
    assert view.status_label.text().startswith("shift 0 %:")
    QTest.keyClick(view.plots, Qt.Key.Key_Down)
    QTest.keyClick(view.plots, Qt.Key.Key_Left)
    assert view.plots.point == (SIZE, 4)
    QTest.keyClick(view.plots, Qt.Key.Key_Return)
    hand.settle()
    assert hand.window.session.document.input.source.transform.size == pytest.approx(0.475 / 0.5625)
    QTest.keyClick(view.plots, Qt.Key.Key_Escape)
    assert view.plots.point is None


def test_the_drawing_on_the_canvas_is_marked_where_it_lies(view: RobustnessView, hand: Hand) -> None:
    looked(view, hand)
    hand.draw(X_ARMS)
    hand.qtbot.waitUntil(lambda: "shift" in view.plots._marks, timeout=10_000)
    marks = dict(view.plots._marks)
    assert marks["shift"] == pytest.approx(0, abs=0.02)
    assert marks["size"] == pytest.approx(0.6 + hand.canvas.pen_diameter, abs=0.06)
    assert marks["thickness"] == pytest.approx(hand.canvas.pen_diameter)
    assert (marks["rotation"], marks["noise"]) == (0, 0)
    slider = hand.window.drawing_view.sliders.rows["shift_x"].slider
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    hand.settle()
    assert view.plots._marks["shift"] == pytest.approx(0.1, abs=0.02)
    axis = view.plots.position((SHIFT, 0), 0.0)
    steps = 5 + 10 * view.plots._marks["shift"] / 0.6
    x = axis.x() + view.plots.grid().boxes[SHIFT].width() * steps / 10
    shot = view.plots.grab().toImage()
    assert shot.pixelColor(round(x), round(axis.y()) - 5).name() == DARK.held_out


def test_training_moves_the_curves_and_pausing_tries_the_moment_shown(
    view: RobustnessView, hand: Hand, qtbot: object
) -> None:
    before = looked(view, hand)
    coach = Coach(hand.window, qtbot)
    coach.click(coach.panel.epoch_button)
    point = coach.stand().current_point

    def tried() -> None:
        assert view._result is not None
        assert view._result.run_point == point
        assert view._result.progress == 1

    hand.qtbot.waitUntil(tried, timeout=60_000)
    assert view._result is not before
    assert view.status_label.text().endswith(f"step {point.step}")
    np.testing.assert_array_equal(view._result.template_correct, before.template_correct)
    assert not np.array_equal(view._result.network_correct, before.network_correct)


def test_a_network_for_other_pictures_says_so(view: RobustnessView, hand: Hand) -> None:
    looked(view, hand)
    hand.window.use_model(model_of_other_classes(), opening=True)
    hand.settle()
    assert view._result is None
    assert "choose another network above" in view.status_label.text()
