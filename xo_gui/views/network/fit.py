"""Arrangement: finds how large a network's tiles can be, what folds, and where columns go. It paints nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.nn.network import Network
from xo_gui.views.network.layer_labels import Stage, foldable, stages_of, with_pager
from xo_gui.views.network.layout import KERNEL_GAP, Box, Column, Kernels, Opened, Strip, gathered

TILE_GAP = 4.0
# What stays free below when the rows are spread over the height, so that the last line stands apart.
FOOT_ROOM = 12.0
SLICE_GAP = 1.0
COLUMN_GAP, WIDEST_GAP = 16.0, 64.0
# Below COMFORT a ReLU is folded into its features, to give the others room; above LARGEST a map gains nothing.
SMALLEST, READABLE, COMFORT, LARGEST = 16.0, 32.0, 60.0, 256.0
INPUT_SIDE = 100.0
BAR_WIDTH, WIDEST_BAR, BAR_PITCH, TALLEST_BAR = 64.0, 110.0, 3.0, 30.0
LIST_WIDTH, LIST_PITCH = 84.0, 12.0
GROUP_WIDTH = 48.0
# How many tiles side by side a page may have, the most that fit; and how many times the area's width may have to be
# scrolled before columns are gathered.
PAGE_ACROSS, SCROLLED = (8, 6, 4, 3, 2), 2.0
# By how much wider the columns may be, where one has to scroll, for larger tiles.
LARGER = 1.33
VOTE_WIDTH, WIDEST_VOTE, VOTE_PITCH, TALLEST_VOTE = 104.0, 150.0, 24.0, 72.0


def arrange(
    network: Network,
    area: Box,
    ratio: float = 1.0,
    header_width: Callable[[Stage], float] = lambda stage: 0.0,
    chosen: Mapping[int, bool] | None = None,
    pages: Mapping[int, int | None] | None = None,
    opened: Opened | None = None,
) -> Strip:
    """The columns of a network in `area`, with tiles as large as they can be.

    ratio: device pixels in a logical one. header_width: how wide a stage's header is. chosen: ReLUs and the like
    (by layer) that the person has folded (True) or unfolded (False). What only relays values is folded; the others
    fold from the last to the first where maps would else be smaller than COMFORT. Where even the smallest tiles do
    not fit, a column shows a page of its maps. pages: the map that a page begins with, by the layer whose levels it
    shares, None for all at once. Where that does not fit either, runs of columns are gathered; opened: the one that
    is not. What still does not fit is wider than the area.
    """
    chosen = chosen or {}
    may = foldable(network)
    asked = {layer for layer in may if chosen.get(layer, network.layers[layer - 1].relays)}
    free = [layer for layer in reversed(may) if layer not in chosen and layer not in asked]

    def fit(count: int) -> _Fit:
        stages = stages_of(network, asked | set(free[:count]))
        return _Fit(stages, area, ratio, header_width)

    # Where not even folding all of them is enough, a deep network need not be tried with each of them.
    found = fit(len(free))
    if found.largest_side() >= COMFORT:
        found = next(each for each in map(fit, range(len(free) + 1)) if each.largest_side() >= COMFORT)
    side = found.largest_side()
    if not found.is_readable(side):
        found, side = _paged(found, pages or {}, opened)
    return found.strip(found.whole_cells(side))


def _paged(whole: _Fit, pages: Mapping[int, int | None], opened: Opened | None) -> tuple[_Fit, float]:
    """Pages as wide as fit with readable tiles; and where none do, long runs gathered."""
    # Whether the columns can be seen at once is asked of their pages: to see all maps of one is to scroll.
    shut = {group: first for group, first in pages.items() if first is not None}
    for most in PAGE_ACROSS if whole.least <= whole.area.width else ():
        tried = replace(whole, pages=shut, most=most)
        if tried.total(READABLE) <= whole.area.width:
            return replace(tried, pages=pages), min(tried.largest_side(), COMFORT)
    # Where one has to scroll anyway, pages are only so narrow that it is not too far.
    most_wide, found = SCROLLED * whole.area.width, replace(whole, pages=shut, most=PAGE_ACROSS[-1])
    if whole.least <= most_wide:
        wider = (replace(found, most=most) for most in PAGE_ACROSS)
        found = next((each for each in wider if each.total(READABLE) <= most_wide), found)
    far = whole.least > most_wide or found.total(READABLE) > most_wide
    found = replace(found, pages=pages)
    found = found.gathered(opened) if far else found
    # Where one has to scroll, tiles may fill what the headers need anyway, and a third more.
    room = max(whole.area.width, found.total(READABLE) * (1.0 if far else LARGER))
    return found, max(min(found.side_within(room), COMFORT), READABLE)


@dataclass(frozen=True)
class _Fit:
    """Tries tile sizes for one choice of columns."""

    stages: tuple[Stage, ...]
    area: Box
    ratio: float
    header_width: Callable[[Stage], float]
    pages: Mapping[int, int | None] = field(default_factory=dict)
    most: int | None = None

    @cached_property
    def headers(self) -> tuple[float, ...]:
        """How wide each stage's header is."""
        return tuple(map(self.header_width, self.stages))

    @cached_property
    def least(self) -> float:
        """What the headers alone take."""
        return sum(self.headers) + COLUMN_GAP * (len(self.stages) - 1)

    def gathered(self, opened: Opened | None) -> _Fit:
        """The same with long runs of columns gathered."""
        return replace(self, stages=gathered(self.stages, opened))

    def largest_side(self) -> float:
        """The largest tile with which everything fits, to a device pixel; below SMALLEST if none does."""
        return self.side_within(self.area.width)

    def side_within(self, width: float) -> float:
        """The largest tile with which everything takes up to `width`."""
        if self.least > width:  # of a thousand columns nothing need be tried
            return SMALLEST - 1 / self.ratio
        low, high = int(SMALLEST * self.ratio) - 1, int(min(LARGEST, self.area.height) * self.ratio)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.total(middle / self.ratio) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        return low / self.ratio

    def total(self, side: float) -> float:
        """What all columns take, close together."""
        return sum(self.widths(side)) + COLUMN_GAP * (len(self.stages) - 1)

    def is_readable(self, side: float) -> bool:
        """Whether tiles of `side` are worth looking at: small ones only where there are many."""
        many = any(self.grid(stage, side)[0] > 1 for stage in self.stages if stage.kind == "maps")
        return side >= (SMALLEST if many else READABLE)

    def whole_cells(self, side: float) -> float:
        """`side`, or a little less where that makes the cells of the maps equal in device pixels."""
        device = round(side * self.ratio)
        # In large cells a pixel more or less is not seen.
        sides = [max(stage.shape[1:]) for stage in self.stages if stage.kind == "maps"]
        sides = [cells for cells in sides if device < 24 * cells]
        if not sides:
            return device / self.ratio
        every, largest = math.lcm(*sides), max(sides)
        for unit in (every, largest, largest / 2):
            whole = math.floor(device / unit) * unit
            if whole >= 0.84 * device and whole == int(whole):
                return whole / self.ratio
        return device / self.ratio

    def rows(self, side: float) -> int:
        """How many tiles the area holds, one below the other."""
        return max(1, int((self.area.height + TILE_GAP) // (side + TILE_GAP)))

    def grid(self, stage: Stage, side: float) -> tuple[int, int]:
        """Tiles across and down, of a page if that is what is shown."""
        rows = {
            "maps": self.rows(side),
            "picture": 1,
            "bars": int(self.area.height // BAR_PITCH),
            "list": int(self.area.height // LIST_PITCH),
            "votes": int(self.area.height // VOTE_PITCH),
            "group": 1,
        }[stage.kind]
        across = -(-stage.count // max(1, rows))
        if self.most is not None and across > self.most and stage.kind == "maps" and not self._is_unfolded(stage):
            return self.most, rows
        return across, -(-stage.count // across)

    def _is_unfolded(self, stage: Stage) -> bool:
        return self.pages.get(stage.group, 0) is None

    def maps(self, stage: Stage, side: float) -> range:
        """Those that have a tile: all, or the page that holds the one that was turned to."""
        across, down = self.grid(stage, side)
        size = across * down
        start = min(self.pages.get(stage.group) or 0, stage.count - 1) // size * size
        return range(start, min(start + size, stage.count))

    def widths(self, side: float) -> list[float]:
        """How wide every column must be."""
        return [
            math.ceil(max(header, self.pager(stage, side), self.content(stage, side)))
            for stage, header in zip(self.stages, self.headers, strict=True)
        ]

    def pager(self, stage: Stage, side: float) -> float:
        """How wide the words are that turn a page, where not all maps of a stage are shown at once."""
        if self.most is None or stage.kind != "maps":
            return 0.0
        across, down = self.grid(stage, side)
        folds = across * down < stage.count or self._is_unfolded(stage)
        widest = range(stage.count - 1, stage.count)
        return self.header_width(with_pager(stage, widest)) if folds else 0.0

    def content(self, stage: Stage, side: float, banks: bool = False) -> float:
        """How wide a stage's tiles are, with its features beside them where those are a single slice."""
        if stage.kind == "picture":
            return self.input_side(stage, side)
        across, _ = self.grid(stage, side)
        if stage.kind != "maps":
            width = {
                "bars": BAR_WIDTH, "list": LIST_WIDTH, "votes": VOTE_WIDTH, "group": GROUP_WIDTH,
            }[stage.kind]  # fmt: skip
            return across * (width + TILE_GAP) - TILE_GAP
        kernels = self.kernels(stage, side, banks)
        beside = kernels.width + KERNEL_GAP if kernels else 0.0
        return across * (beside + side + TILE_GAP) - TILE_GAP

    def input_side(self, stage: Stage, side: float) -> float:
        """The input's side: up to two tiles, whole device pixels a cell."""
        return self.whole_side(stage, max(side, min(2 * side + TILE_GAP, INPUT_SIDE)))

    def whole_side(self, stage: Stage, side: float) -> float:
        """`side`, less what keeps a picture's pixels from being equal."""
        most, cells = max(stage.shape[1:]), round(min(side, self.area.height) * self.ratio)
        return (cells // most * most if cells >= most else cells) / self.ratio

    def kernels(self, stage: Stage, side: float, banks: bool) -> Kernels | None:
        """A feature's slices, as large as half a tile allows; None if a weight gets less than 2 device pixels."""
        if stage.kernel is None or (stage.kernel[0] > 1 and not banks):
            return None
        channels, size, _ = stage.kernel
        gap = 0.0 if channels == 1 else self.snap(SLICE_GAP)
        best = None
        for across in range(1, min(channels, 12) + 1):
            down = -(-channels // across)
            room = min(
                ((side + gap) / down - gap) / size,
                ((side * (0.45 if channels == 1 else 0.55) + gap) / across - gap) / size,
            )
            cell = math.floor(room * self.ratio) / self.ratio
            if cell * self.ratio >= 2 and (best is None or cell > best.cell):
                best = Kernels(channels, size, across, cell, gap)
        return best

    def strip(self, side: float) -> Strip:
        """The columns with tiles of `side`; room left over goes to features, the input, and the gaps."""
        widths, inputs, banks = self.widths(side), self.input_side(self.stages[0], side), set[int]()
        room = self.area.width - sum(widths) - 24.0 * (len(widths) - 1)
        for at, stage in enumerate(self.stages):
            if not stage.kernel or stage.kernel[0] == 1 or not self.kernels(stage, side, True):
                continue
            more = max(self.content(stage, side, True), self.headers[at]) - widths[at]
            if more <= room:
                widths[at], room = widths[at] + more, room - more
                banks.add(at)
        if (twice := self.whole_side(self.stages[0], 2 * side + TILE_GAP)) - widths[
            0
        ] <= room and side < COMFORT * 2:
            widths[0], inputs = max(twice, self.headers[0]), twice
        gaps = max(1, len(widths) - 1)
        gap = min(max((self.area.width - sum(widths)) / gaps, COLUMN_GAP), WIDEST_GAP)
        gap = math.floor(gap * self.ratio) / self.ratio
        return self._placed(side, inputs, widths, gap, banks)

    def _placed(self, side: float, inputs: float, widths: list[float], gap: float, banks: set[int]) -> Strip:
        across_down = [self.grid(stage, side) for stage in self.stages]
        rows = max(
            (down for stage, (_, down) in zip(self.stages, across_down, strict=True) if stage.kind == "maps"),
            default=0,
        )
        step = side + TILE_GAP
        if rows > 1:
            spare = self.area.height - FOOT_ROOM - rows * step + TILE_GAP
            step = self.snap(step + min(max(spare, 0.0) / (rows - 1), 0.5 * side))
        bottom = self.area.y + max(rows * step - (step - side), inputs) if rows else self.area.bottom
        columns, x = [], self.area.x
        for at, stage in enumerate(self.stages):
            kernels = self.kernels(stage, side, at in banks)
            column = Column(
                self._headed(stage, side),
                self.maps(stage, side),
                x,
                self.area.y,
                widths[at],
                x,
                across_down[at][1],
                side,
                side,
                0.0,
                step,
                kernels,
            )
            columns.append(self._filled(column, inputs, bottom - self.area.y))
            x = x + self.snap(widths[at]) + gap
        return Strip(tuple(columns), self.area, columns[-1].right - self.area.x, bottom, self.ratio)

    def _headed(self, stage: Stage, side: float) -> Stage:
        """The stage, with the words that turn its pages where there are any."""
        return with_pager(stage, self.maps(stage, side)) if self.pager(stage, side) else stage

    def _filled(self, column: Column, inputs: float, height: float) -> Column:
        """The column with its tiles' sizes, by kind."""
        kind, side, rows = column.stage.kind, column.tile_width, column.rows
        if kind == "maps":
            beside = column.kernels.width + KERNEL_GAP if column.kernels else 0.0
            return replace(column, first=column.x + beside, step_x=side + TILE_GAP + beside)
        if kind == "picture":
            return replace(column, tile_width=inputs, tile_height=inputs, step_x=inputs, step_y=inputs)
        tallest = {"bars": TALLEST_BAR, "list": height, "votes": TALLEST_VOTE, "group": height}[kind]
        step_x = (column.width + TILE_GAP) / column.across
        step_y = min(height / rows, tallest)
        return replace(column, tile_width=step_x - TILE_GAP, tile_height=step_y, step_x=step_x, step_y=step_y)

    def snap(self, length: float) -> float:
        """The nearest length of whole device pixels."""
        return round(length * self.ratio) / self.ratio
