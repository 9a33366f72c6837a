"""Receptive field: which cells of the layers below a value depends on, and which cells above depend on it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from engine.backends import HostArray
from engine.nn import Network
from engine.nn.layers import CellIndex

Window: TypeAlias = tuple[range, range]


def receptive_field(network: Network, layer: int, row: int, column: int) -> list[Window | None]:
    """The receptive field (rows, columns) of one value in every layer from the input (first) up to `layer` (last).

    layer: 0 is the input, 1 the first layer's output.
    row, column: from 0; both 0 after Flatten.
    A window is the bounding rectangle; with a stride larger than the window of the layer below, it has gaps. It is
    empty where the value depends on padding only, and None where it depends on everything. Raises IndexError if
    there is no such layer, row or column.
    """
    _check(network, layer, row, column)
    windows: list[Window | None] = [(range(row, row + 1), range(column, column + 1))]
    for below in reversed(range(layer)):
        windows.insert(0, _below(network, below, windows[0]))
    return windows


def _below(network: Network, below: int, window: Window | None) -> Window | None:
    """The receptive field in layer `below` of a window of the layer above it."""
    if window is None or not (window[0] and window[1]):
        return window
    read = network.layers[below].receptive_range(network.shapes[below], *window)
    # A window that lies wholly in the padding comes as a range that ends before it begins.
    return (range(0), range(0)) if read is not None and not (read[0] and read[1]) else read


def _check(network: Network, layer: int, row: int, column: int) -> None:
    if not 0 <= layer < len(network.shapes):
        raise IndexError(f"The network has layers 0 to {len(network.shapes) - 1}, not {layer}.")
    shape = network.shapes[layer]
    rows, columns = shape[1:] if len(shape) == 3 else (1, 1)
    if not (0 <= row < rows and 0 <= column < columns):
        raise IndexError(f"Layer {layer} has {rows} rows and {columns} columns; {row}, {column} is not in it.")


# Layers with more values than this are not searched for gaps.
MAX_CELLS = 200_000


def receptive_mask(network: Network, layer: int, cell: CellIndex) -> list[HostArray]:
    """The exact receptive field: for the input (first) and every layer up to `layer` (last), a bool mask in its
    shape of the cells that the value at `cell` of `layer` depends on. Raises IndexError if there is no such
    value."""
    masks = [_one_cell(network, layer, cell)]
    for at in reversed(range(layer)):
        masks.insert(0, network.layers[at].receptive_mask(network.shapes[at], masks[0]))
    return masks


def influence_mask(network: Network, layer: int, cell: CellIndex) -> list[HostArray]:
    """For `layer` (first) and every layer above it, a bool mask in its shape of the cells that depend on the value
    at `cell` of `layer`. Raises IndexError if there is no such value."""
    masks = [_one_cell(network, layer, cell)]
    for at in range(layer, len(network.layers)):
        masks.append(network.layers[at].influence_mask(network.shapes[at], masks[-1]))
    return masks


@lru_cache(maxsize=256)
def receptive_runs(network: Network, layer: int, row: int, column: int) -> tuple[tuple[range, ...], ...] | None:
    """(runs of rows, runs of columns) of the input whose crossings are the receptive field of a value of the maps
    of `layer`; None if it is not such a grid, or the layers are too large. Raises IndexError if there is no such
    value.
    """
    if any(math.prod(shape) > MAX_CELLS for shape in network.shapes[: layer + 1]):
        return None
    mask: HostArray = np.any(receptive_mask(network, layer, (0, row, column))[0], axis=0)
    rows: HostArray = np.any(mask, axis=1)
    columns: HostArray = np.any(mask, axis=0)
    return (_runs(rows), _runs(columns)) if np.array_equal(mask, np.outer(rows, columns)) else None


def _runs(mask: HostArray) -> tuple[range, ...]:
    """The ranges in which `mask` (n,) bool is True."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))).tolist()
    return tuple(range(first, last) for first, last in zip(ends[::2], ends[1::2], strict=True))


def _one_cell(network: Network, layer: int, cell: CellIndex) -> HostArray:
    mask = np.zeros(network.shapes[layer], bool)
    if any(at < 0 for at in cell):
        raise IndexError(f"Layer {layer} has no value at {cell}.")
    mask[cell] = True
    return mask
