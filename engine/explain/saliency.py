"""Saliency: how a class's score moves with each pixel of the drawing, told by gradients (one backward pass)."""

from __future__ import annotations

import numpy as np

from engine.backends.ops import HostArray
from engine.explain.gradients import Gradients


def score_gradient(gradients: Gradients, target: int) -> HostArray:
    """(C, H, W) float64: by how much the score of class `target` rises for each unit of each pixel of the picture
    last shown (Simonyan et al. 2013)."""
    found: HostArray = gradients.below(len(gradients.network.layers), [(target,)])[0][0]
    return found


def gradient_times_input(gradients: Gradients, target: int) -> HostArray:
    """(C, H, W) float64: what each pixel is worth to the score: its value times its gradient."""
    made: HostArray = gradients.outputs()[0] * score_gradient(gradients, target)
    return made


def grad_cam(gradients: Gradients, target: int) -> HostArray:
    """(H, W) float64, 0 or above: where the last feature maps speak for the class, spread over the drawing's size.

    The maps are those of the last layer that weighs maps and still gives maps, as the layers bend them that change
    every value by itself, such as a ReLU; each counts by its mean gradient, and what speaks against the class is
    left out (Selvaraju et al. 2017). Raises ValueError for a network without such maps.
    """
    network, layer = gradients.network, last_maps(gradients)
    slopes = gradients.below(len(network.layers), [(target,)])[layer][0]
    maps = gradients.outputs()[layer]
    summed = np.einsum("c,chw->hw", slopes.mean(axis=(1, 2)), maps)
    return spread(np.maximum(summed, 0.0), network.input_shape[1:])


def last_maps(gradients: Gradients) -> int:
    """The layer whose maps Grad-CAM weighs, counted from 1. Raises ValueError if there is none."""
    network = gradients.network
    weighed = [
        at for at, layer in enumerate(network.layers, 1) if len(network.shapes[at]) == 3 and layer.mixes_maps
    ]
    if not weighed:
        raise ValueError("Grad-CAM needs feature maps, and this network has none.")
    place = weighed[-1]
    while place < len(network.layers) and network.layers[place].pointwise and len(network.shapes[place + 1]) == 3:
        place += 1
    return place


def spread(values: HostArray, size: tuple[int, int]) -> HostArray:
    """`values` (h, w) drawn out to `size`, each value in the middle of its part, straight lines between."""
    rows, columns = (_lines(there, length) for there, length in zip(values.shape, size, strict=True))
    made: HostArray = rows @ values @ columns.T
    return made


def _lines(there: int, length: int) -> HostArray:
    """(length, there): how much of each of `there` values goes into each of `length` places."""
    at = np.clip((np.arange(length) + 0.5) * there / length - 0.5, 0, there - 1)
    shares: HostArray = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(there)))
    return shares
