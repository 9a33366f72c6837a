"""From kinds of drawing to the paths of the pen, for many pictures at once. Not their pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.xo.glyphs import NEITHER
from engine.data.xo.settings import LEAST_PEN, LEAST_SIZE, Range, XOSettings
from engine.drawings.drawing import Array
from engine.drawings.raster import Index, Paths

ARM_POINTS = 22
ROUND_POINTS = 52
_LINK_POINTS = 12
_HOOK_SHARE = 0.15  # of a line's length, at either end
_PRESSURE_SHARE = 0.12


def float32(values: NDArray[Any]) -> Array:
    """The values as float32; also how the type checker learns that they are."""
    return values.astype(np.float32, copy=False)


def between(rng: np.random.Generator, bounds: tuple[float, float], *shape: int) -> Array:
    """Values spread evenly from low to high, float32."""
    low, high = bounds
    return float32(np.float32(low) + np.float32(high - low) * rng.random(shape, np.float32))


def around(rng: np.random.Generator, bounds: tuple[float, float], *shape: int) -> Array:
    """Values from low to high, float32, the middle the likeliest: the mean of two even ones."""
    return (between(rng, bounds, *shape) + between(rng, bounds, *shape)) * np.float32(0.5)


def crosses(half_arms: Array, angles: Array, curve: Array, swing: Array) -> Array:
    """The two arms of n crosses: (n, 2, ARM_POINTS, 2), from the upper end to the lower.

    half_arms: (n, 2, 2), lengths from the crossing to the upper and the lower end, 1 reaching the box's
    corner. angles: (n, 2), radians by which each arm is off its diagonal. curve, swing: (n, 2), how far the
    arm leaves the straight line, to one side and to both in turn, as shares of its length.
    """
    tilt = np.array([np.pi / 4, 3 * np.pi / 4], np.float32) + angles
    along = np.stack([np.cos(tilt), np.sin(tilt)], axis=-1)[:, :, None, :] * np.float32(np.sqrt(2))
    beside = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    t = np.linspace(0, 1, ARM_POINTS, dtype=np.float32)
    upper, lower = half_arms[:, :, :1], half_arms[:, :, 1:]
    reach = t * (upper + lower)
    aside = curve[:, :, None] * (4 * t * (1 - t)) + swing[:, :, None] * np.sin(np.float32(2 * np.pi) * t)
    aside = aside * (upper + lower)
    return float32((reach - upper)[..., None] * along + aside[..., None] * beside)


def hands_linked(arms: Array, bulge: Array) -> Array:
    """Crosses drawn without lifting the pen: (n, m, 2): down one arm, up along the side, down the other.

    arms: (n, 2, ARM_POINTS, 2). bulge: (n,), how far the link swings out.
    """
    start, end = arms[:, 0, -1], arms[:, 1, 0]
    t = np.linspace(0, 1, _LINK_POINTS + 2, dtype=np.float32)[1:-1, None]
    link = start[:, None] + t * (end - start)[:, None]
    link[..., 0] += bulge[:, None] * (4 * t * (1 - t))[:, 0]
    return np.concatenate([arms[:, 0], link, arms[:, 1]], axis=1)


def rounds(start: Array, sweep: Array, drift: Array, lumps: Array, phases: Array) -> Array:
    """n circles: (n, ROUND_POINTS, 2), from where the pen lands to where it lifts.

    start, sweep: (n,), radians; a sweep below 2 pi leaves a gap, one above runs past the start; its sign is
    the direction. drift: (n,), how much wider the round ends than it began. lumps,
    phases: (n, 2), the height and the place of its two bulges and of its three, which are half as high.
    """
    t = np.linspace(0, 1, ROUND_POINTS, dtype=np.float32)
    angle = start[:, None] + sweep[:, None] * t
    radius = 1 + drift[:, None] * (t - np.float32(0.5))
    for k in (0, 1):
        radius += lumps[:, k, None] / (k + 1) * np.cos((k + 2) * angle + phases[:, k, None])
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def along_lines(lengths: NDArray[np.intp]) -> Array:
    """How far along its line each point is, 0 to 1, for lines of these lengths end to end; a dot is at 0."""
    first = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(first, lengths)
    return float32(place / np.repeat(np.maximum(lengths - 1, 1), lengths))


def wobble(rng: np.random.Generator, t: Array, line: NDArray[np.intp]) -> Array:
    """Unsteadiness (T, 2) of at most about 1: a slow sway and a small tremor, of its own for each line.

    t: (T,), how far along its line each point is. line: (T,), which line it is on.
    """
    count = int(line[-1]) + 1 if len(line) else 0
    turn = np.float32(2 * np.pi)
    slow, fast = between(rng, (0.6, 2.0), count, 2), between(rng, (3.0, 6.5), count, 2)
    phases = turn * rng.random((2, count, 2), np.float32)
    sway = np.sin(turn * slow[line] * t[:, None] + phases[0][line])
    tremor = np.sin(turn * fast[line] * t[:, None] + phases[1][line])
    return float32(np.float32(0.75) * sway + np.float32(0.25) * tremor)


def hooks(t: Array, landing: Array, lifting: Array) -> Array:
    """Displacement (T, 2) of a line's ends, where the pen lands or lifts while the hand still moves.

    t: (T,). landing, lifting: (T, 2), the displacement of the very end.
    """
    near_start = np.maximum(1 - t / np.float32(_HOOK_SHARE), 0)[:, None]
    near_end = np.maximum(1 - (1 - t) / np.float32(_HOOK_SHARE), 0)[:, None]
    return float32(near_start**2 * landing + near_end**2 * lifting)


def pressure(t: Array, landing: Array, lifting: Array, swell: Array) -> Array:
    """Factors (T,) of the pen's width, as it changes near a line's ends and between; inputs (T,), -1 to 1."""
    start = np.exp(t / np.float32(-_PRESSURE_SHARE))
    end = np.exp((t - 1) / np.float32(_PRESSURE_SHARE))
    return float32(1 + landing * start + lifting * end + swell * np.sin(np.float32(np.pi) * t))


_OFF_DIAGONAL = 0.16  # radians, of an arm of an X
_LEFTWARD = 0.7  # the share of O drawn against the clock
_HOOKED = 0.35  # the share of line ends with a hook
_ROUND_ROOM = 0.6  # of the radius, for the pen of an O
_SHEET_DEPTH = 0.2


@dataclass(frozen=True, eq=False)
class _Lines:
    """Lines of many pictures, end to end, in boxes of their own: points (T, 2), lengths, pictures (K,)."""

    points: Array
    lengths: Index
    pictures: Index

    @property
    def picture_of_points(self) -> Index:
        return np.repeat(self.pictures, self.lengths)


@dataclass(frozen=True, eq=False)
class _Build:
    """How each picture's shape is built, before a line is drawn; all (N,).

    stretch: wider and lower by this factor. shear: x moves by this much of y. bend: how high the middle arches.
    is_cut: cut open by an edge.
    """

    stretch: Array
    shear: Array
    bend: Array
    is_cut: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Outlines:
    """Lines in boxes of their own, and what their pictures bear.

    which: (M,), the pictures. turn: (M,), radians by which to turn them. room: (M,), the widest pen that does not
    fill the shape, in the lines' units.
    """

    lines: _Lines
    which: Index
    turn: Array
    room: Array


def sketch(kinds: Sequence[str], settings: XOSettings, rng: np.random.Generator) -> Paths:
    """The pens' paths of one picture for each kind, in frame units.

    Kinds are "X", "O", "neither" and the keys of NEITHER; raises ValueError for any other.
    """
    names = np.array(kinds, dtype=str)
    crosses, rounds = np.flatnonzero(names == "X"), np.flatnonzero(names == "O")
    others = np.flatnonzero((names != "X") & (names != "O"))
    build = _build(len(kinds), rounds, others, settings, rng)
    outlines = _joined(
        [
            _crosses(crosses, build, settings, rng),
            _rounds(rounds, build, settings, rng),
            _neither(others, kinds, rng),
        ]
    )
    lines = _by_hand(outlines, build, settings, rng)
    return _placed(lines, outlines.room, build.is_cut, settings, rng)


def _build(count: int, rounds: Index, others: Index, settings: XOSettings, rng: np.random.Generator) -> _Build:
    low, high = settings.aspect
    stretch = np.exp(around(rng, (math.log(low) / 2, math.log(high) / 2), count))
    shear, bend = around(rng, settings.shear, count), around(rng, settings.bend, count)
    bend[rounds] *= np.float32(0.5)  # more would give a round corners
    is_cut = rng.random(count) < settings.cut
    is_cut[others] = False  # part of another shape might be an X or an O
    return _Build(stretch, shear, bend, is_cut)


def _joined(parts: Sequence[_Outlines]) -> _Outlines:
    """All parts as one, turn and room in the order of the pictures."""
    lines = _Lines(
        np.concatenate([part.lines.points for part in parts]),
        np.concatenate([part.lines.lengths for part in parts]),
        np.concatenate([part.lines.pictures for part in parts]),
    )
    order = np.argsort(np.concatenate([part.which for part in parts]))
    turn = np.concatenate([part.turn for part in parts])[order]
    room = np.concatenate([part.room for part in parts])[order]
    return _Outlines(lines, np.arange(len(order)), turn, room)


def _crosses(which: Index, build: _Build, settings: XOSettings, rng: np.random.Generator) -> _Outlines:
    count = len(which)
    low, high = settings.arms
    # Mostly long: short arms are the exception in any hand.
    half_arms = np.float32(high) - np.float32(high - low) * rng.random((count, 2, 2), np.float32) ** 2
    # A short arm might be cut away whole, and a V is not an X.
    half_arms = np.where(build.is_cut[which][:, None, None], np.maximum(half_arms, 0.8), half_arms)
    arms = crosses(
        half_arms,
        angles=around(rng, (-_OFF_DIAGONAL, _OFF_DIAGONAL), count, 2),
        curve=around(rng, settings.curve, count, 2),
        swing=around(rng, settings.curve, count, 2) * np.float32(0.4),
    )
    mirrored = np.where(rng.random((count, 2)) < 0.5, np.float32(-1), np.float32(1))
    arms *= mirrored[:, None, None, :]
    # An X is turned from where the line that halves its angle is level: else a shear could make it a +.
    halving = _halving(arms[:, :, -1] - arms[:, :, 0], build.stretch[which], build.shear[which])
    turn = np.radians(around(rng, settings.rotation, count)) - halving

    at_once = rng.random(count) < settings.one_stroke
    bulge = between(rng, (0.0, 0.35), count) * mirrored[:, 0]
    room = half_arms.min(axis=(1, 2)) * np.where(at_once, np.float32(0.3), np.float32(0.6))
    linked, lifted = hands_linked(arms[at_once], bulge[at_once]), arms[~at_once]
    lines = _Lines(
        np.concatenate([linked.reshape(-1, 2), lifted.reshape(-1, 2)]),
        np.repeat([linked.shape[1], ARM_POINTS], [len(linked), 2 * len(lifted)]),
        np.concatenate([which[at_once], np.repeat(which[~at_once], 2)]),
    )
    return _Outlines(lines, which, turn, room)


def _halving(arms: Array, stretch: Array, shear: Array) -> Array:
    """Which way the line between two arms (n, 2, 2) lies once they are stretched and sheared: radians, +-pi/4."""
    y = arms[..., 1] / stretch[:, None]
    x = arms[..., 0] * stretch[:, None] + shear[:, None] * y
    angle = np.arctan2(y, x).sum(axis=1) / 2
    quarter = np.float32(np.pi / 2)
    return float32(angle - quarter * np.round(angle / quarter))


def _rounds(which: Index, build: _Build, settings: XOSettings, rng: np.random.Generator) -> _Outlines:
    count = len(which)
    gap = np.radians(around(rng, settings.gap, count))
    gap = np.where(build.is_cut[which], np.minimum(gap, 0), gap)  # one opening is enough
    direction = np.where(rng.random(count) < _LEFTWARD, np.float32(-1), np.float32(1))
    points = rounds(
        start=between(rng, (0, 2 * np.pi), count),
        sweep=(np.float32(2 * np.pi) - gap) * direction,
        drift=around(rng, settings.drift, count),
        lumps=between(rng, settings.lumps, count, 2),
        phases=between(rng, (0, 2 * np.pi), count, 2),
    )
    lines = _Lines(points.reshape(-1, 2), np.full(count, ROUND_POINTS, np.intp), which)
    room = np.full(count, _ROUND_ROOM, np.float32)
    return _Outlines(lines, which, between(rng, (-np.pi, np.pi), count), room)


def _neither(which: Index, kinds: Sequence[str], rng: np.random.Generator) -> _Outlines:
    shapes = [NEITHER[_shape_name(kinds[picture], rng)] for picture in which.tolist()]
    drawn = [shape.draw(rng) for shape in shapes]
    lines = [line for picture in drawn for line in picture]
    turn = np.radians([rng.uniform(-shape.turn, shape.turn) for shape in shapes])
    return _Outlines(
        _Lines(
            np.concatenate([np.empty((0, 2), np.float32), *lines]),
            np.array([len(line) for line in lines], np.intp),
            np.repeat(which, np.array([len(picture) for picture in drawn], np.intp)),
        ),
        which,
        float32(turn),
        np.array([shape.room for shape in shapes], np.float32),
    )


def _shape_name(kind: str, rng: np.random.Generator) -> str:
    if kind == "neither":
        return tuple(NEITHER)[rng.integers(len(NEITHER))]
    if kind not in NEITHER:
        raise ValueError(f"There is no kind {kind!r}; use X, O, neither, or one of {', '.join(NEITHER)}.")
    return kind


def _by_hand(outlines: _Outlines, build: _Build, settings: XOSettings, rng: np.random.Generator) -> _Lines:
    """The lines as an unsteady hand draws them: sheared, bent, turned, wobbling, hooked."""
    lines = outlines.lines
    count, strokes = len(outlines.turn), len(lines.lengths)
    t = along_lines(lines.lengths)
    line = np.repeat(np.arange(strokes), lines.lengths)
    picture = lines.picture_of_points

    stretch, cos, sin = build.stretch, np.cos(outlines.turn), np.sin(outlines.turn)
    x, y = lines.points[:, 0], lines.points[:, 1]
    x, y = x * stretch[picture], y / stretch[picture]
    x = x + build.shear[picture] * y
    y = y + 2 * build.bend[picture] * (x * x - np.float32(0.5))
    x, y = x * cos[picture] - y * sin[picture], x * sin[picture] + y * cos[picture]

    amount = 2 * between(rng, settings.wobble, count)
    reach = 2 * between(rng, settings.hook, strokes, 2) * (rng.random((strokes, 2)) < _HOOKED)
    way = between(rng, (0, 2 * np.pi), strokes, 2)
    ends = np.stack([reach * np.cos(way), reach * np.sin(way)], axis=-1).astype(np.float32)
    moved = hooks(t, ends[line, 0], ends[line, 1])
    moved += wobble(rng, t, line) * amount[picture][:, None]
    moved[:, 0] += x
    moved[:, 1] += y
    return _Lines(moved, lines.lengths, lines.pictures)


def _placed(
    lines: _Lines, room: Array, is_cut: NDArray[np.bool_], settings: XOSettings, rng: np.random.Generator
) -> Paths:
    """The lines in the frame, with the pen's width at each point."""
    count = len(room)
    picture = lines.picture_of_points
    low, high = _boxes(lines.points, picture, count)
    extent = high - low
    longest = np.maximum(extent.max(axis=1), np.float32(1e-3))

    size = between(rng, _at_least(settings.size, LEAST_SIZE / settings.side), count)
    size = np.where(is_cut, np.maximum(size * np.float32(1.1), np.float32(0.4)), size)
    # Thin and thick pens alike: evenly over the logarithm.
    thinnest, thickest = _at_least(settings.pen_width, LEAST_PEN / settings.side)
    pen = np.exp(between(rng, (math.log(thinnest), math.log(thickest)), count))
    room = room / longest
    pen = np.maximum(np.minimum(pen, size * room / (1 + room)), np.float32(thinnest))
    scale = np.maximum(size - pen, 0) / longest

    box = extent * scale[:, None] + pen[:, None]
    centre, edge = _centres(box, is_cut, settings, rng)
    middle = (low + high) / 2
    points = float32((lines.points - middle[picture]) * scale[picture][:, None] + centre[picture])
    width = _widths(lines, pen, settings, rng)
    kept = ((points > edge[picture, 0]) & (points < edge[picture, 1])).all(axis=1)
    return _parted(np.column_stack([points, width]), kept, lines, count)


def _boxes(points: Array, picture: Index, count: int) -> tuple[Array, Array]:
    """Left top and right bottom (N, 2) of each picture's points; 0 for a picture without any."""
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
    box: Array, is_cut: NDArray[np.bool_], settings: XOSettings, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Where each drawing is centred (N, 2), and the edges (N, 2 low and high, 2 axes) beyond which it is cut."""
    count = len(box)
    free = np.maximum(1 - box, 0)
    centre = (1 - free) / 2 + between(rng, settings.position, count, 2) * free

    # Half of the cuts are made by the frame, half by the edge of a sheet that ends before it.
    inset = np.where(rng.random(count) < 0.5, between(rng, (0.02, 0.14), count), 0).astype(np.float32)
    depth = around(rng, settings.cut_depth, count)
    # A round that is opened further without the frame's edge to explain it is a C.
    depth = np.where(inset > 0, np.minimum(depth, np.float32(_SHEET_DEPTH)), depth)
    axis = rng.integers(0, 3, count)  # 2: a corner, cut on both axes but less
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
    return float32(centre), edge


def _widths(lines: _Lines, pen: Array, settings: XOSettings, rng: np.random.Generator) -> Array:
    strokes = len(lines.lengths)
    line = np.repeat(np.arange(strokes), lines.lengths)
    landing, lifting, swell = around(rng, settings.pressure, 3, strokes)
    factor = pressure(along_lines(lines.lengths), landing[line], lifting[line], swell[line] / 2)
    low, high = _at_least(settings.pen_width, LEAST_PEN / settings.side)
    return float32(np.clip(pen[lines.picture_of_points] * factor, low, high))


def _parted(points: Array, kept: NDArray[np.bool_], lines: _Lines, count: int) -> Paths:
    """Only the points that are kept; a line that loses points between others becomes two."""
    if kept.all():
        return Paths(points, lines.lengths, lines.pictures, count)
    first = np.zeros(len(kept), bool)
    first[np.cumsum(lines.lengths) - lines.lengths] = True
    first[1:] |= ~kept[:-1]
    starts = np.flatnonzero(first[kept])
    lengths = np.diff(np.append(starts, int(kept.sum())))
    return Paths(points[kept], lengths, lines.picture_of_points[kept][starts], count)
