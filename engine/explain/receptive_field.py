"""Receptive field: which rows and columns of the layers below can have a say in one value. It reads no values."""

from __future__ import annotations

from typing import TypeAlias

from engine.network import Network

Window: TypeAlias = tuple[range, range]


def receptive_field(network: Network, layer: int, row: int, column: int) -> list[Window | None]:
    """The (rows, columns) that one value reads, for every layer from the input (first) up to `layer` (last).

    layer: 0 is the input, 1 the first layer's output; row and column count from 0, both 0 in a list. A window is
    a rectangle that holds everything read; with a stride larger than the window of the layer below, it has gaps
    that are not read. It is empty where the value sees nothing but padding, and None where it reads everything.
    Raises IndexError if there is no such layer, row or column.
    """
    _check(network, layer, row, column)
    windows: list[Window | None] = [(range(row, row + 1), range(column, column + 1))]
    for below in reversed(range(layer)):
        windows.insert(0, _below(network, below, windows[0]))
    return windows


def _below(network: Network, below: int, window: Window | None) -> Window | None:
    """What `window` of the layer above `below` reads of it."""
    if window is None or not (window[0] and window[1]):
        return window
    read = network.layers[below].reads(network.shapes[below], *window)
    # A window that lies wholly in the padding comes as a range that ends before it begins.
    return (range(0), range(0)) if read is not None and not (read[0] and read[1]) else read


def _check(network: Network, layer: int, row: int, column: int) -> None:
    """Raises IndexError."""
    if not 0 <= layer < len(network.shapes):
        raise IndexError(f"The network has layers 0 to {len(network.shapes) - 1}, not {layer}.")
    shape = network.shapes[layer]
    rows, columns = shape[1:] if len(shape) == 3 else (1, 1)
    if not (0 <= row < rows and 0 <= column < columns):
        raise IndexError(f"Layer {layer} has {rows} rows and {columns} columns; {row}, {column} is not in it.")
