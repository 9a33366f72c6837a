"""Settings form: a row for every explained setting of a dataclass, made from its fields and metadata alone. It
checks nothing: it says what was asked for, and shows what it is told."""

from __future__ import annotations

import math
from typing import Any, Final, get_args, get_type_hints

from PySide6.QtCore import QCoreApplication, QObject, QPointF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from engine.form_fields import Setting, settings_of
from xo_gui.app.theme import SMALL_PX, font
from xo_gui.widgets.buttons import TickBox

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


_ROW_GAP: Final = 3
BOX_WIDTH: Final = 84
COMPACT: Final = "padding: 1px 6px; border-radius: 5px; min-height: 16px"


def tr(text: str) -> str:
    """A name or sentence of the engine's in the user's language."""
    return QCoreApplication.translate("Settings", text)


class Row(QObject):
    """One setting. chosen(value): the person asks for it. refused(text): what was typed is no number.

    A switch is a check box; a number a box beside its name; a number that may be left out a box beside a check box
    of that name.
    """

    chosen = Signal(object)
    refused = Signal(str)

    def __init__(self, setting: Setting, hint: Any, parent: QWidget) -> None:
        super().__init__(parent)
        self.setting, self._may_be_left_out = setting, type(None) in get_args(hint)
        kinds = {*(get_args(hint) or (hint,))} - {type(None)}
        self.box = None if bool in kinds else NumberBox(setting, float not in kinds, parent)
        self.check = TickBox(tr(setting.name), parent) if self.box is None or self._may_be_left_out else None
        self.label = None if self.check is not None else QLabel(tr(setting.name), parent)
        self._dress()

    @property
    def widgets(self) -> list[QWidget]:
        """What stands in the row, from the left."""
        return [each for each in (self.check, self.label, self.box) if each is not None]

    def show_value(self, value: Any) -> None:
        """Show it, telling nobody."""
        if self.check is not None:
            with QSignalBlocker(self.check):
                self.check.setChecked(value is True if self.box is None else value is not None)
        if self.box is not None:
            self.box.show_number(value)
            self.box.setEnabled(value is not None)

    def lay(self, grid: QGridLayout, at: int) -> None:
        """Take a row of the grid."""
        widgets = self.widgets
        grid.addWidget(widgets[0], at, 0, 1, 2 if len(widgets) == 1 else 1)
        if len(widgets) == 2:
            grid.addWidget(widgets[1], at, 1)

    def mark(self, on: bool) -> None:
        """Make the name strong: this is what a person is told about."""
        name = self.widgets[0]
        name.setFont(font(SMALL_PX, strong=on))

    def _dress(self) -> None:
        tip = tr(self.setting.text)
        if self.box is not None:
            tip += tr(" Type it, or use the arrow keys.")
        for widget in self.widgets:
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
            widget.setFont(font(SMALL_PX))
        if self.label is not None and self.box is not None:
            self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            self.label.setBuddy(self.box)
        if self.check is not None:
            self.check.setAccessibleName(tr(self.setting.name))
            self.check.toggled.connect(self._toggled)
        if self.box is not None:
            self.box.setStyleSheet(COMPACT)
            self.box.setFixedWidth(BOX_WIDTH)
            self.box.setAccessibleName(tr(self.setting.name))
            self.box.chosen.connect(self.chosen)
            self.box.refused.connect(self.refused)

    def _toggled(self, on: bool) -> None:
        if self.box is None:
            self.chosen.emit(on)
            return
        usual = self.setting.usual or 1
        self.chosen.emit(usual if on else None)


class SettingsForm(QWidget):
    """All explained settings of one group of a dataclass. chosen(name, value); refused(text)."""

    chosen = Signal(str, object)
    refused = Signal(str)

    def __init__(self, group: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group, self._kind = group, type(None)
        self.rows: dict[str, Row] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(_ROW_GAP)
        self._grid.setColumnStretch(0, 1)

    def show_settings(self, settings: Any) -> None:
        """Show these, telling nobody; rows of another kind of settings go away first."""
        if type(settings) is not self._kind:
            self._make(type(settings))
        for name, row in self.rows.items():
            row.show_value(getattr(settings, name))

    def _make(self, kind: type) -> None:
        for row in self.rows.values():
            for widget in row.widgets:
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
            row.deleteLater()
        self._kind, hints = kind, get_type_hints(kind)
        self.rows = {}
        for at, (name, setting) in enumerate(settings_of(kind, self._group).items()):
            row = Row(setting, hints[name], self)
            row.setObjectName(name)
            row.chosen.connect(self._chosen)
            row.refused.connect(self.refused)
            row.lay(self._grid, at)
            self.rows[name] = row

    def _chosen(self, value: object) -> None:
        self.chosen.emit(self.sender().objectName(), value)


_INSET, _HALF, _DEEP = 13.0, 4.0, 4.0


class ChoiceBox(QComboBox):
    """The style sheet takes the arrow away, so it is drawn here, in the colour of the text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel scrolls the panel, unless the box was chosen."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The box, and the chevron."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.PlaceholderText), 1.4))
        x, y = self.width() - _INSET, self.height() / 2 - _DEEP / 2
        painter.drawPolyline(QPolygonF([QPointF(x - _HALF, y), QPointF(x, y + _DEEP), QPointF(x + _HALF, y)]))
