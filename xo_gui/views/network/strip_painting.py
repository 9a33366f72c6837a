"""Strip painting: the columns of one model, in a cached and a changing part, and the marks of the selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from engine.backends import HostArray
from engine.nn import Prediction
from engine.nn.layers import shape_text
from xo_gui.app import SMALL_PX, TEXT_PX, Theme, translate
from xo_gui.state import CellRef
from xo_gui.views.network import column_painting as draw
from xo_gui.views.network.column_painting import cached_font, paint_legend, qrect
from xo_gui.views.network.folding import PagerPart, paint_pager
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.layout import KERNEL_GAP, Box, ColumnLayout, StripLayout
from xo_gui.views.network.strip_state import StripModel
from xo_gui.views.network.trace import ReceptiveTrace, receptive_trace
from xo_gui.views.network.value_text import CellSummary
from xo_gui.widgets import count_text, duration_text, integer_text, limit_text

# Height of the headers above the tiles of a strip, and of the legends and costs below them.
HEADER_SPACE = draw.HEADER_HEIGHT + 8.0
LEGEND_TOP, RULE_TOP, COST_BASE = 7.0, 25.0, 39.0
FOOTER_SPACE = 41.0

FAR = 1e6  # beyond every column, in logical pixels
PLACE_WIDTH, VALUE_WIDTH, SUMMARY_GAP = 268.0, 56.0, 12.0

# A smaller cell gets a ring around its centre instead of an outline.
MIN_OUTLINE = 9.0
RING = 3.2
# Line widths; the strongest line of each fan has the latter.
MIN_LINE_WIDTH, MAX_LINE_WIDTH = 0.7, 3.6


@dataclass(frozen=True)
class HeaderTarget:
    """A clickable column header.

    subject: the index of the model.
    layer: the first layer of the column.
    pager_part: None for the rest of the header.
    folds: the layer that a click folds or unfolds, None for a collapsed run.
    """

    model_index: int
    layer: int
    pager_part: PagerPart | None = None
    folds: int | None = None


class StripPainter:
    """Paints the visible columns of a strip."""

    def __init__(self, painter: QPainter, theme: Theme, strip: StripModel) -> None:
        self._strip, self._theme = strip, theme
        self._layout = strip.layout
        assert self._layout is not None
        self._brush = draw.Brush(painter, theme, self._layout.ratio)

    def paint_static(self, pointed: HeaderTarget | None, found: int | None = None) -> None:
        """Paint headers, outlines, legends and costs. pointed: the hovered header. found: the search match."""
        for column in self._clipped_columns():
            self._static(column, pointed, found)

    def _clipped_columns(self) -> Iterator[ColumnLayout]:
        """The visible columns, each while the painter paints only what the votes do not cover."""
        assert self._layout is not None
        painter, edge = self._brush.painter, self._layout.covered_from
        for column in self._strip.visible_columns:
            painter.save()
            if edge is not None and column.display.kind != "votes":
                clip_left_of(painter, edge)
            yield column
            painter.restore()

    def _static(self, column: ColumnLayout, pointed: HeaderTarget | None, found: int | None) -> None:
        around = self._strip.decorations
        if around.header and found in column.display.layers:
            draw.paint_search_match(self._brush, column, column.y - HEADER_SPACE)
        is_pointed = pointed is not None and pointed.layer == column.display.layer
        if around.header:
            self._header(column, is_pointed, pointed.pager_part if pointed is not None and is_pointed else None)
        if around.cost:
            self._cost(column)
        if column.display.kind == "group":
            draw.paint_collapsed_run(self._brush, column, is_pointed)
            return
        if column.display.kind in ("maps", "picture"):
            draw.paint_frames(self._brush, column, self._strip.visible_channels(column))
        if around.legend:
            self._legend(column)

    def paint_values(self) -> None:
        """Paint maps, kernels, bars and votes; columns whose values have not arrived stay empty."""
        for column in self._clipped_columns():
            if column.display.kind != "group":
                self._values(column)

    def _header(self, column: ColumnLayout, is_pointed: bool, part: PagerPart | None) -> None:
        draw.paint_header(self._brush, column, column.y - HEADER_SPACE, is_pointed and part is None)
        if column.display.pager is not None:
            paint_pager(self._brush, column, column.y - HEADER_SPACE, part)

    def _values(self, column: ColumnLayout) -> None:
        if column.display.kind in ("maps", "picture"):
            self._maps(column)
        elif (values := self._strip.values(column)) is None:
            return
        elif column.display.kind == "bars":
            draw.paint_bars(self._brush, column, values, float(self._strip.limits(column)[0]))
        elif column.display.kind == "list":
            self._list(column, values)
        else:
            self._votes(column, float(self._strip.limits(column)[0]))

    def _votes(self, column: ColumnLayout, level: float) -> None:
        draw.paint_votes(self._brush, column, self._strip.prediction, level)

    def _maps(self, column: ColumnLayout) -> None:
        atlas = self._strip.atlas(column, self._theme)
        if atlas is not None:
            draw.paint_tiles(self._brush, column, atlas.image, atlas.tiles)
        if column.kernels is not None:
            kernels, channels = self._strip.kernel_atlas(column, self._theme), self._strip.visible_channels(column)
            draw.paint_kernels(self._brush, column, kernels, channels)

    def _list(self, column: ColumnLayout, values: HostArray) -> None:
        network = self._strip.prediction.model.network
        strong = network.layers[column.display.layer].traits.strong
        assert strong is not None
        colours = self._strip.swatches(column, self._theme)
        draw.paint_list(self._brush, column, values, colours, strong, network.classes)

    def _legend(self, column: ColumnLayout) -> None:
        assert self._layout is not None
        left, top = column.x, self._layout.bottom + LEGEND_TOP
        if column.kernels is not None:
            # The limit of the kernels' colours, under the kernels, where it leaves room for that of the maps.
            text = f"±{limit_text(self._strip.kernel_limit(column))}"
            end = left + draw.cached_font(SMALL_PX)[1].horizontalAdvance(text)
            beside = max(left + column.kernels.width + KERNEL_GAP, end + 8)
            if column.right - beside >= draw.least_legend_width(self._strip.legend(column)):
                self._brush.text(left, top + 11, text, self._theme.secondary_text)
                left = beside
        if column.display.kind != "votes":
            legend = self._strip.legend(column)
            paint_legend(self._brush.painter, self._theme, column.display, legend, left, top, column.right - left)

    def _cost(self, column: ColumnLayout) -> None:
        assert self._layout is not None
        top = self._layout.bottom
        self._brush.pen(self._theme.border)
        self._brush.painter.drawLine(QLineF(column.x, top + RULE_TOP + 0.5, column.right, top + RULE_TOP + 0.5))
        metrics = draw.cached_font(SMALL_PX)[1]
        texts = self._cost_texts(column)
        fits = next((text for text in texts if metrics.horizontalAdvance(text) <= column.width), texts[-1])
        self._brush.text(column.x, top + COST_BASE, fits, self._theme.secondary_text)

    def _cost_texts(self, column: ColumnLayout) -> list[str]:
        """Multiplications and time of a column, from the longest wording to the shortest."""
        if column.display.kind == "picture":
            pixels = integer_text(column.display.shape[1] * column.display.shape[2])
            return [translate("NetworkView", "{0} pixels").format(pixels), pixels]
        multiplies, seconds = self._strip.cost(column)
        time, times = duration_text(seconds), count_text(multiplies)
        if not multiplies:
            return [time]
        return [translate("NetworkView", "{0} mult · {1}").format(times, time), f"{times} · {time}", time]


def paint_selection(painter: QPainter, strip: StripModel, cell: CellRef, theme: Theme, animating: bool) -> None:
    """Paint the receptive trace of a cell; animating: whether the animation has filled the map only up to it."""
    if strip.layout is None:
        return
    if animating:
        paint_unfilled(painter, strip.layout, cell, theme)
    trace = receptive_trace(strip.prediction.model.network, strip.layout, cell, strip.prediction)
    if trace is not None:
        paint_trace(painter, trace, theme)


def paint_trace(painter: QPainter, trace: ReceptiveTrace, theme: Theme) -> None:
    """Paint lines, then outlines with a rim in the background colour, so that they are visible on any value."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _fan(painter, trace, theme)
    painter.setPen(QPen(QColor(theme.text), 1.2))
    painter.drawLines([QLineF(*line) for line in trace.lines])
    if trace.tile is not None:
        _outline(painter, qrect(trace.tile).adjusted(-2, -2, 2, 2), theme, 2.0)
    for window in trace.windows:
        _outline(painter, qrect(window).adjusted(-0.5, -0.5, 0.5, 0.5), theme, 1.2)
    for ring in trace.rings:
        paint_ring(painter, ring, theme)
    painter.restore()


def paint_unfilled(painter: QPainter, layout: StripLayout, cell: CellRef, theme: Theme) -> None:
    """Cover what comes after `cell` in its map or vector: what the sliding window has not computed yet."""
    column = layout.column_of(cell.layer)
    if column is None:
        return
    background = QColor(theme.background)
    if not column.is_map:
        for channel in range(cell.channel + 1, column.display.count):
            painter.fillRect(qrect(column.tile(channel)), background)
        return
    if cell.channel not in column.maps:
        return
    (height, width), tile = column.cells, column.tile(cell.channel)
    painter.fillRect(qrect(tile.sub_box((height, width), range(cell.row + 1, height), range(width))), background)
    rest = tile.sub_box((height, width), range(cell.row, cell.row + 1), range(cell.column + 1, width))
    painter.fillRect(qrect(rest), background)


def clip_left_of(painter: QPainter, edge: float) -> None:
    """Paint only to the left of `edge` from now on."""
    painter.setClipRect(QRectF(edge - FAR, -FAR / 2, FAR, FAR), Qt.ClipOperation.IntersectClip)


def paint_ring(painter: QPainter, cell: Box, theme: Theme) -> None:
    """Outline a cell; a small one gets a ring around its centre."""
    if min(cell.width, cell.height) >= MIN_OUTLINE:
        _outline(painter, qrect(cell), theme, 1.4)
        return
    for colour, width in ((theme.background, 3.0), (theme.text, 1.3)):
        painter.setPen(QPen(QColor(colour), width))
        painter.drawEllipse(QPointF(*cell.centre), RING, RING)


def paint_cell_summary(
    painter: QPainter, theme: Theme, text: CellSummary, left: float, right: float, base: float
) -> None:
    """Paint place, value and receptive field of a cell, from `left` to `right`, on the baseline `base`."""
    small, metrics = cached_font(SMALL_PX)
    strong, strong_metrics = cached_font(TEXT_PX, True)
    painter.setFont(small)
    painter.setPen(QColor(theme.secondary_text))
    painter.drawText(QPointF(left, base), metrics.elidedText(text.place, Qt.TextElideMode.ElideRight, right - left))
    value = left + max(PLACE_WIDTH, metrics.horizontalAdvance(text.place) + SUMMARY_GAP)
    reads = value + max(VALUE_WIDTH, strong_metrics.horizontalAdvance(text.value) + SUMMARY_GAP)
    cut = metrics.elidedText(text.detail, Qt.TextElideMode.ElideRight, max(right - reads, 0.0))
    painter.drawText(QPointF(reads, base), cut)
    painter.setFont(strong)
    painter.setPen(QColor(theme.text))
    painter.drawText(QPointF(value, base), text.value)


def click_hint(strips: Sequence[StripModel], header: HeaderTarget | None) -> str:
    """What a click does: on the header under the mouse, or anywhere."""
    if header is None:
        return translate(
            "NetworkView",
            "Point at a value to read it, click to see how it is computed, double-click to see that large. "
            "Keys: arrows, Enter, Space.",
        )
    strip = strips[header.model_index]
    column = strip.layout.column_starting_at(header.layer) if strip.layout else None
    if column is None:
        return ""
    display = column.display
    if header.pager_part is not None:
        texts = {
            "back": translate("NetworkView", "Click for the previous maps, or press Page Up."),
            "on": translate("NetworkView", "Click for the next maps, or press Page Down."),
            "all": translate("NetworkView", "Click to show all {0} maps, and scroll.").format(
                shape_text(display.shape)
            ),
        }
        return (
            texts[header.pager_part]
            if column.is_paged
            else translate("NetworkView", "Click to show one page of the maps at a time.")
        )
    if header.folds is None:
        ends = integer_text(display.layers[0]), integer_text(display.layers[-1])
        return translate("NetworkView", "Click to expand layers {0} to {1}: {2}.").format(
            *ends, ", ".join(display.layer_kinds)
        )
    name = layer_names(strip.prediction.model.network)[header.folds]
    if header.folds == display.layer:
        return translate("NetworkView", "Click to show {0} in the column before it.").format(name)
    return translate("NetworkView", "Click to show {0} in a column of its own.").format(name)


def predictions_text(strips: Sequence[StripModel]) -> str:
    """The predictions of all models as text."""
    return "; ".join(prediction_text(strip.prediction.model.name, strip.prediction) for strip in strips)


def prediction_text(name: str, prediction: Prediction) -> str:
    """The prediction of the model called `name`: "walk-through predicts X, 100 %"."""
    top = 100 * float(prediction.votes.max())
    return translate("NetworkView", "{0} predicts {1}, {2} %").format(
        name, prediction.predicted_class, f"{top:.0f}"
    )


def _fan(painter: QPainter, trace: ReceptiveTrace, theme: Theme) -> None:
    """Paint lines as thick as their contributions; negative ones are dashed and violet."""
    for carried, line in zip(trace.strengths, trace.fan, strict=True):
        pen = QPen(
            QColor(theme.value_stops[4] if carried > 0 else theme.value_stops[0]),
            MIN_LINE_WIDTH + (MAX_LINE_WIDTH - MIN_LINE_WIDTH) * abs(carried),
        )
        if carried < 0:
            pen.setDashPattern([2.0, 1.5])
        painter.setPen(pen)
        painter.drawLine(QLineF(*line))


def _outline(painter: QPainter, box: QRectF, theme: Theme, width: float) -> None:
    for colour, line_width in ((theme.background, width + 1.6), (theme.text, width)):
        painter.setPen(QPen(QColor(colour), line_width))
        painter.drawRoundedRect(box, 1.5, 1.5)
