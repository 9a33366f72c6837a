"""Model: a network with its parameters, threshold and name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.backends import HostArray
from engine.nn.network import Network, Parameters


@dataclass(frozen=True, eq=False)
class Model:
    """A network with parameters: what classifies a drawing, and what a model file holds.

    name: shown in the window
    threshold: the vote below which the prediction is "unsure", None if the network has none
    origin: where it comes from, as saved with a model (command, seed, results)
    run_point: the point of the training history that the parameters belong to, None outside this session's training
    fresh_classes: classes whose outputs have initial weights since the classes were edited, None if they were not
        edited after training
    ablated_kernels: what the kernels held that were ablated, by layer, counted from 1, and channel; not saved
    Raises ShapeError or ValueError unless the parameters are the network's.
    """

    name: str
    network: Network
    parameters: Parameters
    threshold: float | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    run_point: RunPoint | None = None
    fresh_classes: tuple[str, ...] | None = None
    ablated_kernels: Mapping[tuple[int, int], Kernel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.check_parameters(self.parameters)


@dataclass(frozen=True, eq=False)
class Kernel:
    """The parameters of one kernel: its weights, a slice per input channel, and its bias, None without biases."""

    weights: HostArray
    bias: float | None


@dataclass(frozen=True, order=True)
class RunPoint:
    """A point of the training history: a number of steps made on a branch."""

    branch: int
    step: int
