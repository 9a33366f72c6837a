"""The engine against PyTorch on random networks: outputs, loss, gradients and running statistics, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend, replay
from engine.bench.cases import LAYER_MODE_CASES, mode_case_id, network_around, random_parameters
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
    ShapeError,
    Sigmoid,
    Tanh,
    Votes,
    derive_rng_key,
    group_by_layer,
)
from tests.engine import reference
from tests.engine.layer_checks import make_plan
from tests.engine.random_networks import random_network

torch = pytest.importorskip("torch", reason="PyTorch, a partner for comparison only, is not installed")
CPU = choose_backend("cpu")


class Partner:
    """The same network in PyTorch. values: tensors by the engine's names; batch norm updates its running
    statistics."""

    def __init__(self, values: dict[str, np.ndarray], training: bool) -> None:
        self.values = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
        self._training = training

    def pass_through(self, layers: tuple[Layer, ...], names: list[str], x: Any, key: int, values: Any) -> list[Any]:
        """Every layer's output. key: the seed that the layers' seeds are derived from."""
        outputs = []
        for place, (name, layer) in enumerate(zip(names, layers, strict=True), 1):
            x = self.layer(layer, x, values.get(name, {}), derive_rng_key(key, place))
            outputs.append(x)
        return outputs

    def layer(self, layer: Layer, x: Any, values: dict[str, Any], key: int) -> Any:
        """One layer's output."""
        functional = torch.nn.functional
        match layer:
            case Conv2D():
                taps = x.shape[1] * layer.size**2 if layer.mean else 1
                padded = functional.pad(x, (layer.pad_width,) * 4, value=layer.padding_value)
                y = functional.conv2d(padded, values["weight"], stride=layer.stride) / taps
                return y + values["bias"][:, None, None] if layer.bias else y
            case MaxPool2D() | AvgPool2D():
                sides = [min(layer.size, side) for side in x.shape[2:]]
                kept = layer.edge == "keep"
                pool = functional.max_pool2d if isinstance(layer, MaxPool2D) else functional.avg_pool2d
                return pool(x, sides, layer.stride, ceil_mode=kept)
            case GlobalAvgPool():
                return functional.adaptive_avg_pool2d(x, 1).flatten(1)
            case ReLU():
                return functional.relu(x)
            case LeakyReLU():
                return functional.leaky_relu(x, layer.slope)
            case Tanh():
                return torch.tanh(x)
            case Sigmoid():
                return torch.sigmoid(x)
            case Flatten():
                return x.flatten(1)
            case Dense():
                return functional.linear(x, values["weight"], values.get("bias"))
            case Votes():
                return functional.linear(x, torch.tensor(layer.weights(x.shape[1], np.float64)))
            case Center():
                return x - values["mean"][:, None, None]
            case Dropout():
                return x * self._coins(layer, x, key) if self._training else x
            case BatchNorm2D():
                mean, variance = values["mean"].detach(), values["variance"].detach()  # moved in place
                rest = (values["weight"], values["bias"], self._training, layer.momentum, layer.epsilon)
                return functional.batch_norm(x, mean, variance, *rest)
            case Residual():
                return x + self.pass_through(layer.layers, layer.ids, x, key, group_by_layer(values))[-1]
        raise AssertionError(f"PyTorch has no partner for {type(layer).__name__}")

    def _coins(self, layer: Dropout, x: Any, key: int) -> Any:
        """The engine's dropout mask, since PyTorch would draw its own."""
        learning = reference.PassMode(training=True)
        return torch.tensor(reference.forward(layer, np.ones(tuple(x.shape)), {}, learning, key))


def compare(
    network: Network, values: dict[str, np.ndarray], batch: int, training: bool, rng: Any, keep: bool = True
) -> None:
    """A forward and a backward pass in both, and the running statistics. keep: compare every output too."""
    images, shares = rng.normal(0, 1, (batch, *network.input_shape)), rng.dirichlet([1, 1], batch)
    options = {"learn": True, "input_gradient": True, "training": training}
    plan = make_plan(network, CPU, batch, values, keep_outputs=keep, **options)
    plan.forward(images)
    plan.backward(shares)

    partner, picture = Partner(values, training), torch.tensor(images, requires_grad=True)
    names = list(network.names[1:])
    outputs = partner.pass_through(network.layers, names, picture, 0, group_by_layer(partner.values))
    loss = torch.nn.functional.cross_entropy(outputs[-1], torch.tensor(shares))
    loss.backward()

    near = {"rtol": 1e-8, "atol": 1e-9}
    for got, wanted in zip(plan.outputs()[1:] if keep else (), outputs, strict=keep):
        np.testing.assert_allclose(got, wanted.detach().numpy(), **near)
    np.testing.assert_allclose(plan.scores.T, outputs[-1].detach().numpy(), **near)
    assert plan.host_losses.mean() == pytest.approx(loss.item(), rel=1e-9)
    np.testing.assert_allclose(plan.input_gradient(), picture.grad.numpy(), **near)
    for name, gradient in plan.parameter_gradients().items():
        wanted = partner.values[name].grad
        np.testing.assert_allclose(gradient, 0 if wanted is None else wanted.numpy(), **near)
    if training:
        replay(plan.update_statistics_calls())
    for name, value in plan.parameters().items():
        np.testing.assert_allclose(value, partner.values[name].detach().numpy(), **near)


@pytest.mark.parametrize("seed", range(200))
def test_random_networks(seed: int) -> None:
    rng = np.random.default_rng(5000 + seed)
    network = random_network(rng)
    # PyTorch refuses to normalize a single value.
    batch = int(rng.integers(2, 5))
    compare(network, random_parameters(network, rng), batch, seed % 2 == 1, rng)


@pytest.mark.parametrize(("layer", "shape", "training"), LAYER_MODE_CASES, ids=mode_case_id)
def test_every_layer_and_its_options(layer: Layer, shape: Any, training: bool) -> None:
    network, rng = network_around(layer, shape), np.random.default_rng(3)
    compare(network, random_parameters(network, rng), 3, training, rng)


@pytest.mark.parametrize("seed", range(60))
def test_larger_networks_whose_maps_nobody_looks_at(seed: int) -> None:
    """Large enough, with so many pictures at once, that the engine chooses other algorithms."""
    rng = np.random.default_rng(9000 + seed)
    layers: list[Layer] = []
    for _ in range(int(rng.integers(1, 4))):
        size, stride = int(rng.integers(1, 8)), int(rng.choice([1, 1, 1, 2]))
        layers.append(Conv2D(int(rng.integers(1, 17)), size, stride, int(rng.integers(0, size))))
        layers.extend([ReLU(), LeakyReLU(), BatchNorm2D(), Tanh()][: int(rng.integers(0, 4))])
        layers.append(
            MaxPool2D(int(rng.integers(1, 4)), int(rng.integers(1, 4)), str(rng.choice(["keep", "drop"])))
        )
    shape = (int(rng.integers(1, 4)), int(rng.integers(16, 40)), int(rng.integers(16, 40)))
    try:
        network = Network(shape, (*layers, GlobalAvgPool(), Dense(2)), classes=("X", "O"))
    except ShapeError:
        network = Network(shape, (*layers[:1], GlobalAvgPool(), Dense(2)), classes=("X", "O"))
    compare(network, random_parameters(network, rng), int(rng.integers(2, 65)), seed % 2 == 1, rng, keep=False)
