"""The mistakes panel in the real window: order, selection in the confusion matrix, drawings on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from engine.nn import RunPoint, softmax
from engine.runtime import RunEvaluationQuery
from engine.training import HeldOutEvaluation
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.training.test_training_view import Coach
from tests.xo_gui.workbench import model_of_other_classes
from xo_gui.views.training import FeatureHistoryView, HeldOutView
from xo_gui.views.training.held_out_view import worst_first
from xo_gui.window import MainWindow

VOTES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.55, 0.45], [0.99, 0.01]])
LABELS = np.array([0, 0, 1, 0, -1, 1])


def test_mistakes_come_surest_first_and_what_is_read_rightly_least_sure_first() -> None:
    assert worst_first(VOTES, LABELS, None).tolist() == [5, 1, 3, 2]
    assert worst_first(VOTES, LABELS, (0, 1)).tolist() == [1, 3]
    assert worst_first(VOTES, LABELS, (2, 0)).tolist() == [4]
    assert worst_first(VOTES, np.zeros(6, int), (0, 0)).tolist() == [4, 2, 0, 5]
    assert worst_first(VOTES, LABELS, (1, 1)).tolist() == []


@pytest.fixture
def view(window: MainWindow) -> HeldOutView:
    window.panels.show_panel(HeldOutView)
    return next(view for view in window.views if isinstance(view, HeldOutView))


@pytest.fixture
def trained(view: HeldOutView, hand: Hand, qtbot: object) -> HeldOutView:
    """After a few steps, with many misclassified drawings."""
    coach = Coach(hand.window, qtbot)
    for _ in range(3):
        coach.click(coach.panel.step_button)
        coach.stand()
    coach.until(lambda training: evaluated(hand.window, training.shown_point))
    qtbot.waitUntil(
        lambda: view._evaluation is hand.window.last.result(RunEvaluationQuery()).evaluation, timeout=10_000
    )
    return view


def evaluated(window: MainWindow, point: RunPoint) -> bool:
    """Whether the Snapshot shown has the evaluation at this point of the run."""
    found = window.last.result(RunEvaluationQuery())
    return found is not None and found.point == point


def most(view: HeldOutView, wrong: bool) -> tuple[int, int]:
    """The cell of X and O with the most misclassified, or correct, drawings."""
    counts = view._evaluation.metrics.confusion
    cells = [(0, 1), (1, 0)] if wrong else [(0, 0), (1, 1)]
    return max(cells, key=lambda cell: counts[cell])


def read(hand: Hand) -> None:
    """Wait for the prediction for the canvas with the weights of the training run."""
    drawing = hand.window.session.document.input.source
    hand.qtbot.waitUntil(lambda: hand.window.last.input.source is drawing, timeout=10_000)


def click_cell(view: HeldOutView, cell: tuple[int, int]) -> None:
    place = view.table.visualRect(view.table.model().index(*cell)).center()
    QTest.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_the_shipped_network_is_judged_before_any_training_while_somebody_looks(
    view: HeldOutView, hand: Hand
) -> None:
    hand.qtbot.waitUntil(lambda: view._evaluation is not None, timeout=60_000)
    model, data = hand.window.session.document.models[0], hand.window.training.settings.data
    assert len(view._held_out) == data.held_out
    assert view._evaluation.metrics.accuracy > 0.99
    assert len(view.thumbnails.tiles) == view._evaluation.metrics.confusion[[0, 1], [1, 0]].sum()
    hand.window.panels.show_panel(FeatureHistoryView)
    hand.draw(X_ARMS)
    hand.qtbot.waitUntil(lambda: hand.window.last.result_of_type(HeldOutEvaluation) is None, timeout=10_000)
    assert hand.window.session.document.models[0] is model


def test_a_network_for_other_pictures_says_what_to_do_however_narrow_it_is(view: HeldOutView, hand: Hand) -> None:
    hand.window.use_model(model_of_other_classes(), opening=True)
    hand.settle()
    hand.qtbot.waitUntil(lambda: "one in five is held out" in view.summary_label.text(), timeout=10_000)
    view.window().resize(900, 640)
    assert view.summary_label.isVisible()
    assert view.summary_label.height() >= view.summary_label.heightForWidth(view.summary_label.width())
    assert view.summary_label.width() > 40


def test_a_cell_opens_the_drawings_behind_its_number_and_esc_all_mistakes(trained: HeldOutView) -> None:
    view, judgement = trained, trained._evaluation
    wrong = int(judgement.metrics.confusion[[0, 1], [1, 0]].sum())
    assert view.summary_label.text().startswith(f"{wrong} of ")
    assert len(view.thumbnails.tiles) == wrong
    cell = most(view, wrong=True)
    click_cell(view, cell)
    assert len(view.thumbnails.tiles) == judgement.metrics.confusion[cell]
    votes = softmax(judgement.scores)
    shown = view._indices
    assert (view._held_out.labels[shown] == cell[0]).all()
    assert (votes[shown].argmax(1) == cell[1]).all()
    assert (np.diff(votes[shown].max(1)) <= 0).all()
    assert {tile.label for tile in view.thumbnails.tiles} == {"XO"[cell[0]]}
    truth, predicted = "XO"[cell[0]], "XO"[cell[1]]
    for tile in view.thumbnails.tiles:
        assert tile.caption.startswith(f"→ {predicted}, ")
        assert tile.details.startswith(f"{truth}, predicted {predicted}, ")
    right = most(view, wrong=False)
    click_cell(view, right)
    assert (np.diff(votes[view._indices].max(1)) >= 0).all()
    assert "the least sure first" in view.summary_label.text()
    view.thumbnails.setFocus()
    QTest.keyClick(view.thumbnails, Qt.Key.Key_Escape)
    assert view.table.cell is None
    assert len(view.thumbnails.tiles) == wrong


def test_a_drawing_is_put_on_the_canvas_by_mouse_and_by_keys_and_read_as_the_table_says(
    trained: HeldOutView, hand: Hand
) -> None:
    view, cell = trained, most(trained, wrong=True)
    click_cell(view, cell)
    wall = view.thumbnails
    QTest.mouseClick(wall.viewport(), Qt.MouseButton.LeftButton, pos=wall.tile_rect(0).center())
    read(hand)
    picture = view._held_out.images[view._indices[0], 0]
    np.testing.assert_array_equal(hand.window.last.predictions[0].activations[0][0], picture)
    assert max(hand.votes, key=lambda name: hand.votes[name]) == "XO"[cell[1]]
    assert hand.window.session.undo_stack.undoText() == "Held-out drawing"
    wall.setFocus()
    QTest.keyClick(wall, Qt.Key.Key_Right)
    QTest.keyClick(wall, Qt.Key.Key_Return)
    read(hand)
    picture = view._held_out.images[view._indices[1], 0]
    np.testing.assert_array_equal(hand.window.last.predictions[0].activations[0][0], picture)
