"""The layout of the window: panels in docks around a central widget with tabs."""

from __future__ import annotations

import shiboken6
from PySide6.QtCore import QByteArray, QEvent, QMargins, QObject, QSize, Qt, QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QMenu,
    QScrollArea,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QWidget,
)

from xo_gui.app import TABS_HEIGHT, heading_font
from xo_gui.views import View
from xo_gui.window.accessible_names import name_tab_bar
from xo_gui.window.panels import Panel
from xo_gui.window.tab_order import move_focus

MARGIN, LEFT_WIDTH, LEAST_LEFT, RIGHT_WIDTH, ROW_HEIGHT = 16, 288, 272, 300, 244
# Window width from which the right docks are open at first.
WIDE_WINDOW = 1400
_MARGINS = QMargins(MARGIN, 4, MARGIN, 8)
_FIRST_SIZE = (1280, 800)
# The most that the minimum size of a panel beside others may be; one that needs more scrolls.
_MAX_MINIMUM_SIZE = QSize(196, 160)
_LEFT, _BOTTOM = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
_RIGHT = Qt.DockWidgetArea.RightDockWidgetArea


class Docks(QObject):
    """The dock widgets: every panel but the central ones, with a title or a tab of that name."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.all: list[QDockWidget] = []
        self._row: list[QDockWidget] = []  # side by side in the bottom area
        self._below: list[QDockWidget] = []  # below that row
        self._keeps_titles = False
        self._before_stage: QByteArray | None = None
        self._stray_timer = QTimer(self)
        self._stray_timer.setSingleShot(True)
        self._stray_timer.timeout.connect(self._hide_stray_tab_bars)
        window.setDockNestingEnabled(True)
        # The left area keeps its whole height, which the canvas needs.
        window.setCorner(Qt.Corner.BottomLeftCorner, _LEFT)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)

    def add(self, view: View, panel: Panel) -> None:
        """Add a dock for `view`, placed as `panel` says."""
        assert panel.area is not None
        dock = PanelDock(view.title, self._window)
        dock.setObjectName(panel.name)
        dock.setTitleBarWidget(PanelTitle(view.title))
        dock.setWidget(ScrolledPanelFrame(view) if panel.area == _BOTTOM or panel.scrolls else PanelFrame(view))
        if panel.area == _LEFT:
            dock.setMinimumWidth(LEAST_LEFT)
        if panel.tabbed_with is not None:
            self._window.addDockWidget(panel.area, dock)
            self._window.tabifyDockWidget(self.dock_of(panel.tabbed_with), dock)
            self.dock_of(panel.tabbed_with).raise_()
        elif self._row and panel.area == _BOTTOM and not panel.below:
            self._window.splitDockWidget(self._row[-1], dock, Qt.Orientation.Horizontal)
            self._row.append(dock)
        elif panel.below:
            self._window.addDockWidget(panel.area, dock, Qt.Orientation.Vertical)
            self._below.append(dock)
        else:
            self._window.addDockWidget(panel.area, dock)
            self._row += [dock] if panel.area == _BOTTOM else []
        dock.setAcceptDrops(True)
        dock.installEventFilter(self)
        dock.visibilityChanged.connect(self._update_titles)
        view.set_on_top(False)
        dock.visibilityChanged.connect(view.set_on_top)
        dock.dockLocationChanged.connect(self._update_titles)
        self.all.append(dock)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass drops on a floating panel, which is a window of its own, on to the main window."""
        if isinstance(event, QDragEnterEvent):
            self._window.dragEnterEvent(event)
        elif isinstance(event, QDropEvent) and event.type() == QEvent.Type.Drop:
            self._window.dropEvent(event)
        else:
            return super().eventFilter(watched, event)
        return True

    def apply_first_sizes(self) -> None:
        """Apply the first sizes, once all docks are added: fixed widths at the sides; the height needed at the
        bottom, and there widths in proportion to the size hints."""
        self._window.resize(*_FIRST_SIZE)
        layout = self._window.layout()
        assert layout is not None
        layout.activate()  # resizeDocks needs a layout that knows its size
        for area, width in ((_LEFT, LEFT_WIDTH), (_RIGHT, RIGHT_WIDTH)):
            docks = [dock for dock in self.all if self._window.dockWidgetArea(dock) == area]
            self._window.resizeDocks(docks, [width] * len(docks), Qt.Orientation.Horizontal)
        self._window.resizeDocks(self._row, self._row_widths(), Qt.Orientation.Horizontal)
        stacked = [*self._row[:1], *self._below]
        heights = [ROW_HEIGHT, *(dock.sizeHint().height() for dock in self._below)]
        self._window.resizeDocks(stacked, heights[: len(stacked)], Qt.Orientation.Vertical)
        self._update_titles()

    def _row_widths(self) -> list[int]:
        """The first widths of the docks in the bottom row: what each needs, and a share of the rest in proportion
        to how much its size hint exceeds that."""
        tabs = [[dock, *self._window.tabifiedDockWidgets(dock)] for dock in self._row]
        frames = [[dock.widget() for dock in docks] for docks in tabs]
        needed = [
            max(one.needed_size.width() for one in group if isinstance(one, ScrolledPanelFrame)) for group in frames
        ]
        hints = [max(one.sizeHint().width() for one in group) for group in frames]
        rest = _FIRST_SIZE[0] - LEFT_WIDTH - len(self._row) - sum(needed)  # a separator line for each dock
        share = max(rest, 0) / max(sum(hints) - sum(needed), 1)
        return [least + round(share * (hint - least)) for least, hint in zip(needed, hints, strict=True)]

    def restore(self, state: QByteArray) -> None:
        """Restore a saved layout of the window.

        WORKAROUND: while Qt restores, docks that share tabs are apart for a moment and get a title, and what they
        need with it stays theirs even if they then reach out of the window. A second time the titles stay as they
        are, and the sizes are right.
        """
        self._window.restoreState(state)
        self._update_titles()
        self._keeps_titles = True
        self._window.restoreState(state)
        self._keeps_titles = False

    @property
    def is_on_stage(self) -> bool:
        """Whether only one dock is shown, beside the stage."""
        return self._before_stage is not None

    def enter_stage(self, kept: QDockWidget) -> None:
        """Hide all docks but one, until `leave_stage` brings them back."""
        self._before_stage = self._window.saveState()
        for dock in self.all:
            dock.setVisible(dock is kept)

    def leave_stage(self) -> None:
        """Show the docks again as they were."""
        before, self._before_stage = self._before_stage, None
        if before is not None:
            self.restore(before)

    def layout(self) -> QByteArray:
        """The layout to be kept for the next start."""
        return self._window.saveState() if self._before_stage is None else self._before_stage

    def adapt_to_width(self, width: int) -> None:
        """In a window narrower than WIDE_WINDOW, hide the right area until a value is selected."""
        for dock in self.all:
            if self._window.dockWidgetArea(dock) == _RIGHT:
                dock.setVisible(width >= WIDE_WINDOW)

    def list_in(self, menu: QMenu) -> None:
        """Fill a menu with the actions that show or hide the panels."""
        for dock in self.all:
            action = dock.toggleViewAction()
            action.setStatusTip(self.tr("Show or hide this panel"))
            menu.addAction(action)

    def dock_of(self, kind: type[View]) -> QDockWidget:
        """The dock of the view of this class. Raises StopIteration if there is none."""
        return next(dock for dock in self.all if dock.findChild(kind) is not None)

    def show_panel(self, kind: type[View]) -> None:
        """Show the view of this class, as the current one of its tabs."""
        dock = self.dock_of(kind)
        dock.show()
        dock.raise_()

    def _update_titles(self) -> None:
        """Hide the title of a dock that has a tab, which shows the same text."""
        # Docks emit once more while their window is destroyed.
        if self._keeps_titles or not shiboken6.isValid(self._window):
            return
        for dock in self.all:
            title = dock.titleBarWidget()
            shared = bool(self._window.tabifiedDockWidgets(dock)) and not dock.isFloating()
            if isinstance(title, QLabel) and title.isVisibleTo(dock) == shared:
                title.setVisible(not shared)
        self._stray_timer.start()

    def _hide_stray_tab_bars(self) -> None:
        """WORKAROUND: with nested docks Qt creates two tab bars when a dock is tabified, and leaves one of them at
        its first place, over whatever is there."""
        for bar in self._window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            name_tab_bar(bar)
            below = bar.geometry().translated(0, bar.height())
            if bar.isVisibleTo(self._window) and not any(
                dock.isVisible() and dock.geometry().topLeft() == below.topLeft() for dock in self.all
            ):
                bar.hide()


class PanelDock(QDockWidget):
    """A dock whose Tab key follows the main window's order, also while it is a window of its own."""

    def focusNextPrevChild(self, forward: bool) -> bool:
        window = self.parentWidget()
        return isinstance(window, QMainWindow) and move_focus(window, forward)


class PanelTitle(QLabel):
    """A panel's title, in small spaced capitals, by which the panel is dragged."""

    def __init__(self, text: str) -> None:
        super().__init__(text.upper())
        self.setObjectName("panel-title")
        self.setFont(heading_font())
        self.setContentsMargins(MARGIN, 14, MARGIN, 2)

    def sizeHint(self) -> QSize:
        """Empty while hidden, since a dock keeps the space of a hidden title."""
        return QSize(0, 0) if self.isHidden() else super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0) if self.isHidden() else super().minimumSizeHint()


class PanelFrame(QWidget):
    """A view with the margins of a panel.

    It sets the view's geometry itself: a QLayout would pass every change of a label's text on to the window, which
    would then lay out all of its panels again. Only a changed size hint or minimum size is passed on.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._sizes = QSize(), QSize()
        view.setParent(self)

    def show_view(self, view: View) -> None:
        """Show another view in the place of this one, which is hidden."""
        self._view.hide()
        self._view = view
        view.setParent(self)
        view.setGeometry(self.rect().marginsRemoved(_MARGINS))
        view.show()
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return self._view.sizeHint().grownBy(_MARGINS)

    def minimumSizeHint(self) -> QSize:
        least = self._view.minimumSizeHint().expandedTo(self._view.minimumSize())
        return least.grownBy(_MARGINS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._view.setGeometry(self.rect().marginsRemoved(_MARGINS))

    def event(self, event: QEvent) -> bool:
        """Pass on a changed size of the view; hidden widgets get no LayoutRequest, hence Show."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            sizes = self._view.sizeHint(), self._view.minimumSizeHint()
            if sizes != self._sizes:
                self._sizes = sizes
                self.updateGeometry()
        return super().event(event)


class ScrolledPanelFrame(QScrollArea):
    """The frame of a panel beside others, which scrolls if it is smaller than its view needs.

    Which scroll bars it has is decided by sizes alone, and told to Qt: a bar that Qt shows takes space away, which
    may make Qt hide it again, for ever.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._sizes = QSize(), QSize()
        self.setAccessibleName(view.title)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        for bar in (self.horizontalScrollBar(), self.verticalScrollBar()):
            bar.setAccessibleName(view.title)
        self.setWidget(view)
        self._place_bars()
        for widget in (self.viewport(), view):
            widget.setAutoFillBackground(False)

    @property
    def needed_size(self) -> QSize:
        """The size that shows the whole view, margins included."""
        return self._least_size.grownBy(_MARGINS)

    @property
    def _least_size(self) -> QSize:
        return self._view.minimumSizeHint().expandedTo(self._view.minimumSize())

    def sizeHint(self) -> QSize:
        return self._view.sizeHint().grownBy(_MARGINS).expandedTo(self.needed_size)

    def minimumSizeHint(self) -> QSize:
        return self.needed_size.boundedTo(_MAX_MINIMUM_SIZE)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place_bars()
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass on a changed size of the view, as PanelFrame does."""
        if watched is self._view and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            sizes = self._view.sizeHint(), self._view.minimumSizeHint()
            if sizes != self._sizes:
                self._sizes = sizes
                self._place_bars()
                self.updateGeometry()
        return super().eventFilter(watched, event)

    def _place_bars(self) -> None:
        """Give the frame the scroll bars that its size needs; they lie in the margins, as far as they fit there."""
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        high, wide = across.sizeHint().height(), down.sizeHint().width()
        has_across = has_down = False
        for _ in range(2):  # a bar may make the other one necessary, but none superfluous
            margins = QMargins(_MARGINS)
            margins.setRight(max(margins.right(), wide * has_down))
            margins.setBottom(max(margins.bottom(), high * has_across))
            room, least = self.size().shrunkBy(margins), self._least_size
            has_across = has_across or least.width() > room.width()
            has_down = has_down or self._height_for(max(room.width(), least.width())) > room.height()
        shown = Qt.ScrollBarPolicy.ScrollBarAlwaysOn, Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.setHorizontalScrollBarPolicy(shown[0] if has_across else shown[1])
        self.setVerticalScrollBarPolicy(shown[0] if has_down else shown[1])
        right = max(_MARGINS.right() - wide * has_down, 0)
        self.setViewportMargins(
            _MARGINS.left(), _MARGINS.top(), right, max(_MARGINS.bottom() - high * has_across, 0)
        )

    def _height_for(self, width: int) -> int:
        """The least height of the view at this width."""
        least = self._least_size.height()
        return max(least, self._view.heightForWidth(width)) if self._view.hasHeightForWidth() else least


class CentralTabs(QTabWidget):
    """The views of the centre. Their tabs lie over the upper left corner, which each view leaves empty; where the
    tabs and the view's own controls at the right need more than the width, the tabs have a line of their own."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._place: tuple[bool, bool] | None = None  # whether the tabs are visible, and lie over the page
        self._pages = self.findChildren(QStackedWidget)[0]
        # Hides what Qt may leave behind the central widget.
        self.setAutoFillBackground(True)
        self.setDocumentMode(True)
        self.tabBar().setDrawBase(False)
        self.tabBar().setExpanding(False)
        self.tabBar().setFixedHeight(TABS_HEIGHT)
        self.tabBar().setAccessibleName(self.tr("Main view"))
        self.currentChanged.connect(self._place_tabs)

    def add(self, view: View) -> None:
        """Add a view as the last tab."""
        self.setTabToolTip(self.addTab(view, view.title), view.title)
        self._place_tabs()

    def show_view(self, kind: type[View]) -> None:
        """Show the view of this class. Raises StopIteration if there is none."""
        self.setCurrentIndex(next(at for at in range(self.count()) if isinstance(self.widget(at), kind)))

    @property
    def current_view(self) -> View:
        """The view of the current tab."""
        view = self.currentWidget()
        assert isinstance(view, View)
        return view

    def sizeHint(self) -> QSize:
        return self._with_tabs(self._pages.sizeHint())

    def minimumSizeHint(self) -> QSize:
        return self._with_tabs(self._pages.minimumSizeHint())

    def _with_tabs(self, size: QSize) -> QSize:
        """The size with the line of the tabs, where they have one."""
        return QSize(size.width(), size.height() + (TABS_HEIGHT if self._place == (True, False) else 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_tabs()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._place_tabs()
        return super().event(event)

    def _place_tabs(self) -> None:
        """Put the tabs beside the view's controls or above them: `beside` is in the style sheet."""
        # In document mode they would be as wide as the window, and take the clicks on the controls beside them.
        width = self.tabBar().sizeHint().width()
        self.tabBar().setMaximumWidth(width)
        shown = self.currentWidget()
        beside = shown.top_row_width() if isinstance(shown, View) else 0
        are_visible = not self.tabBar().isHidden()
        place = are_visible, are_visible and (not beside or width + MARGIN + beside <= self.width())
        if place != self._place:
            self._place = place
            self.setProperty("beside", place[1])
            self.style().polish(self)
            QApplication.sendEvent(self, QEvent(QEvent.Type.StyleChange))  # lays out the tabs and the page

    def set_tabs_visible(self, visible: bool) -> None:
        """Show or hide the tabs."""
        self.tabBar().setVisible(visible)
        self._place_tabs()

    def move_by(self, offset: int) -> None:
        """Show the tab that is `offset` further, in a circle."""
        self.setCurrentIndex((self.currentIndex() + offset) % self.count())
