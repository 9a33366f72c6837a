"""Difference strip: what the compare view holds of the difference of two readings, in the columns of the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, QPointF

from engine.explain.model_difference import Difference
from xo_gui.app.theme import TEXT_PX
from xo_gui.views import column_painter as draw
from xo_gui.views.columns import Box, Column, Strip
from xo_gui.views.folds import Folds
from xo_gui.views.levels import calm
from xo_gui.views.numerals import MINUS, signed
from xo_gui.views.shown_strip import Around, ShownStrip
from xo_gui.views.stages import Stage
from xo_gui.views.strip_painter import StripPainter
from xo_gui.views.symbols import paint_class

HostArray: TypeAlias = "np.ndarray[Any, Any]"


class DifferenceStrip(ShownStrip):
    """The columns of the layers that match, each with colours of its own, as far as its largest difference."""

    def __init__(self, difference: Difference, above: ShownStrip) -> None:
        super().__init__(difference.first)
        self.around = Around(header=False, cost=False)
        self.difference = difference
        self._above = above
        self._ends: dict[int, float] = {}
        self._least: dict[int, float] = {}

    def follow(self, difference: Difference, adapt: bool) -> bool:
        """Show these differences of the same networks; `adapt` the levels, or hold them. Returns whether a legend
        changes."""
        # Levels of a blank picture are none to hold: until the first stroke ends they only grow.
        blank = float(np.ptp(self.difference.first.outputs[0])) == 0
        before = dict(self._ends)
        self.difference, self.reading = difference, difference.first
        self._atlases.clear()
        self._kernels.clear()
        if adapt or blank:
            self._least = {} if adapt else before
            self._ends.clear()
            self._kernel_levels.clear()
            self._levels.clear()
        return any(self.end(layer) != end for layer, end in before.items())

    def end(self, layer: int) -> float:
        """The difference at which a layer's colours end."""
        if layer not in self._ends:
            self._ends[layer] = max(calm(self.difference.largest(layer)), self._least.get(layer, 0.0))
        return self._ends[layer]

    def same(self, column: Column) -> bool:
        """Whether there is nothing but rounding to tell the two apart."""
        return self.difference.largest(column.stage.shown) == 0

    def lay_out(self, area: Box, ratio: float, folds: Folds) -> Strip:
        """The columns that match, at the first network's places but in this area's height."""
        above = self._above.strip
        assert above is not None
        down = area.y - above.area.y
        columns = tuple(
            replace(column, y=column.y + down, stage=_signed(column.stage))
            for column in above.columns
            if column.stage.shown in self.difference.layers and column.stage.kind != "group"
        )
        placed = Box(above.area.x, area.y, above.area.width, above.area.height)
        self.strip = Strip(columns, placed, above.width, above.bottom + down, ratio)
        self._atlases.clear()
        self._tiles.clear()
        self.look(self.seen)
        return self.strip

    def levels(self, column: Column) -> HostArray:
        """(1,): one for a layer, whatever the levels of the others are."""
        return np.array([self.end(column.stage.shown) / self.gain])

    def values(self, column: Column) -> HostArray | None:
        """How much more the second has than the first of what is in view; None while that is on its way."""
        layer, maps = column.stage.shown, self.channels(column)
        return self.difference.maps(layer, maps) if self.difference.holds(layer, maps) else None

    def _weights(self, column: Column) -> HostArray:
        weights = self.difference.weights(column.stage.shown)
        return np.zeros_like(super()._weights(column)) if weights is None else weights


class DifferencePainter(StripPainter):
    """Says where nothing differs, and paints the votes' difference in hundredths."""

    def _values(self, column: Column) -> None:
        shown = self._shown
        assert isinstance(shown, DifferenceStrip)
        if not shown.same(column):
            super()._values(column)
            return
        last = column.tile(column.maps.start + min(column.rows, len(column.maps)) - 1)
        # The frames around the tiles are a pixel wider than these.
        box = Box(column.x - 2, column.y - 2, column.width + 4, last.bottom - column.y + 4)
        self._brush.fill(box, self._theme.ground)
        self._brush.text(column.x, column.y + 12, _tr("the same"), self._theme.quiet)

    def _legend(self, column: Column) -> None:
        shown = self._shown
        assert isinstance(shown, DifferenceStrip)
        if not shown.same(column):
            super()._legend(column)

    def _votes(self, column: Column, level: float) -> None:
        shown = self._shown
        assert isinstance(shown, DifferenceStrip)
        first, second = shown.difference.first, shown.difference.second
        values = shown.difference.values(column.stage.shown)
        shares = {reading.subject.network.vote for reading in (first, second)} == {"softmax"}
        for index, name in enumerate(first.subject.network.classes):
            row, score = column.tile(index), float(values[index])
            vote = float(second.votes[index]) - float(first.votes[index])
            line = row.y + 13
            centre = QPointF(row.x + draw.SYMBOL / 2, line - 5)
            paint_class(self._brush.painter, self._theme, index, name, centre, draw.SYMBOL)
            said = _tr("{0} points").format(f"{100 * vote:+.1f}".replace("-", MINUS)) if shares else signed(score)
            self._brush.text(row.x + 20, line, said, self._theme.text, TEXT_PX)
            if shares and column.tile_height >= 56:
                told = _tr("score {0}").format(signed(score))
                self._brush.text(row.x + 20, line + 16, told, self._theme.quiet)


def _signed(stage: Stage) -> Stage:
    """The same column, of values that may be above and below 0; a difference is no picture."""
    return replace(stage, signed=True, kind="maps" if stage.kind == "picture" else stage.kind)


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareView", text)
