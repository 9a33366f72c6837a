"""Document: what the user has, and would want back tomorrow. Not what is looked at, nor what was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.data.labelled_drawings import OwnDrawing
from engine.drawings.drawing import Drawing
from engine.history import Moment
from engine.network import Network, Parameters


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


@dataclass(frozen=True, eq=False)
class Document:
    """The drawing, the one or two subjects that read it, and the drawings that the person kept to learn from.

    fit: whether the drawing is centred and sized to the frame before a subject reads it. own: in the order in which
    they were kept.
    Raises ValueError unless there are one or two subjects.
    """

    drawing: Drawing
    subjects: tuple[Subject, ...]
    fit: bool = False
    own: tuple[OwnDrawing, ...] = ()

    def __post_init__(self) -> None:
        """Checks the number of subjects."""
        if not 1 <= len(self.subjects) <= 2:
            raise ValueError(f"A document holds one or two networks, not {len(self.subjects)}.")

    def with_drawing(self, drawing: Drawing) -> Document:
        """The same document with another drawing."""
        return replace(self, drawing=drawing)
