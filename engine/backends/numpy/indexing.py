"""Views and indices of windows of feature maps, take and scatter-add."""

from __future__ import annotations

import numpy as np

from engine.backends.numpy.calls import call, plain_call
from engine.backends.ops import Array, Call, Calls

AxisSlices = tuple[slice, ...]

# Bytes of maps processed at a time where several passes go over them.
BLOCK_BYTES = 131_072


def window_views(x: Array, count: int, axis: int, size: int, stride: int) -> list[tuple[Array, AxisSlices]]:
    """For each position in a window of `size` along `axis`: the values of x, and the slice of the `count` windows
    that have one.

    Windows that extend past the end of the axis have no values there.
    """
    views = []
    leading = (slice(None),) * axis
    for position in range(size):
        windows = min(count, -(-(x.shape[axis] - position) // stride))
        if windows > 0:
            values = slice(position, position + (windows - 1) * stride + 1, stride)
            views.append((x[(*leading, values)], (*leading, slice(windows))))
    return views


def valid_windows(
    position: int, padding: int, stride: int, windows: int, length: int
) -> tuple[slice, slice] | None:
    """The windows that have a pixel at `position`, and those pixels, as slices; None if there are none.

    Window w starts `padding` before pixel w * stride; the axis has `length` pixels.
    """
    first = max(0, -((position - padding) // stride))
    last = min(windows - 1, (length - 1 + padding - position) // stride)
    if last < first:
        return None
    return slice(first, last + 1), slice(
        first * stride + position - padding, last * stride + position - padding + 1, stride
    )


def cache_blocks(maps: Array, axis: int) -> list[AxisSlices]:
    """Slices that split maps (C, H, W, N) into blocks of about BLOCK_BYTES, complete along `axis` (1 or 2)."""
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


# Measured: for longer rows a strided copy is faster than take, whatever the number of elements.
MAX_TAKE_ROW = 12
MAX_TAKE_SIZE = 5_000


def is_take_faster(x: Array, row: int, count: int) -> bool:
    """Whether take is faster than a strided copy, for `count` elements of `x` in contiguous runs of `row`."""
    return row <= MAX_TAKE_ROW and count <= MAX_TAKE_SIZE and bool(x.flags.c_contiguous)


def flat_indices(x: Array) -> Array:
    """The flat index of every element of the contiguous `x`: int64 of its shape."""
    return np.arange(x.size).reshape(x.shape)


def take(x: Array, indices: Array, out: Array) -> Call:
    """out = x.flat[indices], for a contiguous `x` and indices of out's shape. Not bounds-checked, which makes it
    fast."""
    return plain_call(x.reshape(-1).take, np.ascontiguousarray(indices), None, out, "clip")


def scatter_add(dwindows: Array, dx: Array, stride: int, padding: int) -> Calls:
    """dx (C, H, W, N) = for every pixel the sum of the gradients of all windows that contain it (col2im).

    dwindows: (size, size, C, H', W', N), the gradients by row and column within a window. The first window starts
    `padding` outside of dx.
    """
    size, _, _, height, width, _ = dwindows.shape
    calls = [plain_call(dx.fill, 0)]
    for row in range(size):
        for column in range(size):
            down = valid_windows(row, padding, stride, height, dx.shape[1])
            along = valid_windows(column, padding, stride, width, dx.shape[2])
            if down is not None and along is not None:
                pixels = dx[:, down[1], along[1]]
                calls.append(call(np.add, pixels, dwindows[row, column, :, down[0], along[0]], out=pixels))
    return calls
