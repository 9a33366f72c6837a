"""The Timeline panel: a line of all steps of a branch; dragging along it shows any point of the training."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QToolButton, QToolTip, QWidget

from engine.nn import RunPoint
from engine.runtime import Snapshot, TrainingReport
from engine.training import Branch, ancestry
from xo_gui.app import SMALL_PX, current_theme, font
from xo_gui.state import CompareWithCurrent, ShowPoint, TrainingSettings
from xo_gui.views.training.curve_plot import branch_pen, shown_branch
from xo_gui.views.training.training_view import speed_text
from xo_gui.views.view import View
from xo_gui.widgets import short_text

_LINE_Y, _HANDLE, _TEXT_Y = 10.0, 6.0, 30.0
_MAX_REPLAY = 1_000  # steps from a keyframe that a drag waits for: some seconds


class TimelineView(View):
    """The steps of a branch. Drag, or use arrows, Home and End; Esc shows the current step."""

    title = "Timeline"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._training: TrainingReport | None = None
        self._settings: TrainingSettings | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Timeline of the training"))
        self.setMinimumHeight(44)
        self.compare_button = QToolButton(self)
        self.compare_button.setText(self.tr("Compare with this step"))
        tip = self.tr("Keep a copy of the weights shown, and see what further training changes")
        self.compare_button.setToolTip(tip)
        self.compare_button.setStatusTip(tip)
        self.compare_button.setFont(font(SMALL_PX))
        self.compare_button.setStyleSheet("padding: 1px 8px")
        self.compare_button.clicked.connect(self._compare)
        self.compare_button.hide()

    def sizeHint(self) -> QSize:
        return QSize(800, 44)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.training is not self._training:
            self._training = snapshot.training
            self.compare_button.setVisible(self._branch() is not None)
            self.setAccessibleDescription(self._text())
            self.update()

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self.update()

    # -- input -------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._show_step_at(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._show_step_at(event.position().x())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        branch, training = self._branch(), self._training
        moves = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageUp: -50, Qt.Key.Key_PageDown: 50}
        if branch is None or training is None:
            super().keyPressEvent(event)
        elif event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_End):
            self._show_step(branch.end) if event.key() == Qt.Key.Key_End else self.commanded.emit(ShowPoint(None))
        elif event.key() == Qt.Key.Key_Home:
            self._show_step(0)
        elif event.key() in moves:
            self._show_step(self._shown_step(training) + moves[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip(event.pos().x()), self)
            return True
        return super().event(event)

    def tip(self, x: float) -> str:
        """The tooltip at a position: the changes there, the branching point, or what a click does."""
        branch, training = self._branch(), self._training
        if branch is None or training is None or not branch.end:
            return ""
        near = [mark for mark in branch.marks if abs(self._x(mark.step, branch) - x) <= _HANDLE]
        if near:
            return "\n".join(self.tr("after step {0}: {1}").format(mark.step, mark.text) for mark in near)
        parent = branch.parent
        if parent is not None and abs(self._x(branch.start, branch) - x) <= _HANDLE:
            name = training.branches[parent.branch].name
            return self.tr("{0} branches off {1} here, after step {2}").format(branch.name, name, parent.step)
        return self.tr("Show step {0}").format(self._step_at(x, branch))

    def _compare(self) -> None:
        self.commanded.emit(CompareWithCurrent())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        size = self.compare_button.sizeHint()
        self.compare_button.setGeometry(
            self.width() - size.width(), round(_TEXT_Y + 1 - size.height() / 2), size.width(), size.height()
        )

    def _step_at(self, x: float, branch: Branch) -> int:
        """The step at a position, or the nearest keyframe where it takes too many steps from the one before it."""
        share = (x - _HANDLE) / max(self.width() - 2 * _HANDLE, 1)
        step = round(min(max(share, 0.0), 1.0) * branch.end)
        stored = self._keyframes(branch)
        before = max((at for at in stored if at <= step), default=0)
        return step if step - before <= _MAX_REPLAY else min(stored, key=lambda at: abs(at - step))

    def _keyframes(self, branch: Branch) -> list[int]:
        """The steps of the keyframes of a branch and its ancestors, and of its end."""
        stored = {branch.end, *branch.keyframes}
        while branch.parent is not None and self._training is not None:
            start, branch = branch.parent.step, self._training.branches[branch.parent.branch]
            stored |= {at for at in branch.keyframes if at < start}
        return sorted(stored)

    def _show_step_at(self, x: float) -> None:
        branch = self._branch()
        if branch is not None and self.width() > 2 * _HANDLE:
            self._show_step(self._step_at(x, branch))

    def _show_step(self, step: int) -> None:
        branch, training = self._branch(), self._training
        if branch is not None and training is not None:
            point = RunPoint(branch.number, min(max(step, 0), branch.end))
            self.commanded.emit(ShowPoint(None if point == training.current_point else point))

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            theme, training, branch = current_theme(), self._training, self._branch()
            ends = (QPointF(_HANDLE, _LINE_Y), QPointF(self.width() - _HANDLE, _LINE_Y))
            painter.setPen(self._pen(theme.border))
            painter.drawLine(*ends)
            if training is None or branch is None:
                self._paint_empty(painter)
            elif branch.end:
                x = self._x(self._shown_step(training), branch)
                self._paint_path(painter, branch, x)
                self._paint_keyframes(painter, branch)
                self._paint_marks(painter, branch)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.text))
                painter.drawEllipse(QPointF(x, _LINE_Y), _HANDLE, _HANDLE)
            if self.hasFocus():
                painter.setPen(QPen(QColor(theme.o), 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
            painter.setFont(font(SMALL_PX))
            painter.setPen(QColor(theme.secondary_text))
            used = 0 if self.compare_button.isHidden() else self.compare_button.width() + 12
            box = QRectF(0, _TEXT_Y - 8, self.width() - used, 18)
            facts, metrics = self._facts(), QFontMetricsF(painter.font())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, facts)
            room = box.width() - (metrics.horizontalAdvance(facts) + 24 if facts else 0)
            text = metrics.elidedText(self._text(), Qt.TextElideMode.ElideRight, room)
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_path(self, painter: QPainter, branch: Branch, x: float) -> None:
        """The path to the step shown: thin on ancestors, then the branch's own line."""
        start = min(self._x(branch.start if branch.parent is not None else 0, branch), x)
        painter.setPen(QPen(QColor(current_theme().secondary_text), 1.5))
        painter.drawLine(QPointF(_HANDLE, _LINE_Y), QPointF(start, _LINE_Y))
        painter.setPen(branch_pen(current_theme(), branch.number, 3))
        painter.drawLine(QPointF(start, _LINE_Y), QPointF(x, _LINE_Y))

    def _paint_empty(self, painter: QPainter) -> None:
        """What will be there: a handle on the line, and the steps kept."""
        painter.setPen(QPen(QColor(current_theme().disabled_text), 1.3))
        painter.setBrush(QColor(current_theme().background))
        middle = self.width() / 2
        for share in (0.02, 0.06, 0.13, 0.27):
            painter.drawEllipse(QPointF(share * self.width(), _LINE_Y), 3.0, 3.0)
        painter.drawEllipse(QPointF(middle, _LINE_Y), _HANDLE - 1, _HANDLE - 1)

    def _paint_keyframes(self, painter: QPainter, branch: Branch) -> None:
        """A dot at each keyframe, where a drag goes from one to the next."""
        stored = self._keyframes(branch)
        if max(np.diff(stored), default=0) <= _MAX_REPLAY:
            return
        painter.setPen(QPen(QColor(current_theme().text), 1.5))
        painter.setBrush(QColor(current_theme().background))
        for step in stored:
            painter.drawEllipse(QPointF(self._x(step, branch), _LINE_Y), 3.5, 3.5)

    def _pen(self, colour: str) -> QPen:
        return QPen(QColor(colour), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)

    def _paint_marks(self, painter: QPainter, branch: Branch) -> None:
        """Ticks at changes and at the start of the branch."""
        painter.setPen(QPen(QColor(current_theme().secondary_text), 1))
        start = [] if branch.parent is None else [branch.start]
        for step in (*start, *(mark.step for mark in branch.marks)):
            x = self._x(step, branch)
            painter.drawLine(QPointF(x, _LINE_Y - 6), QPointF(x, _LINE_Y + 6))

    def _text(self) -> str:
        training, branch = self._training, self._branch()
        if training is None or branch is None:
            return self.tr("Once the network trains, drag here to show any step of its training.")
        step = self._shown_step(training)
        if self._settings is None or self._settings.shown_point is None:
            return self.tr("step {0} · {1}").format(step, branch.name)
        text = self.tr("step {0} of {1} · {2} · history: predictions are those of the network at this step")
        if training.shown_point.step != step:
            text = self.tr("step {0} of {1} · {2} · on its way: predictions are still those of step {3}")
        return text.format(step, branch.end, branch.name, training.shown_point.step)

    def _facts(self) -> str:
        """Speed, epoch, rate, seed and accuracy at the step shown."""
        training, branch, settings = self._training, self._branch(), self._settings
        if training is None or branch is None or settings is None:
            return ""
        step, curves = self._shown_step(training), branch.curves
        facts = []
        if training.state == "running":
            facts.append(speed_text(training))
        if training.steps_per_epoch:
            facts.append(self.tr("epoch {0}").format(training.epoch_of(step)))
        if len(curves.steps):
            index = min(int(np.searchsorted(curves.steps, step)), len(curves.steps) - 1)
            facts.append(self.tr("rate {0}").format(short_text(float(curves.rates[index]))))
        first = ancestry(training.branches, RunPoint(branch.number, step))[0].branch
        facts.append(self.tr("seed {0}").format(training.branches[first].configs[0][1].seed))
        evaluated = int(np.searchsorted(curves.held_out_steps, step, side="right")) - 1
        if evaluated >= 0:
            facts.append(self.tr("held-out {0} %").format(f"{100 * curves.held_out_accuracies[evaluated]:.1f}"))
        return " · ".join(facts)

    def _branch(self) -> Branch | None:
        return shown_branch(self._training, self._settings)

    def _shown_step(self, training: TrainingReport) -> int:
        """The step requested, which the engine may not have reached yet."""
        look = self._settings.shown_point if self._settings is not None else None
        return training.current_point.step if look is None else look.step

    def _x(self, step: int, branch: Branch) -> float:
        return _HANDLE + (self.width() - 2 * _HANDLE) * step / max(branch.end, 1)
