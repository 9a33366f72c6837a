"""Varied drawings: the same drawn X and O again and again, with one property changed and all else as usual. They
are drawn anew from their strokes each time, never resampled, and nobody learns from them.

A property is changed by the transform of a drawing, as the sliders under the canvas do it; noise alone is laid over
the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.xo.settings import LEAST_PEN, LEAST_SIZE, Range, XOSettings
from engine.data.xo.strokes import sketch
from engine.drawings.drawing import Array, Drawing, Stroke, Transform, moved
from engine.drawings.raster import Paths, coverage, ink_box

VALUES: Final = 11  # of each property
_MOST_SHIFT: Final = 0.3  # of the frame; a drawing of usual size is cut from 0.19 on
_WIDER: Final = math.sqrt(2)  # how far pens go beyond what the generator draws with
_MIDDLE = VALUES // 2
_LINES, _NOISE = 0, 1  # what a seed is used for


@dataclass(frozen=True)
class Usual:
    """How a drawing usually looks, besides being centred, upright and without noise. size: the longer side of its
    ink; pen: the width of its line; both of the frame."""

    size: float
    pen: float


@dataclass(frozen=True)
class Property:
    """One thing about a drawing that can be other than usual.

    name: "shift", "size", "rotation", "thickness" or "noise". values: from the least to the most, among them
    `usual`. unit: what they are in: "of the frame", "degrees", "of the ink".
    """

    name: str
    values: tuple[float, ...]
    usual: float
    unit: str


def usual(side: int) -> Usual:
    """The middle of the sizes and pens that the generator draws with in pictures of this side."""
    (least, most), (thinnest, thickest) = _sizes(side), _pens(side)
    return Usual((least + most) / 2, math.sqrt(thinnest * thickest))


def properties(side: int) -> tuple[Property, ...]:
    """What is varied, and through which values, in pictures of this side.

    shift: to the left (below 0) or right, of the frame. size, thickness: of the frame; the smallest is that which
    can be told at all. rotation: degrees, clockwise; further than 40 an X becomes a plus. noise: the standard
    deviation of what is added to each pixel, ink being 1 and background -1.
    """
    look, (thinnest, thickest) = usual(side), _pens(side)
    shifts, turns = _evenly(-_MOST_SHIFT, _MOST_SHIFT), _evenly(-40.0, 40.0)
    pens = np.geomspace(thinnest / _WIDER, thickest * _WIDER, VALUES).tolist()
    return (
        Property("shift", shifts, 0.0, "of the frame"),
        Property("size", _with_usual(_evenly(*_sizes(side)), look.size), look.size, "of the frame"),
        Property("rotation", turns, 0.0, "degrees"),
        Property("thickness", _with_usual(pens, look.pen), look.pen, "of the frame"),
        Property("noise", _evenly(0.0, 1.0), 0.0, "of the ink"),
    )


def transform_to(name: str, value: float, look: Usual) -> Transform:
    """What makes a usual drawing one whose property `name` has this value. Raises ValueError for another name."""
    if name == "shift":
        return Transform(shift_x=value)
    if name == "size":
        factor = value / look.size
        return Transform(size=factor, thicken=look.pen * (1 - factor))  # the pen stays as wide
    if name == "rotation":
        return Transform(rotate=value)
    if name == "thickness":
        return Transform(thicken=value - look.pen)
    if name == "noise":
        return Transform()
    raise ValueError(f"A drawing has no property {name!r} that could be varied.")


def measured(drawing: Drawing, picture: Array) -> dict[str, float]:
    """The properties that are known of a drawing, by name, from itself and from a picture (side, side) of it.

    Rotation is known as far as the transform turns it, thickness and noise where it is of strokes alone. Nothing is
    known of a blank one.
    """
    box = ink_box(picture)
    if box is None:
        return {}
    left, top, right, bottom = box
    known = {"shift": (left + right) / 2 - 0.5, "size": max(right - left, bottom - top)}
    known["rotation"] = drawing.transform.rotate
    if drawing.image is None:
        known["noise"] = 0.0
        pens = [
            stroke.path(drawing.transform)[:, 2] for stroke in drawing.strokes if not (stroke.erase or stroke.grid)
        ]
        if pens:
            known["thickness"] = float(np.median(np.concatenate(pens)))
    return known


class Varied:
    """`count` drawings, X and O in turn, as a hand draws them but centred, upright and of the usual size and pen.

    labels: (count,) int64. The same side, count and seed give the same drawings.
    """

    def __init__(self, side: int, count: int, seed: Sequence[int]) -> None:
        self.side, self.count, self._seed = side, count, tuple(seed)
        self.labels: NDArray[np.int64] = np.arange(count, dtype=np.int64) % 2
        self._look = usual(side)
        paths = sketch(["XO"[label] for label in self.labels], _settings(self._look), self._rng(_LINES))
        parts = np.split(paths.points, np.cumsum(paths.lengths)[:-1])
        self._strokes = [Stroke(part) for part in parts]
        self._pictures = paths.pictures
        smooth = [stroke.path() for stroke in self._strokes]
        lengths = np.array([len(path) for path in smooth], np.intp)
        self._paths = Paths(np.concatenate(smooth), lengths, paths.pictures, count)

    def drawing(self, place: int, name: str, value: float) -> Drawing:
        """One of them with a property of this value, as strokes under a transform; with noise, as a picture."""
        if name == "noise" and value > 0:
            return Drawing(image=self.pictures(name, value)[place])
        strokes = [self._strokes[at] for at in np.flatnonzero(self._pictures == place)]
        return Drawing(tuple(strokes), transform=transform_to(name, value, self._look))

    def pictures(self, name: str, value: float) -> Array:
        """All of them with a property of this value: (count, side, side) float32, -1 background to 1 ink."""
        cover = coverage(self._moved(transform_to(name, value, self._look)), self.side)
        pictures: Array = 2 * cover - 1
        if name == "noise" and value > 0:
            pictures += np.float32(value) * self._rng(_NOISE).standard_normal(pictures.shape, np.float32)
            np.clip(pictures, -1, 1, out=pictures)
        return pictures

    def _moved(self, transform: Transform) -> Paths:
        return replace(self._paths, points=moved(self._paths.points, transform))

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, purpose))


def _settings(look: Usual) -> XOSettings:
    """The generator's settings for usual drawings. The side is left alone, for the lines do not depend on it."""
    return XOSettings(
        pen_width=(look.pen, look.pen),
        size=(look.size, look.size),
        position=(0.5, 0.5),
        rotation=(0.0, 0.0),
        cut=0.0,
        coarse=0.0,
        neither=0.0,
    )


def _sizes(side: int) -> Range:
    # In a frame too small for anything to be told, sizes that are large in it.
    least, most = XOSettings().size
    return max(least, min(LEAST_SIZE / side, 0.7 * most)), most


def _pens(side: int) -> Range:
    least, most = XOSettings().pen_width
    return max(least, min(LEAST_PEN / side, 0.7 * most)), most


def _evenly(low: float, high: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.linspace(low, high, VALUES).round(6))


def _with_usual(values: Sequence[float], look: float) -> tuple[float, ...]:
    """The values, the middle one of which is the usual one to the last digit."""
    return (*values[:_MIDDLE], look, *values[_MIDDLE + 1 :])
