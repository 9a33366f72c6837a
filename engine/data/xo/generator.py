"""Seeded generator of hand-drawn X, O and other shapes, in any number and size.

Pen strokes are generated first, for many pictures at once, and then rendered.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import Dataset
from engine.data.xo.letters import uniform
from engine.data.xo.settings import XOSettings
from engine.data.xo.strokes import pen_paths
from engine.drawings import Drawing, FloatArray, PenPaths, Stroke, area_resample, pen_coverage

CLASSES: Final = ("X", "O")
_GRID_SIDES: Final = (9, 15)  # squares per side of a coarse grid: lowest, and highest + 1
_MIN_SQUARES = 6  # shorter side of a drawing that stays recognizable on a coarse grid
_FILLED = 0.5  # coverage from which a square is filled
_CHUNK = 400  # pictures rendered at once, so that their values stay in the processor's cache


def generate_drawing(kind: str, settings: XOSettings, rng: np.random.Generator) -> Drawing:
    """Generates a drawing as editable strokes, without noise and softness.

    kind: "X", "O", "neither" or a key of GLYPHS. Raises ValueError for any other kind.
    """
    paths = pen_paths([kind], settings, rng)
    parts = np.split(paths.points, np.cumsum(paths.lengths)[:-1]) if len(paths.lengths) else []
    return Drawing(tuple(Stroke(part) for part in parts))


def generate_dataset(settings: XOSettings, count: int, seed: int | Sequence[int]) -> Dataset:
    """Generates X and O, half each, and the fraction `settings.neither` of other shapes (label -1), shuffled.

    The images are (count, 1, side, side) float32. The same settings, count and seed give the same bytes.
    Raises ValueError for a count below 0.
    """
    slices = generate_in_slices(settings, count, seed)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            dataset: Dataset = end.value
            return dataset


def generate_in_slices(
    settings: XOSettings, count: int, seed: int | Sequence[int]
) -> Generator[None, None, Dataset]:
    """As generate_dataset, which it returns; yields after every _CHUNK pictures."""
    if count < 0:
        raise ValueError(f"The number of examples must be at least 0, not {count}.")
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array([0, 1, -1], np.int64), class_counts(settings, count))
    rng.shuffle(labels)
    images = np.empty((count, 1, settings.side, settings.side), np.float32)
    for start in range(0, count, _CHUNK):
        chunk = slice(start, min(start + _CHUNK, count))
        kinds = [(*CLASSES, "neither")[label] for label in labels[chunk]]
        images[chunk, 0] = _render(kinds, settings, rng)
        yield
    return Dataset(images, labels, CLASSES)


def class_counts(settings: XOSettings, count: int) -> tuple[int, int, int]:
    """The number of X, O and other shapes in `count` examples."""
    neither = round(settings.neither * count)
    crosses = (count - neither + 1) // 2
    return crosses, count - neither - crosses, neither


def _render(kinds: Sequence[str], settings: XOSettings, rng: np.random.Generator) -> FloatArray:
    count = len(kinds)
    paths = pen_paths(kinds, settings, rng)
    pictures = pen_coverage(paths, settings.side, uniform(rng, settings.softness, count))
    _render_on_grid(pictures, paths, rng.random(count) < settings.coarse, int(rng.integers(*_GRID_SIDES)))
    pictures *= 2
    pictures -= 1
    low, high = settings.noise
    if high > 0:
        # Squared, so that most pictures are nearly clean, as a canvas is.
        amplitude = low + np.float32(high - low) * rng.random(count, np.float32) ** 2
        pictures += rng.standard_normal(pictures.shape, np.float32) * amplitude[:, None, None]
    return np.clip(pictures, -1, 1, out=pictures)


def _render_on_grid(pictures: FloatArray, paths: PenPaths, selected: NDArray[np.bool_], grid: int) -> None:
    """Renders the selected pictures (count, side, side), 0 to 1, on a coarse grid of grid x grid squares, in place.

    Drawings too small for the grid are unchanged.
    """
    side = pictures.shape[1]
    if grid >= side or not selected.any():
        return
    filled = pen_coverage(paths, grid, np.zeros(len(pictures), np.float32)) >= _FILLED
    for index in np.flatnonzero(selected):
        rows, columns = np.nonzero(filled[index])
        if len(rows) and min(np.ptp(rows), np.ptp(columns)) + 1 >= _MIN_SQUARES:
            squares = np.where(filled[index], np.float32(1), np.float32(-1))
            pictures[index] = (area_resample(squares, side) + 1) / 2
