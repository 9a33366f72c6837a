"""The layers' definitions as plain loops in float64, which the optimized implementations are compared with.

Arrays of other numbers than floats (dtype object) are supported too, such as numbers that count operations.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from engine.nn import Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
    Votes,
)

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class PassMode:
    """What a pass depends on beside its input and parameters: training mode, and the seed, step number and index of
    the first example that dropout masks follow from."""

    training: bool = False
    seed: int = 0
    step: int = 0
    first: int = 0


INFERENCE = PassMode()


def network_outputs(
    network: Network, values: Values, images: np.ndarray, circumstances: PassMode = INFERENCE
) -> list[np.ndarray]:
    """The images and every layer's outputs, (N, C, H, W) or (N, n)."""
    outputs = [images]
    for index, (name, layer) in enumerate(zip(network.names[1:], network.layers, strict=True), 1):
        key = _key(circumstances.seed, index)
        outputs.append(forward(layer, outputs[-1], _layer_values(values, name), circumstances, key))
    return outputs


def forward(
    layer: Layer, x: np.ndarray, values: Values, circumstances: PassMode = INFERENCE, key: int = 0
) -> np.ndarray:
    """The layer's outputs for a batch (N, ...), by definition."""
    if isinstance(layer, BatchNorm2D):
        return _batch_norm2d(layer, x, values, circumstances.training)
    if isinstance(layer, Dropout):
        return _dropout(layer, x, circumstances, key) if circumstances.training else x
    if isinstance(layer, Residual):
        return _residual(layer, x, values, circumstances, key)
    return np.stack([_forward_one(layer, image, values) for image in x])


def _forward_one(layer: Layer, x: np.ndarray, values: Values) -> np.ndarray:
    """The output for one example of a layer that treats examples independently."""
    if isinstance(layer, Conv2D):
        return _conv2d(layer, x, values)
    if isinstance(layer, Center):
        return np.array([plane - mean for plane, mean in zip(x, values["mean"], strict=True)])
    if isinstance(layer, MaxPool2D):
        return _pool2d(layer, x, max)
    if isinstance(layer, AvgPool2D):
        return _pool2d(layer, x, _mean)
    if isinstance(layer, GlobalAvgPool):
        return np.array([_mean(list(plane.ravel())) for plane in x])
    if isinstance(layer, ReLU):
        return _each(x, lambda v: max(v, 0))
    if isinstance(layer, LeakyReLU):
        return _each(x, lambda v: v if v > 0 else v * layer.slope)
    if isinstance(layer, Tanh):
        return _each(x, math.tanh)
    if isinstance(layer, Sigmoid):
        return _each(x, lambda v: 1 / (1 + math.exp(-v)))
    if isinstance(layer, Flatten):
        return np.array([x[index] for index in np.ndindex(x.shape)])  # row order, the last index fastest
    if isinstance(layer, Dense):
        bias = values.get("bias", np.zeros(layer.units))
        return np.array([sum(v * w for w, v in zip(values["weight"][o], x, strict=True)) + bias[o]
                         for o in range(layer.units)])  # fmt: skip
    if isinstance(layer, Votes):
        return np.array([sum(x[i] for i in strong) / len(strong) for strong in layer.strong])
    raise AssertionError(f"the reference has no definition of {type(layer).__name__}")


def _each(x: np.ndarray, function) -> np.ndarray:
    return np.array([function(v) + _zero(x) for v in x.ravel()], x.dtype).reshape(x.shape)


def _zero(x: np.ndarray):
    """0 of the same number type as x."""
    return x.flat[0] - x.flat[0]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _layer_values(values: Values, name: str) -> Values:
    """The values of one layer, by their names in it."""
    return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}


def _conv2d(layer: Conv2D, x: np.ndarray, values: Values) -> np.ndarray:
    channels, height, width = x.shape
    pad = (layer.size - 1) // 2 if layer.padding == "same" else layer.padding
    rows = (height + 2 * pad - layer.size) // layer.stride + 1
    columns = (width + 2 * pad - layer.size) // layer.stride + 1
    outside = _zero(x) + layer.padding_value if layer.padding_value else _zero(x)
    padded = np.full((channels, height + 2 * pad, width + 2 * pad), outside, x.dtype)
    for index in np.ndindex(x.shape):
        padded[index[0], index[1] + pad, index[2] + pad] = x[index]
    y = np.zeros((layer.features, rows, columns), x.dtype)
    for f, i, j in np.ndindex(y.shape):
        total = 0
        for c, a, b in np.ndindex(channels, layer.size, layer.size):
            total += padded[c, i * layer.stride + a, j * layer.stride + b] * values["weight"][f, c, a, b]
        if layer.mean:
            total /= channels * layer.size * layer.size
        y[f, i, j] = total + (values["bias"][f] if layer.bias else 0)
    return y


def _pool2d(layer: MaxPool2D | AvgPool2D, x: np.ndarray, summary) -> np.ndarray:
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
    y = np.zeros((x.shape[0], len(rows), len(columns)), x.dtype)
    for c, i, j in np.ndindex(y.shape):
        y[c, i, j] = summary([
            x[c, row, column]
            for row in range(rows[i], min(rows[i] + layer.size, x.shape[1]))
            for column in range(columns[j], min(columns[j] + layer.size, x.shape[2]))
        ])  # fmt: skip
    return y


def _batch_norm2d(layer: BatchNorm2D, x: np.ndarray, values: Values, training: bool) -> np.ndarray:
    y = np.zeros(x.shape, x.dtype)
    for c in range(x.shape[1]):
        mean, variance = batch_statistics(x[:, c]) if training else (values["mean"][c], values["variance"][c])
        for n, i, j in np.ndindex(x[:, c].shape):
            normal = (x[n, c, i, j] - mean) / math.sqrt(variance + layer.epsilon)
            y[n, c, i, j] = normal * values["weight"][c] + values["bias"][c]
    return y


def batch_statistics(maps: np.ndarray) -> tuple[float, float]:
    """Mean of all values, and their biased variance."""
    found = list(maps.ravel())
    mean = _mean(found)
    return mean, _mean([(v - mean) ** 2 for v in found])


def _residual(layer: Residual, x: np.ndarray, values: Values, circumstances: PassMode, key: int) -> np.ndarray:
    y = x
    for index, (name, inner) in enumerate(zip(layer.ids, layer.layers, strict=True), 1):
        inner_values = _layer_values(values, name)
        y = forward(inner, y, inner_values, circumstances, _key(key, index))
    return x + y


def _dropout(layer: Dropout, x: np.ndarray, circumstances: PassMode, key: int) -> np.ndarray:
    y = np.zeros(x.shape)
    for n in range(len(x)):
        for index, value in enumerate(x[n].ravel()):
            h = _lowbias32(key + circumstances.step * 0x9E3779B9)
            h = _lowbias32(_lowbias32(h + circumstances.first + n) + index)
            y[n].flat[index] = value / (1 - layer.rate) if h >= layer.rate * 2**32 else 0.0
    return y


def _key(above: int, index: int) -> int:
    return int.from_bytes(hashlib.blake2s(f"{above}/{index}".encode(), digest_size=4).digest(), "little")


def _lowbias32(h: int) -> int:
    """Ellis's lowbias32, on Python integers."""
    h %= 2**32
    h ^= h >> 16
    h = h * 0x7FEB352D % 2**32
    h ^= h >> 15
    h = h * 0x846CA68B % 2**32
    return h ^ h >> 16
