"""Docks: where the panels stand round the middle of the window. Not what is in them."""

from __future__ import annotations

import shiboken6
from PySide6.QtCore import QEvent, QMargins, QObject, QSize, Qt, QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QStackedLayout,
    QTabBar,
    QTabWidget,
    QWidget,
)

from xo_gui.app.theme import heading_font
from xo_gui.views.view import View
from xo_gui.window.panels import Panel

MARGIN, LEFT_WIDTH, LEAST_LEFT, RIGHT_WIDTH, ROW_HEIGHT = 16, 288, 272, 300, 244
ROOMY = 1400
_ROOM = QMargins(MARGIN, 4, MARGIN, 8)
_FIRST_SIZE = (1280, 800)
# Of the panels beside each other each may get as little as this, however much it wishes for.
_LEAST_BESIDE = QSize(206, 160)
_LEFT, _BOTTOM = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
_RIGHT = Qt.DockWidgetArea.RightDockWidgetArea


class Docks(QObject):
    """Every panel but the one in the middle, in a dock with a quiet title, or behind a tab of that name."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.all: list[QDockWidget] = []
        self._row: list[QDockWidget] = []  # those below that stand beside each other
        self._under: list[QDockWidget] = []
        self._strays = QTimer(self, interval=0, singleShot=True)
        self._strays.timeout.connect(self._hide_strays)
        window.setDockNestingEnabled(True)
        # The left side keeps its whole height: the canvas needs it.
        window.setCorner(Qt.Corner.BottomLeftCorner, _LEFT)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)

    def add(self, view: View, panel: Panel) -> None:
        """A dock for `view`, placed as `panel` says."""
        assert panel.area is not None
        dock = QDockWidget(view.title, self._window)
        dock.setObjectName(view.title)
        dock.setTitleBarWidget(PanelTitle(view.title))
        dock.setWidget(ScrolledFrame(view) if panel.area == _BOTTOM else Frame(view))
        if panel.area == _LEFT:
            dock.setMinimumWidth(LEAST_LEFT)
        if panel.behind is not None:
            self._window.addDockWidget(panel.area, dock)
            self._window.tabifyDockWidget(self.of(panel.behind), dock)
            self.of(panel.behind).raise_()
        elif self._row and panel.area == _BOTTOM and not panel.under:
            self._window.splitDockWidget(self._row[-1], dock, Qt.Orientation.Horizontal)
            self._row.append(dock)
        elif panel.under:
            self._window.addDockWidget(panel.area, dock, Qt.Orientation.Vertical)
            self._under.append(dock)
        else:
            self._window.addDockWidget(panel.area, dock)
            self._row += [dock] if panel.area == _BOTTOM else []
        dock.visibilityChanged.connect(self._retitle)
        dock.visibilityChanged.connect(view.set_seen)
        dock.dockLocationChanged.connect(self._retitle)
        self.all.append(dock)

    def settle(self) -> None:
        """Once all are there: the sides as wide as they start, what is below no higher than it needs, its panels as
        wide as they wish in proportion, and no title twice."""
        self._window.resize(*_FIRST_SIZE)
        layout = self._window.layout()
        assert layout is not None
        layout.activate()  # before that there is nothing to share out
        for side, width in ((_LEFT, LEFT_WIDTH), (_RIGHT, RIGHT_WIDTH)):
            there = [dock for dock in self.all if self._window.dockWidgetArea(dock) == side]
            self._window.resizeDocks(there, [width] * len(there), Qt.Orientation.Horizontal)
        self._window.resizeDocks(self._row, self._widths(), Qt.Orientation.Horizontal)
        stacked = [*self._row[:1], *self._under]
        heights = [ROW_HEIGHT, *(dock.sizeHint().height() for dock in self._under)]
        self._window.resizeDocks(stacked, heights[: len(stacked)], Qt.Orientation.Vertical)
        self._retitle()

    def _widths(self) -> list[int]:
        """Of the panels below beside each other: what each needs, and of what is left over what it wishes for, in
        proportion."""
        there = [[each.widget() for each in self._sharing(dock)] for dock in self._row]
        needs = [max(each.needs.width() for each in some if isinstance(each, ScrolledFrame)) for some in there]
        wishes = [max(each.sizeHint().width() for each in some) for some in there]
        over = _FIRST_SIZE[0] - LEFT_WIDTH - len(self._row) - sum(needs)  # a line between each two
        share = max(over, 0) / max(sum(wishes) - sum(needs), 1)
        return [need + round(share * (wish - need)) for need, wish in zip(needs, wishes, strict=True)]

    def make_room(self, width: int) -> None:
        """In a window narrower than ROOMY the right side stays away until a click on a value asks for it."""
        for dock in self.all:
            if self._window.dockWidgetArea(dock) == _RIGHT:
                dock.setVisible(width >= ROOMY)

    def of(self, kind: type[View]) -> QDockWidget:
        """The dock that holds the panel of this kind. Raises StopIteration if there is none."""
        return next(dock for dock in self.all if dock.findChild(kind) is not None)

    def bring(self, kind: type[View]) -> None:
        """Show the panel of this kind, in front of those that share its place."""
        dock = self.of(kind)
        dock.show()
        dock.raise_()

    def _sharing(self, dock: QDockWidget) -> list[QDockWidget]:
        """The dock and those that share its place."""
        return [dock, *self._window.tabifiedDockWidgets(dock)]

    def _retitle(self) -> None:
        """A dock that shares its place is named by its tab; a title under it would say it twice."""
        if not shiboken6.isValid(self._window):  # docks are hidden once more while their window is destroyed
            return
        for dock in self.all:
            title = dock.titleBarWidget()
            shared = bool(self._window.tabifiedDockWidgets(dock)) and not dock.isFloating()
            if isinstance(title, QLabel) and title.isVisibleTo(dock) == shared:
                title.setVisible(not shared)
        self._strays.start()

    def _hide_strays(self) -> None:
        """WORKAROUND: where docks stand beside and under each other, Qt makes two rows of tabs when a dock is put
        behind another, and forgets one of them where it was first; it would lie over whatever is there."""
        for bar in self._window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            below = bar.geometry().translated(0, bar.height())
            if bar.isVisibleTo(self._window) and not any(
                dock.isVisible() and dock.geometry().topLeft() == below.topLeft() for dock in self.all
            ):
                bar.hide()


class PanelTitle(QLabel):
    """A panel's title: small, spaced capitals; the panel is dragged by it. Hidden, it takes no room."""

    def __init__(self, text: str) -> None:
        super().__init__(text.upper())
        self.setObjectName("panel-title")
        self.setFont(heading_font())
        self.setContentsMargins(MARGIN, 14, MARGIN, 2)

    def sizeHint(self) -> QSize:
        """Its text, or nothing: a dock keeps the room of a title that is hidden."""
        return QSize(0, 0) if self.isHidden() else super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        """The same."""
        return QSize(0, 0) if self.isHidden() else super().minimumSizeHint()


class Frame(QWidget):
    """A view with the room around it that every panel has.

    It lays the view out by hand: from layout to layout Qt would pass every label whose text changes on to the
    window, which would then lay out all of its panels again. Only another least or best size is passed on.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._sizes = QSize(), QSize()
        view.setParent(self)

    def sizeHint(self) -> QSize:
        """The view's, and the room."""
        return self._view.sizeHint().grownBy(_ROOM)

    def minimumSizeHint(self) -> QSize:
        """The view's, and the room."""
        least = self._view.minimumSizeHint().expandedTo(self._view.minimumSize())
        return least.grownBy(_ROOM)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The view has all but the room."""
        super().resizeEvent(event)
        self._view.setGeometry(self.rect().marginsRemoved(_ROOM))

    def event(self, event: QEvent) -> bool:
        """The view wishes for another size, or only one of its labels has other words; hidden, it hears nothing."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            sizes = self._view.sizeHint(), self._view.minimumSizeHint()
            if sizes != self._sizes:
                self._sizes = sizes
                self.updateGeometry()
        return super().event(event)


class ScrolledFrame(QScrollArea):
    """The same for a panel that stands beside others: with less room than its view needs it scrolls."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._sizes = QSize(), QSize()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setViewportMargins(_ROOM)
        self.setWidget(view)
        for bar in (self.horizontalScrollBar(), self.verticalScrollBar()):
            bar.setAccessibleName(view.title)
            bar.installEventFilter(self)
        for widget in (self.viewport(), view):
            widget.setAutoFillBackground(False)

    @property
    def needs(self) -> QSize:
        """What shows it all, with the room."""
        return self._view.minimumSizeHint().expandedTo(self._view.minimumSize()).grownBy(_ROOM)

    def sizeHint(self) -> QSize:
        """The view's, and the room."""
        return self._view.sizeHint().grownBy(_ROOM).expandedTo(self.needs)

    def minimumSizeHint(self) -> QSize:
        """What it needs, but not more than the others beside it leave."""
        return self.needs.boundedTo(_LEAST_BESIDE)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass on another least or best size of the view, as Frame does. A bar stands in the room around it."""
        if watched is self._view and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            sizes = self._view.sizeHint(), self._view.minimumSizeHint()
            if sizes != self._sizes:
                self._sizes = sizes
                self.updateGeometry()
        elif watched is not self._view and event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            across, down = self.horizontalScrollBar(), self.verticalScrollBar()
            wide = down.sizeHint().width() if down.isVisible() else 0
            high = across.sizeHint().height() if across.isVisible() else 0
            room = QMargins(0, 0, min(wide, _ROOM.right()), min(high, _ROOM.bottom()))
            self.setViewportMargins(_ROOM - room)
        return super().eventFilter(watched, event)


# The tabs stand where a lone panel would write its name.
TABS_HIGH = 28


class Middle(QWidget):
    """A stack of views with tabs over its upper left corner, which each view leaves free."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        # What Qt leaves lying under the middle of the window is not to shine through.
        self.setAutoFillBackground(True)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setAccessibleName(self.tr("What the middle of the window shows"))
        self.tabs.currentChanged.connect(self._turn)
        for key, way in (("Ctrl+PgDown", 1), ("Ctrl+PgUp", -1)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.activated.connect(self._next if way == 1 else self._previous)

    def add(self, view: View) -> None:
        """A view, behind those already there."""
        self._stack.addWidget(view)
        self.tabs.addTab(view.title)
        self.tabs.setTabToolTip(self.tabs.count() - 1, view.title)
        self.tabs.raise_()
        self._place()

    def bring(self, kind: type[View]) -> None:
        """Show the view of this kind. Raises StopIteration if there is none."""
        places = range(self._stack.count())
        self.tabs.setCurrentIndex(next(at for at in places if isinstance(self._stack.widget(at), kind)))

    @property
    def shown(self) -> View:
        """The view that is to be seen."""
        view = self._stack.currentWidget()
        assert isinstance(view, View)
        return view

    def sizeHint(self) -> QSize:
        """What the first view likes best."""
        return self._stack.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The tabs stay in their corner."""
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        size = self.tabs.sizeHint()
        self.tabs.setGeometry(0, TABS_HIGH - size.height(), min(size.width(), self.width()), size.height())

    def _turn(self, at: int) -> None:
        if at != self._stack.currentIndex():
            self.shown.hide()  # it says that nothing of it is in view, before the next one says what is
        self._stack.setCurrentIndex(at)
        self.tabs.raise_()

    def _next(self) -> None:
        self._step(1)

    def _previous(self) -> None:
        self._step(-1)

    def _step(self, way: int) -> None:
        self.tabs.setCurrentIndex((self.tabs.currentIndex() + way) % self.tabs.count())
