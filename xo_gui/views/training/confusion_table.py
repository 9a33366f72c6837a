"""Confusion table: counts of drawings by true and predicted class, in cells that can be selected."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from engine.backends import HostArray
from xo_gui.app import SMALL_PX, TEXT_PX, current_theme, font

HEADER_WIDTH = 42
_HEADER_HEIGHT, _CELL_HEIGHT, _LEAST_CELL_WIDTH, _CELL_PADDING = 18, 24, 36, 6
_MOST_SHOWN = 4  # rows and columns that are shown in the least room; more scroll
_Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class ConfusionTable(QTableView):
    """The confusion matrix: true class by predicted class. selection_changed: another cell is selected, or none.

    A click on the selected cell, and Esc, deselect it.
    """

    selection_changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._confusion = ConfusionModel(self)
        self.setModel(self._confusion)
        self.setItemDelegate(ConfusionDelegate(self))
        self.setAccessibleName(self.tr("Confusion matrix"))
        self.setToolTip(self.tr("Rows: true class. Columns: predicted class."))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        for corner in self.findChildren(QAbstractButton):
            corner.setAccessibleName(self.accessibleName())
        self.horizontalHeader().setFixedHeight(_HEADER_HEIGHT)
        self.verticalHeader().setFixedWidth(HEADER_WIDTH)
        self.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setMinimumSectionSize(1)
            header.setHighlightSections(False)
            header.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.verticalHeader().setDefaultSectionSize(_CELL_HEIGHT)
        self.selectionModel().selectionChanged.connect(self._emit_changed)

    @property
    def cell(self) -> tuple[int, int] | None:
        """The selected true class, the number of classes for "neither", and predicted class; None for none."""
        selected = self.selectionModel().selectedIndexes()
        return (selected[0].row(), selected[0].column()) if selected else None

    def show_counts(self, classes: tuple[str, ...], counts: HostArray | None) -> None:
        """Show a confusion matrix, of a shape of (classes + 1, classes); None for the headings alone."""
        if counts is None:
            self.clearSelection()
        if self._confusion.show(classes, counts):
            self.horizontalHeader().setDefaultSectionSize(self._cell_width())
            self.updateGeometry()

    def _cell_width(self) -> int:
        """The width at which the largest count has room."""
        counts = self._confusion.counts
        text = "0" if counts is None else str(int(counts.max(initial=0)))
        needed = QFontMetricsF(font(TEXT_PX, strong=True)).horizontalAdvance(text) + 2 * _CELL_PADDING
        return max(_LEAST_CELL_WIDTH, round(needed))

    def sizeHint(self) -> QSize:
        return self._size_of(self._confusion.rowCount(), self._confusion.columnCount())

    def minimumSizeHint(self) -> QSize:
        rows, columns = self._confusion.rowCount(), self._confusion.columnCount()
        return self._size_of(min(rows, _MOST_SHOWN), min(columns, _MOST_SHOWN))

    def _size_of(self, rows: int, columns: int) -> QSize:
        """The size of the headers, so many cells, and a scroll bar, whose room stays empty without one."""
        wide, high = columns * self.horizontalHeader().defaultSectionSize(), rows * _CELL_HEIGHT
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(HEADER_WIDTH + wide + bar, _HEADER_HEIGHT + high)

    def selectionCommand(self, index: _Index, event: QEvent | None = None) -> QItemSelectionModel.SelectionFlag:
        """A press on the selected cell deselects it."""
        is_press = event is not None and event.type() == QEvent.Type.MouseButtonPress
        if is_press and self.selectionModel().isSelected(index):
            return QItemSelectionModel.SelectionFlag.Clear
        return super().selectionCommand(index, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.cell is not None:
            self.clearSelection()
        else:
            super().keyPressEvent(event)

    def _emit_changed(self) -> None:
        self.selection_changed.emit()


class ConfusionModel(QAbstractTableModel):
    """A confusion matrix by true class, "neither" last, and predicted class.

    counts: (classes + 1, classes); None before there are predictions.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.classes: tuple[str, ...] = ()
        self.counts: HostArray | None = None

    def show(self, classes: tuple[str, ...], counts: HostArray | None) -> bool:
        """Replace the matrix; returns whether it is another one. Other classes are another table."""
        if classes == self.classes and counts is self.counts:
            return False
        if classes == self.classes:
            self.counts = counts
            self.dataChanged.emit(self.index(0, 0), self.index(len(classes), len(classes) - 1))
        else:
            self.beginResetModel()
            self.classes, self.counts = classes, counts
            self.endResetModel()
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """What the rows are called."""
        return (*self.classes, self.tr("neither"))

    def is_mistake(self, index: _Index) -> bool:
        """Whether a cell has drawings of a class that are predicted as another one."""
        row, column = index.row(), index.column()
        return (
            self.counts is not None and row < len(self.classes) and row != column and self.counts[row, column] > 0
        )

    def rowCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() or not self.classes else len(self.classes) + 1

    def columnCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.classes)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        return Qt.ItemFlag.NoItemFlags if self.counts is None else super().flags(index)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        if self.counts is None:
            return None
        row, column = index.row(), index.column()
        count, names = int(self.counts[row, column]), self.names
        if role == Qt.ItemDataRole.DisplayRole:
            return str(count)
        if role not in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return None
        text = self.tr("{0} predicted as {1}: {2}").format(names[row], names[column], count)
        if role == Qt.ItemDataRole.ToolTipRole:
            text += "\n" + self.tr("Click to see those drawings; click again, or Esc, to see all mistakes")
        return text

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | QColor | QFont | None:
        """The names of the classes, in their colours."""
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self.names[section]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            text = self.tr("predicted {0}") if orientation == Qt.Orientation.Horizontal else self.tr("true {0}")
            return text.format(self.names[section])
        if role == Qt.ItemDataRole.ForegroundRole:
            theme = current_theme()
            is_class = section < len(self.classes)
            return QColor(theme.class_colour(section) if is_class else theme.secondary_text)
        return font(SMALL_PX) if role == Qt.ItemDataRole.FontRole else None


class ConfusionDelegate(QStyledItemDelegate):
    """Paints counts; mistakes are bold."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme, model, state = current_theme(), index.model(), QStyle.StateFlag
        assert isinstance(model, ConfusionModel)
        is_selected, is_mistake = bool(option.state & state.State_Selected), model.is_mistake(index)
        edge = theme.text if is_selected else theme.border
        painter.save()
        painter.setPen(QPen(QColor(theme.o if option.state & state.State_HasFocus else edge), 1))
        painter.setBrush(QColor(theme.control) if is_selected else Qt.BrushStyle.NoBrush)
        box = QRectF(option.rect)
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.setFont(font(TEXT_PX, strong=is_mistake))
        is_strong = is_mistake or is_selected or index.row() == index.column()
        painter.setPen(QColor(theme.text if is_strong else theme.secondary_text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, index.data() or "")
        painter.restore()
