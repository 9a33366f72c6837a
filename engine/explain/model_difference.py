"""Difference of two models: their predictions of one drawing, and their weights, subtracted value by value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.backends import HostArray
from engine.nn import Network, Prediction

# Relative difference of two summation orders of the same float32 numbers.
ROUNDING: Final = 1e-6


def matching_layers(first: Network, second: Network) -> frozenset[int]:
    """The layers, 0 the input, whose values can be subtracted: the same index and shape in both networks.

    None if the input shapes differ; without the last layer if the class names or the numbers of layers differ.
    """
    if first.input_shape != second.input_shape:
        return frozenset()
    pairs = enumerate(zip(first.shapes, second.shapes, strict=False))
    found = {layer for layer, (one, other) in pairs if one == other}
    ends = {len(first.layers), len(second.layers)}
    if len(ends) > 1 or first.classes != second.classes:
        found -= ends  # scores are not compared with values of a hidden layer
    return frozenset(found)


@dataclass(frozen=True, eq=False)
class ModelDifference:
    """Second minus first, for the layers that match; each is subtracted on first access."""

    first: Prediction
    second: Prediction
    layers: frozenset[int]
    _values: dict[tuple[int, range], HostArray] = field(default_factory=dict)
    _most: dict[int, float] = field(default_factory=dict)

    @classmethod
    def between(cls, first: Prediction, second: Prediction) -> ModelDifference:
        """The difference of two predictions of the same drawing."""
        return cls(first, second, matching_layers(first.model.network, second.model.network))

    def values(self, layer: int) -> HostArray:
        """(C, H, W) or (n,) float32, second minus first; NaN where either is. Raises KeyError unless the layer
        matches, Missing unless both predictions hold all of it."""
        return self.channels(layer, range(self.first.activations.shapes[layer][0]))

    def has(self, layer: int, channels: range) -> bool:
        """Whether a layer matches and both predictions hold these maps (or values) of it."""
        both = (self.first.activations, self.second.activations)
        return layer in self.layers and all(outputs.has(layer, channels) for outputs in both)

    @property
    def is_complete(self) -> bool:
        """Whether both predictions hold all values of every layer that matches."""
        shapes = self.first.activations.shapes
        return all(self.has(layer, range(shapes[layer][0])) for layer in self.layers)

    def channels(self, layer: int, channels: range) -> HostArray:
        """As `values`, for some maps (or values). Raises KeyError unless the layer matches, Missing unless both
        predictions hold them."""
        if layer not in self.layers:
            raise KeyError(layer)
        if (layer, channels) not in self._values:
            with np.errstate(over="ignore", invalid="ignore"):
                difference = self.second.activations.channels(layer, channels) - self.first.activations.channels(
                    layer, channels
                )
            difference.flags.writeable = False
            self._values[layer, channels] = difference
        return self._values[layer, channels]

    def largest(self, layer: int) -> float:
        """The largest absolute difference among the maps of a layer that both predictions hold; 0 if it is within
        rounding. Ignores values that are not finite. Raises KeyError unless the layer matches."""
        if layer not in self._most:
            both = (self.first.activations, self.second.activations)
            carried = [outputs.available.get(layer, range(0)) for outputs in both]
            maps = range(max(each.start for each in carried), min(each.stop for each in carried))
            most = _largest(self.channels(layer, maps)) if maps else 0.0
            scale = max(_largest(outputs.channels(layer, maps)) for outputs in both) if most else 0.0
            self._most[layer] = most if most > ROUNDING * scale else 0.0
        return self._most[layer]

    def weights(self, layer: int) -> HostArray | None:
        """The weights of a layer, second minus first; None without weights, or if their shapes differ."""
        found = []
        for prediction in (self.first, self.second):
            model = prediction.model
            names = model.network.names
            found.append(model.parameters.get(f"{names[layer]}.weight") if layer < len(names) else None)
        one, other = found
        if one is None or other is None or np.shape(one) != np.shape(other):
            return None
        difference: HostArray = np.asarray(other) - np.asarray(one)
        return difference


def _largest(values: HostArray) -> float:
    size = np.abs(values)
    most = float(size.max())
    return most if np.isfinite(most) else float(np.max(size, initial=0.0, where=np.isfinite(size)))
