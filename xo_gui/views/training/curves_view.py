"""The Curves panel: error, accuracy and learning rate of every step, of several branches."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, QTimer
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.nn import RunPoint
from engine.runtime import Snapshot, TrainingReport
from engine.training import Branch
from xo_gui.app import SMALL_PX, font, theme_service
from xo_gui.state import ShowPoint, TrainingSettings
from xo_gui.views.training.curve_plot import CurvePlot, Measure, shown_branch, smoothed
from xo_gui.views.view import View
from xo_gui.widgets import EmptyLabel, HeaderButton, WrappingRow, short_text

WINDOWS = (1, 5, 10, 25, 50, 100, 250)  # steps to smooth over
_DEFAULT_WINDOW = 25
# The least time between two moves of the mark while the timeline is dragged: each repaints the whole plot.
MARK_DELAY_MS = 40


class CurvesView(View):
    """The loss as a thin line and, smoothed, as a strong one; held-out with rings. Hovering shows the values of a
    step; a click shows the network at it."""

    title = "Curves"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training: TrainingReport | None = None
        self._settings: TrainingSettings | None = None
        self._hovered: RunPoint | None = None
        self._mark_timer = QTimer(self)
        self._mark_timer.setSingleShot(True)
        self._mark_timer.setInterval(MARK_DELAY_MS)
        self._mark_timer.timeout.connect(self._mark_shown_point)
        self.plot = CurvePlot(self)
        self.plot.hovered.connect(self._set_hovered)
        self.plot.clicked.connect(self._show_point)
        self._create_header()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._header)
        text = self.tr("Train, and the error of every step is drawn here.")
        self.empty_label = EmptyLabel(text, "curve", self)
        column.addWidget(self.empty_label, 1)
        column.addWidget(self.plot, 1)
        column.addWidget(self.value)
        self._update_text()
        self.setAccessibleName(self.tr("Curves of error and accuracy"))
        theme_service.changed.connect(self._draw)

    def sizeHint(self) -> QSize:
        return QSize(510, 200)  # so that in the first layout the header has one line

    # -- display -----------------------------------------------------------------------------------------------

    def set_snapshot(self, snapshot: Snapshot) -> None:
        training = snapshot.training
        if training is self._training:
            return
        self._training = training
        self._draw()

    def set_training(self, settings: TrainingSettings) -> None:
        before, self._settings = self._settings, settings
        if (
            before is None
            or before.hidden_branches != settings.hidden_branches
            or _branch_of(before.shown_point) != _branch_of(settings.shown_point)
        ):
            self._mark_shown_point()
            self._draw()
        elif not self._mark_timer.isActive():
            self._mark_timer.start()

    def _mark_shown_point(self) -> None:
        look = None if self._settings is None else self._settings.shown_point
        self.plot.set_shown_point(None if look is None else look.step)
        self._update_text()

    @property
    def measure(self) -> Measure:
        """The quantity drawn."""
        if self.accuracy_button.isChecked():
            return "accuracy"
        return "rate" if self.rate_button.isChecked() else "error"

    def _draw(self) -> None:
        """Draw the visible branches, the shown one in front."""
        branches = () if self._training is None else self._training.branches
        hidden = frozenset[int]() if self._settings is None else self._settings.hidden_branches
        visible = [branch for branch in branches if branch.number not in hidden]
        log = self.log_button.isChecked() and self.measure != "accuracy"
        front = shown_branch(self._training, self._settings)
        self.plot.set_branches(visible, front, self.measure, self.smoothing.currentData(), log)
        self._update_text()

    # -- input -------------------------------------------------------------------------------------------------

    def _set_hovered(self, point: RunPoint | None) -> None:
        self._hovered = point
        self._update_text()

    def _show_point(self, point: RunPoint) -> None:
        if self._training is not None:
            self.commanded.emit(ShowPoint(None if point == self._training.current_point else point))

    def _update_text(self) -> None:
        """The values at the step under the mouse, else at the one shown."""
        branch, training, hovered = shown_branch(self._training, self._settings), self._training, self._hovered
        if hovered is not None and training is not None and hovered.branch < len(training.branches):
            branch = training.branches[hovered.branch]
        is_empty = branch is None or not len(branch.curves.steps)
        self.empty_label.setVisible(is_empty)
        for widget in (self.plot, self.value):
            widget.setVisible(not is_empty)
        if branch is None or is_empty:
            return
        look = None if self._settings is None else self._settings.shown_point
        point = hovered or look or RunPoint(branch.number, branch.end)
        text = self._values_text(branch, point.step)
        if text != self.value.text():
            self.value.setText(text)
            self.setAccessibleDescription(text.replace("\n", "; "))

    def _values_text(self, branch: Branch, step: int) -> str:
        """Two lines: the step, and the values there."""
        curves = branch.curves
        index = min(int(np.searchsorted(curves.steps, step)), len(curves.steps) - 1)
        step = int(curves.steps[index])
        rate = self.tr("rate {0}").format(short_text(float(curves.rates[index])))
        first = [self.tr("step {0}").format(step), branch.name, rate]
        marks = [mark.text for mark in branch.marks if abs(mark.step - step) <= self._mark_tolerance()]
        if self._hovered is not None and marks:
            first[1:] = [self.tr("changed: {0}").format("; ".join(marks))]
        second = []
        if self.measure != "accuracy":
            window = self.smoothing.currentData()
            mean = float(smoothed(curves.losses[max(0, index + 1 - window) : index + 1], window)[-1])
            smooth = self.tr(" (mean {0})").format(f"{mean:.3f}") if window > 1 else ""
            second.append(self.tr("error {0}").format(f"{curves.losses[index]:.3f}") + smooth)
        else:
            measured = int(np.searchsorted(curves.training_accuracy_steps, step, side="right")) - 1
            if measured >= 0:
                second.append(self.tr("training {0} %").format(f"{100 * curves.training_accuracies[measured]:.1f}"))
        evaluated = int(np.searchsorted(curves.held_out_steps, step, side="right")) - 1
        if evaluated >= 0:
            accuracy = f"{100 * curves.held_out_accuracies[evaluated]:.1f}"
            held_out = self.tr("held-out {0} %") if self.measure == "accuracy" else self.tr("held-out {1}, {0} %")
            second.append(held_out.format(accuracy, f"{curves.held_out_losses[evaluated]:.3f}"))
        lines = [" · ".join(first), " · ".join(second)]
        if evaluated >= 0 and self._held_out_differ():
            lines.append(self.tr("Branches here are evaluated on different held-out drawings."))
        return "\n".join(lines)

    def _held_out_differ(self) -> bool:
        """Whether two visible branches have different held-out drawings, such as of another seed."""
        if self._training is None:
            return False
        hidden = frozenset[int]() if self._settings is None else self._settings.hidden_branches
        data = [
            origin.training_data.generated
            for number, origin in enumerate(self._training.branch_origins)
            if number not in hidden
        ]
        return len({(each.generator, each.held_out, each.seed) for each in data}) > 1

    def _mark_tolerance(self) -> float:
        """Steps beside a mark that still count as on it: four pixels."""
        return 4 * float(self.plot.plotItem.vb.viewPixelSize()[0])

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_header(self) -> None:
        tip = self.tr("The error (loss) of every step, and on held-out drawings after every epoch (rings)")
        self.error_button = self._toggle(self.tr("error"), tip)
        tip = self.tr(
            "Accuracy after every epoch: on a sample of the training set, and on held-out drawings (rings)"
        )
        self.accuracy_button = self._toggle(self.tr("accuracy"), tip)
        self.rate_button = self._toggle(self.tr("rate"), self.tr("The learning rate of every step"))
        self.log_button = self._toggle(self.tr("log"), self.tr("Logarithmic scale, to tell small errors apart"))
        self._measures = QButtonGroup(self)
        for button in (self.error_button, self.accuracy_button, self.rate_button):
            self._measures.addButton(button)
        self._create_smoothing()
        self.error_button.setChecked(True)
        self.log_button.setChecked(True)
        buttons = (self.error_button, self.accuracy_button, self.rate_button, self.log_button)
        for button in buttons:
            button.toggled.connect(self._on_toggle)
        self._header = WrappingRow((*buttons, self.smoothing), self, fills=False)
        self.value = QLabel(self)
        self.value.setWordWrap(True)
        self.value.setFont(font(SMALL_PX))
        self.value.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def _create_smoothing(self) -> None:
        self.smoothing = QComboBox(self)
        for window in WINDOWS:
            self.smoothing.addItem(
                self.tr("mean of {0}").format(window) if window > 1 else self.tr("not smoothed"), window
            )
        self.smoothing.setCurrentIndex(WINDOWS.index(_DEFAULT_WINDOW))
        self.smoothing.setFont(font(SMALL_PX))
        self.smoothing.setAccessibleName(self.tr("Smoothing"))
        tip = self.tr("Smoothing: each point of the strong line is the mean error of this many steps up to it")
        self.smoothing.setToolTip(tip)
        self.smoothing.setStatusTip(tip)
        self.smoothing.currentIndexChanged.connect(self._on_toggle)

    def _toggle(self, text: str, tip: str) -> HeaderButton:
        button = HeaderButton(text, tip, self)
        button.setCheckable(True)
        return button

    def _on_toggle(self) -> None:
        self.log_button.setEnabled(self.measure != "accuracy")
        self.smoothing.setEnabled(self.measure == "error")
        self._draw()


def _branch_of(look: RunPoint | None) -> int | None:
    """The branch of a point of the history; None for the one that trains."""
    return None if look is None else look.branch
