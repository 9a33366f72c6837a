"""Document: what the user has, and would want back tomorrow. Not what is looked at, nor what was computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.data.labelled_drawings import OwnDrawing
from engine.drawings.drawing import Drawing
from engine.nn.model import Subject


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
