"""Overlay: what speaks for and against a class, laid over the drawing on the canvas. It takes no clicks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from engine.explain.queries import Answer
from xo_gui.app.theme import DARK, SMALL_PX, Theme, colours, font
from xo_gui.views.drawing.canvas import Canvas
from xo_gui.views.network.colour_limits import calm
from xo_gui.widgets.number_text import MINUS, level

HostArray: TypeAlias = "np.ndarray[Any, Any]"
# How much of the paper lies over the strokes, so that colours can be told on them.
VEIL = 130
# The strongest colour lets a little of the stroke through.
OPAQUE = 225


class Overlay(QWidget):
    """Lies over the canvas, as large as it, with a legend at its foot."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._canvas, self._theme = canvas, DARK
        self._map: HostArray | None = None
        self._image: QImage | None = None
        self._level = 1.0
        self._words = ("", "")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        canvas.installEventFilter(self)
        self.hide()

    def show_answer(self, answer: Answer | None, classes: tuple[str, ...] = ()) -> None:
        """Show the picture of this answer; none for one that has none, or is of a single value. classes: the names
        of the network's, by which the legend says what the colours are for."""
        shown = None if answer is None or answer.question.kind == "worth" else answer.map
        if shown is None:
            self.hide()
        elif shown is not self._map:
            self._map = shown
            self._make()
        if answer is not None:
            self._words = self._meaning(answer, classes)
        if shown is not None:
            self.setGeometry(self._canvas.rect())
            self.show()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        if self._map is not None:
            self._make()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """As large as the canvas, always."""
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._canvas.rect())
        return False

    def _make(self) -> None:
        assert self._map is not None
        known = np.nan_to_num(self._map)
        self._level = calm(float(np.abs(known).max()))
        self._image = translucent(known, self._level, self._theme)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The picture over the canvas's frame, and the legend."""
        if self._image is None:
            return
        painter = QPainter(self)
        frame = self._canvas.frame()
        veil = QColor(self._theme.paper)
        veil.setAlpha(VEIL)
        painter.fillRect(frame, veil)
        painter.drawImage(frame, self._image)
        self._paint_legend(painter, frame)
        painter.end()

    def _paint_legend(self, painter: QPainter, frame: QRectF) -> None:
        """Each colour with its largest value and what it says; only the green one where nothing is below 0."""
        painter.setFont(font(SMALL_PX))
        metrics = painter.fontMetrics()
        both = self._map is not None and bool((np.nan_to_num(self._map) < 0).any())
        parts = [(self._theme.stops[4], f"+{level(self._level)} {self._words[1]}")]
        if both:
            parts.insert(0, (self._theme.stops[0], f"{MINUS}{level(self._level)} {self._words[0]}"))
        texts = [text for _, text in parts]
        wide = sum(24 + metrics.horizontalAdvance(text) for text in texts)
        if wide > frame.width() - 16:  # names of classes may be long
            room = int((frame.width() - 16) / len(parts)) - 24
            texts = [metrics.elidedText(text, Qt.TextElideMode.ElideRight, room) for text in texts]
            wide = sum(24 + metrics.horizontalAdvance(text) for text in texts)
        x, y = frame.left() + 6, frame.bottom() - 22
        painter.fillRect(QRectF(x, y, wide + 4, 17), QColor(self._theme.ground))
        for (colour, _), text in zip(parts, texts, strict=True):
            painter.fillRect(QRectF(x + 5, y + 4, 9, 9), QColor(colour))
            painter.setPen(QColor(self._theme.text))
            across = metrics.horizontalAdvance(text)
            painter.drawText(QRectF(x + 18, y, across + 2, 17), Qt.AlignmentFlag.AlignVCenter, text)
            x += 24 + across

    def _meaning(self, answer: Answer, classes: tuple[str, ...]) -> tuple[str, str]:
        """What violet and green stand for."""
        name = classes[answer.target] if answer.target < len(classes) else ""
        if answer.question.kind == "flip":
            return self.tr("taken away"), self.tr("added")
        if answer.question.kind == "gradient":
            return self.tr("lowers {0}").format(name), self.tr("raises {0}").format(name)
        return self.tr("against {0}").format(name), self.tr("for {0}").format(name)


def translucent(values: HostArray, most: float, theme: Theme) -> QImage:
    """(H, W) as a picture of value colours that is clear where values are 0 and dense where they are large."""
    ends = np.where(values < 0, -most, most)
    words = colours(ends, -most, most, theme.value_table)
    alpha = np.minimum(np.abs(values) / most, 1.0) ** 0.7 * OPAQUE
    made = ((words & 0x00FFFFFF) | (alpha.astype(np.uint32) << 24)).astype(np.uint32)
    high, wide = made.shape
    return QImage(made.data, wide, high, 4 * wide, QImage.Format.Format_ARGB32).copy()
