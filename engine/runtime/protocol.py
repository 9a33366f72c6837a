"""Messages between the window and the engine: Request, Snapshot and the notices a Snapshot carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.data import DataSettings, GeneratorSamples, PoolSettings
from engine.documents import Document, OpenRequest, OpenResult
from engine.drawings import Drawing
from engine.explain import Query, Result, RobustnessResult, TemplateMatch
from engine.nn import ChannelRanges, Prediction
from engine.runtime.jobs import DrawingPrediction
from engine.runtime.training_protocol import TrainingReport, TrainingRequest
from engine.training import HeldOutEvaluation


@dataclass(frozen=True, eq=False)
class Request:
    """The complete state the window asks for, so that a dropped Request loses nothing.

    generation: rises when a model's parameters or architecture are replaced.
    settled: no stroke is under way.
    acknowledged: number of the last notice the window has shown.
    open_request: the file to open, the latest one only.
    requested_at: perf_counter() of the causing event in seconds, returned in the Snapshot to measure latency.
    training: the training to run, None for none.
    live: the first model predicts with the parameters of the training run (at `training.shown_point`).
    robustness: the robustness curves are visible.
    sample_settings: generator settings of the visible sample drawings, None if hidden.
    query: the visible explanation, None for none.
    drawing_predictions: the predictions for the user's own drawings are visible.
    held_out: data whose held-out examples an untrained network is evaluated on, None if hidden.
    visible_channels: per model, the feature maps to return; input and scores always are. Without an entry, or with
        None, all activations of a model are returned.
    """

    generation: int
    document: Document
    settled: bool = True
    acknowledged: int = 0
    open_request: OpenRequest | None = None
    requested_at: float = 0.0
    training: TrainingRequest | None = None
    live: bool = False
    robustness: bool = False
    sample_settings: DataSettings | None = None
    query: Query | None = None
    drawing_predictions: bool = False
    held_out: PoolSettings | None = None
    visible_channels: tuple[ChannelRanges | None, ...] = ()

    def visible_channels_of(self, index: int) -> ChannelRanges | None:
        """The feature maps to return for the model at `index`; None for all."""
        return self.visible_channels[index] if index < len(self.visible_channels) else None


@dataclass(frozen=True)
class Notice:
    """One sentence for the user, numbered from 1, repeated in every Snapshot until it is acknowledged."""

    number: int
    text: str


@dataclass(frozen=True)
class DeviceReport:
    """The compute device and the reason for it, such as "CPU" and "no CUDA driver"."""

    title: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The complete result of one Request, in read-only host arrays.

    generation, drawing, settled, requested_at: copied from the Request.
    predictions: one per model, empty if the Request failed; the first one's model has the parameters it was made
        with.
    open_result: the content of the file last requested.
    engine_seconds: time the Runner took.
    training: state of the training run, None for none.
    comparison: template matching for the first model's input, None for classes without templates.
    robustness: robustness of the first model so far, None if hidden.
    samples: sample drawings of the requested settings, None if hidden.
    result: result of the query so far, None before the first.
    drawing_predictions: the first model's predictions for the user's own drawings so far.
    held_out: evaluation of the first model, where its parameters are not those of the training run.
    """

    generation: int
    drawing: Drawing
    predictions: tuple[Prediction, ...]
    device: DeviceReport
    notices: tuple[Notice, ...]
    open_result: OpenResult | None
    settled: bool
    requested_at: float
    engine_seconds: float
    training: TrainingReport | None = None
    comparison: TemplateMatch | None = None
    robustness: RobustnessResult | None = None
    samples: GeneratorSamples | None = None
    result: Result | None = None
    drawing_predictions: Mapping[Drawing, DrawingPrediction] = field(default_factory=dict)
    held_out: HeldOutEvaluation | None = None
