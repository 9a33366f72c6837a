"""Curves view: the error, the accuracy and the rate of every step so far, branches beside each other. It measures
nothing."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, QTimer
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.nn.model import Moment
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from engine.training.history import Branch
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, Look
from xo_gui.views.training.curve_plot import CurvePlot, Measure, seen_branch, smoothed
from xo_gui.views.view import View
from xo_gui.widgets.number_text import short

WINDOWS = (1, 5, 10, 25, 50, 100, 250)  # steps to smooth over
_USUAL_WINDOW = 25
# While the timeline is dragged the mark follows no more often: the whole plot is painted for it.
SOON_MS = 40


class CurvesView(View):
    """Training as a thin line and, smoothed, a strong one; held-out with rings. Hovering reads a step; a click
    looks back at it."""

    title = "Curves"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._training: Training | None = None
        self._intent: Intent | None = None
        self._at: Moment | None = None
        self._soon = QTimer(self, singleShot=True, interval=SOON_MS)
        self._soon.timeout.connect(self._mark_look)
        self.plot = CurvePlot(self)
        self.plot.pointed.connect(self._point)
        self.plot.picked.connect(self._jump)
        self._make_head()
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
        """Mark the moment looked at, and show the branches that are to be seen."""
        before, self._intent = self._intent, intent
        if before is None or before.hidden != intent.hidden or _branch_of(before.look) != _branch_of(intent.look):
            self._mark_look()
            self._draw()
        elif not self._soon.isActive():
            self._soon.start()

    def _mark_look(self) -> None:
        """Mark the moment looked at."""
        look = None if self._intent is None else self._intent.look
        self.plot.show_look(None if look is None else look.step)
        self._say()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.plot.set_theme(theme)
        self._head_colours()
        self._draw()

    @property
    def measure(self) -> Measure:
        """What is drawn."""
        if self.accuracy_button.isChecked():
            return "accuracy"
        return "rate" if self.rate_button.isChecked() else "error"

    def _draw(self) -> None:
        """Every branch that is to be seen, the one looked at in front."""
        branches = () if self._training is None else self._training.branches
        hidden = frozenset[int]() if self._intent is None else self._intent.hidden
        shown = [branch for branch in branches if branch.number not in hidden]
        log = self.log_button.isChecked() and self.measure != "accuracy"
        seen = seen_branch(self._training, self._intent)
        self.plot.show_branches(shown, seen, self.measure, self.smoothing.currentData(), log)
        self._say()

    # -- the person --------------------------------------------------------------------------------------------

    def _point(self, at: Moment | None) -> None:
        self._at = at
        self._say()

    def _jump(self, at: Moment) -> None:
        if self._training is not None:
            self.wished.emit(Look(None if at == self._training.now else at))

    def _say(self) -> None:
        """The values at the step under the mouse, or looked back at, or else of the last one."""
        branch = seen_branch(self._training, self._intent)
        if self._at is not None and self._training is not None and self._at.branch < len(self._training.branches):
            branch = self._training.branches[self._at.branch]
        if branch is None or not len(branch.curves.steps):
            self.value.setText(self.tr("Train, and the error of every step\nis drawn here."))
            return
        look = None if self._intent is None else self._intent.look
        at = self._at or look or Moment(branch.number, branch.end)
        said = self._values(branch, at.step)
        if said != self.value.text():
            self.value.setText(said)
            self.setAccessibleDescription(said.replace("\n", "; "))

    def _values(self, branch: Branch, step: int) -> str:
        """Two lines: where, and what was measured there."""
        curves = branch.curves
        at = min(int(np.searchsorted(curves.steps, step)), len(curves.steps) - 1)
        step = int(curves.steps[at])
        rate = self.tr("rate {0}").format(short(float(curves.rates[at])))
        first = [self.tr("step {0}").format(step), branch.name, rate]
        marks = [mark.text for mark in branch.marks if abs(mark.step - step) <= self._reach(branch)]
        if self._at is not None and marks:
            first[1:] = [self.tr("changed: {0}").format("; ".join(marks))]
        second = []
        if self.measure != "accuracy":
            window = self.smoothing.currentData()
            mean = float(smoothed(curves.losses[max(0, at + 1 - window) : at + 1], window)[-1])
            smooth = self.tr(" (mean {0})").format(f"{mean:.3f}") if window > 1 else ""
            second.append(self.tr("error {0}").format(f"{curves.losses[at]:.3f}") + smooth)
        else:
            recalled = int(np.searchsorted(curves.recalled, step, side="right")) - 1
            if recalled >= 0:
                second.append(self.tr("training {0} %").format(f"{100 * curves.training_accuracies[recalled]:.1f}"))
        judged = int(np.searchsorted(curves.judged, step, side="right")) - 1
        if judged >= 0:
            share = f"{100 * curves.accuracies[judged]:.1f}"
            held_out = self.tr("held-out {0} %") if self.measure == "accuracy" else self.tr("held-out {1}, {0} %")
            second.append(held_out.format(share, f"{curves.held_out_losses[judged]:.3f}"))
        lines = [" · ".join(first), " · ".join(second)]
        if judged >= 0 and self._judged_apart():
            lines.append(self.tr("Branches here are judged by different held-out drawings."))
        return "\n".join(lines)

    def _judged_apart(self) -> bool:
        """Whether two branches that are drawn have other held-out drawings: of another seed, say, or generator."""
        if self._training is None:
            return False
        hidden = frozenset[int]() if self._intent is None else self._intent.hidden
        data = [origin.lesson.data for number, origin in enumerate(self._training.origins) if number not in hidden]
        return len({(each.drawing, each.held_out, each.seed) for each in data}) > 1

    def _reach(self, branch: Branch) -> float:
        """How many steps beside a mark still mean it: four pixels."""
        return 4 * float(self.plot.plotItem.vb.viewPixelSize()[0])

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_head(self) -> None:
        self._head = QHBoxLayout()
        self._head.setSpacing(2)
        tip = self.tr("The error of every step, and on held-out drawings after every epoch (rings)")
        self.error_button = self._toggle(self.tr("error"), tip)
        tip = self.tr(
            "Shares read rightly after every epoch: of drawings it learns from, and of held-out ones (rings)"
        )
        self.accuracy_button = self._toggle(self.tr("accuracy"), tip)
        self.rate_button = self._toggle(self.tr("rate"), self.tr("The learning rate that every step was made with"))
        self.log_button = self._toggle(self.tr("log"), self.tr("Logarithmic scale: small errors can be told apart"))
        self._measures = QButtonGroup(self)
        for button in (self.error_button, self.accuracy_button, self.rate_button):
            self._measures.addButton(button)
        self._make_smoothing()
        self.error_button.setChecked(True)
        self.log_button.setChecked(True)
        for button in (self.error_button, self.accuracy_button, self.rate_button, self.log_button):
            self._head.addWidget(button)
            button.toggled.connect(self._toggled)
        self._head.addStretch(1)
        self._head.addWidget(self.smoothing)
        self.value = QLabel(self)
        self.value.setFont(font(SMALL_PX))
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def _make_smoothing(self) -> None:
        self.smoothing = QComboBox(self)
        for window in WINDOWS:
            self.smoothing.addItem(
                self.tr("mean of {0}").format(window) if window > 1 else self.tr("as it is"), window
            )
        self.smoothing.setCurrentIndex(WINDOWS.index(_USUAL_WINDOW))
        self.smoothing.setFont(font(SMALL_PX))
        self.smoothing.setAccessibleName(self.tr("Smoothing"))
        tip = self.tr("Smoothing: each point of the strong line is the mean error of so many steps up to it")
        self.smoothing.setToolTip(tip)
        self.smoothing.setStatusTip(tip)
        self.smoothing.currentIndexChanged.connect(self._toggled)

    def _toggle(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setCheckable(True)
        button.setFont(font(SMALL_PX))
        button.setAccessibleName(text)
        return button

    def _toggled(self) -> None:
        self.log_button.setEnabled(self.measure != "accuracy")
        self.smoothing.setEnabled(self.measure == "error")
        self._draw()

    def _head_colours(self) -> None:
        theme = self._theme
        self.value.setStyleSheet(f"color: {theme.quiet}")
        sheet = (
            f"QToolButton {{ color: {theme.quiet}; background: transparent; padding: 1px 5px; }}"
            f"QToolButton:checked {{ color: {theme.text}; background: {theme.control}; "
            f"border-color: transparent; }} QToolButton:focus {{ border-color: {theme.o}; }}"
            f"QToolButton:disabled {{ color: {theme.faint}; }}"
        )
        for button in (self.error_button, self.accuracy_button, self.rate_button, self.log_button):
            button.setStyleSheet(sheet)


def _branch_of(look: Moment | None) -> int | None:
    """The branch that is looked back at; None for the one that trains."""
    return None if look is None else look.branch
