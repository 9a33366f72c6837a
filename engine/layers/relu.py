"""ReLU: keeps what is positive and turns everything negative into 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Activation as Function
from engine.layers.activation import Activation


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0), value by value; the gradient passes where y > 0 and is 0 elsewhere, at 0 too."""

    kind: ClassVar[str] = "relu"
    function: ClassVar[Function] = "relu"
    commutes_with_max: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def signed(self, below: bool) -> bool:
        """Never."""
        return False
