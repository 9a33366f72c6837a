"""Windows along one axis of maps: which values a pool's window has at each place in it. No arithmetic."""

from __future__ import annotations

from engine.operations import Array

Part = tuple[slice, ...]


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
