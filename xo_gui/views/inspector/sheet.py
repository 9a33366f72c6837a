"""Sheet: a widget that paints a column of blocks and makes the values in them clickable."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolTip, QWidget

from xo_gui.app import current_theme
from xo_gui.views.inspector.sheet_blocks import SheetBlock
from xo_gui.views.inspector.sheet_painting import ClickTarget, PaintContext, block_height, paint_block
from xo_gui.widgets import FocusFrameWidget

# Room kept free for the scroll bar, visible or not: a sheet of the full width would change its height, and so
# show and hide the bar, without end.
SCROLL_BAR_WIDTH = 14


class Sheet(FocusFrameWidget):
    """Signals: cell_clicked(Cell), and part_clicked(int) for another part of the sum."""

    cell_clicked = Signal(object)
    part_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.blocks: tuple[SheetBlock, ...] = ()
        self._truncate, self._block_heights = False, 0
        self._targets: list[ClickTarget] = []
        self._elided: list[tuple[QRectF, str]] = []
        self._target_index = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Arithmetic"))

    def set_blocks(self, blocks: Sequence[SheetBlock], truncate: bool) -> None:
        """Show these blocks, with the numbers in cells truncated or rounded."""
        self.blocks, self._truncate = tuple(blocks), truncate
        self._fit()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, self._block_heights)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        total = round(sum(block_height(block, self.width()) for block in self.blocks))
        if total != self._block_heights:
            self._block_heights = total
            self.setFixedHeight(max(total, 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the visible blocks, and collect their click targets."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            visible = self.visibleRegion().boundingRect()
            context = PaintContext(painter, current_theme(), float(self.width()), self._truncate)
            top = 0.0
            for block in self.blocks:
                bottom = top + block_height(block, context.width)
                if top < visible.bottom() + 1 and bottom > visible.top():
                    paint_block(block, top, context)
                top = bottom
            self._targets, self._elided = context.targets, context.elided
            if self.hasFocus() and self._targets:
                painter.setPen(QPen(QColor(current_theme().o), 1.5))
                painter.drawRect(self._targets[min(self._target_index, len(self._targets) - 1)].box)

    def elided_text_at(self, position: QPointF) -> str:
        """The whole of the text that is shown in part there; "" for none."""
        return next((text for box, text in self._elided if box.contains(position)), "")

    def event(self, event: QEvent) -> bool:
        """The tooltip of a text that is shown in part is the whole text."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.elided_text_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def _target_at(self, position: QPointF) -> ClickTarget | None:
        return next((spot for spot in self._targets if spot.box.contains(position)), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        target = self._target_at(event.position())
        self.setCursor(Qt.CursorShape.PointingHandCursor if target else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        target = self._target_at(event.position()) if event.button() == Qt.MouseButton.LeftButton else None
        if target is None:
            event.ignore()
        else:
            self._activate(target)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move between click targets; Enter activates one."""
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1}.get(key)
        if not self._targets or (step is None and key not in (Qt.Key.Key_Return, Qt.Key.Key_Enter)):
            super().keyPressEvent(event)
        elif step is None:
            self._activate(self._targets[min(self._target_index, len(self._targets) - 1)])
        else:
            self._target_index = min(max(self._target_index + step, 0), len(self._targets) - 1)
            self.update()

    def _activate(self, target: ClickTarget) -> None:
        if target.cell is not None:
            self.cell_clicked.emit(target.cell)
        elif target.part_index is not None:
            self.part_clicked.emit(target.part_index)


class SheetScrollArea(QScrollArea):
    """Vertical scroll area of a sheet."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__()
        self._sheet = sheet
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(sheet)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._sheet.setFixedWidth(max(self.width() - SCROLL_BAR_WIDTH, 1))
