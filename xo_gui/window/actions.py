"""The menus: every action of the window with its text, status tip, shortcut and place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QMainWindow, QMenu, QVBoxLayout, QWidget

from engine.data import NO_CLASS, class_phrase
from engine.documents import PRESETS
from engine.form_fields import FormField
from xo_gui.state import (
    Command,
    CompareWithCurrent,
    CompareWithFile,
    CompareWithPreset,
    ComparisonController,
    OneEpoch,
    OneStep,
    Pause,
    Restart,
    Session,
    ShowPoint,
    Start,
    StopComparing,
    SwapModels,
    TrainFromCurrentWeights,
    TrainingController,
)
from xo_gui.views import View
from xo_gui.views.data import label_keys, with_mnemonic
from xo_gui.views.drawing import DrawingView
from xo_gui.views.inspector import InspectorView
from xo_gui.widgets import NumberEdit, menu_text
from xo_gui.window.docks import Docks
from xo_gui.window.import_export import ImportExport

# Makes an action from its menu, text, status tip, slot and shortcut.
ActionMaker: TypeAlias = Callable[[QMenu, str, str, Callable[..., object], str | None], QAction]

MAX_SEED = 999_999

Key = QKeySequence.StandardKey
Role = QAction.MenuRole

# Qt gives some standard actions no shortcut on a desktop that it does not know, and never Ctrl+Y outside Windows.
EXTRA_SHORTCUTS = {Key.FullScreen: "F11", Key.Redo: "Ctrl+Y", Key.Quit: "Ctrl+Q", Key.SaveAs: "Ctrl+Shift+S"}


class ActionWindow(Protocol):
    """What the actions use of the main window: its parts, its slots and the name of the device."""

    session: Session
    training: TrainingController
    comparison: ComparisonController
    import_export: ImportExport
    panels: Docks
    views: list[View]

    @property
    def drawing_view(self) -> DrawingView: ...
    @property
    def device_name(self) -> str: ...
    def show_message(self, text: str) -> None: ...
    def close(self) -> bool: ...
    def open_last_session(self) -> None: ...
    def theme_chosen(self) -> None: ...
    def reset_layout(self) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def preset_chosen(self) -> None: ...
    def find_layer(self) -> None: ...
    def show_data(self) -> None: ...
    def show_keys(self) -> None: ...
    def show_about(self) -> None: ...


class Menus:
    """Fills the menu bar of `parent`, the main window. Actions whose state changes are attributes."""

    def __init__(self, window: ActionWindow, parent: QMainWindow) -> None:
        self._window, self._parent = window, parent
        self._file()
        self._edit()
        self._view()
        self._network()
        self.train = TrainMenu(window, parent, self._menu(tr("&Train")), self._action)
        self._data()
        self.explain = ExplainMenu(window, parent, self._menu(tr("E&xplain")), self._action)
        self._help()

    def check_theme(self, name: str) -> None:
        """Check the action of the theme `name`."""
        self.themes[name].setChecked(True)

    def check_preset(self, name: str) -> None:
        """Check the action of the preset `name`; none if it is not a preset."""
        for known, action in self.presets.items():
            action.setChecked(known == name)

    def _menu(self, title: str) -> QMenu:
        menu = self._parent.menuBar().addMenu(title)
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
        action = QAction(text, self._parent)
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
        files, menu = self._window.import_export, self._menu(tr("&File"))
        self._action(menu, tr("&Open…"), tr("Open a picture or a trained model"), files.ask_open, Key.Open)
        self.recent = files.recent_menu
        menu.addMenu(self.recent)
        self._action(
            menu, tr("Open &last session"), tr("Restore drawing, network and training of the last session"),
            self._window.open_last_session,
        )  # fmt: skip
        menu.addSeparator()
        self._action(
            menu, tr("Save &drawing as picture…"), tr("Save the drawing as a PNG picture"),
            files.ask_save_drawing, Key.Save,
        )  # fmt: skip
        self._action(
            menu, tr("Save &network…"), tr("Save the network with its weights as a model file"),
            files.ask_save_model, Key.SaveAs,
        )  # fmt: skip
        self._action(
            menu, tr("Save picture of the &window…"), tr("Save what the window shows as a PNG picture"),
            files.ask_save_window, Key.Print,
        )  # fmt: skip
        menu.addSeparator()
        self._action(menu, tr("&Quit"), tr("Close the program"), self._window.close, Key.Quit, Role.QuitRole)

    def _edit(self) -> None:
        window, menu = self._window, self._menu(tr("&Edit"))
        files = window.import_export
        stack = window.session.undo_stack
        for action, key, title, changed in (
            (stack.createUndoAction(self._parent), Key.Undo, tr("&Undo"), stack.undoTextChanged),
            (stack.createRedoAction(self._parent), Key.Redo, tr("&Redo"), stack.redoTextChanged),
        ):
            changed.connect(ChangeTitle(action, title).show_change)
            action.setShortcuts(keys_for(key))
            action.setStatusTip(
                tr("Undo the last change") if key is Key.Undo else tr("Redo the last undone change")
            )
            menu.addAction(action)
        menu.addSeparator()
        self._action(menu, tr("&Copy"), tr("Copy a picture of the focused panel"), files.copy, Key.Copy)
        self._action(menu, tr("&Paste"), tr("Make the copied picture the drawing"), files.paste, Key.Paste)
        menu.addSeparator()
        drawing = window.drawing_view
        self._action(menu, tr("C&lear drawing"), tr("Clear the canvas"), drawing.clear, "Ctrl+L")
        self._action(
            menu, tr("Reset &transform"), tr("Reset shift, size, rotation, bend, thickness, invert and crop"),
            drawing.reset_transform, "Ctrl+0",
        )  # fmt: skip
        menu.addSeparator()
        self._action(
            menu,
            tr("&Invert picture"),
            tr("Swap ink and background of the opened picture"),
            drawing.invert,
            "Ctrl+J",
        )
        self._action(
            menu, tr("Cr&op picture…"), tr("Choose the part of the opened picture to keep"), drawing.crop, "Ctrl+K"
        )

    def _view(self) -> None:
        window, menu = self._window, self._menu(tr("&View"))
        theme, group = menu.addMenu(tr("&Theme")), QActionGroup(self._parent)
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
        self._action(
            menu, tr("&Reset layout"), tr("Move all panels back to their first places"), window.reset_layout
        )
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
        self.compare = CompareMenu(window, self._parent, menu, self._action)

    def _data(self) -> None:
        menu = self._menu(tr("&Data"))
        show = self._action(
            menu, tr("Show the &data"), tr("Show the training data"), self._window.show_data, "Ctrl+D"
        )
        menu.addSeparator()
        self.classes = ClassActions(self._window, self._parent, menu, show)

    def _help(self) -> None:
        window, menu = self._window, self._menu(tr("&Help"))
        self._action(
            menu, tr("&Keys and mouse"), tr("List all keys and mouse buttons"), window.show_keys, Key.HelpContents
        )
        self._action(
            menu, tr("&About"), tr("Show version, licences and the folder of the log"), window.show_about,
            role=Role.AboutRole,
        )  # fmt: skip


class ClassActions(QObject):
    """The actions of the menu Data for each label: to save the drawing as one, and to show an example."""

    def __init__(self, window: ActionWindow, parent: QMainWindow, menu: QMenu, show: QAction) -> None:
        """show: the action that those that save stand above."""
        super().__init__(parent)
        self._window, self._parent, self._menu, self._show = window, parent, menu, show
        self._labels: tuple[str, ...] = ()
        self.actions: list[QAction] = []
        self.refresh()

    def refresh(self) -> None:
        """Make the actions anew if the labels have changed."""
        labels = self._window.session.document.labels
        if labels == self._labels:
            return
        self._labels, canvas = labels, self._window.drawing_view.canvas
        for action in self.actions:
            self._menu.removeAction(action)
            canvas.removeAction(action)
            action.deleteLater()
        self.actions, keys = [], label_keys(labels)
        others = [action for action in self._parent.findChildren(QAction) if action.parent() is not self]
        taken = {keys.toString() for action in others for keys in action.shortcuts()}
        for label in labels:
            action = self._create(tr("Save as {0}").format(with_mnemonic(label, keys)), label)
            action.setStatusTip(tr("Add the drawing to the training data as {0}").format(class_phrase(label)))
            action.setShortcut(QKeySequence(keys.get(label, "")))
            # A single letter acts only while the canvas has the focus.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.setAutoRepeat(False)
            action.triggered.connect(self._save)
            self._menu.insertAction(self._show, action)
            canvas.addAction(action)
        for label in labels:
            action = self._create(tr("Example of {0}").format(label.replace("&", "&&")), label)
            tip = tr("Draw something that is neither") if label == NO_CLASS else tr("Draw {0} at random")
            action.setStatusTip(tip.format(class_phrase(label)))
            shortcut = f"Ctrl+Shift+{keys.get(label, '')}"
            if label in keys and shortcut not in taken:
                action.setShortcut(QKeySequence(shortcut))
            action.triggered.connect(self._show_example)
            self._menu.addAction(action)

    def _create(self, text: str, label: str) -> QAction:
        action = QAction(text, self)
        action.setData(label)
        self.actions.append(action)
        return action

    def _save(self) -> None:
        self._window.drawing_view.save_as(self._label_of_sender())

    def _show_example(self) -> None:
        self._window.drawing_view.load_example(self._label_of_sender())

    def _label_of_sender(self) -> str:
        action = self.sender()
        assert isinstance(action, QAction)
        return str(action.data())


class TrainMenu(QObject):
    """Fills `menu` with the training commands. refresh is called whenever their settings or results change."""

    def __init__(self, window: ActionWindow, parent: QWidget, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(parent)
        self._window, self._parent, self.menu = window, parent, menu
        self._shown: tuple[object, ...] = ()
        tr = self.tr
        self.train = make(menu, "", "", self._train, "Ctrl+Return")
        self.step = make(menu, tr("One &step"), tr("Train on one batch, then pause"), self._step, "Ctrl+T")
        self.epoch = make(
            menu, tr("One &epoch"), tr("Train to the end of this pass over all examples, then pause"), self._epoch,
            "Ctrl+E",
        )  # fmt: skip
        menu.addSeparator()
        self.restart = make(
            menu, tr("Rest&art"), tr("Start a new run from the same initial weights; earlier runs are kept"),
            self._restart, "Ctrl+R",
        )  # fmt: skip
        self.new_run = make(
            menu, tr("&New seed…"), tr("Start a new run from other random weights, of a seed that you choose"),
            self._ask_seed, "Ctrl+Shift+R",
        )  # fmt: skip
        self.from_weights = make(
            menu, tr("Train from these &weights"), tr("Start a new run from the weights shown"),
            self._train_from_weights, "Ctrl+Shift+T",
        )  # fmt: skip
        menu.addSeparator()
        self.branch_here = make(
            menu, tr("Continue &from here"), tr("Train from the step shown, as a new branch"), self._branch_here,
            "Ctrl+Shift+Return",
        )  # fmt: skip
        self.back_to_now = make(
            menu, tr("&Back to the latest step"), tr("Show the latest step again"), self._show_latest, "Ctrl+B"
        )
        self.last_good = make(
            menu,
            tr("Last &good step"),
            tr("Show the last step before training got worse"),
            self._show_last_good,
            "Ctrl+G",
        )
        menu.addSeparator()
        self.copy_command = make(
            menu, tr("&Copy as command"), tr("Copy the xo train command that reproduces these weights"),
            self._copy, "Ctrl+Shift+C",
        )  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """Enable the actions that are possible now, and set the text of the first."""
        controller = self._window.training
        request, settings = controller.request, controller.settings
        training = controller.training if controller.live else None
        back = settings.shown_point is not None
        stuck = training is not None and training.state in ("diverged", "failed")
        good = training.restart_point if training is not None else None
        state = (settings.running, request is None, back, stuck, good, controller.live)
        if state == self._shown:
            return
        self._shown = state
        self._set_train_text(settings.running, request is None or not controller.live)
        self.restart.setEnabled(request is not None)
        self.from_weights.setEnabled(not settings.running and not back)
        self.branch_here.setEnabled(back or stuck)
        self.back_to_now.setEnabled(back)
        self.last_good.setEnabled(good is not None and settings.shown_point != good)

    def _set_train_text(self, running: bool, fresh: bool) -> None:
        text, tip = self.tr("&Resume"), self.tr("Resume training")
        if running:
            text, tip = self.tr("&Pause"), self.tr("Pause training")
        elif fresh:
            text, tip = self.tr("&Train from scratch"), self.tr("Train from random weights, and see features form")
        self.train.setText(text)
        self.train.setStatusTip(tip)

    # -- slots -------------------------------------------------------------------------------------------------

    def _execute(self, command: Command) -> None:
        self._window.training.execute(command)

    def _train(self) -> None:
        self._execute(Pause() if self._window.training.settings.running else Start())

    def _step(self) -> None:
        self._execute(OneStep())

    def _epoch(self) -> None:
        self._execute(OneEpoch())

    def _restart(self) -> None:
        self._execute(Restart())

    def _train_from_weights(self) -> None:
        self._execute(TrainFromCurrentWeights())

    def _branch_here(self) -> None:
        self._execute(Start())

    def _show_latest(self) -> None:
        self._execute(ShowPoint(None))

    def _show_last_good(self) -> None:
        training = self._window.training.training
        if training is not None and training.restart_point is not None:
            self._execute(ShowPoint(training.restart_point))

    def _ask_seed(self) -> None:
        """Ask for a seed in a dialog that blocks nothing."""
        dialog = SeedDialog(self._window.training.settings.config.seed % MAX_SEED + 1, self._parent)
        dialog.chosen.connect(self._restart_with_seed)
        dialog.open()

    def _restart_with_seed(self, seed: int) -> None:
        self._execute(Restart(seed))

    def _copy(self) -> None:
        """Copy the command to the clipboard, and report what it does not include."""
        try:
            line = self._window.training.as_command_line(self._window.device_name)
        except ValueError as error:
            self._window.show_message(str(error))
            return
        QGuiApplication.clipboard().setText(line.command)
        message = self.tr("Copied: it makes the whole run that Train would begin.")
        if line.step is not None:
            message = self.tr("Copied: it makes these weights, those of step {0}.").format(line.step)
        if line.missing:
            message += self.tr(" It does not include {0}.").format("; ".join(line.missing))
        self._window.show_message(message)


class SeedDialog(QDialog):
    """Asks for the seed of a new run, blocking nothing. chosen(seed): it was confirmed."""

    chosen = Signal(int)

    def __init__(self, seed: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("New seed"))
        name = self.tr("Seed of the initial weights, the drawings and their order")
        self.box = NumberEdit(FormField(name, "", 1), True, self, limits=(0, MAX_SEED))
        self.box.show_number(seed)
        self.box.selectAll()
        self.box.chosen.connect(self.box.show_number)
        self.box.returnPressed.connect(self.accept)
        self.message_label = QLabel(self)
        self.box.rejected.connect(self.message_label.setText)
        choices = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(choices.Ok | choices.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (QLabel(name), self.box, self.message_label, buttons):
            layout.addWidget(widget)

    def accept(self) -> None:
        """Confirm the seed, unless what is typed is none: then it stays open and says why."""
        if self.box.finish() and self.box.value is not None:
            self.chosen.emit(int(self.box.value))
            super().accept()


class ExplainMenu(QObject):
    """Fills `menu` with the actions of the inspector."""

    def __init__(self, window: ActionWindow, parent: QWidget, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(parent)
        self._window = window
        inspector = self._inspector = next(view for view in window.views if isinstance(view, InspectorView))
        for text, tip, slot, key in (
            (self.tr("&Inspector"), self.tr("Show the arithmetic of a value"), self._show_inspector, "Ctrl+I"),
            (
                self.tr("&Slide the window"),
                self.tr("Slide the pinned value's window over its map, or pause it"),
                inspector.value_page.toggle_playing,
                "Ctrl+Space",
            ),
            (
                self.tr("S&tep the window"),
                self.tr("Move the pinned value's window on by one value"),
                inspector.value_page.animation.advance,
                "Ctrl+.",
            ),
            (
                self.tr("&Maximally activating input"),
                self.tr("Show which inputs activate the pinned feature map or vote most"),
                self._show_profile,
                "Ctrl+Shift+I",
            ),
            (self.tr("&Deselect"), self.tr("Deselect the pinned value (Esc in the network)"), self._deselect, None),
        ):
            make(menu, text, tip, slot, key)

    def _show_inspector(self) -> None:
        self._window.panels.show_panel(InspectorView)

    def _show_profile(self) -> None:
        self._show_inspector()
        self._inspector.show_profile_page()

    def _deselect(self) -> None:
        self._window.session.pin(None)


class CompareMenu(QObject):
    """Adds the actions of a comparison to `menu`. refresh is called whenever the Document changes."""

    def __init__(self, window: ActionWindow, parent: QWidget, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(parent)
        self._window = window
        tr = self.tr
        self.menu = menu.addMenu(tr("Compare &with"))
        self.menu.setToolTipsVisible(True)
        for known in PRESETS.values():
            tip = tr("Run the {0} network on the drawing as well, and see where the two differ").format(known.title)
            self._add(make, self.menu, f"&{known.title}", tip, CompareWithPreset(known.name))
        self.menu.addSeparator()
        self._add(
            make, self.menu, tr("A &model file…"), tr("Run the network of a file on the drawing as well"),
            CompareWithFile(),
        )  # fmt: skip
        self._add(
            make, self.menu, tr("&These weights"),
            tr("Keep a copy of the weights shown, and see what further training changes"),
            CompareWithCurrent(), "Ctrl+H",
        )  # fmt: skip
        self.swap = self._add(
            make, menu, tr("S&wap the two"), tr("Swap the two compared networks"), SwapModels(), "Ctrl+Shift+W",
        )  # fmt: skip
        self.stop = self._add(
            make, menu, tr("&Stop comparing"), tr("Keep only the first network"), StopComparing(), "Ctrl+Shift+H",
        )  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """Enable the actions that need two models."""
        for action in (self.swap, self.stop):
            action.setEnabled(self._window.comparison.is_comparing)

    def _add(
        self, make: ActionMaker, menu: QMenu, text: str, tip: str, command: Command, key: str | None = None
    ) -> QAction:
        action = make(menu, text, tip, self._execute, key)
        action.setData(command)
        return action

    def _execute(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self._window.comparison.execute(action.data())


def keys_for(key: Key) -> list[QKeySequence]:
    """The platform's shortcuts of a standard action, and the extra one that users expect everywhere."""
    shortcuts, extra = QKeySequence.keyBindings(key), EXTRA_SHORTCUTS.get(key)
    if extra and QKeySequence(extra) not in shortcuts:
        shortcuts.append(QKeySequence(extra))
    return shortcuts


class ChangeTitle(QObject):
    """Titles Qt's undo or redo action; unlike Qt's own text, it shows an & in the name of a file."""

    def __init__(self, action: QAction, title: str) -> None:
        super().__init__(action)
        self._action, self._title = action, title
        self.show_change("")

    def show_change(self, text: str) -> None:
        self._action.setText(f"{self._title} {menu_text(text)}".rstrip())


def tr(text: str) -> str:
    return QCoreApplication.translate("Menus", text)
