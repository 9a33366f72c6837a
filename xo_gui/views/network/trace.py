"""Trace: which cells, windows and lines belong to one looked-at cell, and what each line carries. No painting."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from engine.explain.receptive_field import receptive_field, runs_read
from engine.explain.value_arithmetic import arithmetic, brings, is_known, place_in
from engine.nn.inference import Reading
from engine.nn.layers import Flatten
from engine.nn.layers.value_formulas import Arithmetic, Largest
from engine.nn.network import Network
from xo_gui.state.selection import Cell
from xo_gui.state.visible_values import MOST_ONWARD
from xo_gui.views.network.layout import Box, Column, Strip

Line = tuple[float, float, float, float]
# What a line reads when nobody has values for it: as much as any other.
ALIKE = 1.0
# Of what is read with gaps, so many parts at most are outlined one by one.
MOST_PARTS = 144
# Beyond so many maps above, what a value brings to each of them is not worked out.
MOST_ABOVE = 64
# Of so many lines between two columns the strongest are shown.
MOST_FAN = 16


@dataclass(frozen=True)
class Trace:
    """What to mark. tile: the looked-at map, None for a bar or a vote. rings: single cells; windows: what is read.

    lines: those that tie the cell to what it reads and what reads it, one for each step; fan: the many from all
    maps it reads, and to all that read it. carried: for each line of the fan what it brings, as a share (-1 to 1)
    of what the strongest line of its layer brings; those that bring nothing are left out, and of many the weakest.
    All are alike without a reading.
    """

    tile: Box | None
    rings: tuple[Box, ...]
    windows: tuple[Box, ...]
    lines: tuple[Line, ...]
    fan: tuple[Line, ...]
    carried: tuple[float, ...]


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


def trace_of(network: Network, strip: Strip, cell: Cell, reading: Reading | None = None) -> Trace | None:
    """Everything to mark for `cell`, or None if no column shows it. reading: the values by which winners and what
    lines carry are told; without one, only what is read."""
    shown = cell if strip.column_of(cell.layer) else in_maps(network, cell)
    column = strip.column_of(shown.layer)
    if column is None or not is_in(network, cell):
        return None
    found = _Finder(network, strip, reading)
    found.ring(column, shown.channel, shown.row, shown.column)
    found.feature(column, shown.channel)
    with np.errstate(over="ignore", invalid="ignore"):  # weights that have run away give values that are no numbers
        found.back(shown)
        found.forward(shown)
    found.input_window(shown)
    return Trace(
        column.tile(shown.channel) if column.is_map and shown.channel in column.maps else None,
        tuple(found.rings),
        tuple(found.windows),
        tuple(found.lines),
        *found.fanned(),
    )


class _Finder:
    """Gathers the marks while walking from the cell to the input and to the next features."""

    def __init__(self, network: Network, strip: Strip, reading: Reading | None) -> None:
        self._network, self._strip, self._reading = network, strip, reading
        self.rings: list[Box] = []
        self.windows: list[Box] = []
        self.lines: list[Line] = []
        self.fans: list[list[tuple[Line, float]]] = []

    def box(self, column: Column, channel: int, row: int, col: int) -> Box:
        """One cell of a column."""
        return column.mark(channel, range(row, row + 1), range(col, col + 1))

    def ring(self, column: Column, channel: int, row: int, col: int) -> None:
        """Mark one cell, if its map is on the page that is shown."""
        if channel in column.maps:
            self.rings.append(self.box(column, channel, row, col))

    def feature(self, column: Column, channel: int) -> None:
        """The feature that made a map, beside it."""
        if column.kernels is not None and channel in column.maps:
            first, last = column.slice(channel, 0), column.slice(channel, column.kernels.channels - 1)
            wide = Box(first.x, first.y, column.kernels.width, last.bottom - first.y)
            self.windows.append(wide)

    def back(self, cell: Cell) -> None:
        """Towards the input: through layers that keep to one map, and the first that weighs all maps below; with a
        reading on from there, from the value that brought most.

        `cell` is followed beside the window: of a max pool it is the one that won.
        """
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
                if got is not None and len(self._network.shapes[layer]) == 3 and not (got[0] and got[1]):
                    return  # it reads only padding
                if got is None or not (got[0] and got[1]):
                    self._weighed_list(cell)
                    read, weighs = (range(0), range(0)), True
                else:
                    read = got
            channels = range(self._network.shapes[layer - 1][0]) if weighs else (below,)
            if read[0]:
                self._step(cell, channel, window, tuple(channels), read)
            if self._reading is not None and not is_known(self._reading, layer, cell.channel):
                return  # how it came about is not known here: its values are out of sight
            if not weighs:
                cell = self._winner(cell, below, read)
                channel, window, layer = below, read, layer - 1
                continue
            strongest = self._strongest(cell)
            if strongest is None:
                return
            cell, channel, layer = strongest, strongest.channel, strongest.layer
            window = (range(cell.row, cell.row + 1), range(cell.column, cell.column + 1))

    def _strongest(self, cell: Cell) -> Cell | None:
        """Of all that `cell` weighs, the value that brings most, which gets a ring; None if none brings any."""
        made = self._arithmetic(cell)
        if made is None or not made.shares.any():
            return None
        place = int(made.cells.flat[int(np.abs(made.shares).argmax())])
        shape = self._network.shapes[cell.layer - 1]
        channel, row, column = (*(int(part) for part in np.unravel_index(place, shape)), 0, 0)[:3]
        found = Cell(cell.layer - 1, channel, row, column, cell.subject)
        shown = found if self._strip.column_of(found.layer) else in_maps(self._network, found)
        lower = self._strip.column_of(shown.layer)
        if lower is not None:
            self.ring(lower, shown.channel, shown.row, shown.column)
        return found

    def _winner(self, cell: Cell, channel: int, read: tuple[range, range]) -> Cell:
        """The cell one layer down that made `cell`: a max pool's winner, which gets a ring, or the first read."""
        under = replace(cell, layer=cell.layer - 1, channel=channel, row=read[0].start, column=read[1].start)
        made = self._arithmetic(cell)
        if not isinstance(made, Largest) or made.values.size == 1:
            return under
        place = np.unravel_index(made.cells.flat[made.winner], self._network.shapes[under.layer])
        won = replace(under, row=int(place[1]), column=int(place[2]))
        lower = self._strip.column_of(won.layer)
        if lower is not None:
            self.ring(lower, won.channel, won.row, won.column)
        return won

    def _arithmetic(self, cell: Cell) -> Arithmetic | None:
        if self._reading is None or cell.layer == 0 or not is_known(self._reading, cell.layer, cell.channel):
            return None
        place = place_in(self._network, cell.layer, cell.channel, cell.row, cell.column)
        return arithmetic(self._reading, cell.layer, place)

    def _step(
        self,
        cell: Cell,
        channel: int,
        window: tuple[range, range],
        below: tuple[int, ...],
        read: tuple[range, range],
    ) -> None:
        """Mark what `window` of map `channel` reads of the maps `below` one layer down, and tie the two; what each
        map brings is told of `cell`."""
        upper, lower = self._strip.column_of(cell.layer), self._strip.column_of(cell.layer - 1)
        if upper is None or lower is None or upper is lower:
            return
        end = upper.mark(channel, *window) if channel in upper.maps else None
        self.fans.append([])
        made = self._arithmetic(cell) if len(below) > 1 else None
        # What a stack with a skip adds belongs to many: how much of it to each map, the arithmetic does not say.
        told = made is None or made.cells.size % len(below) == 0
        brought = [ALIKE] * len(below)
        if made is not None and told:
            brought = made.shares.reshape(len(below), -1).sum(axis=1).tolist()
        for one in below:
            if one not in lower.maps:
                continue
            part = lower.mark(one, *read)
            (self.rings if len(read[0]) == len(read[1]) == 1 else self.windows).append(part)
            if end is None:
                continue
            line = _across(lower, part, upper, end)
            if len(below) == 1 or not told:
                self.lines.append(line)
            else:
                self._fan(line, brought[one])

    def _fan(self, line: Line, brought: float) -> None:
        self.fans[-1].append((line, brought))

    def fanned(self) -> tuple[tuple[Line, ...], tuple[float, ...]]:
        """The lines of all fans, and what each brings as a share of the strongest of its fan."""
        lines, carried = [], []
        for fan in self.fans:
            most = max((abs(brought) for _, brought in fan), default=0.0)
            strongest = sorted(fan, key=lambda pair: -abs(pair[1]))
            for line, brought in strongest if self._reading is None else strongest[:MOST_FAN]:
                if brought and math.isfinite(brought / most):
                    lines.append(line)
                    carried.append(brought / most)
        return tuple(lines), tuple(carried)

    def _whole_map(self, layer: int) -> tuple[range, range]:
        """All rows and columns of a map, or of a value in a list."""
        shape = self._network.shapes[layer]
        return (range(shape[1]), range(shape[2])) if len(shape) == 3 else (range(1), range(1))

    def _weighed_list(self, cell: Cell) -> None:
        """The values of a list, or the maps it was written out from, that a vote or a hidden value weighs."""
        made, upper = self._arithmetic(cell), self._strip.column_of(cell.layer)
        under = cell.layer - 1
        while under and self._strip.column_of(under) is None:
            under -= 1
        lower = self._strip.column_of(under)
        if upper is None or lower is None or lower is upper:
            return
        shape, below, end = (
            self._network.shapes[under],
            self._network.shapes[cell.layer - 1],
            upper.mark(cell.channel),
        )
        self.fans.append([])
        one = np.arange(self._network.shapes[cell.layer][0]) == cell.channel
        read = self._network.layers[cell.layer - 1].reads_of(below, one).reshape(shape[0], -1)
        brought = np.where(read, ALIKE, 0.0)
        if made is not None:
            brought[:] = 0.0
            np.add.at(brought.reshape(-1), made.cells, made.shares)
        for channel in np.flatnonzero(read.any(axis=1)).tolist():
            if channel not in lower.maps:
                continue
            mark = lower.tile(channel) if lower.is_map else lower.mark(channel)
            if lower.stage.kind == "list":
                self.rings.append(mark)
            self._fan(_across(lower, mark, upper, end), float(brought[channel].sum()))

    def forward(self, cell: Cell) -> None:
        """Away from the input: as long as layers keep to one map, and what the next weighed ones get from there."""
        cell = self._up_one_map(cell)
        if cell.layer < len(self._network.layers) and self._network.layers[cell.layer].mixes_maps:
            self._weighed_above(cell)

    def _weighed_above(self, cell: Cell) -> None:
        """What `cell` brings to each map, hidden value or vote that weighs it, in the middle of what it reaches."""
        network, above = self._network, cell.layer + 1
        shown = cell if self._strip.column_of(cell.layer) else in_maps(network, cell)
        lower, upper = self._strip.column_of(shown.layer), self._strip.column_of(above)
        large = math.prod(network.shapes[cell.layer]) > MOST_ONWARD
        if self._reading is None or upper is None or lower is None or upper.stage.count > MOST_ABOVE or large:
            return
        if not self._reading.outputs.holds(cell.layer) or shown.channel not in lower.maps:
            return
        place = place_in(network, cell.layer, cell.channel, cell.row, cell.column)
        mask = np.zeros(network.shapes[cell.layer], bool)
        mask[place] = True
        reached = network.layers[cell.layer].reached_from(mask.shape, mask)
        if not reached.any():
            return
        readers = np.argwhere(reached[int(np.flatnonzero(reached.reshape(len(reached), -1).any(axis=1))[0])])
        middle = tuple(int(part) for part in readers[len(readers) // 2]) if reached.ndim == 3 else ()
        self.fans.append([])
        start = self.box(lower, shown.channel, shown.row, shown.column)
        for channel, brought in enumerate(brings(self._reading, above, place, middle).tolist()):
            if channel not in upper.maps:
                continue
            end = upper.tile(channel) if upper.is_map else upper.mark(channel)
            self._fan(_across(lower, start, upper, end), brought)

    def _up_one_map(self, cell: Cell) -> Cell:
        """Through the layers that keep to one map; the last value there."""
        while cell.layer < len(self._network.layers) and not self._network.layers[cell.layer].mixes_maps:
            below, shape = self._network.shapes[cell.layer], self._network.shapes[cell.layer + 1]
            if self._network.layers[cell.layer].reshapes and len(below) == 3:
                place = int(np.ravel_multi_index((cell.channel, cell.row, cell.column), below))
                cell = self._tie_up(cell, Cell(cell.layer + 1, place, subject=cell.subject))
                continue
            row, column = (self._reader(cell, 0), self._reader(cell, 1)) if len(shape) == 3 else (0, 0)
            if row is None or column is None:
                return cell
            cell = self._tie_up(cell, replace(cell, layer=cell.layer + 1, row=row, column=column))
        return cell

    def _tie_up(self, cell: Cell, above: Cell) -> Cell:
        """Mark the one cell that reads this one, and tie the two."""
        lower, upper = self._strip.column_of(cell.layer), self._strip.column_of(above.layer)
        if upper and lower is not upper:
            self.ring(upper, above.channel, above.row, above.column)
        seen = lower and upper and cell.channel in lower.maps and above.channel in upper.maps
        if lower and upper and lower is not upper and seen:
            start = self.box(lower, cell.channel, cell.row, cell.column)
            end = self.box(upper, above.channel, above.row, above.column)
            self.lines.append(_across(lower, start, upper, end))
        return above

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
        runs = runs_read(self._network, inner.layer, inner.row, inner.column)
        parts = [window]
        if runs is not None and 1 < len(runs[0]) * len(runs[1]) <= MOST_PARTS:
            parts = [(rows, columns) for rows in runs[0] for columns in runs[1]]
        for channel in range(column.stage.count):
            for part in parts:
                box = column.tile(channel).part(column.cells, *part)
                if box not in self.windows and box not in self.rings:
                    self.windows.append(box)


def _across(lower: Column, start: Box, upper: Column, end: Box) -> Line:
    """The line that ties two marks, in the gap between their columns only: nothing is drawn over values.

    It ends before the features beside the upper column's maps, which are what the window is multiplied with.
    """
    last = lower.tile((lower.across - 1) * lower.rows)
    return last.right + 2, start.centre[1], upper.x - 3, end.centre[1]
