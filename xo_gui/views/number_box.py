"""Number box: one number to be typed, or moved by the arrow keys or the wheel. What may be is not its business: it
asks, and shows what it is told."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from engine.form_fields import Setting

_LEAST: Final = 1e-6  # where a number that goes by 1, 2, 5, 10 begins above 0
_RISING: Final = (1.0, 2.0, 5.0)


class NumberBox(QLineEdit):
    """whole: no fractions. chosen(number): the person asks for another one. refused(text): what was typed is no
    number."""

    chosen = Signal(object)
    refused = Signal(str)

    def __init__(self, setting: Setting, whole: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._setting, self._whole = setting, whole
        self._value: float | None = None
        self._scale = 100 if setting.unit == "%" else 1
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setPlaceholderText(self.tr("none"))

    def show_number(self, value: float | None) -> None:
        """Show it, telling nobody; None as nothing. What is being typed stays."""
        before, self._value = self._value, value
        if value != before or not self.isModified():
            self._write()

    # -- the person --------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move it, Return asks for what was typed, Esc takes that back."""
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
        """The wheel scrolls the panel, unless the box was chosen."""
        if self.hasFocus() and event.angleDelta().y():
            self._step(1 if event.angleDelta().y() > 0 else -1)
        else:
            event.ignore()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """What was typed is asked for when the box is left."""
        super().focusOutEvent(event)
        self._finish()

    def _step(self, steps: int) -> None:
        if self._value is not None:
            self._ask(stepped(self._value, steps, self._setting.step, self._whole))

    def _finish(self) -> None:
        if not self.isModified():
            return
        text = self.text()
        try:
            value = read(text, self._whole) / self._scale
        except ValueError:
            self.refused.emit(text)
            self._write()
            return
        self._ask(int(value) if self._whole else value)

    def _ask(self, value: float) -> None:
        if value != self._value:
            self.chosen.emit(value)
        self._write()  # whoever was asked has shown the number by now, or refused it

    def _write(self) -> None:
        text = "" if self._value is None else shown(self._value, self._setting)
        self.setText(text)
        self.setModified(False)
        self.setCursorPosition(0)
        self.setAccessibleDescription(text)


def shown(value: float, setting: Setting) -> str:
    """A number with its unit, as short as it can be read again."""
    scaled = value * 100 if setting.unit == "%" else value
    text = str(scaled) if isinstance(scaled, int) else f"{scaled:.10g}"
    return f"{text} {setting.unit}" if setting.unit else text


def read(text: str, whole: bool) -> float:
    """What was typed, its unit aside. Raises ValueError if that is no number."""
    figures = "".join(text.replace("\u2212", "-").replace(",", ".").split()).rstrip("%abcdefghijklmnopqrstuvwxyz")
    value = float(figures)
    if whole and value != math.floor(value):
        raise ValueError(f"{text} is not whole")
    return value


def stepped(value: float, steps: int, step: float, whole: bool) -> float:
    """The number so many presses of an arrow key away: by `step`, or through 1, 2, 5, 10, 20 ..."""
    if step:
        return round(value + steps * step) if whole else float(f"{value + steps * step:.12g}")
    for _ in range(abs(steps)):
        value = _next(value) if steps > 0 else _last(value)
    return round(value) if whole else value


def _next(value: float) -> float:
    if value < _LEAST:
        return _LEAST
    power = math.floor(math.log10(value) + 1e-9)
    return min(c for p in (power, power + 1) for c in _round(p) if c > value * (1 + 1e-9))


def _last(value: float) -> float:
    if value <= _LEAST * (1 + 1e-9):
        return 0.0
    power = math.floor(math.log10(value) + 1e-9)
    return max(c for p in (power - 1, power) for c in _round(p) if c < value * (1 - 1e-9))


def _round(power: int) -> tuple[float, ...]:
    """1, 2 and 5 times a power of ten, as they are written."""
    return tuple(float(f"{first:g}e{power}") for first in _RISING)
