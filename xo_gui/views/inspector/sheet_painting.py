"""Block painter: how tall each block of a sheet is, and how it is drawn. It decides nothing that is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QStaticText

from xo_gui.app.theme import SMALL_PX, TEXT_PX, Theme, colours, to_qimage
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.sheet_blocks import (
    Block,
    ClassBars,
    Grid,
    Heading,
    Line,
    Lines,
    Note,
    Pair,
    Picture,
    Portrait,
    Ranked,
    Spread,
    Table,
)
from xo_gui.views.network.column_painting import SYMBOL, kept_font
from xo_gui.widgets.map_images import HostArray, paint_class, reads_dark
from xo_gui.widgets.number_text import cell_text, level

PORTRAIT_PAINTER_TITLE, PORTRAIT_PAINTER_LINE = 16.0, 18.0
# The longer side of a picture, and what stays free for the numbers beside it.
PORTRAIT_PAINTER_LARGEST, NUMBERS, BETWEEN = 220.0, 96.0, 12.0
ROW, PORTRAIT_PAINTER_SIGN = 22.0, 20.0


def portrait_height(block: Portrait, width: float) -> float:
    """How tall it is, without room below."""
    return max(_size(block, width)[1] + PORTRAIT_PAINTER_TITLE, len(block.lines) * 2 * PORTRAIT_PAINTER_LINE)


def _size(block: Portrait, width: float) -> tuple[float, float]:
    """How wide and tall the picture is: whole logical pixels for every pixel, where there is room for that."""
    high, wide = block.picture.shape
    room = min(width - NUMBERS - BETWEEN, PORTRAIT_PAINTER_LARGEST)
    scale = room / max(high, wide)
    scale = float(int(scale)) if scale >= 2 else scale
    return wide * scale, high * scale


def paint_portrait(block: Portrait, top: float, on: Pass) -> None:
    """The picture, its scale below it and the numbers beside it."""
    theme, painter = on.theme, on.painter
    wide, tall = _size(block, on.width)
    box = QRectF(1, top + 1, wide, tall)
    painter.drawImage(box, to_qimage(colours(block.picture, -1.0, 1.0, theme.picture_table)))
    painter.setPen(QPen(QColor(theme.line), 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    y, start = box.bottom() + 3, 20.0
    on.text(QRectF(0, y, start, PORTRAIT_PAINTER_TITLE - 2), "−1", theme.quiet)
    painter.drawImage(QRectF(start, y + 5, 48, 5), to_qimage(theme.picture_table[None]))
    painter.drawRect(QRectF(start - 0.5, y + 4.5, 49, 6))
    on.text(QRectF(start + 54, y, 20, PORTRAIT_PAINTER_TITLE - 2), "1", theme.quiet)
    left = box.right() + BETWEEN
    for at, line in enumerate(block.lines):
        row = QRectF(left, top + at * 2 * PORTRAIT_PAINTER_LINE - 2, on.width - left, PORTRAIT_PAINTER_LINE)
        on.text(row, line.label, theme.quiet)
        on.text(row.translated(0, PORTRAIT_PAINTER_LINE - 3), line.number, theme.text, TEXT_PX, line.total)


def spread_height(block: Spread) -> float:
    """How tall it is, without room below."""
    return PORTRAIT_PAINTER_TITLE + ROW * len(block.rows) + PORTRAIT_PAINTER_TITLE


def paint_spread(block: Spread, top: float, on: Pass) -> None:
    """A row of bars for each class, all to the same scales, with its sign at the left and one axis below."""
    theme, painter = on.theme, on.painter
    on.text(QRectF(0, top, on.width, PORTRAIT_PAINTER_TITLE - 2), block.title, theme.quiet)
    most = max((float(np.max(row.counts)) for row in block.rows), default=0.0) or 1.0
    for at, row in enumerate(block.rows):
        y = top + PORTRAIT_PAINTER_TITLE + at * ROW
        if row.index >= 0:
            paint_class(painter, theme, row.index, row.name, QPointF(SYMBOL / 2, y + ROW / 2), SYMBOL)
        else:
            on.text(QRectF(2, y, PORTRAIT_PAINTER_SIGN, ROW), "?", theme.text)
        box = QRectF(PORTRAIT_PAINTER_SIGN, y + 2, on.width - PORTRAIT_PAINTER_SIGN - 2, ROW - 4)
        each = box.width() / len(row.counts)
        colour = QColor(theme.class_colour(row.index) if row.index >= 0 else theme.quiet)
        for place, count in enumerate(np.asarray(row.counts).tolist()):
            if count:
                high = max(count / most * box.height(), 1.0)
                bar = QRectF(box.left() + place * each, box.bottom() - high, max(each - 1, 1.0), high)
                painter.fillRect(bar, colour)
        painter.setPen(QPen(QColor(theme.line), 1.0))
        painter.drawLine(QLineF(box.left(), box.bottom() + 0.5, box.right(), box.bottom() + 0.5))
    y = top + PORTRAIT_PAINTER_TITLE + ROW * len(block.rows)
    below = QRectF(PORTRAIT_PAINTER_SIGN, y, on.width - PORTRAIT_PAINTER_SIGN - 2, PORTRAIT_PAINTER_TITLE - 2)
    on.text(below, block.first, theme.quiet, SMALL_PX)
    on.text(below, block.last, theme.quiet, SMALL_PX, right=True)
    metrics = kept_font(SMALL_PX)[1]
    if block.zero is not None:
        middle = below.left() + block.zero * below.width()
        painter.setPen(QPen(QColor(theme.quiet), 1.0))
        painter.drawLine(QLineF(middle, y - 2, middle, y + 2))
        wide = metrics.horizontalAdvance("0")
        ends = metrics.horizontalAdvance(block.first) + 6, metrics.horizontalAdvance(block.last) + 6
        if below.left() + ends[0] < middle - wide / 2 and middle + wide / 2 < below.right() - ends[1]:
            on.text(QRectF(middle - wide / 2, y, wide + 2, PORTRAIT_PAINTER_TITLE - 2), "0", theme.quiet, SMALL_PX)


GAP, TITLE, LINE, RANK, BAR = 8.0, 16.0, 18.0, 19.0, 19.0
# Cells of a grid: no larger than this, and with a number only if at least so wide.
LARGEST, TALLEST, LEAST_NUMBER = 30.0, 22.0, 21.0
SIGN = 20.0
NUMBER_PX = 9
_TIMES_TEN, _RAISED = "· × 10", str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# How wide a column of a table is.
COLUMN = 66.0
# A picture's longer side.
WIDEST = 200.0


@dataclass(frozen=True)
class Spot:
    """A place of a sheet that a click on leads from: to a cell, or to another part of the same sum."""

    box: QRectF
    cell: Cell | None = None
    choice: int | None = None


@dataclass
class Pass:
    """One painting of a sheet. cut: whether digits are cut off instead of rounded. spots: gathered on the way."""

    painter: QPainter
    theme: Theme
    width: float
    cut: bool
    spots: list[Spot] = field(default_factory=list)

    def text(
        self, box: QRectF, text: str, colour: str, px: int = SMALL_PX, strong: bool = False, right: bool = False
    ) -> None:
        """A line of text in the middle of `box`."""
        face, metrics = kept_font(px, strong)
        self.painter.setFont(face)
        self.painter.setPen(QColor(colour))
        fits = _advance(text, px, strong) <= box.width()
        shown = text if fits else metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        self.painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | side, shown)


@lru_cache(maxsize=4096)
def _advance(text: str, px: int, strong: bool) -> float:
    """How wide a text is: asked of the same few texts at every paint."""
    return float(kept_font(px, strong)[1].horizontalAdvance(text))


def height(block: Block, width: float) -> float:
    """How tall a block is, with the room below it."""
    if isinstance(block, Pair):
        return _pair_height(block, width) + GAP
    if isinstance(block, Lines):
        return _lines_height(block.lines) + GAP
    if isinstance(block, Heading):
        return TITLE + 4
    if isinstance(block, Note):
        return _note_box(block.text, width).height() + GAP
    if isinstance(block, Ranked):
        return RANK * len(block.ranks) + (TITLE if block.heads else 0) + GAP
    if isinstance(block, Picture):
        return TITLE + _picture_side(block, width)[1] + TITLE + GAP
    if isinstance(block, Portrait):
        return portrait_height(block, width) + GAP
    if isinstance(block, Spread):
        return spread_height(block) + GAP
    if isinstance(block, Table):
        return TITLE + sum(LINE + (5 if row.total else 0) for row in block.rows) + GAP
    return BAR * len(block.bars) + GAP


def paint(block: Block, top: float, on: Pass) -> None:
    """Draw a block from `top` down."""
    if isinstance(block, Pair):
        _paint_pair(block, top, on)
    elif isinstance(block, Lines):
        _paint_lines(block.lines, QRectF(0, top, on.width, 0), on)
    elif isinstance(block, Heading):
        on.text(QRectF(0, top + 2, on.width, TITLE), block.text, on.theme.quiet)
    elif isinstance(block, Note):
        face, _ = kept_font(SMALL_PX)
        on.painter.setFont(face)
        on.painter.setPen(QColor(on.theme.quiet))
        on.painter.drawText(
            _note_box(block.text, on.width).translated(0, top), Qt.TextFlag.TextWordWrap, block.text
        )
    elif isinstance(block, Ranked):
        _paint_ranks(block, top, on)
    elif isinstance(block, Picture):
        _paint_picture(block, top, on)
    elif isinstance(block, Portrait):
        paint_portrait(block, top, on)
    elif isinstance(block, Spread):
        paint_spread(block, top, on)
    elif isinstance(block, Table):
        _paint_table(block, top, on)
    else:
        _paint_bars(block, top, on)


@lru_cache(maxsize=512)
def _note_box(text: str, width: float) -> QRectF:
    metrics: QFontMetricsF = kept_font(SMALL_PX)[1]
    return metrics.boundingRect(QRectF(0, 0, width, 1000), Qt.TextFlag.TextWordWrap, text)


# --- grids


def _side(grid: Grid, room: float) -> float:
    return float(math.floor(min(room / grid.values.shape[1], LARGEST)))


def _cell(grid: Grid, room: float) -> tuple[float, float]:
    """Width and height of a cell."""
    side = _side(grid, room)
    return side, min(side, TALLEST)


def _beside(pair: Pair, width: float) -> bool:
    """Whether both parts fit side by side with readable numbers, or neither would have any anyway."""
    half = (width - SIGN) / 2
    whole = _side(pair.left, width) >= LEAST_NUMBER
    return _side(pair.left, half) >= LEAST_NUMBER or not whole


def _pair_height(pair: Pair, width: float) -> float:
    beside = _beside(pair, width)
    room = (width - SIGN) / 2 if beside else width
    left = _grid_height(pair.left, room)
    right = _grid_height(pair.right, room) if isinstance(pair.right, Grid) else TITLE + _lines_height(pair.right)
    if not pair.right:
        return left
    return max(left, right) if beside else left + GAP + right


def _grid_height(grid: Grid, room: float) -> float:
    return float(TITLE + grid.values.shape[0] * _cell(grid, room)[1])


def _paint_pair(pair: Pair, top: float, on: Pass) -> None:
    beside = _beside(pair, on.width)
    room = (on.width - SIGN) / 2 if beside else on.width
    _paint_grid(pair.left, 0.0, top, room, on)
    left = _grid_height(pair.left, room)
    x, y = (room + SIGN, top) if beside else (0.0, top + left + GAP)
    if beside and pair.sign:
        wide = _cell(pair.left, room)[0] * pair.left.values.shape[1]
        box = QRectF(wide, top + TITLE, room + SIGN - wide, left - TITLE)
        on.painter.setFont(kept_font(TEXT_PX)[0])
        on.painter.setPen(QColor(on.theme.quiet))
        on.painter.drawText(box, Qt.AlignmentFlag.AlignCenter, pair.sign)
    if isinstance(pair.right, Grid):
        _paint_grid(pair.right, x, y, room, on)
    elif pair.right:
        tall = _lines_height(pair.right)
        lines = y + max(TITLE, (left + TITLE - tall) / 2) if beside else y
        _paint_lines(pair.right, QRectF(x, lines, room, 0), on)


def _paint_grid(grid: Grid, x: float, y: float, room: float, on: Pass) -> None:
    theme, painter = on.theme, on.painter
    power = _power(grid.level)
    title = grid.title if not power else f"{grid.title} {_TIMES_TEN}{str(power).translate(_RAISED)}".strip()
    on.text(QRectF(x, y, room, TITLE - 2), title, theme.quiet)
    wide, tall = _cell(grid, room)
    table = theme.picture_table if grid.scale == "picture" else theme.value_table
    words = colours(grid.values, -grid.level, grid.level, table)
    if grid.outside is not None:
        words = np.where(grid.outside, np.uint32(QColor(theme.control).rgb()), words)
    high, across = grid.values.shape
    gap, top = (1.0 if wide >= 8 else 0.0), y + TITLE
    painter.drawImage(QRectF(x, top, across * wide, high * tall), to_qimage(words))
    if gap:
        ground = QColor(theme.ground)
        for column in range(across):
            painter.fillRect(QRectF(x + (column + 1) * wide - gap, top, gap, high * tall), ground)
        for row in range(high):
            painter.fillRect(QRectF(x, top + (row + 1) * tall - gap, across * wide, gap), ground)
    if wide >= LEAST_NUMBER:
        _paint_numbers(grid, words, QRectF(x, top, wide - gap, tall - gap), (wide, tall), on)
    for place, cell in enumerate(grid.cells):
        if cell is not None:
            row, column = divmod(place, across)
            on.spots.append(Spot(QRectF(x + column * wide, top + row * tall, wide, tall), cell))
    for place in grid.ring:
        row, column = divmod(place, across)
        _ring(QRectF(x + column * wide, top + row * tall, wide - gap, tall - gap), on)


def _paint_numbers(grid: Grid, words: HostArray, first: QRectF, step: tuple[float, float], on: Pass) -> None:
    """The number of every cell, black or white, in its middle; `first` is the first cell."""
    painter, (wide, tall) = on.painter, step
    painter.setFont(kept_font(NUMBER_PX)[0])
    values, dark = (grid.values * 10.0 ** -_power(grid.level)).tolist(), reads_dark(words).tolist()
    for colour, is_dark in ((QColor("#000000"), True), (QColor("#ffffff"), False)):
        painter.setPen(colour)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                if dark[row][column] is not is_dark:
                    continue
                made = _figure(cell_text(value, on.cut))
                size = made.size()
                left = first.left() + column * wide + (first.width() - size.width()) / 2
                painter.drawStaticText(
                    QPointF(left, first.top() + row * tall + (first.height() - size.height()) / 2), made
                )


def _power(level: float) -> int:
    """The power of ten that small numbers are told in, so that two decimals say something; 0 for ordinary ones."""
    return math.floor(math.log10(level)) if 0 < level < 0.095 else 0


@lru_cache(maxsize=2048)
def _figure(text: str) -> QStaticText:
    """A number ready to be drawn: there are few different ones, and every paint draws many."""
    made = QStaticText(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.prepare(font=kept_font(NUMBER_PX)[0])
    return made


def _ring(box: QRectF, on: Pass) -> None:
    on.painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((on.theme.ground, 3.4), (on.theme.text, 1.8)):
        on.painter.setPen(QPen(QColor(colour), width))
        on.painter.drawRect(box)


def _picture_side(block: Picture, width: float) -> tuple[float, float]:
    """How wide and tall a picture is drawn."""
    high, wide = block.values.shape
    scale = min(width / wide, WIDEST / max(high, wide))
    return float(round(wide * scale)), float(round(high * scale))


def _paint_picture(block: Picture, top: float, on: Pass) -> None:
    theme = on.theme
    on.text(QRectF(0, top, on.width, TITLE - 2), block.title, theme.quiet)
    wide, tall = _picture_side(block, on.width)
    box = QRectF(1, top + TITLE, wide, tall)
    on.painter.drawImage(box, to_qimage(colours(block.values, -block.level, block.level, theme.value_table)))
    on.painter.setPen(QPen(QColor(theme.line), 1.0))
    on.painter.setBrush(Qt.BrushStyle.NoBrush)
    on.painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    y = box.bottom() + 3
    low, high = level(-block.level), level(block.level)
    metrics = kept_font(SMALL_PX)[1]
    start = metrics.horizontalAdvance(low) + 6
    on.text(QRectF(0, y, on.width, TITLE - 2), low, theme.quiet)
    on.painter.drawImage(QRectF(start, y + 5, 48, 5), to_qimage(theme.value_table[None]))
    on.text(QRectF(start + 54, y, on.width, TITLE - 2), high, theme.quiet)


# --- lines, lists and bars


def _lines_height(lines: tuple[Line, ...]) -> float:
    return sum(LINE + (5 if line.total else 0) for line in lines)


def _paint_lines(lines: tuple[Line, ...], box: QRectF, on: Pass) -> None:
    y = box.top()
    for line in lines:
        if line.total:
            on.painter.setPen(QPen(QColor(on.theme.line), 1.0))
            on.painter.drawLine(QLineF(box.left(), y + 2.5, box.right(), y + 2.5))
            y += 5
        row = QRectF(box.left(), y, box.width(), LINE)
        wide = _advance(line.number, TEXT_PX, line.total) + 2
        on.text(row, line.number, on.theme.text, TEXT_PX, line.total, right=True)
        on.text(row.adjusted(0, 0, -wide, 0), line.label, on.theme.quiet)
        y += LINE


def _paint_table(block: Table, top: float, on: Pass) -> None:
    first = on.width - COLUMN * len(block.heads)
    for at, head in enumerate(block.heads):
        on.text(QRectF(first + at * COLUMN, top, COLUMN, TITLE - 2), head, on.theme.quiet, right=True)
    y = top + TITLE
    for row in block.rows:
        if row.total:
            on.painter.setPen(QPen(QColor(on.theme.line), 1.0))
            on.painter.drawLine(QLineF(0, y + 2.5, on.width, y + 2.5))
            y += 5
        on.text(QRectF(0, y, first, LINE), row.label, on.theme.quiet)
        for at, text in enumerate(row.texts):
            box = QRectF(first + at * COLUMN, y, COLUMN, LINE)
            on.text(box, text, on.theme.text, TEXT_PX, row.total, right=True)
        if row.cell is not None:
            on.spots.append(Spot(QRectF(0, y, on.width, LINE), row.cell))
        y += LINE


def _paint_ranks(block: Ranked, top: float, on: Pass) -> None:
    if block.heads:
        label, factors, number = block.heads
        on.text(QRectF(0, top, 86, TITLE - 2), label, on.theme.quiet)
        on.text(QRectF(88, top, 60, TITLE - 2), factors, on.theme.quiet)
        on.text(QRectF(0, top, on.width, TITLE - 2), number, on.theme.quiet, right=True)
        top += TITLE
    for at, rank in enumerate(block.ranks):
        row = QRectF(0, top + at * RANK, on.width, RANK)
        if rank.chosen:
            on.painter.fillRect(row.adjusted(-4, 0, 4, -1), QColor(on.theme.control))
        on.text(row, rank.label, on.theme.text if rank.chosen else on.theme.quiet)
        on.text(QRectF(88, row.top(), 96, RANK), rank.factors, on.theme.quiet)
        on.text(row, rank.number, on.theme.text, right=True)
        if rank.cell is not None or rank.choice is not None:
            on.spots.append(Spot(row, rank.cell, rank.choice))
        if not rank.number:
            continue
        middle, half = on.width - 74, 24.0
        length = half * min(abs(rank.share), 1.0)
        if math.isfinite(length) and length > 0.4:
            colour = on.theme.stops[4] if rank.share > 0 else on.theme.stops[0]
            left = middle if rank.share > 0 else middle - length
            on.painter.fillRect(QRectF(left, row.top() + 6, length, RANK - 12), QColor(colour))
        on.painter.setPen(QPen(QColor(on.theme.faint), 1.0))
        on.painter.drawLine(QLineF(middle, row.top() + 3, middle, row.bottom() - 3))


def _paint_bars(block: ClassBars, top: float, on: Pass) -> None:
    number = max(_advance(bar.number, TEXT_PX, False) for bar in block.bars) + 8
    left, right = 24.0, on.width - number
    signed = block.signed or any(bar.share < 0 for bar in block.bars)
    zero = (left + right) / 2 if signed else left
    for at, bar in enumerate(block.bars):
        y = top + at * BAR
        paint_class(on.painter, on.theme, bar.index, bar.name, QPointF(SYMBOL / 2, y + BAR / 2), SYMBOL)
        on.painter.fillRect(QRectF(left, y + 6, right - left, 7), QColor(on.theme.control))
        room = (right - left) / 2 if signed else right - left
        length = room * min(abs(bar.share), 1.0) if math.isfinite(bar.share) else 0.0
        start = zero if bar.share >= 0 else zero - length
        on.painter.fillRect(QRectF(start, y + 6, length, 7), QColor(on.theme.class_colour(bar.index)))
        if signed:
            on.painter.setPen(QPen(QColor(on.theme.quiet), 1.0))
            on.painter.drawLine(QPointF(zero, y + 3), QPointF(zero, y + 16))
        on.text(QRectF(0, y, on.width, BAR), bar.number, on.theme.text, TEXT_PX, right=True)
