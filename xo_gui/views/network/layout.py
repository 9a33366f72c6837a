"""Layout: the geometry of the columns, tiles and cells of a network strip, and collapsed runs of columns.

All lengths are logical pixels; every edge lies on a device pixel, so that tiles are sharp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xo_gui.app import translate
from xo_gui.views.network.layer_labels import DisplayColumn
from xo_gui.widgets import integer_text

KERNEL_GAP = 6.0

# A run is split into at most MAX_RUNS parts; one of at most MAX_EXPANDED columns is shown column by column.
MAX_RUNS, MAX_EXPANDED = 6, 8
# Columns that are never collapsed: the input and the first features, and the votes.
FIRST_COLUMNS, LAST_COLUMNS = 2, 1

# The votes stay in view while columns are scrolled if the area is this many times as wide; the space before them.
LEAST_AREA, COVER_GAP = 3.0, 12.0

# The first and the last layer of an expanded run.
LayerRange = tuple[int, int]


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

    def contains(self, x: float, y: float) -> bool:
        return self.x <= x < self.right and self.y <= y < self.bottom

    def sub_box(self, shape: tuple[int, int], rows: range, columns: range) -> Box:
        """The part of the cells `rows` x `columns` in a grid of `shape` (rows, columns) equal cells."""
        height, width = self.height / shape[0], self.width / shape[1]
        x, y = self.x + columns.start * width, self.y + rows.start * height
        return Box(x, y, len(columns) * width, len(rows) * height)


@dataclass(frozen=True)
class SliceGrid:
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
class ColumnLayout:
    """The tiles (maps, bars, votes) of a display column in an even grid, filled column by column.

    maps: the channels that have a tile: all, or those of the current page.
    x, y: the top left of the column.
    width: of header and tiles.
    first_x: of the first tile.
    rows: tiles down.
    tile_width, tile_height: of a tile.
    step_x, step_y: from one tile to the next.
    """

    display: DisplayColumn
    maps: range
    x: float
    y: float
    width: float
    first_x: float
    rows: int
    tile_width: float
    tile_height: float
    step_x: float
    step_y: float
    kernels: SliceGrid | None = None

    @property
    def across(self) -> int:
        """The number of tiles side by side."""
        return -(-len(self.maps) // self.rows)

    @property
    def is_paged(self) -> bool:
        """Whether only a page of the maps is shown."""
        return len(self.maps) < self.display.count

    @property
    def right(self) -> float:
        """The x of the right edge, exclusive."""
        return self.x + self.width

    @property
    def cells(self) -> tuple[int, int]:
        """The (rows, columns) of cells in a tile; a bar is one cell."""
        shape = self.display.shape
        return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)

    def tile(self, channel: int) -> Box:
        """The tile of map, bar or vote `channel`, one of `maps`."""
        across, down = divmod(channel - self.maps.start, self.rows)
        return Box(
            self.first_x + across * self.step_x, self.y + down * self.step_y, self.tile_width, self.tile_height
        )

    @property
    def is_map(self) -> bool:
        """Whether its tiles are maps rather than bars, listed values or votes."""
        return len(self.display.shape) == 3

    def swatch(self, channel: int) -> Box:
        """The coloured square of a listed value, at the left of its tile."""
        tile = self.tile(channel)
        side = math.floor(min(tile.height - 4, 24.0))
        return Box(tile.x, round(tile.y + (tile.height - side) / 2), side, side)

    def outline(self, channel: int, rows: range = range(1), columns: range = range(1)) -> Box:
        """The box to outline for cells of a map, or for a whole bar, listed value or vote."""
        tile = self.tile(channel)
        if self.is_map:
            return tile.sub_box(self.cells, rows, columns)
        if self.display.kind == "list":
            return self.swatch(channel)
        if self.display.kind == "votes":
            return Box(tile.x - 7, tile.y - 5, tile.width + 7, tile.height - 8)
        return tile

    def kernel_slice(self, feature: int, channel: int) -> Box:
        """The box of the kernel slice of `feature` for input map `channel`. Requires kernels."""
        assert self.kernels is not None
        grid, tile = self.kernels, self.tile(feature)
        down, across = divmod(channel, grid.across)
        left = tile.x - KERNEL_GAP - grid.width
        top = tile.y + math.floor((tile.height - grid.height) / 2)
        side = grid.size * grid.cell
        return Box(left + across * grid.pitch, top + down * grid.pitch, side, side)

    def cell_at(self, x: float, y: float) -> tuple[int, int, int] | None:
        """The (channel, row, column) at a point, None between tiles."""
        channel = self._near(x, y)
        if channel is None or not (box := self.tile(channel)).contains(x, y):
            return None
        return channel, *_cell_at(box, self.cells, x, y)

    def weight_at(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (feature, channel, row, column) of the weight at a point, None if there is none."""
        if self.kernels is None:
            return None
        feature = self._near(x + self.kernels.width + KERNEL_GAP, y)
        if feature is None:
            return None
        for channel in range(self.kernels.channels):
            if (box := self.kernel_slice(feature, channel)).contains(x, y):
                return feature, channel, *_cell_at(box, (self.kernels.size,) * 2, x, y)
        return None

    def _near(self, x: float, y: float) -> int | None:
        across, down = int((x - self.first_x) // self.step_x), int((y - self.y) // self.step_y)
        channel = self.maps.start + across * self.rows + down
        inside = across >= 0 and 0 <= down < self.rows and channel in self.maps
        return channel if inside else None


@dataclass(frozen=True)
class StripLayout:
    """The layout of all columns of one network.

    area: the space that was available. width: of all columns, larger than the area if scrolling is needed.
    bottom: of the tiles. ratio: device pixels per logical pixel.
    covered_from: where the votes lie over the columns before them, because their own place is scrolled out of view;
        None if they are in their place.
    """

    columns: tuple[ColumnLayout, ...]
    area: Box
    width: float
    bottom: float
    ratio: float
    covered_from: float | None = None

    def with_votes_within(self, right: float) -> StripLayout:
        """The layout with the votes moved to the left until they end at `right`; unchanged where they would take
        more than a third of the area."""
        votes = self._sticking_votes
        if votes is None or votes.right <= right:
            return self
        left = math.floor((right - votes.width) * self.ratio) / self.ratio
        moved = replace(votes, x=left, first_x=votes.first_x + left - votes.x)
        return replace(self, columns=(*self.columns[:-1], moved), covered_from=left - COVER_GAP)

    @property
    def votes_room(self) -> float:
        """The width that the votes take of the visible part, and the space before them; 0 where they scroll."""
        votes = self._sticking_votes
        return 0.0 if votes is None or self.width <= self.area.width + 0.5 else votes.width + COVER_GAP

    @property
    def _sticking_votes(self) -> ColumnLayout | None:
        """The votes, if they leave enough of the area to the columns before them."""
        votes = self.columns[-1] if self.columns else None
        sticks = votes is not None and votes.display.kind == "votes" and LEAST_AREA * votes.width <= self.area.width
        return votes if sticks else None

    @cached_property
    def column_indices(self) -> Mapping[int, int]:
        """The index of the column of every layer, except of layers in collapsed runs."""
        return {
            layer: at
            for at, column in enumerate(self.columns)
            if column.display.kind != "group"
            for layer in column.display.layers
        }

    def column_of(self, layer: int) -> ColumnLayout | None:
        """The column that shows `layer`, None if it has none (Flatten)."""
        at = self.column_indices.get(layer)
        return None if at is None else self.columns[at]

    def column_starting_at(self, layer: int) -> ColumnLayout | None:
        """The column that begins with `layer`, a collapsed run included."""
        return next((column for column in self.columns if column.display.layer == layer), None)

    def column_at(self, x: float) -> ColumnLayout | None:
        """The column at x, header included, None between columns."""
        is_votes = self.covered_from is not None and x >= self.covered_from
        columns = self.columns[-1:] if is_votes else self.columns
        return next((column for column in columns if column.x <= x < column.right), None)


def collapse_runs(
    displays: Sequence[DisplayColumn], expanded: LayerRange | None = None
) -> tuple[DisplayColumn, ...]:
    """Collapse long runs of columns into columns of kind "group".

    expanded: the expanded run; every longer run that contains it is expanded too. (layer, layer) expands down to
    that layer.
    """
    middle = displays[FIRST_COLUMNS : len(displays) - LAST_COLUMNS]
    if len(middle) <= MAX_EXPANDED:
        return tuple(displays)
    shown = (*displays[:FIRST_COLUMNS], *_expanded(middle, expanded), *displays[len(displays) - LAST_COLUMNS :])
    return tuple(
        display if display.kind == "group" or not display.layer else _numbered(display) for display in shown
    )


def collapsed_run(displays: Sequence[DisplayColumn]) -> DisplayColumn:
    """One column that stands for all of these."""
    first, last = displays[0].layer, displays[-1].layers[-1]
    span = translate("NetworkView", "{0}–{1}").format(integer_text(first), integer_text(last))
    return DisplayColumn(
        "group",
        first,
        tuple(range(first + 1, last + 1)),
        integer_text(last - first + 1),
        (translate("NetworkView", "layers"), span),
        (1,),
        signed=False,
        scale_layer=displays[0].scale_layer,
        layer_kinds=tuple(dict.fromkeys(kind for display in displays for kind in display.layer_kinds)),
    )


def _numbered(display: DisplayColumn) -> DisplayColumn:
    """The column with its layer's number in the title."""
    return replace(
        display, title=translate("NetworkView", "{0} · {1}").format(integer_text(display.layer), display.title)
    )


def _expanded(run: Sequence[DisplayColumn], opened: LayerRange | None) -> Iterator[DisplayColumn]:
    """The columns of an expanded run: all if they are few, otherwise the collapsed parts."""
    if len(run) <= MAX_EXPANDED:
        yield from run
        return
    count = min(MAX_RUNS, -(-len(run) // MAX_EXPANDED))
    for at in range(count):
        part = run[at * len(run) // count : (at + 1) * len(run) // count]
        is_open = opened is not None and part[0].layer <= opened[0] and opened[1] <= part[-1].layers[-1]
        if is_open:
            yield from _expanded(part, opened)
        else:
            yield collapsed_run(part)


def _cell_at(box: Box, shape: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    row, column = int((y - box.y) * shape[0] / box.height), int((x - box.x) * shape[1] / box.width)
    return min(row, shape[0] - 1), min(column, shape[1] - 1)
