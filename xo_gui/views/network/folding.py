"""Folds: what a person folded, turned to and opened in the strip. It lays nothing out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from PySide6.QtCore import QLineF

from xo_gui.app.theme import SMALL_PX
from xo_gui.state.selection import Cell
from xo_gui.views.network.column_painting import SIGN, SMALL_LINE, TITLE_LINE, Brush, kept_font
from xo_gui.views.network.layout import Box, Column, Opened, Strip

# To the page before, or after; to all maps at once, or back to a page.
Way = Literal["back", "on", "all"]


def places(column: Column, top: float) -> dict[Way, Box]:
    """Where its parts lie, under a header whose top is at `top`; nothing where a column has no pages."""
    if column.stage.pager is None:
        return {}
    shown = column.stage.pager[0]
    wide, y = kept_font(SMALL_PX)[1].horizontalAdvance(shown), top + TITLE_LINE + SMALL_LINE
    if not column.paged:
        return {"all": Box(column.x, y, wide, SMALL_LINE)}
    return {
        "back": Box(column.x, y, SIGN, SMALL_LINE),
        "all": Box(column.x + SIGN, y, wide, SMALL_LINE),
        "on": Box(column.x + SIGN + wide, y, SIGN, SMALL_LINE),
    }


def way_at(column: Column, top: float, x: float, y: float) -> Way | None:
    """What a click there does."""
    return next((way for way, box in places(column, top).items() if box.holds(x, y)), None)


def leads(column: Column, way: Way) -> bool:
    """Whether there is a page that way."""
    return {"back": column.maps.start > 0, "on": column.maps.stop < column.stage.count, "all": True}[way]


def turned(column: Column, way: Way) -> int | None:
    """The map that the page begins with after that; None for all maps at once."""
    if way == "all":
        return None if column.paged else 0
    if not leads(column, way):
        return column.maps.start
    size = column.across * column.rows
    return max(column.maps.start + (size if way == "on" else -size), 0)


def paint_pager(brush: Brush, column: Column, top: float, underlined: Way | None) -> None:
    """‹ 25–48 › of 512 × 126 × 126, or of 512 where there is less room; what can be clicked as clear as text."""
    assert column.stage.pager is not None
    (shown, *of), boxes, theme = column.stage.pager, places(column, top), brush.theme
    end, base = column.x, top + TITLE_LINE + 11 + SMALL_LINE
    for way, box in boxes.items():
        can = leads(column, way)
        if way == "all":
            brush.text(box.x, base, shown, theme.text)
        else:
            sign = "‹" if way == "back" else "›"
            wide = kept_font(SMALL_PX, True)[1].horizontalAdvance(sign)
            colour = theme.text if can else theme.faint
            brush.text(box.x + (SIGN - wide) / 2, base, sign, colour, SMALL_PX, True)
        if underlined == way and can:
            brush.pen(theme.text)
            brush.painter.drawLine(QLineF(box.x + 1, base + 2.5, box.right - 1, base + 2.5))
        end = box.right
    metrics = kept_font(SMALL_PX)[1]
    fits = end + 4 + metrics.horizontalAdvance(of[1]) <= column.right
    brush.text(end + 4, base, of[fits], theme.quiet)


@dataclass
class Folds:
    """chosen: ReLUs and the like (by layer) folded, or unfolded. pages: the map that a page begins with, by the
    layer whose levels it shares, so that a feature keeps its place up to its pool; None for all maps at once.
    opened: the run of layers that is not gathered, None for none. unfolded: what a search unfolded last."""

    chosen: dict[int, bool] = field(default_factory=dict)
    pages: dict[int, int | None] = field(default_factory=dict)
    opened: Opened | None = None
    unfolded: int | None = None

    def clear(self) -> None:
        """Nothing is chosen, as for another network."""
        self.chosen.clear()
        self.pages.clear()
        self.opened = self.unfolded = None

    def act(self, column: Column, way: Way | None, relu: int | None) -> None:
        """What a click on a column's header does: turn its pages; fold or unfold a ReLU; or open a group."""
        layers = column.stage.layers
        if way is not None:
            self.turn(column, way)
        elif relu is not None:
            self.chosen[relu] = column.stage.shown == relu
            if self.opened is not None:
                self.opened = (layers[0], layers[0])
        else:
            self.opened = (layers[0], layers[-1])

    def turn(self, column: Column, way: Way) -> None:
        """Another page, or all at once."""
        self.pages[column.stage.group] = turned(column, way)

    def gather(self) -> None:
        """All runs of layers lie gathered again."""
        self.opened = None

    def turned_to(self, column: Column | None, cell: Cell, way: Way) -> Cell:
        """The cell in the same place of the next page of its column; the same one where there is none."""
        if column is None or not column.paged or not leads(column, way):
            return cell
        self.turn(column, way)
        size = column.across * column.rows
        return replace(cell, channel=min(cell.channel + (size if way == "on" else -size), column.stage.count - 1))

    def show(self, strip: Strip, layer: int | None) -> None:
        """Open what hides a layer that was found, and give it a column of its own if it may have one; the one found
        before gives up its own."""
        if self.unfolded is not None:
            self.chosen.pop(self.unfolded, None)
            self.unfolded = None
        if layer is None:
            return
        self.reveal(strip, layer)
        column = strip.column_of(layer)
        if layer not in self.chosen and (column is None or layer != column.stage.shown):
            self.chosen[layer], self.unfolded = False, layer

    def reveal(self, strip: Strip, layer: int, channel: int | None = None) -> bool:
        """Open what hides this layer, and turn to this map of it; whether anything had to be."""
        hiding = next((one for one in strip.columns if layer in one.stage.layers), None)
        if hiding is None:
            return False
        if hiding.stage.kind == "group":
            self.opened = (layer, layer)
            if channel is not None and self.pages.get(hiding.stage.group, 0) is not None:
                self.pages[hiding.stage.group] = channel
            return True
        if channel is None or not hiding.is_map or channel in hiding.maps or channel >= hiding.stage.count:
            return False
        self.pages[hiding.stage.group] = channel
        return True
