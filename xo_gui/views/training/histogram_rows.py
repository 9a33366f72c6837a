"""The rows of the Distributions panel: small histograms per layer, and texts on what is under the mouse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QToolTip, QWidget

from engine.training import BINS, Histogram, LayerStatistics, NetworkStatistics, StatisticsHistory
from xo_gui.app import SMALL_PX, current_theme, font, translate
from xo_gui.views.network import layer_names, paint_dead_mark
from xo_gui.widgets import MINUS, elided_text, integer_text, paint_empty, short_text

_MAX_NAMED = 12

ROW_HEIGHT, _GAP, _HISTOGRAM_HEIGHT = 34.0, 10.0, 22.0
_NAME_WIDTH, _MIN_NAME_WIDTH = 92.0, 60.0
_ARROWS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
COLUMNS = ("weights", "values", "gradients", "course")


@dataclass(frozen=True)
class StatisticsCell:
    """The cell under the mouse.

    column: of COLUMNS, None for the layer's name. position: horizontally in the cell, 0 to 1.
    """

    row: int
    column: str | None
    position: float = 0.0


def column_boxes(width: float) -> dict[str, tuple[float, float]]:
    """Left edge and width of every column of a widget of this width, in logical pixels."""
    narrow = width < 340
    name, gap = (_MIN_NAME_WIDTH, _GAP - 4) if narrow else (_NAME_WIDTH, _GAP)
    # 4 pixels stay free before the scroll bar.
    each = (width - 4 - name - len(COLUMNS) * gap) / len(COLUMNS)
    return {column: (name + gap + index * (each + gap), each) for index, column in enumerate(COLUMNS)}


class HistogramHeader(QWidget):
    """The column headers, which stay while `rows` are scrolled."""

    def __init__(self, rows: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setFixedHeight(15)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            painter.setPen(QColor(current_theme().secondary_text))
            metrics = QFontMetricsF(painter.font())
            for column, (left, wide) in column_boxes(self._rows.width()).items():
                fits = metrics.horizontalAdvance(column_title(column)) <= wide + 4
                painter.drawText(QPointF(left, 11), elided_text(column_title(column, brief=not fits), wide + 4))


class HistogramRows(QWidget):
    """The rows of histograms.

    cell_text_changed(text): on the cell under the mouse or selected by keyboard.
    row_selected(top, bottom): by keyboard, in logical pixels.
    """

    cell_text_changed = Signal(str)
    row_selected = Signal(int, int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._log = False
        self._statistics: NetworkStatistics | None = None
        self._names: tuple[str, ...] = ()
        self._cell: StatisticsCell | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Weights, values and gradients of every layer"))

    def sizeHint(self) -> QSize:
        return QSize(200, int(ROW_HEIGHT * max(1, len(self._rows))))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, int(ROW_HEIGHT * len(self._rows)) if self._rows else 40)

    # -- display -----------------------------------------------------------------------------------------------

    @property
    def _rows(self) -> tuple[LayerStatistics, ...]:
        return () if self._statistics is None else self._statistics.rows

    def set_statistics(self, statistics: NetworkStatistics | None) -> None:
        """Show these statistics; None for none."""
        before = len(self._rows)
        if statistics is not None and (
            self._statistics is None or statistics.network is not self._statistics.network
        ):
            self._names = layer_names(statistics.network)
        self._statistics = statistics
        if len(self._rows) != before:
            self.updateGeometry()
        if self._cell is not None and self._cell.row >= len(self._rows):
            self._cell = None
        self.setAccessibleDescription("; ".join(self._summaries()))
        self.cell_text_changed.emit(self._cell_text())
        self.update()

    def set_log(self, log: bool) -> None:
        """Draw the logarithm of the counts, or the counts."""
        self._log = log
        self.update()

    def row_name(self, row: LayerStatistics) -> str:
        """The name of a row: that of its first layer."""
        return self._names[row.layers[0]]

    def _summaries(self) -> list[str]:
        return [row_summary(self.row_name(row), row, self.dead_features(row)) for row in self._rows]

    def dead_features(self, row: LayerStatistics) -> tuple[int, ...]:
        """The dead features of a row, counted from 0."""
        dead = () if self._statistics is None else self._statistics.dead
        return next((each.channels for each in dead if each.layer in row.layers), ())

    # -- input -------------------------------------------------------------------------------------------------

    def box(self, row: int, column: str) -> QRectF:
        """The rectangle of a cell, in logical pixels."""
        left, wide = column_boxes(self.width())[column]
        return QRectF(left, row * ROW_HEIGHT + 2, wide, _HISTOGRAM_HEIGHT)

    def _cell_at(self, at: QPointF) -> StatisticsCell | None:
        row = int(at.y() // ROW_HEIGHT)
        if not 0 <= row < len(self._rows):
            return None
        for column, (left, wide) in column_boxes(self.width()).items():
            if left - _GAP / 2 <= at.x() < left + wide + _GAP / 2:
                return StatisticsCell(row, column, min(max((at.x() - left) / wide, 0.0), 1.0))
        return StatisticsCell(row, None)

    def _set_cell(self, cell: StatisticsCell | None) -> None:
        if cell != self._cell:
            self._cell = cell
            self.cell_text_changed.emit(self._cell_text())
            self.update()

    def _cell_text(self) -> str:
        """The numbers of the current cell."""
        if self._cell is None or self._statistics is None:
            return ""
        row = self._rows[self._cell.row]
        histogram = _histogram(row, self._cell.column)
        if self._cell.column is None:
            return row_summary(self.row_name(row), row, self.dead_features(row))
        if self._cell.column == "course":
            history = self._statistics.history
            return gradient_text(history, self._cell.row, self._history_index(history, self._cell.position), row)
        if histogram is None:
            return missing_text(self._cell.column, row)
        return bin_text(self._cell.column, histogram, min(int(self._cell.position * BINS), BINS - 1))

    @staticmethod
    def _history_index(history: StatisticsHistory, position: float) -> int | None:
        if not len(history.steps):
            return None
        first, last = int(history.steps[0]), int(history.steps[-1])
        return int(np.abs(history.steps - (first + position * (last - first))).argmin())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._set_cell(self._cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._set_cell(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and down move between layers, left and right along a row; Esc deselects."""
        arrow = _ARROWS.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape and self._cell is not None:
            self._set_cell(None)
        elif arrow is None or not self._rows:
            super().keyPressEvent(event)
        else:
            all_columns: tuple[str | None, ...] = (None, *COLUMNS)
            cell = self._cell or StatisticsCell(0 if arrow[0] >= 0 else len(self._rows) - 1, None)
            first = self._cell is None
            row = cell.row if first else min(max(cell.row + arrow[0], 0), len(self._rows) - 1)
            index = all_columns.index(cell.column) + (0 if first else arrow[1])
            column = all_columns[min(max(index, 0), len(COLUMNS))]
            self._set_cell(StatisticsCell(row, column, 1.0 if column == "course" else 0.5))
            self.row_selected.emit(int(row * ROW_HEIGHT), int((row + 1) * ROW_HEIGHT))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            cell = self._cell_at(QPointF(event.pos()))  # type: ignore[attr-defined]
            QToolTip.showText(event.globalPos(), self._tip(cell), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tip(self, cell: StatisticsCell | None) -> str:
        if cell is None:
            return ""
        row = self._rows[cell.row]
        histogram = _histogram(row, cell.column)
        if cell.column is None and self.dead_features(row):
            return dead_tooltip(
                self.dead_features(row), 0 if self._statistics is None else self._statistics.examples
            )
        if histogram is None:
            return column_help(cell.column) if row.weights is not None else missing_text(cell.column or "", row)
        return histogram_text(self.row_name(row), cell.column or "", histogram)

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            if not self._rows:
                text = self.tr(
                    "Train, and the distributions of weights, values and gradients of every layer are drawn here, "
                    "with the norm of its gradient and its dead features."
                )
                paint_empty(painter, QRectF(self.rect()), text, "histograms")
                return
            for index, row in enumerate(self._rows):
                self._paint_row(painter, index, row)

    def _paint_row(self, painter: QPainter, index: int, row: LayerStatistics) -> None:
        theme, top = current_theme(), index * ROW_HEIGHT
        if self._cell is not None and self._cell.row == index:
            painter.fillRect(QRectF(0, top - 1, self.width(), ROW_HEIGHT - 2), QColor(theme.control))
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.o), 1))
                painter.drawRect(QRectF(0.5, top - 0.5, self.width() - 1, ROW_HEIGHT - 3))
        name_wide = column_boxes(self.width())[COLUMNS[0]][0] - _GAP
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(theme.text))
        name = metrics.elidedText(self.row_name(row), Qt.TextElideMode.ElideRight, name_wide)
        painter.drawText(QPointF(4, top + 13), name)
        dead = self.dead_features(row)
        if dead:
            paint_dead_mark(painter, theme, QPointF(8, top + 23), 7)
            painter.drawText(QPointF(15, top + 27), dead_count_text(len(dead)))
        for column in COLUMNS[:3]:
            self._paint_histogram(painter, self.box(index, column), _histogram(row, column))
        self._paint_history(painter, self.box(index, "course"), index, row)

    def _paint_histogram(self, painter: QPainter, box: QRectF, histogram: Histogram | None) -> None:
        theme = current_theme()
        if histogram is None:
            return
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawLine(QPointF(box.left(), box.bottom() + 0.5), QPointF(box.right(), box.bottom() + 0.5))
        heights = np.log1p(histogram.counts) if self._log else histogram.counts.astype(float)
        heights = heights / max(float(heights.max()), 1e-12) * box.height()
        width = box.width() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        for index, height in enumerate(heights.tolist()):
            if height > 0:
                negative = histogram.low < 0 and index < BINS // 2
                high = max(height, 1.0)
                bar = QRectF(box.left() + index * width, box.bottom() - high, width, high)
                painter.fillRect(bar, QColor(theme.value_stops[0 if negative else 4]))
        zero = box.left() + (box.width() / 2 if histogram.low < 0 else 0)
        painter.setPen(QPen(QColor(theme.secondary_text), 1))
        painter.drawLine(QPointF(zero, box.bottom()), QPointF(zero, box.bottom() + 3))

    def _paint_history(self, painter: QPainter, box: QRectF, index: int, row: LayerStatistics) -> None:
        """The logarithm of the gradient norm over the steps, and its last value."""
        theme, statistics = current_theme(), self._statistics
        if statistics is None or row.gradient_norm is None:
            return
        steps, norms = statistics.history.steps, statistics.history.gradient_norms[:, index]
        positive = np.isfinite(norms) & (norms > 0)
        line = QRectF(box.left(), box.top(), box.width(), box.height() - 10)
        if positive.sum() > 1:
            logs, at = np.log10(norms[positive]), steps[positive]
            span = max(float(logs.max() - logs.min()), 0.5)
            xs = (at - at[0]) / max(int(at[-1] - at[0]), 1)
            ys = line.bottom() - (logs - logs.min()) / span * line.height()
            points = [QPointF(line.left() + x * line.width(), y) for x, y in zip(xs, ys, strict=True)]
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme.text), 1.2))
            painter.drawPolyline(QPolygonF(points))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QColor(theme.secondary_text))
        text = short_text(row.gradient_norm)
        left = min(box.left(), self.width() - painter.fontMetrics().horizontalAdvance(text) - 2)
        painter.drawText(QPointF(left, box.bottom() + 4), text)


def _histogram(row: LayerStatistics, column: str | None) -> Histogram | None:
    """The histogram of a row in a column, None without one."""
    return {"weights": row.weights, "values": row.values, "gradients": row.gradients}.get(column or "")


def column_title(column: str, brief: bool = False) -> str:
    """The header of a column; brief: a short one for narrow columns."""
    if brief:
        return {
            "gradients": translate("LayerStatisticsView", "grad."),
            "course": translate("LayerStatisticsView", "norm"),
        }.get(column) or column_title(column)
    titles = {
        "weights": translate("LayerStatisticsView", "weights"),
        "values": translate("LayerStatisticsView", "values"),
        "gradients": translate("LayerStatisticsView", "gradients"),
        "course": translate("LayerStatisticsView", "gradient norm"),
    }
    return titles[column]


def share_text(value: float) -> str:
    """A share in percent with two significant digits: 0.12 %."""
    return f"{100 * value:.2g} %".replace("e-", f"e{MINUS}")


def bin_text(column: str, histogram: Histogram, index: int) -> str:
    """The range and the count of a bin."""
    width = (histogram.high - histogram.low) / BINS
    low, high = histogram.low + index * width, histogram.low + (index + 1) * width
    text = translate("LayerStatisticsView", "{0} from {1} to {2}: {3} of {4}")
    count, total = integer_text(int(histogram.counts[index])), integer_text(histogram.total)
    return text.format(column_title(column), short_text(low), short_text(high), count, total)


def histogram_text(name: str, column: str, histogram: Histogram) -> str:
    """The summary statistics of a histogram, a line each."""
    total, least, most = integer_text(histogram.total), short_text(histogram.minimum), short_text(histogram.maximum)
    lines = [
        f"{name} · {column_title(column)}",
        translate("LayerStatisticsView", "{0} numbers from {1} to {2}").format(total, least, most),
        translate("LayerStatisticsView", "mean {0}, standard deviation {1}").format(
            short_text(histogram.mean), short_text(histogram.std)
        ),
    ]
    if histogram.zeros and histogram.total:
        lines.append(
            translate("LayerStatisticsView", "{0} of them are exactly 0").format(
                share_text(histogram.zeros / histogram.total)
            )
        )
    if histogram.nonfinite:
        lines.append(
            translate("LayerStatisticsView", "{0} are not finite: the rate is too high").format(
                integer_text(histogram.nonfinite)
            )
        )
    return "\n".join([*lines, "", column_help(column)])


def column_help(column: str | None) -> str:
    """The meaning of a column, for the tooltip."""
    meanings = {
        "weights": translate("LayerStatisticsView", "The distribution of this layer's weights and biases."),
        "values": translate(
            "LayerStatisticsView",
            "The distribution of this layer's outputs for held-out drawings, after its ReLU if it has one.",
        ),
        "gradients": translate(
            "LayerStatisticsView",
            "How much the error rises with each weight, for the last batch: a step goes against it.",
        ),
        "course": translate(
            "LayerStatisticsView",
            "The length (2-norm) of this layer's gradient at each step, on a logarithmic scale.",
        ),
    }
    return meanings.get(column or "", "")


def missing_text(column: str, row: LayerStatistics) -> str:
    """Why a cell is empty."""
    if row.weights is None:
        return translate("LayerStatisticsView", "This layer has no weights, so it learns nothing.")
    if row.gradients is None and column in ("gradients", "course"):
        return translate("LayerStatisticsView", "There is no gradient before the first step; make one.")
    return ""


def gradient_text(history: StatisticsHistory, row: int, index: int | None, current: LayerStatistics) -> str:
    """The gradient norm and the relative change of the weights at an index of the history."""
    if index is None or current.gradient_norm is None:
        return missing_text("course", current)
    text = translate("LayerStatisticsView", "step {0}: gradient {1}").format(
        int(history.steps[index]), short_text(float(history.gradient_norms[index, row]))
    )
    change = float(history.relative_changes[index, row])
    return text + (
        translate("LayerStatisticsView", ", weights changed by {0}").format(share_text(change))
        if change == change
        else ""
    )


def row_summary(name: str, row: LayerStatistics, dead: tuple[int, ...]) -> str:
    """A row in one line: norms and dead features."""
    parts = [name]
    if row.weight_norm is not None:
        parts.append(
            translate("LayerStatisticsView", "norm of the weights {0}").format(short_text(row.weight_norm))
        )
    if row.gradient_norm is not None:
        parts.append(translate("LayerStatisticsView", "of the gradient {0}").format(short_text(row.gradient_norm)))
    if row.relative_change is not None:
        parts.append(translate("LayerStatisticsView", "changed by {0}").format(share_text(row.relative_change)))
    if dead:
        parts.append(translate("LayerStatisticsView", "dead: {0}").format(feature_list_text(dead)))
    return " · ".join(parts)


def feature_list_text(channels: tuple[int, ...]) -> str:
    """Features counted from 1: "3, 7"; the first of many."""
    text = ", ".join(str(channel + 1) for channel in channels[:_MAX_NAMED])
    return text + (
        translate("LayerStatisticsView", " and {0} more").format(len(channels) - _MAX_NAMED)
        if len(channels) > _MAX_NAMED
        else ""
    )


def dead_count_text(count: int) -> str:
    """The number of dead features."""
    return translate("LayerStatisticsView", "{0} dead").format(integer_text(count))


def dead_tooltip(channels: tuple[int, ...], examples: int) -> str:
    """What the dead features of a layer are, and what to do about them."""
    text = translate(
        "LayerStatisticsView",
        "Dead: {0}. After the ReLU they are 0 on all {1} held-out drawings used, so no gradient reaches them "
        "and they no longer learn. A lower rate keeps features alive; restart, or go back to an earlier step, "
        "to recover them.",
    )
    return text.format(feature_list_text(channels), examples)
