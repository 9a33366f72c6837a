"""Checkpoint: the complete state of a training run between two steps, in host arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.nn.layers import Arrays
from engine.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run; a run resumed from it gives the same bytes as one that never stopped.

    parameters: by name, buffers of layers included.
    optimizer_state: its vectors, shaped as the parameters (velocity.01-conv2d.weight), and "count" (1,).
    steps: made so far; the epoch, the examples, their order and the dropout masks follow from it.
    seconds: trained so far.
    loss_sum: sum of the losses of this epoch's steps.
    evaluated_epochs: number of evaluations on the held-out examples; accuracy: of the last one.
    best_loss, epochs_since_best: the lowest loss on them, and how many epochs ago it was reached.
    best_parameters: those it was reached with, None without patience or before the first evaluation.
    """

    parameters: Arrays
    optimizer_state: Arrays
    steps: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    evaluated_epochs: int = 0
    accuracy: float = float("nan")
    best_loss: float = float("inf")
    epochs_since_best: int = 0
    best_parameters: Arrays | None = None


def adapt_checkpoint(checkpoint: Checkpoint, config: TrainingConfig) -> Checkpoint:
    """The checkpoint for a run by `config`, without the optimizer state if that belongs to another optimizer."""
    kinds = {name.partition(".")[0] for name in checkpoint.optimizer_state}
    return (
        checkpoint if kinds == {*config.optimizer.state_names, "count"} else replace(checkpoint, optimizer_state={})
    )
