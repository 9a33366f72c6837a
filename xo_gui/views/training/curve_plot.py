"""Curve plot: the curves of the branches on one plot, what was changed when, and the step under the mouse. It
keeps no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFontMetricsF, QIcon, QMouseEvent, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QMenu, QWidget

from engine.nn.model import Moment
from engine.runtime.training_protocol import Training
from engine.training.history import Branch, Curves
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import Intent

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Measure: TypeAlias = Literal["error", "accuracy", "rate"]

MOST_POINTS: Final = 1_200


@dataclass(frozen=True, eq=False)
class Line:
    """steps, values: (n,) each. held_out: of the examples that are not learnt from; raw: not smoothed."""

    steps: HostArray
    values: HostArray
    held_out: bool = False
    raw: bool = False


def lines_of(curves: Curves, measure: Measure, window: int) -> tuple[Line, ...]:
    """The lines to draw, the faint ones first. window: steps that an error is smoothed over, 1 for not at all."""
    if measure == "accuracy":
        held_out = Line(curves.judged, curves.accuracies, held_out=True)
        return Line(curves.recalled, curves.training_accuracies), held_out
    if measure == "rate":
        places = _corners(curves.rates)
        return (Line(curves.steps[places], curves.rates[places]),)
    held_out = Line(curves.judged, curves.held_out_losses, held_out=True)
    raw = Line(*thinned(curves.steps, curves.losses), raw=True)
    if window == 1:
        return Line(raw.steps, raw.values), held_out
    return raw, Line(*thinned(curves.steps, smoothed(curves.losses, window))), held_out


def thinned(steps: HostArray, values: HostArray) -> tuple[HostArray, HostArray]:
    """At most MOST_POINTS points: the means of equally many neighbours each, at their last step; the last step
    itself is always there."""
    each = -(-len(values) // (MOST_POINTS - 1))
    if each <= 1:
        return steps, values
    whole = len(values) // each * each
    kept, means = steps[each - 1 : whole : each], values[:whole].reshape(-1, each).mean(1)
    if whole < len(values):
        kept, means = np.append(kept, steps[-1]), np.append(means, values[whole:].mean())
    return kept, means


def smoothed(values: HostArray, window: int) -> HostArray:
    """(n,): at each place the mean of the last `window` values up to it; of as many as there are at the start. What
    is not finite is passed over."""
    fine = np.isfinite(values)
    sums = np.cumsum(np.concatenate([[0.0], np.where(fine, values, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], fine]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    with np.errstate(invalid="ignore"):
        means: HostArray = (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])
    return means


def _corners(values: HostArray) -> HostArray:
    """Places enough to draw a curve that hardly bends: evenly many, and both sides of every jump."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    even = np.linspace(0, len(values) - 1, MOST_POINTS // 2).round().astype(np.intp)
    jumps = np.flatnonzero(np.abs(np.diff(values)) > 0.02 * np.abs(values[:-1]))[: MOST_POINTS // 4]
    places: HostArray = np.unique(np.concatenate([even, jumps, jumps + 1]))
    return places


# In widths of the pen. There are not as many as colours, so that a pair of both comes back late.
_DASHES: Final = ((6.0, 3.0), (2.0, 2.5), (7.0, 2.5, 1.5, 2.5), (12.0, 3.0))
_SWATCH = (22, 10)


def branch_pen(theme: Theme, number: int, width: float) -> QPen:
    """How the branch of this number is drawn: the first one plain, in the text's colour."""
    if number == 0:
        return QPen(QColor(theme.text), width)
    pen = QPen(QColor(theme.branches[(number - 1) % len(theme.branches)]), width)
    pen.setDashPattern(list(_DASHES[(number - 1) % len(_DASHES)]))
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def swatch(theme: Theme, number: int, ratio: float) -> QIcon:
    """A piece of the branch's line. ratio: device pixels in a logical one."""
    wide, high = _SWATCH
    pixmap = QPixmap(round(wide * ratio), round(high * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(branch_pen(theme, number, 2.0))
    middle = QRectF(0, 0, wide, high).center().y()
    painter.drawLine(QPointF(0, middle), QPointF(wide, middle))
    painter.end()
    icon = QIcon(pixmap)
    # Else Qt would tint it in a row that is chosen, and it would be another branch's.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def seen_branch(training: Training | None, intent: Intent | None) -> Branch | None:
    """The branch that is looked at: that of the moment looked back at, otherwise the one that trains."""
    if training is None:
        return None
    look = None if intent is None else intent.look
    number = training.now.branch if look is None else look.branch
    return training.branches[number] if 0 <= number < len(training.branches) else None


LEAST_ERROR: Final = 1e-4  # what a logarithmic axis shows of an error of 0
_DOTS = 20  # marks along a held-out line, at most
_MARK_ROWS, _ROW_HIGH = 3, 13.0
_FACTORS: Final[tuple[tuple[float, tuple[int, ...]], ...]] = ((0.046, tuple(range(1, 10))), (0.3, (1, 2, 5)))
_TICK_GAP = 13.0  # logical pixels from one number of the axis to the next


class ErrorAxis(pg.AxisItem):  # type: ignore[misc]
    """Numbers at 1, 2 and 5 of every power of ten where the axis is logarithmic, at the powers alone where it is
    long; so no two lie over each other."""

    def logTickValues(self, low: float, high: float, size: float, ticks: object) -> list[tuple[float, list[float]]]:
        """The places, as logarithms, of the axis from `low` to `high`."""
        powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        decade = size / max(high - low, 1e-9)
        # The nearest two of each set are 0.046, 0.3 and 1 of a decade apart.
        factors = next((each for gap, each in _FACTORS if gap * decade >= _TICK_GAP), (1,))
        places = [power + float(np.log10(factor)) for power in powers for factor in factors]
        return [(1.0, [place for place in places if low <= place <= high])]

    def logTickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """The numbers themselves: 0.05, 2."""
        return [f"{10**value:.3g}" for value in values]


class CurvePlot(pg.PlotWidget):  # type: ignore[misc]
    """pointed(moment or None): the mouse is over this step of the nearest branch. picked(moment): a click on it."""

    pointed = Signal(object)
    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, enableMenu=False, axisItems={"left": ErrorAxis("left")})
        self._theme = DARK
        self._log = False
        self._items: dict[tuple[int, int, bool], pg.PlotDataItem] = {}
        self._lines: dict[int, tuple[Line, ...]] = {}
        self._branches: dict[int, Branch] = {}
        self._seen: Branch | None = None
        self._marks: list[tuple[int, pg.InfiniteLine, pg.TextItem]] = []
        self._marked: object = None
        self._quieten()
        self._look, self._hover = pg.InfiniteLine(angle=90), pg.InfiniteLine(angle=90)
        for line in (self._look, self._hover):
            line.setVisible(False)
            self.addItem(line, ignoreBounds=True)
        self.plotItem.vb.sigRangeChanged.connect(self._place_marks)

    def _quieten(self) -> None:
        """No menu, no dragging, no frame: the plot is only looked at and clicked."""
        # WORKAROUND: pyqtgraph makes its menus without a parent, so they would outlive the window.
        for menu in (self.plotItem.ctrlMenu, *self.plotItem.ctrlMenu.findChildren(QMenu)):
            menu.setParent(self, menu.windowFlags())
        # Nor can its own actions, such as Export, be reached or work.
        for action in self.findChildren(QAction):
            action.setEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.setFrameShape(self.Shape.NoFrame)
        self.viewport().setMouseTracking(True)
        self.viewport().installEventFilter(self)
        for name in ("left", "bottom"):
            self.getAxis(name).setStyle(tickFont=font(SMALL_PX), tickLength=-4)
        self.getAxis("left").setWidth(38)

    # -- what is drawn -----------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours from the next drawing on."""
        self._theme = theme
        self.setBackground(theme.ground)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.quiet))
        self._look.setPen(pg.mkPen(theme.text, style=Qt.PenStyle.DotLine))
        self._hover.setPen(pg.mkPen(theme.faint))
        self._marked = None

    def show_branches(
        self, branches: Sequence[Branch], seen: Branch | None, measure: Measure, window: int, log: bool
    ) -> None:
        """Draw these branches, `seen` in front; see lines_of for measure and window."""
        if log != self._log:
            self.setLogMode(y=log)
        self._log, self._seen = log, seen
        for name in ("left", "bottom"):  # numbers of nothing would only puzzle
            if self.getAxis(name).isVisible() != bool(branches):
                self.showAxis(name, bool(branches))
        self._branches = {branch.number: branch for branch in branches}
        self._lines = {number: lines_of(each.curves, measure, window) for number, each in self._branches.items()}
        used = {key for number in self._lines for key in self._draw(number, measure)}
        for key, item in self._items.items():
            item.setVisible(key in used)
        # At once, or the first painting would find the ranges too small, and a second one would follow.
        self.plotItem.vb.updateAutoRange()
        self._mark(seen if seen is not None and seen.number in self._branches else None)

    def show_look(self, step: int | None) -> None:
        """Mark the moment looked back at."""
        self._look.setVisible(step is not None)
        if step is not None:
            self._look.setValue(step)

    def _draw(self, number: int, measure: Measure) -> list[tuple[int, int, bool]]:
        """Lay a branch's lines into its items, which are made once; returns the keys of those in use."""
        front, alone = self._is_seen(number), len(self._lines) == 1
        used = []
        for place, line in enumerate(self._lines[number]):
            faint = self._is_faint(number, line)
            if faint and not front:
                continue
            pen = branch_pen(self._theme, number, 1.8 if front else 1.2)
            if line.held_out and alone:
                pen.setColor(QColor(self._theme.held_out))
                pen.setDashPattern([4.0, 3.0])
            if faint:
                colour = QColor(pen.color())
                colour.setAlphaF(0.25)
                pen = pg.mkPen(colour, width=1)
            pen.setCosmetic(True)
            values = self._shown(line, measure)
            item = self._item((number, place, False))
            if pen != item.opts["pen"]:  # each of its settings has an item lay out all of its line anew
                item.setPen(pen)
            item.setZValue(2 if front else 1)
            item.setData(line.steps, values)
            used.append((number, place, False))
            if line.held_out and len(line.steps):
                used.append(self._dot(number, place, line.steps, values, pen.color()))
        return used

    def _dot(
        self, number: int, place: int, steps: HostArray, values: HostArray, colour: QColor
    ) -> tuple[int, int, bool]:
        """Rings along a held-out line, so that it is told from one of training without its colour."""
        key = (number, place, True)
        item = self._item(key)
        places = np.unique(np.linspace(0, len(steps) - 1, min(_DOTS, len(steps))).round().astype(int))
        item.setZValue(3)
        ring, paper = pg.mkPen(colour), pg.mkBrush(self._theme.ground)
        item.setData(
            steps[places], values[places], pen=None, symbol="o", symbolSize=5, symbolPen=ring, symbolBrush=paper
        )
        return key

    def _shown(self, line: Line, measure: Measure) -> HostArray:
        """The values as the axis has them: accuracies in percent."""
        if measure == "accuracy":
            return 100 * line.values
        return np.maximum(line.values, LEAST_ERROR if measure == "error" else 1e-12) if self._log else line.values

    def _item(self, key: tuple[int, int, bool]) -> pg.PlotDataItem:
        if key not in self._items:
            self._items[key] = item = self.plot()
            # Else every line would be laid out once more for every new range, in case it reached far beyond it.
            item.setDynamicRangeLimit(None)
        return self._items[key]

    def _is_faint(self, number: int, line: Line) -> bool:
        """Whether it only stands behind its smoothed line."""
        return line.raw and len(self._lines[number]) == 3

    def _is_seen(self, number: int) -> bool:
        return self._seen is not None and self._seen.number == number

    # -- what was changed --------------------------------------------------------------------------------------

    def _mark(self, branch: Branch | None) -> None:
        """A line, and a few words at the top, where something was changed on the branch."""
        marks = () if branch is None else branch.marks
        if self._marked == (marks, self._theme.name):
            return
        self._marked = (marks, self._theme.name)
        for _, line, text in self._marks:
            self.removeItem(line)
            self.removeItem(text)
        self._marks = []
        for mark in marks:
            line = pg.InfiniteLine(mark.step, 90, pg.mkPen(self._theme.quiet, style=Qt.PenStyle.DashLine))
            paper = QColor(self._theme.ground)
            paper.setAlphaF(0.8)
            text = pg.TextItem(mark.text, color=self._theme.quiet, anchor=(0, 0), fill=paper)
            text.setFont(font(SMALL_PX))
            for item, height in ((line, 0), (text, 4)):
                item.setZValue(height)
                self.addItem(item, ignoreBounds=True)
            self._marks.append((mark.step, line, text))
        self._place_marks()

    def _place_marks(self) -> None:
        """The words one below the other where they would overlap; where there is no room they are left to the
        mouse."""
        box, metrics = self.plotItem.vb, QFontMetricsF(font(SMALL_PX))
        if not self._marks or box.width() <= 0:
            return
        per_pixel, top = box.viewPixelSize(), box.viewRange()[1][1]
        taken: list[list[tuple[float, float]]] = [[] for _ in range(_MARK_ROWS)]
        for step, _, text in self._marks:
            left = (step - box.viewRange()[0][0]) / per_pixel[0]
            wide = metrics.horizontalAdvance(text.toPlainText()) + 12
            turned = left + wide > box.width()
            room = (left - wide, left) if turned else (left, left + wide)
            free = [row for row in taken if all(room[0] >= end or room[1] <= begin for begin, end in row)]
            text.setVisible(bool(free) and room[0] >= 0)
            if text.isVisible():
                free[0].append(room)
                row = next(at for at, each in enumerate(taken) if each is free[0])
                text.setAnchor((1 if turned else 0, 0))
                text.setPos(step, top - row * _ROW_HIGH * per_pixel[1])

    # -- the person --------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The mouse over the plot."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._point(self.moment_at(event.position()))
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonRelease:
            if event.button() == Qt.MouseButton.LeftButton and (at := self.moment_at(event.position())) is not None:
                self.picked.emit(at)
        elif event.type() == QEvent.Type.Leave:
            self._point(None)
        return bool(super().eventFilter(watched, event))

    def _point(self, at: Moment | None) -> None:
        self._hover.setVisible(at is not None)
        if at is not None:
            self._hover.setValue(at.step)
        self.pointed.emit(at)

    def moment_at(self, place: QPointF) -> Moment | None:
        """The step under a point of the viewport, of the branch whose line is nearest there."""
        box = self.plotItem.vb
        scene = self.mapToScene(place.toPoint())
        if not box.sceneBoundingRect().contains(scene):
            return None
        point = box.mapSceneToView(scene)
        step = round(point.x())
        found = [number for number, each in self._branches.items() if each.start <= step <= each.end]
        if not found:
            return None
        return Moment(min(found, key=lambda number: self._distance(number, step, point.y())), step)

    def _distance(self, number: int, step: int, y: float) -> tuple[float, bool]:
        """How far a branch's lines are from a height of the plot; of equal ones the branch that is seen."""
        heights = []
        for place, line in enumerate(self._lines[number]):
            item = self._items.get((number, place, False))
            xs, ys = (None, None) if item is None else item.getData()
            if xs is not None and ys is not None and len(xs) and not self._is_faint(number, line):
                heights.append(abs(float(np.interp(step, xs, ys)) - y))
        fine = [height for height in heights if np.isfinite(height)]
        return min(fine, default=np.inf), not self._is_seen(number)
