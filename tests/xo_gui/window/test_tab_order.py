"""The Tab key: it stops at all that is visible and at nothing else, in visual order, both ways, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDockWidget, QScrollArea, QTabBar, QWidget

from tests.xo_gui.conftest import Hand
from xo_gui.views.compare import CompareView
from xo_gui.views.step import StepView
from xo_gui.window import MainWindow

MAX_STOPS = 400


def walk(window: MainWindow, key: Qt.Key) -> list[QWidget]:
    """The stops from the canvas until it has the focus again."""
    window.activateWindow()
    QApplication.processEvents()
    start = window.drawing_view.canvas
    start.setFocus()
    QApplication.processEvents()
    stops: list[QWidget] = []
    for _ in range(MAX_STOPS):
        focused = QApplication.focusWidget()
        assert focused is not None
        if focused is start and stops:
            return stops
        assert focused not in stops, f"{focused!r} again after {len(stops)} stops, before all were reached"
        stops.append(focused)
        QTest.keyClick(focused, key)
        QApplication.processEvents()
    pytest.fail("Tab never comes back to where it began")


def scrolled(widget: QWidget) -> bool:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    return parent is not None and not parent.visibleRegion().isEmpty()


def visible_controls(window: MainWindow) -> set[QWidget]:
    """What can be seen, or scrolled to, and takes the focus."""
    return {
        widget
        for widget in window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
        and widget.isEnabled()
        and widget.isVisible()
        and not widget.size().isEmpty()
        and (not widget.visibleRegion().isEmpty() or scrolled(widget))
    }


def close_some(window: MainWindow) -> None:
    for dock in window.panels.all[::2]:
        dock.hide()
    window.panels.all[0].show()


def float_some(window: MainWindow) -> None:
    for dock in window.panels.all[3:5]:
        dock.setFloating(True)


def tab_all(window: MainWindow) -> None:
    first, *others = (dock for dock in window.panels.all[1:] if dock.objectName() != "drawing")
    for dock in others:
        window.tabifyDockWidget(first, dock)


LAYOUTS: dict[str, Callable[[MainWindow], None]] = {
    "first": lambda window: None,
    "closed": close_some,
    "floating": float_some,
    "tabbed": tab_all,
    "compare": lambda window: window.central_tabs.show_view(CompareView),
    "step": lambda window: window.central_tabs.show_view(StepView),
    "all docks": lambda window: [dock.show() for dock in window.panels.all] and None,
}


def test_tab_stops_at_all_that_is_visible_and_at_nothing_else(hand: Hand) -> None:
    window = hand.window
    for name, change in LAYOUTS.items():
        window.reset_layout()
        QApplication.processEvents()
        change(window)
        QApplication.processEvents()
        hand.qtbot.wait(20)
        forward = walk(window, Qt.Key.Key_Tab)
        assert set(forward) == visible_controls(window), name
        assert forward[1:] == walk(window, Qt.Key.Key_Backtab)[:0:-1], name


def test_other_tabs_of_a_group_are_reached_once_they_are_shown(hand: Hand) -> None:
    window = hand.window
    for dock in window.panels.all[2::2]:
        dock.show()
        dock.raise_()
        QApplication.processEvents()
        stops = set(walk(window, Qt.Key.Key_Tab))
        # Afterwards, because Qt leaves one stop of a group of exclusive buttons; arrow keys reach the others.
        shown = {widget for widget in visible_controls(window) if dock.isAncestorOf(widget)}
        assert shown <= stops, dock.objectName()


def test_within_a_panel_tab_goes_line_by_line_and_tabs_come_before_their_page(hand: Hand) -> None:
    window = hand.window
    for dock in window.panels.all:
        dock.show()
    QApplication.processEvents()
    stops = walk(window, Qt.Key.Key_Tab)
    panel_of = {stop: next((dock for dock in window.panels.all if dock.isAncestorOf(stop)), None) for stop in stops}
    for before, after in pairwise(stops):
        dock = panel_of[before]
        if isinstance(dock, QDockWidget) and panel_of[after] is dock:
            one, other = (stop.mapTo(dock, QPoint(0, 0)) for stop in (before, after))
            assert one.y() <= other.y() or one.x() < other.x(), (before.accessibleName(), after.accessibleName())
    for at, stop in enumerate(stops):
        if isinstance(stop, QTabBar) and (dock := panel_of[stop]) is not None:
            page = [other for other in stops if panel_of[other] is dock and other is not stop]
            assert all(stops.index(other) > at for other in page if other.parentWidget() is not dock)
