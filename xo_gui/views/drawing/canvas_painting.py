"""Canvas painting: cached pixmaps of drawings, the current stroke, pixel cells, and the canvas's frame and pen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen, QPixmap

from engine.drawings import (
    MIN_PEN_DIAMETER,
    Drawing,
    DrawingTransform,
    FloatArray,
    IntArray,
    Stroke,
    fit_to_frame,
    grid_cells,
    render,
    smooth_path,
)
from xo_gui.app import DARK, LARGE_PX, SMALL_PX, Theme, colours, font, to_qimage

# Largest side of a transformed image; more pixels are not visible and slow the sliders.
_MAX_WARP_SIDE = 320

# Points of a drawing from which painting them all takes longer than a frame.
_INTRICATE = 400
_SLICE = 0.006  # seconds of painting an intricate drawing before other events get their turn
# Longest polyline in points: a longer one crosses itself so often that Qt takes several times as long.
_MAX_POLYLINE = 64
# Straight pieces of a line that are turned into polylines at once: the longest polyline, times 16.
_LINES_AT_ONCE = 16 * (_MAX_POLYLINE - 1)

CORNER = 4.0
_MIN_RING = 5.0
_LINE_GAP = 6.0


class LiveStrokePainter:
    """Paints a drawing with the current stroke: its settled part once, onto a copy of the pixmap, and its tail."""

    def __init__(self) -> None:
        self._ink = MovedPixmap()
        self._live: QPixmap | None = None
        self._live_key: tuple[PenStroke | None, Theme, int] = None, DARK, 0

    @property
    def is_behind(self) -> bool:
        """Whether the drawing is still being painted; painting again continues."""
        return self._ink.is_behind

    def paint(
        self,
        painter: QPainter,
        frame: QRectF,
        drawing: Drawing,
        stroke: PenStroke | None,
        theme: Theme,
        ratio: float,
    ) -> None:
        """drawing: without the current stroke. stroke: the current one, or None. ratio: device pixel ratio."""
        finished = self._ink.pixmap(drawing, theme, round(frame.width() * ratio), ratio)
        key = stroke, theme, finished.cacheKey()
        if self._live_key != key:
            self._live, self._live_key = None, key
        if stroke is None:
            painter.drawPixmap(frame.topLeft(), finished)
            return
        colour = theme.canvas if stroke.erase else theme.ink
        if self._live is None or self._live.size() != finished.size():
            self._live = QPixmap(finished)
            stroke.reset_settled()
        settled = stroke.take_settled()
        if len(settled):
            with QPainter(self._live) as onto:
                onto.setRenderHint(QPainter.RenderHint.Antialiasing)
                paint_line(onto, settled, frame.width(), colour)
        painter.drawPixmap(frame.topLeft(), self._live)
        painter.save()
        painter.setClipRect(frame)
        painter.translate(frame.topLeft())
        paint_line(painter, stroke.tail(), frame.width(), colour)
        painter.restore()


class MovedPixmap:
    """Paints drawings, and moves the pixmap of an intricate one instead of painting its strokes anew."""

    def __init__(self) -> None:
        self._painted = DrawingPixmap()
        self._moved = QPixmap()
        self._key: tuple[Drawing, int] | None = None
        self._checked: tuple[tuple[Stroke, ...], DrawingTransform, bool] = (), DrawingTransform(), True

    @property
    def is_behind(self) -> bool:
        return self._painted.is_behind

    def pixmap(self, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> QPixmap:
        """As of DrawingPixmap; an intricate drawing is sampled where it is turned, scaled or shifted."""
        unmoved = _unmoved(drawing.transform)
        simple = unmoved == drawing.transform or not _is_intricate(drawing)
        if simple or not self._is_inside(drawing.strokes, unmoved):
            return self._painted.pixmap(drawing, theme, pixels, ratio)
        painted = self._painted.pixmap(drawing.with_transform(unmoved), theme, pixels, ratio)
        key = drawing, painted.cacheKey()
        if key != self._key:
            self._key = key
            self._move(painted, drawing, theme)
        return self._moved

    def _is_inside(self, strokes: tuple[Stroke, ...], unmoved: DrawingTransform) -> bool:
        """Whether all ink is in the frame: what is beyond it is not in the pixmap, and may be moved inside."""
        if self._checked[:2] != (strokes, unmoved):
            paths = np.concatenate([stroke.path(unmoved) for stroke in strokes])
            reach = paths[:, 2:] / 2
            inside = bool(((paths[:, :2] - reach >= 0) & (paths[:, :2] + reach <= 1)).all())
            self._checked = strokes, unmoved, inside
        return self._checked[2]

    def _move(self, painted: QPixmap, drawing: Drawing, theme: Theme) -> None:
        side, move = painted.deviceIndependentSize().width(), drawing.transform
        self._moved = QPixmap(painted.size())
        self._moved.setDevicePixelRatio(painted.devicePixelRatio())
        self._moved.fill(QColor(theme.canvas))
        with QPainter(self._moved) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.translate(side * (0.5 + move.shift_x), side * (0.5 + move.shift_y))
            painter.rotate(move.rotate)
            painter.scale(move.size, move.size)
            painter.drawPixmap(QPointF(-side / 2, -side / 2), painted)


@dataclass(eq=False)
class _Painting:
    """A drawing on its way onto a pixmap. lines: what is left to paint: colour, places, width."""

    drawing: Drawing
    key: tuple[str, int, float]
    pixmap: QPixmap
    lines: Iterator[tuple[str, list[QPointF], float]]

    def advance(self, deadline: float = math.inf) -> bool:
        """Paint at least one line, and more until the deadline; returns whether all are painted."""
        with QPainter(self.pixmap) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for colour, places, width in self.lines:
                _paint_polyline(painter, places, width, colour)
                if perf_counter() >= deadline:
                    return False
        return True


class DrawingPixmap:
    """Paints drawings as the network reads them; caches the last one, so that a further stroke costs one stroke.

    An intricate drawing is painted in slices; until it is finished, the one before is shown.
    """

    def __init__(self) -> None:
        self._shown: _Painting | None = None
        self._coming: _Painting | None = None

    @property
    def is_behind(self) -> bool:
        """Whether an older drawing than the wanted one is shown; asking for the pixmap again continues."""
        return self._coming is not None

    def pixmap(self, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> QPixmap:
        """The drawing on the canvas colour, `pixels` a side, for a screen of this device pixel ratio.

        It paints, so it may be called only within a paintEvent.
        """
        key = (theme.name, pixels, ratio)
        deadline = perf_counter() + _SLICE if _is_intricate(drawing) else math.inf
        if self._shows(drawing, key):
            self._coming = None
        elif self._coming is None or self._coming.key != key or deadline == math.inf:
            self._coming = self._start(drawing, theme, key)
        # One that was asked for earlier is finished first: during a drag there would never be a finished one.
        while self._coming is not None:
            coming, self._coming = self._coming, None  # started again if painting fails
            if not coming.advance(deadline):
                self._coming = coming
                break
            self._shown = coming
            self._coming = None if self._shows(drawing, key) else self._start(drawing, theme, key)
        if self._shown is None or self._shown.key != key:
            assert self._coming is not None
            return self._coming.pixmap
        if self._coming is None and drawing is not self._shown.drawing:
            added = drawing.strokes[len(self._shown.drawing.strokes) :]
            self._shown.lines = _lines(added, drawing.transform, theme, pixels / ratio)
            self._shown.advance()
            self._shown.drawing = drawing
        return self._shown.pixmap

    def _shows(self, drawing: Drawing, key: tuple[str, int, float]) -> bool:
        """Whether the shown drawing is this one, or this one without its last strokes."""
        shown = self._shown
        return shown is not None and shown.key == key and _grew(shown.drawing, drawing)

    def _start(self, drawing: Drawing, theme: Theme, key: tuple[str, int, float]) -> _Painting:
        """A new pixmap with what needs rasterizing."""
        _, pixels, ratio = key
        pixmap = QPixmap(pixels, pixels)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(theme.canvas))
        grids = [count for count, stroke in enumerate(drawing.strokes, 1) if stroke.grid]
        rasterized = grids[-1] if grids else 0
        if rasterized or drawing.image is not None:
            below = replace(drawing, strokes=drawing.strokes[:rasterized])
            self._paint_raster(pixmap, below, theme, pixels, ratio)
        lines = _lines(drawing.strokes[rasterized:], drawing.transform, theme, pixels / ratio)
        return _Painting(drawing, key, pixmap, lines)

    @staticmethod
    def _paint_raster(pixmap: QPixmap, drawing: Drawing, theme: Theme, pixels: int, ratio: float) -> None:
        side = pixels if drawing.transform.is_identity else min(pixels, _MAX_WARP_SIDE)
        image = to_qimage(colours(render(drawing, side), -1, 1, theme.picture_table))
        with QPainter(pixmap) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(0, 0, pixels / ratio, pixels / ratio), image)


class PenStroke:
    """Collects the pen's points on the screen and converts them to a stroke of the untransformed drawing.

    The transformed stroke appears exactly where and as wide as the pen has drawn it. grid: as in Stroke, 0 for a
    smooth pen.
    """

    def __init__(self, transform: DrawingTransform, erase: bool = False, grid: int = 0) -> None:
        self.erase, self.grid = erase, grid
        self._transform = transform
        # The transform thickens ink and thins erasers, so that both move the edge of the ink outward.
        self._thicken = -transform.thicken if erase else transform.thicken
        self._screen = np.empty((64, 3), np.float32)
        self._source = np.empty((64, 3), np.float32)
        self._count = 0
        self._settled_count = 0

    def add(self, x: float, y: float, diameter: float) -> bool:
        """Add a point on the screen, in frame units; returns False, without adding, if the pen has not moved."""
        min_diameter = MIN_PEN_DIAMETER * self._transform.pen_scale + self._thicken
        point = np.array([(x, y, max(diameter, min_diameter))], np.float32)
        if self._count and np.array_equal(point[0, :2], self._screen[self._count - 1, :2]):
            return False
        if self._count == len(self._screen):
            self._screen, self._source = (
                np.resize(points, (2 * self._count, 3)) for points in (self._screen, self._source)
            )
        self._screen[self._count] = point
        self._source[self._count] = self._to_source(point)
        self._count += 1
        return True

    def stroke(self) -> Stroke:
        """All points so far, as a stroke of the drawing."""
        return Stroke(self._source[: self._count].copy(), self.erase, self.grid)

    def take_settled(self) -> FloatArray:
        """The part of the line on the screen that became final since the last call: (m, 3), m may be 0.

        A new point bends a smoothed line only beyond the middle of its last step. All parts together are the line
        without its `tail`.
        """
        if self._count < 3 or self._settled_count == self._count:
            return self._screen[:0]
        first = max(self._settled_count - 2, 0)
        line = smooth_path(self._screen[first : self._count])
        self._settled_count = self._count
        return line[:-1] if first == 0 else line[1:-1]

    def reset_settled(self) -> None:
        """Restart `take_settled` at the first point."""
        self._settled_count = 0

    def tail(self) -> FloatArray:
        """The end of the line on the screen, which may still bend: (1 or 2, 3)."""
        last = self._screen[max(self._count - 2, 0) : self._count]
        if self._count < 3:
            return last.copy()
        return np.stack([last.mean(axis=0, dtype=np.float32), last[1]])

    def _to_source(self, point: FloatArray) -> FloatArray:
        """The point (1, 3) of the untransformed drawing that appears at `point`."""
        if self._transform.is_identity:
            return point
        diameter = (point[:, 2] - np.float32(self._thicken)) / np.float32(self._transform.pen_scale)
        return np.column_stack([self._transform.inverse(point[:, :2]), diameter])


class CellRenderer:
    """Renders drawings at the size of a network's input, and caches the last one."""

    def __init__(self) -> None:
        self._drawing = Drawing()
        self._options = (0, False)
        self._picture = np.empty((0, 0), np.float32)

    def render(self, drawing: Drawing, side: int, fit: bool) -> FloatArray:
        """Render the drawing, fitted to the frame first if `fit`: (side, side) float32, -1 to 1."""
        if drawing is not self._drawing or self._options != (side, fit):
            self._picture = render(fit_to_frame(drawing) if fit else drawing, side)
            self._drawing, self._options = drawing, (side, fit)
        return self._picture

    def render_with_stroke(self, drawing: Drawing, stroke: Stroke) -> FloatArray:
        """Render the drawing with a further stroke of the pixel canvas, at the stroke's grid.

        Without a transform only the new cells are computed, whatever the length of the drawing.
        """
        if not drawing.transform.is_identity:
            return render(drawing.with_stroke(stroke), stroke.grid)
        picture = self.render(drawing, stroke.grid, False).copy()
        row, column = grid_cells(stroke).T
        picture[row, column] = -1 if stroke.erase else 1
        return picture


def cell_image(picture: FloatArray, theme: Theme, pixels: int) -> QImage:
    """An image of (side, side) as square cells of whole pixels that together fill `pixels`."""
    sizes = np.diff(_edges(len(picture), pixels))
    image = colours(picture, -1, 1, theme.picture_table)
    return to_qimage(image.repeat(sizes, axis=1).repeat(sizes, axis=0))


def paint_cells(painter: QPainter, corner: QPointF, picture: FloatArray, theme: Theme, pixels: int) -> None:
    """Paint the image of `cell_image` with its top left at `corner`; `pixels` are device pixels.

    It is painted row by row, because creating a full image for every pen movement costs several times as much.
    """
    side, ratio = len(picture), painter.device().devicePixelRatio()
    edges = _edges(side, pixels)
    rows = colours(picture, -1, 1, theme.picture_table).repeat(np.diff(edges), axis=1)
    image, heights = to_qimage(rows), (edges / ratio).tolist()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for row, (top, bottom) in enumerate(pairwise(heights)):
        target = QRectF(corner.x(), corner.y() + top, pixels / ratio, bottom - top)
        painter.drawImage(target, image, QRectF(0, row, pixels, 1))
    painter.restore()


def paint_line(painter: QPainter, path: FloatArray, scale: float, colour: str) -> None:
    """Paint a line (n, 3) of x, y and diameter as round-capped segments; `scale` logical pixels are one frame."""
    for places, width in _polylines(path, scale):
        _paint_polyline(painter, places, width, colour)


def _lines(
    strokes: tuple[Stroke, ...], transform: DrawingTransform, theme: Theme, scale: float
) -> Iterator[tuple[str, list[QPointF], float]]:
    """The colour, places and width of the polylines that strokes are painted as."""
    for stroke in strokes:
        colour = theme.canvas if stroke.erase else theme.ink
        for places, width in _polylines(stroke.path(transform), scale):
            yield colour, places, width


def _polylines(path: FloatArray, scale: float) -> Iterator[tuple[list[QPointF], float]]:
    """The places and widths of the polylines that a line is painted as; one place is a dot."""
    scaled = path * np.float32(scale)
    if len(scaled) == 1:
        x, y, width = scaled[0].tolist()
        yield [QPointF(x, y)], width
        return
    for start in range(0, len(scaled) - 1, _LINES_AT_ONCE):
        points = scaled[start : start + _LINES_AT_ONCE + 1].tolist()
        widths = [(one[2] + other[2]) / 2 for one, other in pairwise(points)]
        first = 0
        while first < len(widths):
            # A line of constant width, as a mouse draws, is one polyline, which has no seams.
            last, end = first + 1, min(len(widths), first + _MAX_POLYLINE - 1)
            while last < end and abs(widths[last] - widths[first]) < 0.01:
                last += 1
            yield [QPointF(x, y) for x, y, _ in points[first : last + 1]], widths[first]
            first = last


def _paint_polyline(painter: QPainter, places: list[QPointF], width: float, colour: str) -> None:
    if len(places) == 1:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(places[0], width / 2, width / 2)
        return
    style, cap, join = Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
    painter.setPen(QPen(QColor(colour), width, style, cap, join))
    painter.drawPolyline(places)


def paint_grid(painter: QPainter, frame: QRectF, side: int, theme: Theme) -> None:
    """Paint hairlines between the cells of a pixel canvas, on the pixels where cells meet."""
    ratio = painter.device().devicePixelRatio()
    pixels = round(frame.width() * ratio)
    hair = 1 / ratio
    colour = QColor(theme.border)
    for cell in range(1, side):
        edge = -(-cell * pixels // side) / ratio
        painter.fillRect(QRectF(frame.left() + edge, frame.top(), hair, frame.height()), colour)
        painter.fillRect(QRectF(frame.left(), frame.top() + edge, frame.width(), hair), colour)


def paint_edge(painter: QPainter, frame: QRectF, theme: Theme, focused: bool, by_keys: bool) -> None:
    """Paint the frame's thin rounded border, stronger with focus, and most by keyboard focus."""
    outside = QPainterPath()
    outside.addRect(frame.adjusted(-1, -1, 1, 1))
    outside.addRoundedRect(frame.adjusted(-0.5, -0.5, 0.5, 0.5), CORNER, CORNER)
    painter.fillPath(outside, QColor(theme.background))
    width = 2.0 if by_keys else 1.0
    colour = theme.o if by_keys else theme.secondary_text if focused else theme.border
    inset = width / 2 - 1
    painter.setPen(QPen(QColor(colour), width))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(frame.adjusted(inset, inset, -inset, -inset), CORNER, CORNER)


def paint_pen(painter: QPainter, centre: QPointF, diameter: float, theme: Theme, erase: bool) -> None:
    """Paint a thin ring of the pen's diameter, dashed for the eraser."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    radius = max(diameter, _MIN_RING) / 2
    for pen in _outline(theme, dashed=erase):
        painter.setPen(pen)
        painter.drawEllipse(centre, radius, radius)


def paint_cell(painter: QPainter, frame: QRectF, side: int, place: tuple[float, float], theme: Theme) -> None:
    """Outline the cell at `place` (frame units), if it is inside the frame."""
    column, row = int(place[0] * side // 1), int(place[1] * side // 1)
    if not (0 <= column < side and 0 <= row < side):
        return
    cell = frame.width() / side
    painter.setBrush(Qt.BrushStyle.NoBrush)
    left, top = frame.left() + column * cell, frame.top() + row * cell
    for pen in _outline(theme):
        painter.setPen(pen)
        painter.drawRect(QRectF(left, top, cell, cell).adjusted(2, 2, -2, -2))


def paint_crosshair(painter: QPainter, frame: QRectF, centre: QPointF, theme: Theme) -> None:
    """Paint two hairlines through the position of the keyboard pen."""
    painter.setPen(QPen(QColor(theme.disabled_text), 1))
    painter.drawLine(QPointF(frame.left(), centre.y()), QPointF(frame.right(), centre.y()))
    painter.drawLine(QPointF(centre.x(), frame.top()), QPointF(centre.x(), frame.bottom()))


def paint_placeholder(painter: QPainter, frame: QRectF, first: str, second: str, theme: Theme) -> None:
    """Paint two lines of placeholder text in the middle of an empty canvas, over its grid."""
    painter.setPen(QColor(theme.secondary_text))
    large, small = font(LARGE_PX), font(SMALL_PX)
    room = frame.adjusted(8, 8, -8, -8)
    heights = [QFontMetricsF(which).height() for which in (large, small)]
    top = frame.center().y() - (sum(heights) + _LINE_GAP) / 2
    for which, text, height in zip((large, small), (first, second), heights, strict=True):
        painter.setFont(which)
        line = QRectF(room.left(), top, room.width(), height)
        box = painter.boundingRect(line, Qt.AlignmentFlag.AlignCenter, text)
        painter.fillRect(box.adjusted(-6, -_LINE_GAP / 2, 6, _LINE_GAP / 2), QColor(theme.canvas))
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)
        top += height + _LINE_GAP


def _is_intricate(drawing: Drawing) -> bool:
    return sum(len(stroke.points) for stroke in drawing.strokes) > _INTRICATE


def _unmoved(transform: DrawingTransform) -> DrawingTransform:
    """The part of a transform before its turn, size and shift; the pens are thickened before they are scaled."""
    thicken = transform.thicken / transform.size
    return replace(transform, shift_x=0.0, shift_y=0.0, size=1.0, rotate=0.0, thicken=thicken)


def _grew(before: Drawing, after: Drawing) -> bool:
    """Whether `after` is `before` with additional smooth strokes."""
    count = len(before.strokes)
    return (
        after.image is before.image
        and after.transform == before.transform
        and len(after.strokes) >= count
        and after.strokes[:count] == before.strokes
        and not any(stroke.grid for stroke in after.strokes[count:])
    )


def _edges(side: int, pixels: int) -> IntArray:
    """The edges of `side` cells in pixels: (side + 1,)."""
    return -(-np.arange(side + 1) * pixels // side)


def _outline(theme: Theme, dashed: bool = False) -> tuple[QPen, QPen]:
    """The pens of a halo and a line, together visible on the canvas colour and on ink."""
    halo, line = QColor(theme.canvas), QPen(QColor(theme.secondary_text), 1.25)
    halo.setAlpha(150)
    if dashed:
        line.setDashPattern([3.0, 2.5])
    return QPen(halo, 3.25), line
