"""Batch strip: the drawings that one step learns from, small, with the error of each. It learns nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from engine.data.dataset import Examples
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.widgets import number_text
from xo_gui.widgets.map_images import picture_atlas

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_TILE, _GAP, _BAR, _MORE = 28.0, 4.0, 3.0, 62.0
_KEPT = 512  # images


class BatchStrip(QWidget):
    """Thumbnails in the order of the batch; under each a bar as long as its error is large. chosen(place): one
    of the batch, from 0, was picked."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._examples: Examples | None = None
        self._places: HostArray = np.zeros(0, np.int64)
        self._errors: HostArray = np.zeros(0)
        self._at, self._first = 0, 0
        self._images: dict[int, QImage] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Drawings of the batch"))

    def sizeHint(self) -> QSize:
        """One row."""
        return QSize(300, int(_TILE + _BAR + 4))

    def minimumSizeHint(self) -> QSize:
        """A few of them."""
        return QSize(120, self.sizeHint().height())

    def show_batch(self, examples: Examples, places: HostArray, errors: HostArray, at: int) -> None:
        """These examples, the one at `at` chosen."""
        if examples is not self._examples or len(self._images) > _KEPT:
            self._images.clear()
        self._examples, self._places, self._errors = examples, places, errors
        self._at = min(at, len(places) - 1)
        self._first = 0 if self._first >= len(places) else self._first
        self.setAccessibleDescription(self._words(self._at))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self._images.clear()
        self.update()

    def tiles(self) -> list[tuple[QRectF, int]]:
        """Where the drawings stand that there is room for, with their places in the batch."""
        room = self.width() if self._fits(self.width()) >= len(self._places) else self.width() - _MORE
        shown = range(self._first, min(self._first + self._fits(room), len(self._places)))
        return [(QRectF((at - self._first) * (_TILE + _GAP) + 1, 1, _TILE, _TILE), at) for at in shown]

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Choose the drawing under the mouse; beyond the last, show the next ones."""
        at = self._under(event.position())
        if at is not None:
            self.chosen.emit(at)
        elif (tiles := self.tiles()) and event.position().x() > tiles[-1][0].right():
            self._first = tiles[-1][1] + 1 if tiles[-1][1] + 1 < len(self._places) else 0
            self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right choose."""
        turn = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if turn is None or not len(self._places):
            super().keyPressEvent(event)
            return
        at = min(max(self._at + turn, 0), len(self._places) - 1)
        shown = [place for _, place in self.tiles()]
        if shown and at not in shown:
            self._first = at if turn > 0 else max(0, at - len(shown) + 1)
        self.chosen.emit(at)

    def event(self, event: QEvent) -> bool:
        """The tooltip says which drawing it is."""
        if event.type() == QEvent.Type.ToolTip:
            at = self._under(QPointF(event.pos()))  # type: ignore[attr-defined]
            QToolTip.showText(event.globalPos(), "" if at is None else self._words(at), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The thumbnails and their bars."""
        if self._examples is None:
            return
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        most = float(np.nan_to_num(self._errors, posinf=0).max(initial=1e-9))
        tiles = self.tiles()
        for box, at in tiles:
            painter.drawImage(box, self._image(int(self._places[at])))
            mine = at == self._at
            colour = theme.o if mine and self.hasFocus() else theme.text if mine else theme.line
            painter.setPen(QPen(QColor(colour), 2 if mine else 1))
            painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
            share = float(np.nan_to_num(self._errors[at], posinf=most)) / most if len(self._errors) else 0.0
            bar = QRectF(box.x(), box.bottom() + 3, max(box.width() * min(share, 1.0), 1.0), _BAR)
            painter.fillRect(bar, QColor(theme.text if mine else theme.faint))
        left = len(self._places) - (tiles[-1][1] + 1 if tiles else 0)
        if tiles and (left or self._first):
            words = self.tr("+{0} more").format(left) if left else self.tr("first ones")
            painter.setPen(QColor(theme.quiet))
            room = QRectF(tiles[-1][0].right() + 8, 1, _MORE, _TILE)
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)

    def _words(self, at: int) -> str:
        if self._examples is None or not 0 <= at < len(self._places):
            return ""
        label = int(self._examples.labels[self._places[at]])
        name = self._examples.classes[label] if label >= 0 else self.tr("neither")
        error = number_text.figures(float(self._errors[at])) if at < len(self._errors) else "?"
        return self.tr("Drawing {0} of {1}: {2}, error {3}").format(at + 1, len(self._places), name, error)

    def _image(self, place: int) -> QImage:
        assert self._examples is not None
        if place not in self._images:
            self._images[place] = picture_atlas(self._examples.images[place], self._theme)
        return self._images[place]

    def _fits(self, room: float) -> int:
        return max(1, int((room + _GAP) // (_TILE + _GAP)))

    def _under(self, at: QPointF) -> int | None:
        return next((place for box, place in self.tiles() if box.contains(at)), None)
