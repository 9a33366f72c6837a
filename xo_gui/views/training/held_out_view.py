"""Gallery view: how well the held-out drawings are read: a table of what was read as what, and the drawings
themselves, the most wrong first. It reads nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from engine.data.dataset import Examples
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.explain.robustness import tries
from engine.nn.inference import votes_of
from engine.nn.network import Network
from engine.runtime.protocol import Snapshot
from engine.training.evaluation import Judgement
from xo_gui.app.theme import DARK, SMALL_PX, TEXT_PX, Theme, font
from xo_gui.views.view import View
from xo_gui.widgets.buttons import QuietWords
from xo_gui.widgets.map_images import HostArray
from xo_gui.widgets.number_text import vote_text
from xo_gui.widgets.thumbnails import Thumbnails, Tile, scrolled

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


_SIDE = 52  # pixels of a thumbnail
_MOST = 400  # drawings shown at once


class GalleryView(View):
    """The table at the left, the drawings at the right; a click on a cell shows those behind it, a click on a
    drawing puts it on the canvas."""

    title = "Hardest"
    calm = True
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._judgement: Judgement | None = None
        self._held_out: Examples | None = None
        self._places: HostArray = np.zeros(0, np.int64)
        self.table, self.words = ConfusionTable(self), QuietWords("", self)
        tip = self.tr("Click to put it on the canvas")
        self.wall = Thumbnails(self.tr("Drawings read worst"), tip, self, side=_SIDE)
        self._area = scrolled(self.wall, self)
        self.table.chosen.connect(self._choose)
        self.wall.picked.connect(self._put)
        self.wall.pressed.connect(self._pressed)
        drawings = QVBoxLayout()
        drawings.setSpacing(6)
        drawings.addWidget(self.words)
        drawings.addWidget(self._area, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self.table, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(drawings, 1)
        self._fill()

    def sizeHint(self) -> QSize:
        """The table and five columns of drawings."""
        return QSize(420, 190)

    def set_seen(self, seen: bool) -> None:
        """A network that does not train is judged only while somebody looks."""
        self.watched.emit("held_out", seen)

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document
        if self._judgement is None:
            self._fill()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """How the held-out drawings are read at the moment shown."""
        found, training = snapshot.held_out, snapshot.training
        judgement: Judgement | None = None
        held_out: Examples | None = None
        if found is not None:
            judgement, held_out = found.judgement, found.examples
        elif training is not None:
            judgement, held_out = training.judgement, training.held_out
        if judgement is not self._judgement:
            self._judgement, self._held_out = judgement, held_out
            classes = () if self._held_out is None else self._held_out.classes
            self.table.show_counts(None if judgement is None else Counted(classes, judgement.score.confusion))
            self._fill()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.table.set_theme(theme)
        self.wall.set_theme(theme)

    def _choose(self) -> None:
        self.wall.at = 0
        self._area.verticalScrollBar().setValue(0)
        self._fill()

    def _fill(self) -> None:
        """The drawings of the chosen cell, or the mistakes."""
        judgement, held_out, document = self._judgement, self._held_out, self._document
        if judgement is None or held_out is None or document is None:
            self._show((), self._empty)
            return
        network = document.subjects[0].network
        votes = votes_of(network, np.nan_to_num(judgement.scores, posinf=1e30, neginf=-1e30))
        self._places = hardest_first(votes, held_out.labels, self.table.cell)
        shown = self._places[:_MOST]
        tiles = tuple(self._tile(network, held_out, votes[at], int(at)) for at in shown)
        self._show(tiles, self._sentence(held_out, len(self._places)))

    @property
    def _empty(self) -> str:
        """Why there is nothing, and what to do."""
        if self._document is None or tries(self._document.subjects[0].network):
            return self.tr("Held-out drawings are being read; those it reads worst stand here.")
        return self.tr("Only a network that tells X from O can be judged here: choose one above.")

    def _show(self, tiles: tuple[Tile, ...], words: str) -> None:
        self.wall.show_tiles(tiles)
        self._area.setVisible(bool(tiles))
        self.words.setText(words)

    def _tile(self, network: Network, held_out: Examples, votes: HostArray, at: int) -> Tile:
        """A drawing, what it is, and how sure the network is of what it takes it for."""
        label, read = int(held_out.labels[at]), int(votes.argmax())
        sure, name = vote_text(network, float(votes[read])), held_out.classes[read]
        told = self.tr("read as {0} with {1}").format(name, sure)
        if label < 0:
            return Tile(held_out.images[at, 0], self.tr("neither"), f"{sure} {name}", told=told)
        return Tile(held_out.images[at, 0], held_out.classes[label], sure, told=told)

    def _sentence(self, held_out: Examples, count: int) -> str:
        """How many there are, and in which order."""
        cell, labelled = self.table.cell, int((held_out.labels >= 0).sum())
        if cell is None and not count:
            return self.tr("None of {0}: every X and O is read rightly.").format(labelled)
        if cell is None:
            return self.tr("{0} of {1} read wrongly, the surest first").format(count, labelled)
        names = (*held_out.classes, self.tr("neither"))
        if not count:
            return self.tr("No {0} is read as {1}. Esc shows all mistakes.").format(names[cell[0]], names[cell[1]])
        order = self.tr("the least sure first") if cell[0] == cell[1] else self.tr("the surest first")
        words = self.tr("{0}, read as {1}: {2}, {3}. Esc shows all mistakes.")
        return words.format(names[cell[0]], names[cell[1]], count, order)

    def _put(self, tile: int) -> None:
        """Put a held-out drawing on the canvas."""
        if self._document is not None and self._held_out is not None:
            drawing = Drawing(image=self._held_out.images[int(self._places[tile]), 0])
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Held-out drawing"), "")

    def _pressed(self, event: QKeyEvent) -> None:
        """Esc lets go of the cell that is looked into."""
        if event.key() == Qt.Key.Key_Escape and self.table.cell is not None:
            self.table.let_go()
            event.accept()


def hardest_first(votes: HostArray, labels: HostArray, cell: tuple[int, int] | None) -> HostArray:
    """Places of the drawings to show, (n,): those of a cell (true class, or the number of classes for "neither",
    and the class read), the surest first, or where they are read rightly the least sure first; without a cell, the
    wrong ones among X and O, the surest first."""
    top, read = votes.max(1), votes.argmax(1)
    if cell is None:
        chosen = (labels >= 0) & (read != labels)
    else:
        actual = np.where(labels < 0, votes.shape[1], labels)
        chosen = (actual == cell[0]) & (read == cell[1])
    places = np.flatnonzero(chosen)
    order = top[places] if cell is not None and cell[0] == cell[1] else -top[places]
    ordered: HostArray = places[np.argsort(order, kind="stable")]
    return ordered
