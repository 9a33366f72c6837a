"""Robustness view: how well drawings are read when one thing about them is not as usual, by the network and by
whole-image comparison. It reads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.data.xo.variations import Property, measured
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.explain.robustness import Robustness, tries
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.view import View
from xo_gui.widgets.buttons import KeyedWidget
from xo_gui.widgets.map_images import HostArray
from xo_gui.widgets.number_text import MINUS, percent


def property_name(name: str) -> str:
    """What the window calls a property."""
    names = {
        "shift": _tr("shift"),
        "size": _tr("size"),
        "rotation": _tr("rotation"),
        "thickness": _tr("thickness"),
        "noise": _tr("noise"),
    }
    return names[name]


def value_text(name: str, value: float) -> str:
    """A value with its unit: "−12 %" of the frame for a shift, "16°", "0.3" of the ink for noise."""
    sign = MINUS if round(value, 3) < 0 else "+" if round(value, 3) > 0 and name in ("shift", "rotation") else ""
    if name == "rotation":
        return f"{sign}{abs(value):.0f}°"
    if name == "noise":
        return f"{value:.1g}"
    digits = 1 if name == "thickness" and value < 0.0995 else 0
    return f"{sign}{100 * abs(value):.{digits}f} %"


def point_words(found: Robustness, row: int, column: int) -> str:
    """What was found at one value of one property."""
    each, tried = found.properties[row], int(found.tried[row, column])
    head = f"{property_name(each.name)} {value_text(each.name, each.values[column])}"
    if not tried:
        return _tr("{0}: not read yet").format(head)
    network, naive = (percent(int(right[row, column]) / tried) for right in (found.network, found.whole_image))
    return _tr("{0}: network {1}, whole image {2} of {3} drawings").format(head, network, naive, tried)


def standing_words(found: Robustness) -> str:
    """How much has been read, and by which weights."""
    if found.done < 1:
        words = _tr("Read rightly: {0} of {1} drawings at each value").format(
            int(found.tried.min()), found.together * found.rounds
        )
    else:
        words = _tr("Read rightly, of {0} drawings at each value").format(int(found.tried.min()))
    if found.moment is not None:
        return _tr("{0} · step {1}").format(words, found.moment.step)
    return words


def _tr(text: str) -> str:
    return QCoreApplication.translate("Robustness", text)


MultiplesPainterHostArray: TypeAlias = "np.ndarray[Any, Any]"

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

    def _points(self, shares: MultiplesPainterHostArray, box: QRectF) -> list[QPointF]:
        last = len(shares) - 1
        return [
            QPointF(box.left() + box.width() * column / last, box.bottom() - box.height() * float(share))
            for column, share in enumerate(shares)
            if not np.isnan(share)
        ]

    def _curve(self, shares: MultiplesPainterHostArray, box: QRectF, colour: str, dashed: bool) -> None:
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
            (_multiples_painter_tr("network"), QPen(QColor(theme.text), 1.6)),
            (_multiples_painter_tr("whole image"), QPen(QColor(theme.quiet), 1.6)),
            (_multiples_painter_tr("chance"), QPen(QColor(theme.faint), 1, Qt.PenStyle.DotLine)),
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
            self._entry(_multiples_painter_tr("yours"), left, middle)

    def _entry(self, name: str, left: float, middle: float) -> None:
        self._painter.setPen(QColor(self._theme.quiet))
        place = QRectF(left + _SAMPLE + 6, middle - 8, self._grid.key.width() - _SAMPLE - 6, 16)
        self._painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

    def _triangle(self, x: float, y: float) -> None:
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(QColor(self._theme.held_out))
        self._painter.drawPolygon(QPolygonF([QPointF(x - 4, y - 7), QPointF(x + 4, y - 7), QPointF(x, y)]))


def _multiples_painter_tr(text: str) -> str:
    return QCoreApplication.translate("MultiplesPainter", text)


Point = tuple[int, int]


class Multiples(KeyedWidget):
    """pointed(): another point, or none, is under the mouse or the keys; `point` says which: property, value.
    picked(point): it was clicked."""

    pointed = Signal()
    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._found: Robustness | None = None
        self._marks: Mapping[str, float] = {}
        self.point: Point | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Drawings read rightly, by shift, size, rotation, thickness and noise"))

    def sizeHint(self) -> QSize:
        """Five plots side by side."""
        return QSize(460, 160)

    def minimumSizeHint(self) -> QSize:
        """Three beside each other whose course can be made out."""
        return QSize(290, 90)

    def show_robustness(self, found: Robustness | None) -> None:
        """Show these curves; None: there are none."""
        self._found = found
        if found is None:
            self.point = None
        self.update()

    def show_marks(self, marks: Mapping[str, float]) -> None:
        """Where the drawing on the canvas lies, by property, as far as that is known."""
        if marks != self._marks:
            self._marks = marks
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def grid(self) -> Grid:
        """Where the plots stand."""
        return Grid(self.width(), self.height(), 5 if self._found is None else len(self._found.properties))

    def place(self, point: Point, share: float) -> QPointF:
        """Where a share of one value of one property is painted."""
        box = self.grid().boxes[point[0]]
        assert self._found is not None
        steps = len(self._found.properties[point[0]].values) - 1
        return QPointF(box.left() + box.width() * point[1] / steps, box.bottom() - box.height() * share)

    # -- the person --------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read the value under the mouse."""
        self._point_at(self._under(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put a drawing of this value on the canvas."""
        self._point_at(self._under(event.position()))
        if self.point is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(self.point)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is read any more."""
        self._point_at(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right go through the values, up and down through the properties, Return puts a drawing on the
        canvas, Esc lets go."""
        key, found = Qt.Key(event.key()), self._found
        step = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
        }.get(key)  # fmt: skip
        if found is not None and step is not None:
            rows, columns = found.tried.shape
            row, column = self.point or (0, found.properties[0].values.index(found.properties[0].usual) - step[1])
            moved = (row + step[0]) % rows, min(max(column + step[1], 0), columns - 1)
            self._point_at(moved)
        elif self.point is not None and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self.point)
        elif self.point is not None and key == Qt.Key.Key_Escape:
            self._point_at(None)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """They are elsewhere."""
        self._point_at(None)
        super().focusOutEvent(event)

    def _under(self, at: QPointF) -> Point | None:
        """The value of a property whose column is nearest to a place in its plot."""
        if self._found is None:
            return None
        for row, box in enumerate(self.grid().boxes):
            if box.adjusted(-8, -18, 8, 18).contains(at):
                steps = len(self._found.properties[row].values) - 1
                column = round(float(np.clip((at.x() - box.left()) / box.width(), 0, 1)) * steps)
                return row, column
        return None

    def _point_at(self, point: Point | None) -> None:
        if point != self.point:
            self.point = point
            self.update()
            self.pointed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """All plots."""
        if self._found is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        grid = self.grid()
        MultiplesPainter(painter, self._theme, grid, self._found).paint(self._marks, self.point)
        if self.hasFocus():
            painter.setPen(self._theme.o)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)


_REDRAW_SECONDS = 0.15


class RobustnessView(View):
    """Five plots and a line of words. It is tried only while the panel is seen."""

    title = "How well"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._found: Robustness | None = None
        self._seen = False
        self._drawn_at = 0.0
        self._measured: tuple[Drawing, HostArray] | None = None
        self._put_so_often: Counter[Point] = Counter()
        self.plots, self.words = Multiples(self), QLabel(self)
        self.plots.pointed.connect(self._say)
        self.plots.picked.connect(self._put)
        self.plots.setToolTip(
            self.tr("Click to put a drawing like this on the canvas, a misread one if there is one")
        )
        self.words.setFont(font(SMALL_PX))
        self.words.setWordWrap(True)
        self.words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plots, 1)
        column.addWidget(self.words)
        self.setAccessibleName(self.tr("How well varied drawings are read"))
        self._say()

    def sizeHint(self) -> QSize:
        """Five plots side by side."""
        return QSize(460, 190)

    def set_seen(self, seen: bool) -> None:
        """Ask for the numbers only while they are looked at."""
        if seen != self._seen:
            self._seen = seen
            self.watched.emit("robustness", seen)

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """The curves as far as they are known, and where the drawing on the canvas lies."""
        if not self._seen:
            return
        found = snapshot.robustness
        if found is not self._found and (_stands(found) or perf_counter() - self._drawn_at > _REDRAW_SECONDS):
            self._found, self._drawn_at = found, perf_counter()
            self.plots.show_robustness(found)
            self._say()
        if snapshot.settled and snapshot.readings:
            self._measure(snapshot.drawing, snapshot.readings[0].outputs[0][0])

    def _measure(self, drawing: Drawing, picture: HostArray) -> None:
        """Mark where the drawing lies, if it or its picture is another; a stroke under way is not measured."""
        before = self._measured
        if before is None or before[0] is not drawing or not np.array_equal(before[1], picture):
            self._measured = drawing, picture
            self.plots.show_marks(measured(drawing, picture))

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.plots.set_theme(theme)

    def _say(self) -> None:
        """What the point under the mouse says, or how much is known."""
        found, point = self._found, self.plots.point
        if found is None:
            words = self.tr("Drawings that are shifted, sized, turned, thickened and noisy are read here.")
            if self._document is not None and not tries(self._document.subjects[0].network):
                words = self.tr(
                    "Only a network that tells X from O can be tried with varied drawings: choose one above."
                )
        else:
            words = standing_words(found) if point is None else point_words(found, *point)
        if words != self.words.text():
            self.words.setText(words)
            self.plots.setAccessibleDescription(words)

    def _put(self, point: Point) -> None:
        """Put a drawing of this value on the canvas: first one that was misread, then others in turn."""
        found, document = self._found, self._document
        if found is None or document is None:
            return
        misread = [int(first[point]) for first in (found.missed, found.fooled) if first[point] >= 0]
        turn = self._put_so_often[point]
        self._put_so_often[point] += 1
        number = (misread[0] if misread else 0) + turn
        drawing = found.drawing(*point, number)
        self.edited.emit(document.with_drawing(drawing), self.tr("Varied drawing"), "")


def _stands(found: Robustness | None) -> bool:
    """Whether there will be no more of it soon."""
    return found is None or found.done >= 1
