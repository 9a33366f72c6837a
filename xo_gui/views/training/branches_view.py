"""The Branches panel: a table of all branches of the training run."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.nn import RunPoint
from engine.runtime import Snapshot, TrainingReport
from engine.training import Branch
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.state import RenameBranch, SetBranchVisible, ShowPoint, Start, TrainingSettings
from xo_gui.views.training.curve_plot import shown_branch, swatch
from xo_gui.views.view import View
from xo_gui.widgets import CompactButton, HintLabel, WrappingRow, integer_text

_NAME, _FROM, _STEPS, _HELD_OUT = range(4)
_LEAST_WIDTH = 220  # at which names can be read beside the other columns


class BranchTable(QTableWidget):
    """A table in which Return acts like a double click beside a name: it goes to the end of the branch."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        editing = self.state() == QAbstractItemView.State.EditingState
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not editing and self.currentItem() is not None:
            self.cellDoubleClicked.emit(self.currentRow(), _STEPS)
        else:
            super().keyPressEvent(event)


class BranchesView(View):
    """A row per branch: visibility, line style, name, origin, last step and held-out accuracy."""

    title = "Branches"
    is_throttled = True
    lists_all_runs = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training: TrainingReport | None = None
        self._run: int | None = None  # the run whose branches the table shows
        self._settings: TrainingSettings | None = None
        self._filling = False
        self._create_table()
        self.hint_label = HintLabel(
            self.tr("Train, and every run and branch of the training is listed here."), self
        )
        self._create_buttons()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.hint_label)
        column.addWidget(self.table, 1)
        column.addWidget(self._buttons)
        self.setFocusProxy(self.table)
        theme_service.changed.connect(self._renew_swatches)
        self._fill()

    def sizeHint(self) -> QSize:
        return QSize(290, 200)

    # -- display -----------------------------------------------------------------------------------------------

    def set_snapshot(self, snapshot: Snapshot) -> None:
        training = snapshot.training
        if training is self._training:
            return
        self._training = training
        self._fill()

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._fill()

    def _renew_swatches(self) -> None:
        for row in range(self.table.rowCount()):
            self._cell(row, _NAME).setIcon(swatch(current_theme(), row, self.devicePixelRatioF()))

    def _fill(self) -> None:
        """Update the table, except while a name is being edited; with its run, that ends."""
        training = self._training
        run = None if training is None else training.run_id
        if run != self._run:
            self._run, self._filling = run, True
            self.table.setRowCount(0)
            self._filling = False
        branches = () if training is None else training.branches
        self.hint_label.setVisible(not branches)
        self.table.setVisible(bool(branches))
        for button in (self.end_button, self.continue_button):
            button.setVisible(bool(branches))
        if self.table.state() == QAbstractItemView.State.EditingState:
            return
        self._filling = True
        before = self.table.rowCount()
        self.table.setRowCount(len(branches))
        for branch in branches:
            self._fill_row(branch)
        self._filling = False
        shown = shown_branch(training, self._settings)
        if len(branches) != before and shown is not None:
            self.table.setCurrentCell(shown.number, _NAME)
        self._enable_buttons()

    def _fill_row(self, branch: Branch) -> None:
        training, row = self._training, branch.number
        assert training is not None
        hidden = self._settings is not None and row in self._settings.hidden_branches
        name = self._cell(row, _NAME)
        if name.icon().isNull():
            name.setIcon(swatch(current_theme(), row, self.devicePixelRatioF()))
        name.setCheckState(Qt.CheckState.Unchecked if hidden else Qt.CheckState.Checked)
        parent = branch.parent
        origin = "–"
        if parent is not None:
            origin = self.tr("{0} · {1}").format(training.branches[parent.branch].name, integer_text(parent.step))
        curves = branch.curves
        accuracy = f"{100 * curves.held_out_accuracies[-1]:.1f} %" if len(curves.held_out_accuracies) else "–"
        shown = shown_branch(training, self._settings) is branch
        texts = {_NAME: branch.name, _FROM: origin, _STEPS: integer_text(branch.end), _HELD_OUT: accuracy}
        for column, text in texts.items():
            item = self._cell(row, column)
            if item.text() != text:
                item.setText(text)
                item.setToolTip(self._tip(column, branch))
            item.setFont(font(SMALL_PX, strong=shown))

    def _tip(self, column: int, branch: Branch) -> str:
        if column == _FROM and branch.parent is not None and self._training is not None:
            parent = self._training.branches[branch.parent.branch].name
            return self.tr("Branches off {1} after step {0}").format(integer_text(branch.parent.step), parent)
        tips = {
            _FROM: self.tr("A run of its own, without a parent"),
            _STEPS: self.tr("Its last step"),
            _HELD_OUT: self.tr("Accuracy on held-out drawings, at the last evaluation"),
        }
        return tips.get(column) or self.tr("Tick to show its curves. F2 or a double click to rename.")

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
            if column == _NAME:
                flags |= Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable
            item.setFlags(flags)
            if column in (_STEPS, _HELD_OUT):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        return item

    # -- input -------------------------------------------------------------------------------------------------

    def selected_branch(self) -> Branch | None:
        """The branch of the current row."""
        row = self.table.currentRow()
        branches = () if self._training is None else self._training.branches
        return branches[row] if 0 <= row < len(branches) else None

    def _enable_buttons(self) -> None:
        for button in (self.end_button, self.continue_button):
            button.setEnabled(self.selected_branch() is not None)

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        """Rename a branch, or set its visibility."""
        if self._filling or item.column() != _NAME or self._training is None:
            return
        branch = self._training.branches[item.row()]
        shown = item.checkState() == Qt.CheckState.Checked
        if item.text().strip() not in ("", branch.name):
            self.commanded.emit(RenameBranch(branch.number, item.text().strip()))
        elif item.text() != branch.name:
            self._filling = True
            item.setText(branch.name)
            self._filling = False
        if self._settings is not None and shown == (branch.number in self._settings.hidden_branches):
            self.commanded.emit(SetBranchVisible(branch.number, shown))

    def _on_double_click(self, row: int, column: int) -> None:
        if column != _NAME:
            self._show_end()

    def _show_end(self) -> None:
        branch, training = self.selected_branch(), self._training
        if branch is not None and training is not None:
            end = RunPoint(branch.number, branch.end)
            self.commanded.emit(ShowPoint(None if end == training.current_point else end))

    def _continue(self) -> None:
        self._show_end()
        self.commanded.emit(Start())

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_table(self) -> None:
        self.table = table = BranchTable(0, 4, self)
        table.setHorizontalHeaderLabels([self.tr("name"), self.tr("from"), self.tr("steps"), self.tr("held-out")])
        table.setAccessibleName(self.tr("Branches of the training"))
        table.setFont(font(SMALL_PX))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(22)
        table.setShowGrid(False)
        table.setMinimumWidth(_LEAST_WIDTH)
        table.setWordWrap(False)
        table.setIconSize(QSize(22, 10))
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        triggers = QAbstractItemView.EditTrigger
        table.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = table.horizontalHeader()
        header.setStyleSheet(f"font-size: {SMALL_PX}px")
        header.setFont(font(SMALL_PX))
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_FROM, _STEPS, _HELD_OUT):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        table.itemChanged.connect(self._on_item_changed)
        table.cellDoubleClicked.connect(self._on_double_click)
        table.itemSelectionChanged.connect(self._enable_buttons)

    def _create_buttons(self) -> None:
        tip = self.tr("Show the last step of the selected branch")
        self.end_button = CompactButton(self.tr("Go to its end"), tip, self._show_end, self, (4, 6))
        tip = self.tr("Continue training from the last step of the selected branch; nothing is overwritten")
        self.continue_button = CompactButton(self.tr("Continue from there"), tip, self._continue, self, (4, 6))
        self._buttons = WrappingRow((self.end_button, self.continue_button), self)
