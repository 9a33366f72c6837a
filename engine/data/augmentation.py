"""Data augmentation: random affine transforms of the pictures in every epoch."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

import numpy as np

from engine.data.dataset import Dataset, FixedSource
from engine.drawings import FloatArray

# Second word of the seed: a random stream beside TRAINING_STREAM and HELD_OUT_STREAM in engine/data/pool.py.
AUGMENTATION_STREAM: Final = 2
_CHUNK: Final = 8  # pictures sampled at once, so that the working set stays in the processor's cache


def _metadata(most: float, text: str) -> dict[str, Any]:
    return {"most": most, "text": text}


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random transform: each parameter is uniform between minus and plus the setting.

    The metadata of a field hold its maximum, `most`, and its description, `text`. With all settings 0, pictures are
    unchanged. Raises ValueError for a setting outside 0 to `most`.
    """

    shift: float = field(
        default=0.0, metadata=_metadata(1.0, "Largest shift along each axis, as a fraction of the frame.")
    )
    rotation: float = field(default=0.0, metadata=_metadata(180.0, "Largest rotation, in degrees."))
    scale: float = field(default=0.0, metadata=_metadata(2.0, "Largest natural logarithm of the scale factor."))
    shear: float = field(default=0.0, metadata=_metadata(1.0, "Largest shear, as a fraction of the height."))
    flip: bool = field(
        default=False, metadata=_metadata(1, "Whether to mirror and, if square, rotate by quarter turns at random.")
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))


@dataclass(frozen=True)
class AugmentedSource:
    """The same examples in every epoch, under transforms that depend on the seed and the epoch number only."""

    examples: Dataset
    settings: Augmentation
    seed: int

    @property
    def count(self) -> int:
        return len(self.examples)

    def epoch(self, number: int) -> Dataset:
        return augment(self.examples, self.settings, (self.seed, AUGMENTATION_STREAM, number))

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        yield from ()
        return self.epoch(number)


def augment(examples: Dataset, settings: Augmentation, seed: int | Sequence[int]) -> Dataset:
    """The examples, each under a random transform; the same arguments give the same bytes."""
    rng = np.random.default_rng(seed)
    matrices = _random_matrices(settings, examples.images.shape[2:], len(examples), rng)
    channels = examples.images.shape[1]
    maps = examples.images.reshape(-1, *examples.images.shape[2:])
    warped = warp_affine(maps, np.repeat(matrices, channels, axis=0)).reshape(examples.images.shape)
    return Dataset(warped, examples.labels, examples.classes)


def make_source(examples: Dataset, augmentation: Augmentation | None, seed: int) -> FixedSource | AugmentedSource:
    """A source of these examples, augmented unless `augmentation` is None."""
    return FixedSource(examples) if augmentation is None else AugmentedSource(examples, augmentation, seed)


def warp_affine(pictures: FloatArray, matrices: FloatArray) -> FloatArray:
    """Affine warp of pictures (N, H, W) with bilinear sampling; outside of them is background, -1.

    matrices: (N, 2, 3) float32, from output to input: output (x, y) shows the input at matrix @ (x, y, 1),
    in pixels from the picture's centre, x to the right and y down
    """
    count, height, width = pictures.shape
    padded = np.full((_CHUNK, height + 3, width + 3), -1, np.float32)
    warped = np.empty(pictures.shape, np.float32)
    for start in range(0, count, _CHUNK):
        chunk = pictures[start : start + _CHUNK]
        padded[: len(chunk), 1:-2, 1:-2] = chunk
        warped[start : start + _CHUNK] = _sample(padded, matrices[start : start + _CHUNK])
    return warped


def _sample(padded: FloatArray, matrices: FloatArray) -> FloatArray:
    """Bilinear samples of pictures padded with background: one pixel left and top, two right and bottom."""
    _, height, width = padded.shape
    centre_x, centre_y = np.float32((width - 4) / 2), np.float32((height - 4) / 2)
    across = np.arange(width - 3, dtype=np.float32) - centre_x
    down = (np.arange(height - 3, dtype=np.float32) - centre_y)[:, None]
    to_x, to_y = matrices[:, 0, :, None, None], matrices[:, 1, :, None, None]
    # The padding shifts coordinates by one pixel; clipped coordinates fall on the padding, which is background.
    x = to_x[:, 0] * across + (to_x[:, 1] * down + (to_x[:, 2] + centre_x + 1))
    y = to_y[:, 0] * across + (to_y[:, 1] * down + (to_y[:, 2] + centre_y + 1))
    np.clip(x, 0, width - 2, out=x)
    np.clip(y, 0, height - 2, out=y)
    left, top = x.astype(np.intp), y.astype(np.intp)
    x -= left
    y -= top
    top *= width
    top += left
    top += (np.arange(len(matrices)) * (height * width))[:, None, None]
    flat = padded.ravel()
    upper = flat.take(top)
    upper += x * (flat.take(top + 1) - upper)
    top += width
    lower = flat.take(top)
    lower += x * (flat.take(top + 1) - lower)
    lower -= upper
    lower *= y
    upper += lower
    return np.clip(upper, -1, 1, out=upper)  # rounding may exceed the range


def _random_matrices(
    settings: Augmentation, shape: tuple[int, ...], count: int, rng: np.random.Generator
) -> FloatArray:
    """A matrix (2, 3) for each of `count` pictures of `shape`, (H, W).

    The same random numbers are drawn whichever settings are 0, so that one setting does not change the others.
    """
    random = rng.uniform(-1, 1, (5, count))
    angle, shear = random[0] * math.radians(settings.rotation), random[1] * settings.shear
    scale, shift = np.exp(-random[2] * settings.scale), random[3:] * settings.shift
    mirror = np.where(rng.random((2, count)) < 0.5, -1, 1) if settings.flip else np.ones((2, count))
    transposed = (rng.random(count) < 0.5) & settings.flip & (shape[0] == shape[1])
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, :2] = np.stack([cos, shear * cos - sin], 1)
    matrices[:, 1, :2] = np.stack([sin, shear * sin + cos], 1)
    matrices[:, :, :2] *= mirror.T[:, :, None]
    matrices[transposed, :, :2] = matrices[transposed, ::-1, :2]
    matrices[:, 0, 2], matrices[:, 1, 2] = shift[0] * shape[1], shift[1] * shape[0]
    return matrices.astype(np.float32)


def _check(setting: Field[Any], value: Any) -> None:
    most = setting.metadata["most"]
    if isinstance(setting.default, bool) != isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"The augmentation's {setting.name} must not be {value!r}, which has the wrong type.")
    if not 0 <= value <= most:
        raise ValueError(f"The augmentation's {setting.name} must be from 0 to {most:g}, not {value!r}.")
