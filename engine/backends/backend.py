"""Backend: where the arrays live and who computes with them, NumPy or CuPy. Not the arithmetic itself.

This is the only module that imports cupy. Everything above it asks a Backend for arrays and operations
and never names an array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits

from engine.backends.cuda import CupyDevice, DeviceFault, KernelOperations, first_line, fused
from engine.backends.numpy import ArrayOperations
from engine.backends.ops import Calls, Operations, replay

__all__ = ["Backend", "Device", "DeviceError", "DeviceFault", "choose_backend", "numpy_backend", "one_blas_thread"]

Device: TypeAlias = Literal["auto", "cpu", "gpu"]


class DeviceError(RuntimeError):
    """The device that was asked for cannot be used; the message is why, in words that fit into a sentence."""


@dataclass(frozen=True)
class Backend:
    """One array library, ready for use.

    name: "cpu" or "gpu". title: what a person calls it. reason: why this one was taken, in a few words. operations:
    what every layer is written on. program: makes calls into one thing that replays them so many times, without
    waiting for the end. wait: blocks until all work is done.
    """

    name: Literal["cpu", "gpu"]
    title: str
    reason: str
    operations: Operations
    program: Callable[[Calls, int], Callable[[], None]]
    wait: Callable[[], None]


def numpy_backend(reason: str) -> Backend:
    """NumPy on the processor."""
    return Backend("cpu", "CPU", reason, ArrayOperations(), _repeated, lambda: None)


def _repeated(calls: Calls, times: int) -> Callable[[], None]:
    """Calls to be replayed `times` in a row."""

    def run() -> None:
        for _ in range(times):
            replay(calls)

    return run


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep the processor's matrix products to one thread meanwhile.

    The products of a live pass are too small to share, and a second thread would fight the window for the cores.
    It holds for the whole process.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


def choose_backend(device: Device = "auto") -> Backend:
    """The backend for `device`; call it in the thread that will compute, for CUDA belongs to a thread.

    auto: the GPU if a real kernel runs there, otherwise NumPy with the reason. Raises DeviceError when
    "gpu" is asked for and none works, ValueError for any other word.
    """
    if device == "cpu":
        return numpy_backend("chosen")
    if device not in ("auto", "gpu"):
        raise ValueError(f"There is no device called {device!r}: choose auto, cpu or gpu.")
    try:
        return _cupy_backend()
    except DeviceError as error:
        if device == "gpu":
            raise
        return numpy_backend(str(error))


def _cupy_backend() -> Backend:
    """CuPy on the first GPU, proved by running a kernel of ours. Raises DeviceError with the reason in a few
    words."""
    # Whatever is raised here, by half an installation, an old driver or a full card, means the same: not this one.
    try:
        import cupy
    except Exception as error:
        missing = getattr(error, "name", None) == "cupy"
        raise DeviceError(
            "CuPy not installed" if missing else f"CuPy cannot be loaded: {first_line(error)}"
        ) from error
    try:
        if not cupy.cuda.is_available():
            raise DeviceError("no CUDA driver or no NVIDIA GPU")
        device = CupyDevice(cupy)
        operations = KernelOperations(device)
        if not _computes(operations):
            raise DeviceError("the GPU's test kernel gave a wrong result")
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except DeviceError:
        raise
    except Exception as error:
        raise DeviceError(f"the GPU's test kernel failed: {first_line(error)}") from error
    return Backend(
        "gpu",
        name,
        "test kernel ran",
        operations,
        lambda calls, times: device.program(fused(calls), times),
        device.wait,
    )


def _computes(operations: Operations) -> bool:
    """Whether a product of two small matrices comes out right, which takes memory, transfers, a compiler, shared
    memory and barriers."""
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((3, 4), np.float32)
    out = operations.zeros((2, 4), np.float32)
    replay(operations.product(operations.from_host(left), operations.from_host(right), out))
    return bool(np.array_equal(operations.to_host(out), [[3] * 4, [12] * 4]))
