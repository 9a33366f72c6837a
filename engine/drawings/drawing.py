"""What a person drew: pen strokes over an optional picture, and how the whole is moved. Not its pixels.

The frame is the unit square: x to the right, y down, (0, 0) its top left corner. Lengths are shares of the
frame's side. Everything here is immutable: a method that changes something returns a new object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

THINNEST = 0.004  # no pen gets thinner than this, whatever the transform asks
_SMOOTH_TOLERANCE = 0.0004  # how far a smoothed polyline may lie from its curve: 1/10 pixel at side 256
_BENT_SPACING = 0.02  # straight parts are cut this short before they are bent
_BEND_STRENGTH = 2.0


@dataclass(frozen=True)
class Transform:
    """How a drawing is moved, about the frame's centre, in this order: bend, size, rotate, shift.

    shift_x, shift_y: frame units. size: a factor, above 0. rotate: degrees, clockwise as seen. bend: -1 to 1;
    with x and y measured from the centre, y becomes y + 2 bend (x^2 - 1/12), a parabola that keeps areas and
    the mean height of what spans the frame, and can be undone everywhere. thicken: frame units added to the
    diameter of pens as they appear (below 0: thinner). Size scales pens too.

    Raises ValueError for a size that is not above 0 and for values that are not finite.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    size: float = 1.0
    rotate: float = 0.0
    bend: float = 0.0
    thicken: float = 0.0

    def __post_init__(self) -> None:
        values = (self.shift_x, self.shift_y, self.size, self.rotate, self.bend, self.thicken)
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"A transform's values must be finite numbers, not {values}.")
        if self.size <= 0:
            raise ValueError(f"A transform's size must be above 0, not {self.size}.")

    @property
    def is_identity(self) -> bool:
        """Whether the drawing appears exactly as it was drawn."""
        return self == Transform()

    def forward(self, points: Array) -> Array:
        """Where points (n, 2) of the drawing appear, (n, 2) float32."""
        x, y = points[:, 0] - np.float32(0.5), points[:, 1] - np.float32(0.5)
        y = y + self._sag(x)
        cos, sin = self._turn(self.size)
        return np.stack(
            [
                x * cos - y * sin + np.float32(0.5 + self.shift_x),
                x * sin + y * cos + np.float32(0.5 + self.shift_y),
            ],
            axis=1,
        )

    def inverse(self, points: Array) -> Array:
        """Which points (n, 2) of the drawing appear at these points (n, 2); float32, exact but for rounding."""
        x, y = points[:, 0] - np.float32(0.5 + self.shift_x), points[:, 1] - np.float32(0.5 + self.shift_y)
        cos, sin = self._turn(1 / self.size)
        drawn_x, drawn_y = x * cos + y * sin, y * cos - x * sin
        drawn_y -= self._sag(drawn_x)
        return np.stack([drawn_x + np.float32(0.5), drawn_y + np.float32(0.5)], axis=1)

    def _turn(self, factor: float) -> tuple[np.float32, np.float32]:
        angle = math.radians(self.rotate)
        return np.float32(factor * math.cos(angle)), np.float32(factor * math.sin(angle))

    def _sag(self, x: Array) -> Array:
        return np.float32(_BEND_STRENGTH * self.bend) * (x * x - np.float32(1 / 12))


@dataclass(frozen=True, eq=False)
class Stroke:
    """One movement of the pen, from landing to lifting.

    points: (n, 3) float32, read-only: x, y and the pen's diameter, in frame units; one point is a dot.
    erase: takes ink away instead of laying it down. grid: 0 for a smooth pen; k above 0 for a stroke of the
    pixel canvas, which fills (or empties) whole cells of a k x k grid, exactly those its path passes through,
    whatever the diameter.

    Raises ValueError for points of another shape, values that are not finite, and a negative grid.
    """

    points: Array
    erase: bool = False
    grid: int = 0

    def __post_init__(self) -> None:
        points = _read_only(self.points)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise ValueError(f"A stroke's points must have the shape (n, 3), n at least 1, not {points.shape}.")
        if not np.isfinite(points).all():
            raise ValueError("A stroke's points must be finite numbers.")
        if self.grid < 0:
            raise ValueError(f"A stroke's grid must be 0 (smooth) or above, not {self.grid}.")
        object.__setattr__(self, "points", points)

    def path(self, transform: Transform | None = None) -> Array:
        """The line that the pen is seen to have drawn: (m, 3) float32, x, y, diameter in frame units.

        Smoothed, then moved by the transform. Paint this as a chain of straight round-ended pieces. The path
        of a grid stroke is its points as they are, moved but not smoothed.
        """
        path = self.points if self.grid else smooth(self.points)
        if transform is None or transform.is_identity:
            return path
        if transform.bend:
            path = _densified(path, _BENT_SPACING)
        # An eraser gets thinner where ink gets thicker: both move the edge of the ink outward.
        return moved(path, replace(transform, thicken=-transform.thicken) if self.erase else transform)

    def transformed(self, transform: Transform) -> Stroke:
        """This stroke as it appears under a transform, as a stroke of its own. For smooth strokes only.

        Raises ValueError for a grid stroke, whose cells do not stay whole cells when they are moved.
        """
        if self.grid:
            raise ValueError("A stroke of the pixel canvas cannot be moved as a stroke; render it as an image.")
        if transform.is_identity:
            return self
        return replace(self, points=self.path(transform))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes over an optional image, and the transform under which the whole appears.

    image: (H, W) float32, read-only, -1 background to 1 ink, of any height and width; it lies beneath the
    strokes, fitted whole and centred in the frame. Strokes are in the order of drawing; the source is never
    altered by the transform.

    Raises ValueError for an image of another shape or with values outside -1 to 1.
    """

    strokes: tuple[Stroke, ...] = ()
    image: Array | None = None
    transform: Transform = Transform()

    def __post_init__(self) -> None:
        object.__setattr__(self, "strokes", tuple(self.strokes))
        if self.image is None:
            return
        image = _read_only(self.image)
        if image.ndim != 2 or image.size == 0:
            raise ValueError(f"A drawing's image must have the shape (H, W), not {image.shape}.")
        if not (image.min() >= -1 and image.max() <= 1):
            raise ValueError("A drawing's image must hold values from -1 (background) to 1 (ink).")
        object.__setattr__(self, "image", image)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it to clear; with all ink erased it is blank but not empty."""
        return not self.strokes and self.image is None

    def with_stroke(self, stroke: Stroke) -> Drawing:
        """This drawing with one more stroke on top."""
        return replace(self, strokes=(*self.strokes, stroke))

    def with_transform(self, transform: Transform) -> Drawing:
        """The same strokes and image under another transform."""
        return replace(self, transform=transform)

    def cleared(self) -> Drawing:
        """An empty drawing."""
        return Drawing()


def moved(path: Array, transform: Transform) -> Array:
    """Where the points (n, 3) of a pen's path appear, and how wide the pen is there: x, y, diameter, float32."""
    diameter = np.maximum(path[:, 2] * np.float32(transform.size) + np.float32(transform.thicken), THINNEST)
    return np.column_stack([transform.forward(path[:, :2]), diameter]).astype(np.float32, copy=False)


def smooth(points: Array) -> Array:
    """The line through raw pointer positions (n, 3): a polyline (m, 3) float32 close to a smooth curve.

    The curve is the quadratic B-spline whose control points are the positions: it starts at the first, ends
    at the last and touches the middle of every step between. It is cut as finely as its bends need, so
    straight parts stay few. All columns are smoothed alike. Fewer than three points come back as they are.
    """
    points = np.asarray(points, np.float32)
    if len(points) < 3:
        return points
    middles = (points[:-1] + points[1:]) * np.float32(0.5)
    start, control, end = middles[:-1], points[1:-1], middles[1:]
    curl = start - 2 * control + end
    # A parabola leaves the chord of one of its k equal parts by |curl| / (4 k^2).
    parts = np.ceil(np.sqrt(np.abs(curl[:, :2]).max(axis=1) / (4 * _SMOOTH_TOLERANCE))).astype(np.intp)
    parts = np.clip(parts, 1, 64)
    which = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    t = ((np.arange(len(which)) - first[which]) / parts[which]).astype(np.float32)[:, None]
    curve = start[which] + t * (2 * (control - start)[which] + t * curl[which])
    return np.concatenate([points[:1], curve, middles[-1:], points[-1:]])


def _densified(path: Array, spacing: float) -> Array:
    steps = path[1:] - path[:-1]
    parts = np.maximum(np.ceil(np.hypot(steps[:, 0], steps[:, 1]) / spacing), 1).astype(np.intp)
    which = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    t = ((np.arange(len(which)) - first[which]) / parts[which]).astype(np.float32)[:, None]
    return np.concatenate([path[:-1][which] + t * steps[which], path[-1:]])


def _read_only(values: Array) -> Array:
    """The values as float32 that nobody can write to: shared if they are so already, else copied."""
    array = np.asarray(values, np.float32)
    if array is values and not array.flags.writeable:
        return array
    array = np.array(array, np.float32, order="C")
    array.flags.writeable = False
    return array
