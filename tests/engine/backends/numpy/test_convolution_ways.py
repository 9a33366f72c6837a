"""Every convolution algorithm on NumPy, with and without max pooling, against the definition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from engine.backends import ConvSpec, PoolSpec, replay
from engine.backends.numpy import convolution_gradient, fused_conv_pool, winograd
from engine.backends.numpy.convolution import Im2colConvolution, SplitConvolution, can_fuse_max_pool, convolution
from engine.backends.numpy.convolution_by_rows import RowConvolution
from engine.backends.numpy.fused_conv_pool import FusedConvMaxPool
from engine.backends.numpy.threads import ThreadPair
from engine.backends.numpy.winograd import WinogradProducts


@dataclass(frozen=True)
class Case:
    """height and width without padding."""

    channels: int
    out_channels: int
    height: int
    width: int
    size: int
    stride: int = 1
    padding: int = 0
    count: int = 1
    normalizer: int = 1
    bias: bool = True

    @property
    def fan_in(self) -> int:
        return self.channels * self.size**2

    @property
    def spec(self) -> ConvSpec:
        return ConvSpec(self.size, self.stride, self.padding, self.normalizer)


CASES = [
    Case(1, 3, 9, 9, 3, count=2),
    Case(1, 2, 7, 6, 5, padding=2, count=3, normalizer=25),
    Case(3, 5, 8, 7, 3, padding=1, count=4),
    Case(4, 16, 6, 5, 3, padding=1, count=8, bias=False),
    Case(2, 3, 5, 8, 3, padding=4, count=2, normalizer=18),
    Case(3, 2, 5, 4, 1, count=3),
    Case(3, 2, 4, 5, 1, padding=2, count=2),
    Case(2, 4, 7, 9, 4, padding=3, count=2),
    Case(2, 9, 6, 6, 6, count=3),
]
STRIDED = [
    Case(2, 3, 7, 5, 2, stride=2, count=3),
    Case(3, 2, 9, 7, 4, stride=3, padding=2, count=2),
    Case(2, 2, 5, 8, 3, stride=2, padding=3, count=2, bias=False, normalizer=18),
    Case(1, 2, 9, 9, 2, stride=4),
]


class Problem:
    """Random inputs for a case, and outputs and gradients by the definition."""

    def __init__(self, case: Case, dtype: type, pool: int = 1, keep_edge: bool = True) -> None:
        rng = np.random.default_rng(3)
        pad = ((0, 0), (case.padding,) * 2, (case.padding,) * 2, (0, 0))
        inner = rng.standard_normal((case.channels, case.height, case.width, case.count))
        self.x = np.pad(inner, pad, constant_values=-1.25).astype(dtype)
        self.matrix = (
            rng.standard_normal((case.out_channels, case.fan_in + case.bias)) * case.normalizer**0.5
        ).astype(dtype)
        windows = sliding_window_view(self.x, (case.size, case.size), (1, 2))[:, :: case.stride, :: case.stride]
        weights = self.matrix[:, : case.fan_in].reshape(case.out_channels, case.channels, case.size, case.size)
        self.maps = np.einsum("chwnab,fcab->fhwn", windows.astype(float), weights) / case.normalizer
        if case.bias:
            self.maps += self.matrix[:, -1].astype(float)[:, None, None, None]
        _, height, width, _ = self.maps.shape
        rows, columns = (-(-side // pool) if keep_edge else side // pool for side in (height, width))
        self.y = np.full((case.out_channels, rows, columns, case.count), -np.inf)
        self.dy = rng.standard_normal(self.y.shape).astype(dtype)
        dmaps = np.zeros(self.maps.shape)
        for f, i, j, n in np.ndindex(self.y.shape):
            # argmax takes the first of equal values in row order.
            seen = self.maps[f, i * pool : (i + 1) * pool, j * pool : (j + 1) * pool, n]
            row, column = np.unravel_index(np.argmax(seen), seen.shape)
            self.y[f, i, j, n] = seen[row, column]
            dmaps[f, i * pool + row, j * pool + column, n] = self.dy[f, i, j, n]
        self.dmatrix = np.zeros(self.matrix.shape)
        dweights = np.einsum("chwnab,fhwn->fcab", windows.astype(float), dmaps) / case.normalizer
        self.dmatrix[:, : case.fan_in] = dweights.reshape(case.out_channels, -1)
        if case.bias:
            self.dmatrix[:, -1] = dmaps.sum((1, 2, 3))
        dx = np.zeros(self.x.shape)
        for row, column in np.ndindex(height, width):
            top, left = row * case.stride, column * case.stride
            share = np.einsum("fn,fcab->cabn", dmaps[:, row, column], weights) / case.normalizer
            dx[:, top : top + case.size, left : left + case.size] += share
        self.dx = dx[:, case.padding : case.padding + case.height, case.padding : case.padding + case.width]


def output_like(y: np.ndarray, dtype: type) -> np.ndarray:
    """A non-contiguous array for y, as inside the padding of the next layer."""
    out_channels, height, width, count = y.shape
    return np.zeros((out_channels, height + 2, width + 4, count), dtype)[:, 1:-1, 2:-2]


def halves(*arguments: object) -> SplitConvolution:
    return SplitConvolution(*arguments, ThreadPair())


def agree(made: object, problem: Problem, x: np.ndarray, y: np.ndarray, tolerance: float) -> None:
    """Forward and backward, twice, so that stale values of the first run would show."""
    dtype = problem.x.dtype
    dx, dmatrix = np.full(problem.dx.shape, 7, dtype), np.full(problem.matrix.shape, 7, dtype)
    forward = made.forward()
    backward = made.backward(problem.dy, dx, dmatrix)
    for factor in (2, 1):
        x[...] = problem.x * factor
        replay(forward)
        replay(backward)
    for got, expected in ((y, problem.y), (dx, problem.dx), (dmatrix, problem.dmatrix)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * 10)


def fewer_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use Winograd's algorithm for all 3 x 3 kernels, however few."""
    monkeypatch.setattr(winograd, "MIN_CHANNELS", 1)


@pytest.mark.parametrize("case", CASES + STRIDED, ids=str)
@pytest.mark.parametrize("way", [Im2colConvolution, RowConvolution, halves])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_each_algorithm_matches_the_definition(case: Case, way: type, dtype: type, tolerance: float) -> None:
    problem = Problem(case, dtype)
    if way is halves and problem.y.shape[1] == 1:
        way = Im2colConvolution  # a single row has no halves
    x, y = problem.x.copy(), output_like(problem.y, dtype)
    made = way(x, problem.matrix, y, case.spec)
    agree(made, problem, x, y, tolerance)


@pytest.mark.parametrize(
    ("case", "pool", "keep_edge"),
    [
        *[(case, pool, True) for case in CASES for pool in (2, 3)],
        *[(case, pool, False) for case in CASES[:4] for pool in (2, 3)],
    ],
    ids=str,
)
@pytest.mark.parametrize("band_bytes", [1, 262_144])
def test_fused_pooling_in_bands_matches_the_definition(
    case: Case, pool: int, keep_edge: bool, band_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_conv_pool, "BAND_BYTES", band_bytes)
    monkeypatch.setattr(convolution_gradient, "BAND_BYTES", band_bytes)
    problem = Problem(case, np.float64, pool, keep_edge)
    x, y = problem.x.copy(), output_like(problem.y, np.float64)
    made = FusedConvMaxPool(x, problem.matrix, y, case.spec, pool, needs_gradient=True)
    agree(made, problem, x, y, 1e-13)


THREE_BY_THREE = [
    *[case for case in CASES if case.size == 3],
    *[Case(2, 3, rows, 5, 3, padding=1, count=2) for rows in range(1, 9)],
    Case(3, 2, 6, 4, 3, padding=3, count=2),
]


@pytest.mark.parametrize("case", THREE_BY_THREE, ids=str)
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("band_bytes", [1, 262_144])
def test_winograd_matches_the_definition(
    case: Case, pool: int, band_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer_multiplies(monkeypatch)
    monkeypatch.setattr(fused_conv_pool, "BAND_BYTES", band_bytes)
    monkeypatch.setattr(convolution_gradient, "BAND_BYTES", band_bytes)
    problem = Problem(case, np.float64, pool)
    x, y = problem.x.copy(), output_like(problem.y, np.float64)
    if pool == 1:
        made = RowConvolution(x, problem.matrix, y, case.spec)
    else:
        made = FusedConvMaxPool(x, problem.matrix, y, case.spec, pool, needs_gradient=True)
    agree(made, problem, x, y, 1e-13)


def test_winograd_is_accurate_in_float32_over_many_channels() -> None:
    """Chosen automatically here; the error is relative to the largest value, as in all float32 tests."""
    case = Case(64, 32, 9, 10, 3, padding=1, count=2)
    problem = Problem(case, np.float32)
    x, y = problem.x.copy(), output_like(problem.y, np.float32)
    made = RowConvolution(x, problem.matrix, y, case.spec)
    assert isinstance(made._products, WinogradProducts)
    dx, dmatrix = np.zeros(problem.dx.shape, np.float32), np.zeros(problem.matrix.shape, np.float32)
    replay(made.forward() + made.backward(problem.dy, dx, dmatrix))
    for got, expected in ((y, problem.y), (dx, problem.dx), (dmatrix, problem.dmatrix)):
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_winograd_transforms_filter_four_values_with_six_multiplications() -> None:
    a, g, b = winograd.transform_matrices()
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal(6), rng.standard_normal(3)
    assert ((g @ w) * (b @ x)).shape == (6,)
    np.testing.assert_allclose(a @ ((g @ w) * (b @ x)), np.correlate(x, w), atol=1e-13)


@pytest.mark.parametrize("pool", [2, 3])
def test_of_equal_values_in_a_window_the_first_gets_the_gradient(pool: int) -> None:
    """A uniform background makes every window a tie, except at the edge of a stroke."""
    side = 7
    x = np.zeros((1, side, side, 2))
    x[0, 3, 2:5] = 1
    y = np.zeros((1, -(-side // pool), -(-side // pool), 2))
    made = FusedConvMaxPool(x, np.ones((1, 2)), y, ConvSpec(1), pool, needs_gradient=True)
    dx = np.zeros_like(x)
    forward, backward = made.forward(), made.backward(np.ones_like(y), dx, None)
    replay(forward)
    replay(backward)
    expected = np.zeros_like(x)
    for i, j in np.ndindex(y.shape[1:3]):
        window = x[0, i * pool : (i + 1) * pool, j * pool : (j + 1) * pool, 0]
        row, column = np.unravel_index(np.argmax(window), window.shape)
        expected[0, i * pool + row, j * pool + column] = 1
    np.testing.assert_array_equal(dx, expected)


def test_the_algorithm_is_chosen_by_the_shape_alone() -> None:
    def made(count: int, stride: int = 1) -> object:
        x, matrix, y = np.zeros((1, 9, 9, count)), np.zeros((2, 10)), np.zeros((2, 7, 7, count))
        return convolution(x, matrix, y, ConvSpec(3, stride), ThreadPair())

    assert isinstance(made(1), Im2colConvolution)
    assert isinstance(made(64), RowConvolution)
    large = np.zeros((64, 34, 34, 1)), np.zeros((64, 577)), np.zeros((64, 32, 32, 1))
    assert isinstance(convolution(*large, ConvSpec(3, padding=1), ThreadPair()), SplitConvolution)
    maps, pooled = np.zeros((1, 9, 9, 64)), np.zeros((2, 4, 4, 64))
    assert can_fuse_max_pool(maps, pooled, ConvSpec(3), PoolSpec(2, 2))
    assert not can_fuse_max_pool(maps, pooled, ConvSpec(3, stride=2), PoolSpec(2, 2))  # strided
    assert not can_fuse_max_pool(maps, pooled, ConvSpec(3), PoolSpec(3, 2))  # the pool's windows overlap
    assert not can_fuse_max_pool(maps[..., :1], pooled[..., :1], ConvSpec(3), PoolSpec(2, 2))  # rows of few values
