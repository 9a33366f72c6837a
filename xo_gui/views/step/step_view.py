"""Step view: one step of training in slow motion: forward, the error, backward, the update. It only shows and
wishes; the engine takes the step apart, and makes it."""

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


class StepTransport(QWidget):
    """Play or pause, next, the four acts, and how far the step has come.

    played: play or pause was asked for; next_asked: one beat on. act_chosen(act): one of the four, from 0.
    slid(at): the person moved to this beat.
    """

    played = Signal()
    next_asked = Signal()
    act_chosen = Signal(int)
    slid = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        tip = self.tr("Go through the step, make it, and go on with the next (Space)")
        self.play_button = self._button("", tip)
        self.play_button.clicked.connect(self.played)
        tip = self.tr("One layer on; after the update, make the step")
        self.next_button = self._button(self.tr("Next"), tip)
        self.next_button.clicked.connect(self.next_asked)
        self._group = QButtonGroup(self)
        self.acts: list[QToolButton] = []
        names = (self.tr("Forward"), self.tr("Error"), self.tr("Backward"), self.tr("Update"))
        tips = (
            self.tr("The values of every layer"),
            self.tr("How far the votes are from what they should be"),
            self.tr("How fast the error rises with every value"),
            self.tr("The change of every weight, before it is made"),
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
        self.slider.setAccessibleName(self.tr("How far the step has come"))
        self.slider.setToolTip(self.tr("Layer by layer through the step"))
        self.slider.valueChanged.connect(self.slid)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        row.addStretch(1)
        for each in (self.play_button, self.next_button, *self.acts, self.slider):
            row.addWidget(each)
        self.show_playing(False)

    def set_beats(self, count: int) -> None:
        """So many beats are gone through."""
        before = self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.blockSignals(before)

    def set_there(self, there: bool) -> None:
        """Whether there is a step to go through."""
        for each in (*self.acts, self.slider, self.play_button):
            each.setEnabled(there)

    def show_beat(self, at: int, act: int) -> None:
        """Where the step is."""
        before = self.slider.blockSignals(True)
        self.slider.setValue(at)
        self.slider.blockSignals(before)
        self.acts[act].setChecked(True)

    def show_playing(self, playing: bool) -> None:
        """What the first button would do."""
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


_WIDE, _HIGH = 62, 60


class RowNames(QWidget):
    """One name beside each row. rows: gives where each begins, y, and its name."""

    def __init__(self, rows: Callable[[], tuple[tuple[float, str], ...]], parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setFixedWidth(_WIDE)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The names, quiet."""
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        for top, words in self._rows():
            painter.drawText(0, round(top), _WIDE, _HIGH, Qt.AlignmentFlag.AlignLeft, words)


# At this pace, steps a second, or slower, every step is shown in turn while it trains.
SLOW: Final = 1.0
BEAT_MS: Final = 800
TICK_MS: Final = 40
MAPS: Final = 64
_MARGIN, _ONE_LINE = 16, 940


class StepView(View):
    """The coming step, layer by layer and beat by beat; a click on a weight shows its numbers.

    Playing by itself it goes through the step, wishes for it to be made, and goes on with the next: what was shown
    is what is made. While training goes slowly, it keeps time with it.
    """

    title = "One step"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._found: Dissection | None = None
        self._training: Training | None = None
        self._intent: Intent | None = None
        self._inspection = Inspection(maps=MAPS)
        self._network: object = None
        self._beats: tuple[Beat, ...] = beats_of(2)
        self._at = 0
        self._playing, self._arrivals = False, 0
        self._clock = QElapsedTimer()
        self._clock.start()
        self._timer = QTimer(self, interval=BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self.transport = StepTransport(self)
        self.transport.played.connect(self._play_clicked)
        self.transport.next_asked.connect(self._next)
        self.transport.act_chosen.connect(self._act_chosen)
        self.transport.slid.connect(self._slid)
        self.words = QLabel(self)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.strip = StepStrip(self)
        self.strip.picked.connect(self.look_at)
        self.batch = BatchStrip(self)
        self.batch.chosen.connect(self._follow)
        self.caption = QLabel(self)
        self.caption.setFont(font(SMALL_PX))
        self.caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.panel = WorkedPanel(self)
        self.panel.picked.connect(self.look_at)
        self.panel.hide()
        self._lay_out()
        self._show_beat()
        self._say()

    def sizeHint(self) -> QSize:
        """As the network's own view."""
        return QSize(1000, 690)

    def minimumSizeHint(self) -> QSize:
        """Below this nothing can be read."""
        return QSize(420, 300)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """The step last taken apart, if it is of the network that reads the drawing."""
        if snapshot.readings:
            self._network = snapshot.readings[0].subject.network
        self._training = snapshot.training
        self._take()

    def show_intent(self, intent: Intent) -> None:
        """Keep time with training that goes slowly."""
        before, self._intent = self._intent, intent
        if intent.running and (before is None or not before.running):
            self._arrivals = 0
        self._keep_time()
        self._take()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        for each in (self.strip, self.batch, self.panel):
            each.set_theme(theme)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Room for the longest sentence, so that the maps keep their place from beat to beat."""
        super().resizeEvent(event)
        lines = 1 if self.width() > _ONE_LINE else 2
        self.words.setFixedHeight(lines * self.words.fontMetrics().lineSpacing() + 2)

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks: let the coming step be taken apart."""
        super().showEvent(event)
        self.wished.emit(Inspect(self._inspection))

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks any more."""
        super().hideEvent(event)
        self._play(False)
        self.wished.emit(Inspect(None))

    @property
    def found(self) -> Dissection | None:
        """The step that is shown."""
        return self._found

    @property
    def beat(self) -> Beat:
        """How far it has come."""
        return self._beats[self._at]

    def _take(self) -> None:
        """Take in what there is now."""
        training = self._training
        found = None if training is None else training.dissection
        live = self._intent is not None and self._intent.live
        if found is not None and (not live or found.network != self._network):
            found = None
        before, self._found = self._found, found
        if found is before:
            self._say()
            return
        if found is None or found.seen is None or training is None or training.examples is None:
            self._say()
            return
        self.strip.show_step(found, MAPS)
        beats = beats_of(len(self.strip.stages))
        if beats != self._beats:
            fast = self._intent is not None and self._intent.running and not self._slowly
            self._beats, self._at = beats, len(beats) - 1 if fast else len(self.strip.stages) - 1
            self.transport.set_beats(len(beats))
        self._keep_possible(found)
        self.batch.show_batch(training.examples, found.places, found.errors, found.seen.example)
        self.panel.show_network(found.network)
        self.panel.show_place(self._inspection.weight)
        self.panel.show_worked(found.worked)
        if before is None or before.moment != found.moment:
            self._arrived()
        self._show_beat()
        self._say()

    def _keep_possible(self, found: Dissection) -> None:
        """Let go of a weight that another network does not have."""
        weight = self._inspection.weight
        if weight is None:
            return
        shape = learnt_shapes(found.network).get(weight[0], ())
        if len(shape) != len(weight[1]) or any(at >= size for at, size in zip(weight[1], shape, strict=True)):
            self.look_at(None)

    def _say(self) -> None:
        """The sentence for this beat, or what to do."""
        found, training = self._found, self._training
        there = found is not None and found.seen is not None
        self._pages.setCurrentIndex(1 if there else 0)
        self.transport.set_there(there)
        if not there or found is None:
            self.empty.setText(self._empty_words())
            return
        said = sentence(self.beat, self.strip.stages, found)
        if training is not None and training.words:
            said = f"{training.words} {said}"
        self.words.setText(said)
        self.strip.setAccessibleDescription(said)
        step = found.moment.step + 1
        made = training is not None and training.now.branch == found.moment.branch and training.now.step >= step
        told = self.tr("Step {0}, made") if made else self.tr("Step {0}, to come")
        self.caption.setText(self.tr("{0}\nerror {1}").format(told.format(step), number_text.figures(found.error)))

    def _empty_words(self) -> str:
        if self._found is not None and self._found.words:
            return self._found.words
        training = self._training
        if training is not None and training.words and self._intent is not None and self._intent.live:
            return training.words
        if self._intent is not None and self._intent.running:
            return self.tr("The step is being taken apart…")
        return self.tr(
            "Press Train or Step, and the next step is taken apart here before it is made: forward, the error, "
            "backward, and the change of every weight."
        )

    # -- going through it --------------------------------------------------------------------------------------

    @property
    def _slowly(self) -> bool:
        """Whether training goes on so slowly that every step is shown in turn."""
        intent = self._intent
        return intent is not None and intent.running and intent.pace is not None and intent.pace <= SLOW

    def _keep_time(self) -> None:
        if self._slowly:
            assert self._intent is not None
            assert self._intent.pace is not None
            self._timer.setInterval(TICK_MS)
        else:
            self._timer.setInterval(BEAT_MS)
            if not self._playing:
                self._timer.stop()

    def _arrived(self) -> None:
        """Another step: from its start, where steps are gone through."""
        if self._slowly or self._playing:
            self.go_to(0)
            self._clock.restart()
            self._timer.start()
        elif self._intent is not None and self._intent.running:
            # One step more keeps the beat; where training goes on fast, the whole step is looked at.
            self._arrivals += 1
            if self._arrivals == 2:
                self.go_to(len(self._beats) - 1)

    def _beat(self) -> None:
        """One beat on; after the last the step is made, if it is not training itself that makes it: then the clock
        says how far the step has come."""
        if self._slowly:
            assert self._intent is not None
            assert self._intent.pace is not None
            if self.transport.slider.isSliderDown():
                return
            told = beat_at(self._beats, self._clock.elapsed() / 1000 * self._intent.pace)
            # A window that was held up for a while passes over layers, but over none of the four.
            upcoming = ACTS[min(ACTS.index(self.beat.act) + 1, len(ACTS) - 1)]
            self.go_to(min(told, max(at for at, beat in enumerate(self._beats) if beat.act == upcoming)))
            return
        if self._at + 1 < len(self._beats):
            self.go_to(self._at + 1)
            return
        self._timer.stop()
        if self._playing:
            self.wished.emit(OneStep())

    def go_to(self, at: int) -> None:
        """Show the step up to this beat."""
        self._at = min(max(at, 0), len(self._beats) - 1)
        self._show_beat()
        self._say()

    def _show_beat(self) -> None:
        beat = self.beat
        self.transport.show_beat(self._at, ACTS.index(beat.act))
        self.strip.show_beat(beat)
        if beat.act != "update":
            left, right = self.strip.span(beat.column)
            self.area.ensureVisible(right, 0, 40, 0)
            self.area.ensureVisible(left, 0, 40, 0)
        self._rows.update()

    # -- what the person does ----------------------------------------------------------------------------------

    def look_at(self, place: Place | None) -> None:
        """Look at the numbers of this weight, or at none."""
        self._inspection = replace(self._inspection, weight=place)
        self.strip.show_weight(place)
        if place is not None and (at := self.strip.middle_of(place)) is not None:
            self.area.ensureVisible(at.x(), 0, 40, 0)
        self.panel.setVisible(place is not None)
        self.panel.show_place(place)
        self.panel.show_worked(self._found.worked if self._found is not None else None)
        self.wished.emit(Inspect(self._inspection))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays and pauses; Esc lets go of the weight."""
        if event.key() == Qt.Key.Key_Space:
            self._play(not self._playing)
        elif event.key() == Qt.Key.Key_Escape and self._inspection.weight is not None:
            self.look_at(None)
        else:
            super().keyPressEvent(event)

    def _follow(self, example: int) -> None:
        """Another drawing of the batch."""
        self._inspection = replace(self._inspection, example=example)
        self.wished.emit(Inspect(self._inspection))

    def _play_clicked(self) -> None:
        self._play(not self._playing)

    def _play(self, on: bool) -> None:
        self._playing = on and self._found is not None
        self.transport.show_playing(self._playing)
        if self._playing:
            if self._at + 1 == len(self._beats):
                self.go_to(0)
            self._timer.start()
        elif not self._slowly:
            self._timer.stop()

    def _next(self) -> None:
        """One beat on; after the last, or where there is nothing yet, make the step."""
        self._play(False)
        if self._found is not None and self._at + 1 < len(self._beats):
            self.go_to(self._at + 1)
        else:
            self.go_to(0)
            self.wished.emit(OneStep())

    def _act_chosen(self, act: int) -> None:
        """The end of this act: all of it is seen."""
        self.go_to(max(at for at, beat in enumerate(self._beats) if beat.act == ACTS[act]))

    # -- what it is made of ------------------------------------------------------------------------------------

    def _slid(self, at: int) -> None:
        self._play(False)
        self.go_to(at)

    def _lay_out(self) -> None:
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.strip)
        self._rows = RowNames(self.row_names, self)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self._rows)
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
        self.step_button.setToolTip(self.tr("Learn from one batch, then pause"))
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
        """What the two rows of the strip are, and where they begin, y."""
        first, second = self.strip.rows()
        if self.beat.act == "update":
            return (first, self.tr("values,\nnew\nweights")), (second, self.tr("gradients,\nchange of\nweights"))
        return (first, self.tr("values,\nweights")), (second, self.tr("the error's\ngradient in\neach"))
