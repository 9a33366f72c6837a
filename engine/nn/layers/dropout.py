"""Dropout: while learning, switches off a random part of the values, so that none becomes indispensable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Calls, HostArray, Operations
from engine.nn.layers.layer import Layer, Stage, Values, need_number
from engine.nn.layers.value_formulas import Passed, Place, flat_place


@dataclass(frozen=True)
class Dropout(Layer):
    """While learning y = x / (1 - rate) with probability 1 - rate, else 0, and dx = dy likewise, by the same coins;
    otherwise y = x (Srivastava et al. 2014). The coins follow from seed, step, example and place alone."""

    kind: ClassVar[str] = "dropout"
    pointwise: ClassVar[bool] = True
    relays: ClassVar[bool] = True
    rate: float = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError for a rate outside 0 to 0.999, at which one value in a thousand is left."""
        need_number(self, "rate", 0, 0.999)

    @property
    def draws(self) -> bool:
        """Yes: which values are left."""
        return True

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Passed:
        """The value as it is: nothing is switched off while reading."""
        return Passed(flat_place(place, x.shape), float(x[place]), self.rate)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The values that are left."""
        if not stage.training:
            return ops.copy(stage.x.values, stage.y)
        stage.work = ops.dropout(stage.x.values, stage.y, self.rate, stage.key, stage.moment)
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient of the values that are left."""
        if stage.dx is None:
            return []
        if not stage.training:
            return ops.copy(stage.dy, stage.dx)
        calls: Calls = stage.work.backward(stage.dy, stage.dx)
        return calls
