"""Trace: which cells, windows and lines belong to one looked-at cell. It finds them; it paints nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.explain.receptive_field import receptive_field
from engine.layers import Flatten, Votes
from engine.network import Network
from xo_gui.session import Cell
from xo_gui.views.columns import Box, Column, Strip

Line = tuple[float, float, float, float]


@dataclass(frozen=True)
class Trace:
    """What to mark. tile: the looked-at map, None for a bar or a vote. rings: single cells; windows: what is read.

    lines: those that tie the cell to what it reads and what reads it, one for each step; fan: the many from all
    maps it reads.
    """

    tile: Box | None
    rings: tuple[Box, ...]
    windows: tuple[Box, ...]
    lines: tuple[Line, ...]
    fan: tuple[Line, ...]


def in_maps(network: Network, cell: Cell) -> Cell:
    """The same value before it was written out as a list, if `cell` is one of Flatten's; else `cell`."""
    if cell.layer and isinstance(network.layers[cell.layer - 1], Flatten):
        shape = network.shapes[cell.layer - 1]
        if len(shape) == 3:
            channel, row, column = (int(place) for place in np.unravel_index(cell.channel, shape))
            return Cell(cell.layer - 1, channel, row, column, cell.subject)
    return cell


def is_in(network: Network, cell: Cell) -> bool:
    """Whether the network has such a value."""
    if not 0 <= cell.layer < len(network.shapes):
        return False
    shape = network.shapes[cell.layer]
    places = (cell.channel, cell.row, cell.column)
    return all(0 <= place < length for place, length in zip(places, (*shape, 1, 1), strict=False))


def trace_of(network: Network, strip: Strip, cell: Cell) -> Trace | None:
    """Everything to mark for `cell`, or None if no column shows it."""
    shown = cell if strip.column_of(cell.layer) else in_maps(network, cell)
    column = strip.column_of(shown.layer)
    if column is None or not is_in(network, cell):
        return None
    found = _Finder(network, strip)
    found.rings.append(found.box(column, shown.channel, shown.row, shown.column))
    found.feature(column, shown.channel)
    found.back(shown)
    found.forward(shown)
    found.input_window(shown)
    return Trace(
        column.tile(shown.channel) if column.is_map else None,
        tuple(found.rings),
        tuple(found.windows),
        tuple(found.lines),
        tuple(found.fan),
    )


class _Finder:
    """Gathers the marks while walking from the cell to the input and to the next features."""

    def __init__(self, network: Network, strip: Strip) -> None:
        self._network, self._strip = network, strip
        self.rings: list[Box] = []
        self.windows: list[Box] = []
        self.lines: list[Line] = []
        self.fan: list[Line] = []

    def box(self, column: Column, channel: int, row: int, col: int) -> Box:
        """One cell of a column."""
        return column.mark(channel, range(row, row + 1), range(col, col + 1))

    def feature(self, column: Column, channel: int) -> None:
        """The feature that made a map, beside it."""
        if column.kernels is not None:
            first, last = column.slice(channel, 0), column.slice(channel, column.kernels.channels - 1)
            wide = Box(first.x, first.y, column.kernels.width, last.bottom - first.y)
            self.windows.append(wide)

    def back(self, cell: Cell) -> None:
        """Towards the input: through layers that keep to one map, and the one that weighs all maps below."""
        channel, window = cell.channel, (range(cell.row, cell.row + 1), range(cell.column, cell.column + 1))
        layer = cell.layer
        while layer > 0:
            if isinstance(self._network.layers[layer - 1], Flatten):
                inner = in_maps(self._network, Cell(layer, channel))
                read = (range(inner.row, inner.row + 1), range(inner.column, inner.column + 1))
                weighs, below = False, inner.channel
            else:
                got = self._network.layers[layer - 1].reads(self._network.shapes[layer - 1], *window)
                weighs, below = self._network.layers[layer - 1].mixes_maps, channel
                if got is None and not weighs:
                    got = self._whole_map(layer - 1)
                if got is None or not (got[0] and got[1]):
                    self._votes(layer, channel)
                    return
                read = got
            channels = range(self._network.shapes[layer - 1][0]) if weighs else (below,)
            self._step(layer, channel, window, tuple(channels), read)
            channel, window, layer = below, read, layer - 1
            if weighs:
                return

    def _step(
        self,
        layer: int,
        channel: int,
        window: tuple[range, range],
        below: tuple[int, ...],
        read: tuple[range, range],
    ) -> None:
        """Mark what `window` of map `channel` reads of the maps `below` one layer down, and tie the two."""
        upper, lower = self._strip.column_of(layer), self._strip.column_of(layer - 1)
        if upper is None or lower is None or upper is lower:
            return
        end = upper.mark(channel, *window)
        for one in below:
            part = lower.mark(one, *read)
            (self.rings if len(read[0]) == len(read[1]) == 1 else self.windows).append(part)
            (self.lines if len(below) == 1 else self.fan).append(_across(lower, part, upper, end))

    def _whole_map(self, layer: int) -> tuple[range, range]:
        """All rows and columns of a map, or of a value in a list."""
        shape = self._network.shapes[layer]
        return (range(shape[1]), range(shape[2])) if len(shape) == 3 else (range(1), range(1))

    def _votes(self, layer: int, channel: int) -> None:
        """The values that a hand-made vote hears, if their list is shown."""
        made, lower, upper = (
            self._network.layers[layer - 1], self._strip.column_of(layer - 1), self._strip.column_of(layer),
        )  # fmt: skip
        if isinstance(made, Votes) and lower and upper:
            end = upper.mark(channel)
            for place in made.strong[channel]:
                heard = lower.mark(place)
                self.rings.append(heard)
                self.fan.append(_across(lower, heard, upper, end))

    def forward(self, cell: Cell) -> None:
        """Away from the input, as long as layers keep to one map."""
        while cell.layer < len(self._network.layers) and not self._network.layers[cell.layer].mixes_maps:
            below, shape = self._network.shapes[cell.layer], self._network.shapes[cell.layer + 1]
            if shape[0] != below[0]:  # a list that several maps are written out in
                return
            row, column = (self._reader(cell, 0), self._reader(cell, 1)) if len(shape) == 3 else (0, 0)
            if row is None or column is None:
                return
            above = replace(cell, layer=cell.layer + 1, row=row, column=column)
            lower, upper = self._strip.column_of(cell.layer), self._strip.column_of(above.layer)
            if lower and upper and lower is not upper:
                start = self.box(lower, cell.channel, cell.row, cell.column)
                end = self.box(upper, above.channel, row, column)
                self.rings.append(end)
                self.lines.append(_across(lower, start, upper, end))
            cell = above

    def _reader(self, cell: Cell, axis: int) -> int | None:
        """The first row (axis 0) or column (axis 1) one layer up that reads `cell`."""
        layer, shape = self._network.layers[cell.layer], self._network.shapes[cell.layer]
        for place in range(self._network.shapes[cell.layer + 1][1 + axis]):
            read = layer.reads(shape, range(place, place + 1), range(place, place + 1))
            if read is not None and (cell.row, cell.column)[axis] in read[axis]:
                return place
        return None

    def input_window(self, cell: Cell) -> None:
        """The receptive field on the input, where the steps so far did not reach it."""
        inner, column = in_maps(self._network, cell), self._strip.column_of(0)
        window = receptive_field(self._network, inner.layer, inner.row, inner.column)[0]
        if inner.layer == 0 or column is None or window is None or not (window[0] and window[1]):
            return
        for channel in range(column.stage.count):
            box = column.tile(channel).part(column.cells, *window)
            if box not in self.windows and box not in self.rings:
                self.windows.append(box)


def _across(lower: Column, start: Box, upper: Column, end: Box) -> Line:
    """The line that ties two marks, in the gap between their columns only: nothing is drawn over values.

    It ends before the features beside the upper column's maps, which are what the window is multiplied with.
    """
    last = lower.tile((lower.across - 1) * lower.rows)
    return last.right + 2, start.centre[1], upper.x - 3, end.centre[1]
