"""The stage in the real window: F5, a double click, Esc; alone with the drawing; large; live under the pen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.views.inspector.test_inspector_view import InspectorDriver
from xo_gui.state import CellRef
from xo_gui.views.compare import CompareView
from xo_gui.views.inspector import StageView
from xo_gui.views.inspector.sheet_painting import NUMBER_PX
from xo_gui.views.network import NetworkView
from xo_gui.widgets import fixed_text
from xo_gui.window import MainWindow

CELL = CellRef(1, 2, 10, 12)


@pytest.fixture
def stage(window: MainWindow, hand: Hand) -> StageView:
    window.resize(1280, 800)
    hand.draw(X_ARMS)
    hand.settle()
    return window.stage_view


def open_docks(window: MainWindow) -> list[str]:
    return sorted(dock.objectName() for dock in window.panels.all if dock.isVisible())


def value_of(window: MainWindow, cell: CellRef) -> str:
    assert window.last is not None
    output = window.last.predictions[0].activations[cell.layer]
    return fixed_text(float(output[cell.channel, cell.row, cell.column]))


def test_f5_shows_a_value_alone_and_esc_brings_everything_back(
    window: MainWindow, stage: StageView, qtbot: QtBot
) -> None:
    window.central_tabs.show_view(CompareView)
    before, layout = open_docks(window), window.panels.layout()
    QTest.keyClick(window, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: stage.value_label.text() not in ("", "?"))
    assert window.central_tabs.current_view is stage
    assert open_docks(window) == ["drawing"]
    assert not window.central_tabs.tabBar().isVisible()
    assert window.panels.layout() == layout, "what is kept for the next start is the layout before"
    pinned = window.session.selection.pinned
    assert pinned is not None
    assert stage.value_label.text() == value_of(window, pinned)
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert isinstance(window.central_tabs.current_view, CompareView)
    assert window.central_tabs.tabBar().isVisible()
    assert set(before) <= set(open_docks(window))
    assert not window.menus.actions["leave-stage"].isEnabled()


def test_a_double_click_on_a_value_shows_it_large_and_it_follows_the_pen(
    window: MainWindow, stage: StageView, hand: Hand, qtbot: QtBot
) -> None:
    driver = InspectorDriver(window, qtbot)
    place = driver.network.mapTo(window, driver.place(CELL))
    # To the window as a whole, since the first of the two clicks opens the inspector and moves the maps.
    QTest.mouseDClick(window.windowHandle(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    assert window.panels.is_on_stage
    assert window.session.selection.pinned == CELL
    qtbot.waitUntil(lambda: stage.value_label.text() == value_of(window, CELL))
    stage.grab()
    assert stage.sheet.scale * NUMBER_PX >= 24, "a number of a 5 x 5 window can be read from afar"
    before = stage.value_label.text()
    hand.draw([[(0.2, 0.22), (0.35, 0.22)]])
    hand.settle()
    assert stage.value_label.text() == value_of(window, CELL) != before
    stage.setFocus()
    QTest.keyClick(stage, Qt.Key.Key_Right)
    assert window.session.selection.pinned == CellRef(1, 2, 10, 13)
    window.leave_stage()
    window.central_tabs.show_view(NetworkView)


def test_step_reveals_the_parts_and_then_fills_the_map(window: MainWindow, stage: StageView, qtbot: QtBot) -> None:
    window.show_stage(CELL)
    qtbot.waitUntil(lambda: stage.value_label.text() not in ("", "?"))
    QTest.keyClick(stage, Qt.Key.Key_Return)
    assert window.session.selection.pinned == CellRef(1, 2, 10, 13)
    assert stage.value_label.text() == "?", "the value is not known before its arithmetic"
    for _ in range(10):
        if stage.value_label.text() != "?":
            break
        QTest.mouseClick(stage.controls.step_button, Qt.MouseButton.LeftButton)
    assert stage.value_label.text() == value_of(window, CellRef(1, 2, 10, 13))
    assert window.session.selection.pinned == CellRef(1, 2, 10, 13)
    stage.controls.speed_slider.setValue(100)
    QTest.keyClick(stage, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.session.selection.pinned == CellRef(1, 2, 47, 47), timeout=20_000)
    window.leave_stage()


def test_a_click_on_a_map_of_the_stage_leads_to_its_value(
    window: MainWindow, stage: StageView, qtbot: QtBot
) -> None:
    window.show_stage(CELL)
    qtbot.waitUntil(lambda: stage.value_label.text() not in ("", "?"))
    stage.maps.grab()
    (_, upper), (_, lower) = stage.maps._maps
    QTest.mouseClick(stage.maps, Qt.MouseButton.LeftButton, pos=lower.center().toPoint())
    pinned = window.session.selection.pinned
    assert pinned is not None
    assert (pinned.layer, pinned.channel) == (1, 2)
    assert abs(pinned.row - 24) <= 1  # the middle of the map, to the pixel
    QTest.mouseClick(stage.maps, Qt.MouseButton.LeftButton, pos=upper.center().toPoint())
    pinned = window.session.selection.pinned
    assert pinned is not None
    assert pinned.layer == 0
    assert abs(pinned.row - 24) <= 1
    window.leave_stage()
