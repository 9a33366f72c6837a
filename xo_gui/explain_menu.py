"""Explain menu: the actions of the inspector. What they do is the inspector's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu

from xo_gui.action_maker import ActionMaker
from xo_gui.views import InspectorView

if TYPE_CHECKING:
    from xo_gui.main_window import MainWindow


class ExplainMenu(QObject):
    """Fills `menu`; its parent is the window."""

    def __init__(self, window: MainWindow, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(window)
        self._window = window
        inspector = self._inspector = next(view for view in window.views if isinstance(view, InspectorView))
        for text, tip, slot, key in (
            (self.tr("&Inspector"), self.tr("Show the arithmetic of a value"), self._show, "Ctrl+I"),
            (
                self.tr("&Slide the window"),
                self.tr("Let the held value's window slide over its map, or pause it"),
                inspector.value_page.toggle,
                "Ctrl+Space",
            ),
            (
                self.tr("S&tep the window"),
                self.tr("Let the held value's window go on by one value"),
                inspector.value_page.slide.step,
                "Ctrl+.",
            ),
            (
                self.tr("What it li&kes"),
                self.tr("Show which pictures excite the held feature or vote most"),
                self._show_likes,
                "Ctrl+Shift+I",
            ),
            (self.tr("&Let go"), self.tr("Hold no value any longer (Esc in the network)"), self._let_go, None),
        ):
            make(menu, text, tip, slot, key)

    def _show(self) -> None:
        self._window.panels.bring(InspectorView)

    def _show_likes(self) -> None:
        self._show()
        self._inspector.show_likes()

    def _let_go(self) -> None:
        self._window.session.pin(None)
