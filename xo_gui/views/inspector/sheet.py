"""Sheet: a column of blocks, drawn at once, in which values can be clicked. It knows no network."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from xo_gui.app.theme import DARK, Theme
from xo_gui.views.inspector.sheet_blocks import Block
from xo_gui.views.inspector.sheet_painting import Pass, Spot, height, paint
from xo_gui.widgets.buttons import KeyedWidget

# What stays free at the right for the bar that scrolls, whether it is there or not: were the sheet as wide as it
# can be, it would change its height, and with it the bar, without end.
FOR_BAR = 14


class Sheet(KeyedWidget):
    """picked(Cell): a value was clicked; chosen(int): another part of the sum was."""

    picked = Signal(object)
    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.blocks: tuple[Block, ...] = ()
        self._theme, self._cut, self._tall = DARK, False, 0
        self._spots: list[Spot] = []
        self._chosen = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Arithmetic"))

    def show_blocks(self, blocks: Sequence[Block], cut: bool) -> None:
        """Show these from the next paint on. cut: whether digits are cut off instead of rounded."""
        self.blocks, self._cut = tuple(blocks), cut
        self._fit()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """As tall as what is on it."""
        return QSize(240, self._tall)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width takes another height."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        tall = round(sum(height(block, self.width()) for block in self.blocks))
        if tall != self._tall:
            self._tall = tall
            self.setFixedHeight(max(tall, 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The blocks that are in view, one below the other; only those can be clicked."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        seen, on = self.visibleRegion().boundingRect(), Pass(painter, self._theme, float(self.width()), self._cut)
        top = 0.0
        for block in self.blocks:
            tall = height(block, on.width)
            if top < seen.bottom() + 1 and top + tall > seen.top():
                paint(block, top, on)
            top += tall
        self._spots = on.spots
        if self.hasFocus() and self._spots:
            painter.setPen(QPen(QColor(self._theme.o), 1.5))
            painter.drawRect(self._spots[min(self._chosen, len(self._spots) - 1)].box)
        painter.end()

    def _at(self, place: QPointF) -> Spot | None:
        return next((spot for spot in self._spots if spot.box.contains(place)), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand over what can be clicked."""
        found = self._at(event.position())
        self.setCursor(Qt.CursorShape.PointingHandCursor if found else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the value clicked."""
        spot = self._at(event.position()) if event.button() == Qt.MouseButton.LeftButton else None
        if spot is None:
            event.ignore()
        else:
            self._pick(spot)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go from one value to the next, Enter goes to it."""
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1}.get(key)
        if not self._spots or (step is None and key not in (Qt.Key.Key_Return, Qt.Key.Key_Enter)):
            super().keyPressEvent(event)
        elif step is None:
            self._pick(self._spots[min(self._chosen, len(self._spots) - 1)])
        else:
            self._chosen = min(max(self._chosen + step, 0), len(self._spots) - 1)
            self.update()

    def _pick(self, spot: Spot) -> None:
        if spot.cell is not None:
            self.picked.emit(spot.cell)
        elif spot.choice is not None:
            self.chosen.emit(spot.choice)


class SheetArea(QScrollArea):
    """Scrolls a sheet up and down."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__()
        self._sheet = sheet
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(sheet)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The sheet is as wide as there is, less the bar."""
        super().resizeEvent(event)
        self._sheet.setFixedWidth(max(self.width() - FOR_BAR, 1))
