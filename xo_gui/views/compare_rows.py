"""Compare rows: where the two networks and their difference lie, one below the other. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from xo_gui.views.columns import Box
from xo_gui.views.shown_strip import Around
from xo_gui.views.strip_painter import ABOVE, BELOW, RULE_TOP

# The line with a row's name, and what parts a row from the one above.
NAME_HEIGHT, GAP = 18.0, 4.0
LEGEND_HEIGHT, NEAR = RULE_TOP - 2.0, 3.0
# What the tiles of a row need to be worth looking at: three maps one above the other, or two.
LEAST, LEAST_OF_TWO = 96.0, 80.0


@dataclass(frozen=True)
class Row:
    """name: where its name is written; tiles: where its tiles go; around: what is written about them."""

    name: Box
    tiles: Box
    around: Around


def rows(area: Box, alike: bool, differing: bool) -> tuple[Row, ...]:
    """The first network, the second, and the difference.

    alike: whether the two have the same columns, which then stand in line under headers said once, with legends
    said once for both. differing: whether any layer can be subtracted; if not, the difference is its name's line
    alone. Where tiles would be lower than LEAST, the rows take more than the area's height.
    """
    if alike:
        around = [Around(legend=False, cost=False), Around(header=False, cost=False)]
    else:
        around = [Around(cost=False), Around(cost=False)]
    around.append(Around(header=False, cost=False))
    tall = [*([True] * 2), differing]
    taken = sum(_above(one) + _below(one) for one, has in zip(around, tall, strict=True) if has)
    if not differing:
        taken += NAME_HEIGHT + GAP
    room = max((area.height - taken) / sum(tall), LEAST if differing else LEAST_OF_TWO)
    found, y = [], area.y
    for one, has in zip(around, tall, strict=True):
        name = Box(area.x, round(y + GAP), area.width, NAME_HEIGHT)
        tiles = Box(area.x, round(y + _above(one)), area.width, int(room) if has else 0.0)
        found.append(Row(name, tiles, one))
        y += _above(one) + room + _below(one) if has else NAME_HEIGHT
    return tuple(found)


def bottom(laid: tuple[Row, ...]) -> float:
    """Where the last row ends."""
    last = laid[-1]
    return last.tiles.bottom + _below(last.around) if last.tiles.height else last.name.bottom


def _above(around: Around) -> float:
    return GAP + NAME_HEIGHT + (ABOVE if around.header else NEAR)


def _below(around: Around) -> float:
    return BELOW if around.cost else LEGEND_HEIGHT if around.legend else NEAR
