"""Menus: every action of the window, its words, keys and place. What an action does is the window's business."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from engine.documents.presets import PRESETS
from xo_gui.compare_menu import CompareMenu
from xo_gui.explain_menu import ExplainMenu
from xo_gui.train_menu import TrainMenu

if TYPE_CHECKING:
    from xo_gui.main_window import MainWindow

Key = QKeySequence.StandardKey
Role = QAction.MenuRole

# Qt gives some standard actions no key on a desktop that it does not know, and never Ctrl+Y outside Windows.
ALSO = {Key.FullScreen: "F11", Key.Redo: "Ctrl+Y", Key.Quit: "Ctrl+Q", Key.SaveAs: "Ctrl+Shift+S"}


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("Menus", text)


def keys_for(key: Key) -> list[QKeySequence]:
    """The desktop's own keys for a standard action, and those that people expect everywhere."""
    bound, also = QKeySequence.keyBindings(key), ALSO.get(key)
    if also and QKeySequence(also) not in bound:
        bound.append(QKeySequence(also))
    return bound


class Menus:
    """Fills the window's menu bar. Actions that depend on something are kept as attributes."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._file()
        self._edit()
        self._view()
        self._network()
        self.train = TrainMenu(window, self._menu(tr("&Train")), self._action)
        self._data()
        self.explain = ExplainMenu(window, self._menu(tr("E&xplain")), self._action)
        self._help()

    def choose_theme(self, name: str) -> None:
        """Tick the theme called `name`."""
        self.themes[name].setChecked(True)

    def choose_preset(self, name: str) -> None:
        """Tick the preset called `name`; none if it is not a preset."""
        for known, action in self.presets.items():
            action.setChecked(known == name)

    def _menu(self, title: str) -> QMenu:
        menu = self._window.menuBar().addMenu(title)
        menu.setToolTipsVisible(True)
        return menu

    def _action(
        self,
        menu: QMenu,
        text: str,
        tip: str,
        slot: Callable[..., object],
        keys: Key | str | None = None,
        role: Role = Role.NoRole,
    ) -> QAction:
        action = QAction(text, self._window)
        action.setStatusTip(tip)
        action.setMenuRole(role)
        if isinstance(keys, str):
            action.setShortcut(QKeySequence(keys))
        elif keys is not None:
            action.setShortcuts(keys_for(keys))
        action.triggered.connect(slot)
        menu.addAction(action)
        return action

    def _file(self) -> None:
        exchange, menu = self._window.exchange, self._menu(tr("&File"))
        self._action(menu, tr("&Open…"), tr("Open a picture or a trained model"), exchange.ask_open, Key.Open)
        self.recent = menu.addMenu(tr("Open &recent"))
        self.recent.aboutToShow.connect(exchange.fill_recent)
        self._action(
            menu, tr("Open &last session"), tr("Drawing, network and training as they were when last closed"),
            self._window.open_last_session,
        )  # fmt: skip
        menu.addSeparator()
        self._action(
            menu, tr("Save &drawing as picture…"), tr("Save the drawing as a PNG picture"),
            exchange.ask_save_drawing, Key.Save,
        )  # fmt: skip
        self._action(
            menu, tr("Save &network…"), tr("Save the network with its weights as a model file"),
            exchange.ask_save_model, Key.SaveAs,
        )  # fmt: skip
        self._action(
            menu, tr("Save picture of the &window…"), tr("Save what the window shows as a PNG picture"),
            exchange.ask_save_window, Key.Print,
        )  # fmt: skip
        menu.addSeparator()
        self._action(menu, tr("&Quit"), tr("Close the program"), self._window.close, Key.Quit, Role.QuitRole)

    def _edit(self) -> None:
        window, menu = self._window, self._menu(tr("&Edit"))
        exchange = window.exchange
        stack = window.session.undo_stack
        for action, key in (
            (stack.createUndoAction(window, tr("&Undo")), Key.Undo),
            (stack.createRedoAction(window, tr("&Redo")), Key.Redo),
        ):
            action.setShortcuts(keys_for(key))
            action.setStatusTip(tr("Take the last change back") if key is Key.Undo else tr("Make it again"))
            menu.addAction(action)
        menu.addSeparator()
        self._action(menu, tr("&Copy"), tr("Copy a picture of the panel in use"), exchange.copy, Key.Copy)
        self._action(menu, tr("&Paste"), tr("Make the copied picture the drawing"), exchange.paste, Key.Paste)
        menu.addSeparator()
        drawing = window.drawing_view
        self._action(menu, tr("C&lear drawing"), tr("Empty the canvas"), drawing.clear, "Ctrl+L")
        self._action(
            menu, tr("&Straighten drawing"), tr("Undo shift, size, rotation, bend and thickness"),
            drawing.reset_transform, "Ctrl+0",
        )  # fmt: skip

    def _view(self) -> None:
        window, menu = self._window, self._menu(tr("&View"))
        theme, group = menu.addMenu(tr("&Theme")), QActionGroup(window)
        self.themes = {}
        for name, text in (("system", tr("&System")), ("dark", tr("&Dark")), ("light", tr("&Light"))):
            action = self._action(theme, text, tr("Change the colours of the window"), window.theme_chosen)
            action.setCheckable(True)
            action.setData(name)
            group.addAction(action)
            self.themes[name] = action
        self.panels = menu.addMenu(tr("&Panels"))
        for dock in window.panels.all:
            action = dock.toggleViewAction()
            action.setStatusTip(tr("Show or hide this panel"))
            self.panels.addAction(action)
        self._action(menu, tr("&Reset layout"), tr("Put every panel back in its place"), window.reset_layout)
        full = self._action(
            menu, tr("&Full screen"), tr("Use the whole screen"), window.toggle_full_screen, Key.FullScreen
        )
        full.setCheckable(True)

    def _network(self) -> None:
        window, menu = self._window, self._menu(tr("&Network"))
        self.presets = {}
        for number, known in enumerate(PRESETS.values(), 1):
            action = self._action(menu, f"&{known.title}", known.summary, window.preset_chosen, f"Ctrl+{number}")
            action.setCheckable(True)
            action.setData(known.name)
            self.presets[known.name] = action
        menu.addSeparator()
        self._action(
            menu, tr("&Find layer…"), tr("Go to a layer by its name, kind or number"), window.find_layer, Key.Find
        )
        self.compare = CompareMenu(window, menu, self._action)

    def _data(self) -> None:
        drawing, menu = self._window.drawing_view, self._menu(tr("&Data"))
        for text, tip, slot, key in (
            (tr("&Save as X"), tr("Keep the drawing as an X to learn from"), drawing.keep_x, "X"),
            (tr("Save &as O"), tr("Keep the drawing as an O to learn from"), drawing.keep_o, "O"),
            (tr("Save as nei&ther"), tr("Keep the drawing as neither, to learn from"), drawing.keep_neither, "N"),
        ):
            action = self._action(menu, text, tip, slot, key)
            # A single letter is the canvas's while it has the focus, and no panel's.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.setAutoRepeat(False)
            drawing.canvas.addAction(action)
        self._action(
            menu, tr("Show the &data"), tr("Show what training learns from"), self._window.show_data, "Ctrl+D"
        )
        menu.addSeparator()
        self._action(menu, tr("Example &X"), tr("Draw another X"), drawing.example_x, "Ctrl+Shift+X")
        self._action(menu, tr("Example &O"), tr("Draw another O"), drawing.example_o, "Ctrl+Shift+O")
        self._action(
            menu, tr("Example of &neither"), tr("Draw something that is neither"), drawing.example_neither,
            "Ctrl+Shift+N",
        )  # fmt: skip

    def _help(self) -> None:
        window, menu = self._window, self._menu(tr("&Help"))
        self._action(
            menu, tr("&Keys and mouse"), tr("What every key and button does"), window.show_keys, Key.HelpContents
        )
        self._action(
            menu, tr("&About"), tr("Version, licences and where the log is"), window.show_about,
            role=Role.AboutRole,
        )  # fmt: skip
