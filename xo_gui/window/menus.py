"""Menus: makes menus, shortcuts, status tips and the list of keys from the tables of `actions.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QMainWindow, QMenu, QMenuBar, QWidget

from xo_gui.app import QT_TR_NOOP, marked_text
from xo_gui.window.actions import (
    ACTIONS,
    MENUS,
    PANEL_KEYS,
    ActionSpec,
    ActionWindow,
    Key,
    LabelActions,
    MenuSpec,
    PanelKey,
    WindowState,
    Words,
    state_of,
)

MOST_KEYS_LISTED = 2  # of those that the platform has for one action
WINDOW = QT_TR_NOOP("Window")  # heads the actions that have only keys, in the list of keys


class Menus(QObject):
    """Fills the menu bar of `parent`, the main window. `actions` and `menus` hold what was made, by id.

    A button whose property "action" is the id of an action gets the keys of that action at the end of its tips.
    """

    def __init__(self, window: ActionWindow, parent: QMainWindow) -> None:
        super().__init__(parent)
        self._window, self._parent = window, parent
        self._state: WindowState | None = None
        self._key_widgets = [window.input_view.key_widget]
        self._groups: dict[str, QActionGroup] = {}  # by the id of their menu
        self._own = [WindowAction(row, window, parent) for row in ACTIONS if isinstance(row, ActionSpec)]
        self._of_labels: list[list[WindowAction]] = []  # of each row of LabelActions
        self.menus: dict[str, QMenu] = {}
        self.actions: dict[str, WindowAction] = {}
        for spec in MENUS:
            self.menus[spec.id] = self._menu(spec)
        for action in self._own:
            self._prepare(action)
        self.refresh()
        for button in parent.findChildren(QAbstractButton):
            if (name := button.property("action")) is not None:
                keys = self.actions[name].keys_text
                button.setToolTip(f"{button.toolTip()} ({keys})")
                button.setStatusTip(f"{button.statusTip()} ({keys})")

    def refresh(self) -> None:
        """Show which actions are possible and checked now, if that has changed."""
        state, before = state_of(self._window), self._state
        if state == before:
            return
        self._state = state
        if before is None or (state.labels, state.example_labels) != (before.labels, before.example_labels):
            self._make_actions_of(state)
        self.show_state()

    def add_key_widget(self, widget: QWidget) -> None:
        """Have another widget get the keys of the actions of the input while it has the focus."""
        self._key_widgets.append(widget)
        widget.addActions([action for action in self.actions.values() if action.spec.on_input])

    def show_state(self) -> None:
        """Show the state again, as after an action, which Qt checks or unchecks by itself."""
        assert self._state is not None
        for action in self.actions.values():
            action.show_state(self._state)

    def listed_keys(self) -> Iterator[PanelKey]:
        """All keys and mouse buttons, translated: those of the panels, then those of the actions by menu."""
        for row in PANEL_KEYS:
            yield PanelKey(*map(translated, row))
        for menu in ("", *self.menus):
            where = plain(self.menus[menu].title()) if menu else translated(WINDOW)
            for action in self._in_order():
                if action.spec.menu == menu and action.shortcuts():
                    yield PanelKey(where, action.keys_text, plain(translated(action.spec.text, action.spec.about)))

    def _menu(self, spec: MenuSpec) -> QMenu:
        parent: QMenu | QMenuBar = self.menus[spec.parent] if spec.parent else self._parent.menuBar()
        menu = QMenu(translated(spec.text), parent)
        if not spec.parent:
            parent.addMenu(menu)
        if spec.fill is not None:
            spec.fill(self._window, menu)
        return menu

    def _prepare(self, action: WindowAction) -> None:
        """Connect an action and put it into its group, its widget and `actions`."""
        spec = action.spec
        action.triggered.connect(self.show_state)
        self.actions[spec.id] = action
        if spec.exclusive:
            if spec.menu not in self._groups:
                self._groups[spec.menu] = QActionGroup(self)
            self._groups[spec.menu].addAction(action)
        if spec.on_input:
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.setAutoRepeat(False)
            for widget in self._key_widgets:
                widget.addAction(action)
        if not spec.menu:
            self._parent.addAction(action)

    def _make_actions_of(self, state: WindowState) -> None:
        """Make the actions of the labels, in the place of those of other labels."""
        for action in (action for actions in self._of_labels for action in actions):
            del self.actions[action.spec.id]
            action.deleteLater()  # and leaves menu and canvas
        taken = {keys.toString() for action in self._own for keys in action.shortcuts()}
        self._of_labels = []
        for row in ACTIONS:
            if isinstance(row, LabelActions):
                made = [WindowAction(spec, self._window, self._parent) for spec in row.rows(state)]
                for action in made:
                    self._prepare(action)
                    action.setShortcuts([keys for keys in action.shortcuts() if keys.toString() not in taken])
                self._of_labels.append(made)
        for menu in self.menus:
            self._arrange(menu)

    def _in_order(self) -> Iterator[WindowAction]:
        """All actions in the order of the table."""
        own, of_labels = iter(self._own), iter(self._of_labels)
        for row in ACTIONS:
            if isinstance(row, ActionSpec):
                yield next(own)
            else:
                yield from next(of_labels)

    def _arrange(self, name: str) -> None:
        """Put the actions and menus of a menu into it, in the order of the table, with lines between sections."""
        menu = self.menus[name]
        rows = sorted((a for a in self._in_order() if a.spec.menu == name), key=lambda action: action.spec.section)
        if not rows:
            return
        menu.clear()
        inner = [spec for spec in MENUS if spec.parent == name]
        for before, action in zip((rows[0], *rows), rows, strict=False):
            if action.spec.section != before.spec.section:
                menu.addSeparator()
            for spec in inner:
                if spec.above == action.spec.id:
                    menu.addMenu(self.menus[spec.id])
            menu.addAction(action)


class WindowAction(QAction):
    """The action of a row of ACTIONS."""

    def __init__(self, spec: ActionSpec, window: ActionWindow, parent: QMainWindow) -> None:
        super().__init__(parent)
        self.spec, self._window = spec, window
        self._show_words(Words(spec.text, spec.tip, spec.about))
        self.setMenuRole(spec.role)
        self.setShortcuts(list(_sequences(spec.keys)))
        self.setCheckable(spec.checked is not None)
        self.triggered.connect(self.perform)

    @property
    def keys_text(self) -> str:
        """Its first shortcuts, as the platform writes them."""
        shown = [keys.toString(QKeySequence.SequenceFormat.NativeText) for keys in self.shortcuts()]
        return ", ".join(shown[:MOST_KEYS_LISTED])

    def perform(self) -> None:
        """Do what the row says."""
        if callable(self.spec.does):
            self.spec.does(self._window)
        else:
            self._window.execute(self.spec.does)

    def show_state(self, state: WindowState) -> None:
        """Show whether the action is possible and checked, and its present words."""
        spec = self.spec
        if spec.enabled is not None:
            self.setEnabled(spec.enabled(state))
        if spec.checked is not None:
            self.setChecked(spec.checked(state))
        if spec.words is not None:
            self._show_words(spec.words(state))

    def _show_words(self, words: Words) -> None:
        self.setText(translated(words.text, words.about))
        self.setStatusTip(translated(words.tip, words.about))


def _sequences(keys: Iterable[Key | str]) -> Iterator[QKeySequence]:
    """The shortcuts of a row: of a standard key those of the platform, each once."""
    found: list[QKeySequence] = []
    for key in keys:
        found += [QKeySequence(key)] if isinstance(key, str) else QKeySequence.keyBindings(key)
    return iter(dict.fromkeys(found))


def translated(text: str, about: Iterable[str] = ()) -> str:
    """A text that the tables mark, in the user's language; `about` takes the place of {0}, {1} in it."""
    shown, names = marked_text("", text), tuple(about)
    return shown.format(*names) if names else shown


def plain(text: str) -> str:
    """The text of an action without its mnemonic."""
    return "&".join(part.replace("&", "") for part in text.split("&&"))
