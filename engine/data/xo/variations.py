"""Variations of drawings for robustness tests: fixed X and O with one property changed at a time.

They are rendered from their strokes under a transform, as by the sliders of the canvas, and not resampled; noise is
added to the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.data.data_kind import VariedProperty
from engine.data.xo.settings import MIN_PEN_WIDTH, MIN_SIZE, Range, XOSettings
from engine.data.xo.strokes import pen_paths
from engine.drawings import (
    Drawing,
    DrawingTransform,
    FloatArray,
    PenPaths,
    Stroke,
    ink_bounds,
    pen_coverage,
    transform_path,
)

VALUES_PER_PROPERTY: Final = 11
_MAX_SHIFT: Final = 0.3  # of the frame; a drawing of baseline size is cut off from 0.19 on
_PEN_RANGE_FACTOR: Final = math.sqrt(2)  # extends the range of the generator's pens at both ends
_MIDDLE = VALUES_PER_PROPERTY // 2
_LINES_STREAM, _NOISE_STREAM = 0, 1  # last word of the seed


@dataclass(frozen=True)
class Baseline:
    """Properties of an unchanged drawing, which is centred, upright and without noise.

    size: the longer side of its ink; pen_width: the width of its lines; both as fractions of the frame.
    """

    size: float
    pen_width: float


def baseline(side: int) -> Baseline:
    """The middle of the generator's ranges of size and pen width, for pictures of this side."""
    (low, high), (thinnest, thickest) = _size_range(side), _pen_range(side)
    return Baseline((low + high) / 2, math.sqrt(thinnest * thickest))


def drawing_properties(side: int) -> tuple[VariedProperty, ...]:
    """The varied properties and their values, for pictures of this side.

    shift: horizontal, to the left below 0, of the frame
    size, thickness: of the frame, from the smallest that is recognizable
    rotation: degrees, clockwise; beyond 40 an X becomes a plus
    noise: standard deviation of the noise on each pixel, with ink 1 and background -1
    """
    base, (thinnest, thickest) = baseline(side), _pen_range(side)
    pens = np.geomspace(thinnest / _PEN_RANGE_FACTOR, thickest * _PEN_RANGE_FACTOR, VALUES_PER_PROPERTY).tolist()
    return (
        VariedProperty("shift", _linspace(-_MAX_SHIFT, _MAX_SHIFT), 0.0, "of the frame"),
        VariedProperty("size", _with_middle(_linspace(*_size_range(side)), base.size), base.size, "of the frame"),
        VariedProperty("rotation", _linspace(-40.0, 40.0), 0.0, "degrees"),
        VariedProperty("thickness", _with_middle(pens, base.pen_width), base.pen_width, "of the frame"),
        VariedProperty("noise", _linspace(0.0, 1.0), 0.0, "of the ink"),
    )


def transform_for(name: str, value: float, base: Baseline) -> DrawingTransform:
    """The transform that sets property `name` of a baseline drawing to `value`; for noise, the identity.

    Raises ValueError for an unknown name.
    """
    if name == "shift":
        return DrawingTransform(shift_x=value)
    if name == "size":
        factor = value / base.size
        return DrawingTransform(size=factor, thicken=base.pen_width * (1 - factor))  # keeps the pen width
    if name == "rotation":
        return DrawingTransform(rotate=value)
    if name == "thickness":
        return DrawingTransform(thicken=value - base.pen_width)
    if name == "noise":
        return DrawingTransform()
    raise ValueError(f"A drawing has no property {name!r} that could be varied.")


def measure_drawing(drawing: Drawing, picture: FloatArray) -> dict[str, float]:
    """Measures the properties of a drawing, by name, with the help of its picture (side, side).

    Rotation is that of the transform. Thickness and noise are left out for drawings with an image; a blank drawing
    has no properties.
    """
    box = ink_bounds(picture)
    if box is None:
        return {}
    left, top, right, bottom = box
    measurements = {"shift": (left + right) / 2 - 0.5, "size": max(right - left, bottom - top)}
    measurements["rotation"] = drawing.transform.rotate
    if drawing.image is None:
        measurements["noise"] = 0.0
        widths = [
            stroke.path(drawing.transform)[:, 2] for stroke in drawing.strokes if not (stroke.erase or stroke.grid)
        ]
        if widths:
            measurements["thickness"] = float(np.median(np.concatenate(widths)))
    return measurements


class DrawingVariations:
    """`count` generated drawings, X and O in turn, centred, upright and of baseline size and pen width.

    labels: (count,) int64. The same side, count and seed give the same drawings.
    """

    def __init__(self, side: int, count: int, seed: Sequence[int]) -> None:
        self.side, self.count, self._seed = side, count, tuple(seed)
        self.labels: NDArray[np.int64] = np.arange(count, dtype=np.int64) % 2
        self._baseline = baseline(side)
        paths = pen_paths(
            ["XO"[label] for label in self.labels], _settings(self._baseline), self._rng(_LINES_STREAM)
        )
        parts = np.split(paths.points, np.cumsum(paths.lengths)[:-1])
        self._strokes = [Stroke(part) for part in parts]
        self._pictures = paths.image_indices
        smooth = [stroke.path() for stroke in self._strokes]
        lengths = np.array([len(path) for path in smooth], np.intp)
        self._paths = PenPaths(np.concatenate(smooth), lengths, paths.image_indices, count)

    def source(self, index: int, name: str, value: float) -> Drawing:
        """A drawing with property `name` set to `value`: strokes under a transform, or with noise a picture."""
        if name == "noise" and value > 0:
            return Drawing(image=self.pictures(name, value)[index])
        strokes = [self._strokes[at] for at in np.flatnonzero(self._pictures == index)]
        return Drawing(tuple(strokes), transform=transform_for(name, value, self._baseline))

    def pictures(self, name: str, value: float) -> FloatArray:
        """All drawings with property `name` set to `value`: (count, side, side) float32, -1 background to 1 ink."""
        transform = transform_for(name, value, self._baseline)
        paths = replace(self._paths, points=transform_path(self._paths.points, transform))
        pictures: FloatArray = 2 * pen_coverage(paths, self.side) - 1
        if name == "noise" and value > 0:
            pictures += np.float32(value) * self._rng(_NOISE_STREAM).standard_normal(pictures.shape, np.float32)
            np.clip(pictures, -1, 1, out=pictures)
        return pictures

    def images(self, name: str, value: float) -> FloatArray:
        """All drawings as a network reads them: (count, 1, side, side)."""
        return self.pictures(name, value)[:, None]

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, stream))


def _settings(base: Baseline) -> XOSettings:
    """The generator's settings for baseline drawings, with the default side, on which the lines do not depend."""
    return XOSettings(
        pen_width=(base.pen_width, base.pen_width),
        size=(base.size, base.size),
        position=(0.5, 0.5),
        rotation=(0.0, 0.0),
        cut=0.0,
        coarse=0.0,
        rough=0.0,
        nib=(0.0, 0.0),
        ambiguous=0.0,
        neither=0.0,
    )


def _size_range(side: int) -> Range:
    # 0.7: very small frames, where MIN_SIZE exceeds the frame, need a range that is not empty.
    low, high = XOSettings().size
    return max(low, min(MIN_SIZE / side, 0.7 * high)), high


def _pen_range(side: int) -> Range:
    low, high = XOSettings().pen_width
    return max(low, min(MIN_PEN_WIDTH / side, 0.7 * high)), high


def _linspace(low: float, high: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.linspace(low, high, VALUES_PER_PROPERTY).round(6))


def _with_middle(values: Sequence[float], middle: float) -> tuple[float, ...]:
    """The values with the middle one replaced by the exact baseline."""
    return (*values[:_MIDDLE], middle, *values[_MIDDLE + 1 :])
