"""Augmented examples: the same pictures, seen a little differently in every epoch. Not new drawings."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

import numpy as np

from engine.data.dataset import Examples
from engine.data.pool import Fixed
from engine.drawings.drawing import Array

# The third of the second words of seeds, beside sources.TRAINING and sources.HELD_OUT.
AUGMENTING: Final = 2
_CHUNK: Final = 8  # pictures sampled at once, so that what is worked on stays in the processor's cache


def _up_to(most: float, text: str) -> dict[str, Any]:
    return {"most": most, "text": text}


@dataclass(frozen=True)
class Augmentation:
    """How differently a picture may be seen: each time anew, evenly between minus and plus the setting.

    A field's metadata hold its greatest value, `most`, and a `text` that says what it does. With all of them 0,
    pictures stay as they are. Raises ValueError for a setting outside 0 to `most`.
    """

    shift: float = field(default=0.0, metadata=_up_to(1.0, "How far it is moved along each axis, of the frame."))
    rotation: float = field(default=0.0, metadata=_up_to(180.0, "How far it is turned, in degrees."))
    scale: float = field(
        default=0.0, metadata=_up_to(2.0, "How much larger or smaller: the factor's natural logarithm.")
    )
    shear: float = field(default=0.0, metadata=_up_to(1.0, "How far it leans, of the height."))
    flip: bool = field(
        default=False, metadata=_up_to(1, "Whether it is mirrored and, if square, turned by quarters at random.")
    )

    def __post_init__(self) -> None:
        """Checks the settings."""
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))


@dataclass(frozen=True)
class Augmented:
    """A source that gives the same examples in every epoch, but sees them differently: how follows from the seed
    and the number of the epoch alone."""

    examples: Examples
    settings: Augmentation
    seed: int

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.examples)

    def epoch(self, number: int) -> Examples:
        """The examples as they are seen in epoch `number`, in their order."""
        given = self.examples
        rng = np.random.default_rng((self.seed, AUGMENTING, number))
        views = _views(self.settings, given.images.shape[2:], len(given), rng)
        return Examples(seen(given.images[:, 0], views)[:, None], given.labels, given.classes)


def source_of(examples: Examples, augmentation: Augmentation | None, seed: int) -> Fixed | Augmented:
    """A source of these examples: augmented, or as they are."""
    return Fixed(examples) if augmentation is None else Augmented(examples, augmentation, seed)


def seen(pictures: Array, views: Array) -> Array:
    """Pictures (N, H, W), each through a view: (N, H, W) float32, sampled bilinearly; background, -1, beyond them.

    views: (N, 2, 3) float32. A pixel shows what lies at view @ (x, y, 1), in pixels from the picture's middle, x to
    the right and y down.
    """
    count, height, width = pictures.shape
    framed = np.full((_CHUNK, height + 3, width + 3), -1, np.float32)
    found = np.empty(pictures.shape, np.float32)
    for first in range(0, count, _CHUNK):
        part = pictures[first : first + _CHUNK]
        framed[: len(part), 1:-2, 1:-2] = part
        found[first : first + _CHUNK] = _sampled(framed, views[first : first + _CHUNK])
    return found


def _sampled(framed: Array, views: Array) -> Array:
    """Pictures within a frame of background, one pixel wide at the left and top and two at the right and bottom,
    through views."""
    _, height, width = framed.shape
    middle_x, middle_y = np.float32((width - 4) / 2), np.float32((height - 4) / 2)
    across = np.arange(width - 3, dtype=np.float32) - middle_x
    down = (np.arange(height - 3, dtype=np.float32) - middle_y)[:, None]
    to_x, to_y = views[:, 0, :, None, None], views[:, 1, :, None, None]
    # One pixel more for the frame. Beyond it lies what the frame holds: background.
    x = to_x[:, 0] * across + (to_x[:, 1] * down + (to_x[:, 2] + middle_x + 1))
    y = to_y[:, 0] * across + (to_y[:, 1] * down + (to_y[:, 2] + middle_y + 1))
    np.clip(x, 0, width - 2, out=x)
    np.clip(y, 0, height - 2, out=y)
    left, top = x.astype(np.intp), y.astype(np.intp)
    x -= left
    y -= top
    top *= width
    top += left
    top += (np.arange(len(views)) * (height * width))[:, None, None]
    flat = framed.ravel()
    upper = flat.take(top)
    upper += x * (flat.take(top + 1) - upper)
    top += width
    lower = flat.take(top)
    lower += x * (flat.take(top + 1) - lower)
    lower -= upper
    lower *= y
    upper += lower
    return np.clip(upper, -1, 1, out=upper)  # a rounding may lead beyond


def _views(settings: Augmentation, sides: tuple[int, ...], count: int, rng: np.random.Generator) -> Array:
    """A view (2, 3) for each of `count` pictures. What is drawn does not depend on what is switched off."""
    between = rng.uniform(-1, 1, (5, count))
    turn, lean = between[0] * math.radians(settings.rotation), between[1] * settings.shear
    larger, moved = np.exp(-between[2] * settings.scale), between[3:] * settings.shift
    mirrored = np.where(rng.random((2, count)) < 0.5, -1, 1) if settings.flip else np.ones((2, count))
    swapped = (rng.random(count) < 0.5) & settings.flip & (sides[0] == sides[1])
    cos, sin = np.cos(turn) * larger, np.sin(turn) * larger
    views = np.empty((count, 2, 3))
    views[:, 0, :2] = np.stack([cos, lean * cos - sin], 1)
    views[:, 1, :2] = np.stack([sin, lean * sin + cos], 1)
    views[:, :, :2] *= mirrored.T[:, :, None]
    views[swapped, :, :2] = views[swapped, ::-1, :2]
    views[:, 0, 2], views[:, 1, 2] = moved[0] * sides[1], moved[1] * sides[0]
    return views.astype(np.float32)


def _check(setting: Field[Any], value: Any) -> None:
    most = setting.metadata["most"]
    if isinstance(setting.default, bool) != isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"The augmentation's {setting.name} must not be {value!r}, which is another kind of value."
        )
    if not 0 <= value <= most:
        raise ValueError(f"The augmentation's {setting.name} must be from 0 to {most:g}, not {value!r}.")
