"""Strip keys: where an arrow key takes the looked-at cell. It knows no widget and no values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt

from xo_gui.state.selection import Cell
from xo_gui.views.columns import Column, Strip
from xo_gui.views.pager import Way

_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


PAGE_KEYS: Final[Mapping[Qt.Key, Way]] = {Qt.Key.Key_PageUp: "back", Qt.Key.Key_PageDown: "on"}


def step(strip: Strip | None, cell: Cell | None, key: Qt.Key, leap: bool) -> Cell | None:
    """The cell that an arrow key leads to from `cell`; the middle of the input from nowhere; None for other keys.

    Within a map it goes cell by cell; at its edge, or at once with `leap`, to the map or column beside it.
    """
    if key not in _STEPS or strip is None:
        return None
    at = None if cell is None else strip.places.get(cell.layer)
    if cell is None or at is None:
        shape = strip.columns[0].cells
        return Cell(strip.columns[0].stage.shown, 0, shape[0] // 2, shape[1] // 2)
    column, (down, right) = strip.columns[at], _STEPS[key]
    rows, columns = column.cells
    inside = 0 <= cell.row + down < rows and 0 <= cell.column + right < columns
    if inside and not leap:
        return _cell(column, cell, cell.channel, cell.row + down, cell.column + right)
    if down:
        return _to_row(column, cell, down)
    return _to_side(strip, at, cell, right)


def _to_row(column: Column, cell: Cell, down: int) -> Cell:
    """The map above or below; at the ends it stays."""
    channel, start = cell.channel + down, column.maps.start
    if channel not in column.maps or (channel - start) // column.rows != (cell.channel - start) // column.rows:
        return cell
    return _cell(column, cell, channel, 0 if down > 0 else column.cells[0] - 1, cell.column)


def _to_side(strip: Strip, at: int, cell: Cell, right: int) -> Cell:
    """The map beside it, or the one nearest in height in the next column."""
    column = strip.columns[at]
    channel = cell.channel + right * column.rows
    if channel in column.maps:
        return _cell(column, cell, channel, cell.row, 0 if right > 0 else column.cells[1] - 1)
    if not 0 <= at + right < len(strip.columns):
        return cell
    other, box = strip.columns[at + right], column.tile(cell.channel)
    if other.stage.kind == "group":  # to walk into it opens it
        return Cell(other.stage.layers[0 if right > 0 else -1], 0, subject=cell.subject)
    middle = box.y + (cell.row + 0.5) * box.height / column.cells[0]
    across = 0 if right > 0 else other.across - 1
    nearest = min(max(int((middle - other.y) // other.step_y), 0), other.rows - 1)
    channel = min(other.maps.start + across * other.rows + nearest, other.maps.stop - 1)
    row = int((cell.row + 0.5) / column.cells[0] * other.cells[0])
    return _cell(other, cell, channel, row, 0 if right > 0 else other.cells[1] - 1)


def _cell(column: Column, cell: Cell, channel: int, row: int, col: int) -> Cell:
    return Cell(column.stage.shown, channel, row, col, cell.subject)
