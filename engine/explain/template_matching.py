"""Exemplars: one picture of each class, and whole pictures compared with them, pixel by pixel. No network.

This is the naive way that the article sets out from: "what computers see". It lays the drawing over the exemplar
and counts the pixels that are alike; an X that is shifted, shrunk or turned is then another picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from engine.data.xo.article import ARTICLE_PICTURES
from engine.data.xo.article import SIDE as ARTICLE_SIDE
from engine.data.xo.generator import CLASSES
from engine.data.xo.variations import usual
from engine.drawings.drawing import Drawing, Stroke
from engine.drawings.raster import ink, render
from engine.nn.inference import BLANK_INK, UNSURE

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_ROUND_POINTS = 48


@dataclass(frozen=True, eq=False)
class Exemplars:
    """classes: the names; pictures: (classes, side, side) float32, read-only, -1 background to 1 ink."""

    classes: tuple[str, ...]
    pictures: HostArray


@dataclass(frozen=True, eq=False)
class Comparison:
    """A picture (side, side) beside each exemplar.

    products: (classes, side, side) float32, read-only, pixel times pixel: 1 where both are ink or both are
    background, -1 where one is ink and the other is not, between for grey. scores: (classes,) float64, the means of
    the products: 1 for the very same picture without grey, 0 for half of the pixels alike. verdict: the class with
    the highest score; "unsure" of a blank picture and of a tie.
    """

    exemplars: Exemplars
    picture: HostArray
    products: HostArray
    scores: HostArray
    verdict: str


@lru_cache(maxsize=8)
def exemplars(side: int) -> Exemplars:
    """An X and an O of (side, side): at 9 x 9 the article's own; otherwise an upright X and a round O without any
    unsteadiness, centred, with the size and the pen that `usual` gives. They are drawn, not drawn by lot."""
    if side == ARTICLE_SIDE:
        pictures = np.stack([ARTICLE_PICTURES[name] for name in CLASSES])
    else:
        pictures = np.stack([render(_plain(name, side), side) for name in CLASSES])
    pictures.flags.writeable = False
    return Exemplars(CLASSES, pictures)


def compare(given: Exemplars, picture: HostArray) -> Comparison:
    """Lay `picture` (side, side), -1 to 1, over each exemplar. Raises ValueError for a picture of another shape."""
    if picture.shape != given.pictures.shape[1:]:
        raise ValueError(f"The exemplars are {given.pictures.shape[1:]}, but the picture is {picture.shape}.")
    products = given.pictures * picture
    products.flags.writeable = False
    scores = products.mean(axis=(1, 2), dtype=np.float64)
    top = int(scores.argmax())
    unsure = ink(picture) < BLANK_INK or (scores == scores[top]).sum() > 1
    return Comparison(given, picture, products, scores, UNSURE if unsure else given.classes[top])


def scores_of(given: Exemplars, pictures: HostArray) -> HostArray:
    """The scores (N, classes) float32 of many pictures (N, side, side) at once."""
    count, pixels = len(pictures), given.pictures[0].size
    found: HostArray = pictures.reshape(count, pixels) @ given.pictures.reshape(-1, pixels).T
    return found / np.float32(pixels)


def _plain(name: str, side: int) -> Drawing:
    """The class as its idea: straight lines from corner to corner, a circle."""
    look = usual(side)
    reach = np.float32((look.size - look.pen) / 2)
    if name == "X":
        lines = [[(-1.0, -1.0), (1.0, 1.0)], [(1.0, -1.0), (-1.0, 1.0)]]
    else:
        turn = [2 * math.pi * part / _ROUND_POINTS for part in range(_ROUND_POINTS + 1)]
        lines = [[(math.cos(angle), math.sin(angle)) for angle in turn]]
    return Drawing(tuple(_stroke(np.array(line, np.float32) * reach + np.float32(0.5), look.pen) for line in lines))


def _stroke(points: HostArray, pen: float) -> Stroke:
    return Stroke(np.column_stack([points, np.full(len(points), pen, np.float32)]))
