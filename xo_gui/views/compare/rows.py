"""The rows of a comparison: their layout, their toggle buttons, and the strip of differences."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtWidgets import QToolButton, QWidget

from engine.backends import HostArray
from engine.explain import ModelDifference
from xo_gui.app import SMALL_PX, TEXT_PX, current_theme, font, translate
from xo_gui.views.compare.text import DIFFERENCE_LABEL
from xo_gui.views.network import (
    FOOTER_SPACE,
    HEADER_SPACE,
    MODEL_LETTERS,
    RULE_TOP,
    SYMBOL_SIZE,
    Box,
    ColumnLayout,
    DisplayColumn,
    FoldState,
    StripDecorations,
    StripLayout,
    StripModel,
    StripPainter,
    paint_name_after,
    rounded_limit,
)
from xo_gui.widgets import MINUS, paint_class_symbol, signed_text

# The line with a row's name, and the space above it.
NAME_HEIGHT, GAP = 18.0, 4.0
LEGEND_HEIGHT, NEAR = RULE_TOP - 2.0, 3.0
# The least height of a row's tiles, with three rows open, or with two.
MIN_TILES_OF_THREE, MIN_TILES_OF_TWO = 96.0, 80.0
# Position of the tiles of a collapsed row, outside the view.
OFF_SCREEN = -100_000.0


@dataclass(frozen=True)
class ComparisonRow:
    """The geometry of a row.

    name: the box of its name.
    tiles: the box of its tiles.
    decorations: what is written around the tiles.
    folded: whether only the name is shown.
    """

    name: Box
    tiles: Box
    around: StripDecorations
    folded: bool = False

    @property
    def bottom(self) -> float:
        return self.name.bottom if self.folded else self.tiles.bottom + _below(self.around)


def comparison_rows(
    area: Box, alike: bool, differing: bool, folded: Set[int] = frozenset()
) -> tuple[ComparisonRow, ...]:
    """The rows of the first network, the second, and the difference.

    alike: whether both networks have the same columns, which then share one line of headers and one of legends.
    differing: whether any layer can be subtracted; if not, the third row is its name alone.
    folded: the rows (0 to 2) of which only the name is shown.

    If the tiles would be too low, the rows exceed the area's height.
    """
    open_rows = [at for at in range(3) if at not in folded and (at < 2 or differing)]
    decorations = _decorations(alike, open_rows)
    taken = 3 * (NAME_HEIGHT + GAP) + sum(_above(decorations[at]) + _below(decorations[at]) for at in open_rows)
    least = MIN_TILES_OF_THREE if len(open_rows) > 2 else MIN_TILES_OF_TWO
    height = max((area.height - taken) / max(len(open_rows), 1), least)
    made, y = [], area.y
    for at, one in enumerate(decorations):
        name, closed = Box(area.x, round(y + GAP), area.width, NAME_HEIGHT), at not in open_rows
        top = OFF_SCREEN if closed else round(y + GAP + NAME_HEIGHT + _above(one))
        made.append(ComparisonRow(name, Box(area.x, top, area.width, int(height)), one, closed))
        y += GAP + NAME_HEIGHT + (0 if closed else _above(one) + height + _below(one))
    return tuple(made)


def _decorations(alike: bool, open_rows: list[int]) -> list[StripDecorations]:
    """What is written around each row's tiles. Equal columns have their headers above the first open row, and the
    legend of both networks below the last of theirs; the difference has a legend of its own."""
    made = [StripDecorations(cost=False), StripDecorations(cost=False), StripDecorations(header=False, cost=False)]
    both = [at for at in open_rows if at < 2]
    if not alike:
        return made if both else [*made[:2], StripDecorations(cost=False)]
    for at in (0, 1):
        made[at] = replace(made[at], header=at == open_rows[0] if open_rows else True, legend=at in both[-1:])
    return [*made[:2], StripDecorations(header=open_rows == [2], cost=False)]


def _above(around: StripDecorations) -> float:
    return HEADER_SPACE if around.header else NEAR


def _below(around: StripDecorations) -> float:
    return FOOTER_SPACE if around.cost else LEGEND_HEIGHT if around.legend else NEAR


class RowToggles(QObject):
    """A button for each row on `parent`, checked while its row is open. folding_changed: a button was toggled."""

    folding_changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = False
        self.buttons: list[QToolButton] = []
        for letter in (*MODEL_LETTERS, DIFFERENCE_LABEL):
            button = QToolButton(parent)
            button.setText(letter)
            button.setCheckable(True)
            button.setChecked(True)
            button.setArrowType(Qt.ArrowType.DownArrow)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFont(font(SMALL_PX + 1, strong=True))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(self.tr("Collapse this row, to give the others its space, or expand it"))
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
        """The indices of the collapsed rows."""
        return frozenset(at for at, button in enumerate(self.buttons) if not button.isChecked())

    def setVisible(self, shown: bool) -> None:
        self._shown = shown
        for button in self.buttons:
            button.setVisible(shown)

    def set_rows(self, rows: Sequence[ComparisonRow], area: Box, differing: bool) -> None:
        """Move the buttons to the rows' names; those that are not within the area are hidden.

        differing: whether the third row has tiles.
        """
        for at, (row, button) in enumerate(zip(rows, self.buttons, strict=True)):
            width = button.sizeHint().width()
            button.setGeometry(int(row.name.x) - 4, int(row.name.y), width, int(row.name.height))
            button.setVisible(self._shown and row.name.y >= area.y and row.name.bottom <= area.bottom)
            button.setEnabled(at < 2 or differing)

    def shows(self, at: int) -> bool:
        """Whether a row's name is within the area."""
        return not self.buttons[at].isHidden()

    def right(self, at: int) -> float:
        """The right edge of a row's button."""
        return self.buttons[at].geometry().right()

    def _toggled(self) -> None:
        for button in self.buttons:
            button.setArrowType(Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow)
        self.folding_changed.emit()


class DifferenceStripModel(StripModel):
    """The columns of the layers that match; each layer's colours end at its largest difference."""

    def __init__(self, difference: ModelDifference, above: StripModel) -> None:
        super().__init__(difference.first)
        self.decorations = StripDecorations(header=False, cost=False)
        self.difference = difference
        self._above = above
        self._layer_limits: dict[int, float] = {}
        self._least_limits: dict[int, float] = {}

    def update_difference(self, difference: ModelDifference, adapt: bool) -> bool:
        """Show a new difference of the same networks. adapt: whether to adapt the colour limits to it. Returns
        whether a legend changes."""
        # The limits of a blank drawing are not kept: until the first stroke ends they only grow.
        blank = float(np.ptp(self.difference.first.activations[0])) == 0
        before = dict(self._layer_limits)
        self.difference, self.prediction = difference, difference.first
        self._atlases.clear()
        self._kernels.clear()
        if adapt or blank:
            self._least_limits = {} if adapt else before
            self._layer_limits.clear()
            self._kernel_limits.clear()
            self._limits.clear()
        return any(self.limit(layer) != end for layer, end in before.items())

    def limit(self, layer: int) -> float:
        """The colour limit of a layer: the difference at which its colours end."""
        if layer not in self._layer_limits:
            largest = rounded_limit(self.difference.largest(layer))
            self._layer_limits[layer] = max(largest, self._least_limits.get(layer, 0.0))
        return self._layer_limits[layer]

    def is_same(self, column: ColumnLayout) -> bool:
        """Whether both networks have the same values there, up to rounding."""
        return self.difference.largest(column.display.layer) == 0

    def update_layout(self, area: Box, ratio: float, folds: FoldState) -> StripLayout:
        """Lay out the columns that match, at the first network's horizontal positions."""
        above = self._above.unscrolled
        assert above is not None
        down = area.y - above.area.y
        columns = tuple(
            replace(column, y=column.y + down, display=_signed(column.display))
            for column in above.columns
            if column.display.layer in self.difference.layers and column.display.kind != "group"
        )
        placed = Box(above.area.x, area.y, above.area.width, above.area.height)
        self.unscrolled = StripLayout(columns, placed, above.width, above.bottom + down, ratio)
        self._atlases.clear()
        self._tiles.clear()
        self.set_visible_span(self.visible_span)
        return self.unscrolled

    def limits(self, column: ColumnLayout) -> HostArray:
        """The colour limit of a column's layer, (1,)."""
        return np.array([self.limit(column.display.layer) / self.gain])

    def values(self, column: ColumnLayout) -> HostArray | None:
        """The differences of the visible channels, second minus first; None until they arrive."""
        layer, maps = column.display.layer, self.visible_channels(column)
        return self.difference.channels(layer, maps) if self.difference.has(layer, maps) else None

    def _weights(self, column: ColumnLayout) -> HostArray:
        weights = self.difference.weights(column.display.layer)
        return np.zeros_like(super()._weights(column)) if weights is None else weights


class DifferencePainter(StripPainter):
    """Marks columns without a difference, and paints the difference of the votes in percentage points."""

    def _values(self, column: ColumnLayout) -> None:
        shown = self._strip
        assert isinstance(shown, DifferenceStripModel)
        if not shown.is_same(column):
            super()._values(column)
            return
        last = column.tile(column.maps.start + min(column.rows, len(column.maps)) - 1)
        # The tiles' frames are a pixel wider than the tiles.
        box = Box(column.x - 2, column.y - 2, column.width + 4, last.bottom - column.y + 4)
        self._brush.fill(box, current_theme().background)
        self._brush.text(
            column.x, column.y + 12, translate("CompareView", "the same"), current_theme().secondary_text
        )

    def _legend(self, column: ColumnLayout) -> None:
        shown = self._strip
        assert isinstance(shown, DifferenceStripModel)
        if not shown.is_same(column):
            super()._legend(column)

    def _votes(self, column: ColumnLayout, level: float) -> None:
        shown = self._strip
        assert isinstance(shown, DifferenceStripModel)
        first, second = shown.difference.first, shown.difference.second
        values = shown.difference.values(column.display.layer)
        shares = {prediction.model.network.vote for prediction in (first, second)} == {"softmax"}
        for index, name in enumerate(first.model.network.classes):
            row, score = column.tile(index), float(values[index])
            vote = float(second.votes[index]) - float(first.votes[index])
            line = row.y + 13
            centre = QPointF(row.x + SYMBOL_SIZE / 2, line - 5)
            paint_class_symbol(self._brush.painter, current_theme(), index, name, centre, SYMBOL_SIZE)
            text = (
                translate("CompareView", "{0} points").format(f"{100 * vote:+.1f}".replace("-", MINUS))
                if shares
                else signed_text(score)
            )
            end = self._brush.text(row.x + 20, line, text, current_theme().text, TEXT_PX)
            paint_name_after(self._brush, index, name, end, line, row.right)
            if shares and column.tile_height >= 56:
                text = translate("CompareView", "score {0}").format(signed_text(score))
                self._brush.text(row.x + 20, line + 16, text, current_theme().secondary_text)


def _signed(stage: DisplayColumn) -> DisplayColumn:
    """The column with signed values; the difference of two pictures is shown as maps."""
    return replace(stage, signed=True, kind="maps" if stage.kind == "picture" else stage.kind)
