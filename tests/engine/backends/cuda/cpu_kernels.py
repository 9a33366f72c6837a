"""Backends whose kernels run on the CPU, networks to test them on, and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.backends import Backend, Calls, replay
from engine.backends.cuda import CudaOps, fuse_launches
from engine.backends.cuda.tile_costs import TilingChoice
from engine.nn import Network, Plan
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, LeakyReLU, MaxPool2D, ReLU, Residual
from engine.training import TrainingConfig, TrainStep
from tests.engine.backends.cuda.cpu_device import CpuDevice

# Tolerances of float32 kernels against NumPy.
NEAR = {"rtol": 1.3e-6, "atol": 1e-5}

# A network with most kinds of layers.
MIXED = Network(
    (2, 9, 8),
    (
        # A bias would be cancelled by normalization: its gradient is rounding noise, which Adam amplifies.
        Conv2D(4, 3, padding="same", bias=False),
        BatchNorm2D(),
        LeakyReLU(0.1),
        MaxPool2D(),
        Residual((Conv2D(3, 3, padding=1), ReLU(), Dropout(0.3), Conv2D(4, 1, bias=False))),
        Conv2D(3, 2, stride=2, padding=1),
        Flatten(),
        Dense(2),
    ),
    classes=("X", "O"),
)


def examples(network: Network, count: int, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Images and target probabilities."""
    rng = np.random.default_rng(5)
    images = rng.normal(0, 1, (count, *network.input_shape)).astype(dtype)
    shares = rng.dirichlet(np.ones(len(network.classes)), count).astype(dtype)
    return images, shares


def kernel_backend(device: CpuDevice, fuse: bool = False, choose_tiling: TilingChoice | None = None) -> Backend:
    """A backend with kernels on `device`.

    fuse: fuse the launches of programs, as on a GPU; choose_tiling: the tiling of a product.
    """

    def program(calls: Calls, times: int) -> Callable[[], None]:
        return device.program(fuse_launches(calls) if fuse else calls, times)

    return Backend(
        "gpu", "kernels on the processor", "test", CudaOps(device, choose_tiling), program, device.synchronize
    )


def all_calls(plan: Plan) -> Calls:
    """A forward and a backward pass."""
    parts = (*plan.forward_calls, plan.loss_calls, *plan.backward_calls)
    return [call for calls in parts for call in calls] + plan.update_statistics_calls()


def learning_plan(network: Network, backend: Backend, batch: int, **options: object) -> Plan:
    """A plan with all gradients, also of the input."""
    return Plan(network, backend, batch, learn=True, input_gradient=True, **options)


def passed(
    plan: Plan, values: dict[str, np.ndarray], images: np.ndarray, shares: np.ndarray, fuse: bool = False
) -> dict[str, np.ndarray]:
    """All results of a forward and a backward pass: scores, losses, gradients, and running statistics."""
    ops = plan.backend.operations
    plan.load(values)
    plan.set_input(images)
    ops.upload(shares.T, plan.targets)
    ops.upload(np.array([7, 3], np.uint32), plan.rng_counter)
    calls = all_calls(plan)
    replay(fuse_launches(calls) if fuse else calls)
    found = {f"d{name}": values for name, values in plan.parameter_gradients().items()}
    found |= {"scores": ops.to_host(plan.scores), "votes": ops.to_host(plan.votes), "errors": plan.host_losses}
    return found | {"dx": plan.input_gradient()} | plan.parameters()


def step_calls(network: Network, config: TrainingConfig, processors: int = 132) -> Calls:
    """All calls of a training step, as prepared for a GPU of so many multiprocessors, not yet executed."""
    found: list[Calls] = []
    backend = kernel_backend(CpuDevice(processors))

    def program(calls: Calls, times: int) -> Callable[[], None]:
        found.append(calls)
        return lambda: None

    stepper = TrainStep(network, replace(backend, program=program), config, network.initial_parameters(1))
    images, shares = examples(network, 3)
    stepper.load_epoch(images, shares, np.zeros((2, config.batch), np.int64), np.ones(2, np.float32))
    stepper.run(config.batch)
    return found[-1]


def assert_near(got: dict[str, np.ndarray], expected: dict[str, np.ndarray], **near: float) -> None:
    """Compare with a tolerance that grows with the largest value, as rounding errors do where terms cancel.

    Among values up to 89, NumPy itself was off by 1e-5, and kernels without fused multiply-add by 1.7e-5.
    """
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        allowed = near or NEAR | {"atol": NEAR["atol"] + 3e-7 * float(np.abs(value).max(initial=0))}
        np.testing.assert_allclose(got[name], value, err_msg=name, **allowed)
