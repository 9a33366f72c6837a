"""Compare rows: where the two networks and their difference lie, one below the other. Pure geometry."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from xo_gui.views.columns import Box
from xo_gui.views.shown_strip import Around
from xo_gui.views.strip_painter import ABOVE, BELOW, RULE_TOP

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
