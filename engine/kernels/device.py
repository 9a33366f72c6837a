"""Device: what kernels need of a machine: memory, transfers, and a compiler. Not the kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engine.backends.ops import Array, Calls, HostArray


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
