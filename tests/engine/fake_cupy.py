"""A stand-in for CuPy that computes on the CPU and refuses what CuPy and CUDA refuse.

It has only what the engine uses. Its kernels are compiled by g++ (tests/engine/backends/cuda); without g++ it can
be imported, but computes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.engine.backends.cuda.cpu_device import CpuDevice, DeviceArray


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory.OutOfMemoryError."""


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime.CUDARuntimeError."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class CUDADriverError(CUDARuntimeError):
    """As cupy.cuda.driver.CUDADriverError."""


class CompileException(Exception):
    """As cupy.cuda.compiler.CompileException."""


class NVRTCError(RuntimeError):
    """As cupy.cuda.nvrtc.NVRTCError."""


NO_MEMORY = OutOfMemoryError("Out of memory allocating 1,024 bytes.")
ILLEGAL_ADDRESS = CUDARuntimeError(700, "cudaErrorIllegalAddress: an illegal memory access was encountered")


LAUNCH_FAILURE = CUDARuntimeError(719, "cudaErrorLaunchFailure: unspecified launch failure")
MEMORY = 8 << 30
ATTRIBUTES = {
    "MultiProcessorCount": 8,
    "ClockRate": 1_500_000,
    "MaxThreadsPerMultiProcessor": 1536,
    "MaxRegistersPerMultiprocessor": 65536,
    "MaxSharedMemoryPerMultiprocessor": 100 * 1024,
}


class Gpu:
    """What the simulated GPU has done.

    calls: the number of calls
    faults: the exception that the call of that number raises, from 1
    graphs: the number of launches of each captured graph
    launches: kernels run, in order
    memory: bytes in all; taken: of those, allocated ones; pinned: bytes of page-locked memory of the host
    lost: whether a kernel has trapped, after which every call fails
    capability: its compute capability, such as "86"; the compiler knows those up to newest_known
    compile_faults: the exception that compiling the kernel of that name raises
    cache_fault: the exception that keeping a compiled kernel in a file raises
    compiled: the kernels compiled, in order, with what they were compiled to
    """

    def __init__(self) -> None:
        self.capability, self.newest_known = "86", "121"
        self.compile_faults: dict[str, Exception] = {}
        self.cache_fault: Exception | None = None
        self.compiled: list[tuple[str, str]] = []
        self.device = CpuDevice()
        self.calls = 0
        self.faults: dict[int, Exception] = {}
        self.graphs: list[int] = []
        self.streams: list[Stream] = []
        self.memory, self.taken, self.pinned = MEMORY, 0, 0
        self.lost = False

    @property
    def launches(self) -> list[str]:
        return self.device.launches

    def call(self) -> None:
        self.calls += 1
        if self.lost:
            # A new one, because an error holds the frames that it passed through.
            raise CUDARuntimeError(LAUNCH_FAILURE.status, str(LAUNCH_FAILURE))
        if self.calls in self.faults:
            raise self.faults[self.calls]

    def not_in_a_capture(self) -> None:
        self.call()
        if self.streams and self.streams[-1].capture is not None:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: operation not permitted")


class Memory:
    """As cupy.cuda.Memory: taken until nothing refers to it."""

    owner = None

    def __init__(self, gpu: Gpu, size: int) -> None:
        self._gpu, self.size = gpu, 0
        if gpu.taken + size > gpu.memory:
            raise NO_MEMORY
        self.size = size
        gpu.taken += size

    def __del__(self) -> None:
        self._gpu.taken -= self.size
        if self._gpu.lost:
            # A new one, because an error holds the frames that it passed through.
            raise CUDARuntimeError(LAUNCH_FAILURE.status, str(LAUNCH_FAILURE))


class Capture:
    """A graph being captured. nodes: each launch, and the indices of those it waits for; streams: those taking
    part."""

    def __init__(self, origin: Stream) -> None:
        self.nodes: list[tuple[Callable[[], None], set[int]]] = []
        self.streams = {origin}

    def run(self) -> None:
        """Runs the nodes in the order furthest from that of the capture, so that a missing edge changes the
        result."""
        left = set(range(len(self.nodes)))
        while left:
            node = max(each for each in left if not self.nodes[each][1] & left)
            self.nodes[node][0]()
            left.remove(node)


class Stream:
    """As cupy.cuda.Stream. capture: the one it takes part in; ends: the nodes in it that the next launch waits
    for."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.capture: Capture | None = None
        self.ends: set[int] = set()

    def __enter__(self) -> Stream:
        self.gpu.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.gpu.streams.pop() is self

    def synchronize(self) -> None:
        self.gpu.not_in_a_capture()

    def wait_event(self, event: Event) -> None:
        self.gpu.call()
        if event.capture is not None:
            if self.capture is None:
                self.capture, self.ends = event.capture, set()
                self.capture.streams.add(self)
            assert self.capture is event.capture
            self.ends |= event.ends

    def begin_capture(self) -> None:
        self.gpu.not_in_a_capture()
        self.capture, self.ends = Capture(self), set()

    def end_capture(self) -> SimpleNamespace:
        capture = self.capture
        assert capture is not None
        for stream in capture.streams:
            stream.capture = None
        self.gpu.call()
        done, ahead = set(), set(self.ends)
        while ahead:
            node = ahead.pop()
            done.add(node)
            ahead |= capture.nodes[node][1] - done
        if len(done) < len(capture.nodes):
            raise CUDARuntimeError(904, "cudaErrorStreamCaptureUnjoined: a stream was not joined")
        self.gpu.graphs.append(len(capture.nodes))

        def launch(stream: Stream) -> None:
            assert stream is self
            self.gpu.not_in_a_capture()
            capture.run()

        return SimpleNamespace(launch=launch)


class Event:
    """As cupy.cuda.Event. In a capture, streams that wait for it join the capture."""

    def __init__(self, disable_timing: bool) -> None:
        self.capture: Capture | None = None
        self.ends: set[int] = set()

    def record(self, stream: Stream) -> None:
        stream.gpu.call()
        self.capture, self.ends = stream.capture, set(stream.ends)


class Array(DeviceArray):
    """As cupy.ndarray, without arithmetic."""

    def __init__(self, host: np.ndarray, whole: np.ndarray, gpu: Gpu, memory: object) -> None:
        super().__init__(host, whole)
        self.gpu, self.memory = gpu, memory

    @property
    def data(self) -> SimpleNamespace:
        def memset_async(value: int, size: int, stream: Stream) -> None:
            self.gpu.not_in_a_capture()
            assert size == self.host.nbytes
            self.host.fill(value)

        return SimpleNamespace(ptr=self.gpu.device.address(self), memset_async=memset_async)

    def set(self, values: np.ndarray, stream: Stream) -> None:
        self.gpu.not_in_a_capture()
        assert values.flags.c_contiguous
        assert (values.shape, values.dtype) == (self.shape, self.dtype)
        self.gpu.device.upload(values, self)

    def get(self, stream: Stream) -> np.ndarray:
        self.gpu.not_in_a_capture()
        return self.gpu.device.to_host(self)


class PinnedMemory:
    """As cupy.cuda.PinnedMemory: taken until nothing refers to it."""

    def __init__(self, gpu: Gpu, size: int) -> None:
        self._gpu, self.size = gpu, size
        self.made = gpu.device.zeros((-(-size // 8),), np.float64)
        gpu.pinned += size

    def __del__(self) -> None:
        self._gpu.pinned -= self.size


class PinnedMemoryPointer(np.ndarray):
    """As cupy.cuda.PinnedMemoryPointer: a buffer."""

    ptr: int
    mem: PinnedMemory


class RawModule:
    """As cupy.RawModule: it compiles when a kernel is requested."""

    def __init__(self, cupy: Any, code: str, options: tuple[str, ...]) -> None:
        self.cupy, self.gpu, self.code, self.options = cupy, cupy.gpu, code, options

    def get_function(self, name: str) -> RawKernel:
        kernel = RawKernel(self, name)
        kernel.compile()
        return kernel


class RawKernel:
    """As cupy.RawKernel."""

    def __init__(self, module: RawModule, name: str) -> None:
        self._module, self._name = module, name
        self._function: Callable[..., None] | None = None

    def compile(self) -> None:
        gpu, ptx = self._module.gpu, self._module.cupy.cuda.compiler._use_ptx
        gpu.not_in_a_capture()
        assert "--std=c++17" in self._module.options
        if self._name in gpu.compile_faults:
            raise gpu.compile_faults[self._name]
        gpu.compiled.append((self._name, "ptx" if ptx else "cubin"))
        if gpu.cache_fault is not None and os.environ.get("CUPY_CACHE_IN_MEMORY") != "1":
            raise gpu.cache_fault
        if int(gpu.capability) > int(gpu.newest_known) and not ptx:
            raise CUDADriverError(209, "CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available")
        if "__trap()" in self._module.code:
            self._function = self._trap
            return
        try:
            module = gpu.device.load(self._module.code, self._module.options)
        except ValueError as error:
            raise CompileException(str(error)) from error
        self._function = module.get_function(self._name)

    @property
    def num_regs(self) -> int:
        return 32

    def _trap(self, *_: object) -> None:
        self._module.gpu.lost = True

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        gpu = self._module.gpu
        gpu.call()
        assert gpu.streams, "a kernel is launched on no stream"
        assert self._function is not None, "a kernel is compiled at its launch, which is too late in a capture"
        function, stream = self._function, gpu.streams[-1]
        if stream.capture is None:
            function(grid, block, arguments)
        else:
            nodes = stream.capture.nodes
            nodes.append((lambda: function(grid, block, arguments), set(stream.ends)))
            stream.ends = {len(nodes) - 1}


def fake_cupy() -> ModuleType:
    """A module to put in sys.modules as cupy. Its `gpu` records calls and raises the `faults` set on it; its device
    has the `attributes`."""
    module: Any = ModuleType("cupy")
    gpu = module.gpu = Gpu()
    module.attributes = ATTRIBUTES

    def memory_info() -> tuple[int, int]:
        gpu.not_in_a_capture()
        return gpu.memory - gpu.taken, gpu.memory

    def memory(size: int) -> Memory:
        gpu.not_in_a_capture()
        return Memory(gpu, size)

    def pinned_memory(size: int) -> PinnedMemory:
        gpu.not_in_a_capture()
        return PinnedMemory(gpu, size)

    def pinned_memory_pointer(memory: PinnedMemory, offset: int) -> PinnedMemoryPointer:
        assert offset == 0
        found = memory.made.host.view(np.uint8).view(PinnedMemoryPointer)
        found.ptr, found.mem = gpu.device.address(memory.made), memory
        return found

    def ndarray(shape: tuple[int, ...], dtype: np.dtype[Any], memptr: SimpleNamespace) -> Array:
        if memptr.owner is not None:
            whole = memptr.owner.mem.made
            host = whole.host.view(np.uint8)[: memptr.size].view(dtype).reshape(shape)
            return Array(host, whole.whole, gpu, memptr)
        made = gpu.device.from_host(np.full(shape, np.array(0xEE, np.uint8)).astype(dtype))
        assert memptr.size == made.host.nbytes
        return Array(made.host, made.whole, gpu, memptr)

    module.RawModule = lambda code, options: RawModule(module, code, options)
    module.ndarray = ndarray
    module.cuda = SimpleNamespace(
        Memory=memory,
        MemoryPointer=lambda memory, offset: memory,
        UnownedMemory=lambda pointer, size, owner, device: SimpleNamespace(size=size, owner=owner),
        PinnedMemory=pinned_memory,
        PinnedMemoryPointer=pinned_memory_pointer,
        Stream=lambda non_blocking: Stream(gpu),
        Event=Event,
        Device=lambda: SimpleNamespace(id=0, attributes=dict(module.attributes), compute_capability=gpu.capability),
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceProperties=lambda _: {"name": b"Make-believe GPU"},
            driverGetVersion=lambda: 12040,
            memGetInfo=memory_info,
            getDeviceCount=lambda: 1,
        ),
        driver=SimpleNamespace(CUDADriverError=CUDADriverError, get_build_version=lambda: 12090),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        compiler=SimpleNamespace(CompileException=CompileException, _use_ptx=False),
        nvrtc=SimpleNamespace(NVRTCError=NVRTCError, getVersion=lambda: (12, 9)),
    )
    module.clear_memo = lambda: None
    return module
