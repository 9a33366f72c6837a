"""Launch: a prepared kernel launch, with its source, grid, arguments and memory accesses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from engine.backends.cuda.arguments import (
    Access,
    Argument,
    CodeGenerator,
    DeviceFunction,
    KernelParameter,
    MapShape,
    accesses_of,
)
from engine.backends.cuda.arrays import ArrayView, view_of
from engine.backends.cuda.tile_costs import TilingChoice, cheapest_tiling
from engine.backends.ops import Array, Calls, HostArray

SOURCE_FOLDER = Path(__file__).parent / "source"

# Headers included in every kernel, in order of dependency.
HEADERS = (
    "layout",
    "cached_value",
    "values",
    "activations",
    "pooling",
    "dropout",
    "softmax",
    "training",
    "batch_norm",
)
# Kernels that also include tiles.cuh.
TILED = ("matmul", "convolution_forward", "convolution_input_gradient", "convolution_weight_gradient")


def kernel_source(kernel: str, defines: str) -> str:
    """The complete source of `kernel`: `defines`, lines of #define, the headers, then the kernel. #line directives
    give compiler messages the right file."""
    parts = [*(f"{name}.cuh" for name in HEADERS), *(["tiles.cuh"] if kernel in TILED else [])]
    texts = [f'#line 1 "{name}"\n{_read(name)}' for name in (*parts, f"{kernel}.cu")]
    return "\n".join((defines, *texts))


@cache
def _read(name: str) -> str:
    return (SOURCE_FOLDER / name).read_text("utf-8")


class DeviceFault(RuntimeError):
    """The device failed while in use; the message is a sentence.

    out_of_memory: it lacked memory and may succeed with less; otherwise the device is no longer usable.
    """

    def __init__(self, message: str, out_of_memory: bool) -> None:
        super().__init__(message)
        self.out_of_memory = out_of_memory


class CompiledKernel(Protocol):
    """A compiled kernel, launched by calling it."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Launch it on a grid of blocks of threads, after all earlier work of the device. Arrays are passed as
        pointers; scalars and structures (zero-dimensional arrays) by value."""
        ...


class CompiledModule(Protocol):
    """A compiled module, as CuPy's RawModule."""

    def get_function(self, name: str) -> CompiledKernel:
        """The kernel of that name, compiled if it was not yet."""
        ...


class CudaDevice(Protocol):
    """A device that runs CUDA kernels, in the order of submission. All methods may raise DeviceFault.

    Its arrays have shape, strides, dtype, slicing, reshape, transpose, T and base, as in NumPy, and can be
    referenced weakly.
    """

    @property
    def processors(self) -> int:
        """Number of multiprocessors, roughly the number of blocks that run in parallel."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""
        ...

    def from_host(self, values: HostArray) -> Array:
        """A new array with the same values."""
        ...

    def upload(self, values: HostArray, array: Array) -> None:
        """array = values, for a contiguous array; the values may be changed immediately afterwards."""
        ...

    def to_host(self, array: Array) -> HostArray:
        """A NumPy copy of a contiguous array, after all earlier work."""
        ...

    def pinned_array(self, shape: tuple[int, ...], dtype: Any) -> tuple[HostArray, Array]:
        """New pinned host memory, as a NumPy and as a device array. Concurrent access must be synchronized."""
        ...

    def address(self, array: Array) -> int:
        """The address of its first element, in bytes."""
        ...

    def load(self, source: str, options: tuple[str, ...]) -> CompiledModule:
        """CUDA C with options such as -DSIZE=3, to be compiled when a kernel is requested."""
        ...

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        """A function that replays calls of these kernels `times` times, asynchronously."""
        ...

    def synchronize(self) -> None:
        """Wait for all work; almost free if there is none."""
        ...


# Threads of an elementwise block, and blocks for each of the device's multiprocessors.
BLOCK_THREADS = 256
BLOCKS_PER_PROCESSOR = 8
# The most functions fused in sequence in one kernel, and the most segments of an elementwise launch.
MAX_FUNCTIONS = 8
MAX_SEGMENTS = 16
# The limit for the parameters of a kernel.
MAX_PARAMETER_BYTES = 4000


class KernelCache:
    """Compiles each combination of kernel, options and fused functions once.

    choose_tiling: of a product and the bytes of a value; by default with an H200's costs.
    """

    def __init__(self, device: CudaDevice, choose_tiling: TilingChoice | None = None) -> None:
        self.device = device
        self.choose_tiling = choose_tiling or cheapest_tiling(device.processors)
        self._functions: dict[tuple[str, tuple[str, ...], str], CompiledKernel] = {}

    def view(
        self, array: Array, shape: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None
    ) -> ArrayView:
        """A view of a device array, optionally with another shape and strides in bytes, which may be 0. Raises
        ValueError for too many elements."""
        address = self.device.address(array)
        return view_of(address, array, shape or tuple(array.shape), strides or tuple(array.strides))

    def function(self, kernel: str, options: tuple[str, ...], defines: str) -> CompiledKernel:
        """The compiled kernel. Raises DeviceFault, also if it cannot be compiled."""
        key = (kernel, options, defines)
        if key not in self._functions:
            module = self.device.load(kernel_source(kernel, defines), options)
            self._functions[key] = module.get_function(kernel)
        return self._functions[key]


@dataclass(eq=False)
class Launch:
    """The base of all launches; calling one submits it to the device."""

    kernels: KernelCache
    _function: CompiledKernel | None = field(default=None, init=False)
    _arguments: tuple[Argument, ...] = field(default=(), init=False)

    @property
    def kernel(self) -> str:
        """The name of the kernel and of its file."""
        raise NotImplementedError

    @property
    def accesses(self) -> tuple[Access, ...]:
        """The memory accesses of all its threads."""
        raise NotImplementedError

    @property
    def options(self) -> tuple[str, ...]:
        return ()

    @property
    def defines(self) -> str:
        """The #define lines at the start of its source."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Compile the kernel if necessary. Raises ValueError with the compiler's log, DeviceFault."""
        if self._function is None:
            self._arguments = self._values()
            self._function = self.kernels.function(self.kernel, self.options, self.defines)

    def __call__(self) -> None:
        if self._function is None:
            self.prepare()
        assert self._function is not None
        grid, block = self._shape()
        self._function(grid, block, self._arguments)

    def _values(self) -> tuple[Argument, ...]:
        raise NotImplementedError

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        raise NotImplementedError

    def conflicts_with(self, other: Launch) -> bool:
        """Whether the order of the two launches matters."""
        return any(own.conflicts_with(others) for own in self.accesses for others in other.accesses)


@dataclass(eq=False)
class BlockLaunch(Launch):
    """A launch of a kernel whose threads cooperate in blocks, with fused epilogues.

    compiler_options: its own.
    parameters: those of the kernel itself.
    output_size: the number of output elements if each is written by one thread, to which an epilogue can be added;
    else 0.
    windows: those of its output, see Access, if one thread writes all four values of each.
    epilogue: functions applied to each output element.
    window_epilogue: functions applied to each window once its values are complete.
    """

    name: str
    compiler_options: tuple[str, ...]
    grid: tuple[int, ...]
    block: tuple[int, ...]
    parameters: tuple[KernelParameter, ...]
    output_size: int = 0
    windows: MapShape | None = None
    epilogue: tuple[DeviceFunction, ...] = ()
    window_epilogue: tuple[DeviceFunction, ...] = ()

    @property
    def kernel(self) -> str:
        return self.name

    @property
    def options(self) -> tuple[str, ...]:
        return self.compiler_options

    @property
    def accesses(self) -> tuple[Access, ...]:
        return (*self._of_values, *_accesses(self.window_epilogue))

    @property
    def _of_values(self) -> tuple[Access, ...]:
        return (*accesses_of(self.parameters), *_accesses(self.epilogue))

    @property
    def defines(self) -> str:
        epilogue = CodeGenerator(self.epilogue, "f", output=self._output, window_input=self._window_input)
        window_epilogue = CodeGenerator(self.window_epilogue, "w", "w")
        parameters = "".join(f", {each}" for each in (*epilogue.parameters(), *window_epilogue.parameters()))
        return (
            f"#define EPILOGUE_PARAMETERS {parameters}\n#define EPILOGUE(i, computed, cell) {epilogue.body()}\n"
            f"#define WINDOW_EPILOGUE(w) {window_epilogue.body()}"
        )

    @property
    def _output(self) -> ArrayView | None:
        """The output of which each element is written by one thread."""
        for access in accesses_of(self.parameters):
            if access.write and access.elementwise and self.output_size:
                return access.view
        return None

    @property
    def _window_input(self) -> ArrayView | None:
        return next((access.view for access in _accesses(self.window_epilogue) if access.windows is not None), None)

    def fused_with(self, function: DeviceFunction) -> BlockLaunch | None:
        """This launch with `function` added, None if that is impossible."""
        if len(self.epilogue) + len(self.window_epilogue) >= MAX_FUNCTIONS:
            return None
        if function.size == self.output_size:
            independent = all(
                not own.conflicts_with(other)
                for own in function.accesses
                for other in _accesses(self.window_epilogue)
            )
            fits = independent and function.can_follow(self._of_values)
            return _if_it_fits(replace(self, epilogue=(*self.epilogue, function))) if fits else None
        if self.windows is not None and function.size * 4 == self.output_size:
            fits = function.can_follow(_accesses(self.window_epilogue)) and all(
                not own.conflicts_with(value) or self._in_window(own, value)
                for own in function.accesses
                for value in self._of_values
            )
            return _if_it_fits(replace(self, window_epilogue=(*self.window_epilogue, function))) if fits else None
        return None

    def _in_window(self, access: Access, value: Access) -> bool:
        """Whether an access of a window function meets only values written before by the same thread."""
        view = self._window_input
        ours = access.windows == self.windows and access.windows is not None and not access.write
        same = view is None or view.same_elements(access.view)
        return ours and same and value.elementwise and access.view.same_elements(value.view)

    @property
    def all_parameters(self) -> list[KernelParameter]:
        """All parameters, in order."""
        return [
            *self.parameters,
            *(given for function in (*self.epilogue, *self.window_epilogue) for given in function.parameters),
        ]

    def _values(self) -> tuple[Argument, ...]:
        return (*(given.value for given in self.parameters), *_arguments((*self.epilogue, *self.window_epilogue)))

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.grid, self.block


@dataclass(eq=False)
class ElementwiseLaunch(Launch):
    """A launch of the elementwise kernel: independent segments, each with its own blocks, of functions applied in
    sequence to every index."""

    segments: tuple[tuple[DeviceFunction, ...], ...]

    @property
    def kernel(self) -> str:
        return "elementwise"

    @property
    def accesses(self) -> tuple[Access, ...]:
        return tuple(access for segment in self.segments for function in segment for access in function.accesses)

    @property
    def defines(self) -> str:
        parameters: list[str] = []
        lines: list[str] = []
        for place, segment in enumerate(self.segments):
            code = CodeGenerator(segment, f"s{place}_")
            parameters += [f"int blocks{place}", f"int count{place}", *code.parameters()]
            lines.append(f"SEGMENT(blocks{place}, count{place}, {code.body()})")
        return f"#define PARAMETERS {', '.join(parameters)}\n#define SEGMENTS {' '.join(lines)}"

    def fused_with(self, function: DeviceFunction) -> ElementwiseLaunch | None:
        """This launch with `function` added to one of its segments, None if that is impossible."""
        for place, segment in enumerate(self.segments):
            others = [one for other in self.segments if other is not segment for one in other]
            independent = all(
                not own.conflicts_with(access) for access in _accesses(others) for own in function.accesses
            )
            fits = segment[0].size == function.size and len(segment) < MAX_FUNCTIONS and independent
            if fits and function.can_follow(_accesses(segment)):
                longer = (*self.segments[:place], (*segment, function), *self.segments[place + 1 :])
                return _if_it_fits(replace(self, segments=longer))
        return None

    def merged_with(self, other: ElementwiseLaunch) -> ElementwiseLaunch | None:
        """This launch with the segments of an independent one added, None if there are too many."""
        if len(self.segments) + len(other.segments) > MAX_SEGMENTS:
            return None
        return _if_it_fits(replace(self, segments=(*self.segments, *other.segments)))

    @property
    def all_parameters(self) -> list[KernelParameter]:
        """All parameters in order, without the counts of blocks and elements."""
        return [given for segment in self.segments for function in segment for given in function.parameters]

    def _blocks(self) -> list[int]:
        most = self.kernels.device.processors * BLOCKS_PER_PROCESSOR
        return [min(-(-segment[0].size // BLOCK_THREADS), most) for segment in self.segments]

    def _values(self) -> tuple[Argument, ...]:
        values: list[Argument] = []
        for blocks, segment in zip(self._blocks(), self.segments, strict=True):
            values += [np.int32(blocks), np.int32(segment[0].size), *_arguments(segment)]
        return tuple(values)

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (sum(self._blocks()),), (BLOCK_THREADS,)


AnyLaunch = TypeVar("AnyLaunch", BlockLaunch, ElementwiseLaunch)


def _if_it_fits(launch: AnyLaunch) -> AnyLaunch | None:
    """The launch, None if its parameters take too many bytes; structures are aligned to at most eight bytes."""
    sizes = [8 if given.access is not None else given.value.nbytes + 8 for given in launch.all_parameters]
    return launch if sum(sizes) <= MAX_PARAMETER_BYTES else None


def _accesses(functions: Iterable[DeviceFunction]) -> tuple[Access, ...]:
    return tuple(access for function in functions for access in function.accesses)


def _arguments(functions: Sequence[DeviceFunction]) -> list[Argument]:
    return [given.value for function in functions for given in function.parameters]
