"""Middle: the panels that share the middle of the window, one at a time, named by tabs. Not what is in them."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QStackedLayout, QTabBar, QWidget

from xo_gui.views import View

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
