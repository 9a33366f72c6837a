"""Sigmoid: bends every value softly into the range from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Activation as Function
from engine.layers.activation import Activation


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)), value by value; dx = dy * y * (1 - y)."""

    kind: ClassVar[str] = "sigmoid"
    function: ClassVar[Function] = "sigmoid"

    @property
    def rescales(self) -> bool:
        """Yes."""
        return True

    def signed(self, below: bool) -> bool:
        """Never."""
        return False
