"""Windows along one axis of maps: which values a pool's window has at each place in it. No arithmetic."""

from __future__ import annotations

import numpy as np

from engine.backends.numpy.calls import call, run
from engine.backends.ops import Array, Call, Calls

Part = tuple[slice, ...]

# Bytes of maps that are worked on at once, where several passes go over them.
BLOCK_BYTES = 131_072


def taps(x: Array, count: int, axis: int, size: int, stride: int) -> list[tuple[Array, Part]]:
    """For each place in a window of `size`: the values of x there, and the part of the `count` windows that have
    it.

    Windows that hang over the end of the axis lack the places beyond it.
    """
    found = []
    ahead = (slice(None),) * axis
    for tap in range(size):
        having = min(count, -(-(x.shape[axis] - tap) // stride))
        if having > 0:
            seen = slice(tap, tap + (having - 1) * stride + 1, stride)
            found.append((x[(*ahead, seen)], (*ahead, slice(having))))
    return found


def overlap(tap: int, margin: int, stride: int, windows: int, length: int) -> tuple[slice, slice] | None:
    """Which of `windows` have a pixel at their place `tap`, and those pixels of `length`; None if there are none.

    Window w begins `margin` before pixel w * stride.
    """
    first = max(0, -((tap - margin) // stride))
    last = min(windows - 1, (length - 1 + margin - tap) // stride)
    if last < first:
        return None
    return slice(first, last + 1), slice(first * stride + tap - margin, last * stride + tap - margin + 1, stride)


def blocks_along(maps: Array, axis: int) -> list[Part]:
    """Parts of maps (C, H, W, N), about BLOCK_BYTES large, that are whole along `axis`, which is 1 or 2."""
    other = 3 - axis
    channel = maps[0].nbytes
    channels = max(1, BLOCK_BYTES // max(1, channel))
    lines = max(1, BLOCK_BYTES * maps.shape[other] // max(1, channel))
    whole = (slice(None),) * (other - 1)
    return [
        (slice(first, first + channels), *whole, slice(start, start + lines))
        for first in range(0, len(maps), channels)
        for start in range(0, maps.shape[other], lines)
    ]


# Measured: with longer rows a strided copy moves them faster than they are picked, however few they are.
SHORT_ROW = 12
MOST = 5_000


def gathers(x: Array, row: int, count: int) -> bool:
    """Whether `count` values of `x`, of which `row` lie in a row, are picked faster than copied."""
    return row <= SHORT_ROW and count <= MOST and bool(x.flags.c_contiguous)


def places(x: Array) -> Array:
    """Of every value of `x` (without gaps), where it lies: int64 of its shape."""
    return np.arange(x.size).reshape(x.shape)


def gather(x: Array, places: Array, out: Array) -> Call:
    """out = the values of `x` (without gaps) that lie at `places`, of out's shape. Places beyond it are not looked
    for: that is what makes it quick."""
    return run(x.reshape(-1).take, np.ascontiguousarray(places), None, out, "clip")


def scatter(taps: Array, dx: Array, stride: int, margin: int) -> Calls:
    """dx (C, H, W, N) = for every pixel the sum over all windows and places in them that read it.

    taps: (size, size, C, H', W', N), for each place in a window, row and column, the gradient of what every window
    reads there. The first window begins `margin` outside of dx.
    """
    size, _, _, height, width, _ = taps.shape
    calls = [run(dx.fill, 0)]
    for row in range(size):
        for column in range(size):
            down = overlap(row, margin, stride, height, dx.shape[1])
            along = overlap(column, margin, stride, width, dx.shape[2])
            if down is not None and along is not None:
                seen = dx[:, down[1], along[1]]
                calls.append(call(np.add, seen, taps[row, column, :, down[0], along[0]], out=seen))
    return calls
