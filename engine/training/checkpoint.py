"""Checkpoint: where a training run stands, so that it can go on. Not the run, nor the file it may be kept in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.nn.layers import Values
from engine.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a run stands, as host arrays: from here it goes on to the same bytes as if it had never stopped.

    parameters: by name, what layers gathered included. memory: what the optimizer remembers: each of its vectors,
    laid out as the parameters (velocity.01-conv2d.weight), and "count" (1,). steps: made so far, from which the
    epoch, the examples, their order and the coins of dropout follow. seconds: trained so far. loss_sum: of the
    errors of this epoch's steps. judged: how many epochs were followed by reading the held-out examples; accuracy:
    on them, when they were last read. best, stale: the lowest error on them, and how many epochs ago it was
    reached. best_parameters: those it was reached with, None where the run has no patience or was not judged yet.
    """

    parameters: Values
    memory: Values
    steps: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    judged: int = 0
    accuracy: float = float("nan")
    best: float = float("inf")
    stale: int = 0
    best_parameters: Values | None = None


def fitting(checkpoint: Checkpoint, recipe: Recipe) -> Checkpoint:
    """The checkpoint as a recipe takes it up: what one optimizer remembers means nothing to another."""
    kinds = {name.partition(".")[0] for name in checkpoint.memory}
    return checkpoint if kinds == {*recipe.optimizer.vectors, "count"} else replace(checkpoint, memory={})
