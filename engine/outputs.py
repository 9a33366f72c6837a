"""Outputs: what the input and every layer gave of one picture, as far as somebody wanted to see it. What was not
carried over from where it was computed is missing, and says so; it is never zeros or old values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from engine.layers import Shape

HostArray: TypeAlias = "np.ndarray[Any, Any]"
# Which maps (or values of a list) are wanted of each layer, 0 the input; a layer that is not there is not wanted.
Wanted: TypeAlias = Mapping[int, range]


class Missing(LookupError):
    """Values were asked for that nobody had wanted when the picture was read."""


class Outputs(Sequence[HostArray]):
    """Arrays (C, H, W) or (n,), read-only, by layer, the input first.

    outputs[layer] is the whole of a layer, and raises Missing where that was not wanted; `maps` gives some of its
    maps; `holds` tells whether they are there.
    """

    def __init__(self, shapes: Sequence[Shape], parts: Mapping[int, tuple[int, HostArray]]) -> None:
        """parts: for each layer that was wanted, its first map and the array of those carried."""
        self.shapes = tuple(shapes)
        self._parts = dict(parts)
        for _, array in self._parts.values():
            array.flags.writeable = False

    @classmethod
    def whole(cls, arrays: Iterable[HostArray]) -> Outputs:
        """All of every layer."""
        kept = list(arrays)
        return cls([array.shape for array in kept], {layer: (0, array) for layer, array in enumerate(kept)})

    def __len__(self) -> int:
        """How many layers there are, the input included, whether they are there or not."""
        return len(self.shapes)

    @overload
    def __getitem__(self, layer: int) -> HostArray: ...
    @overload
    def __getitem__(self, layer: slice) -> tuple[HostArray, ...]: ...
    def __getitem__(self, layer: int | slice) -> HostArray | tuple[HostArray, ...]:
        """The whole of a layer, or of some. Raises Missing."""
        if isinstance(layer, slice):
            return tuple(self[at] for at in range(*layer.indices(len(self))))
        if not -len(self) <= layer < len(self):
            raise IndexError(f"There are {len(self)} layers, and no number {layer}.")
        layer %= len(self)
        return self.maps(layer, range(self.shapes[layer][0]))

    def maps(self, layer: int, wanted: range) -> HostArray:
        """Maps, or values of a list, `wanted` of a layer, as a view. Raises Missing."""
        if not self.holds(layer, wanted):
            raise Missing(f"Layer {layer} was read, but its maps {wanted.start} to {wanted.stop} were not wanted.")
        first, array = self._parts[layer]
        return array[wanted.start - first : wanted.stop - first]

    def holds(self, layer: int, wanted: range | None = None) -> bool:
        """Whether these maps of a layer are there, or all of it."""
        if layer not in self._parts:
            return False
        first, array = self._parts[layer]
        start, stop = (0, self.shapes[layer][0]) if wanted is None else (wanted.start, wanted.stop)
        return first <= start and stop <= first + len(array)

    @property
    def carried(self) -> Wanted:
        """What is there."""
        return {layer: range(first, first + len(array)) for layer, (first, array) in self._parts.items()}

    def parts(self) -> Iterator[tuple[int, range, HostArray]]:
        """What is there: layer, which maps, and their array."""
        for layer, (first, array) in sorted(self._parts.items()):
            yield layer, range(first, first + len(array)), array


def with_ends(wanted: Wanted, shapes: Sequence[Shape]) -> dict[int, range]:
    """What is wanted, cut to what there is, with the picture and the scores, which every reading has."""
    cut = {
        layer: range(max(maps.start, 0), min(maps.stop, shapes[layer][0]))
        for layer, maps in wanted.items()
        if 0 <= layer < len(shapes)
    }
    ends = {layer: range(shapes[layer][0]) for layer in (0, len(shapes) - 1)}
    return {layer: maps for layer, maps in {**cut, **ends}.items() if maps}
