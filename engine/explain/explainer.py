"""Explainer: computes the Result of the current Query, quick kinds at once and slow ones in time slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from engine.backends import HostArray
from engine.data import Dataset, TrainingData
from engine.drawings import Drawing, fit_to_frame, render
from engine.explain.attribution import (
    Gradients,
    contributions_in_slices,
    grad_cam,
    score_cells,
)
from engine.explain.counterfactual import counterfactual
from engine.explain.feature_profile import FeatureProfiler, same_weights
from engine.explain.perturbation import Occlusion, ablation, ablation_examples
from engine.explain.queries import INPUT_INDEPENDENT_KINDS, SLOW_KINDS, VALUE_KINDS, Query, Result
from engine.nn import Prediction, weight_layer_of

# Seconds: what takes longer is not computed during a stroke, only after it. During a stroke or training, a query
# takes at most this share of the time.
QUICK_SECONDS, TIME_SHARE = 0.010, 0.1
# Seconds between two results during a stroke: numbers are not read faster, and each result delays a frame of the
# stroke. And seconds without movement of the pen after which a skipped result is computed.
MIN_INTERVAL, STILL_SECONDS = 0.15, 0.05
# Multiplies of a network up to which a query counts as quick before its time has been measured.
QUICK_MULTIPLIES = 5_000_000
# Seconds from the end of a slow result to its next start while training changes the weights.
REST_SECONDS = 4.0


@dataclass(frozen=True, eq=False)
class AvailableExamples:
    """The training data and those of its examples that exist already, so that they need not be generated again."""

    training_data: TrainingData
    examples: Dataset | None
    held_out: Dataset | None


class Explainer:
    """Computes the result of one query at a time and keeps what it needs between two Requests.

    result: the latest, None while there is none.
    """

    def __init__(self) -> None:
        self.result: Result | None = None
        self._query: Query | None = None
        self._prediction: Prediction | None = None
        self._settled = True
        # Yields better and better results, or None at the end of a slice without one.
        self._results: Iterator[Result | None] | None = None
        self._gradients: Gradients | None = None
        self._occlusion: Occlusion | None = None
        self._profiler = FeatureProfiler()
        self._available: AvailableExamples | None = None
        self._is_fitted = False
        self._is_training, self._was_published, self._only_complete, self._coarse = False, False, False, False
        self._cost, self._spent = 0.0, 0.0
        self._free_at, self._still_at, self._rested_at = 0.0, 0.0, 0.0

    def set_query(
        self,
        query: Query | None,
        predictions: tuple[Prediction, ...],
        settled: bool,
        is_training: bool = False,
        available: AvailableExamples | None = None,
        fitted: bool = False,
    ) -> None:
        """Make this the current query, of these predictions; a quick one is computed before this returns.

        A query of a value that does not exist has no result.
        settled: False during a stroke.
        fitted: whether the canvas is fitted to the frame before the network sees it.
        is_training: whether training changes the weights continuously; repeating a query then takes at most a share
            of the time.
        """
        self._is_training, self._available = is_training, available
        was_fitted, self._is_fitted = self._is_fitted, fitted
        prediction = predictions[query.model] if query and query.model < len(predictions) else None
        if query is None or prediction is None or not _is_valid(query, prediction):
            self._query = self._prediction = self._results = self.result = None
            return
        self._settled, self._was_published = settled, True
        same_canvas = query.kind != "flip" or was_fitted == fitted
        if (
            query == self._query
            and self._prediction is not None
            and same_canvas
            and not self._has_changed(prediction)
        ):
            return
        if query != self._query:
            self.result, self._was_published = None, False
            cost = sum(cost.multiplies for cost in prediction.model.network.costs)
            self._cost = 0.0 if cost < QUICK_MULTIPLIES else QUICK_SECONDS + 1
        elif query.kind in SLOW_KINDS and self._continues(query, prediction):
            return  # training changes the weights continuously: finish the current result, then pause
        elif not self._still_explains(query, prediction):
            self.result = None
        # A profile computed during training stays until that of the next weights is complete.
        self._only_complete = query.kind == "likes" and is_training and self.result is not None
        if is_training and not self._coarse:
            self._free_at = 0.0  # a profile during training takes less time
        self._coarse = is_training
        self._query, self._prediction = query, prediction
        self._results, self._spent = self._compute(query, prediction), 0.0
        if query.kind == "likes" and self.result is None:
            self._advance()  # what is cached of the layer's other features
        if not settled and self._is_slow and query.kind not in INPUT_INDEPENDENT_KINDS:
            self.result = None
        # During a stroke, a repeated query delays the maps only as often as numbers can be read.
        now = perf_counter()
        at_once = settled or self.result is None or now >= self._free_at
        self._still_at = now + STILL_SECONDS
        while at_once and self._results is not None and not self._is_slow:
            self._advance()
        self._was_published = self._was_published or self.result is not None

    def cancel(self) -> None:
        """Drop this query until another query or another drawing comes."""
        self._results = self.result = None

    @property
    def busy(self) -> bool:
        """Whether `run_for` would do any work now."""
        if not self._is_open:
            return False
        is_waiting = self._is_training and self.result is not None and not self._spent
        return (self._settled and not is_waiting) or perf_counter() >= self._due

    @property
    def _is_open(self) -> bool:
        """Whether work is left that need not wait for the end of the stroke."""
        return self._results is not None and (self._settled or not self._is_slow)

    @property
    def _due(self) -> float:
        """The time from which a skipped result is computed without another call of `set_query`."""
        return self._free_at if self._settled else max(self._free_at, self._still_at)

    @property
    def seconds_until_busy(self) -> float | None:
        """Seconds until it is busy without a new query; None if it will not be."""
        if not self._is_open:
            return None
        return max(0.0, self._due - perf_counter())

    @property
    def has_first_result(self) -> bool:
        """Whether the first result of a query has not been published yet."""
        return self.result is not None and not self._was_published

    def run_for(self, seconds: float) -> None:
        """Work for about `seconds`, at least one slice."""
        end = perf_counter() + seconds
        while self.busy:
            self._advance()
            if perf_counter() >= end:
                break

    @property
    def _is_slow(self) -> bool:
        return self._query is not None and (self._query.kind in SLOW_KINDS or self._cost > QUICK_SECONDS)

    def _has_changed(self, prediction: Prediction) -> bool:
        """Whether the current query's result would be another for this prediction."""
        before = self._prediction
        assert before is not None
        if self._query is not None and self._query.kind in INPUT_INDEPENDENT_KINDS:
            is_coarse = self._query.kind == "likes" and self._coarse and not self._is_training
            return is_coarse or not same_weights(prediction.model, before.model)
        return prediction.model is not before.model or not _same_picture(prediction, before)

    def _continues(self, query: Query, prediction: Prediction) -> bool:
        """Whether a slow query continues, or pauses, although the weights have changed."""
        before = self._prediction
        if not self._is_training or before is None or before.model.network != prediction.model.network:
            return False  # the weights were edited, or the model was replaced
        same = query.kind in INPUT_INDEPENDENT_KINDS or _same_picture(prediction, before)
        return same and (self._results is not None or perf_counter() < self._rested_at)

    def _still_explains(self, query: Query, prediction: Prediction) -> bool:
        """Whether the last result may stay until the first of this prediction: it is of the same network, and where
        the next one takes long, of the same picture."""
        before = self._prediction
        if before is None or before.model.network != prediction.model.network:
            return False
        waits = query.kind in SLOW_KINDS and query.kind not in INPUT_INDEPENDENT_KINDS
        return not waits or _same_picture(prediction, before)

    def _advance(self) -> None:
        assert self._results is not None
        started = perf_counter()
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # weights of a diverged training overflow
                result = next(self._results)
            if result is not None and (result.progress >= 1 or not self._only_complete):
                self.result = result
        except StopIteration:
            self._results = None
        except ValueError as error:
            assert self._query is not None
            self.result = Result(self._query, 0, 1.0, message=str(error))
            result = self.result
        now = perf_counter()
        self._spent += now - started
        if result is not None and result.progress >= 1:
            self._results, self._rested_at = None, now + REST_SECONDS
            # The minimum: painting in another thread, or allocating memory, makes a run longer now and then.
            self._cost = min(self._cost or self._spent, self._spent)
            self._free_at = now + max(self._spent / TIME_SHARE, MIN_INTERVAL)

    def _compute(self, query: Query, prediction: Prediction) -> Iterator[Result | None]:
        """Better and better results."""
        target = int(prediction.votes.argmax()) if query.target is None else query.target
        picture = prediction.activations[0]
        if query.kind == "ablation":
            held_out = self._available.held_out if self._available is not None else None
            examples, is_held_out = ablation_examples(prediction.model.network, held_out)
            for progress, effects in ablation(prediction.model, query.layer, examples):
                yield Result(
                    query, target, progress, ablations=effects, example_count=len(examples), held_out=is_held_out
                )
            return
        if query.kind == "likes":
            assert query.feature is not None
            available = self._available
            same_data = available is not None and available.training_data == query.feature.training_data
            generated = available.examples if available is not None and same_data else None
            for profile in self._profiler.iter_profiles(prediction.model, query.feature, generated, self._coarse):
                yield None if profile is None else Result(query, target, profile.progress, profile=profile)
            return
        if query.kind == "occlusion":
            for progress, drops in self._occlusion_of(prediction).score_drops(picture, target):
                yield Result(query, target, progress, drops)
            return
        gradients = self._gradients_of(prediction)
        yield None
        yield from gradients.forward_in_slices(picture)
        if query.kind == "flip":
            canvas = _fitted if self._is_fitted else None
            for step in counterfactual(gradients, prediction.model, picture, canvas):
                yield Result(query, target, step.progress, step.change, counterfactual=step)
        elif query.kind == "worth":
            yield from self._contributions(query, target, gradients)
        elif query.kind == "grad_cam":
            yield Result(query, target, 1.0, grad_cam(gradients, target))
        else:
            top = len(gradients.network.layers)
            layer, cell = (query.layer, query.cell) if query.cell else (top, (target,))
            (slope,) = (yield from gradients.backward_in_slices(layer, [cell]))[0]
            attribution = slope if query.kind == "gradient" else gradients.output(0) * slope
            yield Result(query, target, 1.0, attribution.sum(axis=0))

    def _contributions(self, query: Query, target: int, gradients: Gradients) -> Iterator[Result | None]:
        """Backward from the scores to the value's layer, and from the value to the picture."""
        layer, cell, top = query.layer, query.cell, len(gradients.network.layers)
        above = yield from contributions_in_slices(gradients, top, score_cells(gradients), layer)
        below = yield from contributions_in_slices(gradients, layer, [cell])
        sums = (below.values - below.remainder)[:-1, 0].tolist()
        totals = zip(sums, below.remainder[:-1, 0].tolist(), strict=True) if layer == top else ()
        yield Result(
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


def _is_valid(query: Query, prediction: Prediction) -> bool:
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


def _fitted(picture: HostArray) -> HostArray:
    """What a network sees of a square picture on a canvas that is fitted to the frame."""
    return render(fit_to_frame(Drawing(image=picture)), len(picture))


def _same_picture(one: Prediction, other: Prediction | None) -> bool:
    return other is not None and np.array_equal(one.activations[0], other.activations[0])
