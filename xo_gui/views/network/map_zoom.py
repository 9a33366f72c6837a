"""Map zoom: one enlarged map over the whole strip, with numbers in its cells where they fit."""

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

from engine.backends import HostArray
from engine.nn.layers import shape_text
from xo_gui.app import SMALL_PX, TITLE_PX, colours, current_theme, to_qimage
from xo_gui.state import CellRef
from xo_gui.views.network.column_painting import cached_font
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.strip_state import StripModel
from xo_gui.widgets import cell_text, downsampled, integer_text, needs_black_text

# The smallest cell that gets a number, and the largest cell.
MIN_NUMBER_SIDE, MAX_CELL_SIDE = 28.0, 64.0
_HEADER, _FOOT, _MARGIN, _ZOOM_STEP = 44.0, 8.0, 16.0, 1.25
_SUMMARY_HEIGHT = 24
_ARROWS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip

CellSource = Callable[[], tuple[CellRef | None, StripModel | None]]


class MapZoom(QWidget):
    """Covers `view` after Shift and a double click on a value there, or Space; Esc closes it.

    hovered(cell), pinned(cell): the user points at a value, or clicks it. The wheel, + and - zoom; dragging and the
    arrow keys move; Page Up and Page Down change the map.
    """

    hovered = Signal(object)
    pinned = Signal(object)

    def __init__(self, view: QWidget, marked: CellSource, pressed: CellSource, room: Callable[[], QRect]) -> None:
        """marked: returns the selected cell and its strip.
        pressed: the same for the last pressed cell, because a press may scroll the strip under the mouse.
        room: returns the part of `view` with the maps and the line under them, which stays visible.
        """
        super().__init__(view)
        self._view, self._marked, self._pressed, self._room = view, marked, pressed, room
        self._cell: CellRef | None = None
        self._strip: StripModel | None = None
        self._side = 0.0
        self._corner = QPointF()
        self._drag_from: QPointF | None = None
        self._is_drag = False
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setToolTip(self.tr("Back to all maps"))
        self.close_button.setAccessibleName(self.tr("Back to all maps"))
        self.close_button.clicked.connect(self.dismiss)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Enlarged map"))
        self.hide()
        view.installEventFilter(self)

    # --- what is shown

    def open(self, cell: CellRef | None, strip: StripModel | None) -> None:
        """Show the map of a cell; does nothing for a cell of a vector."""
        if cell is not None and strip is not None and self._grid(cell, strip) is not None:
            self._cell, self._strip = cell, strip
            self._update_geometry()
            self._fit_map()
            self.show()
            self.raise_()
            self.setFocus()
            self._describe()

    def dismiss(self) -> None:
        """Hide the map, and show all maps again."""
        if self._strip is not None:
            self._cell = self._strip = None
            self.hide()
            self._view.setFocus()

    def refresh(self) -> None:
        """Follow changed values and the selection."""
        if self._strip is None or self._cell is None:
            return
        cell, _ = self._marked()
        if cell is not None and (cell.layer, cell.model_index) == (self._cell.layer, self._cell.model_index):
            self._cell = cell
        self.update()

    def title(self) -> str:
        """The title: "Features 1 · map 3 of 512"."""
        assert self._cell is not None
        assert self._strip is not None
        network = self._strip.prediction.model.network
        count = network.shapes[self._cell.layer][0]
        text = self.tr("{0} · map {1} of {2}")
        title = text.format(
            layer_names(network)[self._cell.layer], integer_text(self._cell.channel + 1), integer_text(count)
        )
        return f"{self._strip.letter} · {title}" if self._strip.letter else title

    @staticmethod
    def _grid(cell: CellRef, strip: StripModel) -> tuple[int, int] | None:
        shape = strip.prediction.model.network.shapes[cell.layer]
        return (shape[1], shape[2]) if len(shape) == 3 else None

    def _describe(self) -> None:
        self.setAccessibleDescription(self.title() if self._cell else "")

    # --- geometry

    def _update_geometry(self) -> None:
        self.setGeometry(self._room().intersected(self._view.rect()).adjusted(0, 0, 0, -_SUMMARY_HEIGHT))

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _HEADER, -_MARGIN, -_FOOT)

    def _min_side(self) -> float:
        """The cell side with which the whole map fits, in whole device pixels if it is more than one."""
        assert self._cell is not None
        assert self._strip is not None
        grid = self._grid(self._cell, self._strip)
        assert grid is not None
        area, ratio = self._area(), self.devicePixelRatioF()
        side = min(area.width() / grid[1], area.height() / grid[0], MAX_CELL_SIDE)
        return math.floor(side * ratio) / ratio if side * ratio >= 1 else side

    def _fit_map(self) -> None:
        self._side = self._min_side()
        self._move_corner(self._area().topLeft())

    def _move_corner(self, corner: QPointF) -> None:
        """Move the map's corner there, without leaving room empty that the map could fill."""
        assert self._cell is not None
        assert self._strip is not None
        grid, area = self._grid(self._cell, self._strip), self._area()
        assert grid is not None
        places = []
        for at, low, room, cells in (
            (corner.x(), area.left(), area.width(), grid[1]), (corner.y(), area.top(), area.height(), grid[0]),
        ):  # fmt: skip
            excess = cells * self._side - room
            places.append(low if excess <= 0 else min(max(at, low - excess), low))
        self._corner = QPointF(round(places[0]), round(places[1]))
        self.update()

    def _zoom(self, factor: float, around: QPointF) -> None:
        """Zoom by a factor around a fixed point."""
        before = self._side
        self._side = min(max(before * factor, self._min_side()), MAX_CELL_SIDE)
        if self._side >= MIN_NUMBER_SIDE:
            self._side = float(round(self._side))
        self._move_corner(around - (around - self._corner) * (self._side / before))

    def _cell_at(self, place: QPointF) -> CellRef | None:
        """The cell at a point of the widget."""
        if self._cell is None or self._strip is None or not self._area().contains(place):
            return None
        grid, offset = self._grid(self._cell, self._strip), place - self._corner
        assert grid is not None
        row, column = math.floor(offset.y() / self._side), math.floor(offset.x() / self._side)
        is_inside = 0 <= row < grid[0] and 0 <= column < grid[1]
        return replace(self._cell, row=row, column=column) if is_inside else None

    def _box(self, row: int, column: int) -> QRectF:
        return QRectF(
            self._corner.x() + column * self._side, self._corner.y() + row * self._side, self._side, self._side
        )

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), QColor(current_theme().background))
            if self._cell is None or self._strip is None:
                return
            self._paint_header(painter)
            outputs, maps = self._strip.prediction.activations, range(self._cell.channel, self._cell.channel + 1)
            if outputs.has(self._cell.layer, maps):
                painter.setClipRect(self._area())
                self._paint_cells(painter, outputs.channels(self._cell.layer, maps)[0])
                painter.setClipping(False)
            box = self._box(self._cell.row, self._cell.column)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setClipRect(self._area().adjusted(-3, -3, 3, 3))
            for colour, wide in ((current_theme().background, 3.6), (current_theme().text, 1.6)):
                painter.setPen(QPen(QColor(colour), wide))
                painter.drawRoundedRect(box, 1.5, 1.5)

    def _paint_header(self, painter: QPainter) -> None:
        assert self._cell is not None
        assert self._strip is not None
        grid = self._strip.prediction.model.network.shapes[self._cell.layer][1:]
        hints = self.tr("{0} · wheel or + to enlarge, drag to move, Page Up and Page Down for other maps, Esc back")
        room = self.width() - 2 * _MARGIN - 40
        for text, px, strong, colour, base in (
            (self.title(), TITLE_PX, True, current_theme().text, 16.0),
            (hints.format(shape_text(grid)), SMALL_PX, False, current_theme().secondary_text, 33.0),
        ):
            face, metrics = cached_font(px, strong)
            painter.setFont(face)
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(_MARGIN, base), metrics.elidedText(text, Qt.TextElideMode.ElideRight, room))

    def _paint_cells(self, painter: QPainter, values: HostArray) -> None:
        pixels = self._colours(values)
        height, width = pixels.shape
        size = QSizeF(values.shape[1] * self._side, values.shape[0] * self._side)
        painter.drawImage(QRectF(self._corner, size), to_qimage(pixels))
        if self._side < MIN_NUMBER_SIDE or (height, width) != values.shape:
            return
        area, face = self._area(), cached_font(SMALL_PX)[0]
        rows = _visible_range(area.top() - self._corner.y(), area.height(), self._side, height)
        columns = _visible_range(area.left() - self._corner.x(), area.width(), self._side, width)
        painter.setFont(face)
        for row in rows:
            black = needs_black_text(pixels[row])
            for column in columns:
                painter.setPen(QColor("#000000" if black[column] else "#ffffff"))
                text = cell_text(float(values[row, column]))
                painter.drawText(self._box(row, column), Qt.AlignmentFlag.AlignCenter, text)

    def _colours(self, values: HostArray) -> HostArray:
        """The colours of a map (H, W), as in the strip; downsampled where a pixel covers several cells."""
        assert self._cell is not None
        assert self._strip is not None
        ratio, (small,) = self.devicePixelRatioF(), (values,)
        if self._side * ratio < 1:
            (small,) = downsampled(values[None], max(values.shape) * self._side * ratio)
        column = self._strip.layout.column_of(self._cell.layer) if self._strip.layout else None
        if column is None or column.display.kind == "picture":
            return colours(small, -1.0, 1.0, current_theme().picture_table)
        levels = self._strip.limits(column)
        limit = float(levels[0] if len(levels) == 1 else levels[self._cell.channel])
        return colours(small, -limit, limit, current_theme().value_table)

    # --- input

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Open on Shift and a double click, or Space, in the view below, and follow its size."""
        double = isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonDblClick
        if isinstance(event, QMouseEvent) and double and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.open(*self._pressed())
            return self.isVisible()
        pressed = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
        if pressed and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space:
            self.open(*self._marked())
            return True
        if event.type() == QEvent.Type.Resize and self._strip is not None:
            self._update_geometry()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.close_button.setGeometry(self.width() - int(_MARGIN) - 26, 4, 26, 26)
        if self._strip is not None:
            self._fit_map()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if delta := event.angleDelta().y():
            self._zoom(_ZOOM_STEP ** (delta / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a click, which pins the value, or a drag, which moves the map."""
        self._drag_from, self._is_drag = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Select the value under the mouse, or move the map."""
        if self._drag_from is None:
            if (cell := self._cell_at(event.position())) is not None:
                self._select(cell)
            return
        moved = event.position() - self._drag_from
        if self._is_drag or moved.manhattanLength() > 4:
            self._is_drag, self._drag_from = True, event.position()
            self._move_corner(self._corner + moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if self._drag_from is not None and not self._is_drag and cell is not None:
            self.pinned.emit(cell)
        self._drag_from = None

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered.emit(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the selection, Page Up and Down change the map, Return pins, + and - zoom, Esc closes."""
        key, cell = Qt.Key(event.key()), self._cell
        if cell is None or self._strip is None:
            return
        shape = self._strip.prediction.model.network.shapes[cell.layer]
        if key == Qt.Key.Key_Escape:
            self.dismiss()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.pinned.emit(cell)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            factor = 1 / _ZOOM_STEP if key == Qt.Key.Key_Minus else _ZOOM_STEP
            self._zoom(factor, self._box(cell.row, cell.column).center())
        elif key in _ARROWS:
            down, right = _ARROWS[key]
            row, column = min(max(cell.row + down, 0), shape[1] - 1), min(max(cell.column + right, 0), shape[2] - 1)
            self._select(replace(cell, row=row, column=column))
            self._scroll_to_cell()
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            channel = cell.channel + (1 if key == Qt.Key.Key_PageDown else -1)
            self._select(replace(cell, channel=min(max(channel, 0), shape[0] - 1)))
        else:
            super().keyPressEvent(event)

    def _select(self, cell: CellRef) -> None:
        if cell != self._cell:
            is_other_map = self._cell is None or cell.channel != self._cell.channel
            self._cell = cell
            if is_other_map:
                self._describe()
            self.hovered.emit(cell)
            self.update()

    def _scroll_to_cell(self) -> None:
        """Move the map so that the selected cell is visible."""
        assert self._cell is not None
        box, area = self._box(self._cell.row, self._cell.column), self._area()
        across = min(max(box.left(), area.left()), area.right() - box.width()) - box.left()
        down = min(max(box.top(), area.top()), area.bottom() - box.height()) - box.top()
        self._move_corner(self._corner + QPointF(across, down))


def _visible_range(start: float, room: float, side: float, count: int) -> range:
    """Which of `count` cells of this side are visible in `room` that begins at `start`."""
    return range(max(int(start // side), 0), min(int((start + room) // side) + 1, count))
