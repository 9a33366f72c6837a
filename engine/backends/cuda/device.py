"""CupyDevice: the GPU as a Device, through CuPy. It is handed the module, which backends/backend.py alone imports.

All work is done on one stream of its own, in the order it is given. Memory comes straight from CUDA and not from
CuPy's pool, which runs Python's garbage collector where it lacks memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends.cuda.launch import Blocks, DeviceFault, Launch, Segments
from engine.backends.ops import Array, Calls, HostArray, replay


def launches(calls: Calls) -> list[Launch]:
    """The launches that calls of KernelOperations are. Raises TypeError for any other call."""
    found = []
    for function, _, _ in calls:
        if not isinstance(function, Launch):
            raise TypeError(f"Only launches of kernels can be put together, not {function!r}.")
        found.append(function)
    return found


def fused(calls: Calls) -> Calls:
    """The same work in fewer launches.

    A function of single values is done at once by the thread that has just made the value it needs, and such
    functions that do not need each other work side by side. A launch moves forward past those that it does not
    have to wait for, but never past one that it does.
    """
    done: list[Launch] = []
    for launch in launches(calls):
        if not (isinstance(launch, Segments) and _join(launch, done)):
            done.append(launch)
    return [(launch, (), {}) for launch in done]


def _join(launch: Segments, done: list[Launch]) -> bool:
    """Put a launch of one function into an earlier one, if there is one that takes it."""
    ((function,),) = launch.segments
    beside: tuple[int, Segments] | None = None
    for place in reversed(range(len(done))):
        earlier = done[place]
        if launch.hinders(earlier):
            together = earlier.followed_by(function) if isinstance(earlier, Blocks | Segments) else None
            if together is not None:
                done[place] = together
                return True
            break
        # The earliest place is the best: there it is least in the way of what follows.
        if isinstance(earlier, Segments) and (wider := earlier.beside(launch)) is not None:
            beside = place, wider
    if beside is None:
        return False
    done[beside[0]] = beside[1]
    return True


@dataclass(frozen=True)
class Turn:
    """When a launch runs: after all before it in its lane, 0 or 1, and after the launches of those numbers in the
    other lane."""

    lane: int
    after: tuple[int, ...]


def turns(found: Sequence[Launch]) -> list[Turn]:
    """For launches in an order in which they could run one by one: two lanes, the second for what need not wait for
    the last launch of the first, such as the gradient of a layer's weights beside that of its input."""
    made: list[Turn] = []
    # Of each lane, the number of its last launch, and up to which one of the other it has waited.
    lasts, seen = [-1, -1], [-1, -1]
    for number, launch in enumerate(found):
        needs = [earlier for earlier in range(number) if launch.hinders(found[earlier])]
        latest = max(needs, default=-1)
        # Behind the launch that it waits for longest, if that is the last of its lane; else beside what follows.
        lane = made[latest].lane if latest >= 0 else 0
        if lasts[lane] > latest:
            lane = 1 - lane
        others = [earlier for earlier in needs if made[earlier].lane != lane and earlier > seen[lane]]
        after = (max(others),) if others else ()
        if after:
            seen[lane] = after[0]
        lasts[lane] = number
        made.append(Turn(lane, after))
    return made


log = logging.getLogger(__name__)

# cudaErrorMemoryAllocation and CUDA_ERROR_OUT_OF_MEMORY.
_OUT_OF_MEMORY = 2


class CupyDevice:
    """See Device. cupy: the module. Raises whatever it raises where no GPU can be used."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._no_memory = cupy.cuda.memory.OutOfMemoryError
        self._failures = (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError, self._no_memory)
        self._stream = cupy.cuda.Stream(non_blocking=True)
        # Beside the first, in a graph; and the one on which work is done now.
        self._second = cupy.cuda.Stream(non_blocking=True)
        self._current = self._stream
        # Whether anything may still be under way.
        self._busy = True
        self._processors = int(cupy.cuda.Device().attributes["MultiProcessorCount"])

    @property
    def processors(self) -> int:
        """Its multiprocessors."""
        return self._processors

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""
        array = self._empty(shape, np.dtype(dtype))
        with self._working():
            if array.nbytes:
                array.data.memset_async(0, array.nbytes, self._stream)
        return array

    def from_host(self, values: HostArray) -> Array:
        """The same values as a new array."""
        array = self._empty(values.shape, values.dtype)
        self.upload(values, array)
        return array

    def upload(self, values: HostArray, array: Array) -> None:
        """Into an array without gaps."""
        with self._working():
            if values.size:
                array.set(np.ascontiguousarray(values), stream=self._stream)

    def to_host(self, array: Array) -> HostArray:
        """A copy, once all work is done."""
        with self._working():
            found: HostArray = array.get(stream=self._stream)
            self._stream.synchronize()
        self._busy = False
        return found

    def shared(self, shape: tuple[int, ...], dtype: Any) -> tuple[HostArray, Array]:
        """Page-locked memory, which a GPU reaches under the same address."""
        kind, cuda = np.dtype(dtype), self._cupy.cuda
        size = int(np.prod(shape, dtype=np.int64))
        with self._working():
            memory = cuda.alloc_pinned_memory(max(1, size * kind.itemsize))
            passage = cuda.UnownedMemory(memory.ptr, size * kind.itemsize, memory, 0)
            array = self._cupy.ndarray(shape, kind, memptr=cuda.MemoryPointer(passage, 0))
        host: HostArray = np.frombuffer(memory, kind, size).reshape(shape)
        return host, array

    def address(self, array: Array) -> int:
        """Where its first value lies."""
        return int(array.data.ptr)

    def load(self, source: str, options: tuple[str, ...]) -> _Module:
        """CUDA C, compiled for this GPU by NVRTC when a kernel is asked for."""
        return _Module(self, self._cupy.RawModule(code=source, options=("--std=c++17", *options)))

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        """The calls, so many times, as one CUDA graph."""
        return _Program(self, calls, times)

    def wait(self) -> None:
        """Until all work is done."""
        if self._busy:
            try:
                self._stream.synchronize()
            except self._failures as error:
                raise self._fault(error) from error
            self._busy = False

    def launch(self, graph: Any) -> None:
        """A captured graph. This is where a live pass spends the host's time, hence no context manager."""
        self._busy = True
        try:
            graph.launch(stream=self._stream)
        except self._failures as error:
            raise self._fault(error) from error

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        with self._working():
            memory = self._cupy.cuda.Memory(size)
            return self._cupy.ndarray(shape, dtype, memptr=self._cupy.cuda.MemoryPointer(memory, 0))

    @contextmanager
    def _working(self) -> Iterator[None]:
        """On the stream; what fails there is a DeviceFault."""
        self._busy = True
        try:
            with self._current:
                yield
        except self._failures as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> DeviceFault:
        if isinstance(error, self._no_memory) or getattr(error, "status", None) == _OUT_OF_MEMORY:
            return _no_memory(error)
        return DeviceFault(f"The GPU failed: {first_line(error)}.", False)


class _Module:
    def __init__(self, device: CupyDevice, module: Any) -> None:
        self._device, self._module = device, module

    def get_function(self, name: str) -> Callable[..., None]:
        """The kernel, compiled and loaded: inside a capture it would be too late. Raises ValueError with NVRTC's
        log."""
        device = self._device
        with device._working():
            try:
                kernel = self._module.get_function(name)
                _ = kernel.num_regs
            except device._cupy.cuda.compiler.CompileException as error:
                raise ValueError(f"The kernel {name} cannot be compiled: {error}") from error

        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            with device._working():
                kernel(grid, block, arguments)

        return launch


class _Program:
    """Calls replayed as a CUDA graph.

    The first run launches them one by one, which compiles and loads what is not yet; the second captures them. A
    graph keeps no memory alive, so the calls, which hold their arrays, are kept here.
    """

    def __init__(self, device: CupyDevice, calls: Calls, times: int) -> None:
        self._device, self._calls, self._times = device, calls, times
        self._graph: Any = None
        self._turns: list[Turn] = []
        self._runs = 0

    def __call__(self) -> None:
        self._runs += 1
        if self._runs == 2:
            self._capture()
        if self._graph is None:
            self._launch()
        else:
            self._device.launch(self._graph)

    def _launch(self) -> None:
        for _ in range(self._times):
            replay(self._calls)

    def _capture(self) -> None:
        """Record the calls as a graph; where that cannot be, say so, and go on without."""
        device, stream = self._device, self._device._stream
        found = launches(self._calls)
        for launch in found:
            launch.prepare()
        self._turns = turns(found)
        try:
            with device._working():
                stream.begin_capture()
                try:
                    for _ in range(self._times):
                        self._launch_in_lanes()
                finally:
                    device._current = stream
                    graph = stream.end_capture()
        except DeviceFault as fault:
            log.warning("Steps are launched one by one: they could not be captured as a CUDA graph. %s", fault)
        else:
            self._graph = graph

    def _launch_in_lanes(self) -> None:
        """All launches once, in two streams that wait for each other where they have to. In the end the first waits
        for the second, and in the beginning the second for the first."""
        device, streams = self._device, (self._device._stream, self._device._second)
        events: dict[int, Any] = {}
        wanted = {number for turn in self._turns for number in turn.after}
        last, begun = -1, False
        before = self._event(streams[0])
        for number, (launch, turn) in enumerate(zip(launches(self._calls), self._turns, strict=True)):
            stream = streams[turn.lane]
            if turn.lane == 1:
                last = number
                if not begun and not turn.after:
                    stream.wait_event(before)
                begun = True
            for earlier in turn.after:
                stream.wait_event(events[earlier])
            device._current = stream
            launch()
            if number in wanted:
                events[number] = self._event(stream)
        if last >= 0:
            streams[0].wait_event(self._event(streams[1]))
        device._current = streams[0]

    def _event(self, stream: Any) -> Any:
        event = self._device._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event


def first_line(error: BaseException) -> str:
    """The first line of an error's words, without a full stop: a compiler's go on for pages."""
    words = str(error).strip() or type(error).__name__
    return words.splitlines()[0].rstrip(".")


def _no_memory(error: BaseException) -> DeviceFault:
    return DeviceFault(
        f"The GPU has too little memory left: {first_line(error)}. A smaller batch needs less.", True
    )
