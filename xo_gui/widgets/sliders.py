"""Sliders: rows of a name, a slider and a value, the sliders of a drawing's transform, and a range slider."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QWidget

from engine.drawings import DrawingTransform
from xo_gui.app import translate
from xo_gui.widgets.buttons import FocusFrameWidget
from xo_gui.widgets.number_text import MINUS

_SPACING, _ROW_GAP = 10, 3

_HANDLE: Final = 12
_GROOVE: Final = 3
_BACKWARD: Final = (Qt.FocusReason.BacktabFocusReason,)


class ThinSlider(QSlider):
    """A horizontal slider that jumps to where it is clicked.

    change_started: the user starts a change by mouse, key or wheel; all values up to the next one belong to it.
    """

    change_started = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setMinimumWidth(48)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the handle to the mouse before dragging."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.change_started.emit()
            option = QStyleOptionSlider()
            self.initStyleOption(option)
            style, control = self.style(), QStyle.ComplexControl.CC_Slider
            handle = style.subControlRect(control, option, QStyle.SubControl.SC_SliderHandle, self)
            if not handle.contains(event.position().toPoint()):
                room = self.width() - handle.width()
                along = round(event.position().x() - handle.width() / 2)
                low, high = self.minimum(), self.maximum()
                self.setValue(QStyle.sliderValueFromPosition(low, high, along, room))
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Treat a key that is held down as one change."""
        if not event.isAutoRepeat():
            self.change_started.emit()
        super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Change the value only with focus, so that the wheel scrolls the panel otherwise."""
        if not self.hasFocus():
            event.ignore()
            return
        self.change_started.emit()
        super().wheelEvent(event)


class SliderRow(QObject):
    """A name, a slider and a value in a row of a grid.

    changed(key, place): the user moves the slider. reset(key): a double click on name or value.
    """

    changed = Signal(str, int)
    reset = Signal(str)

    def __init__(self, name: str, widest: str, parent: QWidget, key: str = "") -> None:
        """widest: the widest value text, which fixes the width of the value. key: names the row in its signals."""
        super().__init__(parent)
        self._key = key
        self.label, self.slider, self.value = QLabel(name, parent), ThinSlider(parent), QLabel(parent)
        self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.label.setBuddy(self.slider)
        self.slider.setAccessibleName(name)
        self.slider.setObjectName(key)
        self.slider.valueChanged.connect(self._slid)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.value.setMinimumWidth(self.value.fontMetrics().horizontalAdvance(widest))
        for label in (self.label, self.value):
            label.installEventFilter(self)

    def add_to_grid(self, grid: QGridLayout, row: int) -> None:
        """Add the widgets to a row of the grid."""
        for column, widget in enumerate((self.label, self.slider, self.value)):
            grid.addWidget(widget, row, column)

    def set_help(self, text: str) -> None:
        """Set the tooltip and status tip."""
        for widget in (self.label, self.slider, self.value):
            widget.setToolTip(text)
            widget.setStatusTip(text)

    def show_value(self, place: int, text: str) -> None:
        """Set the slider to `place` without emitting, and the text of the value."""
        before = self.slider.blockSignals(True)
        self.slider.setValue(place)
        self.slider.blockSignals(before)
        self.value.setText(text)
        self.slider.setAccessibleDescription(text)

    def _slid(self, place: int) -> None:
        self.changed.emit(self._key, place)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset.emit(self._key)
            return True
        return super().eventFilter(watched, event)


def slider_grid(parent: QWidget) -> QGridLayout:
    """A grid for slider rows, which aligns them."""
    grid = QGridLayout(parent)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(_SPACING)
    grid.setVerticalSpacing(_ROW_GAP)
    grid.setColumnStretch(1, 1)
    return grid


class TransformSliders(QWidget):
    """The six sliders of a drawing's transform.

    moved(transform, text, merge): the user moves one; text: the undo text; merge: the same key for all of one drag.
    """

    moved = Signal(object, str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transform = DrawingTransform()
        self._drags = 0
        self.rows: dict[str, SliderRow] = {}
        self._controls = {control.field: control for control in transform_controls()}
        grid = slider_grid(self)
        for place, control in enumerate(self._controls.values()):
            row = SliderRow(control.name, MINUS + "10.0 %", self, control.field)
            row.slider.setRange(control.low, control.high)
            row.slider.setPageStep(10)
            row.set_help(self.tr("{} (double-click the name to reset)").format(control.tip))
            row.slider.change_started.connect(self._begin_change)
            row.changed.connect(self._slid)
            row.reset.connect(self._reset)
            row.add_to_grid(grid, place)
            self.rows[control.field] = row
        self.show_transform(self._transform)

    def show_transform(self, transform: DrawingTransform) -> None:
        """Show a transform without emitting. Values between two slider steps are displayed exactly."""
        self._transform = transform
        for field, control in self._controls.items():
            value = control(transform)
            self.rows[field].show_value(round(control.to_step(value)), control.to_text(value))

    def _begin_change(self) -> None:
        self._drags += 1

    def _slid(self, field: str, place: int) -> None:
        control = self._controls[field]
        self._move(control, control.to_value(place))

    def _reset(self, field: str) -> None:
        self._begin_change()
        control = self._controls[field]
        if control(self._transform) != control(DrawingTransform()):
            self._move(control, control(DrawingTransform()))

    def _move(self, control: TransformControl, value: float) -> None:
        change: dict[str, Any] = {control.field: value}
        transform = replace(self._transform, **change)
        self.show_transform(transform)
        self.moved.emit(transform, control.undo_text, f"{control.field}-{self._drags}")


@dataclass(frozen=True)
class TransformControl:
    """One slider of the transform.

    field: of Transform.
    name, undo_text, tip: label, undo text and tooltip.
    low, high: the range in slider steps.
    to_value, to_step: conversions from slider steps to the field's value and back.
    to_text: formats the value.
    """

    field: str
    name: str
    undo_text: str
    tip: str
    low: int
    high: int
    to_value: Callable[[int], float]
    to_step: Callable[[float], float]
    to_text: Callable[[float], str]

    def __call__(self, transform: DrawingTransform) -> float:
        """The field's value of a transform."""
        value: float = getattr(transform, self.field)
        return value


def transform_controls() -> tuple[TransformControl, ...]:
    """The transform's sliders, in display order."""
    hundredths, degrees, thousandths = _in_steps(0.01), _in_steps(1), _in_steps(0.004)
    triple: Final = (lambda place: round(3 ** (place / 50), 4)), (lambda value: 50 * math.log(value, 3))
    return (
        TransformControl(
            "shift_x",
            translate("TransformSliders", "across"),
            translate("TransformSliders", "Move across"),
            translate("TransformSliders", "Moves the drawing left or right"),
            -50,
            50,
            *hundredths,
            _percent,
        ),
        TransformControl(
            "shift_y",
            translate("TransformSliders", "down"),
            translate("TransformSliders", "Move down"),
            translate("TransformSliders", "Moves the drawing up or down"),
            -50,
            50,
            *hundredths,
            _percent,
        ),
        TransformControl(
            "size",
            translate("TransformSliders", "size"),
            translate("TransformSliders", "Size"),
            translate("TransformSliders", "Shrinks or enlarges the drawing, pen included"),
            -50,
            50,
            *triple,
            lambda value: f"{100 * value:.0f} %",
        ),
        TransformControl(
            "rotate",
            translate("TransformSliders", "rotate"),
            translate("TransformSliders", "Rotate"),
            translate("TransformSliders", "Turns the drawing about the middle of the frame"),
            -90,
            90,
            *degrees,
            lambda value: signed_with_unit(value, 0, "°"),
        ),
        TransformControl(
            "bend",
            translate("TransformSliders", "bend"),
            translate("TransformSliders", "Bend"),
            translate("TransformSliders", "Bends the drawing like a bow"),
            -50,
            50,
            *_in_steps(0.02),
            lambda value: signed_with_unit(value, 2, ""),
        ),
        TransformControl(
            "thicken",
            translate("TransformSliders", "thickness"),
            translate("TransformSliders", "Thickness"),
            translate("TransformSliders", "Makes the lines thicker or thinner"),
            -25,
            25,
            *thousandths,
            lambda value: signed_with_unit(100 * value, 1, " %"),
        ),
    )


class RangeSlider(FocusFrameWidget):
    """A slider with two handles between 0 and `maximum`, the lower never above the upper. moved(low, high).

    The mouse takes the nearer handle. Tab goes from one handle to the other before it leaves; arrow keys, Page Up
    and Down, Home and End move the focused one.
    """

    moved = Signal(int, int)

    def __init__(self, most: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.maximum, self.low, self.high = most, 0, most
        self._upper = False  # the focused handle
        self._dragging = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)

    def show_places(self, low: int, high: int) -> None:
        """Set the handles, clipped to the range, without emitting."""
        places = min(max(low, 0), self.maximum), min(max(high, 0), self.maximum)
        if places != (self.low, self.high):
            self.low, self.high = places
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(84, _HANDLE + 4)

    # --- places

    def _at(self, place: int) -> float:
        return _HANDLE / 2 + place / self.maximum * (self.width() - _HANDLE)

    def handle_centre(self, upper: bool) -> QPointF:
        """The centre of a handle."""
        return QPointF(self._at(self.high if upper else self.low), self.height() / 2)

    def _place(self, x: float) -> int:
        return round((x - _HANDLE / 2) / max(self.width() - _HANDLE, 1) * self.maximum)

    def _move(self, place: int) -> None:
        """Move the focused handle, at most to the other one."""
        low, high = self.low, self.high
        if self._upper:
            high = min(max(place, low), self.maximum)
        else:
            low = max(min(place, high), 0)
        if (low, high) != (self.low, self.high):
            self.low, self.high = low, high
            self.update()
            self.moved.emit(low, high)

    # --- input

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the nearer handle to the mouse; of two in one place the one that can follow it."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        x = event.position().x()
        below, above = abs(x - self._at(self.low)), abs(x - self._at(self.high))
        self._upper = above < below or (above == below and x >= self._at(self.high) and self.high < self.maximum)
        self._dragging = True
        self._move(self._place(x))
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging and event.buttons() & Qt.MouseButton.LeftButton:
            self._move(self._place(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragging = False

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Move the focused handle; without focus the wheel scrolls the panel."""
        if not self.hasFocus():
            event.ignore()
            return
        here = self.high if self._upper else self.low
        self._move(here + (1 if event.angleDelta().y() > 0 else -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        here, page = self.high if self._upper else self.low, max(1, self.maximum // 10)
        target = {
            Qt.Key.Key_Left: here - 1, Qt.Key.Key_Right: here + 1,
            Qt.Key.Key_Down: here - 1, Qt.Key.Key_Up: here + 1,
            Qt.Key.Key_PageDown: here - page, Qt.Key.Key_PageUp: here + page,
            Qt.Key.Key_Home: 0, Qt.Key.Key_End: self.maximum,
        }.get(Qt.Key(event.key()))  # fmt: skip
        if target is None:
            super().keyPressEvent(event)
        else:
            self._move(target)

    def focusNextPrevChild(self, next: bool) -> bool:
        """Tab goes to the other handle first."""
        if self.hasFocus() and self._upper != next:
            self._upper = next
            self.update()
            return True
        return super().focusNextPrevChild(next)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Tab comes to the lower handle, Shift+Tab to the upper one."""
        if event.reason() in (Qt.FocusReason.TabFocusReason, *_BACKWARD):
            self._upper = event.reason() in _BACKWARD
        super().focusInEvent(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The groove, the range in it, and the handles, that of the keyboard with a ring."""
        palette, role = self.palette(), QPalette.ColorRole
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            middle, group = (
                self.height() / 2,
                QPalette.ColorGroup.Normal if self.isEnabled() else QPalette.ColorGroup.Disabled,
            )
            low, high = self.handle_centre(False), self.handle_centre(True)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.color(group, role.Mid))
            painter.drawRoundedRect(QRectF(0, middle - _GROOVE / 2, self.width(), _GROOVE), 1, 1)
            painter.setBrush(palette.color(group, role.PlaceholderText))
            painter.drawRect(QRectF(low.x(), middle - _GROOVE / 2, high.x() - low.x(), _GROOVE))
            for upper in (not self._upper, self._upper):
                chosen = self.hasFocus() and upper == self._upper
                fill = QColor(palette.color(group, role.Text))
                painter.setBrush(fill)
                painter.setPen(
                    QPen(palette.color(role.Highlight), 2) if chosen else QPen(palette.color(role.Window), 1)
                )
                inset = 1.0 if chosen else 0.5
                painter.drawEllipse(self.handle_centre(upper), _HANDLE / 2 - inset, _HANDLE / 2 - inset)


def signed_with_unit(value: float, digits: int, unit: str) -> str:
    """A number with its sign and unit, 0 without: "+12 %", "−0.30", "0"."""
    if round(value, digits) == 0:
        return "0"
    return f"{'+' if value > 0 else MINUS}{abs(value):.{digits}f}{unit}"


def _in_steps(step: float) -> tuple[Callable[[int], float], Callable[[float], float]]:
    # Rounded, because 3 x 0.01 is not 0.03 and files and undo texts should hold the displayed value.
    return (lambda place: round(place * step, 6)), (lambda value: value / step)


def _percent(value: float) -> str:
    return signed_with_unit(100 * value, 0, " %")
