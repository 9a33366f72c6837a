"""Recipe: everything a training run is told before it starts. Not the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.datasets.xo_settings import XOSettings
from engine.optimizers import Adam, Optimizer


@dataclass(frozen=True)
class Recipe:
    """How a network learns from generated drawings.

    optimizer, and final_rate: the share of its rate left at the end, approached along half a cosine (1: constant).
    batch: examples a step. epochs, each of `examples` fresh drawings made as `data` says; held_out: how many
    further ones the network is judged on. seed: of the first weights, the drawings and their order.
    Raises ValueError for numbers that mean nothing.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    final_rate: float = 1.0
    batch: int = 64
    epochs: int = 10
    examples: int = 20_000
    held_out: int = 10_000
    data: XOSettings = field(default_factory=XOSettings)
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name in ("batch", "epochs", "examples", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"A run needs {name} of at least 1, not {getattr(self, name)}.")
        if not 0 <= self.final_rate <= 1:
            raise ValueError(f"A run's final_rate must be between 0 and 1, not {self.final_rate!r}.")
        if self.seed < 0:
            raise ValueError(f"A seed is a whole number from 0 up, not {self.seed}.")
