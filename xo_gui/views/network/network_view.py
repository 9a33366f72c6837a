"""Network view: mouse and keyboard input of the layer strips: hover, pin, fold, expand, turn pages, search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from xo_gui.state import CellRef
from xo_gui.views.network.folding import PagerPart
from xo_gui.views.network.layout import ColumnLayout, StripLayout
from xo_gui.views.network.strip_painting import HeaderTarget
from xo_gui.views.network.strip_widget import LayerStripWidget, WeightRef, centre_cell, header_of_cell, hit_test

_ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}

PAGE_KEYS: Final[Mapping[Qt.Key, PagerPart]] = {Qt.Key.Key_PageUp: "back", Qt.Key.Key_PageDown: "on"}


class LayerStripView(LayerStripWidget):
    """A layer strip with mouse and keyboard input.

    Hovering or the arrow keys select a value; a click or Return pins it; Esc deselects. A click on a header, or F,
    folds a ReLU into the column before it or unfolds it, turns a page of maps, or expands a collapsed run.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._map_zoom.hovered.connect(self._hover_in_zoom)
        self._map_zoom.pinned.connect(self.pinned)
        self._search.match_changed.connect(self._show_match)

    def _hover(self, cell: CellRef | None, weight: WeightRef | None = None) -> None:
        changed = cell != self._hovered
        if changed or weight != self._weight:
            self._hovered, self._weight = cell, weight
            self._map_zoom.refresh()
            self.update()
        if changed:
            self.hovered.emit(cell)

    def _hover_in_zoom(self, cell: CellRef | None) -> None:
        self._hover(cell)
        if cell is not None:
            self._scroll_to(cell)

    def _hover_at(self, x: float, y: float) -> None:
        """Hover what lies at a point in strip coordinates."""
        self._pointed = x, y
        hit = hit_test(self._strips, x, y)
        self._hover(hit.cell, hit.weight)
        if hit.header != self._header:
            self._header, self._static_pixmap = hit.header, None
            self.setCursor(Qt.CursorShape.PointingHandCursor if hit.header else Qt.CursorShape.ArrowCursor)
            self.update()

    def _click_header(self, header: HeaderTarget) -> None:
        """Apply a click on this header."""
        layout = self._strips[header.model_index].layout
        column = layout.column_starting_at(header.layer) if layout else None
        if column is not None:
            self._fold_state.apply_click(column, header.pager_part, header.folds)
            if header.pager_part is None and header.folds is not None:
                self._report_folds()
            self._header = None
            self._lay_out()
            self._hover_at(*self._pointed)
            strip = self._strips[header.model_index]
            self._scroll_to_column(strip, strip.layout.column_starting_at(header.layer) if strip.layout else None)

    def search(self) -> None:
        """Open the layer search."""
        if self._strips:
            self._search.open()
            self._lay_out()

    def _show_match(self) -> None:
        """Scroll to the search match, and mark it."""
        layer, layout = self._search.match, self._strips[0].layout if self._strips else None
        if layout is not None:
            self._fold_state.reveal_match(layout, layer)
        self._lay_out()
        if layer is not None and (layout := self._strips[0].layout) is not None:
            self._scroll_to_column(self._strips[0], layout.column_of(layer))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover_at(event.position().x() + self._bar.value(), event.position().y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pin a value or the centre of a weight's map, or apply a click on a header."""
        self._by_keyboard = False
        self._hover_at(event.position().x() + self._bar.value(), event.position().y())
        self._pressed = self._selected_cell() if self._hovered else (None, None)
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self._header is not None:
            self._click_header(self._header)
        elif self._hovered is not None:
            self.pinned.emit(self._hovered)
        elif self._weight is not None:
            self.pinned.emit(centre_cell(self._strips, self._weight))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show the value that the first click has pinned on the stage."""
        cell = self._pressed[0]
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            self.opened.emit(cell)
        else:
            super().mouseDoubleClickEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover_at(-1.0, -1.0)
        super().leaveEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._bar.scroll_by_wheel(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_keyboard = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move the selection, with Ctrl by a whole map; Return pins; F folds; Esc deselects."""
        key, (cell, strip) = Qt.Key(event.key()), self._selected_cell()
        leap = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key == Qt.Key.Key_Escape and (self._hovered or self._weight or self._pinned):
            self._hover(None)
            self.pinned.emit(None)
        elif key == Qt.Key.Key_Escape and self._fold_state.expanded:
            self._controls.overview_button.click()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and cell:
            self.pinned.emit(cell)
        elif key == Qt.Key.Key_F and cell and strip:
            if (header := header_of_cell(strip, cell)) is not None:
                self._click_header(header)
        elif key in PAGE_KEYS and cell and strip and strip.layout:
            target = self._fold_state.turn_page_from(strip.layout.column_of(cell.layer), cell, PAGE_KEYS[key])
            self._lay_out()
            self._hover(target)
        elif self._strips and (neighbour := next_cell((strip or self._strips[0]).layout, cell, key, leap)):
            self._hover(neighbour)
            self._scroll_to(neighbour)
        else:
            super().keyPressEvent(event)


class NetworkView(LayerStripView):
    """The layer strip of the first network."""

    title = "Network"


def next_cell(layout: StripLayout | None, cell: CellRef | None, key: Qt.Key, by_map: bool) -> CellRef | None:
    """The cell that an arrow key leads to from `cell`; None for other keys.

    Without a cell it is the middle of the input. Within a map the step is one cell; at its edge, or with `by_map`,
    it leads to the next map or column.
    """
    if key not in _ARROWS or layout is None:
        return None
    at = None if cell is None else layout.column_indices.get(cell.layer)
    if cell is None or at is None:
        shape = layout.columns[0].cells
        return CellRef(layout.columns[0].display.layer, 0, shape[0] // 2, shape[1] // 2)
    column, (down, right) = layout.columns[at], _ARROWS[key]
    rows, columns = column.cells
    stays_inside = 0 <= cell.row + down < rows and 0 <= cell.column + right < columns
    if stays_inside and not by_map:
        return _cell(column, cell, cell.channel, cell.row + down, cell.column + right)
    if down:
        return _map_below(column, cell, down)
    return _map_beside(layout, at, cell, right)


def _map_below(column: ColumnLayout, cell: CellRef, down: int) -> CellRef:
    """The cell in the map below (down = 1) or above (-1), `cell` itself at the ends."""
    channel, start = cell.channel + down, column.maps.start
    if channel not in column.maps or (channel - start) // column.rows != (cell.channel - start) // column.rows:
        return cell
    return _cell(column, cell, channel, 0 if down > 0 else column.cells[0] - 1, cell.column)


def _map_beside(layout: StripLayout, at: int, cell: CellRef, right: int) -> CellRef:
    """The cell in the map beside it in the same column, or in the nearest map of the next column."""
    column = layout.columns[at]
    channel = cell.channel + right * column.rows
    if channel in column.maps:
        return _cell(column, cell, channel, cell.row, 0 if right > 0 else column.cells[1] - 1)
    if not 0 <= at + right < len(layout.columns):
        return cell
    other, box = layout.columns[at + right], column.tile(cell.channel)
    if other.display.kind == "group":  # a selection in it expands the run
        return CellRef(other.display.layers[0 if right > 0 else -1], 0, model_index=cell.model_index)
    middle = box.y + (cell.row + 0.5) * box.height / column.cells[0]
    across = 0 if right > 0 else other.across - 1
    nearest = min(max(int((middle - other.y) // other.step_y), 0), other.rows - 1)
    channel = min(other.maps.start + across * other.rows + nearest, other.maps.stop - 1)
    row = int((cell.row + 0.5) / column.cells[0] * other.cells[0])
    return _cell(other, cell, channel, row, 0 if right > 0 else other.cells[1] - 1)


def _cell(column: ColumnLayout, cell: CellRef, channel: int, row: int, col: int) -> CellRef:
    return CellRef(column.display.layer, channel, row, col, cell.model_index)
