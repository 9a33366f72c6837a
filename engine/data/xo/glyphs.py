"""Glyphs that are neither an X nor an O, as lists of lines.

A line is (n, 2) float32 in a box of about -1 to 1, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.drawings.drawing import Array, smooth

Point = tuple[float, float]
Lines = list[Array]

_SPACING = 0.12  # between the points of a straight line
_JITTER = 0.06  # standard deviation of the position of a corner


@dataclass(frozen=True)
class Shape:
    """A glyph with the limits within which it stays recognizable.

    draw: returns its lines, randomly varied
    max_rotation: degrees to either side
    max_pen_width: the widest pen that does not fill it
    """

    draw: Callable[[np.random.Generator], Lines]
    turn: float
    room: float = 0.35


def _straight(*lines: tuple[Point, ...]) -> Callable[[np.random.Generator], Lines]:
    """Polylines through the given corners."""
    return lambda rng: [_resample(corners) for corners in _jitter(lines, rng)]


def _curved(*lines: tuple[Point, ...]) -> Callable[[np.random.Generator], Lines]:
    """Smooth curves near the given control points."""
    return lambda rng: [smooth(control) for control in _jitter(lines, rng)]


def _jitter(lines: tuple[tuple[Point, ...], ...], rng: np.random.Generator) -> Lines:
    # A corner shared by several lines is moved once, so that a closed glyph stays closed.
    moved: dict[Point, Array] = {}
    for point in dict.fromkeys(point for line in lines for point in line):
        moved[point] = (np.array(point) + rng.normal(0, _JITTER, 2)).astype(np.float32)
    return [np.stack([moved[point] for point in line]) for line in lines]


def _resample(corners: Array) -> Array:
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


def _ring(angle: Array, radius: Array | float) -> Array:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)


def _arc(low: float, high: float) -> Callable[[np.random.Generator], Lines]:
    """A circular arc, open to the right, that spans `low` to `high` degrees."""

    def draw(rng: np.random.Generator) -> Lines:
        span = np.radians(rng.uniform(low, high))
        angle = np.linspace(np.pi - span / 2, np.pi + span / 2, 28, dtype=np.float32)
        return [_ring(angle, 1.0)]

    return draw


def _spiral(rng: np.random.Generator) -> Lines:
    turns = rng.uniform(1.8, 3.2)
    angle = np.linspace(0, 2 * np.pi * turns, int(26 * turns), dtype=np.float32) * rng.choice([-1, 1])
    radius = np.linspace(rng.uniform(0.02, 0.1), 1, len(angle), dtype=np.float32)
    return [_ring(angle + np.float32(rng.uniform(0, 6.3)), radius)]


def _zigzag(rng: np.random.Generator) -> Lines:
    count = int(rng.integers(4, 9))
    corners = np.column_stack([np.linspace(-1, 1, count), np.resize([-1.0, 1.0], count) * rng.uniform(0.25, 0.8)])
    return [_resample((corners + rng.normal(0, _JITTER, corners.shape)).astype(np.float32))]


def _wave(rng: np.random.Generator) -> Lines:
    x = np.linspace(-1, 1, 36, dtype=np.float32)
    height = rng.uniform(0.15, 0.4)
    return [np.column_stack([x, height * np.sin(x * rng.uniform(3, 9) + rng.uniform(0, 6))]).astype(np.float32)]


def _scribble(rng: np.random.Generator) -> Lines:
    """A curve that swings to and fro while it drifts, with many crossings."""
    count = int(rng.integers(9, 18))
    swing = np.resize([-1.0, 1.0], count) * rng.uniform(0.5, 1.0, count)
    drift = np.linspace(-0.5, 0.5, count) * rng.uniform(0.6, 2.0)
    control = np.column_stack([swing, drift + rng.normal(0, 0.12, count)])
    return [smooth(control.astype(np.float32))]


def _loops(rng: np.random.Generator) -> Lines:
    """A row of loops, like a coiled cord."""
    turns = rng.uniform(3, 5)
    angle = np.linspace(0, 2 * np.pi * turns, int(20 * turns), dtype=np.float32)
    x = np.linspace(-1, 1, len(angle)) + 0.3 * np.cos(angle)
    return [np.column_stack([x, 0.45 * np.sin(angle)]).astype(np.float32)]


def _dots(rng: np.random.Generator) -> Lines:
    return [rng.uniform(-1, 1, (1, 2)).astype(np.float32) for _ in range(rng.integers(1, 6))]


def _blank(rng: np.random.Generator) -> Lines:
    return []


ANY: Final = 180.0

NEITHER: Final[dict[str, Shape]] = {
    "blank": Shape(_blank, 0),
    "dots": Shape(_dots, ANY),
    "line": Shape(_straight(((-1, 0), (1, 0))), ANY),
    "curved line": Shape(_curved(((-1, 0.4), (-0.5, -0.3), (0.5, -0.3), (1, 0.4))), ANY),
    "two lines": Shape(_straight(((-0.4, -1), (-0.4, 1)), ((0.4, -1), (0.4, 1))), ANY),
    "dashes": Shape(_straight(((-1, 0), (-0.5, 0.02)), ((-0.15, 0), (0.3, 0.03)), ((0.6, 0), (1, 0.01))), ANY),
    "plus": Shape(_straight(((0, -1), (0, 1)), ((-1, 0), (1, 0))), 4),
    "zigzag": Shape(_zigzag, ANY, 0.2),
    "wave": Shape(_wave, ANY),
    "scribble": Shape(_scribble, ANY, 0.15),
    "loops": Shape(_loops, 30, 0.12),
    "spiral": Shape(_spiral, ANY, 0.12),
    "arc": Shape(_arc(90, 200), ANY),
    "triangle": Shape(_straight(((0, -1), (1, 0.8), (-1, 0.8), (0, -1))), ANY),
    "square": Shape(_straight(((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))), 50),
    "tick": Shape(_straight(((-1, 0.2), (-0.4, 0.9), (1, -0.9))), 20),
    "arrow": Shape(_straight(((-1, 0), (1, 0)), ((0.4, -0.5), (1, 0), (0.4, 0.5))), ANY),
    "C": Shape(_arc(200, 225), 25),
    "E": Shape(_straight(((0.7, -1), (-0.7, -1), (-0.7, 1), (0.7, 1.01)), ((-0.7, 0), (0.5, 0.01))), 15),
    "F": Shape(_straight(((0.7, -1), (-0.6, -1), (-0.6, 1)), ((-0.6, 0), (0.4, 0.01))), 15),
    "H": Shape(_straight(((-0.8, -1), (-0.8, 1)), ((0.8, -1), (0.8, 1)), ((-0.8, 0), (0.8, 0.01))), 20),
    "J": Shape(_curved(((0.4, -1), (0.4, -0.2), (0.4, 0.9), (-0.2, 1.1), (-0.6, 0.5))), 20),
    "L": Shape(_straight(((-0.6, -1), (-0.6, 1), (0.7, 1))), ANY),
    "M": Shape(_straight(((-0.9, 1), (-0.8, -1), (0, 0.4), (0.8, -1), (0.9, 1))), ANY),
    "N": Shape(_straight(((-0.7, 1), (-0.7, -1), (0.7, 1), (0.7, -1))), 20),
    "S": Shape(_curved(((0.7, -0.8), (0, -1.2), (-1, -0.7), (0, 0), (1, 0.7), (0, 1.2), (-0.8, 0.8))), 20),
    "T": Shape(_straight(((-0.8, -1), (0.8, -1)), ((0, -1), (0, 1))), 20),
    "U": Shape(_curved(((-0.8, -1), (-0.8, 0.2), (-0.7, 1.2), (0.7, 1.2), (0.8, 0.2), (0.8, -1))), 25),
    "V": Shape(_straight(((-0.8, -1), (0, 1), (0.8, -1))), ANY),
    "Y": Shape(_straight(((-0.8, -1), (0, 0)), ((0.8, -1), (0, 0), (0, 1))), 12),
    "Z": Shape(_straight(((-0.8, -1), (0.8, -1), (-0.8, 1), (0.8, 1))), 15),
    "1": Shape(_straight(((-0.4, -0.5), (0.1, -1), (0.1, 1))), 15),
    "2": Shape(_curved(((-0.7, -0.6), (-0.3, -1.2), (0.8, -1), (0.6, 0), (-0.8, 1), (-0.7, 1), (0.8, 1))), 12),
    "3": Shape(
        _curved(
            ((-0.6, -0.8), (0, -1.2), (0.9, -0.8), (0.4, -0.05), (-0.3, 0)),
            ((-0.3, 0), (0.6, 0), (1, 0.6), (0.2, 1.2), (-0.7, 0.8)),
        ),
        15,
    ),
    "4": Shape(_straight(((-0.2, -1), (-0.7, 0.3), (0.8, 0.3)), ((0.4, -0.4), (0.3, 1))), 12),
    "5": Shape(_curved(((-0.5, -1), (-0.55, -0.3), (0.5, -0.4), (0.9, 0.5), (0.2, 1.2), (-0.7, 0.8))), 12),
    "7": Shape(_straight(((-0.7, -1), (0.7, -1), (-0.1, 1))), 15),
    "question mark": Shape(
        _curved(((-0.6, -0.6), (-0.3, -1.2), (0.7, -1.1), (0.5, -0.2), (0, 0), (0, 0.4)), ((0, 0.95),)), 15
    ),
}
