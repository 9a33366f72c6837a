"""Multiples painter: how the small plots of robustness look. It knows no mouse and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from engine.data.xo.variations import Property
from engine.explain.robustness import Robustness
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.views.robustness_words import property_name, value_text

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_AXIS, _HEAD, _FOOT, _GAP, _EDGE, _ROW_GAP, _PAD = 42.0, 17.0, 17.0, 16.0, 6.0, 5.0, 2.0
_DASH, _SAMPLE = [4.0, 3.0], 20.0
_COLUMNS = (6, 3, 2, 1)


class Grid:
    """Where `count` plots stand in so much room, and their key: as many beside each other as makes them largest.

    boxes: their frames, without titles and axes; key: the room for the key; columns: how many stand beside each
    other.
    """

    def __init__(self, width: float, height: float, count: int) -> None:
        cells = count + 1
        self.columns = max(_COLUMNS, key=lambda columns: self._size(width, height, cells, columns))
        wide, high = self._cell(width, height, cells, self.columns)
        boxes = []
        for at in range(cells):
            down, across = divmod(at, self.columns)
            left, top = _AXIS + across * (wide + _GAP), _PAD + _HEAD + down * (high + _HEAD + _FOOT + _ROW_GAP)
            boxes.append(QRectF(left, top, wide, high))
        *self.boxes, self.key = boxes

    @staticmethod
    def _cell(width: float, height: float, cells: int, columns: int) -> tuple[float, float]:
        rows = -(-cells // columns)
        wide = (width - _AXIS - _EDGE - (columns - 1) * _GAP) / columns
        high = (height - 2 * _PAD - (rows - 1) * _ROW_GAP) / rows - _HEAD - _FOOT
        return max(wide, 20.0), max(high, 20.0)

    def _size(self, width: float, height: float, cells: int, columns: int) -> float:
        wide, high = self._cell(width, height, cells, columns)
        return min(wide, 1.3 * high)


class MultiplesPainter:
    """Paints one Robustness."""

    def __init__(self, painter: QPainter, theme: Theme, grid: Grid, found: Robustness) -> None:
        self._painter, self._theme, self._grid, self._found = painter, theme, grid, found
        self._curves = found.shares(found.network), found.shares(found.whole_image)
        self._metrics = QFontMetrics(font(SMALL_PX))
        painter.setFont(font(SMALL_PX))

    def paint(self, marks: Mapping[str, float], point: tuple[int, int] | None) -> None:
        """marks: the value of each property of the drawing on the canvas, where known. point: the one read."""
        for row, each in enumerate(self._found.properties):
            box = self._grid.boxes[row]
            self._frame(row, each, box)
            self._mark(marks.get(each.name), each, box)
            if point is not None and point[0] == row:
                self._line(box.left() + box.width() * point[1] / (len(each.values) - 1), box, self._theme.quiet)
            self._curve(self._curves[1][row], box, self._theme.quiet, dashed=True)
            self._curve(self._curves[0][row], box, self._theme.text, dashed=False)
            if point is not None and point[0] == row:
                self._dots(row, point[1], box)
        self._key(marked=bool(marks))

    # -- the frame ---------------------------------------------------------------------------------------------

    def _frame(self, row: int, each: Property, box: QRectF) -> None:
        painter, theme = self._painter, self._theme
        painter.setPen(QColor(theme.text))
        painter.setFont(font(SMALL_PX, strong=True))
        name = QRectF(box.left(), box.top() - _HEAD, box.width(), _HEAD - 4)
        painter.drawText(name, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, property_name(each.name))
        painter.setFont(font(SMALL_PX))
        for share in (0.0, 1.0):
            self._level(box, share, theme.line, Qt.PenStyle.SolidLine)
        self._level(box, self._chance, theme.faint, Qt.PenStyle.DotLine)
        painter.setPen(QColor(theme.quiet))
        if row % self._grid.columns == 0:
            for share in (0.0, 0.5, 1.0):
                middle = box.bottom() - box.height() * share
                place = QRectF(box.left() - _AXIS, middle - 8, _AXIS - 6, 16)
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(place, right, f"{100 * share:.0f} %" if share == 1 else f"{100 * share:.0f}")
        self._ticks(each, box)

    def _ticks(self, each: Property, box: QRectF) -> None:
        """The least and the most value, and the usual one if there is room."""
        painter, last = self._painter, len(each.values) - 1
        usual = each.values.index(each.usual)
        texts = {column: value_text(each.name, each.values[column]) for column in (0, usual, last)}
        room = sum(self._metrics.horizontalAdvance(text) + 6 for text in texts.values())
        for column, text in texts.items():
            x = box.left() + box.width() * column / last
            if column == usual and 0 < usual < last:
                painter.setPen(QPen(QColor(self._theme.quiet), 1))
                painter.drawLine(QPointF(x, box.bottom()), QPointF(x, box.bottom() + 3))
                if room > box.width():
                    continue
            wide = self._metrics.horizontalAdvance(text) + 2
            left = x - wide / 2 if 0 < column < last else x if column == 0 else x - wide
            painter.setPen(QColor(self._theme.quiet))
            painter.drawText(QRectF(left, box.bottom() + 2, wide, _FOOT - 2), Qt.AlignmentFlag.AlignCenter, text)

    def _level(self, box: QRectF, share: float, colour: str, style: Qt.PenStyle) -> None:
        y = round(box.bottom() - box.height() * share) + 0.5
        self._painter.setPen(QPen(QColor(colour), 1, style))
        self._painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))

    def _line(self, x: float, box: QRectF, colour: str) -> None:
        self._painter.setPen(QPen(QColor(colour), 1))
        self._painter.drawLine(QPointF(round(x) + 0.5, box.top()), QPointF(round(x) + 0.5, box.bottom()))

    @property
    def _chance(self) -> float:
        return 0.5  # of two classes

    # -- the curves --------------------------------------------------------------------------------------------

    def _points(self, shares: HostArray, box: QRectF) -> list[QPointF]:
        last = len(shares) - 1
        return [
            QPointF(box.left() + box.width() * column / last, box.bottom() - box.height() * float(share))
            for column, share in enumerate(shares)
            if not np.isnan(share)
        ]

    def _curve(self, shares: HostArray, box: QRectF, colour: str, dashed: bool) -> None:
        pen = QPen(QColor(colour), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.RoundJoin)
        if dashed:
            pen.setDashPattern(_DASH)
        self._painter.setPen(pen)
        self._painter.setBrush(Qt.BrushStyle.NoBrush)
        self._painter.drawPolyline(QPolygonF(self._points(shares, box)))

    def _dots(self, row: int, column: int, box: QRectF) -> None:
        for shares, colour in zip(self._curves, (self._theme.text, self._theme.quiet), strict=True):
            share = shares[row, column]
            if not np.isnan(share):
                x = box.left() + box.width() * column / (shares.shape[1] - 1)
                self._painter.setPen(QPen(QColor(self._theme.ground), 1.5))
                self._painter.setBrush(QColor(colour))
                self._painter.drawEllipse(QPointF(x, box.bottom() - box.height() * float(share)), 4, 4)

    def _mark(self, value: float | None, each: Property, box: QRectF) -> None:
        """A small triangle on the axis, where the drawing on the canvas lies."""
        if value is None:
            return
        column = float(np.interp(value, each.values, np.arange(len(each.values))))
        x, y = box.left() + box.width() * column / (len(each.values) - 1), box.bottom()
        self._triangle(x, y)

    # -- the key -----------------------------------------------------------------------------------------------

    def _key(self, marked: bool) -> None:
        """What the lines and the triangle are, in the room of one more plot."""
        theme, left, line = self._theme, self._grid.key.left(), self._metrics.height() + 2.0
        lines = [
            (_tr("network"), QPen(QColor(theme.text), 1.6)),
            (_tr("whole image"), QPen(QColor(theme.quiet), 1.6)),
            (_tr("chance"), QPen(QColor(theme.faint), 1, Qt.PenStyle.DotLine)),
        ]
        lines[1][1].setDashPattern(_DASH)
        for at, (name, pen) in enumerate(lines):
            middle = self._grid.key.top() + at * line + line / 2
            self._painter.setPen(pen)
            self._painter.drawLine(QPointF(left, middle), QPointF(left + _SAMPLE, middle))
            self._entry(name, left, middle)
        if marked:
            middle = self._grid.key.top() + len(lines) * line + line / 2
            self._triangle(left + _SAMPLE / 2, middle + 3.5)
            self._entry(_tr("yours"), left, middle)

    def _entry(self, name: str, left: float, middle: float) -> None:
        self._painter.setPen(QColor(self._theme.quiet))
        place = QRectF(left + _SAMPLE + 6, middle - 8, self._grid.key.width() - _SAMPLE - 6, 16)
        self._painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

    def _triangle(self, x: float, y: float) -> None:
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(QColor(self._theme.held_out))
        self._painter.drawPolygon(QPolygonF([QPointF(x - 4, y - 7), QPointF(x + 4, y - 7), QPointF(x, y)]))


def _tr(text: str) -> str:
    return QCoreApplication.translate("MultiplesPainter", text)
