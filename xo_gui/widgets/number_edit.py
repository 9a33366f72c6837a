"""Number edit: the line edit in which every number of the window is typed, and how its text is parsed."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QWheelEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from engine.form_fields import FormField
from xo_gui.app import translate
from xo_gui.widgets.number_text import MINUS

_MIN_POSITIVE: Final = 1e-6  # the first value above 0 of a number that steps through 1, 2, 5, 10
_MANTISSAS: Final = (1.0, 2.0, 5.0)
_DIGITS: Final = 10
_WHOLE = re.compile(r"[+-]?\d+(e\+?\d+)?")
_DECIMAL = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}( \d{3})+(?=[.,]|$)")
# Either a decimal fraction or thousands, by the reader's country.
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
# The invisible marks that right-to-left text carries.
_MARKS: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SIGNS = str.maketrans({MINUS: "-", "\u066b": ".", "\u066a": "%", **dict.fromkeys(_MARKS)})


class NumberEdit(QLineEdit):
    """A line edit for a number, with a decimal point or comma, in the digits of any script.

    What is typed is the number of one thing: `discard` ends it when the edit comes to show another.

    chosen(number): the user enters another number. rejected(text): why what was typed is no number here.
    """

    chosen = Signal(object)
    rejected = Signal(str)

    def __init__(
        self,
        setting: FormField,
        whole: bool,
        parent: QWidget | None = None,
        *,
        limits: tuple[float, float] = (-math.inf, math.inf),
        digits: int = _DIGITS,
        prefix: str = "",
    ) -> None:
        """whole: whether it must be an integer.
        limits: the least and the largest number that may be typed.
        digits: how many significant digits are shown; the number itself keeps all of its own.
        prefix: shown before the number.
        """
        super().__init__(parent)
        self._setting, self._whole, self._digits = setting, whole, digits
        self._value: float | None = None
        self._scale = 100 if setting.unit == "%" else 1
        self.step, self.limits, self.prefix = setting.step, limits, prefix
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setPlaceholderText(self.tr("none"))
        self.setAcceptDrops(False)  # a file dropped here is opened, not written
        self.setAccessibleName(setting.name)
        self.setToolTip(setting.description)

    @property
    def value(self) -> float | None:
        """The number, whatever is being typed; None for none."""
        return self._value

    def show_number(self, value: float | None) -> None:
        """Show a number without emitting; None clears the text. Unfinished input stays where there is a number."""
        if value is None or self._value is None:
            self.setModified(False)
        self._value = value
        if not self.isModified():
            self._write()

    def discard(self) -> None:
        """Drop unfinished input, because what it was typed for is no longer shown."""
        self._write()

    # --- input

    def event(self, event: QEvent) -> bool:
        """Leave undo and redo to the window unless there is unfinished input to undo."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and not self.isModified():
            keys = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)
            if any(event.matches(key) for key in keys):
                event.ignore()
                return False
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys step the number, Return commits the typed text, Esc discards it."""
        moves = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        if event.key() in moves:
            self._step(moves[Qt.Key(event.key())])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            if self.finish():
                self.returnPressed.emit()
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
        self.finish()

    def finish(self) -> bool:
        """Commit the typed text; returns False if it was refused."""
        if not self.isModified():
            return True
        value = self._typed()
        if value is not None:
            self._commit(value)
        return value is not None

    def _step(self, steps: int) -> None:
        """Step from the number, or from what has been typed instead."""
        value = self._typed() if self.isModified() else self._value
        if value is not None:
            least, largest = self.limits
            stepped = stepped_number(value, steps, self.step, self._whole)
            self._commit(min(max(stepped, least), largest))

    def _typed(self) -> float | None:
        """The number that has been typed; what is none is reported and discarded."""
        text = self.text()
        try:
            value = parse_number(text.removeprefix(self.prefix), self._whole, self._setting.unit) / self._scale
            self._check_limits(text, value)
        except ValueError as error:
            self._write()
            self.rejected.emit(str(error))
            return None
        return int(value) if self._whole else value

    def _check_limits(self, text: str, value: float) -> None:
        least, largest = self.limits
        if not least <= value <= largest:
            ends = (self._text(least), self._text(largest))
            sentence = translate("NumberEdit", "“{0}” is out of range here; type a number from {1} to {2}.")
            raise ValueError(sentence.format(text, *ends))

    def _commit(self, value: float) -> None:
        if value != self._value:
            self.setModified(False)  # so that the receiver's answer is shown
            self.chosen.emit(value)
        self._write()  # by now the receiver has shown the number or rejected it

    def _text(self, value: float) -> str:
        return number_with_unit(value, self._setting, self._digits)

    def _write(self) -> None:
        text = "" if self._value is None else self.prefix + self._text(self._value)
        self.setText(text)
        self.setModified(False)
        self.setCursorPosition(0)
        self.setAccessibleDescription(text)


def number_with_unit(value: float, setting: FormField, digits: int = _DIGITS) -> str:
    """A number with its unit, as short as it can be parsed again."""
    scaled = value * 100 if setting.unit == "%" else value
    text = str(scaled) if isinstance(scaled, int) else _short_exponent(f"{scaled:.{digits}g}")
    return f"{text} {setting.unit}" if setting.unit else text


def _short_exponent(text: str) -> str:
    """2e+06 as 2e6."""
    number, *power = text.split("e")
    return f"{number}e{int(power[0])}" if power else text


def parse_number(text: str, whole: bool, unit: str = "") -> float:
    """Parse a number with a decimal point or comma and, or without, its unit. Nothing is guessed.

    Raises ValueError with a sentence for any other text, and for a comma that may separate thousands.
    """
    figures = "".join(map(_plain_digit, text.translate(_SIGNS))).strip().removesuffix(unit).strip()
    figures = re.sub(r"\s", " ", figures).lower()
    if _GROUPED.match(figures):
        figures = figures.replace(" ", "")
    if whole and not _WHOLE.fullmatch(figures):
        raise ValueError(
            translate("NumberEdit", "“{0}” is not a valid number here; type a whole number such as 20.").format(
                text
            )
        )
    if not _DECIMAL.fullmatch(figures):
        raise ValueError(
            translate("NumberEdit", "“{0}” is not a valid number here; type one such as 0.01 or 20.").format(text)
        )
    if _AMBIGUOUS.fullmatch(figures):
        predictions = figures.replace(",", "."), figures.replace(",", "")
        sentence = translate("NumberEdit", "“{0}” may mean {1} or {2}; type the one that you mean.")
        raise ValueError(sentence.format(text, *predictions))
    value = float(figures.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(translate("NumberEdit", "“{0}” is too large a number.").format(text))
    return int(figures) if figures.lstrip("+-").isdigit() else value


def stepped_number(value: float, steps: int, step: float, whole: bool) -> float:
    """The number after `steps` presses of an arrow key: by `step`, or through 1, 2, 5, 10, 20 ..."""
    if step:
        return round(value + steps * step) if whole else float(f"{value + steps * step:.12g}")
    for _ in range(abs(steps)):
        value = _larger(value) if steps > 0 else _smaller(value)
    return round(value) if whole else value


def _plain_digit(character: str) -> str:
    """A decimal digit of any script as 0 to 9, any other character unchanged."""
    digit: Any = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


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
