"""Sheet blocks: the contents of a sheet as data: number grids, lines of a sum, lists, bars, histograms, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from xo_gui.state.selection import Cell

HostArray: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers (h, w) in coloured cells under a title.

    colour_scale: the greys of a picture, or the value colours up to ±limit.
    padding_mask: (h, w) bool, the cells in the padding.
    outlined: flat indices of the outlined cells.
    cells: the cell that a click on each number leads to.
    """

    title: str
    values: HostArray
    scale: Literal["picture", "value"]
    level: float
    outside: HostArray | None = None
    ring: frozenset[int] = frozenset()
    cells: tuple[Cell | None, ...] = ()


@dataclass(frozen=True)
class Line:
    """A labelled number; a total is ruled off from the lines above it."""

    label: str
    number: str
    total: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """A grid, an optional sign, and beside them a second grid or text lines."""

    left: Grid
    sign: str = ""
    right: Grid | tuple[Line, ...] = ()


@dataclass(frozen=True)
class Lines:
    """Text lines one below the other."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Heading:
    """A short title above the next block."""

    text: str


@dataclass(frozen=True)
class Note:
    """Wrapped text."""

    text: str


@dataclass(frozen=True)
class Rank:
    """One product of a list.

    factors, number: "value × weight", and the product, as text.
    fraction: the product divided by the largest magnitude, -1 to 1.
    cell, part_index: what a click leads to: a cell, or another part of the same sum.
    """

    label: str
    factors: str
    number: str
    share: float
    cell: Cell | None = None
    choice: int | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Ranked:
    """Products, the largest first. headers: column headers for labels, factors and numbers."""

    ranks: tuple[Rank, ...]
    heads: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class ClassBar:
    """The bar of one class: its length as a fraction, -1 to 1, of the longest, and its number."""

    index: int
    name: str
    number: str
    share: float


@dataclass(frozen=True)
class ClassBars:
    """A bar for each class. has_negative_side: leaves room for negative bars even if there are none."""

    bars: tuple[ClassBar, ...]
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Values (h, w) as coloured cells without numbers, under a title, with a legend up to ±limit."""

    title: str
    values: HostArray
    level: float


@dataclass(frozen=True, eq=False)
class Portrait:
    """A grey picture (h, w), -1 to 1, with its scale below it and text lines beside it."""

    picture: HostArray
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, eq=False)
class SpreadRow:
    """Histogram counts of one class; `class_index` -1 is for examples of no class."""

    index: int
    name: str
    counts: HostArray


@dataclass(frozen=True, eq=False)
class Spread:
    """A histogram for each class over one axis. zero_fraction: the position of 0 on the axis, 0 to 1."""

    title: str
    rows: tuple[SpreadRow, ...]
    first: str
    last: str
    zero: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, a text for each column, and the cell that a click leads to."""

    label: str
    texts: tuple[str, ...]
    cell: Cell | None = None
    total: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of numbers under column headers."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]


Block: TypeAlias = Pair | Lines | Heading | Note | Ranked | ClassBars | Picture | Portrait | Spread | Table
