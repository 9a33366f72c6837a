"""Receptive trace: the cells, windows and lines that belong to a selected cell, with the lines' contributions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from engine.explain import (
    cell_index,
    contribution,
    has_value_formula,
    receptive_field,
    receptive_runs,
    value_formula,
)
from engine.nn import Network, Prediction
from engine.nn.layers import Maximum, ValueFormula
from xo_gui.state import MAX_TRACED_VALUES, CellRef
from xo_gui.views.network.layout import Box, ColumnLayout, StripLayout

LineSegment = tuple[float, float, float, float]
# The contribution of a line without values.
_EQUAL = 1.0
# A receptive field with gaps is outlined in at most this many parts.
_MAX_PARTS = 144
# Contributions to the layer above are computed for at most this many maps.
_MAX_MAPS_ABOVE = 64
# At most this many lines are shown between two columns, the strongest.
_MAX_FAN = 16


@dataclass(frozen=True)
class ReceptiveTrace:
    """The marks of a selected cell.

    tile: its map, None for a bar or a vote.
    rings: single cells.
    windows: the areas that are read.
    lines: single connections along the path through the cell, one for each layer.
    fan: the connections from all maps that it reads, and to all that read it.
    strengths: the contribution of each line of the fan, relative to the strongest of its layer (-1 to 1); zero ones
        and the weakest of many are left out. All are 1 without a prediction.
    """

    tile: Box | None
    rings: tuple[Box, ...]
    windows: tuple[Box, ...]
    lines: tuple[LineSegment, ...]
    fan: tuple[LineSegment, ...]
    strengths: tuple[float, ...]


def receptive_trace(
    network: Network, layout: StripLayout, cell: CellRef, prediction: Prediction | None = None
) -> ReceptiveTrace | None:
    """The marks of a cell, None if no column shows it. reading: the values for contributions and pooling maxima."""
    shown = cell if layout.column_of(cell.layer) else unflattened(network, cell)
    column = layout.column_of(shown.layer)
    if column is None or not has_cell(network, cell):
        return None
    builder = _TraceBuilder(network, layout, prediction)
    builder.ring(column, shown.channel, shown.row, shown.column)
    builder.feature(column, shown.channel)
    with np.errstate(over="ignore", invalid="ignore"):  # diverged weights give values that are not finite
        builder.back(shown)
        builder.forward(shown)
    builder.input_window(shown)
    return ReceptiveTrace(
        column.tile(shown.channel) if column.is_map and shown.channel in column.maps else None,
        tuple(builder.rings),
        tuple(builder.windows),
        tuple(builder.lines),
        *builder.fanned(),
    )


def unflattened(network: Network, cell: CellRef) -> CellRef:
    """The cell of the input map of Flatten, if `cell` is an output of Flatten; otherwise `cell`."""
    if cell.layer and network.layers[cell.layer - 1].traits.reshapes:
        shape = network.shapes[cell.layer - 1]
        if len(shape) == 3:
            channel, row, column = (int(place) for place in np.unravel_index(cell.channel, shape))
            return CellRef(cell.layer - 1, channel, row, column, cell.model_index)
    return cell


def has_cell(network: Network, cell: CellRef) -> bool:
    """Whether the cell exists in the network."""
    if not 0 <= cell.layer < len(network.shapes):
        return False
    shape = network.shapes[cell.layer]
    places = (cell.channel, cell.row, cell.column)
    return all(0 <= place < length for place, length in zip(places, (*shape, 1, 1), strict=False))


class _TraceBuilder:
    """Collects the marks on the way from the cell to the input and to the next layer that connects channels."""

    def __init__(self, network: Network, layout: StripLayout, prediction: Prediction | None) -> None:
        self._network, self._layout, self._prediction = network, layout, prediction
        self.rings: list[Box] = []
        self.windows: list[Box] = []
        self.lines: list[LineSegment] = []
        self.fans: list[list[tuple[LineSegment, float]]] = []

    def box(self, column: ColumnLayout, channel: int, row: int, col: int) -> Box:
        """The box of one cell of a column."""
        return column.outline(channel, range(row, row + 1), range(col, col + 1))

    def ring(self, column: ColumnLayout, channel: int, row: int, col: int) -> None:
        """Mark one cell, if its map is on the visible page."""
        if channel in column.maps:
            self.rings.append(self.box(column, channel, row, col))

    def feature(self, column: ColumnLayout, channel: int) -> None:
        """Mark the kernel beside a map."""
        if column.kernels is not None and channel in column.maps:
            first, last = column.kernel_slice(channel, 0), column.kernel_slice(channel, column.kernels.channels - 1)
            box = Box(first.x, first.y, column.kernels.width, last.bottom - first.y)
            self.windows.append(box)

    def back(self, cell: CellRef) -> None:
        """Follow the cell towards the input, up to the first layer that connects channels.

        With a prediction it continues from there at the value with the largest contribution. Beside the window a
        single cell is followed: at a max pooling its maximum.
        """
        channel, window = cell.channel, (range(cell.row, cell.row + 1), range(cell.column, cell.column + 1))
        layer = cell.layer
        while layer > 0:
            if self._network.layers[layer - 1].traits.reshapes:
                inner = unflattened(self._network, CellRef(layer, channel))
                read = (range(inner.row, inner.row + 1), range(inner.column, inner.column + 1))
                weighs, below = False, inner.channel
            else:
                fields = self._network.layers[layer - 1].receptive_range(self._network.shapes[layer - 1], *window)
                weighs, below = self._network.layers[layer - 1].traits.connects_channels, channel
                if fields is None and not weighs:
                    fields = self._whole_map(layer - 1)
                if fields is not None and len(self._network.shapes[layer]) == 3 and not (fields[0] and fields[1]):
                    return  # it reads only padding
                if fields is None or not (fields[0] and fields[1]):
                    self._connect_vector(cell)
                    read, weighs = (range(0), range(0)), True
                else:
                    read = fields
            channels = range(self._network.shapes[layer - 1][0]) if weighs else (below,)
            if read[0]:
                self._add_step(cell, channel, window, tuple(channels), read)
            if self._prediction is not None and not has_value_formula(self._prediction, layer, cell.channel):
                return  # its values are not visible, so its formula is not known
            if not weighs:
                cell = self._source(cell, below, read)
                channel, window, layer = below, read, layer - 1
                continue
            strongest = self._strongest(cell)
            if strongest is None:
                return
            cell, channel, layer = strongest, strongest.channel, strongest.layer
            window = (range(cell.row, cell.row + 1), range(cell.column, cell.column + 1))

    def _strongest(self, cell: CellRef) -> CellRef | None:
        """Mark and return the value with the largest contribution to `cell`, None if all are 0."""
        formula = self._formula(cell)
        if formula is None or not formula.contributions.any():
            return None
        place = int(formula.cells.flat[int(np.abs(formula.contributions).argmax())])
        shape = self._network.shapes[cell.layer - 1]
        channel, row, column = (*(int(part) for part in np.unravel_index(place, shape)), 0, 0)[:3]
        found = CellRef(cell.layer - 1, channel, row, column, cell.model_index)
        shown = found if self._layout.column_of(found.layer) else unflattened(self._network, found)
        lower = self._layout.column_of(shown.layer)
        if lower is not None:
            self.ring(lower, shown.channel, shown.row, shown.column)
        return found

    def _source(self, cell: CellRef, channel: int, read: tuple[range, range]) -> CellRef:
        """The source of `cell` in the layer below: a max pooling's maximum, which is marked, or the first value."""
        under = replace(cell, layer=cell.layer - 1, channel=channel, row=read[0].start, column=read[1].start)
        formula = self._formula(cell)
        if not isinstance(formula, Maximum) or formula.values.size == 1:
            return under
        place = np.unravel_index(formula.cells.flat[formula.argmax], self._network.shapes[under.layer])
        won = replace(under, row=int(place[1]), column=int(place[2]))
        lower = self._layout.column_of(won.layer)
        if lower is not None:
            self.ring(lower, won.channel, won.row, won.column)
        return won

    def _formula(self, cell: CellRef) -> ValueFormula | None:
        if (
            self._prediction is None
            or cell.layer == 0
            or not has_value_formula(self._prediction, cell.layer, cell.channel)
        ):
            return None
        place = cell_index(self._network, cell.layer, cell.channel, cell.row, cell.column)
        return value_formula(self._prediction, cell.layer, place)

    def _add_step(
        self,
        cell: CellRef,
        channel: int,
        window: tuple[range, range],
        below: tuple[int, ...],
        read: tuple[range, range],
    ) -> None:
        """Mark and connect what `window` of map `channel` reads of the maps `below` in the layer below, with the
        contributions to `cell`."""
        upper, lower = self._layout.column_of(cell.layer), self._layout.column_of(cell.layer - 1)
        if upper is None or lower is None or upper is lower:
            return
        end = upper.outline(channel, *window) if channel in upper.maps else None
        self.fans.append([])
        formula = self._formula(cell) if len(below) > 1 else None
        # The formula of a residual block does not split the sum of its skip by map.
        is_split = formula is None or formula.cells.size % len(below) == 0
        contributions = [_EQUAL] * len(below)
        if formula is not None and is_split:
            contributions = formula.contributions.reshape(len(below), -1).sum(axis=1).tolist()
        for index in below:
            if index not in lower.maps:
                continue
            part = lower.outline(index, *read)
            (self.rings if len(read[0]) == len(read[1]) == 1 else self.windows).append(part)
            if end is None:
                continue
            line = _connection(lower, part, upper, end)
            if len(below) == 1 or not is_split:
                self.lines.append(line)
            else:
                self._add_fan_line(line, contributions[index])

    def _add_fan_line(self, line: LineSegment, contribution: float) -> None:
        self.fans[-1].append((line, contribution))

    def fanned(self) -> tuple[tuple[LineSegment, ...], tuple[float, ...]]:
        """The lines of all fans, and their contributions relative to the strongest of their fan."""
        lines, carried = [], []
        for fan in self.fans:
            most = max((abs(contribution) for _, contribution in fan), default=0.0)
            strongest = sorted(fan, key=lambda pair: -abs(pair[1]))
            for line, strength in strongest if self._prediction is None else strongest[:_MAX_FAN]:
                if strength and math.isfinite(strength / most):
                    lines.append(line)
                    carried.append(strength / most)
        return tuple(lines), tuple(carried)

    def _whole_map(self, layer: int) -> tuple[range, range]:
        """All rows and columns of a map, or of a value of a vector."""
        shape = self._network.shapes[layer]
        return (range(shape[1]), range(shape[2])) if len(shape) == 3 else (range(1), range(1))

    def _connect_vector(self, cell: CellRef) -> None:
        """Mark the values of a vector, or the maps before its Flatten, that a vote or a hidden value weighs."""
        formula, upper = self._formula(cell), self._layout.column_of(cell.layer)
        under = cell.layer - 1
        while under and self._layout.column_of(under) is None:
            under -= 1
        lower = self._layout.column_of(under)
        if upper is None or lower is None or lower is upper:
            return
        shape, below, end = (
            self._network.shapes[under],
            self._network.shapes[cell.layer - 1],
            upper.outline(cell.channel),
        )
        self.fans.append([])
        mask = np.arange(self._network.shapes[cell.layer][0]) == cell.channel
        read = self._network.layers[cell.layer - 1].receptive_mask(below, mask).reshape(shape[0], -1)
        contribution = np.where(read, _EQUAL, 0.0)
        if formula is not None:
            contribution[:] = 0.0
            np.add.at(contribution.reshape(-1), formula.cells, formula.contributions)
        for channel in np.flatnonzero(read.any(axis=1)).tolist():
            if channel not in lower.maps:
                continue
            mark = lower.tile(channel) if lower.is_map else lower.outline(channel)
            if lower.display.kind == "list":
                self.rings.append(mark)
            self._add_fan_line(_connection(lower, mark, upper, end), float(contribution[channel].sum()))

    def forward(self, cell: CellRef) -> None:
        """Follow the cell away from the input, up to and including the next layer that connects channels."""
        cell = self._follow_up(cell)
        if cell.layer < len(self._network.layers) and self._network.layers[cell.layer].traits.connects_channels:
            self._connect_readers(cell)

    def _connect_readers(self, cell: CellRef) -> None:
        """Add lines for the contributions of `cell` to each map, hidden value or vote of the layer above; they end
        in the middle of the values it influences."""
        network, above = self._network, cell.layer + 1
        shown = cell if self._layout.column_of(cell.layer) else unflattened(network, cell)
        lower, upper = self._layout.column_of(shown.layer), self._layout.column_of(above)
        large = math.prod(network.shapes[cell.layer]) > MAX_TRACED_VALUES
        if (
            self._prediction is None
            or upper is None
            or lower is None
            or upper.display.count > _MAX_MAPS_ABOVE
            or large
        ):
            return
        if not self._prediction.activations.has(cell.layer) or shown.channel not in lower.maps:
            return
        place = cell_index(network, cell.layer, cell.channel, cell.row, cell.column)
        mask = np.zeros(network.shapes[cell.layer], bool)
        mask[place] = True
        reached = network.layers[cell.layer].influence_mask(mask.shape, mask)
        if not reached.any():
            return
        readers = np.argwhere(reached[int(np.flatnonzero(reached.reshape(len(reached), -1).any(axis=1))[0])])
        middle = tuple(int(part) for part in readers[len(readers) // 2]) if reached.ndim == 3 else ()
        self.fans.append([])
        start = self.box(lower, shown.channel, shown.row, shown.column)
        for channel, strength in enumerate(contribution(self._prediction, above, place, middle).tolist()):
            if channel not in upper.maps:
                continue
            end = upper.tile(channel) if upper.is_map else upper.outline(channel)
            self._add_fan_line(_connection(lower, start, upper, end), strength)

    def _follow_up(self, cell: CellRef) -> CellRef:
        """Follow the cell through the layers that do not connect channels; returns the last one."""
        while (
            cell.layer < len(self._network.layers) and not self._network.layers[cell.layer].traits.connects_channels
        ):
            below, shape = self._network.shapes[cell.layer], self._network.shapes[cell.layer + 1]
            if self._network.layers[cell.layer].traits.reshapes and len(below) == 3:
                place = int(np.ravel_multi_index((cell.channel, cell.row, cell.column), below))
                cell = self._connect_above(cell, CellRef(cell.layer + 1, place, model_index=cell.model_index))
                continue
            row, column = (self._reader(cell, 0), self._reader(cell, 1)) if len(shape) == 3 else (0, 0)
            if row is None or column is None:
                return cell
            cell = self._connect_above(cell, replace(cell, layer=cell.layer + 1, row=row, column=column))
        return cell

    def _connect_above(self, cell: CellRef, above: CellRef) -> CellRef:
        """Mark and connect the cell `above` that reads this one."""
        lower, upper = self._layout.column_of(cell.layer), self._layout.column_of(above.layer)
        if upper and lower is not upper:
            self.ring(upper, above.channel, above.row, above.column)
        are_visible = lower and upper and cell.channel in lower.maps and above.channel in upper.maps
        if lower and upper and lower is not upper and are_visible:
            start = self.box(lower, cell.channel, cell.row, cell.column)
            end = self.box(upper, above.channel, above.row, above.column)
            self.lines.append(_connection(lower, start, upper, end))
        return above

    def _reader(self, cell: CellRef, axis: int) -> int | None:
        """The first row (axis 0) or column (axis 1) one layer up that reads `cell`."""
        layer, shape = self._network.layers[cell.layer], self._network.shapes[cell.layer]
        for place in range(self._network.shapes[cell.layer + 1][1 + axis]):
            read = layer.receptive_range(shape, range(place, place + 1), range(place, place + 1))
            if read is not None and (cell.row, cell.column)[axis] in read[axis]:
                return place
        return None

    def input_window(self, cell: CellRef) -> None:
        """Mark the receptive field in the input, unless it is marked already."""
        inner, column = unflattened(self._network, cell), self._layout.column_of(0)
        window = receptive_field(self._network, inner.layer, inner.row, inner.column)[0]
        if inner.layer == 0 or column is None or window is None or not (window[0] and window[1]):
            return
        runs = receptive_runs(self._network, inner.layer, inner.row, inner.column)
        parts = [window]
        if runs is not None and 1 < len(runs[0]) * len(runs[1]) <= _MAX_PARTS:
            parts = [(rows, columns) for rows in runs[0] for columns in runs[1]]
        for channel in range(column.display.count):
            for part in parts:
                box = column.tile(channel).sub_box(column.cells, *part)
                if box not in self.windows and box not in self.rings:
                    self.windows.append(box)


def _connection(lower: ColumnLayout, start: Box, upper: ColumnLayout, end: Box) -> LineSegment:
    """The line between two marks, only in the gap between their columns, so that it covers no values.

    It ends before the kernels beside the upper column's maps.
    """
    last = lower.tile((lower.across - 1) * lower.rows)
    return last.right + 2, start.centre[1], upper.x - 3, end.centre[1]
