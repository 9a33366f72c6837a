"""Strip pointer: what lies under a point of the network's strips. It looks it up; it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xo_gui.session import Cell
from xo_gui.views.columns import Column
from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.stages import foldable
from xo_gui.views.strip_painter import ABOVE

# A weight: the subject, the layer of its features, and its (feature, channel, row, column).
Weight = tuple[int, int, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Under:
    """At most one of: a cell; a weight; the header, (subject, layer), that a click folds or unfolds."""

    cell: Cell | None = None
    weight: Weight | None = None
    header: tuple[int, int] | None = None


def under(strips: Sequence[ShownStrip], x: float, y: float) -> Under:
    """What lies at a point of the strips (scrolling included)."""
    for subject, shown in enumerate(strips):
        column = shown.strip.column_at(x) if shown.strip else None
        if shown.strip is None or column is None:
            continue
        if found := column.find(x, y):
            return Under(cell=Cell(column.stage.shown, *found, subject=subject))
        if place := column.find_weight(x, y):
            return Under(weight=(subject, column.stage.shown, place))
        if -ABOVE <= y - shown.strip.area.y < -8:
            relu = folding(shown, column)
            return Under(header=None if relu is None else (subject, relu))
    return Under()


def middle_of(strips: Sequence[ShownStrip], weight: Weight) -> Cell:
    """The value in the middle of the map that the feature of this weight made."""
    subject, layer, (feature, *_) = weight
    shape = strips[subject].reading.subject.network.shapes[layer]
    return Cell(layer, feature, shape[1] // 2, shape[2] // 2, subject)


def folding(shown: ShownStrip, column: Column) -> int | None:
    """The layer, such as a ReLU, that a click on this column's header folds or unfolds."""
    layer = column.stage.layers[-1]
    return layer if layer in foldable(shown.reading.subject.network) else None


def folding_at(shown: ShownStrip, cell: Cell) -> int | None:
    """The same of the column that shows a cell."""
    column = shown.strip.column_of(cell.layer) if shown.strip else None
    return None if column is None else folding(shown, column)
