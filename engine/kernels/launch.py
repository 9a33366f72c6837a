"""Launch: one prepared run of a kernel: its text, its grid, its arguments, and what memory it touches. Not what it
means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from engine.kernels.device import Device, Function
from engine.kernels.source import source
from engine.kernels.view import View, divided_by, view_of
from engine.operations import Array

Argument: TypeAlias = Any
AnyLaunch = TypeVar("AnyLaunch", "Blocks", "Segments")
Windows: TypeAlias = tuple[int, int, int]
_Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], "np.dtype[Any]"]

# Threads of a block that works value by value, and blocks for each of the device's processors.
BLOCK = 256
BLOCKS_EACH = 8
# How many functions may follow each other in one kernel, and how many such rows may stand side by side.
MOST_FUNCTIONS = 8
MOST_SEGMENTS = 16
# A kernel's parameters must fit into so many bytes.
PARAMETER_BYTES = 4000

C_NAMES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int32): "int",
    np.dtype(np.uint32): "unsigned",
    np.dtype(np.int64): "long long",
}


@dataclass(frozen=True, eq=False)
class Access:
    """Memory that is read or written. aligned: value i is touched by none but the thread that works on number i,
    or not at all. constant: whatever is written is the same, so that it does not matter who is first. windows:
    number i reads just the 2 x 2 values of window i of maps of that height, width and batch."""

    view: View
    write: bool = False
    aligned: bool = False
    constant: bool = False
    windows: Windows | None = None

    def hinders(self, other: Access) -> bool:
        """Whether it matters which of the two comes first."""
        written = self.write or other.write
        return written and not (self.constant and other.constant) and self.view.overlaps(other.view)

    def follows(self, earlier: Access) -> bool:
        """Whether a thread may do this after `earlier` without waiting for any other thread."""
        return not self.hinders(earlier) or (
            self.aligned and earlier.aligned and self.view.same_places(earlier.view)
        )


@dataclass(frozen=True, eq=False)
class Parameter:
    """What a kernel or function is given. kind: its type in C; value: an array, or a NumPy number or structure;
    access: to the array."""

    kind: str
    value: Argument
    access: Access | None = None


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A function of the .cuh files for every i below `size`, with what it is given after i."""

    function: str
    size: int
    parameters: tuple[Parameter, ...]

    @property
    def accesses(self) -> tuple[Access, ...]:
        """All memory it touches."""
        return accesses_of(self.parameters)

    def may_follow(self, accesses: Iterable[Access]) -> bool:
        """Whether the thread that works on number i may do this for i at once after those."""
        mine = self.accesses
        return all(own.follows(earlier) for earlier in accesses for own in mine)


def reads(
    view: View, *, strided: bool = False, anywhere: bool = False, windows: Windows | None = None
) -> list[Parameter]:
    """A pointer to values that are read, number i for number i unless `anywhere`; strided: and how they lie;
    windows: see Access."""
    access = Access(view, aligned=not anywhere and windows is None, windows=windows)
    first = Parameter(f"const {C_NAMES[view.dtype]}*", view.array, access)
    return [first, Parameter("Layout", view.layout())] if strided else [first]


def writes(view: View, *, strided: bool = False, anywhere: bool = False, constant: bool = False) -> list[Parameter]:
    """A pointer to values that are written, and maybe read; constant: all writers write the same."""
    access = Access(view, write=True, aligned=not anywhere, constant=constant)
    first = Parameter(f"{C_NAMES[view.dtype]}*", view.array, access)
    return [first, Parameter("Layout", view.layout())] if strided else [first]


def number(value: Any) -> list[Parameter]:
    """A NumPy number."""
    return [Parameter(C_NAMES[value.dtype], value)]


def whole(*values: int) -> list[Parameter]:
    """Each an int."""
    return [Parameter("int", np.int32(value)) for value in values]


def divisor(value: int) -> list[Parameter]:
    """An int that is divided by."""
    return [Parameter("Divisor", divided_by(value))]


def nothing(dtype: Any) -> list[Parameter]:
    """A pointer to no values."""
    return [Parameter(f"{C_NAMES[np.dtype(dtype)]}*", np.uintp(0))]


def accesses_of(parameters: Iterable[Parameter]) -> tuple[Access, ...]:
    """All memory that is touched through them."""
    return tuple(each.access for each in parameters if each.access is not None)


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
        after = _Glue(self.after, "f", own=self._own, wanted=self._seen_in_windows)
        then = _Glue(self.then, "w", "w")
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
            glue = _Glue(segment, f"s{place}_")
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


@dataclass
class _Glue:
    """The text that calls functions one after the other for number `number`, and what it is given.

    What more than one of them touches is Kept between them. own: what the kernel itself has just made, `made`.
    wanted: what is put into `kept` in the end.
    """

    functions: Sequence[Elementwise]
    prefix: str
    number: str = "i"
    own: View | None = None
    wanted: View | None = None

    def parameters(self) -> list[str]:
        """As the kernel declares them."""
        return [
            f"{given.kind} {self._name(place, part)}"
            for place, each in enumerate(self.functions)
            for part, given in enumerate(each.parameters)
        ]

    def body(self) -> str:
        """The calls."""
        names = {key: f"{self.prefix}k{number}" for number, key in enumerate(self._shared())}
        lines = [self._declared(key, name) for key, name in names.items()]
        for place, each in enumerate(self.functions):
            given = [self._given(place, part, one, names) for part, one in enumerate(each.parameters)]
            lines.append(f"{each.function}({', '.join((self.number, *given))});")
        if self.wanted is not None:
            key = _key(self.wanted)
            lines.append(f"kept = {names[key] + '.value' if key in names else 'made'};")
        return f"{{ {' '.join(lines)} }}" if lines else ""

    def _name(self, place: int, part: int) -> str:
        return f"{self.prefix}{place}_{part}"

    def _given(self, place: int, part: int, given: Parameter, names: dict[_Key, str]) -> str:
        access = given.access
        if access is not None and access.windows is not None and self.number == "w":
            return f"FourCells<{C_NAMES[access.view.dtype]}>{{cells}}"
        if access is not None and access.aligned and _key(access.view) in names:
            return names[_key(access.view)]
        return self._name(place, part)

    def _shared(self) -> list[_Key]:
        ends = {_key(view) for view in (self.own, self.wanted) if view is not None}
        counts: dict[_Key, int] = {}
        for each in self.functions:
            for key in {_key(access.view) for access in each.accesses if access.aligned}:
                counts[key] = counts.get(key, 0) + 1
        return [key for key, count in counts.items() if count > 1 or key in ends]

    def _declared(self, key: _Key, name: str) -> str:
        touching = [
            (given.access.write, self._name(place, part))
            for place, each in enumerate(self.functions)
            for part, given in enumerate(each.parameters)
            if given.access is not None and given.access.aligned and _key(given.access.view) == key
        ]
        kind = C_NAMES[key[3]]
        made = "made, true" if self.own is not None and key == _key(self.own) else f"{kind}(), false"
        return f"Kept<{kind}> {name} = {{({kind}*){max(touching)[1]}, {made}}};"


def _key(view: View) -> _Key:
    """The same for views of the same places."""
    return view.start, view.extents, view.strides, view.dtype


def _arguments(functions: Sequence[Elementwise]) -> list[Argument]:
    return [given.value for each in functions for given in each.parameters]
