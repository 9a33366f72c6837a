"""Rasterizing: drawings to pictures (side, side) float32, -1 background to 1 ink.

A pen covers a pixel by the overlap of [d - 1/2, d + 1/2] with [-r, r], where d is the distance of the pixel's
centre from the pen's line and r the pen's radius, both in pixels: the exact area under a straight line along the
pixels, so that a pen thinner than a pixel is drawn grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from engine.drawings.drawing import WHOLE_FRAME, Drawing, DrawingTransform, FloatArray, Stroke, whole_pixels
from engine.drawings.image_ops import as_float32, place_image

IntArray = NDArray[np.intp]

_EDGE_INK = 0.5  # the share of ink at which fit_to_frame() finds an edge
_FILLED = 0.8  # the share of the frame that fit_to_frame() fills
_PROBE_SIDE = 160
_PATCH_CHUNK = 1 << 15  # values per chunk, so that they stay in the CPU's cache


@dataclass(frozen=True, eq=False)
class PenPaths:
    """Pen paths of many pictures, concatenated.

    points: (T, 3) float32, x, y, diameter in frame units
    lengths: (K,) intp, the number of points of each path, in order, each at least 1
    image_indices: (K,) intp, the picture that each path belongs to
    image_count: number of pictures
    """

    points: FloatArray
    lengths: IntArray
    image_indices: IntArray
    image_count: int


def render(drawing: Drawing, side: int) -> FloatArray:
    """The transformed drawing as a picture: (side, side) float32, -1 background to 1 ink.

    Without a transform, an image of (side, side) and the cells of a pixel canvas of this side are reproduced
    exactly; everything else is fitted by area averaging or, under a transform, warped and thickened.

    Raises ValueError for a side below 1.
    """
    if side < 1:
        raise ValueError(f"A picture's side must be at least 1, not {side}.")
    if drawing.image is None:
        picture = np.full((side, side), -1, np.float32)
    else:
        picture = place_image(*_cropped(drawing.image, drawing.transform), side)
    for (grid, erase), strokes in groupby(drawing.strokes, _run):
        if grid:
            picture = _with_cells(picture, list(strokes), grid, drawing.transform)
            continue
        cover = pen_coverage(_paths([stroke.path(drawing.transform) for stroke in strokes]), side)[0]
        if erase:
            np.minimum(picture, 1 - 2 * cover, out=picture)
        else:
            np.maximum(picture, 2 * cover - 1, out=picture)
    return picture


def _cropped(image: FloatArray, transform: DrawingTransform) -> tuple[FloatArray, DrawingTransform]:
    """The shown part of an image, inverted if it is, and the rest of the transform."""
    if transform.crop != WHOLE_FRAME:
        image = image[whole_pixels(image, transform.crop)]
    if transform.invert:
        image = -image
    if transform.invert or transform.crop != WHOLE_FRAME:
        transform = replace(transform, invert=False, crop=WHOLE_FRAME)
    return image, transform


def ink_share(picture: FloatArray) -> float:
    """The share of the frame covered by ink, 0 to 1; 0 is a blank picture. picture: any shape, -1 to 1."""
    return float((np.mean(picture, dtype=np.float64) + 1) / 2)


def fit_to_frame(drawing: Drawing) -> Drawing:
    """The drawing with its ink centred and its longer side filling four fifths of the frame.

    Rotation, bend and thickness of its transform are kept. A blank drawing is returned unchanged, and so is an
    image that lies there already, to half a pixel of its own: moving it would only blur it.
    """
    if _is_fitted_image(drawing):
        return drawing
    moved = drawing.with_transform(replace(drawing.transform, shift_x=0.0, shift_y=0.0, size=0.4))
    for _ in range(3):  # iterated, since the pen's thickness does not scale exactly with the size
        box = ink_bounds(render(moved, _PROBE_SIDE))
        if box is None:
            return drawing
        left, top, right, bottom = box
        now = moved.transform
        factor = _FILLED / max(right - left, bottom - top)
        moved = moved.with_transform(
            replace(
                now,
                size=now.size * factor,
                shift_x=(now.shift_x - ((left + right) / 2 - 0.5)) * factor,
                shift_y=(now.shift_y - ((top + bottom) / 2 - 0.5)) * factor,
            )
        )
    return moved


def _is_fitted_image(drawing: Drawing) -> bool:
    """Whether the drawing is an image alone whose ink lies where fitting would put it."""
    if drawing.image is None or drawing.strokes or not drawing.transform.is_identity:
        return False
    box = ink_bounds(render(drawing, _PROBE_SIDE))
    if box is None:
        return False
    tolerance = 0.5 / max(drawing.image.shape)
    longer = max(box[2] - box[0], box[3] - box[1])
    off_centre = (abs((box[at] + box[at + 2]) / 2 - 0.5) for at in (0, 1))
    return abs(longer - _FILLED) <= 2 * tolerance and all(offset <= tolerance for offset in off_centre)


def ink_bounds(picture: FloatArray) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom of the ink of a picture (side, side), in frame units, to a fraction of a pixel; None
    for a picture that is blank or pale grey."""
    share = (picture + 1) / 2
    edges = []
    for axis in (0, 1):
        profile = share.max(axis=axis)
        inked = np.flatnonzero(profile > _EDGE_INK)
        if not len(inked):
            return None
        first, last = int(inked[0]), int(inked[-1])
        before = profile[first - 1] if first > 0 else 0.0
        after = profile[last + 1] if last + 1 < len(profile) else 0.0
        edges.append(((first - float(before)) / len(profile), (last + 1 + float(after)) / len(profile)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def pen_coverage(paths: PenPaths, side: int, softness: FloatArray | None = None) -> FloatArray:
    """The share of each pixel that the pens cover: (count, side, side) float32, 0 to 1.

    softness: (count,) float32, the width in pixels over which the edge of the ink fades, per picture: 1 (the
        default) is the area formula, more is blurred, 0 is a hard edge (a pen is then at least a pixel wide)
    """
    cover = np.zeros(paths.image_count * side * side, np.float32)
    pieces = _pieces(paths, side)
    soft = None if softness is None else np.maximum(np.asarray(softness, np.float32), np.float32(1e-3))
    if soft is not None:
        fade = soft[pieces.picture]
        radii = np.maximum(pieces.radius, (1 - fade) / 2)
        pieces = replace(pieces, radius=radii)
        reach = radii.max(axis=0) + fade / 2
    else:
        reach = pieces.radius.max(axis=0) + np.float32(0.5)
    low = np.minimum(pieces.start, pieces.end) - reach
    extent = (np.maximum(pieces.start, pieces.end) + reach - low).max(axis=0)
    # A patch of p pixels whose first is the first centre at or beyond `low` covers an extent of p.
    patch = np.minimum(np.maximum(np.ceil(extent), 1), side).astype(np.intp)
    corner = np.ceil(low - 0.5)
    for size in np.unique(patch):
        chosen = np.flatnonzero(patch == size)
        step = max(1, _PATCH_CHUNK // int(size * size))
        for first in range(0, len(chosen), step):
            _cover_patches(cover, pieces, chosen[first : first + step], corner, int(size), side, soft)
    np.minimum(cover, 1, out=cover)  # two halves of an overlap may add up to slightly more
    return cover.reshape(paths.image_count, side, side)


# --- pens


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Straight pieces of paths, in pixels: start and end (2, M), x then y; radius (2, M), at both."""

    start: FloatArray
    end: FloatArray
    radius: FloatArray
    picture: IntArray


def _run(stroke: Stroke) -> tuple[int, bool]:
    """The key by which consecutive strokes are drawn at once; fills and erasures of one grid belong together."""
    return stroke.grid, stroke.erase and not stroke.grid


def _paths(paths: Sequence[FloatArray]) -> PenPaths:
    lengths = np.array([len(path) for path in paths], np.intp)
    return PenPaths(np.concatenate(paths), lengths, np.zeros(len(paths), np.intp), 1)


def _pieces(paths: PenPaths, side: int) -> _Pieces:
    """Paths cut into pieces about as long as their pen is wide, so that the patches around them stay small."""
    points = np.ascontiguousarray(paths.points.T) * np.float32(side)
    points[2] *= np.float32(0.5)
    last = np.cumsum(paths.lengths) - 1
    joined = np.ones(points.shape[1], bool)
    joined[last] = False
    joined[last[paths.lengths == 1]] = True  # a dot is a piece that ends where it starts
    start = np.flatnonzero(joined)
    end = np.minimum(start + 1, np.repeat(last, paths.lengths)[start])
    picture = np.repeat(paths.image_indices, np.maximum(paths.lengths - 1, 1))

    a, b = points[:, start], points[:, end]
    step = b - a
    longest = max(3.0, float(np.median(points[2])) * 2) if points.size else 3.0
    parts = np.ceil(np.hypot(step[0], step[1]) / longest).astype(np.intp)
    np.maximum(parts, 1, out=parts)
    if (parts > 1).any():
        which = np.repeat(np.arange(len(parts)), parts)
        place = np.arange(len(which)) - (np.cumsum(parts) - parts)[which]
        share = np.float32(1) / parts[which]
        a = a[:, which] + step[:, which] * (place * share).astype(np.float32)
        b = a + step[:, which] * share.astype(np.float32)
        picture = picture[which]
    return _Pieces(a[:2], b[:2], np.stack([a[2], b[2]]), picture)


def _cover_patches(
    cover: FloatArray,
    pieces: _Pieces,
    chosen: IntArray,
    corner: FloatArray,
    size: int,
    side: int,
    soft: FloatArray | None,
) -> None:
    """Raise `cover` (flat) by the chosen pieces within a patch of size × size pixels around each."""
    start, step = pieces.start[:, chosen], pieces.end[:, chosen] - pieces.start[:, chosen]
    radius, taper = pieces.radius[0, chosen], pieces.radius[1, chosen] - pieces.radius[0, chosen]
    picture = pieces.picture[chosen]
    # A patch that would leave the frame is moved inside; its pixels are still covered by their true distance.
    x, y = np.clip(corner[:, chosen], 0, side - size).astype(np.intp)

    length = np.hypot(step[0], step[1])
    unit = step / np.maximum(length, np.float32(1e-9))
    unit[0, length < 1e-6] = 1  # a dot has no direction
    # Pieces are the last axis, which is long, so that NumPy's loops are.
    offsets = np.arange(size, dtype=np.float32)[:, None] + np.float32(0.5)
    dx = (x - start[0]).astype(np.float32) + offsets
    dy = (y - start[1]).astype(np.float32) + offsets
    ux, uy = unit

    along = (dx * ux)[None] + (dy * uy)[:, None]
    nearest = np.minimum(np.maximum(along, 0), length)
    across = (dx * uy)[None] - (dy * ux)[:, None]
    along -= nearest
    np.square(along, out=along)
    np.square(across, out=across)
    along += across
    distance = np.sqrt(along, out=along)
    nearest *= taper / np.maximum(length, np.float32(1e-9))
    nearest += radius
    half = np.float32(0.5) if soft is None else soft[picture] * np.float32(0.5)
    # The overlap of [d - half, d + half] with [-r, r]; below 0 where they are apart, which raises nothing.
    value = np.minimum(nearest, distance + half, out=across)
    np.subtract(half, distance, out=distance)
    value += np.minimum(nearest, distance, out=distance)
    if soft is not None:
        value /= 2 * half
    ticks = np.arange(size, dtype=np.intp)
    where = (ticks[:, None] * side + ticks)[:, :, None] + ((picture * side + y) * side + x)
    np.maximum.at(cover, where.ravel(), value.ravel())


# --- cells of the pixel canvas


def grid_cells(stroke: Stroke) -> IntArray:
    """The cells that the path of a grid stroke crosses: (n, 2) intp, row and column, in order, with repeats.

    Cells outside the frame are left out. A cell is crossed if the path has some length, or a point, within it.
    """
    points = stroke.points[:, :2].astype(np.float64) * stroke.grid
    positions = [np.arange(len(points), dtype=np.float64)]
    for axis in (0, 1):
        positions.append(_crossings(points[:, axis]))
    position = np.sort(np.concatenate(positions))
    middle = (position[1:] + position[:-1])[np.diff(position) > 1e-9] / 2
    ticks = np.arange(len(points))
    between = np.column_stack([np.interp(middle, ticks, points[:, axis]) for axis in (1, 0)])
    crossed = np.floor(np.concatenate([points[:, ::-1], between])).astype(np.intp)
    order = np.argsort(np.concatenate([ticks, middle]), kind="stable")
    crossed = crossed[order]
    inside: IntArray = crossed[((crossed >= 0) & (crossed < stroke.grid)).all(axis=1)]
    return inside


def _crossings(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a polyline of values crosses integers: positions along it, in steps."""
    if len(values) < 2:
        return np.empty(0)
    low, high = np.minimum(values[:-1], values[1:]), np.maximum(values[:-1], values[1:])
    first = np.ceil(low)
    count = np.maximum(np.floor(high) - first + 1, 0).astype(np.intp)
    which = np.repeat(np.arange(len(count)), count)
    line = first[which] + (np.arange(len(which)) - (np.cumsum(count) - count)[which])
    step = np.diff(values)[which]
    moving = step != 0
    which, line = which[moving], line[moving]
    crossed: NDArray[np.float64] = which + (line - values[which]) / step[moving]
    return crossed


def _with_cells(
    picture: FloatArray, strokes: Sequence[Stroke], grid: int, transform: DrawingTransform
) -> FloatArray:
    """The picture with consecutive grid strokes on top, as one image of filled, emptied and untouched cells."""
    state = np.zeros((grid, grid), np.int8)
    for stroke in strokes:
        row, column = grid_cells(stroke).T
        state[row, column] = -1 if stroke.erase else 1
    side = len(picture)
    # Strokes stay ink, whether the image is inverted or not.
    grown = replace(transform, invert=False)
    filled = (place_image(_mask(state == 1), grown, side) + 1) / 2
    # An emptied cell shrinks where ink gets thicker: both move the edge of the ink outward.
    shrunk = replace(grown, thicken=-transform.thicken)
    emptied = (place_image(_mask(state == -1), shrunk, side) + 1) / 2
    emptied = np.minimum(emptied, 1 - filled)
    return as_float32(picture * (1 - filled - emptied) + (filled - emptied))


def _mask(chosen: NDArray[np.bool_]) -> FloatArray:
    return np.where(chosen, np.float32(1), np.float32(-1))
