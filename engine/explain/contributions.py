"""Contributions: what every value below is worth to some values above, so that nothing is left unsaid.

A value's contribution is value x gradient. A network of features, pools, means and ReLUs is, at the picture it
reads, a sum of weighed values: the contributions of any one layer, and what the biases above it add, make up the
value exactly. For layers that bend (tanh, sigmoid, batch norm's mean) what they add beside the weighed values
counts with the biases. Sources: the article's "every value gets a vote"; value x gradient, Shrikumar et al. 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.explain.gradients import Gradients
from engine.layers.arithmetic import Place
from engine.operations import HostArray


@dataclass(frozen=True, eq=False)
class Contributions:
    """results: (targets,), the values traced. layers: for the input and every layer up to theirs, (targets,
    *shape), what each value there is worth to each target. rest: (layers, targets), what is added above that layer,
    by biases and bends. All float64: results = layers[l] summed + rest[l] for every l."""

    results: HostArray
    layers: tuple[HostArray, ...]
    rest: HostArray


def contributions(gradients: Gradients, layer: int, places: list[Place]) -> Contributions:
    """What every value is worth to the values at `places` of the output of `layer`, for the picture last shown."""
    outputs = gradients.outputs()
    found = [output * slopes for output, slopes in zip(outputs, gradients.below(layer, places), strict=False)]
    results = np.array([outputs[layer][place] for place in places])
    sums = np.array([each.reshape(len(places), -1).sum(axis=1) for each in found])
    return Contributions(results, tuple(found), results - sums)


def votes_traced(gradients: Gradients) -> Contributions:
    """What every value is worth to each class's score, for the picture last shown."""
    network = gradients.network
    return contributions(gradients, len(network.layers), [(at,) for at in range(len(network.classes))])
