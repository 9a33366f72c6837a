"""Strip scroll: the bar under the network that moves what is wider than the panel. It knows no values."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QScrollBar, QWidget

from xo_gui.views.columns import Column


class StripScroll(QScrollBar):
    """Hidden where everything fits."""

    def __init__(self, margin: float, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._margin = margin
        self.setAccessibleName(self.tr("Scroll the network"))
        self.hide()

    def fit(self, content: float, width: float, bottom: float) -> bool:
        """What is `content` wide is seen through `width`, above `bottom`; whether the bar came or went for that."""
        needed = content > width + 0.5
        self.setGeometry(int(self._margin), int(bottom - 11), int(width), 10)
        self.setRange(0, max(0, round(content - width)))
        self.setPageStep(int(width))
        self.setSingleStep(40)
        if needed != self.isHidden():
            return False
        self.setVisible(needed)
        return True

    def turn_wheel(self, event: QWheelEvent) -> None:
        """Move with the wheel, either way, if there is more than fits."""
        delta = event.angleDelta().x() or event.angleDelta().y()
        if self.isHidden() or not delta:
            event.ignore()
            return
        self.setValue(self.value() - delta)

    def show_column(self, column: Column | None, width: float) -> None:
        """Move no more than brings a column into a view of this width, its left edge above all."""
        if column is not None and not self.isHidden():
            low, high = round(column.right - width + self._margin), round(column.x - self._margin)
            self.setValue(min(max(self.value(), low), high))
