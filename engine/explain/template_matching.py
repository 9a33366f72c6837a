"""Template matching: a picture is compared, pixel by pixel, with one template of each class.

This is the naive way that the article starts from ("what computers see"): it counts the pixels that agree, so that
an X that is shifted, scaled or rotated is another picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from engine.backends import HostArray
from engine.data import DataKind, InputShape, kind_for
from engine.nn import UNSURE, Network, is_blank_picture


@dataclass(frozen=True, eq=False)
class Templates:
    """classes: the names; pictures: (classes, H, W) float32, read-only, -1 background to 1 ink."""

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


def templates(network: Network) -> Templates | None:
    """The templates of the kind of data that a network reads; None if its kind has none."""
    kind = kind_for(network)
    return None if kind is None else _templates(kind, network.classes, network.input_shape)


@lru_cache(maxsize=8)
def _templates(kind: DataKind[Any, Any], classes: tuple[str, ...], input_shape: InputShape) -> Templates | None:
    pictures = kind.templates(input_shape)
    return None if pictures is None else Templates(classes, pictures)


def match_templates(templates: Templates, picture: HostArray) -> TemplateMatch:
    """Compare `picture` (side, side), -1 to 1, with each template. Raises ValueError for another shape."""
    if picture.shape != templates.pictures.shape[1:]:
        raise ValueError(f"The templates are {templates.pictures.shape[1:]}, but the picture is {picture.shape}.")
    products = templates.pictures * picture
    products.flags.writeable = False
    scores = products.mean(axis=(1, 2), dtype=np.float64)
    top = int(scores.argmax())
    unsure = is_blank_picture(picture) or (scores == scores[top]).sum() > 1
    return TemplateMatch(templates, picture, products, scores, UNSURE if unsure else templates.classes[top])


def template_scores(templates: Templates, pictures: HostArray) -> HostArray:
    """The scores (N, classes) float32 of pictures (N, side, side)."""
    count, pixels = len(pictures), templates.pictures[0].size
    sums: HostArray = pictures.reshape(count, pixels) @ templates.pictures.reshape(-1, pixels).T
    return sums / np.float32(pixels)
