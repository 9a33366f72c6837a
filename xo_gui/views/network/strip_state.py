"""Shown strip: what the network view holds of one subject: its reading, layout, levels, times and atlases, and what
of it is in view."""

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

# How much of a new time goes into the one shown: times jump from pass to pass by a factor of two.
NEW_SHARE = 0.1


@dataclass(frozen=True)
class Atlas:
    """maps: those in the picture; tiles: where each goes in the strip, and where it comes from."""

    maps: range
    image: QImage
    tiles: list[Tile]


@dataclass(frozen=True)
class Around:
    """What is written around a strip's tiles: headers above, legends and costs below."""

    header: bool = True
    legend: bool = True
    cost: bool = True


class ShownStrip:
    """One subject's columns. Atlases are made when first painted, and kept until values or colours change."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.strip: Strip | None = None
        self.seen = (0.0, 0.0)
        self.in_view: list[Column] = []
        self.mode: Mode = "shared"
        self.gain = 1.0
        self.around = Around()
        self.letter = ""  # by which it is told from another that is compared with it
        self.folded = False  # nothing of it is in view
        # Another strip of the same network whose colours mean the same: equal colour is equal value in both.
        self.twin: ShownStrip | None = None
        self.seconds = np.array(reading.seconds)
        self._peaks = Peaks.of(reading.subject.network, reading.outputs)
        self._levels: dict[int, HostArray] = {}
        self._atlases: dict[int, Atlas] = {}
        self._kernels: dict[int, QImage] = {}
        self._kernel_levels: dict[int, float] = {}
        self._tiles: dict[int, tuple[tuple[range, tuple[int, int]], list[Tile]]] = {}

    def take(self, reading: Reading, adapt: bool, replaced: bool = False) -> bool:
        """Show these values of the same network; `adapt` the levels, or hold them.

        replaced: whether the weights are others altogether. Returns whether a legend changes.
        """
        others = reading.outputs.carried != self.reading.outputs.carried
        moves = adapt or others or self._peaks.blank
        before = self._legends() if moves else []
        if reading.subject is not self.reading.subject:
            self._kernels.clear()
            if adapt:
                self._forget_kernels()
        self.seconds += NEW_SHARE * (np.array(reading.seconds) - self.seconds)
        self.reading = reading
        self._atlases.clear()
        if not moves:
            return False
        self._adapt(Peaks.of(reading.subject.network, reading.outputs), adapt, replaced)
        return self._legends() != before

    def lay_out(self, area: Box, ratio: float, folds: Folds) -> Strip:
        """Arrange the columns anew."""
        network = self.reading.subject.network
        self.strip = arrange(network, area, ratio, header_width, folds.chosen, folds.pages, folds.opened)
        self._atlases.clear()
        self._tiles.clear()
        self.look(self.seen)
        return self.strip

    def look(self, seen: tuple[float, float]) -> None:
        """What lies between two x of the strip is in view from now on."""
        self.seen = seen
        columns = self.strip.columns if self.strip and not self.folded else ()
        self.in_view = [each for each in columns if each.right > seen[0] and each.x < seen[1]]

    def maps_in_view(self) -> dict[int, range]:
        """Which maps, bars or votes of which layers are in view."""
        return {one.stage.shown: self.channels(one) for one in self.in_view if one.stage.kind != "group"}

    def channels(self, column: Column) -> range:
        """The maps of a column whose tiles are in view; all of what is no map."""
        if column.stage.kind != "maps":
            return column.maps
        first, last = (max(0, int((x - column.x) // column.step_x)) for x in self.seen)
        start, count = column.maps.start, len(column.maps)
        ends = (start + min(across * column.rows, count) for across in (first, last + 1))
        return range(*ends)

    def repaint(self) -> None:
        """Colours have changed: make all atlases anew."""
        self._atlases.clear()
        self._kernels.clear()

    def set_levels(self, mode: Mode, gain: float) -> None:
        """How the levels are shared, and by how much faint values are lifted."""
        self.mode, self.gain = mode, gain
        self._levels.clear()
        self._atlases.clear()

    def levels(self, column: Column) -> HostArray:
        """Where the colours or bars of a column end: (1,), or (channels,) if each map has its own."""
        layer = column.stage.shown
        if layer not in self._levels:
            peaks = self._peaks if self.twin is None else self._peaks.with_at_least(self.twin._peaks)
            self._levels[layer] = peaks.levels(column.stage, self.mode, self.gain)
        return self._levels[layer]

    def legend_level(self, column: Column) -> float | None:
        """The one level of a column, or None if each map has its own."""
        levels = self.levels(column)
        return float(levels[0]) if len(levels) == 1 else None

    def values(self, column: Column) -> HostArray | None:
        """(C, H, W) or (n,): what is in view of a column; None while it is on its way from the engine."""
        layer, maps = column.stage.shown, self.channels(column)
        outputs = self.reading.outputs
        return outputs.maps(layer, maps) if outputs.holds(layer, maps) else None

    def atlas(self, column: Column, theme: Theme) -> Atlas | None:
        """The maps in view of a column in the theme's colours, kept, since every paint asks for them; None while
        their values are on their way, or where none is in view."""
        layer, maps = column.stage.shown, self.channels(column)
        kept = self._atlases.get(layer)
        if kept is not None and kept.maps == maps:
            return kept
        values = self.values(column)
        if values is None or not len(values):
            return None  # only the end of a wide header is in view
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
        """Where every map goes, and where it comes from in the atlas; kept, since every picture asks for it."""
        layer, key = column.stage.shown, (maps, cells)
        if layer not in self._tiles or self._tiles[layer][0] != key:
            tiles = [
                (rect(column.tile(channel)), source(place, column.rows, cells))
                for place, channel in enumerate(maps)
            ]
            self._tiles[layer] = key, tiles
        return self._tiles[layer][1]

    def kernel_level(self, column: Column) -> float:
        """Where the colours of the column's features end: at their largest weight, rounded up."""
        layer = column.stage.shown
        if layer not in self._kernel_levels:
            both = (self,) if self.twin is None else (self, self.twin)
            self._kernel_levels[layer] = calm(max(float(np.abs(one._weights(column)).max()) for one in both))
        return self._kernel_levels[layer]

    def kernel_atlas(self, column: Column, theme: Theme) -> QImage:
        """The features of a column."""
        layer = column.stage.shown
        if layer not in self._kernels:
            self._kernels[layer] = kernel_atlas(self._weights(column), self.kernel_level(column), theme)
        return self._kernels[layer]

    def swatches(self, column: Column, theme: Theme) -> list[QColor]:
        """The colour of every value of a list."""
        level = float(self.levels(column)[0])
        values = self.values(column)
        assert values is not None
        words = colours(values, -level, level, theme.value_table)
        return [QColor.fromRgb(int(word)) for word in words]

    def cost(self, column: Column) -> tuple[int, float]:
        """Multiplies, and seconds as smoothed, of the layers a column stands for."""
        layers = [layer for layer in column.stage.layers if layer]
        costs = self.reading.subject.network.costs
        return sum(costs[layer - 1].multiplies for layer in layers), float(
            sum(self.seconds[layer - 1] for layer in layers)
        )

    def _forget_kernels(self) -> None:
        for shown in filter(None, (self, self.twin)):
            shown._kernels.clear()
            shown._kernel_levels.clear()

    def _adapt(self, peaks: Peaks, adapt: bool, replaced: bool) -> None:
        """Take over the peaks of a drawing; those of a blank picture only if there are no better ones.

        The first stroke on a blank canvas has no levels to hold yet: until it ends they only grow.
        """
        if adapt and (replaced or not peaks.blank or self._peaks.blank):
            self._peaks = peaks if replaced else peaks.with_unseen(self._peaks)
        elif not adapt:
            self._peaks = self._peaks.with_at_least(peaks)
        for shown in filter(None, (self, self.twin)):
            shown._levels.clear()
            shown._atlases.clear()

    def _legends(self) -> list[tuple[float | None, float]]:
        """Every number that stands under a column."""
        return [
            (self.legend_level(column), self.kernel_level(column) if column.kernels else 0.0)
            for column in self.in_view
            if column.stage.kind != "group"
        ]

    def _weights(self, column: Column) -> HostArray:
        subject = self.reading.subject
        return np.asarray(subject.parameters[f"{subject.network.names[column.stage.shown]}.weight"])
