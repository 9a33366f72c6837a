"""Model: a network with its parameters, threshold and name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.nn.network import Network, Parameters


@dataclass(frozen=True, eq=False)
class Model:
    """A network with parameters: what classifies a drawing, and what a model file holds.

    name: shown in the window
    threshold: the vote below which the prediction is "unsure", None if the network has none
    origin: where it comes from, as saved with a model (command, seed, results)
    run_point: the point of the training history that the parameters belong to, None outside this session's training
    Raises ShapeError or ValueError unless the parameters are the network's.
    """

    name: str
    network: Network
    parameters: Parameters
    threshold: float | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    run_point: RunPoint | None = None

    def __post_init__(self) -> None:
        self.network.check_parameters(self.parameters)


@dataclass(frozen=True, order=True)
class RunPoint:
    """A point of the training history: a number of steps made on a branch."""

    branch: int
    step: int
