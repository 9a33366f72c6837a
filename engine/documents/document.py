"""Document: the user's data, which is edited, undone and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.backends import HostArray
from engine.data import NO_CLASS, DataKind, InputSample, LabelledSample, generating_kind, input_kind, kind_for
from engine.nn import Model


@dataclass(frozen=True, eq=False)
class Document:
    """The input, one or two models, and the inputs that the user labelled.

    input: of the kind of data of the first model; one of another kind with the same type of source becomes one
    fit_to_frame: whether the input is centred and scaled to the frame before a model reads it
    labelled_samples: in the order in which they were added
    class_marks: the number of the colour and shape of a class, by its name; other classes have that of their place

    Raises ValueError unless there are one or two models, and for an input that the first one's kind cannot encode.
    """

    input: InputSample[Any]
    models: tuple[Model, ...]
    fit_to_frame: bool = False
    labelled_samples: tuple[LabelledSample, ...] = ()
    class_marks: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= len(self.models) <= 2:
            raise ValueError(f"A document holds one or two networks, not {len(self.models)}.")
        object.__setattr__(self, "input", self.input.of_kind(self.kind))

    @classmethod
    def blank(cls, *models: Model) -> Document:
        """A document of these models, with a blank input."""
        return cls(_blank(models), models)

    @classmethod
    def opening(cls, model: Model) -> Document:
        """A document of this model, with what its kind of data opens on."""
        document = cls.blank(model)
        return document.with_source(document.kind.opening_source(model.network.input_shape))

    def with_input(self, sample: InputSample[Any]) -> Document:
        """Raises ValueError for a sample that the kind of the first model cannot encode."""
        return replace(self, input=sample)

    def with_source(self, source: object) -> Document:
        """The document with another source of its kind. Raises ValueError for one that is none of its kind."""
        return self.with_input(InputSample(self.kind, source))

    def with_image(self, image: HostArray) -> Document:
        """The document with an input that is encoded as this image, (C, H, W)."""
        return self.with_source(self.kind.decode(image))

    def with_models(self, models: tuple[Model, ...]) -> Document:
        """The document with other models; the input is blank if the kind of the first one cannot encode it."""
        kept = self.input.has_source_of(input_kind(models[0].network))
        return replace(self, input=self.input if kept else _blank(models), models=models)

    def with_first_model(self, model: Model) -> Document:
        """The document with another first model, without a second one that cannot read inputs of its kind."""
        kind = input_kind(model.network)
        return self.with_models((model, *(other for other in self.models[1:] if _reads(other, kind))))

    @property
    def kind(self) -> DataKind[Any, Any]:
        """The kind of data of the input: that of the first model."""
        return input_kind(self.models[0].network)

    @property
    def can_train(self) -> bool:
        """Whether the first model can be trained on examples that are generated, or labelled by the user."""
        return kind_for(self.models[0].network) is not None

    @property
    def generates_examples(self) -> bool:
        """Whether there are generated examples of the first model's classes."""
        return generating_kind(self.models[0].network) is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """What the user's inputs can be labelled as: the classes of their kind, and "neither" last."""
        classes = self.models[0].network.classes if self.can_train else self.kind.class_names
        return (*classes, NO_CLASS)

    @property
    def example_labels(self) -> tuple[str, ...]:
        """The labels of which the kind of data makes examples."""
        return tuple(label for label in self.labels if self.kind.has_example(label))

    @property
    def fitted_input(self) -> InputSample[Any]:
        """The input as it is encoded: fitted to the frame if the user wants that."""
        return self.input.fitted() if self.fit_to_frame else self.input

    def check_model(self, model: Model) -> None:
        """Raises ShapeError or ValueError, one sentence, for a model that cannot read inputs of this kind."""
        self.kind.check_input(model.network, model.name)

    def encoded(self, model: Model) -> HostArray:
        """The input as a model reads it, (C, H, W). Raises ShapeError or ValueError for one that cannot."""
        self.check_model(model)
        return self.input.array(model.network.input_shape, self.fit_to_frame)


def _reads(model: Model, kind: DataKind[Any, Any]) -> bool:
    try:
        kind.check_input(model.network, model.name)
    except ValueError:
        return False
    return True


def _blank(models: tuple[Model, ...]) -> InputSample[Any]:
    kind = input_kind(models[0].network)
    return InputSample(kind, kind.blank())


def check_input(model: Model) -> None:
    """Raises ValueError, one sentence, unless the model can be part of a Document: its input can be made of one of
    its kind of data."""
    input_kind(model.network).check_input(model.network, model.name)
