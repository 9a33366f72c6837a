"""Document: the user's data, which is edited, undone and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.data.labelled_drawings import OwnDrawing
from engine.drawings.drawing import Drawing
from engine.nn.model import Subject


@dataclass(frozen=True, eq=False)
class Document:
    """The input drawing, one or two models, and the user's labelled drawings.

    fit_to_frame: whether the drawing is centred and scaled to the frame before a model reads it
    labelled_drawings: in the order in which they were added

    Raises ValueError unless there are one or two models.
    """

    drawing: Drawing
    subjects: tuple[Subject, ...]
    fit: bool = False
    own: tuple[OwnDrawing, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.subjects) <= 2:
            raise ValueError(f"A document holds one or two networks, not {len(self.subjects)}.")

    def with_drawing(self, drawing: Drawing) -> Document:
        return replace(self, drawing=drawing)
