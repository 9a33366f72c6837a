"""What jobs are computed from."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.backends import Backend
from engine.documents import Document
from engine.explain import AvailableExamples, Explainer, StepTracer
from engine.nn import Model, Prediction
from engine.runtime.training_protocol import TrainingReport
from engine.runtime.training_run import TrainingRun


@dataclass(frozen=True, eq=False)
class JobContext:
    """What jobs are computed from: the state of one Request and what was made of it.

    predictions: one per model, none if they failed; the first one's model may have the parameters of the point of
        the training that `training` shows.
    training: None if the first model has its own parameters.
    available: examples of the training run, whether or not its parameters are shown.
    explainers, tracers: explainers and step tracers that no job uses.
    run: the training run, whether or not its parameters are shown; None if none is requested.
    """

    document: Document
    predictions: tuple[Prediction, ...]
    training: TrainingReport | None
    backend: Backend
    available: AvailableExamples | None = None
    explainers: list[Explainer] = field(default_factory=list)
    tracers: list[StepTracer] = field(default_factory=list)
    run: TrainingRun | None = None

    @property
    def model(self) -> Model:
        """The first model, with the parameters shown."""
        return self.predictions[0].model

    @property
    def is_changing(self) -> bool:
        """Whether the parameters of the first model change continuously, by training or a drag of the timeline."""
        return self.training is not None and self.training.is_changing

    def source(self, model_index: int = 0) -> object:
        """What identifies a model's parameters: the point of the training, or the model."""
        if model_index == 0 and self.training is not None:
            return self.training.run_id, self.training.shown_point
        return self.predictions[model_index].model
