"""Jobs: what the queries of the panels compute. JOBS names for each kind of query its job and its policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from engine.backends import HostArray
from engine.data import (
    CHUNK_SIZE,
    HELD_OUT_STREAM,
    Dataset,
    DataSettings,
    GeneratorSamples,
    InputSample,
    PoolSettings,
    generate_chunk,
    generate_samples,
    input_kind,
    kind_of,
)
from engine.explain import (
    COARSE_ROUNDS,
    INPUT_INDEPENDENT_KINDS,
    ROUNDS,
    SLOW_KINDS,
    Explainer,
    Explanation,
    ExplanationQuery,
    Query,
    RobustnessResult,
    RobustnessTest,
    StepQuery,
    same_weights,
    supports,
)
from engine.nn import BatchPredictor, RunPoint, compute_votes, predict_class
from engine.runtime.job_context import JobContext
from engine.runtime.scheduler import AnyQuery, Job, Policy
from engine.runtime.training_jobs import (
    DeadFeaturesQuery,
    LayerStatisticsQuery,
    ReplayQuery,
    RunEvaluationQuery,
    TrainingQuery,
    replay_job,
    run_evaluation_job,
    statistics_job,
    step_trace_job,
    training_job,
)
from engine.training import SLICE_SECONDS, Evaluator, HeldOutEvaluation, inference_batch_size

MAX_BATCH: Final = 16  # drawings predicted together
# Multiplies of a network up to which an explanation counts as quick before its time has been measured.
QUICK_MULTIPLIES: Final = 5_000_000


# -- predictions for the user's own drawings


@dataclass(frozen=True)
class LabelledPrediction:
    """The predicted class of a labelled sample, or "unsure", and the largest vote.

    point: the point of the run whose weights predicted it; None for a model that is of no run.
    """

    predicted_class: str
    vote: float
    point: RunPoint | None = field(default=None, compare=False)


@dataclass(frozen=True)
class LabelledPredictionsQuery(Query[Mapping[InputSample[Any], LabelledPrediction]]):
    """The first model's predictions for the user's labelled samples; each keeps its last one until there is a
    newer. Those that the kind of data of the model cannot encode have none."""


class LabelledPredictionsJob(Job):
    """Predicts samples in batches; keeps the predictor and the encoded images of the job before."""

    def __init__(self, _: LabelledPredictionsQuery, context: JobContext) -> None:
        self.source = context.source()
        self._model, self._backend = context.model, context.backend
        self._point = None if context.training is None else context.training.shown_point
        self._kind = input_kind(self._model.network)
        samples = dict.fromkeys(each.sample for each in context.document.labelled_samples)
        self._samples = [sample for sample in samples if sample.has_source_of(self._kind)]
        self._predictor: BatchPredictor | None = None
        self._images: dict[InputSample[Any], HostArray] = {}
        self._known: Mapping[InputSample[Any], LabelledPrediction] = {}
        self._pending = self._samples

    def has_same_inputs(self, previous: LabelledPredictionsJob) -> bool:
        return self._model.network == previous._model.network and self._samples == previous._samples

    def may_show(self, previous: LabelledPredictionsJob) -> bool:
        return self._model.network == previous._model.network

    def adopt(self, previous: LabelledPredictionsJob) -> None:
        if self._model.network != previous._model.network:
            return
        self._predictor = previous._predictor
        self._images = {one: previous._images[one] for one in self._samples if one in previous._images}
        self._known = {one: previous._known[one] for one in self._samples if one in previous._known}
        if self.source == previous.source:
            done = self._known.keys() - set(previous._pending)
            self._pending = [one for one in self._samples if one not in done]

    def run(self) -> Iterator[Mapping[InputSample[Any], LabelledPrediction] | None]:
        yield MappingProxyType(dict(self._known))
        network = self._model.network
        batch = max(1, inference_batch_size(network, MAX_BATCH))
        if self._predictor is None:
            self._predictor = BatchPredictor(network, self._backend, batch)
        self._predictor.load(self._model.parameters)
        while self._pending:
            samples = self._pending[:batch]
            self._known = {**self._known, **self._predict(samples, self._predictor)}
            self._pending = self._pending[len(samples) :]
            yield MappingProxyType(dict(self._known))

    def _predict(
        self, samples: list[InputSample[Any]], predictor: BatchPredictor
    ) -> dict[InputSample[Any], LabelledPrediction]:
        network = self._model.network
        for sample in samples:
            if sample not in self._images:
                self._images[sample] = sample.of_kind(self._kind).array(network.input_shape)
        images = [self._images[sample] for sample in samples]
        votes = compute_votes(network, predictor.scores(np.stack(images)))
        classes = [
            predict_class(self._model, vote, self._kind.is_blank(image))
            for vote, image in zip(votes, images, strict=True)
        ]
        return {
            sample: LabelledPrediction(predicted, float(vote.max()), self._point)
            for sample, predicted, vote in zip(samples, classes, votes, strict=True)
        }


# -- robustness


@dataclass(frozen=True)
class RobustnessQuery(Query[RobustnessResult]):
    """The robustness of the first model, with the parameters shown."""


class RobustnessJob(Job):
    """The robustness test, whose last result stays until the first round of the next one is done."""

    def __init__(self, _: RobustnessQuery, context: JobContext) -> None:
        self.source, self._coarse = context.source(), context.is_changing
        self._model, self._backend = context.model, context.backend
        self._point = None if context.training is None else context.training.shown_point
        self._test: RobustnessTest | None = None
        self._waits_for_round = False

    def has_same_inputs(self, previous: RobustnessJob) -> bool:
        return self._model.network == previous._model.network and self._coarse == previous._coarse

    def may_show(self, previous: RobustnessJob) -> bool:
        return self._model.network == previous._model.network

    def adopt(self, previous: RobustnessJob) -> None:
        if self.source == previous.source:
            self._test = previous._test
        was_seen = previous._test is not None or previous._waits_for_round
        self._waits_for_round = self.may_show(previous) and was_seen

    def run(self) -> Iterator[RobustnessResult | None]:
        model = self._model
        if self._test is None:
            self._test = RobustnessTest(model.network, model.parameters, self._backend, self.source, self._point)
        if not self._waits_for_round:
            yield self._test.result()
        rounds = COARSE_ROUNDS if self._coarse else ROUNDS
        while self._test.rounds_done < rounds:
            self._test.advance()
            yield self._test.result() if self._test.rounds_done or not self._waits_for_round else None


# -- held-out examples


@dataclass(frozen=True)
class HeldOutQuery(Query[HeldOutEvaluation]):
    """The evaluation of the first model's own parameters on the held-out examples of these settings; those of a
    training run are asked for by a RunEvaluationQuery."""

    settings: PoolSettings


class HeldOutJob(Job):
    """Evaluates a model on held-out examples, which the job before may have generated."""

    def __init__(self, query: HeldOutQuery, context: JobContext) -> None:
        self.source, self._model, self._backend = context.source(), context.model, context.backend
        self._settings = query.settings
        self._examples: Dataset | None = None

    def has_same_inputs(self, previous: HeldOutJob) -> bool:
        return self._model.network == previous._model.network

    def adopt(self, previous: HeldOutJob) -> None:
        self._examples = previous._examples

    def run(self) -> Iterator[HeldOutEvaluation | None]:
        if self._examples is None:
            chunks = []
            for number in range(-(-self._settings.held_out // CHUNK_SIZE)):
                chunks.append(generate_chunk(self._settings, HELD_OUT_STREAM, number))
                yield None
            images = np.concatenate([chunk.images for chunk in chunks])
            labels = np.concatenate([chunk.labels for chunk in chunks])
            self._examples = Dataset(images, labels, chunks[0].classes)
        examples, model = self._examples, self._model
        evaluator = Evaluator(model.network, self._backend, examples)
        for evaluation in evaluator.iter_slices(model.parameters, SLICE_SECONDS):
            yield None if evaluation is None else HeldOutEvaluation(examples, evaluation)


# -- samples of the generator


@dataclass(frozen=True)
class SamplesQuery(Query[GeneratorSamples]):
    """Sample drawings of these settings."""

    settings: DataSettings


class SamplesJob(Job):
    """Generates the samples."""

    def __init__(self, query: SamplesQuery, _: JobContext) -> None:
        self._settings = query.settings

    def has_same_inputs(self, previous: SamplesJob) -> bool:
        return True

    def run(self) -> Iterator[GeneratorSamples]:
        yield generate_samples(self._settings)


# -- explanations


class ExplanationJob(Job):
    """Explains a value, a class or a feature. A profile that is complete stays until that of later weights is."""

    def __init__(self, query: ExplanationQuery, context: JobContext) -> None:
        self._query, self._prediction = query, context.predictions[query.model]
        self.source = context.source(query.model)
        self._fitted = context.document.fit_to_frame if query.kind == "flip" else False
        self._coarse = context.is_changing if query.kind == "likes" else False
        self._available, self._idle = context.available, context.explainers
        self._explainer: Explainer | None = None
        self._only_complete = False
        cost = sum(cost.multiplies for cost in self._prediction.model.network.costs)
        self.is_small = cost < QUICK_MULTIPLIES
        self.knows_something = query.kind == "likes"

    def has_same_inputs(self, previous: ExplanationJob) -> bool:
        if (self._fitted, self._coarse) != (previous._fitted, previous._coarse):
            return False
        needs_picture = self._query.kind not in INPUT_INDEPENDENT_KINDS
        return self._has_same_network(previous) and (not needs_picture or self._has_same_picture(previous))

    def has_same_parameters(self, previous: ExplanationJob) -> bool:
        """What does not depend on the drawing is not begun again for another model of equal weights."""
        if super().has_same_parameters(previous):
            return True
        is_same = self._query.kind in INPUT_INDEPENDENT_KINDS
        return is_same and same_weights(self._prediction.model, previous._prediction.model)

    def may_show(self, previous: ExplanationJob) -> bool:
        kind = self._query.kind
        waits = kind in SLOW_KINDS and kind not in INPUT_INDEPENDENT_KINDS
        is_same = self._fitted == previous._fitted and self._has_same_network(previous)
        return is_same and (not waits or self._has_same_picture(previous))

    def adopt(self, previous: ExplanationJob) -> None:
        self._explainer, previous._explainer = previous._explainer, None
        self._only_complete = self._coarse and self._has_same_network(previous)

    def close(self) -> None:
        if self._explainer is not None:
            self._idle.append(self._explainer)
            self._explainer = None

    def run(self) -> Iterator[Explanation | None]:
        if self._explainer is None:
            self._explainer = self._idle.pop() if self._idle else Explainer()
        results = self._explainer.iter_results(
            self._query, self._prediction, self._available, fitted=self._fitted, coarse=self._coarse
        )
        for result in results:
            is_shown = result is not None and (result.progress >= 1 or not self._only_complete)
            yield result if is_shown else None
            if result is not None and result.progress >= 1:
                return

    def _has_same_network(self, previous: ExplanationJob) -> bool:
        return self._prediction.model.network == previous._prediction.model.network

    def _has_same_picture(self, previous: ExplanationJob) -> bool:
        return np.array_equal(self._prediction.activations[0], previous._prediction.activations[0])


# -- the table


@dataclass(frozen=True)
class JobKind:
    """How one kind of query is answered.

    make: the job of a query, None where it has no answer. policy: its policy.
    needs_predictions: whether it is not asked where the predictions failed.
    """

    make: Callable[[Any, JobContext], Job | None]
    policy: Callable[[Any], Policy]
    needs_predictions: bool = True


def _always(policy: Policy) -> Callable[[Any], Policy]:
    return lambda query: policy


def _explanation_job(query: ExplanationQuery, context: JobContext) -> ExplanationJob | None:
    return ExplanationJob(query, context) if query.model < len(context.predictions) else None


def _robustness_job(query: RobustnessQuery, context: JobContext) -> RobustnessJob | None:
    return RobustnessJob(query, context) if supports(context.model.network) else None


def _labelled_predictions_job(
    query: LabelledPredictionsQuery, context: JobContext
) -> LabelledPredictionsJob | None:
    return LabelledPredictionsJob(query, context) if context.document.labelled_samples else None


def _held_out_job(query: HeldOutQuery, context: JobContext) -> HeldOutJob | None:
    settings, network = query.settings, context.model.network
    fits = (settings.classes, settings.input_shape) == (network.classes, network.input_shape)
    fits = fits and not kind_of(settings.generator).varies_labelled
    return HeldOutJob(query, context) if fits and context.training is None else None


_QUICK: Final = Policy("Explanation", while_drawing=True, share=0.1, min_interval=0.15)
_SLOW: Final = Policy("Explanation", while_drawing=False, share=0.5, min_interval=4.0)
JOBS: dict[type[AnyQuery], JobKind] = {
    ExplanationQuery: JobKind(_explanation_job, lambda query: _SLOW if query.kind in SLOW_KINDS else _QUICK),
    RobustnessQuery: JobKind(
        _robustness_job, _always(Policy("Robustness", while_drawing=False, share=0.5, min_interval=4.0))
    ),
    LabelledPredictionsQuery: JobKind(
        _labelled_predictions_job,
        _always(Policy("Predictions for your own drawings", while_drawing=False, share=0.5, min_interval=0.5)),
    ),
    HeldOutQuery: JobKind(
        _held_out_job,
        _always(Policy("Accuracy on held-out drawings", while_drawing=False, share=0.5, min_interval=0.0)),
    ),
    RunEvaluationQuery: JobKind(
        run_evaluation_job,
        _always(Policy("Accuracy on held-out drawings", while_drawing=False, share=0.5, min_interval=0.0)),
    ),
    SamplesQuery: JobKind(
        SamplesJob, _always(Policy("Sample drawings", while_drawing=True, share=1.0, min_interval=0.0))
    ),
    TrainingQuery: JobKind(
        training_job,
        _always(Policy("Training", while_drawing=True, share=1.0, min_interval=0.0)),
        needs_predictions=False,
    ),
    LayerStatisticsQuery: JobKind(
        statistics_job,
        _always(Policy("Layer statistics", while_drawing=False, share=0.15, min_interval=0.25)),
        needs_predictions=False,
    ),
    DeadFeaturesQuery: JobKind(
        statistics_job,
        _always(Policy("Dead features", while_drawing=False, share=0.025, min_interval=2.0)),
        needs_predictions=False,
    ),
    StepQuery: JobKind(
        step_trace_job,
        _always(Policy("One step", while_drawing=False, share=0.1, min_interval=0.5)),
        needs_predictions=False,
    ),
    # Beginning a replay takes as long as some frames of a drag on the timeline, so that the point rests first.
    ReplayQuery: JobKind(
        replay_job,
        _always(Policy("Replay", while_drawing=True, share=1.0, min_interval=0.0, rest=0.05)),
        needs_predictions=False,
    ),
}
# What a training run needs, whatever is on the screen.
RUN_QUERIES: Final[frozenset[AnyQuery]] = frozenset({TrainingQuery(), ReplayQuery()})


def make_job(query: AnyQuery, context: JobContext) -> tuple[Job, Policy] | None:
    """The job of a query, None where it has no answer. Raises KeyError for a kind of query that is not in JOBS."""
    kind = JOBS[type(query)]
    job = kind.make(query, context) if context.predictions or not kind.needs_predictions else None
    return None if job is None else (job, kind.policy(query))


def title_of(query: AnyQuery) -> str:
    """What the query computes, for messages."""
    kind = JOBS.get(type(query))
    return type(query).__name__ if kind is None else kind.policy(query).title
