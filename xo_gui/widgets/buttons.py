"""Small widgets: wrapping button rows, check boxes, compact buttons, hint labels, and a base with a focus frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QCheckBox, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from xo_gui.app import SMALL_PX, font

_GAP, _ROW_GAP, _GROUP_GAP = 4, 6, 10
_BOX, _BOX_GAP = 15, 7
_TICK = ((3.5, 7.2), (6.2, 10.0), (10.8, 4.2))
_STYLE = "QPushButton { padding: 5px 7px; min-width: 10px; }"
_FRAME = 1  # the border that the style sheet gives a button


class WrappingRow(QWidget):
    """Widgets side by side, each as wide as it needs; what does not fit starts another line.

    fills: whether the widgets of a line share the width that is left over.
    """

    def __init__(self, widgets: Sequence[QWidget], parent: QWidget, fills: bool = True) -> None:
        super().__init__(parent)
        self._widgets, self._fills = tuple(widgets), fills
        for widget in widgets:
            widget.setParent(self)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_widgets(self, widgets: Sequence[QWidget]) -> None:
        """Replace the widgets; those before are deleted."""
        for widget in self._widgets:
            widget.hide()
            widget.deleteLater()
        self._widgets = tuple(widgets)
        for widget in widgets:
            widget.setParent(self)
            widget.show()
        self.updateGeometry()
        self._arrange()

    def sizeHint(self) -> QSize:
        line = self._shown
        width = sum(_needed(widget).width() for widget in line) + _GAP * max(len(line) - 1, 0)
        return QSize(width, self._height(self._lines(width)))

    def minimumSizeHint(self) -> QSize:
        width = max((_needed(widget).width() for widget in self._shown), default=0)
        return QSize(width, self._height([self._shown]))

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._height(self._lines(width))

    def event(self, event: QEvent) -> bool:
        """Arrange the widgets again when one of them is shown, hidden or needs another size."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
            self._arrange()
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    @property
    def _shown(self) -> list[QWidget]:
        return [widget for widget in self._widgets if not widget.isHidden()]

    def _lines(self, width: int) -> list[list[QWidget]]:
        lines: list[list[QWidget]] = []
        room = -1
        for widget in self._shown:
            needed = _needed(widget).width()
            if not lines or needed > room:
                lines.append([])
                room = width
            lines[-1].append(widget)
            room -= needed + _GAP
        return lines

    def _height(self, lines: list[list[QWidget]]) -> int:
        heights = [max((_needed(widget).height() for widget in line), default=0) for line in lines]
        return sum(heights) + _GAP * max(len(heights) - 1, 0)

    def _arrange(self) -> None:
        top = 0
        for line in self._lines(self.width()):
            widths = [_needed(widget).width() for widget in line]
            spare = max(self.width() - sum(widths) - _GAP * (len(line) - 1), 0) if self._fills else 0
            height, left = self._height([line]), 0
            for at, (widget, width) in enumerate(zip(line, widths, strict=True)):
                wide = width + spare // len(line) + (at < spare % len(line))
                widget.setGeometry(left, top, min(wide, self.width()), height)
                left += wide + _GAP
            top += height + _GAP


def _needed(widget: QWidget) -> QSize:
    return widget.sizeHint().expandedTo(widget.minimumSizeHint()).expandedTo(widget.minimumSize())


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
        self._padding = padding
        style = f"padding: {padding[0]}px {padding[1]}px"
        if small:
            self.setFont(font(SMALL_PX))
            style += f"; font-size: {SMALL_PX}px"
        self.setStyleSheet(style)

    def sizeHint(self) -> QSize:
        """The size of the text and its padding: the style would make every button 80 pixels wide."""
        self.ensurePolished()
        down, across = self._padding
        text = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, self.text())
        return QSize(text.width() + 2 * (across + _FRAME), text.height() + 2 * (down + _FRAME))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


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
