"""Ink: a finished drawing as a pixmap, kept while it stays and added to while it grows. Not a widget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap

from engine.drawings.drawing import Array, Drawing, Stroke
from engine.drawings.raster import render
from xo_gui.app.theme import Theme, colours, to_qimage

# A moved image is warped at no more than this many pixels a side: finer is not seen, and slows the sliders.
_WARP_SIDE = 320


class Ink:
    """Paints drawings as they are read, and remembers the last one, so that one more stroke costs one stroke."""

    def __init__(self) -> None:
        """Nothing painted yet."""
        self._pixmap = QPixmap()
        self._drawing = Drawing()
        self._worn: tuple[str, int, float] | None = None

    def pixmap(self, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> QPixmap:
        """The drawing on paper, `pixels` a side, for a screen of this device pixel ratio.

        Paints, so it may be called only within a paintEvent.
        """
        worn = (theme.name, pixels, ratio)
        if worn == self._worn and drawing is self._drawing:
            return self._pixmap
        if worn == self._worn and _grew(self._drawing, drawing):
            added = drawing.strokes[len(self._drawing.strokes) :]
        else:
            added = self._start(drawing, theme, pixels, ratio)
        painter = QPainter(self._pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for stroke in added:
            path = stroke.path(drawing.transform)
            paint_line(painter, path, pixels / ratio, theme.paper if stroke.erase else theme.ink)
        painter.end()
        self._drawing, self._worn = drawing, worn
        return self._pixmap

    def _start(self, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> tuple[Stroke, ...]:
        """A fresh pixmap with what only the raster can draw; gives the strokes that are left to be painted."""
        self._pixmap = QPixmap(pixels, pixels)
        self._pixmap.setDevicePixelRatio(ratio)
        self._pixmap.fill(QColor(theme.paper))
        grids = [place for place, stroke in enumerate(drawing.strokes, 1) if stroke.grid]
        below = grids[-1] if grids else 0
        if below or drawing.image is not None:
            self._paint_raster(replace(drawing, strokes=drawing.strokes[:below]), theme, pixels, ratio)
        return drawing.strokes[below:]

    def _paint_raster(self, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> None:
        side = pixels if drawing.transform.is_identity else min(pixels, _WARP_SIDE)
        image = to_qimage(colours(render(drawing, side), -1, 1, theme.picture_table))
        painter = QPainter(self._pixmap)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0, 0, pixels / ratio, pixels / ratio), image)
        painter.end()


def paint_line(painter: QPainter, path: Array, scale: float, colour: str) -> None:
    """A pen's line (n, 3) x, y, diameter, `scale` logical pixels to the frame, as round-ended straight pieces."""
    x, y, diameter = (path * np.float32(scale)).T.tolist()
    places = [QPointF(*place) for place in zip(x, y, strict=True)]
    pen = QPen(QColor(colour), 1, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    if len(places) == 1:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(places[0], diameter[0] / 2, diameter[0] / 2)
        return
    first = 0
    while first < len(places) - 1:
        last, width = first + 1, (diameter[first] + diameter[first + 1]) / 2
        # A mouse's pen has one width: its whole line is one chain, which has no seams.
        while last + 1 < len(places) and abs((diameter[last] + diameter[last + 1]) / 2 - width) < 0.01:
            last += 1
        pen.setWidthF(width)
        painter.setPen(pen)
        painter.drawPolyline(places[first : last + 1])
        first = last


def _grew(before: Drawing, after: Drawing) -> bool:
    """Whether `after` is `before` with more smooth strokes on top."""
    count = len(before.strokes)
    return (
        after.image is before.image
        and after.transform == before.transform
        and len(after.strokes) >= count
        and after.strokes[:count] == before.strokes
        and not any(stroke.grid for stroke in after.strokes[count:])
    )
