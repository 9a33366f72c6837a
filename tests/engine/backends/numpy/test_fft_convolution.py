"""Convolution in the frequency domain against the definition, and when it is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from engine.backends import ConvSpec, choose_backend, preferred_batch, replay
from engine.backends.convolution_cost import is_fourier_faster
from engine.backends.numpy.fft_convolution import FourierConvolution
from engine.documents.presets import HANUSCHKIN
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.training.train_step import chunk_size

# in_channels, out_channels, padded height and width, kernel size, padding, examples, normalizer, bias.
CASES = [
    (1, 1, 5, 5, 3, 0, 1, 1, True),
    (2, 3, 9, 8, 3, 1, 2, 1, True),
    (3, 2, 7, 10, 4, 2, 3, 48, True),
    (2, 4, 8, 8, 8, 3, 2, 1, False),
    (1, 2, 11, 6, 5, 0, 4, 25, False),
    (3, 5, 6, 9, 1, 0, 2, 1, True),
]


def windows(x: np.ndarray, size: int) -> np.ndarray:
    """(C, H', W', N, size, size): all windows."""
    return sliding_window_view(x, (size, size), (1, 2))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_and_gradients_match_the_definition(case: tuple) -> None:
    channels, out_channels, height, width, size, padding, count, normalizer, bias = case
    rng = np.random.default_rng(1)
    x = rng.standard_normal((channels, height, width, count))
    matrix = rng.standard_normal((out_channels, channels * size * size + bias))
    weights = matrix[:, : channels * size * size].reshape(out_channels, channels, size, size) / normalizer
    shape = (out_channels, height - size + 1, width - size + 1, count)
    # Non-contiguous, as inside the padding of the next layer.
    y = np.zeros((out_channels, shape[1] + 2, shape[2] + 2, count))[:, 1:-1, 1:-1]
    dy, dmatrix = rng.standard_normal(shape), np.zeros_like(matrix)
    dx = np.zeros((channels, height - 2 * padding, width - 2 * padding, count))
    made = FourierConvolution(x, matrix, y, ConvSpec(size, 1, padding, normalizer))
    forward, backward = made.forward(), made.backward(dy, dx, dmatrix)
    for _ in range(2):  # the second time, nothing may be left of the first
        replay(forward)
        replay(backward)

    expected = np.einsum("chwnab,fcab->fhwn", windows(x, size), weights)
    if bias:
        expected += matrix[:, -1][:, None, None, None]
        np.testing.assert_allclose(dmatrix[:, -1], dy.sum((1, 2, 3)), atol=1e-11)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    dweights = np.einsum("chwnab,fhwn->fcab", windows(x, size), dy) / normalizer
    np.testing.assert_allclose(dmatrix[:, : channels * size * size], dweights.reshape(out_channels, -1), atol=1e-11)
    around = np.pad(dy, ((0, 0), (size - 1, size - 1), (size - 1, size - 1), (0, 0)))
    padded = np.einsum("fhwnab,fcab->chwn", windows(around, size), weights[:, :, ::-1, ::-1])
    inside = padded[:, padding : height - padding, padding : width - padding]
    np.testing.assert_allclose(dx, inside, atol=1e-11)


def test_the_frequency_domain_is_chosen_for_large_kernels_over_many_channels_only() -> None:
    assert is_fourier_faster((16, 64, 64, 32), 32, 10)
    assert not is_fourier_faster(
        (1, 124, 124, 32), 16, 10
    )  # one input channel: its spectrum is used by too few kernels
    assert not is_fourier_faster((16, 64, 64, 4), 32, 10)  # products too thin
    assert not is_fourier_faster((16, 64, 64, 32), 32, 3)
    assert not is_fourier_faster((256, 64, 64, 32), 256, 10)  # more memory than it may take
    assert preferred_batch((16, 64, 64), 32, 10) == 32
    assert preferred_batch((1, 32, 32), 8, 5) == 1


def test_chunks_of_a_batch_suit_the_frequency_domain_and_both_threads() -> None:
    assert chunk_size(HANUSCHKIN.network, 64) == 32
    assert chunk_size(HANUSCHKIN.network, 32) == 16


def test_gradients_hardly_depend_on_the_convolution_algorithm() -> None:
    network = Network(
        (8, 24, 24),
        (Conv2D(12, 9, padding=4), ReLU(), MaxPool2D(5, 2, "drop"), Flatten(), Dense(2)),
        classes=("X", "O"),
    )
    images = np.random.default_rng(2).standard_normal((16, 8, 24, 24)).astype(np.float32)
    shares = np.tile(np.float32([[1, 0], [0, 1]]), (8, 1))
    many = _gradient(network, images, shares)
    single = np.mean([_gradient(network, images[n : n + 1], shares[n : n + 1]) for n in range(16)], 0)
    assert is_fourier_faster((8, 32, 32, 16), 12, 9)
    assert not is_fourier_faster((8, 32, 32, 1), 12, 9)
    np.testing.assert_allclose(many, single, rtol=0, atol=2e-5 * np.abs(single).max())


def _gradient(network: Network, images: np.ndarray, shares: np.ndarray) -> np.ndarray:
    plan = Plan(network, choose_backend("cpu"), len(images), learn=True)
    plan.load(network.initial_parameters(3))
    plan.forward(images)
    plan.backward(shares)
    return plan.gradient_vector.copy()
