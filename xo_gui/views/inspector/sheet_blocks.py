"""Blocks: what an inspector's sheet is put together from: grids of numbers, lines of a sum, lists, bars, sentences.

They say what is shown, not where and not how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from xo_gui.state.selection import Cell

HostArray: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers (h, w) in coloured cells under a title. scale: a picture's greys or the value colours, which end at
    `level`. outside: (h, w) bool, what lies beyond the frame. ring: which cells, counted in row order, stand out.
    cells: what each of them is, for a click, in row order; None where it is nothing one can look at."""

    title: str
    values: HostArray
    scale: Literal["picture", "value"]
    level: float
    outside: HostArray | None = None
    ring: frozenset[int] = frozenset()
    cells: tuple[Cell | None, ...] = ()


@dataclass(frozen=True)
class Line:
    """A number with what it is; `total` ones are what the others come to."""

    label: str
    number: str
    total: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """A grid, a sign, and beside them another grid, or lines, or nothing."""

    left: Grid
    sign: str = ""
    right: Grid | tuple[Line, ...] = ()


@dataclass(frozen=True)
class Lines:
    """Lines one below the other."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Heading:
    """A few quiet words over what follows."""

    text: str


@dataclass(frozen=True)
class Note:
    """A sentence, as many lines as it takes."""

    text: str


@dataclass(frozen=True)
class Rank:
    """One product of a list: what it is of, "value x weight", what it comes to as text and as a share (-1 to 1) of
    the largest, and the cell that it is, for a click. chosen: whether it stands out."""

    label: str
    factors: str
    number: str
    share: float
    cell: Cell | None = None
    choice: int | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Ranked:
    """Products, the largest first. heads: words over the labels, the factors and the numbers, if they need any."""

    ranks: tuple[Rank, ...]
    heads: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class ClassBar:
    """What goes to the class at `index`: a share (-1 to 1) of the longest bar, and the number."""

    index: int
    name: str
    number: str
    share: float


@dataclass(frozen=True)
class ClassBars:
    """A bar for each class. signed: whether there is room for those below 0, though none may be."""

    bars: tuple[ClassBar, ...]
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Many numbers (h, w) as coloured cells without figures, under a title, with a legend that ends at `level`."""

    title: str
    values: HostArray
    level: float


@dataclass(frozen=True, eq=False)
class Portrait:
    """A picture (h, w), -1 to 1, in a picture's greys, with its scale below it and numbers beside it."""

    picture: HostArray
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, eq=False)
class SpreadRow:
    """How the examples of one class, at `index`, or of none (-1), are spread: how many lie in each equal part."""

    index: int
    name: str
    counts: HostArray


@dataclass(frozen=True, eq=False)
class Spread:
    """A row of bars for each class over one axis from `first` to `last`. zero: where 0 lies on it, 0 to 1, None if
    it does not."""

    title: str
    rows: tuple[SpreadRow, ...]
    first: str
    last: str
    zero: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of a table: what it is of, a text for each column, the cell that it is, for a click. total: whether it
    is what the others come to."""

    label: str
    texts: tuple[str, ...]
    cell: Cell | None = None
    total: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of numbers under the names of their columns."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]


Block: TypeAlias = Pair | Lines | Heading | Note | Ranked | ClassBars | Picture | Portrait | Spread | Table
