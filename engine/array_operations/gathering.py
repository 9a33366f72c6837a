"""Gathering: values picked by their places in one call, where there are few of them. No arithmetic.

A copy of a strided view costs NumPy the setting up of a loop over all its axes, which for a small map takes longer
than the copying; picking values from a list of places does not.
"""

from __future__ import annotations

import numpy as np

from engine.array_operations.calls import run
from engine.backends.ops import Array, Call

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
