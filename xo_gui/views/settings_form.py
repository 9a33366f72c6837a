"""Settings form: a row for every explained setting of a dataclass, made from its fields and metadata alone. It
checks nothing: it says what was asked for, and shows what it is told."""

from __future__ import annotations

from typing import Any, Final, get_args, get_type_hints

from PySide6.QtCore import QCoreApplication, QObject, QSignalBlocker, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from engine.form_fields import Setting, settings_of
from xo_gui.app.theme import SMALL_PX, font
from xo_gui.views.canvas_buttons import TickBox
from xo_gui.views.number_box import NumberBox

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
