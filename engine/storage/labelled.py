"""Labelled pictures as files of numbers hold them, and how they become ink. Not the formats of those files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.storage.atomic import MEBIBYTE, Damage
from engine.storage.pictures import as_ink

Array = NDArray[np.float32]
Labels = NDArray[np.int64]

UNPACKED_LIMIT: Final = 1024 * MEBIBYTE
PICTURES_LIMIT: Final = 1 << 28  # values; as float32 they take 1 GiB
MOST_CLASSES: Final = 1_000
# Classes of these names are none: their pictures are labelled -1.
NEITHER: Final = ("neither", "none")

_LONGEST_NAME = 100
_KINDS = "uifb"
_WHITES = (1, 255, 65535)  # where white may be in numbers that do not say
_CHUNK = 1 << 20  # values worked on at once, so that they take little room


@dataclass(frozen=True, eq=False)
class Labelled:
    """pictures: (N, H, W) float32, -1 background to 1 ink. labels: (N,) int64, a class's place from 0 or -1 for
    "neither"; classes: their names. None where the file says nothing of them."""

    pictures: Array
    labels: Labels | None = None
    classes: tuple[str, ...] | None = None


def check_claim(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], dimensions: int) -> int:
    """The bytes that an array of this shape and dtype takes. Raises Damage if it holds no pictures or labels."""
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        raise Damage(f"holds {name} as {dtype.name[:40]}; they must be whole or real numbers, or truth values")
    if len(shape) != dimensions or not all(shape):
        wanted = "(N, H, W), pictures × rows × columns" if dimensions == 3 else "(N,), one for each picture"
        raise Damage(f"has {name} of shape {shape}; they must be {wanted}, and not empty")
    values = math.prod(shape)
    if values > PICTURES_LIMIT:
        raise Damage(f"has {name} of shape {shape}, more than the {PICTURES_LIMIT:,} values that are read")
    if values * dtype.itemsize > UNPACKED_LIMIT:
        raise Damage(f"unpacks to more than the {UNPACKED_LIMIT // MEBIBYTE:,} MiB that are read; split it")
    return values * dtype.itemsize


def ink_of(values: NDArray[Any]) -> Array:
    """Numbers (N, H, W) in 0..1, -1..1, 0..255 or 0..65535, told by what the whole array holds, as ink, -1 to 1.

    For each picture by itself `as_ink` tells ink from background. Raises Damage for other values.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Damage("has images with values that are not finite numbers")
    white = next((white for white in _WHITES if high <= white), None)
    if white is None or low < -1 or (low < 0 and white > 1):
        raise Damage(
            f"has images with values from {low:g} to {high:g}; use 0 to 1, -1 to 1, 0 to 255 or 0 to 65535"
        )
    pictures = np.empty(values.shape, np.float32)
    step = max(1, _CHUNK // math.prod(values.shape[1:]))
    for start in range(0, len(values), step):
        grey = values[start : start + step]
        pictures[start : start + step] = as_ink((grey + np.float32(1)) / 2 if low < 0 else grey / np.float32(white))
    return pictures


def labels_of(values: NDArray[Any], count: int) -> Labels:
    """Numbers as the labels of `count` pictures. Raises Damage unless they are whole, from -1 up, one for each."""
    if len(values) != count:
        raise Damage(f"has {len(values):,} labels for {count:,} images; it needs one for each")
    if not np.isfinite(values).all() or not ((values >= -1) & (values < 1 << 31) & (values % 1 == 0)).all():
        raise Damage("has labels that are no whole numbers from 0 up (or -1 for neither)")
    return values.astype(np.int64)


def named(labels: Labels, names: Sequence[str]) -> tuple[Labels, tuple[str, ...]]:
    """Labels that are places in `names`, or -1, with the names that are classes: "neither" and "none" are not.

    Raises Damage for a label without a name and for names that nobody could read or tell apart.
    """
    if labels.size and labels.max() >= len(names):
        raise Damage(f"has the label {labels.max()}, but names only {len(names)} classes, from 0 up")
    if len(names) > MOST_CLASSES:
        raise Damage(f"has {len(names):,} classes; use at most {MOST_CLASSES:,}")
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise Damage(f"has a class called {name[:_LONGEST_NAME]!r}; give it a short name of visible letters")
    if len(set(names)) != len(names):
        raise Damage("has two classes of the same name; rename one")
    classes = tuple(name for name in names if name.casefold() not in NEITHER)
    places = {name: place for place, name in enumerate(classes)}
    moved = np.array([*(places.get(name, -1) for name in names), -1], np.int64)  # the label -1 takes the last
    return moved[labels], classes
