"""Layout: the geometry of the columns, tiles and cells of a network strip, and collapsed runs of columns.

All lengths are logical pixels; every edge lies on a device pixel, so that tiles are sharp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from PySide6.QtCore import QCoreApplication

from xo_gui.views.network.layer_labels import Stage
from xo_gui.widgets.number_text import number

KERNEL_GAP = 6.0

# A run is split into at most MAX_RUNS parts; one of at most MAX_EXPANDED columns is shown column by column.
MOST_GROUPS, FEW = 6, 8
# Columns that are never collapsed: the input and the first features, and the votes.
HEAD, TAIL = 2, 1

# The first and the last layer of an expanded run.
Opened = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """A rectangle in logical pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of the right edge, exclusive."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the bottom edge, exclusive."""
        return self.y + self.height

    @property
    def centre(self) -> tuple[float, float]:
        """The (x, y) of the centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, x: float, y: float) -> bool:
        return self.x <= x < self.right and self.y <= y < self.bottom

    def part(self, shape: tuple[int, int], rows: range, columns: range) -> Box:
        """The part of the cells `rows` x `columns` in a grid of `shape` (rows, columns) equal cells."""
        height, width = self.height / shape[0], self.width / shape[1]
        x, y = self.x + columns.start * width, self.y + rows.start * height
        return Box(x, y, len(columns) * width, len(rows) * height)


@dataclass(frozen=True)
class Kernels:
    """How one kernel is laid out beside its map: one slice per input channel in a small grid, row by row.

    size: weights along a slice's side. across: slices in a row. cell: the side of one weight. gap: between slices.
    """

    channels: int
    size: int
    across: int
    cell: float
    gap: float

    @property
    def down(self) -> int:
        return -(-self.channels // self.across)

    @property
    def pitch(self) -> float:
        """The distance from one slice to the next."""
        return self.size * self.cell + self.gap

    @property
    def width(self) -> float:
        return self.across * self.pitch - self.gap

    @property
    def height(self) -> float:
        return self.down * self.pitch - self.gap


@dataclass(frozen=True)
class Column:
    """The tiles (maps, bars, votes) of a display column in an even grid, filled column by column.

    maps: the channels that have a tile: all, or those of the current page.
    x, y: the top left of the column.
    width: of header and tiles.
    first_x: of the first tile.
    rows: tiles down.
    tile_width, tile_height: of a tile.
    step_x, step_y: from one tile to the next.
    """

    stage: Stage
    maps: range
    x: float
    y: float
    width: float
    first: float
    rows: int
    tile_width: float
    tile_height: float
    step_x: float
    step_y: float
    kernels: Kernels | None = None

    @property
    def across(self) -> int:
        """The number of tiles side by side."""
        return -(-len(self.maps) // self.rows)

    @property
    def paged(self) -> bool:
        """Whether only a page of the maps is shown."""
        return len(self.maps) < self.stage.count

    @property
    def right(self) -> float:
        """The x of the right edge, exclusive."""
        return self.x + self.width

    @property
    def cells(self) -> tuple[int, int]:
        """The (rows, columns) of cells in a tile; a bar is one cell."""
        shape = self.stage.shape
        return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)

    def tile(self, channel: int) -> Box:
        """The tile of map, bar or vote `channel`, one of `maps`."""
        across, down = divmod(channel - self.maps.start, self.rows)
        return Box(
            self.first + across * self.step_x, self.y + down * self.step_y, self.tile_width, self.tile_height
        )

    @property
    def is_map(self) -> bool:
        """Whether its tiles are maps rather than bars, listed values or votes."""
        return len(self.stage.shape) == 3

    def swatch(self, channel: int) -> Box:
        """The coloured square of a listed value, at the left of its tile."""
        tile = self.tile(channel)
        side = math.floor(min(tile.height - 4, 24.0))
        return Box(tile.x, round(tile.y + (tile.height - side) / 2), side, side)

    def mark(self, channel: int, rows: range = range(1), columns: range = range(1)) -> Box:
        """The box to outline for cells of a map, or for a whole bar, listed value or vote."""
        tile = self.tile(channel)
        if self.is_map:
            return tile.part(self.cells, rows, columns)
        if self.stage.kind == "list":
            return self.swatch(channel)
        if self.stage.kind == "votes":
            return Box(tile.x - 7, tile.y - 5, tile.width + 7, tile.height - 8)
        return tile

    def slice(self, feature: int, channel: int) -> Box:
        """The box of the kernel slice of `feature` for input map `channel`. Requires kernels."""
        assert self.kernels is not None
        grid, tile = self.kernels, self.tile(feature)
        down, across = divmod(channel, grid.across)
        left = tile.x - KERNEL_GAP - grid.width
        top = tile.y + math.floor((tile.height - grid.height) / 2)
        side = grid.size * grid.cell
        return Box(left + across * grid.pitch, top + down * grid.pitch, side, side)

    def find(self, x: float, y: float) -> tuple[int, int, int] | None:
        """The (channel, row, column) at a point, None between tiles."""
        channel = self._near(x, y)
        if channel is None or not (box := self.tile(channel)).holds(x, y):
            return None
        return channel, *_cell_at(box, self.cells, x, y)

    def find_weight(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (feature, channel, row, column) of the weight at a point, None if there is none."""
        if self.kernels is None:
            return None
        feature = self._near(x + self.kernels.width + KERNEL_GAP, y)
        if feature is None:
            return None
        for channel in range(self.kernels.channels):
            if (box := self.slice(feature, channel)).holds(x, y):
                return feature, channel, *_cell_at(box, (self.kernels.size,) * 2, x, y)
        return None

    def _near(self, x: float, y: float) -> int | None:
        across, down = int((x - self.first) // self.step_x), int((y - self.y) // self.step_y)
        channel = self.maps.start + across * self.rows + down
        inside = across >= 0 and 0 <= down < self.rows and channel in self.maps
        return channel if inside else None


@dataclass(frozen=True)
class Strip:
    """The layout of all columns of one network.

    area: the space that was available. width: of all columns, larger than the area if scrolling is needed.
    bottom: of the tiles. ratio: device pixels per logical pixel.
    """

    columns: tuple[Column, ...]
    area: Box
    width: float
    bottom: float
    ratio: float

    @cached_property
    def places(self) -> Mapping[int, int]:
        """The index of the column of every layer, except of layers in collapsed runs."""
        return {
            layer: at
            for at, column in enumerate(self.columns)
            if column.stage.kind != "group"
            for layer in column.stage.layers
        }

    def column_of(self, layer: int) -> Column | None:
        """The column that shows `layer`, None if it has none (Flatten)."""
        at = self.places.get(layer)
        return None if at is None else self.columns[at]

    def headed(self, layer: int) -> Column | None:
        """The column that begins with `layer`, a collapsed run included."""
        return next((column for column in self.columns if column.stage.shown == layer), None)

    def column_at(self, x: float) -> Column | None:
        """The column at x, header included, None between columns."""
        return next((column for column in self.columns if column.x <= x < column.right), None)


def gathered(displays: Sequence[Stage], opened: Opened | None = None) -> tuple[Stage, ...]:
    """Collapse long runs of columns into columns of kind "group".

    expanded: the expanded run; every longer run that contains it is expanded too. (layer, layer) expands down to
    that layer.
    """
    middle = displays[HEAD : len(displays) - TAIL]
    if len(middle) <= FEW:
        return tuple(displays)
    shown = (*displays[:HEAD], *_expanded(middle, opened), *displays[len(displays) - TAIL :])
    return tuple(
        display if display.kind == "group" or not display.shown else _numbered(display) for display in shown
    )


def group_of(displays: Sequence[Stage]) -> Stage:
    """One column that stands for all of these."""
    first, last = displays[0].shown, displays[-1].layers[-1]
    span = _tr("{0}–{1}").format(number(first), number(last))
    return Stage(
        "group",
        first,
        tuple(range(first + 1, last + 1)),
        number(last - first + 1),
        (_tr("layers"), span),
        (1,),
        signed=False,
        group=displays[0].group,
        kinds=tuple(dict.fromkeys(kind for display in displays for kind in display.kinds)),
    )


def _numbered(display: Stage) -> Stage:
    """The column with its layer's number in the title."""
    return replace(display, title=_tr("{0} · {1}").format(number(display.shown), display.title))


def _expanded(run: Sequence[Stage], opened: Opened | None) -> Iterator[Stage]:
    """The columns of an expanded run: all if they are few, otherwise the collapsed parts."""
    if len(run) <= FEW:
        yield from run
        return
    count = min(MOST_GROUPS, -(-len(run) // FEW))
    for at in range(count):
        part = run[at * len(run) // count : (at + 1) * len(run) // count]
        is_open = opened is not None and part[0].shown <= opened[0] and opened[1] <= part[-1].layers[-1]
        if is_open:
            yield from _expanded(part, opened)
        else:
            yield group_of(part)


def _cell_at(box: Box, shape: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    row, column = int((y - box.y) * shape[0] / box.height), int((x - box.x) * shape[1] / box.width)
    return min(row, shape[0] - 1), min(column, shape[1] - 1)


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)
