"""Checkpoint: the complete state of a training run between two steps, in host arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.nn import Network
from engine.nn.layers import Arrays
from engine.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run; a run resumed from it gives the same bytes as one that never stopped.

    parameters: by name, buffers of layers included.
    optimizer_state: its vectors, shaped as the parameters (velocity.conv2d-1.weight), and "count" (1,).
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


def carry_checkpoint(checkpoint: Checkpoint, network: Network, seed: int) -> Checkpoint:
    """The checkpoint of a network's training, for the network after an edit: each layer that is still there, and
    whose parameters still fit, keeps them and their optimizer state; the others start with initial parameters.

    The best parameters and their loss, which belong to the network before, are dropped.
    """
    parameters = network.carry_parameters(checkpoint.parameters, seed)
    old = checkpoint.optimizer_state
    state = {"count": old["count"]} if old else {}
    for vector in {name.partition(".")[0] for name in old} - {"count"}:
        for name, shape in network.learnable_shapes.items():
            kept = parameters[name] is checkpoint.parameters.get(name)
            state[f"{vector}.{name}"] = old[f"{vector}.{name}"] if kept else np.zeros(shape, np.float32)
    return replace(
        checkpoint,
        parameters=parameters,
        optimizer_state=state,
        best_loss=float("inf"),
        epochs_since_best=0,
        best_parameters=None,
    )
