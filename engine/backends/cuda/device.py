"""CupyDevice: a GPU through CuPy, whose module backend.py passes in; kernel fusion and CUDA graphs.

All work runs in order on a stream of the device object. Memory is allocated directly from CUDA instead of from
CuPy's pool, which runs Python's garbage collector when it lacks memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from engine.backends.cuda.cupy_faults import (
    OUT_OF_MEMORY,
    compiled_kernel,
    cuda_errors,
    cuda_reason,
    driver_version,
    drop_errors_of_finalizers,
    error_text,
)
from engine.backends.cuda.launch import BlockLaunch, DeviceFault, ElementwiseLaunch, Launch
from engine.backends.cuda.tile_costs import H200_COSTS, TileCosts
from engine.backends.ops import Array, Calls, HostArray


def launches(calls: Calls) -> list[Launch]:
    """The launches of calls prepared by CudaOps. Raises TypeError for any other call."""
    found = []
    for function, _, _ in calls:
        if not isinstance(function, Launch):
            raise TypeError(f"Only launches of kernels can be fused, not {function!r}.")
        found.append(function)
    return found


def fuse_launches(calls: Calls) -> Calls:
    """The same work in fewer launches (kernel fusion).

    An elementwise function is applied by the thread that has just computed its input, and independent elementwise
    functions share a launch. A launch moves ahead of those it does not depend on.
    """
    done: list[Launch] = []
    for launch in launches(calls):
        if not (isinstance(launch, ElementwiseLaunch) and _fuse(launch, done)):
            done.append(launch)
    return [(launch, (), {}) for launch in done]


def _fuse(launch: ElementwiseLaunch, done: list[Launch]) -> bool:
    """Fuse a launch of one function with an earlier one, and return whether that was possible."""
    ((function,),) = launch.segments
    candidate: tuple[int, ElementwiseLaunch] | None = None
    for place in reversed(range(len(done))):
        earlier = done[place]
        if launch.conflicts_with(earlier):
            longer = earlier.fused_with(function) if isinstance(earlier, BlockLaunch | ElementwiseLaunch) else None
            if longer is not None:
                done[place] = longer
                return True
            break
        # The earliest launch is best: it delays later launches least.
        if isinstance(earlier, ElementwiseLaunch) and (wider := earlier.merged_with(launch)) is not None:
            candidate = place, wider
    if candidate is None:
        return False
    done[candidate[0]] = candidate[1]
    return True


@dataclass(frozen=True)
class StreamSlot:
    """The stream of a launch, 0 or 1, and the indices of launches in the other stream that it waits for."""

    stream: int
    waits_for: tuple[int, ...]


def schedule_streams(found: Sequence[Launch]) -> list[StreamSlot]:
    """Assign launches in sequential order to two streams.

    The second stream is for launches that do not depend on the last one of the first, such as the weight gradient
    of a layer in parallel with its input gradient.
    """
    slots: list[StreamSlot] = []
    # For each stream, the index of its last launch, and of the last one of the other stream that it has waited for.
    lasts, waited = [-1, -1], [-1, -1]
    for number, launch in enumerate(found):
        needs = [earlier for earlier in range(number) if launch.conflicts_with(found[earlier])]
        latest = max(needs, default=-1)
        # After its latest dependency if that is the last launch of its stream, else in the other stream.
        stream = slots[latest].stream if latest >= 0 else 0
        if lasts[stream] > latest:
            stream = 1 - stream
        others = [earlier for earlier in needs if slots[earlier].stream != stream and earlier > waited[stream]]
        after = (max(others),) if others else ()
        if after:
            waited[stream] = after[0]
        lasts[stream] = number
        slots.append(StreamSlot(stream, after))
    return slots


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Card:
    """A GPU as it describes itself.

    capability: such as "8.6"; driver: the newest CUDA version that the driver knows, such as "12.4".
    clock: the highest, in MHz; threads, registers, shared_bytes: of a multiprocessor; memory: bytes in all.
    """

    name: str
    capability: str
    driver: str
    processors: int
    memory: int
    clock: float
    threads: int
    registers: int
    shared_bytes: int

    @property
    def slow_multiplies_per_second(self) -> float:
        """Multiplications of a matrix product per second that even a slow kernel reaches."""
        return SLOW_PRODUCTS * self.processors * self.clock * 1e6


# Seconds: the longest work that is submitted at a time, as Windows resets a GPU that is busy with one for two.
LONGEST_SUBMISSION = 0.5
# Multiplications per clock and multiprocessor: a sixteenth of what the cards since 2018 have units for.
SLOW_PRODUCTS = 4
# The clock that an H200 reports, in MHz.
H200_CLOCK = 1980


def described_costs(card: Card) -> TileCosts:
    """The costs of a tiled product before they are measured: an H200's, for this card's clock and limits."""
    return msgspec.structs.replace(
        H200_COSTS,
        clock=H200_COSTS.clock * card.clock / H200_CLOCK,
        max_resident=card.threads,
        registers=card.registers,
        shared_bytes=card.shared_bytes,
    )


class CupyDevice:
    """A CudaDevice through CuPy. cupy: the module, whose errors propagate if no GPU can be used."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._no_memory = cupy.cuda.memory.OutOfMemoryError
        self._failures = cuda_errors(cupy)
        drop_errors_of_finalizers(self._failures)
        self._stream = cupy.cuda.Stream(non_blocking=True)
        # The second stream of a graph, and the stream in use.
        self._second = cupy.cuda.Stream(non_blocking=True)
        self._current = self._stream
        # Whether work may still be running.
        self._busy = True
        self._processors = int(cupy.cuda.Device().attributes["MultiProcessorCount"])

    @property
    def processors(self) -> int:
        return self._processors

    @property
    def card(self) -> Card:
        """The GPU that this device computes on."""
        cuda = self._cupy.cuda
        with self._working():
            device = cuda.Device()
            # A driver may not tell all of them; then they count as an H200's.
            found = device.attributes
            capability = str(device.compute_capability)
            return Card(
                cuda.runtime.getDeviceProperties(device.id)["name"].decode(),
                f"{capability[:-1]}.{capability[-1]}",
                driver_version(self._cupy),
                self._processors,
                int(cuda.runtime.memGetInfo()[1]),
                found["ClockRate"] / 1000 if found.get("ClockRate") else H200_CLOCK,
                found.get("MaxThreadsPerMultiProcessor") or H200_COSTS.max_resident,
                found.get("MaxRegistersPerMultiprocessor") or H200_COSTS.registers,
                found.get("MaxSharedMemoryPerMultiprocessor") or H200_COSTS.shared_bytes,
            )

    @property
    def free_bytes(self) -> int:
        """The memory that is free on the card now, after all earlier work."""
        self.synchronize()
        with self._working():
            return int(self._cupy.cuda.runtime.memGetInfo()[0])

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        array = self._empty(shape, np.dtype(dtype))
        with self._working():
            if array.nbytes:
                array.data.memset_async(0, array.nbytes, self._stream)
        return array

    def from_host(self, values: HostArray) -> Array:
        array = self._empty(values.shape, values.dtype)
        self.upload(values, array)
        return array

    def upload(self, values: HostArray, array: Array) -> None:
        with self._working():
            if values.size:
                array.set(np.ascontiguousarray(values), stream=self._stream)

    def to_host(self, array: Array) -> HostArray:
        with self._working():
            found: HostArray = array.get(stream=self._stream)
            self._stream.synchronize()
        self._busy = False
        return found

    def pinned_array(self, shape: tuple[int, ...], dtype: Any) -> tuple[HostArray, Array]:
        """Page-locked memory, which a GPU accesses at the same address."""
        kind, cuda = np.dtype(dtype), self._cupy.cuda
        size = int(np.prod(shape, dtype=np.int64))
        with self._working():
            # Not from CuPy's pool, which would keep it for the next network that transfers exactly as many bytes.
            memory = cuda.PinnedMemoryPointer(cuda.PinnedMemory(max(1, size * kind.itemsize)), 0)
            pinned = cuda.UnownedMemory(memory.ptr, size * kind.itemsize, memory, 0)
            array = self._cupy.ndarray(shape, kind, memptr=cuda.MemoryPointer(pinned, 0))
        host: HostArray = np.frombuffer(memory, kind, size).reshape(shape)
        return host, array

    def address(self, array: Array) -> int:
        return int(array.data.ptr)

    def load(self, source: str, options: tuple[str, ...]) -> _Module:
        """CUDA C, compiled for this GPU by NVRTC when a kernel is requested."""
        return _Module(self, self._cupy.RawModule(code=source, options=("--std=c++17", *options)))

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        """The repeated calls as one CUDA graph."""
        return _Program(self, calls, times)

    def synchronize(self) -> None:
        if self._busy:
            try:
                self._stream.synchronize()
            except self._failures as error:
                raise self._fault(error) from error
            self._busy = False

    def launch_graph(self, graph: Any) -> None:
        """Launch a captured graph. Without a context manager, as live passes spend their host time here."""
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
        """Use the current stream, and raise its errors as DeviceFault."""
        self._busy = True
        try:
            with self._current:
                yield
        except self._failures as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> DeviceFault:
        if isinstance(error, self._no_memory) or getattr(error, "status", None) == OUT_OF_MEMORY:
            return _no_memory(error)
        return DeviceFault(f"The GPU failed: {cuda_reason(self._cupy, error)}.", False)


class _Module:
    def __init__(self, device: CupyDevice, module: Any) -> None:
        self._device, self._module = device, module

    def get_function(self, name: str) -> Callable[..., None]:
        """The kernel, compiled and loaded. Raises DeviceFault."""
        device = self._device
        with device._working():
            kernel = compiled_kernel(device._cupy, self._module, name)

        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            with device._working():
                kernel(grid, block, arguments)

        return launch


class _Program:
    """Calls replayed as a CUDA graph, or where they take long as several, each of which is waited for.

    The first run launches them one by one, which compiles and loads the kernels and shows how long they take; the
    second captures them.
    """

    def __init__(self, device: CupyDevice, calls: Calls, times: int) -> None:
        self._device, self._launches, self._times = device, launches(calls), times
        self._graphs: list[_Graph] = []
        self._rounds = 1
        self._runs = 0

    def __call__(self) -> None:
        self._runs += 1
        if self._runs == 1:
            self._run_measured()
            return
        for number in range(self._rounds * len(self._graphs)):
            graph = self._graphs[number % len(self._graphs)]
            if number:
                self._device.synchronize()
            if self._runs == 2 and number < len(self._graphs):
                graph.capture()
            graph.launch()

    def _run_measured(self) -> None:
        """The first run, after which all repetitions are one graph, or each one some of LONGEST_SUBMISSION."""
        seconds = [self._seconds(launch) for launch in self._launches]
        # Each was waited for, which takes as long as the shortest of them.
        seconds = [taken - min(seconds) for taken in seconds]
        is_long = sum(seconds) * self._times > LONGEST_SUBMISSION
        groups = _groups(self._launches, seconds)
        for _ in range(self._times - 1):
            for group in groups:
                for launch in group:
                    launch()
                if is_long:
                    self._device.synchronize()
        self._rounds = self._times if is_long else 1
        self._graphs = [_Graph(self._device, group, self._times // self._rounds) for group in groups]

    def _seconds(self, launch: Launch) -> float:
        """The seconds that one launch takes, with waiting for it."""
        launch.prepare()
        self._device.synchronize()
        started = perf_counter()
        launch()
        self._device.synchronize()
        return perf_counter() - started


def _groups(found: Sequence[Launch], seconds: Sequence[float]) -> list[list[Launch]]:
    """The launches in order, in groups that take at most LONGEST_SUBMISSION, unless one launch alone does."""
    groups: list[list[Launch]] = []
    spent = 0.0
    for launch, taken in zip(found, seconds, strict=True):
        if not groups or spent + taken > LONGEST_SUBMISSION:
            groups.append([])
            spent = 0.0
        groups[-1].append(launch)
        spent += taken
    return groups


class _Graph:
    """Repeated launches, captured as one CUDA graph. It does not own memory, so this keeps the launches and thereby
    their arrays."""

    def __init__(self, device: CupyDevice, found: list[Launch], times: int) -> None:
        self._device, self._launches, self._times = device, found, times
        self._graph: Any = None
        self._slots: list[StreamSlot] = []

    def launch(self) -> None:
        """Submit all of it."""
        if self._graph is not None:
            self._device.launch_graph(self._graph)
            return
        for _ in range(self._times):
            for launch in self._launches:
                launch()

    def capture(self) -> None:
        """Capture the launches as a graph; if that fails, log a warning and keep launching them one by one."""
        device, stream = self._device, self._device._stream
        self._slots = schedule_streams(self._launches)
        try:
            with device._working():
                stream.begin_capture()
                try:
                    for _ in range(self._times):
                        self._launch_in_streams()
                finally:
                    device._current = stream
                    graph = stream.end_capture()
        except DeviceFault as fault:
            log.warning("Steps are launched one by one: they could not be captured as a CUDA graph. %s", fault)
        else:
            self._graph = graph

    def _launch_in_streams(self) -> None:
        """All launches once, in two streams that synchronize by events. At the start the second stream waits for
        the first, at the end the first for the second."""
        device, streams = self._device, (self._device._stream, self._device._second)
        events: dict[int, Any] = {}
        awaited = {number for slot in self._slots for number in slot.waits_for}
        last, begun = -1, False
        before = self._event(streams[0])
        for number, (launch, slot) in enumerate(zip(self._launches, self._slots, strict=True)):
            stream = streams[slot.stream]
            if slot.stream == 1:
                last = number
                if not begun and not slot.waits_for:
                    stream.wait_event(before)
                begun = True
            for earlier in slot.waits_for:
                stream.wait_event(events[earlier])
            device._current = stream
            launch()
            if number in awaited:
                events[number] = self._event(stream)
        if last >= 0:
            streams[0].wait_event(self._event(streams[1]))
        device._current = streams[0]

    def _event(self, stream: Any) -> Any:
        event = self._device._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event


def _no_memory(error: BaseException) -> DeviceFault:
    return DeviceFault(
        f"The GPU has too little memory left: {error_text(error)}. A smaller batch needs less.", True
    )
