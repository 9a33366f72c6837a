"""Ink: a finished drawing as a pixmap, kept while it stays and added to while it grows. Not a widget."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen, QPixmap

from engine.drawings.drawing import THINNEST, Array, Drawing, Stroke, Transform, smooth
from engine.drawings.raster import Index, cells, fitted, render
from xo_gui.app.theme import DARK, LARGE_PX, SMALL_PX, Theme, colours, font, to_qimage

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


class PenStroke:
    """Gathers the pen's places as they are seen and turns them into a stroke of the drawing's own source.

    The drawing may be seen under a transform; the stroke is then laid so that it appears exactly where the pen
    was and as wide. grid: as in Stroke, 0 for a smooth pen.
    """

    def __init__(self, transform: Transform, erase: bool = False, grid: int = 0) -> None:
        """A stroke without points; it is none before the first `add`."""
        self.erase, self.grid = erase, grid
        self._transform = transform
        # The transform thickens ink and thins erasers, so that both move the edge of the ink outward.
        self._thicken = -transform.thicken if erase else transform.thicken
        self._seen = np.empty((64, 3), np.float32)
        self._source = np.empty((64, 3), np.float32)
        self._count = 0
        self._told = 0

    def add(self, x: float, y: float, diameter: float) -> bool:
        """The pen is seen here, in frame units. False, and nothing added, if it has not moved."""
        least = THINNEST * self._transform.size + self._thicken
        place = np.array([(x, y, max(diameter, least))], np.float32)
        if self._count and np.array_equal(place[0, :2], self._seen[self._count - 1, :2]):
            return False
        if self._count == len(self._seen):
            self._seen, self._source = (
                np.resize(kept, (2 * self._count, 3)) for kept in (self._seen, self._source)
            )
        self._seen[self._count] = place
        self._source[self._count] = self._under(place)
        self._count += 1
        return True

    def stroke(self) -> Stroke:
        """The whole of it so far, as a stroke of the drawing."""
        return Stroke(self._source[: self._count].copy(), self.erase, self.grid)

    def settled(self) -> Array:
        """The part of the line, as it is seen, that became final since the last call: (m, 3), m may be 0.

        A smoothed line bends towards a new point only beyond the middle of its last step. Joined end to end the
        parts are the whole line but for its `tail`.
        """
        if self._count < 3 or self._told == self._count:
            return self._seen[:0]
        first = max(self._told - 2, 0)
        line = smooth(self._seen[first : self._count])
        self._told = self._count
        return line[:-1] if first == 0 else line[1:-1]

    def retell(self) -> None:
        """Let `settled` begin anew."""
        self._told = 0

    def tail(self) -> Array:
        """The rest of the line, which may still bend: (1 or 2, 3), as it is seen."""
        last = self._seen[max(self._count - 2, 0) : self._count]
        if self._count < 3:
            return last.copy()
        return np.stack([last.mean(axis=0, dtype=np.float32), last[1]])

    def _under(self, place: Array) -> Array:
        """What must be drawn for the pen to be seen at `place`, (1, 3)."""
        if self._transform.is_identity:
            return place
        diameter = (place[:, 2] - np.float32(self._thicken)) / np.float32(self._transform.size)
        return np.column_stack([self._transform.inverse(place[:, :2]), diameter])


class GrowingInk:
    """What of the stroke has settled is painted once, onto a copy of the finished drawing; its tail each time."""

    def __init__(self) -> None:
        self._ink = Ink()
        self._live: QPixmap | None = None
        self._of: tuple[PenStroke | None, Theme] = None, DARK

    def paint(
        self,
        painter: QPainter,
        frame: QRectF,
        drawing: Drawing,
        stroke: PenStroke | None,
        theme: Theme,
        ratio: float,
    ) -> None:
        """drawing: the finished one. stroke: on top of it, None if none is under way. ratio: of device pixels."""
        finished = self._ink.pixmap(drawing, theme, round(frame.width() * ratio), ratio)
        if self._of != (stroke, theme):
            self._live, self._of = None, (stroke, theme)
        if stroke is None:
            painter.drawPixmap(frame.topLeft(), finished)
            return
        colour = theme.paper if stroke.erase else theme.ink
        if self._live is None or self._live.size() != finished.size():
            self._live = QPixmap(finished)
            stroke.retell()
        settled = stroke.settled()
        if len(settled):
            onto = QPainter(self._live)
            onto.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_line(onto, settled, frame.width(), colour)
            onto.end()
        painter.drawPixmap(frame.topLeft(), self._live)
        painter.save()
        painter.setClipRect(frame)
        painter.translate(frame.topLeft())
        paint_line(painter, stroke.tail(), frame.width(), colour)
        painter.restore()


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


CORNER = 4.0
_SMALLEST_RING = 5.0
_LINE_GAP = 6.0


def paint_grid(painter: QPainter, frame: QRectF, side: int, theme: Theme) -> None:
    """Hairlines between the cells of a pixel canvas, on the very pixels where its cells meet."""
    ratio = painter.device().devicePixelRatio()
    pixels = round(frame.width() * ratio)
    hair = 1 / ratio
    colour = QColor(theme.line)
    for cell in range(1, side):
        edge = -(-cell * pixels // side) / ratio
        painter.fillRect(QRectF(frame.left() + edge, frame.top(), hair, frame.height()), colour)
        painter.fillRect(QRectF(frame.left(), frame.top() + edge, frame.width(), hair), colour)


def paint_edge(painter: QPainter, frame: QRectF, theme: Theme, focused: bool, by_keys: bool) -> None:
    """The frame's thin rounded border, stronger when the canvas has the keyboard."""
    outside = QPainterPath()
    outside.addRect(frame.adjusted(-1, -1, 1, 1))
    outside.addRoundedRect(frame.adjusted(-0.5, -0.5, 0.5, 0.5), CORNER, CORNER)
    painter.fillPath(outside, QColor(theme.ground))
    width = 2.0 if by_keys else 1.0
    colour = theme.o if by_keys else theme.quiet if focused else theme.line
    inset = width / 2 - 1
    painter.setPen(QPen(QColor(colour), width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(frame.adjusted(inset, inset, -inset, -inset), CORNER, CORNER)


def paint_pen(painter: QPainter, centre: QPointF, diameter: float, theme: Theme, erase: bool) -> None:
    """A thin ring of the pen's size, seen on paper and on ink alike; dashed for the eraser."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    radius = max(diameter, _SMALLEST_RING) / 2
    for pen in _outline(theme, dashed=erase):
        painter.setPen(pen)
        painter.drawEllipse(centre, radius, radius)


def _outline(theme: Theme, dashed: bool = False) -> tuple[QPen, QPen]:
    """A quiet line on a halo of paper, which is seen on paper and on ink."""
    halo, line = QColor(theme.paper), QPen(QColor(theme.quiet), 1.25)
    halo.setAlpha(150)
    if dashed:
        line.setDashPattern([3.0, 2.5])
    return QPen(halo, 3.25), line


def paint_cell(painter: QPainter, frame: QRectF, side: int, place: tuple[float, float], theme: Theme) -> None:
    """An outline around the cell at `place` (frame units), if there is one."""
    column, row = int(place[0] * side // 1), int(place[1] * side // 1)
    if not (0 <= column < side and 0 <= row < side):
        return
    cell = frame.width() / side
    painter.setBrush(Qt.BrushStyle.NoBrush)
    left, top = frame.left() + column * cell, frame.top() + row * cell
    for pen in _outline(theme):
        painter.setPen(pen)
        painter.drawRect(QRectF(left, top, cell, cell).adjusted(2, 2, -2, -2))


def paint_cross_hair(painter: QPainter, frame: QRectF, centre: QPointF, theme: Theme) -> None:
    """Two hairlines through the place of the keyboard's pen."""
    painter.setPen(QPen(QColor(theme.faint), 1))
    painter.drawLine(QPointF(frame.left(), centre.y()), QPointF(frame.right(), centre.y()))
    painter.drawLine(QPointF(centre.x(), frame.top()), QPointF(centre.x(), frame.bottom()))


def paint_invitation(painter: QPainter, frame: QRectF, first: str, second: str, theme: Theme) -> None:
    """Two quiet lines in the middle of an empty canvas, on paper of their own where there is a grid."""
    painter.setPen(QColor(theme.quiet))
    large, small = font(LARGE_PX), font(SMALL_PX)
    room = frame.adjusted(8, 8, -8, -8)
    heights = [QFontMetricsF(which).height() for which in (large, small)]
    top = frame.center().y() - (sum(heights) + _LINE_GAP) / 2
    for which, text, height in zip((large, small), (first, second), heights, strict=True):
        painter.setFont(which)
        line = QRectF(room.left(), top, room.width(), height)
        words = painter.boundingRect(line, Qt.AlignmentFlag.AlignCenter, text)
        painter.fillRect(words.adjusted(-6, -_LINE_GAP / 2, 6, _LINE_GAP / 2), QColor(theme.paper))
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)
        top += height + _LINE_GAP
