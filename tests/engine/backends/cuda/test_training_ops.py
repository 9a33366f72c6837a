"""A training step on CUDA kernels: finiteness checks, no host work, and the same dropout as NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import ActivationFunction, ConvSpec, Ops, PoolSpec, UpdateArrays, choose_backend, replay
from engine.backends.cuda.device import launches
from engine.backends.cuda.tile_costs import TileShape, TilingConfig
from engine.backends.numpy import NumpyOps
from engine.nn import Network
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.training import SGD, TrainingConfig, TrainStep
from tests.engine.backends.cuda.cpu_device import CpuDevice, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import MIXED, all_calls, examples, kernel_backend, learning_plan

pytestmark = needs_compiler
CPU = choose_backend("cpu")


@pytest.fixture
def device() -> CpuDevice:
    return CpuDevice()


@pytest.fixture
def ops(device: CpuDevice) -> Ops:
    return kernel_backend(device).operations


def stepper_on(device: CpuDevice, network: Network = MIXED) -> TrainStep:
    stepper = TrainStep(
        network,
        kernel_backend(device, fuse=True),
        TrainingConfig(SGD(0.05), batch=6),
        network.initial_parameters(3),
    )
    images, shares = examples(network, 11)
    images[7] = np.nan
    order = np.array([[0, 1, 2, 3, 4, 5], [5, 4, 3, 7, 1, 0], [0, 2, 4, 6, 8, 10]])
    stepper.load_epoch(images, shares, order, np.full(3, 0.05, np.float32))
    return stepper


def test_a_step_with_nan_changes_nothing_and_stops_later_steps(device: CpuDevice) -> None:
    stepper = stepper_on(device)
    stepper.run(6)
    assert stepper.is_finite
    before = stepper.parameters() | stepper.optimizer_state()
    stepper.run(6, 2)
    assert not stepper.is_finite
    assert stepper.steps_made == 1
    for name, values in (stepper.parameters() | stepper.optimizer_state()).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_steps_do_no_host_work(device: CpuDevice) -> None:
    stepper = stepper_on(device)
    stepper.run(6)
    before = device.host_work
    stepper.run(6)
    assert device.host_work == before


@pytest.mark.parametrize(("rate", "key"), [(0.5, 1), (0.1, 2**32 - 1), (0.0, 77)])
def test_dropout_drops_the_same_values_as_on_numpy(ops: Ops, rate: float, key: int) -> None:
    x = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype(np.float32)
    rng_counter = np.array([2**32 - 3, 1000], np.uint32)
    found = []
    for each in (ops, NumpyOps()):
        y = each.zeros(x.shape, np.float32)
        replay(each.dropout(each.from_host(x), y, rate, key, each.from_host(rng_counter)).forward())
        found.append(each.to_host(y))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 1)])
def test_of_equal_values_the_first_in_row_major_order_gets_the_gradient(ops: Ops, size: int, stride: int) -> None:
    """By the definition: one for each window whose first maximum is there."""
    x = np.random.default_rng(2).integers(0, 2, (2, 7, 6, 3)).astype(np.float32)
    shape = MaxPool2D(size, stride).output_shape((2, 7, 6))
    y, dx = ops.zeros((*shape, 3), np.float32), ops.zeros(x.shape, np.float32)
    pool = ops.max_pool(ops.from_host(x), y, PoolSpec(size, stride))
    replay(pool.forward() + pool.backward(ops.full((*shape, 3), 1, np.float32), dx))
    expected = np.zeros(x.shape)
    for c, i, j, n in np.ndindex(*shape, 3):
        window = x[c, i * stride : i * stride + size, j * stride : j * stride + size, n]
        row, column = np.unravel_index(window.argmax(), window.shape)
        expected[c, i * stride + row, j * stride + column, n] += 1
    np.testing.assert_array_equal(ops.to_host(dx), expected)


def test_nan_propagates_through_relu_and_max_pool(ops: Ops) -> None:
    x = np.full((1, 2, 2, 3), -1, np.float32)
    x[0, 0, 1, 0] = x[0, 1, 1, 1] = np.nan
    given, cut, pooled = ops.from_host(x), ops.zeros(x.shape, np.float32), ops.zeros((1, 1, 1, 3), np.float32)
    relu, pool = ops.activation(ActivationFunction("relu"), given, cut), ops.max_pool(given, pooled, PoolSpec(2, 2))
    replay(relu + pool.forward())
    np.testing.assert_array_equal(np.isnan(ops.to_host(cut)), np.isnan(x))
    np.testing.assert_array_equal(ops.to_host(pooled)[0, 0, 0], [np.nan, np.nan, -1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_check_finds_one_non_finite_value_among_many(ops: Ops, bad: float) -> None:
    values = np.ones(10_000, np.float32)
    is_finite = ops.full((1,), 1, np.int32)
    replay(ops.check_finite((ops.from_host(values),), is_finite))
    assert ops.to_host(is_finite).tolist() == [1]
    values[9_876] = bad
    replay(ops.check_finite((ops.from_host(values), ops.from_host(np.ones(3, np.float32))), is_finite))
    assert ops.to_host(is_finite).tolist() == [0]


@pytest.mark.parametrize("length", [0.999, 1.001, 1.5])
def test_a_gradient_just_beyond_the_limit_is_clipped(ops: Ops, length: float) -> None:
    gradients = ops.from_host(np.array([0.6, -0.8], np.float32) * np.float32(length))
    replay(ops.clip_norm(gradients, 1))
    np.testing.assert_allclose(ops.to_host(gradients), np.array([0.6, -0.8]) * min(length, 1), rtol=1e-6)


def test_a_gradient_whose_square_overflows_is_clipped(ops: Ops) -> None:
    gradients = ops.from_host(np.array([3e30, -4e30], np.float32))
    replay(ops.clip_norm(gradients, 10))
    np.testing.assert_allclose(ops.to_host(gradients), [6, -8], rtol=1e-6)


def test_non_contiguous_arrays_are_transferred_both_ways(ops: Ops) -> None:
    whole = ops.zeros((2, 5, 6, 3), np.float32)
    inside = whole[:, 1:4, 2:5]
    values = np.random.default_rng(3).normal(size=(2, 3, 3, 3)).astype(np.float32)
    ops.upload(values, inside)
    np.testing.assert_array_equal(ops.to_host(inside), values)
    assert np.count_nonzero(ops.to_host(whole)) == values.size
    with pytest.raises(ValueError, match="do not fit"):
        ops.upload(values[:1], inside)


def test_unsupported_memory_layouts_are_refused(ops: Ops) -> None:
    gapped = ops.zeros((4, 6), np.float32)[:, ::2]
    with pytest.raises(ValueError, match="has gaps"):
        ops.clip_norm(gapped, 1)
    maps = ops.zeros((1, 4, 4, 2), np.float32)
    with pytest.raises(ValueError, match="rows without gaps"):
        ops.convolution(maps[:, :, ::2], ops.zeros((1, 5), np.float32), maps, ConvSpec(2))
    with pytest.raises(ValueError, match="float32 or float64"):
        ops.matmul(*(ops.zeros((2, 2), np.int32) for _ in range(3)))


def test_a_network_without_parameters_trains_without_error(device: CpuDevice) -> None:
    network = Network((1, 1, 2), (ReLU(), *MIXED.layers[-2:-1]), classes=("X", "O"))
    stepper = stepper_on(device, network)
    stepper.run(6)
    assert stepper.steps_made == 1


def test_the_first_steps_of_adam_are_those_of_its_definition(ops: Ops) -> None:
    """To a few roundings: 1 - beta2 in float32 made them 7e-6 too large."""
    gradients = np.random.default_rng(1).normal(size=1000)
    zeros = {name: ops.zeros((1000,), np.float32) for name in ("values", "mask", "mean", "square")}
    arrays = UpdateArrays(
        zeros["values"],
        ops.from_host(gradients.astype(np.float32)),
        zeros["mask"],
        {"mean": zeros["mean"], "square": zeros["square"]},
        ops.zeros((1,), np.float32),
        ops.from_host(np.full(1, 0.5, np.float32)),
        ops.zeros((1,), np.int64),
    )
    calls = ops.adam(arrays, 0.9, 0.999, 1e-8)
    mean, square, value = (np.zeros(1000) for _ in range(3))
    for count in range(1, 4):
        replay(calls)
        mean = 0.9 * mean + 0.1 * gradients
        square = 0.999 * square + 0.001 * gradients**2
        value -= 0.5 * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        np.testing.assert_allclose(ops.to_host(arrays.values), value, rtol=1e-6)


def test_running_statistics_forget_by_a_momentum_near_1_as_in_numpy() -> None:
    """1 - momentum in float32 would be off by 2 %."""
    found = []
    for operations in (NumpyOps(), kernel_backend(CpuDevice()).operations):
        shapes = {"x": (2, 1, 1, 3), "parameters": (2, 2), "buffers": (2, 2), "y": (2, 1, 1, 3)}
        x, parameters, buffers, y = (operations.zeros(shape, np.float32) for shape in shapes.values())
        operations.upload(np.full((2, 2), 1e6, np.float32), buffers)
        norm = operations.batch_norm(x, parameters, buffers, y, 1e-5, True)
        replay(norm.forward() + norm.update_running_statistics(buffers, 1 - 1e-6))
        found.append(operations.to_host(buffers))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


MANY = 65_536  # the most features of a layer


@pytest.mark.parametrize(
    "network",
    [
        Network((1, 1, 1), (Conv2D(MANY, 1), Flatten(), Dense(2)), classes=("X", "O")),
        Network((1, 1, 1), (Conv2D(MANY, 1), BatchNorm2D(), Flatten(), Dense(2)), classes=("X", "O")),
        Network((1, 750, 750), (Flatten(), Dense(2)), classes=("X", "O")),
    ],
    ids=["channels", "channels-normalized", "inputs"],
)
def test_layers_of_more_than_65535_channels_or_inputs_can_be_launched(network: Network) -> None:
    """A grid has at most 65,535 blocks along its second and third axis."""
    small = TileShape(8, 32, 1, 4)
    backend = kernel_backend(CpuDevice(), choose_tiling=lambda size, itemsize: TilingConfig(small, 1, 1, 8))
    for launch in launches(all_calls(learning_plan(network, backend, 3))):
        grid, _ = launch._shape()
        assert max(grid[1:], default=1) <= 65_535
