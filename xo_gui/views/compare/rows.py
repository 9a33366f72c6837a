"""Compare rows: where the two networks and their difference lie, one below the other. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, QObject, QPointF, Qt, Signal
from PySide6.QtWidgets import QToolButton, QWidget

from engine.explain.model_difference import Difference
from xo_gui.app.theme import SMALL_PX, TEXT_PX, font
from xo_gui.views.compare.text import BOTH
from xo_gui.views.network import column_painting as draw
from xo_gui.views.network.colour_limits import calm
from xo_gui.views.network.folding import Folds
from xo_gui.views.network.layer_labels import Stage
from xo_gui.views.network.layout import Box, Column, Strip
from xo_gui.views.network.model_names import LETTERS
from xo_gui.views.network.strip_painting import ABOVE, BELOW, RULE_TOP, StripPainter
from xo_gui.views.network.strip_state import Around, ShownStrip
from xo_gui.widgets.map_images import paint_class
from xo_gui.widgets.number_text import MINUS, signed

# The line with a row's name, and what parts a row from the one above.
NAME_HEIGHT, GAP = 18.0, 4.0
LEGEND_HEIGHT, NEAR = RULE_TOP - 2.0, 3.0
# What the tiles of a row need to be worth looking at: three maps one above the other, or two.
LEAST, LEAST_OF_TWO = 96.0, 80.0
# Where the tiles of a folded row lie: nowhere.
AWAY = -100_000.0


@dataclass(frozen=True)
class Row:
    """name: where its name is written; tiles: where its tiles go; around: what is written about them. folded:
    whether the name is all that is shown of it."""

    name: Box
    tiles: Box
    around: Around
    folded: bool = False

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.name.bottom if self.folded else self.tiles.bottom + _below(self.around)


def rows(area: Box, alike: bool, differing: bool, folded: Set[int] = frozenset()) -> tuple[Row, ...]:
    """The first network, the second, and the difference.

    alike: whether the two have the same columns, which then stand in line under headers said once, with legends
    said once for both. differing: whether any layer can be subtracted; if not, the difference is its name's line
    alone. folded: the rows (0 to 2) of which only the name is shown. Where tiles would be lower than LEAST, the
    rows take more than the area's height.
    """
    open_rows = [at for at in range(3) if at not in folded and (at < 2 or differing)]
    around = _arounds(alike, open_rows)
    taken = 3 * (NAME_HEIGHT + GAP) + sum(_above(around[at]) + _below(around[at]) for at in open_rows)
    least = LEAST if len(open_rows) > 2 else LEAST_OF_TWO
    room = max((area.height - taken) / max(len(open_rows), 1), least)
    found, y = [], area.y
    for at, one in enumerate(around):
        name, shut = Box(area.x, round(y + GAP), area.width, NAME_HEIGHT), at not in open_rows
        top = AWAY if shut else round(y + GAP + NAME_HEIGHT + _above(one))
        found.append(Row(name, Box(area.x, top, area.width, int(room)), one, shut))
        y += GAP + NAME_HEIGHT + (0 if shut else _above(one) + room + _below(one))
    return tuple(found)


def _arounds(alike: bool, open_rows: list[int]) -> list[Around]:
    """What is written about each row's tiles: of equal columns the headers above the first that is open, and the
    legends of both networks below the last of them; the difference has legends of its own."""
    around = [Around(cost=False), Around(cost=False), Around(header=False, cost=False)]
    both = [at for at in open_rows if at < 2]
    if not alike:
        return around if both else [*around[:2], Around(cost=False)]
    for at in (0, 1):
        around[at] = replace(around[at], header=at == open_rows[0] if open_rows else True, legend=at in both[-1:])
    return [*around[:2], Around(header=open_rows == [2], cost=False)]


def _above(around: Around) -> float:
    return ABOVE if around.header else NEAR


def _below(around: Around) -> float:
    return BELOW if around.cost else LEGEND_HEIGHT if around.legend else NEAR


_WIDTHS = (36, 36, 68)


class RowNames(QObject):
    """A button for each row on `parent`, checked while its row is open. folding: a row was folded, or opened."""

    folding = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = False
        self.buttons: list[QToolButton] = []
        for letter in (*LETTERS, BOTH):
            button = QToolButton(parent)
            button.setText(letter)
            button.setCheckable(True)
            button.setChecked(True)
            button.setArrowType(Qt.ArrowType.DownArrow)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFont(font(SMALL_PX + 1, strong=True))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(self.tr("Fold this row, to give the others its room, or open it"))
            button.setAccessibleName(self.tr("Show the row {0}").format(letter))
            button.setStyleSheet(
                "QToolButton { padding: 0 1px; background: transparent; border: 1px solid transparent; }"
                "QToolButton:focus { border: 1px solid palette(highlight); }"
            )
            button.toggled.connect(self._toggled)
            button.hide()
            self.buttons.append(button)

    @property
    def folded(self) -> frozenset[int]:
        """The rows that are."""
        return frozenset(at for at, button in enumerate(self.buttons) if not button.isChecked())

    def setVisible(self, shown: bool) -> None:
        """Whether there are rows."""
        self._shown = shown
        for button in self.buttons:
            button.setVisible(shown)

    def place(self, rows: Sequence[Row], top: float, differing: bool) -> None:
        """Where the rows' names are; above `top` none is seen. differing: whether the third has what can fold."""
        for at, (row, button) in enumerate(zip(rows, self.buttons, strict=True)):
            button.setGeometry(int(row.name.x) - 4, int(row.name.y), _WIDTHS[at], int(row.name.height))
            button.setVisible(self._shown and row.name.y >= top)
            button.setEnabled(at < 2 or differing)

    def right(self, at: int) -> float:
        """Where a row's letter ends."""
        return self.buttons[at].geometry().right()

    def _toggled(self) -> None:
        for button in self.buttons:
            button.setArrowType(Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow)
        self.folding.emit()


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
