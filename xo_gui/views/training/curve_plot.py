"""The plot of the branches' curves, with marks at changes and the step under the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFontMetricsF, QIcon, QMouseEvent, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QMenu, QWidget

from engine.backends import HostArray
from engine.charts import log_ticks
from engine.nn import RunPoint
from engine.runtime import TrainingReport
from engine.training import Branch, Curves
from xo_gui.app import SMALL_PX, Theme, current_theme, font, theme_service
from xo_gui.state import TrainingSettings

Measure: TypeAlias = Literal["error", "accuracy", "rate"]

MAX_POINTS: Final = 1_200


@dataclass(frozen=True, eq=False)
class CurveLine:
    """One curve to draw. steps, values: (n,) each. held_out: of held-out examples. raw: not smoothed."""

    steps: HostArray
    values: HostArray
    held_out: bool = False
    raw: bool = False


def curve_lines(curves: Curves, measure: Measure, window: int) -> tuple[CurveLine, ...]:
    """The curves of a branch, faint ones first. window: steps a loss is smoothed over, 1 for none."""
    if measure == "accuracy":
        held_out = CurveLine(curves.held_out_steps, curves.held_out_accuracies, held_out=True)
        return CurveLine(curves.training_accuracy_steps, curves.training_accuracies), held_out
    if measure == "rate":
        corners = _corners(curves.rates)
        return (CurveLine(curves.steps[corners], curves.rates[corners]),)
    held_out = CurveLine(curves.held_out_steps, curves.held_out_losses, held_out=True)
    raw = CurveLine(*downsampled(curves.steps, curves.losses), raw=True)
    if window == 1:
        return CurveLine(raw.steps, raw.values), held_out
    return raw, CurveLine(*downsampled(curves.steps, smoothed(curves.losses, window))), held_out


def downsampled(steps: HostArray, values: HostArray) -> tuple[HostArray, HostArray]:
    """At most MAX_POINTS points: means of equally many neighbours, at the last of their steps; the last step is
    included."""
    size = -(-len(values) // (MAX_POINTS - 1))
    if size <= 1:
        return steps, values
    whole = len(values) // size * size
    kept, means = steps[size - 1 : whole : size], values[:whole].reshape(-1, size).mean(1)
    if whole < len(values):
        kept, means = np.append(kept, steps[-1]), np.append(means, values[whole:].mean())
    return kept, means


def smoothed(values: HostArray, window: int) -> HostArray:
    """The moving average, (n,), over the last `window` values, fewer at the start, of finite values."""
    finite = np.isfinite(values)
    sums = np.cumsum(np.concatenate([[0.0], np.where(finite, values, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], finite]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    with np.errstate(invalid="ignore"):
        means: HostArray = (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])
    return means


def _corners(values: HostArray) -> HostArray:
    """Indices that draw a mostly smooth curve: evenly spaced ones, and both sides of every jump."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values))
    even = np.linspace(0, len(values) - 1, MAX_POINTS // 2).round().astype(np.intp)
    jumps = np.flatnonzero(np.abs(np.diff(values)) > 0.02 * np.abs(values[:-1]))[: MAX_POINTS // 4]
    indices: HostArray = np.unique(np.concatenate([even, jumps, jumps + 1]))
    return indices


# In pen widths; their number differs from that of the colours, so that a pair of both repeats late.
_DASHES: Final = ((6.0, 3.0), (2.0, 2.5), (7.0, 2.5, 1.5, 2.5), (12.0, 3.0))
_SWATCH = (22, 10)


def branch_pen(theme: Theme, number: int, width: float) -> QPen:
    """The pen of a branch: the first one solid in the text colour, the others dashed and coloured."""
    if number == 0:
        return QPen(QColor(theme.text), width)
    pen = QPen(QColor(theme.branch_colours[(number - 1) % len(theme.branch_colours)]), width)
    pen.setDashPattern(list(_DASHES[(number - 1) % len(_DASHES)]))
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def swatch(theme: Theme, number: int, ratio: float) -> QIcon:
    """An icon of the branch's line. ratio: device pixels per logical pixel."""
    wide, high = _SWATCH
    pixmap = QPixmap(round(wide * ratio), round(high * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    with QPainter(pixmap) as painter:
        painter.setPen(branch_pen(theme, number, 2.0))
        middle = QRectF(0, 0, wide, high).center().y()
        painter.drawLine(QPointF(0, middle), QPointF(wide, middle))
    icon = QIcon(pixmap)
    # Otherwise Qt tints it in a selected row, and it looks like another branch's.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def shown_branch(training: TrainingReport | None, settings: TrainingSettings | None) -> Branch | None:
    """The branch of the point shown, otherwise the one that trains."""
    if training is None:
        return None
    look = None if settings is None else settings.shown_point
    number = training.current_point.branch if look is None else look.branch
    return training.branches[number] if 0 <= number < len(training.branches) else None


MIN_SHOWN_LOSS: Final = 1e-4  # where a logarithmic axis draws an error of 0
_MAX_RINGS = 20  # along a held-out curve
_MARK_ROWS, _ROW_HEIGHT = 3, 13.0
_LEAST_DECADES: Final = 0.3  # that a logarithmic axis shows
_TICK_GAP = 13.0  # minimum distance of two axis labels, in logical pixels


class ErrorAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis whose logarithmic labels are round numbers, at least two, as many as have room.

    It grows with its labels and never shrinks, so that the curves do not move to and fro.
    """

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self.setStyle(tickFont=font(SMALL_PX), tickLength=-4, autoReduceTextSpace=False)

    def logTickValues(self, low: float, high: float, size: float, ticks: object) -> list[tuple[float, list[float]]]:
        """The labels of the axis from `low` to `high`, as logarithms."""
        # pyqtgraph draws no label that reaches beyond an end of the axis.
        edge = (high - low) * min(_TICK_GAP / 2 / max(size, 1.0), 0.1)
        gap = (high - low) * _TICK_GAP / max(size, 1.0)
        values = log_ticks(float(10 ** (low + edge)), float(10 ** (high - edge)), gap)
        return [(1.0, np.log10(values).tolist())]

    def logTickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [f"{10**value:.10g}" if 1e-4 <= 10**value < 1e5 else f"{10**value:.3g}" for value in values]


class CurvePlot(pg.PlotWidget):  # type: ignore[misc]
    """The plot. hovered(RunPoint or None): the step of the nearest branch under the mouse. clicked(RunPoint)."""

    hovered = Signal(object)
    clicked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, enableMenu=False, axisItems={"left": ErrorAxis("left")})
        self._log = False
        self._items: dict[tuple[int, int, bool], pg.PlotDataItem] = {}
        self._lines: dict[int, tuple[CurveLine, ...]] = {}
        self._branches: dict[int, Branch] = {}
        self._front: Branch | None = None
        self._marks: list[tuple[int, pg.InfiniteLine, pg.TextItem]] = []
        self._marks_key: object = None
        self._disable_menus()
        self._shown_line, self._hover_line = pg.InfiniteLine(angle=90), pg.InfiniteLine(angle=90)
        for line in (self._shown_line, self._hover_line):
            line.setVisible(False)
            self.addItem(line, ignoreBounds=True)
        self.plotItem.vb.sigRangeChanged.connect(self._layout_marks)
        theme_service.changed.connect(self._apply_theme)
        self._apply_theme()

    def _disable_menus(self) -> None:
        """Disable menus and dragging; hide frame and buttons."""
        # WORKAROUND: pyqtgraph makes its menus without a parent, so they would outlive the window.
        for menu in (self.plotItem.ctrlMenu, *self.plotItem.ctrlMenu.findChildren(QMenu)):
            menu.setParent(self, menu.windowFlags())
        # Its own actions, such as Export, are unreachable and would not work.
        for action in self.findChildren(QAction):
            action.setEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.setFrameShape(self.Shape.NoFrame)
        self.viewport().setMouseTracking(True)
        self.viewport().installEventFilter(self)
        self.getAxis("bottom").setStyle(tickFont=font(SMALL_PX), tickLength=-4)

    # -- display -----------------------------------------------------------------------------------------------

    def _apply_theme(self) -> None:
        """Use the colours of the theme in what is not drawn anew."""
        theme = current_theme()
        self.setBackground(theme.background)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(theme.border))
            axis.setTextPen(pg.mkPen(theme.secondary_text))
        self._shown_line.setPen(pg.mkPen(theme.text, style=Qt.PenStyle.DotLine))
        self._hover_line.setPen(pg.mkPen(theme.disabled_text))
        self._marks_key = None

    def set_branches(
        self, branches: Sequence[Branch], front: Branch | None, measure: Measure, window: int, log: bool
    ) -> None:
        """Draw these branches, one in front; see curve_lines for measure and window."""
        if log != self._log:
            self.setLogMode(y=log)
            # Of one point, or of equal values, pyqtgraph would show a range of their last digits.
            self.plotItem.vb.setLimits(minYRange=_LEAST_DECADES if log else None)
        self._log, self._front = log, front
        for name in ("left", "bottom"):  # axes without curves would be misleading
            if self.getAxis(name).isVisible() != bool(branches):
                self.showAxis(name, bool(branches))
        self._branches = {branch.number: branch for branch in branches}
        self._lines = {number: curve_lines(each.curves, measure, window) for number, each in self._branches.items()}
        used = {key for number in self._lines for key in self._draw(number, measure)}
        for key, item in self._items.items():
            item.setVisible(key in used)
        # At once, or the first painting would use the old ranges and a second one would follow.
        self.plotItem.vb.updateAutoRange()
        self._draw_marks(front if front is not None and front.number in self._branches else None)

    def set_shown_point(self, step: int | None) -> None:
        """Mark the step shown, None for none."""
        self._shown_line.setVisible(step is not None)
        if step is not None:
            self._shown_line.setValue(step)

    def _draw(self, number: int, measure: Measure) -> list[tuple[int, int, bool]]:
        """Draw a branch's curves into its reused items; returns the keys of those in use."""
        front, alone = self._is_front(number), len(self._lines) == 1
        used = []
        for index, line in enumerate(self._lines[number]):
            faint = self._is_faint(number, line)
            if faint and not front:
                continue
            pen = branch_pen(current_theme(), number, 1.8 if front else 1.2)
            if line.held_out and alone:
                pen.setColor(QColor(current_theme().held_out))
                pen.setDashPattern([4.0, 3.0])
            if faint:
                colour = QColor(pen.color())
                colour.setAlphaF(0.25)
                pen = pg.mkPen(colour, width=1)
            pen.setCosmetic(True)
            values = self._axis_values(line, measure)
            item = self._item((number, index, False))
            if pen != item.opts["pen"]:  # setting a pen makes the item compute its whole path again
                item.setPen(pen)
            item.setZValue(2 if front else 1)
            item.setData(line.steps, values)
            used.append((number, index, False))
            if line.held_out and len(line.steps):
                used.append(self._draw_rings(number, index, line.steps, values, pen.color()))
        return used

    def _draw_rings(
        self, number: int, index: int, steps: HostArray, values: HostArray, colour: QColor
    ) -> tuple[int, int, bool]:
        """Rings along a held-out curve, which distinguish it without colour."""
        key = (number, index, True)
        item = self._item(key)
        at = np.unique(np.linspace(0, len(steps) - 1, min(_MAX_RINGS, len(steps))).round().astype(int))
        item.setZValue(3)
        ring, fill = pg.mkPen(colour), pg.mkBrush(current_theme().background)
        item.setData(steps[at], values[at], pen=None, symbol="o", symbolSize=5, symbolPen=ring, symbolBrush=fill)
        return key

    def _axis_values(self, line: CurveLine, measure: Measure) -> HostArray:
        """The values in the axis's unit: accuracies in percent."""
        if measure == "accuracy":
            return 100 * line.values
        return (
            np.maximum(line.values, MIN_SHOWN_LOSS if measure == "error" else 1e-12) if self._log else line.values
        )

    def _item(self, key: tuple[int, int, bool]) -> pg.PlotDataItem:
        if key not in self._items:
            self._items[key] = item = self.plot()
            # Otherwise every path is computed again for each new range, in case it reaches far beyond it.
            item.setDynamicRangeLimit(None)
        return self._items[key]

    def _is_faint(self, number: int, line: CurveLine) -> bool:
        """Whether a smoothed line is drawn over it."""
        return line.raw and len(self._lines[number]) == 3

    def _is_front(self, number: int) -> bool:
        return self._front is not None and self._front.number == number

    # -- marks -------------------------------------------------------------------------------------------------

    def _draw_marks(self, branch: Branch | None) -> None:
        """A line and a label at every change of the branch."""
        marks = () if branch is None else branch.marks
        if self._marks_key == (marks, current_theme().name):
            return
        self._marks_key = (marks, current_theme().name)
        for _, line, text in self._marks:
            self.removeItem(line)
            self.removeItem(text)
        self._marks = []
        for mark in marks:
            line = pg.InfiniteLine(
                mark.step, 90, pg.mkPen(current_theme().secondary_text, style=Qt.PenStyle.DashLine)
            )
            fill = QColor(current_theme().background)
            fill.setAlphaF(0.8)
            text = pg.TextItem(mark.text, color=current_theme().secondary_text, anchor=(0, 0), fill=fill)
            text.setFont(font(SMALL_PX))
            for item, height in ((line, 0), (text, 4)):
                item.setZValue(height)
                self.addItem(item, ignoreBounds=True)
            self._marks.append((mark.step, line, text))
        self._layout_marks()

    def _layout_marks(self) -> None:
        """Stack labels that would overlap; those without room are hidden."""
        box, metrics = self.plotItem.vb, QFontMetricsF(font(SMALL_PX))
        if not self._marks or box.width() <= 0:
            return
        per_pixel, top = box.viewPixelSize(), box.viewRange()[1][1]
        rows: list[list[tuple[float, float]]] = [[] for _ in range(_MARK_ROWS)]
        for step, _, text in self._marks:
            left = (step - box.viewRange()[0][0]) / per_pixel[0]
            width = metrics.horizontalAdvance(text.toPlainText()) + 12
            flipped = left + width > box.width()
            span = (left - width, left) if flipped else (left, left + width)
            free = [row for row in rows if all(span[0] >= end or span[1] <= begin for begin, end in row)]
            text.setVisible(bool(free) and span[0] >= 0)
            if text.isVisible():
                free[0].append(span)
                index = next(index for index, row in enumerate(rows) if row is free[0])
                text.setAnchor((1 if flipped else 0, 0))
                text.setPos(step, top - index * _ROW_HEIGHT * per_pixel[1])

    # -- input -------------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Mouse events of the viewport."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._set_hovered(self.point_at(event.position()))
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonRelease:
            point = self.point_at(event.position())
            if event.button() == Qt.MouseButton.LeftButton and point is not None:
                self.clicked.emit(point)
        elif event.type() == QEvent.Type.Leave:
            self._set_hovered(None)
        return bool(super().eventFilter(watched, event))

    def _set_hovered(self, point: RunPoint | None) -> None:
        self._hover_line.setVisible(point is not None)
        if point is not None:
            self._hover_line.setValue(point.step)
        self.hovered.emit(point)

    def point_at(self, position: QPointF) -> RunPoint | None:
        """The step at a viewport position, of the branch with the nearest curve."""
        box = self.plotItem.vb
        scene = self.mapToScene(position.toPoint())
        if not box.sceneBoundingRect().contains(scene):
            return None
        at = box.mapSceneToView(scene)
        step = round(at.x())
        numbers = [number for number, branch in self._branches.items() if branch.start <= step <= branch.end]
        if not numbers:
            return None
        return RunPoint(min(numbers, key=lambda number: self._distance(number, step, at.y())), step)

    def _distance(self, number: int, step: int, y: float) -> tuple[float, bool]:
        """The sort key of a branch: the distance of its curves from y, then whether it is behind."""
        distances = []
        for index, line in enumerate(self._lines[number]):
            item = self._items.get((number, index, False))
            xs, ys = (None, None) if item is None else item.getData()
            if xs is not None and ys is not None and len(xs) and not self._is_faint(number, line):
                distances.append(abs(float(np.interp(step, xs, ys)) - y))
        finite = [distance for distance in distances if np.isfinite(distance)]
        return min(finite, default=np.inf), not self._is_front(number)
