"""The inspector in the real window: click, pin, preview, Esc, updates, play; its numbers against the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.explain import Explanation, receptive_field
from engine.nn import Model, Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.network.test_network_view import ARTICLE, X, read
from xo_gui.app import current_theme
from xo_gui.state import CellRef
from xo_gui.views.inspector import InspectorView
from xo_gui.views.inspector.attribution_page import AttributionPage
from xo_gui.views.inspector.sheet_blocks import (
    ClassBars,
    Heading,
    HeatMap,
    NumberGrid,
    Paragraph,
    RankedList,
    SheetBlock,
    SideBySide,
    TextLine,
    TextLines,
)
from xo_gui.views.inspector.value_text import ValueContext, value_blocks
from xo_gui.views.network import NetworkView, cell_summary
from xo_gui.views.votes.votes_view import VoteBars
from xo_gui.widgets import cell_text, fixed_text, shown_number, signed_text
from xo_gui.window import MainWindow


class InspectorDriver:
    """Points and clicks in the network panel, and reads the inspector."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        window.resize(2000, 1300)  # so large that a cell of the first maps is a pixel
        qtbot.wait(20)
        self.panel = next(view for view in window.views if isinstance(view, InspectorView))
        self.network: NetworkView = window.network_view

    def place(self, cell: CellRef) -> QPoint:
        strip = self.network._strips[0].layout
        column = strip.column_of(cell.layer) if strip else None
        assert column is not None
        self.network._scroll_to(cell)
        rows, columns = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
        x, y = column.tile(cell.channel).sub_box(column.cells, rows, columns).centre
        # Half a pixel rounds down: a cell may be one pixel.
        return QPoint(math.ceil(x - self.network._bar.value() - 0.5), math.ceil(y - 0.5))

    def click(self, cell: CellRef) -> None:
        # The first click opens the panel, and the columns move to make room for it.
        QTest.mouseClick(self.network, Qt.MouseButton.LeftButton, pos=self.place(cell))
        self.qtbot.waitUntil(self.panel.isVisible, timeout=5000)
        QTest.mouseMove(self.network, QPoint(3, 3))
        self.qtbot.wait(20)

    @property
    def value(self) -> str:
        return self.panel.value_label.text()

    def activation(self, cell: CellRef) -> float:
        assert self.window.last is not None
        made = self.window.last.predictions[0].activations[cell.layer]
        return float(made[cell.channel, cell.row, cell.column] if made.ndim == 3 else made[cell.channel])


@pytest.fixture
def driver(window: MainWindow, qtbot: QtBot) -> InspectorDriver:
    return InspectorDriver(window, qtbot)


def lines(blocks: list[SheetBlock]) -> dict[str, str]:
    """Every line of a sum by its label."""
    found: dict[str, str] = {}
    for block in blocks:
        inside: tuple[TextLine, ...] = ()
        if isinstance(block, TextLines):
            inside = block.lines
        elif isinstance(block, SideBySide) and isinstance(block.right, tuple):
            inside = block.right
        found |= {line.label: line.number for line in inside}
    return found


def test_a_click_pins_and_the_number_follows_the_drawing(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    cell = CellRef(1, 2, 11, 20)
    driver.click(cell)
    assert driver.window.session.selection.pinned == cell
    assert driver.value == signed_text(driver.activation(cell))
    assert driver.panel.place_label.text() == "Features 1 · map 3 · row 12, column 21"
    before = driver.value
    hand.draw([[(0.1, 0.25), (0.9, 0.25)]])
    driver.qtbot.waitUntil(lambda: driver.value == signed_text(driver.activation(cell)), timeout=5000)
    assert driver.value != before


def test_hovering_previews_and_esc_deselects(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    pinned, other = CellRef(1, 2, 11, 20), CellRef(3, 1, 4, 4)
    driver.click(pinned)
    QTest.mouseMove(driver.network, driver.place(other))
    assert driver.value == signed_text(driver.activation(other))
    QTest.mouseMove(driver.network, QPoint(3, 3))
    assert driver.value == signed_text(driver.activation(pinned))
    QTest.keyClick(driver.network, Qt.Key.Key_Escape)
    assert driver.window.session.selection.pinned is None
    assert driver.value == ""
    assert any(
        isinstance(block, Paragraph) and "Click any value" in block.text
        for block in driver.panel.value_page.sheet.blocks
    )


def test_a_vote_bar_and_a_pixel_can_be_clicked(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    bars = driver.window.votes_view.findChild(VoteBars)
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(80, 40))
    assert driver.window.session.selection.pinned == CellRef(13, 1)
    driver.qtbot.waitUntil(driver.panel.isVisible, timeout=5000)
    assert driver.value == signed_text(driver.activation(CellRef(13, 1)))
    driver.click(CellRef(0, 0, 16, 16))
    assert driver.value == signed_text(driver.activation(CellRef(0, 0, 16, 16)))


def test_a_cell_of_the_sum_leads_to_that_cell(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    driver.click(CellRef(3, 1, 4, 4))
    sheet = driver.panel.value_page.sheet
    driver.qtbot.waitUntil(lambda: len(sheet._targets) == 4)
    QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=sheet._targets[3].box.center().toPoint())
    assert driver.window.session.selection.pinned == CellRef(2, 1, 9, 9)
    driver.click(CellRef(3, 1, 4, 4))
    sheet.setFocus(Qt.FocusReason.TabFocusReason)
    driver.qtbot.waitUntil(lambda: len(sheet._targets) == 4)
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(sheet, key)
    assert driver.window.session.selection.pinned == CellRef(2, 1, 8, 9), "the second of the window, by keys"


def test_the_pinned_value_follows_training_by_its_own_weights(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    cell = CellRef(1, 2, 11, 20)
    driver.click(cell)
    model = driver.window.session.document.models[0]
    other = dict(model.parameters)
    other["conv2d-1.bias"] = model.parameters["conv2d-1.bias"] + np.float32(1)
    driver.window.use_model(Model("Default", model.network, other))
    hand.settle()
    assert driver.value == signed_text(driver.activation(cell))
    bias = lines(list(driver.panel.value_page.sheet.blocks))["bias"]
    assert shown_number(bias) == pytest.approx(float(other["conv2d-1.bias"][2]), abs=0.005)


def test_diverged_weights_are_shown_without_warnings(driver: InspectorDriver, hand: Hand) -> None:
    """Infinite and NaN values are shown in every column and on every page, truncated or not."""
    hand.draw(X_ARMS)
    model = driver.window.session.document.models[0]
    signs = {name: np.where(array < 0, -1, 1).astype(np.float32) for name, array in model.parameters.items()}
    huge = {name: array * np.float32(1e30) for name, array in signs.items()}
    driver.window.use_model(Model("Default", model.network, huge))
    hand.settle()
    driver.panel.value_page.truncate_box.setChecked(True)
    for tab in range(3):
        driver.panel.tabs.setCurrentIndex(tab)
        for layer, output in enumerate(driver.window.last.predictions[0].activations):
            driver.window.session.pin(CellRef(layer, len(output) - 1))
            driver.qtbot.wait(15)
            driver.window.grab()
    driver.panel.tabs.setCurrentIndex(0)
    assert driver.window.isVisible()


# --- play


def test_the_window_slides_fills_the_map_and_can_be_paused_and_stepped(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    driver.click(CellRef(3, 1, 0, 0))
    page, session = driver.panel.value_page, driver.window.session
    QTest.mouseClick(page.controls.step_button, Qt.MouseButton.LeftButton)
    assert session.selection.pinned == CellRef(3, 1, 0, 1)
    assert session.selection.animating
    assert driver.value == signed_text(driver.activation(CellRef(3, 1, 0, 1)))
    ground = driver.network.grab().toImage().pixelColor(driver.place(CellRef(3, 1, 23, 23)))
    assert ground == QColor(current_theme().background), "what the window has not reached is empty"
    page.controls.speed_slider.setValue(100)
    QTest.mouseClick(page.controls.play_button, Qt.MouseButton.LeftButton)
    assert "Pause" in page.controls.play_button.text()
    driver.qtbot.waitUntil(lambda: session.selection.pinned.row >= 2, timeout=5000)
    QTest.mouseClick(page.controls.play_button, Qt.MouseButton.LeftButton)
    stands = session.selection.pinned
    driver.qtbot.wait(80)
    assert session.selection.pinned == stands
    QTest.mouseClick(page.controls.play_button, Qt.MouseButton.LeftButton)
    driver.qtbot.waitUntil(lambda: session.selection.pinned == CellRef(3, 1, 23, 23), timeout=10_000)
    driver.qtbot.waitUntil(lambda: "Slide" in page.controls.play_button.text(), timeout=2000)
    QTest.mouseClick(page.controls.step_button, Qt.MouseButton.LeftButton)
    assert session.selection.pinned == CellRef(3, 1, 0, 0), "from the end it begins anew"


def test_a_click_elsewhere_ends_the_slide_and_shows_whole_maps(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    driver.click(CellRef(3, 1, 0, 0))
    QTest.mouseClick(driver.panel.value_page.controls.play_button, Qt.MouseButton.LeftButton)
    driver.click(CellRef(3, 0, 8, 8))
    assert not driver.panel.value_page.animation.is_playing
    assert not driver.window.session.selection.animating
    assert driver.window.session.selection.pinned == CellRef(3, 0, 8, 8)


# --- value arithmetic


def test_the_walk_through_reads_like_the_articles_slides() -> None:
    """Window of the X at the second row and column: nine products of 1, 9 / 9 = 1."""
    blocks = value_blocks(ValueContext(read(ARTICLE, X), CellRef(1, 0, 1, 1)))
    window, products = (block for block in blocks if isinstance(block, SideBySide))
    assert isinstance(window.right, NumberGrid)
    assert window.left.values.tolist() == [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]] == window.right.values.tolist()
    assert (products.left.values == 1).all()
    assert lines(blocks) == {"sum of 9": "+9.00", "÷ 9 pixels": "+1.00", "this value": "+1.00"}


@pytest.mark.parametrize(
    ("ninths", "rounded", "cut"), [(5, "+0.56", "+0.55"), (7, "+0.78", "+0.77"), (-1, "−0.11", "−0.11")]
)
def test_numbers_are_truncated_as_in_the_article(ninths: int, rounded: str, cut: str) -> None:
    value = float(np.float32(ninths) / np.float32(9))
    assert (fixed_text(value), fixed_text(value, truncate=True)) == (rounded, cut)


def test_small_numbers_keep_their_first_digit() -> None:
    assert fixed_text(0.00042) == "+0.0004"
    assert fixed_text(-0.000042) == "−4e−5"
    assert fixed_text(1e-12) == fixed_text(0.0) == "0.00"


def test_rounding_errors_do_not_truncate_a_whole_number() -> None:
    assert fixed_text(0.99999994, truncate=True) == "+1.00"
    assert cell_text(0.57999998, truncate=True) == ".58"


def test_a_window_over_several_maps_shows_the_largest_contribution_or_the_selected_map() -> None:
    network = Network((1, 6, 6), (Conv2D(3, 3), Conv2D(2, 2), GlobalAvgPool()), classes=("X", "O"))
    prediction = read(
        Model("two", network, network.initial_parameters(5)), np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6)
    )
    cell = CellRef(2, 1, 1, 2)
    parts = (prediction.model.parameters["conv2d-2.weight"][1] * prediction.activations[1][:, 1:3, 2:4]).sum(
        axis=(1, 2)
    )
    ranked = next(block for block in value_blocks(ValueContext(prediction, cell)) if isinstance(block, RankedList))
    assert [rank.part_index for rank in ranked.rows] == np.argsort(-np.abs(parts)).tolist()
    assert ranked.rows[0].is_selected
    for chosen in range(3):
        said = lines(value_blocks(ValueContext(prediction, cell, chosen)))
        assert shown_number(said["sum of 4"].removeprefix("≈ ")) == pytest.approx(parts[chosen], abs=0.005)
        assert shown_number(said["2 other maps"]) == pytest.approx(parts.sum() - parts[chosen], abs=0.005)


def test_a_list_is_sorted_by_size_and_a_vote_ends_in_its_share(hand: Hand) -> None:
    hand.draw(X_ARMS)
    prediction = hand.window.last.predictions[0]
    blocks = value_blocks(ValueContext(prediction, CellRef(13, 0)))
    ranked = next(block for block in blocks if isinstance(block, RankedList))
    sizes = [abs(rank.fraction) for rank in ranked.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1
    said = lines(blocks)
    assert said["this value"] == signed_text(float(prediction.activations[-1][0]))
    assert any(label.startswith("X: e to the") for label in said)


def test_show_more_lists_more_rows_until_another_value_is_selected(driver: InspectorDriver, hand: Hand) -> None:
    hand.draw(X_ARMS)
    driver.click(CellRef(11, 3))
    sheet = driver.panel.value_page.sheet

    def row_count() -> int:
        return sum(len(block.rows) for block in sheet.blocks if isinstance(block, RankedList)) - 1

    assert row_count() == 10
    for count in (40, 160):
        bar = sheet.parentWidget().parentWidget().verticalScrollBar()
        driver.qtbot.wait(30)
        bar.setValue(19 * row_count() - 60)
        driver.qtbot.waitUntil(lambda: any(spot.part_index is not None for spot in sheet._targets))
        spot = next(spot for spot in sheet._targets if spot.part_index is not None)
        QTest.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=spot.box.center().toPoint())
        assert row_count() + 1 == (count + 1 if count < 160 else 160)
    prediction = driver.window.last.predictions[0]
    products = prediction.model.parameters["dense-1.weight"][3].astype(np.float64) * prediction.activations[10]
    largest = np.sort(np.abs(products))[::-1][:160]
    shares = [abs(rank.fraction) for block in sheet.blocks if isinstance(block, RankedList) for rank in block.rows]
    np.testing.assert_allclose(shares, largest / largest[0], rtol=1e-5)
    driver.click(CellRef(11, 4))
    assert row_count() == 10


def test_every_kind_of_layer_has_value_arithmetic() -> None:
    layers = (
        Center(), Conv2D(3, 3, padding=2, stride=2), BatchNorm2D(), ReLU(), Residual((Conv2D(3, 1),)), Tanh(),
        AvgPool2D(), Dropout(), Sigmoid(), MaxPool2D(2, 1), GlobalAvgPool(), Dense(2),
    )  # fmt: skip
    network = Network((1, 9, 9), layers, classes=("X", "O"))
    prediction = read(Model("all", network, network.initial_parameters(1)), X)
    for layer, output in enumerate(prediction.activations):
        blocks = value_blocks(ValueContext(prediction, CellRef(layer, output.shape[0] - 1)))
        assert blocks
        if layer > 0:
            final = lines(blocks).get("this value") or list(lines(blocks).values())[-1]
            assert final == signed_text(float(output[(-1, *(0,) * (output.ndim - 1))]))


def test_a_window_over_the_frame_says_what_is_read_there() -> None:
    """The arithmetic shows the padding's value and counts it."""
    for value, words in ((0.0, "reads 0 there"), (-1.0, "reads −1 there")):
        layers = (Conv2D(2, 3, padding=1, padding_value=value), Flatten(), Dense(2))
        network = Network((1, 5, 5), layers, classes=("X", "O"))
        parameters = network.initial_parameters(1)
        prediction = read(Model("padded", network, parameters), np.full((1, 5, 5), -1, np.float32))
        corner, middle = (value_blocks(ValueContext(prediction, CellRef(1, 0, at, at))) for at in (0, 2))
        sentences = [
            [block.text for block in blocks if isinstance(block, Paragraph)] for blocks in (corner, middle)
        ]
        assert any(words in sentence for sentence in sentences[0])
        assert not sentences[1]
        pair = next(block for block in corner if isinstance(block, SideBySide))
        assert pair.left.values[0].tolist() == [value] * 3
        assert lines(corner)["this value"] == signed_text(float(prediction.activations[1][0, 0, 0]))
        if value == -1.0:
            assert lines(corner)["this value"] == lines(middle)["this value"]


# --- attribution and contributions


@pytest.fixture
def pictures(driver: InspectorDriver, hand: Hand) -> AttributionPage:
    """The attribution page, with an X drawn."""
    hand.draw(X_ARMS)
    driver.click(CellRef(13, 0))
    driver.panel.tabs.setCurrentIndex(2)
    return driver.panel.attribution_page


def picture(page: AttributionPage) -> HeatMap | None:
    return next((block for block in page.sheet.blocks if isinstance(block, HeatMap)), None)


def test_contribution_of_a_hidden_value_is_value_times_weight(driver: InspectorDriver, hand: Hand) -> None:
    """Above the hidden values the network is linear: a contribution is value x weight."""
    hand.draw(X_ARMS)
    prediction = driver.window.last.predictions[0]
    strongest = int(prediction.activations[12].argmax())
    driver.click(CellRef(11, strongest))
    sheet = driver.panel.value_page.sheet

    def worth() -> list[str]:
        return [bar.number for block in sheet.blocks if isinstance(block, ClassBars) for bar in block.bars]

    driver.qtbot.waitUntil(lambda: worth() and "…" not in worth(), timeout=5000)
    weights = prediction.model.parameters["dense-2.weight"][:, strongest]
    assert worth() == [signed_text(float(weight * prediction.activations[12][strongest])) for weight in weights]


def test_the_gradient_is_of_the_pinned_value_and_says_so(
    driver: InspectorDriver, pictures: AttributionPage
) -> None:
    """Until a class is chosen, or the value is released."""

    def heading() -> str:
        return next(block.text for block in pictures.sheet.blocks if isinstance(block, Heading))

    shown: dict[str, bytes] = {}
    for cell in (CellRef(1, 2, 11, 20), CellRef(4, 3, 5, 6), CellRef(13, 1)):
        driver.click(cell)
        driver.qtbot.waitUntil(lambda: picture(pictures) is not None, timeout=5000)
        prediction = driver.window.last.predictions[0]
        assert heading() == f"of the pinned value {cell_summary(prediction, cell).place}"
        heat_map = picture(pictures)
        assert heat_map is not None
        assert heat_map.title == "for the pinned value"
        shown[heading()] = heat_map.values.tobytes()
        window = receptive_field(prediction.model.network, cell.layer, cell.row, cell.column)[0]
        if window is not None:
            outside = np.ones(heat_map.values.shape, bool)
            outside[window[0].start : window[0].stop, window[1].start : window[1].stop] = False
            assert not heat_map.values[outside].any(), "pixels that the value does not read change nothing"
    assert len(set(shown.values())) == 3, "each value has a map of its own"
    pictures.target_box.setCurrentIndex(1)
    assert heading() == "of the score of X"
    pictures.target_box.setCurrentIndex(0)
    driver.window.network_view.pinned.emit(None)
    predicted = driver.window.last.predictions[0].predicted_class
    driver.qtbot.waitUntil(lambda: heading() == f"of the score of {predicted}", timeout=5000)
    assert pictures.target_box.itemText(0) == "predicted"


def test_each_method_shows_a_heat_map_over_the_drawing(driver: InspectorDriver, pictures: AttributionPage) -> None:
    overlay = driver.window.drawing_view.overlay
    for kind in ("gradient", "gradient_times_input", "grad_cam", "occlusion", "flip"):
        pictures.method_box.setCurrentIndex(pictures.method_box.findData(kind))

        def done(kind: str = kind) -> None:
            result = driver.window.last.result_of_type(Explanation)
            assert result is not None
            assert (result.query.kind, result.progress) == (kind, 1)
            assert picture(pictures) is not None

        driver.qtbot.waitUntil(done, timeout=20_000)
        shown = picture(pictures)
        assert shown is not None
        assert shown.values.shape == (48, 48)
        np.testing.assert_array_equal(shown.values, driver.window.last.result_of_type(Explanation).map)
        assert overlay.isVisible()
    driver.panel.tabs.setCurrentIndex(0)
    driver.qtbot.waitUntil(lambda: not overlay.isVisible(), timeout=5000)


def test_the_smallest_change_on_the_canvas_changes_the_predicted_class(
    driver: InspectorDriver, hand: Hand, pictures: AttributionPage
) -> None:
    before = driver.window.last.predictions[0].predicted_class
    assert not pictures.draw_button.isVisible()
    pictures.method_box.setCurrentIndex(pictures.method_box.findData("flip"))
    driver.qtbot.waitUntil(pictures.draw_button.isVisible, timeout=20_000)
    assert [driver.window.drawing_view.overlay._legend] == [("taken away", "added")]
    votes = driver.window.last.predictions[0].votes.argmax()
    QTest.mouseClick(pictures.draw_button, Qt.MouseButton.LeftButton)
    hand.settle()
    assert driver.window.last.predictions[0].votes.argmax() != votes
    driver.window.session.undo_stack.undo()
    hand.settle()
    assert driver.window.last.predictions[0].predicted_class == before


def test_a_slow_method_shows_progress_and_can_be_stopped(
    driver: InspectorDriver, hand: Hand, pictures: AttributionPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.explain.perturbation.MAX_PICTURES", 1)
    # Enough patches to take seconds; the run is stopped early.
    monkeypatch.setattr("engine.explain.perturbation.patches", lambda length: (1, list(range(length)) * 3))
    pictures.method_box.setCurrentIndex(pictures.method_box.findData("occlusion"))
    driver.qtbot.waitUntil(lambda: pictures.stop_button.isVisible() and pictures.progress_bar.value() > 0)
    assert pictures.progress_bar.isVisible()
    QTest.mouseClick(pictures.stop_button, Qt.MouseButton.LeftButton)
    driver.qtbot.waitUntil(lambda: driver.window.last.result_of_type(Explanation) is None, timeout=5000)
    # The inspector is updated shortly after the result arrives.
    driver.qtbot.waitUntil(lambda: not driver.panel._refresh_timer.isActive())
    assert not driver.window.drawing_view.overlay.isVisible()
    assert not pictures.stop_button.isVisible()
    assert any("Stopped" in block.text for block in pictures.sheet.blocks if isinstance(block, Paragraph))
    hand.draw([[(0.1, 0.5), (0.9, 0.5)]])
    assert driver.window.last.result_of_type(Explanation) is None, "a stopped query stays stopped while drawing"


def test_a_method_follows_the_drawing_and_the_chosen_class(
    driver: InspectorDriver, hand: Hand, pictures: AttributionPage
) -> None:
    pictures.target_box.setCurrentIndex(pictures.target_box.findData(1))
    driver.qtbot.waitUntil(
        lambda: (
            driver.window.last.result_of_type(Explanation) is not None
            and driver.window.last.result_of_type(Explanation).target == 1
        )
    )
    driver.qtbot.waitUntil(lambda: not driver.panel._refresh_timer.isActive())  # the page shows it
    before = picture(pictures)
    hand.draw([[(0.1, 0.5), (0.9, 0.5)]])
    assert before is not None

    def another() -> bool:
        after = picture(pictures)
        return after is not None and not np.array_equal(before.values, after.values)

    driver.qtbot.waitUntil(another, timeout=5000)
    assert driver.window.last.result_of_type(Explanation).target == 1


def test_no_query_is_sent_while_the_inspector_is_hidden(driver: InspectorDriver, pictures: AttributionPage) -> None:
    driver.qtbot.waitUntil(lambda: driver.window.last.result_of_type(Explanation) is not None, timeout=5000)
    driver.window.panels.dock_of(InspectorView).hide()
    driver.qtbot.waitUntil(lambda: driver.window.last.result_of_type(Explanation) is None, timeout=5000)
    driver.qtbot.waitUntil(lambda: not driver.window.drawing_view.overlay.isVisible(), timeout=5000)
