"""The lines of an X and an O in the ways in which people write them, for many letters at once, vectorized.

Lines are in a box of about -1 to 1, x to the right, y down.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.drawings import FloatArray

ARM_POINTS: Final = 22
CIRCLE_POINTS: Final = 52
TAIL_POINTS: Final = 14
_LINK_POINTS: Final = 12


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


def back_to_back_arcs(width: FloatArray, overlap: FloatArray) -> FloatArray:
    """n cursive X of two arcs that touch or cross in the middle: (n, 2, ARM_POINTS, 2).

    width: (n,), from the middle to the ends. overlap: (n,), how far each arc crosses the middle.
    """
    t = np.linspace(-1, 1, ARM_POINTS, dtype=np.float32)
    right = np.abs(t) ** np.float32(1.7) * (width + overlap)[:, None] - overlap[:, None]
    y = np.broadcast_to(t, right.shape)
    return np.stack([np.stack([-right, y], axis=-1), np.stack([right, y], axis=-1)], axis=1)


def tails(end: FloatArray, heading: FloatArray, length: FloatArray, turn: FloatArray) -> FloatArray:
    """Continuations of n lines as arcs: (n, TAIL_POINTS, 2), from just after the end of each line.

    end: (n, 2), the last point. heading: (n,), the direction there, radians. length: (n,) of the arc.
    turn: (n,), by how much the direction changes along it, radians; a whole turn is a loop.
    """
    t = (np.arange(TAIL_POINTS, dtype=np.float32) + np.float32(0.5)) / TAIL_POINTS
    angle = heading[:, None] + turn[:, None] * t
    step = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (length / TAIL_POINTS)[:, None, None]
    return as_float32(end[:, None] + np.cumsum(step, axis=1))


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
