"""Contributions: what every value below is worth to some values above, so that nothing is left unsaid.

A value's contribution is value x gradient. A network of features, pools, means and ReLUs is, at the picture it
reads, a sum of weighed values: the contributions of any one layer, and what the biases above it add, make up the
value exactly. For layers that bend (tanh, sigmoid, batch norm's mean) what they add beside the weighed values
counts with the biases. Sources: the article's "every value gets a vote"; value x gradient, Shrikumar et al. 2016.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from engine.backends.ops import HostArray
from engine.explain.gradients import Gradients, drained
from engine.layers.arithmetic import Place


@dataclass(frozen=True, eq=False)
class Contributions:
    """results: (targets,), the values traced. layers: for the lowest layer asked for, the input unless another was
    named, and every one up to theirs, (targets, *shape), what each value there is worth to each target. rest:
    (layers, targets), what is added above that layer, by biases and bends. All float64: results = layers[l] summed
    + rest[l] for every l."""

    results: HostArray
    layers: tuple[HostArray, ...]
    rest: HostArray


def contributions(gradients: Gradients, layer: int, places: list[Place]) -> Contributions:
    """What every value is worth to the values at `places` of the output of `layer`, for the picture last shown."""
    return drained(contributions_in_pieces(gradients, layer, places))


def contributions_in_pieces(
    gradients: Gradients, layer: int, places: list[Place], lowest: int = 0
) -> Generator[None, None, Contributions]:
    """The same, only down to the output of `lowest`, yielding now and then."""
    slopes = yield from gradients.below_in_pieces(layer, places, lowest)
    found = [gradients.output(at) * each for at, each in enumerate(slopes, lowest)]
    made = gradients.output(layer)
    results = np.array([made[place] for place in places])
    sums = np.array([each.reshape(len(places), -1).sum(axis=1) for each in found])
    return Contributions(results, tuple(found), results - sums)


def votes_traced(gradients: Gradients) -> Contributions:
    """What every value is worth to each class's score, for the picture last shown."""
    return contributions(gradients, len(gradients.network.layers), scores_of(gradients))


def scores_of(gradients: Gradients) -> list[Place]:
    """Where each class's score stands in the last output."""
    return [(at,) for at in range(len(gradients.network.classes))]
