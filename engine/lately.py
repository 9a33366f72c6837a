"""Lately: the last step's gradients, copied only now and then. It makes no step."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from engine.nn.layers import Values
from engine.training import Trainer

EVERY: Final = 0.25  # seconds between copies


class Lately:
    """Those copied last; none before the first."""

    def __init__(self) -> None:
        self._gradients: Values = {}
        self._at = 0.0

    def gradients(self, trainer: Trainer | None) -> Values:
        """Of the trainer's last step, or of one some moments ago, by name."""
        now = perf_counter()
        if trainer is not None and now - self._at > EVERY:
            self._gradients, self._at = trainer.gradients(), now
        return self._gradients
