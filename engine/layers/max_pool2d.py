"""MaxPool2D: shrinks every map by keeping the largest value of each window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from engine.backends.ops import HostArray, Operations, TwoWay
from engine.layers.arithmetic import Largest, Place, values_at
from engine.layers.layer import Stage, Values
from engine.layers.pool2d import Pool2D


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """y[c, i, j] = max of the window of Pool2D. The gradient goes to the winner; of equal values the first in row
    order wins."""

    kind: ClassVar[str] = "maxpool2d"
    kink: ClassVar[str] = "has no clear winner"

    def pool(self, ops: Operations, stage: Stage) -> TwoWay:
        """The largest of each window."""
        return ops.max_pool(stage.x.values, stage.y, self.size, self.stride)

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Largest:
        """The window and which of it won."""
        cells = self.window_of(x.shape, place)
        return Largest(cells, values_at(x, cells))

    def gaps(self, x: HostArray) -> Iterator[HostArray]:
        """Every value of a window less the one that wins at the first point."""
        winner, *others = self._taps(x)
        for rival in others:
            winner = np.where(rival[0] > winner[0], rival, winner)
        for value in self._taps(x):
            yield value - winner

    def _taps(self, x: HostArray) -> Iterator[HostArray]:
        """The values at each place in the windows; where a window hangs over the edge, its last ones again."""
        high, wide = x.shape[2:4]
        rows, columns = (np.arange(self._windows(length)) * self.stride for length in (high, wide))
        for down, right in product(range(self.size), repeat=2):
            yield x[:, :, np.minimum(rows + down, high - 1)[:, None], np.minimum(columns + right, wide - 1)]
