"""Batch strip: thumbnails of the drawings in one training batch, with the error of each."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from engine.backends import HostArray
from engine.data import Dataset
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.widgets import four_digit_text, picture_atlas

_TILE, _GAP, _BAR, _MORE_GAP = 28.0, 4.0, 3.0, 8
_MAX_CACHED = 512  # images


class BatchStrip(QWidget):
    """Thumbnails in batch order, each above a bar of its error. Signal: example_chosen(index in the batch)."""

    example_chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._discard_images)
        self._examples: Dataset | None = None
        self._indices: HostArray = np.zeros(0, np.int64)
        self._errors: HostArray = np.zeros(0)
        self._selected, self._first = 0, 0
        self._images: dict[int, QImage] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Drawings of the batch"))

    def sizeHint(self) -> QSize:
        return QSize(300, int(_TILE + _BAR + 4))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def set_batch(self, examples: Dataset, indices: HostArray, errors: HostArray, at: int) -> None:
        """Show a batch, given by its `indices` in `examples`, with the one at `at` selected."""
        if examples is not self._examples or len(self._images) > _MAX_CACHED:
            self._images.clear()
        self._examples, self._indices, self._errors = examples, indices, errors
        self._selected = min(at, len(indices) - 1)
        self._first = 0 if self._first >= len(indices) else self._first
        self.setAccessibleDescription(self._description(self._selected))
        self.update()

    def _discard_images(self) -> None:
        self._images.clear()
        self.update()

    def visible_tiles(self) -> list[tuple[QRectF, int]]:
        """The boxes of the visible drawings, with their indices in the batch."""
        room = self.width() if self._fits(self.width()) >= len(self._indices) else self.width() - self._more_width
        shown = range(self._first, min(self._first + self._fits(room), len(self._indices)))
        return [(QRectF((at - self._first) * (_TILE + _GAP) + 1, 1, _TILE, _TILE), at) for at in shown]

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Choose the drawing under the mouse; right of the last, show the next ones."""
        at = self._index_at(event.position())
        if at is not None:
            self.example_chosen.emit(at)
        elif (tiles := self.visible_tiles()) and event.position().x() > tiles[-1][0].right():
            self._first = tiles[-1][1] + 1 if tiles[-1][1] + 1 < len(self._indices) else 0
            self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The left and right arrow keys choose a drawing."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not len(self._indices):
            super().keyPressEvent(event)
            return
        at = min(max(self._selected + step, 0), len(self._indices) - 1)
        shown = [index for _, index in self.visible_tiles()]
        if shown and at not in shown:
            self._first = at if step > 0 else max(0, at - len(shown) + 1)
        self.example_chosen.emit(at)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            at = self._index_at(QPointF(event.pos()))  # type: ignore[attr-defined]
            QToolTip.showText(event.globalPos(), "" if at is None else self._description(at), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._examples is None:
            return
        theme = current_theme()
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            most = float(np.nan_to_num(self._errors, posinf=0).max(initial=1e-9))
            tiles = self.visible_tiles()
            for box, at in tiles:
                painter.drawImage(box, self._image(int(self._indices[at])))
                is_selected = at == self._selected
                colour = theme.o if is_selected and self.hasFocus() else theme.text if is_selected else theme.border
                painter.setPen(QPen(QColor(colour), 2 if is_selected else 1))
                painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
                share = float(np.nan_to_num(self._errors[at], posinf=most)) / most if len(self._errors) else 0.0
                bar = QRectF(box.x(), box.bottom() + 3, max(box.width() * min(share, 1.0), 1.0), _BAR)
                painter.fillRect(bar, QColor(theme.text if is_selected else theme.disabled_text))
            left = len(self._indices) - (tiles[-1][1] + 1 if tiles else 0)
            if tiles and (left or self._first):
                text = self.tr("+{0} more").format(left) if left else self.tr("first ones")
                painter.setPen(QColor(theme.secondary_text))
                room = QRectF(tiles[-1][0].right() + _MORE_GAP, 1, self._more_width - _MORE_GAP, _TILE)
                painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)

    def _description(self, at: int) -> str:
        if self._examples is None or not 0 <= at < len(self._indices):
            return ""
        label = int(self._examples.labels[self._indices[at]])
        name = self._examples.classes[label] if label >= 0 else self.tr("neither")
        error = four_digit_text(float(self._errors[at])) if at < len(self._errors) else "?"
        return self.tr("Drawing {0} of {1}: {2}, error {3}").format(at + 1, len(self._indices), name, error)

    def _image(self, index: int) -> QImage:
        assert self._examples is not None
        if index not in self._images:
            self._images[index] = picture_atlas(self._examples.images[index], current_theme())
        return self._images[index]

    @property
    def _more_width(self) -> int:
        """The width of the text after the last drawing, and of the gap before it."""
        metrics = QFontMetrics(font(SMALL_PX))
        texts = self.tr("+{0} more").format(len(self._indices)), self.tr("first ones")
        return _MORE_GAP + max(map(metrics.horizontalAdvance, texts)) + 1

    def _fits(self, room: float) -> int:
        return max(1, int((room + _GAP) // (_TILE + _GAP)))

    def _index_at(self, at: QPointF) -> int | None:
        return next((index for box, index in self.visible_tiles() if box.contains(at)), None)
