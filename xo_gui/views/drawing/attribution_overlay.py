"""Attribution overlay: a map of what speaks for and against a class, over the drawing on the canvas."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from engine.backends import HostArray
from engine.explain import Explanation
from xo_gui.app import SMALL_PX, Theme, colours, current_theme, font, theme_service
from xo_gui.views.drawing.canvas import Canvas
from xo_gui.views.network import rounded_limit
from xo_gui.widgets import MINUS, limit_text

# Alpha of the canvas colour over the strokes, so that the map's colours can be distinguished.
_VEIL_ALPHA = 130
# Alpha of the strongest colour, through which strokes stay faintly visible.
_MAX_ALPHA = 225


class AttributionOverlay(QWidget):
    """Covers the canvas with an attribution map and its legend; transparent for mouse events."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        theme_service.changed.connect(self._renew_image)
        self._canvas = canvas
        self._map: HostArray | None = None
        self._image: QImage | None = None
        self._level = 1.0
        self._legend = ("", "")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        canvas.installEventFilter(self)
        self.hide()

    def show_result(self, result: Explanation | None, classes: tuple[str, ...] = ()) -> None:
        """Show the map of a result; hides the overlay if it has none, or explains a single value.

        classes: the network's class names, for the legend.
        """
        attribution = None if result is None or result.query.kind == "worth" else result.map
        if attribution is None:
            self.hide()
        elif attribution is not self._map:
            self._map = attribution
            self._make_image()
        if result is not None:
            self._legend = self._legend_texts(result, classes)
        if attribution is not None:
            self.setGeometry(self._canvas.rect())
            self.show()

    def _renew_image(self) -> None:
        if self._map is not None:
            self._make_image()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._canvas.rect())
        return False

    def _make_image(self) -> None:
        assert self._map is not None
        finite = np.nan_to_num(self._map)
        self._level = rounded_limit(float(np.abs(finite).max()))
        self._image = _translucent_image(finite, self._level, current_theme())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._image is None:
            return
        with QPainter(self) as painter:
            frame = self._canvas.frame()
            veil = QColor(current_theme().canvas)
            veil.setAlpha(_VEIL_ALPHA)
            painter.fillRect(frame, veil)
            painter.drawImage(frame, self._image)
            self._paint_legend(painter, frame)

    def _paint_legend(self, painter: QPainter, frame: QRectF) -> None:
        """Paint each colour with its limit and meaning; only the green one if no value is negative."""
        painter.setFont(font(SMALL_PX))
        metrics = painter.fontMetrics()
        has_negative = self._map is not None and bool((np.nan_to_num(self._map) < 0).any())
        parts = [(current_theme().value_stops[4], f"+{limit_text(self._level)} {self._legend[1]}")]
        if has_negative:
            parts.insert(0, (current_theme().value_stops[0], f"{MINUS}{limit_text(self._level)} {self._legend[0]}"))
        texts = [text for _, text in parts]
        width = sum(24 + metrics.horizontalAdvance(text) for text in texts)
        if width > frame.width() - 16:  # class names may be long
            room = int((frame.width() - 16) / len(parts)) - 24
            texts = [metrics.elidedText(text, Qt.TextElideMode.ElideRight, room) for text in texts]
            width = sum(24 + metrics.horizontalAdvance(text) for text in texts)
        x, y = frame.left() + 6, frame.bottom() - 22
        painter.fillRect(QRectF(x, y, width + 4, 17), QColor(current_theme().background))
        for (colour, _), text in zip(parts, texts, strict=True):
            painter.fillRect(QRectF(x + 5, y + 4, 9, 9), QColor(colour))
            painter.setPen(QColor(current_theme().text))
            across = metrics.horizontalAdvance(text)
            painter.drawText(QRectF(x + 18, y, across + 2, 17), Qt.AlignmentFlag.AlignVCenter, text)
            x += 24 + across

    def _legend_texts(self, result: Explanation, classes: tuple[str, ...]) -> tuple[str, str]:
        """The meanings of violet and green."""
        name = classes[result.target] if result.target < len(classes) else ""
        if result.query.cell:
            name = self.tr("it")
        if result.query.kind == "flip":
            return self.tr("taken away"), self.tr("added")
        if result.query.kind == "gradient":
            return self.tr("lowers {0}").format(name), self.tr("raises {0}").format(name)
        return self.tr("against {0}").format(name), self.tr("for {0}").format(name)


def _translucent_image(values: HostArray, limit: float, theme: Theme) -> QImage:
    """An ARGB image of (H, W): the strongest colour of each sign, with an alpha that rises with the magnitude."""
    extremes = np.where(values < 0, -limit, limit)
    pixels = colours(extremes, -limit, limit, theme.value_table)
    alpha = np.minimum(np.abs(values) / limit, 1.0) ** 0.7 * _MAX_ALPHA
    argb = ((pixels & 0x00FFFFFF) | (alpha.astype(np.uint32) << 24)).astype(np.uint32)
    height, width = argb.shape
    return QImage(argb.data, width, height, 4 * width, QImage.Format.Format_ARGB32).copy()
