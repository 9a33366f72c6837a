"""Large map: one map over the whole strip, with its numbers in its cells where they fit. It chooses no colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolButton, QWidget

from engine.nn.inference import HostArray
from engine.nn.layers import shape_text
from xo_gui.app.theme import DARK, SMALL_PX, TITLE_PX, Theme, colours, to_qimage
from xo_gui.state.selection import Cell
from xo_gui.views.network.column_painting import kept_font
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.strip_state import ShownStrip
from xo_gui.widgets.map_images import averaged, reads_dark
from xo_gui.widgets.number_text import cell_text, number

# From so large a cell on its number fits; and how large one may become.
NUMBERS, LARGEST = 28.0, 64.0
_HEADER, _FOOT, _MARGIN, _STEP = 44.0, 8.0, 16.0, 1.25
_LINE = 24
_MOVES = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip

Marked = Callable[[], tuple[Cell | None, ShownStrip | None]]


class LargeMap(QWidget):
    """Lies over `view` once a value there is double-clicked, or Space is pressed; Esc puts it away.

    marked: gives the cell that is looked at and whose it is. looked(cell), held(cell): what the person points at,
    and clicks. The wheel, + and - enlarge; dragging, and the arrow keys, move; Page Up and Page Down turn to other
    maps.
    """

    looked = Signal(object)
    held = Signal(object)

    def __init__(self, view: QWidget, marked: Marked, pressed: Marked, room: Callable[[], QRect]) -> None:
        """pressed: gives the same of the cell that was pressed last, for a press may move what lies under the
        mouse. room: gives the part of `view` where maps lie, and the line under them, which stays seen."""
        super().__init__(view)
        self._view, self._marked, self._pressed, self._room = view, marked, pressed, room
        self._theme = DARK
        self._cell: Cell | None = None
        self._shown: ShownStrip | None = None
        self._side = 0.0
        self._corner = QPointF()
        self._drag: QPointF | None = None
        self._dragged = False
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setToolTip(self.tr("Back to all maps"))
        self.close_button.setAccessibleName(self.tr("Back to all maps"))
        self.close_button.clicked.connect(self.put_away)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Large map"))
        self.hide()
        view.installEventFilter(self)

    # --- what is shown

    def open(self, cell: Cell | None, shown: ShownStrip | None) -> None:
        """Show the map of a cell, if it is one of a map."""
        if cell is not None and shown is not None and self._grid(cell, shown) is not None:
            self._cell, self._shown = cell, shown
            self._place()
            self._fit()
            self.show()
            self.raise_()
            self.setFocus()
            self._say()

    def put_away(self) -> None:
        """All maps are seen again."""
        if self._shown is not None:
            self._cell = self._shown = None
            self.hide()
            self._view.setFocus()

    def follow(self) -> None:
        """Its values, or what is looked at, have changed."""
        if self._shown is None or self._cell is None:
            return
        cell, _ = self._marked()
        if cell is not None and (cell.layer, cell.subject) == (self._cell.layer, self._cell.subject):
            self._cell = cell
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def title(self) -> str:
        """Which map it is: "Features 1 · map 3 of 512"."""
        assert self._cell is not None
        assert self._shown is not None
        network = self._shown.reading.subject.network
        count = network.shapes[self._cell.layer][0]
        words = self.tr("{0} · map {1} of {2}")
        said = words.format(layer_names(network)[self._cell.layer], number(self._cell.channel + 1), number(count))
        return f"{self._shown.letter} · {said}" if self._shown.letter else said

    @staticmethod
    def _grid(cell: Cell, shown: ShownStrip) -> tuple[int, int] | None:
        shape = shown.reading.subject.network.shapes[cell.layer]
        return (shape[1], shape[2]) if len(shape) == 3 else None

    def _say(self) -> None:
        self.setAccessibleDescription(self.title() if self._cell else "")

    # --- where it lies

    def _place(self) -> None:
        self.setGeometry(self._room().intersected(self._view.rect()).adjusted(0, 0, 0, -_LINE))

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _HEADER, -_MARGIN, -_FOOT)

    def _least(self) -> float:
        """The side of a cell with which the whole map is seen, in whole device pixels if it is more than one."""
        assert self._cell is not None
        assert self._shown is not None
        grid = self._grid(self._cell, self._shown)
        assert grid is not None
        area, ratio = self._area(), self.devicePixelRatioF()
        side = min(area.width() / grid[1], area.height() / grid[0], LARGEST)
        return math.floor(side * ratio) / ratio if side * ratio >= 1 else side

    def _fit(self) -> None:
        self._side = self._least()
        self._settle(self._area().topLeft())

    def _settle(self, corner: QPointF) -> None:
        """Put the map's corner there, but leave no room empty that it could fill."""
        assert self._cell is not None
        assert self._shown is not None
        grid, area = self._grid(self._cell, self._shown), self._area()
        assert grid is not None
        places = []
        for at, low, room, cells in (
            (corner.x(), area.left(), area.width(), grid[1]), (corner.y(), area.top(), area.height(), grid[0]),
        ):  # fmt: skip
            over = cells * self._side - room
            places.append(low if over <= 0 else min(max(at, low - over), low))
        self._corner = QPointF(round(places[0]), round(places[1]))
        self.update()

    def _enlarge(self, factor: float, around: QPointF) -> None:
        """Change the side of a cell; what lies at `around` stays there."""
        before = self._side
        self._side = min(max(before * factor, self._least()), LARGEST)
        if self._side >= NUMBERS:
            self._side = float(round(self._side))
        self._settle(around - (around - self._corner) * (self._side / before))

    def _at(self, place: QPointF) -> Cell | None:
        """The cell at a point of the widget."""
        if self._cell is None or self._shown is None or not self._area().contains(place):
            return None
        grid, inside = self._grid(self._cell, self._shown), place - self._corner
        assert grid is not None
        row, column = math.floor(inside.y() / self._side), math.floor(inside.x() / self._side)
        found = 0 <= row < grid[0] and 0 <= column < grid[1]
        return replace(self._cell, row=row, column=column) if found else None

    def _box(self, row: int, column: int) -> QRectF:
        return QRectF(
            self._corner.x() + column * self._side, self._corner.y() + row * self._side, self._side, self._side
        )

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """What is in view of the map, its numbers, and a ring around the cell looked at."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.ground))
        if self._cell is None or self._shown is None:
            return
        self._paint_header(painter)
        outputs, maps = self._shown.reading.outputs, range(self._cell.channel, self._cell.channel + 1)
        if outputs.holds(self._cell.layer, maps):
            painter.setClipRect(self._area())
            self._paint_cells(painter, outputs.maps(self._cell.layer, maps)[0])
            painter.setClipping(False)
        box = self._box(self._cell.row, self._cell.column)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(self._area().adjusted(-3, -3, 3, 3))
        for colour, wide in ((self._theme.ground, 3.6), (self._theme.text, 1.6)):
            painter.setPen(QPen(QColor(colour), wide))
            painter.drawRoundedRect(box, 1.5, 1.5)

    def _paint_header(self, painter: QPainter) -> None:
        assert self._cell is not None
        assert self._shown is not None
        grid = self._shown.reading.subject.network.shapes[self._cell.layer][1:]
        hints = self.tr("{0} · wheel or + to enlarge, drag to move, Page Up and Page Down for other maps, Esc back")
        room = self.width() - 2 * _MARGIN - 40
        for words, px, strong, colour, base in (
            (self.title(), TITLE_PX, True, self._theme.text, 16.0),
            (hints.format(shape_text(grid)), SMALL_PX, False, self._theme.quiet, 33.0),
        ):
            face, metrics = kept_font(px, strong)
            painter.setFont(face)
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(_MARGIN, base), metrics.elidedText(words, Qt.TextElideMode.ElideRight, room))

    def _paint_cells(self, painter: QPainter, values: HostArray) -> None:
        words = self._words(values)
        high, wide = words.shape
        size = QSizeF(values.shape[1] * self._side, values.shape[0] * self._side)
        painter.drawImage(QRectF(self._corner, size), to_qimage(words))
        if self._side < NUMBERS or (high, wide) != values.shape:
            return
        area, face = self._area(), kept_font(SMALL_PX)[0]
        rows = _seen(area.top() - self._corner.y(), area.height(), self._side, high)
        columns = _seen(area.left() - self._corner.x(), area.width(), self._side, wide)
        painter.setFont(face)
        for row in rows:
            dark = reads_dark(words[row])
            for column in columns:
                painter.setPen(QColor("#000000" if dark[column] else "#ffffff"))
                text = cell_text(float(values[row, column]))
                painter.drawText(self._box(row, column), Qt.AlignmentFlag.AlignCenter, text)

    def _words(self, values: HostArray) -> HostArray:
        """The colours of a map (H, W), as in the strip; averaged where a pixel covers several cells."""
        assert self._cell is not None
        assert self._shown is not None
        ratio, (small,) = self.devicePixelRatioF(), (values,)
        if self._side * ratio < 1:
            (small,) = averaged(values[None], max(values.shape) * self._side * ratio)
        column = self._shown.strip.column_of(self._cell.layer) if self._shown.strip else None
        if column is None or column.stage.kind == "picture":
            return colours(small, -1.0, 1.0, self._theme.picture_table)
        levels = self._shown.levels(column)
        end = float(levels[0] if len(levels) == 1 else levels[self._cell.channel])
        return colours(small, -end, end, self._theme.value_table)

    # --- the person

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A double click, or Space, on what lies under it opens it; it is as large as there is room."""
        if event.type() == QEvent.Type.MouseButtonDblClick and self._pressed()[0] is not None:
            self.open(*self._pressed())
            return self.isVisible()
        pressed = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
        if pressed and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space:
            self.open(*self._marked())
            return True
        if event.type() == QEvent.Type.Resize and self._shown is not None:
            self._place()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The button stays in its corner, the map in view."""
        super().resizeEvent(event)
        self.close_button.setGeometry(self.width() - int(_MARGIN) - 26, 4, 26, 26)
        if self._shown is not None:
            self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Enlarge, or shrink."""
        if turned := event.angleDelta().y():
            self._enlarge(_STEP ** (turned / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click holds the value; a drag moves the map."""
        self._drag, self._dragged = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Look at the value under the mouse, or move the map."""
        if self._drag is None:
            if (cell := self._at(event.position())) is not None:
                self._point(cell)
            return
        moved = event.position() - self._drag
        if self._dragged or moved.manhattanLength() > 4:
            self._dragged, self._drag = True, event.position()
            self._settle(self._corner + moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The end of a click, or of a drag."""
        if self._drag is not None and not self._dragged and (cell := self._at(event.position())) is not None:
            self.held.emit(cell)
        self._drag = None

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is gone: look at nothing, or at what is held."""
        self.looked.emit(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the value looked at, Page Up and Page Down the map; Return holds; + and - enlarge."""
        key, cell = Qt.Key(event.key()), self._cell
        if cell is None or self._shown is None:
            return
        shape = self._shown.reading.subject.network.shapes[cell.layer]
        if key == Qt.Key.Key_Escape:
            self.put_away()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.held.emit(cell)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            factor = 1 / _STEP if key == Qt.Key.Key_Minus else _STEP
            self._enlarge(factor, self._box(cell.row, cell.column).center())
        elif key in _MOVES:
            down, right = _MOVES[key]
            row, column = min(max(cell.row + down, 0), shape[1] - 1), min(max(cell.column + right, 0), shape[2] - 1)
            self._point(replace(cell, row=row, column=column))
            self._bring()
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            channel = cell.channel + (1 if key == Qt.Key.Key_PageDown else -1)
            self._point(replace(cell, channel=min(max(channel, 0), shape[0] - 1)))
        else:
            super().keyPressEvent(event)

    def _point(self, cell: Cell) -> None:
        if cell != self._cell:
            other = self._cell is None or cell.channel != self._cell.channel
            self._cell = cell
            if other:
                self._say()
            self.looked.emit(cell)
            self.update()

    def _bring(self) -> None:
        """Move the map so that the cell looked at is in view."""
        assert self._cell is not None
        box, area = self._box(self._cell.row, self._cell.column), self._area()
        across = min(max(box.left(), area.left()), area.right() - box.width()) - box.left()
        down = min(max(box.top(), area.top()), area.bottom() - box.height()) - box.top()
        self._settle(self._corner + QPointF(across, down))


def _seen(start: float, room: float, side: float, count: int) -> range:
    """Which of `count` cells of a side lie in a room that begins at `start` of them."""
    return range(max(int(start // side), 0), min(int((start + room) // side) + 1, count))
