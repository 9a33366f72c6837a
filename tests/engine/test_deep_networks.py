"""A thousand layers: building, running, training, saving and reading, without recursion or work that grows faster
than the number of layers."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import load_model, save_model
from engine.nn import Model, Network, Plan, Predictor
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, Layer, ReLU, Residual
from engine.training import TrainingConfig, TrainStep
from engine.training.optimizers import Adam

CPU = choose_backend("cpu")
# Stack frames beyond those of the test itself; recursion over a thousand layers would need a thousand.
FRAMES = 60


def plain(count: int) -> tuple[Layer, ...]:
    """`count` layers in a chain."""
    return ((Conv2D(2, 1), BatchNorm2D(), ReLU(), Dropout(0.1)) * (count // 4 + 1))[:count]


def stacks(count: int) -> tuple[Layer, ...]:
    """`count` residual blocks of two layers each."""
    return (Residual((Conv2D(2, 1), BatchNorm2D())),) * count


def one_stack(count: int) -> tuple[Layer, ...]:
    """One residual block of `count` layers."""
    return (Residual((*plain(count - 1), Conv2D(2, 1))),)


BUILDERS = pytest.mark.parametrize("make", [plain, stacks, one_stack])


def network_of(layers: tuple[Layer, ...]) -> Network:
    return Network((1, 2, 2), (Conv2D(2, 1), *layers, Flatten(), Dense(2)), classes=("X", "O"))


def work(does: Callable[[], object]) -> Counter[str]:
    """The number of calls of every function, in Python and in C, during a call."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            calls[argument.__qualname__] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        does()
    finally:
        sys.setprofile(before)
    return calls


def few_frames(does: Callable[[], Any]) -> Any:
    """The result of a call made with hardly any stack frames left for recursion."""
    depth, limit = 0, sys.getrecursionlimit()
    frame = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + FRAMES)
    try:
        return does()
    finally:
        sys.setrecursionlimit(limit)


def learn(network: Network) -> TrainStep:
    """Two steps with everything that a step can have."""
    rng = np.random.default_rng(1)
    stepper = TrainStep(
        network, CPU, TrainingConfig(Adam(), batch=4, l2=0.1, clip=1.0), network.initial_parameters(1)
    )
    shares = rng.dirichlet([1, 1], 4).astype(np.float32)
    images = rng.normal(0, 1, (4, 1, 2, 2)).astype(np.float32)
    stepper.load_epoch(images, shares, np.tile(np.arange(4), (2, 1)), np.full(2, 0.01, np.float32))
    stepper.run(4, 2)
    return stepper


@BUILDERS
def test_a_thousand_layers_are_built_read_and_trained_without_recursion(make: Callable[[int], Any]) -> None:
    network = few_frames(lambda: network_of(make(1000)))
    assert few_frames(lambda: Network.from_json(json.loads(json.dumps(network.to_json())))) == network
    stepper = few_frames(lambda: learn(network))
    assert stepper.is_finite
    before, after = network.initial_parameters(1), stepper.parameters()
    assert len(after) > 1000
    moved = sum(not np.array_equal(after[name], value) for name, value in before.items())
    assert moved > 0.5 * len(after)
    plan = few_frames(lambda: Plan(network, CPU, 1, keep_outputs=True))
    plan.load(after)
    few_frames(lambda: plan.forward(np.ones((1, 1, 2, 2), np.float32)))
    assert all(np.isfinite(output).all() for output in plan.outputs())


def everything(network: Network) -> None:
    """Everything but files."""
    assert Network.from_json(network.to_json()).costs == network.costs
    network.check_parameters(network.initial_parameters(1))
    plan = Plan(network, CPU, 2, keep_outputs=True)
    plan.load(network.initial_parameters(1))
    plan.forward(np.zeros((2, 1, 2, 2)))
    plan.outputs()
    stepper = learn(network)
    stepper.restore(stepper.parameters(), stepper.optimizer_state())
    stepper.gradients()


@BUILDERS
def test_twice_the_layers_are_twice_the_work(make: Callable[[int], Any]) -> None:
    small, middle, large = (
        work(lambda count=count: everything(network_of(make(count)))) for count in (40, 80, 160)
    )
    assert large.total() - middle.total() > 3_000
    for function, calls in large.items():
        grown = middle[function] - small[function]
        assert calls - middle[function] <= 2 * max(grown, 0) + 20, function


def test_a_deep_network_is_saved_and_opened_and_reads(tmp_path: Path) -> None:
    network = network_of(stacks(1000))
    model = Model("Deep", network, network.initial_parameters(1))
    save_model(tmp_path / "deep.safetensors", model)
    back = load_model(tmp_path / "deep.safetensors")
    assert back.network == network
    prediction = Predictor(back, CPU).predict(np.ones((2, 2), np.float32))
    assert len(prediction.activations) == len(network.layers) + 1
    assert list(prediction.named_activations()) == [*network.names, "votes"]
