"""Names for screen readers: a part of a widget, such as its scroll bar, is named as what it is part of."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QTabBar,
    QWidget,
)

from xo_gui.views import View

_KINDS = (QAbstractScrollArea, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)


def name_parts(window: QWidget) -> None:
    """Give every control without an accessible name that of the nearest widget around it that has one."""
    for widget in window.findChildren(QWidget):
        if isinstance(widget, _KINDS) and not widget.accessibleName():
            widget.setAccessibleName(_name_around(widget))


def name_tab_bar(bar: QTabBar) -> None:
    """Name a row of tabs by its tabs."""
    bar.setAccessibleName(", ".join(bar.tabText(at) for at in range(bar.count())))


def _name_around(widget: QWidget) -> str:
    while (parent := widget.parentWidget()) is not None:
        name = parent.accessibleName() or (parent.title if isinstance(parent, View) else "")
        if name:
            return name
        widget = parent
    return ""
