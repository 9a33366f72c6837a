"""Network view: mouse and keyboard input of the layer strips: hover, pin, fold, expand, turn pages, search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from xo_gui.state.selection import Cell
from xo_gui.views.network.folding import Way
from xo_gui.views.network.layout import Column, Strip
from xo_gui.views.network.strip_painting import Header
from xo_gui.views.network.strip_widget import StripsPanel, Weight, header_of, middle_of, under

_ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}

PAGE_KEYS: Final[Mapping[Qt.Key, Way]] = {Qt.Key.Key_PageUp: "back", Qt.Key.Key_PageDown: "on"}


class StripsView(StripsPanel):
    """A layer strip with mouse and keyboard input.

    Hovering or the arrow keys select a value; a click or Return pins it; Esc deselects. A click on a header, or F,
    folds a ReLU into the column before it or unfolds it, turns a page of maps, or expands a collapsed run.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._large.looked.connect(self._look_into)
        self._large.held.connect(self.pinned)
        self._find.chosen.connect(self._show_found)

    def _look(self, cell: Cell | None, weight: Weight | None = None) -> None:
        changed = cell != self._looked
        if changed or weight != self._weight:
            self._looked, self._weight = cell, weight
            self._large.follow()
            self.update()
        if changed:
            self.hovered.emit(cell)

    def _look_into(self, cell: Cell | None) -> None:
        self._look(cell)
        if cell is not None:
            self._scroll_to(cell)

    def _hover_at(self, x: float, y: float) -> None:
        """Hover what lies at a point in strip coordinates."""
        self._pointed = x, y
        hit = under(self._strips, x, y)
        self._look(hit.cell, hit.weight)
        if hit.header != self._header:
            self._header, self._still = hit.header, None
            self.setCursor(Qt.CursorShape.PointingHandCursor if hit.header else Qt.CursorShape.ArrowCursor)
            self.update()

    def _click_header(self, header: Header) -> None:
        """Apply a click on this header."""
        layout = self._strips[header.subject].strip
        column = layout.headed(header.layer) if layout else None
        if column is not None:
            self._folds.act(column, header.way, header.folds)
            self._header = None
            self._lay_out()
            self._hover_at(*self._pointed)
            layout = self._strips[header.subject].strip
            self._bar.show_column(layout.headed(header.layer) if layout else None, self.width())

    def search(self) -> None:
        """Open the layer search."""
        if self._strips:
            self._find.open()
            self._lay_out()

    def _show_found(self) -> None:
        """Scroll to the search match, and mark it."""
        layer, layout = self._find.found, self._strips[0].strip if self._strips else None
        if layout is not None:
            self._folds.show(layout, layer)
        self._lay_out()
        if layer is not None and (layout := self._strips[0].strip) is not None:
            self._bar.show_column(layout.column_of(layer), self.width())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover_at(event.position().x() + self._bar.value(), event.position().y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pin a value or the centre of a weight's map, or apply a click on a header."""
        self._by_keyboard = False
        self._hover_at(event.position().x() + self._bar.value(), event.position().y())
        self._pressed = self._marked() if self._looked else (None, None)
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self._header is not None:
            self._click_header(self._header)
        elif self._looked is not None:
            self.pinned.emit(self._looked)
        elif self._weight is not None:
            self.pinned.emit(middle_of(self._strips, self._weight))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover_at(-1.0, -1.0)
        super().leaveEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._bar.turn_wheel(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move the selection, with Ctrl by a whole map; Return pins; F folds; Esc deselects."""
        key, (cell, strip) = Qt.Key(event.key()), self._marked()
        leap = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key == Qt.Key.Key_Escape and (self._looked or self._weight or self._pinned):
            self._look(None)
            self.pinned.emit(None)
        elif key == Qt.Key.Key_Escape and self._folds.opened:
            self._controls.overview.click()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and cell:
            self.pinned.emit(cell)
        elif key == Qt.Key.Key_F and cell and strip:
            if (header := header_of(strip, cell)) is not None:
                self._click_header(header)
        elif key in PAGE_KEYS and cell and strip and strip.strip:
            target = self._folds.turned_to(strip.strip.column_of(cell.layer), cell, PAGE_KEYS[key])
            self._lay_out()
            self._look(target)
        elif self._strips and (neighbour := step((strip or self._strips[0]).strip, cell, key, leap)):
            self._look(neighbour)
            self._scroll_to(neighbour)
        else:
            super().keyPressEvent(event)


class NetworkView(StripsView):
    """The layer strip of the first network."""

    title = "Network"


def step(layout: Strip | None, cell: Cell | None, key: Qt.Key, leap: bool) -> Cell | None:
    """The cell that an arrow key leads to from `cell`; None for other keys.

    Without a cell it is the middle of the input. Within a map the step is one cell; at its edge, or with `by_map`,
    it leads to the next map or column.
    """
    if key not in _ARROWS or layout is None:
        return None
    at = None if cell is None else layout.places.get(cell.layer)
    if cell is None or at is None:
        shape = layout.columns[0].cells
        return Cell(layout.columns[0].stage.shown, 0, shape[0] // 2, shape[1] // 2)
    column, (down, right) = layout.columns[at], _ARROWS[key]
    rows, columns = column.cells
    stays_inside = 0 <= cell.row + down < rows and 0 <= cell.column + right < columns
    if stays_inside and not leap:
        return _cell(column, cell, cell.channel, cell.row + down, cell.column + right)
    if down:
        return _map_below(column, cell, down)
    return _map_beside(layout, at, cell, right)


def _map_below(column: Column, cell: Cell, down: int) -> Cell:
    """The cell in the map below (down = 1) or above (-1), `cell` itself at the ends."""
    channel, start = cell.channel + down, column.maps.start
    if channel not in column.maps or (channel - start) // column.rows != (cell.channel - start) // column.rows:
        return cell
    return _cell(column, cell, channel, 0 if down > 0 else column.cells[0] - 1, cell.column)


def _map_beside(layout: Strip, at: int, cell: Cell, right: int) -> Cell:
    """The cell in the map beside it in the same column, or in the nearest map of the next column."""
    column = layout.columns[at]
    channel = cell.channel + right * column.rows
    if channel in column.maps:
        return _cell(column, cell, channel, cell.row, 0 if right > 0 else column.cells[1] - 1)
    if not 0 <= at + right < len(layout.columns):
        return cell
    other, box = layout.columns[at + right], column.tile(cell.channel)
    if other.stage.kind == "group":  # a selection in it expands the run
        return Cell(other.stage.layers[0 if right > 0 else -1], 0, subject=cell.subject)
    middle = box.y + (cell.row + 0.5) * box.height / column.cells[0]
    across = 0 if right > 0 else other.across - 1
    nearest = min(max(int((middle - other.y) // other.step_y), 0), other.rows - 1)
    channel = min(other.maps.start + across * other.rows + nearest, other.maps.stop - 1)
    row = int((cell.row + 0.5) / column.cells[0] * other.cells[0])
    return _cell(other, cell, channel, row, 0 if right > 0 else other.cells[1] - 1)


def _cell(column: Column, cell: Cell, channel: int, row: int, col: int) -> Cell:
    return Cell(column.stage.shown, channel, row, col, cell.subject)
