"""Fold state: which layers the user has folded, which pages of maps are shown, and which run is expanded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from PySide6.QtCore import QLineF

from xo_gui.app import SMALL_PX
from xo_gui.state import CellRef
from xo_gui.views.network.column_painting import ARROW_WIDTH, SMALL_LINE, TITLE_LINE, Brush, cached_font
from xo_gui.views.network.layout import Box, ColumnLayout, LayerRange, StripLayout

# Previous page, next page; all maps at once, or back to a page.
PagerPart = Literal["back", "on", "all"]


@dataclass
class FoldState:
    """What the user has folded, paged and expanded.

    fold_choices: whether a pointwise layer is folded, by layer.
    page_starts: the first map of the page, or None for all maps, by scale layer, so that a feature keeps its place
        from its convolution to its pooling.
    expanded: the expanded run of layers.
    unfolded_by_search: the layer that the last search unfolded.
    """

    fold_choices: dict[int, bool] = field(default_factory=dict)
    page_starts: dict[int, int | None] = field(default_factory=dict)
    expanded: LayerRange | None = None
    unfolded_by_search: int | None = None

    def reset(self, fold_choices: dict[int, bool]) -> None:
        """Reset everything, as for another network, of which these layers are folded."""
        self.fold_choices = fold_choices
        self.page_starts.clear()
        self.expanded = self.unfolded_by_search = None

    def apply_click(self, column: ColumnLayout, part: PagerPart | None, relu: int | None) -> None:
        """Apply a click on a column's header: turn a page, fold or unfold a pointwise layer, or expand a run."""
        layers = column.display.layers
        if part is not None:
            self.turn_page(column, part)
        elif relu is not None:
            self.fold_choices[relu] = column.display.layer == relu
            if self.expanded is not None:
                self.expanded = (layers[0], layers[0])
        else:
            self.expanded = (layers[0], layers[-1])

    def turn_page(self, column: ColumnLayout, part: PagerPart) -> None:
        """Show another page, or all maps."""
        self.page_starts[column.display.scale_layer] = page_start_after(column, part)

    def collapse(self) -> None:
        """Collapse all runs of layers."""
        self.expanded = None

    def turn_page_from(self, column: ColumnLayout | None, cell: CellRef, part: PagerPart) -> CellRef:
        """Turn a column's page; returns the cell in the same place there, or `cell` if there is no such page."""
        if column is None or not column.is_paged or not can_turn(column, part):
            return cell
        self.turn_page(column, part)
        size = column.across * column.rows
        return replace(
            cell, channel=min(cell.channel + (size if part == "on" else -size), column.display.count - 1)
        )

    def reveal_match(self, layout: StripLayout, layer: int | None) -> None:
        """Expand the run that hides a search match and unfold its column; the previous match is folded again."""
        if self.unfolded_by_search is not None:
            self.fold_choices.pop(self.unfolded_by_search, None)
            self.unfolded_by_search = None
        if layer is None:
            return
        self.reveal(layout, layer)
        column = layout.column_of(layer)
        if layer not in self.fold_choices and (column is None or layer != column.display.layer):
            self.fold_choices[layer], self.unfolded_by_search = False, layer

    def reveal(self, layout: StripLayout, layer: int, channel: int | None = None) -> bool:
        """Expand the run that hides a layer, and turn to a map of it; returns whether anything has changed."""
        column = next((column for column in layout.columns if layer in column.display.layers), None)
        if column is None:
            return False
        if column.display.kind == "group":
            self.expanded = (layer, layer)
            if channel is not None and self.page_starts.get(column.display.scale_layer, 0) is not None:
                self.page_starts[column.display.scale_layer] = channel
            return True
        if channel is None or not column.is_map or channel in column.maps or channel >= column.display.count:
            return False
        self.page_starts[column.display.scale_layer] = channel
        return True


def paint_pager(brush: Brush, column: ColumnLayout, top: float, underlined: PagerPart | None) -> None:
    """Paint "‹ 25–48 › of 512 × 126 × 126", or "of 512" where there is less room; active parts are brighter."""
    assert column.display.pager is not None
    (text, *totals), boxes, theme = column.display.pager, pager_boxes(column, top), brush.theme
    end, base = column.x, top + TITLE_LINE + 11 + SMALL_LINE
    for part, box in boxes.items():
        is_enabled = can_turn(column, part)
        if part == "all":
            brush.text(box.x, base, text, theme.text)
        else:
            arrow = "‹" if part == "back" else "›"
            width = cached_font(SMALL_PX, True)[1].horizontalAdvance(arrow)
            colour = theme.text if is_enabled else theme.disabled_text
            brush.text(box.x + (ARROW_WIDTH - width) / 2, base, arrow, colour, SMALL_PX, True)
        if underlined == part and is_enabled:
            brush.pen(theme.text)
            brush.painter.drawLine(QLineF(box.x + 1, base + 2.5, box.right - 1, base + 2.5))
        end = box.right
    metrics = cached_font(SMALL_PX)[1]
    fits = end + 4 + metrics.horizontalAdvance(totals[1]) <= column.right
    brush.text(end + 4, base, totals[fits], theme.secondary_text)


def pager_boxes(column: ColumnLayout, top: float) -> dict[PagerPart, Box]:
    """The parts of a column's pager, under a header that begins at `top`; empty for a column without a pager."""
    if column.display.pager is None:
        return {}
    text = column.display.pager[0]
    width, y = cached_font(SMALL_PX)[1].horizontalAdvance(text), top + TITLE_LINE + SMALL_LINE
    if not column.is_paged:
        return {"all": Box(column.x, y, width, SMALL_LINE)}
    return {
        "back": Box(column.x, y, ARROW_WIDTH, SMALL_LINE),
        "all": Box(column.x + ARROW_WIDTH, y, width, SMALL_LINE),
        "on": Box(column.x + ARROW_WIDTH + width, y, ARROW_WIDTH, SMALL_LINE),
    }


def pager_part_at(column: ColumnLayout, top: float, x: float, y: float) -> PagerPart | None:
    """The part of a column's pager at a point."""
    return next((part for part, box in pager_boxes(column, top).items() if box.contains(x, y)), None)


def can_turn(column: ColumnLayout, part: PagerPart) -> bool:
    """Whether there is a page in this direction."""
    return {"back": column.maps.start > 0, "on": column.maps.stop < column.display.count, "all": True}[part]


def page_start_after(column: ColumnLayout, part: PagerPart) -> int | None:
    """The first map of the page that a click on this part leads to; None for all maps at once."""
    if part == "all":
        return None if column.is_paged else 0
    if not can_turn(column, part):
        return column.maps.start
    size = column.across * column.rows
    return max(column.maps.start + (size if part == "on" else -size), 0)
