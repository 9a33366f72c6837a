"""Sheet blocks: the contents of a sheet as data: number grids, lines of a sum, lists, bars, histograms, tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from engine.backends import HostArray
from xo_gui.state import CellRef
from xo_gui.widgets import cell_text, shown_number

# So few columns leave room for two decimals beside a digit.
MAX_WIDE_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class NumberGrid:
    """Numbers (h, w) in coloured cells under a title.

    colour_scale: the greys of a picture, or the value colours up to ±limit.
    padding_mask: (h, w) bool, the cells in the padding.
    outlined: flat indices of the outlined cells.
    cells: the cell that a click on each number leads to.
    """

    title: str
    values: HostArray
    colour_scale: Literal["picture", "value"]
    limit: float
    padding_mask: HostArray | None = None
    outlined: frozenset[int] = frozenset()
    cells: tuple[CellRef | None, ...] = ()

    @property
    def exponent(self) -> int:
        """The power of ten that small numbers are divided by, so that two decimals suffice; 0 for ordinary ones."""
        return math.floor(math.log10(self.limit)) if 0 < self.limit < 0.095 else 0

    def texts(self, truncate: bool) -> list[str]:
        """The numbers in the cells, in row order."""
        values = (self.values * 10.0**-self.exponent).ravel().tolist()
        wide = self.values.shape[1] <= MAX_WIDE_COLUMNS
        return [cell_text(value, truncate, int(wide and 0.995 <= abs(value) < 9.95)) for value in values]

    def shown_values(self, truncate: bool) -> HostArray:
        """The numbers in the cells as a reader sees them, in the shape of `values`."""
        numbers = np.array([shown_number(text) for text in self.texts(truncate)])
        shown: HostArray = numbers.reshape(self.values.shape) * 10.0**self.exponent
        return shown


@dataclass(frozen=True)
class TextLine:
    """A labelled number; a total is ruled off from the lines above it."""

    label: str
    number: str
    is_total: bool = False


@dataclass(frozen=True, eq=False)
class SideBySide:
    """A grid, an optional sign, and beside them a second grid or text lines."""

    left: NumberGrid
    sign: str = ""
    right: NumberGrid | tuple[TextLine, ...] = ()


@dataclass(frozen=True)
class TextLines:
    """Text lines one below the other."""

    lines: tuple[TextLine, ...]


@dataclass(frozen=True)
class Heading:
    """A short title above the next block."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Wrapped text."""

    text: str


@dataclass(frozen=True)
class RankedRow:
    """One product of a list.

    factors, number: "value × weight", and the product, as text.
    fraction: the product divided by the largest magnitude, -1 to 1.
    cell, part_index: what a click leads to: a cell, or another part of the same sum.
    """

    label: str
    factors: str
    number: str
    fraction: float
    cell: CellRef | None = None
    part_index: int | None = None
    is_selected: bool = False


@dataclass(frozen=True)
class RankedList:
    """Products, the largest first. headers: column headers for labels, factors and numbers."""

    rows: tuple[RankedRow, ...]
    headers: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class ClassBar:
    """The bar of one class: its length as a fraction, -1 to 1, of the longest, and its number."""

    class_index: int
    name: str
    number: str
    fraction: float


@dataclass(frozen=True)
class ClassBars:
    """A bar for each class: a vote, in the colour of the class, or part of a score, from 0 to either side, in the
    colours of values."""

    bars: tuple[ClassBar, ...]
    are_scores: bool = False


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Values (h, w) as coloured cells without numbers, under a title, with a legend up to ±limit."""

    title: str
    values: HostArray
    limit: float


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """A grey picture (h, w), -1 to 1, with its scale below it and text lines beside it."""

    image: HostArray
    lines: tuple[TextLine, ...] = ()


@dataclass(frozen=True, eq=False)
class HistogramRow:
    """Histogram counts of one class; `class_index` -1 is for examples of no class."""

    class_index: int
    name: str
    counts: HostArray


@dataclass(frozen=True, eq=False)
class ClassHistograms:
    """A histogram for each class over one axis. zero_fraction: the position of 0 on the axis, 0 to 1."""

    title: str
    rows: tuple[HistogramRow, ...]
    axis_start: str
    axis_end: str
    zero_fraction: float | None = None


@dataclass(frozen=True)
class TableRow:
    """A row of a table: its label, a text for each column, and the cell that a click leads to."""

    label: str
    texts: tuple[str, ...]
    cell: CellRef | None = None
    is_total: bool = False


@dataclass(frozen=True)
class NumberTable:
    """Rows of numbers under column headers."""

    headers: tuple[str, ...]
    rows: tuple[TableRow, ...]


SheetBlock: TypeAlias = (
    SideBySide
    | TextLines
    | Heading
    | Paragraph
    | RankedList
    | ClassBars
    | HeatMap
    | CaptionedImage
    | ClassHistograms
    | NumberTable
)
