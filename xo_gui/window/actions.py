"""ACTIONS: every action of the window, and PANEL_KEYS: what a panel does with a key or the mouse.

Menus, shortcuts, status tips and the list of keys are made from these tables (`menus.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

from engine.data import NO_CLASS, class_phrase
from engine.documents import PRESETS
from engine.nn import RunPoint
from xo_gui.app import QT_TR_NOOP
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
from xo_gui.views.data import InputView, label_keys, with_mnemonic
from xo_gui.views.drawing import DrawingView
from xo_gui.views.inspector import InspectorView
from xo_gui.widgets import menu_text
from xo_gui.window.docks import CentralTabs, Docks
from xo_gui.window.import_export import ImportExport

Key = QKeySequence.StandardKey
Role = QAction.MenuRole


class SlidingPage(Protocol):
    """A page on which the window of a value slides over its map."""

    def toggle_playing(self) -> None: ...
    def step(self) -> None: ...


class ActionWindow(Protocol):
    """What the actions use of the main window: its parts and its slots."""

    session: Session
    training: TrainingController
    comparison: ComparisonController
    import_export: ImportExport
    panels: Docks
    central_tabs: CentralTabs
    theme_name: str

    @property
    def sliding(self) -> SlidingPage: ...
    @property
    def drawing_view(self) -> DrawingView: ...
    @property
    def input_view(self) -> InputView: ...
    @property
    def inspector_view(self) -> InspectorView: ...
    def isFullScreen(self) -> bool: ...
    def close(self) -> bool: ...
    def execute(self, command: Command) -> None: ...
    def open_last_session(self) -> None: ...
    def choose_theme(self, name: str) -> None: ...
    def reset_layout(self) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def use_preset(self, name: str) -> None: ...
    def find_layer(self) -> None: ...
    def ask_seed(self) -> None: ...
    def copy_command(self) -> None: ...
    def show_data(self) -> None: ...
    def toggle_stage(self) -> None: ...
    def leave_stage(self) -> None: ...
    def show_keys(self) -> None: ...
    def show_about(self) -> None: ...


@dataclass(frozen=True)
class WindowState:
    """What decides which actions are possible, checked, and what they are called.

    begun: there is a run. live: the weights shown are of that run. is_past: they are of an earlier step.
    stuck: training diverged or failed. last_good: the last step before that, unless it is shown.
    is_drawn: the input is a drawing, on the canvas.
    undo, redo: what would be undone and redone; None if there is nothing.
    """

    running: bool
    begun: bool
    live: bool
    is_past: bool
    stuck: bool
    last_good: RunPoint | None
    comparing: bool
    on_stage: bool
    network: str
    theme: str
    full_screen: bool
    labels: tuple[str, ...]
    example_labels: tuple[str, ...]
    is_drawn: bool
    undo: str | None
    redo: str | None


def state_of(window: ActionWindow) -> WindowState:
    """The present WindowState."""
    controller, stack = window.training, window.session.undo_stack
    settings, document = controller.settings, window.session.document
    training = controller.training if controller.live else None
    good = training.restart_point if training is not None else None
    return WindowState(
        running=settings.running,
        begun=controller.request is not None,
        live=controller.live,
        is_past=settings.shown_point is not None,
        stuck=training is not None and training.state in ("diverged", "failed"),
        last_good=good if settings.shown_point != good else None,
        comparing=window.comparison.is_comparing,
        on_stage=window.panels.is_on_stage,
        network=document.models[0].name,
        theme=window.theme_name,
        full_screen=window.isFullScreen(),
        labels=document.labels,
        example_labels=document.example_labels,
        is_drawn=document.kind.input_view == DrawingView.name,
        undo=stack.undoText() if stack.canUndo() else None,
        redo=stack.redoText() if stack.canRedo() else None,
    )


class Words(NamedTuple):
    """The text and the status tip of an action, not translated yet; `about` takes the place of {0}, {1} in them."""

    text: str
    tip: str
    about: tuple[str, ...] = ()


Slot: TypeAlias = Callable[[ActionWindow], object]


@dataclass(frozen=True)
class ActionSpec:
    """A row of ACTIONS.

    id: its name in `Menus.actions`.
    menu: the id of its menu; "" for an action that has only keys.
    text, tip, about: its Words, unless `words` says others; the list of keys shows this text.
    does: the command that it gives, or a function that calls slots of the window.
    keys: its shortcuts; a standard one stands for those of the platform.
    section: within its menu; a line divides sections.
    enabled, checked, words: of the present state. An action with `checked` is checkable.
    exclusive: it is one of several of its menu, of which one is checked.
    on_input: its keys act only while the canvas, or what else edits the input, has the focus.
    """

    id: str
    menu: str
    text: str
    tip: str
    does: Command | Slot
    keys: tuple[Key | str, ...] = ()
    section: int = 0
    about: tuple[str, ...] = ()
    role: Role = Role.NoRole
    enabled: Callable[[WindowState], bool] | None = None
    checked: Callable[[WindowState], bool] | None = None
    words: Callable[[WindowState], Words] | None = None
    exclusive: bool = False
    on_input: bool = False


@dataclass(frozen=True)
class LabelActions:
    """A row of ACTIONS that stands for one action a label of the Document: `make(label, keys of the labels)`.

    Keys that another action has are left out.
    of_examples: only for the labels of which there are examples.
    """

    make: Callable[[str, dict[str, str]], ActionSpec]
    of_examples: bool = False

    def rows(self, state: WindowState) -> Iterator[ActionSpec]:
        keys = label_keys(state.labels)
        return (self.make(label, keys) for label in (state.example_labels if self.of_examples else state.labels))


@dataclass(frozen=True)
class MenuSpec:
    """A menu of the menu bar, or of the menu `parent`, where it stands above the action `above`.

    fill: fills a menu whose actions are no rows of ACTIONS.
    """

    id: str
    text: str
    parent: str = ""
    above: str = ""
    fill: Callable[[ActionWindow, QMenu], None] | None = None


class PanelKey(NamedTuple):
    """A row of PANEL_KEYS: where, which keys or buttons, and what they do."""

    where: str
    keys: str
    meaning: str


def preset_id(name: str) -> str:
    """The id of the action that chooses a preset."""
    return f"preset-{name}"


def _undo(state: WindowState) -> Words:
    tip = QT_TR_NOOP("Undo the last change")
    return Words(QT_TR_NOOP("&Undo {0}"), tip, (menu_text(state.undo),)) if state.undo else Words("&Undo", tip)


def _redo(state: WindowState) -> Words:
    tip = QT_TR_NOOP("Redo the last undone change")
    return Words(QT_TR_NOOP("&Redo {0}"), tip, (menu_text(state.redo),)) if state.redo else Words("&Redo", tip)


def _train(state: WindowState) -> Words:
    if state.running:
        return Words(QT_TR_NOOP("&Pause"), QT_TR_NOOP("Pause training"))
    if state.begun and state.live:
        return Words(QT_TR_NOOP("&Resume"), QT_TR_NOOP("Resume training"))
    return Words(QT_TR_NOOP("&Train from scratch"), QT_TR_NOOP("Train from random weights, and see features form"))


def _is_drawn(state: WindowState) -> bool:
    return state.is_drawn


def _start_or_pause(window: ActionWindow) -> None:
    window.execute(Pause() if window.training.settings.running else Start())


def _show_profile(window: ActionWindow) -> None:
    window.panels.show_panel(InspectorView)
    window.inspector_view.show_profile_page()


def _theme(name: str, text: str) -> ActionSpec:
    return ActionSpec(
        f"theme-{name}", "theme", text, QT_TR_NOOP("Change the colours of the window"),
        lambda window: window.choose_theme(name), checked=lambda state: state.theme == name, exclusive=True,
    )  # fmt: skip


def _preset(number: int, name: str, title: str, summary: str) -> ActionSpec:
    return ActionSpec(
        preset_id(name), "network", f"&{title}", summary, lambda window: window.use_preset(name),
        (f"Ctrl+{number}",), checked=lambda state: state.network == title,
    )  # fmt: skip


def _compare(name: str, title: str) -> ActionSpec:
    tip = QT_TR_NOOP("Run the {0} network on the drawing as well, and see where the two differ")
    return ActionSpec(f"compare-{name}", "compare", f"&{title}", tip, CompareWithPreset(name), about=(title,))


def _save_as(label: str, keys: dict[str, str]) -> ActionSpec:
    return ActionSpec(
        f"save-as-{label}", "data", QT_TR_NOOP("Save as {0}"),
        QT_TR_NOOP("Add the drawing to the training data as {1}"),
        lambda window: window.input_view.save_as(label),
        (keys[label],) if label in keys else (), about=(with_mnemonic(label, keys), class_phrase(label)),
        on_input=True,
    )  # fmt: skip


def _example(label: str, keys: dict[str, str]) -> ActionSpec:
    one, none = QT_TR_NOOP("Draw {1} at random"), QT_TR_NOOP("Draw something that is neither")
    return ActionSpec(
        f"example-{label}", "data", QT_TR_NOOP("Example of {0}"), none if label == NO_CLASS else one,
        lambda window: window.input_view.load_example(label),
        (f"Ctrl+Shift+{keys[label]}",) if label in keys else (), section=1,
        about=(menu_text(label), class_phrase(label)),
    )  # fmt: skip


MENUS: tuple[MenuSpec, ...] = (
    MenuSpec("file", QT_TR_NOOP("&File")),
    MenuSpec(
        "recent", QT_TR_NOOP("Open &recent"), "file", "open-last-session",
        lambda window, menu: window.import_export.set_recent_menu(menu),
    ),
    MenuSpec("edit", QT_TR_NOOP("&Edit")),
    MenuSpec("view", QT_TR_NOOP("&View")),
    MenuSpec("theme", QT_TR_NOOP("&Theme"), "view", "reset-layout"),
    MenuSpec(
        "panels", QT_TR_NOOP("&Panels"), "view", "reset-layout",
        lambda window, menu: window.panels.list_in(menu),
    ),
    MenuSpec("network", QT_TR_NOOP("&Network")),
    MenuSpec("compare", QT_TR_NOOP("Compare &with"), "network", "swap"),
    MenuSpec("train", QT_TR_NOOP("&Train")),
    MenuSpec("data", QT_TR_NOOP("&Data")),
    MenuSpec("explain", QT_TR_NOOP("E&xplain")),
    MenuSpec("help", QT_TR_NOOP("&Help")),
)  # fmt: skip

# Qt gives some standard actions no shortcut on a desktop that it does not know, hence F11, Ctrl+Q and Ctrl+Shift+S;
# and never Ctrl+Y outside Windows.
ACTIONS: tuple[ActionSpec | LabelActions, ...] = (
    # -- File
    ActionSpec(
        "open", "file", QT_TR_NOOP("&Open…"), QT_TR_NOOP("Open a picture or a trained model"),
        lambda window: window.import_export.ask_open(), (Key.Open,),
    ),
    ActionSpec(
        "open-last-session", "file", QT_TR_NOOP("Open &last session"),
        QT_TR_NOOP("Restore drawing, network and training of the last session"),
        lambda window: window.open_last_session(),
    ),
    ActionSpec(
        "save-drawing", "file", QT_TR_NOOP("Save &drawing as picture…"),
        QT_TR_NOOP("Save the drawing as a PNG picture"),
        lambda window: window.import_export.ask_save_input(), (Key.Save,), section=1,
    ),
    ActionSpec(
        "save-network", "file", QT_TR_NOOP("Save &network…"),
        QT_TR_NOOP("Save the network with its weights as a model file"),
        lambda window: window.import_export.ask_save_model(), (Key.SaveAs, "Ctrl+Shift+S"), section=1,
    ),
    ActionSpec(
        "save-window", "file", QT_TR_NOOP("Save picture of the &window…"),
        QT_TR_NOOP("Save what the window shows as a PNG picture"),
        lambda window: window.import_export.ask_save_window(), (Key.Print,), section=1,
    ),
    ActionSpec(
        "quit", "file", QT_TR_NOOP("&Quit"), QT_TR_NOOP("Close the program"), lambda window: window.close(),
        (Key.Quit, "Ctrl+Q"), section=2, role=Role.QuitRole,
    ),
    # -- Edit
    ActionSpec(
        "undo", "edit", QT_TR_NOOP("&Undo"), QT_TR_NOOP("Undo the last change"),
        lambda window: window.session.undo_stack.undo(), (Key.Undo,),
        enabled=lambda state: state.undo is not None, words=_undo,
    ),
    ActionSpec(
        "redo", "edit", QT_TR_NOOP("&Redo"), QT_TR_NOOP("Redo the last undone change"),
        lambda window: window.session.undo_stack.redo(), (Key.Redo, "Ctrl+Y"),
        enabled=lambda state: state.redo is not None, words=_redo,
    ),
    ActionSpec(
        "copy", "edit", QT_TR_NOOP("&Copy"), QT_TR_NOOP("Copy a picture of the focused panel"),
        lambda window: window.import_export.copy(), (Key.Copy,), section=1,
    ),
    ActionSpec(
        "paste", "edit", QT_TR_NOOP("&Paste"), QT_TR_NOOP("Make the copied picture the drawing"),
        lambda window: window.import_export.paste(), (Key.Paste,), section=1,
    ),
    ActionSpec(
        "clear", "edit", QT_TR_NOOP("C&lear drawing"), QT_TR_NOOP("Clear the canvas"),
        lambda window: window.input_view.clear(), ("Ctrl+L",), section=2,
    ),
    ActionSpec(
        "reset-transform", "edit", QT_TR_NOOP("Reset &transform"),
        QT_TR_NOOP("Reset shift, size, rotation, bend, thickness, invert and crop"),
        lambda window: window.drawing_view.reset_transform(), ("Ctrl+0",), section=2, enabled=_is_drawn,
    ),
    ActionSpec(
        "invert", "edit", QT_TR_NOOP("&Invert picture"),
        QT_TR_NOOP("Swap ink and background of the opened picture"),
        lambda window: window.drawing_view.invert(), ("Ctrl+J",), section=3, enabled=_is_drawn,
    ),
    ActionSpec(
        "crop", "edit", QT_TR_NOOP("Cr&op picture…"),
        QT_TR_NOOP("Choose the part of the opened picture to keep"),
        lambda window: window.drawing_view.crop(), ("Ctrl+K",), section=3, enabled=_is_drawn,
    ),
    # -- View
    _theme("system", QT_TR_NOOP("&System")),
    _theme("dark", QT_TR_NOOP("&Dark")),
    _theme("light", QT_TR_NOOP("&Light")),
    ActionSpec(
        "reset-layout", "view", QT_TR_NOOP("&Reset layout"),
        QT_TR_NOOP("Move all panels back to their first places"), lambda window: window.reset_layout(),
    ),
    ActionSpec(
        "full-screen", "view", QT_TR_NOOP("&Full screen"), QT_TR_NOOP("Use the whole screen"),
        lambda window: window.toggle_full_screen(), (Key.FullScreen, "F11"),
        checked=lambda state: state.full_screen,
    ),
    ActionSpec(
        "next-tab", "", QT_TR_NOOP("Next tab of the middle"), QT_TR_NOOP("Show the next tab of the middle"),
        lambda window: window.central_tabs.move_by(1), ("Ctrl+PgDown",),
    ),
    ActionSpec(
        "previous-tab", "", QT_TR_NOOP("Previous tab of the middle"),
        QT_TR_NOOP("Show the previous tab of the middle"),
        lambda window: window.central_tabs.move_by(-1), ("Ctrl+PgUp",),
    ),
    # -- Network
    *(_preset(number, one.name, one.title, one.summary) for number, one in enumerate(PRESETS.values(), 1)),
    ActionSpec(
        "find-layer", "network", QT_TR_NOOP("&Find layer…"),
        QT_TR_NOOP("Go to a layer by its name, kind or number"),
        lambda window: window.find_layer(), (Key.Find,), section=1,
    ),
    *(_compare(one.name, one.title) for one in PRESETS.values()),
    ActionSpec(
        "compare-file", "compare", QT_TR_NOOP("A &model file…"),
        QT_TR_NOOP("Run the network of a file on the drawing as well"), CompareWithFile(), section=1,
    ),
    ActionSpec(
        "compare-current", "compare", QT_TR_NOOP("&These weights"),
        QT_TR_NOOP("Keep a copy of the weights shown, and see what further training changes"),
        CompareWithCurrent(), ("Ctrl+H",), section=1,
    ),
    ActionSpec(
        "swap", "network", QT_TR_NOOP("S&wap the two"), QT_TR_NOOP("Swap the two compared networks"),
        SwapModels(), ("Ctrl+Shift+W",), section=1, enabled=lambda state: state.comparing,
    ),
    ActionSpec(
        "stop-comparing", "network", QT_TR_NOOP("&Stop comparing"), QT_TR_NOOP("Keep only the first network"),
        StopComparing(), ("Ctrl+Shift+H",), section=1, enabled=lambda state: state.comparing,
    ),
    # -- Train
    ActionSpec(
        "train", "train", QT_TR_NOOP("Train, pause or resume"), QT_TR_NOOP("Train, or pause training"),
        _start_or_pause, ("Ctrl+Return",), words=_train,
    ),
    ActionSpec(
        "step", "train", QT_TR_NOOP("One &step"), QT_TR_NOOP("Train on one batch, then pause"), OneStep(),
        ("Ctrl+T",),
    ),
    ActionSpec(
        "epoch", "train", QT_TR_NOOP("One &epoch"),
        QT_TR_NOOP("Train to the end of this pass over all examples, then pause"), OneEpoch(), ("Ctrl+E",),
    ),
    ActionSpec(
        "restart", "train", QT_TR_NOOP("Rest&art"),
        QT_TR_NOOP("Start a new run from the same initial weights; earlier runs are kept"), Restart(),
        ("Ctrl+R",), section=1, enabled=lambda state: state.begun,
    ),
    ActionSpec(
        "new-seed", "train", QT_TR_NOOP("&New seed…"),
        QT_TR_NOOP("Start a new run from other random weights, of a seed that you choose"),
        lambda window: window.ask_seed(), ("Ctrl+Shift+R",), section=1,
    ),
    ActionSpec(
        "train-from-weights", "train", QT_TR_NOOP("Train from these &weights"),
        QT_TR_NOOP("Start a new run from the weights shown"), TrainFromCurrentWeights(), ("Ctrl+Shift+T",),
        section=1, enabled=lambda state: not state.running and not state.is_past,
    ),
    ActionSpec(
        "branch-here", "train", QT_TR_NOOP("Continue &from here"),
        QT_TR_NOOP("Train from the step shown, as a new branch"), Start(), ("Ctrl+Shift+Return",),
        section=2, enabled=lambda state: state.is_past or state.stuck,
    ),
    ActionSpec(
        "back-to-now", "train", QT_TR_NOOP("&Back to the latest step"), QT_TR_NOOP("Show the latest step again"),
        ShowPoint(None), ("Ctrl+B",), section=2, enabled=lambda state: state.is_past,
    ),
    ActionSpec(
        "last-good", "train", QT_TR_NOOP("Last &good step"),
        QT_TR_NOOP("Show the last step before training got worse"),
        lambda window: window.execute(ShowPoint(state_of(window).last_good)), ("Ctrl+G",),
        section=2, enabled=lambda state: state.last_good is not None,
    ),
    ActionSpec(
        "copy-command", "train", QT_TR_NOOP("&Copy as command"),
        QT_TR_NOOP("Copy the xo train command that reproduces these weights"),
        lambda window: window.copy_command(), ("Ctrl+Shift+C",), section=3,
    ),
    # -- Data
    LabelActions(_save_as),
    ActionSpec(
        "show-data", "data", QT_TR_NOOP("Show the &data"), QT_TR_NOOP("Show the training data"),
        lambda window: window.show_data(), ("Ctrl+D",),
    ),
    LabelActions(_example, of_examples=True),
    # -- Explain
    ActionSpec(
        "inspector", "explain", QT_TR_NOOP("&Inspector"), QT_TR_NOOP("Show the arithmetic of a value"),
        lambda window: window.panels.show_panel(InspectorView), ("Ctrl+I",),
    ),
    ActionSpec(
        "stage", "explain", QT_TR_NOOP("S&tage"),
        QT_TR_NOOP("Show how the pinned value comes about, alone on the window and large"),
        lambda window: window.toggle_stage(), ("F5",), checked=lambda state: state.on_stage,
    ),
    ActionSpec(
        "leave-stage", "", QT_TR_NOOP("Leave the stage"), QT_TR_NOOP("Show all panels again"),
        lambda window: window.leave_stage(), ("Esc",), enabled=lambda state: state.on_stage,
    ),
    ActionSpec(
        "slide", "explain", QT_TR_NOOP("&Slide the window"),
        QT_TR_NOOP("Slide the pinned value's window over its map, or pause it"),
        lambda window: window.sliding.toggle_playing(), ("Ctrl+Space",),
    ),
    ActionSpec(
        "slide-one", "explain", QT_TR_NOOP("Ste&p the window"),
        QT_TR_NOOP("Move the pinned value's window on by one value"),
        lambda window: window.sliding.step(), ("Ctrl+.",),
    ),
    ActionSpec(
        "profile", "explain", QT_TR_NOOP("&Maximally activating input"),
        QT_TR_NOOP("Show which inputs activate the pinned feature map or vote most"),
        _show_profile, ("Ctrl+Shift+I",),
    ),
    ActionSpec(
        "deselect", "explain", QT_TR_NOOP("&Deselect"),
        QT_TR_NOOP("Deselect the pinned value (Esc in the network)"),
        lambda window: window.session.pin(None),
    ),
    # -- Help
    ActionSpec(
        "keys", "help", QT_TR_NOOP("&Keys and mouse"), QT_TR_NOOP("List all keys and mouse buttons"),
        lambda window: window.show_keys(), (Key.HelpContents,),
    ),
    ActionSpec(
        "about", "help", QT_TR_NOOP("&About"), QT_TR_NOOP("Show version, licences and the folder of the log"),
        lambda window: window.show_about(), role=Role.AboutRole,
    ),
)  # fmt: skip

_CANVAS = QT_TR_NOOP("Canvas")
_NETWORK = QT_TR_NOOP("Values of the network")
_STAGE = QT_TR_NOOP("Stage")
_COMPARISON = QT_TR_NOOP("Comparison")
_TIMELINE = QT_TR_NOOP("Timeline")

PANEL_KEYS: tuple[PanelKey, ...] = (
    PanelKey(_CANVAS, QT_TR_NOOP("Left button"), QT_TR_NOOP("Draw, or erase with the eraser")),
    PanelKey(_CANVAS, QT_TR_NOOP("Right button, eraser end of a pen"), QT_TR_NOOP("Erase")),
    PanelKey(_CANVAS, QT_TR_NOOP("P, E"), QT_TR_NOOP("Pen, eraser")),
    PanelKey(_CANVAS, QT_TR_NOOP("[ ]"), QT_TR_NOOP("Thinner pen, thicker pen")),
    PanelKey(_CANVAS, QT_TR_NOOP("Del"), QT_TR_NOOP("Clear the canvas")),
    PanelKey(_CANVAS, QT_TR_NOOP("Arrows, Space"), QT_TR_NOOP("Move the pen by keyboard, lower or lift it")),
    PanelKey(_CANVAS, QT_TR_NOOP("Esc"), QT_TR_NOOP("Cancel the stroke")),
    PanelKey(_CANVAS, QT_TR_NOOP("Arrows, Shift+arrows"), QT_TR_NOOP("While cropping: move or size the part")),
    PanelKey(_CANVAS, QT_TR_NOOP("Enter, Esc"), QT_TR_NOOP("While cropping: crop, or cancel that")),
    PanelKey(_NETWORK, QT_TR_NOOP("Click on a value, Enter"), QT_TR_NOOP("Pin it, and see its arithmetic")),
    PanelKey(_NETWORK, QT_TR_NOOP("Esc"), QT_TR_NOOP("Deselect")),
    PanelKey(_NETWORK, QT_TR_NOOP("F"), QT_TR_NOOP("Fold a ReLU into the column before it, or unfold it")),
    PanelKey(_NETWORK, QT_TR_NOOP("Double click"), QT_TR_NOOP("Show how the value comes about, on the stage")),
    PanelKey(
        _NETWORK, QT_TR_NOOP("Shift+double click, Space"), QT_TR_NOOP("Enlarge a map; the wheel zooms, Esc closes")
    ),
    PanelKey(_NETWORK, QT_TR_NOOP("Page Up, Page Down"), QT_TR_NOOP("Previous or next maps of a layer")),
    PanelKey(_STAGE, QT_TR_NOOP("Arrows"), QT_TR_NOOP("Move the window over the map")),
    PanelKey(_STAGE, QT_TR_NOOP("Space, Enter"), QT_TR_NOOP("Play or pause, reveal the next part")),
    PanelKey(_COMPARISON, QT_TR_NOOP("A, B"), QT_TR_NOOP("Same value of the first, or of the second network")),
    PanelKey(_TIMELINE, QT_TR_NOOP("Left, Right"), QT_TR_NOOP("Show the step before or after")),
    PanelKey(_TIMELINE, QT_TR_NOOP("Page Up, Page Down"), QT_TR_NOOP("Go back or on by 50 steps")),
    PanelKey(_TIMELINE, QT_TR_NOOP("Home, End"), QT_TR_NOOP("First or last step of the branch")),
    PanelKey(_TIMELINE, QT_TR_NOOP("Esc"), QT_TR_NOOP("Show the latest step again")),
)  # fmt: skip
