"""Curves view: the error and the accuracy of every step so far, branches beside each other. It measures nothing."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from engine.goal import Training
from engine.history import Branch, Moment
from engine.runner import Snapshot
from xo_gui.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.curve_lines import lines_of
from xo_gui.views.view import View
from xo_gui.wishes import Intent, Look

_LEAST_LOSS = 1e-4  # what a logarithmic axis shows of an error of 0


class CurvesView(View):
    """Training as a thin line and, smoothed, a strong one; held-out dashed. Hovering reads a step; a click looks
    back at it."""

    title = "Curves"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._training: Training | None = None
        self._intent: Intent | None = None
        self._items: dict[tuple[int, int], pg.PlotDataItem] = {}
        self._make_plot()
        self._make_head()
        self.log_button.setChecked(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._head)
        column.addWidget(self.plot, 1)
        column.addWidget(self.value)
        self.setAccessibleName(self.tr("Curves of error and accuracy"))
        self.set_theme(DARK)

    def sizeHint(self) -> QSize:
        """As wide as a curve needs to be read."""
        return QSize(290, 200)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw what has been added."""
        training = snapshot.training
        if training is self._training:
            return
        self._training = training
        self._draw()

    def show_intent(self, intent: Intent) -> None:
        """Mark the moment looked at."""
        self._intent = intent
        self._place_mark()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.plot.setBackground(theme.ground)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.quiet))
        self._mark.setPen(pg.mkPen(theme.text, style=Qt.PenStyle.DotLine))
        self._head_colours()
        self._draw()

    def _draw(self) -> None:
        """Every branch's lines, the one that trains on top."""
        training = self._training
        branches = training.branches if training is not None else ()
        drawn = {key for branch in branches for key in self._draw_branch(branch, training)}
        for key, item in self._items.items():
            item.setVisible(key in drawn)
        self._say_value(None)
        self._place_mark()

    def _draw_branch(self, branch: Branch, training: Training | None) -> list[tuple[int, int]]:
        """Lay the branch's lines into its items, which are made once; returns the keys of those in use."""
        theme, log = self._theme, self.log_button.isChecked()
        current, used = training is not None and branch.number == training.now.branch, []
        for place, line in enumerate(lines_of(branch.curves, accuracy=self.accuracy_button.isChecked())):
            if line.raw and not current:
                continue
            colour = QColor(theme.held_out if line.held_out else theme.text if current else theme.faint)
            if line.raw:
                colour.setAlphaF(0.25)
            dash = Qt.PenStyle.DashLine if line.held_out else Qt.PenStyle.SolidLine
            item = self._item((branch.number, place))
            item.setPen(pg.mkPen(colour, width=1 if line.raw or not current else 1.6, style=dash))
            item.setZValue(2 if current else 1)
            item.setData(line.steps, np.maximum(line.values, _LEAST_LOSS) if log else line.values)
            used.append((branch.number, place))
        return used

    def _item(self, key: tuple[int, int]) -> pg.PlotDataItem:
        if key not in self._items:
            self._items[key] = self.plot.plot()
        return self._items[key]

    def _place_mark(self) -> None:
        training, look = self._training, self._intent.look if self._intent is not None else None
        self._mark.setVisible(training is not None and look is not None)
        if look is not None:
            self._mark.setValue(look.step)

    # -- the person --------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The mouse over the plot."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._say_value(self._step_at(event.position()))
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonRelease:
            self._jump(self._step_at(event.position()))
        elif event.type() == QEvent.Type.Leave:
            self._say_value(None)
        return super().eventFilter(watched, event)

    def _step_at(self, place: QPointF) -> int | None:
        """The step under the mouse, if the branch that trains has it."""
        branch = self._branch()
        box = self.plot.plotItem.vb
        scene = self.plot.mapToScene(place.toPoint())
        if branch is None or not box.sceneBoundingRect().contains(scene):
            return None
        step = round(box.mapSceneToView(scene).x())
        return step if branch.start <= step <= branch.end else None

    def _jump(self, step: int | None) -> None:
        branch = self._branch()
        if step is not None and branch is not None:
            self.wished.emit(Look(None if step == branch.end else Moment(branch.number, step)))

    def _branch(self) -> Branch | None:
        training = self._training
        if training is None or not 0 <= training.now.branch < len(training.branches):
            return None
        return training.branches[training.now.branch]

    def _say_value(self, step: int | None) -> None:
        """The values at a step, or of the last one."""
        branch = self._branch()
        if branch is None or not len(branch.curves.steps):
            self.value.setText(self.tr("Train, and the error of every step is drawn here."))
            return
        curves = branch.curves
        at = len(curves.steps) - 1 if step is None else int(np.searchsorted(curves.steps, step))
        at = min(at, len(curves.steps) - 1)
        said = self.tr("step {0}: error {1}").format(int(curves.steps[at]), f"{curves.losses[at]:.3f}")
        judged = int(np.searchsorted(curves.judged, curves.steps[at], side="right")) - 1
        if judged >= 0:
            held_out = self.tr("held-out {0}, {1} % right")
            share = f"{100 * curves.accuracies[judged]:.1f}"
            said += " · " + held_out.format(f"{curves.held_out_losses[judged]:.3f}", share)
        self.value.setText(said)

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_head(self) -> None:
        self._head = QHBoxLayout()
        self._head.setSpacing(4)
        tip = self.tr("Show the share read rightly instead of the error")
        self.accuracy_button = self._toggle(self.tr("accuracy"), tip)
        self.log_button = self._toggle(self.tr("log"), self.tr("Logarithmic scale: small errors can be told apart"))
        self.value = QLabel(self)
        self.value.setFont(font(SMALL_PX))
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        for widget in (self.accuracy_button, self.log_button):
            self._head.addWidget(widget)
        self._head.addStretch(1)

    def _toggle(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setCheckable(True)
        button.setFont(font(SMALL_PX))
        button.setAccessibleName(text)
        button.toggled.connect(self._toggled)
        return button

    def _toggled(self) -> None:
        self.log_button.setEnabled(not self.accuracy_button.isChecked())
        self.plot.setLogMode(y=self.log_button.isChecked() and not self.accuracy_button.isChecked())
        self._draw()

    def _head_colours(self) -> None:
        theme = self._theme
        self.value.setStyleSheet(f"color: {theme.quiet}")
        sheet = (
            f"QToolButton {{ color: {theme.quiet}; background: transparent; padding: 1px 5px; }}"
            f"QToolButton:checked {{ color: {theme.text}; background: {theme.control}; "
            f"border-color: transparent; }} QToolButton:focus {{ border-color: {theme.o}; }}"
        )
        for button in (self.accuracy_button, self.log_button):
            button.setStyleSheet(sheet)

    def _make_plot(self) -> None:
        self.plot = pg.PlotWidget(self, enableMenu=False)
        # WORKAROUND: pyqtgraph makes its menus without a parent, so they would outlive the window.
        for menu in (self.plot.plotItem.ctrlMenu, *self.plot.plotItem.ctrlMenu.findChildren(QMenu)):
            menu.setParent(self.plot, menu.windowFlags())
        # Nor can its own actions, such as Export, be reached or work.
        for action in self.plot.findChildren(QAction):
            action.setEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setLogMode(y=True)
        self.plot.setFrameShape(self.plot.Shape.NoFrame)
        self.plot.viewport().setMouseTracking(True)
        self.plot.viewport().installEventFilter(self)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setStyle(tickFont=font(SMALL_PX), tickLength=-4)
        self.plot.getAxis("left").setWidth(38)
        self._mark = pg.InfiniteLine(angle=90)
        self._mark.setVisible(False)
        self.plot.addItem(self._mark, ignoreBounds=True)
