"""Compare menu: the actions by which a second network comes to stand beside the first. They only wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from engine.documents.presets import PRESETS
from xo_gui.action_maker import ActionMaker
from xo_gui.state.commands import CompareWithFile, CompareWithPreset, CompareWithThis, StopComparing, Swap, Wish

if TYPE_CHECKING:
    from xo_gui.main_window import MainWindow


class CompareMenu(QObject):
    """Adds to `menu`. refresh: to be called whenever the Document is another."""

    def __init__(self, window: MainWindow, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(window)
        self._window = window
        tr = self.tr
        self.menu = menu.addMenu(tr("Compare &with"))
        self.menu.setToolTipsVisible(True)
        for known in PRESETS.values():
            tip = tr("Let the {0} network read the drawing, too, and see where the two differ").format(known.title)
            self._add(make, self.menu, f"&{known.title}", tip, CompareWithPreset(known.name))
        self.menu.addSeparator()
        self._add(
            make, self.menu, tr("A &model file…"), tr("Let the network of a file read the drawing, too"),
            CompareWithFile(),
        )  # fmt: skip
        self._add(
            make, self.menu, tr("&This moment"),
            tr("Hold the network as it is now, or at the moment looked at, and see what becomes of it"),
            CompareWithThis(), "Ctrl+H",
        )  # fmt: skip
        self.swap = self._add(
            make, menu, tr("S&wap the two"), tr("Let the two networks that are compared change places"), Swap(),
            "Ctrl+Shift+W",
        )  # fmt: skip
        self.stop = self._add(
            make, menu, tr("&Stop comparing"), tr("Let only the first network read the drawing"), StopComparing(),
            "Ctrl+Shift+H",
        )  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """What can be asked now."""
        for action in (self.swap, self.stop):
            action.setEnabled(self._window.comparing.possible)

    def _add(
        self, make: ActionMaker, menu: QMenu, text: str, tip: str, wish: Wish, key: str | None = None
    ) -> QAction:
        action = make(menu, text, tip, self._wish, key)
        action.setData(wish)
        return action

    def _wish(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self._window.comparing.wish(action.data())
