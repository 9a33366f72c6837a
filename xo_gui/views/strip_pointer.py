"""Strip pointer: what lies under a point of the network's strips. It looks it up; it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xo_gui.state.selection import Cell
from xo_gui.views.columns import Column
from xo_gui.views.pager import leads, way_at
from xo_gui.views.shown_strip import ShownStrip
from xo_gui.views.stages import foldable
from xo_gui.views.strip_painter import ABOVE, Header

# A weight: the subject, the layer of its features, and its (feature, channel, row, column).
Weight = tuple[int, int, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Under:
    """At most one of: a cell; a weight; a header that a click does something to."""

    cell: Cell | None = None
    weight: Weight | None = None
    header: Header | None = None


def under(strips: Sequence[ShownStrip], x: float, y: float) -> Under:
    """What lies at a point of the strips (scrolling included)."""
    for subject, shown in enumerate(strips):
        column = shown.strip.column_at(x) if shown.strip else None
        if shown.strip is None or column is None:
            continue
        over, stage = shown.around.header and -ABOVE <= y - shown.strip.area.y < -8, column.stage
        if stage.kind == "group":
            inside = over or column.tile(0).holds(x, y)
            return Under(header=Header(subject, stage.shown) if inside else None)
        way = way_at(column, column.y - ABOVE, x, y) if shown.around.header else None
        if way is not None and leads(column, way):
            return Under(header=Header(subject, stage.shown, way))
        if found := column.find(x, y):
            return Under(cell=Cell(column.stage.shown, *found, subject=subject))
        if place := column.find_weight(x, y):
            return Under(weight=(subject, column.stage.shown, place))
        if over:
            relu = folding(shown, column)
            return Under(header=None if relu is None else Header(subject, stage.shown, folds=relu))
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


def header_of(shown: ShownStrip, cell: Cell) -> Header | None:
    """The header of the column that shows a cell, if something folds there."""
    column = shown.strip.column_of(cell.layer) if shown.strip else None
    relu = folding(shown, column) if column is not None else None
    return None if column is None or relu is None else Header(cell.subject, column.stage.shown, folds=relu)
