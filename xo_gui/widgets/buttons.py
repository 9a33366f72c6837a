"""The drawing panel's small buttons: rows that fold where there is no room, and a box with a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QWidget

from xo_gui.app.theme import SMALL_PX, font

_GAP, _ROW_GAP, _GROUP_GAP = 4, 6, 10
_BOX, _BOX_GAP = 15, 7
_TICK = ((3.5, 7.2), (6.2, 10.0), (10.8, 4.2))
_SHEET = "QPushButton { padding: 5px 7px; min-width: 10px; }"


class ButtonRows(QWidget):
    """Two groups of buttons, the second at the right of the first or, in a narrow panel, under it."""

    def __init__(self, first: Sequence[QPushButton], second: Sequence[QPushButton], parent: QWidget) -> None:
        super().__init__(parent)
        self._groups = (self._group(first), self._group(second))
        self.setStyleSheet(_SHEET)
        self.setMinimumWidth(max(group.sizeHint().width() for group in self._groups))
        self._arrange()

    def _group(self, buttons: Sequence[QPushButton]) -> QWidget:
        group = QWidget(self)
        row = QHBoxLayout(group)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        for button in buttons:
            row.addWidget(button)
        return group

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The width decides on the number of rows."""
        self._arrange()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Another font has other widths."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._arrange()
        super().changeEvent(event)

    def sizeHint(self) -> QSize:
        """Both groups in one row."""
        first, second = (group.sizeHint() for group in self._groups)
        return QSize(first.width() + _GROUP_GAP + second.width(), self.minimumHeight())

    def _arrange(self) -> None:
        first, second = self._groups
        sizes = [group.sizeHint() for group in self._groups]
        height = max(size.height() for size in sizes)
        together = sizes[0].width() + _GROUP_GAP + sizes[1].width() <= self.width()
        first.setGeometry(0, 0, sizes[0].width(), height)
        left, top = (self.width() - sizes[1].width(), 0) if together else (0, height + _ROW_GAP)
        second.setGeometry(left, top, sizes[1].width(), height)
        self.setFixedHeight(top + height)


class TickBox(QCheckBox):
    """A check box whose empty square is seen on a dark ground, too, as Fusion's is not."""

    def sizeHint(self) -> QSize:
        """The square, the words."""
        words = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, self.text())
        return QSize(_BOX + _BOX_GAP + words.width() + 2, max(words.height(), _BOX) + 4)

    def minimumSizeHint(self) -> QSize:
        """The same: words are not cut."""
        return self.sizeHint()

    def hitButton(self, place: QPoint) -> bool:
        """The words count as the square."""
        return QRect(QPoint(0, 0), self.sizeHint()).contains(place)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Square, tick and words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role, palette = QPalette.ColorRole, self.palette()
        edge = role.Highlight if self.hasFocus() else role.Text if self.isChecked() else role.PlaceholderText
        square = QRectF(0.5, (self.height() - _BOX) // 2 + 0.5, _BOX - 1, _BOX - 1)
        painter.setPen(QPen(palette.color(edge), 1))
        painter.setBrush(palette.brush(role.Button))
        if not self.isEnabled():
            painter.setOpacity(0.5)
        painter.drawRoundedRect(square, 3, 3)
        if self.isChecked():
            painter.setPen(QPen(palette.color(role.Text), 1.75))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            tick = [QPointF(square.left() + x, square.top() + y) for x, y in _TICK]
            painter.drawPolyline(QPolygonF(tick))
        painter.setOpacity(1)
        painter.setPen(palette.color(role.WindowText))
        words = QRectF(self.rect().adjusted(_BOX + _BOX_GAP, 0, 0, 0))
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextShowMnemonic, self.text())
        painter.end()


class CompactButton(QPushButton):
    """act: what a click does. padding: above and beside the words, in pixels. small: in the small letters."""

    def __init__(
        self,
        text: str,
        tip: str,
        act: Callable[[], object],
        parent: QWidget,
        padding: tuple[int, int] = (5, 8),
        small: bool = False,
    ) -> None:
        super().__init__(text, parent)
        self.setToolTip(tip)
        self.setStatusTip(tip)
        self.clicked.connect(act)
        style = f"padding: {padding[0]}px {padding[1]}px; min-width: 10px"
        if small:
            self.setFont(font(SMALL_PX))
            style += f"; font-size: {SMALL_PX}px"
        self.setStyleSheet(style)


class KeyedWidget(QWidget):
    """Painted anew whenever the keyboard comes or goes, so that it can show where keys go."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Keys go here now."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """And no longer."""
        super().focusOutEvent(event)
        self.update()


class QuietWords(QLabel):
    """As many lines as it takes, from the top, in the theme's quiet colour."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setFont(font(SMALL_PX))
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
