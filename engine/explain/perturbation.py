"""Explanations by perturbation: occlusion and feature ablation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.backends import HostArray, numpy_backend
from engine.data import Dataset, generating_kind
from engine.nn import BatchPredictor, Model, Network, Parameters, ablated
from engine.training import Evaluation, Evaluator

# Value of a covered pixel: background.
COVER_VALUE = -1.0
# Pictures in a batch: fewer for an expensive network, so that the first result comes early and cancelling is quick.
MAX_MULTIPLIES, MAX_PICTURES = 4_000_000, 32


def patches(length: int) -> tuple[int, list[int]]:
    """The size of a patch along a side of `length` pixels, an eighth of it, and the patches' starts, half a patch
    apart."""
    size = max(1, round(length / 8))
    starts = list(range(0, length - size, max(1, size // 2)))
    return size, [*starts, length - size]


class Occlusion:
    """Occlusion sensitivity of one model (Zeiler and Fergus 2013); keeps its plan for the next drawing."""

    def __init__(self, model: Model) -> None:
        cost = sum(cost.multiplies for cost in model.network.costs)
        self.batch = max(1, min(MAX_PICTURES, MAX_MULTIPLIES // max(cost, 1)))
        self._predictor = BatchPredictor(model.network, numpy_backend("explanations"), self.batch)
        self._predictor.load(model.parameters)
        self.model = model

    def score_drops(self, picture: HostArray, target: int) -> Iterator[tuple[float, HostArray]]:
        """Yields the progress and (H, W) float64: for each pixel the mean drop of the score of `target` when a
        patch over it is covered, NaN where none was yet. A fixed random order covers the whole drawing early."""
        height, width = picture.shape[1:]
        (patch_height, rows), (patch_width, columns) = patches(height), patches(width)
        corners = [(row, column) for row in rows for column in columns]
        order = np.random.default_rng(0).permutation(len(corners))
        unperturbed = self._scores(picture[None], target)[0]
        sums, counts = np.zeros((height, width)), np.zeros((height, width))
        for first in range(0, len(order), self.batch):
            chosen = [corners[at] for at in order[first : first + self.batch].tolist()]
            covered = np.repeat(picture[None], len(chosen), axis=0)
            for at, (row, column) in enumerate(chosen):
                covered[at, :, row : row + patch_height, column : column + patch_width] = COVER_VALUE
            for (row, column), score in zip(chosen, self._scores(covered, target), strict=True):
                sums[row : row + patch_height, column : column + patch_width] += unperturbed - score
                counts[row : row + patch_height, column : column + patch_width] += 1
            progress = min(first + self.batch, len(order)) / len(order)
            yield progress, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def _scores(self, pictures: HostArray, target: int) -> list[float]:
        scores: list[float] = self._predictor.scores(pictures)[:, target].tolist()
        return scores


# Generated drawings: their seed is outside those of training, which start at 1; this many distinguish the features.
GENERATED_SEED, GENERATED_COUNT = 70_707, 200
# Held-out examples at most: each feature takes an evaluation of all.
MAX_HELD_OUT = 500
# Seconds of a slice.
SLICE_SECONDS = 0.01


@dataclass(frozen=True)
class AblationEffect:
    """Effect of ablating a feature: the increase of the mean error and the drop of the accuracy."""

    channel: int
    error_increase: float
    accuracy_drop: float


def ablation(model: Model, layer: int, examples: Dataset) -> Iterator[tuple[float, tuple[AblationEffect, ...]]]:
    """Yields the progress and the effects so far of ablating each feature (map or value) of `layer`, counted from
    1, which must have weights. examples: as `ablation_examples` returns them."""
    network = model.network
    yield 0.0, ()
    evaluator = Evaluator(network, numpy_backend("explanations"), examples)
    count = network.shapes[layer][0]
    unablated: Evaluation | None = None
    effects: tuple[AblationEffect, ...] = ()
    for channel in range(-1, count):
        parameters: Parameters = model.parameters if channel < 0 else ablated(model, layer, channel).parameters
        evaluation: Evaluation | None = None
        for evaluation in evaluator.iter_slices(parameters, SLICE_SECONDS):
            if evaluation is None:
                yield (channel + 1) / (count + 2), effects
        assert evaluation is not None
        if unablated is None:
            unablated = evaluation
        else:
            before, after = unablated.metrics, evaluation.metrics
            effects = (
                *effects,
                AblationEffect(channel, after.loss - before.loss, before.accuracy - after.accuracy),
            )
    yield 1.0, effects


def ablation_examples(network: Network, held_out: Dataset | None) -> tuple[Dataset, bool]:
    """The examples to evaluate, and whether they are held-out ones: the first of `held_out` if any fit, or else
    generated ones of its kind of data, each of a class, always the same. Raises ValueError if there are none."""
    expected = network.input_shape, network.classes
    if held_out is not None and len(held_out) and expected == (held_out.images.shape[1:], held_out.classes):
        return Dataset(held_out.images[:MAX_HELD_OUT], held_out.labels[:MAX_HELD_OUT], held_out.classes), True
    kind = generating_kind(network)
    if kind is None:
        raise ValueError(
            f"No examples of {' and '.join(network.classes)} can be generated: train this network to use its "
            "held-out examples."
        )
    settings = kind.settings_for(network)
    return kind.generate(kind.without_unlabelled(settings), GENERATED_COUNT, GENERATED_SEED), False
