"""Layout and painting of the columns of one training step, up to the current phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from engine.backends import HostArray
from engine.explain import ParameterIndex, StepTrace
from engine.nn import Activations
from xo_gui.app import LARGE_PX, SMALL_PX, TITLE_PX, Theme, colours, to_qimage, translate
from xo_gui.views.network import (
    SYMBOL_SIZE,
    Box,
    Brush,
    ColourLimits,
    ColumnKind,
    DisplayColumn,
    Legend,
    cached_font,
    paint_legend,
    paint_name_after,
    qrect,
    rounded_limit,
)
from xo_gui.views.step.phases import PhaseStep, has_reached
from xo_gui.widgets import (
    fixed_text,
    four_digit_text,
    limit_text,
    operands,
    paint_class_symbol,
    percent_text,
    shown_number,
    vote_texts,
)

HEADER, LEGEND, ROW_GAP, GAP, TILE_GAP = 34.0, 16.0, 6.0, 26.0, 5.0
TILE, MIN_TILE, BAR = 58.0, 24.0, 4.0
BARS_WIDTH, VOTES_WIDTH = 66.0, 116.0
_MIN_CELL, _MAX_CELL = 3, 8
_TARGET_LINE = 14.0


@dataclass(frozen=True)
class KernelGrid:
    """Layout of one kernel as a grid of slices.

    columns: slices per row; shown: slices drawn; cell_size: side of a weight in pixels; kernel_size: in weights.
    """

    columns: int
    shown: int
    cell_size: int
    kernel_size: int

    @property
    def pitch(self) -> int:
        """Distance from one slice to the next."""
        return self.kernel_size * self.cell_size + 1

    @property
    def width(self) -> int:
        return self.columns * self.pitch - 1


@dataclass(frozen=True)
class StepColumn:
    """Layout of one layer: its values in the upper row (0), their gradients in the lower row (1).

    first_channel, shown: the first map or value, and how many are drawn.
    tops, row_height: y of the two rows, and their height.
    tile_size, maps_per_column: side of a map, and how many maps are stacked.
    kernel_grid: the layout of the kernel beside each map, if any.
    """

    display_column: DisplayColumn
    first_channel: int
    shown: int
    x: float
    width: float
    tops: tuple[float, float]
    row_height: float
    tile_size: float
    maps_per_column: int
    kernel_grid: KernelGrid | None

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def is_maps(self) -> bool:
        return self.display_column.kind in ("maps", "picture")

    def row_box(self, row: int) -> Box:
        return Box(self.x, self.tops[row], self.width, self.row_height)

    def map_box(self, number: int, row: int) -> Box:
        """The box of the map drawn as `number`."""
        across, down = divmod(number, self.maps_per_column)
        left = self.x + across * (self._pitch) + self._kernel_width
        return Box(left, self.tops[row] + down * (self.tile_size + TILE_GAP), self.tile_size, self.tile_size)

    def bar_box(self, number: int, row: int) -> Box:
        """The box of the value's bar, or of the class, drawn as `number`."""
        high = self.row_height / max(self.shown, 1) if self.display_column.kind == "votes" else BAR
        return Box(self.x, self.tops[row] + number * high, self.width, high)

    def value_at(self, x: float, y: float) -> tuple[int, tuple[int, ...]] | None:
        """The row, and the index in the layer, of the value at a point."""
        for row in range(2):
            for number in range(self.shown if self.display_column.kind != "votes" else 0):
                box = self.map_box(number, row) if self.is_maps else self.bar_box(number, row)
                if not box.contains(x, y):
                    continue
                channel = self.first_channel + number
                if not self.is_maps:
                    return row, (channel,)
                _, high, wide = self.display_column.shape
                return row, (channel, int((y - box.y) * high / box.height), int((x - box.x) * wide / box.width))
        return None

    def slice_box(self, number: int, channel: int, row: int) -> Box:
        """The box of a slice of the kernel beside a map."""
        assert self.kernel_grid is not None
        grid, tile = self.kernel_grid, self.map_box(number, row)
        down, across = divmod(channel, grid.columns)
        side = grid.kernel_size * grid.cell_size
        return Box(tile.x - self._kernel_width + across * grid.pitch, tile.y + down * grid.pitch, side, side)

    def weight_at(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (kernel, channel, row, column) of the weight at a point, in either row."""
        if self.kernel_grid is None:
            return None
        for row in range(2):
            for number in range(self.shown):
                for channel in range(self.kernel_grid.shown):
                    box = self.slice_box(number, channel, row)
                    if box.contains(x, y):
                        cell = self.kernel_grid.cell_size
                        return (
                            self.first_channel + number,
                            channel,
                            int((y - box.y) // cell),
                            int((x - box.x) // cell),
                        )
        return None

    def weight_box(self, index: tuple[int, ...], row: int) -> Box | None:
        """The box of a weight (kernel, channel, row, column); None if it is not drawn."""
        if self.kernel_grid is None or len(index) != 4:
            return None
        number = index[0] - self.first_channel
        if not 0 <= number < self.shown or index[1] >= self.kernel_grid.shown:
            return None
        box, cell = self.slice_box(number, index[1], row), self.kernel_grid.cell_size
        return Box(box.x + index[3] * cell, box.y + index[2] * cell, cell, cell)

    @property
    def hidden_count(self) -> int:
        """How many maps or values are not drawn."""
        return self.display_column.count - self.shown

    @property
    def _kernel_width(self) -> float:
        return 0.0 if self.kernel_grid is None else self.kernel_grid.width + 4.0

    @property
    def _pitch(self) -> float:
        return self._kernel_width + self.tile_size + TILE_GAP


def layout_columns(
    stages: Sequence[DisplayColumn],
    height: float,
    header_width: Callable[[StepColumn], float],
    first_maps: Mapping[int, int],
    max_maps: int,
) -> tuple[StepColumn, ...]:
    """Lay out the columns from left to right in `height`.

    header_width: gives the width of a column's header.
    first_maps: the first map drawn, by the layer shown.
    max_maps: how many maps of each layer are known.
    """
    high = max((height - HEADER - 2 * LEGEND - ROW_GAP) / 2, 2 * MIN_TILE)
    tops = (HEADER, HEADER + high + LEGEND + ROW_GAP)
    columns: list[StepColumn] = []
    x = 0.0
    for stage in stages:
        column = _column(stage, x, tops, high, first_maps.get(stage.layer, 0), min(stage.count, max_maps))
        width = math.ceil(max(column.width, header_width(column)))
        columns.append(StepColumn(**{**vars(column), "width": float(width)}))
        x += width + GAP
    return tuple(columns)


def _column(
    stage: DisplayColumn, x: float, tops: tuple[float, float], high: float, first: int, known: int
) -> StepColumn:
    first = first if first < known else 0
    if stage.kind == "votes":
        return StepColumn(stage, 0, stage.count, x, VOTES_WIDTH, tops, high, 0.0, 1, None)
    if stage.kind not in ("maps", "picture"):
        shown = min(known - first, int(high // BAR))
        return StepColumn(stage, first, shown, x, BARS_WIDTH, tops, high, 0.0, 1, None)
    if stage.count == 1:
        down, tile = 1, min(high, 2 * TILE)
    else:
        down = max(1, round(high / TILE))
        tile = math.floor((high - (down - 1) * TILE_GAP) / down)
    shown = min(known - first, down if known <= down else 2 * down)
    slices = None if stage.kernel_shape is None else _slices(stage.kernel_shape, tile)
    column = StepColumn(stage, first, shown, x, 0.0, tops, high, tile, min(down, shown), slices)
    across = -(-shown // column.maps_per_column)
    return StepColumn(**{**vars(column), "width": across * column._pitch - TILE_GAP})


def _slices(kernel: tuple[int, ...], tile: float) -> KernelGrid:
    """As many slices of the kernel as stay readable beside a map."""
    channels, size = kernel[0], kernel[1]
    across = math.ceil(math.sqrt(channels))
    while across > 1 and (tile + 1) / across - 1 < _MIN_CELL * size:
        across -= 1
    cell = int(((tile + 1) / across - 1) // size)
    return KernelGrid(across, min(channels, across * across), max(1, min(cell, _MAX_CELL)), size)


class StepImages:
    """The colour limits of one step, and the images of its maps and slices, cached."""

    def __init__(self, trace: StepTrace, theme: Theme) -> None:
        self.trace, self.theme = trace, theme
        assert trace.example_pass is not None
        self._limits = ColourLimits.from_activations(
            trace.network, Activations.from_arrays(trace.example_pass.outputs)
        )
        self._images: dict[tuple[str, int, int, int], QImage] = {}
        self._own_limits: dict[tuple[str, int], float] = {}

    def values(self, stage: DisplayColumn, row: int) -> HostArray:
        """The values of a layer (row 0), or the error's gradients in them (row 1), of the followed example."""
        assert self.trace.example_pass is not None
        arrays = self.trace.example_pass.outputs if row == 0 else self.trace.example_pass.gradients
        return arrays[stage.layer]

    def limit(self, stage: DisplayColumn, row: int) -> float:
        """The colour limit of a row: values share it up to the next kernels, gradients have their own."""
        if row == 0:
            return float(self._limits.limits(stage, "shared")[0])
        return self._own_limit(f"gradient {stage.layer}", self.values(stage, 1))

    def legend(self, stage: DisplayColumn, row: int) -> Legend:
        """What the legend of a row says."""
        limit = self.limit(stage, row)
        return Legend(limit, *(self._limits.beyond(stage, limit) if row == 0 else ()))

    def weights(self, stage: DisplayColumn, row: int, updated: bool) -> HostArray:
        """The weights before or after the step (row 0), or their gradient or change (row 1)."""
        update, name = self.trace.update, f"{self.trace.network.names[stage.layer]}.weight"
        assert update is not None
        if row == 0:
            return update.after[name] if updated else update.before[name]
        return update.change(name) if updated else update.gradients[name]

    def weight_limit(self, stage: DisplayColumn, row: int, updated: bool) -> float:
        # Weights before and after the step share a limit, so that a change shows as a change of colour.
        is_change = updated and row == 1
        return self._own_limit(f"weights {row} {is_change} {stage.layer}", self.weights(stage, row, is_change))

    def map_image(self, stage: DisplayColumn, number: int, row: int) -> QImage:
        is_picture = stage.kind == "picture" and row == 0
        key = (f"map {row}", stage.layer, number, 0)
        if key not in self._images:
            level, table = self.limit(stage, row), self.theme.value_table
            if is_picture:
                level, table = 1.0, self.theme.picture_table
            pixels = colours(self.values(stage, row)[number], -level, level, table)
            self._images[key] = to_qimage(pixels)
        return self._images[key]

    def slice_image(self, stage: DisplayColumn, feature: int, channel: int, row: int, updated: bool) -> QImage:
        key = (f"slice {row} {updated}", stage.layer, feature, channel)
        if key not in self._images:
            level = self.weight_limit(stage, row, updated)
            values = self.weights(stage, row, updated)[feature, channel]
            self._images[key] = to_qimage(colours(values, -level, level, self.theme.value_table))
        return self._images[key]

    def _own_limit(self, key: str, values: HostArray) -> float:
        if (key, 0) not in self._own_limits:
            finite = np.abs(values[np.isfinite(values)])
            self._own_limits[key, 0] = rounded_limit(float(finite.max(initial=0.0)))
        return self._own_limits[key, 0]


class StepPainter:
    """Paints the columns of a step up to one position."""

    def __init__(self, brush: Brush, images: StepImages, position: PhaseStep) -> None:
        self._brush, self._images, self._position = brush, images, position
        self._updated = position.phase == "update"

    def paint_column(self, column: StepColumn, at: int, title: str, subtitle: str) -> None:
        """Paint the column with index `at`."""
        position, theme = self._position, self._brush.theme
        is_reached = has_reached(position, "forward", at)
        current = position.column == at and position.phase in ("forward", "backward", "error")
        if current:
            self._highlight(column.row_box(1 if position.phase == "backward" else 0))
        end = self._brush.text(
            column.x, 13, title, theme.text if is_reached else theme.secondary_text, TITLE_PX, strong=True
        )
        if current:
            self._brush.pen(theme.text)
            self._brush.painter.drawLine(QLineF(column.x, 16.5, end, 16.5))
        self._brush.text(column.x, 28, subtitle, theme.secondary_text)
        for row, shown in ((0, is_reached), (1, has_reached(position, "backward", at))):
            self._paint_row(column, row, shown)

    def paint_arrows(self, columns: Sequence[StepColumn]) -> None:
        """Paint the arrows between columns that the forward and backward pass have reached."""
        for at, (left, right) in enumerate(pairwise(columns)):
            middle = (left.right + right.x) / 2
            if has_reached(self._position, "forward", at + 1):
                self._paint_arrow(middle, left.tops[0] + left.row_height / 2, 1)
            if has_reached(self._position, "backward", at):
                self._paint_arrow(middle, left.tops[1] + left.row_height / 2, -1)

    def outline_weight(self, columns: Sequence[StepColumn], place: ParameterIndex | None, colour: str) -> None:
        """Outline a weight in both rows."""
        if place is None:
            return
        for column in columns:
            if f"{self._images.trace.network.names[column.display_column.layer]}.weight" != place[0]:
                continue
            for row in range(2):
                box = column.weight_box(place[1], row)
                if box is not None:
                    self._outline(box, colour)

    def _paint_row(self, column: StepColumn, row: int, shown: bool) -> None:
        stage = column.display_column
        if column.is_maps:
            self._paint_maps(column, row, shown)
        elif stage.kind == "votes":
            if shown:
                self._paint_votes(column, row)
            elif self._position.phase == "error":
                self._paint_error(column)
        elif shown:
            self._paint_bars(column, row)
        left, width = column.x, column.width
        if column.kernel_grid is not None and (row == 0 or shown):
            text = f"±{limit_text(self._images.weight_limit(stage, row, self._updated))}"
            self._brush.text(
                left, column.tops[row] + column.row_height + 12, text, self._brush.theme.secondary_text
            )
            used = max(column.map_box(0, row).x - left, cached_font(SMALL_PX)[1].horizontalAdvance(text) + 8)
            left, width = left + used, width - used
        if shown and stage.kind != "votes":
            legend_of = stage if row == 0 else _signed(stage)
            legend = self._images.legend(stage, row)
            top = column.tops[row] + column.row_height + 2
            paint_legend(self._brush.painter, self._brush.theme, legend_of, legend, left, top, width)

    def _paint_maps(self, column: StepColumn, row: int, shown: bool) -> None:
        painter, stage, position = self._brush.painter, column.display_column, self._position
        for number in range(column.shown):
            target = qrect(column.map_box(number, row))
            if shown:
                image = self._images.map_image(stage, column.first_channel + number, row)
                small = target.width() * self._brush.ratio < image.width()
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, small)
                painter.drawImage(target, image)
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            self._brush.pen(self._brush.theme.border)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(target.adjusted(-0.5, -0.5, 0.5, 0.5))
            if column.kernel_grid is None or not (row == 0 or shown):
                continue
            for channel in range(column.kernel_grid.shown):
                updated = position.phase == "update"
                image = self._images.slice_image(stage, column.first_channel + number, channel, row, updated)
                painter.drawImage(qrect(column.slice_box(number, channel, row)), image)

    def _paint_bars(self, column: StepColumn, row: int) -> None:
        values = self._images.values(column.display_column, row)[
            column.first_channel : column.first_channel + column.shown
        ]
        level, theme = self._images.limit(column.display_column, row), self._brush.theme
        signed = row == 1 or column.display_column.signed
        room = column.width / 2 if signed else column.width
        zero = round(column.x + (column.width / 2 if signed else 0.0)) + 0.5
        for number, value in enumerate(values.tolist()):
            if not np.isfinite(value):
                continue
            box, share = column.bar_box(number, row), max(-1.0, min(value / level, 1.0))
            colour = QColor.fromRgb(int(theme.value_table[127 + round(127 * share)]))
            if abs(share) < 0.45:  # keeps a short bar visible against the background
                colour = QColor.fromRgb(int(theme.value_table[127 + (57 if share > 0 else -57)]))
            length = abs(share) * (room - 2)
            self._brush.fill(Box(zero if share > 0 else zero - length, box.y + 0.5, length, box.height - 1), colour)
        self._brush.pen(theme.secondary_text, dashed=True)
        bottom = column.bar_box(max(column.shown - 1, 0), row).bottom
        self._brush.painter.drawLine(QLineF(zero, column.tops[row], zero, bottom))

    def _paint_votes(self, column: StepColumn, row: int) -> None:
        """Paint the vote and the target of each class, or the gradient of its score, which is their difference."""
        example, theme, network = self._images.trace.example_pass, self._brush.theme, self._images.trace.network
        assert example is not None
        texts = vote_texts(network, example.votes.tolist())
        for number in range(column.shown):
            box, name = column.bar_box(number, row), network.classes[number]
            centre = QPointF(box.x + SYMBOL_SIZE / 2, box.y + 9)
            paint_class_symbol(self._brush.painter, theme, number, name, centre, SYMBOL_SIZE)
            vote, target = float(example.votes[number]), float(example.targets[number])
            target_text, gradient = score_texts(texts[number], target, float(example.gradients[-1][number]))
            if row == 1:
                end = self._brush.text(box.x + 20, box.y + 14, gradient, theme.text, LARGE_PX)
                paint_name_after(self._brush, number, name, end, box.y + 14, box.right)
                continue
            text = texts[number]
            end = self._brush.text(box.x + 20, box.y + 14, text, theme.text, LARGE_PX, strong=vote > 0.5)
            paint_name_after(self._brush, number, name, end, box.y + 14, box.right)
            if box.height >= 2 * _TARGET_LINE + 4:
                line = translate("StepView", "target {0}").format(target_text)
                self._brush.text(box.x + 20, box.y + 16 + _TARGET_LINE, line, theme.secondary_text)

    def _paint_error(self, column: StepColumn) -> None:
        example, box = self._images.trace.example_pass, column.bar_box(0, 1)
        assert example is not None
        self._brush.text(box.x, box.y + 12, translate("StepView", "error"), self._brush.theme.secondary_text)
        text = four_digit_text(example.error)
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
        painter.drawRoundedRect(qrect(box).adjusted(-6, -5, 6, 5), 6, 6)
        painter.restore()

    def _outline(self, box: Box, colour: str) -> None:
        self._brush.painter.setPen(QPen(QColor(colour), 1.5))
        self._brush.painter.setBrush(Qt.BrushStyle.NoBrush)
        self._brush.painter.drawRect(QRectF(box.x - 1, box.y - 1, box.width + 2, box.height + 2))


def _signed(stage: DisplayColumn) -> DisplayColumn:
    """The column of a layer's gradients: they can be negative, and are shown as maps even for the input."""
    kind: ColumnKind = "maps" if stage.kind == "picture" else stage.kind
    return replace(stage, kind=kind, signed=True)


def score_texts(vote: str, target: float, gradient: float) -> tuple[str, str]:
    """The target of a class and the gradient of its score, which is the vote less the target: "0 %", "+0.34"."""
    digits = len(vote.removesuffix(" %").partition(".")[2])
    shown = fixed_text(gradient, False, digits)
    if vote.startswith(("<", ">")):
        return percent_text(target), shown
    known = shown_number(vote.removesuffix(" %"))
    given = operands(
        [target],
        lambda targets: (known - targets) / 100,
        lambda value: fixed_text(value, False, digits),
        shown,
        lambda share, extra: f"{100 * share:.{extra}f}",
    )
    return f"{given.texts[0]} %", given.result(shown)
