"""Training view: the buttons that train, the settings that may be changed while it runs, and how it stands. It
trains nothing: it only wishes."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QSize
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from engine.nn.model import Moment
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from xo_gui.state.commands import Intent, LearnBy, Look, OneEpoch, OneStep, Pace, Pause, StartOver, Train
from xo_gui.state.training_controller import ending
from xo_gui.views.view import View
from xo_gui.widgets.buttons import CompactButton, QuietWords
from xo_gui.widgets.sliders import SliderRow, slider_grid

_STEPS = 20  # slider steps for a factor of ten of the rate
_LEAST_RATE = -5  # powers of ten
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PACES: tuple[float | None, ...] = (0.5, 1, 2, 5, 10, 25, 50, None)
_LARGEST_SEED = 999_999


class TrainingView(View):
    """Train, pause, one step, one epoch, reset, a new start; rate, batch and speed."""

    title = "Training"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._intent: Intent | None = None
        self._training: Training | None = None
        self._make_buttons()
        self._make_sliders()
        self._make_seed()
        self.words = QuietWords("", self)
        self._lay_out()
        self._say()

    def sizeHint(self) -> QSize:
        """Room for the buttons in one row."""
        return QSize(210, 210)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_intent(self, intent: Intent) -> None:
        """The settings as they are, and the main button for what it would do."""
        self._intent = intent
        recipe = intent.recipe
        self._show_rate(recipe.optimizer.rate)
        place = min(range(len(_BATCHES)), key=lambda at: abs(_BATCHES[at] - recipe.batch))
        self.batch_row.show_value(place, str(recipe.batch))
        pace = _PACES.index(intent.pace) if intent.pace in _PACES else len(_PACES) - 1
        self.pace_row.show_value(pace, self._pace_words(intent.pace))
        if not self.seed_box.hasFocus():
            before = self.seed_box.blockSignals(True)
            self.seed_box.setValue(recipe.seed)
            self.seed_box.blockSignals(before)
        self._say()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """How training stands."""
        if snapshot.training is not self._training:
            self._training = snapshot.training
            self._say()

    def _show_rate(self, rate: float) -> None:
        self.rate_row.show_value(round(_STEPS * math.log10(rate)), f"{rate:.2g}")

    def _say(self) -> None:
        """The main button's words and the sentence under the settings."""
        intent = self._intent
        # Other weights than training's are trained on from nowhere yet, whatever was trained before.
        training = self._training if intent is not None and intent.live else None
        running = intent is not None and intent.running
        back = intent is not None and intent.look is not None
        if running:
            self.main_button.setText(self.tr("Pause"))
        elif training is None:
            self.main_button.setText(self.tr("▶ Train from scratch"))
        elif back or training.state == "failed":
            self.main_button.setText(self.tr("▶ Continue from here"))
        elif training.state == "diverged" and training.good is not None:
            self.main_button.setText(self.tr("▶ Continue from step {0}").format(training.good.step))
        else:
            self.main_button.setText(self.tr("▶ Train on"))
        self.words.setText(self._sentence(training))
        self.words.setToolTip("" if training is None else training.words)
        good = None if training is None or running or back or training.good == training.now else training.good
        self._offer(good)

    def _offer(self, good: Moment | None) -> None:
        """The way back to the last good moment, or to the best, in place of the seed."""
        self._seed_row.setVisible(good is None)
        self.good_button.setVisible(good is not None)
        if good is not None:
            self.good_button.setText(self.tr("Go to step {0}").format(good.step))

    def _sentence(self, training: Training | None) -> str:
        if training is None:
            return self.tr("Train from scratch, and see features form.")
        if training.state == "preparing":
            return self.tr("Drawing examples: {0} %").format(f"{100 * training.prepared:.0f}")
        if training.state == "diverged":
            said = self.tr("The error ran away after step {0}: the rate is probably too high; choose a smaller one")
            return said.format(training.now.step) + "."
        if training.words:
            return ending(training) or training.words
        if training.state == "running":
            return self.tr("epoch {0}, {1} steps/s").format(training.epoch, f"{training.speed:.0f}")
        return self.tr("Paused after step {0}.").format(training.now.step)

    # -- what the person does ----------------------------------------------------------------------------------

    def _main(self) -> None:
        running = self._intent is not None and self._intent.running
        self.wished.emit(Pause() if running else Train())

    def _step(self) -> None:
        self.wished.emit(OneStep())

    def _epoch(self) -> None:
        self.wished.emit(OneEpoch())

    def _go_back(self) -> None:
        if self._training is not None and self._training.good is not None:
            self.wished.emit(Look(self._training.good))

    def _reset(self) -> None:
        self.wished.emit(StartOver())

    def _seed_chosen(self, seed: int) -> None:
        if self._intent is not None and seed != self._intent.recipe.seed:
            self.wished.emit(StartOver(seed))

    def _new_start(self) -> None:
        self.seed_box.setValue(self.seed_box.value() % _LARGEST_SEED + 1)

    def _rate_slid(self, place: int) -> None:
        if self._intent is not None:
            rate = float(f"{10 ** (place / _STEPS):.2g}")
            recipe = self._intent.recipe
            self.wished.emit(LearnBy(replace(recipe, optimizer=replace(recipe.optimizer, rate=rate))))

    def _batch_slid(self, place: int) -> None:
        if self._intent is not None:
            self.wished.emit(LearnBy(replace(self._intent.recipe, batch=_BATCHES[place])))

    def _pace_slid(self, place: int) -> None:
        self.wished.emit(Pace(_PACES[place]))

    def _pace_words(self, pace: float | None) -> str:
        return self.tr("max") if pace is None else self.tr("{0:g}/s").format(pace)

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_buttons(self) -> None:
        self.main_button = CompactButton("", self.tr("Train or pause (Ctrl+Return)"), self._main, self)
        self.step_button = CompactButton(
            self.tr("Step"), self.tr("Learn from one batch, then pause"), self._step, self
        )
        tip = self.tr("Learn to the end of this pass over all examples, then pause")
        self.epoch_button = CompactButton(self.tr("Epoch"), tip, self._epoch, self)
        tip = self.tr("Back to the same start, as a branch of its own; nothing is lost")
        self.reset_button = CompactButton(self.tr("Reset"), tip, self._reset, self)
        tip = self.tr("Look at the last moment before it got worse; Continue goes on from there")
        self.good_button = CompactButton("", tip, self._go_back, self)

    def _make_sliders(self) -> None:
        self._grid_box = QWidget(self)
        grid: QGridLayout = slider_grid(self._grid_box)
        self.rate_row = self._row(self.tr("rate"), (_LEAST_RATE * _STEPS, 0), self._rate_slid)
        self.rate_row.explain(self.tr("Learning rate: how far each step moves the values"))
        self.batch_row = self._row(self.tr("batch"), (0, len(_BATCHES) - 1), self._batch_slid)
        self.batch_row.explain(self.tr("How many drawings each step learns from"))
        self.pace_row = self._row(self.tr("speed"), (0, len(_PACES) - 1), self._pace_slid)
        self.pace_row.explain(self.tr("Steps a second: slow enough to follow, or as fast as the machine goes"))
        for place, row in enumerate((self.rate_row, self.batch_row, self.pace_row)):
            row.lay(grid, place)

    def _make_seed(self) -> None:
        self._seed_row = QWidget(self)
        self.seed_box = QSpinBox(self)
        self.seed_box.setRange(0, _LARGEST_SEED)
        self.seed_box.setKeyboardTracking(False)
        self.seed_box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.seed_box.setAccessibleName(self.tr("Seed"))
        self.seed_box.setToolTip(self.tr("The number that the first weights, the drawings and their order follow"))
        self.seed_box.valueChanged.connect(self._seed_chosen)
        tip = self.tr("Start over from other random weights, with the next seed")
        self.new_button = CompactButton(self.tr("New"), tip, self._new_start, self)
        self.new_button.setAccessibleName(self.tr("New start"))

    def _lay_out(self) -> None:
        first, last = QHBoxLayout(), QHBoxLayout(self._seed_row)
        last.setContentsMargins(0, 0, 0, 0)
        for button in (self.step_button, self.epoch_button, self.reset_button):
            first.addWidget(button, 1)
        first.setSpacing(4)
        label = QLabel(self.tr("seed"), self)
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setBuddy(self.seed_box)
        last.addWidget(label)
        last.addWidget(self.seed_box, 1)
        last.addWidget(self.new_button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.main_button)
        column.addLayout(first)
        column.addWidget(self._grid_box)
        column.addWidget(self._seed_row)
        column.addWidget(self.good_button)
        column.addWidget(self.words, 1)

    def _row(self, name: str, ends: tuple[int, int], slot: object) -> SliderRow:
        row = SliderRow(name, "0.00001", self._grid_box)
        row.slider.setRange(*ends)
        row.slider.setPageStep(1)
        row.slider.valueChanged.connect(slot)
        return row
