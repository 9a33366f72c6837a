"""Glyphs that are neither an X nor an O, as lists of lines.

A line is (n, 2) float32 in a box of about -1 to 1, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.drawings import FloatArray, smooth_path

Point = tuple[float, float]
Polylines = list[FloatArray]

_SPACING = 0.12  # between the points of a straight line
_JITTER = 0.06  # standard deviation of the position of a corner


@dataclass(frozen=True)
class Glyph:
    """A glyph with the limits within which it stays recognizable.

    draw: returns its lines, randomly varied
    max_rotation: degrees to either side
    max_pen_width: the widest pen that does not fill it
    """

    draw: Callable[[np.random.Generator], Polylines]
    max_rotation: float
    max_pen_width: float = 0.35


def _straight(*lines: tuple[Point, ...]) -> Callable[[np.random.Generator], Polylines]:
    """Polylines through the given corners."""
    return lambda rng: [_resample(corners) for corners in _jitter(lines, rng)]


def _curved(*lines: tuple[Point, ...]) -> Callable[[np.random.Generator], Polylines]:
    """Smooth curves near the given control points."""
    return lambda rng: [smooth_path(control) for control in _jitter(lines, rng)]


def _jitter(lines: tuple[tuple[Point, ...], ...], rng: np.random.Generator) -> Polylines:
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


def _arc(low: float, high: float) -> Callable[[np.random.Generator], Polylines]:
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
    "C": Glyph(_arc(200, 225), 25),
    "E": Glyph(_straight(((0.7, -1), (-0.7, -1), (-0.7, 1), (0.7, 1.01)), ((-0.7, 0), (0.5, 0.01))), 15),
    "F": Glyph(_straight(((0.7, -1), (-0.6, -1), (-0.6, 1)), ((-0.6, 0), (0.4, 0.01))), 15),
    "H": Glyph(_straight(((-0.8, -1), (-0.8, 1)), ((0.8, -1), (0.8, 1)), ((-0.8, 0), (0.8, 0.01))), 20),
    "J": Glyph(_curved(((0.4, -1), (0.4, -0.2), (0.4, 0.9), (-0.2, 1.1), (-0.6, 0.5))), 20),
    "L": Glyph(_straight(((-0.6, -1), (-0.6, 1), (0.7, 1))), ANY_ROTATION),
    "M": Glyph(_straight(((-0.9, 1), (-0.8, -1), (0, 0.4), (0.8, -1), (0.9, 1))), ANY_ROTATION),
    "N": Glyph(_straight(((-0.7, 1), (-0.7, -1), (0.7, 1), (0.7, -1))), 20),
    "S": Glyph(_curved(((0.7, -0.8), (0, -1.2), (-1, -0.7), (0, 0), (1, 0.7), (0, 1.2), (-0.8, 0.8))), 20),
    "T": Glyph(_straight(((-0.8, -1), (0.8, -1)), ((0, -1), (0, 1))), 20),
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
}
