"""Prediction: what a model computes from one input, with the activations of every layer."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from engine.backends import Backend, HostArray, choose_backend
from engine.charts import html_table
from engine.drawings import ink_share
from engine.nn.layers import Shape, ShapeError, shape_text
from engine.nn.losses import softmax
from engine.nn.model import Model
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan, largest_batch

# Channels (maps, or values of a vector) to copy to the host, by layer, 0 being the input.
ChannelRanges: TypeAlias = Mapping[int, range]

UNSURE = "unsure"
# A canvas with less than this share of ink is blank; a single 32 × 32 pixel is 0.001.
BLANK_INK = 0.002
# On a GPU, layers are timed once in so many passes: launching them one by one takes many times as long.
TIMING_INTERVAL = 50


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's prediction for one input.

    activations: the requested ones of the input and each layer, (C, H, W) or (n,), float32, read-only; the input
        and the scores always
    votes: (classes,), the shares shown: softmax of the scores, unless they are votes already
    predicted_class: a class name or "unsure"
    layer_seconds: the time of each layer, in order, when last timed
    is_blank: whether the input shows nothing, so that it is of no class
    """

    model: Model
    activations: Activations
    votes: HostArray
    predicted_class: str
    layer_seconds: tuple[float, ...]
    is_blank: bool = False

    def named_activations(self) -> dict[str, HostArray]:
        """Every activation by its key, input first and the votes last. Raises NotComputed unless all were
        requested."""
        network = self.model.network
        values = dict(zip(network.names, self.activations, strict=True))
        if network.vote == "softmax":
            values["votes"] = self.votes
        return values

    def _repr_html_(self) -> str:
        """The votes as a table, for a notebook."""
        votes = zip(self.model.network.classes, self.votes.tolist(), strict=True)
        return f"<p>{escape(self.model.name)}: <b>{escape(self.predicted_class)}</b></p>" + html_table(
            ("class", "vote"), [(name, f"{vote:.1%}") for name, vote in votes]
        )


class Predictor:
    """Predicts one input at a time with one model, through a reused plan."""

    def __init__(self, model: Model, backend: Backend) -> None:
        self.model = model
        self._plan = Plan(model.network, backend, 1, keep_outputs=True)
        self._plan.load(model.parameters)
        self._is_cpu = backend.name == "cpu"
        self._seconds: tuple[float, ...] = ()
        self._passes = 0

    def set_model(self, model: Model) -> None:
        """Use other parameters of the same network."""
        self.model = model
        self._plan.load(model.parameters)

    def predict(
        self, image: HostArray, channels: ChannelRanges | None = None, is_blank: bool | None = None
    ) -> Prediction:
        """One pass over an image (C, H, W) in -1..1, or (H, W) where the network reads one map. channels: the
        activations to copy to the host, None for all. is_blank: whether the image shows nothing, as its kind of
        data says; None: whether it is a picture without ink.

        Raises ShapeError for another shape, ValueError for values that are not finite.
        """
        if image.ndim == 2:
            image = image[None]
        if not np.isfinite(image).all():
            raise ValueError(f"{self.model.name} cannot read a picture with values that are not finite numbers.")
        # Products of very large weights may overflow; the prediction is then "unsure", without a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self._compute(image[None], channels)
            votes = compute_votes(self.model.network, outputs[-1])
        votes.flags.writeable = False
        blank = is_blank_picture(image) if is_blank is None else is_blank
        predicted = predict_class(self.model, votes, blank)
        return Prediction(self.model, outputs, votes, predicted, self._seconds, blank)

    def _compute(self, images: HostArray, channels: ChannelRanges | None) -> Activations:
        """One pass; always timed on a CPU, and once in TIMING_INTERVAL passes on a GPU."""
        timed = self._is_cpu or self._passes % TIMING_INTERVAL == 0
        if self._passes == 0 and not self._is_cpu:
            # The first pass compiles both paths, so that no later stroke waits for that.
            self._plan.forward_timed(images)
            self._untimed(images, channels)
        self._passes += 1
        if not timed:
            return self._untimed(images, channels)
        self._seconds = tuple(self._plan.forward_timed(images))
        return self._copied(self._plan.outputs()) if channels is None else self._copy_requested(channels)

    def _untimed(self, images: HostArray, channels: ChannelRanges | None) -> Activations:
        """One pass; all activations are copied as part of it, some after it."""
        if channels is None:
            return self._copied(self._plan.forward_outputs(images))
        self._plan.forward(images)
        return self._copy_requested(channels)

    def _copied(self, arrays: list[HostArray]) -> Activations:
        return Activations.from_arrays(array[0] for array in arrays)

    def _copy_requested(self, channels: ChannelRanges) -> Activations:
        """Of the last pass; nothing else is copied to the host."""
        shapes = self.model.network.shapes
        parts = self._plan.partial_outputs(requested := with_input_and_scores(channels, shapes))
        return Activations(shapes, {layer: (maps.start, parts[layer][0]) for layer, maps in requested.items()})


class BatchPredictor:
    """Passes any number of inputs through one network, a batch at a time, with changing parameters.

    Products that overflow give scores of inf or nan, without a warning. plan: holds what the last pass computed.
    """

    def __init__(self, network: Network, backend: Backend, batch: int, *, keep_outputs: bool = False) -> None:
        """batch: inputs passed at once, fewer where a plan may not hold as many. keep_outputs: as of Plan."""
        self.network, batch = network, largest_batch(network, backend, batch)
        self.plan = Plan(network, backend, batch, keep_outputs=keep_outputs)
        self._batch = np.zeros((batch, *network.input_shape), np.float32)
        self._to_host = backend.operations.to_host

    def load(self, parameters: Parameters) -> None:
        """Use these parameters from now on."""
        self.plan.load(parameters)

    def iter_batches(
        self, images: HostArray, seconds: float | None = None, layers: int | None = None
    ) -> Iterator[range | None]:
        """Pass images (N, C, H, W). After each batch yields the indices of the images that the plan then holds, and
        None about every `seconds` within a pass, never if None. layers: as of Plan.iter_slices."""
        size = len(self._batch)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            self._batch[: len(part)] = part
            if seconds is None:
                with np.errstate(over="ignore", invalid="ignore"):
                    self.plan.forward(self._batch)
            else:
                yield from _without_overflow_warnings(self.plan.iter_slices(self._batch, seconds, layers))
            yield range(start, start + len(part))

    def iter_scores(self, images: HostArray, seconds: float | None = None) -> Generator[None, None, HostArray]:
        """Yields None after each batch and about every `seconds` within one; returns the scores (N, classes)."""
        scores = np.empty((len(images), len(self.network.classes)), np.float32)
        for done in self.iter_batches(images, seconds):
            if done is not None:
                scores[done.start : done.stop] = self._to_host(self.plan.scores).T[: len(done)]
            yield
        return scores

    def scores(self, images: HostArray) -> HostArray:
        """The scores (N, classes) of images, in one call."""
        scores = np.empty((len(images), len(self.network.classes)), np.float32)
        for done in self.iter_batches(images):
            assert done is not None
            scores[done.start : done.stop] = self._to_host(self.plan.scores).T[: len(done)]
        return scores


def _without_overflow_warnings(slices: Iterator[None]) -> Iterator[None]:
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            if next(slices, slices) is slices:
                return
        yield


def predict(model: Model, images: ArrayLike, backend: Backend | None = None) -> list[Prediction]:
    """The predictions for images (N, C, H, W) in -1..1, each with all activations.

    backend: the CPU if None. Raises ShapeError if the images are not the network's input, ValueError for values
    that are not finite.
    """
    pictures = np.asarray(images, np.float32)
    if pictures.ndim != 4 or pictures.shape[1:] != model.network.input_shape:
        raise ShapeError(
            f"{model.name} reads images of N × {shape_text(model.network.input_shape)}, "
            f"not {shape_text(pictures.shape)}."
        )
    predictor = Predictor(model, backend or choose_backend("cpu"))
    return [predictor.predict(picture) for picture in pictures]


def compute_votes(network: Network, scores: HostArray) -> HostArray:
    """The votes for scores (..., classes): their softmax, or the scores if they are votes already."""
    return softmax(scores) if network.vote == "softmax" else scores.copy()


def is_blank_picture(picture: HostArray) -> bool:
    """Whether a picture, of any shape, has hardly any ink."""
    return ink_share(picture) < BLANK_INK


def predict_class(model: Model, votes: HostArray, is_blank: bool) -> str:
    """The class with the most votes; "unsure" for a blank input, votes that are not finite, a tie, or a vote
    below the threshold."""
    top = int(votes.argmax())
    if is_blank or not np.isfinite(votes).all() or (votes == votes[top]).sum() > 1:
        return UNSURE
    if model.threshold is not None and votes[top] < model.threshold:
        return UNSURE
    return model.network.classes[top]


class NotComputed(LookupError):
    """Activations that were not requested when the prediction was made."""


class Activations(Sequence[HostArray]):
    """Activations (C, H, W) or (n,) by layer, read-only, the input first.

    activations[layer] is a whole layer, and raises NotComputed unless all of it was requested; `channels` returns
    some of its channels; `has` says whether they are available.
    """

    def __init__(self, shapes: Sequence[Shape], parts: Mapping[int, tuple[int, HostArray]]) -> None:
        """parts: for each requested layer, its first channel and the array of those copied."""
        self.shapes = tuple(shapes)
        self._parts = dict(parts)
        for _, array in self._parts.values():
            array.flags.writeable = False

    @classmethod
    def from_arrays(cls, arrays: Iterable[HostArray]) -> Activations:
        """All of every layer."""
        layers = list(arrays)
        return cls([array.shape for array in layers], {layer: (0, array) for layer, array in enumerate(layers)})

    def __len__(self) -> int:
        """The number of layers, the input included, whether available or not."""
        return len(self.shapes)

    @overload
    def __getitem__(self, layer: int) -> HostArray: ...
    @overload
    def __getitem__(self, layer: slice) -> tuple[HostArray, ...]: ...
    def __getitem__(self, layer: int | slice) -> HostArray | tuple[HostArray, ...]:
        if isinstance(layer, slice):
            return tuple(self[index] for index in range(*layer.indices(len(self))))
        if not -len(self) <= layer < len(self):
            raise IndexError(f"There are {len(self)} layers, but no layer {layer}.")
        layer %= len(self)
        return self.channels(layer, range(self.shapes[layer][0]))

    def channels(self, layer: int, channels: range) -> HostArray:
        """Some channels of a layer, as a view. Raises NotComputed."""
        if not self.has(layer, channels):
            raise NotComputed(f"Channels {channels.start} to {channels.stop} of layer {layer} were not requested.")
        first, array = self._parts[layer]
        return array[channels.start - first : channels.stop - first]

    def has(self, layer: int, channels: range | None = None) -> bool:
        """Whether these channels of a layer are available, or all of it if None."""
        if layer not in self._parts:
            return False
        first, array = self._parts[layer]
        start, stop = (0, self.shapes[layer][0]) if channels is None else (channels.start, channels.stop)
        return first <= start and stop <= first + len(array)

    @property
    def available(self) -> ChannelRanges:
        return {layer: range(first, first + len(array)) for layer, (first, array) in self._parts.items()}

    def iter_parts(self) -> Iterator[tuple[int, range, HostArray]]:
        """The available layers in order: index, channels, array."""
        for layer, (first, array) in sorted(self._parts.items()):
            yield layer, range(first, first + len(array)), array


def with_input_and_scores(channels: ChannelRanges, shapes: Sequence[Shape]) -> dict[int, range]:
    """The requested channels, clipped to those that exist, with the input and the scores, which every prediction
    has."""
    clipped = {
        layer: range(max(maps.start, 0), min(maps.stop, shapes[layer][0]))
        for layer, maps in channels.items()
        if 0 <= layer < len(shapes)
    }
    ends = {layer: range(shapes[layer][0]) for layer in (0, len(shapes) - 1)}
    return {layer: maps for layer, maps in {**clipped, **ends}.items() if maps}
