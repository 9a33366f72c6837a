"""Checkpoint: where a training run stands, complete enough to go on from. It does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from engine.layers import Values


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a run stands, as host arrays: from here it goes on to the same bytes as if it had never stopped.

    parameters: by name; memory: what the optimizer remembers. steps: made so far, from which the epoch, the
    examples and their order follow; seconds: trained so far. best, stale: the lowest error on the held-out
    examples, and how many epochs ago it was reached.
    """

    parameters: Values
    memory: Values
    steps: int = 0
    seconds: float = 0.0
    judged: int = 0
    best: float = float("inf")
    stale: int = 0
