"""The Branches panel: a table of all branches of the training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from engine.nn import RunPoint
from engine.runtime import Snapshot, TrainingReport
from engine.training import Branch
from xo_gui.app import SMALL_PX, current_theme, font
from xo_gui.state import RenameBranch, SetBranchVisible, ShowPoint, Start, TrainingSettings, has_done_all_epochs
from xo_gui.views.training.curve_plot import shown_branch, swatch
from xo_gui.views.view import View
from xo_gui.widgets import CompactButton, EmptyLabel, WrappingRow, integer_text

_NAME, _FROM, _STEPS, _HELD_OUT = range(4)
_LEAST_WIDTH = 270  # at which names can be read beside the other columns
_Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


@dataclass(frozen=True)
class BranchRow:
    """What the table shows of a branch. origin: where it branches off; origin_tip: the same as a sentence."""

    name: str
    origin: str
    origin_tip: str
    steps: str
    accuracy: str
    is_hidden: bool
    is_shown: bool


class BranchModel(QAbstractTableModel):
    """The branches of a training run, one a row.

    renamed(number, name), visibility_changed(number, is_visible): requested in a cell; the rows change when the
    branches do.
    """

    renamed = Signal(int, str)
    visibility_changed = Signal(int, bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._run: int | None = None
        self.rows: tuple[BranchRow, ...] = ()

    def show(self, run: int | None, rows: tuple[BranchRow, ...]) -> None:
        """Show these rows, of a run; another run is another table."""
        before, added = self.rows, len(rows) - len(self.rows)
        if run != self._run or added < 0:
            self.beginResetModel()
            self._run, self.rows = run, rows
            self.endResetModel()
            return
        if added:
            self.beginInsertRows(_ROOT, len(before), len(rows) - 1)
            self.rows = rows
            self.endInsertRows()
        self.rows = rows
        for at, (row, other) in enumerate(zip(before, rows, strict=False)):
            if row != other:
                self.dataChanged.emit(self.index(at, _NAME), self.index(at, _HELD_OUT))

    def rowCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else 4

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.column() == _NAME:
            flags |= Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | None:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (self.tr("name"), self.tr("from"), self.tr("steps"), self.tr("held-out"))[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The texts of a branch; beside its name, whether its curves are shown, and their line."""
        row, column, of = self.rows[index.row()], index.column(), Qt.ItemDataRole
        if role in (of.DisplayRole, of.EditRole):
            return (row.name, row.origin, row.steps, row.accuracy)[column]
        if role == of.FontRole:
            return font(SMALL_PX, strong=row.is_shown)
        if role == of.ToolTipRole:
            return self._tip(row, column)
        if role == of.TextAlignmentRole and column in (_STEPS, _HELD_OUT):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if column != _NAME:
            return None
        if role == of.CheckStateRole:
            return Qt.CheckState.Unchecked if row.is_hidden else Qt.CheckState.Checked
        if role == of.DecorationRole:
            parent = self.parent()
            assert isinstance(parent, QWidget)
            return swatch(current_theme(), index.row(), parent.devicePixelRatioF())
        if role == of.AccessibleTextRole:
            return self.tr("{0}, curves hidden").format(row.name) if row.is_hidden else row.name
        return None

    def _tip(self, row: BranchRow, column: int) -> str:
        return (
            self.tr("Tick to show its curves. F2 or a double click to rename."),
            row.origin_tip,
            self.tr("Its last step"),
            self.tr("Accuracy on held-out drawings, at the last evaluation"),
        )[column]

    def setData(self, index: _Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Request a name or the visibility; a name of nothing is none."""
        if role == Qt.ItemDataRole.CheckStateRole:
            self.visibility_changed.emit(index.row(), Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        name = str(value).strip()
        if role != Qt.ItemDataRole.EditRole or name in ("", self.rows[index.row()].name):
            return False
        self.renamed.emit(index.row(), name)
        return True


class NameDelegate(QStyledItemDelegate):
    """Edits names; what has been typed is not overwritten when the training changes the row."""

    def setEditorData(self, editor: QWidget, index: _Index) -> None:
        if not (isinstance(editor, QLineEdit) and editor.isModified()):
            super().setEditorData(editor, index)


class BranchTable(QTableView):
    """The table of branches. In any column of a row Return opens the branch, F2 renames it, and Space shows or
    hides its curves.

    opened(): a branch is to be gone to, by Return or a double click beside its name.
    """

    opened = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.branches = BranchModel(self)
        self.setModel(self.branches)
        self.setItemDelegate(NameDelegate(self))
        self.setAccessibleName(self.tr("Branches of the training"))
        self.setFont(font(SMALL_PX))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        self.setShowGrid(False)
        self.setMinimumWidth(_LEAST_WIDTH)
        self.setWordWrap(False)
        self.setIconSize(QSize(22, 10))
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setStyleSheet(f"font-size: {SMALL_PX}px")
        header.setFont(font(SMALL_PX))
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_FROM, _STEPS, _HELD_OUT):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.doubleClicked.connect(self._on_double_click)

    @property
    def is_editing(self) -> bool:
        """Whether a name is being typed."""
        return self.state() == QAbstractItemView.State.EditingState

    def select(self, row: int) -> None:
        """Make a branch the current one."""
        self.setCurrentIndex(self.branches.index(row, _NAME))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        name, key = self.currentIndex().siblingAtColumn(_NAME), event.key()
        if not name.isValid() or self.is_editing:
            super().keyPressEvent(event)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        elif key == Qt.Key.Key_F2:
            self.select(name.row())
            self.edit(name)
        elif key == Qt.Key.Key_Space:
            is_hidden = self.branches.rows[name.row()].is_hidden
            self.branches.visibility_changed.emit(name.row(), is_hidden)
        else:
            super().keyPressEvent(event)

    def _on_double_click(self, index: QModelIndex) -> None:
        if index.column() != _NAME:
            self.opened.emit()


class BranchesView(View):
    """A row per branch: visibility, line style, name, origin, last step and held-out accuracy."""

    title = "Branches"
    is_throttled = True
    lists_all_runs = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training: TrainingReport | None = None
        self._settings: TrainingSettings | None = None
        self.table = BranchTable(self)
        self.table.opened.connect(self._show_end)
        self.table.branches.renamed.connect(self._rename)
        self.table.branches.visibility_changed.connect(self._set_visible)
        self.table.selectionModel().currentChanged.connect(self._enable_buttons)
        text = self.tr("Train, and every run and branch of the training is listed here.")
        self.hint_label = EmptyLabel(text, "branches", self)
        self._create_buttons()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.hint_label, 1)
        column.addWidget(self.table, 1)
        column.addWidget(self._buttons)
        self.setFocusProxy(self.table)
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

    def _fill(self) -> None:
        """Show the branches, and select the shown one when there is another."""
        training, before = self._training, self.table.branches.rowCount()
        branches = () if training is None else training.branches
        run = None if training is None else training.run_id
        self.table.branches.show(run, tuple(self._row(branch, branches) for branch in branches))
        self.hint_label.setVisible(not branches)
        self.table.setVisible(bool(branches))
        self.table.setVisible(bool(branches))
        for button in (self.end_button, self.continue_button):
            button.setVisible(bool(branches))
        shown = shown_branch(training, self._settings)
        if shown is not None and len(branches) != before and not self.table.is_editing:
            self.table.select(shown.number)
        self._enable_buttons()

    def _row(self, branch: Branch, branches: tuple[Branch, ...]) -> BranchRow:
        parent, origin, tip = branch.parent, "–", self.tr("A run of its own, without a parent")
        if parent is not None:
            name, step = branches[parent.branch].name, integer_text(parent.step)
            origin = self.tr("{0} · {1}").format(name, step)
            tip = self.tr("Branches off {1} after step {0}").format(step, name)
        accuracies = branch.curves.held_out_accuracies
        return BranchRow(
            branch.name,
            origin,
            tip,
            steps=integer_text(branch.end),
            accuracy=f"{100 * accuracies[-1]:.1f} %" if len(accuracies) else "–",
            is_hidden=self._settings is not None and branch.number in self._settings.hidden_branches,
            is_shown=shown_branch(self._training, self._settings) is branch,
        )

    # -- input -------------------------------------------------------------------------------------------------

    def selected_branch(self) -> Branch | None:
        """The branch of the current row."""
        row = self.table.currentIndex().row()
        branches = () if self._training is None else self._training.branches
        return branches[row] if 0 <= row < len(branches) else None

    def _enable_buttons(self) -> None:
        branch, training, settings = self.selected_branch(), self._training, self._settings
        self.end_button.setEnabled(branch is not None)
        is_done = (
            branch is not None
            and training is not None
            and settings is not None
            and training.current_point.branch == branch.number
            and has_done_all_epochs(training, settings.config)
        )
        self.continue_button.setEnabled(branch is not None and not is_done)

    def _rename(self, number: int, name: str) -> None:
        self.commanded.emit(RenameBranch(number, name))

    def _set_visible(self, number: int, is_visible: bool) -> None:
        self.commanded.emit(SetBranchVisible(number, is_visible))

    def _show_end(self) -> None:
        branch, training = self.selected_branch(), self._training
        if branch is not None and training is not None:
            end = RunPoint(branch.number, branch.end)
            self.commanded.emit(ShowPoint(None if end == training.current_point else end))

    def _continue(self) -> None:
        self._show_end()
        self.commanded.emit(Start())

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_buttons(self) -> None:
        tip = self.tr("Show the last step of the selected branch")
        self.end_button = CompactButton(self.tr("Go to its end"), tip, self._show_end, self, (4, 6))
        tip = self.tr("Continue training from the last step of the selected branch; nothing is overwritten")
        self.continue_button = CompactButton(self.tr("Continue from there"), tip, self._continue, self, (4, 6))
        self._buttons = WrappingRow((self.end_button, self.continue_button), self)
