"""The layout of the panels, in the smallest window and in that of the first start."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea
from pytestqt.qtbot import QtBot

from engine.installation import asset_path
from tests.conftest import Effort
from tests.xo_gui.conftest import OpenWindow
from xo_gui.app import TABS_HEIGHT, current_theme
from xo_gui.app.theme import style_sheet
from xo_gui.views import View
from xo_gui.views.data import DataView
from xo_gui.views.training import LayerStatisticsView, TrainingView
from xo_gui.window.docks import CentralTabs, ScrolledPanelFrame
from xo_gui.window.main_window import MIN_SIZE

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("drawing", [(), ("--drawing", str(asset_path("samples/x.png")))])
def test_in_the_smallest_window_no_panels_overlap_and_tab_scrolls_to_the_focus(
    open_window: OpenWindow, drawing: tuple[str, ...]
) -> None:
    window = open_window("--preset", "default", "--size", "{}x{}".format(*MIN_SIZE), *drawing)
    shown = {dock.objectName(): dock.geometry() for dock in window.panels.all if not dock.visibleRegion().isEmpty()}
    assert {"drawing", "votes", "training", "curves", "feature-history", "timeline"} <= set(shown)
    inside = QRect(0, 0, *MIN_SIZE)
    assert all(inside.contains(place) for place in shown.values())
    middle = window.centralWidget().geometry()
    assert not any(one.intersects(other) for one, other in combinations([middle, *shown.values()], 2))
    view = next(view for view in window.views if isinstance(view, TrainingView))
    button = view.new_seed_button
    view.seed_box.setFocus()
    QTest.keyClick(view.seed_box, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is button
    assert button.visibleRegion().boundingRect() == button.rect()


def test_in_the_first_window_no_panel_scrolls(open_window: OpenWindow) -> None:
    window = open_window("--preset", "default", "--size", "1280x800")
    frames = [dock.widget() for dock in window.panels.all if not dock.visibleRegion().isEmpty()]
    beside: list[QScrollArea] = [frame for frame in frames if isinstance(frame, ScrolledPanelFrame)]
    assert len(beside) == 5
    for frame in beside:
        assert not frame.horizontalScrollBar().isVisible()
        assert not frame.verticalScrollBar().isVisible()


def test_reset_layout_leaves_every_panel_above_the_status_bar(open_window: OpenWindow) -> None:
    window = open_window("--preset", "default", "--size", "1920x800")
    for kind in (LayerStatisticsView, DataView):
        window.panels.show_panel(kind)
        QTest.qWait(20)
        window.reset_layout()
        QTest.qWait(20)
        shown = [dock for dock in window.panels.all if not dock.visibleRegion().isEmpty()]
        assert max(dock.geometry().bottom() for dock in shown) < window.statusBar().y()


def test_no_panel_freezes_at_any_size(effort: Effort) -> None:
    """Scroll bars that made each other come and go froze the window for ever, at a few sizes of a few panels."""
    command = [sys.executable, "-m", "tests.xo_gui.window.panel_sizes", str(effort(7, 1))]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = result.stdout.splitlines()[-1]
    assert last == "done", f"frozen at {last}:\n{result.stderr}"


def test_the_central_tabs_are_beside_the_controls_where_both_have_room_and_above_them_elsewhere(
    qtbot: QtBot,
) -> None:
    class Page(View):
        title = "Page"

        def top_row_width(self) -> int:
            return 300

    tabs = CentralTabs(None)
    qtbot.addWidget(tabs)
    tabs.setStyleSheet(style_sheet(current_theme()))
    page = Page()
    tabs.add(page)
    tabs.resize(600, 300)
    tabs.show()
    qtbot.waitUntil(lambda: page.mapTo(tabs, QPoint()).y() == 0)
    assert page.size() == tabs.size()
    assert tabs.tabBar().geometry().right() < 300, "clicks beside the tabs are for the page"
    assert tabs.childAt(450, 10) is page
    tabs.resize(320, 300)
    qtbot.waitUntil(lambda: page.mapTo(tabs, QPoint()).y() == TABS_HEIGHT)
    assert page.geometry().height() == 300 - TABS_HEIGHT
    tabs.resize(600, 300)
    qtbot.waitUntil(lambda: page.mapTo(tabs, QPoint()).y() == 0)
    tabs.set_tabs_visible(False)
    qtbot.waitUntil(lambda: page.size() == tabs.size())
    assert page.mapTo(tabs, QPoint()).y() == 0
