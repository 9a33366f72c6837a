"""Sheet: a column of blocks, drawn at once, in which values can be clicked. It knows no network."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

from xo_gui.theme import DARK, Theme
from xo_gui.views.block_painter import Pass, Spot, height, paint
from xo_gui.views.blocks import Block

# What stays free at the right for the bar that scrolls, whether it is there or not: were the sheet as wide as it
# can be, it would change its height, and with it the bar, without end.
FOR_BAR = 14


class Sheet(QWidget):
    """picked(Cell): a value was clicked; chosen(int): another part of the sum was."""

    picked = Signal(object)
    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.blocks: tuple[Block, ...] = ()
        self._theme, self._cut, self._tall = DARK, False, 0
        self._spots: list[Spot] = []
        self.setMouseTracking(True)
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
        """All blocks, one below the other."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        on, top = Pass(painter, self._theme, float(self.width()), self._cut), 0.0
        for block in self.blocks:
            paint(block, top, on)
            top += height(block, on.width)
        painter.end()
        self._spots = on.spots

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
        elif spot.cell is not None:
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
