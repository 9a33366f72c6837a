"""Inside rows: paints a row of small histograms for each layer, and says what is under the mouse. It has nothing
counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QToolTip, QWidget

from engine.training.layer_statistics import BINS, Course, Histogram, LayerStatistics, Statistics
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.network.dead_features import paint_dead
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.widgets.number_text import MINUS, number, short

_MOST_NAMED = 12


def title(column: str, brief: bool = False) -> str:
    """What stands over a column; brief: where there is little room."""
    if brief:
        return {"gradients": _tr("grad."), "course": _tr("size")}.get(column) or title(column)
    titles = {
        "weights": _tr("weights"),
        "values": _tr("values"),
        "gradients": _tr("gradients"),
        "course": _tr("gradient size"),
    }
    return titles[column]


def share(value: float) -> str:
    """A share in percent, as small as it may be: 0.12 %."""
    return f"{100 * value:.2g} %".replace("e-", f"e{MINUS}")


def bin_said(column: str, given: Histogram, place: int) -> str:
    """How many lie in the bin at `place`."""
    each = (given.high - given.low) / BINS
    low, high = given.low + place * each, given.low + (place + 1) * each
    said = _tr("{0} from {1} to {2}: {3} of {4}")
    count, total = number(int(given.counts[place])), number(given.total)
    return said.format(title(column), short(low), short(high), count, total)


def numbers(name: str, column: str, given: Histogram) -> str:
    """All that is known of a histogram, a line each."""
    lines = [
        f"{name} · {title(column)}",
        _tr("{0} numbers from {1} to {2}").format(number(given.total), short(given.least), short(given.most)),
        _tr("mean {0}, spread {1}").format(short(given.mean), short(given.spread)),
    ]
    if given.zeros and given.total:
        lines.append(_tr("{0} of them are exactly 0").format(share(given.zeros / given.total)))
    if given.strange:
        lines.append(_tr("{0} are no finite numbers: the rate is too high").format(number(given.strange)))
    return "\n".join([*lines, "", explained(column)])


def explained(column: str | None) -> str:
    """What a column means."""
    meanings = {
        "weights": _tr("How this layer's weights and biases are spread, from the least to the greatest."),
        "values": _tr("What this layer gives for held-out drawings, after its ReLU if it has one."),
        "gradients": _tr("How much the error would rise with each weight, by the last batch: what a step follows."),
        "course": _tr("How long this layer's gradient is, step by step; its height is its logarithm."),
    }
    return meanings.get(column or "", "")


def missing(column: str, row: LayerStatistics) -> str:
    """Why there is nothing."""
    if row.weights is None:
        return _tr("This layer has no weights, so it learns nothing.")
    if row.gradients is None and column in ("gradients", "course"):
        return _tr("No step has led here, so there is no gradient yet; make one.")
    return ""


def course(given: Course, row: int, place: int | None, now: LayerStatistics) -> str:
    """The gradient's size, and how far the step moved the weights, at a place of the course."""
    if place is None or now.gradient_size is None:
        return missing("course", now)
    said = _tr("step {0}: gradient {1}").format(int(given.steps[place]), short(float(given.sizes[place, row])))
    change = float(given.changes[place, row])
    return said + (_tr(", weights moved by {0}").format(share(change)) if change == change else "")


def summary(name: str, row: LayerStatistics, dead: tuple[int, ...]) -> str:
    """A row in one sentence."""
    parts = [name]
    if row.size is not None:
        parts.append(_tr("weights {0} long").format(short(row.size)))
    if row.gradient_size is not None:
        parts.append(_tr("gradient {0}").format(short(row.gradient_size)))
    if row.change is not None:
        parts.append(_tr("moved by {0}").format(share(row.change)))
    if dead:
        parts.append(_tr("dead: {0}").format(named(dead)))
    return " · ".join(parts)


def named(channels: tuple[int, ...]) -> str:
    """Features as people count them: "3, 7"; the first of many."""
    said = ", ".join(str(channel + 1) for channel in channels[:_MOST_NAMED])
    return said + (_tr(" and {0} more").format(len(channels) - _MOST_NAMED) if len(channels) > _MOST_NAMED else "")


def dead_count(count: int) -> str:
    """How many are dead."""
    return _tr("{0} dead").format(number(count))


def dead_tip(channels: tuple[int, ...], examples: int) -> str:
    """What the dead features of a layer are, and what to do about them."""
    said = _tr(
        "Dead: {0}. After the ReLU they are 0 on all {1} held-out drawings looked at, so no gradient reaches them "
        "and they do not learn any more. A lower rate keeps features alive; a new start, or an earlier moment, "
        "gets them back."
    )
    return said.format(named(channels), examples)


def _tr(text: str) -> str:
    return QCoreApplication.translate("InsideView", text)


ROW, _GAP, _TALL = 34.0, 10.0, 22.0
_NAME, _LEAST_NAME = 92.0, 60.0
_TURNS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
COLUMNS = ("weights", "values", "gradients", "course")


@dataclass(frozen=True)
class Spot:
    """What is pointed at: a row, a column of COLUMNS (None: its name), and how far along it, 0..1."""

    row: int
    column: str | None
    along: float = 0.0


def boxes(width: float) -> dict[str, tuple[float, float]]:
    """Left and width of every column, in logical pixels, for a widget so wide."""
    narrow = width < 340
    name, gap = (_LEAST_NAME, _GAP - 4) if narrow else (_NAME, _GAP)
    # A little stays free before the scroll bar.
    each = (width - 4 - name - len(COLUMNS) * gap) / len(COLUMNS)
    return {column: (name + gap + at * (each + gap), each) for at, column in enumerate(COLUMNS)}


class InsideHead(QWidget):
    """The columns' names, which stay when `rows` are scrolled."""

    def __init__(self, rows: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._rows = DARK, rows
        self.setFixedHeight(15)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """One quiet word over each column."""
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(self._theme.quiet))
        metrics = QFontMetricsF(painter.font())
        for column, (left, wide) in boxes(self._rows.width()).items():
            fits = metrics.horizontalAdvance(title(column)) <= wide + 4
            painter.drawText(QPointF(left, 11), title(column, brief=not fits))


class InsideRows(QWidget):
    """said_here(text): what is under the mouse, or chosen by keyboard. chosen(top, bottom): the row chosen by
    keyboard lies there."""

    said_here = Signal(str)
    chosen = Signal(int, int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._log = DARK, False
        self._found: Statistics | None = None
        self._names: tuple[str, ...] = ()
        self._spot: Spot | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Weights, values and gradients of every layer"))

    def sizeHint(self) -> QSize:
        """Room for every row."""
        return QSize(200, int(ROW * max(1, len(self._rows))))

    def minimumSizeHint(self) -> QSize:
        """All rows; less is scrolled."""
        return QSize(160, int(ROW * len(self._rows)) if self._rows else 40)

    # -- what is shown -----------------------------------------------------------------------------------------

    @property
    def _rows(self) -> tuple[LayerStatistics, ...]:
        return () if self._found is None else self._found.rows

    def show_statistics(self, found: Statistics | None) -> None:
        """Show what was found; None, or no rows in it: nothing yet."""
        before = len(self._rows)
        if found is not None and (self._found is None or found.network is not self._found.network):
            self._names = layer_names(found.network)
        self._found = found
        if len(self._rows) != before:
            self.updateGeometry()
        if self._spot is not None and self._spot.row >= len(self._rows):
            self._spot = None
        self.setAccessibleDescription("; ".join(self._described()))
        self.said_here.emit(self._said())
        self.update()

    def set_log(self, log: bool) -> None:
        """Heights by the logarithm of the count, or by the count."""
        self._log = log
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def name(self, row: LayerStatistics) -> str:
        """What the row is called: by its first layer."""
        return self._names[row.layers[0]]

    def _described(self) -> list[str]:
        return [summary(self.name(row), row, self.dead(row)) for row in self._rows]

    def dead(self, row: LayerStatistics) -> tuple[int, ...]:
        """The dead features of a row, counted from 0."""
        found = () if self._found is None else self._found.dead
        return next((each.channels for each in found if each.layer in row.layers), ())

    # -- the person --------------------------------------------------------------------------------------------

    def box(self, row: int, column: str) -> QRectF:
        """Where a histogram, or the course, of a row lies."""
        left, wide = boxes(self.width())[column]
        return QRectF(left, row * ROW + 2, wide, _TALL)

    def _under(self, at: QPointF) -> Spot | None:
        row = int(at.y() // ROW)
        if not 0 <= row < len(self._rows):
            return None
        for column, (left, wide) in boxes(self.width()).items():
            if left - _GAP / 2 <= at.x() < left + wide + _GAP / 2:
                return Spot(row, column, min(max((at.x() - left) / wide, 0.0), 1.0))
        return Spot(row, None)

    def _point(self, spot: Spot | None) -> None:
        if spot != self._spot:
            self._spot = spot
            self.said_here.emit(self._said())
            self.update()

    def _said(self) -> str:
        """The numbers of what is pointed at."""
        if self._spot is None or self._found is None:
            return ""
        row = self._rows[self._spot.row]
        given = _histogram(row, self._spot.column)
        if self._spot.column is None:
            return summary(self.name(row), row, self.dead(row))
        if self._spot.column == "course":
            place = self._course_place(self._found.course, self._spot.along)
            return course(self._found.course, self._spot.row, place, row)
        if given is None:
            return missing(self._spot.column, row)
        return bin_said(self._spot.column, given, min(int(self._spot.along * BINS), BINS - 1))

    @staticmethod
    def _course_place(course: Course, along: float) -> int | None:
        if not len(course.steps):
            return None
        first, last = int(course.steps[0]), int(course.steps[-1])
        return int(np.abs(course.steps - (first + along * (last - first))).argmin())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the mouse."""
        self._point(self._under(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is pointed at."""
        self._point(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and down go from layer to layer, left and right along a row; Esc lets go."""
        turn = _TURNS.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape and self._spot is not None:
            self._point(None)
        elif turn is None or not self._rows:
            super().keyPressEvent(event)
        else:
            all_columns: tuple[str | None, ...] = (None, *COLUMNS)
            spot = self._spot or Spot(0 if turn[0] >= 0 else len(self._rows) - 1, None)
            first = self._spot is None
            row = spot.row if first else min(max(spot.row + turn[0], 0), len(self._rows) - 1)
            at = all_columns.index(spot.column) + (0 if first else turn[1])
            column = all_columns[min(max(at, 0), len(COLUMNS))]
            self._point(Spot(row, column, 1.0 if column == "course" else 0.5))
            self.chosen.emit(int(row * ROW), int((row + 1) * ROW))

    def event(self, event: QEvent) -> bool:
        """The tooltip explains, with all numbers."""
        if event.type() == QEvent.Type.ToolTip:
            spot = self._under(QPointF(event.pos()))  # type: ignore[attr-defined]
            QToolTip.showText(event.globalPos(), self._tip(spot), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tip(self, spot: Spot | None) -> str:
        if spot is None:
            return ""
        row = self._rows[spot.row]
        given = _histogram(row, spot.column)
        if spot.column is None and self.dead(row):
            return dead_tip(self.dead(row), 0 if self._found is None else self._found.examples)
        if given is None:
            return explained(spot.column) if row.weights is not None else missing(spot.column or "", row)
        return numbers(self.name(row), spot.column or "", given)

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Every row, or what to do."""
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        if not self._rows:
            painter.setPen(QColor(theme.quiet))
            text = self.tr(
                "Train, and how weights, values and gradients are spread in every layer is drawn here, with the "
                "size of its gradient and its dead features."
            )
            painter.drawText(self.rect(), Qt.TextFlag.TextWordWrap, text)
            return
        for at, row in enumerate(self._rows):
            self._paint_row(painter, at, row)

    def _paint_row(self, painter: QPainter, at: int, row: LayerStatistics) -> None:
        theme, top = self._theme, at * ROW
        if self._spot is not None and self._spot.row == at:
            painter.fillRect(QRectF(0, top - 1, self.width(), ROW - 2), QColor(theme.control))
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.o), 1))
                painter.drawRect(QRectF(0.5, top - 0.5, self.width() - 1, ROW - 3))
        name_wide = boxes(self.width())[COLUMNS[0]][0] - _GAP
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(theme.text))
        name = metrics.elidedText(self.name(row), Qt.TextElideMode.ElideRight, name_wide)
        painter.drawText(QPointF(4, top + 13), name)
        dead = self.dead(row)
        if dead:
            paint_dead(painter, theme, QPointF(8, top + 23), 7)
            painter.drawText(QPointF(15, top + 27), dead_count(len(dead)))
        for column in COLUMNS[:3]:
            self._paint_histogram(painter, self.box(at, column), _histogram(row, column))
        self._paint_course(painter, self.box(at, "course"), at, row)

    def _paint_histogram(self, painter: QPainter, box: QRectF, given: Histogram | None) -> None:
        theme = self._theme
        if given is None:
            return
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.drawLine(QPointF(box.left(), box.bottom() + 0.5), QPointF(box.right(), box.bottom() + 0.5))
        heights = np.log1p(given.counts) if self._log else given.counts.astype(float)
        heights = heights / max(float(heights.max()), 1e-12) * box.height()
        each = box.width() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        for place, height in enumerate(heights.tolist()):
            if height > 0:
                below = given.low < 0 and place < BINS // 2
                high = max(height, 1.0)
                bar = QRectF(box.left() + place * each, box.bottom() - high, each, high)
                painter.fillRect(bar, QColor(theme.stops[0 if below else 4]))
        zero = box.left() + (box.width() / 2 if given.low < 0 else 0)
        painter.setPen(QPen(QColor(theme.quiet), 1))
        painter.drawLine(QPointF(zero, box.bottom()), QPointF(zero, box.bottom() + 3))

    def _paint_course(self, painter: QPainter, box: QRectF, at: int, row: LayerStatistics) -> None:
        """The size of the gradient over the steps looked at, its height by its logarithm, and the last number."""
        theme, found = self._theme, self._found
        if found is None or row.gradient_size is None:
            return
        steps, sizes = found.course.steps, found.course.sizes[:, at]
        fine = np.isfinite(sizes) & (sizes > 0)
        line = QRectF(box.left(), box.top(), box.width(), box.height() - 10)
        if fine.sum() > 1:
            logs = np.log10(sizes[fine])
            span = max(float(logs.max() - logs.min()), 0.5)
            along = (steps[fine] - steps[fine][0]) / max(int(steps[fine][-1] - steps[fine][0]), 1)
            ys = line.bottom() - (logs - logs.min()) / span * line.height()
            points = [QPointF(line.left() + x * line.width(), y) for x, y in zip(along, ys, strict=True)]
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme.text), 1.2))
            painter.drawPolyline(QPolygonF(points))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QColor(theme.quiet))
        painter.drawText(QPointF(box.left(), box.bottom() + 4), short(row.gradient_size))


def _histogram(row: LayerStatistics, column: str | None) -> Histogram | None:
    """The histogram of a row that stands in a column, if it has one."""
    return {"weights": row.weights, "values": row.values, "gradients": row.gradients}.get(column or "")
