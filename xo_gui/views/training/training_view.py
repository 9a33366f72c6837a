"""The Training panel: buttons to start, pause and restart, the main settings, and the state of training."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QSize
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from engine.form_fields import FormField
from engine.nn import RunPoint
from engine.runtime import Snapshot, TrainingReport
from xo_gui.app import translate
from xo_gui.state import (
    OneEpoch,
    OneStep,
    Pause,
    Restart,
    SetConfig,
    SetSpeedLimit,
    ShowPoint,
    Start,
    TrainingSettings,
    has_done_all_epochs,
    stop_reason_text,
)
from xo_gui.views.view import View
from xo_gui.widgets import CompactButton, HintLabel, NumberEdit, SliderRow, WrappingRow, slider_grid

_STEPS = 20  # slider steps per decade of the rate
_MIN_RATE = -5  # power of ten
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PACES: tuple[float | None, ...] = (0.5, 1, 2, 5, 10, 25, 50, None)
_MAX_SEED = 999_999


def speed_text(training: TrainingReport) -> str:
    """How fast training runs, or which step is under way before there is a figure."""
    speed = training.steps_per_second
    if speed is None:
        step = training.current_point.step + 1
        return translate("TrainingView", "step {0} is under way").format(step)
    text = f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
    return translate("TrainingView", "{0} steps/s").format(text)


class TrainingView(View):
    """Start, pause, one step, one epoch, reset, a new seed; sliders for rate, batch and speed."""

    title = "Training"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings: TrainingSettings | None = None
        self._training: TrainingReport | None = None
        self._create_buttons()
        self._create_sliders()
        self._create_seed_row()
        self.status_label = HintLabel("", self)
        self._create_layout()
        self._update_text()

    def sizeHint(self) -> QSize:
        return QSize(210, 210)

    # -- display -----------------------------------------------------------------------------------------------

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings
        config = settings.config
        self._show_rate(config.optimizer.rate)
        nearest = min(range(len(_BATCHES)), key=lambda index: abs(_BATCHES[index] - config.batch))
        self.batch_row.show_value(nearest, str(config.batch))
        pace = _PACES.index(settings.speed_limit) if settings.speed_limit in _PACES else len(_PACES) - 1
        self.speed_row.show_value(pace, self._speed_limit_text(settings.speed_limit))
        self.seed_box.show_number(config.seed)
        self._update_text()

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.training is not self._training:
            self._training = snapshot.training
            self._update_text()

    def _show_rate(self, rate: float) -> None:
        self.rate_row.show_value(round(_STEPS * math.log10(rate)), f"{rate:.2g}")

    def _update_text(self) -> None:
        """The main button's text and the sentence under the settings."""
        settings = self._settings
        # Weights that are not those of the training run have not been trained yet.
        training = self._training if settings is not None and settings.live else None
        running = settings is not None and settings.running
        in_history = settings is not None and settings.shown_point is not None
        if running:
            self.main_button.setText(self.tr("Pause"))
        elif training is None:
            self.main_button.setText(self.tr("▶ Train from scratch"))
        elif in_history or training.state == "failed":
            self.main_button.setText(self.tr("▶ Continue from here"))
        elif training.state == "diverged" and training.restart_point is not None:
            self.main_button.setText(self.tr("▶ Continue from step {0}").format(training.restart_point.step))
        elif settings is not None and has_done_all_epochs(training, settings.config):
            self.main_button.setText(self.tr("▶ Train from scratch"))
        else:
            self.main_button.setText(self.tr("▶ Resume"))
        self.status_label.setText(self._sentence(training))
        self.status_label.setToolTip("" if training is None else training.message)
        stays = training is None or running or in_history or training.restart_point == training.current_point
        self._update_restart(None if stays or training is None else training.restart_point)

    def _update_restart(self, point: RunPoint | None) -> None:
        """Show the button to the last stable point, or the best one, in place of the seed."""
        self._seed_row.setVisible(point is None)
        self.restart_button.setVisible(point is not None)
        if point is not None:
            self.restart_button.setText(self.tr("Go to step {0}").format(point.step))

    def _sentence(self, training: TrainingReport | None) -> str:
        if training is None:
            return self.tr("Train from scratch, and see features form.")
        if training.state == "preparing" and self._settings is not None and self._settings.running:
            return self.tr("Generating examples: {0} %").format(f"{100 * training.data_progress:.0f}")
        if training.state == "diverged":
            text = self.tr(
                "The error diverged after step {0}: the rate is probably too high; choose a smaller one."
            )
            return text.format(training.current_point.step)
        if training.message:
            return stop_reason_text(training) or training.message
        if training.state == "running":
            epoch = training.epoch_of(training.current_point.step)
            return self.tr("epoch {0}, {1}").format(epoch, speed_text(training))
        return self.tr("Paused after step {0}.").format(training.current_point.step)

    # -- input -------------------------------------------------------------------------------------------------

    def _start_or_pause(self) -> None:
        running = self._settings is not None and self._settings.running
        self.commanded.emit(Pause() if running else Start())

    def _step(self) -> None:
        self.commanded.emit(OneStep())

    def _epoch(self) -> None:
        self.commanded.emit(OneEpoch())

    def _go_to_restart_point(self) -> None:
        if self._training is not None and self._training.restart_point is not None:
            self.commanded.emit(ShowPoint(self._training.restart_point))

    def _reset(self) -> None:
        self.commanded.emit(Restart())

    def _set_seed(self, seed: int) -> None:
        if self._settings is not None and seed != self._settings.config.seed:
            self.commanded.emit(Restart(seed))

    def _next_seed(self) -> None:
        if self._settings is not None:
            self._set_seed(self._settings.config.seed % _MAX_SEED + 1)

    def _set_rate(self, position: int) -> None:
        if self._settings is not None:
            rate = float(f"{10 ** (position / _STEPS):.2g}")
            config = self._settings.config
            self.commanded.emit(SetConfig(replace(config, optimizer=replace(config.optimizer, rate=rate))))

    def _set_batch(self, position: int) -> None:
        if self._settings is not None:
            self.commanded.emit(SetConfig(replace(self._settings.config, batch=_BATCHES[position])))

    def _set_speed_limit(self, position: int) -> None:
        self.commanded.emit(SetSpeedLimit(_PACES[position]))

    def _speed_limit_text(self, pace: float | None) -> str:
        return self.tr("max") if pace is None else self.tr("{0:g}/s").format(pace)

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_buttons(self) -> None:
        self.main_button = CompactButton("", self.tr("Train or pause"), self._start_or_pause, self)
        self.main_button.setProperty("action", "train")
        row = (5, 4)  # so little that the three stand in one line in the narrowest panel
        tip = self.tr("Train on one batch, then pause")
        self.step_button = CompactButton(self.tr("Step"), tip, self._step, self, row)
        tip = self.tr("Train to the end of this epoch, a pass over all examples, then pause")
        self.epoch_button = CompactButton(self.tr("Epoch"), tip, self._epoch, self, row)
        tip = self.tr("Restart from the same initial weights, as a new branch; nothing is lost")
        self.reset_button = CompactButton(self.tr("Restart"), tip, self._reset, self, row)
        tip = self.tr("Show the last step before it got worse; Continue trains from there")
        self.restart_button = CompactButton("", tip, self._go_to_restart_point, self)

    def _create_sliders(self) -> None:
        self._grid_box = QWidget(self)
        grid: QGridLayout = slider_grid(self._grid_box)
        self.rate_row = self._row(self.tr("rate"), (_MIN_RATE * _STEPS, 0), self._set_rate)
        self.rate_row.set_help(self.tr("Learning rate: how far each step moves the values"))
        self.batch_row = self._row(self.tr("batch"), (0, len(_BATCHES) - 1), self._set_batch)
        self.batch_row.set_help(self.tr("Batch size: how many drawings each step uses"))
        self.speed_row = self._row(self.tr("speed"), (0, len(_PACES) - 1), self._set_speed_limit)
        self.speed_row.set_help(self.tr("Steps per second: slow enough to follow, or as fast as possible"))
        for place, row in enumerate((self.rate_row, self.batch_row, self.speed_row)):
            row.add_to_grid(grid, place)

    def _create_seed_row(self) -> None:
        self._seed_row = QWidget(self)
        tip = self.tr("Random seed of the initial weights, the drawings and their order")
        self.seed_box = NumberEdit(FormField(self.tr("Seed"), tip, 1), True, self, limits=(0, _MAX_SEED))
        self.seed_box.chosen.connect(self._set_seed)
        self.seed_box.rejected.connect(self.message)
        tip = self.tr("Restart from other random weights, with the next seed")
        self.new_seed_button = CompactButton(self.tr("New"), tip, self._next_seed, self)
        self.new_seed_button.setAccessibleName(self.tr("New seed"))

    def _create_layout(self) -> None:
        buttons = WrappingRow((self.step_button, self.epoch_button, self.reset_button), self)
        last = QHBoxLayout(self._seed_row)
        last.setContentsMargins(0, 0, 0, 0)
        label = QLabel(self.tr("seed"), self)
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setBuddy(self.seed_box)
        last.addWidget(label)
        last.addWidget(self.seed_box, 1)
        last.addWidget(self.new_seed_button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.main_button)
        column.addWidget(buttons)
        column.addWidget(self._grid_box)
        column.addWidget(self._seed_row)
        column.addWidget(self.restart_button)
        column.addWidget(self.status_label, 1)

    def _row(self, name: str, ends: tuple[int, int], slot: object) -> SliderRow:
        row = SliderRow(name, "0.00001", self._grid_box)
        row.slider.setRange(*ends)
        row.slider.setPageStep(1)
        row.slider.valueChanged.connect(slot)
        return row
