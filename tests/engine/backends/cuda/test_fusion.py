"""Kernel fusion: the same bytes, fewer launches, and no launch before its dependencies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backends.cuda import fuse_launches
from engine.backends.cuda.arguments import DeviceFunction, KernelParameter, reads, writes
from engine.backends.cuda.arrays import ArrayView, view_of
from engine.backends.cuda.device import launches, schedule_streams
from engine.backends.cuda.launch import BlockLaunch, ElementwiseLaunch, KernelCache
from engine.documents import DEFAULT
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Flatten, GlobalAvgPool, MaxPool2D, ReLU
from engine.training import AdamW, TrainingConfig
from tests.engine.backends.cuda.cpu_device import IN_ORDER, REVERSED, CpuDevice, compile_ahead, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import (
    MIXED,
    all_calls,
    examples,
    kernel_backend,
    learning_plan,
    passed,
    step_calls,
)

# Both kinds of the end of a network, with a sum long enough to be cut.
WIDE = Network(
    (2, 8, 8), (Conv2D(9, 3), ReLU(), MaxPool2D(), Flatten(), Dense(70), ReLU(), Dense(2)), classes=("X", "O")
)
AVERAGED = Network((1, 6, 6), (Conv2D(2, 3), ReLU(), GlobalAvgPool(), ReLU()), classes=("X", "O"))


MEMORY = np.zeros(64, np.float32)


def run_of(start: int, size: int, step: int) -> np.ndarray:
    return MEMORY[start : start + size * step : step][:size]


RUNS = st.builds(run_of, st.integers(0, 20), st.sampled_from([1, 4, 5]), st.sampled_from([1, 2]))
TOUCHES = st.lists(st.tuples(RUNS, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=3)


def seen(array: np.ndarray) -> ArrayView:
    return view_of(array.__array_interface__["data"][0], array, array.shape, array.strides)


def launch_of(name: str, touches: list[tuple[np.ndarray, bool, bool, bool]]) -> ElementwiseLaunch:
    parameters = []
    for array, written, random_access, constant in touches:
        view = seen(array)
        parameters += (
            writes(view, random_access=random_access, constant=constant)
            if written
            else reads(view, random_access=random_access)
        )
    size = touches[0][0].size
    return ElementwiseLaunch(KernelCache(CpuDevice()), ((DeviceFunction(name, size, tuple(parameters)),),))


@needs_compiler
@pytest.mark.parametrize("network", [MIXED, WIDE, AVERAGED], ids=["mixed", "wide", "averaged"])
def test_fewer_launches_give_the_same_bytes(network: Network) -> None:
    images, shares = examples(network, 5)
    ends, counts = [], []
    for fuse in (False, True):
        device = CpuDevice(132, REVERSED if fuse else IN_ORDER)
        plan = learning_plan(network, kernel_backend(device), 5)
        compile_ahead(fuse_launches(all_calls(plan)) if fuse else all_calls(plan))
        before = len(device.launches)
        ends.append(passed(plan, network.initial_parameters(1), images, shares, fuse))
        counts.append(len(device.launches) - before)
    for name, values in ends[0].items():
        np.testing.assert_array_equal(ends[1][name], values, err_msg=name)
    assert counts[1] < counts[0]


def test_a_training_step_of_the_default_network_is_some_thirty_launches() -> None:
    """The overhead of a launch is about the time of such a kernel; docs/benchmarks.md uses this number."""
    assert len(fuse_launches(step_calls(DEFAULT.network, TrainingConfig(AdamW())))) == 27


def test_pooling_is_fused_with_the_convolution() -> None:
    """If windows tile the maps exactly; and values just computed are not loaded again."""
    for size, together in ((8, True), (9, False)):
        network = Network(
            (1, size, size), (Conv2D(2, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
        )
        plan = Plan(network, kernel_backend(CpuDevice(132)), 1, keep_outputs=True)
        found = launches(fuse_launches([call for calls in plan.forward_calls for call in calls]))
        assert any(launch.kernel == "elementwise" for launch in found[1:]) != together
        convolution = next(launch for launch in found if launch.kernel == "convolution_forward")
        assert ("WindowValues" in convolution.defines) == together
        assert "CachedValue<float> fk0" in convolution.defines


def test_only_functions_of_the_own_window_are_fused_with_a_window() -> None:
    maps, other = np.zeros((1, 4, 4, 2), np.float32), np.zeros((1, 4, 4, 2), np.float32)
    out, far, small = (seen(array) for array in (maps, other, np.zeros(8, np.float32)))
    blocks = BlockLaunch(
        KernelCache(CpuDevice()), "convolution_forward", (), (1,), (1,), tuple(writes(out)), 32, (4, 4, 2)
    )

    def after(blocks: BlockLaunch, size: int, *parameters: KernelParameter) -> BlockLaunch | None:
        return blocks.fused_with(DeviceFunction("f", size, tuple(parameters)))

    pooled = after(blocks, 8, *reads(out, windows=(4, 4, 2)), *writes(small))
    assert pooled is not None
    assert after(blocks, 8, *reads(out, windows=(2, 8, 2)), *writes(small)) is None
    assert after(blocks, 8, *reads(out, random_access=True), *writes(small)) is None
    assert after(blocks, 8, *reads(seen(maps[:, 1:]), windows=(4, 4, 2)), *writes(small)) is None
    # Of the results of another function: only one of the two can stay in registers.
    both = after(blocks, 32, *reads(out), *writes(far))
    assert both is not None
    cut = after(both, 8, *reads(far, windows=(4, 4, 2)), *writes(small))
    assert cut is not None
    assert after(cut, 8, *reads(out, windows=(4, 4, 2)), *writes(seen(np.zeros(8, np.float32)))) is None
    # Window functions run after all elementwise ones, which therefore cannot use their results.
    assert after(pooled, 32, *reads(small, random_access=True), *writes(far)) is None


def test_fused_parameters_fit_into_a_launch() -> None:
    """Kernel parameters are limited to 4 kB."""
    memory = [np.zeros((2, 3, 4, 5), np.float32) for _ in range(200)]
    inner = [array[:, 1:, 1:, 1:] for array in memory]
    calls = [
        call
        for source, target in zip(inner[::2], inner[1::2], strict=True)
        for call in [(launch_of("copied", [(source, False, False, False), (target, True, False, False)]), (), {})]
    ]
    for launch in launches(fuse_launches(calls)):
        assert sum(np.asarray(value).nbytes for value in launch._values() if np.ndim(value) == 0) < 4096
        assert len(launch.segments) <= 16  # type: ignore[attr-defined]


# -- what may run in parallel -------------------------------------------------------------------------------------


@given(st.lists(TOUCHES, max_size=10))
def test_two_streams_wait_for_each_other_at_every_dependency(
    program: list[list[tuple[np.ndarray, bool, bool, bool]]],
) -> None:
    found = [launch_of(str(number), touches) for number, touches in enumerate(program)]
    made = schedule_streams(found)
    # What is done before each: earlier launches of its stream, what it waits for, and what those waited for.
    before: list[set[int]] = []
    for number, turn in enumerate(made):
        near = [earlier for earlier in range(number) if made[earlier].stream == turn.stream][-1:]
        direct = {*near, *turn.waits_for}
        before.append(direct.union(*(before[each] for each in direct)))
        assert all(
            earlier in before[number] for earlier in range(number) if found[number].conflicts_with(found[earlier])
        )


def test_weight_gradients_run_in_parallel_with_input_gradients() -> None:
    found = launches(fuse_launches(step_calls(DEFAULT.network, TrainingConfig(AdamW()))))
    made = schedule_streams(found)
    lanes = {turn.stream for launch, turn in zip(found, made, strict=True) if "gradient" in launch.kernel}
    assert lanes == {0, 1}


# -- what may be fused ------------------------------------------------------------------------------------------


@given(st.lists(TOUCHES, max_size=8))
def test_nothing_runs_before_its_dependencies(program: list[list[tuple[np.ndarray, bool, bool, bool]]]) -> None:
    given_ones = [launch_of(str(number), touches) for number, touches in enumerate(program)]
    fewer = launches(fuse_launches([(launch, (), {}) for launch in given_ones]))
    done = [launch for launch in fewer if isinstance(launch, ElementwiseLaunch)]
    places = {
        function.name: (number, segment, place)
        for number, launch in enumerate(done)
        for segment, functions in enumerate(launch.segments)
        for place, function in enumerate(functions)
    }
    assert len(places) == len(program)
    for late, second in enumerate(given_ones):
        for early, first in enumerate(given_ones[:late]):
            if not second.conflicts_with(first):
                continue
            (here, segment, place), (there, beside, after) = places[str(early)], places[str(late)]
            assert here <= there
            if here == there:
                # The same thread runs both in sequence, each on its own element.
                assert segment == beside
                assert place < after
                assert all(
                    mine.view.same_elements(other.view) and mine.elementwise and other.elementwise
                    for mine in first.accesses
                    for other in second.accesses
                    if mine.conflicts_with(other)
                )


def test_calls_that_are_not_launches_are_refused() -> None:
    with pytest.raises(TypeError, match="Only launches of kernels"):
        fuse_launches([(print, (), {})])
