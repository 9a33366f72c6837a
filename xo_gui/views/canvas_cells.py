"""Cells: a drawing as a network's few square pixels, kept while it stays. Not a widget, and no network's values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QPainter

from engine.drawings.drawing import Array, Drawing, Stroke
from engine.drawings.raster import Index, cells, fitted, render
from xo_gui.app.theme import Theme, colours, to_qimage


class Cells:
    """Renders drawings at a network's own size and remembers the last one."""

    def __init__(self) -> None:
        """Nothing rendered yet."""
        self._drawing = Drawing()
        self._asked = (0, False)
        self._picture = np.empty((0, 0), np.float32)

    def picture(self, drawing: Drawing, side: int, fit: bool) -> Array:
        """The drawing at `side`, fitted to the frame first if `fit`: (side, side) float32, -1 to 1."""
        if drawing is not self._drawing or self._asked != (side, fit):
            self._picture = render(fitted(drawing) if fit else drawing, side)
            self._drawing, self._asked = drawing, (side, fit)
        return self._picture

    def growing(self, drawing: Drawing, stroke: Stroke) -> Array:
        """The drawing with one more stroke of the pixel canvas on top, at the stroke's own grid.

        Without a transform only the new cells are worked out, however long the drawing is.
        """
        if not drawing.transform.is_identity:
            return render(drawing.with_stroke(stroke), stroke.grid)
        picture = self.picture(drawing, stroke.grid, False).copy()
        row, column = cells(stroke).T
        picture[row, column] = -1 if stroke.erase else 1
        return picture


def cell_image(picture: Array, theme: Theme, pixels: int) -> QImage:
    """A picture (side, side) as square cells, each of whole pixels, that together fill `pixels`."""
    sizes = np.diff(_edges(len(picture), pixels))
    words = colours(picture, -1, 1, theme.picture_table)
    return to_qimage(words.repeat(sizes, axis=1).repeat(sizes, axis=0))


def paint_cells(painter: QPainter, corner: QPointF, picture: Array, theme: Theme, pixels: int) -> None:
    """What cell_image would be, painted with its top left corner there; `pixels` are the device's.

    Row by row: making an image of that size for every movement of the pen costs several times as much.
    """
    side, ratio = len(picture), painter.device().devicePixelRatio()
    edges = _edges(side, pixels)
    words = colours(picture, -1, 1, theme.picture_table).repeat(np.diff(edges), axis=1)
    image, heights = to_qimage(words), (edges / ratio).tolist()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for row, (top, bottom) in enumerate(pairwise(heights)):
        target = QRectF(corner.x(), corner.y() + top, pixels / ratio, bottom - top)
        painter.drawImage(target, image, QRectF(0, row, pixels, 1))
    painter.restore()


def _edges(side: int, pixels: int) -> Index:
    """Where `side` cells begin and the last one ends, in pixels: (side + 1,)."""
    return -(-np.arange(side + 1) * pixels // side)
