"""Kernel parameters, the memory accesses they imply, and the code generated for fused device functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.backends.cuda.arrays import ArrayView, divisor_struct

Argument: TypeAlias = Any
# Height, width and batch of feature maps.
MapShape: TypeAlias = tuple[int, int, int]

C_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int32): "int",
    np.dtype(np.uint32): "unsigned",
    np.dtype(np.int64): "long long",
}


@dataclass(frozen=True, eq=False)
class Access:
    """A memory region that is read or written.

    elementwise: element i is accessed by no thread other than that of index i.
    constant: all writers write the same value, so their order does not matter.
    windows: index i reads exactly the 2 x 2 values of window i of maps with this height, width and batch.
    """

    view: ArrayView
    write: bool = False
    elementwise: bool = False
    constant: bool = False
    windows: MapShape | None = None

    def conflicts_with(self, other: Access) -> bool:
        """Whether the order of the two accesses matters."""
        written = self.write or other.write
        return written and not (self.constant and other.constant) and self.view.overlaps(other.view)

    def can_follow(self, earlier: Access) -> bool:
        """Whether a thread may do this after `earlier` without synchronizing with other threads."""
        return not self.conflicts_with(earlier) or (
            self.elementwise and earlier.elementwise and self.view.same_elements(earlier.view)
        )


@dataclass(frozen=True, eq=False)
class KernelParameter:
    """A parameter of a kernel or device function; value: an array, or a NumPy scalar or structure."""

    c_type: str
    value: Argument
    access: Access | None = None


@dataclass(frozen=True, eq=False)
class DeviceFunction:
    """A __device__ function of the .cuh files, applied to every index i < size; parameters: those after i."""

    name: str
    size: int
    parameters: tuple[KernelParameter, ...]

    @property
    def accesses(self) -> tuple[Access, ...]:
        return accesses_of(self.parameters)

    def can_follow(self, accesses: Iterable[Access]) -> bool:
        """Whether the thread of index i may apply this to i right after those accesses."""
        own = self.accesses
        return all(access.can_follow(earlier) for earlier in accesses for access in own)


def reads(
    view: ArrayView, *, strided: bool = False, random_access: bool = False, windows: MapShape | None = None
) -> list[KernelParameter]:
    """A pointer to values that are read, element i by index i unless `random_access`.

    strided: followed by the Layout. windows: see Access.
    """
    access = Access(view, elementwise=not random_access and windows is None, windows=windows)
    pointer = KernelParameter(f"const {C_TYPES[view.dtype]}*", view.array, access)
    return [pointer, KernelParameter("Layout", view.layout())] if strided else [pointer]


def writes(
    view: ArrayView, *, strided: bool = False, random_access: bool = False, constant: bool = False
) -> list[KernelParameter]:
    """A pointer to values that are written and possibly read; constant: see Access."""
    access = Access(view, write=True, elementwise=not random_access, constant=constant)
    pointer = KernelParameter(f"{C_TYPES[view.dtype]}*", view.array, access)
    return [pointer, KernelParameter("Layout", view.layout())] if strided else [pointer]


def scalar(value: Any) -> list[KernelParameter]:
    """A NumPy scalar, passed by value."""
    return [KernelParameter(C_TYPES[value.dtype], value)]


def ints(*values: int) -> list[KernelParameter]:
    """An int for each value."""
    return [KernelParameter("int", np.int32(value)) for value in values]


def fast_divisor(value: int) -> list[KernelParameter]:
    """An int divisor, with its precomputed reciprocal."""
    return [KernelParameter("Divisor", divisor_struct(value))]


def null_pointer(dtype: Any) -> list[KernelParameter]:
    """A null pointer to elements of `dtype`."""
    return [KernelParameter(f"{C_TYPES[np.dtype(dtype)]}*", np.uintp(0))]


def accesses_of(parameters: Iterable[KernelParameter]) -> tuple[Access, ...]:
    """The memory accesses of the parameters."""
    return tuple(parameter.access for parameter in parameters if parameter.access is not None)


_Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], "np.dtype[Any]"]


@dataclass
class CodeGenerator:
    """Generates the code that calls device functions in sequence, and the kernel parameters it needs.

    Elements accessed by several functions are kept in registers as CachedValue.

    index: the C expression of the index.
    output: the array whose element the kernel has just computed, as `computed`.
    window_input: the array whose element is finally stored in `cell`.
    """

    functions: Sequence[DeviceFunction]
    prefix: str
    index: str = "i"
    output: ArrayView | None = None
    window_input: ArrayView | None = None

    def parameters(self) -> list[str]:
        """Declarations of the kernel parameters."""
        return [
            f"{given.c_type} {self._name(place, part)}"
            for place, function in enumerate(self.functions)
            for part, given in enumerate(function.parameters)
        ]

    def body(self) -> str:
        """The generated statements, in braces."""
        names = {key: f"{self.prefix}k{number}" for number, key in enumerate(self._shared())}
        lines = [self._declaration(key, name) for key, name in names.items()]
        for place, function in enumerate(self.functions):
            arguments = [
                self._argument(place, part, given, names) for part, given in enumerate(function.parameters)
            ]
            lines.append(f"{function.name}({', '.join((self.index, *arguments))});")
        if self.window_input is not None:
            key = _key(self.window_input)
            lines.append(f"cell = {names[key] + '.value' if key in names else 'computed'};")
        return f"{{ {' '.join(lines)} }}" if lines else ""

    def _name(self, place: int, part: int) -> str:
        return f"{self.prefix}{place}_{part}"

    def _argument(self, place: int, part: int, given: KernelParameter, names: dict[_Key, str]) -> str:
        access = given.access
        if access is not None and access.windows is not None and self.index == "w":
            return f"WindowValues<{C_TYPES[access.view.dtype]}>{{cells}}"
        if access is not None and access.elementwise and _key(access.view) in names:
            return names[_key(access.view)]
        return self._name(place, part)

    def _shared(self) -> list[_Key]:
        ends = {_key(view) for view in (self.output, self.window_input) if view is not None}
        counts: dict[_Key, int] = {}
        for function in self.functions:
            for key in {_key(access.view) for access in function.accesses if access.elementwise}:
                counts[key] = counts.get(key, 0) + 1
        return [key for key, count in counts.items() if count > 1 or key in ends]

    def _declaration(self, key: _Key, name: str) -> str:
        pointers = [
            (given.access.write, self._name(place, part))
            for place, function in enumerate(self.functions)
            for part, given in enumerate(function.parameters)
            if given.access is not None and given.access.elementwise and _key(given.access.view) == key
        ]
        kind = C_TYPES[key[3]]
        known = "computed, true" if self.output is not None and key == _key(self.output) else f"{kind}(), false"
        return f"CachedValue<{kind}> {name} = {{({kind}*){max(pointers)[1]}, {known}}};"


def _key(view: ArrayView) -> _Key:
    """Equal for views of the same elements."""
    return view.start, view.extents, view.strides, view.dtype


def real_option(dtype: np.dtype[Any]) -> str:
    """The compiler option for the type REAL. Raises ValueError for a dtype other than float32 and float64."""
    names = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
    if dtype not in names:
        raise ValueError(f"Kernels compute in float32 or float64, not {dtype}.")
    return f"-DREAL={names[dtype]}"
