"""Step painter: draws the columns of a step taken apart as far as it has come. It lays out nothing."""

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

HEADER, LEGEND, ROW_GAP, GAP, TILE_GAP = 34.0, 16.0, 6.0, 26.0, 5.0
TILE, LEAST_TILE, BAR = 58.0, 24.0, 4.0
BARS_WIDE, VOTES_WIDE = 66.0, 116.0
_LEAST_CELL, _MOST_CELL = 3, 8


@dataclass(frozen=True)
class Slices:
    """The weights of one feature as a grid of slices. across: slices side by side; shown: how many of them; cell:
    of one weight; size: weights along a slice's side."""

    across: int
    shown: int
    cell: int
    size: int

    @property
    def pitch(self) -> int:
        """From one slice to the next."""
        return self.size * self.cell + 1

    @property
    def width(self) -> int:
        """Of the grid."""
        return self.across * self.pitch - 1


@dataclass(frozen=True)
class StepColumn:
    """One layer: its values above, the error's gradients in them beneath.

    first, shown: which maps or values are there. x, width; tops: of the two rows; high: of a row. tile: the side of
    a map, down: maps from top to bottom. slices: the weights beside each map, if any.
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
        """The first x beyond it."""
        return self.x + self.width

    @property
    def is_maps(self) -> bool:
        """Whether it shows maps, and not bars or votes."""
        return self.stage.kind in ("maps", "picture")

    def area(self, row: int) -> Box:
        """All of one row, 0 for values and 1 for gradients."""
        return Box(self.x, self.tops[row], self.width, self.high)

    def map(self, number: int, row: int) -> Box:
        """Where the map shown as `number` lies."""
        across, down = divmod(number, self.down)
        left = self.x + across * (self._step) + self._beside
        return Box(left, self.tops[row] + down * (self.tile + TILE_GAP), self.tile, self.tile)

    def bar(self, number: int, row: int) -> Box:
        """Where the value shown as `number` has its bar, or the class its line."""
        high = self.high / max(self.shown, 1) if self.stage.kind == "votes" else BAR
        return Box(self.x, self.tops[row] + number * high, self.width, high)

    def value_at(self, x: float, y: float) -> tuple[int, tuple[int, ...]] | None:
        """The row, and the place in the layer, of the value at a point: of a map, or of a bar."""
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
        """Where a slice of the feature beside a map lies. Only if there are slices."""
        assert self.slices is not None
        grid, tile = self.slices, self.map(number, row)
        down, across = divmod(channel, grid.across)
        side = grid.size * grid.cell
        return Box(tile.x - self._beside + across * grid.pitch, tile.y + down * grid.pitch, side, side)

    def weight_at(self, x: float, y: float) -> tuple[int, int, int, int] | None:
        """The (feature, channel, row, column) of the weight at a point, in either row."""
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
        """Where a weight (feature, channel, row, column) lies, if it is shown."""
        if self.slices is None or len(index) != 4:
            return None
        number = index[0] - self.first
        if not 0 <= number < self.shown or index[1] >= self.slices.shown:
            return None
        box, cell = self.slice(number, index[1], row), self.slices.cell
        return Box(box.x + index[3] * cell, box.y + index[2] * cell, cell, cell)

    @property
    def more(self) -> int:
        """How many maps or values are not shown."""
        return self.stage.count - self.shown

    @property
    def _beside(self) -> float:
        return 0.0 if self.slices is None else self.slices.width + 4.0

    @property
    def _step(self) -> float:
        return self._beside + self.tile + TILE_GAP


def lay_out(
    stages: Sequence[Stage],
    height: float,
    header_width: Callable[[Stage], float],
    pages: Mapping[int, int],
    most: int,
) -> tuple[StepColumn, ...]:
    """The columns from left to right in `height`. header_width: of a stage's words; pages: from which map a stage
    (by the layer shown) is shown; most: so many of them are known."""
    high = max((height - HEADER - 2 * LEGEND - ROW_GAP) / 2, 2 * LEAST_TILE)
    tops = (HEADER, HEADER + high + LEGEND + ROW_GAP)
    columns: list[StepColumn] = []
    x = 0.0
    for stage in stages:
        column = _column(stage, x, tops, high, pages.get(stage.shown, 0), min(stage.count, most))
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
    return StepColumn(**{**vars(column), "width": across * column._step - TILE_GAP})


def _slices(kernel: tuple[int, ...], tile: float) -> Slices:
    """As many slices of a feature as can be told apart beside a map."""
    channels, size = kernel[0], kernel[1]
    across = math.ceil(math.sqrt(channels))
    while across > 1 and (tile + 1) / across - 1 < _LEAST_CELL * size:
        across -= 1
    cell = int(((tile + 1) / across - 1) // size)
    return Slices(across, min(channels, across * across), max(1, min(cell, _MOST_CELL)), size)


HostArray: TypeAlias = "np.ndarray[Any, Any]"
_TARGET_LINE = 14.0


class StepPictures:
    """The colours of one step taken apart: its levels, and an image of every map and slice asked for, kept."""

    def __init__(self, found: Dissection, theme: Theme) -> None:
        self.found, self.theme = found, theme
        assert found.seen is not None
        self._peaks = Peaks.of(found.network, Outputs.whole(found.seen.outputs))
        self._images: dict[tuple[str, int, int, int], QImage] = {}
        self._levels: dict[tuple[str, int], float] = {}

    def values(self, stage: Stage, row: int) -> HostArray:
        """Of the followed example: a layer's values, row 0, or the error's gradients in them, row 1."""
        assert self.found.seen is not None
        arrays = self.found.seen.outputs if row == 0 else self.found.seen.gradients
        return arrays[stage.shown]

    def level(self, stage: Stage, row: int) -> float:
        """Where the colours of a row end: values share theirs up to the next features, gradients have their own."""
        if row == 0:
            return float(self._peaks.levels(stage, "shared")[0])
        return self._own(f"gradient {stage.shown}", self.values(stage, 1))

    def weights(self, stage: Stage, row: int, updated: bool) -> HostArray:
        """Of the features: row 0 as they are, or after the step; row 1 their gradient, or their change."""
        update, name = self.found.update, f"{self.found.network.names[stage.shown]}.weight"
        assert update is not None
        if row == 0:
            return update.after[name] if updated else update.before[name]
        return update.change(name) if updated else update.gradients[name]

    def weight_level(self, stage: Stage, row: int, updated: bool) -> float:
        """Where the colours of the features end."""
        # Old and new weights share theirs, so that a change is a change of colour.
        which = updated and row == 1
        return self._own(f"weights {row} {which} {stage.shown}", self.weights(stage, row, which))

    def map(self, stage: Stage, number: int, row: int) -> QImage:
        """One map of a layer."""
        picture = stage.kind == "picture" and row == 0
        key = (f"map {row}", stage.shown, number, 0)
        if key not in self._images:
            level, table = self.level(stage, row), self.theme.value_table
            if picture:
                level, table = 1.0, self.theme.picture_table
            words = colours(self.values(stage, row)[number], -level, level, table)
            self._images[key] = to_qimage(words)
        return self._images[key]

    def slice(self, stage: Stage, feature: int, channel: int, row: int, updated: bool) -> QImage:
        """One slice of a feature."""
        key = (f"slice {row} {updated}", stage.shown, feature, channel)
        if key not in self._images:
            level = self.weight_level(stage, row, updated)
            values = self.weights(stage, row, updated)[feature, channel]
            self._images[key] = to_qimage(colours(values, -level, level, self.theme.value_table))
        return self._images[key]

    def _own(self, key: str, values: HostArray) -> float:
        if (key, 0) not in self._levels:
            finite = np.abs(values[np.isfinite(values)])
            self._levels[key, 0] = calm(float(finite.max(initial=0.0)))
        return self._levels[key, 0]


class StepPainter:
    """Paints columns at one beat. weight: the value looked at; hovered: the one under the mouse."""

    def __init__(self, brush: draw.Brush, pictures: StepPictures, beat: Beat) -> None:
        self._brush, self._pictures, self._beat = brush, pictures, beat
        self._updated = beat.act == "update"

    def column(self, column: StepColumn, at: int, titled: str, line: str) -> None:
        """One column, the one at place `at`."""
        beat, theme = self._beat, self._brush.theme
        come = reached(beat, "forward", at)
        current = beat.column == at and beat.act in ("forward", "backward", "error")
        if current:
            self._stand_out(column.area(1 if beat.act == "backward" else 0))
        end = self._brush.text(column.x, 13, titled, theme.text if come else theme.quiet, TITLE_PX, strong=True)
        if current:
            self._brush.pen(theme.text)
            self._brush.painter.drawLine(QLineF(column.x, 16.5, end, 16.5))
        self._brush.text(column.x, 28, line, theme.quiet)
        for row, shown in ((0, come), (1, reached(beat, "backward", at))):
            self._row(column, row, shown)

    def arrows(self, columns: Sequence[StepColumn]) -> None:
        """Between the columns, as far as values and gradients have come."""
        for at, (left, right) in enumerate(pairwise(columns)):
            middle = (left.right + right.x) / 2
            if reached(self._beat, "forward", at + 1):
                self._arrow(middle, left.tops[0] + left.high / 2, 1)
            if reached(self._beat, "backward", at):
                self._arrow(middle, left.tops[1] + left.high / 2, -1)

    def mark(self, columns: Sequence[StepColumn], place: Place | None, colour: str) -> None:
        """Outline a weight, in both rows."""
        if place is None:
            return
        for column in columns:
            if f"{self._pictures.found.network.names[column.stage.shown]}.weight" != place[0]:
                continue
            for row in range(2):
                box = column.weight_box(place[1], row)
                if box is not None:
                    self._outline(box, colour)

    def _row(self, column: StepColumn, row: int, shown: bool) -> None:
        stage = column.stage
        if column.is_maps:
            self._maps(column, row, shown)
        elif stage.kind == "votes":
            if shown:
                self._votes(column, row)
            elif self._beat.act == "error":
                self._error(column)
        elif shown:
            self._bars(column, row)
        left, width = column.x, column.width
        if column.slices is not None and (row == 0 or shown):
            said = f"±{number_text.level(self._pictures.weight_level(stage, row, self._updated))}"
            self._brush.text(left, column.tops[row] + column.high + 12, said, self._brush.theme.quiet)
            gone = max(column.map(0, row).x - left, draw.kept_font(SMALL_PX)[1].horizontalAdvance(said) + 8)
            left, width = left + gone, width - gone
        if shown and stage.kind != "votes":
            like = stage if row == 0 else _signed(stage)
            level = self._pictures.level(stage, row)
            top = column.tops[row] + column.high + 2
            paint_legend(self._brush.painter, self._brush.theme, like, level, left, top, width)

    def _maps(self, column: StepColumn, row: int, shown: bool) -> None:
        painter, stage, beat = self._brush.painter, column.stage, self._beat
        for number in range(column.shown):
            target = draw.rect(column.map(number, row))
            if shown:
                image = self._pictures.map(stage, column.first + number, row)
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
                updated = beat.act == "update"
                image = self._pictures.slice(stage, column.first + number, channel, row, updated)
                painter.drawImage(draw.rect(column.slice(number, channel, row)), image)

    def _bars(self, column: StepColumn, row: int) -> None:
        values = self._pictures.values(column.stage, row)[column.first : column.first + column.shown]
        level, theme = self._pictures.level(column.stage, row), self._brush.theme
        signed = row == 1 or column.stage.signed
        room = column.width / 2 if signed else column.width
        zero = round(column.x + (column.width / 2 if signed else 0.0)) + 0.5
        for number, value in enumerate(values.tolist()):
            if not np.isfinite(value):
                continue
            box, share = column.bar(number, row), max(-1.0, min(value / level, 1.0))
            colour = QColor.fromRgb(int(theme.value_table[127 + round(127 * share)]))
            if abs(share) < 0.45:  # a short bar is not to be lost in the ground
                colour = QColor.fromRgb(int(theme.value_table[127 + (57 if share > 0 else -57)]))
            length = abs(share) * (room - 2)
            self._brush.fill(Box(zero if share > 0 else zero - length, box.y + 0.5, length, box.height - 1), colour)
        self._brush.pen(theme.quiet, dashed=True)
        bottom = column.bar(max(column.shown - 1, 0), row).bottom
        self._brush.painter.drawLine(QLineF(zero, column.tops[row], zero, bottom))

    def _votes(self, column: StepColumn, row: int) -> None:
        """Each class with its vote and what it should be, or with its gradient: the one minus the other."""
        seen, theme, network = self._pictures.found.seen, self._brush.theme, self._pictures.found.network
        assert seen is not None
        for number in range(column.shown):
            box, name = column.bar(number, row), network.classes[number]
            centre = QPointF(box.x + draw.SYMBOL / 2, box.y + 9)
            paint_class(self._brush.painter, theme, number, name, centre, draw.SYMBOL)
            vote, share = float(seen.votes[number]), float(seen.shares[number])
            if row == 1:
                said = number_text.signed(float(seen.gradients[-1][number]))
                self._brush.text(box.x + 20, box.y + 14, said, theme.text, LARGE_PX)
                continue
            said = number_text.percent(min(max(vote, 1e-6), 1 - 1e-6))
            self._brush.text(box.x + 20, box.y + 14, said, theme.text, LARGE_PX, strong=vote > 0.5)
            if box.height >= 2 * _TARGET_LINE + 4:
                should = _tr("should be {0}").format(f"{100 * share:.0f} %")
                self._brush.text(box.x + 20, box.y + 16 + _TARGET_LINE, should, theme.quiet)

    def _error(self, column: StepColumn) -> None:
        """What the votes come to."""
        seen, box = self._pictures.found.seen, column.bar(0, 1)
        assert seen is not None
        self._brush.text(box.x, box.y + 12, _tr("error"), self._brush.theme.quiet)
        said = number_text.figures(seen.error)
        self._brush.text(box.x, box.y + 32, said, self._brush.theme.text, LARGE_PX, strong=True)

    def _arrow(self, x: float, y: float, way: int) -> None:
        painter, reach = self._brush.painter, (GAP - 12) / 2
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._brush.pen(self._brush.theme.text, 1.4)
        painter.drawLine(QLineF(x - reach, y, x + reach, y))
        tip = x + way * reach
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(
            QPolygonF([QPointF(tip - way * 4, y - 3.5), QPointF(tip, y), QPointF(tip - way * 4, y + 3.5)])
        )
        painter.restore()

    def _stand_out(self, box: Box) -> None:
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
    """A gradient can be below 0 whatever its values can, and is no picture."""
    kind: Kind = "maps" if stage.kind == "picture" else stage.kind
    return replace(stage, kind=kind, signed=True)


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)
