"""Column fitting: finds the largest tiles with which all columns of a network fit, and what to fold for that."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.nn import Network
from xo_gui.views.network.layer_labels import DisplayColumn, display_columns, foldable_layers, with_pager
from xo_gui.views.network.layout import (
    KERNEL_GAP,
    Box,
    ColumnLayout,
    LayerRange,
    SliceGrid,
    StripLayout,
    collapse_runs,
)

TILE_GAP = 4.0
# Free height below the tiles when rows are spread over the height.
FOOT_ROOM = 12.0
SLICE_GAP = 1.0
COLUMN_GAP, WIDEST_GAP = 16.0, 64.0
# Below READABLE_SIDE ReLUs are folded to make room; above MAX_SIDE a map gains nothing.
MIN_SIDE, READABLE_SIDE, COMFORTABLE_SIDE, MAX_SIDE = 16.0, 32.0, 60.0, 256.0
INPUT_SIDE = 100.0
BAR_WIDTH, WIDEST_BAR, BAR_PITCH, TALLEST_BAR = 64.0, 110.0, 3.0, 30.0
LIST_WIDTH, LIST_PITCH = 84.0, 12.0
GROUP_WIDTH = 48.0
# Page widths to try, in tiles; and by how many widths of the area one may have to scroll before runs are collapsed.
_PAGE_WIDTHS, _MAX_SCROLL = (8, 6, 4, 3, 2), 2.0
# How much wider the columns may become for larger tiles where scrolling is needed anyway.
_SCROLL_GROWTH = 1.33
VOTE_WIDTH, WIDEST_VOTE, VOTE_PITCH, TALLEST_VOTE = 104.0, 150.0, 24.0, 72.0


def fit_columns(
    network: Network,
    area: Box,
    ratio: float = 1.0,
    header_width: Callable[[DisplayColumn], float] = lambda display: 0.0,
    fold_choices: Mapping[int, bool] | None = None,
    page_starts: Mapping[int, int | None] | None = None,
    expanded: LayerRange | None = None,
) -> StripLayout:
    """Lay out the columns of a network in `area` with the largest possible tiles.

    ratio: device pixels per logical pixel.
    header_width: returns the width of a column's header.
    fold_choices: pointwise layers that the user has folded (True) or unfolded (False).
    page_starts: the first map of each page by scale layer; None for all maps at once.
    expanded: the expanded run of layers.

    Identity layers are folded; other pointwise layers fold from the last to the first while maps would be smaller
    than READABLE_SIDE. Where even the smallest tiles do not fit, columns show one page of their maps; where that
    does not fit either, runs of columns are collapsed. The layout may still be wider than the area.
    """
    fold_choices = fold_choices or {}
    candidates = foldable_layers(network)
    folded = {
        layer for layer in candidates if fold_choices.get(layer, network.layers[layer - 1].traits.is_identity)
    }
    free = [layer for layer in reversed(candidates) if layer not in fold_choices and layer not in folded]

    def fit(count: int) -> _Fit:
        displays = display_columns(network, folded | set(free[:count]))
        return _Fit(displays, area, ratio, header_width)

    # If folding all of them is not enough, trying each count would only cost time in a deep network.
    best = fit(len(free))
    if best.largest_side() >= READABLE_SIDE:
        best = next(option for option in map(fit, range(len(free) + 1)) if option.largest_side() >= READABLE_SIDE)
    side = best.largest_side()
    if not best.is_readable(side):
        best, side = _paged(best, page_starts or {}, expanded)
    return best.strip(best.whole_cells(side))


def _paged(whole: _Fit, pages: Mapping[int, int | None], opened: LayerRange | None) -> tuple[_Fit, float]:
    """The widest pages that fit with readable tiles; where none fit, long runs are collapsed."""
    # Columns that show all maps are measured as pages: scrolling is expected there.
    paged = {scale_layer: first for scale_layer, first in pages.items() if first is not None}
    for page_width in _PAGE_WIDTHS if whole.min_width <= whole.area.width else ():
        option = replace(whole, pages=paged, page_width=page_width)
        if option.total(READABLE_SIDE) <= whole.area.width:
            return replace(option, pages=pages), min(option.largest_side(), COMFORTABLE_SIDE)
    # Where scrolling is needed anyway, pages are only as narrow as the longest scroll demands.
    max_width, best = _MAX_SCROLL * whole.area.width, replace(whole, pages=paged, page_width=_PAGE_WIDTHS[-1])
    if whole.min_width <= max_width:
        options = (replace(best, page_width=page_width) for page_width in _PAGE_WIDTHS)
        best = next((option for option in options if option.total(READABLE_SIDE) <= max_width), best)
    is_too_wide = whole.min_width > max_width or best.total(READABLE_SIDE) > max_width
    best = replace(best, pages=pages)
    best = best.collapsed(opened) if is_too_wide else best
    # Where scrolling is needed, tiles may fill the width of the headers, and a third more.
    room = max(whole.area.width, best.total(READABLE_SIDE) * (1.0 if is_too_wide else _SCROLL_GROWTH))
    return best, max(min(best.side_within(room), COMFORTABLE_SIDE), READABLE_SIDE)


@dataclass(frozen=True)
class _Fit:
    """Computes sizes for one choice of columns. page_width: in tiles, None to show all maps."""

    displays: tuple[DisplayColumn, ...]
    area: Box
    ratio: float
    header_width: Callable[[DisplayColumn], float]
    pages: Mapping[int, int | None] = field(default_factory=dict)
    page_width: int | None = None

    @cached_property
    def headers(self) -> tuple[float, ...]:
        return tuple(map(self.header_width, self.displays))

    @cached_property
    def min_width(self) -> float:
        """The width of the headers alone."""
        return sum(self.headers) + COLUMN_GAP * (len(self.displays) - 1)

    def collapsed(self, opened: LayerRange | None) -> _Fit:
        """The same fit with long runs of columns collapsed."""
        return replace(self, displays=collapse_runs(self.displays, opened))

    def largest_side(self) -> float:
        """The largest tile side with which everything fits, in whole device pixels; below MIN_SIDE if none does."""
        return self.side_within(self.area.width)

    def side_within(self, width: float) -> float:
        """The largest tile side with which all columns fit in `width`."""
        if self.min_width > width:  # saves the search for a thousand columns
            return MIN_SIDE - 1 / self.ratio
        low, high = int(MIN_SIDE * self.ratio) - 1, int(min(MAX_SIDE, self.area.height) * self.ratio)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.total(middle / self.ratio) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        return low / self.ratio

    def total(self, side: float) -> float:
        """The width of all columns at the smallest gap."""
        return sum(self.widths(side)) + COLUMN_GAP * (len(self.displays) - 1)

    def is_readable(self, side: float) -> bool:
        """Whether tiles of `side` are large enough; where there are many, MIN_SIDE is."""
        are_many = any(self.grid(display, side)[0] > 1 for display in self.displays if display.kind == "maps")
        return side >= (MIN_SIDE if are_many else READABLE_SIDE)

    def whole_cells(self, side: float) -> float:
        """`side`, or slightly less where that gives every cell of the maps equal device pixels."""
        device = round(side * self.ratio)
        # In large cells a difference of one pixel is invisible.
        sides = [max(display.shape[1:]) for display in self.displays if display.kind == "maps"]
        sides = [cells for cells in sides if device < 24 * cells]
        if not sides:
            return device / self.ratio
        common, largest = math.lcm(*sides), max(sides)
        for unit in (common, largest, largest / 2):
            whole = math.floor(device / unit) * unit
            if whole >= 0.84 * device and whole == int(whole):
                return whole / self.ratio
        return device / self.ratio

    def rows(self, side: float) -> int:
        """The number of tiles that fit one below the other."""
        return max(1, int((self.area.height + TILE_GAP) // (side + TILE_GAP)))

    def grid(self, display: DisplayColumn, side: float) -> tuple[int, int]:
        """The numbers of tiles across and down, of one page where the column is paged."""
        rows = {
            "maps": self.rows(side),
            "picture": 1,
            "bars": int(self.area.height // BAR_PITCH),
            "list": int(self.area.height // LIST_PITCH),
            "votes": int(self.area.height // VOTE_PITCH),
            "group": 1,
        }[display.kind]
        across = -(-display.count // max(1, rows))
        if (
            self.page_width is None
            or across <= self.page_width
            or display.kind != "maps"
            or self._shows_all(display)
        ):
            return across, -(-display.count // across)
        return self.page_width, rows

    def _shows_all(self, display: DisplayColumn) -> bool:
        return self.pages.get(display.scale_layer, 0) is None

    def maps(self, display: DisplayColumn, side: float) -> range:
        """The maps that have a tile: all, or those of the current page."""
        across, down = self.grid(display, side)
        size = across * down
        start = min(self.pages.get(display.scale_layer) or 0, display.count - 1) // size * size
        return range(start, min(start + size, display.count))

    def widths(self, side: float) -> list[float]:
        """The width of every column."""
        return [
            math.ceil(max(header, self.pager(display, side), self.content(display, side)))
            for display, header in zip(self.displays, self.headers, strict=True)
        ]

    def pager(self, display: DisplayColumn, side: float) -> float:
        """The width of a column's pager, 0 if it has none."""
        if self.page_width is None or display.kind != "maps":
            return 0.0
        across, down = self.grid(display, side)
        has_pager = across * down < display.count or self._shows_all(display)
        widest = range(display.count - 1, display.count)
        return self.header_width(with_pager(display, widest)) if has_pager else 0.0

    def content(self, display: DisplayColumn, side: float, banks: bool = False) -> float:
        """The width of a column's tiles with the kernels beside them; kernels of several slices only if `banks`."""
        if display.kind == "picture":
            return self.input_side(display, side)
        across, _ = self.grid(display, side)
        if display.kind != "maps":
            width = {
                "bars": BAR_WIDTH, "list": LIST_WIDTH, "votes": VOTE_WIDTH, "group": GROUP_WIDTH,
            }[display.kind]  # fmt: skip
            return across * (width + TILE_GAP) - TILE_GAP
        kernels = self.kernels(display, side, banks)
        beside = kernels.width + KERNEL_GAP if kernels else 0.0
        return across * (beside + side + TILE_GAP) - TILE_GAP

    def input_side(self, display: DisplayColumn, side: float) -> float:
        """The side of the input's tile: up to two tiles, in whole device pixels per cell."""
        return self.whole_side(display, max(side, min(2 * side + TILE_GAP, INPUT_SIDE)))

    def whole_side(self, display: DisplayColumn, side: float) -> float:
        """`side`, reduced to a whole number of device pixels per cell."""
        cells, pixels = max(display.shape[1:]), round(min(side, self.area.height) * self.ratio)
        return (pixels // cells * cells if pixels >= cells else pixels) / self.ratio

    def kernels(self, display: DisplayColumn, side: float, banks: bool) -> SliceGrid | None:
        """The slices of a kernel, at most about half a tile; None if a weight gets less than 2 device pixels."""
        if display.kernel_shape is None or (display.kernel_shape[0] > 1 and not banks):
            return None
        channels, size, _ = display.kernel_shape
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
                best = SliceGrid(channels, size, across, cell, gap)
        return best

    def strip(self, side: float) -> StripLayout:
        """The layout with tiles of `side`; spare width goes to kernels, the input, and the gaps, in this order."""
        widths, inputs, banks = self.widths(side), self.input_side(self.displays[0], side), set[int]()
        room = self.area.width - sum(widths) - 24.0 * (len(widths) - 1)
        for at, display in enumerate(self.displays):
            if not display.kernel_shape or display.kernel_shape[0] == 1 or not self.kernels(display, side, True):
                continue
            more = max(self.content(display, side, True), self.headers[at]) - widths[at]
            if more <= room:
                widths[at], room = widths[at] + more, room - more
                banks.add(at)
        twice = self.whole_side(self.displays[0], 2 * side + TILE_GAP)
        if twice - widths[0] <= room and side < COMFORTABLE_SIDE * 2:
            widths[0], inputs = max(twice, self.headers[0]), twice
        gaps = max(1, len(widths) - 1)
        gap = min(max((self.area.width - sum(widths)) / gaps, COLUMN_GAP), WIDEST_GAP)
        gap = math.floor(gap * self.ratio) / self.ratio
        return self._placed(side, inputs, widths, gap, banks)

    def _placed(self, side: float, inputs: float, widths: list[float], gap: float, banks: set[int]) -> StripLayout:
        across_down = [self.grid(display, side) for display in self.displays]
        rows = max(
            (down for display, (_, down) in zip(self.displays, across_down, strict=True) if display.kind == "maps"),
            default=0,
        )
        step = side + TILE_GAP
        if rows > 1:
            spare = self.area.height - FOOT_ROOM - rows * step + TILE_GAP
            step = self.snap(step + min(max(spare, 0.0) / (rows - 1), 0.5 * side))
        bottom = self.area.y + max(rows * step - (step - side), inputs) if rows else self.area.bottom
        columns, x = [], self.area.x
        for at, display in enumerate(self.displays):
            kernels = self.kernels(display, side, at in banks)
            column = ColumnLayout(
                self._with_pager(display, side),
                self.maps(display, side),
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
            columns.append(self._with_tile_sizes(column, inputs, bottom - self.area.y))
            x = x + self.snap(widths[at]) + gap
        return StripLayout(tuple(columns), self.area, columns[-1].right - self.area.x, bottom, self.ratio)

    def _with_pager(self, display: DisplayColumn, side: float) -> DisplayColumn:
        """The column with its pager text, if it has a pager."""
        return with_pager(display, self.maps(display, side)) if self.pager(display, side) else display

    def _with_tile_sizes(self, column: ColumnLayout, inputs: float, height: float) -> ColumnLayout:
        """The column with the tile sizes of its kind."""
        kind, side, rows = column.display.kind, column.tile_width, column.rows
        if kind == "maps":
            beside = column.kernels.width + KERNEL_GAP if column.kernels else 0.0
            return replace(column, first_x=column.x + beside, step_x=side + TILE_GAP + beside)
        if kind == "picture":
            return replace(column, tile_width=inputs, tile_height=inputs, step_x=inputs, step_y=inputs)
        tallest = {"bars": TALLEST_BAR, "list": height, "votes": TALLEST_VOTE, "group": height}[kind]
        step_x = (column.width + TILE_GAP) / column.across
        step_y = min(height / rows, tallest)
        return replace(column, tile_width=step_x - TILE_GAP, tile_height=step_y, step_x=step_x, step_y=step_y)

    def snap(self, length: float) -> float:
        """Round a length to whole device pixels."""
        return round(length * self.ratio) / self.ratio
