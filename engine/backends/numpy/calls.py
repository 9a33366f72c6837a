"""How NumPy's functions become prepared calls. Not an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.backends.ops import Array, Call


def call(function: Callable[..., object], *arguments: object, out: Array) -> Call:
    """One prepared call of a universal function, whose result goes to `out`."""
    if function in (np.maximum, np.minimum):  # NumPy wants the keyword there
        return function, arguments, {"out": out}
    return function, (*arguments, out), {}  # by position: a keyword costs a tenth of a small call


def run(function: Callable[..., object], *arguments: object, **keywords: object) -> Call:
    """One prepared call that says itself where its result goes."""
    return function, arguments, keywords


_LINE = 64


def zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    """A new array of zeros, C-contiguous."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def full(shape: tuple[int, ...], value: float, dtype: Any) -> Array:
    """A new array that holds `value` everywhere, C-contiguous."""
    array = zeros(shape, dtype)
    array.fill(value)
    return array
