"""The CPU emulation of CUDA detects the faults it is meant to detect."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.backends.cuda.cpu_device import IN_ORDER, REVERSED, CpuDevice, needs_compiler

pytestmark = needs_compiler

SOURCE = """
extern "C" __global__ void reversed(const float* x, float* y, int n) {
    __shared__ float values[64];
    values[threadIdx.x] = x[threadIdx.x];
#if WAIT
    __syncthreads();
#endif
    y[threadIdx.x] = values[n - 1 - threadIdx.x];
}
extern "C" __global__ void uneven(float* y) {
    if (threadIdx.x < 3) __syncthreads();
    y[threadIdx.x] = 1;
}
extern "C" __global__ void beyond(float* y, int n) { y[n] = 1; }
extern "C" __global__ void unset(float* y) {
    __shared__ float values[64];
    y[threadIdx.x] = values[threadIdx.x];
    values[threadIdx.x] = 1;
}
extern "C" __global__ void places(int* y) {
    y[(blockIdx.y * gridDim.x + blockIdx.x) * 6 + threadIdx.y * 2 + threadIdx.x] = blockIdx.x * 10 + threadIdx.y;
}
"""


def run(name: str, *arguments: object, wait: int = 1, order: int = IN_ORDER, **sizes: object) -> CpuDevice:
    device = CpuDevice(order=order)
    function = device.load(SOURCE, (f"-DWAIT={wait}",)).get_function(name)
    function(sizes.get("grid", (1,)), sizes.get("block", (4,)), arguments)
    return device


@pytest.mark.parametrize("order", [IN_ORDER, REVERSED, 7])
def test_threads_wait_for_each_other(order: int) -> None:
    x, y = (CpuDevice().from_host(np.arange(4, dtype=np.float32)) for _ in range(2))
    run("reversed", x, y, np.int32(4), order=order)
    assert y.host.tolist() == [3, 2, 1, 0]


def test_a_missing_barrier_gives_nan() -> None:
    x, y = (CpuDevice().from_host(np.arange(4, dtype=np.float32)) for _ in range(2))
    run("reversed", x, y, np.int32(4), wait=0)
    assert np.isnan(y.host).any()


def test_a_barrier_that_some_threads_never_reach_is_an_error() -> None:
    with pytest.raises(AssertionError, match="not all threads of uneven"):
        run("uneven", CpuDevice().zeros((4,), np.float32))


@pytest.mark.parametrize("place", [-1, 4])
def test_writing_beyond_an_array_is_an_error(place: int) -> None:
    with pytest.raises(AssertionError, match="beyond wrote beyond"):
        run("beyond", CpuDevice().zeros((4,), np.float32), np.int32(place))


def test_shared_memory_is_uninitialized_at_the_start_of_a_block() -> None:
    y = CpuDevice().zeros((8,), np.float32)
    run("unset", y, grid=(2,))
    assert np.isnan(y.host[:4]).all()


def test_threads_and_blocks_have_their_indices() -> None:
    y = CpuDevice().zeros((24,), np.int32)
    run("places", y, grid=(2, 2), block=(2, 3))
    assert y.host.reshape(2, 2, 3, 2)[1, 1].tolist() == [[10, 10], [11, 11], [12, 12]]


def test_invalid_source_is_refused_with_the_compilers_message() -> None:
    with pytest.raises(ValueError, match="error"):
        CpuDevice().load("__global__ void broken(float* y) { y = ; }", ())
