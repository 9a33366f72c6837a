"""The layer search: what text matches, and keyboard navigation in the real window."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from engine.documents import DEFAULT, save_model
from engine.nn import Model, Network
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, Layer, ReLU
from tests.xo_gui.conftest import Hand
from xo_gui.views.network import StripLayout, layer_names
from xo_gui.views.network.toolbar import LayerSearch, find_layers, layer_entries
from xo_gui.window import MainWindow

BLOCK: tuple[Layer, ...] = (Conv2D(2, 1), BatchNorm2D(), ReLU(), Dropout(0.1))
DEEP = Network((1, 4, 4), (*BLOCK * 40, Flatten(), Dense(2)), classes=("X", "O"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu 7", ["ReLU 7", "ReLU 2"]),  # which is layer 7
        ("RELU", [f"ReLU {at}" for at in range(1, 41)]),
        ("conv2d 40", ["Features 40"]),
        ("batchnorm 3", ["Batch norm 3"]),
        ("17", ["Features 5", "Features 17", "Batch norm 17", "ReLU 17", "Dropout 17"]),
        ("votes", ["Votes"]),
        ("inp", ["Input"]),
        ("pool", []),
        ("  ", []),
    ],
)
def test_text_matches_layers_by_name_kind_and_number(text: str, expected: list[str]) -> None:
    names = layer_names(DEEP)
    assert [names[layer] for layer in find_layers(layer_entries(DEEP), text)] == expected


def test_a_layer_without_a_column_is_not_found() -> None:
    assert find_layers(layer_entries(DEFAULT.network), "flatten") == []


@pytest.fixture
def deep(open_window, tmp_path: Path) -> MainWindow:
    path = tmp_path / "deep.safetensors"
    save_model(path, Model("deep", DEEP, DEEP.initial_parameters(1)))
    return open_window(str(path))


def line(window: MainWindow) -> LayerSearch:
    found = window.network_view.findChild(LayerSearch)
    assert found is not None
    return found


def strip(window: MainWindow) -> StripLayout:
    found = window.network_view._strips[0].layout
    assert found is not None
    return found


def search(window: MainWindow, text: str) -> None:
    action = next(one for one in window.findChildren(QAction) if one.shortcut() == QKeySequence("Ctrl+F"))
    action.trigger()
    QApplication.processEvents()
    assert line(window).line.hasFocus()
    QTest.keyClicks(line(window).line, text)


def shown(window: MainWindow) -> tuple[int, str]:
    """The matched layer, which must be visible in a column of its own, and the text of the count."""
    layer = line(window).match
    assert layer is not None
    view = window.network_view
    column = strip(window).column_of(layer)
    assert column is not None
    assert column.display.layer == layer, "unfolded"
    left = column.x - view._bar.value()
    assert 0 <= left < left + column.width <= view.width(), "scrolled into view"
    return layer, line(window).count_label.text()


def test_enter_goes_to_the_next_match_and_shift_enter_back(deep: MainWindow, qtbot) -> None:
    search(deep, "relu")
    assert shown(deep) == (3, "1 of 40")
    for _ in range(20):
        QTest.keyClick(line(deep).line, Qt.Key.Key_Return)
    assert shown(deep) == (83, "21 of 40")
    QTest.keyClick(line(deep).line, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert shown(deep) == (79, "20 of 40")
    assert strip(deep).column_of(80).display.layer == 79, "Dropout stays folded"
    assert "ReLU 20, layer 79 of 162; match 20 of 40" in line(deep).line.accessibleDescription()
    for _ in range(20):
        QTest.keyClick(line(deep).line, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert shown(deep) == (159, "40 of 40"), "the matches wrap around"
    # Only the maps that became visible are requested and sent.
    qtbot.waitUntil(lambda: deep.last.predictions[0].activations.has(159), timeout=10_000)
    assert not deep.last.predictions[0].activations.has(20)


def test_no_match_is_reported_and_esc_returns_the_focus(deep: MainWindow) -> None:
    search(deep, "pool")
    assert line(deep).count_label.text() == "none"
    assert line(deep).match is None
    assert deep.network_view._fold_state.fold_choices == {}, "earlier matches are folded again"
    QTest.keyClick(line(deep).line, Qt.Key.Key_Escape)
    assert line(deep).isHidden()
    assert deep.network_view.hasFocus()
    assert deep.network_view._controls.isVisible()


def test_a_stroke_sends_only_visible_maps_and_expanding_requests_more(deep: MainWindow, qtbot) -> None:
    hand, view = Hand(deep, qtbot), deep.network_view
    hand.press((0.2, 0.5))
    hand.move((0.6, 0.5))
    qtbot.waitUntil(lambda: not deep.last.settled, timeout=10_000)
    carried = deep.last.predictions[0].activations.available
    assert set(carried) == set(view._strips[0].visible_maps()), "the rest is collapsed, and stays in the engine"
    group = next(one for one in strip(deep).columns if one.display.kind == "group")
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPointF(*group.tile(0).centre).toPoint())
    seen = set(view._strips[0].visible_maps())
    assert seen - set(carried)
    view.grab()  # before they come, their tiles are empty
    qtbot.waitUntil(lambda: set(deep.last.predictions[0].activations.available) >= seen, timeout=10_000)
    view.grab()
    assert seen <= set(view._strips[0]._atlases) | {len(DEEP.layers)}
    QTest.mouseRelease(hand.canvas, Qt.MouseButton.LeftButton, pos=hand.at((0.6, 0.5)))
