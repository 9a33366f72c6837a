"""Painting of sheet blocks: the height of each block at a given width, and its drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QStaticText

from engine.backends import HostArray
from xo_gui.app import SMALL_PX, TEXT_PX, Theme, colours, to_qimage
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import (
    CaptionedImage,
    ClassBars,
    ClassHistograms,
    Heading,
    HeatMap,
    NumberGrid,
    NumberTable,
    Paragraph,
    RankedList,
    SheetBlock,
    SideBySide,
    TextLine,
    TextLines,
)
from xo_gui.views.network import SYMBOL_SIZE, cached_font
from xo_gui.widgets import (
    class_name_width,
    limit_text,
    needs_black_text,
    paint_class_name,
    paint_class_symbol,
)

_MAX_NAME_WIDTH = 64

GAP, TITLE, LINE, RANK, BAR = 8.0, 16.0, 18.0, 19.0, 19.0
# Cells of a grid: the largest width and height, and the least width for a number.
MAX_CELL_WIDTH, MAX_CELL_HEIGHT, MIN_NUMBER_WIDTH = 30.0, 22.0, 21.0
SIGN, NUMBER_PX = 20.0, 9
# A ranked list: where the factors begin, and the width of the number, if there is room; half a bar; the gaps.
RANK_LABEL, RANK_NUMBER, RANK_BAR, RANK_GAP = 88.0, 50.0, 24.0, 8.0
TABLE_COLUMN, MAX_HEAT_MAP_SIDE = 66.0, 200.0
# The longest side of an image, the room for the text beside it, and the gap between them.
MAX_IMAGE_SIDE, IMAGE_TEXT, IMAGE_GAP = 220.0, 96.0, 12.0
HISTOGRAM_ROW = 22.0
_TIMES_TEN, _SUPERSCRIPT = "· × 10", str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class ClickTarget:
    """A clickable area of a sheet: it leads to a cell, or to another part of the same sum."""

    box: QRectF
    cell: CellRef | None = None
    part_index: int | None = None


@dataclass
class PaintContext:
    """Everything the painting of a sheet needs.

    truncate: of numbers. targets, elided: the click targets, and the texts that are shown in part, collected.
    """

    painter: QPainter
    theme: Theme
    width: float
    truncate: bool
    targets: list[ClickTarget] = field(default_factory=list)
    elided: list[tuple[QRectF, str]] = field(default_factory=list)

    def draw_text(
        self, box: QRectF, text: str, colour: str, px: int = SMALL_PX, strong: bool = False, right: bool = False
    ) -> None:
        """Draw one line of text, vertically centred in `box` and elided to its width."""
        face, metrics = cached_font(px, strong)
        self.painter.setFont(face)
        self.painter.setPen(QColor(colour))
        fits = _text_width(text, px, strong) <= box.width()
        shown = text if fits else metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        if not fits:
            self.elided.append((box, text))
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        self.painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | side, shown)


@lru_cache(maxsize=4096)
def _text_width(text: str, px: int, strong: bool) -> float:
    """Cached: every paint measures the same few texts."""
    return float(cached_font(px, strong)[1].horizontalAdvance(text))


def block_height(block: SheetBlock, width: float) -> float:
    """Height of a block at `width`, the gap below it included."""
    if isinstance(block, SideBySide):
        return _pair_height(block, width) + GAP
    if isinstance(block, TextLines):
        return _lines_height(block.lines) + GAP
    if isinstance(block, Heading):
        return max(TITLE, _paragraph_box(block.text, width).height()) + 4
    if isinstance(block, Paragraph):
        return _paragraph_box(block.text, width).height() + GAP
    if isinstance(block, RankedList):
        return RANK * len(block.rows) + (TITLE if block.headers else 0) + GAP
    if isinstance(block, HeatMap):
        return TITLE + _heat_map_size(block, width)[1] + TITLE + GAP
    if isinstance(block, CaptionedImage):
        return _image_height(block, width) + GAP
    if isinstance(block, ClassHistograms):
        return _histograms_height(block) + GAP
    if isinstance(block, NumberTable):
        return TITLE + sum(LINE + (5 if row.is_total else 0) for row in block.rows) + GAP
    return BAR * len(block.bars) + GAP


def paint_block(block: SheetBlock, top: float, context: PaintContext) -> None:
    """Draw a block whose top edge is at y = `top`."""
    if isinstance(block, SideBySide):
        _paint_pair(block, top, context)
    elif isinstance(block, TextLines):
        _paint_lines(block.lines, QRectF(0, top, context.width, 0), context)
    elif isinstance(block, Heading):
        _paint_paragraph(block.text, top + 2, context)
    elif isinstance(block, Paragraph):
        _paint_paragraph(block.text, top, context)
    elif isinstance(block, RankedList):
        _paint_ranked(block, top, context)
    elif isinstance(block, HeatMap):
        _paint_heat_map(block, top, context)
    elif isinstance(block, CaptionedImage):
        _paint_image(block, top, context)
    elif isinstance(block, ClassHistograms):
        _paint_histograms(block, top, context)
    elif isinstance(block, NumberTable):
        _paint_table(block, top, context)
    else:
        _paint_class_bars(block, top, context)


def _paint_paragraph(text: str, top: float, context: PaintContext) -> None:
    context.painter.setFont(cached_font(SMALL_PX)[0])
    context.painter.setPen(QColor(context.theme.secondary_text))
    box = _paragraph_box(text, context.width).translated(0, top)
    context.painter.drawText(box, Qt.TextFlag.TextWordWrap, text)


@lru_cache(maxsize=512)
def _paragraph_box(text: str, width: float) -> QRectF:
    metrics: QFontMetricsF = cached_font(SMALL_PX)[1]
    return metrics.boundingRect(QRectF(0, 0, width, 1000), Qt.TextFlag.TextWordWrap, text)


# --- grids


def cells_box(grid: NumberGrid, room: float) -> QRectF:
    """The rectangle of a grid's cells, where the grid is drawn at the origin with this width to spare."""
    wide, tall = _cell_size(grid, room)
    return QRectF(0, TITLE, wide * grid.values.shape[1], tall * grid.values.shape[0])


def _cell_width(grid: NumberGrid, room: float) -> float:
    return float(math.floor(min(room / grid.values.shape[1], MAX_CELL_WIDTH)))


def _cell_size(grid: NumberGrid, room: float) -> tuple[float, float]:
    side = _cell_width(grid, room)
    return side, min(side, MAX_CELL_HEIGHT)


def _fits_side_by_side(pair: SideBySide, width: float) -> bool:
    """Whether the texts of both parts fit side by side, and both have readable numbers so, or would have none even
    one below the other."""
    if not pair.right:
        return False
    half = (width - SIGN) / 2
    if max(map(_text_room, (pair.left, pair.right))) > half:
        return False
    whole = _cell_width(pair.left, width) >= MIN_NUMBER_WIDTH
    return _cell_width(pair.left, half) >= MIN_NUMBER_WIDTH or not whole


def _text_room(part: NumberGrid | tuple[TextLine, ...]) -> float:
    """The width that the title of a grid, or the longest of some lines, needs."""
    if isinstance(part, NumberGrid):
        return _text_width(_grid_title(part), SMALL_PX, False)
    return max(
        _text_width(line.label, SMALL_PX, False) + _text_width(line.number, TEXT_PX, line.is_total) + 2
        for line in part
    )


def _pair_height(pair: SideBySide, width: float) -> float:
    side_by_side = _fits_side_by_side(pair, width)
    room = (width - SIGN) / 2 if side_by_side else width
    left = _grid_height(pair.left, room)
    right = (
        _grid_height(pair.right, room) if isinstance(pair.right, NumberGrid) else TITLE + _lines_height(pair.right)
    )
    if not pair.right:
        return left
    return max(left, right) if side_by_side else left + GAP + right


def _grid_height(grid: NumberGrid, room: float) -> float:
    return float(TITLE + grid.values.shape[0] * _cell_size(grid, room)[1])


def _paint_pair(pair: SideBySide, top: float, context: PaintContext) -> None:
    side_by_side = _fits_side_by_side(pair, context.width)
    room = (context.width - SIGN) / 2 if side_by_side else context.width
    _paint_grid(pair.left, 0.0, top, room, context)
    left = _grid_height(pair.left, room)
    x, y = (room + SIGN, top) if side_by_side else (0.0, top + left + GAP)
    if side_by_side and pair.sign:
        wide = _cell_size(pair.left, room)[0] * pair.left.values.shape[1]
        box = QRectF(wide, top + TITLE, room + SIGN - wide, left - TITLE)
        context.painter.setFont(cached_font(TEXT_PX)[0])
        context.painter.setPen(QColor(context.theme.secondary_text))
        context.painter.drawText(box, Qt.AlignmentFlag.AlignCenter, pair.sign)
    if isinstance(pair.right, NumberGrid):
        _paint_grid(pair.right, x, y, room, context)
    elif pair.right:
        tall = _lines_height(pair.right)
        lines = y + max(TITLE, (left + TITLE - tall) / 2) if side_by_side else y
        _paint_lines(pair.right, QRectF(x, lines, room, 0), context)


def _paint_grid(grid: NumberGrid, x: float, y: float, room: float, context: PaintContext) -> None:
    theme, painter = context.theme, context.painter
    context.draw_text(QRectF(x, y, room, TITLE - 2), _grid_title(grid), theme.secondary_text)
    wide, tall = _cell_size(grid, room)
    table = theme.picture_table if grid.colour_scale == "picture" else theme.value_table
    pixels = colours(grid.values, -grid.limit, grid.limit, table)
    if grid.padding_mask is not None:
        pixels = np.where(grid.padding_mask, np.uint32(QColor(theme.control).rgb()), pixels)
    high, across = grid.values.shape
    gap, top = (1.0 if wide >= 8 else 0.0), y + TITLE
    painter.drawImage(QRectF(x, top, across * wide, high * tall), to_qimage(pixels))
    if gap:
        ground = QColor(theme.background)
        for column in range(across):
            painter.fillRect(QRectF(x + (column + 1) * wide - gap, top, gap, high * tall), ground)
        for row in range(high):
            painter.fillRect(QRectF(x, top + (row + 1) * tall - gap, across * wide, gap), ground)
    if wide >= MIN_NUMBER_WIDTH:
        _paint_numbers(grid, pixels, QRectF(x, top, wide - gap, tall - gap), (wide, tall), context)
    for place, cell in enumerate(grid.cells):
        if cell is not None:
            row, column = divmod(place, across)
            context.targets.append(ClickTarget(QRectF(x + column * wide, top + row * tall, wide, tall), cell))
    for place in grid.outlined:
        row, column = divmod(place, across)
        cell_box = QRectF(x + column * wide, top + row * tall, wide - gap, tall - gap)
        paint_outline(painter, theme, cell_box)


def _grid_title(grid: NumberGrid) -> str:
    """The title, with the power of ten that the numbers are divided by."""
    power = grid.exponent
    return grid.title if not power else f"{grid.title} {_TIMES_TEN}{str(power).translate(_SUPERSCRIPT)}".strip()


def _paint_numbers(
    grid: NumberGrid, pixels: HostArray, first: QRectF, step: tuple[float, float], context: PaintContext
) -> None:
    """Draw every cell's number in black or white. first: rectangle of the first cell; step: pitch of the cells."""
    painter, (wide, tall) = context.painter, step
    painter.setFont(cached_font(NUMBER_PX)[0])
    texts, dark, across = grid.texts(context.truncate), needs_black_text(pixels).tolist(), grid.values.shape[1]
    for colour, is_dark in ((QColor("#000000"), True), (QColor("#ffffff"), False)):
        painter.setPen(colour)
        for place, text in enumerate(texts):
            row, column = divmod(place, across)
            if dark[row][column] is not is_dark:
                continue
            static = _static_number(text)
            size = static.size()
            left = first.left() + column * wide + (first.width() - size.width()) / 2
            painter.drawStaticText(
                QPointF(left, first.top() + row * tall + (first.height() - size.height()) / 2), static
            )


@lru_cache(maxsize=2048)
def _static_number(text: str) -> QStaticText:
    """Cached: a paint draws many numbers, of which few differ."""
    static = QStaticText(text)
    static.setTextFormat(Qt.TextFormat.PlainText)
    static.prepare(font=cached_font(NUMBER_PX)[0])
    return static


def paint_outline(painter: QPainter, theme: Theme, box: QRectF, scale: float = 1.0) -> None:
    """A light line on a dark one, or the other way round, visible on every colour."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((theme.background, 3.4), (theme.text, 1.8)):
        painter.setPen(QPen(QColor(colour), width * scale))
        painter.drawRect(box)


def _heat_map_size(block: HeatMap, width: float) -> tuple[float, float]:
    high, wide = block.values.shape
    scale = min(width / wide, MAX_HEAT_MAP_SIDE / max(high, wide))
    return float(round(wide * scale)), float(round(high * scale))


def _paint_heat_map(block: HeatMap, top: float, context: PaintContext) -> None:
    theme = context.theme
    context.draw_text(QRectF(0, top, context.width, TITLE - 2), block.title, theme.secondary_text)
    wide, tall = _heat_map_size(block, context.width)
    box = QRectF(1, top + TITLE, wide, tall)
    context.painter.drawImage(box, to_qimage(colours(block.values, -block.limit, block.limit, theme.value_table)))
    context.painter.setPen(QPen(QColor(theme.border), 1.0))
    context.painter.setBrush(Qt.BrushStyle.NoBrush)
    context.painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    y = box.bottom() + 3
    low, high = limit_text(-block.limit), limit_text(block.limit)
    metrics = cached_font(SMALL_PX)[1]
    start = metrics.horizontalAdvance(low) + 6
    context.draw_text(QRectF(0, y, context.width, TITLE - 2), low, theme.secondary_text)
    context.painter.drawImage(QRectF(start, y + 5, 48, 5), to_qimage(theme.value_table[None]))
    context.draw_text(QRectF(start + 54, y, context.width, TITLE - 2), high, theme.secondary_text)


# --- lines, lists and bars


def _lines_height(lines: tuple[TextLine, ...]) -> float:
    return sum(LINE + (5 if line.is_total else 0) for line in lines)


def _paint_lines(lines: tuple[TextLine, ...], box: QRectF, context: PaintContext) -> None:
    y = box.top()
    for line in lines:
        if line.is_total:
            context.painter.setPen(QPen(QColor(context.theme.border), 1.0))
            context.painter.drawLine(QLineF(box.left(), y + 2.5, box.right(), y + 2.5))
            y += 5
        row = QRectF(box.left(), y, box.width(), LINE)
        wide = _text_width(line.number, TEXT_PX, line.is_total) + 2
        context.draw_text(row, line.number, context.theme.text, TEXT_PX, line.is_total, right=True)
        context.draw_text(row.adjusted(0, 0, -wide, 0), line.label, context.theme.secondary_text)
        y += LINE


def _paint_table(block: NumberTable, top: float, context: PaintContext) -> None:
    first = context.width - TABLE_COLUMN * len(block.headers)
    for at, head in enumerate(block.headers):
        context.draw_text(
            QRectF(first + at * TABLE_COLUMN, top, TABLE_COLUMN, TITLE - 2),
            head,
            context.theme.secondary_text,
            right=True,
        )
    y = top + TITLE
    for row in block.rows:
        if row.is_total:
            context.painter.setPen(QPen(QColor(context.theme.border), 1.0))
            context.painter.drawLine(QLineF(0, y + 2.5, context.width, y + 2.5))
            y += 5
        context.draw_text(QRectF(0, y, first, LINE), row.label, context.theme.secondary_text)
        for at, text in enumerate(row.texts):
            box = QRectF(first + at * TABLE_COLUMN, y, TABLE_COLUMN, LINE)
            context.draw_text(box, text, context.theme.text, TEXT_PX, row.is_total, right=True)
        if row.cell is not None:
            context.targets.append(ClickTarget(QRectF(0, y, context.width, LINE), row.cell))
        y += LINE


def least_width(block: SheetBlock) -> float:
    """The width at which no text of a list or of lines is elided; 0 for other blocks, which wrap or have their
    own."""
    if isinstance(block, TextLines):
        return _text_room(block.lines) + RANK_GAP
    if not isinstance(block, RankedList):
        return 0.0
    label, factors, number = _ranked_widths(block)
    return label + RANK_GAP + factors + max(number + RANK_GAP, RANK_NUMBER)


def _ranked_widths(block: RankedList) -> tuple[float, float, float]:
    """The widths of labels, factors and numbers."""
    rows = [(rank.label, rank.factors, rank.number) for rank in block.rows]
    rows += [block.headers] if block.headers else []
    label, factors, number = (
        max((_text_width(row[at], SMALL_PX, False) for row in rows), default=0.0) for at in range(3)
    )
    return label, factors, number


def _ranked_columns(block: RankedList, width: float) -> tuple[float, float, float | None]:
    """Where the factors of a ranked list begin and end, and the middle of the bars; None if they have no room."""
    label, factors, number = _ranked_widths(block)
    right = width - max(number + RANK_GAP, RANK_NUMBER)
    bars = RANK_GAP + 2 * RANK_BAR
    start = RANK_LABEL if RANK_LABEL + factors + bars <= right else label + RANK_GAP
    has_bars = start + factors + bars <= right or not factors
    return start, right - (2 * RANK_BAR + RANK_GAP if has_bars else 0), right - RANK_BAR if has_bars else None


def _paint_ranked(block: RankedList, top: float, context: PaintContext) -> None:
    start, end, middle = _ranked_columns(block, context.width)
    if block.headers:
        label, factors, number = block.headers
        context.draw_text(QRectF(0, top, start, TITLE - 2), label, context.theme.secondary_text)
        context.draw_text(QRectF(start, top, end - start, TITLE - 2), factors, context.theme.secondary_text)
        context.draw_text(
            QRectF(0, top, context.width, TITLE - 2), number, context.theme.secondary_text, right=True
        )
        top += TITLE
    for at, rank in enumerate(block.rows):
        row = QRectF(0, top + at * RANK, context.width, RANK)
        if rank.is_selected:
            context.painter.fillRect(row.adjusted(-4, 0, 4, -1), QColor(context.theme.control))
        context.draw_text(row, rank.label, context.theme.text if rank.is_selected else context.theme.secondary_text)
        factors_box = QRectF(start, row.top(), end - start, RANK)
        context.draw_text(factors_box, rank.factors, context.theme.secondary_text)
        context.draw_text(row, rank.number, context.theme.text, right=True)
        if rank.cell is not None or rank.part_index is not None:
            context.targets.append(ClickTarget(row, rank.cell, rank.part_index))
        if not rank.number or middle is None:
            continue
        length = RANK_BAR * min(abs(rank.fraction), 1.0)
        if math.isfinite(length) and length > 0.4:
            colour = context.theme.value_stops[4] if rank.fraction > 0 else context.theme.value_stops[0]
            left = middle if rank.fraction > 0 else middle - length
            context.painter.fillRect(QRectF(left, row.top() + 6, length, RANK - 12), QColor(colour))
        context.painter.setPen(QPen(QColor(context.theme.disabled_text), 1.0))
        context.painter.drawLine(QLineF(middle, row.top() + 3, middle, row.bottom() - 3))


def _paint_class_bars(block: ClassBars, top: float, context: PaintContext) -> None:
    number = max(_text_width(bar.number, TEXT_PX, False) for bar in block.bars) + 8
    names = max((class_name_width(bar.name, _MAX_NAME_WIDTH) for bar in block.bars), default=0.0)
    left, right = 24.0 + (names and names + 6), context.width - number
    zero = (left + right) / 2 if block.are_scores else left
    for at, bar in enumerate(block.bars):
        y = top + at * BAR
        paint_class_symbol(
            context.painter,
            context.theme,
            bar.class_index,
            bar.name,
            QPointF(SYMBOL_SIZE / 2, y + BAR / 2),
            SYMBOL_SIZE,
        )
        paint_class_name(
            context.painter, context.theme, bar.class_index, bar.name, QRectF(SYMBOL_SIZE + 6, y, names, BAR)
        )
        room = (right - left) / 2 if block.are_scores else right - left
        length = room * min(abs(bar.fraction), 1.0) if math.isfinite(bar.fraction) else 0.0
        start = zero if bar.fraction >= 0 else zero - length
        colour = context.theme.class_colour(bar.class_index)
        if block.are_scores:
            colour = context.theme.value_stops[4 if bar.fraction > 0 else 0]
        else:
            context.painter.fillRect(QRectF(left, y + 6, right - left, 7), QColor(context.theme.control))
        context.painter.fillRect(QRectF(start, y + 6, length, 7), QColor(colour))
        if block.are_scores:
            context.painter.setPen(QPen(QColor(context.theme.secondary_text), 1.0))
            context.painter.drawLine(QPointF(zero, y + 3), QPointF(zero, y + 16))
        context.draw_text(QRectF(0, y, context.width, BAR), bar.number, context.theme.text, TEXT_PX, right=True)


# --- images with text, and histograms


def _image_height(block: CaptionedImage, width: float) -> float:
    return max(_image_size(block, width)[1] + TITLE, len(block.lines) * 2 * LINE)


def _image_size(block: CaptionedImage, width: float) -> tuple[float, float]:
    """Width and height of the image: a whole number of logical pixels per pixel where there is room."""
    high, wide = block.image.shape
    texts = [_text_width(line.label, SMALL_PX, False) for line in block.lines]
    texts += [_text_width(line.number, TEXT_PX, line.is_total) for line in block.lines]
    room = min(width - max(IMAGE_TEXT, *texts) - IMAGE_GAP - 2, MAX_IMAGE_SIDE)
    scale = room / max(high, wide)
    scale = float(int(scale)) if scale >= 2 else scale
    return wide * scale, high * scale


def _paint_image(block: CaptionedImage, top: float, context: PaintContext) -> None:
    theme, painter = context.theme, context.painter
    wide, tall = _image_size(block, context.width)
    box = QRectF(1, top + 1, wide, tall)
    painter.drawImage(box, to_qimage(colours(block.image, -1.0, 1.0, theme.picture_table)))
    painter.setPen(QPen(QColor(theme.border), 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    y, start = box.bottom() + 3, 20.0
    context.draw_text(QRectF(0, y, start, TITLE - 2), "−1", theme.secondary_text)
    painter.drawImage(QRectF(start, y + 5, 48, 5), to_qimage(theme.picture_table[None]))
    painter.drawRect(QRectF(start - 0.5, y + 4.5, 49, 6))
    context.draw_text(QRectF(start + 54, y, 20, TITLE - 2), "1", theme.secondary_text)
    left = box.right() + IMAGE_GAP
    for at, line in enumerate(block.lines):
        row = QRectF(left, top + at * 2 * LINE - 2, context.width - left, LINE)
        context.draw_text(row, line.label, theme.secondary_text)
        context.draw_text(row.translated(0, LINE - 3), line.number, theme.text, TEXT_PX, line.is_total)


def _histograms_height(block: ClassHistograms) -> float:
    return TITLE + HISTOGRAM_ROW * len(block.rows) + TITLE


def _paint_histograms(block: ClassHistograms, top: float, context: PaintContext) -> None:
    """All rows share one scale of counts and one axis; the class symbol is at the left."""
    theme, painter = context.theme, context.painter
    context.draw_text(QRectF(0, top, context.width, TITLE - 2), block.title, theme.secondary_text)
    max_count = max((float(np.max(row.counts)) for row in block.rows), default=0.0) or 1.0
    for at, row in enumerate(block.rows):
        y = top + TITLE + at * HISTOGRAM_ROW
        if row.class_index >= 0:
            paint_class_symbol(
                painter,
                theme,
                row.class_index,
                row.name,
                QPointF(SYMBOL_SIZE / 2, y + HISTOGRAM_ROW / 2),
                SYMBOL_SIZE,
            )
        else:
            context.draw_text(QRectF(2, y, SIGN, HISTOGRAM_ROW), "?", theme.text)
        box = QRectF(SIGN, y + 2, context.width - SIGN - 2, HISTOGRAM_ROW - 4)
        each = box.width() / len(row.counts)
        colour = QColor(theme.class_colour(row.class_index) if row.class_index >= 0 else theme.secondary_text)
        for place, count in enumerate(np.asarray(row.counts).tolist()):
            if count:
                high = max(count / max_count * box.height(), 1.0)
                bar = QRectF(box.left() + place * each, box.bottom() - high, max(each - 1, 1.0), high)
                painter.fillRect(bar, colour)
        painter.setPen(QPen(QColor(theme.border), 1.0))
        painter.drawLine(QLineF(box.left(), box.bottom() + 0.5, box.right(), box.bottom() + 0.5))
    y = top + TITLE + HISTOGRAM_ROW * len(block.rows)
    below = QRectF(SIGN, y, context.width - SIGN - 2, TITLE - 2)
    context.draw_text(below, block.axis_start, theme.secondary_text, SMALL_PX)
    context.draw_text(below, block.axis_end, theme.secondary_text, SMALL_PX, right=True)
    metrics = cached_font(SMALL_PX)[1]
    if block.zero_fraction is not None:
        middle = below.left() + block.zero_fraction * below.width()
        painter.setPen(QPen(QColor(theme.secondary_text), 1.0))
        painter.drawLine(QLineF(middle, y - 2, middle, y + 2))
        wide = metrics.horizontalAdvance("0")
        ends = metrics.horizontalAdvance(block.axis_start) + 6, metrics.horizontalAdvance(block.axis_end) + 6
        if below.left() + ends[0] < middle - wide / 2 and middle + wide / 2 < below.right() - ends[1]:
            context.draw_text(
                QRectF(middle - wide / 2, y, wide + 2, TITLE - 2), "0", theme.secondary_text, SMALL_PX
            )
