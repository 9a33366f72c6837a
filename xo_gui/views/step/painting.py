"""Layout and painting of the columns of one training step, up to the current phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from engine.explain.step_trace import Dissection, Place
from engine.nn.inference import Outputs
from xo_gui.app.theme import LARGE_PX, SMALL_PX, TITLE_PX, Theme, colours, to_qimage
from xo_gui.views.network import column_painting as draw
from xo_gui.views.network.colour_limits import Peaks, calm
from xo_gui.views.network.column_painting import paint_legend
from xo_gui.views.network.layer_labels import Kind, Stage
from xo_gui.views.network.layout import Box
from xo_gui.views.step.phases import Beat, reached
from xo_gui.widgets import number_text
from xo_gui.widgets.map_images import paint_class

HostArray: TypeAlias = "np.ndarray[Any, Any]"

HEADER, LEGEND, ROW_GAP, GAP, TILE_GAP = 34.0, 16.0, 6.0, 26.0, 5.0
TILE, LEAST_TILE, BAR = 58.0, 24.0, 4.0
BARS_WIDE, VOTES_WIDE = 66.0, 116.0
_MIN_CELL, _MAX_CELL = 3, 8
_TARGET_LINE = 14.0


@dataclass(frozen=True)
class Slices:
    """Layout of one kernel as a grid of slices.

    columns: slices per row; shown: slices drawn; cell_size: side of a weight in pixels; kernel_size: in weights.
    """

    across: int
    shown: int
    cell: int
    size: int

    @property
    def pitch(self) -> int:
        """Distance from one slice to the next."""
        return self.size * self.cell + 1

    @property
    def width(self) -> int:
        return self.across * self.pitch - 1


@dataclass(frozen=True)
class StepColumn:
    """Layout of one layer: its values in the upper row (0), their gradients in the lower row (1).

    first_channel, shown: the first map or value, and how many are drawn.
    tops, row_height: y of the two rows, and their height.
    tile_size, maps_per_column: side of a map, and how many maps are stacked.
    kernel_grid: the layout of the kernel beside each map, if any.
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
        return self.x + self.width

    @property
    def is_maps(self) -> bool:
        return self.stage.kind in ("maps", "picture")

    def area(self, row: int) -> Box:
        return Box(self.x, self.tops[row], self.width, self.high)

    def map(self, number: int, row: int) -> Box:
        """The box of the map drawn as `number`."""
        across, down = divmod(number, self.down)
        left = self.x + across * (self._pitch) + self._kernel_width
        return Box(left, self.tops[row] + down * (self.tile + TILE_GAP), self.tile, self.tile)

    def bar(self, number: int, row: int) -> Box:
        """The box of the value's bar, or of the class, drawn as `number`."""
        high = self.high / max(self.shown, 1) if self.stage.kind == "votes" else BAR
        return Box(self.x, self.tops[row] + number * high, self.width, high)

    def value_at(self, x: float, y: float) -> tuple[int, tuple[int, ...]] | None:
        """The row, and the index in the layer, of the value at a point."""
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
        """The box of a slice of the kernel beside a map."""
        assert self.slices is not None
        grid, tile = self.slices, self.map(number, row)
        down, across = divmod(channel, grid.across)
        side = grid.size * grid.cell
        return Box(tile.x - self._kernel_width + across * grid.pitch, tile.y + down * grid.pitch, side, side)

    def weight_at(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (kernel, channel, row, column) of the weight at a point, in either row."""
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
        """The box of a weight (kernel, channel, row, column); None if it is not drawn."""
        if self.slices is None or len(index) != 4:
            return None
        number = index[0] - self.first
        if not 0 <= number < self.shown or index[1] >= self.slices.shown:
            return None
        box, cell = self.slice(number, index[1], row), self.slices.cell
        return Box(box.x + index[3] * cell, box.y + index[2] * cell, cell, cell)

    @property
    def more(self) -> int:
        """How many maps or values are not drawn."""
        return self.stage.count - self.shown

    @property
    def _kernel_width(self) -> float:
        return 0.0 if self.slices is None else self.slices.width + 4.0

    @property
    def _pitch(self) -> float:
        return self._kernel_width + self.tile + TILE_GAP


def lay_out(
    stages: Sequence[Stage],
    height: float,
    header_width: Callable[[Stage], float],
    first_maps: Mapping[int, int],
    max_maps: int,
) -> tuple[StepColumn, ...]:
    """Lay out the columns from left to right in `height`.

    header_width: gives the width of a column's header.
    first_maps: the first map drawn, by the layer shown.
    max_maps: how many maps of each layer are known.
    """
    high = max((height - HEADER - 2 * LEGEND - ROW_GAP) / 2, 2 * LEAST_TILE)
    tops = (HEADER, HEADER + high + LEGEND + ROW_GAP)
    columns: list[StepColumn] = []
    x = 0.0
    for stage in stages:
        column = _column(stage, x, tops, high, first_maps.get(stage.shown, 0), min(stage.count, max_maps))
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
    return StepColumn(**{**vars(column), "width": across * column._pitch - TILE_GAP})


def _slices(kernel: tuple[int, ...], tile: float) -> Slices:
    """As many slices of the kernel as stay readable beside a map."""
    channels, size = kernel[0], kernel[1]
    across = math.ceil(math.sqrt(channels))
    while across > 1 and (tile + 1) / across - 1 < _MIN_CELL * size:
        across -= 1
    cell = int(((tile + 1) / across - 1) // size)
    return Slices(across, min(channels, across * across), max(1, min(cell, _MAX_CELL)), size)


class StepPictures:
    """The colour limits of one step, and the images of its maps and slices, cached."""

    def __init__(self, trace: Dissection, theme: Theme) -> None:
        self.found, self.theme = trace, theme
        assert trace.seen is not None
        self._limits = Peaks.of(trace.network, Outputs.whole(trace.seen.outputs))
        self._images: dict[tuple[str, int, int, int], QImage] = {}
        self._own_limits: dict[tuple[str, int], float] = {}

    def values(self, stage: Stage, row: int) -> HostArray:
        """The values of a layer (row 0), or the error's gradients in them (row 1), of the followed example."""
        assert self.found.seen is not None
        arrays = self.found.seen.outputs if row == 0 else self.found.seen.gradients
        return arrays[stage.shown]

    def level(self, stage: Stage, row: int) -> float:
        """The colour limit of a row: values share it up to the next kernels, gradients have their own."""
        if row == 0:
            return float(self._limits.levels(stage, "shared")[0])
        return self._own_limit(f"gradient {stage.shown}", self.values(stage, 1))

    def weights(self, stage: Stage, row: int, updated: bool) -> HostArray:
        """The weights before or after the step (row 0), or their gradient or change (row 1)."""
        update, name = self.found.update, f"{self.found.network.names[stage.shown]}.weight"
        assert update is not None
        if row == 0:
            return update.after[name] if updated else update.before[name]
        return update.change(name) if updated else update.gradients[name]

    def weight_level(self, stage: Stage, row: int, updated: bool) -> float:
        # Weights before and after the step share a limit, so that a change shows as a change of colour.
        is_change = updated and row == 1
        return self._own_limit(f"weights {row} {is_change} {stage.shown}", self.weights(stage, row, is_change))

    def map(self, stage: Stage, number: int, row: int) -> QImage:
        is_picture = stage.kind == "picture" and row == 0
        key = (f"map {row}", stage.shown, number, 0)
        if key not in self._images:
            level, table = self.level(stage, row), self.theme.value_table
            if is_picture:
                level, table = 1.0, self.theme.picture_table
            pixels = colours(self.values(stage, row)[number], -level, level, table)
            self._images[key] = to_qimage(pixels)
        return self._images[key]

    def slice(self, stage: Stage, feature: int, channel: int, row: int, updated: bool) -> QImage:
        key = (f"slice {row} {updated}", stage.shown, feature, channel)
        if key not in self._images:
            level = self.weight_level(stage, row, updated)
            values = self.weights(stage, row, updated)[feature, channel]
            self._images[key] = to_qimage(colours(values, -level, level, self.theme.value_table))
        return self._images[key]

    def _own_limit(self, key: str, values: HostArray) -> float:
        if (key, 0) not in self._own_limits:
            finite = np.abs(values[np.isfinite(values)])
            self._own_limits[key, 0] = calm(float(finite.max(initial=0.0)))
        return self._own_limits[key, 0]


class StepPainter:
    """Paints the columns of a step up to one position."""

    def __init__(self, brush: draw.Brush, images: StepPictures, position: Beat) -> None:
        self._brush, self._images, self._position = brush, images, position
        self._updated = position.act == "update"

    def column(self, column: StepColumn, at: int, title: str, subtitle: str) -> None:
        """Paint the column with index `at`."""
        position, theme = self._position, self._brush.theme
        is_reached = reached(position, "forward", at)
        current = position.column == at and position.act in ("forward", "backward", "error")
        if current:
            self._highlight(column.area(1 if position.act == "backward" else 0))
        end = self._brush.text(
            column.x, 13, title, theme.text if is_reached else theme.quiet, TITLE_PX, strong=True
        )
        if current:
            self._brush.pen(theme.text)
            self._brush.painter.drawLine(QLineF(column.x, 16.5, end, 16.5))
        self._brush.text(column.x, 28, subtitle, theme.quiet)
        for row, shown in ((0, is_reached), (1, reached(position, "backward", at))):
            self._paint_row(column, row, shown)

    def arrows(self, columns: Sequence[StepColumn]) -> None:
        """Paint the arrows between columns that the forward and backward pass have reached."""
        for at, (left, right) in enumerate(pairwise(columns)):
            middle = (left.right + right.x) / 2
            if reached(self._position, "forward", at + 1):
                self._paint_arrow(middle, left.tops[0] + left.high / 2, 1)
            if reached(self._position, "backward", at):
                self._paint_arrow(middle, left.tops[1] + left.high / 2, -1)

    def mark(self, columns: Sequence[StepColumn], place: Place | None, colour: str) -> None:
        """Outline a weight in both rows."""
        if place is None:
            return
        for column in columns:
            if f"{self._images.found.network.names[column.stage.shown]}.weight" != place[0]:
                continue
            for row in range(2):
                box = column.weight_box(place[1], row)
                if box is not None:
                    self._outline(box, colour)

    def _paint_row(self, column: StepColumn, row: int, shown: bool) -> None:
        stage = column.stage
        if column.is_maps:
            self._paint_maps(column, row, shown)
        elif stage.kind == "votes":
            if shown:
                self._paint_votes(column, row)
            elif self._position.act == "error":
                self._paint_error(column)
        elif shown:
            self._paint_bars(column, row)
        left, width = column.x, column.width
        if column.slices is not None and (row == 0 or shown):
            text = f"±{number_text.level(self._images.weight_level(stage, row, self._updated))}"
            self._brush.text(left, column.tops[row] + column.high + 12, text, self._brush.theme.quiet)
            used = max(column.map(0, row).x - left, draw.kept_font(SMALL_PX)[1].horizontalAdvance(text) + 8)
            left, width = left + used, width - used
        if shown and stage.kind != "votes":
            legend_of = stage if row == 0 else _signed(stage)
            level = self._images.level(stage, row)
            top = column.tops[row] + column.high + 2
            paint_legend(self._brush.painter, self._brush.theme, legend_of, level, left, top, width)

    def _paint_maps(self, column: StepColumn, row: int, shown: bool) -> None:
        painter, stage, position = self._brush.painter, column.stage, self._position
        for number in range(column.shown):
            target = draw.rect(column.map(number, row))
            if shown:
                image = self._images.map(stage, column.first + number, row)
                small = target.width() * self._brush.ratio < image.width()
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, small)
                painter.drawImage(target, image)
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            self._brush.pen(self._brush.theme.line)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(target.adjusted(-0.5, -0.5, 0.5, 0.5))
            if column.slices is None or not (row == 0 or shown):
                continue
            for channel in range(column.slices.shown):
                updated = position.act == "update"
                image = self._images.slice(stage, column.first + number, channel, row, updated)
                painter.drawImage(draw.rect(column.slice(number, channel, row)), image)

    def _paint_bars(self, column: StepColumn, row: int) -> None:
        values = self._images.values(column.stage, row)[column.first : column.first + column.shown]
        level, theme = self._images.level(column.stage, row), self._brush.theme
        signed = row == 1 or column.stage.signed
        room = column.width / 2 if signed else column.width
        zero = round(column.x + (column.width / 2 if signed else 0.0)) + 0.5
        for number, value in enumerate(values.tolist()):
            if not np.isfinite(value):
                continue
            box, share = column.bar(number, row), max(-1.0, min(value / level, 1.0))
            colour = QColor.fromRgb(int(theme.value_table[127 + round(127 * share)]))
            if abs(share) < 0.45:  # keeps a short bar visible against the background
                colour = QColor.fromRgb(int(theme.value_table[127 + (57 if share > 0 else -57)]))
            length = abs(share) * (room - 2)
            self._brush.fill(Box(zero if share > 0 else zero - length, box.y + 0.5, length, box.height - 1), colour)
        self._brush.pen(theme.quiet, dashed=True)
        bottom = column.bar(max(column.shown - 1, 0), row).bottom
        self._brush.painter.drawLine(QLineF(zero, column.tops[row], zero, bottom))

    def _paint_votes(self, column: StepColumn, row: int) -> None:
        """Paint the vote and the target of each class, or the gradient of its score, which is their difference."""
        example, theme, network = self._images.found.seen, self._brush.theme, self._images.found.network
        assert example is not None
        for number in range(column.shown):
            box, name = column.bar(number, row), network.classes[number]
            centre = QPointF(box.x + draw.SYMBOL / 2, box.y + 9)
            paint_class(self._brush.painter, theme, number, name, centre, draw.SYMBOL)
            vote, share = float(example.votes[number]), float(example.shares[number])
            if row == 1:
                text = number_text.signed(float(example.gradients[-1][number]))
                self._brush.text(box.x + 20, box.y + 14, text, theme.text, LARGE_PX)
                continue
            text = number_text.percent(min(max(vote, 1e-6), 1 - 1e-6))
            self._brush.text(box.x + 20, box.y + 14, text, theme.text, LARGE_PX, strong=vote > 0.5)
            if box.height >= 2 * _TARGET_LINE + 4:
                target_text = _tr("target {0}").format(f"{100 * share:.0f} %")
                self._brush.text(box.x + 20, box.y + 16 + _TARGET_LINE, target_text, theme.quiet)

    def _paint_error(self, column: StepColumn) -> None:
        example, box = self._images.found.seen, column.bar(0, 1)
        assert example is not None
        self._brush.text(box.x, box.y + 12, _tr("error"), self._brush.theme.quiet)
        text = number_text.figures(example.error)
        self._brush.text(box.x, box.y + 32, text, self._brush.theme.text, LARGE_PX, strong=True)

    def _paint_arrow(self, x: float, y: float, direction: int) -> None:
        painter, reach = self._brush.painter, (GAP - 12) / 2
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._brush.pen(self._brush.theme.text, 1.4)
        painter.drawLine(QLineF(x - reach, y, x + reach, y))
        tip = x + direction * reach
        painter.setBrush(Qt.BrushStyle.NoBrush)
        back = tip - direction * 4
        painter.drawPolyline(QPolygonF([QPointF(back, y - 3.5), QPointF(tip, y), QPointF(back, y + 3.5)]))
        painter.restore()

    def _highlight(self, box: Box) -> None:
        painter = self._brush.painter
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._brush.theme.control))
        painter.drawRoundedRect(draw.rect(box).adjusted(-6, -5, 6, 5), 6, 6)
        painter.restore()

    def _outline(self, box: Box, colour: str) -> None:
        self._brush.painter.setPen(QPen(QColor(colour), 1.5))
        self._brush.painter.setBrush(Qt.BrushStyle.NoBrush)
        self._brush.painter.drawRect(QRectF(box.x - 1, box.y - 1, box.width + 2, box.height + 2))


def _signed(stage: Stage) -> Stage:
    """The column of a layer's gradients: they can be negative, and are shown as maps even for the input."""
    kind: Kind = "maps" if stage.kind == "picture" else stage.kind
    return replace(stage, kind=kind, signed=True)


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)
