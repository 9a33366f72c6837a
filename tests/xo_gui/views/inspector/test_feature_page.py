"""Edited weights in the real window: painted, typed, copied, ablated, shown at once, and undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from engine.explain import Explanation, ExplanationQuery, value_formula
from engine.explain.perturbation import AblationEffect
from engine.nn import Model, weight_editing
from engine.nn.layers import WeightedSum
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.inspector.test_inspector_view import InspectorDriver
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.app import current_theme
from xo_gui.state import CellRef
from xo_gui.views.inspector.feature_page import FeaturePage
from xo_gui.views.inspector.sheet_blocks import RankedList
from xo_gui.views.inspector.sheet_painting import RANK
from xo_gui.widgets import NumberEdit
from xo_gui.window import MainWindow

NAME = "conv2d-1.weight"


class WeightDriver(InspectorDriver):
    """Paints the weights behind the pinned value."""

    def select(self, cell: CellRef) -> FeaturePage:
        self.click(cell)
        self.panel.tabs.setCurrentIndex(1)
        self.page = self.panel.feature_page
        return self.page

    @property
    def weights(self) -> np.ndarray:
        return np.asarray(self.window.session.document.models[0].parameters[NAME])

    @property
    def undo(self) -> object:
        return self.window.session.undo_stack

    def cell(self, row: int, column: int) -> QPoint:
        area, (high, wide) = self.page.editor._area(), self.page.editor._weights.shape
        x, y = (column + 0.5) / wide, (row + 0.5) / high
        return QPointF(area.left() + x * area.width(), area.top() + y * area.height()).toPoint()

    def settle(self, hand: Hand) -> None:
        hand.settle()
        self.qtbot.wait(20)


@pytest.fixture
def driver(window: MainWindow, qtbot: object, hand: Hand) -> WeightDriver:
    hand.draw(X_ARMS)
    made = WeightDriver(window, qtbot)
    made.select(CellRef(1, 2, 11, 20))
    return made


def test_painting_updates_weights_and_votes_and_a_stroke_is_one_undo(driver: WeightDriver, hand: Hand) -> None:
    before, votes, count = driver.weights.copy(), hand.votes, driver.undo.count()
    board = driver.page.editor
    driver.page.brush_box.show_number(0.9)
    QTest.mousePress(board, Qt.MouseButton.LeftButton, pos=driver.cell(0, 0))
    for column in (1, 2):
        QTest.mouseMove(board, driver.cell(0, column))
        driver.qtbot.wait(5)
    QTest.mouseRelease(board, Qt.MouseButton.LeftButton, pos=driver.cell(0, 2))
    driver.settle(hand)
    changed = driver.weights
    assert np.allclose(changed[2, 0, 0, :3], 0.9)
    untouched = np.ones(changed.shape, bool)
    untouched[2, 0, 0, :3] = False
    assert (changed[untouched] == before[untouched]).all()
    assert hand.votes != votes
    assert float(driver.panel.value_label.text().replace("−", "-")) == pytest.approx(
        driver.activation(CellRef(1, 2, 11, 20)), abs=0.006
    )
    assert driver.undo.count() == count + 1
    assert driver.undo.undoText() == "Paint feature 3"
    driver.undo.undo()
    driver.settle(hand)
    assert (driver.weights == before).all()
    assert hand.votes == pytest.approx(votes, abs=1e-6)


def test_right_button_paints_the_negative_and_ctrl_only_selects(driver: WeightDriver, hand: Hand) -> None:
    board, before = driver.page.editor, driver.weights.copy()
    driver.page.brush_box.show_number(0.5)
    QTest.mouseClick(board, Qt.MouseButton.RightButton, pos=driver.cell(4, 4))
    driver.settle(hand)
    assert driver.weights[2, 0, 4, 4] == -0.5
    QTest.mouseClick(board, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, pos=driver.cell(1, 3))
    assert driver.weights[2, 0, 1, 3] == before[2, 0, 1, 3]
    assert driver.page.weight_box.value == pytest.approx(float(before[2, 0, 1, 3]), abs=0.0006)


def test_a_weight_and_the_bias_can_be_typed(driver: WeightDriver, hand: Hand) -> None:
    page = driver.page
    QTest.keyClick(page.editor, Qt.Key.Key_Right)
    for box, text in ((page.weight_box, "0.25"), (page.bias_box, "-1.5")):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)
    driver.settle(hand)
    model = driver.window.session.document.models[0]
    assert driver.weights[2, 0, 0, 1] == 0.25
    assert model.parameters["conv2d-1.bias"][2] == -1.5


def test_weights_of_a_ten_thousandth_are_shown_and_typed(driver: WeightDriver, hand: Hand) -> None:
    model = driver.window.session.document.models[0]
    small = {**model.parameters, NAME: model.parameters[NAME] * np.float32(1e-4)}
    driver.window.use_model(Model("Small", model.network, small))
    driver.settle(hand)
    page = driver.select(CellRef(1, 4, 11, 20))
    driver.settle(hand)
    row, column = page.editor.selected_cell
    assert page.weight_box.value == pytest.approx(float(small[NAME][4, 0, row, column]), rel=0.05)
    page.weight_box.setFocus()
    page.weight_box.selectAll()
    QTest.keyClicks(page.weight_box, "0.000123")
    QTest.keyClick(page.weight_box, Qt.Key.Key_Return)
    driver.settle(hand)
    assert driver.weights[4, 0, row, column] == pytest.approx(0.000123)
    others = np.ones(25, bool)
    others[row * 5 + column] = False
    np.testing.assert_array_equal(driver.weights[4].ravel()[others], small[NAME][4].ravel()[others])


def test_copying_uses_the_window_as_the_kernel(driver: WeightDriver, hand: Hand) -> None:
    prediction = driver.window.last.predictions[0]
    window = value_formula(prediction, 1, (2, 11, 20))
    assert isinstance(window, WeightedSum)
    QTest.mouseClick(driver.page.copy_button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    made = driver.weights[2]
    np.testing.assert_allclose(
        made, weight_editing.normalized_kernel(window.values.astype(np.float32), False), rtol=1e-5
    )
    assert float((made * made).sum()) == pytest.approx(1.0, rel=1e-5)


def test_a_feature_is_ablated_and_restored(driver: WeightDriver, hand: Hand) -> None:
    before, button = driver.weights.copy(), driver.page.ablate_button
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    assert not driver.window.last.predictions[0].activations[1][2].any()
    assert button.text() == "Switch on"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    assert (driver.weights == before).all()
    assert button.text() == "Switch off"


def test_a_click_on_a_weight_leads_to_its_feature_and_a_pixel_has_none(driver: WeightDriver) -> None:
    strip = driver.network._strips[0].layout
    column = strip.column_of(1)
    slice_ = column.kernel_slice(4, 0)
    QTest.mouseClick(driver.network, Qt.MouseButton.LeftButton, pos=QPointF(*slice_.centre).toPoint())
    assert driver.window.session.selection.pinned == CellRef(1, 4, 24, 24)
    assert "feature 5" in driver.page.editor.title
    driver.window.session.pin(CellRef(0, 0, 5, 5))
    assert not driver.page.editor.isVisible()
    assert "no weights of its own" in driver.page.message_label.text()


def test_painting_during_training_edits_the_trained_weights_and_pauses(driver: WeightDriver, hand: Hand) -> None:
    coach = Coach(driver.window, driver.qtbot)
    coach.click(coach.panel.main_button)
    coach.until(lambda training: training.current_point.step >= 2)
    driver.page.brush_box.show_number(0.75)
    QTest.mouseClick(driver.page.editor, Qt.MouseButton.LeftButton, pos=driver.cell(2, 2))
    driver.qtbot.waitUntil(lambda: not driver.window.training.settings.running, timeout=10_000)
    driver.settle(hand)
    assert driver.weights[2, 0, 2, 2] == 0.75
    assert driver.window.last.predictions[0].model.parameters[NAME][2, 0, 2, 2] == 0.75


def type_into(box: NumberEdit, text: str) -> None:
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def test_a_feature_is_switched_on_with_the_weights_of_its_own_model(driver: WeightDriver, hand: Hand) -> None:
    window, cell = driver.window, CellRef(1, 2, 5, 5)
    first, weights = window.session.document.models[0], driver.weights.copy()
    QTest.mouseClick(driver.page.ablate_button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    empty = {**first.parameters, NAME: weights * 2, "conv2d-1.bias": first.parameters["conv2d-1.bias"] * 1}
    empty[NAME][2], empty["conv2d-1.bias"][2] = 0, 0
    window.use_model(Model("Second", first.network, empty))
    driver.settle(hand)
    button = driver.select(cell).ablate_button
    driver.settle(hand)
    assert (button.text(), button.isEnabled()) == ("Switch on", False), "what the feature held is not known"
    assert "not known" in button.toolTip()
    driver.select(CellRef(1, 4, 5, 5))
    driver.settle(hand)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    np.testing.assert_array_equal(driver.weights, empty[NAME])
    window.use_preset("walkthrough")
    driver.settle(hand)
    assert window.session.selection.pinned is None
    driver.select(CellRef(1, 2, 1, 1))
    driver.settle(hand)
    for expected in ("Switch on", "Switch off"):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        driver.settle(hand)
        assert button.text() == expected
    while driver.undo.index() and window.session.document.models[0].network is not first.network:
        driver.undo.undo()
    while driver.undo.undoText() != "Switch feature 3 off":
        driver.undo.undo()
    driver.settle(hand)
    driver.select(cell)
    driver.settle(hand)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    driver.settle(hand)
    np.testing.assert_array_equal(driver.weights, weights)


def test_the_boxes_show_the_weights_of_now_and_any_size(driver: WeightDriver, hand: Hand) -> None:
    page, weight = driver.page, float(driver.weights[2, 0, 0, 0])
    type_into(page.weight_box, "0,25")
    driver.settle(hand)
    assert driver.weights[2, 0, 0, 0] == 0.25
    assert page.weight_box.hasFocus()
    QTest.keyClick(page.weight_box, "z", Qt.KeyboardModifier.ControlModifier)
    driver.settle(hand)
    assert driver.weights[2, 0, 0, 0] == weight
    assert page.weight_box.value == weight
    QTest.keyClick(page.weight_box, Qt.Key.Key_Up)
    driver.settle(hand)
    assert driver.weights[2, 0, 0, 0] == pytest.approx(weight + 0.05, abs=1e-6)
    type_into(page.weight_box, "2000000")
    driver.settle(hand)
    assert page.weight_box.text() == "2e6"
    QTest.keyClick(page.weight_box, Qt.Key.Key_Up)
    driver.settle(hand)
    assert driver.weights[2, 0, 0, 0] == pytest.approx(2e6)
    type_into(page.weight_box, "1e39")
    assert driver.weights[2, 0, 0, 0] == pytest.approx(2e6)
    assert "out of range" in driver.window.statusBar().currentMessage()


def test_what_merges_is_the_same_box_of_the_same_weight(driver: WeightDriver, hand: Hand) -> None:
    session, page = driver.window.session, driver.select(CellRef(4, 2, 5, 5))
    driver.settle(hand)
    count = driver.undo.count()
    for number in ("1", "2"):
        type_into(page.slice_box, number)
        type_into(page.weight_box, "0.5")
        type_into(page.weight_box, "0.75")
        driver.settle(hand)
    assert driver.undo.count() == count + 2, "one for each map below"
    first = session.document.models[0]
    session.replace_models((first, replace(first)), "compare")
    driver.settle(hand)
    count = driver.undo.count()
    for subject in (0, 1):
        session.pin(CellRef(1, 2, 5, 5, subject))
        driver.settle(hand)
        type_into(page.bias_box, "0.5")
        driver.settle(hand)
    assert driver.undo.count() == count + 2
    assert [float(model.parameters["conv2d-1.bias"][2]) for model in session.document.models] == [0.5, 0.5]
    count = driver.undo.count()
    for layer, channel in ((1, 3), (1, 4), (4, 4)):
        session.pin(CellRef(layer, channel, 5, 5))
        driver.settle(hand)
        type_into(page.bias_box, "0.25")
        driver.settle(hand)
    assert driver.undo.count() == count + 3, "one for each feature"


def test_what_is_typed_or_painted_ends_with_its_feature(driver: WeightDriver, hand: Hand) -> None:
    session, page, weights = driver.window.session, driver.page, driver.weights.copy()
    before = session.document.models[0]
    for box in (page.weight_box, page.bias_box):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, "0.7")
        session.pin(CellRef(1, 4, 5, 5))
        page.editor.setFocus()
        session.pin(CellRef(1, 2, 5, 5))
    driver.settle(hand)
    assert session.document.models[0] is before
    QTest.mousePress(page.editor, Qt.MouseButton.LeftButton, pos=driver.cell(0, 0))
    session.pin(CellRef(1, 4, 5, 5))
    QTest.mouseMove(page.editor, driver.cell(3, 3))
    driver.settle(hand)
    QTest.mouseRelease(page.editor, Qt.MouseButton.LeftButton, pos=driver.cell(3, 3))
    np.testing.assert_array_equal(driver.weights[4], weights[4])
    driver.panel.tabs.setCurrentIndex(0)
    driver.panel.value_page.toggle_playing()
    driver.window.use_preset("walkthrough")
    assert session.selection.pinned is None
    assert not driver.panel.value_page.animation.is_playing


def test_a_bar_s_length_and_colour_say_the_harm_of_an_ablation(driver: WeightDriver) -> None:
    page, theme = driver.page, current_theme()
    effects = (AblationEffect(0, 0.25, 0.1), AblationEffect(1, -0.125, -0.02), AblationEffect(2, 0.5, 0.3))
    query = ExplanationQuery("ablation", 0, 1)
    page.set_ablation(Explanation(query, 0, 1.0, ablations=effects, example_count=60))
    listed = next(block for block in page.sheet.blocks if isinstance(block, RankedList))
    assert [(row.label, row.factors) for row in listed.rows] == [
        ("feature 3", "+0.50"), ("feature 1", "+0.25"), ("feature 2", "−0.12"),
    ]  # fmt: skip
    sheet = page.sheet
    sheet.set_blocks([RankedList(listed.rows)], False)
    image = sheet.grab().toImage()
    middle = sheet.width() - 74
    bars = []
    for row in range(3):
        colours = [image.pixelColor(x, round((row + 0.5) * RANK)).name() for x in range(middle - 26, middle + 26)]
        left, right = colours[:26], colours[27:]
        bars.append((left.count(theme.value_stops[0].lower()), right.count(theme.value_stops[4].lower())))
    (worst, none), (half, no), (nothing, helps) = bars
    assert (none, no, nothing) == (0, 0, 0), "harm is violet and to the left, help is green and to the right"
    assert worst == pytest.approx(24, abs=1)
    assert half == pytest.approx(worst / 2, abs=1)
    assert helps == pytest.approx(worst / 4, abs=1)
