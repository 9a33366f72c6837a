"""Weights changed by hand in the real window: painted, typed, copied, switched off; seen at once, undone."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from engine.explain.value_arithmetic import arithmetic
from engine.nn import weight_editing
from engine.nn.layers.value_formulas import WeightedSum
from engine.nn.model import Subject
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.inspector.test_inspector_view import Looker
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.feature_page import FeaturePage
from xo_gui.window.main_window import MainWindow

NAME = "01-conv2d.weight"


class Sculptor(Looker):
    """Paints the weights of the feature behind the held value."""

    def hold(self, cell: Cell) -> FeaturePage:
        self.click(cell)
        self.panel.tabs.setCurrentIndex(1)
        self.page = self.panel.feature_page
        return self.page

    @property
    def weights(self) -> np.ndarray:
        return np.asarray(self.window.session.document.subjects[0].parameters[NAME])

    @property
    def undo(self) -> object:
        return self.window.session.undo_stack

    def cell(self, row: int, column: int) -> QPoint:
        area, (high, wide) = self.page.board._area(), self.page.board._weights.shape
        x, y = (column + 0.5) / wide, (row + 0.5) / high
        return QPointF(area.left() + x * area.width(), area.top() + y * area.height()).toPoint()

    def settle(self, hand: Hand) -> None:
        hand.settle()
        self.qtbot.wait(20)


@pytest.fixture
def sculptor(window: MainWindow, qtbot: object, hand: Hand) -> Sculptor:
    hand.draw(X_ARMS)
    made = Sculptor(window, qtbot)
    made.hold(Cell(1, 2, 11, 20))
    return made


def test_painting_changes_the_weights_everything_follows_and_one_stroke_is_one_undo(
    sculptor: Sculptor, hand: Hand
) -> None:
    before, votes, count = sculptor.weights.copy(), hand.votes, sculptor.undo.count()
    board = sculptor.page.board
    sculptor.page.brush.setValue(0.9)
    QTest.mousePress(board, Qt.MouseButton.LeftButton, pos=sculptor.cell(0, 0))
    for column in (1, 2):
        QTest.mouseMove(board, sculptor.cell(0, column))
        sculptor.qtbot.wait(5)
    QTest.mouseRelease(board, Qt.MouseButton.LeftButton, pos=sculptor.cell(0, 2))
    sculptor.settle(hand)
    changed = sculptor.weights
    assert np.allclose(changed[2, 0, 0, :3], 0.9)
    untouched = np.ones(changed.shape, bool)
    untouched[2, 0, 0, :3] = False
    assert (changed[untouched] == before[untouched]).all()
    assert hand.votes != votes
    assert float(sculptor.panel.value.text().replace("−", "-")) == pytest.approx(
        sculptor.engine(Cell(1, 2, 11, 20)), abs=0.006
    )
    assert sculptor.undo.count() == count + 1
    assert sculptor.undo.undoText() == "Paint feature 3"
    sculptor.undo.undo()
    sculptor.settle(hand)
    assert (sculptor.weights == before).all()
    assert hand.votes == pytest.approx(votes, abs=1e-6)


def test_the_right_button_paints_the_opposite_and_ctrl_only_chooses(sculptor: Sculptor, hand: Hand) -> None:
    board, before = sculptor.page.board, sculptor.weights.copy()
    sculptor.page.brush.setValue(0.5)
    QTest.mouseClick(board, Qt.MouseButton.RightButton, pos=sculptor.cell(4, 4))
    sculptor.settle(hand)
    assert sculptor.weights[2, 0, 4, 4] == -0.5
    QTest.mouseClick(board, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, pos=sculptor.cell(1, 3))
    assert sculptor.weights[2, 0, 1, 3] == before[2, 0, 1, 3]
    assert sculptor.page.weight.value() == pytest.approx(float(before[2, 0, 1, 3]), abs=0.0006)


def test_a_weight_and_the_bias_can_be_typed(sculptor: Sculptor, hand: Hand) -> None:
    page = sculptor.page
    QTest.keyClick(page.board, Qt.Key.Key_Right)
    for box, text in ((page.weight, "0.25"), (page.bias, "-1.5")):
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)
    sculptor.settle(hand)
    subject = sculptor.window.session.document.subjects[0]
    assert sculptor.weights[2, 0, 0, 1] == 0.25
    assert subject.parameters["01-conv2d.bias"][2] == -1.5


def test_weights_of_a_ten_thousandth_can_be_seen_and_typed(sculptor: Sculptor, hand: Hand) -> None:
    subject = sculptor.window.session.document.subjects[0]
    small = {**subject.parameters, NAME: subject.parameters[NAME] * np.float32(1e-4)}
    sculptor.window.use_subject(Subject("Small", subject.network, small))
    sculptor.settle(hand)
    page = sculptor.hold(Cell(1, 4, 11, 20))
    sculptor.settle(hand)
    row, column = page.board.cell
    assert page.weight.value() == pytest.approx(float(small[NAME][4, 0, row, column]), rel=0.05)
    page.weight.setFocus()
    page.weight.selectAll()
    QTest.keyClicks(page.weight, "0.000123")
    QTest.keyClick(page.weight, Qt.Key.Key_Return)
    sculptor.settle(hand)
    assert sculptor.weights[4, 0, row, column] == pytest.approx(0.000123)
    others = np.ones(25, bool)
    others[row * 5 + column] = False
    np.testing.assert_array_equal(sculptor.weights[4].ravel()[others], small[NAME][4].ravel()[others])


def test_copying_makes_the_window_the_feature(sculptor: Sculptor, hand: Hand) -> None:
    reading = sculptor.window.last.readings[0]
    window = arithmetic(reading, 1, (2, 11, 20))
    assert isinstance(window, WeightedSum)
    QTest.mouseClick(sculptor.page.copy_button, Qt.MouseButton.LeftButton)
    sculptor.settle(hand)
    made = sculptor.weights[2]
    np.testing.assert_allclose(made, weight_editing.normalised(window.values.astype(np.float32), False), rtol=1e-5)
    assert float((made * made).sum()) == pytest.approx(1.0, rel=1e-5)


def test_a_feature_can_be_switched_off_and_on_again(sculptor: Sculptor, hand: Hand) -> None:
    before, button = sculptor.weights.copy(), sculptor.page.off_button
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    sculptor.settle(hand)
    assert not sculptor.window.last.readings[0].outputs[1][2].any()
    assert button.text() == "Switch on"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    sculptor.settle(hand)
    assert (sculptor.weights == before).all()
    assert button.text() == "Switch off"


def test_a_click_on_a_weight_leads_to_its_feature_and_a_pixel_has_none(sculptor: Sculptor) -> None:
    strip = sculptor.network._strips[0].strip
    column = strip.column_of(1)
    slice_ = column.slice(4, 0)
    QTest.mouseClick(sculptor.network, Qt.MouseButton.LeftButton, pos=QPointF(*slice_.centre).toPoint())
    assert sculptor.window.session.focus.pinned == Cell(1, 4, 16, 16)
    assert "feature 5" in sculptor.page.board.title
    sculptor.window.session.pin(Cell(0, 0, 5, 5))
    assert not sculptor.page.board.isVisible()
    assert "no weights of its own" in sculptor.page.note.text()


def test_what_is_painted_during_training_is_painted_on_its_weights_and_pauses_it(
    sculptor: Sculptor, hand: Hand
) -> None:
    coach = Coach(sculptor.window, sculptor.qtbot)
    coach.click(coach.panel.main_button)
    coach.until(lambda training: training.now.step >= 2)
    sculptor.page.brush.setValue(0.75)
    QTest.mouseClick(sculptor.page.board, Qt.MouseButton.LeftButton, pos=sculptor.cell(2, 2))
    sculptor.qtbot.waitUntil(lambda: not sculptor.window.training.intent.running, timeout=10_000)
    sculptor.settle(hand)
    assert sculptor.weights[2, 0, 2, 2] == 0.75
    assert sculptor.window.last.readings[0].subject.parameters[NAME][2, 0, 2, 2] == 0.75
