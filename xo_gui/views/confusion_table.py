"""Confusion table: how many drawings of each class were read as each class. It counts nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from xo_gui.app.theme import DARK, SMALL_PX, TEXT_PX, Theme, font
from xo_gui.views.atlas import HostArray

_CELL_WIDE, _CELL_HIGH, _HEAD_WIDE, _HEAD_HIGH = 36.0, 24.0, 42.0, 34.0


@dataclass(frozen=True, eq=False)
class Counted:
    """classes: their names; counts: (classes + 1, classes), a row for what the drawings are, "neither" last."""

    classes: tuple[str, ...]
    counts: HostArray


class ConfusionTable(QWidget):
    """Rows: what it is; columns: what it is read as. chosen: the cell that is looked into has changed."""

    chosen = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._counted: Counted | None = None
        self.cell: tuple[int, int] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("What is read as what"))
        self.setToolTip(
            self.tr("Rows: what it is. Columns: what it is read as. Click a number to see those drawings.")
        )

    def sizeHint(self) -> QSize:
        """Room for its cells."""
        rows, columns = (3, 2) if self._counted is None else self._counted.counts.shape
        return QSize(int(_HEAD_WIDE + columns * _CELL_WIDE), int(_HEAD_HIGH + rows * _CELL_HIGH) + 2)

    def minimumSizeHint(self) -> QSize:
        """All of it."""
        return self.sizeHint()

    def show_counts(self, counted: Counted | None) -> None:
        """Show these counts; None: there are none yet."""
        self._counted = counted
        if counted is None or (self.cell is not None and self.cell[1] >= len(counted.classes)):
            self.cell = None
        self.setAccessibleDescription(self._words())
        self.updateGeometry()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def box(self, row: int, column: int) -> QRectF:
        """Where a cell is painted."""
        left, top = _HEAD_WIDE + column * _CELL_WIDE, _HEAD_HIGH + row * _CELL_HIGH
        return QRectF(left, top, _CELL_WIDE, _CELL_HIGH)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Look into a cell; a second click, or one beside, lets go."""
        self._choose(self._under(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move from cell to cell; Esc lets go."""
        move = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
        }.get(Qt.Key(event.key()))  # fmt: skip
        if event.key() == Qt.Key.Key_Escape and self.cell is not None:
            self._choose(None)
        elif move is None or self._counted is None:
            super().keyPressEvent(event)
        else:
            rows, columns = self._counted.counts.shape
            row, column = self.cell or (0, 0)
            target = min(max(row + move[0], 0), rows - 1), min(max(column + move[1], 0), columns - 1)
            self._choose(target if target != self.cell else self.cell, toggle=False)

    def let_go(self) -> None:
        """Look into no cell."""
        self._choose(None)

    def _choose(self, cell: tuple[int, int] | None, toggle: bool = True) -> None:
        self.cell = None if toggle and cell == self.cell else cell
        self.update()
        self.chosen.emit()

    def _under(self, at: QPointF) -> tuple[int, int] | None:
        if self._counted is None:
            return None
        rows, columns = self._counted.counts.shape
        cells = ((row, column) for row in range(rows) for column in range(columns))
        return next((cell for cell in cells if self.box(*cell).contains(at)), None)

    def _names(self) -> tuple[str, ...]:
        classes = ("X", "O") if self._counted is None else self._counted.classes
        return (*classes, self.tr("neither"))

    def _words(self) -> str:
        if self._counted is None:
            return self.tr("Nothing has been read yet.")
        names, said = self._names(), []
        for row, counts in enumerate(self._counted.counts):
            for column, count in enumerate(counts):
                said.append(self.tr("{0} read as {1}: {2}").format(names[row], names[column], int(count)))
        return ", ".join(said)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The heads and the numbers; what is right is quiet, what is wrong stands out by its weight."""
        painter, theme, names = QPainter(self), self._theme, self._names()
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(theme.quiet))
        columns = len(names) - 1
        centre, left = Qt.AlignmentFlag.AlignCenter, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(_HEAD_WIDE, 0, columns * _CELL_WIDE, 16), centre, self.tr("read as"))
        for column in range(columns):
            painter.setPen(QColor(theme.class_colour(column)))
            head = QRectF(_HEAD_WIDE + column * _CELL_WIDE, 16, _CELL_WIDE, 16)
            painter.drawText(head, centre, names[column])
        for row, name in enumerate(names):
            painter.setPen(QColor(theme.class_colour(row) if row < columns else theme.quiet))
            painter.drawText(QRectF(0, self.box(row, 0).y(), _HEAD_WIDE, _CELL_HIGH), left, name)
            for column in range(columns):
                self._paint_cell(painter, row, column, columns)

    def _paint_cell(self, painter: QPainter, row: int, column: int, columns: int) -> None:
        theme, box, counted = self._theme, self.box(row, column), self._counted
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.setBrush(QColor(theme.control) if (row, column) == self.cell else Qt.BrushStyle.NoBrush)
        if (row, column) == self.cell:
            painter.setPen(QPen(QColor(theme.o if self.hasFocus() else theme.text), 1))
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))
        if counted is None:
            return
        wrong = row < columns and row != column and counted.counts[row, column] > 0
        painter.setFont(font(TEXT_PX, strong=wrong))
        painter.setPen(QColor(theme.text if wrong or row == column else theme.quiet))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(int(counted.counts[row, column])))
        painter.setFont(font(SMALL_PX))
