"""Thumbnails: keys, mouse, what a screen reader says, and what a change costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QAccessible, QContextMenuEvent, QKeyEvent
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from xo_gui.app import theme_service
from xo_gui.widgets import Thumbnail, Thumbnails, thumbnails

KEYS = Qt.Key
LEFT = Qt.MouseButton.LeftButton


def tile(label: str = "X", caption: str = "", details: str = "") -> Thumbnail:
    return Thumbnail(np.zeros((8, 8), np.float32), label, caption, details=details, class_index=0)


@pytest.fixture
def make(qtbot: QtBot) -> Callable[..., Thumbnails]:
    """Makes a list, four in a row, of so many thumbnails."""
    windows = []

    def made(count: int, **options: object) -> Thumbnails:
        window = QWidget()
        windows.append(window)
        qtbot.addWidget(window)
        wall = Thumbnails("Drawings", "Put it on the canvas", window, **options)
        QVBoxLayout(window).addWidget(wall)
        window.layout().setContentsMargins(0, 0, 0, 0)
        window.resize(4 * 45 + 22, 140)
        wall.show_tiles([tile(str(at)) for at in range(count)])
        window.show()
        qtbot.waitExposed(window)
        assert wall.columns == 4
        return wall

    return made


def keyed(wall: Thumbnails, keys: Sequence[Qt.Key]) -> list[int]:
    """Where each key leads."""
    found = []
    for key in keys:
        QTest.keyClick(wall, key)
        found.append(wall.current)
    return found


def test_arrow_keys_reach_every_drawing_and_the_list_scrolls_to_it(make: Callable[..., Thumbnails]) -> None:
    wall = make(14)
    assert keyed(wall, [KEYS.Key_Right] * 4) == [1, 2, 3, 4]
    assert keyed(wall, [KEYS.Key_Down, KEYS.Key_Right, KEYS.Key_Right, KEYS.Key_Down]) == [8, 9, 10, 13]
    assert wall.viewport().rect().contains(wall.tile_rect(13))
    assert keyed(wall, [KEYS.Key_Up, KEYS.Key_Up, KEYS.Key_Up, KEYS.Key_Up]) == [9, 5, 1, 0]
    assert keyed(wall, [KEYS.Key_End, KEYS.Key_Left, KEYS.Key_Home]) == [13, 12, 0]
    assert wall.viewport().rect().contains(wall.tile_rect(0))


def test_enter_and_space_open_the_current_one_and_letters_are_for_the_panel(
    make: Callable[..., Thumbnails],
) -> None:
    wall = make(6)
    picked, letters = QSignalSpy(wall.picked), []
    wall.key_pressed.connect(lambda event: letters.append(QKeyEvent(event).text()))
    keyed(wall, [KEYS.Key_Right, KEYS.Key_Return, KEYS.Key_Enter, KEYS.Key_Space, KEYS.Key_3])
    assert [picked.at(at)[0] for at in range(picked.count())] == [1, 1, 1]
    assert (letters, wall.current) == (["3"], 1), "typing does not search the list"


@pytest.mark.parametrize("click_selects", [False, True])
def test_a_click_opens_a_drawing_or_selects_it(make: Callable[..., Thumbnails], click_selects: bool) -> None:
    wall = make(6, click_selects=click_selects)
    picked, menus = QSignalSpy(wall.picked), QSignalSpy(wall.menu_requested)
    QTest.mouseClick(wall.viewport(), LEFT, pos=wall.tile_rect(2).center())
    assert (wall.current, picked.count()) == (2, 0 if click_selects else 1)
    QTest.mouseDClick(wall.viewport(), LEFT, pos=wall.tile_rect(2).center())
    assert picked.at(picked.count() - 1)[0] == 2
    count = picked.count()
    QTest.mouseClick(wall.viewport(), Qt.MouseButton.RightButton, pos=wall.tile_rect(4).center())
    place = wall.viewport().mapToGlobal(wall.tile_rect(4).center())
    menu = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, wall.tile_rect(4).center(), place)
    QApplication.sendEvent(wall.viewport(), menu)
    assert (wall.current, picked.count(), menus.at(0)) == (4, count, [4, place])
    empty = wall.viewport().rect().bottomRight()
    QTest.mouseClick(wall.viewport(), LEFT, pos=empty)
    assert (wall.current, picked.count()) == (4, count)


def test_a_screen_reader_says_what_each_drawing_is(make: Callable[..., Thumbnails]) -> None:
    wall = make(0)
    wall.show_tiles([tile("X", "×3", "predicted O, 91 %"), tile("O")])
    found = QAccessible.queryAccessibleInterface(wall)
    assert found.text(QAccessible.Text.Name) == "Drawings"
    assert [found.child(at).text(QAccessible.Text.Name) for at in range(found.childCount())] == [
        "X ×3, predicted O, 91 %",
        "O",
    ]
    assert found.child(0).state().selected


def test_what_stays_keeps_its_row_and_what_is_deleted_gives_way_to_the_next(
    make: Callable[..., Thumbnails],
) -> None:
    wall = make(0, click_selects=True)
    model = wall.model()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    changed: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: changed.append((first.row(), last.row())))
    tiles = [tile(str(at)) for at in range(9)]
    wall.show_tiles(tiles)
    wall.set_current(5)
    wall.show_tiles([*tiles, added := tile("new")])
    assert (wall.current, changed) == (5, [])
    wall.show_tiles([*tiles[:5], *tiles[6:], added])
    assert (wall.tiles[wall.current], changed) == (tiles[6], [])
    wall.show_tiles([*tiles[:5], other := tile("other"), *tiles[7:], added])
    assert (wall.tiles[wall.current], changed) == (other, [(5, 5)])
    wall.show_tiles(tiles[:2])
    assert (wall.current, model.rowCount(QModelIndex())) == (1, 2)
    wall.show_tiles(())
    assert wall.current == -1
    wall.show_tiles(tiles)
    assert wall.current == 0
    tester.deleteLater()


def test_of_many_drawings_only_those_on_the_screen_are_painted_and_each_once(
    make: Callable[..., Thumbnails], monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = []
    atlas = thumbnails.picture_atlas
    monkeypatch.setattr(thumbnails, "picture_atlas", lambda *a: painted.append(0) or atlas(*a))
    wall = make(400)
    wall.grab()
    assert 8 <= len(painted) <= 12
    count = len(painted)
    wall.grab()
    assert len(painted) == count
    theme_service.changed.emit()
    wall.grab()
    assert len(painted) == 2 * count


def test_a_list_without_a_scroll_bar_is_as_high_as_its_rows(make: Callable[..., Thumbnails]) -> None:
    wall = make(9, scrolls=False)
    assert wall.heightForWidth(4 * 45) == 3 * 60
    assert wall.heightForWidth(3 * 45) == 3 * 60
    assert wall.heightForWidth(9 * 45) == 60
    assert not wall.verticalScrollBar().isVisible()
