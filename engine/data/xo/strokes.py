"""Pen strokes of generated drawings, for many pictures at once, vectorized."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.xo.glyphs import OTHER_GLYPHS
from engine.data.xo.settings import MIN_PEN_WIDTH, MIN_SIZE, Range, XOSettings
from engine.drawings import FloatArray, IntArray, PenPaths

ARM_POINTS = 22
CIRCLE_POINTS = 52
_LINK_POINTS = 12
_HOOK_LENGTH = 0.15  # of a line's length, at either end
_PRESSURE_LENGTH = 0.12
_ARM_DEVIATION = 0.16  # radians that an arm of an X is off its diagonal, at most
_COUNTERCLOCKWISE = 0.7  # fraction of the O
_HOOKED = 0.35  # fraction of the ends of lines
_CIRCLE_MAX_PEN = 0.6  # of the radius
_SHEET_CUT_DEPTH = 0.2


@dataclass(frozen=True, eq=False)
class _Lines:
    """Concatenated lines of many pictures, each picture in its own coordinates.

    points: (T, 2) of all lines; lengths: (K,) points per line; pictures: (K,) the picture of each line
    """

    points: FloatArray
    lengths: IntArray
    pictures: IntArray

    @property
    def picture_of_points(self) -> IntArray:
        return np.repeat(self.pictures, self.lengths)


@dataclass(frozen=True, eq=False)
class _ShapeParameters:
    """Random properties of each picture, all (N,).

    stretch: factor of the width, and divisor of the height
    shear: shift of x per unit of y
    bend: height of the arc into which the shape is bent
    is_cut: whether it is cut off by an edge
    """

    stretch: FloatArray
    shear: FloatArray
    bend: FloatArray
    is_cut: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Outlines:
    """Lines of M pictures before placement.

    pictures: (M,), their indices
    rotation: (M,), radians
    max_pen: (M,), the widest pen that does not fill the shape, in the units of the lines
    """

    lines: _Lines
    pictures: IntArray
    rotation: FloatArray
    max_pen: FloatArray


def pen_paths(kinds: Sequence[str], settings: XOSettings, rng: np.random.Generator) -> PenPaths:
    """Generates the pen paths of one picture per kind, in units of the frame.

    Kinds are "X", "O", "neither" and the keys of OTHER_GLYPHS; raises ValueError for any other.
    """
    names = np.array(kinds, dtype=str)
    x_indices, o_indices = np.flatnonzero(names == "X"), np.flatnonzero(names == "O")
    others = np.flatnonzero((names != "X") & (names != "O"))
    shape = _random_shapes(len(kinds), o_indices, others, settings, rng)
    outlines = _concatenate(
        [
            _x_outlines(x_indices, shape, settings, rng),
            _o_outlines(o_indices, shape, settings, rng),
            _other_outlines(others, kinds, rng),
        ]
    )
    lines = _deform(outlines, shape, settings, rng)
    return _place(lines, outlines.max_pen, shape.is_cut, settings, rng)


def _random_shapes(
    count: int, o_indices: IntArray, others: IntArray, settings: XOSettings, rng: np.random.Generator
) -> _ShapeParameters:
    low, high = settings.aspect
    stretch = np.exp(triangular(rng, (math.log(low) / 2, math.log(high) / 2), count))
    shear, bend = triangular(rng, settings.shear, count), triangular(rng, settings.bend, count)
    bend[o_indices] *= np.float32(0.5)  # more would give an O corners
    is_cut = rng.random(count) < settings.cut
    is_cut[others] = False  # a part of another shape could look like an X or an O
    return _ShapeParameters(stretch, shear, bend, is_cut)


def _concatenate(parts: Sequence[_Outlines]) -> _Outlines:
    """All parts as one, with rotation and max_pen in the order of the pictures."""
    lines = _Lines(
        np.concatenate([part.lines.points for part in parts]),
        np.concatenate([part.lines.lengths for part in parts]),
        np.concatenate([part.lines.pictures for part in parts]),
    )
    order = np.argsort(np.concatenate([part.pictures for part in parts]))
    rotation = np.concatenate([part.rotation for part in parts])[order]
    max_pen = np.concatenate([part.max_pen for part in parts])[order]
    return _Outlines(lines, np.arange(len(order)), rotation, max_pen)


def _x_outlines(
    pictures: IntArray, shape: _ShapeParameters, settings: XOSettings, rng: np.random.Generator
) -> _Outlines:
    count = len(pictures)
    low, high = settings.arms
    # Squared, because short arms are rare in handwriting.
    half_arms = np.float32(high) - np.float32(high - low) * rng.random((count, 2, 2), np.float32) ** 2
    # A short arm could be cut off completely, which would leave a V.
    half_arms = np.where(shape.is_cut[pictures][:, None, None], np.maximum(half_arms, 0.8), half_arms)
    arms = cross_arms(
        half_arms,
        angles=triangular(rng, (-_ARM_DEVIATION, _ARM_DEVIATION), count, 2),
        curve=triangular(rng, settings.curve, count, 2),
        swing=triangular(rng, settings.curve, count, 2) * np.float32(0.4),
    )
    mirror = np.where(rng.random((count, 2)) < 0.5, np.float32(-1), np.float32(1))
    arms *= mirror[:, None, None, :]
    # The rotation starts from where the bisector of the arms is horizontal; otherwise a shear could make a plus.
    bisector = _bisector_angle(arms[:, :, -1] - arms[:, :, 0], shape.stretch[pictures], shape.shear[pictures])
    rotation = np.radians(triangular(rng, settings.rotation, count)) - bisector

    one_stroke = rng.random(count) < settings.one_stroke
    bulge = uniform(rng, (0.0, 0.35), count) * mirror[:, 0]
    max_pen = half_arms.min(axis=(1, 2)) * np.where(one_stroke, np.float32(0.3), np.float32(0.6))
    linked, separate = link_arms(arms[one_stroke], bulge[one_stroke]), arms[~one_stroke]
    lines = _Lines(
        np.concatenate([linked.reshape(-1, 2), separate.reshape(-1, 2)]),
        np.repeat([linked.shape[1], ARM_POINTS], [len(linked), 2 * len(separate)]),
        np.concatenate([pictures[one_stroke], np.repeat(pictures[~one_stroke], 2)]),
    )
    return _Outlines(lines, pictures, rotation, max_pen)


def _bisector_angle(arms: FloatArray, stretch: FloatArray, shear: FloatArray) -> FloatArray:
    """The angle of the bisector of two arms (n, 2, 2) after stretch and shear, in radians, -pi/4 to pi/4."""
    y = arms[..., 1] / stretch[:, None]
    x = arms[..., 0] * stretch[:, None] + shear[:, None] * y
    angle = np.arctan2(y, x).sum(axis=1) / 2
    quarter = np.float32(np.pi / 2)
    return as_float32(angle - quarter * np.round(angle / quarter))


def _o_outlines(
    pictures: IntArray, shape: _ShapeParameters, settings: XOSettings, rng: np.random.Generator
) -> _Outlines:
    count = len(pictures)
    gap = np.radians(triangular(rng, settings.gap, count))
    gap = np.where(shape.is_cut[pictures], np.minimum(gap, 0), gap)  # at most one opening
    direction = np.where(rng.random(count) < _COUNTERCLOCKWISE, np.float32(-1), np.float32(1))
    points = circles(
        start=uniform(rng, (0, 2 * np.pi), count),
        sweep=(np.float32(2 * np.pi) - gap) * direction,
        drift=triangular(rng, settings.drift, count),
        lumps=uniform(rng, settings.lumps, count, 2),
        phases=uniform(rng, (0, 2 * np.pi), count, 2),
    )
    lines = _Lines(points.reshape(-1, 2), np.full(count, CIRCLE_POINTS, np.intp), pictures)
    max_pen = np.full(count, _CIRCLE_MAX_PEN, np.float32)
    return _Outlines(lines, pictures, uniform(rng, (-np.pi, np.pi), count), max_pen)


def _other_outlines(pictures: IntArray, kinds: Sequence[str], rng: np.random.Generator) -> _Outlines:
    glyphs = [OTHER_GLYPHS[_glyph_name(kinds[picture], rng)] for picture in pictures.tolist()]
    drawn = [glyph.draw(rng) for glyph in glyphs]
    lines = [line for picture in drawn for line in picture]
    rotation = np.radians([rng.uniform(-glyph.max_rotation, glyph.max_rotation) for glyph in glyphs])
    return _Outlines(
        _Lines(
            np.concatenate([np.empty((0, 2), np.float32), *lines]),
            np.array([len(line) for line in lines], np.intp),
            np.repeat(pictures, np.array([len(picture) for picture in drawn], np.intp)),
        ),
        pictures,
        as_float32(rotation),
        np.array([glyph.max_pen_width for glyph in glyphs], np.float32),
    )


def _glyph_name(kind: str, rng: np.random.Generator) -> str:
    if kind == "neither":
        return tuple(OTHER_GLYPHS)[rng.integers(len(OTHER_GLYPHS))]
    if kind not in OTHER_GLYPHS:
        raise ValueError(f"There is no kind {kind!r}; use X, O, neither, or one of {', '.join(OTHER_GLYPHS)}.")
    return kind


def _deform(outlines: _Outlines, shape: _ShapeParameters, settings: XOSettings, rng: np.random.Generator) -> _Lines:
    """Stretches, shears, bends and rotates the lines, and adds wobble and hooks."""
    lines = outlines.lines
    count, strokes = len(outlines.rotation), len(lines.lengths)
    t = relative_positions(lines.lengths)
    line = np.repeat(np.arange(strokes), lines.lengths)
    picture = lines.picture_of_points

    stretch, cos, sin = shape.stretch, np.cos(outlines.rotation), np.sin(outlines.rotation)
    x, y = lines.points[:, 0], lines.points[:, 1]
    x, y = x * stretch[picture], y / stretch[picture]
    x = x + shape.shear[picture] * y
    y = y + 2 * shape.bend[picture] * (x * x - np.float32(0.5))
    x, y = x * cos[picture] - y * sin[picture], x * sin[picture] + y * cos[picture]

    amount = 2 * uniform(rng, settings.wobble, count)
    length = 2 * uniform(rng, settings.hook, strokes, 2) * (rng.random((strokes, 2)) < _HOOKED)
    angle = uniform(rng, (0, 2 * np.pi), strokes, 2)
    ends = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1).astype(np.float32)
    points = hooks(t, ends[line, 0], ends[line, 1])
    points += wobble(rng, t, line) * amount[picture][:, None]
    points[:, 0] += x
    points[:, 1] += y
    return _Lines(points, lines.lengths, lines.pictures)


def _place(
    lines: _Lines, max_pen: FloatArray, is_cut: NDArray[np.bool_], settings: XOSettings, rng: np.random.Generator
) -> PenPaths:
    """Scales and places the lines in the frame, with the pen width at each point."""
    count = len(max_pen)
    picture = lines.picture_of_points
    low, high = _boxes(lines.points, picture, count)
    extent = high - low
    longest = np.maximum(extent.max(axis=1), np.float32(1e-3))

    size = uniform(rng, _at_least(settings.size, MIN_SIZE / settings.side), count)
    size = np.where(is_cut, np.maximum(size * np.float32(1.1), np.float32(0.4)), size)
    thinnest, thickest = _at_least(settings.pen_width, MIN_PEN_WIDTH / settings.side)
    pen = np.exp(uniform(rng, (math.log(thinnest), math.log(thickest)), count))
    max_pen = max_pen / longest
    pen = np.maximum(np.minimum(pen, size * max_pen / (1 + max_pen)), np.float32(thinnest))
    scale = np.maximum(size - pen, 0) / longest

    box = extent * scale[:, None] + pen[:, None]
    centre, edge = _centres(box, is_cut, settings, rng)
    middle = (low + high) / 2
    points = as_float32((lines.points - middle[picture]) * scale[picture][:, None] + centre[picture])
    width = _pen_widths(lines, pen, settings, rng)
    inside = ((points > edge[picture, 0]) & (points < edge[picture, 1])).all(axis=1)
    return _clip(np.column_stack([points, width]), inside, lines, count)


def _boxes(points: FloatArray, picture: IntArray, count: int) -> tuple[FloatArray, FloatArray]:
    """The bounding box of each picture's points: (left, top) and (right, bottom), each (N, 2); 0 without points."""
    low, high = np.full((2, count), np.inf, np.float32), np.full((2, count), -np.inf, np.float32)
    for axis in (0, 1):
        values = np.ascontiguousarray(points[:, axis])
        np.minimum.at(low[axis], picture, values)
        np.maximum.at(high[axis], picture, values)
    empty = low > high
    low[empty], high[empty] = 0, 0
    return low.T, high.T


def _at_least(bounds: Range, least: float) -> Range:
    low, high = bounds
    return min(max(low, least), high), high


def _centres(
    box: FloatArray, is_cut: NDArray[np.bool_], settings: XOSettings, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """The centre of each drawing (N, 2), and the edges (N, 2 low and high, 2 axes) at which it is clipped."""
    count = len(box)
    free = np.maximum(1 - box, 0)
    centre = (1 - free) / 2 + uniform(rng, settings.position, count, 2) * free

    # Half of the cuts are at the frame, half at the edge of a sheet within it.
    inset = np.where(rng.random(count) < 0.5, uniform(rng, (0.02, 0.14), count), 0).astype(np.float32)
    depth = triangular(rng, settings.cut_depth, count)
    # An O that is cut deeper without touching the frame would look like a C.
    depth = np.where(inset > 0, np.minimum(depth, np.float32(_SHEET_CUT_DEPTH)), depth)
    axis = rng.integers(0, 3, count)  # 2: a corner, cut less on both axes
    at_end = rng.random((count, 2)) < 0.5
    edge = np.empty((count, 2, 2), np.float32)
    edge[:, 0], edge[:, 1] = -1, 2
    for k in (0, 1):
        cut = is_cut & (axis != 1 - k)
        beyond = np.where(axis == 2, depth * np.float32(0.6), depth) * box[:, k]
        near = inset + box[:, k] / 2 - beyond
        centre[:, k] = np.where(cut, np.where(at_end[:, k], 1 - near, near), centre[:, k])
        sheet = cut & (inset > 0)
        edge[:, 0, k] = np.where(sheet & ~at_end[:, k], inset, edge[:, 0, k])
        edge[:, 1, k] = np.where(sheet & at_end[:, k], 1 - inset, edge[:, 1, k])
    return as_float32(centre), edge


def _pen_widths(lines: _Lines, pen: FloatArray, settings: XOSettings, rng: np.random.Generator) -> FloatArray:
    strokes = len(lines.lengths)
    line = np.repeat(np.arange(strokes), lines.lengths)
    landing, lifting, swell = triangular(rng, settings.pressure, 3, strokes)
    factor = pressure(relative_positions(lines.lengths), landing[line], lifting[line], swell[line] / 2)
    low, high = _at_least(settings.pen_width, MIN_PEN_WIDTH / settings.side)
    return as_float32(np.clip(pen[lines.picture_of_points] * factor, low, high))


def _clip(points: FloatArray, inside: NDArray[np.bool_], lines: _Lines, count: int) -> PenPaths:
    """Removes the points outside, splitting lines where points are removed between others."""
    if inside.all():
        return PenPaths(points, lines.lengths, lines.pictures, count)
    first = np.zeros(len(inside), bool)
    first[np.cumsum(lines.lengths) - lines.lengths] = True
    first[1:] |= ~inside[:-1]
    starts = np.flatnonzero(first[inside])
    lengths = np.diff(np.append(starts, int(inside.sum())))
    return PenPaths(points[inside], lengths, lines.picture_of_points[inside][starts], count)


# --- lines


def cross_arms(half_arms: FloatArray, angles: FloatArray, curve: FloatArray, swing: FloatArray) -> FloatArray:
    """The two arms of n X: (n, 2, ARM_POINTS, 2), from the upper to the lower end.

    half_arms: (n, 2, 2), lengths from the crossing to the upper and lower end; 1 reaches the corner of the box
    angles: (n, 2), deviation of each arm from its diagonal, radians
    curve, swing: (n, 2), C-shaped and S-shaped deviation from the straight line, as fractions of the length
    """
    tilt = np.array([np.pi / 4, 3 * np.pi / 4], np.float32) + angles
    along = np.stack([np.cos(tilt), np.sin(tilt)], axis=-1)[:, :, None, :] * np.float32(np.sqrt(2))
    beside = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    t = np.linspace(0, 1, ARM_POINTS, dtype=np.float32)
    upper, lower = half_arms[:, :, :1], half_arms[:, :, 1:]
    distance = t * (upper + lower)
    aside = curve[:, :, None] * (4 * t * (1 - t)) + swing[:, :, None] * np.sin(np.float32(2 * np.pi) * t)
    aside = aside * (upper + lower)
    return as_float32((distance - upper)[..., None] * along + aside[..., None] * beside)


def link_arms(arms: FloatArray, bulge: FloatArray) -> FloatArray:
    """X drawn in one stroke: (n, m, 2), down one arm, up along the side, and down the other.

    arms: (n, 2, ARM_POINTS, 2). bulge: (n,), horizontal bulge of the link between the arms.
    """
    start, end = arms[:, 0, -1], arms[:, 1, 0]
    t = np.linspace(0, 1, _LINK_POINTS + 2, dtype=np.float32)[1:-1, None]
    link = start[:, None] + t * (end - start)[:, None]
    link[..., 0] += bulge[:, None] * (4 * t * (1 - t))[:, 0]
    return np.concatenate([arms[:, 0], link, arms[:, 1]], axis=1)


def circles(
    start: FloatArray, sweep: FloatArray, drift: FloatArray, lumps: FloatArray, phases: FloatArray
) -> FloatArray:
    """n circles: (n, CIRCLE_POINTS, 2), from the start to the end of the stroke.

    start, sweep: (n,), radians; a sweep below 2 pi leaves a gap, one above overlaps the start; the sign is the
        direction
    drift: (n,), increase of the radius from start to end
    lumps, phases: (n, 2), amplitude and phase of the second and third harmonic of the radius; the amplitude of the
        third is halved
    """
    t = np.linspace(0, 1, CIRCLE_POINTS, dtype=np.float32)
    angle = start[:, None] + sweep[:, None] * t
    radius = 1 + drift[:, None] * (t - np.float32(0.5))
    for k in (0, 1):
        radius += lumps[:, k, None] / (k + 1) * np.cos((k + 2) * angle + phases[:, k, None])
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def relative_positions(lengths: NDArray[np.intp]) -> FloatArray:
    """The relative position of each point along its line, 0 to 1, of concatenated lines; 0 for a single point."""
    first = np.cumsum(lengths) - lengths
    index = np.arange(int(lengths.sum())) - np.repeat(first, lengths)
    return as_float32(index / np.repeat(np.maximum(lengths - 1, 1), lengths))


def wobble(rng: np.random.Generator, t: FloatArray, line: NDArray[np.intp]) -> FloatArray:
    """Displacement (T, 2) by an unsteady hand, at most about 1: a slow sway and a small tremor, random per line.

    t: (T,), relative position of each point. line: (T,), index of its line.
    """
    count = int(line[-1]) + 1 if len(line) else 0
    two_pi = np.float32(2 * np.pi)
    slow, fast = uniform(rng, (0.6, 2.0), count, 2), uniform(rng, (3.0, 6.5), count, 2)
    phases = two_pi * rng.random((2, count, 2), np.float32)
    sway = np.sin(two_pi * slow[line] * t[:, None] + phases[0][line])
    tremor = np.sin(two_pi * fast[line] * t[:, None] + phases[1][line])
    return as_float32(np.float32(0.75) * sway + np.float32(0.25) * tremor)


def hooks(t: FloatArray, landing: FloatArray, lifting: FloatArray) -> FloatArray:
    """Displacement (T, 2) near the ends of lines.

    t: (T,), relative positions. landing, lifting: (T, 2), displacement at the start and at the end.
    """
    near_start = np.maximum(1 - t / np.float32(_HOOK_LENGTH), 0)[:, None]
    near_end = np.maximum(1 - (1 - t) / np.float32(_HOOK_LENGTH), 0)[:, None]
    return as_float32(near_start**2 * landing + near_end**2 * lifting)


def pressure(t: FloatArray, landing: FloatArray, lifting: FloatArray, swell: FloatArray) -> FloatArray:
    """Factors (T,) of the pen width: changes at the start, at the end and in the middle; inputs (T,), -1 to 1."""
    start = np.exp(t / np.float32(-_PRESSURE_LENGTH))
    end = np.exp((t - 1) / np.float32(_PRESSURE_LENGTH))
    return as_float32(1 + landing * start + lifting * end + swell * np.sin(np.float32(np.pi) * t))


# --- random numbers


def as_float32(values: NDArray[Any]) -> FloatArray:
    """The values as float32, without a copy if possible; NumPy's own type annotations lose the dtype."""
    return values.astype(np.float32, copy=False)


def uniform(rng: np.random.Generator, bounds: tuple[float, float], *shape: int) -> FloatArray:
    """Uniform random numbers from low to high, float32."""
    low, high = bounds
    return as_float32(np.float32(low) + np.float32(high - low) * rng.random(shape, np.float32))


def triangular(rng: np.random.Generator, bounds: tuple[float, float], *shape: int) -> FloatArray:
    """Triangular random numbers from low to high, float32: the mean of two uniform ones."""
    return (uniform(rng, bounds, *shape) + uniform(rng, bounds, *shape)) * np.float32(0.5)
