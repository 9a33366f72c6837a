"""View: an array of a device as a kernel sees it: where it lies, and how to get from there to each value. It holds
no values of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends.ops import Array

# As in layout.cuh.
DIVISOR = np.dtype([("by", np.int32), ("magic", np.uint32), ("shift", np.int32)])
LAYOUT = np.dtype([("extent", DIVISOR, 3), ("stride", np.int32, 4)])
# What an int can count, less what a kernel may step beyond it.
MOST = 2**31 - 2**24


@dataclass(frozen=True, eq=False)
class View:
    """array: kept alive. start, stop: the bytes between which it lies, stop excluded. extents, strides: of its
    axes, counted in values, neighbouring axes joined where they can be, so that two views reach the same values by
    the same numbers if start, extents and strides are the same."""

    array: Array
    start: int
    stop: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        found: np.dtype[Any] = np.dtype(self.array.dtype)
        return found

    @property
    def size(self) -> int:
        """How many values it has."""
        return math.prod(self.extents)

    @property
    def contiguous(self) -> bool:
        """Whether its values lie one after the other, in row order."""
        return self.extents == () or (len(self.extents) == 1 and self.strides == (1,))

    def overlaps(self, other: View) -> bool:
        """Whether the two may share a value."""
        return self.start < other.stop and other.start < self.stop

    def same_places(self, other: View) -> bool:
        """Whether value i of one is value i of the other, for every i."""
        mine, others = ((view.start, view.extents, view.strides, view.dtype.itemsize) for view in (self, other))
        return mine == others

    def layout(self) -> np.ndarray[Any, Any]:
        """The structure that a kernel gets, an array of one element. Raises ValueError beyond four axes."""
        if len(self.extents) > 4:
            raise ValueError(f"A kernel reads arrays of at most four axes, not {self.array.shape}.")
        found = np.zeros((), LAYOUT)
        inner = self.extents[:0:-1]
        found["extent"][: len(inner)] = [divided_by(extent).item() for extent in inner]
        strides = self.strides[::-1] or (1,)
        found["stride"][: len(strides)] = strides
        return found


def divided_by(value: int) -> np.ndarray[Any, Any]:
    """The structure with which a kernel divides numbers from 0 to 2^31 - 1 by `value`, at least 1: n // value is
    n * magic >> 31 + shift (Granlund and Montgomery 1994)."""
    shift = (value - 1).bit_length()
    return np.array((value, (1 << 31 + shift) // value + 1, shift), DIVISOR)


def view_of(address: int, array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> View:
    """Values of `array` from `address` on, strides in bytes. Raises ValueError for more than 32 bits can count."""
    itemsize = np.dtype(array.dtype).itemsize
    if math.prod(shape) == 0:
        return View(array, address, address, (0,), (1,))
    axes: list[tuple[int, int]] = []
    last = 0
    for extent, stride in zip(shape, strides, strict=True):
        step = stride // itemsize
        last += (extent - 1) * step
        if extent > 1 and axes and axes[-1][1] == step * extent:
            axes[-1] = (axes[-1][0] * extent, step)
        elif extent > 1:
            axes.append((extent, step))
    if max(last + 1, math.prod(shape)) > MOST:
        raise ValueError(f"An array on a GPU may hold at most {MOST} values; this one has {math.prod(shape)}.")
    stop = address + (last + 1) * itemsize
    return View(array, address, stop, tuple(extent for extent, _ in axes), tuple(step for _, step in axes))
