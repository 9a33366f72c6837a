"""Settings form: a form generated from the fields and metadata of a dataclass, and its input widgets."""

from __future__ import annotations

import math
from typing import Any, Final, get_args, get_type_hints

from PySide6.QtCore import QCoreApplication, QObject, QPointF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from engine.form_fields import FormField, form_fields_of
from xo_gui.app import SMALL_PX, font
from xo_gui.widgets.buttons import CheckBox

_MIN_POSITIVE: Final = 1e-6  # the first value above 0 of a number that steps through 1, 2, 5, 10
_MANTISSAS: Final = (1.0, 2.0, 5.0)

_ROW_GAP: Final = 3
BOX_WIDTH: Final = 84
COMPACT_STYLE: Final = "padding: 1px 6px; border-radius: 5px; min-height: 16px"

_ARROW_INSET, _ARROW_HALF_WIDTH, _ARROW_HEIGHT = 13.0, 4.0, 4.0


class SettingsForm(QWidget):
    """The form of one group of settings of a dataclass. chosen(name, value); rejected(text)."""

    chosen = Signal(str, object)
    rejected = Signal(str)

    def __init__(self, group: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group, self._kind = group, type(None)
        self.rows: dict[str, FormRow] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(_ROW_GAP)
        self._grid.setColumnStretch(0, 1)

    def show_settings(self, settings: Any) -> None:
        """Show settings without emitting; the rows are rebuilt for another dataclass."""
        if type(settings) is not self._kind:
            self._make_rows(type(settings))
        for name, row in self.rows.items():
            row.show_value(getattr(settings, name))

    def _make_rows(self, kind: type) -> None:
        for row in self.rows.values():
            for widget in row.widgets:
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
            row.deleteLater()
        self._kind, hints = kind, get_type_hints(kind)
        self.rows = {}
        for at, (name, setting) in enumerate(form_fields_of(kind, self._group).items()):
            row = FormRow(setting, hints[name], self)
            row.setObjectName(name)
            row.chosen.connect(self._chosen)
            row.rejected.connect(self.rejected)
            row.add_to_grid(self._grid, at)
            self.rows[name] = row

    def _chosen(self, value: object) -> None:
        self.chosen.emit(self.sender().objectName(), value)


class FormRow(QObject):
    """The row of one setting: a check box for a bool, a labelled number input, or both for an optional number.

    chosen(value): the user changes the value. rejected(text): the typed text is not a number.
    """

    chosen = Signal(object)
    rejected = Signal(str)

    def __init__(self, setting: FormField, hint: Any, parent: QWidget) -> None:
        super().__init__(parent)
        self.setting, self._is_optional = setting, type(None) in get_args(hint)
        kinds = {*(get_args(hint) or (hint,))} - {type(None)}
        self.box = None if bool in kinds else NumberEdit(setting, float not in kinds, parent)
        self.check = CheckBox(translated(setting.name), parent) if self.box is None or self._is_optional else None
        self.label = None if self.check is not None else QLabel(translated(setting.name), parent)
        self._set_up_widgets()

    @property
    def widgets(self) -> list[QWidget]:
        """The widgets of the row, from left to right."""
        return [widget for widget in (self.check, self.label, self.box) if widget is not None]

    def show_value(self, value: Any) -> None:
        """Show a value without emitting."""
        if self.check is not None:
            with QSignalBlocker(self.check):
                self.check.setChecked(value is True if self.box is None else value is not None)
        if self.box is not None:
            self.box.show_number(value)
            self.box.setEnabled(value is not None)

    def add_to_grid(self, grid: QGridLayout, at: int) -> None:
        """Add the widgets to a row of the grid."""
        widgets = self.widgets
        grid.addWidget(widgets[0], at, 0, 1, 2 if len(widgets) == 1 else 1)
        if len(widgets) == 2:
            grid.addWidget(widgets[1], at, 1)

    def set_highlighted(self, on: bool) -> None:
        """Highlight the name, for a setting that a message refers to."""
        name = self.widgets[0]
        name.setFont(font(SMALL_PX, strong=on))

    def _set_up_widgets(self) -> None:
        tip = translated(self.setting.description)
        if self.box is not None:
            tip += translated(" Type it, or use the arrow keys.")
        for widget in self.widgets:
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
            widget.setFont(font(SMALL_PX))
        if self.label is not None and self.box is not None:
            self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            self.label.setBuddy(self.box)
        if self.check is not None:
            self.check.setAccessibleName(translated(self.setting.name))
            self.check.toggled.connect(self._toggled)
        if self.box is not None:
            self.box.setStyleSheet(COMPACT_STYLE)
            self.box.setFixedWidth(BOX_WIDTH)
            self.box.setAccessibleName(translated(self.setting.name))
            self.box.chosen.connect(self.chosen)
            self.box.rejected.connect(self.rejected)

    def _toggled(self, on: bool) -> None:
        if self.box is None:
            self.chosen.emit(on)
            return
        start_value = self.setting.start_value or 1
        self.chosen.emit(start_value if on else None)


class NumberEdit(QLineEdit):
    """A line edit for a number. whole: whether it must be an integer.

    chosen(number): the user enters another number. rejected(text): the typed text is not a number.
    """

    chosen = Signal(object)
    rejected = Signal(str)

    def __init__(self, setting: FormField, whole: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._setting, self._whole = setting, whole
        self._value: float | None = None
        self._scale = 100 if setting.unit == "%" else 1
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setPlaceholderText(self.tr("none"))
        self.setAcceptDrops(False)  # a file dropped here is opened, not written

    def show_number(self, value: float | None) -> None:
        """Show a number without emitting; None clears the text. Unfinished input stays."""
        before, self._value = self._value, value
        if value != before or not self.isModified():
            self._write()

    # --- input

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys step the number, Return commits the typed text, Esc discards it."""
        moves = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        if event.key() in moves:
            self._step(moves[Qt.Key(event.key())])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self._finish()
            self.selectAll()
        elif event.key() == Qt.Key.Key_Escape and self.isModified():
            self._write()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Change the value only with focus, so that the wheel scrolls the panel otherwise."""
        if self.hasFocus() and event.angleDelta().y():
            self._step(1 if event.angleDelta().y() > 0 else -1)
        else:
            event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Commit the typed text."""
        super().focusOutEvent(event)
        self._finish()

    def _step(self, steps: int) -> None:
        if self._value is not None:
            self._commit(stepped_number(self._value, steps, self._setting.step, self._whole))

    def _finish(self) -> None:
        if not self.isModified():
            return
        text = self.text()
        try:
            value = parse_number(text, self._whole) / self._scale
        except ValueError:
            self.rejected.emit(text)
            self._write()
            return
        self._commit(int(value) if self._whole else value)

    def _commit(self, value: float) -> None:
        if value != self._value:
            self.chosen.emit(value)
        self._write()  # by now the receiver has shown the number or rejected it

    def _write(self) -> None:
        text = "" if self._value is None else number_with_unit(self._value, self._setting)
        self.setText(text)
        self.setModified(False)
        self.setCursorPosition(0)
        self.setAccessibleDescription(text)


class ComboBox(QComboBox):
    """A combo box that paints its arrow itself, because the style sheet removes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Change the value only with focus, so that the wheel scrolls the panel otherwise."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.PlaceholderText), 1.4))
        x, y, half = self.width() - _ARROW_INSET, self.height() / 2 - _ARROW_HEIGHT / 2, _ARROW_HALF_WIDTH
        painter.drawPolyline(QPolygonF([QPointF(x - half, y), QPointF(x, y + _ARROW_HEIGHT), QPointF(x + half, y)]))


def number_with_unit(value: float, setting: FormField) -> str:
    """A number with its unit, as short as it can be parsed again."""
    scaled = value * 100 if setting.unit == "%" else value
    text = str(scaled) if isinstance(scaled, int) else f"{scaled:.10g}"
    return f"{text} {setting.unit}" if setting.unit else text


def parse_number(text: str, whole: bool) -> float:
    """Parse a number, ignoring its unit. Raises ValueError for any other text."""
    figures = "".join(text.replace("\u2212", "-").replace(",", ".").split()).rstrip("%abcdefghijklmnopqrstuvwxyz")
    value = float(figures)
    if whole and value != math.floor(value):
        raise ValueError(f"{text} is not whole")
    return value


def stepped_number(value: float, steps: int, step: float, whole: bool) -> float:
    """The number after `steps` presses of an arrow key: by `step`, or through 1, 2, 5, 10, 20 ..."""
    if step:
        return round(value + steps * step) if whole else float(f"{value + steps * step:.12g}")
    for _ in range(abs(steps)):
        value = _larger(value) if steps > 0 else _smaller(value)
    return round(value) if whole else value


def _larger(value: float) -> float:
    if value < _MIN_POSITIVE:
        return _MIN_POSITIVE
    power = math.floor(math.log10(value) + 1e-9)
    return min(c for p in (power, power + 1) for c in _round(p) if c > value * (1 + 1e-9))


def _smaller(value: float) -> float:
    if value <= _MIN_POSITIVE * (1 + 1e-9):
        return 0.0
    power = math.floor(math.log10(value) + 1e-9)
    return max(c for p in (power - 1, power) for c in _round(p) if c < value * (1 - 1e-9))


def _round(power: int) -> tuple[float, ...]:
    """1, 2 and 5 times a power of ten, parsed from decimal text so that they are exact."""
    return tuple(float(f"{first:g}e{power}") for first in _MANTISSAS)


def translated(text: str) -> str:
    """A name or sentence of the engine in the user's language."""
    return QCoreApplication.translate("Settings", text)
