"""Drawings in files: many of them as a few arrays, strokes, pictures and transforms. Not the file they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, TypeAlias

import numpy as np

from engine.drawing import Drawing, Stroke, Transform
from engine.storage.atomic import Damage

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_NAMES: Final = ("points", "strokes", "transforms", "sizes", "images")
_MOST_STROKES: Final = 100_000


def drawing_arrays(drawings: Sequence[Drawing]) -> dict[str, HostArray]:
    """points (p, 3): of all strokes, one after the other; strokes (s, 4): the drawing of each, how many points it
    has, whether it erases, its grid; transforms (n, 6); sizes (n, 2): of the pictures, 0 where there is none;
    images: their values, one after the other."""
    strokes = [(place, stroke) for place, drawing in enumerate(drawings) for stroke in drawing.strokes]
    images = [drawing.image for drawing in drawings]
    told = [(place, len(stroke.points), stroke.erase, stroke.grid) for place, stroke in strokes]
    return {
        "points": np.concatenate([np.zeros((0, 3), np.float32), *(stroke.points for _, stroke in strokes)]),
        "strokes": np.array(told, np.float64).reshape(-1, 4),
        "transforms": np.array([astuple(drawing.transform) for drawing in drawings], np.float64).reshape(-1, 6),
        "sizes": np.array([(0, 0) if i is None else i.shape for i in images], np.float64).reshape(-1, 2),
        "images": np.concatenate([np.zeros(0, np.float32), *(i.ravel() for i in images if i is not None)]),
    }


def drawings_in(arrays: Mapping[str, HostArray]) -> list[Drawing]:
    """The drawings that drawing_arrays gave. Raises Damage, or ValueError for a drawing that cannot be."""
    points, strokes, transforms, sizes, images = (_array(arrays, name) for name in _NAMES)
    if len(strokes) > _MOST_STROKES:
        raise Damage(f"holds {len(strokes):,} strokes, more than {_MOST_STROKES:,}")
    count, ends = len(transforms), np.cumsum(strokes[:, 1])
    if len(sizes) != count or (len(ends) and ends[-1] != len(points)) or images.size != sizes.prod(1).sum():
        raise Damage("holds drawings whose parts do not fit together")
    if not all(_whole(values) for values in (strokes, sizes)) or (strokes[:, 0] >= count).any():
        raise Damage("holds strokes of drawings that are not there")
    drawn: list[list[Stroke]] = [[] for _ in range(count)]
    for end, (place, length, erase, grid) in zip(ends.astype(int), strokes.astype(int).tolist(), strict=True):
        drawn[place].append(Stroke(points[end - length : end].copy(), bool(erase), grid))
    found, at = [], 0
    for its_strokes, transform, (height, width) in zip(drawn, transforms, sizes.astype(int).tolist(), strict=True):
        image = images[at : at + height * width].reshape(height, width).copy() if height * width else None
        at += height * width
        found.append(Drawing(tuple(its_strokes), image, Transform(*transform.tolist())))
    return found


def _array(arrays: Mapping[str, HostArray], name: str) -> HostArray:
    columns = {"points": 3, "strokes": 4, "transforms": 6, "sizes": 2}.get(name)
    found = arrays.get(name)
    shape = (-1,) if columns is None else (-1, columns)
    if found is None or found.ndim != len(shape) or found.shape[1:] != shape[1:]:
        raise Damage(f"lacks the {name} of its drawings")
    return found


def _whole(values: HostArray) -> bool:
    """Whether all are whole numbers from 0 on that can be counted with."""
    return bool(((values >= 0) & (values < 2**31) & (values == np.floor(values))).all())
