"""Settings form: a form generated from the fields and metadata of a dataclass, and its combo box."""

from __future__ import annotations

from typing import Any, Final, get_args, get_type_hints

from PySide6.QtCore import QObject, QPointF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget

from engine.form_fields import FormField, form_fields_of
from xo_gui.app import SMALL_PX, engine_text, font, translate
from xo_gui.widgets.buttons import CheckBox
from xo_gui.widgets.number_edit import NumberEdit

_ROW_GAP: Final = 3
BOX_WIDTH: Final = 84
COMPACT_STYLE: Final = "padding: 1px 6px; border-radius: 5px; min-height: 16px"

_ARROW_INSET, _ARROW_HALF_WIDTH, _ARROW_HEIGHT = 13.0, 4.0, 4.0


class SettingsForm(QWidget):
    """The form of one group of settings of a dataclass. chosen(name, value).

    rejected(text): why what was typed is no number.
    """

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
            row.end()
            for widget in row.widgets:
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
            row.deleteLater()
        self._kind, hints = kind, get_type_hints(kind)
        self.rows = {}
        for at, (name, setting) in enumerate(form_fields_of(kind, self._group).items()):
            row = FormRow(name, setting, hints[name], self)
            row.chosen.connect(self.chosen)
            row.rejected.connect(self.rejected)
            row.add_to_grid(self._grid, at)
            self.rows[name] = row


class FormRow(QObject):
    """The row of one setting: a check box for a bool, a labelled number input, or both for an optional number.

    chosen(key, value): the user changes the value. rejected(text): why what was typed is no number.
    """

    chosen = Signal(str, object)
    rejected = Signal(str)

    def __init__(self, key: str, setting: FormField, hint: Any, parent: QWidget) -> None:
        """key: the name of the field in the settings. hint: its type."""
        super().__init__(parent)
        self._key = key
        self.setting, self._is_optional = setting, type(None) in get_args(hint)
        kinds = {*(get_args(hint) or (hint,))} - {type(None)}
        self.box = None if bool in kinds else NumberEdit(setting, float not in kinds, parent)
        self.check = CheckBox(engine_text(setting.name), parent) if self.box is None or self._is_optional else None
        self.label = None if self.check is not None else QLabel(engine_text(setting.name), parent)
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

    def end(self) -> None:
        """Drop unfinished input and emit nothing more: what the row was of is no longer shown."""
        self.blockSignals(True)
        if self.box is not None:
            self.box.discard()

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
        tip = engine_text(self.setting.description)
        if self.box is not None:
            tip += translate("Settings", " Type it, or use the arrow keys.")
        for widget in self.widgets:
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
            widget.setFont(font(SMALL_PX))
        if self.label is not None and self.box is not None:
            self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            self.label.setBuddy(self.box)
        if self.check is not None:
            self.check.setAccessibleName(engine_text(self.setting.name))
            self.check.toggled.connect(self._toggled)
        if self.box is not None:
            self.box.setStyleSheet(COMPACT_STYLE)
            self.box.setFixedWidth(BOX_WIDTH)
            self.box.setAccessibleName(engine_text(self.setting.name))
            self.box.chosen.connect(self._choose)
            self.box.rejected.connect(self.rejected)

    def _toggled(self, on: bool) -> None:
        if self.box is None:
            self._choose(on)
            return
        start_value = self.setting.start_value or 1
        self._choose(start_value if on else None)

    def _choose(self, value: object) -> None:
        self.chosen.emit(self._key, value)


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
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.PlaceholderText), 1.4))
            x, y, half = self.width() - _ARROW_INSET, self.height() / 2 - _ARROW_HEIGHT / 2, _ARROW_HALF_WIDTH
            painter.drawPolyline(
                QPolygonF([QPointF(x - half, y), QPointF(x, y + _ARROW_HEIGHT), QPointF(x + half, y)])
            )
