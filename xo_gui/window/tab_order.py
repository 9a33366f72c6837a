"""The Tab chain: what is visible, in visual order, over the main window and its floating panels.

Qt keeps its own chain in the order in which widgets were created, and in it the panels behind other tabs, which it
does not hide but moves away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QScrollArea, QTabBar, QWidget

_AREAS = (
    Qt.DockWidgetArea.LeftDockWidgetArea,
    Qt.DockWidgetArea.TopDockWidgetArea,
    Qt.DockWidgetArea.NoDockWidgetArea,  # the central widget
    Qt.DockWidgetArea.RightDockWidgetArea,
    Qt.DockWidgetArea.BottomDockWidgetArea,
)
_FLOATING = len(_AREAS)


def tab_stops(window: QMainWindow) -> list[QWidget]:
    """Every widget that Tab stops at, in order: the menu bar's buttons; the left column; the middle; right; bottom;
    floating panels."""
    stops = list(_stops_in(window.menuBar()))
    central = window.centralWidget()
    parts: list[tuple[tuple[int, int, int], list[QWidget]]] = []
    if central is not None:
        parts.append(((2, 0, 0), [central]))
    bars = window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly)
    for dock in window.findChildren(QDockWidget):
        if dock.isVisible() and not dock.visibleRegion().isEmpty():
            bar = None if dock.isFloating() else _bar_above(dock, bars)
            area = _FLOATING if dock.isFloating() else _AREAS.index(window.dockWidgetArea(dock))
            parts.append(((area, dock.y(), dock.x()), [dock] if bar is None else [bar, dock]))
    for _, widgets in sorted(parts, key=lambda part: part[0]):
        for widget in widgets:
            stops += _stops_in(widget)
    return stops


def move_focus(window: QMainWindow, forward: bool) -> bool:
    """Give the focus to the next stop, or to the previous one; False if there is none."""
    stops, current = tab_stops(window), QApplication.focusWidget()
    if not stops:
        return False
    before_first = -1 if forward else 0
    at = stops.index(current) if current in stops else before_first
    target = stops[(at + (1 if forward else -1)) % len(stops)]
    if not target.window().isActiveWindow():
        target.activateWindow()
    target.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    _scroll_to(target)
    return True


def _bar_above(dock: QDockWidget, bars: Iterable[QTabBar]) -> QTabBar | None:
    """The tabs of a dock that shares its place with others."""
    for bar in bars:
        below = bar.geometry().translated(0, bar.height())
        if bar.isVisible() and below.topLeft() == dock.geometry().topLeft():
            return bar
    return None


def _stops_in(part: QWidget) -> Iterator[QWidget]:
    """The stops of a part of the window, line by line."""
    stops = [widget for widget in (part, *part.findChildren(QWidget)) if _is_stop(widget, part)]
    boxes = {id(widget): QRect(widget.mapTo(part, QPoint(0, 0)), widget.size()) for widget in stops}
    while stops:
        first = min(stops, key=lambda widget: (boxes[id(widget)].top(), boxes[id(widget)].left()))
        middle = boxes[id(first)].center().y()
        # A line is what the middle of its highest widget crosses; a tall widget may reach into the next one.
        line = [one for one in stops if boxes[id(one)].top() <= middle]
        yield from sorted(line, key=lambda widget: boxes[id(widget)].left())
        stops = [one for one in stops if one not in line]


def _is_stop(widget: QWidget, part: QWidget) -> bool:
    return bool(
        widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isEnabled()
        and widget.focusProxy() is None
        and widget.window() is part.window()
        and (widget is part or widget.isVisibleTo(part))
        and not widget.size().isEmpty()
    )


def _scroll_to(widget: QWidget) -> None:
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()
