"""Glyphs that are neither an X nor an O, or that could be read as one, as lists of lines.

A line is (n, 2) float32 in a box of about -1 to 1, x to the right, y down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.drawings import FloatArray, smooth_path

Point = tuple[float, float]
Polylines = list[FloatArray]
Draw = Callable[[np.random.Generator], Polylines]
_Line = tuple[Point, ...]

_SPACING = 0.12  # between the points of a straight line
_JITTER = 0.06  # standard deviation of the position of a corner


@dataclass(frozen=True)
class Glyph:
    """A glyph with the limits within which it stays recognizable.

    draw: returns its lines, randomly varied
    max_rotation: degrees to either side
    max_pen_width: the widest pen that does not fill it
    weight: how often it is drawn, compared with the other glyphs
    """

    draw: Draw
    max_rotation: float
    max_pen_width: float = 0.35
    weight: float = 1.0


def _straight(*lines: _Line) -> Draw:
    """Polylines through the given corners."""
    return lambda rng: [_resample(corners) for corners in _jitter(lines, rng)]


def _curved(*lines: _Line) -> Draw:
    """Smooth curves near the given control points."""
    return lambda rng: [smooth_path(control) for control in _jitter(lines, rng)]


def _mixed(straight: tuple[_Line, ...], curved: tuple[_Line, ...]) -> Draw:
    """Polylines through corners, and smooth curves near control points."""

    def draw(rng: np.random.Generator) -> Polylines:
        moved = _jitter((*straight, *curved), rng)
        return [_resample(corners) for corners in moved[: len(straight)]] + [
            smooth_path(control) for control in moved[len(straight) :]
        ]

    return draw


def _one_of(*choices: Draw) -> Draw:
    """One of several ways to write a glyph."""
    return lambda rng: choices[int(rng.integers(len(choices)))](rng)


def _oval(x: float, y: float, width: float, height: float, start: float = -90, sweep: float = 360) -> _Line:
    """Control points of an ellipse with the half axes `width` and `height`, or of an arc of it, in degrees."""
    angles = np.radians(np.linspace(start, start + sweep, max(round(abs(sweep) / 30), 3) + 1))
    # A quadratic B-spline lies within its control points.
    points = [(x + 1.04 * width * math.cos(a), y + 1.04 * height * math.sin(a)) for a in angles.tolist()]
    return tuple((round(x, 3), round(y, 3)) for x, y in points)


def _jitter(lines: tuple[_Line, ...], rng: np.random.Generator) -> Polylines:
    # A corner shared by several lines is moved once, so that a closed glyph stays closed.
    moved: dict[Point, FloatArray] = {}
    for point in dict.fromkeys(point for line in lines for point in line):
        moved[point] = (np.array(point) + rng.normal(0, _JITTER, 2)).astype(np.float32)
    return [np.stack([moved[point] for point in line]) for line in lines]


def _resample(corners: FloatArray) -> FloatArray:
    """Points at intervals of about _SPACING along a polyline."""
    segments = np.diff(corners, axis=0)
    lengths = np.hypot(segments[:, 0], segments[:, 1])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    inner = [
        np.linspace(ends[i], ends[i + 1], max(int(length / _SPACING), 1), endpoint=False)
        for i, length in enumerate(lengths)
    ]
    distance = np.concatenate([*inner, ends[-1:]])
    return np.column_stack([np.interp(distance, ends, corners[:, axis]) for axis in (0, 1)]).astype(np.float32)


def _ring(angle: FloatArray, radius: FloatArray | float) -> FloatArray:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)


def _arc(low: float, high: float) -> Draw:
    """A circular arc, open to the right, that spans `low` to `high` degrees."""

    def draw(rng: np.random.Generator) -> Polylines:
        span = np.radians(rng.uniform(low, high))
        angle = np.linspace(np.pi - span / 2, np.pi + span / 2, 28, dtype=np.float32)
        return [_ring(angle, 1.0)]

    return draw


def _spiral(rng: np.random.Generator) -> Polylines:
    turns = rng.uniform(1.8, 3.2)
    angle = np.linspace(0, 2 * np.pi * turns, int(26 * turns), dtype=np.float32) * rng.choice([-1, 1])
    radius = np.linspace(rng.uniform(0.02, 0.1), 1, len(angle), dtype=np.float32)
    return [_ring(angle + np.float32(rng.uniform(0, 6.3)), radius)]


def _zigzag(rng: np.random.Generator) -> Polylines:
    count = int(rng.integers(4, 9))
    corners = np.column_stack([np.linspace(-1, 1, count), np.resize([-1.0, 1.0], count) * rng.uniform(0.25, 0.8)])
    return [_resample((corners + rng.normal(0, _JITTER, corners.shape)).astype(np.float32))]


def _wave(rng: np.random.Generator) -> Polylines:
    x = np.linspace(-1, 1, 36, dtype=np.float32)
    height = rng.uniform(0.15, 0.4)
    return [np.column_stack([x, height * np.sin(x * rng.uniform(3, 9) + rng.uniform(0, 6))]).astype(np.float32)]


def _scribble(rng: np.random.Generator) -> Polylines:
    """A curve that swings to and fro while it drifts, with many crossings."""
    count = int(rng.integers(9, 18))
    swing = np.resize([-1.0, 1.0], count) * rng.uniform(0.5, 1.0, count)
    drift = np.linspace(-0.5, 0.5, count) * rng.uniform(0.6, 2.0)
    control = np.column_stack([swing, drift + rng.normal(0, 0.12, count)])
    return [smooth_path(control.astype(np.float32))]


def _loops(rng: np.random.Generator) -> Polylines:
    """A row of loops, like a coiled cord."""
    turns = rng.uniform(3, 5)
    angle = np.linspace(0, 2 * np.pi * turns, int(20 * turns), dtype=np.float32)
    x = np.linspace(-1, 1, len(angle)) + 0.3 * np.cos(angle)
    return [np.column_stack([x, 0.45 * np.sin(angle)]).astype(np.float32)]


def _fork(rng: np.random.Generator) -> Polylines:
    """A K: an upright stem, and two arms that meet on it, short of it, or just behind it."""
    stem = rng.uniform(-0.75, -0.35)
    joint = stem + rng.choice([0.0, rng.uniform(0.0, 0.25), rng.uniform(-0.08, 0.0)])
    middle = rng.uniform(-0.25, 0.25)
    reach = rng.uniform(0.5, 0.9, 2)
    upper, lower = (reach[0], rng.uniform(-1.05, -0.75)), (reach[1], rng.uniform(0.75, 1.05))
    upright = ((stem, rng.uniform(-1.1, -0.9)), (stem + rng.uniform(-0.05, 0.05), rng.uniform(0.9, 1.1)))
    if rng.random() < 0.5:
        arms: tuple[_Line, ...] = ((upper, (joint, middle), lower),)
    else:  # the lower arm starts on the upper one
        start = rng.uniform(0.0, 0.35)
        branch = (joint + start * (reach[0] - joint), middle + start * (upper[1] - middle))
        arms = ((upper, (joint, middle)), (branch, lower))
    return _straight(upright, *arms)(rng)


def _star(rng: np.random.Generator) -> Polylines:
    """Three or four lines through one point."""
    count = int(rng.integers(3, 5))
    angles = np.arange(count) * np.pi / count + rng.normal(0, 0.06, count) + rng.uniform(0, np.pi)
    ends = np.column_stack([np.cos(angles), np.sin(angles)])
    return [
        _resample(np.stack([-end * rng.uniform(0.75, 1.05), end * rng.uniform(0.75, 1.05)]).astype(np.float32))
        for end in ends
    ]


def _polygon(rng: np.random.Generator) -> Polylines:
    """A star of five points, drawn in one line."""
    angle = np.arange(6) * 4 * np.pi / 5 - np.pi / 2
    corners = _ring(angle.astype(np.float32), 1.0)
    corners[:5] += rng.normal(0, _JITTER, (5, 2)).astype(np.float32)
    corners[5] = corners[0]
    return [_resample(corners)]


def _tilted_plus(rng: np.random.Generator) -> Polylines:
    """A plus, rotated so far that it could be an X."""
    tilt = rng.choice([-1, 1]) * rng.uniform(7, 17)
    angles = np.radians([tilt + rng.uniform(-4, 4), 90 + tilt + rng.uniform(-4, 4)])
    ends = np.column_stack([np.cos(angles), np.sin(angles)])
    return [
        _resample(np.stack([-end * rng.uniform(0.6, 1.0), end * rng.uniform(0.6, 1.0)]).astype(np.float32))
        for end in ends
    ]


def _short_armed(rng: np.random.Generator) -> Polylines:
    """An X one arm of which is so short that it could be a Y."""
    signs = np.array([[-1, -1], [1, 1], [1, -1], [-1, 1]]) * rng.choice([-1, 1], 2)
    lengths = rng.uniform(0.7, 1.0, 4)
    lengths[0] = rng.uniform(0.06, 0.28)
    ends = signs * lengths[:, None] * np.array([rng.uniform(0.7, 1.0), 1.0]) + rng.normal(0, 0.03, (4, 2))
    return [_resample(ends[[0, 1]].astype(np.float32)), _resample(ends[[2, 3]].astype(np.float32))]


def _touching_angles(rng: np.random.Generator) -> Polylines:
    """Two angles that touch at their tips, one nearly straight: an X or a K."""
    wide, narrow = rng.uniform(0.42, 0.6), rng.uniform(0.7, 1.0)
    joint = rng.uniform(-0.03, 0.06)
    return _straight(((-wide, -1), (-joint, 0), (-wide, 1)), ((narrow, -1), (joint, 0), (narrow, 1)))(rng)


def _rounded_square(rng: np.random.Generator) -> Polylines:
    """A superellipse between a circle and a square."""
    angle = np.linspace(0, 2 * np.pi, 56, dtype=np.float32)
    power = 2 / rng.uniform(3.2, 5.0)
    sides = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    heights = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    return [np.column_stack([sides, heights * rng.uniform(0.8, 1.2)]).astype(np.float32)]


def _crossed_ring(rng: np.random.Generator) -> Polylines:
    """A ring with a short tail across its line, at the lower right: an O or a Q."""
    start, end = rng.uniform(0.75, 0.95), rng.uniform(1.1, 1.3)
    angle = np.radians(rng.uniform(25, 65))
    way = np.array([math.cos(angle), math.sin(angle)])
    ring = _ring(np.linspace(0, 2 * np.pi, 52, dtype=np.float32), 1.0)
    return [ring, _resample(np.stack([start * way, end * way]).astype(np.float32))]


def _dots(rng: np.random.Generator) -> Polylines:
    return [rng.uniform(-1, 1, (1, 2)).astype(np.float32) for _ in range(rng.integers(1, 6))]


def _blank(rng: np.random.Generator) -> Polylines:
    return []


ANY_ROTATION: Final = 180.0

OTHER_GLYPHS: Final[dict[str, Glyph]] = {
    "blank": Glyph(_blank, 0),
    "dots": Glyph(_dots, ANY_ROTATION),
    "line": Glyph(_straight(((-1, 0), (1, 0))), ANY_ROTATION),
    "curved line": Glyph(_curved(((-1, 0.4), (-0.5, -0.3), (0.5, -0.3), (1, 0.4))), ANY_ROTATION),
    "two lines": Glyph(_straight(((-0.4, -1), (-0.4, 1)), ((0.4, -1), (0.4, 1))), ANY_ROTATION),
    "dashes": Glyph(
        _straight(((-1, 0), (-0.5, 0.02)), ((-0.15, 0), (0.3, 0.03)), ((0.6, 0), (1, 0.01))), ANY_ROTATION
    ),
    "plus": Glyph(_straight(((0, -1), (0, 1)), ((-1, 0), (1, 0))), 4),
    "zigzag": Glyph(_zigzag, ANY_ROTATION, 0.2),
    "wave": Glyph(_wave, ANY_ROTATION),
    "scribble": Glyph(_scribble, ANY_ROTATION, 0.15),
    "loops": Glyph(_loops, 30, 0.12),
    "spiral": Glyph(_spiral, ANY_ROTATION, 0.12),
    "arc": Glyph(_arc(90, 200), ANY_ROTATION),
    "triangle": Glyph(_straight(((0, -1), (1, 0.8), (-1, 0.8), (0, -1))), ANY_ROTATION),
    "square": Glyph(_straight(((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))), 50),
    "tick": Glyph(_straight(((-1, 0.2), (-0.4, 0.9), (1, -0.9))), 20),
    "arrow": Glyph(_straight(((-1, 0), (1, 0)), ((0.4, -0.5), (1, 0), (0.4, 0.5))), ANY_ROTATION),
    "C": Glyph(_arc(190, 225), 25, weight=2),
    "E": Glyph(_straight(((0.7, -1), (-0.7, -1), (-0.7, 1), (0.7, 1.01)), ((-0.7, 0), (0.5, 0.01))), 15),
    "F": Glyph(_straight(((0.7, -1), (-0.6, -1), (-0.6, 1)), ((-0.6, 0), (0.4, 0.01))), 15),
    "H": Glyph(_straight(((-0.8, -1), (-0.8, 1)), ((0.8, -1), (0.8, 1)), ((-0.8, 0), (0.8, 0.01))), 20),
    "J": Glyph(_curved(((0.4, -1), (0.4, -0.2), (0.4, 0.9), (-0.2, 1.1), (-0.6, 0.5))), 20),
    "L": Glyph(_straight(((-0.6, -1), (-0.6, 1), (0.7, 1))), ANY_ROTATION),
    "M": Glyph(_straight(((-0.9, 1), (-0.8, -1), (0, 0.4), (0.8, -1), (0.9, 1))), ANY_ROTATION),
    "N": Glyph(_straight(((-0.7, 1), (-0.7, -1), (0.7, 1), (0.7, -1))), 20, weight=2),
    "S": Glyph(_curved(((0.7, -0.8), (0, -1.2), (-1, -0.7), (0, 0), (1, 0.7), (0, 1.2), (-0.8, 0.8))), 20),
    "T": Glyph(_straight(((-0.8, -1), (0.8, -1)), ((0, -1), (0, 1))), 20, weight=2),
    "U": Glyph(_curved(((-0.8, -1), (-0.8, 0.2), (-0.7, 1.2), (0.7, 1.2), (0.8, 0.2), (0.8, -1))), 25),
    "V": Glyph(_straight(((-0.8, -1), (0, 1), (0.8, -1))), ANY_ROTATION),
    "Y": Glyph(_straight(((-0.8, -1), (0, 0)), ((0.8, -1), (0, 0), (0, 1))), 12),
    "Z": Glyph(_straight(((-0.8, -1), (0.8, -1), (-0.8, 1), (0.8, 1))), 15),
    "1": Glyph(_straight(((-0.4, -0.5), (0.1, -1), (0.1, 1))), 15),
    "2": Glyph(_curved(((-0.7, -0.6), (-0.3, -1.2), (0.8, -1), (0.6, 0), (-0.8, 1), (-0.7, 1), (0.8, 1))), 12),
    "3": Glyph(
        _curved(
            ((-0.6, -0.8), (0, -1.2), (0.9, -0.8), (0.4, -0.05), (-0.3, 0)),
            ((-0.3, 0), (0.6, 0), (1, 0.6), (0.2, 1.2), (-0.7, 0.8)),
        ),
        15,
    ),
    "4": Glyph(_straight(((-0.2, -1), (-0.7, 0.3), (0.8, 0.3)), ((0.4, -0.4), (0.3, 1))), 12),
    "5": Glyph(_curved(((-0.5, -1), (-0.55, -0.3), (0.5, -0.4), (0.9, 0.5), (0.2, 1.2), (-0.7, 0.8))), 12),
    "7": Glyph(_straight(((-0.7, -1), (0.7, -1), (-0.1, 1))), 15),
    "question mark": Glyph(
        _curved(((-0.6, -0.6), (-0.3, -1.2), (0.7, -1.1), (0.5, -0.2), (0, 0), (0, 0.4)), ((0, 0.95),)), 15
    ),
    "A": Glyph(_straight(((-0.8, 1), (0, -1), (0.8, 1)), ((-0.45, 0.25), (0.45, 0.26))), 20, weight=2),
    "B": Glyph(
        _mixed(
            (((-0.6, -1), (-0.6, 1)),),
            (((-0.6, -1), (0.8, -1), (0.7, 0), (-0.55, 0)), ((-0.55, 0), (1, 0), (0.9, 1.05), (-0.6, 1))),
        ),
        15,
        0.25,
    ),
    "D": Glyph(
        _mixed((((-0.7, -1), (-0.7, 1)),), (((-0.7, -1), (0.5, -1.1), (1.1, 0), (0.5, 1.1), (-0.7, 1)),)), 15
    ),
    "G": Glyph(_mixed((((0.8, 0.75), (0.8, 0.15), (0.15, 0.15)),), (_oval(0, 0, 1, 1, -40, -255),)), 15),
    "I": Glyph(_straight(((0, -1), (0, 1)), ((-0.4, -1.01), (0.4, -1)), ((-0.4, 1), (0.4, 1.01))), 15),
    "K": Glyph(_fork, 15, weight=8),
    "N, slanted": Glyph(_straight(((-0.7, 1), (-0.45, -1)), ((-0.45, -1), (0.5, 1)), ((0.5, 1), (0.8, -1))), 20),
    "P": Glyph(_mixed((((-0.6, -1), (-0.6, 1)),), (((-0.6, -1), (0.9, -1.1), (0.9, 0.15), (-0.6, 0.1)),)), 15),
    "Q": Glyph(_mixed((((0.25, 0.3), (1.05, 1.15)),), (_oval(0, 0, 1, 1),)), 15, weight=3),
    "R": Glyph(
        _mixed(
            (((-0.6, -1), (-0.6, 1)), ((-0.2, 0.1), (0.7, 1))),
            (((-0.6, -1), (0.9, -1.1), (0.9, 0.15), (-0.6, 0.1)),),
        ),
        15,
    ),
    "W": Glyph(_straight(((-1, -1), (-0.5, 1), (0, -0.3), (0.5, 1), (1, -1))), ANY_ROTATION),
    "Y, slanted": Glyph(_straight(((-0.7, -1), (0.05, 0.1)), ((0.7, -1), (-0.5, 1.1))), 10, weight=2),
    "a": Glyph(_mixed((((0.8, -0.8), (0.8, 0.9)),), (_oval(0, 0.1, 0.8, 0.8, -20, -340),)), 12),
    "b": Glyph(_mixed((((-0.6, -1.2), (-0.6, 1)),), (_oval(0, 0.4, 0.6, 0.6, -180),)), 12),
    "d": Glyph(_mixed((((0.6, -1.2), (0.6, 1)),), (_oval(0, 0.4, 0.6, 0.6, 0, -360),)), 12),
    "e": Glyph(
        _curved(((-0.8, 0.05), (0.5, 0.05), (0.9, 0), (0.7, -0.95), *_oval(0, 0, 0.9, 0.95, -90, -225))), 12
    ),
    "f": Glyph(
        _mixed((((-0.5, -0.1), (0.5, -0.1)),), (((0.6, -0.9), (0.3, -1.2), (0, -0.9), (0, 0), (0, 1.1)),)), 12
    ),
    "g": Glyph(
        _mixed((), (_oval(0, -0.3, 0.6, 0.6, -20, -340), ((0.6, -0.9), (0.65, 0.6), (0.4, 1.2), (-0.6, 1.1)))), 12
    ),
    "h": Glyph(_mixed((((-0.5, -1.2), (-0.5, 1)),), (((-0.5, 0.2), (-0.1, -0.4), (0.6, -0.2), (0.5, 1)),)), 12),
    "k": Glyph(
        _straight(((-0.5, -1.2), (-0.5, 1)), ((0.5, -0.5), (-0.45, 0.25)), ((-0.2, 0.1), (0.6, 1))), 12, weight=4
    ),
    "m": Glyph(
        _mixed(
            (((-0.9, -0.6), (-0.9, 0.7)),),
            (((-0.9, 0), (-0.6, -0.7), (0, -0.6), (0, 0.7)), ((0, 0), (0.3, -0.7), (0.9, -0.6), (0.9, 0.7))),
        ),
        12,
    ),
    "n": Glyph(_mixed((((-0.6, -0.8), (-0.6, 0.8)),), (((-0.6, 0), (-0.2, -0.9), (0.7, -0.7), (0.6, 0.8)),)), 12),
    "p": Glyph(_mixed((((-0.6, -0.9), (-0.6, 1.3)),), (_oval(0, -0.3, 0.6, 0.6, -180),)), 12),
    "q": Glyph(_mixed((((0.6, -0.9), (0.6, 1.3)),), (_oval(0, -0.3, 0.6, 0.6, 0, -360),)), 12),
    "r": Glyph(
        _mixed((((-0.4, -0.8), (-0.4, 0.8)),), (((-0.4, 0.1), (-0.2, -0.7), (0.3, -0.9), (0.6, -0.6)),)), 12
    ),
    "t": Glyph(
        _one_of(
            _straight(((0, -1), (0, 1)), ((-0.5, -0.4), (0.5, -0.41))),
            _mixed((((-0.5, -0.4), (0.5, -0.4)),), (((-0.1, -1), (-0.1, 0.3), (0, 1), (0.5, 0.9)),)),
        ),
        5,
        weight=2,
    ),
    "y": Glyph(
        _curved(((-0.7, -0.9), (-0.6, 0), (0, 0.2), (0.6, -0.2)), ((0.7, -0.9), (0.5, 0.5), (-0.1, 1.2))), 10
    ),
    "6": Glyph(
        _curved(((0.5, -1.1), (-0.5, -0.7), (-0.8, 0.2), *_oval(0, 0.45, 0.65, 0.6, 180, -360))), 15, weight=2
    ),
    "8": Glyph(
        _one_of(
            _curved(
                (
                    (0.5, -0.8),
                    (0, -1.2),
                    (-0.7, -0.9),
                    (-0.4, -0.2),
                    (0.4, 0.2),
                    (0.8, 0.7),
                    (0, 1.2),
                    (-0.8, 0.7),
                    (-0.4, 0.2),
                    (0.4, -0.2),
                    (0.7, -0.8),
                    (0.3, -1.15),
                ),
            ),
            _mixed((), (_oval(0, -0.5, 0.5, 0.5), _oval(0, 0.5, 0.6, 0.5))),
        ),
        ANY_ROTATION,
        0.25,
        weight=3,
    ),
    "9": Glyph(_curved((*_oval(0, -0.4, 0.6, 0.6, 0, -360), (0.65, 0.2), (0.5, 1.2), (-0.3, 1.1))), 15, weight=2),
    "hash": Glyph(
        _straight(
            ((-0.35, -1), (-0.45, 1)), ((0.45, -1), (0.35, 1)), ((-1, -0.35), (1, -0.36)), ((-1, 0.4), (1, 0.39))
        ),
        15,
        0.2,
        weight=2,
    ),
    "star": Glyph(_star, ANY_ROTATION, 0.2, weight=2),
    "five-pointed star": Glyph(_polygon, 25, 0.15),
    "percent": Glyph(
        _mixed((((0.7, -1), (-0.7, 1)),), (_oval(-0.6, -0.6, 0.3, 0.35), _oval(0.6, 0.6, 0.3, 0.35))), 10, 0.15
    ),
    "ampersand": Glyph(
        _curved(
            (
                (0.9, 1),
                (-0.5, -0.5),
                (-0.4, -1.2),
                (0.5, -1.1),
                (0.3, -0.3),
                (-0.9, 0.3),
                (-0.6, 1.2),
                (0.3, 1),
                (0.8, 0),
            ),
        ),
        12,
        0.2,
    ),
    "at": Glyph(_mixed((), (_oval(0, 0, 0.4, 0.4), _oval(0, 0, 1, 1, 0, -310))), 20, 0.15),
    "equals": Glyph(_straight(((-0.9, -0.3), (0.9, -0.31)), ((-0.9, 0.3), (0.9, 0.31))), ANY_ROTATION),
    "division": Glyph(_straight(((-1, 0), (1, 0.01)), ((0, -0.6), (0.02, -0.6)), ((0, 0.6), (0.02, 0.6))), 20),
    "rectangle": Glyph(_straight(((-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5), (-1, -0.5))), 20, weight=2),
    "diamond": Glyph(_straight(((0, -1), (0.75, 0), (0, 1), (-0.75, 0), (0, -1))), 10),
    "pentagon": Glyph(_straight(((0, -1), (1, -0.25), (0.6, 1), (-0.6, 1), (-1, -0.25), (0, -1))), 20),
    "house": Glyph(_straight(((-0.8, 1), (-0.8, -0.1), (0, -1), (0.8, -0.1), (0.8, 1), (-0.8, 1.01))), 10),
    "hourglass": Glyph(_straight(((-0.7, -1), (0.7, -1), (-0.7, 1), (0.7, 1), (-0.7, -1.01))), ANY_ROTATION),
    "crossed square": Glyph(
        _straight(
            ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)), ((-1, -1.01), (1, 1.01)), ((1, -1.01), (-1, 1.01))
        ),
        10,
        0.15,
    ),
    "crossed ring": Glyph(
        _mixed((((-0.68, -0.68), (0.68, 0.68)), ((0.68, -0.68), (-0.68, 0.68))), (_oval(0, 0, 1, 1),)), 45, 0.15
    ),
    "ring with a line": Glyph(_mixed((((-1.1, 0.6), (1.1, -0.6)),), (_oval(0, 0, 0.9, 0.9),)), 90, 0.25, weight=2),
    "two rings": Glyph(_mixed((), (_oval(-0.55, 0, 0.45, 0.5), _oval(0.55, 0, 0.45, 0.5))), ANY_ROTATION, 0.2),
    "ring in a ring": Glyph(_mixed((), (_oval(0, 0, 1, 1), _oval(0, 0, 0.5, 0.5))), ANY_ROTATION, 0.15),
    "face": Glyph(
        _mixed(
            (((-0.35, -0.3), (-0.35, -0.25)), ((0.35, -0.3), (0.35, -0.25))),
            (_oval(0, 0, 1, 1), ((-0.5, 0.3), (-0.2, 0.65), (0.2, 0.65), (0.5, 0.3))),
        ),
        20,
        0.12,
    ),
    "heart": Glyph(
        _curved(
            ((0, -0.4), (-0.4, -1.1), (-1.1, -0.7), (-0.9, 0.2), (0, 1)),
            ((0, -0.4), (0.4, -1.1), (1.1, -0.7), (0.9, 0.2), (0, 1)),
        ),
        20,
    ),
    "two X": Glyph(
        _straight(
            ((-1, -0.45), (-0.15, 0.45)),
            ((-0.15, -0.45), (-1, 0.45)),
            ((0.15, -0.45), (1, 0.45)),
            ((1, -0.45), (0.15, 0.45)),
        ),
        15,
        0.12,
        weight=2,
    ),
    "X and O": Glyph(
        _mixed((((-1, -0.45), (-0.15, 0.45)), ((-0.15, -0.45), (-1, 0.45))), (_oval(0.6, 0, 0.4, 0.45),)),
        ANY_ROTATION,
        0.12,
    ),
    "angle": Glyph(_straight(((-0.8, 0.8), (0.8, 0), (-0.8, -0.8))), ANY_ROTATION),
    "lambda": Glyph(_straight(((-0.5, -1), (0.7, 1)), ((0.0, -0.2), (-0.7, 1))), 10, weight=2),
    "not equal": Glyph(
        _straight(((-0.9, -0.3), (0.9, -0.31)), ((-0.9, 0.3), (0.9, 0.31)), ((0.5, -1), (-0.5, 1))), 10, 0.2
    ),
}

# What a person would hesitate to call an X or an O, by the letter meant. Half of them are labelled as the letter,
# half as neither, so that the target is between the two.
AMBIGUOUS_GLYPHS: Final[dict[str, dict[str, Glyph]]] = {
    "X": {
        "tilted plus": Glyph(_tilted_plus, 0),
        "X with a short arm": Glyph(_short_armed, 20),
        "touching angles": Glyph(_touching_angles, 15),
        "alpha": Glyph(
            _curved(
                ((1, -0.9), (0.6, 0.3), (-0.1, 1), (-0.95, 0.6), (-0.95, -0.6), (-0.1, -1), (0.6, -0.3), (1, 0.9))
            ),
            15,
            0.25,
        ),
    },
    "O": {
        "wide open ring": Glyph(_arc(228, 262), ANY_ROTATION),
        "rounded square": Glyph(_rounded_square, ANY_ROTATION),
        "ring with a short tail": Glyph(_crossed_ring, 10),
    },
}

# All of them, by name.
GLYPHS: Final[dict[str, Glyph]] = OTHER_GLYPHS | AMBIGUOUS_GLYPHS["X"] | AMBIGUOUS_GLYPHS["O"]
