"""Document: the user's data, which is edited, undone and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.data import LabelledDrawing
from engine.data.xo import MAX_SIDE, MIN_SIDE
from engine.drawings import Drawing
from engine.nn import Model, input_side


@dataclass(frozen=True, eq=False)
class Document:
    """The input drawing, one or two models, and the user's labelled drawings.

    fit_to_frame: whether the drawing is centred and scaled to the frame before a model reads it
    labelled_drawings: in the order in which they were added

    Raises ValueError unless there are one or two models.
    """

    drawing: Drawing
    models: tuple[Model, ...]
    fit_to_frame: bool = False
    labelled_drawings: tuple[LabelledDrawing, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.models) <= 2:
            raise ValueError(f"A document holds one or two networks, not {len(self.models)}.")

    def with_drawing(self, drawing: Drawing) -> Document:
        return replace(self, drawing=drawing)


def check_reads_drawings(model: Model) -> None:
    """Raises ValueError, one sentence, unless the model can be part of a Document: its input is one square map of a
    side that drawings and generated examples can have."""
    side = input_side(model)
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise ValueError(
            f"{model.name} reads {side:,} × {side:,} pixels, but a drawing is read at {MIN_SIDE} × {MIN_SIDE} to "
            f"{MAX_SIDE:,} × {MAX_SIDE:,}; choose a network with such an input."
        )
