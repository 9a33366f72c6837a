"""CUDA kernels against NumPy, on the CPU: every layer and every optimizer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import LAYER_CASES, case_id, network_around, random_parameters
from engine.documents import PRESETS
from engine.nn.layers import Layer, Shape
from engine.training import SGD, AdamW, TrainingConfig, TrainStep
from engine.training.optimizers import Adam
from tests.engine.backends.cuda.cpu_device import IN_ORDER, REVERSED, CpuDevice, compile_ahead, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import (
    MIXED,
    all_calls,
    assert_near,
    examples,
    kernel_backend,
    learning_plan,
    passed,
)

pytestmark = needs_compiler
CPU = choose_backend("cpu")


@pytest.fixture(scope="module", autouse=True)
def kernels_of_all_cases() -> None:
    """Compiled in parallel."""
    kernels = kernel_backend(CpuDevice())
    compile_ahead(
        [call for case in LAYER_CASES for call in all_calls(learning_plan(network_around(*case), kernels, 3))]
    )


@pytest.mark.parametrize("order", [IN_ORDER, REVERSED], ids=["", "reversed"])
@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_every_layer_matches_numpy(case: tuple[Layer, Shape], order: int) -> None:
    """reversed: threads run in reverse order, which reveals missing barriers."""
    network = network_around(*case)
    values = {
        name: v.astype(np.float32) for name, v in random_parameters(network, np.random.default_rng(2)).items()
    }
    images, shares = examples(network, 3)
    got, expected = (
        passed(learning_plan(network, backend, 3), values, images, shares)
        for backend in (kernel_backend(CpuDevice(order=order)), CPU)
    )
    assert_near(got, expected)


@pytest.mark.parametrize(("name", "batch"), [("default", 3), ("walkthrough", 3), ("hanuschkin", 1)])
def test_every_preset_matches_numpy(name: str, batch: int) -> None:
    network = PRESETS[name].network
    images, shares = examples(network, batch)
    plans = (learning_plan(network, backend, batch) for backend in (kernel_backend(CpuDevice(132)), CPU))
    got, expected = (passed(plan, network.initial_parameters(1), images, shares) for plan in plans)
    assert_near(got, expected)


def test_every_preset_is_tested_against_numpy() -> None:
    assert set(PRESETS) == {"default", "walkthrough", "hanuschkin"}


def test_float64_matches_numpy_closely() -> None:
    values = random_parameters(MIXED, np.random.default_rng(4))
    images, shares = examples(MIXED, 5, np.float64)
    got, expected = (
        passed(learning_plan(MIXED, backend, 5, dtype=np.float64), values, images, shares)
        for backend in (kernel_backend(CpuDevice()), CPU)
    )
    assert_near(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(SGD(0.05), batch=6),
        TrainingConfig(SGD(0.05, nesterov=True), batch=6, l2=0.01, clip=0.05),
        TrainingConfig(Adam(0.01), batch=6, clip=1e9),
        TrainingConfig(Adam(0.01, beta1=0, beta2=0), batch=6, frozen=("conv2d-1",)),
        TrainingConfig(AdamW(0.01, decay=0.1), batch=6),
    ],
    ids=["sgd", "nesterov-l2-clip", "adam", "adam-no-memory-frozen", "adamw"],
)
def test_ten_training_steps_end_at_the_same_values(config: TrainingConfig) -> None:
    images, shares = examples(MIXED, 11)
    order = np.random.default_rng(1).integers(0, 11, (10, 6))
    rates = np.geomspace(config.optimizer.rate, config.optimizer.rate / 5, 10).astype(np.float32)
    ends = []
    for backend in (CPU, kernel_backend(CpuDevice(), fuse=True)):
        stepper = TrainStep(MIXED, backend, config, MIXED.initial_parameters(3))
        stepper.load_epoch(images, shares, order, rates)
        stepper.run(6, 9)
        stepper.run(5)
        assert stepper.is_finite
        assert stepper.steps_made == 10
        memory = stepper.optimizer_state()
        ends.append(stepper.parameters() | memory | {"losses": stepper.losses(0, 10)})
    assert_near(ends[1], ends[0], rtol=0, atol=1e-4)
