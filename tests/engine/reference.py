"""The layers' definitions as plain loops, in float64: what the engine's fast paths are held against. Not fast."""

from __future__ import annotations

import numpy as np

from engine.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Votes


def forward(layer: Layer, x: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
    """The layer's output for one input, written from its definition."""
    if isinstance(layer, Conv2D):
        return _conv2d(layer, x, values)
    if isinstance(layer, MaxPool2D):
        return _max_pool2d(layer, x)
    if isinstance(layer, ReLU):
        return np.array([max(v, 0.0) for v in x.ravel()]).reshape(x.shape)
    if isinstance(layer, Flatten):
        return np.array([x[place] for place in np.ndindex(x.shape)])  # row order, the last index fastest
    if isinstance(layer, Dense):
        bias = values.get("bias", np.zeros(layer.units))
        return np.array([sum(w * v for w, v in zip(values["weight"][o], x, strict=True)) + bias[o]
                         for o in range(layer.units)])  # fmt: skip
    if isinstance(layer, Votes):
        return np.array([sum(x[i] for i in strong) / len(strong) for strong in layer.strong])
    raise AssertionError(f"the reference has no definition of {type(layer).__name__}")


def _conv2d(layer: Conv2D, x: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
    channels, height, width = x.shape
    pad = (layer.size - 1) // 2 if layer.padding == "same" else layer.padding
    rows = (height + 2 * pad - layer.size) // layer.stride + 1
    columns = (width + 2 * pad - layer.size) // layer.stride + 1
    y = np.zeros((layer.features, rows, columns))
    for f, i, j in np.ndindex(y.shape):
        total = 0.0
        for c, a, b in np.ndindex(channels, layer.size, layer.size):
            row, column = i * layer.stride + a - pad, j * layer.stride + b - pad
            if 0 <= row < height and 0 <= column < width:
                total += values["weight"][f, c, a, b] * x[c, row, column]
        if layer.mean:
            total /= channels * layer.size * layer.size
        y[f, i, j] = total + (values["bias"][f] if layer.bias else 0.0)
    return y


def _max_pool2d(layer: MaxPool2D, x: np.ndarray) -> np.ndarray:
    def starts(length: int) -> list[int]:
        """Window starts: with "drop" only whole windows; with "keep" also those needed to cover the edge."""
        found, start = [], 0
        while start < length:
            whole = start + layer.size <= length
            if layer.edge == "drop" and not whole:
                break
            found.append(start)
            if start + layer.size >= length:
                break
            start += layer.stride
        return found

    rows, columns = starts(x.shape[1]), starts(x.shape[2])
    y = np.zeros((x.shape[0], len(rows), len(columns)))
    for c, i, j in np.ndindex(y.shape):
        y[c, i, j] = max(
            x[c, row, column]
            for row in range(rows[i], min(rows[i] + layer.size, x.shape[1]))
            for column in range(columns[j], min(columns[j] + layer.size, x.shape[2]))
        )
    return y
