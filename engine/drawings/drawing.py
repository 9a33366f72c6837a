"""Drawings: pen strokes over an optional picture, and the transform of the whole.

The frame is the unit square: x to the right, y down, (0, 0) its top left corner. Lengths are fractions of the
frame's side. Everything here is immutable: methods return new objects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

MIN_PEN_DIAMETER = 0.004  # the least pen diameter under any transform
_SMOOTH_TOLERANCE = 0.0004  # largest distance of a smoothed polyline from its curve: 1/10 pixel at side 256
_BENT_SPACING = 0.02  # longest straight piece before bending
_BEND_STRENGTH = 2.0

# Left, top, right and bottom of a part of the frame, in frame units.
Box: TypeAlias = tuple[float, float, float, float]
WHOLE_FRAME: Final[Box] = (0.0, 0.0, 1.0, 1.0)
_MIN_CROP = 1e-5  # the least side of a crop: a pixel of the largest picture


@dataclass(frozen=True)
class DrawingTransform:
    """An affine transform about the frame's centre, with a bend, in this order: crop, bend, size, rotate, shift.

    shift_x, shift_y: frame units
    size: a factor, above 0; it scales pens too
    rotate: degrees, clockwise on the screen
    bend: -1 to 1; with x and y measured from the centre, y becomes y + 2 bend (x^2 - 1/12), a parabola that keeps
        areas and the mean height of what spans the frame, and is invertible
    thicken: frame units added to the diameter of pens after scaling (below 0: thinner)
    invert: whether ink and background of the image are swapped; strokes stay ink
    crop: the part of the frame that is shown, fitted whole and centred in it; the image is blank elsewhere

    Raises ValueError unless the size is above 0, all values are finite, and the crop lies in the frame.
    """

    shift_x: float = 0.0
    shift_y: float = 0.0
    size: float = 1.0
    rotate: float = 0.0
    bend: float = 0.0
    thicken: float = 0.0
    invert: bool = False
    crop: Box = WHOLE_FRAME

    def __post_init__(self) -> None:
        values = (self.shift_x, self.shift_y, self.size, self.rotate, self.bend, self.thicken, *self.crop)
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"A transform's values must be finite numbers, not {values}.")
        if self.size <= 0:
            raise ValueError(f"A transform's size must be above 0, not {self.size}.")
        left, top, right, bottom = self.crop
        if min(left, top, 1 - right, 1 - bottom) < 0 or min(right - left, bottom - top) < _MIN_CROP:
            raise ValueError(f"A transform's crop must be a part of the frame, not {self.crop}.")

    @property
    def is_identity(self) -> bool:
        return self == DrawingTransform()

    @property
    def crop_scale(self) -> float:
        """How much larger the cropped part is shown."""
        left, top, right, bottom = self.crop
        return 1 / max(right - left, bottom - top)

    @property
    def pen_scale(self) -> float:
        """The factor of lengths, and of pens."""
        return self.size * self.crop_scale

    @property
    def _crop_centre(self) -> tuple[np.float32, np.float32]:
        left, top, right, bottom = self.crop
        return np.float32((left + right) / 2), np.float32((top + bottom) / 2)

    def forward(self, points: FloatArray) -> FloatArray:
        """The transformed points, (n, 2) float32."""
        (centre_x, centre_y), scale = self._crop_centre, np.float32(self.crop_scale)
        x, y = (points[:, 0] - centre_x) * scale, (points[:, 1] - centre_y) * scale
        y = y + self._bend_offset(x)
        cos, sin = self._rotation(self.size)
        return np.stack(
            [
                x * cos - y * sin + np.float32(0.5 + self.shift_x),
                x * sin + y * cos + np.float32(0.5 + self.shift_y),
            ],
            axis=1,
        )

    def inverse(self, points: FloatArray) -> FloatArray:
        """The points (n, 2) that `forward` maps to these; float32, exact but for rounding."""
        x, y = points[:, 0] - np.float32(0.5 + self.shift_x), points[:, 1] - np.float32(0.5 + self.shift_y)
        cos, sin = self._rotation(1 / self.size)
        drawn_x, drawn_y = x * cos + y * sin, y * cos - x * sin
        drawn_y -= self._bend_offset(drawn_x)
        (centre_x, centre_y), scale = self._crop_centre, np.float32(1 / self.crop_scale)
        return np.stack([drawn_x * scale + centre_x, drawn_y * scale + centre_y], axis=1)

    def _rotation(self, factor: float) -> tuple[np.float32, np.float32]:
        angle = math.radians(self.rotate)
        return np.float32(factor * math.cos(angle)), np.float32(factor * math.sin(angle))

    def _bend_offset(self, x: FloatArray) -> FloatArray:
        return np.float32(_BEND_STRENGTH * self.bend) * (x * x - np.float32(1 / 12))


@dataclass(frozen=True, eq=False)
class Stroke:
    """One pen movement, from touch to lift.

    points: (n, 3) float32, read-only: x, y and the pen's diameter, in frame units; one point is a dot
    erase: removes ink instead of adding it
    grid: 0 for a smooth pen; k above 0 for a stroke of the pixel canvas, which fills (or empties) whole cells of a
        k × k grid, exactly those its path crosses, whatever the diameter

    Raises ValueError for points of another shape, values that are not finite, and a negative grid.
    """

    points: FloatArray
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

    def path(self, transform: DrawingTransform | None = None) -> FloatArray:
        """The visible pen path: (m, 3) float32, x, y, diameter in frame units.

        Smoothed, then transformed; to be painted as straight pieces with round ends. The path of a grid stroke is
        transformed without smoothing.
        """
        path = self.points if self.grid else self._smooth
        if transform is None or transform.is_identity:
            return path
        if transform.bend:
            path = _subdivided(path, _BENT_SPACING)
        # An eraser gets thinner where ink gets thicker: both move the edge of the ink outward.
        return transform_path(path, replace(transform, thicken=-transform.thicken) if self.erase else transform)

    @cached_property
    def _smooth(self) -> FloatArray:
        """Needed for every transform that the stroke is seen under."""
        return _read_only(smooth_path(self.points))

    def transformed(self, transform: DrawingTransform) -> Stroke:
        """This stroke with the transform applied to its points; for smooth strokes only.

        Raises ValueError for a grid stroke, whose cells would not stay whole cells.
        """
        if self.grid:
            raise ValueError(
                "A stroke of the pixel canvas cannot be transformed as a stroke; render it as an image."
            )
        if transform.is_identity:
            return self
        return replace(self, points=self.path(transform))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes over an optional image, and the transform of the whole.

    strokes: in the order of drawing; never altered by the transform
    image: (H, W) float32, read-only, -1 background to 1 ink, of any size; it lies beneath the strokes, fitted whole
        and centred in the frame

    Raises ValueError for an image of another shape or with values outside -1 to 1.
    """

    strokes: tuple[Stroke, ...] = ()
    image: FloatArray | None = None
    transform: DrawingTransform = DrawingTransform()

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
        """Whether there is nothing to clear; with all ink erased a drawing is blank but not empty."""
        return not self.strokes and self.image is None

    def with_stroke(self, stroke: Stroke) -> Drawing:
        return replace(self, strokes=(*self.strokes, stroke))

    def with_transform(self, transform: DrawingTransform) -> Drawing:
        return replace(self, transform=transform)

    def cleared(self) -> Drawing:
        return Drawing()


def whole_pixels(image: FloatArray, box: Box) -> tuple[slice, slice]:
    """The rows and columns of an image, fitted whole and centred in the frame, that a box touches; at least one."""
    height, width = image.shape
    left, top, right, bottom = box
    return _touched(top, bottom, height, max(image.shape)), _touched(left, right, width, max(image.shape))


def _touched(low: float, high: float, length: int, longer: int) -> slice:
    margin = (longer - length) / 2
    # A value that was rounded to a pixel's edge is on that edge.
    first = min(max(math.floor(low * longer - margin + 1e-3), 0), length - 1)
    end = min(max(math.ceil(high * longer - margin - 1e-3), first + 1), length)
    return slice(first, end)


def box_of_pixels(image: FloatArray, box: Box) -> Box:
    """The box of the whole pixels of an image that a box touches; the whole frame if these are all."""
    rows, columns = whole_pixels(image, box)
    longer = max(image.shape)
    if (rows.stop - rows.start, columns.stop - columns.start) == image.shape:
        return WHOLE_FRAME
    row_margin, column_margin = ((longer - length) / 2 for length in image.shape)
    return (
        (columns.start + column_margin) / longer,
        (rows.start + row_margin) / longer,
        (columns.stop + column_margin) / longer,
        (rows.stop + row_margin) / longer,
    )


def transform_path(path: FloatArray, transform: DrawingTransform) -> FloatArray:
    """A pen path (n, 3) transformed: x, y, diameter, float32."""
    diameter = np.maximum(
        path[:, 2] * np.float32(transform.pen_scale) + np.float32(transform.thicken), MIN_PEN_DIAMETER
    )
    return np.column_stack([transform.forward(path[:, :2]), diameter]).astype(np.float32, copy=False)


def smooth_path(points: FloatArray) -> FloatArray:
    """A smooth polyline (m, 3) float32 through raw pointer positions (n, 3).

    It approximates the quadratic B-spline whose control points are the positions: it starts at the first, ends at
    the last and touches the middle of every step between. It is subdivided as finely as its curvature needs, so
    straight parts stay few. All columns are smoothed alike. Fewer than three points are returned unchanged.
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


def _subdivided(path: FloatArray, spacing: float) -> FloatArray:
    steps = path[1:] - path[:-1]
    parts = np.maximum(np.ceil(np.hypot(steps[:, 0], steps[:, 1]) / spacing), 1).astype(np.intp)
    which = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    t = ((np.arange(len(which)) - first[which]) / parts[which]).astype(np.float32)[:, None]
    return np.concatenate([path[:-1][which] + t * steps[which], path[-1:]])


def _read_only(values: FloatArray) -> FloatArray:
    """The values as read-only float32: shared if they are so already, else copied."""
    array = np.asarray(values, np.float32)
    if array is values and not array.flags.writeable:
        return array
    array = np.array(array, np.float32, order="C")
    array.flags.writeable = False
    return array
