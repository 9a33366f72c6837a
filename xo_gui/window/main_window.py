"""MainWindow: panels, menus and status bar, and the connections between views, session and engine thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from statistics import median
from time import perf_counter

from PySide6.QtCore import QByteArray, QEvent, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QResizeEvent, QStatusTipEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QMainWindow, QToolButton, QWidget

from engine.documents import PRESETS, check_input, shipped_model, shipped_run
from engine.nn import Model, Network
from engine.runtime import AnyQuery, Notice, Snapshot
from xo_gui.app import Preferences, SavedLayout, call_all, resolve_theme, theme_service
from xo_gui.state import (
    Autosave,
    CellRef,
    Command,
    ComparisonController,
    EngineThread,
    Restart,
    Session,
    Statement,
    TrainingController,
)
from xo_gui.views import View
from xo_gui.views.compare import CompareView
from xo_gui.views.data import DataView, InputView
from xo_gui.views.drawing import DrawingView
from xo_gui.views.inspector import InspectorView, StageView
from xo_gui.views.network import MODEL_LETTERS, LayerStripView, NetworkView
from xo_gui.views.votes import VotesView
from xo_gui.window import dialogs
from xo_gui.window.accessible_names import name_parts
from xo_gui.window.actions import SlidingPage, preset_id
from xo_gui.window.docks import MARGIN, CentralTabs, Docks, PanelFrame
from xo_gui.window.import_export import ImportExport
from xo_gui.window.menus import Menus
from xo_gui.window.panels import INPUT_VIEWS, PANELS
from xo_gui.window.recovery_bar import RecoveryBar, with_bar_above
from xo_gui.window.status_bar import StatusBar
from xo_gui.window.tab_order import move_focus

# The latency shown is the median of this many strokes, updated this often, so that it can be read.
LATENCY_COUNT, LATENCY_SECONDS = 25, 0.25
# During a stroke while training runs, and a drag of the timeline, the throttled views are updated this often.
# All views show any other snapshot at once, so that they are of one moment.
THROTTLE_SECONDS = 0.5
# Less height would cut the tools under the canvas when the prediction's sentence takes three lines.
MIN_SIZE = (900, 640)
MENU_PADDING, MENU_SPACING = 10, 6  # at each side of a menu's name, and between two of them
MIN_HEIGHT_OF_TWO = 680  # the height with the votes of two networks


class MainWindow(QMainWindow):
    """The main window.

    shown(latency): a snapshot has been painted, `latency` seconds after the change that it shows.
    last: the latest snapshot with predictions.
    """

    shown = Signal(float)

    def __init__(self, session: Session, thread: EngineThread, settings: Preferences, theme: str) -> None:
        super().__init__()
        self.session, self._thread, self._settings = session, thread, settings
        self.training = TrainingController(session)
        self.comparison = ComparisonController(session, self.training)
        self.setAcceptDrops(True)
        self.setMinimumSize(*MIN_SIZE)
        self.views: list[View] = []
        self.panels = Docks(self)
        self.autosave: Autosave | None = None
        self.last: Snapshot | None = None
        self._pending: Snapshot | None = None
        self._latencies: deque[float] = deque(maxlen=LATENCY_COUNT)
        self._latency_written = self._shown_in_all_at = 0.0
        self._throttling = self._throttled = False
        self._named: tuple[Model | str | int | None, ...] | None = None  # in title and status bar
        self._keeps_layout = False
        self._tab_before_stage: type[View] = NetworkView
        self._input_view = DrawingView.name
        self._build_panels()
        self.import_export = ImportExport(
            self, session, settings, self.training, self.comparison, self.views, lambda: self.input_view
        )
        self.theme_name = theme
        self.menus = Menus(self, self)
        self._build_preset_buttons()
        self._build_status()
        self._wire()
        self._show_and_open_everything()
        self.set_theme(theme)
        self._first_layout = self.saveState()
        self._document_changed()
        self._training_settings_changed()

    def _build_panels(self) -> None:
        """Place each view as a tab of the central widget or in a dock around it."""
        self.central_tabs = CentralTabs(self)
        self.recovery_bar = RecoveryBar(self)
        self.setCentralWidget(with_bar_above(self.recovery_bar, self.central_tabs))
        for panel in PANELS:
            view = panel.view(self)
            self.views.append(view)
            if panel.area is None:
                self.central_tabs.add(view)
            else:
                self.panels.add(view, panel)
        self.panels.apply_first_sizes()

    def _show_and_open_everything(self) -> None:
        """Have no label take a name such as <b> for markup, and no box take a dropped file for text; name all."""
        for label in self.findChildren(QLabel):
            if label.textFormat() == Qt.TextFormat.AutoText:
                label.setTextFormat(Qt.TextFormat.PlainText)
        for edit in self.findChildren(QLineEdit):
            edit.setAcceptDrops(False)
        name_parts(self)

    def start_autosave(self, recovery: Autosave) -> None:
        """Autosave from now on, and offer to restore what an earlier session left."""
        self.autosave = self.import_export.autosave = recovery
        recovery.message.connect(self.show_message)
        recovery.stated.connect(self.show_message)
        recovery.offers_changed.connect(self._offers_changed)
        self.recovery_bar.restored.connect(recovery.restore)
        self.recovery_bar.discarded.connect(recovery.discard)
        self.session.changed.connect(recovery.save_if_changed)
        self.training.changed.connect(recovery.save_if_changed)
        recovery.start()
        self.drawing_view.canvas.setFocus()  # so that the first key pressed does not answer the offer

    def _offers_changed(self) -> None:
        self.recovery_bar.show_offers(() if self.autosave is None else self.autosave.offers)

    def open_last_session(self) -> None:
        """Restore the project of the window that was closed last."""
        path = None if self.autosave is None else self.autosave.last_session
        if path is None:
            self.show_message(self.tr("No session has been closed yet; the next one can be opened here."))
        else:
            self.import_export.open_path(path)

    def _view(self, kind: type[View]) -> View:
        return next(view for view in self.views if isinstance(view, kind))

    @property
    def device_name(self) -> str:
        """The computing device, as the command line names it: "cpu" or "gpu"."""
        return "cpu" if self.last is None or self.last.device.title == "CPU" else "gpu"

    @property
    def drawing_view(self) -> DrawingView:
        view = self._view(DrawingView)
        assert isinstance(view, DrawingView)
        return view

    @property
    def input_view(self) -> InputView:
        """The view that shows the input."""
        view = self._view(INPUT_VIEWS[self._input_view])
        assert isinstance(view, InputView)
        return view

    @property
    def inspector_view(self) -> InspectorView:
        view = self._view(InspectorView)
        assert isinstance(view, InspectorView)
        return view

    @property
    def stage_view(self) -> StageView:
        view = self._view(StageView)
        assert isinstance(view, StageView)
        return view

    @property
    def votes_view(self) -> VotesView:
        view = self._view(VotesView)
        assert isinstance(view, VotesView)
        return view

    @property
    def network_view(self) -> NetworkView:
        view = self._view(NetworkView)
        assert isinstance(view, NetworkView)
        return view

    def _build_preset_buttons(self) -> None:
        """Put the presets beside the menus, where new users find them; the Network menu has them, too."""
        self._preset_box = box = QWidget(self.menuBar())
        layout = QHBoxLayout(box)
        layout.setContentsMargins(0, 0, MARGIN, 0)
        layout.setSpacing(4)
        for action in (self.menus.actions[preset_id(name)] for name in PRESETS):
            button = QToolButton()
            button.setObjectName("choice")
            button.setDefaultAction(action)
            button.setAccessibleName(self.tr("{0} network").format(action.iconText()))
            layout.addWidget(button)
        self.menuBar().setCornerWidget(box)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the presets beside the menus only where these have room."""
        super().resizeEvent(event)
        bar = self.menuBar()
        texts = [action.text() for action in bar.actions()]
        widths = [bar.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, text).width() for text in texts]
        spaces = (2 * MENU_PADDING + MENU_SPACING) * len(texts) + 2 * MENU_SPACING
        needed = sum(widths) + spaces + self._preset_box.sizeHint().width()
        self._preset_box.setVisible(needed <= self.width())

    def _build_status(self) -> None:
        self._bar = bar = StatusBar(self)
        self.setStatusBar(bar)
        self._facts = bar.add_fact(self.tr("Network"), self.tr("The network in use"))
        self._device = bar.add_fact(self.tr("Device"), self.tr("The device that computes, and why it was chosen"))
        tip = self.tr("Time from a movement of the pen to the painted picture")
        self._latency = bar.add_fact(self.tr("Latency"), tip)

    def _wire_views(self, views: Iterable[View]) -> None:
        for view in views:
            view.previewed.connect(self.session.preview)
            view.edited.connect(self.session.edit)
            view.hovered.connect(self.session.hover)
            view.pinned.connect(self.session.pin)
            view.stepped_to.connect(self.session.step_to)
            view.opened.connect(self.show_stage)
            view.queries_changed.connect(self.send_request)
            view.commanded.connect(self.execute)
            view.message.connect(self.show_message)
            view.stated.connect(self.show_message)
            view.visible_maps_changed.connect(partial(self.session.set_visible_maps, view.title))
            if isinstance(view, LayerStripView):
                view.remembered = self._settings.folds
                view.folds_changed.connect(self._remember_folds)

    def _remember_folds(self, network: str, folds: dict[str, bool]) -> None:
        """Keep what is folded of a network, for its next time in any view."""
        self._settings.remember_folds(network, folds)
        for view in self.views:
            if isinstance(view, LayerStripView):
                view.remembered = self._settings.folds

    def _show_input_view(self, name: str) -> None:
        """Show the view of the input that the kind of data asks for; it is made when it is first needed."""
        if name == self._input_view:
            return
        self._input_view, view_class = name, INPUT_VIEWS[name]
        view = next((view for view in self.views if type(view) is view_class), None)
        if view is None:
            view = view_class(self)
            self.menus.add_key_widget(view.key_widget)
            self.views.append(view)
            self._wire_views([view])
            view.set_training(self.training.settings)
            self.panels.dock_of(DrawingView).visibilityChanged.connect(view.set_on_top)
        frame = self.panels.dock_of(DrawingView).widget()
        assert isinstance(frame, PanelFrame)
        frame.show_view(view)

    def _wire(self) -> None:
        self._wire_views(self.views)
        self.stage_view.leave_requested.connect(self.leave_stage)
        self.training.changed.connect(self._training_settings_changed)
        self.training.message.connect(self.show_message)
        self.training.stated.connect(self.show_message)
        self.comparison.message.connect(self.show_message)
        self.comparison.stated.connect(self.show_message)
        self.comparison.started.connect(self.show_comparison)
        self.comparison.file_requested.connect(self.import_export.ask_comparison_file)
        self.import_export.message.connect(self.show_message)
        self.import_export.stated.connect(self.show_message)
        self._settings.message.connect(self.show_message)
        self.import_export.model_opened.connect(self.use_model)
        self.import_export.picture_wanted.connect(self.catch_up)
        self.session.changed.connect(self._document_changed)
        self.session.undo_stack.indexChanged.connect(self.menus.refresh)
        self.session.selection_changed.connect(self._selection_changed)
        self.session.request_changed.connect(self.send_request)
        self.session.notice_received.connect(self._noticed)
        self._thread.snapshot_ready.connect(self._take_snapshot)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._scheme_changed)

    # -- requests and snapshots --------------------------------------------------------------------------------

    def _document_changed(self) -> None:
        document = self.session.document
        self._show_input_view(document.kind.input_view)
        call_all(partial(view.set_document, document) for view in self.views)
        self._bar.end_untrue()
        self.send_request()
        self._name_network()
        self.menus.refresh()
        self.setMinimumHeight(MIN_SIZE[1] if len(document.models) == 1 else MIN_HEIGHT_OF_TWO)

    def send_request(self) -> None:
        """Send the current Request to the engine."""
        training = self.training
        self._thread.submit(self.session.request(training.request, training.live, self.visible_queries()))

    def visible_queries(self) -> frozenset[AnyQuery]:
        """What the panels on the screen need computed beside the predictions."""
        return frozenset(query for view in self.views if view.is_on_screen for query in view.queries())

    def _training_settings_changed(self) -> None:
        settings = self.training.settings
        call_all(partial(view.set_training, settings) for view in self.views)
        self.menus.refresh()
        self.session.restart_latency_clock()
        self.send_request()

    def _selection_changed(self) -> None:
        is_hidden = self.panels.dock_of(InspectorView).isHidden() and not self.panels.is_on_stage
        if self.session.selection.pinned is not None and is_hidden:
            self.panels.show_panel(InspectorView)
        call_all(partial(view.set_selection, self.session.selection) for view in self.views)

    def _take_snapshot(self) -> None:
        snapshot = self._thread.take()
        if snapshot is None:
            return
        self.session.report_notices(snapshot.notices)
        if snapshot.open_result is not None and self.session.is_new(snapshot.open_result):
            call_all([partial(self.import_export.on_opened, snapshot.open_result)])
        self._bar.end_untrue()
        if snapshot.generation < self.session.generation:
            return
        self._throttled = self._should_throttle(snapshot)
        self._show(snapshot, [view for view in self.views if not (self._throttled and view.is_throttled)])
        if snapshot.device.title:
            self._device.setText(f"{snapshot.device.title} · {snapshot.device.reason}")
        if snapshot.predictions:
            self._pending = self.last = snapshot
        call_all([partial(self.training.on_snapshot, snapshot), partial(self.comparison.on_snapshot, snapshot)])
        self._name_network()
        if self.autosave is not None:
            call_all([self.autosave.save_if_changed])
        if not self._throttled:
            self._shown_in_all_at = perf_counter()
            self.menus.refresh()

    def _show(self, snapshot: Snapshot, views: list[View]) -> None:
        shown = snapshot if self.training.live else snapshot.without_training()
        call_all(partial(view.set_snapshot, snapshot if view.lists_all_runs else shown) for view in views)

    def catch_up(self) -> None:
        """Show the last snapshot in the views that have skipped it, as before a picture of the window is taken."""
        if self._throttled and self.last is not None:
            self._throttled = False
            self._show(self.last, [view for view in self.views if view.is_throttled])

    def _should_throttle(self, snapshot: Snapshot) -> bool:
        """Whether this snapshot, of a stroke while training runs or of a drag of the timeline, follows another one
        too soon for every view."""
        training = snapshot.training
        # While the timeline is dragged, the step shown is only near the one meant.
        dragged = training is not None and not training.is_exact
        drawn = training is not None and training.state == "running" and not snapshot.settled
        before, self._throttling = self._throttling, drawn or dragged
        return before and self._throttling and perf_counter() - self._shown_in_all_at < THROTTLE_SECONDS

    def event(self, event: QEvent) -> bool:
        """Measure the latency: all changes are painted within UpdateRequest, then the snapshot is visible."""
        if isinstance(event, QStatusTipEvent):  # Qt would replace a message as soon as the mouse moves
            self._bar.show_tip(event.tip())
            return True
        handled = super().event(event)
        if event.type() == QEvent.Type.UpdateRequest and self._pending is not None:
            snapshot, self._pending = self._pending, None
            self._measure_latency(snapshot)
        return handled

    def _measure_latency(self, snapshot: Snapshot) -> None:
        now = perf_counter()
        latency = now - snapshot.requested_at
        if not snapshot.settled:
            self._latencies.append(latency)
        if now - self._latency_written > LATENCY_SECONDS:
            self._latency_written = now
            text = self.tr("engine {0:.1f} ms").format(1000 * snapshot.engine_seconds)
            if self._latencies:
                total = self.tr("{0:.1f} ms from stroke to picture").format(1000 * median(self._latencies))
                text = f"{total} · {text}"
            self._latency.setText(text)
        self.shown.emit(latency)

    # -- status bar --------------------------------------------------------------------------------------------

    def show_message(self, sentence: str | Statement) -> None:
        """Show a sentence in the status bar."""
        self._bar.show_message(sentence)

    def _noticed(self, notice: Notice) -> None:
        self.show_message(notice.text)

    def _name_network(self) -> None:
        """Name the network and the weights on the screen, in the title and the status bar."""
        (model, *others), training = self.session.document.models, self.training
        point = training.shown_moment
        if training.settings.running and training.settings.shown_point is None:
            point = self.tr("in training")
        seed = training.shown_seed
        if (model, *others, point, seed) == self._named:
            return
        self._named = model, *others, point, seed
        count = sum(cost.parameters for cost in model.network.costs)
        facts = self.tr("{0} network · {1} weights").format(model.name, f"{count:,}".replace(",", " "))
        if seed is not None:
            facts += self.tr(" · seed {0}").format(seed)
        self._facts.setText(facts)
        names = [f"{letter} · {one.name}" for letter, one in zip(MODEL_LETTERS, (model, *others), strict=False)]
        title = self.tr("{0} network, {1}") if point else self.tr("{0} network")
        first = title.format(names[0] if others else model.name, point)
        both = self.tr("{0} and {1} network — XO").format(first, names[-1])
        self.setWindowTitle(both if others else self.tr("{0} — XO").format(first))

    # -- actions: networks -------------------------------------------------------------------------------------

    def use_preset(self, name: str) -> None:
        """Use the preset `name` as the first model: as it was left, if it was trained before another network was
        chosen, or as it is shipped."""
        try:
            recorded = shipped_run(name)
            shipped = shipped_model(name) if recorded is None else self.training.shipped_model(recorded)
            left = self.training.returning_model(shipped.network)
            model = left or shipped
            self.use_model(model, opening=True)
            if left is not None and left.parameters is not shipped.parameters:
                text = self.tr("{0} network, as you left it; choose it again for the weights that it came with.")
                self.show_message(Statement(text.format(left.name), partial(self.session.has_model, model)))
        except (ValueError, OSError) as error:
            self.show_message(str(error))

    def use_model(self, model: Model, opening: bool = False) -> None:
        """Replace the first model, as one undo; a stroke in progress is ended before, as an undo of its own.

        opening: whether what its kind of data opens on, if not blank, replaces a blank input or an example.

        Raises ValueError, and changes nothing, for a model that reads no drawings.
        """
        check_input(model)
        self.input_view.end_stroke()
        document = self.session.document
        text = self.tr("{0} network").format(model.name)
        changed = document.with_first_model(model)
        source = changed.kind.opening_source(model.network.input_shape)
        is_own = not (document.kind.is_empty(document.input.source) or self.input_view.shows_example)
        if opening and not is_own and not changed.kind.is_empty(source):
            changed = changed.with_source(source)
        self.session.edit(changed, text)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept anything as a copy; what cannot be used is named once it is dropped."""
        kept = (Qt.DropAction.CopyAction, Qt.DropAction.LinkAction)
        event.setDropAction(next((one for one in kept if one in event.possibleActions()), event.proposedAction()))
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what is dropped."""
        event.setDropAction(Qt.DropAction.CopyAction)  # never a move, after which the source deletes the file
        event.accept()
        self.import_export.drop(event.mimeData())

    def focusNextPrevChild(self, forward: bool) -> bool:
        return move_focus(self, forward)

    # -- actions: training -------------------------------------------------------------------------------------

    def execute(self, command: Command) -> None:
        """Execute a command of training or of the comparison."""
        self.training.execute(command)
        self.comparison.execute(command)

    def ask_seed(self) -> None:
        """Ask for the seed of a new run, in a dialog that blocks nothing."""
        dialog = dialogs.SeedDialog(self.training.settings.config.seed % dialogs.MAX_SEED + 1, self)
        dialog.chosen.connect(self._restart_with_seed)
        dialog.open()

    def _restart_with_seed(self, seed: int) -> None:
        self.execute(Restart(seed))

    def copy_command(self) -> None:
        """Copy the xo train command that makes these weights, and report what it does not include."""
        try:
            line = self.training.as_command_line(self.device_name)
        except ValueError as error:
            self.show_message(str(error))
            return
        QGuiApplication.clipboard().setText(line.command)
        message = self.tr("Copied: it makes the whole run that Train would begin.")
        if line.step is not None:
            message = self.tr("Copied: it makes these weights, those of step {0}.").format(line.step)
        if line.missing:
            message += self.tr(" It does not include {0}.").format("; ".join(line.missing))
        self.show_message(message)

    # -- actions: theme, layout, help --------------------------------------------------------------------------

    def choose_theme(self, name: str) -> None:
        """Use the theme "system", "dark" or "light", from now on."""
        self._settings.theme = name
        self.set_theme(name)

    def set_theme(self, name: str) -> None:
        """Apply the theme "system", "dark" or "light"."""
        self.theme_name = name
        self.menus.refresh()
        theme_service.set_theme(resolve_theme(name))

    def _scheme_changed(self) -> None:
        if self.theme_name == "system":
            self.set_theme("system")

    def show_comparison(self) -> None:
        """Bring the comparison to the front."""
        self.central_tabs.show_view(CompareView)

    def show_stage(self, cell: CellRef | None = None) -> None:
        """Show how a value comes about, alone on the window beside the input: `cell`, or the pinned or hovered one,
        or one in the middle of the first layer."""
        selection = self.session.selection
        chosen = (
            cell or selection.pinned or selection.hovered or middle_cell(self.session.document.models[0].network)
        )
        if not self.panels.is_on_stage:
            self._tab_before_stage = type(self.central_tabs.current_view)
            self.panels.enter_stage(self.panels.dock_of(DrawingView))
        self.central_tabs.show_view(StageView)
        self.central_tabs.set_tabs_visible(False)
        self.stage_view.set_alone(True)
        if chosen != selection.pinned:
            self.session.pin(chosen)
        self.stage_view.setFocus()
        self.menus.refresh()

    def leave_stage(self) -> None:
        """Show all panels again as they were before the stage."""
        if not self.panels.is_on_stage:
            return
        self.stage_view.set_alone(False)
        self.central_tabs.set_tabs_visible(True)
        self.central_tabs.show_view(self._tab_before_stage)
        self.panels.leave_stage()
        self.central_tabs.current_view.setFocus()
        self.menus.refresh()

    def toggle_stage(self) -> None:
        if self.panels.is_on_stage:
            self.leave_stage()
        else:
            self.show_stage()

    @property
    def sliding(self) -> SlidingPage:
        """The page with the sliding window: the stage, or else that of the inspector."""
        return self.stage_view if self.panels.is_on_stage else self.inspector_view.value_page

    def find_layer(self) -> None:
        """Open the layer search of the visible network view."""
        if not isinstance(self.central_tabs.current_view, LayerStripView):
            self.central_tabs.show_view(NetworkView)
        view = self.central_tabs.current_view
        assert isinstance(view, LayerStripView)
        view.search()

    def show_data(self) -> None:
        """Bring the training data to the front."""
        self.panels.show_panel(DataView)

    def toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def reset_layout(self) -> None:
        """Move every panel back to its default place."""
        self.leave_stage()
        self.panels.restore(self._first_layout)

    def restore_layout(self) -> None:
        """Restore the size and panels of the last session, and keep them again when the window closes."""
        self._keeps_layout, saved = True, self._settings.layout
        if saved is not None:
            self.restoreGeometry(QByteArray(saved.geometry))
            self.panels.restore(QByteArray(saved.panels))

    def show_keys(self) -> None:
        dialogs.show_keys(self, self.menus.listed_keys())

    def show_about(self) -> None:
        dialogs.show_about(self, self._device.text())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Save the layout, stop the engine thread, and save the project as the last session: each, also if another
        one fails."""
        call_all((self._save_layout, self.stop_engine, self._finish_autosave))
        event.accept()

    def _save_layout(self) -> None:
        if self._keeps_layout:
            self._settings.layout = SavedLayout.of(self.saveGeometry(), self.panels.layout())

    def stop_engine(self) -> None:
        """Stop the engine thread, if it has not stopped yet."""
        self._thread.stop()

    def _finish_autosave(self) -> None:
        if self.autosave is not None:
            self.autosave.finish(self._thread.saved_run)


def middle_cell(network: Network) -> CellRef:
    """The value in the middle of the first map of the first layer."""
    shape = network.shapes[1]
    return CellRef(1, 0, *(length // 2 for length in shape[1:]))
