"""Menus: every action of the window, its words, keys and place. What an action does is the window's business."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QInputDialog, QMenu, QSpinBox

from engine.documents.presets import PRESETS
from xo_gui.state.commands import (
    CompareWithFile,
    CompareWithPreset,
    CompareWithThis,
    Look,
    OneEpoch,
    OneStep,
    Pause,
    StartOver,
    StopComparing,
    Swap,
    Train,
    TrainOn,
    Wish,
)
from xo_gui.views.inspector.inspector_view import InspectorView

if TYPE_CHECKING:
    from xo_gui.window.main_window import MainWindow

# Its menu, text, status tip, slot and key.
ActionMaker: TypeAlias = Callable[[QMenu, str, str, Callable[..., object], str | None], QAction]

LARGEST_SEED = 999_999


class TrainMenu(QObject):
    """Fills `menu`. refresh: to be called whenever the intent or what came of it is another."""

    def __init__(self, window: MainWindow, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(window)
        self._window, self.menu = window, menu
        self._shown: tuple[object, ...] = ()
        tr = self.tr
        self.train = make(menu, "", "", self._train, "Ctrl+Return")
        self.step = make(menu, tr("One &step"), tr("Learn from one batch, then pause"), self._step, "Ctrl+T")
        self.epoch = make(
            menu, tr("One &epoch"), tr("Learn to the end of this pass over all examples, then pause"), self._epoch,
            "Ctrl+E",
        )  # fmt: skip
        menu.addSeparator()
        self.over = make(
            menu, tr("Start &over"), tr("Back to the same start, as a branch of its own; nothing is lost"),
            self._over, "Ctrl+R",
        )  # fmt: skip
        self.new = make(
            menu, tr("&New start…"), tr("Start over from other random weights, those of the seed you give"),
            self._new, "Ctrl+Shift+R",
        )  # fmt: skip
        self.on = make(
            menu, tr("Train on from these &weights"), tr("Begin a run of its own from the weights on the screen"),
            self._on, "Ctrl+Shift+T",
        )  # fmt: skip
        menu.addSeparator()
        self.here = make(
            menu, tr("Continue &from here"), tr("Go on from the moment looked at, as a branch"), self._here,
            "Ctrl+Shift+Return",
        )  # fmt: skip
        self.now = make(menu, tr("&Back to now"), tr("Stop looking back"), self._back, "Ctrl+B")
        self.good = make(
            menu,
            tr("Last &good moment"),
            tr("Look at the last moment before it got worse"),
            self._good,
            "Ctrl+G",
        )
        menu.addSeparator()
        self.command = make(
            menu, tr("&Copy as command"), tr("Copy the xo train command that makes these weights again"),
            self._copy, "Ctrl+Shift+C",
        )  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """What can be asked now, and what the first action would do."""
        control = self._window.training
        goal, intent, training = control.goal, control.intent, control.training
        back = intent.look is not None
        stuck = training is not None and training.state in ("diverged", "failed")
        good = training.good if training is not None else None
        state = (intent.running, goal is None, back, stuck, good, control.live)
        if state == self._shown:
            return
        self._shown = state
        self._say_main(intent.running, goal is None or not control.live)
        self.over.setEnabled(goal is not None)
        self.on.setEnabled(not intent.running and not back)
        self.here.setEnabled(back or stuck)
        self.now.setEnabled(back)
        self.good.setEnabled(good is not None and intent.look != good)

    def _say_main(self, running: bool, fresh: bool) -> None:
        text, tip = self.tr("&Train on"), self.tr("Go on with training")
        if running:
            text, tip = self.tr("&Pause"), self.tr("Let training stand still")
        elif fresh:
            text, tip = self.tr("&Train from scratch"), self.tr("Train from fresh weights, and see features form")
        self.train.setText(text)
        self.train.setStatusTip(tip)

    # -- what the person asks ----------------------------------------------------------------------------------

    def _wish(self, wish: Wish) -> None:
        self._window.training.wish(wish)

    def _train(self) -> None:
        self._wish(Pause() if self._window.training.intent.running else Train())

    def _step(self) -> None:
        self._wish(OneStep())

    def _epoch(self) -> None:
        self._wish(OneEpoch())

    def _over(self) -> None:
        self._wish(StartOver())

    def _on(self) -> None:
        self._wish(TrainOn())

    def _here(self) -> None:
        self._wish(Train())

    def _back(self) -> None:
        self._wish(Look(None))

    def _good(self) -> None:
        training = self._window.training.training
        if training is not None and training.good is not None:
            self._wish(Look(training.good))

    def _new(self) -> None:
        """Ask for a seed; the window goes on meanwhile."""
        seed = self._window.training.intent.recipe.seed
        dialog = QInputDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(self.tr("New start"))
        dialog.setLabelText(self.tr("Seed, which the first weights, the drawings and their order follow"))
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(0, LARGEST_SEED)
        dialog.setIntValue(seed % LARGEST_SEED + 1)
        for box in dialog.findChildren(QSpinBox):
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        dialog.intValueSelected.connect(self._seeded)
        dialog.open()

    def _seeded(self, seed: int) -> None:
        self._wish(StartOver(seed))

    def _copy(self) -> None:
        """Put the command on the clipboard, and say what it does not hold."""
        try:
            told = self._window.training.told(self._window.device_name)
        except ValueError as error:
            self._window.say(str(error))
            return
        QGuiApplication.clipboard().setText(told.command)
        said = self.tr("Copied: it makes the whole run.")
        if told.step is not None:
            said = self.tr("Copied: it makes these weights, those of step {0}.").format(told.step)
        if told.lacks:
            said += self.tr(" It does not hold {0}.").format("; ".join(told.lacks))
        self._window.say(said)


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
