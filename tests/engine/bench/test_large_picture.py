"""Large pictures in bands: the result equals one pass over the whole picture."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.large_picture import Parameters, forward_in_bands, iter_bands
from engine.nn import Network, Plan
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
    Shape,
    ShapeError,
    Tanh,
)

CPU = choose_backend("cpu")
HEAD = (Flatten(), Dense(2))

CHAINS: list[tuple[Layer, ...]] = [
    (Conv2D(3, 5, padding="same"), ReLU(), MaxPool2D()),
    (Conv2D(2, 3), ReLU(), Conv2D(3, 3, padding=1), MaxPool2D(3, 2)),
    (Conv2D(2, 4, stride=3, padding=3), Conv2D(2, 2, stride=2, padding=1)),
    (Conv2D(2, 2, padding=4), MaxPool2D(3, 2, "drop"), Conv2D(2, 3, padding="same", bias=False)),
    (Conv2D(2, 2, stride=4, padding=3), Conv2D(2, 3, padding=3)),
    (Conv2D(2, 5, padding="same", padding_value=-1.0), ReLU(), Conv2D(2, 3, padding=2, padding_value=0.5)),
    (Residual((Conv2D(3, 3, padding=1, padding_value=-1.0), Conv2D(2, 1))), ReLU()),
    (Conv2D(2, 2, stride=4, padding=2), ReLU()),
    (MaxPool2D(5, 3), Conv2D(2, 3, padding="same", mean=True)),
    (Center(), Conv2D(2, 3, padding=1), MaxPool2D(2, 3), AvgPool2D(3, 2), LeakyReLU()),
    (AvgPool2D(4, 2), MaxPool2D(2, 1), AvgPool2D()),
    (Residual((Conv2D(2, 3, padding="same"), ReLU(), Conv2D(2, 5, padding="same"))), MaxPool2D()),
    (Conv2D(3, 3), Residual((Residual((Conv2D(3, 3, padding="same"), Tanh())), ReLU())), Dropout(0.3)),
    (Residual((Conv2D(2, 1, stride=2, padding=2),)), Conv2D(1, 3, padding="same")),
    (BatchNorm2D(), Conv2D(2, 3, padding=2), Residual((Conv2D(2, 3, padding=2), BatchNorm2D(), Conv2D(2, 3)))),
]


def whole_numbers(layers: tuple[Layer, ...], shape: Shape, rng: np.random.Generator) -> Parameters:
    """Parameters whose products are exact in float32, so that the order of summation makes no difference."""
    network = Network((shape[0], shape[1], shape[2]), (*layers, *HEAD), classes=("X", "O"))
    found = {name: rng.integers(-2, 3, size) for name, size in network.parameter_shapes.items()}
    return {name: (abs(v) + 1 if name.endswith("variance") else v).astype(np.float32) for name, v in found.items()}


def in_one_pass(layers: tuple[Layer, ...], parameters: Parameters, picture: np.ndarray) -> np.ndarray:
    network = Network((picture.shape[0], picture.shape[1], picture.shape[2]), (*layers, *HEAD), classes=("X", "O"))
    plan = Plan(network, CPU, 1, keep_outputs=True)
    plan.load(parameters)
    plan.forward(picture[None])
    return plan.outputs()[len(layers)][0]


@pytest.mark.parametrize("layers", CHAINS, ids=lambda chain: "-".join(type(layer).__name__ for layer in chain))
@pytest.mark.parametrize("band_rows", [1, 2, 3, 7, 100, None])
def test_bands_of_any_height_give_what_one_pass_gives(layers: tuple[Layer, ...], band_rows: int | None) -> None:
    rng, tried = np.random.default_rng(3), 0
    # Every height up to three windows of the widest chain, so that strides meet the edge in every way.
    for shape in [(2, height, 5 + height % 4) for height in range(3, 31)]:
        try:
            parameters = whole_numbers(layers, shape, rng)
        except ShapeError:
            continue
        picture = rng.integers(-3, 4, shape).astype(np.float32)
        given = forward_in_bands(layers, parameters, picture, CPU, band_rows)
        expected = in_one_pass(layers, parameters, picture)
        if any(isinstance(layer, BatchNorm2D) for layer in layers):
            # Batch norm divides by roots, so values are no integers and sums are rounded in their order.
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-4)
        else:
            np.testing.assert_array_equal(given, expected)
        tried += 1
    assert tried


def test_bands_come_from_the_top_down_and_leave_no_row_out() -> None:
    layers = (Conv2D(2, 3), MaxPool2D())
    picture = np.ones((1, 25, 8), np.float32)
    parameters = whole_numbers(layers, (1, 8, 8), np.random.default_rng(1))
    given = list(iter_bands(layers, parameters, picture, CPU, 5))
    assert [band.rows for band in given] == [range(0, 5), range(5, 10), range(10, 12)]
    assert [band.maps.shape for band in given] == [(2, 5, 3), (2, 5, 3), (2, 2, 3)]


def test_a_network_reads_a_photograph_of_another_size_with_its_own_parameters() -> None:
    layers = (Conv2D(4, 3, padding="same"), ReLU(), MaxPool2D())
    network = Network((1, 8, 8), (*layers, *HEAD), classes=("X", "O"))
    picture = np.random.default_rng(2).standard_normal((1, 21, 34)).astype(np.float32)
    parameters = network.initial_parameters(1)
    given = forward_in_bands(network.layers[:3], parameters, picture, CPU, 4)
    there = {name: values for name, values in parameters.items() if name.startswith("conv2d-1")}
    larger = there | {"dense-1.weight": np.zeros((2, 4 * 11 * 17), np.float32), "dense-1.bias": np.zeros(2)}
    np.testing.assert_allclose(given, in_one_pass(layers, larger, picture), rtol=1e-5, atol=1e-6)


def test_memory_stays_at_a_few_bands_whatever_the_height() -> None:
    layers = (Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D())
    parameters = {
        "conv2d-1.weight": np.zeros((16, 1, 5, 5), np.float32),
        "conv2d-1.bias": np.zeros(16, np.float32),
    }
    peaks = []
    for height in (200, 2000):
        picture = np.zeros((1, height, 300), np.float32)
        tracemalloc.start()
        for band in iter_bands(layers, parameters, picture, CPU):
            assert band.maps.shape[2] == 150
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The im2col columns of the higher picture alone would be 62 MB.
    assert max(peaks) < 10e6


@pytest.mark.parametrize("last", [Flatten(), GlobalAvgPool()])
def test_a_layer_that_reads_everything_is_refused_by_name(last: Layer) -> None:
    layers = (MaxPool2D(), last)
    with pytest.raises(ShapeError, match=rf"layer 2 \({type(last).__name__}\) needs the whole picture at once"):
        forward_in_bands(layers, {}, np.zeros((1, 8, 8), np.float32), CPU)


def test_what_does_not_fit_is_one_sentence() -> None:
    picture = np.zeros((2, 8, 8), np.float32)
    layers = (Conv2D(1, 3),)
    with pytest.raises(ShapeError, match=r"needs conv2d-1\.weight \(1 × 2 × 3 × 3\), but it is missing\.$"):
        forward_in_bands(layers, {}, picture, CPU)
    with pytest.raises(ShapeError, match=r"but it is 1 × 1 × 3 × 3\.$"):
        forward_in_bands(layers, {"conv2d-1.weight": np.zeros((1, 1, 3, 3), np.float32)}, picture, CPU)
    with pytest.raises(ShapeError, match=r"layer 1 \(Conv2D\) does not fit on 2 × 2 × 8"):
        forward_in_bands(layers, {}, picture[:, :2], CPU)
    with pytest.raises(ShapeError, match="channels × height × width"):
        forward_in_bands(layers, {}, picture[0], CPU)
    with pytest.raises(ValueError, match=r"needs at least 1 row, not 0\.$"):
        forward_in_bands(layers, {}, picture, CPU, 0)
    with pytest.raises(ValueError, match="no layers"):
        forward_in_bands((), {}, picture, CPU)
