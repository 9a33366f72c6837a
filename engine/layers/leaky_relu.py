"""LeakyReLU: keeps what is positive and lets a little of everything negative through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.backends.ops import Activation as Function
from engine.layers.activation import Activation
from engine.layers.hyperparameters import need_number


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x where x > 0, else slope * x; the gradient is multiplied by 1 or by slope in the same way, at 0 by slope
    (Maas et al. 2013)."""

    kind: ClassVar[str] = "leakyrelu"
    function: ClassVar[Function] = "leaky_relu"
    commutes_with_max: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        """Raises ValueError for a slope that is not above 0 and at most 1."""
        need_number(self, "slope", 0, 1, beyond_least=True)

    @property
    def leak(self) -> float:
        """The slope."""
        return self.slope
