"""The formula of one value of a prediction, with its numbers: what its layer reads and computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backends import HostArray
from engine.nn import Network, Prediction
from engine.nn.layers import Arrays, CellIndex, ValueFormula


@dataclass(frozen=True, eq=False)
class SoftmaxTerms:
    """Softmax of the scores, exp(score) / sum of all exp; all arrays (classes,) float64.

    exponentials: of the scores minus the largest, which keeps them finite and changes no probability.
    """

    scores: HostArray
    exponentials: HostArray
    probabilities: HostArray


def cell_index(network: Network, layer: int, channel: int, row: int = 0, column: int = 0) -> CellIndex:
    """The index of a value in the output of `layer`: (channel, row, column), or (channel,) after Flatten.

    Raises IndexError if there is no such value.
    """
    if not 0 <= layer < len(network.shapes):
        raise IndexError(f"The network has layers 0 to {len(network.shapes) - 1}, not {layer}.")
    shape = network.shapes[layer]
    cell = (channel, row, column) if len(shape) == 3 else (channel,)
    if not all(0 <= at < length for at, length in zip(cell, shape, strict=True)):
        raise IndexError(f"Layer {layer} has no value at {cell}.")
    return cell


def value_formula(prediction: Prediction, layer: int, cell: CellIndex) -> ValueFormula | None:
    """The formula of the value at `cell` of the output of `layer`, 1 the first; None for a pixel of the input.

    Raises IndexError if there is no such value, Missing if the prediction does not hold it or the layer below.
    """
    network = prediction.model.network
    cell = cell_index(network, layer, *cell)
    if layer == 0:
        return None
    channel, *rest = cell
    value = float(prediction.activations.channels(layer, range(channel, channel + 1))[(0, *rest)])
    return network.layers[layer - 1].value_formula(
        prediction.activations[layer - 1], cell, value, _arrays(prediction, layer)
    )


def has_value_formula(prediction: Prediction, layer: int, channel: int) -> bool:
    """Whether the prediction holds what the formulas of this map of `layer` need: the map and the layer below."""
    outputs = prediction.activations
    return outputs.has(layer, range(channel, channel + 1)) and (layer == 0 or outputs.has(layer - 1))


def contribution(prediction: Prediction, layer: int, cell: CellIndex, above: CellIndex) -> HostArray:
    """(channels,) float64: the contributions of the value at `cell` of the input of `layer`, a convolution or dense
    layer, to the values of all its maps at `above`, (row, column), or () after Flatten.

    Raises IndexError if there is no such value, Missing if the prediction does not hold that layer.
    """
    network = prediction.model.network
    cell = cell_index(network, layer - 1, *cell)
    return network.layers[layer - 1].contributions(
        prediction.activations[layer - 1], cell, above, _arrays(prediction, layer)
    )


def _arrays(prediction: Prediction, layer: int) -> Arrays:
    """The parameters and buffers of one layer by name."""
    prefix = prediction.model.network.names[layer] + "."
    arrays = prediction.model.parameters.items()
    return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}


def softmax_terms(prediction: Prediction) -> SoftmaxTerms | None:
    """The softmax that made the scores votes; None for a network whose scores are the votes."""
    if prediction.model.network.vote != "softmax":
        return None
    scores = prediction.activations[-1].astype(np.float64)
    exponentials = np.exp(scores - scores.max())
    return SoftmaxTerms(scores, exponentials, exponentials / exponentials.sum())
