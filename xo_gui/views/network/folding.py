"""Fold state: which layers the user has folded, which pages of maps are shown, and which run is expanded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from PySide6.QtCore import QLineF

from xo_gui.app.theme import SMALL_PX
from xo_gui.state.selection import Cell
from xo_gui.views.network.column_painting import SIGN, SMALL_LINE, TITLE_LINE, Brush, kept_font
from xo_gui.views.network.layout import Box, Column, Opened, Strip

# Previous page, next page; all maps at once, or back to a page.
Way = Literal["back", "on", "all"]


@dataclass
class Folds:
    """What the user has folded, paged and expanded.

    fold_choices: whether a pointwise layer is folded, by layer.
    page_starts: the first map of the page, or None for all maps, by scale layer, so that a feature keeps its place
        from its convolution to its pooling.
    expanded: the expanded run of layers.
    unfolded_by_search: the layer that the last search unfolded.
    """

    chosen: dict[int, bool] = field(default_factory=dict)
    pages: dict[int, int | None] = field(default_factory=dict)
    opened: Opened | None = None
    unfolded: int | None = None

    def clear(self) -> None:
        """Reset everything, as for another network."""
        self.chosen.clear()
        self.pages.clear()
        self.opened = self.unfolded = None

    def act(self, column: Column, part: Way | None, relu: int | None) -> None:
        """Apply a click on a column's header: turn a page, fold or unfold a pointwise layer, or expand a run."""
        layers = column.stage.layers
        if part is not None:
            self.turn(column, part)
        elif relu is not None:
            self.chosen[relu] = column.stage.shown == relu
            if self.opened is not None:
                self.opened = (layers[0], layers[0])
        else:
            self.opened = (layers[0], layers[-1])

    def turn(self, column: Column, part: Way) -> None:
        """Show another page, or all maps."""
        self.pages[column.stage.group] = turned(column, part)

    def gather(self) -> None:
        """Collapse all runs of layers."""
        self.opened = None

    def turned_to(self, column: Column | None, cell: Cell, part: Way) -> Cell:
        """Turn a column's page; returns the cell in the same place there, or `cell` if there is no such page."""
        if column is None or not column.paged or not leads(column, part):
            return cell
        self.turn(column, part)
        size = column.across * column.rows
        return replace(cell, channel=min(cell.channel + (size if part == "on" else -size), column.stage.count - 1))

    def show(self, layout: Strip, layer: int | None) -> None:
        """Expand the run that hides a search match and unfold its column; the previous match is folded again."""
        if self.unfolded is not None:
            self.chosen.pop(self.unfolded, None)
            self.unfolded = None
        if layer is None:
            return
        self.reveal(layout, layer)
        column = layout.column_of(layer)
        if layer not in self.chosen and (column is None or layer != column.stage.shown):
            self.chosen[layer], self.unfolded = False, layer

    def reveal(self, layout: Strip, layer: int, channel: int | None = None) -> bool:
        """Expand the run that hides a layer, and turn to a map of it; returns whether anything has changed."""
        column = next((column for column in layout.columns if layer in column.stage.layers), None)
        if column is None:
            return False
        if column.stage.kind == "group":
            self.opened = (layer, layer)
            if channel is not None and self.pages.get(column.stage.group, 0) is not None:
                self.pages[column.stage.group] = channel
            return True
        if channel is None or not column.is_map or channel in column.maps or channel >= column.stage.count:
            return False
        self.pages[column.stage.group] = channel
        return True


def paint_pager(brush: Brush, column: Column, top: float, underlined: Way | None) -> None:
    """Paint "‹ 25–48 › of 512 × 126 × 126", or "of 512" where there is less room; active parts are brighter."""
    assert column.stage.pager is not None
    (text, *totals), boxes, theme = column.stage.pager, places(column, top), brush.theme
    end, base = column.x, top + TITLE_LINE + 11 + SMALL_LINE
    for part, box in boxes.items():
        is_enabled = leads(column, part)
        if part == "all":
            brush.text(box.x, base, text, theme.text)
        else:
            arrow = "‹" if part == "back" else "›"
            width = kept_font(SMALL_PX, True)[1].horizontalAdvance(arrow)
            colour = theme.text if is_enabled else theme.faint
            brush.text(box.x + (SIGN - width) / 2, base, arrow, colour, SMALL_PX, True)
        if underlined == part and is_enabled:
            brush.pen(theme.text)
            brush.painter.drawLine(QLineF(box.x + 1, base + 2.5, box.right - 1, base + 2.5))
        end = box.right
    metrics = kept_font(SMALL_PX)[1]
    fits = end + 4 + metrics.horizontalAdvance(totals[1]) <= column.right
    brush.text(end + 4, base, totals[fits], theme.quiet)


def places(column: Column, top: float) -> dict[Way, Box]:
    """The parts of a column's pager, under a header that begins at `top`; empty for a column without a pager."""
    if column.stage.pager is None:
        return {}
    text = column.stage.pager[0]
    width, y = kept_font(SMALL_PX)[1].horizontalAdvance(text), top + TITLE_LINE + SMALL_LINE
    if not column.paged:
        return {"all": Box(column.x, y, width, SMALL_LINE)}
    return {
        "back": Box(column.x, y, SIGN, SMALL_LINE),
        "all": Box(column.x + SIGN, y, width, SMALL_LINE),
        "on": Box(column.x + SIGN + width, y, SIGN, SMALL_LINE),
    }


def way_at(column: Column, top: float, x: float, y: float) -> Way | None:
    """The part of a column's pager at a point."""
    return next((part for part, box in places(column, top).items() if box.holds(x, y)), None)


def leads(column: Column, part: Way) -> bool:
    """Whether there is a page in this direction."""
    return {"back": column.maps.start > 0, "on": column.maps.stop < column.stage.count, "all": True}[part]


def turned(column: Column, part: Way) -> int | None:
    """The first map of the page that a click on this part leads to; None for all maps at once."""
    if part == "all":
        return None if column.paged else 0
    if not leads(column, part):
        return column.maps.start
    size = column.across * column.rows
    return max(column.maps.start + (size if part == "on" else -size), 0)
