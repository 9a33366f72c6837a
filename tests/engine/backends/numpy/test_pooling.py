"""Max pooling with overlapping windows, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import PoolSpec, replay
from engine.backends.numpy import indexing
from engine.backends.numpy.pooling import NumpyMaxPool


def gradient(x: np.ndarray, dy: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Each window's gradient routed to its maximum, the first in row-major order."""
    dx = np.zeros_like(x)
    for channel, row, column, n in np.ndindex(dy.shape):
        window = x[channel, row * stride : row * stride + size, column * stride : column * stride + size, n]
        down, along = divmod(int(window.argmax()), window.shape[1])
        dx[channel, row * stride + down, column * stride + along, n] += dy[channel, row, column, n]
    return dx


def largest(x: np.ndarray, shape: tuple[int, ...], size: int, stride: int) -> np.ndarray:
    y = np.zeros(shape)
    for row, column in np.ndindex(shape[1:3]):
        window = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
        y[:, row, column] = window.max((1, 2))
    return y


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("bytes_at_once", [1, 200, 1_000_000])
@pytest.mark.parametrize(
    ("size", "stride", "hanging"), [(3, 2, 0), (5, 2, 0), (5, 2, 2), (4, 3, 1), (3, 1, 0), (2, 2, 1), (3, 3, 0)]
)
def test_the_gradient_does_not_depend_on_the_block_size(
    monkeypatch: pytest.MonkeyPatch, bytes_at_once: int, size: int, stride: int, hanging: int, count: int
) -> None:
    monkeypatch.setattr(indexing, "BLOCK_BYTES", bytes_at_once)
    rng = np.random.default_rng(1)
    sides = [size + stride * steps + hanging for steps in (3, 4)]
    x = rng.integers(0, 3, (3, *sides, count)).astype(float)  # many ties
    shape = (3, *(-(-(side - size) // stride) + 1 for side in sides), count)
    y, dx = np.zeros(shape), np.full(x.shape, np.nan)
    made = NumpyMaxPool(x, y, PoolSpec(size, stride))
    forward = made.forward()
    for _ in range(2):  # the second time, nothing may be left of the first
        dy = rng.standard_normal(shape)
        replay(forward)
        np.testing.assert_array_equal(y, largest(x, y.shape, size, stride))
        replay(made.backward(dy, dx))
        np.testing.assert_allclose(dx, gradient(x, dy, size, stride), atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_maximum_is_found_at_any_position_in_a_window(size: int, gaps: bool) -> None:
    rng = np.random.default_rng(size)
    sides = (3 * size + 1, 2 * size)  # the last windows hang over
    whole = np.zeros((2, *sides, 2))
    x = whole[..., 1:] if gaps else whole[..., 1:].copy()
    y = np.zeros((2, 4, 2, 1))
    calls = NumpyMaxPool(x, y, PoolSpec(size, size)).forward()
    x[...] = rng.permutation(x.size).reshape(x.shape)
    replay(calls)
    np.testing.assert_array_equal(y, largest(x, y.shape, size, size))
