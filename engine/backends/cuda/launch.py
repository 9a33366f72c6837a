"""Launch: one prepared run of a kernel: its text, its grid, its arguments, and what memory it touches. Not what it
means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from engine.backends.cuda.arguments import Access, Argument, Elementwise, Glue, Parameter, Windows, accesses_of
from engine.backends.cuda.arrays import View, view_of
from engine.backends.ops import Array, Calls, HostArray

FOLDER = Path(__file__).parent / "source"

# What any kernel may call, in an order in which nothing is used before it is written.
ELEMENTWISE = ("layout", "kept", "values", "activations", "pools", "dropout", "scores", "learning", "batch_norm")
# What shares a matrix product out among threads.
TILED = ("product", "convolution_forward", "convolution_input_gradient", "convolution_weight_gradient")


def source(kernel: str, glue: str) -> str:
    """The whole text of `kernel`, with no #include: `glue`, lines of #define, then all that it may call, then
    itself. #line tells a compiler's messages their file."""
    parts = [*(f"{name}.cuh" for name in ELEMENTWISE), *(["tiles.cuh"] if kernel in TILED else [])]
    texts = [f'#line 1 "{name}"\n{_read(name)}' for name in (*parts, f"{kernel}.cu")]
    return "\n".join((glue, *texts))


@cache
def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


class DeviceFault(RuntimeError):
    """The device failed at something it could do before; the message is a sentence. out_of_memory: it lacked memory
    and may succeed with less; otherwise nothing on it can be used any more."""

    def __init__(self, message: str, out_of_memory: bool) -> None:
        super().__init__(message)
        self.out_of_memory = out_of_memory


class Function(Protocol):
    """A compiled kernel."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Run it on a grid of blocks of threads, after all work given to the device before. Arrays are passed as
        pointers; numbers and structures, as NumPy scalars and arrays of one element, by value."""
        ...


class Module(Protocol):
    """Compiled source."""

    def get_function(self, name: str) -> Function:
        """The kernel of that name, compiled by now at the latest."""
        ...


class Device(Protocol):
    """Arrays have shape, strides, dtype, slices, reshape, transpose and T, as NumPy's; work is done in the order it
    is given.

    Everything may raise DeviceFault.
    """

    @property
    def processors(self) -> int:
        """How many blocks run at the same time, roughly: its multiprocessors."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""
        ...

    def from_host(self, values: HostArray) -> Array:
        """The same values as a new array."""
        ...

    def upload(self, values: HostArray, array: Array) -> None:
        """array = values, for an array without gaps; the values may be changed again at once."""
        ...

    def to_host(self, array: Array) -> HostArray:
        """A copy of the values, of an array without gaps, for NumPy, once all work is done."""
        ...

    def shared(self, shape: tuple[int, ...], dtype: Any) -> tuple[HostArray, Array]:
        """New memory of the host, as NumPy sees it and as kernels do: while one writes the other must not look."""
        ...

    def address(self, array: Array) -> int:
        """Where its first value lies, in bytes."""
        ...

    def load(self, source: str, options: tuple[str, ...]) -> Module:
        """CUDA C, to be compiled with options such as -DSIZE=3. Raises ValueError with the compiler's log."""
        ...

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        """Calls of these kernels as one thing that replays them so many times, without waiting for the end."""
        ...

    def wait(self) -> None:
        """Until all work is done; costs next to nothing where it is."""
        ...


AnyLaunch = TypeVar("AnyLaunch", "Blocks", "Segments")

# Threads of a block that works value by value, and blocks for each of the device's processors.
BLOCK = 256
BLOCKS_EACH = 8
# How many functions may follow each other in one kernel, and how many such rows may stand side by side.
MOST_FUNCTIONS = 8
MOST_SEGMENTS = 16
# A kernel's parameters must fit into so many bytes.
PARAMETER_BYTES = 4000


class Kernels:
    """Compiles every kernel once, with the options and functions it is asked for."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._functions: dict[tuple[str, tuple[str, ...], str], Function] = {}

    def view(
        self, array: Array, shape: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None
    ) -> View:
        """An array of the device as kernels see it, or as if it had another shape and strides in bytes, which may
        be 0. Raises ValueError for one too large."""
        address = self.device.address(array)
        return view_of(address, array, shape or tuple(array.shape), strides or tuple(array.strides))

    def function(self, kernel: str, options: tuple[str, ...], glue: str) -> Function:
        """The compiled kernel. Raises ValueError with the compiler's log, DeviceFault."""
        key = (kernel, options, glue)
        if key not in self._functions:
            module = self.device.load(source(kernel, glue), options)
            self._functions[key] = module.get_function(kernel)
        return self._functions[key]


@dataclass(eq=False)
class Launch:
    """What all kinds of launches have in common; called, it runs."""

    kernels: Kernels
    _function: Function | None = field(default=None, init=False)
    _arguments: tuple[Argument, ...] = field(default=(), init=False)

    @property
    def kernel(self) -> str:
        """Its name, which is also its file's."""
        raise NotImplementedError

    @property
    def accesses(self) -> tuple[Access, ...]:
        """All memory it touches."""
        raise NotImplementedError

    @property
    def options(self) -> tuple[str, ...]:
        """The compiler's."""
        return ()

    @property
    def glue(self) -> str:
        """The #defines that its text begins with."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Compile it, unless it is. Raises ValueError with the compiler's log, DeviceFault."""
        if self._function is None:
            self._arguments = self._values()
            self._function = self.kernels.function(self.kernel, self.options, self.glue)

    def __call__(self) -> None:
        """Run it."""
        if self._function is None:
            self.prepare()
        assert self._function is not None
        grid, block = self._shape()
        self._function(grid, block, self._arguments)

    def _values(self) -> tuple[Argument, ...]:
        raise NotImplementedError

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        raise NotImplementedError

    def hinders(self, other: Launch) -> bool:
        """Whether it matters which of the two comes first."""
        return any(mine.hinders(theirs) for mine in self.accesses for theirs in other.accesses)


@dataclass(eq=False)
class Blocks(Launch):
    """A kernel whose threads work together. parameters: all of its file's; size: how many values its output has if
    every one is written by one thread, which may then go on with it; 0 if not. windows: of its output, see Access,
    if one thread writes all four values of each. after: functions that follow so for every value; then: for every
    window when its values are done."""

    name: str
    given: tuple[str, ...]
    grid: tuple[int, ...]
    block: tuple[int, ...]
    parameters: tuple[Parameter, ...]
    size: int = 0
    windows: Windows | None = None
    after: tuple[Elementwise, ...] = ()
    then: tuple[Elementwise, ...] = ()

    @property
    def kernel(self) -> str:
        """Its file's name."""
        return self.name

    @property
    def options(self) -> tuple[str, ...]:
        """The compiler's."""
        return self.given

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Its own and those of the functions that follow."""
        return (*self._of_values, *_accesses(self.then))

    @property
    def _of_values(self) -> tuple[Access, ...]:
        return (*accesses_of(self.parameters), *_accesses(self.after))

    @property
    def glue(self) -> str:
        """The functions that follow, and their parameters."""
        after = Glue(self.after, "f", own=self._own, wanted=self._seen_in_windows)
        then = Glue(self.then, "w", "w")
        given = "".join(f", {each}" for each in (*after.parameters(), *then.parameters()))
        return (
            f"#define MORE_PARAMETERS {given}\n#define AFTER(i, made, kept) {after.body()}\n"
            f"#define WINDOW(w) {then.body()}"
        )

    @property
    def _own(self) -> View | None:
        """The output that one thread writes every value of."""
        for each in accesses_of(self.parameters):
            if each.write and each.aligned and self.size:
                return each.view
        return None

    @property
    def _seen_in_windows(self) -> View | None:
        return next((each.view for each in _accesses(self.then) if each.windows is not None), None)

    def followed_by(self, function: Elementwise) -> Blocks | None:
        """The same with one function more, None if that cannot be."""
        if len(self.after) + len(self.then) >= MOST_FUNCTIONS:
            return None
        if function.size == self.size:
            apart = all(not mine.hinders(other) for mine in function.accesses for other in _accesses(self.then))
            fits = apart and function.may_follow(self._of_values)
            return _if_it_fits(replace(self, after=(*self.after, function))) if fits else None
        if self.windows is not None and function.size * 4 == self.size:
            fits = function.may_follow(_accesses(self.then)) and all(
                not mine.hinders(value) or self._in_window(mine, value)
                for mine in function.accesses
                for value in self._of_values
            )
            return _if_it_fits(replace(self, then=(*self.then, function))) if fits else None
        return None

    def _in_window(self, access: Access, value: Access) -> bool:
        """Whether an access of a window's function meets only values that the same thread has written before."""
        seen = self._seen_in_windows
        ours = access.windows == self.windows and access.windows is not None and not access.write
        same = seen is None or seen.same_places(access.view)
        return ours and same and value.aligned and access.view.same_places(value.view)

    @property
    def given_values(self) -> list[Parameter]:
        """All that it is given."""
        return [*self.parameters, *(given for each in (*self.after, *self.then) for given in each.parameters)]

    def _values(self) -> tuple[Argument, ...]:
        return (*(each.value for each in self.parameters), *_arguments((*self.after, *self.then)))

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.grid, self.block


@dataclass(eq=False)
class Segments(Launch):
    """The elementwise kernel: in each segment functions follow each other for every value, and the segments work
    side by side, each with its own blocks."""

    segments: tuple[tuple[Elementwise, ...], ...]

    @property
    def kernel(self) -> str:
        """Its file's name."""
        return "elementwise"

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Those of all functions."""
        return tuple(access for segment in self.segments for each in segment for access in each.accesses)

    @property
    def glue(self) -> str:
        """The functions, and their parameters."""
        parameters: list[str] = []
        lines: list[str] = []
        for place, segment in enumerate(self.segments):
            glue = Glue(segment, f"s{place}_")
            parameters += [f"int blocks{place}", f"int count{place}", *glue.parameters()]
            lines.append(f"SEGMENT(blocks{place}, count{place}, {glue.body()})")
        return f"#define PARAMETERS {', '.join(parameters)}\n#define SEGMENTS {' '.join(lines)}"

    def followed_by(self, function: Elementwise) -> Segments | None:
        """The same with one function more in one of its segments, None if that cannot be."""
        for place, segment in enumerate(self.segments):
            others = [each for other in self.segments if other is not segment for each in other]
            apart = all(not mine.hinders(theirs) for each in others for theirs in each.accesses
                        for mine in function.accesses)  # fmt: skip
            fits = segment[0].size == function.size and len(segment) < MOST_FUNCTIONS and apart
            if fits and function.may_follow(access for each in segment for access in each.accesses):
                longer = (*self.segments[:place], (*segment, function), *self.segments[place + 1 :])
                return _if_it_fits(replace(self, segments=longer))
        return None

    def beside(self, other: Segments) -> Segments | None:
        """The same with the other's segments, which neither hinders, at its side; None if they are too many."""
        if len(self.segments) + len(other.segments) > MOST_SEGMENTS:
            return None
        return _if_it_fits(replace(self, segments=(*self.segments, *other.segments)))

    @property
    def given_values(self) -> list[Parameter]:
        """All that it is given, but for how many."""
        return [given for segment in self.segments for each in segment for given in each.parameters]

    def _blocks(self) -> list[int]:
        most = self.kernels.device.processors * BLOCKS_EACH
        return [min(-(-segment[0].size // BLOCK), most) for segment in self.segments]

    def _values(self) -> tuple[Argument, ...]:
        found: list[Argument] = []
        for blocks, segment in zip(self._blocks(), self.segments, strict=True):
            found += [np.int32(blocks), np.int32(segment[0].size), *_arguments(segment)]
        return tuple(found)

    def _shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (sum(self._blocks()),), (BLOCK,)


def _if_it_fits(launch: AnyLaunch) -> AnyLaunch | None:
    """A launch, None if its parameters would be too many. A structure may begin at a multiple of eight bytes."""
    sizes = [8 if given.access is not None else given.value.nbytes + 8 for given in launch.given_values]
    return launch if sum(sizes) <= PARAMETER_BYTES else None


def _accesses(functions: Iterable[Elementwise]) -> tuple[Access, ...]:
    return tuple(access for each in functions for access in each.accesses)


def _arguments(functions: Sequence[Elementwise]) -> list[Argument]:
    return [given.value for each in functions for given in each.parameters]
