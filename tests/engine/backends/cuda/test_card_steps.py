"""A training step and a reading with the tiles that cards of several sizes choose, against NumPy.

Tiles depend on batch and number of multiprocessors: those of a batch of 3 on a card of 8 are none of a batch of 64.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.backends.cuda import fuse_launches
from engine.backends.cuda.device import launches
from engine.backends.cuda.launch import TILED
from engine.documents import DEFAULT
from engine.nn import Plan
from engine.training import TrainingConfig, TrainStep
from tests.conftest import Effort
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import (
    IN_ORDER,
    REVERSED,
    SANITIZERS,
    CpuDevice,
    compile_ahead,
    needs_compiler,
)
from tests.engine.backends.cuda.cpu_kernels import NEAR, assert_near, examples, kernel_backend, step_calls

pytestmark = needs_compiler
CPU = choose_backend("cpu")
ROOT = Path(__file__).parents[4]
NETWORK = DEFAULT.network

# Multiprocessors of a GTX 1650, an RTX 2060, an RTX 3080, an H200 and an RTX 5090.
PROCESSORS = (14, 30, 68, 132, 170)
BATCHES = (64, 3, 8, 130)
# The default step of every card, and every batch, is among the first eight.
STEPS = [(processors, 64) for processors in PROCESSORS] + [(30, 130), (68, 3), (170, 8)]
STEPS += [(processors, batch) for processors in PROCESSORS for batch in BATCHES if (processors, batch) not in STEPS]
TileKernel = tuple[str, tuple[str, ...]]


def tile_kernels(processors: int, batch: int) -> set[TileKernel]:
    """The tile kernels of a training step of the default network, with their tiles."""
    calls = fuse_launches(step_calls(NETWORK, TrainingConfig(batch=batch), processors))
    return {(launch.kernel, launch.options) for launch in launches(calls) if launch.kernel in TILED}


def test_tiles_depend_on_the_card_and_the_batch() -> None:
    """So that what follows runs other kernels for each."""
    found = [tile_kernels(processors, batch) for processors, batch in ((14, 64), (170, 64), (14, 3))]
    assert all(len(kernels) >= 10 for kernels in found)
    assert len(set.union(*found)) > 20


@dataclass
class Step:
    """The state of a training run after a step."""

    losses: np.ndarray
    memory: dict[str, np.ndarray]
    parameters: dict[str, np.ndarray]
    ran: set[TileKernel] = field(default_factory=set)


def one_step(batch: int, device: CpuDevice | None) -> Step:
    """A step of the default network."""
    config = TrainingConfig(batch=batch)
    backend = CPU if device is None else kernel_backend(device, fuse=True)
    stepper = TrainStep(NETWORK, backend, config, NETWORK.initial_parameters(1))
    images, shares = examples(NETWORK, batch + 5)
    order = np.random.default_rng(3).integers(0, batch + 5, (1, batch))
    stepper.load_epoch(images, shares, order, np.full(1, config.optimizer.rate, np.float32))
    if device is not None:
        compile_ahead(fuse_launches(step_calls(NETWORK, config, device.processors)))
    stepper.run(batch)
    ran = set() if device is None else device.ran
    return Step(stepper.losses(0, 1), stepper.optimizer_state(), stepper.parameters(), ran)


def assert_same_step(device: CpuDevice, batch: int) -> None:
    got, expected = one_step(batch, device), one_step(batch, None)
    np.testing.assert_allclose(got.losses, expected.losses, rtol=2e-5)
    # Adam's memory holds the gradients and their squares; the weights move by the rate whatever their size.
    assert got.memory.keys() == expected.memory.keys()
    for name, values in expected.memory.items():
        largest = float(np.abs(values).max(initial=0))
        np.testing.assert_allclose(got.memory[name], values, rtol=1e-3, atol=3e-5 * largest, err_msg=name)
    assert_near(got.parameters, expected.parameters, rtol=0, atol=2.1 * TrainingConfig().optimizer.rate)


def test_a_training_step_equals_numpys_on_every_card_and_batch(effort: Effort) -> None:
    """And every tile kernel of the default step of every card has been run; the last also in other orders."""
    ran: set[TileKernel] = set()
    for number, (processors, batch) in enumerate(STEPS[: effort(8, len(STEPS))]):
        device = CpuDevice(processors, order=(IN_ORDER, REVERSED)[number % 2])
        assert_same_step(device, batch)
        assert tile_kernels(processors, batch) <= device.ran
        ran |= device.ran
    for processors in PROCESSORS:
        assert tile_kernels(processors, TrainingConfig().batch) <= ran


def test_a_training_step_is_the_same_in_a_random_order_of_threads_and_blocks(effort: Effort) -> None:
    for seed in range(2, 2 + effort(1, 6)):
        for processors, batch in STEPS[7 : effort(8, len(STEPS))]:
            assert_same_step(CpuDevice(processors, order=seed * 1009 + batch), batch)


def test_three_readings_in_a_row_equal_numpys(monkeypatch: pytest.MonkeyPatch, effort: Effort) -> None:
    """The first launched one by one, the second captured, the third a graph, each of other pictures."""
    pairs = [(132, 1), (30, 8)]
    pairs += [
        (processors, batch) for processors in PROCESSORS for batch in BATCHES if (processors, batch) != (30, 8)
    ]
    for processors, batch in pairs[: effort(2, len(pairs))]:
        module: Any = fake_cupy.fake_cupy()
        module.gpu.device = CpuDevice(processors)
        module.attributes = fake_cupy.ATTRIBUTES | {"MultiProcessorCount": processors}
        monkeypatch.setitem(sys.modules, "cupy", module)
        on_card, on_numpy = (
            Plan(NETWORK, backend, batch, keep_outputs=True) for backend in (choose_backend("gpu"), CPU)
        )
        for plan in (on_card, on_numpy):
            plan.load(NETWORK.initial_parameters(1))
        images, _ = examples(NETWORK, batch + 2)
        for number in range(3):
            on_numpy.forward(images[number : number + batch])
            read = on_card.forward_outputs(images[number : number + batch])
            for there, here in zip(read, on_numpy.outputs(), strict=True):
                np.testing.assert_allclose(there, here, **NEAR)
        assert module.gpu.graphs


# Kernels that the sanitizers must refuse, and what they say.
FORBIDDEN = {
    "beyond_an_array": ("x[0] = x[n];", "heap-buffer-overflow"),
    "beyond_a_shared_array": ("__shared__ float values[8]; values[n] = x[0];", "out of bounds"),
    "beyond_an_int": ("x[0] = n * 2147483647;", "signed integer overflow"),
}
PLANTED = """
import sys, numpy
from tests.engine.backends.cuda.cpu_device import CpuDevice
device, name = CpuDevice(), sys.argv[1]
source = f'extern "C" __global__ void {name}(float* x, int n) {{ {sys.argv[2]} }}'
device.load(source, ()).get_function(name)((1,), (1,), (device.zeros((8,), numpy.float32), numpy.int32(8)))
"""
# What runs under the sanitizers: every layer, every tile and the steps of all cards.
SANITIZED = ("test_ops.py", "test_tiling.py", "test_training_ops.py", "test_card_steps.py")


def sanitized(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process that loads the sanitizers, with kernels compiled for those of addresses and undefined
    behaviour."""
    question = [shutil.which("g++") or "g++", "-print-file-name=libasan.so"]
    library = subprocess.run(question, capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "XO_SANITIZE_KERNELS": "address,undefined",
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_sanitizers_find_what_is_forbidden(name: str, effort: Effort) -> None:
    if not effort(0, 1) or SANITIZERS:
        pytest.skip("runs with --nightly")
    body, words = FORBIDDEN[name]
    done = sanitized("-c", PLANTED, name, body)
    assert done.returncode != 0
    assert words in done.stderr


def test_no_kernel_does_what_the_sanitizers_forbid(effort: Effort) -> None:
    if not effort(0, 1) or SANITIZERS:
        pytest.skip("runs with --nightly")
    files = [str(Path(__file__).with_name(name)) for name in SANITIZED]
    done = sanitized("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
