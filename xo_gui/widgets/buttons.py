"""Small widgets: wrapping button rows, check boxes, compact buttons, hint labels, and a base with a focus frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from xo_gui.app import SMALL_PX, font

_GAP, _ROW_GAP, _GROUP_GAP = 4, 6, 10
_BOX, _BOX_GAP = 15, 7
_TICK = ((3.5, 7.2), (6.2, 10.0), (10.8, 4.2))
_STYLE = "QPushButton { padding: 5px 7px; min-width: 10px; }"


class ButtonRows(QWidget):
    """Two groups of buttons, side by side or, in a narrow panel, one below the other."""

    def __init__(self, first: Sequence[QPushButton], second: Sequence[QPushButton], parent: QWidget) -> None:
        super().__init__(parent)
        self._groups = (self._group(first), self._group(second))
        self.setStyleSheet(_STYLE)
        self.setMinimumWidth(max(group.sizeHint().width() for group in self._groups))
        self._arrange()

    def set_second(self, buttons: Sequence[QPushButton]) -> None:
        """Replace the second group; its buttons are deleted."""
        old, group = self._groups[1], self._group(buttons)
        self._groups = (self._groups[0], group)
        old.hide()
        old.deleteLater()
        self.setMinimumWidth(max(group.sizeHint().width() for group in self._groups))
        group.show()
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
        self._arrange()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._arrange()
        super().changeEvent(event)

    def sizeHint(self) -> QSize:
        first, second = (group.sizeHint() for group in self._groups)
        return QSize(first.width() + _GROUP_GAP + second.width(), self.minimumHeight())

    def _arrange(self) -> None:
        first, second = self._groups
        sizes = [group.sizeHint() for group in self._groups]
        height = max(size.height() for size in sizes)
        in_one_row = sizes[0].width() + _GROUP_GAP + sizes[1].width() <= self.width()
        first.setGeometry(0, 0, sizes[0].width(), height)
        left, top = (self.width() - sizes[1].width(), 0) if in_one_row else (0, height + _ROW_GAP)
        second.setGeometry(left, top, sizes[1].width(), height)
        self.setFixedHeight(top + height)


class CheckBox(QCheckBox):
    """A check box whose empty square is visible on a dark background, unlike Fusion's."""

    def sizeHint(self) -> QSize:
        text = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, self.text())
        return QSize(_BOX + _BOX_GAP + text.width() + 2, max(text.height(), _BOX) + 4)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, place: QPoint) -> bool:
        return QRect(QPoint(0, 0), self.sizeHint()).contains(place)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
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
            text = QRectF(self.rect().adjusted(_BOX + _BOX_GAP, 0, 0, 0))
            painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextShowMnemonic, self.text())


class CompactButton(QPushButton):
    """A button with little padding.

    tip: tooltip and status tip.
    on_click: the slot of a click; None for a button of a group.
    padding: vertical and horizontal, in pixels.
    small: whether to use the small font.
    """

    def __init__(
        self,
        text: str,
        tip: str,
        on_click: Callable[[], object] | None,
        parent: QWidget,
        padding: tuple[int, int] = (5, 8),
        small: bool = False,
    ) -> None:
        super().__init__(text, parent)
        self.setToolTip(tip)
        self.setStatusTip(tip)
        if on_click is not None:
            self.clicked.connect(on_click)
        style = f"padding: {padding[0]}px {padding[1]}px; min-width: 10px"
        if small:
            self.setFont(font(SMALL_PX))
            style += f"; font-size: {SMALL_PX}px"
        self.setStyleSheet(style)


class HeaderButton(QToolButton):
    """A small flat button in the header of a panel; `HeaderButton` in the style sheet has its colours.

    tip: tooltip and status tip. name: the accessible name, if it is not the text.
    """

    def __init__(self, text: str, tip: str, parent: QWidget | None = None, name: str = "") -> None:
        super().__init__(parent)
        self.setText(text)
        self.setToolTip(tip)
        self.setStatusTip(tip)
        self.setAccessibleName(name or text)
        self.setFont(font(SMALL_PX))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class FocusFrameWidget(QWidget):
    """A widget that repaints when it gains or loses focus, so that it can paint a focus frame."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()


class HintLabel(QLabel):
    """A word-wrapped label in the small font and the secondary text colour."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setFont(font(SMALL_PX))
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
