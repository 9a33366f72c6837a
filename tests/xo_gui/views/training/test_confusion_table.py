"""The confusion table: keys, mouse, what a screen reader says, and many classes in little room."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy, QTest
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from xo_gui.app import current_theme
from xo_gui.views.training.confusion_table import ConfusionTable

COUNTS = np.array([[7, 3], [2, 12345], [5, 0]])
KEYS = Qt.Key


@pytest.fixture
def table(qtbot: QtBot) -> Iterator[ConfusionTable]:
    window = QWidget()
    qtbot.addWidget(window)
    found = ConfusionTable(window)
    QVBoxLayout(window).addWidget(found)
    window.resize(320, 190)
    found.show_counts(("X", "O"), COUNTS)
    window.show()
    qtbot.waitExposed(window)
    yield found
    window.close()


def click(table: ConfusionTable, row: int, column: int) -> None:
    place = table.visualRect(table.model().index(row, column)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_arrow_keys_move_between_cells_and_esc_deselects(table: ConfusionTable) -> None:
    changed, cells = QSignalSpy(table.selection_changed), []
    for key in (KEYS.Key_Space, KEYS.Key_Down, KEYS.Key_Right, KEYS.Key_Right, KEYS.Key_Down, KEYS.Key_Escape):
        QTest.keyClick(table, key)
        cells.append(table.cell)
    assert cells == [(0, 0), (1, 0), (1, 1), (1, 1), (2, 1), None]
    assert changed.count() == 5
    QTest.keyClick(table, KEYS.Key_Up)
    assert table.cell == (1, 1), "it goes on from where it was"


def test_a_second_click_on_a_cell_deselects_it(table: ConfusionTable) -> None:
    found = []
    for cell in ((0, 1), (0, 1), (0, 1), (1, 0)):
        click(table, *cell)
        found.append(table.cell)
    assert found == [(0, 1), None, (0, 1), (1, 0)]


def test_a_screen_reader_says_what_a_number_counts(table: ConfusionTable) -> None:
    found = QAccessible.queryAccessibleInterface(table)
    assert found.text(QAccessible.Text.Name) == "Confusion matrix"
    said = [found.child(at).text(QAccessible.Text.Name) for at in range(found.childCount())]
    assert {"X predicted as O: 3", "neither predicted as X: 5"} < set(said)
    assert {"predicted X", "true X", "true neither"} < set(said)


def test_a_cell_stays_selected_while_the_counts_change_and_not_with_other_classes(table: ConfusionTable) -> None:
    tester = QAbstractItemModelTester(table.model(), QAbstractItemModelTester.FailureReportingMode.Fatal)
    click(table, 1, 0)
    table.show_counts(("X", "O"), COUNTS + 1)
    assert (table.cell, table.model().index(1, 0).data()) == ((1, 0), "3")
    table.show_counts(("cross", "circle"), COUNTS)
    assert table.cell is None
    click(table, 1, 0)
    table.show_counts(("cross", "circle"), None)
    assert table.cell is None
    click(table, 1, 0)
    assert table.cell is None, "there is nothing to see yet"
    table.show_counts(("cross", "circle"), COUNTS)
    assert table.cell is None, "what was selected is forgotten"
    table.show_counts((), None)
    assert table.model().rowCount() == 0
    tester.deleteLater()


def test_the_headings_of_many_classes_stay_in_view_and_large_counts_have_room(table: ConfusionTable) -> None:
    names = ("a class of a long, long name", *(f"class {at}" for at in range(1, 20)))
    counts = np.arange(21 * 20).reshape(21, 20) * 300
    whole = table.sizeHint()
    assert table.minimumSizeHint() == whole, "two classes are always whole"
    table.show_counts(names, counts)
    assert table.sizeHint().width() > 20 * 36
    assert table.minimumSizeHint().width() < 400
    table.scrollToBottom()
    table.setCurrentIndex(table.model().index(20, 19))
    view = table.viewport()
    cell = table.visualRect(table.model().index(20, 19))
    assert view.rect().contains(cell)
    assert table.fontMetrics().horizontalAdvance("125700") < cell.width()
    header = table.horizontalHeader()
    assert header.isVisible()
    assert QRect(QPoint(0, 0), header.size()).contains(QPoint(header.sectionViewportPosition(19), 5))
    tip = table.model().headerData(0, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert tip == names[0], "a name that is cut is in the tooltip"


def test_headings_have_the_colours_of_their_classes_and_mistakes_stand_out(table: ConfusionTable) -> None:
    model = table.model()
    colours = [
        model.headerData(at, Qt.Orientation.Vertical, Qt.ItemDataRole.ForegroundRole).name() for at in range(3)
    ]
    theme = current_theme()
    assert colours == [theme.class_colour(0), theme.class_colour(1), theme.secondary_text]
    mistakes = [
        (row, column) for row in range(3) for column in range(2) if model.is_mistake(model.index(row, column))
    ]
    assert mistakes == [(0, 1), (1, 0)]
