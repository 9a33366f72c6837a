"""Setting rows: a slider with a name and a value for each of the generator's settings, made from their metadata."""

from __future__ import annotations

from dataclasses import Field, fields, replace
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from engine.data.xo.settings import XOSettings
from xo_gui.app.theme import SMALL_PX, font
from xo_gui.views.range_slider import RangeSlider
from xo_gui.views.sliders import SliderRow, ThinSlider

_PLACES: Final = 200
_LEAST_SLIDER: Final = 44  # pixels
_MINUS = "\u2212"

# Of the network, not of the generator: it is not chosen here.
GIVEN: Final = ("side",)


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("SettingRows", text)


def names() -> dict[str, str]:
    """What a person reads for each setting."""
    return {
        "pen_width": tr("pen width"), "size": tr("size"), "position": tr("position"), "cut": tr("cut off"),
        "cut_depth": tr("cut depth"), "rotation": tr("rotation"), "aspect": tr("width:height"), "shear": tr("lean"),
        "bend": tr("bend"), "wobble": tr("wobble"), "arms": tr("arms of X"), "curve": tr("curve of X"),
        "one_stroke": tr("X in one line"), "gap": tr("gap of O"), "drift": tr("drift of O"),
        "lumps": tr("lumps of O"), "hook": tr("hooks"), "pressure": tr("pressure"), "softness": tr("softness"),
        "noise": tr("noise"), "coarse": tr("in squares"), "neither": tr("neither"),
    }  # fmt: skip


def value_text(setting: Field[Any], value: Any) -> str:
    """A setting's value or range in words: "2 to 14 %", "-38 to 38°"."""
    unit = setting.metadata["unit"]
    factor, digits, tail = (100, 0, " %") if unit.startswith("of ") else (1, 2, "")
    if unit == "degrees":
        digits, tail = 0, "°"
    elif unit == "pixels":
        digits, tail = 1, " px"
    elif factor == 100 and setting.metadata["most"] <= 0.15:
        digits = 1
    parts = value if isinstance(value, tuple) else (value,)
    written = [f"{abs(factor * part):.{digits}f}" for part in parts]
    signed = [
        f"{_MINUS}{text}" if part < 0 and float(text) else text for text, part in zip(written, parts, strict=True)
    ]
    return tr("{0} to {1}").format(*signed) + tail if len(signed) == 2 else signed[0] + tail


class SettingRow(QObject):
    """One setting: a slider with one handle, or two where it is a range. moved(value). A double click on the name
    or the value asks for a reset."""

    moved = Signal(object)
    reset = Signal()

    def __init__(self, setting: Field[Any], name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setting, self.name = setting, name
        self._value: Any = setting.default
        least, most = setting.metadata["least"], setting.metadata["most"]
        self._least, self._step = least, (most - least) / _PLACES
        self.slider: RangeSlider | ThinSlider
        if isinstance(setting.default, tuple):
            self.slider = RangeSlider(_PLACES, parent)
            self.slider.moved.connect(self._range_moved)
        else:
            self.slider = ThinSlider(parent)
            self.slider.setRange(0, _PLACES)
            self.slider.setPageStep(_PLACES // 10)
            self.slider.valueChanged.connect(self._slid)
        self.label, self.value = QLabel(name, parent), QLabel(parent)
        for label in (self.label, self.value):
            label.setFont(font(SMALL_PX))
        self.slider.setMinimumWidth(_LEAST_SLIDER)
        self._dress()

    def show_value(self, value: Any) -> None:
        """Show this value, telling nobody."""
        self._value = value
        text = value_text(self.setting, value)
        if isinstance(self.slider, RangeSlider):
            self.slider.show_places(self._place(value[0]), self._place(value[1]))
        else:
            before = self.slider.blockSignals(True)
            self.slider.setValue(self._place(value))
            self.slider.blockSignals(before)
        if text != self.value.text():
            self.value.setText(text)
            self.slider.setAccessibleDescription(text)

    def _dress(self) -> None:
        metadata = self.setting.metadata
        tip = (
            tr("{0} In shares {1}; double-click the name to reset.")
            if metadata["unit"].startswith("of ")
            else tr("{0} In {1}; double-click the name to reset.")
        )
        tip = tip.format(metadata["text"], metadata["unit"])
        self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.label.setBuddy(self.slider)
        ends = metadata["least"], metadata["most"]
        widest = value_text(self.setting, ends if isinstance(self.setting.default, tuple) else metadata["most"])
        self.value.setMinimumWidth(self.value.fontMetrics().horizontalAdvance(widest))
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider.setAccessibleName(self.name)
        self.slider.setObjectName(self.setting.name)
        for widget in (self.label, self.slider, self.value):
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
        for label in (self.label, self.value):
            label.installEventFilter(self)

    def _place(self, value: float) -> int:
        place: int = round((value - self._least) / self._step)
        return place

    def _at(self, place: int) -> float:
        # Rounded, because what is shown and what is learnt from should be the same short number.
        return float(f"{self._least + place * self._step:.4g}")

    def _slid(self, place: int) -> None:
        self._tell(self._at(place))

    def _range_moved(self, low: int, high: int) -> None:
        """The handle that was not moved keeps its value, also between two places."""
        before_low, before_high = self._value
        after_low = before_low if low == self._place(before_low) else self._at(low)
        after_high = before_high if high == self._place(before_high) else self._at(high)
        self._tell((min(after_low, after_high), max(after_low, after_high)))

    def _tell(self, value: Any) -> None:
        self.show_value(value)
        self.moved.emit(value)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A double click on name or value."""
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset.emit()
            return True
        return super().eventFilter(watched, event)


class SettingRows(QWidget):
    """All settings, in one column of rows or, where there is room, in several. moved(settings)."""

    moved = Signal(object)

    def __init__(self, first: tuple[SliderRow, ...] = (), parent: QWidget | None = None) -> None:
        """first: rows that are not settings, above them."""
        super().__init__(parent)
        self._first = first
        self._settings, self.usual = XOSettings(), XOSettings()
        self.rows: dict[str, SettingRow] = {}
        called = names()
        for setting in fields(XOSettings):
            if setting.name not in GIVEN:
                row = SettingRow(setting, called.get(setting.name, setting.name), self)
                row.setObjectName(setting.name)
                row.moved.connect(self._moved)
                row.reset.connect(self._reset)
                self.rows[setting.name] = row
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(3)
        self._columns = 0
        self.arrange(1)
        self.show_settings(self._settings)

    def arrange(self, columns: int) -> None:
        """In so many columns of rows, read downwards."""
        if columns == self._columns:
            return
        self._columns = columns
        for column in range(12):
            self._grid.setColumnStretch(column, 0)
            self._grid.setColumnMinimumWidth(column, 0)
        rows: list[SliderRow | SettingRow] = [*self._first, *self.rows.values()]
        lines = [(row.label, row.slider, row.value) for row in rows]
        high = -(-len(lines) // columns)
        for place, line in enumerate(lines):
            column, at = divmod(place, high)
            for across, widget in enumerate(line):
                self._grid.addWidget(widget, at, 4 * column + across)
        for column in range(columns):
            self._grid.setColumnStretch(4 * column + 1, 1)
            if column:
                self._grid.setColumnMinimumWidth(4 * column - 1, 8)

    def show_settings(self, settings: XOSettings) -> None:
        """Show these, telling nobody."""
        self._settings = settings
        for name, row in self.rows.items():
            row.show_value(getattr(settings, name))

    def _moved(self, value: object) -> None:
        self._tell(self.sender().objectName(), value)

    def _reset(self) -> None:
        name = self.sender().objectName()
        self._tell(name, getattr(self.usual, name))

    def _tell(self, name: str, value: Any) -> None:
        settings = replace(self._settings, **{name: value})
        self.show_settings(settings)
        self.moved.emit(settings)
