"""Pen strokes of generated drawings, for many pictures at once, vectorized."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.data.xo.glyphs import AMBIGUOUS_GLYPHS, GLYPHS, OTHER_GLYPHS, Glyph
from engine.data.xo.letters import (
    ARM_POINTS,
    CIRCLE_POINTS,
    TAIL_POINTS,
    as_float32,
    back_to_back_arcs,
    circles,
    cross_arms,
    link_arms,
    tails,
    triangular,
    uniform,
)
from engine.data.xo.settings import MIN_OTHER_SIZE, MIN_PEN_WIDTH, MIN_SIZE, Range, XOSettings
from engine.drawings import FloatArray, IntArray, PenPaths

_HOOK_LENGTH = 0.15  # of a line's length, at either end
_PRESSURE_LENGTH = 0.12
_ARM_DEVIATION = 0.16  # radians that an arm of an X is off its diagonal, at most
_COUNTERCLOCKWISE = 0.7  # fraction of the O
_HOOKED = 0.35  # fraction of the ends of lines
_CIRCLE_MAX_PEN = 0.6  # of the radius
_SHEET_CUT_DEPTH = 0.2
_TAILED_MAX_PEN = 0.4  # of the radius
_LEAD_IN = 0.3  # fraction of the O with a tail that have another one at their start
_ROUGH_LINES = (2, 5)  # how often a rough line is drawn: lowest, and highest + 1
_ROUGH_WOBBLE = (0.015, 0.05)  # of the drawing
_RAGGED = 0.25  # standard deviation of the logarithm of a rough line's width


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
    is_rough: whether its lines are drawn several times, with ragged edges
    is_other: whether it is no X or O
    """

    stretch: FloatArray
    shear: FloatArray
    bend: FloatArray
    is_cut: NDArray[np.bool_]
    is_rough: NDArray[np.bool_]
    is_other: NDArray[np.bool_]


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

    Kinds are "X", "O", "neither" and the keys of GLYPHS; raises ValueError for any other.
    """
    names = np.array([_shape_name(kind, settings, rng) for kind in kinds], dtype=str)
    x_indices, o_indices = np.flatnonzero(names == "X"), np.flatnonzero(names == "O")
    others = np.flatnonzero((names != "X") & (names != "O"))
    shape = _random_shapes(len(kinds), o_indices, others, settings, rng)
    outlines = _concatenate(
        [
            _x_outlines(x_indices, shape, settings, rng),
            _o_outlines(o_indices, shape, settings, rng),
            _other_outlines(others, names, rng),
        ]
    )
    outlines = _with_repeated_lines(outlines, shape.is_rough, rng)
    lines = _deform(outlines, shape, settings, rng)
    return _place(lines, outlines.max_pen, shape, settings, rng)


def _shape_name(kind: str, settings: XOSettings, rng: np.random.Generator) -> str:
    """ "X", "O" or the name of a glyph. Raises ValueError for an unknown kind."""
    if kind in AMBIGUOUS_GLYPHS:
        if rng.random() >= settings.ambiguous:
            return kind
        return _random_name(AMBIGUOUS_GLYPHS[kind], rng)
    if kind == "neither":
        # As many as among the letters, so that the target is halfway between the letter and neither.
        ambiguous = settings.ambiguous * (1 - settings.neither)
        if rng.random() * settings.neither < ambiguous:
            return _random_name(AMBIGUOUS_GLYPHS["X"] | AMBIGUOUS_GLYPHS["O"], rng)
        return _random_name(OTHER_GLYPHS, rng)
    if kind not in GLYPHS:
        raise ValueError(f"There is no kind {kind!r}; use X, O, neither, or one of {', '.join(GLYPHS)}.")
    return kind


def _random_name(glyphs: Mapping[str, Glyph], rng: np.random.Generator) -> str:
    weights = np.cumsum([glyph.weight for glyph in glyphs.values()])
    return tuple(glyphs)[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]


def _random_shapes(
    count: int, o_indices: IntArray, others: IntArray, settings: XOSettings, rng: np.random.Generator
) -> _ShapeParameters:
    low, high = settings.aspect
    stretch = np.exp(triangular(rng, (math.log(low) / 2, math.log(high) / 2), count))
    shear, bend = triangular(rng, settings.shear, count), triangular(rng, settings.bend, count)
    bend[o_indices] *= np.float32(0.5)  # more would give an O corners
    is_cut = rng.random(count) < settings.cut
    is_cut[others] = False  # a part of another shape could look like an X or an O
    is_rough = rng.random(count) < settings.rough
    is_other = np.zeros(count, bool)
    is_other[others] = True
    return _ShapeParameters(stretch, shear, bend, is_cut, is_rough, is_other)


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
    cursive = rng.random(count) < settings.cursive
    is_arcs = cursive & (rng.random(count) < 0.5)
    arms[cursive, 0] = _swung_arms(half_arms[cursive], rng)
    arms[is_arcs] = back_to_back_arcs(
        uniform(rng, (0.5, 0.85), int(is_arcs.sum())), uniform(rng, (0.0, 0.08), int(is_arcs.sum()))
    )
    mirror = np.where(rng.random((count, 2)) < 0.5, np.float32(-1), np.float32(1))
    arms *= mirror[:, None, None, :]
    # The rotation starts from where the bisector of the arms is horizontal; otherwise a shear could make a plus.
    bisector = _bisector_angle(arms[:, :, -1] - arms[:, :, 0], shape.stretch[pictures], shape.shear[pictures])
    rotation = np.radians(triangular(rng, settings.rotation, count)) - bisector

    one_stroke = (rng.random(count) < settings.one_stroke) & ~is_arcs
    bulge = uniform(rng, (0.0, 0.35), count) * mirror[:, 0]
    max_pen = half_arms.min(axis=(1, 2)) * np.where(one_stroke, np.float32(0.3), np.float32(0.6))
    max_pen[is_arcs] = 0.35
    linked, separate = link_arms(arms[one_stroke], bulge[one_stroke]), arms[~one_stroke]
    lines = _Lines(
        np.concatenate([linked.reshape(-1, 2), separate.reshape(-1, 2)]),
        np.repeat([linked.shape[1], ARM_POINTS], [len(linked), 2 * len(separate)]),
        np.concatenate([pictures[one_stroke], np.repeat(pictures[~one_stroke], 2)]),
    )
    return _Outlines(lines, pictures, rotation, max_pen)


def _swung_arms(half_arms: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The first arm of n cursive X, bent to an S: (n, ARM_POINTS, 2)."""
    count = len(half_arms)
    swing = np.zeros((count, 2), np.float32)
    swing[:, 0] = -uniform(rng, (0.05, 0.13), count)
    zero = np.zeros((count, 2), np.float32)
    arms: FloatArray = cross_arms(half_arms, angles=zero, curve=zero, swing=swing)[:, 0]
    return arms


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
    has_tail = (rng.random(count) < settings.tail) & ~shape.is_cut[pictures]
    gap = np.where(has_tail, np.clip(gap, np.radians(-60.0), np.radians(10.0)), gap).astype(np.float32)
    direction = np.where(rng.random(count) < _COUNTERCLOCKWISE, np.float32(-1), np.float32(1))
    start = uniform(rng, (0, 2 * np.pi), count)
    rotation = uniform(rng, (-np.pi, np.pi), count)
    # A tail at the top is that of an O, at the bottom it could be that of a Q.
    start = np.where(has_tail, np.float32(-np.pi / 2) + triangular(rng, (-0.9, 0.9), count), start)
    rotation = np.where(has_tail, triangular(rng, (-0.35, 0.35), count), rotation)
    points = circles(
        start=as_float32(start),
        sweep=(np.float32(2 * np.pi) - gap) * direction,
        drift=triangular(rng, settings.drift, count),
        lumps=uniform(rng, settings.lumps, count, 2),
        phases=uniform(rng, (0, 2 * np.pi), count, 2),
    )
    plain = points[~has_tail]
    tailed = _with_tails(points[has_tail], direction[has_tail], rng)
    lines = _Lines(
        np.concatenate([plain.reshape(-1, 2), *tailed]),
        np.array([CIRCLE_POINTS] * len(plain) + [len(line) for line in tailed], np.intp),
        np.concatenate([pictures[~has_tail], pictures[has_tail]]),
    )
    max_pen = np.where(has_tail, np.float32(_TAILED_MAX_PEN), np.float32(_CIRCLE_MAX_PEN))
    return _Outlines(lines, pictures, as_float32(rotation), max_pen)


def _with_tails(points: FloatArray, direction: FloatArray, rng: np.random.Generator) -> list[FloatArray]:
    """Circles (n, CIRCLE_POINTS, 2) that run on into a tail, an inward hook or a loop, some from a lead-in."""
    lead_in = rng.random(len(points)) < _LEAD_IN
    before = _random_tails(points[:, ::-1], -direction, rng)[:, ::-1]
    after = _random_tails(points, direction, rng)
    return [
        np.concatenate(
            [before[i, TAIL_POINTS // 2 :], points[i], after[i]] if lead_in[i] else [points[i], after[i]]
        )
        for i in range(len(points))
    ]


def _random_tails(points: FloatArray, direction: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Tails (n, TAIL_POINTS, 2) of lines (n, m, 2) that turn in the given direction, 1 clockwise or -1."""
    count = len(points)
    way = points[:, -1] - points[:, -3]
    form = rng.integers(0, 3, count)
    tail, hook, loop = form == 0, form == 1, form == 2
    turn = np.where(tail, -uniform(rng, (-0.5, 1.8), count), np.float32(0))
    turn = np.where(hook, uniform(rng, (1.2, 2.8), count), turn)
    side = np.where(rng.random(count) < 0.5, np.float32(-1), np.float32(1))
    turn = np.where(loop, side * uniform(rng, (5.2, 8.0), count), turn)
    length = np.where(tail, uniform(rng, (0.3, 1.1), count), uniform(rng, (0.25, 0.65), count))
    length = np.where(loop, np.abs(turn) * uniform(rng, (0.12, 0.3), count), length)
    heading = np.arctan2(way[:, 1], way[:, 0])
    return tails(points[:, -1], heading, as_float32(length), as_float32(turn * direction))


def _other_outlines(pictures: IntArray, names: NDArray[np.str_], rng: np.random.Generator) -> _Outlines:
    glyphs = [GLYPHS[name] for name in names[pictures].tolist()]
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


def _with_repeated_lines(outlines: _Outlines, is_rough: NDArray[np.bool_], rng: np.random.Generator) -> _Outlines:
    """Repeats the lines of rough pictures; each repetition gets a wobble of its own."""
    lines = outlines.lines
    times = np.where(is_rough, rng.integers(*_ROUGH_LINES, len(is_rough)), 1)[lines.pictures]
    order = np.repeat(np.arange(len(times)), times)
    first = np.cumsum(lines.lengths) - lines.lengths
    lengths = lines.lengths[order]
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    points = lines.points[np.repeat(first[order], lengths) + within]
    return replace(outlines, lines=_Lines(points, lengths, lines.pictures[order]))


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

    rough = uniform(rng, _ROUGH_WOBBLE, count)
    amount = 2 * np.where(shape.is_rough, rough, uniform(rng, settings.wobble, count))
    length = 2 * uniform(rng, settings.hook, strokes, 2) * (rng.random((strokes, 2)) < _HOOKED)
    angle = uniform(rng, (0, 2 * np.pi), strokes, 2)
    ends = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1).astype(np.float32)
    points = hooks(t, ends[line, 0], ends[line, 1])
    points += wobble(rng, t, line) * amount[picture][:, None]
    points[:, 0] += x
    points[:, 1] += y
    return _Lines(points, lines.lengths, lines.pictures)


def _place(
    lines: _Lines, max_pen: FloatArray, shape: _ShapeParameters, settings: XOSettings, rng: np.random.Generator
) -> PenPaths:
    """Scales and places the lines in the frame, with the pen width at each point."""
    count, is_cut = len(max_pen), shape.is_cut
    picture = lines.picture_of_points
    low, high = _boxes(lines.points, picture, count)
    extent = high - low
    longest = np.maximum(extent.max(axis=1), np.float32(1e-3))

    smallest, largest = _at_least(settings.size, MIN_SIZE / settings.side)
    size = np.exp(uniform(rng, (math.log(smallest), math.log(largest)), count))
    smallest, _ = _at_least(settings.size, MIN_OTHER_SIZE / settings.side)
    size = np.where(shape.is_other, np.maximum(size, np.float32(smallest)), size)
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
    width = _pen_widths(replace(lines, points=points), pen, shape.is_rough, settings, rng)
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


def _pen_widths(
    lines: _Lines, pen: FloatArray, is_rough: NDArray[np.bool_], settings: XOSettings, rng: np.random.Generator
) -> FloatArray:
    strokes = len(lines.lengths)
    line, picture = np.repeat(np.arange(strokes), lines.lengths), lines.picture_of_points
    landing, lifting, swell = triangular(rng, settings.pressure, 3, strokes)
    factor = pressure(relative_positions(lines.lengths), landing[line], lifting[line], swell[line] / 2)
    # A flat nib draws a thin line along its edge and a wide one across it. Squared, because round ones are common.
    low, high = settings.nib
    flatness = np.float32(low) + np.float32(high - low) * rng.random(len(pen), np.float32) ** 2
    nib = uniform(rng, (0, np.pi), len(pen))
    factor = factor * (1 - flatness[picture] * np.abs(np.cos(_headings(lines) - nib[picture])))
    ragged = np.exp(np.float32(_RAGGED) * rng.standard_normal(len(picture), np.float32))
    factor = factor * np.where(is_rough[picture], ragged, np.float32(1))
    low, high = _at_least(settings.pen_width, MIN_PEN_WIDTH / settings.side)
    return as_float32(np.clip(pen[picture] * factor, low, high))


def _headings(lines: _Lines) -> FloatArray:
    """The direction of the line at each point, radians."""
    way = np.zeros_like(lines.points)
    way[:-1] = lines.points[1:] - lines.points[:-1]
    last = np.cumsum(lines.lengths) - 1
    way[last] = np.where(lines.lengths[:, None] > 1, way[last - 1], 0)
    return as_float32(np.arctan2(way[:, 1], way[:, 0]))


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
