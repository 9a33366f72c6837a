"""Prepared calls of NumPy functions, and arrays aligned to cache lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.backends.ops import Array, Call


def call(function: Callable[..., object], *arguments: object, out: Array) -> Call:
    """A prepared call of a ufunc that writes to `out`."""
    if function in (np.maximum, np.minimum):  # these take `out` by keyword only
        return function, arguments, {"out": out}
    return function, (*arguments, out), {}  # by position: a keyword costs a tenth of a small call


def plain_call(function: Callable[..., object], *arguments: object, **keywords: object) -> Call:
    """A prepared call of any function."""
    return function, arguments, keywords


_LINE = 64  # bytes of a cache line


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """A new C-contiguous array of zeros, aligned to a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_full(shape: tuple[int, ...], value: float, dtype: Any) -> Array:
    """A new C-contiguous array filled with `value`, aligned to a cache line."""
    array = aligned_zeros(shape, dtype)
    array.fill(value)
    return array
