"""Strips: the pixels that rows of windows read, laid out so that each row of windows is one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.array_operations import memory
from engine.array_operations.calls import run
from engine.backends.ops import Array, Calls


class Strips:
    """Memory-efficient convolution (Cho and Brand 2017): every row of pixels is laid out once as a strip
    (C * size, columns * N), for each channel and column of a feature what the windows of one row read there.

    Strips lie one under the other, so the `size` strips that a row of windows reads are one matrix
    (size * C * size, columns * N), and those of neighbouring rows overlap: the copy is `size` times smaller than
    one of whole windows.

    The windows of a row are sorted by their place modulo `cycle`: (cycle, columns of each), of which the last may
    be missing from some and reads zeros. A pool of that stride then finds its values in long runs, not one by one.
    """

    def __init__(self, rows: int, channels: int, size: int, width: int, batch: int, cycle: int, dtype: Any) -> None:
        self.size, self.width, self.cycle, self.columns = size, width, cycle, -(-width // cycle)
        self._array = memory.zeros((rows, channels, size, cycle, self.columns, batch), dtype)

    def matrices(self, first: int, count: int, stride: int) -> Array:
        """The matrices (count, size * C * size, cycle * columns * N) of `count` rows of windows from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        step, length = self._array.strides[0], cycle * columns * batch
        return as_strided(
            self._array[first * stride :],
            (count, size * channels * size, length),
            (stride * step, self._array.strides[2], self._array.itemsize),
        )

    def matrices_of(self, first: int, count: int) -> Array:
        """The matrices (count, C * size, cycle * columns * N) of `count` single strips from `first` on."""
        _, channels, size, cycle, columns, batch = self._array.shape
        return self._array[first : first + count].reshape(count, channels * size, cycle * columns * batch)

    def windows_of(self, x: Array, stride: int) -> Calls:
        """Lay out padded maps x (C, H, W, N)."""
        plane, row, pixel, image = x.strides
        rows, channels, size, cycle, _, batch = self._array.shape
        calls: Calls = []
        whole = self.width % self.cycle == 0
        for turn in range(1 if whole else cycle):
            turns = cycle if whole else 1
            count = len(range(turn, self.width, cycle))
            seen = as_strided(
                x[:, :, turn * stride :],
                (rows, channels, size, turns, count, batch),
                (row, plane, pixel, pixel * stride, pixel * stride * cycle, image),
            )
            calls.append(run(np.copyto, self._array[:, :, :, turn : turn + turns, :count], seen))
        return calls


def rows_of(maps: Array) -> Array:
    """(F, H, ..., N) with rows without gaps, seen as H matrices (F, rest)."""
    features, height, *rest = maps.shape
    length = int(np.prod(rest))
    return as_strided(maps, (height, features, length), (maps.strides[1], maps.strides[0], maps.itemsize))
