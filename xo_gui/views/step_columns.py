"""Step columns: where every map, gradient map and weight of a step taken apart lies. Pure geometry; it paints
nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xo_gui.views.network.layer_labels import Stage
from xo_gui.views.network.layout import Box

HEADER, LEGEND, ROW_GAP, GAP, TILE_GAP = 34.0, 16.0, 6.0, 26.0, 5.0
TILE, LEAST_TILE, BAR = 58.0, 24.0, 4.0
BARS_WIDE, VOTES_WIDE = 66.0, 116.0
_LEAST_CELL, _MOST_CELL = 3, 8


@dataclass(frozen=True)
class Slices:
    """The weights of one feature as a grid of slices. across: slices side by side; shown: how many of them; cell:
    of one weight; size: weights along a slice's side."""

    across: int
    shown: int
    cell: int
    size: int

    @property
    def pitch(self) -> int:
        """From one slice to the next."""
        return self.size * self.cell + 1

    @property
    def width(self) -> int:
        """Of the grid."""
        return self.across * self.pitch - 1


@dataclass(frozen=True)
class StepColumn:
    """One layer: its values above, the error's gradients in them beneath.

    first, shown: which maps or values are there. x, width; tops: of the two rows; high: of a row. tile: the side of
    a map, down: maps from top to bottom. slices: the weights beside each map, if any.
    """

    stage: Stage
    first: int
    shown: int
    x: float
    width: float
    tops: tuple[float, float]
    high: float
    tile: float
    down: int
    slices: Slices | None

    @property
    def right(self) -> float:
        """The first x beyond it."""
        return self.x + self.width

    @property
    def is_maps(self) -> bool:
        """Whether it shows maps, and not bars or votes."""
        return self.stage.kind in ("maps", "picture")

    def area(self, row: int) -> Box:
        """All of one row, 0 for values and 1 for gradients."""
        return Box(self.x, self.tops[row], self.width, self.high)

    def map(self, number: int, row: int) -> Box:
        """Where the map shown as `number` lies."""
        across, down = divmod(number, self.down)
        left = self.x + across * (self._step) + self._beside
        return Box(left, self.tops[row] + down * (self.tile + TILE_GAP), self.tile, self.tile)

    def bar(self, number: int, row: int) -> Box:
        """Where the value shown as `number` has its bar, or the class its line."""
        high = self.high / max(self.shown, 1) if self.stage.kind == "votes" else BAR
        return Box(self.x, self.tops[row] + number * high, self.width, high)

    def value_at(self, x: float, y: float) -> tuple[int, tuple[int, ...]] | None:
        """The row, and the place in the layer, of the value at a point: of a map, or of a bar."""
        for row in range(2):
            for number in range(self.shown if self.stage.kind != "votes" else 0):
                box = self.map(number, row) if self.is_maps else self.bar(number, row)
                if not box.holds(x, y):
                    continue
                channel = self.first + number
                if not self.is_maps:
                    return row, (channel,)
                _, high, wide = self.stage.shape
                return row, (channel, int((y - box.y) * high / box.height), int((x - box.x) * wide / box.width))
        return None

    def slice(self, number: int, channel: int, row: int) -> Box:
        """Where a slice of the feature beside a map lies. Only if there are slices."""
        assert self.slices is not None
        grid, tile = self.slices, self.map(number, row)
        down, across = divmod(channel, grid.across)
        side = grid.size * grid.cell
        return Box(tile.x - self._beside + across * grid.pitch, tile.y + down * grid.pitch, side, side)

    def weight_at(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (feature, channel, row, column) of the weight at a point, in either row."""
        if self.slices is None:
            return None
        for row in range(2):
            for number in range(self.shown):
                for channel in range(self.slices.shown):
                    box = self.slice(number, channel, row)
                    if box.holds(x, y):
                        cell = self.slices.cell
                        return self.first + number, channel, int((y - box.y) // cell), int((x - box.x) // cell)
        return None

    def weight_box(self, index: tuple[int, ...], row: int) -> Box | None:
        """Where a weight (feature, channel, row, column) lies, if it is shown."""
        if self.slices is None or len(index) != 4:
            return None
        number = index[0] - self.first
        if not 0 <= number < self.shown or index[1] >= self.slices.shown:
            return None
        box, cell = self.slice(number, index[1], row), self.slices.cell
        return Box(box.x + index[3] * cell, box.y + index[2] * cell, cell, cell)

    @property
    def more(self) -> int:
        """How many maps or values are not shown."""
        return self.stage.count - self.shown

    @property
    def _beside(self) -> float:
        return 0.0 if self.slices is None else self.slices.width + 4.0

    @property
    def _step(self) -> float:
        return self._beside + self.tile + TILE_GAP


def lay_out(
    stages: Sequence[Stage],
    height: float,
    header_width: Callable[[Stage], float],
    pages: Mapping[int, int],
    most: int,
) -> tuple[StepColumn, ...]:
    """The columns from left to right in `height`. header_width: of a stage's words; pages: from which map a stage
    (by the layer shown) is shown; most: so many of them are known."""
    high = max((height - HEADER - 2 * LEGEND - ROW_GAP) / 2, 2 * LEAST_TILE)
    tops = (HEADER, HEADER + high + LEGEND + ROW_GAP)
    columns: list[StepColumn] = []
    x = 0.0
    for stage in stages:
        column = _column(stage, x, tops, high, pages.get(stage.shown, 0), min(stage.count, most))
        width = math.ceil(max(column.width, header_width(stage)))
        columns.append(StepColumn(**{**vars(column), "width": float(width)}))
        x += width + GAP
    return tuple(columns)


def _column(stage: Stage, x: float, tops: tuple[float, float], high: float, first: int, known: int) -> StepColumn:
    first = first if first < known else 0
    if stage.kind == "votes":
        return StepColumn(stage, 0, stage.count, x, VOTES_WIDE, tops, high, 0.0, 1, None)
    if stage.kind not in ("maps", "picture"):
        shown = min(known - first, int(high // BAR))
        return StepColumn(stage, first, shown, x, BARS_WIDE, tops, high, 0.0, 1, None)
    if stage.count == 1:
        down, tile = 1, min(high, 2 * TILE)
    else:
        down = max(1, round(high / TILE))
        tile = math.floor((high - (down - 1) * TILE_GAP) / down)
    shown = min(known - first, down if known <= down else 2 * down)
    slices = None if stage.kernel is None else _slices(stage.kernel, tile)
    column = StepColumn(stage, first, shown, x, 0.0, tops, high, tile, min(down, shown), slices)
    across = -(-shown // column.down)
    return StepColumn(**{**vars(column), "width": across * column._step - TILE_GAP})


def _slices(kernel: tuple[int, ...], tile: float) -> Slices:
    """As many slices of a feature as can be told apart beside a map."""
    channels, size = kernel[0], kernel[1]
    across = math.ceil(math.sqrt(channels))
    while across > 1 and (tile + 1) / across - 1 < _LEAST_CELL * size:
        across -= 1
    cell = int(((tile + 1) / across - 1) // size)
    return Slices(across, min(channels, across * across), max(1, min(cell, _MOST_CELL)), size)
