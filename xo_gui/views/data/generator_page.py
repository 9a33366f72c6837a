"""Generator page: the settings of the generator of examples as sliders, with live examples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.data import NO_CLASS, SAMPLES_PER_CLASS, DataSettings, GeneratorSamples, PoolSettings
from engine.documents import Document
from engine.form_fields import FormField, form_fields_of
from xo_gui.app import SMALL_PX, engine_text, font, translate
from xo_gui.state import SetData, TrainingSettings
from xo_gui.widgets import (
    CAPTION_HEIGHT,
    NumberEdit,
    RangeSlider,
    SliderRow,
    ThinSlider,
    Thumbnail,
    Thumbnails,
    scroll_area,
)

EXAMPLE_COUNTS: Final = (100, 200, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
MAX_VALUES: Final = 1 << 27  # pixels of all examples; 512 MiB as float32

_EXAMPLE_SIDE: Final = 32  # pixels
_COLUMN_WIDTH: Final = 240  # pixels, for the name, slider and value of a setting
_MAX_SEED: Final = 999_999
_SLIDER_STEPS: Final = 200
_MIN_SLIDER_WIDTH: Final = 44  # pixels
_MINUS = "\u2212"


def setting_text(setting: FormField, value: Any) -> str:
    """The value or range of a setting as text: "2 to 14 %", "-38 to 38°"."""
    unit = setting.unit
    factor, digits, suffix = (100, 0, " %") if unit.startswith("of ") else (1, 2, "")
    if unit == "degrees":
        digits, suffix = 0, "°"
    elif unit == "pixels":
        digits, suffix = 1, " px"
    elif factor == 100 and setting.most is not None and setting.most <= 0.15:
        digits = 1
    numbers = value if isinstance(value, tuple) else (value,)
    unsigned = [f"{abs(factor * number):.{digits}f}" for number in numbers]
    signed = [
        f"{_MINUS}{text}" if number < 0 and float(text) else text
        for text, number in zip(unsigned, numbers, strict=True)
    ]
    return (
        translate("SettingRows", "{0} to {1}").format(*signed) + suffix if len(signed) == 2 else signed[0] + suffix
    )


class SettingRow(QObject):
    """Label, slider and value of a setting; the slider has two handles if the setting is a range.

    Signals: changed(key, value); reset(key), on a double click on the label or the value.
    """

    changed = Signal(str, object)
    reset = Signal(str)

    def __init__(self, setting: FormField, key: str, default: Any, parent: QWidget) -> None:
        """key: the name of the field in the settings."""
        super().__init__(parent)
        self.setting, self.name = setting, engine_text(setting.name)
        self._key = key
        self._value: Any = default
        least, most = _limits(setting)
        # The value of a whole number is one, so that no position is between two.
        self._is_whole = isinstance(default, int)
        steps = round(most - least) if self._is_whole and most - least <= _SLIDER_STEPS else _SLIDER_STEPS
        self._minimum, self._step = least, (most - least) / steps
        self.slider: RangeSlider | ThinSlider
        if isinstance(default, tuple):
            self.slider = RangeSlider(steps, parent)
            self.slider.moved.connect(self._on_range_changed)
        else:
            self.slider = ThinSlider(parent)
            self.slider.setRange(0, steps)
            self.slider.setPageStep(max(1, steps // 10))
            self.slider.valueChanged.connect(self._on_slider_changed)
        self.label, self.value = QLabel(self.name, parent), QLabel(parent)
        for label in (self.label, self.value):
            label.setFont(font(SMALL_PX))
        self.slider.setMinimumWidth(_MIN_SLIDER_WIDTH)
        self._set_up_widgets()

    def set_value(self, value: Any) -> None:
        """Shows the value without emitting `changed`."""
        self._value = value
        text = setting_text(self.setting, value)
        if isinstance(self.slider, RangeSlider):
            self.slider.show_places(self._to_position(value[0]), self._to_position(value[1]))
        else:
            before = self.slider.blockSignals(True)
            self.slider.setValue(self._to_position(value))
            self.slider.blockSignals(before)
        if text != self.value.text():
            self.value.setText(text)
            self.slider.setAccessibleDescription(text)

    def _set_up_widgets(self) -> None:
        setting = self.setting
        if setting.unit.startswith("of "):
            tip = translate("SettingRows", "{0} As a fraction {1}; double-click the name to reset.")
        elif setting.unit:
            tip = translate("SettingRows", "{0} In {1}; double-click the name to reset.")
        else:
            tip = translate("SettingRows", "{0} Double-click the name to reset.")
        tip = tip.format(engine_text(setting.description), engine_text(setting.unit))
        self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.label.setBuddy(self.slider)
        limits = _limits(setting)
        widest = setting_text(setting, limits if isinstance(self._value, tuple) else limits[1])
        self.value.setMinimumWidth(self.value.fontMetrics().horizontalAdvance(widest))
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider.setAccessibleName(self.name)
        self.slider.setObjectName(self._key)
        for widget in (self.label, self.slider, self.value):
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
        for label in (self.label, self.value):
            label.installEventFilter(self)

    def _to_position(self, value: float) -> int:
        position: int = round((value - self._minimum) / self._step)
        return position

    def _to_value(self, position: int) -> float:
        # Rounded, so that the value shown is the value used.
        value = self._minimum + position * self._step
        return round(value) if self._is_whole else float(f"{value:.4g}")

    def _on_slider_changed(self, position: int) -> None:
        self._change(self._to_value(position))

    def _on_range_changed(self, low: int, high: int) -> None:
        # The other handle keeps its exact value, which may be between two positions.
        before_low, before_high = self._value
        after_low = before_low if low == self._to_position(before_low) else self._to_value(low)
        after_high = before_high if high == self._to_position(before_high) else self._to_value(high)
        self._change((min(after_low, after_high), max(after_low, after_high)))

    def _change(self, value: Any) -> None:
        self.set_value(value)
        self.changed.emit(self._key, value)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset.emit(self._key)
            return True
        return super().eventFilter(watched, event)


def _limits(setting: FormField) -> tuple[float, float]:
    assert setting.least is not None
    assert setting.most is not None
    return setting.least, setting.most


class SettingRows(QWidget):
    """The settings of a generator as rows, in one or more columns. Signal: changed(settings)."""

    changed = Signal(object)

    def __init__(self, first: tuple[SliderRow, ...] = (), parent: QWidget | None = None) -> None:
        """first: other rows, above the settings."""
        super().__init__(parent)
        self._first = first
        self._settings: DataSettings | None = None
        self.defaults: DataSettings | None = None
        self.rows: dict[str, SettingRow] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(3)
        self._columns = 1
        self._arrange()

    def _make_rows(self, settings: DataSettings) -> None:
        """Makes the rows of another kind of settings."""
        for row in self.rows.values():
            for widget in (row.label, row.slider, row.value):
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
            row.deleteLater()
        self.rows = {}
        # What the network's input decides has another group.
        for name, setting in form_fields_of(settings).items():
            row = SettingRow(setting, name, getattr(settings, name), self)
            row.changed.connect(self._change)
            row.reset.connect(self._on_reset)
            self.rows[name] = row
        self._arrange()

    def set_column_count(self, columns: int) -> None:
        """Arranges the rows in this number of columns, column by column."""
        if columns != self._columns:
            self._columns = columns
            self._arrange()

    def _arrange(self) -> None:
        columns = self._columns
        for column in range(12):
            self._grid.setColumnStretch(column, 0)
            self._grid.setColumnMinimumWidth(column, 0)
        rows: list[SliderRow | SettingRow] = [*self._first, *self.rows.values()]
        rows_per_column = -(-len(rows) // columns)
        for index, row in enumerate(rows):
            column, grid_row = divmod(index, rows_per_column)
            for offset, widget in enumerate((row.label, row.slider, row.value)):
                self._grid.addWidget(widget, grid_row, 4 * column + offset)
        for column in range(columns):
            self._grid.setColumnStretch(4 * column + 1, 1)
            if column:
                self._grid.setColumnMinimumWidth(4 * column - 1, 8)

    def set_settings(self, settings: DataSettings) -> None:
        """Shows the settings without emitting `changed`; the rows are made anew for those of another kind."""
        if type(settings) is not type(self._settings):
            self._make_rows(settings)
        self._settings = settings
        for name, row in self.rows.items():
            row.set_value(getattr(settings, name))

    def _on_reset(self, name: str) -> None:
        if self.defaults is not None:
            self._change(name, getattr(self.defaults, name))

    def _change(self, name: str, value: Any) -> None:
        assert self._settings is not None
        changes: dict[str, Any] = {name: value}
        settings = replace(self._settings, **changes)
        self.set_settings(settings)
        self.changed.emit(settings)


class GeneratorPage(QWidget):
    """The settings of the generator, with examples. Signals `edited`, `commanded` and `message`: as of View."""

    edited = Signal(object, str, str)
    message = Signal(str)
    commanded = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._training_settings: TrainingSettings | None = None
        self._samples: GeneratorSamples | None = None
        tip = self.tr("Put this drawing on the canvas")
        self.thumbnails = Thumbnails(
            self.tr("Examples with these settings"), tip, self, side=_EXAMPLE_SIDE, scrolls=False
        )
        self.thumbnails.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.thumbnails.setFixedHeight(_EXAMPLE_SIDE + CAPTION_HEIGHT + 2)
        self.thumbnails.picked.connect(self._put_on_canvas)
        self._create_count_rows()
        self.rows = SettingRows((self.count_row, self.held_out_row))
        self.rows.changed.connect(self._on_settings_changed)
        self._create_footer()
        self._create_layout()

    # -- state -------------------------------------------------------------------------------------------------

    def set_document(self, document: Document) -> None:
        self._document = document

    def set_training(self, settings: TrainingSettings) -> None:
        before, self._training_settings = self._training_settings, settings
        if before is None or (before.data, before.default_data) != (settings.data, settings.default_data):
            self._update_rows(settings)
        self.seed_box.show_number(settings.data.seed)

    def _update_rows(self, settings: TrainingSettings) -> None:
        data = settings.data
        if settings.default_data is not None:
            self.rows.defaults = settings.default_data.generator
            self.reset_button.setEnabled(replace(data, seed=settings.default_data.seed) != settings.default_data)
        self.rows.set_settings(data.generator)
        fitting = sum(count * math.prod(data.input_shape) <= MAX_VALUES for count in EXAMPLE_COUNTS)
        for row, count in ((self.count_row, data.count), (self.held_out_row, data.held_out)):
            before = row.slider.blockSignals(True)
            row.slider.setRange(0, max(fitting - 1, 0))
            row.slider.blockSignals(before)
            nearest = min(range(len(EXAMPLE_COUNTS)), key=lambda at: abs(EXAMPLE_COUNTS[at] - count))
            row.show_value(nearest, f"{count:,}".replace(",", " "))
        channels, height, width = data.input_shape
        text = self.tr("{0} × {1} pixels, as the network's input")
        if channels > 1:
            text = self.tr("{2} maps of {0} × {1}, as the network's input")
        self.side_label.setText(text.format(height, width, channels))

    def set_samples(self, samples: GeneratorSamples | None) -> None:
        """Shows samples of the generator; None leaves those that are shown."""
        if samples is not None and samples is not self._samples:
            self._samples = samples
            self._update_thumbnails()

    def _update_thumbnails(self) -> None:
        """Shows as many samples of each class as fit into a row."""
        if self._samples is None:
            return
        examples = self._samples.dataset
        names = (*examples.classes, NO_CLASS)
        per_class = min(max(self.thumbnails.columns // len(names), 1), SAMPLES_PER_CLASS)
        labels = [np.flatnonzero(examples.labels == label)[:per_class] for label in (*range(len(names) - 1), -1)]
        indices = [int(at) for of_label in labels for at in of_label]
        self.thumbnails.show_tiles(
            [
                Thumbnail(examples.images[at, 0], names[examples.labels[at]], class_index=int(examples.labels[at]))
                for at in indices
            ]
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.rows.set_column_count(min(max(self.width() // _COLUMN_WIDTH, 1), 3))
        self._update_thumbnails()

    # -- user input --------------------------------------------------------------------------------------------

    def _set_data(self, data: PoolSettings) -> None:
        if self._training_settings is not None and data != self._training_settings.data:
            self.commanded.emit(SetData(data))

    def _on_settings_changed(self, settings: DataSettings) -> None:
        if self._training_settings is not None:
            self._set_data(replace(self._training_settings.data, generator=settings))

    def _on_count_changed(self, position: int) -> None:
        if self._training_settings is not None:
            self._set_data(replace(self._training_settings.data, count=EXAMPLE_COUNTS[position]))

    def _on_held_out_changed(self, position: int) -> None:
        if self._training_settings is not None:
            self._set_data(replace(self._training_settings.data, held_out=EXAMPLE_COUNTS[position]))

    def _on_seed_changed(self, seed: int) -> None:
        if self._training_settings is not None:
            self._set_data(replace(self._training_settings.data, seed=seed))

    def _on_reset_count(self, name: str) -> None:
        settings = self._training_settings
        if settings is not None and settings.default_data is not None:
            defaults = settings.default_data
            self._set_data(replace(settings.data, **{name: getattr(defaults, name)}))

    def _on_reset_all(self) -> None:
        if self._training_settings is not None and self._training_settings.default_data is not None:
            self._set_data(replace(self._training_settings.default_data, seed=self._training_settings.data.seed))

    def _put_on_canvas(self, at: int) -> None:
        if self._document is not None:
            image = self.thumbnails.tiles[at].picture[None]
            self.edited.emit(self._document.with_image(image), self.tr("Generated drawing"), "")

    # -- widgets -----------------------------------------------------------------------------------------------

    def _create_count_rows(self) -> None:
        self.count_row = self._create_count_row("count", self.tr("train on"), self._on_count_changed)
        self.count_row.set_help(self.tr("How many generated drawings an epoch has"))
        self.held_out_row = self._create_count_row("held_out", self.tr("held out"), self._on_held_out_changed)
        self.held_out_row.set_help(
            self.tr("How many further drawings the network is evaluated on; it is never trained on them")
        )

    def _create_count_row(self, name: str, text: str, slot: object) -> SliderRow:
        row = SliderRow(text, "32 000", self, name)
        row.slider.setMinimumWidth(44)
        for label in (row.label, row.value):
            label.setFont(font(SMALL_PX))
        row.slider.setRange(0, len(EXAMPLE_COUNTS) - 1)
        row.slider.setPageStep(1)
        row.slider.valueChanged.connect(slot)
        row.reset.connect(self._on_reset_count)
        return row

    def _create_footer(self) -> None:
        self.side_label = QLabel(self)
        self.side_label.setFont(font(SMALL_PX))
        self.side_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.side_label.setWordWrap(True)
        tip = self.tr("The random seed of the drawings: the same seed gives the same drawings")
        setting = FormField(self.tr("Seed of the drawings"), tip, 1)
        self.seed_box = NumberEdit(setting, True, self, limits=(0, _MAX_SEED))
        self.seed_box.setStatusTip(tip)
        self.seed_box.chosen.connect(self._on_seed_changed)
        self.seed_box.rejected.connect(self.message)
        self.reset_button = QPushButton(self.tr("Reset all"), self)
        tip = self.tr("Reset all settings of the drawings and their counts")
        self.reset_button.setToolTip(tip)
        self.reset_button.setStatusTip(tip)
        self.reset_button.setStyleSheet("padding: 3px 8px")
        self.reset_button.clicked.connect(self._on_reset_all)

    def _create_layout(self) -> None:
        footer = QHBoxLayout()
        label = QLabel(self.tr("seed"), self)
        label.setFont(font(SMALL_PX))
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setBuddy(self.seed_box)
        self.seed_box.setMaximumWidth(120)
        footer.addWidget(label)
        footer.addWidget(self.seed_box, 1)
        footer.addWidget(self.reset_button)
        footer.addStretch()
        footer.setContentsMargins(0, 0, 8, 0)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.rows)
        column.addWidget(self.side_label)
        column.addLayout(footer)
        column.addStretch()
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(4)
        page.addWidget(self.thumbnails)
        area = scroll_area(content, self)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        page.addWidget(area, 1)
