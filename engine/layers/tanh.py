"""Tanh: bends every value softly into the range from -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Activation as Function
from engine.layers.activation import Activation


@dataclass(frozen=True)
class Tanh(Activation):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), value by value; dx = dy * (1 - y^2)."""

    kind: ClassVar[str] = "tanh"
    function: ClassVar[Function] = "tanh"

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True
