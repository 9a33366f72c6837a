"""Backend: the array library that computes, NumPy on the CPU or CuPy on a GPU.

This is the only module that imports cupy; all others get arrays and operations from a Backend.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from engine.backends.cuda import (
    EXPECTED_REASONS,
    LONGEST_SUBMISSION,
    Card,
    CudaOps,
    CupyDevice,
    DeviceFault,
    cheapest_tiling,
    clause,
    described_costs,
    driver_reason,
    fuse_launches,
    import_reason,
    prepare_kernel_cache,
    quiet_import,
    read_tile_costs,
)
from engine.backends.numpy import NumpyOps
from engine.backends.ops import Calls, Ops, replay

__all__ = [
    "Backend",
    "ComputeDevice",
    "DeviceChoice",
    "DeviceFault",
    "DeviceUnavailable",
    "choose_backend",
    "numpy_backend",
    "one_blas_thread",
]

log = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")
DeviceChoice: TypeAlias = Literal["auto", "cpu", "gpu"]
# Of the memory that is free on a GPU, for one plan; the rest is for other panels and programs.
MEMORY_SHARE = 0.5


class DeviceUnavailable(RuntimeError):
    """The requested device cannot be used; the message is the reason, as a clause without a full stop.

    expected: whether this machine has no GPU, no driver or no CuPy, rather than one that does not work.
    """

    def __init__(self, reason: str, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


@dataclass(frozen=True)
class Backend:
    """An initialized array library.

    name: "cpu" or "gpu".
    title: the device's name for the user.
    reason: why this device was chosen, in a few words, and what was ignored about it.
    operations: its array operations.
    program: turns calls and a number of repetitions into a function that replays them asynchronously.
    synchronize: blocks until all work is done.
    card: the GPU as it describes itself; None for the CPU.
    free_bytes: the memory that is free now; infinite where it is not counted.
    memory_share: the share of it that one plan may take.
    notice: where a GPU was expected to work and does not, a sentence for a user who does not see the reason.
    """

    name: Literal["cpu", "gpu"]
    title: str
    reason: str
    operations: Ops
    program: Callable[[Calls, int], Callable[[], None]]
    synchronize: Callable[[], None]
    card: Card | None = None
    free_bytes: Callable[[], float] = lambda: math.inf
    memory_share: float = MEMORY_SHARE
    notice: str = ""

    def with_less_memory(self) -> Backend:
        """The same, with plans that take a quarter of the memory."""
        return replace(self, memory_share=self.memory_share / 4)

    @property
    def has_less_memory(self) -> bool:
        """Whether its plans take less than they otherwise would."""
        return self.memory_share < MEMORY_SHARE

    def largest_batch(self, image_bytes: int, multiplies: int) -> float:
        """The number of images for one plan, by its free memory, and so that no kernel runs long; at least 1.

        image_bytes: of a plan, for each image. multiplies: of the most expensive layer, for each image.
        """
        if self.name == "cpu":
            return math.inf
        rate = math.inf if self.card is None else self.card.slow_multiplies_per_second
        in_memory = self.memory_share * self.free_bytes() / image_bytes
        return max(1, min(in_memory, LONGEST_SUBMISSION * rate / max(1, multiplies)))


class ComputeDevice:
    """The device that computes, and the one place that replaces it after a fault: a GPU that lacks memory is tried
    once more with less, and at last the processor computes.

    backend: in use.
    say: called with one sentence after a fault.
    can_cut: whether what lacks memory can be computed in smaller parts.
    moves: each is called with the new backend, and gives up what is on the one before; it does nothing on a device.
    """

    def __init__(
        self, backend: Backend, say: Callable[[str], None], can_cut: Callable[[], bool] = lambda: True
    ) -> None:
        self.backend = backend
        self.moves: list[Callable[[Backend], None]] = []
        self._say, self._can_cut = say, can_cut

    def run(self, action: Callable[[], Outcome]) -> Outcome:
        """The result of an action, which is repeated on the next backend after a fault of the device."""
        while True:
            try:
                return action()
            except DeviceFault as error:
                if self.backend.name == "cpu":
                    raise
                # Without its traceback, whose frames hold memory of the device.
                fault = DeviceFault(str(error), error.out_of_memory)
            self._replace(fault)

    def _replace(self, fault: DeviceFault) -> None:
        if fault.out_of_memory and not self.backend.has_less_memory and self._can_cut():
            self.backend = self.backend.with_less_memory()
            self._say("The GPU lacks memory: it goes on in smaller parts.")
        else:
            self.backend = numpy_backend("the GPU failed")
            self._say(f"{fault} The processor computes from now on.")
        for move in self.moves:
            move(self.backend)


def numpy_backend(reason: str, notice: str = "") -> Backend:
    """NumPy on the CPU."""
    return Backend("cpu", "CPU", reason, NumpyOps(), _repeated, lambda: None, notice=notice)


def _repeated(calls: Calls, times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            replay(calls)

    return run


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in the whole process.

    The matrix products of a live pass are too small to split, and a second thread would compete with the window for
    the cores.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


def choose_backend(device: DeviceChoice = "auto") -> Backend:
    """The backend for `device`. Call it in the thread that will compute: a CUDA context belongs to a thread.

    auto: the GPU if a test kernel runs there, otherwise NumPy with the reason. Raises DeviceUnavailable if "gpu" is
    requested and none works, ValueError for an unknown device.
    """
    if device == "cpu":
        return numpy_backend("chosen")
    if device not in ("auto", "gpu"):
        raise ValueError(f"There is no device called {device!r}: choose auto, cpu or gpu.")
    try:
        return _cupy_backend()
    except DeviceUnavailable as error:
        log.info("the GPU cannot be used: %s", error, exc_info=error.__cause__)
        if device == "gpu":
            raise
        notice = "" if error.expected else f"The GPU cannot be used: {error}; the processor computes instead."
        return numpy_backend(str(error), notice)


def _cupy_backend() -> Backend:
    """CuPy on the first GPU, tested by running a kernel. Raises DeviceUnavailable with the reason."""
    # A partial installation, an old driver or a full card raise various errors; all mean that the GPU is unusable.
    try:
        not_kept = prepare_kernel_cache()
        with quiet_import():
            import cupy
    except Exception as error:
        raise _unavailable(import_reason(error)) from error
    try:
        if reason := driver_reason(cupy):
            raise _unavailable(reason)
        device = CupyDevice(cupy)
        card = device.card
        costs, ignored = read_tile_costs(card.name, described_costs(card))
        operations = CudaOps(device, cheapest_tiling(card.processors, costs))
        if not _computes(operations):
            raise DeviceUnavailable("the GPU's test kernel gave a wrong result")
    except DeviceUnavailable:
        raise
    except DeviceFault as error:
        raise DeviceUnavailable(clause(error)) from error
    except Exception as error:
        raise DeviceUnavailable(f"the GPU's test kernel failed: {clause(error)}") from error
    return Backend(
        "gpu",
        card.name,
        "; ".join(part for part in ("test kernel ran", not_kept, ignored) if part),
        operations,
        lambda calls, times: device.program(fuse_launches(calls), times),
        device.synchronize,
        card,
        lambda: device.free_bytes,
    )


def _unavailable(reason: str) -> DeviceUnavailable:
    return DeviceUnavailable(reason, expected=reason in EXPECTED_REASONS)


def _computes(operations: Ops) -> bool:
    """Whether a small matrix product is correct, which needs memory, transfers, the compiler, shared memory and
    barriers."""
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((3, 4), np.float32)
    out = operations.zeros((2, 4), np.float32)
    replay(operations.matmul(operations.from_host(left), operations.from_host(right), out))
    return bool(np.array_equal(operations.to_host(out), [[3] * 4, [12] * 4]))
