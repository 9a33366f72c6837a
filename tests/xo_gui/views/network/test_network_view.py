"""The network view: hover texts, painting, and when its colour limits may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from engine.backends import choose_backend
from engine.documents import WALKTHROUGH
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.nn import Activations, Model, Network, Prediction, Predictor
from engine.nn.layers import Conv2D, Flatten, MaxPool2D, ReLU, Votes
from engine.runtime import Snapshot
from engine.runtime.protocol import DeviceReport
from tests.samples import drawing_sample
from tests.two_stages import TWO_STAGES
from tests.xo_gui.lone_view import exposed
from xo_gui.app import DARK, theme, theme_service
from xo_gui.app.theme import LIGHT
from xo_gui.state import CellRef, Selection
from xo_gui.views.network import ColumnLayout, NetworkView
from xo_gui.widgets import signed_text

PICTURE = (
    ".........", ".#.....#.", "..#...#..", "...#.#...", "....#....",
    "...#.#...", "..#...#..", ".#.....#.", ".........",
)  # fmt: skip
X = np.array([[1.0 if sign == "#" else -1.0 for sign in row] for row in PICTURE], np.float32)
# The article's first feature map of the X, times 9, as printed on its slides.
FIRST_MAP_X9 = (
    (7, -1, 1, 3, 5, -1, 3), (-1, 9, -1, 3, -1, 1, -1), (1, -1, 9, -3, 1, -1, 5), (3, 3, -3, 5, -3, 3, 3),
    (5, -1, 1, -3, 9, -1, 1), (-1, 1, -1, 3, -1, 9, -1), (3, -1, 5, 3, 1, -1, 7),
)  # fmt: skip
TWO_STAGE_MODEL = Model("two stages", TWO_STAGES, TWO_STAGES.initial_parameters(1))
ARTICLE = Model("walk-through", WALKTHROUGH.network, handmade_parameters())


def read(model: Model, picture: np.ndarray[Any, Any] = X) -> Prediction:
    return Predictor(model, choose_backend("cpu")).predict(picture)


def snapshot(*readings: Prediction, settled: bool = True, generation: int = 1) -> Snapshot:
    return Snapshot(
        generation=generation,
        input=drawing_sample(Drawing()),
        predictions=readings,
        device=DeviceReport(),
        notices=(),
        open_result=None,
        settled=settled,
        requested_at=0.0,
        engine_seconds=0.0,
    )


@pytest.fixture
def view(qtbot: QtBot) -> NetworkView:
    return exposed(qtbot, 1000, 690)


def column(view: NetworkView, layer: int) -> ColumnLayout:
    strip = view._strips[0].layout
    found = strip.column_of(layer) if strip else None
    assert found is not None
    return found


def place(view: NetworkView, cell: CellRef) -> QPoint:
    """The pixel at the centre of a cell."""
    shown = column(view, cell.layer)
    rows, columns = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
    return QPointF(*shown.tile(cell.channel).sub_box(shown.cells, rows, columns).centre).toPoint()


def image(view: NetworkView) -> QImage:
    return view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def colour_at(view: NetworkView, cell: CellRef) -> str:
    return image(view).pixelColor(place(view, cell)).name()


def table_colour(words: np.ndarray[Any, Any], share: float) -> str:
    """The colour at `share` (0 to 1) of a table."""
    return QColor.fromRgb(int(words[round(share * (len(words) - 1))])).name()


# --- selection


@pytest.mark.parametrize(("row", "col"), [(0, 0), (3, 3), (1, 1), (2, 3), (6, 4)])
def test_hovering_shows_the_articles_number(view: NetworkView, row: int, col: int) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    QTest.mouseMove(view, place(view, CellRef(1, 0, row, col)))
    said = view.selected_summary()
    assert said is not None
    assert said.place == f"Features · map 1 · row {row + 1}, column {col + 1}"
    assert said.value == signed_text(FIRST_MAP_X9[row][col] / 9)
    assert said.detail == f"receptive field: rows {row + 1}–{row + 3}, columns {col + 1}–{col + 3}"


def test_hovering_signals_once_per_cell(view: NetworkView, qtbot: QtBot) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    heard: list[CellRef | None] = []
    view.hovered.connect(heard.append)
    centre = place(view, CellRef(3, 2, 1, 2))
    QTest.mouseMove(view, centre)
    QTest.mouseMove(view, centre + QPoint(2, 1))
    QTest.mouseMove(view, place(view, CellRef(0, 0, 8, 8)))
    QTest.mouseMove(view, QPoint(2, 2))
    assert heard == [CellRef(3, 2, 1, 2), CellRef(0, 0, 8, 8), None]


def test_the_hovered_value_follows_the_drawing(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    QTest.mouseMove(view, place(view, CellRef(1, 0, 3, 3)))
    view.set_snapshot(snapshot(read(ARTICLE, -X)))
    said = view.selected_summary()
    assert said is not None
    assert said.value == signed_text(-5 / 9)


def test_a_weight_a_listed_value_and_a_vote_can_be_read(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    heard: list[CellRef | None] = []
    view.hovered.connect(heard.append)
    slice_ = column(view, 1).kernel_slice(2, 0)
    QTest.mouseMove(view, QPointF(slice_.right - 2, slice_.y + 2).toPoint())
    weight = view.selected_summary()
    assert weight is not None
    assert (weight.place, weight.value) == ("Features · feature 3 · row 1, column 3", "+1.00")
    assert heard == []
    QTest.mouseMove(view, QPointF(*column(view, 5).tile(1).centre).toPoint())
    listed = view.selected_summary()
    assert listed is not None
    assert (listed.place, listed.value) == ("Flatten · value 2", "+0.56")
    QTest.mouseMove(view, QPointF(*column(view, 6).tile(1).centre).toPoint())
    vote = view.selected_summary()
    assert vote is not None
    assert (vote.place, vote.value) == ("Votes · O", "+0.56")
    assert heard == [CellRef(5, 1), CellRef(6, 1)]


def test_escape_and_leaving_deselect(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    heard: list[CellRef | None] = []
    view.hovered.connect(heard.append)
    QTest.mouseMove(view, place(view, CellRef(1, 0, 3, 3)))
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseMove(view, place(view, CellRef(1, 0, 4, 4)))
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert heard == [CellRef(1, 0, 3, 3), None, CellRef(1, 0, 4, 4), None]
    assert view.selected_summary() is None


def test_the_selection_of_other_panels_is_shown(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    before = image(view)
    view.set_selection(Selection(CellRef(0, 0, 4, 4)))
    assert image(view) != before
    said = view.selected_summary()
    assert said is not None
    assert (said.place, said.value) == ("Input · row 5, column 5", "+1.00")
    view.set_selection(Selection())
    assert image(view) == before


def test_a_selection_outside_this_network_marks_nothing(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    before = image(view)
    for cell in (CellRef(1, 7, 30, 30), CellRef(11, 0), CellRef(1, 0, model_index=1), CellRef(6, 2)):
        view.set_selection(Selection(cell))
        assert image(view) == before
        assert view.selected_summary() is None


def test_arrow_keys_walk_through_cells_maps_and_columns(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    heard: list[CellRef | None] = []
    view.hovered.connect(heard.append)
    keys = Qt.Key
    for key in (keys.Key_Down, keys.Key_Left, keys.Key_Up):
        QTest.keyClick(view, key)
    assert heard == [CellRef(0, 0, 4, 4), CellRef(0, 0, 4, 3), CellRef(0, 0, 3, 3)]
    heard.clear()
    QTest.keyClick(view, keys.Key_Right, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(view, keys.Key_Down, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(view, keys.Key_Up)
    QTest.keyClick(view, keys.Key_Left)
    assert heard == [CellRef(1, 0, 2, 0), CellRef(1, 1, 0, 0), CellRef(1, 0, 6, 0), CellRef(0, 0, 8, 8)]


def test_arrow_keys_keep_their_height_from_column_to_column(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    view.set_selection(Selection(CellRef(2, 2, 3, 0)))
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view._hovered == CellRef(1, 2, 3, 6)


def test_arrow_keys_reach_every_column(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    heard: list[CellRef] = []
    view.hovered.connect(heard.append)
    for _ in range(9):
        QTest.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert [cell.layer for cell in heard] == [0, 1, 2, 3, 4, 5, 6]


# --- painting


@pytest.mark.parametrize("worn", [DARK, LIGHT])
def test_cells_have_the_colour_of_their_value(view: NetworkView, worn: theme.Theme) -> None:
    theme_service.set_theme(worn)
    view.set_snapshot(snapshot(read(ARTICLE)))
    for row, col in ((0, 0), (1, 1), (2, 3), (3, 3), (0, 1)):
        value = FIRST_MAP_X9[row][col] / 9
        assert colour_at(view, CellRef(1, 0, row, col)) == table_colour(worn.value_table, (value + 1) / 2)
        after = table_colour(worn.value_table[127:], max(value, 0.0))
        assert colour_at(view, CellRef(2, 0, row, col)) == after
    assert colour_at(view, CellRef(0, 0, 1, 1)) == worn.ink
    assert colour_at(view, CellRef(0, 0, 0, 0)) == worn.canvas


def test_equal_values_have_equal_colours_from_features_to_pool(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    same = [CellRef(1, 0, 4, 4), CellRef(2, 0, 4, 4), CellRef(3, 0, 2, 2), CellRef(4, 0, 1, 1)]
    assert len({colour_at(view, cell) for cell in same}) == 1


def test_every_map_is_painted_in_its_own_place(view: NetworkView) -> None:
    prediction = read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))
    values = np.zeros((16, 16, 16), np.float32)
    values[3, 2, 5], values[9, 2, 5], values[15, 15, 0] = 1.0, 0.5, -1.0
    outputs = Activations.from_arrays(
        values if at == 4 else one * 0 for at, one in enumerate(prediction.activations)
    )
    view.set_snapshot(snapshot(replace(prediction, activations=outputs)))
    shares = {
        CellRef(4, channel, row, col): (values[channel, row, col] + 1) / 2
        for channel in range(16)
        for row, col in ((2, 5), (15, 0))
    }
    painted = image(view)
    for cell, share in shares.items():
        seen = painted.pixelColor(place(view, cell)).name()
        assert seen == table_colour(DARK.value_table, float(share)), cell


def colours_in(view: NetworkView, layer: int) -> set[str]:
    """The colours in the column of a layer, below the first line of each class: there are the bars."""
    shown = column(view, layer)
    tiles = [shown.tile(at) for at in range(shown.display.count)]
    picture = image(view)
    return {
        picture.pixelColor(x, y).name()
        for tile in tiles
        for x in range(round(tile.x), round(tile.right))
        for y in range(round(tile.y) + 20, round(tile.bottom) - 8)
    }


def test_the_bar_of_a_score_does_not_look_like_the_bar_of_a_vote(view: NetworkView) -> None:
    """A bar in the class's colour is a vote; a score has the colours of values."""
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.pad(X, 12, constant_values=-1)[:32, :32])))
    shown = colours_in(view, len(TWO_STAGE_MODEL.network.layers))
    assert not shown & {DARK.x, DARK.o}
    assert shown & {DARK.value_stops[0], DARK.value_stops[4]}
    view.set_snapshot(snapshot(read(ARTICLE)))
    assert {DARK.x, DARK.o} <= colours_in(view, len(ARTICLE.network.layers))


def test_a_theme_changes_what_is_painted(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    dark = image(view)
    theme_service.set_theme(LIGHT)
    light = image(view)
    assert light.pixelColor(5, 5).name() == LIGHT.background
    assert dark.pixelColor(5, 5).name() == DARK.background
    cell = CellRef(1, 0, 1, 1)
    assert light.pixelColor(place(view, cell)).name() == table_colour(LIGHT.value_table, 1.0)
    weight = column(view, 1).kernel_slice(0, 0)
    corner = QPoint(int(weight.x) + 2, int(weight.y) + 2)
    assert light.pixelColor(corner).name() == table_colour(LIGHT.value_table, 1.0)
    theme_service.set_theme(DARK)
    assert image(view) == dark


def test_before_the_first_snapshot_a_message_is_shown(view: NetworkView) -> None:
    words = image(view).copy(350, 330, 300, 40)
    colours = {words.pixelColor(x, y).name() for x in range(300) for y in range(40)}
    assert len(colours) > 5


def test_a_snapshot_without_predictions_keeps_the_image(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    before = image(view)
    view.set_snapshot(snapshot())
    assert image(view) == before
    view.set_snapshot(snapshot(read(ARTICLE, -X)))
    assert image(view) != before


def test_another_network_brings_its_own_columns(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    QTest.mouseMove(view, place(view, CellRef(1, 0, 3, 3)))
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32)), generation=2))
    assert column(view, 10).display.title == "Votes"
    assert column(view, 1).display.count == 8
    image(view)


def test_of_two_models_only_the_first_is_shown(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE), read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))))
    QTest.mouseMove(view, place(view, CellRef(0, 0, 0, 0)))
    both = image(view)
    view.set_snapshot(snapshot(read(ARTICLE)))
    assert image(view) == both


def test_values_that_are_not_finite_are_painted_and_described(view: NetworkView) -> None:
    good = read(ARTICLE)
    outputs = (good.activations[0], np.full((3, 7, 7), np.nan, np.float32), *good.activations[2:])
    view.set_snapshot(snapshot(replace(good, activations=Activations.from_arrays(outputs))))
    QTest.mouseMove(view, place(view, CellRef(1, 0, 3, 3)))
    image(view)
    said = view.selected_summary()
    assert said is not None
    assert said.value == "nan"


# --- colour limits


def faint(prediction: Prediction, factor: float) -> Prediction:
    """The same prediction with scaled maps."""
    outputs = Activations.from_arrays(
        [prediction.activations[0], *(one * np.float32(factor) for one in prediction.activations[1:])]
    )
    return replace(prediction, activations=outputs)


def test_limits_are_kept_during_a_stroke_and_adapt_after(view: NetworkView) -> None:
    prediction, cell = read(ARTICLE), CellRef(1, 0, 1, 1)
    view.set_snapshot(snapshot(prediction))
    full = table_colour(DARK.value_table, 1.0)
    assert colour_at(view, cell) == full
    view.set_snapshot(snapshot(faint(prediction, 0.25), settled=False))
    assert colour_at(view, cell) == table_colour(DARK.value_table, (0.25 + 1) / 2)
    view.set_snapshot(snapshot(faint(prediction, 0.3)))
    assert colour_at(view, cell) == full


def test_a_blank_canvas_sets_no_limits_for_the_first_stroke(view: NetworkView) -> None:
    blank, full = read(ARTICLE, -np.ones((9, 9), np.float32)), read(ARTICLE)
    strong, mild = CellRef(1, 0, 1, 1), CellRef(1, 0, 3, 3)
    view.set_snapshot(snapshot(blank))
    assert colour_at(view, strong) == table_colour(DARK.value_table, (1 / 3 / 0.4 + 1) / 2)
    view.set_snapshot(snapshot(full, settled=False))
    assert colour_at(view, mild) == table_colour(DARK.value_table, (5 / 9 + 1) / 2), "they grow with the stroke"
    view.set_snapshot(snapshot(blank, settled=False))
    assert colour_at(view, strong) == table_colour(DARK.value_table, (1 / 3 + 1) / 2), "and do not shrink"
    view.set_snapshot(snapshot(full))
    view.set_snapshot(snapshot(blank))
    assert colour_at(view, strong) == table_colour(DARK.value_table, (1 / 3 + 1) / 2), "clearing keeps them"
    view.set_snapshot(snapshot(blank, generation=2))
    assert colour_at(view, strong) == table_colour(DARK.value_table, (1 / 3 / 0.4 + 1) / 2)


def test_limits_adapt_when_the_weights_are_replaced(view: NetworkView) -> None:
    prediction, cell = read(ARTICLE), CellRef(1, 0, 1, 1)
    view.set_snapshot(snapshot(prediction))
    view.set_snapshot(snapshot(faint(prediction, 0.3), settled=False, generation=2))
    assert colour_at(view, cell) == table_colour(DARK.value_table, 1.0)


def test_the_switch_and_the_gain_change_the_colours(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(ARTICLE)))
    cell = CellRef(1, 0, 3, 3)
    assert colour_at(view, cell) == table_colour(DARK.value_table, (5 / 9 + 1) / 2)
    view._controls.gain_slider.setValue(4)
    assert colour_at(view, cell) == table_colour(DARK.value_table, 1.0)
    view._controls.gain_slider.setValue(0)
    network = Network(
        (1, 9, 9),
        (Conv2D(2, 3, mean=True), ReLU(), MaxPool2D(9), Flatten(), Votes(((0,), (1,)))),
        classes=("X", "O"),
    )
    weights = {
        "conv2d-1.weight": np.stack([np.ones((1, 3, 3)), np.full((1, 3, 3), 0.1)]).astype(np.float32),
        "conv2d-1.bias": np.zeros(2, np.float32),
    }
    view.set_snapshot(snapshot(read(Model("two", network, weights), np.ones((9, 9), np.float32))))
    weak = CellRef(1, 1, 3, 3)
    assert colour_at(view, weak) == table_colour(DARK.value_table, (0.1 + 1) / 2)
    buttons = view._controls._buttons
    QTest.mouseClick(buttons.button(2), Qt.MouseButton.LeftButton)
    assert view._controls.mode == "map"
    assert colour_at(view, weak) == table_colour(DARK.value_table, 1.0)
    QTest.mouseClick(buttons.button(1), Qt.MouseButton.LeftButton)
    assert colour_at(view, weak) == table_colour(DARK.value_table, (0.1 + 1) / 2)


# --- folding, scrolling, accessibility


def test_a_click_on_a_header_folds_and_unfolds(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))))
    alone = column(view, 5)
    assert alone.display.title == "ReLU"
    assert not alone.display.signed
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(int(alone.x) + 5, int(alone.y) - 48))
    folded = column(view, 5)
    assert folded.display.title == "Features + ReLU"
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(int(folded.x) + 5, int(folded.y) - 48))
    assert column(view, 5).display.title == "ReLU"


def test_f_unfolds_the_hovered_column(view: NetworkView) -> None:
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))))
    view.set_selection(Selection(CellRef(4, 0, 2, 2)))
    QTest.keyClick(view, Qt.Key.Key_F)
    assert column(view, 5).display.title == "ReLU"


def test_what_does_not_fit_scrolls_and_keys_follow(view: NetworkView) -> None:
    view.resize(460, 400)
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))))
    assert view._bar.isVisible()
    last = column(view, 10)
    for _ in range(30):
        QTest.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert view._hovered is not None
    assert view._hovered.layer == 10
    assert last.right - view._bar.value() <= view.width()
    view.resize(1000, 690)
    assert not view._bar.isVisible()
    assert view._bar.value() == 0


def test_votes_stay_in_view_while_the_columns_before_them_scroll(view: NetworkView) -> None:
    view.resize(700, 320)
    view.set_snapshot(snapshot(read(TWO_STAGE_MODEL, np.ones((32, 32), np.float32))))
    bar, last = view._bar, len(TWO_STAGE_MODEL.network.layers)
    pictures = []
    for scrolled in (0, bar.maximum() // 2, bar.maximum()):
        bar.setValue(scrolled)
        votes = column(view, last)
        left = votes.x - scrolled
        assert (left >= 0, votes.right - scrolled) == (True, pytest.approx(684, abs=1))
        point = QPoint(round(left) + 6, round(votes.tile(1).centre[1]))
        QTest.mouseMove(view, point)
        assert view._hovered == CellRef(last, 1), "what lies under the votes is not what is pointed at"
        QTest.mouseMove(view, QPoint(2, 2))
        pictures.append(image(view).copy(round(left) - 8, 30, round(votes.width) + 8, view.height() - 70))
    assert bar.maximum() > 0
    assert pictures[0] == pictures[1] == pictures[2], "and nothing is painted over them"
    for layer in (1, 6):
        view.set_selection(Selection(None, CellRef(layer, 0, 1, 1)))
        shown = column(view, layer)
        assert shown.right - bar.value() <= column(view, last).x - bar.value() or shown.x - bar.value() < 20
    view.set_selection(Selection(None, None))
    view.resize(300, 320)
    assert column(view, last).right > 300, "where they would take most of the room, they scroll"


def test_a_screen_reader_gets_the_prediction(view: NetworkView, qtbot: QtBot) -> None:
    assert view.accessibleName() == "Network"
    view.set_snapshot(snapshot(read(ARTICLE)))
    assert view.accessibleDescription() == "walk-through predicts X, 100 %"
    view.set_snapshot(snapshot(read(ARTICLE, -np.ones((9, 9), np.float32))))
    qtbot.waitUntil(lambda: "unsure" in view.accessibleDescription(), timeout=2000)


def test_every_control_has_a_name_and_the_keyboard_reaches_it(view: NetworkView) -> None:
    buttons, slider = view._controls._buttons.buttons(), view._controls.gain_slider
    for control in (*buttons, slider):
        assert isinstance(control, QWidget)
        assert control.accessibleName()
        assert control.toolTip()
    # One Tab stop for the three; the arrow keys choose among them.
    assert buttons[0].focusPolicy() & Qt.FocusPolicy.TabFocus
    assert slider.focusPolicy() & Qt.FocusPolicy.TabFocus
    changes: list[bool] = []
    view._controls.changed.connect(lambda: changes.append(True))
    buttons[0].setFocus()
    QTest.keyClick(buttons[0], Qt.Key.Key_Right)
    assert view._controls.mode == "layer"
    assert changes == [True]
