"""Optimizers against their published formulas in Python floats, and against PyTorch if installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.backends import UpdateArrays, choose_backend, replay
from engine.nn import Network, Plan, targets
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, Residual, Tanh
from engine.training import SGD, AdamW, Optimizer, TrainingConfig, TrainStep
from engine.training.optimizers import Adam

CPU = choose_backend("cpu")
GRADIENTS = (0.5, -3.0, 0.25, 0.0, 2.0, -1e-4, 7.0)
RATES = (0.1, 0.1, 0.05, 0.2, 0.0, 0.01, 0.1)


def path(optimizer: Optimizer, gradients: Sequence[float], rates: Sequence[float], weight: float) -> list[float]:
    """A value that starts at 1, after each of these gradients; weight: 1 if weight decay applies, else 0."""
    values, gradient, clock = np.ones(1), np.zeros(1), np.zeros(1, np.int64)
    vectors = {name: np.zeros(1) for name in optimizer.state_names}
    moving = UpdateArrays(values, gradient, np.array([weight]), vectors, np.zeros(1), np.array(rates), clock)
    update, found = optimizer.update(CPU.operations, moving), []
    for given in gradients:
        gradient[:] = given
        replay(update)
        clock += 1
        found.append(float(values[0]))
    return found


def classical_momentum(momentum: float) -> Iterator[float]:
    """Polyak 1964, in the notation of Sutskever et al. 2013, equations 1 and 2."""
    w, v = 1.0, 0.0
    for g, rate in zip(GRADIENTS, RATES, strict=True):
        v = momentum * v - rate * g
        w = w + v
        yield w


def adam(beta1: float, beta2: float, epsilon: float, decay: float = 0.0) -> Iterator[float]:
    """Kingma and Ba 2015, algorithm 1, with the decay of Loshchilov and Hutter 2019, algorithm 2, line 12."""
    w, m, v = 1.0, 0.0, 0.0
    for t, (g, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w = w - (rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon) + rate * decay * w)
        yield w


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.95])
def test_sgd_follows_its_formula(momentum: float) -> None:
    got = path(SGD(0.1, momentum), GRADIENTS, RATES, 1)
    np.testing.assert_allclose(got, list(classical_momentum(momentum)), rtol=1e-13)


@pytest.mark.parametrize("momentum", [0.3, 0.95])
def test_nesterov_stands_where_its_original_looks_ahead(momentum: float) -> None:
    """Sutskever et al. 2013, equations 3 and 4: v = momentum * v - rate * f'(theta + momentum * v); theta += v.

    The values here are theta + momentum * v, for f(x) = 2 x^2 and a constant rate.
    """
    optimizer, rate = SGD(0.1, momentum, nesterov=True), 0.1
    theta, v, looked, gradients = 1.0, 0.0, [], []
    for _ in range(8):
        gradients.append(4 * (theta + momentum * v))
        v = momentum * v - rate * gradients[-1]
        theta += v
        looked.append(theta + momentum * v)
    np.testing.assert_allclose(path(optimizer, gradients, [rate] * 8, 1), looked, rtol=1e-12)


@pytest.mark.parametrize("settings", [(0.9, 0.999, 1e-8), (0.0, 0.5, 0.1), (0.5, 0.0, 1e-3)])
def test_adam_follows_its_formula(settings: tuple[float, float, float]) -> None:
    got = path(Adam(0.1, *settings), GRADIENTS, RATES, 1)
    np.testing.assert_allclose(got, list(adam(*settings)), rtol=1e-11)


@pytest.mark.parametrize(("weight", "decay"), [(1, 0.3), (0, 0.0)])
def test_adamw_follows_its_formula_and_shortens_weights_only(weight: float, decay: float) -> None:
    got = path(AdamW(0.1, decay=0.3), GRADIENTS, RATES, weight)
    np.testing.assert_allclose(got, list(adam(0.9, 0.999, 1e-8, decay)), rtol=1e-11)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SGD(0), "learning rate must be a number above 0"),
        (lambda: SGD(math.nan), "learning rate must be a number above 0"),
        (lambda: SGD(1e39), "learning rate must be a number above 0"),
        (lambda: SGD(0.1, 1), "momentum must be at least 0 and below 1"),
        (lambda: SGD(0.1, -0.1), "momentum must be at least 0 and below 1"),
        (lambda: SGD(0.1, 0.0, nesterov=True), "Nesterov's look ahead needs a momentum"),
        (lambda: Adam(0.1, beta1=1), "betas must be at least 0 and below 1"),
        (lambda: Adam(beta2=-0.1), "betas must be at least 0 and below 1"),
        (lambda: Adam(epsilon=0), "epsilon must be from"),
        (lambda: Adam(epsilon=1e-60), "epsilon must be from"),
        (lambda: Adam(epsilon=math.nan), "epsilon must be from"),
        (lambda: AdamW(decay=-1), "decay must be a number from 0"),
        (lambda: AdamW(decay=math.inf), "decay must be a number from 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        make()
    assert str(raised.value).endswith(".")


# --- in a network: weight decay, L2 penalty and clipping

LAYERS = (
    Conv2D(3, 3, padding="same"),
    BatchNorm2D(),
    Residual((Conv2D(3, 3, padding="same"), Tanh())),
    MaxPool2D(),
    Flatten(),
    Dense(3),
)
NETWORK = Network((1, 6, 6), LAYERS, ("a", "b", "c"))
WEIGHTS = {"conv2d-1.weight", "residual-1.conv2d-1.weight", "dense-1.weight"}
RNG = np.random.default_rng(4)
IMAGES = RNG.uniform(-1, 1, (8, 1, 6, 6)).astype(np.float32)
LABELS = np.arange(8) % 3
START = {name: RNG.normal(0, 0.4, shape).astype(np.float32) for name, shape in NETWORK.parameter_shapes.items()}
START["batchnorm2d-1.variance"] = np.ones(3, np.float32)


def gradients(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The gradient of the mean loss over all examples, computed by a plan alone."""
    plan = Plan(NETWORK, CPU, len(IMAGES), learn=True)
    plan.load(parameters)
    plan.forward(IMAGES)
    plan.backward(targets(LABELS, 3))
    return plan.parameter_gradients()


def steps_of(config: TrainingConfig, count: int) -> list[dict[str, np.ndarray]]:
    """The parameters at the start, and after each of `count` steps with all examples."""
    stepper = TrainStep(NETWORK, CPU, config, START)
    order = np.tile(np.arange(8), (count, 1))
    stepper.load_epoch(IMAGES, targets(LABELS, 3), order, np.full(count, config.optimizer.rate, np.float32))
    found = [stepper.parameters()]
    for _ in range(count):
        stepper.run(8)
        found.append(stepper.parameters())
    return found


def length(arrays: dict[str, np.ndarray]) -> float:
    return math.sqrt(math.fsum(float(value) ** 2 for array in arrays.values() for value in array.ravel()))


@pytest.mark.parametrize("l2", [0.0, 0.7])
@pytest.mark.parametrize("clip", [None, 0.05, 1e3])
def test_l2_is_added_to_weights_alone_and_then_the_whole_is_clipped(l2: float, clip: float | None) -> None:
    went = steps_of(TrainingConfig(SGD(0.1, 0.0), batch=8, l2=l2, clip=clip), 3)
    for before, after in pairwise(went):
        wanted = gradients(before)
        wanted = {name: g + l2 * before[name] if name in WEIGHTS else g for name, g in wanted.items()}
        norm = length(wanted)
        assert norm > 0.05
        shorter = 1.0 if clip is None else min(1.0, clip / norm)
        for name, g in wanted.items():
            np.testing.assert_allclose(after[name], before[name] - 0.1 * shorter * g, rtol=1e-5, atol=1e-6)


def test_decay_shortens_weights_alone() -> None:
    plain, decayed = (
        steps_of(TrainingConfig(Adam(0.1), batch=8), 1)[1],
        steps_of(TrainingConfig(AdamW(0.1, decay=0.5), batch=8), 1)[1],
    )
    for name, values in plain.items():
        shorter = 0.1 * 0.5 * START[name] if name in WEIGHTS else 0.0
        np.testing.assert_allclose(decayed[name], values - shorter, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("gradient", "clipped"),
    [
        ((0.6, 0.7), (0.6, 0.7)),
        ((0.9, 1.2), (0.6, 0.8)),
        ((0.0, -50.0), (0.0, -1.0)),
        ((0.6006, -0.8008), (0.6, -0.8)),
        ((0.5994, -0.7992), (0.5994, -0.7992)),
    ],
)
def test_only_a_gradient_longer_than_the_limit_is_shortened(
    gradient: tuple[float, float], clipped: tuple[float, float]
) -> None:
    values = np.array(gradient, np.float32)
    replay(CPU.operations.clip_norm(values, 1.0))
    np.testing.assert_allclose(values, clipped, rtol=1e-6)


def test_a_gradient_whose_square_overflows_is_clipped_all_the_same() -> None:
    gradient = np.array([3e30, 4e30], np.float32)
    with np.errstate(over="ignore"):
        replay(CPU.operations.clip_norm(gradient, 10.0))
    np.testing.assert_allclose(gradient, [6, 8], rtol=1e-6)


# --- against PyTorch

TORCH_LAYERS = (Conv2D(4, 3, padding=1), Tanh(), MaxPool2D(), Flatten(), Dense(3))


def torch_path(
    torch: Any, config: TrainingConfig, start: dict[str, np.ndarray], order: np.ndarray
) -> dict[str, np.ndarray]:
    """The final values of PyTorch's optimizer of the same kind."""
    values = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    proper = [value for value in values.values() if value.ndim > 1]
    others = [value for value in values.values() if value.ndim == 1]
    optimizer, chosen = config.optimizer, torch.optim
    groups = [{"params": proper, "weight_decay": getattr(optimizer, "decay", config.l2)}]
    groups.append({"params": others, "weight_decay": 0.0})
    if isinstance(optimizer, Adam):
        kind = chosen.AdamW if isinstance(optimizer, AdamW) else chosen.Adam
        partner = kind(groups, optimizer.rate, (optimizer.beta1, optimizer.beta2), optimizer.epsilon)
    else:
        partner = chosen.SGD(groups, optimizer.rate, optimizer.momentum, nesterov=optimizer.nesterov)
    functional = torch.nn.functional
    for row in order:
        x = functional.conv2d(
            torch.tensor(IMAGES[row]), values["conv2d-1.weight"], values["conv2d-1.bias"], padding=1
        )
        x = functional.max_pool2d(torch.tanh(x), 2).flatten(1)
        x = functional.linear(x, values["dense-1.weight"], values["dense-1.bias"])
        partner.zero_grad()
        functional.cross_entropy(x, torch.tensor(LABELS[row])).backward()
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(values.values(), config.clip)
        partner.step()
    return {name: value.detach().numpy() for name, value in values.items()}


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(SGD(0.1, 0.0), batch=4),
        TrainingConfig(SGD(0.1, 0.9), batch=4, l2=0.05),
        TrainingConfig(SGD(0.1, 0.9, nesterov=True), batch=4, clip=0.2),
        TrainingConfig(Adam(0.01), batch=4, l2=0.05),
        TrainingConfig(Adam(0.01, 0.5, 0.9, 1e-3), batch=4),
        TrainingConfig(AdamW(0.01, decay=0.3), batch=4, clip=0.2),
    ],
    ids=lambda config: f"{config.optimizer.kind}-{config.l2}-{config.clip}",
)
def test_pytorch_goes_the_same_way_while_the_rate_stays(config: TrainingConfig) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch, an optional partner, is not installed")
    network = Network((1, 6, 6), TORCH_LAYERS, ("a", "b", "c"))
    start, order = network.initial_parameters(3), np.random.default_rng(5).integers(0, 8, (25, 4))
    stepper = TrainStep(network, CPU, config, start)
    stepper.load_epoch(IMAGES, targets(LABELS, 3), order, np.full(25, config.optimizer.rate, np.float32))
    stepper.run(4, 25)
    expected = torch_path(torch, config, start, order)
    for name, values in stepper.parameters().items():
        assert np.abs(values - start[name]).max() > 0.01
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=2e-5)


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), SGD(0.1, 0.9, nesterov=True), Adam(0.1), AdamW(0.1)])
def test_what_is_hardly_remembered_any_more_becomes_nothing_before_it_has_lost_its_digits(
    optimizer: Optimizer,
) -> None:
    smallest = np.finfo(np.float32).tiny  # below it a processor takes a hundred times longer
    gradient, clock = np.array([1.0, 0.0, 1e-9], np.float32), np.zeros(1, np.int64)
    vectors = {name: np.array([0, 1e-25, 0], np.float32) for name in optimizer.state_names}
    rates, weights = np.full(3000, 1e-3, np.float32), np.ones(3, np.float32)
    moving = UpdateArrays(np.ones(3, np.float32), gradient, weights, vectors, np.zeros(1, np.float32), rates, clock)
    update = optimizer.update(CPU.operations, moving)
    for _ in range(3000):
        replay(update)
        clock += 1
        for memory in vectors.values():
            assert not ((memory != 0) & (np.abs(memory) < smallest)).any()
    first = next(iter(vectors.values()))
    assert first[0] != 0
    assert first[1] == 0
    assert first[2] != 0
