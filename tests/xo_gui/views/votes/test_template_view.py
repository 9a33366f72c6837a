"""Template matching in the real window: it follows the stroke and the sliders."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.explain import match_templates
from tests.engine.small_runs import xo_templates
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.workbench import model_of_other_classes
from xo_gui.app import current_theme
from xo_gui.views.votes import TemplateView
from xo_gui.window import MainWindow


@pytest.fixture
def view(window: MainWindow) -> TemplateView:
    window.panels.show_panel(TemplateView)
    return next(view for view in window.views if isinstance(view, TemplateView))


def test_it_compares_what_the_network_reads_and_a_shift_is_enough_to_fool_it(
    view: TemplateView, hand: Hand
) -> None:
    assert "Draw" in view.sentence.text()
    hand.draw(X_ARMS)
    assert view.sentence.text() == "Template matching says X, and so does the network."
    prediction = hand.window.last.predictions[0]
    expected = match_templates(xo_templates(48), prediction.activations[0][0])
    assert f"{expected.scores[0]:+.2f}" in view.pairs.accessibleDescription()
    slider = hand.window.drawing_view.sliders.rows["shift_x"].slider
    slider.setFocus()
    for _ in range(2):
        QTest.keyClick(slider, Qt.Key.Key_PageDown)  # ten steps of a hundredth
    hand.settle()
    assert hand.window.last.predictions[0].predicted_class == "X"
    assert view.sentence.text() == "Template matching says O; the network says X."
    assert "Template matching says O." in hand.window.votes_view.blocks[0].sentence.text()


def test_pixels_that_agree_have_another_colour_than_those_that_do_not(view: TemplateView, hand: Hand) -> None:
    hand.draw(X_ARMS)
    products = hand.window.last.comparison.products[1]
    _, over = view.pairs.boxes(1)
    cell = over.width() / 48
    shot = view.pairs.grab().toImage()

    def colour(row: int, column: int) -> str:
        return shot.pixelColor(QPoint(round(over.x() + (column + 0.5) * cell), round((row + 0.5) * cell))).name()

    table = current_theme().value_table
    alike, unlike = np.unravel_index(products.argmax(), (48, 48)), np.unravel_index(products.argmin(), (48, 48))
    assert colour(*alike) == f"#{int(table[-1]) & 0xFFFFFF:06x}"
    assert colour(*unlike) == f"#{int(table[round(127 + 127 * float(products.min()))]) & 0xFFFFFF:06x}"
    row, column = (int(each) for each in unlike)
    place = over.topLeft() + QPoint(round((column + 0.5) * cell), round((row + 0.5) * cell))
    tooltip = view.pairs.tooltip_at(place)
    assert tooltip.startswith(f"Row {row + 1}, column {column + 1}:")
    assert "of 2304 pixels match" in tooltip


def test_a_template_is_put_on_the_canvas_by_mouse_and_by_keys(view: TemplateView, hand: Hand) -> None:
    x, _ = view.pairs.boxes(0)
    QTest.mouseClick(view.pairs, Qt.MouseButton.LeftButton, pos=x.center().toPoint())
    hand.settle()
    np.testing.assert_array_equal(hand.window.last.predictions[0].activations[0][0], xo_templates(48).pictures[0])
    view.pairs.setFocus()
    QTest.keyClick(view.pairs, Qt.Key.Key_Right)
    QTest.keyClick(view.pairs, Qt.Key.Key_Return)
    hand.settle()
    np.testing.assert_array_equal(hand.window.last.predictions[0].activations[0][0], xo_templates(48).pictures[1])
    assert hand.window.session.undo_stack.undoText() == "Template O"


def test_a_network_with_other_classes_says_why_there_is_nothing(view: TemplateView, hand: Hand) -> None:
    hand.window.use_model(model_of_other_classes(), opening=True)
    hand.settle()
    assert "choose a network" in view.sentence.text()
    assert view.pairs.accessibleDescription() == ""
