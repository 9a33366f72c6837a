"""Dropout: in training mode, zeroes a random part of the values, so that none becomes indispensable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Calls, HostArray, Operations
from engine.nn.layers.layer import Layer, Stage, Values, need_number
from engine.nn.layers.value_formulas import Passed, Place, flat_place


@dataclass(frozen=True)
class Dropout(Layer):
    """In training mode y = x / (1 - rate) with probability 1 - rate, else 0, and dx = dy likewise with the same
    mask; at inference y = x (Srivastava et al. 2014). The mask depends on seed, step, example and index alone."""

    kind: ClassVar[str] = "dropout"
    pointwise: ClassVar[bool] = True
    relays: ClassVar[bool] = True
    rate: float = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError for a rate outside 0 to 0.999, at which one value in a thousand is kept."""
        need_number(self, "rate", 0, 0.999)

    @property
    def draws(self) -> bool:
        return True

    def arithmetic(self, x: HostArray, index: Place, y: float, values: Values) -> Passed:
        return Passed(flat_place(index, x.shape), float(x[index]), self.rate)

    def forward(self, ops: Operations, arrays: Stage) -> Calls:
        if not arrays.training:
            return ops.copy(arrays.x.values, arrays.y)
        arrays.work = ops.dropout(arrays.x.values, arrays.y, self.rate, arrays.key, arrays.moment)
        calls: Calls = arrays.work.forward()
        return calls

    def backward(self, ops: Operations, arrays: Stage) -> Calls:
        if arrays.dx is None:
            return []
        if not arrays.training:
            return ops.copy(arrays.dy, arrays.dx)
        calls: Calls = arrays.work.backward(arrays.dy, arrays.dx)
        return calls
