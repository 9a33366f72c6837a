"""How a hand draws: arms of crosses, rounds of circles, and what makes lines unsteady. No sizes, no pictures.

Shapes lie in a box of about -1 to 1, x to the right, y down, before they are placed; many are drawn at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.drawing import Array

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


def linked(arms: Array, bulge: Array) -> Array:
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
