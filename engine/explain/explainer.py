"""Explainer: computes Explanations in slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from engine.backends import HostArray
from engine.data import Dataset, InputSample, TrainingData, input_kind
from engine.explain.attribution import (
    Gradients,
    contributions_in_slices,
    grad_cam,
    score_cells,
)
from engine.explain.counterfactual import counterfactual
from engine.explain.feature_profile import FeatureProfiler
from engine.explain.perturbation import Occlusion, ablation, ablation_examples
from engine.explain.queries import VALUE_KINDS, Explanation, ExplanationQuery
from engine.nn import Network, Prediction, weight_layer_of


@dataclass(frozen=True, eq=False)
class AvailableExamples:
    """The training data and those of its examples that exist already, so that they need not be generated again."""

    training_data: TrainingData
    examples: Dataset | None
    held_out: Dataset | None


class Explainer:
    """Computes explanations, and keeps from one to the next what is costly to make: a backward pass prepared for a
    network, occlusion of a picture, the examples of a feature profile."""

    def __init__(self) -> None:
        self._gradients: Gradients | None = None
        self._occlusion: Occlusion | None = None
        self._profiler = FeatureProfiler()

    def iter_results(
        self,
        query: ExplanationQuery,
        prediction: Prediction,
        available: AvailableExamples | None = None,
        *,
        fitted: bool = False,
        coarse: bool = False,
    ) -> Iterator[Explanation | None]:
        """Better and better results, None where it may stop; the last has progress 1. No result for a value that
        does not exist; an input that cannot be explained gives a result with a message.

        fitted: whether the canvas is fitted to the frame before the network sees it.
        coarse: a profile that takes less time, for weights that soon change again.
        """
        if not _is_valid(query, prediction):
            return
        try:
            yield from self._compute(query, prediction, available, fitted, coarse)
        except ValueError as error:
            yield Explanation(query, 0, 1.0, message=str(error))

    def _compute(
        self,
        query: ExplanationQuery,
        prediction: Prediction,
        available: AvailableExamples | None,
        fitted: bool,
        coarse: bool,
    ) -> Iterator[Explanation | None]:
        target = int(prediction.votes.argmax()) if query.target is None else query.target
        picture = prediction.activations[0]
        if query.kind == "ablation":
            held_out = available.held_out if available is not None else None
            examples, is_held_out = ablation_examples(prediction.model.network, held_out)
            for progress, effects in ablation(prediction.model, query.layer, examples):
                yield Explanation(
                    query, target, progress, ablations=effects, example_count=len(examples), held_out=is_held_out
                )
            return
        if query.kind == "likes":
            assert query.feature is not None
            same_data = available is not None and available.training_data == query.feature.training_data
            generated = available.examples if available is not None and same_data else None
            for profile in self._profiler.iter_profiles(prediction.model, query.feature, generated, coarse):
                yield None if profile is None else Explanation(query, target, profile.progress, profile=profile)
            return
        if query.kind == "occlusion":
            for progress, drops in self._occlusion_of(prediction).score_drops(picture, target):
                yield Explanation(query, target, progress, drops)
            return
        gradients = self._gradients_of(prediction)
        yield None
        yield from gradients.forward_in_slices(picture)
        if query.kind == "flip":
            canvas = partial(_fitted, prediction.model.network) if fitted else None
            for step in counterfactual(gradients, prediction.model, picture, canvas):
                yield Explanation(query, target, step.progress, step.change, counterfactual=step)
        elif query.kind == "worth":
            yield from self._contributions(query, target, gradients)
        elif query.kind == "grad_cam":
            yield Explanation(query, target, 1.0, grad_cam(gradients, target))
        else:
            top = len(gradients.network.layers)
            layer, cell = (query.layer, query.cell) if query.cell else (top, (target,))
            (slope,) = (yield from gradients.backward_in_slices(layer, [cell]))[0]
            attribution = slope if query.kind == "gradient" else gradients.output(0) * slope
            yield Explanation(query, target, 1.0, attribution.sum(axis=0))

    def _contributions(
        self, query: ExplanationQuery, target: int, gradients: Gradients
    ) -> Iterator[Explanation | None]:
        """Backward from the scores to the value's layer, and from the value to the picture."""
        layer, cell, top = query.layer, query.cell, len(gradients.network.layers)
        above = yield from contributions_in_slices(gradients, top, score_cells(gradients), layer)
        below = yield from contributions_in_slices(gradients, layer, [cell])
        sums = (below.values - below.remainder)[:-1, 0].tolist()
        totals = zip(sums, below.remainder[:-1, 0].tolist(), strict=True) if layer == top else ()
        yield Explanation(
            query, target, 1.0, below.layers[0][0].sum(axis=0),
            contributions=tuple(float(values[cell]) for values in above.layers[0]),
            remainder=tuple(above.remainder[0].tolist()), layer_totals=tuple(totals),
        )  # fmt: skip

    def _gradients_of(self, prediction: Prediction) -> Gradients:
        """Gradients of the prediction's network, loaded with its parameters."""
        network = prediction.model.network
        if self._gradients is None or self._gradients.network != network:
            self._gradients = Gradients(network, len(network.classes))
        self._gradients.load(prediction.model.parameters)
        return self._gradients

    def _occlusion_of(self, prediction: Prediction) -> Occlusion:
        if self._occlusion is None or self._occlusion.model is not prediction.model:
            self._occlusion = Occlusion(prediction.model)
        return self._occlusion


def _is_valid(query: ExplanationQuery, prediction: Prediction) -> bool:
    """Whether the layer, feature, value or class of the query exists."""
    network = prediction.model.network
    if query.kind == "ablation":
        exists = 0 < query.layer < len(network.shapes)
        return exists and weight_layer_of(network, query.layer) == query.layer
    if query.kind == "likes":
        feature = query.feature
        fits = feature is not None and 0 < feature.layer < len(network.shapes)
        return fits and feature is not None and 0 <= feature.channel < network.shapes[feature.layer][0]
    if query.kind == "worth" or (query.kind in VALUE_KINDS and query.cell):
        shape = network.shapes[query.layer] if query.layer < len(network.shapes) else ()
        fits = len(shape) == len(query.cell)
        return fits and all(0 <= at < side for at, side in zip(query.cell, shape, strict=True)) and bool(shape)
    return query.target is None or query.target < len(network.classes)


def _fitted(network: Network, image: HostArray) -> HostArray:
    """What a network sees of an image (C, H, W) whose source is fitted to the frame."""
    kind = input_kind(network)
    return InputSample(kind, kind.decode(image)).array(network.input_shape, fit=True)
