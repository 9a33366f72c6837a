"""Step view: the next training step in slow motion: forward pass, error, backward pass, update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from PySide6.QtCore import QElapsedTimer, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QHideEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.explain import ParameterIndex, StepQuery, StepTrace
from engine.runtime import AnyQuery, Snapshot, TrainingReport
from xo_gui.app import SMALL_PX, font
from xo_gui.state import OneStep, TrainingSettings, has_done_all_epochs
from xo_gui.views.step.batch_strip import BatchStrip
from xo_gui.views.step.phases import STEP_PHASES, PhaseStep, phase_step_at, phase_steps, phase_text
from xo_gui.views.step.step_strip import StepStrip
from xo_gui.views.step.weight_panel import WeightPanel
from xo_gui.views.view import View
from xo_gui.widgets import EmptyLabel, ThinSlider, WrappingRow, four_digit_text

# Training at this many steps per second or fewer is followed step by step.
MAX_FOLLOWED_PACE: Final = 1.0
# Milliseconds from one position to the next when playing, and between two looks at the clock during training.
PLAY_MS: Final = 800
TICK_MS: Final = 40
MAX_MAPS: Final = 64
# Width in pixels from which the longest sentence fits in one line.
_MARGIN, _ONE_LINE_WIDTH = 16, 940
_ROW_LABEL_WIDTH, _ROW_LABEL_HEIGHT, _ROW_LABEL_GAP = 62, 60, 4


class StepView(View):
    """The next training step, layer by layer; a click on a weight shows its update.

    Play goes through the step, commands it, and continues with the next one: the step that was shown is the step
    that is performed. Slow training is followed in time with it.
    """

    title = "One step"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._trace: StepTrace | None = None
        self._report: TrainingReport | None = None
        self._latest: StepTrace | None = None
        self._settings: TrainingSettings | None = None
        self._query = StepQuery(maps=MAX_MAPS)
        self._network: object = None
        self._positions: tuple[PhaseStep, ...] = phase_steps(2)
        self._index = 0
        self._is_playing, self._steps_seen = False, 0
        self._clock = QElapsedTimer()
        self._clock.start()
        self._timer = QTimer(self)
        self._timer.setInterval(PLAY_MS)
        self._timer.timeout.connect(self._advance)
        self.transport = StepTransport(self)
        self.transport.play_toggled.connect(self._toggle_playing)
        self.transport.next_clicked.connect(self._next)
        self.transport.phase_chosen.connect(self._go_to_phase)
        self.transport.slider_moved.connect(self._go_to_slider)
        self.text_label = QLabel(self)
        self.text_label.setWordWrap(True)
        self.text_label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.strip = StepStrip(self)
        self.strip.weight_clicked.connect(self.select_weight)
        self.batch_strip = BatchStrip(self)
        self.batch_strip.example_chosen.connect(self._follow_example)
        self.caption_label = QLabel(self)
        self.caption_label.setFont(font(SMALL_PX))
        self.caption_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.weight_panel = WeightPanel(self)
        self.weight_panel.weight_chosen.connect(self.select_weight)
        self.weight_panel.message.connect(self.message)
        self.weight_panel.hide()
        self._lay_out()
        self._show_position()
        self._update_text()

    def sizeHint(self) -> QSize:
        return QSize(1000, 690)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 300)

    def top_row_width(self) -> int:
        return self.transport.sizeHint().width() + _MARGIN

    # --- state

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.predictions:
            self._network = snapshot.predictions[0].model.network
        trace = snapshot.result_of_type(StepTrace)
        if trace is not None or snapshot.training is None:
            self._latest = trace  # that of another example stays until the one asked for is there
        self._report = snapshot.training
        self._show_trace()

    def set_training(self, settings: TrainingSettings) -> None:
        before, self._settings = self._settings, settings
        if settings.running and (before is None or not before.running):
            self._steps_seen = 0
        self._update_timer()
        self._show_trace()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_text(0)

    def _fit_text(self, least: int) -> None:
        """Give the sentence at least `least` pixels of height, what the longest sentence needs in English, so that
        the maps stay in place, and what it needs itself."""
        lines = 1 if self.width() > _ONE_LINE_WIDTH else 2
        reserved = lines * self.text_label.fontMetrics().lineSpacing() + 2
        needed = self.text_label.heightForWidth(self.width() - 2 * _MARGIN)
        self.text_label.setFixedHeight(max(least, reserved, needed))

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({self._query})

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._set_playing(False)

    @property
    def trace(self) -> StepTrace | None:
        return self._trace

    @property
    def phase_step(self) -> PhaseStep:
        """The position in the step."""
        return self._positions[self._index]

    def _show_trace(self) -> None:
        """Show the latest trace if it is of the shown network."""
        trace = self._latest
        live = self._settings is not None and self._settings.live
        if trace is not None and (not live or trace.network != self._network):
            trace = None
        before, self._trace = self._trace, trace
        if trace is before:
            self._update_text()
            return
        if trace is None or trace.example_pass is None:
            self._update_text()
            return
        self.strip.set_step(trace, MAX_MAPS)
        positions = phase_steps(len(self.strip.display_columns))
        if positions != self._positions:
            fast = self._settings is not None and self._settings.running and not self._is_followed
            self._positions, self._index = (
                positions,
                len(positions) - 1 if fast else len(self.strip.display_columns) - 1,
            )
            self.transport.set_length(len(positions))
        self._deselect_missing(trace)
        self.batch_strip.set_batch(trace.examples, trace.indices, trace.errors, trace.example_pass.example)
        self.weight_panel.set_network(trace.network)
        self.weight_panel.set_weight(self._query.weight)
        self.weight_panel.set_weight_trace(trace.weight_trace)
        if before is None or before.run_point != trace.run_point:
            self._start_step()
        self._show_position()
        self._update_text()

    def _deselect_missing(self, trace: StepTrace) -> None:
        """Deselect a weight that the trained network does not have."""
        weight = self._query.weight
        if weight is None:
            return
        shape = trace.network.learnable_shapes.get(weight[0], ())
        if len(shape) != len(weight[1]) or any(at >= size for at, size in zip(weight[1], shape, strict=True)):
            self.select_weight(None)

    def _update_text(self) -> None:
        """Show the sentence for the position, or what to do."""
        trace, report = self._trace, self._report
        available = trace is not None and trace.example_pass is not None
        self._pages.setCurrentIndex(1 if available else 0)
        self.transport.set_available(available)
        if not available or trace is None:
            self.empty_label.setText(self._empty_text())
            return
        text = phase_text(self.phase_step, self.strip.display_columns, trace)
        if report is not None and report.message:
            text = report.message + " " + text
        self.text_label.setText(text)
        self._fit_text(self.text_label.height())
        self.strip.setAccessibleDescription(text)
        step = trace.run_point.step + 1
        done = (
            report is not None
            and report.current_point.branch == trace.run_point.branch
            and report.current_point.step >= step
        )
        caption = self.tr("Step {0}, done") if done else self.tr("Next: step {0}")
        self.caption_label.setText(
            self.tr("{0}\nerror {1}").format(caption.format(step), four_digit_text(trace.error))
        )

    def _empty_text(self) -> str:
        if self._trace is not None and self._trace.message:
            return self._trace.message
        report, settings = self._report, self._settings
        is_live = report is not None and settings is not None and settings.live
        begins = report is not None and settings is not None and has_done_all_epochs(report, settings.config)
        if report is not None and report.message and is_live and not begins:
            return report.message
        if settings is not None and settings.running:
            return self.tr("Computing the step…")
        return self.tr(
            "Press Train or Step: the next training step is shown here before it is performed, with the forward "
            "pass, the error, the backward pass, and the change of every weight."
        )

    # --- playing

    @property
    def _is_followed(self) -> bool:
        """Whether training is slow enough to show every step."""
        settings = self._settings
        return (
            settings is not None
            and settings.running
            and settings.speed_limit is not None
            and settings.speed_limit <= MAX_FOLLOWED_PACE
        )

    def _update_timer(self) -> None:
        if self._is_followed:
            assert self._settings is not None
            assert self._settings.speed_limit is not None
            self._timer.setInterval(TICK_MS)
        else:
            self._timer.setInterval(PLAY_MS)
            if not self._is_playing:
                self._timer.stop()

    def _start_step(self) -> None:
        """Show a new step, from its start while playing or following."""
        if self._is_followed or self._is_playing:
            self.go_to(0)
            self._clock.restart()
            self._timer.start()
        elif self._settings is not None and self._settings.running:
            # A single step keeps the position; during fast training the whole step is shown.
            self._steps_seen += 1
            if self._steps_seen == 2:
                self.go_to(len(self._positions) - 1)

    def _advance(self) -> None:
        """Move on by one position, after the last command the step; while following training the clock decides."""
        if self._is_followed:
            assert self._settings is not None
            assert self._settings.speed_limit is not None
            if self.transport.slider.isSliderDown():
                return
            target = phase_step_at(self._positions, self._clock.elapsed() / 1000 * self._settings.speed_limit)
            # A delayed window may skip layers, but no phase.
            next_phase = STEP_PHASES[min(STEP_PHASES.index(self.phase_step.phase) + 1, len(STEP_PHASES) - 1)]
            self.go_to(
                min(target, max(at for at, position in enumerate(self._positions) if position.phase == next_phase))
            )
            return
        if self._index + 1 < len(self._positions):
            self.go_to(self._index + 1)
            return
        self._timer.stop()
        if self._is_playing:
            self.commanded.emit(OneStep())

    def go_to(self, at: int) -> None:
        """Show the step up to the position with this index."""
        self._index = min(max(at, 0), len(self._positions) - 1)
        self._show_position()
        self._update_text()

    def _show_position(self) -> None:
        position = self.phase_step
        self.transport.show_position(self._index, STEP_PHASES.index(position.phase))
        self.strip.set_phase_step(position)
        if position.phase != "update":
            left, right = self.strip.column_span(position.column)
            self.scroll_area.ensureVisible(right, 0, 40, 0)
            self.scroll_area.ensureVisible(left, 0, 40, 0)
        self._row_labels.update()

    # --- user actions

    def select_weight(self, weight: ParameterIndex | None) -> None:
        """Select a weight and show its update; None deselects."""
        self._query = replace(self._query, weight=weight)
        self.strip.set_weight(weight)
        if weight is not None and (at := self.strip.weight_centre(weight)) is not None:
            self.scroll_area.ensureVisible(at.x(), 0, 40, 0)
        self.weight_panel.setVisible(weight is not None)
        self.weight_panel.set_weight(weight)
        self.weight_panel.set_weight_trace(self._trace.weight_trace if self._trace is not None else None)
        self.queries_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays and pauses; Esc deselects the weight."""
        if event.key() == Qt.Key.Key_Space:
            self._set_playing(not self._is_playing)
        elif event.key() == Qt.Key.Key_Escape and self._query.weight is not None:
            self.select_weight(None)
        else:
            super().keyPressEvent(event)

    def _follow_example(self, example: int) -> None:
        """Follow another drawing of the batch."""
        self._query = replace(self._query, example=example)
        self.queries_changed.emit()

    def _toggle_playing(self) -> None:
        self._set_playing(not self._is_playing)

    def _set_playing(self, playing: bool) -> None:
        self._is_playing = playing and self._trace is not None
        self.transport.show_playing(self._is_playing)
        if self._is_playing:
            if self._index + 1 == len(self._positions):
                self.go_to(0)
            self._timer.start()
        elif not self._is_followed:
            self._timer.stop()

    def _next(self) -> None:
        """Move on by one position; after the last, or without a trace, command the step."""
        self._set_playing(False)
        if self._trace is not None and self._index + 1 < len(self._positions):
            self.go_to(self._index + 1)
        else:
            self.go_to(0)
            self.commanded.emit(OneStep())

    def _go_to_phase(self, phase: int) -> None:
        """Go to the end of the phase, where all of it is shown."""
        self.go_to(max(at for at, position in enumerate(self._positions) if position.phase == STEP_PHASES[phase]))

    def _go_to_slider(self, at: int) -> None:
        self._set_playing(False)
        self.go_to(at)

    def _lay_out(self) -> None:
        self.scroll_area = QScrollArea(self)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setWidget(self.strip)
        self._row_labels = StepRowLabels(self.row_labels, self)
        self._row_labels.fit_to([text for pair in self._row_texts() for text in pair])
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self._row_labels)
        middle.addWidget(self.scroll_area, 1)
        middle.addWidget(self.weight_panel)
        bottom = QHBoxLayout()
        bottom.setSpacing(14)
        bottom.addWidget(self.caption_label)
        bottom.addWidget(self.batch_strip, 1)
        shown = QWidget(self)
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.text_label)
        column.addLayout(middle, 1)
        column.addLayout(bottom)
        self.empty_label = QLabel(self)
        self.empty_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty_label.setWordWrap(True)
        self.empty_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        waiting = QWidget(self)
        lines = QVBoxLayout(waiting)
        self.step_button = QPushButton(self.tr("Step"), waiting)
        self.step_button.setToolTip(self.tr("Train on one batch, then pause"))
        self.step_button.clicked.connect(self._next)
        lines.addStretch(2)
        lines.addWidget(self.empty_label)
        lines.addWidget(self.step_button, 0, Qt.AlignmentFlag.AlignHCenter)
        lines.addSpacing(10)
        picture = EmptyLabel("", "step", waiting)
        picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        lines.addWidget(picture, 3)
        self._pages = QStackedLayout()
        self._pages.addWidget(waiting)
        self._pages.addWidget(shown)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(_MARGIN, 3, _MARGIN, 8)
        whole.setSpacing(6)
        whole.addWidget(self.transport)
        whole.addLayout(self._pages, 1)

    def row_labels(self) -> tuple[tuple[float, str], tuple[float, str]]:
        """The y and the label of the two rows."""
        first, second = self.strip.row_tops()
        upper, lower = self._row_texts()[self.phase_step.phase == "update"]
        return (first, upper), (second, lower)

    def _row_texts(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """The labels of the two rows before the update, and during it."""
        before = self.tr("values,\nweights"), self.tr("gradients\nof the\nerror")
        return before, (self.tr("values,\nnew\nweights"), self.tr("gradients,\nchange of\nweights"))


class StepTransport(QWidget):
    """Buttons for play, next and the four phases, and a slider over the positions of the step.

    Signals: play_toggled(); next_clicked(); phase_chosen(index of the phase); slider_moved(index of the position).
    """

    play_toggled = Signal()
    next_clicked = Signal()
    phase_chosen = Signal(int)
    slider_moved = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        tip = self.tr("Play the step, perform it, and continue with the next one (Space)")
        self.play_button = self._button("", tip)
        self.play_button.clicked.connect(self.play_toggled)
        tip = self.tr("Move on by one layer; after the update, perform the step")
        self.next_button = self._button(self.tr("Next"), tip)
        self.next_button.clicked.connect(self.next_clicked)
        self._group = QButtonGroup(self)
        self.phase_buttons: list[QToolButton] = []
        names = (self.tr("Forward"), self.tr("Error"), self.tr("Backward"), self.tr("Update"))
        tips = (
            self.tr("The values of every layer"),
            self.tr("How far the votes are from their targets"),
            self.tr("The gradient: how fast the error rises with every value"),
            self.tr("The change of every weight, before it is applied"),
        )
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = self._button(name, tip)
            button.setCheckable(True)
            self._group.addButton(button, at)
            self.phase_buttons.append(button)
        self._group.idClicked.connect(self.phase_chosen)
        self.slider = ThinSlider(self)
        self.slider.setPageStep(1)
        self.slider.setMinimumWidth(100)
        self.slider.setMaximumWidth(220)
        self.slider.setAccessibleName(self.tr("Position in the step"))
        self.slider.setToolTip(self.tr("Move through the step, layer by layer"))
        self.slider.valueChanged.connect(self.slider_moved)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        buttons = (self.play_button, self.next_button, *self.phase_buttons, self.slider)
        row.addWidget(WrappingRow(buttons, self, fills=False))
        self.show_playing(False)

    def set_length(self, count: int) -> None:
        """Set the number of positions."""
        before = self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.blockSignals(before)

    def set_available(self, available: bool) -> None:
        for each in (*self.phase_buttons, self.slider, self.play_button):
            each.setEnabled(available)

    def show_position(self, at: int, phase: int) -> None:
        before = self.slider.blockSignals(True)
        self.slider.setValue(at)
        self.slider.blockSignals(before)
        self.phase_buttons[phase].setChecked(True)

    def show_playing(self, playing: bool) -> None:
        self.play_button.setText("❚❚" if playing else "▶")
        self.play_button.setAccessibleName(self.tr("Pause") if playing else self.tr("Play"))

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setFont(font(SMALL_PX))
        button.setStyleSheet("padding: 4px 7px")
        return button


class StepRowLabels(QWidget):
    """A label beside each row. rows: gives the y and the text of each."""

    def __init__(self, rows: Callable[[], tuple[tuple[float, str], ...]], parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setMinimumWidth(_ROW_LABEL_WIDTH)

    def fit_to(self, texts: Sequence[str]) -> None:
        """Be as wide as the widest of these texts needs, so that the strip stays in place."""
        metrics = QFontMetrics(font(SMALL_PX))
        widest = max(metrics.size(0, text).width() for text in texts)
        self.setFixedWidth(max(_ROW_LABEL_WIDTH, widest + _ROW_LABEL_GAP))

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            for top, text in self._rows():
                painter.drawText(0, round(top), self.width(), _ROW_LABEL_HEIGHT, Qt.AlignmentFlag.AlignLeft, text)
