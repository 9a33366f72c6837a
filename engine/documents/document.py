"""Document: the user's data, which is edited, undone and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.backends import HostArray
from engine.data import NO_CLASS, DataKind, LabelledDrawing, input_kind, kind_for
from engine.drawings import Drawing
from engine.nn import Model


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

    @property
    def kind(self) -> DataKind[Any, Any]:
        """The kind of data of the input: that of the first model."""
        return input_kind(self.models[0].network)

    @property
    def can_train(self) -> bool:
        """Whether the first model can be trained on examples that are generated, or drawn and labelled."""
        return kind_for(self.models[0].network) is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """What the user's drawings can be labelled as: the classes of their kind, and "neither" last."""
        classes = self.models[0].network.classes if self.can_train else self.kind.class_names
        return (*classes, NO_CLASS)

    @property
    def fitted_source(self) -> Drawing:
        """The input as it is encoded: fitted to the frame if the user wants that."""
        source: Drawing = self.kind.fit_to_frame(self.drawing) if self.fit_to_frame else self.drawing
        return source

    def encoded(self, model: Model) -> HostArray:
        """The input as a model reads it, (C, H, W). Raises ShapeError or ValueError for one that cannot."""
        self.kind.check_input(model.network, model.name)
        return self.kind.encode(self.fitted_source, model.network.input_shape)


def check_input(model: Model) -> None:
    """Raises ValueError, one sentence, unless the model can be part of a Document: its input can be made of one of
    its kind of data."""
    input_kind(model.network).check_input(model.network, model.name)
