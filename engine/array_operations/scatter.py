"""The gradient of windows, put back where they were read. Not an operation."""

from __future__ import annotations

import numpy as np

from engine.array_operations.calls import call, run
from engine.array_operations.windows import overlap
from engine.backends.ops import Array, Calls


def scatter(taps: Array, dx: Array, stride: int, margin: int) -> Calls:
    """dx (C, H, W, N) = for every pixel the sum over all windows and places in them that read it.

    taps: (size, size, C, H', W', N), for each place in a window, row and column, the gradient of what every window
    reads there. The first window begins `margin` outside of dx.
    """
    size, _, _, height, width, _ = taps.shape
    calls = [run(dx.fill, 0)]
    for row in range(size):
        for column in range(size):
            down = overlap(row, margin, stride, height, dx.shape[1])
            along = overlap(column, margin, stride, width, dx.shape[2])
            if down is not None and along is not None:
                seen = dx[:, down[1], along[1]]
                calls.append(call(np.add, seen, taps[row, column, :, down[0], along[0]], out=seen))
    return calls
