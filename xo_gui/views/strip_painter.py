"""Strip painter: draws one subject's columns, in a part that stays and a part that follows the values."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QLineF
from PySide6.QtGui import QPainter

from engine.nn.inference import HostArray
from engine.nn.layers import Votes
from xo_gui.app.theme import SMALL_PX, Theme
from xo_gui.views import column_painter as draw
from xo_gui.views import numerals
from xo_gui.views.columns import KERNEL_GAP, Column
from xo_gui.views.legend import paint_legend
from xo_gui.views.pager import Way, paint_pager
from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.stages import number

# Room a strip needs above its tiles, for the headers, and below, for legends and costs.
ABOVE = draw.HEADER_HEIGHT + 8.0
LEGEND_TOP, RULE_TOP, COST_BASE = 7.0, 25.0, 39.0
BELOW = 41.0


@dataclass(frozen=True)
class Header:
    """A column's header that a click does something to: that of the column which shows `layer`, of a subject.
    way: the part that turns its pages, None for the rest. folds: the layer that the rest folds or unfolds, None for
    a group, which it opens."""

    subject: int
    layer: int
    way: Way | None = None
    folds: int | None = None


class StripPainter:
    """Paints what is in view."""

    def __init__(self, painter: QPainter, theme: Theme, shown: ShownStrip) -> None:
        self._shown, self._theme = shown, theme
        self._strip = shown.strip
        assert self._strip is not None
        self._brush = draw.Brush(painter, theme, self._strip.ratio)

    def still(self, pointed: Header | None, found: int | None = None) -> None:
        """Headers, outlines, legends, costs. pointed: the header under the mouse; found: a layer searched for."""
        around = self._shown.around
        for column in self._shown.in_view:
            if around.header and found in column.stage.layers:
                draw.paint_found(self._brush, column, column.y - ABOVE)
            there = pointed is not None and pointed.layer == column.stage.shown
            if around.header:
                self._header(column, there, pointed.way if pointed is not None and there else None)
            if column.stage.kind == "group":
                draw.paint_group(self._brush, column, there)
                if around.cost:
                    self._cost(column)
                continue
            if column.stage.kind in ("maps", "picture"):
                draw.paint_frames(self._brush, column, self._shown.channels(column))
            if around.legend:
                self._legend(column)
            if around.cost:
                self._cost(column)

    def values(self) -> None:
        """Maps, features, bars and votes; what is on its way from the engine stays empty."""
        for column in self._shown.in_view:
            if column.stage.kind != "group":
                self._values(column)

    def _header(self, column: Column, there: bool, way: Way | None) -> None:
        draw.paint_header(self._brush, column, column.y - ABOVE, there and way is None)
        if column.stage.pager is not None:
            paint_pager(self._brush, column, column.y - ABOVE, way)

    def _values(self, column: Column) -> None:
        if column.stage.kind in ("maps", "picture"):
            self._maps(column)
        elif (values := self._shown.values(column)) is None:
            return
        elif column.stage.kind == "bars":
            draw.paint_bars(self._brush, column, values, float(self._shown.levels(column)[0]))
        elif column.stage.kind == "list":
            self._list(column, values)
        else:
            self._votes(column, float(self._shown.levels(column)[0]))

    def _votes(self, column: Column, level: float) -> None:
        draw.paint_votes(self._brush, column, self._shown.reading, level)

    def _maps(self, column: Column) -> None:
        atlas = self._shown.atlas(column, self._theme)
        if atlas is not None:
            draw.paint_tiles(self._brush, column, atlas.image, atlas.tiles)
        if column.kernels is not None:
            kernels, seen = self._shown.kernel_atlas(column, self._theme), self._shown.channels(column)
            draw.paint_kernels(self._brush, column, kernels, seen)

    def _list(self, column: Column, values: HostArray) -> None:
        network = self._shown.reading.subject.network
        votes = network.layers[column.stage.shown]
        assert isinstance(votes, Votes)
        colours = self._shown.swatches(column, self._theme)
        draw.paint_list(self._brush, column, values, colours, votes, network.classes)

    def _legend(self, column: Column) -> None:
        assert self._strip is not None
        left, top = column.x, self._strip.bottom + LEGEND_TOP
        if column.kernels is not None:
            # The features' own level, small, under the features.
            text = f"±{numerals.level(self._shown.kernel_level(column))}"
            end = left + draw.kept_font(SMALL_PX)[1].horizontalAdvance(text)
            self._brush.text(left, top + 11, text, self._theme.quiet)
            left = max(left + column.kernels.width + KERNEL_GAP, end + 8)
        if column.stage.kind != "votes":
            level = self._shown.legend_level(column)
            paint_legend(self._brush.painter, self._theme, column.stage, level, left, top, column.right - left)

    def _cost(self, column: Column) -> None:
        assert self._strip is not None
        top = self._strip.bottom
        self._brush.pen(self._theme.line)
        self._brush.painter.drawLine(QLineF(column.x, top + RULE_TOP + 0.5, column.right, top + RULE_TOP + 0.5))
        metrics = draw.kept_font(SMALL_PX)[1]
        said = self._cost_texts(column)
        fits = next((text for text in said if metrics.horizontalAdvance(text) <= column.width), said[-1])
        self._brush.text(column.x, top + COST_BASE, fits, self._theme.quiet)

    def _cost_texts(self, column: Column) -> list[str]:
        """What it costs, from the longest wording to the shortest."""
        if column.stage.kind == "picture":
            pixels = number(column.stage.shape[1] * column.stage.shape[2])
            return [_tr("{0} pixels").format(pixels), pixels]
        multiplies, seconds = self._shown.cost(column)
        time, times = numerals.duration(seconds), numerals.count(multiplies)
        if not multiplies:
            return [time]
        return [_tr("{0} mult · {1}").format(times, time), f"{times} · {time}", time]


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)
