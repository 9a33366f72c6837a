"""Feature profile: what one feature, hidden value or score responds to: its maximized input, the examples with its
highest and lowest values, the distribution of its values, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends import HostArray
from engine.data import Dataset, TrainingData
from engine.explain.attribution import Gradients
from engine.explain.feature_visualization import ActivationMaximization, MaximizedInput
from engine.explain.top_examples import ExampleReader, TopExample, TopExamples, ValueDistribution
from engine.nn import Model, bias_of, kernel_slices, weight_layer_of

# Seconds between two steps of the ascent, so that the picture is seen to form; and between two profiles.
ASCENT_INTERVAL: Final = 0.012
RESULT_INTERVAL: Final = 0.06
# Generated examples read while training changes the weights, so that the next weights are profiled soon.
COARSE_EXAMPLES: Final = 2_000
# Layers whose top examples are cached.
CACHED_LAYERS: Final = 3

CacheKey: TypeAlias = tuple[int, TrainingData, bool]  # layer, training data, whether training changes the weights
# Parts of a profile that have become better known: maximized_input, ascent_progress, ... as `_profile` reads them.
_Parts: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class FeatureQuery:
    """A feature to profile: the map, or value, `channel` of the output of `layer`, counted from 1.

    seed: of the noise that activation maximization starts from.
    training_data: whose examples are ranked; None for no examples.
    """

    layer: int
    channel: int
    seed: int = 1
    training_data: TrainingData | None = None


@dataclass(frozen=True, eq=False)
class FeatureWeights:
    """The weights of a feature.

    layer: the layer they belong to, counted from 1.
    weights: (slices, h, w) float32, a slice for each map below.
    bias: None where there is none.
    """

    layer: int
    weights: HostArray
    bias: float | None

    @property
    def norm(self) -> float:
        """The L2 norm of the weights."""
        return float(np.sqrt(np.square(self.weights, dtype=np.float64).sum()))


@dataclass(frozen=True, eq=False)
class FeatureProfile:
    """What is known of a feature so far.

    maximized_input: None before activation maximization has started.
    ascent_progress: share of its steps done; 1 where there will be no picture.
    search_progress: share of the examples read.
    examples_read: how many those are.
    highest, lowest: at most TOP_COUNT examples each, the most extreme first.
    distribution: of the values of all examples read, None before the first.
    weights: None where there are none.
    message: why there are no examples, or no picture, one sentence.
    """

    maximized_input: MaximizedInput | None = None
    ascent_progress: float = 0.0
    search_progress: float = 0.0
    examples_read: int = 0
    highest: tuple[TopExample, ...] = ()
    lowest: tuple[TopExample, ...] = ()
    distribution: ValueDistribution | None = None
    weights: FeatureWeights | None = None
    message: str = ""

    @property
    def progress(self) -> float:
        """Share of all the work that is done."""
        return (self.ascent_progress + self.search_progress) / 2


class FeatureProfiler:
    """Profiles features of one model; caches the top examples of a few layers for the next query."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._gradients: Gradients | None = None
        self._top_examples: dict[CacheKey, TopExamples] = {}

    def iter_profiles(
        self, model: Model, feature: FeatureQuery, generated: Dataset | None = None, is_training: bool = False
    ) -> Iterator[FeatureProfile | None]:
        """Yields better and better profiles of a feature, or None at the end of a slice without one.

        generated: the generated examples of the training data, if they exist already.
        is_training: whether training changes the weights. If not, the ascent is slowed down, so that the picture is
            seen to form even where nothing else is left to do.
        """
        self._set_model(model)
        parts: _Parts = {"weights": _weights(model, feature), "message": ""}
        if feature.training_data is not None and (
            cached := self._top_examples.get((feature.layer, feature.training_data, is_training))
        ):
            parts |= next(_ranked(cached, feature.channel))
        yield _profile(parts)
        published = perf_counter()
        for new in _alternate(
            self._maximize(model, feature), self._search(model, feature, generated, is_training), not is_training
        ):
            message = " ".join(filter(None, (parts["message"], new.pop("message", ""))))
            parts |= {**new, "message": message}
            profile = _profile(parts)
            if perf_counter() - published >= RESULT_INTERVAL and profile.progress < 1:
                yield profile
                published = perf_counter()
            else:
                yield None
        yield _profile(parts)

    def _set_model(self, model: Model) -> None:
        """Drop what is cached of other weights."""
        if self._model is None or not same_weights(model, self._model):
            self._top_examples.clear()
            self._model = model

    def _maximize(self, model: Model, feature: FeatureQuery) -> Iterator[_Parts]:
        network = model.network
        try:
            if self._gradients is None or self._gradients.network != network:
                self._gradients = Gradients(network)
        except ValueError as error:
            yield {"ascent_progress": 1.0, "message": str(error)}
            return
        self._gradients.load(model.parameters)
        for step in ActivationMaximization(
            self._gradients, feature.layer, feature.channel, feature.seed
        ).iter_slices():
            yield {} if step is None else {"maximized_input": step, "ascent_progress": step.progress}

    def _search(
        self, model: Model, feature: FeatureQuery, generated: Dataset | None, is_training: bool
    ) -> Iterator[_Parts]:
        """Ranks the examples for all features of the layer at once, so that the next one's are known at once."""
        if feature.training_data is None:
            yield {"search_progress": 1.0}
            return
        key = feature.layer, feature.training_data, is_training
        try:
            top_examples = self._top_examples.pop(key, None)
            if top_examples is None:
                shape, limit = model.network.input_shape, COARSE_EXAMPLES if is_training else None
                top_examples = TopExamples(
                    model, feature.layer, ExampleReader(feature.training_data, shape, generated, limit)
                )
            self._top_examples[key] = top_examples
            for old in list(self._top_examples)[:-CACHED_LAYERS]:
                del self._top_examples[old]
            yield {}
            yield from _searched(top_examples, feature.channel)
        except ValueError as error:
            self._top_examples.pop(key, None)  # it cannot be continued
            yield {"search_progress": 1.0, "message": str(error)}


def same_weights(one: Model, other: Model) -> bool:
    """Whether two models have the same network and equal parameters; names are ignored."""
    if one is other:
        return True
    if one.network != other.network:
        return False
    mine, theirs = one.parameters, other.parameters
    return all(mine[name] is theirs[name] or np.array_equal(mine[name], theirs[name]) for name in mine)


def _profile(parts: _Parts) -> FeatureProfile:
    return FeatureProfile(
        parts.get("maximized_input"),
        parts.get("ascent_progress", 0.0),
        parts.get("search_progress", 0.0),
        parts.get("examples_read", 0),
        parts.get("highest", ()),
        parts.get("lowest", ()),
        parts.get("distribution"),
        parts["weights"],
        parts["message"],
    )


def _weights(model: Model, feature: FeatureQuery) -> FeatureWeights | None:
    layer = weight_layer_of(model.network, feature.layer)
    if layer is None:
        return None
    return FeatureWeights(
        layer, kernel_slices(model, layer, feature.channel), bias_of(model, layer, feature.channel)
    )


def _searched(top_examples: TopExamples, channel: int) -> Iterator[_Parts]:
    """Reads all examples; yields the ranking from time to time and at the end."""
    published = perf_counter()
    while top_examples.progress < 1:
        top_examples.advance()
        yield {}
        if perf_counter() - published >= RESULT_INTERVAL and top_examples.progress < 1:
            yield from _ranked(top_examples, channel)
            published = perf_counter()
    yield from _ranked(top_examples, channel)


def _ranked(top_examples: TopExamples, channel: int) -> Iterator[_Parts]:
    """The examples of one feature; before that {} each time a picture has to be generated again."""
    distribution, progress, read = (
        top_examples.distribution(channel),
        top_examples.progress,
        top_examples.examples_read,
    )
    sides: list[tuple[TopExample, ...]] = []
    for side in (top_examples.highest(channel), top_examples.lowest(channel)):
        found: list[TopExample] = []
        for example in side:
            if example is None:
                yield {}
            else:
                found.append(example)
        sides.append(tuple(found))
    yield {
        "search_progress": progress,
        "examples_read": read,
        "highest": sides[0],
        "lowest": sides[1],
        "distribution": distribution,
    }


def _alternate(ascent: Iterator[_Parts], search: Iterator[_Parts], paced: bool) -> Iterator[_Parts]:
    """A step of the ascent every ASCENT_INTERVAL seconds, and the search in between."""
    due, ascending, searching = 0.0, True, True
    while ascending or searching:
        wait = due - perf_counter()
        if ascending and (wait <= 0 or not searching):
            if paced and wait > 0:
                sleep(wait)
            found = next(ascent, None)
            ascending = found is not None
            if found:
                due = perf_counter() + ASCENT_INTERVAL
        else:
            found = next(search, None)
            searching = found is not None
        yield found or {}
