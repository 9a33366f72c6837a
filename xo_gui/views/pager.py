"""Pager: the words in a column's header that say which of its maps are shown, and turn to others. Not the maps."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QLineF

from xo_gui.app.theme import SMALL_PX
from xo_gui.views.column_painter import SIGN, SMALL_LINE, TITLE_LINE, Brush, kept_font
from xo_gui.views.columns import Box, Column

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
