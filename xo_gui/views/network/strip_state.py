"""Strip model: the prediction, layout, colour limits, times and cached images of one model in the network view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QImage

from engine.nn.inference import Reading
from xo_gui.app.theme import Theme, colours
from xo_gui.views.network.colour_limits import Mode, Peaks, calm
from xo_gui.views.network.column_painting import header_width, rect
from xo_gui.views.network.fit import arrange
from xo_gui.views.network.folding import Folds
from xo_gui.views.network.layout import Box, Column, Strip
from xo_gui.widgets.map_images import averaged, kernel_atlas, maps_atlas, picture_atlas, source

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Tile: TypeAlias = tuple[QRectF, QRect]

# Weight of a new time in the exponential average shown: times vary by a factor of two from pass to pass.
NEW_SHARE = 0.1


class ShownStrip:
    """The columns of one model. Atlases are created on first paint and cached until values or colours change."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.strip: Strip | None = None
        self.seen = (0.0, 0.0)
        self.in_view: list[Column] = []
        self.mode: Mode = "shared"
        self.gain = 1.0
        self.around = Around()
        self.letter = ""  # identifies it in a comparison
        self.folded = False
        # Another strip of the same network that shares the colour limits: equal colour is equal value in both.
        self.twin: ShownStrip | None = None
        self.seconds = np.array(reading.seconds)
        self._peaks = Peaks.of(reading.subject.network, reading.outputs)
        self._levels: dict[int, HostArray] = {}
        self._atlases: dict[int, Atlas] = {}
        self._kernels: dict[int, QImage] = {}
        self._kernel_levels: dict[int, float] = {}
        self._tiles: dict[int, tuple[tuple[range, tuple[int, int]], list[Tile]]] = {}

    def take(self, reading: Reading, adapt: bool, replaced: bool = False) -> bool:
        """Show another prediction of the same network; returns whether a legend has changed.

        adapt: whether the colour limits may shrink. replaced: whether all parameters were replaced.
        """
        has_other_maps = reading.outputs.carried != self.reading.outputs.carried
        may_change = adapt or has_other_maps or self._peaks.blank
        before = self._legends() if may_change else []
        if reading.subject is not self.reading.subject:
            self._kernels.clear()
            if adapt:
                self._clear_kernels()
        self.seconds += NEW_SHARE * (np.array(reading.seconds) - self.seconds)
        self.reading = reading
        self._atlases.clear()
        if not may_change:
            return False
        self._adapt(Peaks.of(reading.subject.network, reading.outputs), adapt, replaced)
        return self._legends() != before

    def lay_out(self, area: Box, ratio: float, folds: Folds) -> Strip:
        """Compute the layout of the columns for an area."""
        network = self.reading.subject.network
        self.strip = arrange(network, area, ratio, header_width, folds.chosen, folds.pages, folds.opened)
        self._atlases.clear()
        self._tiles.clear()
        self.look(self.seen)
        return self.strip

    def look(self, seen: tuple[float, float]) -> None:
        """Set the visible part of the strip, between two x."""
        self.seen = seen
        columns = self.strip.columns if self.strip and not self.folded else ()
        self.in_view = [column for column in columns if column.right > seen[0] and column.x < seen[1]]

    def maps_in_view(self) -> dict[int, range]:
        """The visible maps, bars or votes by layer."""
        return {
            column.stage.shown: self.channels(column) for column in self.in_view if column.stage.kind != "group"
        }

    def channels(self, column: Column) -> range:
        """The maps of a column whose tiles are visible; all values of a column of another kind."""
        if column.stage.kind != "maps":
            return column.maps
        first, last = (max(0, int((x - column.x) // column.step_x)) for x in self.seen)
        start, count = column.maps.start, len(column.maps)
        ends = (start + min(across * column.rows, count) for across in (first, last + 1))
        return range(*ends)

    def repaint(self) -> None:
        """Discard all images, after a change of colours."""
        self._atlases.clear()
        self._kernels.clear()

    def set_levels(self, mode: Mode, gain: float) -> None:
        """Set how colour limits are shared, and the gain for faint values."""
        self.mode, self.gain = mode, gain
        self._levels.clear()
        self._atlases.clear()

    def levels(self, column: Column) -> HostArray:
        """The limits of a column's colours or bars: (1,), or (channels,) if each map has its own."""
        layer = column.stage.shown
        if layer not in self._levels:
            peaks = self._peaks if self.twin is None else self._peaks.with_at_least(self.twin._peaks)
            self._levels[layer] = peaks.levels(column.stage, self.mode, self.gain)
        return self._levels[layer]

    def legend_level(self, column: Column) -> float | None:
        """The single limit of a column, None if each map has its own."""
        levels = self.levels(column)
        return float(levels[0]) if len(levels) == 1 else None

    def values(self, column: Column) -> HostArray | None:
        """The visible values of a column, (C, H, W) or (n,); None until the engine has sent them."""
        layer, maps = column.stage.shown, self.channels(column)
        outputs = self.reading.outputs
        return outputs.maps(layer, maps) if outputs.holds(layer, maps) else None

    def atlas(self, column: Column, theme: Theme) -> Atlas | None:
        """The cached image of a column's visible maps in the theme's colours; None without visible values."""
        layer, maps = column.stage.shown, self.channels(column)
        cached = self._atlases.get(layer)
        if cached is not None and cached.maps == maps:
            return cached
        values = self.values(column)
        if values is None or not len(values):
            return None  # only the end of a wide header is visible
        if column.stage.kind == "picture":
            image, cells = picture_atlas(values, theme), column.cells
        else:
            small = averaged(values, column.tile_width * (self.strip.ratio if self.strip else 1.0))
            levels = self.levels(column)
            levels = levels if len(levels) == 1 else levels[maps.start : maps.stop]
            image, cells = maps_atlas(small, levels, column.rows, theme), (small.shape[1], small.shape[2])
        self._atlases[layer] = Atlas(maps, image, self._tiles_of(column, maps, cells))
        return self._atlases[layer]

    def _tiles_of(self, column: Column, maps: range, cells: tuple[int, int]) -> list[Tile]:
        """The cached target and source rectangles of every map."""
        layer, key = column.stage.shown, (maps, cells)
        if layer not in self._tiles or self._tiles[layer][0] != key:
            tiles = [
                (rect(column.tile(channel)), source(index, column.rows, cells))
                for index, channel in enumerate(maps)
            ]
            self._tiles[layer] = key, tiles
        return self._tiles[layer][1]

    def kernel_level(self, column: Column) -> float:
        """The colour limit of the column's kernels: their largest weight, rounded up."""
        layer = column.stage.shown
        if layer not in self._kernel_levels:
            strips = (self,) if self.twin is None else (self, self.twin)
            peak = max(float(np.abs(strip._weights(column)).max()) for strip in strips)
            self._kernel_levels[layer] = calm(peak)
        return self._kernel_levels[layer]

    def kernel_atlas(self, column: Column, theme: Theme) -> QImage:
        """The cached image of a column's kernels."""
        layer = column.stage.shown
        if layer not in self._kernels:
            self._kernels[layer] = kernel_atlas(self._weights(column), self.kernel_level(column), theme)
        return self._kernels[layer]

    def swatches(self, column: Column, theme: Theme) -> list[QColor]:
        """The colour of every listed value."""
        level = float(self.levels(column)[0])
        values = self.values(column)
        assert values is not None
        pixels = colours(values, -level, level, theme.value_table)
        return [QColor.fromRgb(int(pixel)) for pixel in pixels]

    def cost(self, column: Column) -> tuple[int, float]:
        """The multiplications and the averaged seconds of the layers of a column."""
        layers = [layer for layer in column.stage.layers if layer]
        costs = self.reading.subject.network.costs
        return sum(costs[layer - 1].multiplies for layer in layers), float(
            sum(self.seconds[layer - 1] for layer in layers)
        )

    def _clear_kernels(self) -> None:
        for strip in filter(None, (self, self.twin)):
            strip._kernels.clear()
            strip._kernel_levels.clear()

    def _adapt(self, peaks: Peaks, adapt: bool, replaced: bool) -> None:
        """Adopt the limits of a drawing; those of a blank image only if there are no others.

        During the first stroke on a blank canvas, which has no useful limits yet, they only grow.
        """
        if adapt and (replaced or not peaks.blank or self._peaks.blank):
            self._peaks = peaks if replaced else peaks.with_unseen(self._peaks)
        elif not adapt:
            self._peaks = self._peaks.with_at_least(peaks)
        for strip in filter(None, (self, self.twin)):
            strip._levels.clear()
            strip._atlases.clear()

    def _legends(self) -> list[tuple[float | None, float]]:
        """The limits in the legends of the visible columns."""
        return [
            (self.legend_level(column), self.kernel_level(column) if column.kernels else 0.0)
            for column in self.in_view
            if column.stage.kind != "group"
        ]

    def _weights(self, column: Column) -> HostArray:
        model = self.reading.subject
        return np.asarray(model.parameters[f"{model.network.names[column.stage.shown]}.weight"])


@dataclass(frozen=True)
class Atlas:
    """The maps of a column in one image; tiles: the rectangles in the strip and in the image."""

    maps: range
    image: QImage
    tiles: list[Tile]


@dataclass(frozen=True)
class Around:
    """Which parts are painted around a strip's tiles: headers above, legends and costs below."""

    header: bool = True
    legend: bool = True
    cost: bool = True
