"""A network with its parameters, threshold and name, and a point of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.nn.network import Network, Parameters


@dataclass(frozen=True, order=True)
class Moment:
    """A place in the history: so many steps made, on a branch."""

    branch: int
    step: int


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with its parameters: one that reads the drawing.

    name: what the window calls it. threshold: the vote below which the verdict is "unsure", None where the
    network has no such notion. origin: where it comes from, as stored with a model (command, seed, results).
    moment: the place in the history of training that its parameters are of, None if they are not of this session's
    training. Raises ShapeError or ValueError if the parameters are not the network's.
    """

    name: str
    network: Network
    parameters: Parameters
    threshold: float | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    moment: Moment | None = None

    def __post_init__(self) -> None:
        """Checks the parameters against the network."""
        self.network.check(self.parameters)
