"""Strip model: the prediction, layout, colour limits, times and cached images of one model in the network view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QImage

from engine.backends import HostArray
from engine.nn import Prediction
from xo_gui.app import Theme, colours
from xo_gui.views.network.colour_limits import ColourLimits, LimitMode, rounded_limit
from xo_gui.views.network.column_painting import Legend, header_width, qrect
from xo_gui.views.network.fit import fit_columns
from xo_gui.views.network.folding import FoldState
from xo_gui.views.network.layout import Box, ColumnLayout, StripLayout
from xo_gui.widgets import atlas_rect, downsampled, kernel_atlas, maps_atlas, picture_atlas

AtlasTile: TypeAlias = tuple[QRectF, QRect]

# Weight of a new time in the exponential average shown: times vary by a factor of two from pass to pass.
TIME_SMOOTHING = 0.1


class StripModel:
    """The columns of one model. Atlases are created on first paint and cached until values or colours change."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.layout: StripLayout | None = None
        self.unscrolled: StripLayout | None = None  # with the votes in their own place
        self.visible_span = (0.0, 0.0)
        self.visible_columns: list[ColumnLayout] = []
        self.limit_mode: LimitMode = "shared"
        self.gain = 1.0
        self.decorations = StripDecorations()
        self.letter = ""  # identifies it in a comparison
        self.is_collapsed = False
        # Another strip of the same network that shares the colour limits: equal colour is equal value in both.
        self.twin: StripModel | None = None
        self.seconds = np.array(prediction.layer_seconds)
        self._colour_limits = ColourLimits.from_activations(prediction.model.network, prediction.activations)
        self._limits: dict[int, HostArray] = {}
        self._atlases: dict[int, MapAtlas] = {}
        self._kernels: dict[int, QImage] = {}
        self._kernel_limits: dict[int, float] = {}
        self._tiles: dict[int, tuple[tuple[range, tuple[int, int]], list[AtlasTile]]] = {}

    def update(self, prediction: Prediction, adapt: bool, replaced: bool = False) -> bool:
        """Show another prediction of the same network; returns whether a legend has changed.

        adapt: whether the colour limits may shrink. replaced: whether all parameters were replaced.
        """
        has_other_maps = prediction.activations.available != self.prediction.activations.available
        may_change = adapt or has_other_maps or self._colour_limits.is_blank
        before = self._legends() if may_change else []
        if prediction.model is not self.prediction.model:
            self._kernels.clear()
            if adapt:
                self._clear_kernels()
        self.seconds += TIME_SMOOTHING * (np.array(prediction.layer_seconds) - self.seconds)
        self.prediction = prediction
        self._atlases.clear()
        if not may_change:
            return False
        self._adapt(
            ColourLimits.from_activations(prediction.model.network, prediction.activations), adapt, replaced
        )
        return self._legends() != before

    def update_layout(self, area: Box, ratio: float, folds: FoldState) -> StripLayout:
        """Compute the layout of the columns for an area."""
        network = self.prediction.model.network
        self.unscrolled = self.layout = fit_columns(
            network, area, ratio, header_width, folds.fold_choices, folds.page_starts, folds.expanded
        )
        self._atlases.clear()
        self._tiles.clear()
        self.set_visible_span(self.visible_span)
        return self.unscrolled

    def set_visible_span(self, seen: tuple[float, float]) -> None:
        """Set the visible part of the strip, between two x."""
        self.visible_span = seen
        if self.unscrolled is not None:
            self.layout = self.unscrolled.with_votes_within(seen[1] - self.unscrolled.area.x)
        columns = self.layout.columns if self.layout and not self.is_collapsed else ()
        self.visible_columns = [column for column in columns if column.right > seen[0] and column.x < seen[1]]

    def visible_maps(self) -> dict[int, range]:
        """The visible maps, bars or votes by layer."""
        return {
            column.display.layer: self.visible_channels(column)
            for column in self.visible_columns
            if column.display.kind != "group"
        }

    def visible_channels(self, column: ColumnLayout) -> range:
        """The maps of a column whose tiles are visible; all values of a column of another kind."""
        if column.display.kind != "maps":
            return column.maps
        first, last = (max(0, int((x - column.x) // column.step_x)) for x in self.visible_span)
        start, count = column.maps.start, len(column.maps)
        ends = (start + min(across * column.rows, count) for across in (first, last + 1))
        return range(*ends)

    def clear_images(self) -> None:
        """Discard all images, after a change of colours."""
        self._atlases.clear()
        self._kernels.clear()

    def set_limits(self, mode: LimitMode, gain: float) -> None:
        """Set how colour limits are shared, and the gain for faint values."""
        self.limit_mode, self.gain = mode, gain
        self._limits.clear()
        self._atlases.clear()

    def limits(self, column: ColumnLayout) -> HostArray:
        """The limits of a column's colours or bars: (1,), or (channels,) if each map has its own."""
        layer = column.display.layer
        if layer not in self._limits:
            self._limits[layer] = self._peaks().limits(column.display, self.limit_mode, self.gain)
        return self._limits[layer]

    def legend(self, column: ColumnLayout) -> Legend:
        """What the legend of a column says."""
        levels = self.limits(column)
        if len(levels) > 1:
            return Legend(None)
        limit = float(levels[0])
        return Legend(limit, *self._peaks().beyond(column.display, limit))

    def _peaks(self) -> ColourLimits:
        limits = self._colour_limits
        return limits if self.twin is None else limits.widened_by(self.twin._colour_limits)

    def values(self, column: ColumnLayout) -> HostArray | None:
        """The visible values of a column, (C, H, W) or (n,); None until the engine has sent them."""
        layer, maps = column.display.layer, self.visible_channels(column)
        outputs = self.prediction.activations
        return outputs.channels(layer, maps) if outputs.has(layer, maps) else None

    def atlas(self, column: ColumnLayout, theme: Theme) -> MapAtlas | None:
        """The cached image of a column's visible maps in the theme's colours; None without visible values."""
        layer, maps = column.display.layer, self.visible_channels(column)
        cached = self._atlases.get(layer)
        if cached is not None and cached.maps == maps:
            return cached
        values = self.values(column)
        if values is None or not len(values):
            return None  # only the end of a wide header is visible
        if column.display.kind == "picture":
            image, cells = picture_atlas(values, theme), column.cells
        else:
            small = downsampled(values, column.tile_width * (self.layout.ratio if self.layout else 1.0))
            levels = self.limits(column)
            levels = levels if len(levels) == 1 else levels[maps.start : maps.stop]
            image, cells = maps_atlas(small, levels, column.rows, theme), (small.shape[1], small.shape[2])
        self._atlases[layer] = MapAtlas(maps, image, self._tiles_of(column, maps, cells))
        return self._atlases[layer]

    def _tiles_of(self, column: ColumnLayout, maps: range, cells: tuple[int, int]) -> list[AtlasTile]:
        """The cached target and source rectangles of every map."""
        layer, key = column.display.layer, (maps, cells)
        if layer not in self._tiles or self._tiles[layer][0] != key:
            tiles = [
                (qrect(column.tile(channel)), atlas_rect(index, column.rows, cells))
                for index, channel in enumerate(maps)
            ]
            self._tiles[layer] = key, tiles
        return self._tiles[layer][1]

    def kernel_limit(self, column: ColumnLayout) -> float:
        """The colour limit of the column's kernels: their largest weight, rounded up."""
        layer = column.display.layer
        if layer not in self._kernel_limits:
            strips = (self,) if self.twin is None else (self, self.twin)
            peak = max(float(np.abs(strip._weights(column)).max()) for strip in strips)
            self._kernel_limits[layer] = rounded_limit(peak)
        return self._kernel_limits[layer]

    def kernel_atlas(self, column: ColumnLayout, theme: Theme) -> QImage:
        """The cached image of a column's kernels."""
        layer = column.display.layer
        if layer not in self._kernels:
            self._kernels[layer] = kernel_atlas(self._weights(column), self.kernel_limit(column), theme)
        return self._kernels[layer]

    def swatches(self, column: ColumnLayout, theme: Theme) -> list[QColor]:
        """The colour of every listed value."""
        level = float(self.limits(column)[0])
        values = self.values(column)
        assert values is not None
        pixels = colours(values, -level, level, theme.value_table)
        return [QColor.fromRgb(int(pixel)) for pixel in pixels]

    def cost(self, column: ColumnLayout) -> tuple[int, float]:
        """The multiplications and the averaged seconds of the layers of a column."""
        layers = [layer for layer in column.display.layers if layer]
        costs = self.prediction.model.network.costs
        return sum(costs[layer - 1].multiplies for layer in layers), float(
            sum(self.seconds[layer - 1] for layer in layers)
        )

    def _clear_kernels(self) -> None:
        for strip in filter(None, (self, self.twin)):
            strip._kernels.clear()
            strip._kernel_limits.clear()

    def _adapt(self, peaks: ColourLimits, adapt: bool, replaced: bool) -> None:
        """Adopt the limits of a drawing; those of a blank image only if there are no others.

        During the first stroke on a blank canvas, which has no useful limits yet, they only grow.
        """
        if adapt and (replaced or not peaks.is_blank or self._colour_limits.is_blank):
            self._colour_limits = peaks if replaced else peaks.filled_from(self._colour_limits)
        elif not adapt:
            self._colour_limits = self._colour_limits.widened_by(peaks)
        for strip in filter(None, (self, self.twin)):
            strip._limits.clear()
            strip._atlases.clear()

    def _legends(self) -> list[tuple[Legend, float]]:
        """What the legends of the visible columns say of maps and of kernels."""
        return [
            (self.legend(column), self.kernel_limit(column) if column.kernels else 0.0)
            for column in self.visible_columns
            if column.display.kind != "group"
        ]

    def _weights(self, column: ColumnLayout) -> HostArray:
        model = self.prediction.model
        return np.asarray(model.parameters[f"{model.network.names[column.display.layer]}.weight"])


@dataclass(frozen=True)
class MapAtlas:
    """The maps of a column in one image; tiles: the rectangles in the strip and in the image."""

    maps: range
    image: QImage
    tiles: list[AtlasTile]


@dataclass(frozen=True)
class StripDecorations:
    """Which parts are painted around a strip's tiles: headers above, legends and costs below."""

    header: bool = True
    legend: bool = True
    cost: bool = True
