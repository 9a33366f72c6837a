"""Batch norm: its running statistics, its dependence on the batch, and when it is frozen."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend, replay
from engine.bench.cases import random_parameters
from engine.nn import Network, Plan
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, Layer, ReLU, Residual
from engine.training import SGD, TrainingConfig, TrainStep
from engine.training import train_step as stepper_module
from engine.training.train_step import chunk_size
from tests.engine import reference
from tests.engine.layer_checks import make_plan

CPU = choose_backend("cpu")
DEEP = Residual((Conv2D(2, 3, padding=1), Residual((BatchNorm2D(0.3), ReLU()))))


def network_of(*layers: Layer, shape: tuple[int, int, int] = (2, 3, 4)) -> Network:
    return Network(shape, (*layers, Flatten(), Dense(2)), classes=("X", "O"))


def settled(plan: Plan, images: np.ndarray) -> dict[str, np.ndarray]:
    """The statistics after an accepted pass."""
    plan.forward(images)
    replay(plan.update_statistics_calls())
    return {name: value for name, value in plan.parameters().items() if name.endswith((".mean", ".variance"))}


def test_the_running_statistics_by_hand() -> None:
    """1, 2, 3, 4: the mean is 2.5; the variance, divided by 4 - 1 as in PyTorch for the running one, is 5/3."""
    network = network_of(BatchNorm2D(0.1), shape=(1, 2, 2))
    plan = make_plan(network, CPU, 1, network.initial_parameters(1), training=True)
    found = settled(plan, np.array([[[[1.0, 2], [3, 4]]]]))
    assert found["batchnorm2d-1.mean"] == pytest.approx([0.25])
    assert found["batchnorm2d-1.variance"] == pytest.approx([0.9 + 0.1 * 5 / 3])


@pytest.mark.parametrize("momentum", [0.1, 0.45, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 1, 1)])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_running_statistics_move_towards_the_batch_s(
    momentum: float, shape: tuple[int, int, int], batch: int
) -> None:
    network, rng = network_of(BatchNorm2D(momentum), shape=shape), np.random.default_rng(4)
    values = random_parameters(network, rng)
    plan = make_plan(network, CPU, batch, values, training=True)
    mean, variance = values["batchnorm2d-1.mean"].copy(), values["batchnorm2d-1.variance"].copy()
    count = batch * shape[1] * shape[2]
    for _ in range(3):
        images = rng.normal(1, 2, (batch, *shape))
        found = settled(plan, images)
        for channel in range(shape[0]):
            here, spread = reference.batch_statistics(images[:, channel])
            mean[channel] += momentum * (here - mean[channel])
            variance[channel] += momentum * (spread * count / max(count - 1, 1) - variance[channel])
        np.testing.assert_allclose(found["batchnorm2d-1.mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(found["batchnorm2d-1.variance"], variance, rtol=1e-12)


def test_the_statistics_inside_stacks_are_gathered_too() -> None:
    network, rng = network_of(DEEP), np.random.default_rng(5)
    values = random_parameters(network, rng)
    plan = make_plan(network, CPU, 3, values, training=True)
    images = rng.normal(0, 1, (3, 2, 3, 4))
    found = settled(plan, images)
    inner = {name.split(".")[-1]: value for name, value in values.items() if ".conv2d-1." in name}
    maps = reference.forward(DEEP.layers[0], images, inner)
    for channel in range(2):
        mean, variance = reference.batch_statistics(maps[:, channel])
        start = "residual-1.residual-1.batchnorm2d-1"
        before = (values[f"{start}.mean"][channel], values[f"{start}.variance"][channel])
        assert found[f"{start}.mean"][channel] == pytest.approx(0.7 * before[0] + 0.3 * mean, rel=1e-12)
        assert found[f"{start}.variance"][channel] == pytest.approx(
            0.7 * before[1] + 0.3 * variance * 36 / 35, rel=1e-12
        )


@pytest.mark.parametrize("layer", [BatchNorm2D(), DEEP])
def test_reading_neither_gathers_nor_mixes(layer: Layer) -> None:
    network, rng = network_of(layer), np.random.default_rng(6)
    values = random_parameters(network, rng)
    plan = make_plan(network, CPU, 3, values, training=False)
    images = rng.normal(0, 1, (3, 2, 3, 4))
    before = plan.forward(images).copy()
    replay(plan.update_statistics_calls())
    for name, value in plan.parameters().items():
        np.testing.assert_array_equal(value, values[name])
    images[1:] = 7
    np.testing.assert_array_equal(plan.forward(images)[:, 0], before[:, 0])


def test_while_learning_brightness_and_contrast_of_a_batch_do_not_matter() -> None:
    network, rng = network_of(BatchNorm2D(epsilon=1e-12)), np.random.default_rng(7)
    plan = make_plan(network, CPU, 4, random_parameters(network, rng), training=True)
    images = rng.normal(0, 1, (4, 2, 3, 4))
    before = plan.forward(images).copy()
    np.testing.assert_allclose(plan.forward(images * 3.5 - 2), before, rtol=1e-9)


def test_a_map_that_is_the_same_everywhere_becomes_its_bias() -> None:
    network = network_of(BatchNorm2D())
    values = random_parameters(network, np.random.default_rng(8))
    plan = make_plan(network, CPU, 2, values, keep_outputs=True, training=True)
    plan.forward(np.full((2, 2, 3, 4), 5.0))
    expected = np.broadcast_to(values["batchnorm2d-1.bias"][:, None, None], (2, 2, 3, 4))
    np.testing.assert_allclose(plan.outputs()[1], expected, rtol=1e-12)


def test_a_variance_below_0_is_refused_with_its_layer_s_name() -> None:
    for layer, name in ((BatchNorm2D(), "batchnorm2d-1"), (DEEP, "residual-1.residual-1.batchnorm2d-1")):
        network = network_of(layer)
        values = network.initial_parameters(1)
        values[f"{name}.variance"][1] = -1e-6
        with pytest.raises(ValueError, match=rf"^The network's {name}\.variance holds values below 0\.$"):
            network.check_parameters(values)


# -- in a training step ---------------------------------------------------------------------------------------


def stepper_of(network: Network, batch: int, rate: float = 0.1, **config: object) -> TrainStep:
    """A train step with random examples, different ones in each step."""
    rng = np.random.default_rng(9)
    stepper = TrainStep(
        network, CPU, TrainingConfig(SGD(rate), batch=batch, **config), network.initial_parameters(3)
    )
    images = rng.normal(0, 1, (20, *network.input_shape)).astype(np.float32)
    shares = rng.dirichlet([1, 1], 20).astype(np.float32)
    order = np.stack([rng.permutation(20)[:batch] for _ in range(4)])
    stepper.load_epoch(images, shares, order, np.full(4, rate, np.float32))
    return stepper


@pytest.mark.parametrize("layer", [BatchNorm2D(), DEEP])
def test_a_batch_is_never_cut(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper_module, "CACHE_BYTES", 1)
    assert chunk_size(network_of(ReLU()), 64) == 1
    network = network_of(ReLU(), layer)
    assert chunk_size(network, 64) == 64
    stepper = stepper_of(network, 6)
    start = stepper.parameters()
    images, shares = np.array(stepper._images), np.array(stepper._shares)
    first = np.array(stepper._order)[0]
    stepper.run(6)
    plan = make_plan(network, CPU, 6, start, learn=True)
    plan.forward(images[first])
    plan.backward(shares[first])
    for name, gradient in plan.parameter_gradients().items():
        np.testing.assert_allclose(stepper.gradients()[name], gradient, rtol=1e-3, atol=1e-5)


def test_frozen_it_stands_still_and_reads_as_it_did() -> None:
    network = network_of(Conv2D(2, 3, padding=1), BatchNorm2D(), DEEP)
    frozen = ("batchnorm2d-1", "residual-1")
    stepper = stepper_of(network, 5, frozen=frozen)
    before = stepper.parameters()
    stepper.run(5, 3)
    after = stepper.parameters()
    assert stepper.is_finite
    for name, value in before.items():
        moved = not np.array_equal(after[name], value)
        assert moved is not name.startswith(frozen), name
    plan = make_plan(network, CPU, 2, before, learn=True, keep_outputs=True, frozen=frozen)
    prediction = make_plan(network, CPU, 2, before, keep_outputs=True)
    images = np.random.default_rng(1).normal(0, 1, (2, 2, 3, 4))
    np.testing.assert_array_equal(plan.forward(images), prediction.forward(images))


def test_a_step_that_is_refused_leaves_the_statistics_as_they_were() -> None:
    network = network_of(Conv2D(2, 3, padding=1), BatchNorm2D())
    stepper = stepper_of(network, 5)
    stepper.run(5)
    before = stepper.parameters()
    assert not np.array_equal(before["batchnorm2d-1.mean"], [0, 0])
    stepper._rates[...] = np.inf
    stepper.run(5)
    assert not stepper.is_finite
    for name, value in stepper.parameters().items():
        np.testing.assert_array_equal(value, before[name])
