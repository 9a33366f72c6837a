"""The inspector in the real window: click, pin, preview, Esc, live, play; what it says against the engine."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    GlobalAvgPool,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from engine.nn.model import Subject
from engine.nn.network import Network
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.network.test_network_view import ARTICLE, X, read
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.attribution_page import GradientPage
from xo_gui.views.inspector.inspector_view import InspectorView
from xo_gui.views.inspector.sheet_blocks import Block, ClassBars, Grid, Line, Lines, Note, Pair, Picture, Ranked
from xo_gui.views.inspector.value_text import Spelled, spell
from xo_gui.views.network.network_view import NetworkView
from xo_gui.views.votes.votes_view import VoteBars
from xo_gui.widgets.number_text import cell_text, fixed, signed
from xo_gui.window.main_window import MainWindow


class Looker:
    """Points and clicks in the network panel, and reads what the inspector says."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.panel = next(view for view in window.views if isinstance(view, InspectorView))
        self.network: NetworkView = window.network_view

    def place(self, cell: Cell) -> QPoint:
        strip = self.network._strips[0].strip
        column = strip.column_of(cell.layer) if strip else None
        assert column is not None
        self.network._scroll_to(cell)
        rows, columns = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
        x, y = column.tile(cell.channel).part(column.cells, rows, columns).centre
        return QPointF(x - self.network._bar.value(), y).toPoint()

    def click(self, cell: Cell) -> None:
        # The first click opens the panel, and the columns move to make room for it.
        QTest.mouseClick(self.network, Qt.MouseButton.LeftButton, pos=self.place(cell))
        self.qtbot.waitUntil(self.panel.isVisible, timeout=5000)
        QTest.mouseMove(self.network, QPoint(3, 3))
        self.qtbot.wait(20)

    @property
    def value(self) -> str:
        return self.panel.value.text()

    def engine(self, cell: Cell) -> float:
        assert self.window.last is not None
        made = self.window.last.readings[0].outputs[cell.layer]
        return float(made[cell.channel, cell.row, cell.column] if made.ndim == 3 else made[cell.channel])


@pytest.fixture
def looker(window: MainWindow, qtbot: QtBot) -> Looker:
    return Looker(window, qtbot)


def lines(blocks: list[Block]) -> dict[str, str]:
    """Every line of a sum by its label."""
    found: dict[str, str] = {}
    for block in blocks:
        inside: tuple[Line, ...] = ()
        if isinstance(block, Lines):
            inside = block.lines
        elif isinstance(block, Pair) and isinstance(block.right, tuple):
            inside = block.right
        found |= {line.label: line.number for line in inside}
    return found


def test_a_click_pins_and_the_number_follows_the_drawing(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    cell = Cell(1, 2, 11, 20)
    looker.click(cell)
    assert looker.window.session.focus.pinned == cell
    assert looker.value == signed(looker.engine(cell))
    assert looker.panel.place.text() == "Features 1 · map 3 · row 12, column 21"
    before = looker.value
    hand.draw([[(0.1, 0.4), (0.9, 0.4)]])
    looker.qtbot.waitUntil(lambda: looker.value == signed(looker.engine(cell)), timeout=5000)
    assert looker.value != before


def test_hovering_previews_and_esc_lets_go(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    pinned, other = Cell(1, 2, 11, 20), Cell(3, 1, 4, 4)
    looker.click(pinned)
    QTest.mouseMove(looker.network, looker.place(other))
    assert looker.value == signed(looker.engine(other))
    QTest.mouseMove(looker.network, QPoint(3, 3))
    assert looker.value == signed(looker.engine(pinned))
    QTest.keyClick(looker.network, Qt.Key.Key_Escape)
    assert looker.window.session.focus.pinned is None
    assert looker.value == ""
    assert any(
        isinstance(block, Note) and "Click any value" in block.text
        for block in looker.panel.value_page.sheet.blocks
    )


def test_a_vote_bar_and_a_pixel_can_be_clicked(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    bars = looker.window.votes_view.findChild(VoteBars)
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(80, 40))
    assert looker.window.session.focus.pinned == Cell(10, 1)
    looker.qtbot.waitUntil(looker.panel.isVisible, timeout=5000)
    assert looker.value == signed(looker.engine(Cell(10, 1)))
    looker.click(Cell(0, 0, 16, 16))
    assert looker.value == signed(looker.engine(Cell(0, 0, 16, 16)))


def test_a_cell_of_the_sum_leads_to_that_cell(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    looker.click(Cell(3, 1, 4, 4))
    sheet = looker.panel.value_page.sheet
    looker.qtbot.waitUntil(lambda: len(sheet._spots) == 4)
    QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=sheet._spots[3].box.center().toPoint())
    assert looker.window.session.focus.pinned == Cell(2, 1, 9, 9)
    looker.click(Cell(3, 1, 4, 4))
    sheet.setFocus(Qt.FocusReason.TabFocusReason)
    looker.qtbot.waitUntil(lambda: len(sheet._spots) == 4)
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(sheet, key)
    assert looker.window.session.focus.pinned == Cell(2, 1, 8, 9), "the second of the window, by keys"


def test_the_pinned_value_follows_training_by_its_own_weights(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    cell = Cell(1, 2, 11, 20)
    looker.click(cell)
    subject = looker.window.session.document.subjects[0]
    other = dict(subject.parameters)
    other["01-conv2d.bias"] = subject.parameters["01-conv2d.bias"] + np.float32(1)
    looker.window.use_subject(Subject("Default", subject.network, other))
    hand.settle()
    assert looker.value == signed(looker.engine(cell))
    assert lines(list(looker.panel.value_page.sheet.blocks))["bias"] == signed(float(other["01-conv2d.bias"][2]))


def test_weights_that_have_run_away_are_spelled_out_without_a_word_of_complaint(looker: Looker, hand: Hand) -> None:
    """Values that are no numbers are shown as such, in every column and on every page, digits cut off or not."""
    hand.draw(X_ARMS)
    subject = looker.window.session.document.subjects[0]
    signs = {name: np.where(array < 0, -1, 1).astype(np.float32) for name, array in subject.parameters.items()}
    huge = {name: array * np.float32(1e30) for name, array in signs.items()}
    looker.window.use_subject(Subject("Default", subject.network, huge))
    hand.settle()
    looker.panel.value_page.cut_box.setChecked(True)
    for tab in range(3):
        looker.panel.tabs.setCurrentIndex(tab)
        for layer, output in enumerate(looker.window.last.readings[0].outputs):
            looker.window.session.pin(Cell(layer, len(output) - 1))
            looker.qtbot.wait(15)
            looker.window.grab()
    looker.panel.tabs.setCurrentIndex(0)
    assert looker.window.isVisible()


# --- play


def test_the_window_slides_fills_the_map_and_can_be_paused_and_stepped(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    looker.click(Cell(3, 1, 0, 0))
    page, session = looker.panel.value_page, looker.window.session
    QTest.mouseClick(page.step_button, Qt.MouseButton.LeftButton)
    assert session.focus.pinned == Cell(3, 1, 0, 1)
    assert session.focus.sliding
    assert looker.value == signed(looker.engine(Cell(3, 1, 0, 1)))
    ground = looker.network.grab().toImage().pixelColor(looker.place(Cell(3, 1, 15, 15)))
    assert ground == QColor(looker.network._theme.ground), "what the window has not reached is empty"
    page.speed.setValue(100)
    QTest.mouseClick(page.play_button, Qt.MouseButton.LeftButton)
    assert "Pause" in page.play_button.text()
    looker.qtbot.waitUntil(lambda: session.focus.pinned.row >= 2, timeout=5000)
    QTest.mouseClick(page.play_button, Qt.MouseButton.LeftButton)
    stands = session.focus.pinned
    looker.qtbot.wait(80)
    assert session.focus.pinned == stands
    QTest.mouseClick(page.play_button, Qt.MouseButton.LeftButton)
    looker.qtbot.waitUntil(lambda: session.focus.pinned == Cell(3, 1, 15, 15), timeout=10_000)
    looker.qtbot.waitUntil(lambda: "Slide" in page.play_button.text(), timeout=2000)
    QTest.mouseClick(page.step_button, Qt.MouseButton.LeftButton)
    assert session.focus.pinned == Cell(3, 1, 0, 0), "from the end it begins anew"


def test_a_click_elsewhere_ends_the_slide_and_shows_whole_maps(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    looker.click(Cell(3, 1, 0, 0))
    QTest.mouseClick(looker.panel.value_page.play_button, Qt.MouseButton.LeftButton)
    looker.click(Cell(3, 0, 8, 8))
    assert not looker.panel.value_page.slide.playing
    assert not looker.window.session.focus.sliding
    assert looker.window.session.focus.pinned == Cell(3, 0, 8, 8)


# --- what is spelled out


def test_the_walk_through_reads_like_the_articles_slides() -> None:
    """Window of the X at the second row and column: nine products of 1, 9 / 9 = 1."""
    blocks = spell(Spelled(read(ARTICLE, X), Cell(1, 0, 1, 1)))
    window, products = (block for block in blocks if isinstance(block, Pair))
    assert isinstance(window.right, Grid)
    assert window.left.values.tolist() == [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]] == window.right.values.tolist()
    assert (products.left.values == 1).all()
    assert lines(blocks) == {"sum of 9": "+9.00", "÷ 9 pixels": "+1.00", "this value": "+1.00"}


@pytest.mark.parametrize(
    ("ninths", "rounded", "cut"), [(5, "+0.56", "+0.55"), (7, "+0.78", "+0.77"), (-1, "−0.11", "−0.11")]
)
def test_digits_are_cut_off_as_in_the_article_where_one_wants_it(ninths: int, rounded: str, cut: str) -> None:
    value = float(np.float32(ninths) / np.float32(9))
    assert (fixed(value), fixed(value, cut=True)) == (rounded, cut)


def test_what_two_decimals_would_lose_is_told_by_its_first_figure() -> None:
    assert fixed(0.00042) == "+0.0004"
    assert fixed(-0.000042) == "−4e−5"
    assert fixed(1e-12) == fixed(0.0) == "0.00"


def test_rounding_errors_do_not_cut_a_whole_number_down() -> None:
    assert fixed(0.99999994, cut=True) == "+1.00"
    assert cell_text(0.57999998, cut=True) == ".58"


def test_a_window_over_several_maps_shows_the_one_that_counts_or_the_one_chosen() -> None:
    network = Network((1, 6, 6), (Conv2D(3, 3), Conv2D(2, 2), GlobalAvgPool()))
    reading = read(
        Subject("two", network, network.initial(5)), np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)
    )
    cell = Cell(2, 1, 1, 2)
    parts = (reading.subject.parameters["02-conv2d.weight"][1] * reading.outputs[1][:, 1:3, 2:4]).sum(axis=(1, 2))
    ranked = next(block for block in spell(Spelled(reading, cell)) if isinstance(block, Ranked))
    assert [rank.choice for rank in ranked.ranks] == np.argsort(-np.abs(parts)).tolist()
    assert ranked.ranks[0].chosen
    for chosen in range(3):
        said = lines(spell(Spelled(reading, cell, chosen)))
        assert said["sum of 4"] == signed(float(parts[chosen]))
        assert said["2 other maps"] == signed(float(parts.sum() - parts[chosen]))


def test_a_list_is_sorted_by_size_and_a_vote_ends_in_its_share(hand: Hand) -> None:
    hand.draw(X_ARMS)
    reading = hand.window.last.readings[0]
    blocks = spell(Spelled(reading, Cell(10, 0)))
    ranked = next(block for block in blocks if isinstance(block, Ranked))
    sizes = [abs(rank.share) for rank in ranked.ranks]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1
    said = lines(blocks)
    assert said["this value"] == signed(float(reading.outputs[-1][0]))
    assert any(label.startswith("X: e to the") for label in said)


def test_a_click_on_the_others_tells_more_of_them_and_another_value_fewer(looker: Looker, hand: Hand) -> None:
    hand.draw(X_ARMS)
    looker.click(Cell(8, 3))
    sheet = looker.panel.value_page.sheet

    def told() -> int:
        return sum(len(block.ranks) for block in sheet.blocks if isinstance(block, Ranked)) - 1

    assert told() == 10
    for count in (40, 160):
        bar = sheet.parentWidget().parentWidget().verticalScrollBar()
        looker.qtbot.wait(30)
        bar.setValue(19 * told() - 60)
        looker.qtbot.waitUntil(lambda: any(spot.choice is not None for spot in sheet._spots))
        spot = next(spot for spot in sheet._spots if spot.choice is not None)
        QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=spot.box.center().toPoint())
        assert told() + 1 == (count + 1 if count < 160 else 160)
    reading = looker.window.last.readings[0]
    products = reading.subject.parameters["08-dense.weight"][3].astype(np.float64) * reading.outputs[7]
    largest = np.sort(np.abs(products))[::-1][:160]
    shares = [abs(rank.share) for block in sheet.blocks if isinstance(block, Ranked) for rank in block.ranks]
    np.testing.assert_allclose(shares, largest / largest[0], rtol=1e-5)
    looker.click(Cell(8, 4))
    assert told() == 10


def test_every_kind_of_layer_can_be_spelled_out() -> None:
    layers = (
        Center(), Conv2D(3, 3, padding=2, stride=2), BatchNorm2D(), ReLU(), Residual((Conv2D(3, 1),)), Tanh(),
        AvgPool2D(), Dropout(), Sigmoid(), MaxPool2D(2, 1), GlobalAvgPool(), Dense(2),
    )  # fmt: skip
    network = Network((1, 9, 9), layers)
    reading = read(Subject("all", network, network.initial(1)), X)
    for layer, output in enumerate(reading.outputs):
        blocks = spell(Spelled(reading, Cell(layer, output.shape[0] - 1)))
        assert blocks
        if layer > 0:
            final = lines(blocks).get("this value") or list(lines(blocks).values())[-1]
            assert final == signed(float(output[(-1, *(0,) * (output.ndim - 1))]))


# --- what changes the verdict


@pytest.fixture
def pictures(looker: Looker, hand: Hand) -> GradientPage:
    """The page of pictures, with an X drawn."""
    hand.draw(X_ARMS)
    looker.click(Cell(10, 0))
    looker.panel.tabs.setCurrentIndex(2)
    return looker.panel.gradient_page


def picture(page: GradientPage) -> Picture | None:
    return next((block for block in page.sheet.blocks if isinstance(block, Picture)), None)


def test_what_the_held_value_is_worth_is_its_value_times_the_weights(looker: Looker, hand: Hand) -> None:
    """Above the hidden values all is straight: what one is worth to each class is its value x weight."""
    hand.draw(X_ARMS)
    reading = looker.window.last.readings[0]
    strongest = int(reading.outputs[9].argmax())
    looker.click(Cell(8, strongest))
    sheet = looker.panel.value_page.sheet

    def worth() -> list[str]:
        return [bar.number for block in sheet.blocks if isinstance(block, ClassBars) for bar in block.bars]

    looker.qtbot.waitUntil(lambda: worth() and "…" not in worth(), timeout=5000)
    weights = reading.subject.parameters["10-dense.weight"][:, strongest]
    assert worth() == [signed(float(weight * reading.outputs[9][strongest])) for weight in weights]


def test_each_method_shows_a_picture_over_the_drawing(looker: Looker, pictures: GradientPage) -> None:
    overlay = looker.window.drawing_view.overlay
    for kind in ("gradient", "gradient_times_input", "grad_cam", "occlusion", "flip"):
        pictures.method.setCurrentIndex(pictures.method.findData(kind))

        def done(kind: str = kind) -> None:
            answer = looker.window.last.answer
            assert answer is not None
            assert (answer.question.kind, answer.progress) == (kind, 1)
            assert picture(pictures) is not None

        looker.qtbot.waitUntil(done, timeout=20_000)
        shown = picture(pictures)
        assert shown is not None
        assert shown.values.shape == (32, 32)
        np.testing.assert_array_equal(shown.values, looker.window.last.answer.map)
        assert overlay.isVisible()
    looker.panel.tabs.setCurrentIndex(0)
    looker.qtbot.waitUntil(lambda: not overlay.isVisible(), timeout=5000)


def test_the_smallest_change_put_on_the_canvas_flips_the_verdict(
    looker: Looker, hand: Hand, pictures: GradientPage
) -> None:
    before = looker.window.last.readings[0].verdict
    assert not pictures.put_button.isVisible()
    pictures.method.setCurrentIndex(pictures.method.findData("flip"))
    looker.qtbot.waitUntil(pictures.put_button.isVisible, timeout=20_000)
    assert [looker.window.drawing_view.overlay._words] == [("taken away", "added")]
    votes = looker.window.last.readings[0].votes.argmax()
    QTest.mouseClick(pictures.put_button, Qt.MouseButton.LeftButton)
    hand.settle()
    assert looker.window.last.readings[0].votes.argmax() != votes
    looker.window.session.undo_stack.undo()
    hand.settle()
    assert looker.window.last.readings[0].verdict == before


def test_a_slow_method_says_how_far_it_is_and_can_be_stopped(
    looker: Looker, hand: Hand, pictures: GradientPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.explain.perturbation.MAX_PICTURES", 1)
    # So many patches that it takes seconds; what is stopped early costs nothing.
    monkeypatch.setattr("engine.explain.perturbation.patches", lambda length: (1, list(range(length)) * 3))
    pictures.method.setCurrentIndex(pictures.method.findData("occlusion"))
    looker.qtbot.waitUntil(lambda: pictures.stop_button.isVisible() and pictures.progress.value() > 0)
    assert pictures.progress.isVisible()
    QTest.mouseClick(pictures.stop_button, Qt.MouseButton.LeftButton)
    looker.qtbot.waitUntil(lambda: looker.window.last.answer is None, timeout=5000)
    # The inspector is written a moment after the answer has come.
    looker.qtbot.waitUntil(lambda: not looker.panel._refresh_timer.isActive())
    assert not looker.window.drawing_view.overlay.isVisible()
    assert not pictures.stop_button.isVisible()
    assert any("Stopped" in block.text for block in pictures.sheet.blocks if isinstance(block, Note))
    hand.draw([[(0.1, 0.5), (0.9, 0.5)]])
    assert looker.window.last.answer is None, "what was given up stays so while one draws on"


def test_a_method_follows_the_drawing_and_the_chosen_class(
    looker: Looker, hand: Hand, pictures: GradientPage
) -> None:
    pictures.target.setCurrentIndex(pictures.target.findData(1))
    looker.qtbot.waitUntil(lambda: looker.window.last.answer is not None and looker.window.last.answer.target == 1)
    looker.qtbot.waitUntil(lambda: not looker.panel._refresh_timer.isActive())  # the page shows it
    before = picture(pictures)
    hand.draw([[(0.1, 0.5), (0.9, 0.5)]])
    assert before is not None

    def another() -> bool:
        after = picture(pictures)
        return after is not None and not np.array_equal(before.values, after.values)

    looker.qtbot.waitUntil(another, timeout=5000)
    assert looker.window.last.answer.target == 1


def test_nothing_is_asked_of_the_engine_while_nobody_looks(looker: Looker, pictures: GradientPage) -> None:
    looker.qtbot.waitUntil(lambda: looker.window.last.answer is not None, timeout=5000)
    looker.window.panels.of(InspectorView).hide()
    looker.qtbot.waitUntil(lambda: looker.window.last.answer is None, timeout=5000)
    looker.qtbot.waitUntil(lambda: not looker.window.drawing_view.overlay.isVisible(), timeout=5000)
