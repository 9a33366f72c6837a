"""Parameters: what kernels and their functions are given, and what memory they touch through it. Not the launch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.backends.cuda.arrays import View, divided_by

Argument: TypeAlias = Any
# Height, width and batch of maps.
Windows: TypeAlias = tuple[int, int, int]

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


_Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], "np.dtype[Any]"]


@dataclass
class Glue:
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
