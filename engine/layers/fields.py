"""Fields: which cells of a layer's input its output cells read, and the other way round, as masks. No values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from engine.backends.ops import HostArray

if TYPE_CHECKING:
    from engine.layers.layer import Layer

Shape: TypeAlias = tuple[int, ...]


def below(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """(*shape) bool: the input cells that any output cell in `mask` reads, for a layer whose windows are rows x
    columns (`Layer.reads`)."""
    if layer.pointwise:
        return mask
    tables = _tables(layer, shape)
    if tables is None:
        return _all(shape, mask.any()) if layer.mixes_maps else _whole_maps(shape, mask)
    rows, columns = tables
    if layer.mixes_maps:
        return np.broadcast_to(_carried(rows.T, np.any(mask, axis=0), columns), shape)
    return _of_maps(mask, shape, lambda one: _carried(rows.T, one, columns))


def above(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """bool in the output's shape: the output cells that read any input cell in `mask` (*shape)."""
    if layer.pointwise:
        return mask
    made = layer.output_shape(shape)
    tables = _tables(layer, shape)
    if tables is None:
        whole: HostArray = np.any(mask.reshape(len(mask), -1), axis=1)
        return _all(made, mask.any()) if layer.mixes_maps else whole
    rows, columns = tables
    if layer.mixes_maps:
        return np.broadcast_to(_carried(rows, np.any(mask, axis=0), columns.T), made)
    return _of_maps(mask, made, lambda one: _carried(rows, one, columns.T))


def _carried(rows: HostArray, mask: HostArray, columns: HostArray) -> HostArray:
    """Where rows and columns lead from the cells in `mask` (h, w)."""
    found: HostArray = (rows @ mask.astype(np.float32) @ columns) > 0
    return found


def _of_maps(mask: HostArray, shape: Shape, carry: Callable[[HostArray], HostArray]) -> HostArray:
    """Map by map, those without a cell in `mask` left out: mostly there is but one with any."""
    found = np.zeros(shape, bool)
    for channel in np.flatnonzero(mask.any(axis=(1, 2))):
        found[channel] = carry(mask[channel])
    return found


@lru_cache(maxsize=64)
def _tables(layer: Layer, shape: Shape) -> tuple[HostArray, HostArray] | None:
    """(H', H) and (W', W), 1 or 0: which rows read which, and which columns; None if everything is read."""
    one = range(1)
    if len(shape) != 3 or layer.reads(shape, one, one) is None:
        return None
    made = layer.output_shape(shape)
    found = []
    for axis in (0, 1):
        table = np.zeros((made[1 + axis], shape[1 + axis]), np.float32)
        for place in range(len(table)):
            cell = range(place, place + 1)
            read = layer.reads(shape, *((cell, one) if axis == 0 else (one, cell)))
            assert read is not None
            table[place, read[axis].start : max(read[axis].stop, read[axis].start)] = 1
        found.append(table)
    return found[0], found[1]


def _all(shape: Shape, true: bool | np.bool_) -> HostArray:
    return np.full(shape, bool(true))


def _whole_maps(shape: Shape, mask: HostArray) -> HostArray:
    """All of every map that has a value in `mask` (C,)."""
    return np.broadcast_to(mask.reshape(-1, *(1 for _ in shape[1:])), shape)
