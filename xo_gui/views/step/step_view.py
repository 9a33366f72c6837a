"""Step view: the next training step in slow motion: forward pass, error, backward pass, update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from PySide6.QtCore import QElapsedTimer, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QResizeEvent, QShowEvent
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

from engine.explain.step_trace import Dissection, Inspection, Place
from engine.explain.step_tracer import learnt_shapes
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import Inspect, Intent, OneStep
from xo_gui.views.step.batch_strip import BatchStrip
from xo_gui.views.step.phases import ACTS, Beat, beat_at, beats_of, sentence
from xo_gui.views.step.step_strip import StepStrip
from xo_gui.views.step.weight_panel import WorkedPanel
from xo_gui.views.view import View
from xo_gui.widgets import number_text
from xo_gui.widgets.sliders import ThinSlider

# Training at this many steps per second or fewer is followed step by step.
MAX_FOLLOWED_PACE: Final = 1.0
# Milliseconds from one position to the next when playing, and between two looks at the clock during training.
PLAY_MS: Final = 800
TICK_MS: Final = 40
MAX_MAPS: Final = 64
# Width in pixels from which the longest sentence fits in one line.
_MARGIN, _ONE_LINE_WIDTH = 16, 940
_ROW_LABEL_WIDTH, _ROW_LABEL_HEIGHT = 62, 60


class StepView(View):
    """The next training step, layer by layer; a click on a weight shows its update.

    Play goes through the step, commands it, and continues with the next one: the step that was shown is the step
    that is performed. Slow training is followed in time with it.
    """

    title = "One step"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._trace: Dissection | None = None
        self._report: Training | None = None
        self._settings: Intent | None = None
        self._query = Inspection(maps=MAX_MAPS)
        self._network: object = None
        self._positions: tuple[Beat, ...] = beats_of(2)
        self._index = 0
        self._is_playing, self._steps_seen = False, 0
        self._clock = QElapsedTimer()
        self._clock.start()
        self._timer = QTimer(self, interval=PLAY_MS)
        self._timer.timeout.connect(self._advance)
        self.transport = StepTransport(self)
        self.transport.played.connect(self._toggle_playing)
        self.transport.next_asked.connect(self._next)
        self.transport.act_chosen.connect(self._go_to_phase)
        self.transport.slid.connect(self._go_to_slider)
        self.words = QLabel(self)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.strip = StepStrip(self)
        self.strip.picked.connect(self.look_at)
        self.batch = BatchStrip(self)
        self.batch.chosen.connect(self._follow_example)
        self.caption = QLabel(self)
        self.caption.setFont(font(SMALL_PX))
        self.caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.panel = WorkedPanel(self)
        self.panel.picked.connect(self.look_at)
        self.panel.hide()
        self._lay_out()
        self._show_position()
        self._update_text()

    def sizeHint(self) -> QSize:
        return QSize(1000, 690)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 300)

    # --- state

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.readings:
            self._network = snapshot.readings[0].subject.network
        self._report = snapshot.training
        self._show_trace()

    def show_intent(self, settings: Intent) -> None:
        before, self._settings = self._settings, settings
        if settings.running and (before is None or not before.running):
            self._steps_seen = 0
        self._update_timer()
        self._show_trace()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for each in (self.strip, self.batch, self.panel):
            each.set_theme(theme)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Reserve the height of the longest sentence, so that the maps stay in place."""
        super().resizeEvent(event)
        lines = 1 if self.width() > _ONE_LINE_WIDTH else 2
        self.words.setFixedHeight(lines * self.words.fontMetrics().lineSpacing() + 2)

    def showEvent(self, event: QShowEvent) -> None:
        """Request traces while the view is visible."""
        super().showEvent(event)
        self.wished.emit(Inspect(self._query))

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._set_playing(False)
        self.wished.emit(Inspect(None))

    @property
    def found(self) -> Dissection | None:
        return self._trace

    @property
    def beat(self) -> Beat:
        """The position in the step."""
        return self._positions[self._index]

    def _show_trace(self) -> None:
        """Show the latest trace if it is of the shown network."""
        report = self._report
        trace = None if report is None else report.dissection
        live = self._settings is not None and self._settings.live
        if trace is not None and (not live or trace.network != self._network):
            trace = None
        before, self._trace = self._trace, trace
        if trace is before:
            self._update_text()
            return
        if trace is None or trace.seen is None or report is None or report.examples is None:
            self._update_text()
            return
        self.strip.show_step(trace, MAX_MAPS)
        positions = beats_of(len(self.strip.stages))
        if positions != self._positions:
            fast = self._settings is not None and self._settings.running and not self._is_followed
            self._positions, self._index = positions, len(positions) - 1 if fast else len(self.strip.stages) - 1
            self.transport.set_beats(len(positions))
        self._deselect_missing(trace)
        self.batch.show_batch(report.examples, trace.places, trace.errors, trace.seen.example)
        self.panel.show_network(trace.network)
        self.panel.show_place(self._query.weight)
        self.panel.show_worked(trace.worked)
        if before is None or before.moment != trace.moment:
            self._start_step()
        self._show_position()
        self._update_text()

    def _deselect_missing(self, trace: Dissection) -> None:
        """Deselect a weight that the trained network does not have."""
        weight = self._query.weight
        if weight is None:
            return
        shape = learnt_shapes(trace.network).get(weight[0], ())
        if len(shape) != len(weight[1]) or any(at >= size for at, size in zip(weight[1], shape, strict=True)):
            self.look_at(None)

    def _update_text(self) -> None:
        """Show the sentence for the position, or what to do."""
        trace, report = self._trace, self._report
        available = trace is not None and trace.seen is not None
        self._pages.setCurrentIndex(1 if available else 0)
        self.transport.set_there(available)
        if not available or trace is None:
            self.empty.setText(self._empty_text())
            return
        text = sentence(self.beat, self.strip.stages, trace)
        if report is not None and report.words:
            text = report.words + " " + text
        self.words.setText(text)
        self.strip.setAccessibleDescription(text)
        step = trace.moment.step + 1
        done = report is not None and report.now.branch == trace.moment.branch and report.now.step >= step
        caption = self.tr("Step {0}, done") if done else self.tr("Next: step {0}")
        self.caption.setText(
            self.tr("{0}\nerror {1}").format(caption.format(step), number_text.figures(trace.error))
        )

    def _empty_text(self) -> str:
        if self._trace is not None and self._trace.words:
            return self._trace.words
        report = self._report
        if report is not None and report.words and self._settings is not None and self._settings.live:
            return report.words
        if self._settings is not None and self._settings.running:
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
            and settings.pace is not None
            and settings.pace <= MAX_FOLLOWED_PACE
        )

    def _update_timer(self) -> None:
        if self._is_followed:
            assert self._settings is not None
            assert self._settings.pace is not None
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
            assert self._settings.pace is not None
            if self.transport.slider.isSliderDown():
                return
            target = beat_at(self._positions, self._clock.elapsed() / 1000 * self._settings.pace)
            # A delayed window may skip layers, but no phase.
            next_phase = ACTS[min(ACTS.index(self.beat.act) + 1, len(ACTS) - 1)]
            self.go_to(
                min(target, max(at for at, position in enumerate(self._positions) if position.act == next_phase))
            )
            return
        if self._index + 1 < len(self._positions):
            self.go_to(self._index + 1)
            return
        self._timer.stop()
        if self._is_playing:
            self.wished.emit(OneStep())

    def go_to(self, at: int) -> None:
        """Show the step up to the position with this index."""
        self._index = min(max(at, 0), len(self._positions) - 1)
        self._show_position()
        self._update_text()

    def _show_position(self) -> None:
        position = self.beat
        self.transport.show_beat(self._index, ACTS.index(position.act))
        self.strip.show_beat(position)
        if position.act != "update":
            left, right = self.strip.span(position.column)
            self.area.ensureVisible(right, 0, 40, 0)
            self.area.ensureVisible(left, 0, 40, 0)
        self._row_labels.update()

    # --- user actions

    def look_at(self, weight: Place | None) -> None:
        """Select a weight and show its update; None deselects."""
        self._query = replace(self._query, weight=weight)
        self.strip.show_weight(weight)
        if weight is not None and (at := self.strip.middle_of(weight)) is not None:
            self.area.ensureVisible(at.x(), 0, 40, 0)
        self.panel.setVisible(weight is not None)
        self.panel.show_place(weight)
        self.panel.show_worked(self._trace.worked if self._trace is not None else None)
        self.wished.emit(Inspect(self._query))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays and pauses; Esc deselects the weight."""
        if event.key() == Qt.Key.Key_Space:
            self._set_playing(not self._is_playing)
        elif event.key() == Qt.Key.Key_Escape and self._query.weight is not None:
            self.look_at(None)
        else:
            super().keyPressEvent(event)

    def _follow_example(self, example: int) -> None:
        """Follow another drawing of the batch."""
        self._query = replace(self._query, example=example)
        self.wished.emit(Inspect(self._query))

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
            self.wished.emit(OneStep())

    def _go_to_phase(self, phase: int) -> None:
        """Go to the end of the phase, where all of it is shown."""
        self.go_to(max(at for at, position in enumerate(self._positions) if position.act == ACTS[phase]))

    def _go_to_slider(self, at: int) -> None:
        self._set_playing(False)
        self.go_to(at)

    def _lay_out(self) -> None:
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.strip)
        self._row_labels = RowNames(self.row_names, self)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self._row_labels)
        middle.addWidget(self.area, 1)
        middle.addWidget(self.panel)
        bottom = QHBoxLayout()
        bottom.setSpacing(14)
        bottom.addWidget(self.caption)
        bottom.addWidget(self.batch, 1)
        shown = QWidget(self)
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.words)
        column.addLayout(middle, 1)
        column.addLayout(bottom)
        self.empty = QLabel(self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        waiting = QWidget(self)
        lines = QVBoxLayout(waiting)
        self.step_button = QPushButton(self.tr("Step"), waiting)
        self.step_button.setToolTip(self.tr("Train on one batch, then pause"))
        self.step_button.clicked.connect(self._next)
        lines.addStretch(2)
        lines.addWidget(self.empty)
        lines.addWidget(self.step_button, 0, Qt.AlignmentFlag.AlignHCenter)
        lines.addStretch(3)
        self._pages = QStackedLayout()
        self._pages.addWidget(waiting)
        self._pages.addWidget(shown)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(_MARGIN, 3, _MARGIN, 8)
        whole.setSpacing(6)
        whole.addWidget(self.transport)
        whole.addLayout(self._pages, 1)

    def row_names(self) -> tuple[tuple[float, str], tuple[float, str]]:
        """The y and the label of the two rows."""
        first, second = self.strip.rows()
        if self.beat.act == "update":
            return (first, self.tr("values,\nnew\nweights")), (second, self.tr("gradients,\nchange of\nweights"))
        return (first, self.tr("values,\nweights")), (second, self.tr("gradients\nof the\nerror"))


class StepTransport(QWidget):
    """Buttons for play, next and the four phases, and a slider over the positions of the step.

    Signals: play_toggled(); next_clicked(); phase_chosen(index of the phase); slider_moved(index of the position).
    """

    played = Signal()
    next_asked = Signal()
    act_chosen = Signal(int)
    slid = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        tip = self.tr("Play the step, perform it, and continue with the next one (Space)")
        self.play_button = self._button("", tip)
        self.play_button.clicked.connect(self.played)
        tip = self.tr("Move on by one layer; after the update, perform the step")
        self.next_button = self._button(self.tr("Next"), tip)
        self.next_button.clicked.connect(self.next_asked)
        self._group = QButtonGroup(self)
        self.acts: list[QToolButton] = []
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
            self.acts.append(button)
        self._group.idClicked.connect(self.act_chosen)
        self.slider = ThinSlider(self)
        self.slider.setPageStep(1)
        self.slider.setMinimumWidth(70)
        self.slider.setMaximumWidth(220)
        self.slider.setAccessibleName(self.tr("Position in the step"))
        self.slider.setToolTip(self.tr("Move through the step, layer by layer"))
        self.slider.valueChanged.connect(self.slid)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        row.addStretch(1)
        for each in (self.play_button, self.next_button, *self.acts, self.slider):
            row.addWidget(each)
        self.show_playing(False)

    def set_beats(self, count: int) -> None:
        """Set the number of positions."""
        before = self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.blockSignals(before)

    def set_there(self, available: bool) -> None:
        for each in (*self.acts, self.slider, self.play_button):
            each.setEnabled(available)

    def show_beat(self, at: int, phase: int) -> None:
        before = self.slider.blockSignals(True)
        self.slider.setValue(at)
        self.slider.blockSignals(before)
        self.acts[phase].setChecked(True)

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


class RowNames(QWidget):
    """A label beside each row. rows: gives the y and the text of each."""

    def __init__(self, rows: Callable[[], tuple[tuple[float, str], ...]], parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setFixedWidth(_ROW_LABEL_WIDTH)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        for top, text in self._rows():
            painter.drawText(0, round(top), _ROW_LABEL_WIDTH, _ROW_LABEL_HEIGHT, Qt.AlignmentFlag.AlignLeft, text)
