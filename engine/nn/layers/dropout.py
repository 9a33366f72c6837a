"""Dropout: in training mode, zeroes a random part of the values, so that none becomes indispensable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from engine.backends import Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, require_number
from engine.nn.layers.value_formulas import CellIndex, Identity, flat_index


@dataclass(frozen=True)
class Dropout(Layer):
    """In training mode y = x / (1 - rate) with probability 1 - rate, else 0, and dx = dy likewise with the same
    mask; at inference y = x (Srivastava et al. 2014). The mask depends on seed, step, example and index alone."""

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError for a rate outside 0 to 0.999, at which one value in a thousand is kept."""
        require_number(self, "rate", 0, 0.999)

    @cached_property
    def traits(self) -> Traits:
        return Traits(is_elementwise=True, is_identity=True, is_stochastic=True)

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Dropout",
            Phrase("only in training"),
            "dropout. Some values, chosen at random, are switched off for this step.",
            "values that were switched off get no gradient.",
        )

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> Identity:
        return Identity(flat_index(index, x.shape), float(x[index]), self.rate)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if not arrays.training:
            return ops.copy(arrays.x.values, arrays.y)
        arrays.context = ops.dropout(arrays.x.values, arrays.y, self.rate, arrays.rng_key, arrays.rng_counter)
        calls: Calls = arrays.context.forward()
        return calls

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        if arrays.dx is None:
            return []
        if not arrays.training:
            return ops.copy(arrays.dy, arrays.dx)
        calls: Calls = arrays.context.backward(arrays.dy, arrays.dx)
        return calls
