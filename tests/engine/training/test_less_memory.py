"""On a GPU with little memory the same networks train as on the processor, in parts smaller than the whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backends import Backend, ComputeDevice, choose_backend
from engine.backends.cuda import DeviceFault
from engine.data import FixedSource, GeneratedSource
from engine.data.xo import XOSettings
from engine.nn import BatchPredictor, Model, Network, Plan, Predictor, largest_batch
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.training import SGD, Evaluated, Trainer, TrainingConfig, TrainStep, can_cut
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import needs_compiler

pytestmark = needs_compiler
CPU = choose_backend("cpu")
DATA = XOSettings(side=12, size=(0.6, 1.0))
NETWORK = Network((1, 12, 12), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), ("X", "O"))
MIXED = Network((1, 12, 12), (Conv2D(4, 3), BatchNorm2D(), ReLU(), Flatten(), Dense(2)), ("X", "O"))
CONFIG = TrainingConfig(SGD(0.05), batch=20, epochs=2)
EXAMPLES = GeneratedSource(DATA, 45, 1).epoch(0)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fake CuPy module, whose GPU computes on the CPU."""
    module = fake_cupy.fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def bytes_of_steps(network: Network, backend: Backend, cupy: Any, batch: int) -> int:
    """What a step with this batch takes of the memory of the GPU, without the examples."""
    step = TrainStep(network, backend, replace(CONFIG, batch=batch), network.initial_parameters(1))
    order = np.arange(batch)[None] % len(EXAMPLES)
    step.load_epoch(
        EXAMPLES.images, np.eye(2, dtype=np.float32)[EXAMPLES.labels % 2], order, np.ones(1, np.float32)
    )
    held = cupy.gpu.taken
    step.run(batch)
    return int(cupy.gpu.taken - held)


@pytest.mark.parametrize("batch", [20, 21, 23])
def test_a_step_in_parts_takes_less_than_a_step_at_once(batch: int, cupy: Any) -> None:
    """One set of buffers for all parts, and none for a rest as large as they are."""
    gpu = choose_backend("gpu")
    whole = bytes_of_steps(NETWORK, gpu, cupy, batch)
    cupy.gpu.memory = cupy.gpu.taken + 60_000 + 2 * NETWORK.image_bytes * batch
    for share in (0.5, 0.25):
        parts = bytes_of_steps(NETWORK, replace(gpu, memory_share=share), cupy, batch)
        assert parts < 1.2 * share * whole


def test_a_network_trains_in_little_memory_as_on_the_processor(cupy: Any) -> None:
    gpu = choose_backend("gpu")
    step = NETWORK.image_bytes * CONFIG.batch
    cupy.gpu.memory = cupy.gpu.taken + EXAMPLES.images.nbytes + 8_000 + 2 * step
    ends = []
    for backend in (CPU, gpu):
        trainer = Trainer(NETWORK, FixedSource(EXAMPLES), CONFIG, backend, held_out=EXAMPLES)
        evaluations = [event.evaluation for event in trainer.run() if isinstance(event, Evaluated)]
        ends.append(trainer.parameters() | {"scores": evaluations[-1].scores})
    for name, values in ends[0].items():
        np.testing.assert_allclose(ends[1][name], values, rtol=0, atol=1e-5)


def test_a_batch_that_is_mixed_is_not_cut_and_not_said_to_be(cupy: Any) -> None:
    """It takes the memory that it needs, or is trained on the processor."""
    gpu = choose_backend("gpu")
    sizes = [bytes_of_steps(MIXED, replace(gpu, memory_share=share), cupy, 20) for share in (0.5, 1e-9)]
    assert sizes[0] == sizes[1]
    cupy.gpu.memory = cupy.gpu.taken + EXAMPLES.images.nbytes + sizes[0] // 2
    with pytest.raises(DeviceFault, match="too little memory"):
        list(Trainer(MIXED, FixedSource(EXAMPLES), CONFIG, gpu).run())
    said: list[str] = []
    device = ComputeDevice(gpu, said.append, lambda: can_cut(MIXED))
    steps = device.run(lambda: list(Trainer(MIXED, FixedSource(EXAMPLES), CONFIG, device.backend).run()))
    assert len(steps) == 6
    (message,) = said
    assert "smaller parts" not in message
    assert message.endswith("The processor computes from now on.")


def test_passes_over_many_inputs_take_as_many_at_once_as_are_free(cupy: Any) -> None:
    gpu = choose_backend("gpu")
    values = NETWORK.initial_parameters(1)
    expected = BatchPredictor(NETWORK, CPU, 45)
    expected.load(values)
    cupy.gpu.memory = cupy.gpu.taken + 14 * NETWORK.image_bytes
    predictor = BatchPredictor(NETWORK, gpu, 45)
    predictor.load(values)
    assert predictor.plan.batch == 7
    np.testing.assert_allclose(
        predictor.scores(EXAMPLES.images), expected.scores(EXAMPLES.images), rtol=1e-5, atol=1e-5
    )


def test_no_plan_holds_more_than_its_limit_on_any_device(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy.gpu.memory = 1 << 40
    monkeypatch.setattr("engine.nn.plan.PLAN_BYTES_LIMIT", 5 * NETWORK.image_bytes)
    for backend in (CPU, choose_backend("gpu")):
        trainer = Trainer(NETWORK, FixedSource(EXAMPLES), CONFIG, backend, held_out=EXAMPLES)
        assert len(list(trainer.run())) == 8


def test_what_waits_for_transfers_is_freed_with_its_network(cupy: Any) -> None:
    gpu = choose_backend("gpu")
    for side in (12, 10, 8):
        taken, pinned = cupy.gpu.taken, cupy.gpu.pinned
        network = replace(NETWORK, input_shape=(1, side, side))
        picture = np.zeros((side, side), np.float32)
        predictor = Predictor(Model("Small", network, network.initial_parameters(1)), gpu)
        for channels in (None, {1: range(1, 2), 2: range(1, 3)}) * 2:
            predictor.predict(picture, channels)
        plan = Plan(network, gpu, 3)
        plan.set_input(np.zeros((3, 1, side, side), np.float32))
        assert cupy.gpu.pinned > pinned
        del predictor, plan
        assert (cupy.gpu.taken, cupy.gpu.pinned) == (taken, pinned)


@pytest.mark.parametrize(
    ("seconds", "times", "graphs"),
    [(0.01, 3, [15]), (0.12, 3, [5]), (0.2, 1, [3, 2]), (0.7, 2, [1, 1, 1, 1, 1])],
)
def test_long_work_is_submitted_in_pieces_below_a_second(
    seconds: float, times: int, graphs: list[int], cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows resets a GPU that is busy with one for two seconds. Each kernel takes `seconds`, the first of
    the program none."""
    gpu = choose_backend("gpu")
    values = gpu.operations.from_host(np.ones((3, 3), np.float32))
    products = [gpu.operations.zeros((3, 3), np.float32) for _ in range(5)]
    calls = [
        call
        for source, out in zip([values, *products], products, strict=False)
        for call in gpu.operations.matmul(source, values, out)
    ]
    durations: Iterator[float] = iter([0.0, *[seconds] * 4])
    clock = [0.0]

    def now() -> float:
        return clock[0]

    run = gpu.program(calls, times)
    monkeypatch.setattr("engine.backends.cuda.device.perf_counter", now)
    launch = fake_cupy.RawKernel.__call__

    def timed(kernel: fake_cupy.RawKernel, *arguments: Any) -> None:
        clock[0] += next(durations, 0.0)
        launch(kernel, *arguments)

    monkeypatch.setattr(fake_cupy.RawKernel, "__call__", timed)
    for _ in range(3):
        run()
    assert cupy.gpu.graphs == graphs
    assert gpu.operations.to_host(products[-1]).tolist() == [[3.0**5] * 3] * 3


def test_a_batch_is_cut_so_that_no_kernel_of_a_slow_card_takes_a_second(cupy: Any) -> None:
    gpu = choose_backend("gpu")
    card = gpu.card
    assert card is not None
    most = max(cost.multiplies for cost in NETWORK.costs)
    slow = replace(gpu, card=replace(card, clock=16 * most / card.processors / 4 / 1e6))
    assert (largest_batch(NETWORK, slow, 64), largest_batch(NETWORK, gpu, 64)) == (8, 64)
