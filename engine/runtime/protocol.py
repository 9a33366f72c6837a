"""Messages between the window and the engine: Request, Snapshot and the notices a Snapshot carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from engine.data import InputSample
from engine.documents import Document, OpenRequest, OpenResult
from engine.explain import Answer, Query, TemplateMatch
from engine.nn import ChannelRanges, Prediction
from engine.runtime.scheduler import AnyQuery
from engine.runtime.training_protocol import TrainingReport, TrainingRequest

ResultType = TypeVar("ResultType")


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
    queries: what the visible panels need computed beside the predictions.
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
    queries: frozenset[AnyQuery] = frozenset()
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

    generation, input, settled, requested_at: copied from the Request.
    predictions: one per model, empty if the Request failed; the first one's model has the parameters it was made
        with.
    open_result: the content of the file last requested.
    engine_seconds: time the Runner took.
    training: state of the training run, None for none.
    comparison: template matching for the first model's input, None for classes without templates.
    results: the results of the Request's queries so far; a query without one is missing.
    """

    generation: int
    input: InputSample[Any]
    predictions: tuple[Prediction, ...]
    device: DeviceReport
    notices: tuple[Notice, ...]
    open_result: OpenResult | None
    settled: bool
    requested_at: float
    engine_seconds: float
    training: TrainingReport | None = None
    comparison: TemplateMatch | None = None
    results: Mapping[AnyQuery, Any] = field(default_factory=dict)

    def result(self, query: Query[Answer] | None) -> Answer | None:
        """The result of a query so far, None if there is none yet, or for None."""
        found: Answer | None = None if query is None else self.results.get(query)
        return found

    def without_training(self) -> Snapshot:
        """The Snapshot without the training run and what it answers."""
        results = {query: result for query, result in self.results.items() if not query.of_training_run}
        return replace(self, training=None, results=results)

    def result_of_type(self, kind: type[ResultType]) -> ResultType | None:
        """The first result of this type, whatever its query."""
        return next((result for result in self.results.values() if isinstance(result, kind)), None)
