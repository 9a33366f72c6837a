"""Folds: what a person folded, turned to and opened in the strip. It lays nothing out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from xo_gui.state.selection import Cell
from xo_gui.views.columns import Column, Strip
from xo_gui.views.groups import Opened
from xo_gui.views.pager import Way, leads, turned


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
