"""Networks of any size in the strip: pages of many maps, collapsed runs of layers, and navigation to each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.backends import choose_backend
from engine.nn import Model, Network, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU
from tests.xo_gui.lone_view import exposed
from tests.xo_gui.views.network.test_network_view import image, snapshot
from xo_gui.app import DARK
from xo_gui.state import CellRef, Selection
from xo_gui.views.network import HEADER_SPACE, ColumnLayout, NetworkView, StripLayout
from xo_gui.views.network.folding import pager_boxes
from xo_gui.views.network.map_zoom import MIN_NUMBER_SIDE, MapZoom
from xo_gui.widgets import cell_text

BLOCK: tuple[Layer, ...] = (Conv2D(2, 3, padding="same"), ReLU(), MaxPool2D(1, 1))
MANY = Network(
    (1, 12, 12), (Conv2D(512, 3), ReLU(), MaxPool2D(2), Conv2D(300, 1), Flatten(), Dense(2)), classes=("X", "O")
)
DEEP = Network((1, 6, 6), (*BLOCK * 60, Flatten(), Dense(2)), classes=("X", "O"))


def opened(qtbot: QtBot, network: Network) -> NetworkView:
    view = exposed(qtbot, 960, 400)
    reader = Predictor(Model("large", network, network.initial_parameters(1)), choose_backend("cpu"))
    picture = np.random.default_rng(1).uniform(-1, 1, network.input_shape[1:]).astype(np.float32)
    view.set_snapshot(snapshot(reader.predict(picture)))
    image(view)
    return view


@pytest.fixture
def many(qtbot: QtBot) -> NetworkView:
    return opened(qtbot, MANY)


@pytest.fixture
def deep(qtbot: QtBot) -> NetworkView:
    return opened(qtbot, DEEP)


def strip(view: NetworkView) -> StripLayout:
    found = view._strips[0].layout
    assert found is not None
    return found


def column(view: NetworkView, layer: int) -> ColumnLayout:
    found = strip(view).column_of(layer)
    assert found is not None
    return found


def click(view: NetworkView, centre: tuple[float, float]) -> None:
    at = QPoint(round(centre[0] - view._bar.value()), round(centre[1]))
    assert view.rect().contains(at), "it is in view"
    QTest.mouseMove(view, at)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)


def turn(view: NetworkView, layer: int, way: Any) -> None:
    click(view, pager_boxes(column(view, layer), column(view, layer).y - HEADER_SPACE)[way].centre)


def pinned(view: NetworkView) -> list[CellRef]:
    held: list[CellRef] = []
    view.pinned.connect(held.append)
    return held


def test_a_page_says_which_maps_it_shows_and_the_next_shows_others(many: NetworkView) -> None:
    first, held = column(many, 1).maps, pinned(many)
    assert column(many, 1).display.pager[:2] == (f"1–{first.stop}", "of 512")
    turn(many, 1, "on")
    second = column(many, 1).maps
    assert second.start == first.stop
    assert column(many, 3).maps == second, "the pool turns with its features"
    click(many, column(many, 3).tile(second.start + 1).centre)
    assert (held[-1].layer, held[-1].channel) == (3, second.start + 1)
    turn(many, 1, "back")
    assert column(many, 1).maps == first


def test_the_map_painted_on_a_page_is_that_page_s(many: NetworkView) -> None:
    turn(many, 3, "on")
    painted, pool = image(many), column(many, 3)
    levels = float(many._strips[0].limits(pool)[0])
    for channel in (pool.maps.start, pool.maps.stop - 1):
        value = float(many._strips[0].prediction.activations[3][channel, 2, 2])
        place = pool.tile(channel).sub_box(pool.cells, range(2, 3), range(2, 3)).centre
        colour = DARK.value_table[round(127 + 127 * min(max(value / levels, -1), 1))]
        seen = painted.pixelColor(QPointF(*place).toPoint())
        assert abs(seen.green() - ((int(colour) >> 8) & 255)) <= 3


def test_page_keys_turn_the_page_of_the_column_looked_at(many: NetworkView) -> None:
    click(many, column(many, 1).tile(2).centre)
    size = len(column(many, 1).maps)
    QTest.keyClick(many, Qt.Key.Key_PageDown)
    assert column(many, 1).maps.start == size
    assert many._hovered is not None
    assert many._hovered.channel == size + 2
    for _ in range(40):
        QTest.keyClick(many, Qt.Key.Key_PageDown)
    assert column(many, 1).maps.stop == 512, "by keys to the last map"
    QTest.keyClick(many, Qt.Key.Key_PageUp)
    assert column(many, 1).maps.stop < 512


def test_all_maps_at_once_are_one_click_away_and_back(many: NetworkView) -> None:
    turn(many, 1, "all")
    assert column(many, 1).maps == range(512)
    many._bar.setValue(many._bar.maximum() // 2)
    assert 1 in many._strips[0].visible_maps()
    image(many)
    turn_back = pager_boxes(column(many, 1), column(many, 1).y - HEADER_SPACE)["all"]
    many._bar.setValue(round(turn_back.x) - 20)
    click(many, turn_back.centre)
    assert column(many, 1).is_paged


def test_only_what_is_in_view_is_said_to_be_in_view(many: NetworkView) -> None:
    said: list[Any] = []
    many.visible_maps_changed.connect(said.append)
    turn(many, 1, "on")
    ((network, maps),) = said[-1]
    assert network is MANY
    assert maps[1] == column(many, 1).maps
    assert 2 not in maps, "the ReLU shares the features' column, and is not what is shown"
    many.hide()
    assert said[-1] == ((MANY, {}),), "nothing is in view of a view that is not"


def test_a_gathered_run_opens_by_a_click_and_closes(deep: NetworkView) -> None:
    groups = [one for one in strip(deep).columns if one.display.kind == "group"]
    assert strip(deep).width <= deep.width(), "all of it is seen at once"
    assert deep._controls.overview_button.isHidden()
    image(deep)
    middle = groups[3]
    click(deep, middle.tile(0).centre)
    while strip(deep).column_of(middle.display.layer) is None:
        click(deep, strip(deep).column_starting_at(middle.display.layer).tile(0).centre)
    image(deep)
    assert not deep._controls.overview_button.isHidden()
    QTest.mouseClick(deep._controls.overview_button, Qt.MouseButton.LeftButton)
    assert strip(deep).column_of(middle.display.layer) is None


def test_arrow_keys_walk_through_all_layers_gathered_or_not(deep: NetworkView) -> None:
    click(deep, column(deep, 1).tile(0).centre)
    seen = set()
    for _ in range(140):
        QTest.keyClick(deep, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
        assert deep._hovered is not None
        seen.update(column(deep, deep._hovered.layer).display.layers)
        assert deep._hovered.layer in deep._strips[0].visible_maps(), "it is scrolled to"
    assert seen == set(range(3, len(DEEP.shapes))) - {181}


def test_what_is_held_elsewhere_is_opened_and_turned_to(deep: NetworkView, many: NetworkView) -> None:
    deep.set_selection(Selection(pinned=CellRef(100, 1, 2, 2)))
    assert strip(deep).column_of(100) is not None
    many.set_selection(Selection(pinned=CellRef(3, 400, 1, 1)))
    assert 400 in column(many, 3).maps


# --- one map, large


def large(view: NetworkView, cell: CellRef) -> MapZoom:
    """Opened by Shift and a double click on a value."""
    one = column(view, cell.layer)
    rows, cols = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
    centre = one.tile(cell.channel).sub_box(one.cells, rows, cols).centre
    click(view, centre)
    QTest.mouseDClick(
        view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, pos=QPointF(*centre).toPoint()
    )
    found = view.findChild(MapZoom)
    assert found is not None
    assert found.isVisible()
    return found


def test_shift_and_a_double_click_open_a_map_large_and_esc_puts_it_away(many: NetworkView) -> None:
    shown, held = large(many, CellRef(1, 5, 4, 6)), pinned(many)
    assert shown.title() == "Features 1 · map 6 of 512"
    values, end = many._strips[0].prediction.activations[1], float(many._strips[0].limits(column(many, 1))[0])
    painted = shown.grab().toImage()
    for row, col in ((0, 0), (9, 9), (4, 2)):
        place = shown._box(row, col).center().toPoint() + QPoint(0, round(shown._box(row, col).height() / 2) - 2)
        share = min(max(float(values[5, row, col]) / end, -1), 1)
        colour = int(DARK.value_table[round(127 + 127 * share)])
        assert abs(painted.pixelColor(place).green() - (colour >> 8 & 255)) <= 3, "in the strip's own colours"
    QTest.mouseMove(shown, shown._box(9, 3).center().toPoint())
    assert many._hovered == CellRef(1, 5, 9, 3)
    QTest.mouseClick(shown, Qt.MouseButton.LeftButton, pos=shown._box(9, 3).center().toPoint())
    assert held[-1] == CellRef(1, 5, 9, 3)
    QTest.keyClick(shown, Qt.Key.Key_Escape)
    assert shown.isHidden()
    assert many.hasFocus()


def test_a_large_map_has_its_numbers_in_its_cells(many: NetworkView, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = large(many, CellRef(1, 5, 4, 6))
    written: list[str] = []
    monkeypatch.setattr(
        "xo_gui.views.network.map_zoom.cell_text", lambda value: written.append(cell_text(value)) or ""
    )
    while shown._side < MIN_NUMBER_SIDE:
        QTest.keyClick(shown, Qt.Key.Key_Plus)
    shown.grab()
    middle = many._strips[0].prediction.activations[1][5, 4, 6]
    assert cell_text(float(middle)) in written
    assert len(written) <= 100


def test_keys_go_to_other_maps_and_the_strip_follows(many: NetworkView) -> None:
    size = len(column(many, 1).maps)
    shown = large(many, CellRef(1, size - 1, 4, 6))
    QTest.keyClick(shown, Qt.Key.Key_PageDown)
    QTest.keyClick(shown, Qt.Key.Key_Down)
    assert many._hovered == CellRef(1, size, 5, 6)
    assert size in column(many, 1).maps, "the page that is brought along is turned to"
    for _ in range(600):
        QTest.keyClick(shown, Qt.Key.Key_Up)
    assert many._hovered == CellRef(1, size, 0, 6), "it ends at the edge"


def test_a_large_map_follows_the_drawing_and_ends_with_its_network(many: NetworkView) -> None:
    shown = large(many, CellRef(1, 5, 4, 6))
    before = shown.grab().toImage()
    reader = Predictor(Model("large", MANY, MANY.initial_parameters(1)), choose_backend("cpu"))
    many.set_snapshot(snapshot(reader.predict(np.ones((12, 12), np.float32))))
    assert shown.grab().toImage() != before
    other = Predictor(Model("deep", DEEP, DEEP.initial_parameters(1)), choose_backend("cpu"))
    many.set_snapshot(snapshot(other.predict(np.ones((6, 6), np.float32)), generation=2))
    assert shown.isHidden()
    image(many)


def test_a_double_click_on_a_header_opens_no_map(many: NetworkView) -> None:
    many.set_selection(Selection(pinned=CellRef(1, 3, 2, 2)))
    sign = QPointF(*pager_boxes(column(many, 1), column(many, 1).y - HEADER_SPACE)["on"].centre).toPoint()
    click(many, (sign.x(), sign.y()))
    QTest.mouseDClick(many, Qt.MouseButton.LeftButton, pos=sign)
    assert many.findChild(MapZoom).isHidden()
    assert column(many, 1).maps.start == 2 * len(column(many, 1).maps), "it turned two pages"
