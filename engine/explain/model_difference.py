"""Difference: how far two readings of one drawing lie apart, value by value. It reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from engine.nn.inference import Reading
from engine.nn.network import Network

HostArray: TypeAlias = "np.ndarray[Any, Any]"

# Two ways to add up the same float32 numbers differ by about this share of the largest of them.
ROUNDING: Final = 1e-6


def matching(first: Network, second: Network) -> frozenset[int]:
    """The layers (0 is the input) whose values can be subtracted: those that have the same place, counted from the
    input, and the same shape in both networks; none where the inputs differ. Where classes have other names, not
    the last."""
    if first.input_shape != second.input_shape:
        return frozenset()
    pairs = enumerate(zip(first.shapes, second.shapes, strict=False))
    found = {layer for layer, (one, other) in pairs if one == other}
    ends = {len(first.layers), len(second.layers)}
    if len(ends) > 1 or first.classes != second.classes:
        found -= ends  # scores are no values of a layer within
    return frozenset(found)


@dataclass(frozen=True, eq=False)
class Difference:
    """Second minus first, of the layers that match; each is subtracted when it is first asked for."""

    first: Reading
    second: Reading
    layers: frozenset[int]
    _values: dict[tuple[int, range], HostArray] = field(default_factory=dict)
    _most: dict[int, float] = field(default_factory=dict)

    @classmethod
    def between(cls, first: Reading, second: Reading) -> Difference:
        """Of two readings of the same drawing."""
        return cls(first, second, matching(first.subject.network, second.subject.network))

    def values(self, layer: int) -> HostArray:
        """(C, H, W) or (n,) float32: how much more the second network has there than the first. Raises KeyError
        unless the layer matches, Missing if it was not wanted whole. What is no number in either is none."""
        return self.maps(layer, range(self.first.outputs.shapes[layer][0]))

    def holds(self, layer: int, maps: range) -> bool:
        """Whether these maps, or values of a list, of a layer match and were wanted of both."""
        both = (self.first.outputs, self.second.outputs)
        return layer in self.layers and all(outputs.holds(layer, maps) for outputs in both)

    def maps(self, layer: int, maps: range) -> HostArray:
        """The same of some maps, or values of a list. Raises KeyError unless the layer matches, Missing if those
        were not wanted."""
        if layer not in self.layers:
            raise KeyError(layer)
        if (layer, maps) not in self._values:
            with np.errstate(over="ignore", invalid="ignore"):
                made = self.second.outputs.maps(layer, maps) - self.first.outputs.maps(layer, maps)
            made.flags.writeable = False
            self._values[layer, maps] = made
        return self._values[layer, maps]

    def largest(self, layer: int) -> float:
        """The largest difference of a layer without its sign, as far as it was wanted of both; 0 where only
        rounding tells the two apart. What is not finite is passed over. Raises KeyError unless the layer
        matches."""
        if layer not in self._most:
            both = (self.first.outputs, self.second.outputs)
            carried = [outputs.carried.get(layer, range(0)) for outputs in both]
            maps = range(max(each.start for each in carried), min(each.stop for each in carried))
            most = _largest(self.maps(layer, maps)) if maps else 0.0
            scale = max(_largest(outputs.maps(layer, maps)) for outputs in both) if most else 0.0
            self._most[layer] = most if most > ROUNDING * scale else 0.0
        return self._most[layer]

    def weights(self, layer: int) -> HostArray | None:
        """The weights of a layer, second minus first; None where it has none, or others than its counterpart."""
        found = []
        for reading in (self.first, self.second):
            subject = reading.subject
            names = subject.network.names
            found.append(subject.parameters.get(f"{names[layer]}.weight") if layer < len(names) else None)
        one, other = found
        if one is None or other is None or np.shape(one) != np.shape(other):
            return None
        apart: HostArray = np.asarray(other) - np.asarray(one)
        return apart


def _largest(values: HostArray) -> float:
    size = np.abs(values)
    most = float(size.max())
    return most if np.isfinite(most) else float(np.max(size, initial=0.0, where=np.isfinite(size)))
