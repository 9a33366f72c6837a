"""Dropout on NumPy: the coins are counted, not drawn one after the other, so that any cut of a batch gives the
same."""

from __future__ import annotations

import math

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.backends.ops import Array, Calls, HostArray

_GOLDEN = np.uint32(0x9E3779B9)


def mix(values: HostArray) -> HostArray:
    """A new array (n,) of uint32 in which every bit depends on every bit of `values`; see Operations.dropout."""
    mixed = values.copy()
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return mixed


class Dropout:
    """See Operations.dropout."""

    def __init__(self, x: Array, y: Array, rate: float, key: int, moment: Array) -> None:
        self._x, self._y, self._moment = x, y, moment
        self._key, self._least = np.uint32(key), np.uint32(math.ceil(rate * 2**32))
        self._kept = x.dtype.type(1 / (1 - rate))
        self._factor = memory.zeros(x.shape, x.dtype)
        self._places = np.arange(int(np.prod(x.shape[:-1])), dtype=np.uint32)

    def forward(self) -> Calls:
        """The calls that fill y."""
        return [run(self._toss), call(np.multiply, self._x, self._factor, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        return [] if dx is None else [call(np.multiply, dy, self._factor, out=dx)]

    def _toss(self) -> None:
        step = mix(self._key + self._moment[:1] * _GOLDEN)
        examples = mix(step + self._moment[1] + np.arange(self._x.shape[-1], dtype=np.uint32))
        coins = mix((self._places[:, None] + examples).ravel()).reshape(self._x.shape)
        np.multiply(coins >= self._least, self._kept, out=self._factor)
