"""Padding with the background: the maps of a blank drawing are calm on every device, and files keep the value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backends import Backend, choose_backend
from engine.documents import DEFAULT, load_model, save_model, shipped_model
from engine.nn import Model, Network, Plan, Predictor
from engine.nn.layers import Center, Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Residual
from engine.nudging import LossProbe
from tests.engine.backends.cuda.cpu_device import CpuDevice, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import kernel_backend

CPU = choose_backend("cpu")
BLANK = -1.0


def around(first: tuple[Layer, ...], side: int = 24) -> Network:
    return Network((1, side, side), (*first, Flatten(), Dense(2)), classes=("X", "O"))


# Convolutions that NumPy computes by rows, in tiles (Winograd), in the frequency domain, and with a stride.
NETWORKS = [
    around((Conv2D(8, 5, padding="same", padding_value=BLANK),)),
    around((Conv2D(4, 3, padding=2, padding_value=BLANK, mean=True),)),
    around((Conv2D(4, 3, stride=2, padding=3, padding_value=BLANK),)),
    around((Conv2D(12, 10, padding=4, padding_value=BLANK),), 32),
    around((Residual((Conv2D(3, 3, padding="same", padding_value=BLANK), ReLU(), Conv2D(1, 1))),)),
    around((Conv2D(64, 1), Conv2D(64, 3, padding="same", padding_value=BLANK)), 8),
]


def first_maps(network: Network, backend: Backend, batch: int, picture: float = BLANK, **options: Any) -> Any:
    """The maps before the list, for a blank drawing."""
    plan = Plan(network, backend, batch, keep_outputs=True, **options)
    values = network.initial_parameters(1)
    for name in (name for name in values if name.endswith(".weight")):
        values[name] += 0.1  # initial weights are centred: their maps of a blank drawing are 0
    if len(network.layers) == 4:  # a convolution that only repeats the picture
        values["conv2d-1.weight"][:] = 1
    plan.load(values)
    plan.forward(np.full((batch, *network.input_shape), picture, np.float32))
    return plan.outputs()[-3]


def unevenness(maps: Any) -> float:
    """The largest difference from a map's first value."""
    return float(np.abs(maps - maps[..., :1, :1]).max())


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: str(network.layers[0])[:60])
def test_the_maps_of_a_blank_drawing_are_the_same_everywhere(network: Network, learn: bool, batch: int) -> None:
    maps = first_maps(network, CPU, batch, learn=learn)
    assert np.abs(maps).max() > 0.01
    assert unevenness(maps) < 2e-5
    with_ink = first_maps(network, CPU, batch, picture=1.0, learn=learn)
    assert unevenness(with_ink) > 0.1


@needs_compiler
@pytest.mark.parametrize("batch", [1, 4])
def test_a_gpu_computes_them_so_too(batch: int) -> None:
    network = around((Conv2D(2, 5, padding="same", padding_value=BLANK),), 9)
    assert unevenness(first_maps(network, kernel_backend(CpuDevice()), batch)) < 2e-5


def test_with_the_pool_in_one_operation_the_scores_are_the_same() -> None:
    network = around((Conv2D(8, 5, padding="same", padding_value=BLANK), MaxPool2D(), ReLU()))
    values, picture = network.initial_parameters(1), np.random.default_rng(1).uniform(-1, 1, (1, 1, 24, 24))
    scores = []
    for keep in (True, False):
        plan = Plan(network, CPU, 1, keep_outputs=keep)
        plan.load(values)
        scores.append(np.array(plan.forward(picture)))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_nudging_sees_the_padding() -> None:
    """A nudge below a padded layer gives the loss that a whole pass with that value gives."""
    network = around((Conv2D(2, 1), ReLU(), Conv2D(2, 3, padding=1, padding_value=0.75)), 6)
    probe = LossProbe(network, 2)
    probe.base.load(network.initial_parameters(1))
    batch = np.random.default_rng(1).uniform(-1, 1, (2, 1, 6, 6)), np.eye(2)
    before = probe.set_batch(*batch)
    nudged = probe.perturbed_losses(0, [(0, 2.5)])[0].copy()
    probe.parameter_vector[0] = 2.5
    np.testing.assert_allclose(nudged, probe.set_batch(*batch), rtol=1e-12)
    assert np.abs(nudged - before).max() > 1e-3


def test_after_centring_the_background_is_what_centring_made_of_it() -> None:
    """A mean of -0.8 leaves -0.2 of the background."""
    network = around((Center(), Conv2D(3, 3, padding=1, padding_value=-0.2)), 8)
    values = network.initial_parameters(1)
    values["center-1.mean"][:] = -0.8
    plan = Plan(network, CPU, 1, keep_outputs=True)
    plan.load(values)
    plan.forward(np.full((1, 1, 8, 8), BLANK, np.float32))
    assert unevenness(plan.outputs()[2]) < 1e-6


def test_files_keep_it_and_files_without_it_mean_0(tmp_path: Path) -> None:
    network = NETWORKS[0]
    described = json.loads(json.dumps(network.to_json()))
    assert Network.from_json(described) == network
    del described["layers"][0]["padding_value"]
    assert Network.from_json(described).layers[0] == Conv2D(8, 5, padding="same")
    model = Model("Padded", network, network.initial_parameters(1))
    save_model(tmp_path / "padded.safetensors", model)
    again = load_model(tmp_path / "padded.safetensors")
    assert again.network == network
    one, other = (Predictor(each, CPU).predict(np.full((24, 24), BLANK, np.float32)) for each in (model, again))
    np.testing.assert_array_equal(one.activations[-1], other.activations[-1])


def test_the_shipped_network_is_the_preset_and_a_blank_canvas_gives_calm_maps() -> None:
    model = shipped_model("default")
    assert model.network == DEFAULT.network
    first = Predictor(model, CPU).predict(np.full((48, 48), BLANK, np.float32)).activations[1]
    assert unevenness(first) < 1e-5


def test_the_terms_of_a_weight_s_gradient_include_the_padding() -> None:
    layer = Conv2D(2, 3, stride=2, padding=2, padding_value=BLANK)
    network = around((layer,), 7)
    plan = Plan(network, CPU, 3, dtype=np.float64, keep_outputs=True, learn=True)
    plan.load(network.initial_parameters(1))
    images = np.random.default_rng(1).uniform(-1, 1, (3, 1, 7, 7))
    plan.forward(images)
    plan.backward(np.eye(2)[[0, 1, 1]])
    dy = np.moveaxis(np.asarray(plan.layer_arrays[0].dy), -1, 0)
    gradient = plan.parameter_gradients()["conv2d-1.weight"]
    for index in np.ndindex(gradient.shape):
        terms = layer.gradient_terms("weight", index, images, dy)
        np.testing.assert_allclose(terms.per_example().sum(), gradient[index], rtol=1e-9, atol=1e-12)


class TorchInNumpy:
    """torch.conv2d and torch.nn.functional.pad, by their definitions."""

    class nn:
        class functional:
            @staticmethod
            def pad(x: np.ndarray, frame: tuple[int, ...], value: float) -> np.ndarray:
                left, right, top, bottom = frame
                return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)

    @staticmethod
    def conv2d(x: np.ndarray, weight: Any, bias: Any, stride: int, padding: int) -> np.ndarray:
        x, size = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))), weight.shape[-1]
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]
        summed = np.einsum("nchwab,fcab->nfhw", windows, weight)
        return summed if bias is None else summed + bias[:, None, None]


class Tensor(np.ndarray):
    """With the method of PyTorch's tensors that the layer uses."""

    def numel(self) -> int:
        return self.size


@pytest.mark.parametrize("value", [0.0, BLANK])
@pytest.mark.parametrize("mean", [False, True])
def test_pytorch_is_given_the_same_work(value: float, mean: bool) -> None:
    """PyTorch itself is compared with where it is installed."""
    layer = Conv2D(3, 3, stride=2, padding=2, mean=mean, padding_value=value)
    network, images = around((layer,), 7), np.random.default_rng(1).uniform(-1, 1, (2, 1, 7, 7))
    values = network.initial_parameters(1)
    plan = Plan(network, CPU, 2, dtype=np.float64, keep_outputs=True)
    plan.load(values)
    plan.forward(images)
    tensors = {name: values[f"conv2d-1.{name}"].astype(float).view(Tensor) for name in ("weight", "bias")}
    given = layer.in_torch(TorchInNumpy, tensors)(images)
    np.testing.assert_allclose(given, plan.outputs()[1], rtol=1e-10, atol=1e-12)
