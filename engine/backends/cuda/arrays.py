"""ArrayView: the address, extents and strides of a device array as a kernel sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends.ops import Array

# As in layout.cuh.
DIVISOR_DTYPE = np.dtype([("by", np.int32), ("magic", np.uint32), ("shift", np.int32)])
LAYOUT_DTYPE = np.dtype([("extent", DIVISOR_DTYPE, 3), ("stride", np.int32, 4)])
# The range of an int, less a margin for index overshoot in kernels.
MAX_ELEMENTS = 2**31 - 2**24


@dataclass(frozen=True, eq=False)
class ArrayView:
    """A strided view of device memory.

    array: the array, kept alive.
    start, stop: its range of addresses in bytes, stop excluded.
    extents, strides: of its axes, in elements, with adjacent axes merged where possible: views with equal start,
    extents and strides have the same elements at the same indices.
    """

    array: Array
    start: int
    stop: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def size(self) -> int:
        return math.prod(self.extents)

    @property
    def is_contiguous(self) -> bool:
        """Whether its elements are adjacent in memory, in row-major order."""
        return self.extents == () or (len(self.extents) == 1 and self.strides == (1,))

    def overlaps(self, other: ArrayView) -> bool:
        """Whether the address ranges intersect."""
        return self.start < other.stop and other.start < self.stop

    def same_elements(self, other: ArrayView) -> bool:
        """Whether element i of one is element i of the other, for every i."""
        own, others = ((view.start, view.extents, view.strides, view.dtype.itemsize) for view in (self, other))
        return own == others

    def layout(self) -> np.ndarray[Any, Any]:
        """The Layout structure for a kernel, a 0-d array. Raises ValueError for more than four axes."""
        if len(self.extents) > 4:
            raise ValueError(f"A kernel reads arrays of at most four axes, not {self.array.shape}.")
        layout = np.zeros((), LAYOUT_DTYPE)
        inner = self.extents[:0:-1]
        layout["extent"][: len(inner)] = [divisor_struct(extent).item() for extent in inner]
        strides = self.strides[::-1] or (1,)
        layout["stride"][: len(strides)] = strides
        return layout


def divisor_struct(value: int) -> np.ndarray[Any, Any]:
    """The Divisor structure with which a kernel divides 0 <= n < 2^31 by `value` >= 1: n // value is
    n * magic >> 31 + shift (Granlund and Montgomery 1994)."""
    shift = (value - 1).bit_length()
    return np.array((value, (1 << 31 + shift) // value + 1, shift), DIVISOR_DTYPE)


def view_of(address: int, array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> ArrayView:
    """A view of `array` from `address` on, strides in bytes. Raises ValueError for more than MAX_ELEMENTS."""
    itemsize = np.dtype(array.dtype).itemsize
    if math.prod(shape) == 0:
        return ArrayView(array, address, address, (0,), (1,))
    axes: list[tuple[int, int]] = []
    last = 0
    for extent, stride in zip(shape, strides, strict=True):
        step = stride // itemsize
        last += (extent - 1) * step
        if extent > 1 and axes and axes[-1][1] == step * extent:
            axes[-1] = (axes[-1][0] * extent, step)
        elif extent > 1:
            axes.append((extent, step))
    if max(last + 1, math.prod(shape)) > MAX_ELEMENTS:
        raise ValueError(
            f"An array on a GPU may hold at most {MAX_ELEMENTS} values; this one has {math.prod(shape)}."
        )
    stop = address + (last + 1) * itemsize
    return ArrayView(array, address, stop, tuple(extent for extent, _ in axes), tuple(step for _, step in axes))
