"""Column painting: the headers, tiles, bars, votes and legends of the columns of a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from engine.backends import HostArray
from engine.nn import Prediction
from xo_gui.app import LARGE_PX, SMALL_PX, TITLE_PX, Theme, font, to_qimage, translate
from xo_gui.views.network.layer_labels import DisplayColumn
from xo_gui.views.network.layout import Box, ColumnLayout
from xo_gui.widgets import (
    MINUS,
    atlas_rect,
    bars_image,
    limit_text,
    paint_class_name,
    paint_class_symbol,
    signed_text,
    vote_texts,
)

HEADER_HEIGHT, TITLE_LINE, SMALL_LINE = 46.0, 18.0, 14.0
SYMBOL_SIZE = 11.0
# Width of the clickable arrow that turns a page.
ARROW_WIDTH = 16.0
LEGEND_HEIGHT = 14.0
COLOUR_BAR_HEIGHT, MAX_COLOUR_BAR, MIN_COLOUR_BAR = 5.0, 48.0, 14.0


@dataclass(frozen=True)
class Legend:
    """Where a column's colour scale ends.

    limit: None if each map has its own.
    below, above: whether there are values beyond its ends, which have the end's colour.
    """

    limit: float | None
    below: bool = False
    above: bool = False

    def texts(self, signed: bool) -> tuple[str, str]:
        """The texts at both ends: "−4" and "4", or "≤−4" where there are values below it."""
        if self.limit is None:
            return (MINUS if signed else "0"), "+"
        low = ("≤" if self.below else "") + limit_text(-self.limit) if signed else "0"
        return low, ("≥" if self.above else "") + limit_text(self.limit)

    @property
    def shared_text(self) -> str:
        """The text of both ends where there is room for one: "±4", or "≥±4" where there are values beyond."""
        assert self.limit is not None
        return ("≥" if self.below or self.above else "") + f"±{limit_text(self.limit)}"


@dataclass(frozen=True)
class Brush:
    """The QPainter, theme and device pixel ratio of one paint event."""

    painter: QPainter
    theme: Theme
    ratio: float

    def pen(self, colour: str, width: float = 1.0, dashed: bool = False) -> None:
        """Set the pen for the next lines."""
        pen = QPen(QColor(colour), width)
        if dashed:
            pen.setDashPattern([3.0, 3.0])
        self.painter.setPen(pen)

    def fill(self, box: Box, colour: QColor | str) -> None:
        self.painter.fillRect(qrect(box), QColor(colour))

    def text(self, x: float, y: float, text: str, colour: str, px: int = SMALL_PX, strong: bool = False) -> float:
        """Draw text with its baseline at y; returns the x of its right end."""
        face, metrics = cached_font(px, strong)
        self.painter.setFont(face)
        self.painter.setPen(QColor(colour))
        self.painter.drawText(QPointF(x, y), text)
        return x + metrics.horizontalAdvance(text)


def header_width(display: DisplayColumn) -> float:
    """The width of a column's header in logical pixels."""
    small, strong = cached_font(SMALL_PX)[1], cached_font(TITLE_PX, True)[1]
    lines = display.subtitle if display.pager is None else (display.subtitle[0], " ".join(display.pager[:2]))
    widths = [strong.horizontalAdvance(display.title), *(small.horizontalAdvance(line) for line in lines)]
    return max(widths) + (2 * ARROW_WIDTH if display.pager else 0.0)


def paint_header(brush: Brush, column: ColumnLayout, top: float, underlined: bool) -> None:
    """Paint the title and the subtitle, HEADER_HEIGHT in all."""
    theme, display = brush.theme, column.display
    end = brush.text(column.x, top + 13, display.title, theme.text, TITLE_PX, strong=True)
    if underlined:
        brush.pen(theme.text)
        brush.painter.drawLine(QLineF(column.x, top + 16.5, end, top + 16.5))
    for at, line in enumerate(display.subtitle[: 1 if display.pager else 2]):
        brush.text(column.x, top + TITLE_LINE + 11 + at * SMALL_LINE, line, theme.secondary_text)


def paint_search_match(brush: Brush, column: ColumnLayout, top: float) -> None:
    """Highlight the header of a search match."""
    painter = brush.painter
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    brush.pen(brush.theme.secondary_text)
    painter.setBrush(QColor(brush.theme.hover))
    painter.drawRoundedRect(QRectF(column.x - 5.5, top - 3.5, column.width + 10, HEADER_HEIGHT + 5), 4, 4)
    painter.restore()


def paint_frames(brush: Brush, column: ColumnLayout, channels: range) -> None:
    """Paint a thin outline around the tiles of `channels`."""
    brush.pen(brush.theme.border)
    brush.painter.setBrush(Qt.BrushStyle.NoBrush)
    brush.painter.drawRects([_outline(column.tile(channel), 1.0) for channel in channels])


def paint_tiles(brush: Brush, column: ColumnLayout, atlas: QImage, tiles: list[tuple[QRectF, QRect]]) -> None:
    """Draw maps from an atlas; tiles: the target and the source rectangle of each.

    Enlarged maps are drawn with nearest neighbour; shrunk ones are smoothed, so that no line is lost.
    """
    shrunk = bool(tiles) and column.tile_width * brush.ratio < tiles[0][1].width()
    brush.painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrunk)
    for target, part in tiles:
        brush.painter.drawImage(target, atlas, part)
    brush.painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)


def paint_kernels(brush: Brush, column: ColumnLayout, atlas: QImage, features: range) -> None:
    """Draw the kernels of `features` beside their maps, one slice for each input channel."""
    if column.kernels is None:
        return
    grid = column.kernels
    for feature in features:
        for channel in range(grid.channels):
            where = atlas_rect(
                channel * (atlas.height() // grid.size) + feature, atlas.height() // grid.size, (grid.size,) * 2
            )
            brush.painter.drawImage(qrect(column.kernel_slice(feature, channel)), atlas, where)


def paint_collapsed_run(brush: Brush, column: ColumnLayout, underlined: bool) -> None:
    """Paint a collapsed run of layers as stacked sheets with the kinds of its layers in vertical text."""
    theme, painter, tile = brush.theme, brush.painter, column.tile(0)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    brush.pen(theme.secondary_text if underlined else theme.disabled_text)
    painter.setBrush(QColor(theme.background))
    for at in (2, 1, 0):
        sheet = QRectF(tile.x + 0.5 + 4 * at, tile.y + 0.5 + 4 * at, tile.width - 9, tile.height - 9)
        painter.drawRoundedRect(sheet, 3, 3)
    face, metrics = cached_font(SMALL_PX)
    painter.setFont(face)
    painter.setPen(QColor(theme.text if underlined else theme.secondary_text))
    painter.translate(tile.x + (tile.width - 8) / 2, tile.y + (tile.height - 8) / 2)
    painter.rotate(-90)
    room = tile.height - 24
    text = metrics.elidedText(" · ".join(column.display.layer_kinds), Qt.TextElideMode.ElideRight, room)
    painter.drawText(QRectF(-room / 2, -10, room, 20), Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def paint_bars(brush: Brush, column: ColumnLayout, values: HostArray, level: float) -> None:
    """Paint values as bars from a dashed line at 0; a bar of full length has the value `level`."""
    shares, ratio = values / level, brush.ratio
    for first in range(0, column.display.count, column.rows):
        row, part = column.tile(first), shares[first : first + column.rows]
        thick = max(round(min(row.height * 0.6, 11.0) * ratio), 1)
        tops = np.rint((np.arange(len(part)) * column.step_y + row.height / 2) * ratio - thick / 2).astype(np.intp)
        size = round(row.width * ratio), round((column.step_y * (len(part) - 1) + row.height) * ratio)
        zero, room = _zero(column, row), row.width / 2 if column.display.signed else row.width
        start, end = round((zero - 0.5 - row.x) * ratio), round((room - 2) * ratio)
        picture = bars_image(part, size, start, end, tops, thick, brush.theme)
        brush.painter.drawImage(QRectF(row.x, row.y, size[0] / ratio, size[1] / ratio), picture)
        brush.pen(brush.theme.secondary_text, dashed=True)
        brush.painter.drawLine(QLineF(zero, row.y, zero, row.y + size[1] / ratio))


def paint_list(
    brush: Brush,
    column: ColumnLayout,
    values: HostArray,
    colours: list[QColor],
    strong_positions: tuple[tuple[int, ...], ...],
    classes: tuple[str, ...],
) -> None:
    """Paint values one below the other, each with its colour, number, and the classes whose votes use it."""
    for channel in range(column.display.count):
        row, swatch = column.tile(channel), qrect(column.swatch(channel))
        side = swatch.width()
        brush.painter.fillRect(swatch, colours[channel])
        brush.pen(brush.theme.border)
        brush.painter.drawRect(swatch.adjusted(-0.5, -0.5, 0.5, 0.5))
        middle = row.y + row.height / 2
        brush.text(row.x + side + 8, middle + 4, f"{float(values[channel]):.2f}", brush.theme.text, SMALL_PX)
        x = row.x + side + 8 + 32
        for index, strong in enumerate(strong_positions):
            if channel in strong:
                paint_class_symbol(brush.painter, brush.theme, index, classes[index], QPointF(x + 4, middle), 8)
                x += 13


def paint_votes(brush: Brush, column: ColumnLayout, prediction: Prediction, level: float) -> None:
    """Paint every class with its symbol and vote; where votes are shares of 100 %, the score under its name, with a
    bar in the colours of values, since a bar in the class's colour is a vote everywhere."""
    network = prediction.model.network
    tall = column.tile_height >= 56
    texts = vote_texts(network, prediction.votes.tolist())
    for index, name in enumerate(network.classes):
        row = column.tile(index)
        score = float(prediction.activations[-1][index])
        line = row.y + 13 if tall else row.y + row.height / 2 + 5
        paint_class_symbol(
            brush.painter, brush.theme, index, name, QPointF(row.x + SYMBOL_SIZE / 2, line - 5), SYMBOL_SIZE
        )
        is_predicted = name == prediction.predicted_class
        colour = brush.theme.text if is_predicted else brush.theme.secondary_text
        end = brush.text(row.x + 20, line, texts[index], colour, LARGE_PX, strong=is_predicted)
        paint_name_after(brush, index, name, end, line, row.right)
        share = score / max(level, 1.0)
        if tall and network.vote == "score":
            colour = brush.theme.class_colour(index)
            _score_bar(brush, column, Box(row.x, row.y + 21, row.width, 14), share, colour)
        elif tall:
            text = translate("NetworkView", "score {0}").format(signed_text(score))
            brush.text(row.x, row.y + 33, text, brush.theme.secondary_text)
            colour = brush.theme.value_stops[4 if score > 0 else 0]
            _score_bar(brush, column, Box(row.x, row.y + 37, row.width, 14), share, colour)


def paint_name_after(brush: Brush, index: int, name: str, x: float, line: float, right: float) -> None:
    """Paint as much of a class's name as fits between x, the end of its figure, and `right`."""
    box = QRectF(x + 6, line - 14, max(right - x - 6, 0.0), 18)
    paint_class_name(brush.painter, brush.theme, index, name, box)


def least_legend_width(legend: Legend) -> float:
    """The width that the legend of a signed column needs with one text for both limits."""
    text = legend.texts(True)[1] if legend.limit is None else legend.shared_text
    return float(cached_font(SMALL_PX)[1].horizontalAdvance(text)) + 5 + MIN_COLOUR_BAR


def paint_legend(
    painter: QPainter,
    theme: Theme,
    display: DisplayColumn,
    legend: Legend,
    left: float,
    top: float,
    width: float,
) -> None:
    """Paint the colour scale with its limits in `width` x LEGEND_HEIGHT."""
    face, metrics = cached_font(SMALL_PX)
    names = legend.texts(display.signed)
    widths = [metrics.horizontalAdvance(name) for name in names]
    if legend.limit is not None and display.signed and sum(widths) + 10 + MIN_COLOUR_BAR > width:
        # In a narrow column both limits share one text, so that it stays off the next column's legend.
        names = "", legend.shared_text
        widths = [0.0, metrics.horizontalAdvance(names[1])]
    bar = min(max(width - sum(widths) - 10, MIN_COLOUR_BAR), MAX_COLOUR_BAR)
    painter.setFont(face)
    painter.setPen(QColor(theme.secondary_text))
    middle = Qt.AlignmentFlag.AlignVCenter
    painter.drawText(QRectF(left, top, widths[0] + 1, LEGEND_HEIGHT), middle, names[0])
    start = left + widths[0] + (5 if names[0] else 0)
    paint_colour_bar(
        painter,
        theme,
        display,
        QRectF(start, top + (LEGEND_HEIGHT - COLOUR_BAR_HEIGHT) / 2, bar, COLOUR_BAR_HEIGHT),
    )
    painter.setPen(QColor(theme.secondary_text))
    painter.drawText(QRectF(start + bar + 5, top, widths[1] + 1, LEGEND_HEIGHT), middle, names[1])


def paint_colour_bar(painter: QPainter, theme: Theme, display: DisplayColumn, bar: QRectF) -> None:
    """Paint the colour scale alone, as a rounded bar."""
    table = theme.picture_table if display.kind == "picture" else theme.value_table
    if not display.signed:
        table = table[127:]
    path = QPainterPath()
    path.addRoundedRect(bar, bar.height() / 2, bar.height() / 2)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setClipPath(path, Qt.ClipOperation.IntersectClip)
    painter.drawImage(bar, to_qimage(table[None]))
    painter.restore()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(theme.border))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    painter.restore()


@cache
def cached_font(px: int, strong: bool = False) -> tuple[QFont, QFontMetricsF]:
    """The program's font and its metrics, cached because every painted text needs them."""
    face = font(px, strong)
    return face, QFontMetricsF(face)


def qrect(box: Box) -> QRectF:
    return QRectF(box.x, box.y, box.width, box.height)


def _score_bar(brush: Brush, column: ColumnLayout, box: Box, share: float, colour: str) -> None:
    room = box.width / 2 if column.display.signed else box.width
    zero, length = _zero(column, box), min(abs(share), 1.0) * (room - 2)
    left = zero if share > 0 else zero - length
    brush.fill(Box(left, box.y + 3, length, box.height - 6), colour)
    brush.pen(brush.theme.secondary_text, dashed=True)
    brush.painter.drawLine(QLineF(zero, box.y, zero, box.bottom))


def _zero(column: ColumnLayout, tile: Box) -> float:
    """The x of the value 0: the middle of a tile, or its left edge if no value can be negative."""
    return round(tile.x + (tile.width / 2 if column.display.signed else 0.0)) + 0.5


def _outline(box: Box, distance: float) -> QRectF:
    """The rectangle just outside `box`, for a pen one pixel wide."""
    half = distance / 2
    return QRectF(box.x - half, box.y - half, box.width + distance, box.height + distance)
