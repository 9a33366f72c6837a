"""The Robustness panel: accuracy of the network and of template matching for drawings with one varied property."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
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

from engine.backends import HostArray
from engine.data import InputSample, VariedProperty
from engine.documents import Document
from engine.explain import RobustnessResult, supports
from engine.runtime import AnyQuery, RobustnessQuery, Snapshot
from xo_gui.app import SMALL_PX, Theme, current_theme, font, translate
from xo_gui.views.view import View
from xo_gui.widgets import MINUS, FocusFrameWidget, elided_text, paint_below_text, percent_text

PlotPoint = tuple[int, int]
_REDRAW_SECONDS = 0.15
_AXIS, _TITLE, _TICKS, _GAP, _EDGE, _ROW_GAP, _PAD = 42.0, 17.0, 17.0, 16.0, 6.0, 5.0, 2.0
_DASH, _SAMPLE, _SHORTEST_SAMPLE, _SAMPLE_GAP = [4.0, 3.0], 20.0, 8.0, 6.0
_COLUMNS = (6, 3, 2, 1)


class RobustnessView(View):
    """Five plots and a line of text; tests run only while the panel is visible."""

    title = "Robustness"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._result: RobustnessResult | None = None
        self._drawn_at = 0.0
        self._measured: tuple[InputSample[Any], HostArray] | None = None
        self._clicks: Counter[PlotPoint] = Counter()
        self.plots, self.status_label = RobustnessPlots(self), QLabel(self)
        self.plots.point_changed.connect(self._update_text)
        self.plots.clicked.connect(self._put_on_canvas)
        self.plots.setToolTip(
            self.tr("Click to put a drawing like this on the canvas, a misclassified one if there is one")
        )
        self.status_label.setFont(font(SMALL_PX))
        self.status_label.setWordWrap(True)
        self.status_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.status_label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plots, 1)
        column.addWidget(self.status_label)
        self.setAccessibleName(self.tr("Robustness to varied drawings"))
        self._update_text()

    def sizeHint(self) -> QSize:
        return QSize(460, 190)

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({RobustnessQuery()})

    def set_document(self, document: Document) -> None:
        self._document = document

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if not self.is_on_screen:
            return
        result = snapshot.result(RobustnessQuery())
        redraw = _is_final(result) or perf_counter() - self._drawn_at > _REDRAW_SECONDS
        if result is not self._result and redraw:
            self._result, self._drawn_at = result, perf_counter()
            self.plots.set_robustness(result)
            self._update_text()
        if snapshot.settled and snapshot.predictions:
            self._update_marks(snapshot.input, snapshot.predictions[0].activations[0])

    def _update_marks(self, sample: InputSample[Any], image: HostArray) -> None:
        """Measure the input if it or its image has changed."""
        before = self._measured
        if before is None or before[0] is not sample or not np.array_equal(before[1], image):
            self._measured = sample, image
            variations = sample.kind.variations
            self.plots.set_marks({} if variations is None else variations.measure(sample.source, image))

    def _update_text(self) -> None:
        """The numbers of the selected point, or the progress."""
        result, point = self._result, self.plots.point
        if result is None:
            text = self.tr("Drawings that are shifted, scaled, rotated, thickened and noisy are tested here.")
            if self._document is not None and not supports(self._document.models[0].network):
                text = self.tr(
                    "No varied drawings can be made for the classes {0}: choose another network above."
                ).format(self.tr(" and ").join(self._document.models[0].network.classes))
        else:
            text = status_text(result) if point is None else point_text(result, *point)
        if text != self.status_label.text():
            self.status_label.setText(text)
            self.plots.setAccessibleDescription(text)

    def _put_on_canvas(self, point: PlotPoint) -> None:
        """Put a drawing of this value on the canvas: first a misclassified one, then the following ones."""
        result, document = self._result, self._document
        if result is None or document is None:
            return
        errors = [
            int(first[point])
            for first in (result.first_network_error, result.first_template_error)
            if first[point] >= 0
        ]
        index = (errors[0] if errors else 0) + self._clicks[point]
        self._clicks[point] += 1
        self.edited.emit(document.with_source(result.varied_input(*point, index)), self.tr("Varied drawing"), "")


def _is_final(result: RobustnessResult | None) -> bool:
    return result is None or result.progress >= 1


class RobustnessPlots(FocusFrameWidget):
    """The plots, small multiples of one kind.

    point: the selected property and value, by index. point_changed(): another one is selected. clicked(point).
    """

    point_changed = Signal()
    clicked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._result: RobustnessResult | None = None
        self._marks: Mapping[str, float] = {}
        self.point: PlotPoint | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Accuracy by shift, size, rotation, thickness and noise"))

    def sizeHint(self) -> QSize:
        return QSize(460, 160)

    def minimumSizeHint(self) -> QSize:
        return QSize(290, 90)

    def set_robustness(self, result: RobustnessResult | None) -> None:
        """Show these curves; None for none."""
        self._result = result
        if result is None:
            self.point = None
        self.update()

    def set_marks(self, marks: Mapping[str, float]) -> None:
        """Mark the values of the drawing on the canvas, by property, where known."""
        if marks != self._marks:
            self._marks = marks
            self.update()

    def grid(self) -> PlotGrid:
        """The layout of the plots."""
        return PlotGrid(self.width(), self.height(), 5 if self._result is None else len(self._result.properties))

    def position(self, point: PlotPoint, share: float) -> QPointF:
        """The position of a share at one value of one property, in logical pixels."""
        box = self.grid().boxes[point[0]]
        assert self._result is not None
        steps = len(self._result.properties[point[0]].values) - 1
        return QPointF(box.left() + box.width() * point[1] / steps, box.bottom() - box.height() * share)

    # -- input -------------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_point(self._point_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._set_point(self._point_at(event.position()))
        if self.point is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(self.point)

    def leaveEvent(self, event: QEvent) -> None:
        self._set_point(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right move between values, up and down between properties, Return puts a drawing on the canvas,
        Esc deselects."""
        key, result = Qt.Key(event.key()), self._result
        step = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
        }.get(key)  # fmt: skip
        if result is not None and step is not None:
            rows, columns = result.counts.shape
            first = result.properties[0]
            row, column = self.point or (0, first.values.index(first.baseline) - step[1])
            self._set_point(((row + step[0]) % rows, min(max(column + step[1], 0), columns - 1)))
        elif self.point is not None and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit(self.point)
        elif self.point is not None and key == Qt.Key.Key_Escape:
            self._set_point(None)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._set_point(None)
        super().focusOutEvent(event)

    def _point_at(self, position: QPointF) -> PlotPoint | None:
        """The nearest value in the plot at a position."""
        if self._result is None:
            return None
        for row, box in enumerate(self.grid().boxes):
            if box.adjusted(-8, -18, 8, 18).contains(position):
                steps = len(self._result.properties[row].values) - 1
                column = round(float(np.clip((position.x() - box.left()) / box.width(), 0, 1)) * steps)
                return row, column
        return None

    def _set_point(self, point: PlotPoint | None) -> None:
        if point != self.point:
            self.point = point
            self.update()
            self.point_changed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._result is None:
            with QPainter(self) as painter:
                top = Qt.AlignmentFlag.AlignTop
                paint_below_text(painter, QRectF(self.rect()), "", "robustness", top)
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            grid = self.grid()
            RobustnessPainter(painter, current_theme(), grid, self._result).paint(self._marks, self.point)
            if self.hasFocus():
                painter.setPen(current_theme().o)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)


class PlotGrid:
    """The layout of `count` plots and a legend, with as many columns as make the plots largest.

    boxes: the plots without titles and axes. key: the rectangle of the legend. columns: their number.
    """

    def __init__(self, width: float, height: float, count: int) -> None:
        cells = count + 1
        self.columns = max(_COLUMNS, key=lambda columns: self._score(width, height, cells, columns))
        plot_width, plot_height = self._plot_size(width, height, cells, self.columns)
        boxes = []
        for index in range(cells):
            row, column = divmod(index, self.columns)
            left = _AXIS + column * (plot_width + _GAP)
            top = _PAD + _TITLE + row * (plot_height + _TITLE + _TICKS + _ROW_GAP)
            boxes.append(QRectF(left, top, plot_width, plot_height))
        *self.boxes, self.key = boxes

    @staticmethod
    def _plot_size(width: float, height: float, cells: int, columns: int) -> tuple[float, float]:
        rows = -(-cells // columns)
        plot_width = (width - _AXIS - _EDGE - (columns - 1) * _GAP) / columns
        plot_height = (height - 2 * _PAD - (rows - 1) * _ROW_GAP) / rows - _TITLE - _TICKS
        return max(plot_width, 20.0), max(plot_height, 20.0)

    def _score(self, width: float, height: float, cells: int, columns: int) -> float:
        plot_width, plot_height = self._plot_size(width, height, cells, columns)
        return min(plot_width, 1.3 * plot_height)


class RobustnessPainter:
    """Paints the plots of a RobustnessResult."""

    def __init__(self, painter: QPainter, theme: Theme, grid: PlotGrid, result: RobustnessResult) -> None:
        self._painter, self._theme, self._grid, self._result = painter, theme, grid, result
        self._curves = result.accuracy(result.network_correct), result.accuracy(result.template_correct)
        self._metrics = QFontMetrics(font(SMALL_PX))
        self._sample = _SAMPLE  # the length of a line of the legend
        painter.setFont(font(SMALL_PX))

    def paint(self, marks: Mapping[str, float], point: tuple[int, int] | None) -> None:
        """Paint all plots and the legend.

        marks: the value of each property of the drawing on the canvas, where known. point: the one highlighted.
        """
        for row, varied in enumerate(self._result.properties):
            box = self._grid.boxes[row]
            self._paint_frame(row, varied, box)
            self._paint_mark(marks.get(varied.name), varied, box)
            if point is not None and point[0] == row:
                x = box.left() + box.width() * point[1] / (len(varied.values) - 1)
                self._vertical_line(x, box, self._theme.secondary_text)
            self._paint_curve(self._curves[1][row], box, self._theme.secondary_text, dashed=True)
            self._paint_curve(self._curves[0][row], box, self._theme.text, dashed=False)
            if point is not None and point[0] == row:
                self._paint_dots(row, point[1], box)
        self._paint_legend(marked=bool(marks))

    # -- frame -------------------------------------------------------------------------------------------------

    def _paint_frame(self, row: int, varied: VariedProperty, box: QRectF) -> None:
        painter, theme = self._painter, self._theme
        left_aligned = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(theme.text))
        painter.setFont(font(SMALL_PX, strong=True))
        name = QRectF(box.left(), box.top() - _TITLE, box.width(), _TITLE - 4)
        painter.drawText(name, left_aligned, property_name(varied.name))
        painter.setFont(font(SMALL_PX))
        for share in (0.0, 1.0):
            self._horizontal_line(box, share, theme.border, Qt.PenStyle.SolidLine)
        self._horizontal_line(box, self._chance, theme.disabled_text, Qt.PenStyle.DotLine)
        painter.setPen(QColor(theme.secondary_text))
        if row % self._grid.columns == 0:
            for share in (0.0, 0.5, 1.0):
                middle = box.bottom() - box.height() * share
                label = QRectF(box.left() - _AXIS, middle - 8, _AXIS - 6, 16)
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(label, right, f"{100 * share:.0f} %" if share == 1 else f"{100 * share:.0f}")
        self._paint_ticks(varied, box)

    def _paint_ticks(self, varied: VariedProperty, box: QRectF) -> None:
        """The least and the greatest value, and the default if there is room."""
        painter, last = self._painter, len(varied.values) - 1
        default = varied.values.index(varied.baseline)
        texts = {column: value_text(varied.name, varied.values[column]) for column in (0, default, last)}
        room = sum(self._metrics.horizontalAdvance(text) + 6 for text in texts.values())
        for column, text in texts.items():
            x = box.left() + box.width() * column / last
            if column == default and 0 < default < last:
                painter.setPen(QPen(QColor(self._theme.secondary_text), 1))
                painter.drawLine(QPointF(x, box.bottom()), QPointF(x, box.bottom() + 3))
                if room > box.width():
                    continue
            width = self._metrics.horizontalAdvance(text) + 2
            left = x - width / 2 if 0 < column < last else x if column == 0 else x - width
            painter.setPen(QColor(self._theme.secondary_text))
            painter.drawText(QRectF(left, box.bottom() + 2, width, _TICKS - 2), Qt.AlignmentFlag.AlignCenter, text)

    def _horizontal_line(self, box: QRectF, share: float, colour: str, style: Qt.PenStyle) -> None:
        y = round(box.bottom() - box.height() * share) + 0.5
        self._painter.setPen(QPen(QColor(colour), 1, style))
        self._painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))

    def _vertical_line(self, x: float, box: QRectF, colour: str) -> None:
        self._painter.setPen(QPen(QColor(colour), 1))
        self._painter.drawLine(QPointF(round(x) + 0.5, box.top()), QPointF(round(x) + 0.5, box.bottom()))

    @property
    def _chance(self) -> float:
        return 0.5  # of two classes

    # -- curves ------------------------------------------------------------------------------------------------

    def _points(self, shares: HostArray, box: QRectF) -> list[QPointF]:
        last = len(shares) - 1
        return [
            QPointF(box.left() + box.width() * column / last, box.bottom() - box.height() * float(share))
            for column, share in enumerate(shares)
            if not np.isnan(share)
        ]

    def _paint_curve(self, shares: HostArray, box: QRectF, colour: str, dashed: bool) -> None:
        pen = QPen(QColor(colour), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.RoundJoin)
        if dashed:
            pen.setDashPattern(_DASH)
        self._painter.setPen(pen)
        self._painter.setBrush(Qt.BrushStyle.NoBrush)
        self._painter.drawPolyline(QPolygonF(self._points(shares, box)))

    def _paint_dots(self, row: int, column: int, box: QRectF) -> None:
        for shares, colour in zip(self._curves, (self._theme.text, self._theme.secondary_text), strict=True):
            share = shares[row, column]
            if not np.isnan(share):
                x = box.left() + box.width() * column / (shares.shape[1] - 1)
                self._painter.setPen(QPen(QColor(self._theme.background), 1.5))
                self._painter.setBrush(QColor(colour))
                self._painter.drawEllipse(QPointF(x, box.bottom() - box.height() * float(share)), 4, 4)

    def _paint_mark(self, value: float | None, varied: VariedProperty, box: QRectF) -> None:
        """A small triangle on the axis at the value of the drawing on the canvas."""
        if value is None:
            return
        column = float(np.interp(value, varied.values, np.arange(len(varied.values))))
        x, y = box.left() + box.width() * column / (len(varied.values) - 1), box.bottom()
        self._paint_triangle(x, y)

    # -- legend ------------------------------------------------------------------------------------------------

    def _paint_legend(self, marked: bool) -> None:
        theme, left = self._theme, self._grid.key.left()
        line = min(self._metrics.height() + 2.0, (self._grid.key.height() + _TICKS) / 4)
        lines = [
            (translate("MultiplesPainter", "network"), QPen(QColor(theme.text), 1.6)),
            (translate("MultiplesPainter", "templates"), QPen(QColor(theme.secondary_text), 1.6)),
            (translate("MultiplesPainter", "chance"), QPen(QColor(theme.disabled_text), 1, Qt.PenStyle.DotLine)),
        ]
        lines[1][1].setDashPattern(_DASH)
        names = [*(name for name, _ in lines), translate("MultiplesPainter", "yours")]
        widest = max(map(self._metrics.horizontalAdvance, names))
        self._sample = min(max(self._grid.key.width() - _SAMPLE_GAP - widest - 1, _SHORTEST_SAMPLE), _SAMPLE)
        for index, (name, pen) in enumerate(lines):
            middle = self._grid.key.top() + index * line + line / 2
            self._painter.setPen(pen)
            self._painter.drawLine(QPointF(left, middle), QPointF(left + self._sample, middle))
            self._paint_legend_text(name, left, middle)
        if marked:
            middle = self._grid.key.top() + len(lines) * line + line / 2
            self._paint_triangle(left + self._sample / 2, middle + 3.5)
            self._paint_legend_text(names[-1], left, middle)

    def _paint_legend_text(self, name: str, left: float, middle: float) -> None:
        self._painter.setPen(QColor(self._theme.secondary_text))
        before = self._sample + _SAMPLE_GAP
        box = QRectF(left + before, middle - 8, self._grid.key.width() - before, 16)
        text = elided_text(name, box.width())
        self._painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_triangle(self, x: float, y: float) -> None:
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(QColor(self._theme.held_out))
        self._painter.drawPolygon(QPolygonF([QPointF(x - 4, y - 7), QPointF(x + 4, y - 7), QPointF(x, y)]))


def property_name(name: str) -> str:
    """The translated name of a property."""
    names = {
        "shift": translate("Robustness", "shift"),
        "size": translate("Robustness", "size"),
        "rotation": translate("Robustness", "rotation"),
        "thickness": translate("Robustness", "thickness"),
        "noise": translate("Robustness", "noise"),
    }
    return names[name]


def value_text(name: str, value: float) -> str:
    """A value with its unit: "−12 %" of the frame for a shift, "16°", "0.3" of the stroke's value for noise."""
    sign = MINUS if round(value, 3) < 0 else "+" if round(value, 3) > 0 and name in ("shift", "rotation") else ""
    if name == "rotation":
        return f"{sign}{abs(value):.0f}°"
    if name == "noise":
        return f"{value:.1g}"
    digits = 1 if name == "thickness" and value < 0.0995 else 0
    return f"{sign}{100 * abs(value):.{digits}f} %"


def point_text(result: RobustnessResult, row: int, column: int) -> str:
    """The accuracies at one value of one property."""
    varied, count = result.properties[row], int(result.counts[row, column])
    head = f"{property_name(varied.name)} {value_text(varied.name, varied.values[column])}"
    if not count:
        return translate("Robustness", "{0}: not tested yet").format(head)
    network = percent_text(int(result.network_correct[row, column]) / count)
    template = percent_text(int(result.template_correct[row, column]) / count)
    text = translate("Robustness", "{0}: network {1}, template matching {2} correct of {3} drawings")
    return text.format(head, network, template, count)


def status_text(result: RobustnessResult) -> str:
    """The number of drawings tested, and the step of the weights."""
    if result.progress < 1:
        text = translate("Robustness", "Accuracy: {0} of {1} drawings at each value tested").format(
            int(result.counts.min()), result.drawings_per_round * result.rounds
        )
    else:
        text = translate("Robustness", "Accuracy on {0} drawings at each value").format(int(result.counts.min()))
    if result.run_point is not None:
        return translate("Robustness", "{0} · step {1}").format(text, result.run_point.step)
    return text
