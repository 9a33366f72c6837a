"""Template matching: a picture is compared, pixel by pixel, with one template of each class.

This is the naive way that the article starts from ("what computers see"): it counts the pixels that agree, so that
an X that is shifted, scaled or rotated is another picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.backends import HostArray
from engine.data.xo import ARTICLE_PICTURES, CLASSES, baseline
from engine.data.xo import SIDE as ARTICLE_SIDE
from engine.drawings import Drawing, Stroke, ink_share, render
from engine.nn import BLANK_INK, UNSURE

_CIRCLE_POINTS = 48


@dataclass(frozen=True, eq=False)
class Templates:
    """classes: the names; pictures: (classes, side, side) float32, read-only, -1 background to 1 ink."""

    classes: tuple[str, ...]
    pictures: HostArray


@dataclass(frozen=True, eq=False)
class TemplateMatch:
    """A picture (side, side) compared with each template.

    products: (classes, side, side) float32, read-only, pixel times pixel: 1 where both are ink or both are
        background, -1 where one is ink and the other is not, between for grey.
    scores: (classes,) float64, the means of the products: 1 for an identical picture without grey, 0 if half of the
        pixels agree.
    predicted_class: the class with the highest score; "unsure" for a blank picture or a tie.
    """

    templates: Templates
    picture: HostArray
    products: HostArray
    scores: HostArray
    predicted_class: str


@lru_cache(maxsize=8)
def templates(side: int) -> Templates:
    """An X and an O of (side, side): at 9 x 9 the article's own; otherwise an upright X and a round O, centred,
    without jitter, with the default size and pen width."""
    if side == ARTICLE_SIDE:
        pictures = np.stack([ARTICLE_PICTURES[name] for name in CLASSES])
    else:
        pictures = np.stack([render(_ideal(name, side), side) for name in CLASSES])
    pictures.flags.writeable = False
    return Templates(CLASSES, pictures)


def match_templates(templates: Templates, picture: HostArray) -> TemplateMatch:
    """Compare `picture` (side, side), -1 to 1, with each template. Raises ValueError for another shape."""
    if picture.shape != templates.pictures.shape[1:]:
        raise ValueError(f"The templates are {templates.pictures.shape[1:]}, but the picture is {picture.shape}.")
    products = templates.pictures * picture
    products.flags.writeable = False
    scores = products.mean(axis=(1, 2), dtype=np.float64)
    top = int(scores.argmax())
    unsure = ink_share(picture) < BLANK_INK or (scores == scores[top]).sum() > 1
    return TemplateMatch(templates, picture, products, scores, UNSURE if unsure else templates.classes[top])


def template_scores(templates: Templates, pictures: HostArray) -> HostArray:
    """The scores (N, classes) float32 of pictures (N, side, side)."""
    count, pixels = len(pictures), templates.pictures[0].size
    sums: HostArray = pictures.reshape(count, pixels) @ templates.pictures.reshape(-1, pixels).T
    return sums / np.float32(pixels)


def _ideal(name: str, side: int) -> Drawing:
    """The ideal shape of a class: straight lines from corner to corner, or a circle."""
    look = baseline(side)
    radius = np.float32((look.size - look.pen_width) / 2)
    if name == "X":
        lines = [[(-1.0, -1.0), (1.0, 1.0)], [(1.0, -1.0), (-1.0, 1.0)]]
    else:
        angles = [2 * math.pi * part / _CIRCLE_POINTS for part in range(_CIRCLE_POINTS + 1)]
        lines = [[(math.cos(angle), math.sin(angle)) for angle in angles]]
    return Drawing(
        tuple(_stroke(np.array(line, np.float32) * radius + np.float32(0.5), look.pen_width) for line in lines)
    )


def _stroke(points: HostArray, pen: float) -> Stroke:
    return Stroke(np.column_stack([points, np.full(len(points), pen, np.float32)]))
