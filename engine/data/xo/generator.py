"""The generator of hand-drawn X and O, and of what is neither: seeded, in any number, at any size. No files.

Lines are drawn first, as a person would (`drawing`), many pictures at once; `examples` renders the same
lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import Examples
from engine.data.xo.settings import XOSettings
from engine.data.xo.strokes import between, sketch
from engine.drawings.drawing import Array, Drawing, Stroke
from engine.drawings.image_ops import area_resample
from engine.drawings.raster import Paths, coverage

__all__ = ["CLASSES", "XOSettings", "drawing", "examples", "numbers"]

CLASSES: Final = ("X", "O")
_GRIDS: Final = (9, 15)  # squares a side of a coarse grid: from, and below
_LEAST_SQUARES = 5  # the shorter side of what a coarse grid can show
_FILLED = 0.5  # of a square, for it to be filled
_CHUNK = 400  # pictures made at once, so that their values stay in the processor's cache


def drawing(kind: str, settings: XOSettings, rng: np.random.Generator) -> Drawing:
    """One drawing, as strokes to be shown and altered on a canvas; without noise and softness.

    kind: "X", "O", "neither" or the name of one of its shapes (the keys of NEITHER).
    Raises ValueError for any other kind.
    """
    paths = sketch([kind], settings, rng)
    parts = np.split(paths.points, np.cumsum(paths.lengths)[:-1]) if len(paths.lengths) else []
    return Drawing(tuple(Stroke(part) for part in parts))


def examples(settings: XOSettings, count: int, seed: int | Sequence[int]) -> Examples:
    """Pictures of X and O, half each, and the share that is neither (label -1), shuffled.

    The images are (count, 1, side, side) float32. The same settings, count and seed give the same bytes.
    Raises ValueError for a count below 0.
    """
    if count < 0:
        raise ValueError(f"The number of examples must be at least 0, not {count}.")
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array([0, 1, -1], np.int64), numbers(settings, count))
    rng.shuffle(labels)
    images = np.empty((count, 1, settings.side, settings.side), np.float32)
    for first in range(0, count, _CHUNK):
        chunk = slice(first, min(first + _CHUNK, count))
        kinds = [(*CLASSES, "neither")[label] for label in labels[chunk]]
        images[chunk, 0] = _pictures(kinds, settings, rng)
    return Examples(images, labels, CLASSES)


def numbers(settings: XOSettings, count: int) -> tuple[int, int, int]:
    """How many of so many examples are X, O and neither."""
    neither = round(settings.neither * count)
    crosses = (count - neither + 1) // 2
    return crosses, count - neither - crosses, neither


def _pictures(kinds: Sequence[str], settings: XOSettings, rng: np.random.Generator) -> Array:
    count = len(kinds)
    paths = sketch(kinds, settings, rng)
    picture = coverage(paths, settings.side, between(rng, settings.softness, count))
    _in_squares(picture, paths, rng.random(count) < settings.coarse, int(rng.integers(*_GRIDS)))
    picture *= 2
    picture -= 1
    low, high = settings.noise
    if high > 0:
        # Squared, so that most pictures are nearly clean, as a canvas is.
        amplitude = low + np.float32(high - low) * rng.random(count, np.float32) ** 2
        picture += rng.standard_normal(picture.shape, np.float32) * amplitude[:, None, None]
    return np.clip(picture, -1, 1, out=picture)


def _in_squares(picture: Array, paths: Paths, chosen: NDArray[np.bool_], grid: int) -> None:
    """Redraw the chosen pictures (count, side, side), 0 to 1, as a pixel canvas of grid x grid squares shows them.

    What would be too small to be made out in squares stays as it is.
    """
    side = picture.shape[1]
    if grid >= side or not chosen.any():
        return
    filled = coverage(paths, grid, np.zeros(len(picture), np.float32)) >= _FILLED
    for place in np.flatnonzero(chosen):
        rows, columns = np.nonzero(filled[place])
        if len(rows) and min(np.ptp(rows), np.ptp(columns)) + 1 >= _LEAST_SQUARES:
            squares = np.where(filled[place], np.float32(1), np.float32(-1))
            picture[place] = (area_resample(squares, side) + 1) / 2


EACH: Final = 6  # of X, of O, and of neither
MOST_SIDE: Final = 128  # pixels: larger ones would take too long to be made while a slider moves
_SEED: Final = 1


@dataclass(frozen=True, eq=False)
class Samples:
    """settings: those asked for. examples: X first, then O, then neither, EACH of each."""

    settings: XOSettings
    examples: Examples


def samples(settings: XOSettings) -> Samples:
    """Drawings by these settings: always of the same seed, so that other settings show the same hand, changed by
    nothing but what differs. As many are neither as are X, whatever share the settings ask for."""
    shown = replace(settings, neither=1 / 3, side=min(settings.side, MOST_SIDE))
    made = examples(shown, 3 * EACH, _SEED)
    return Samples(settings, made.take(np.argsort(made.labels % 3, kind="stable")))
