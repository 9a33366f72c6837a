"""A stand-in for CuPy that computes with NumPy and refuses what CuPy refuses. Not a test.

Its arrays never turn into NumPy arrays by themselves, its functions take no NumPy array, and there are only those
functions that the engine may count on: whatever passes here uses nothing of NumPy but what CuPy has too.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

CREATING = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like")
COMPUTING = ("matmul", "add", "subtract", "multiply", "divide", "negative", "maximum", "exp", "log", "sqrt",
             "power", "equal", "greater", "isfinite", "amax", "sum")  # fmt: skip


class DeviceArray:
    """An array on the make-believe device."""

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    def __array__(self, *_: object, **__: object) -> None:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    @property
    def T(self) -> DeviceArray:
        return DeviceArray(self.host.T)

    def __getattr__(self, name: str) -> Any:
        if name not in ("shape", "dtype", "strides", "flags", "ndim", "size"):
            raise AttributeError(f"the stand-in for CuPy has no array.{name}")
        return getattr(self.host, name)

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, place: Any) -> DeviceArray:
        return DeviceArray(self.host[place])

    def __setitem__(self, place: Any, value: object) -> None:
        self.host[place] = on_host(value)

    def __mul__(self, other: object) -> DeviceArray:
        return DeviceArray(self.host * on_host(other))

    def __float__(self) -> float:
        return float(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def reshape(self, *shape: Any) -> DeviceArray:
        return DeviceArray(self.host.reshape(*shape))

    def transpose(self, *axes: int) -> DeviceArray:
        return DeviceArray(self.host.transpose(*axes))

    def fill(self, value: object) -> None:
        self.host.fill(on_host(value))

    def sum(self) -> DeviceArray:
        return DeviceArray(self.host.sum(keepdims=True).reshape(()))

    def all(self) -> DeviceArray:
        return DeviceArray(self.host.all(keepdims=True).reshape(()))


def on_host(value: Any) -> Any:
    """What a function of the stand-in works on: the memory of a device array, or a number."""
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value.host if isinstance(value, DeviceArray) else value


def fake_cupy(**changes: Any) -> ModuleType:
    """A module to put in sys.modules as cupy. changes: attributes that replace its own.

    `created` counts the arrays made on the device so far.
    """
    module: Any = ModuleType("cupy")
    module.created = 0

    def creating(name: str) -> Any:
        def create(*arguments: object, **keywords: object) -> DeviceArray:
            module.created += 1
            return DeviceArray(getattr(np, name)(*map(on_host, arguments), **keywords))

        return create

    def computing(name: str) -> Any:
        def compute(*arguments: object, out: DeviceArray | None = None, **keywords: object) -> DeviceArray:
            given = [on_host(argument) for argument in arguments]
            if out is None:
                module.created += 1
                return DeviceArray(np.asarray(getattr(np, name)(*given, **keywords)))
            if not isinstance(out, DeviceArray):
                raise TypeError("out must be an array of the device")
            getattr(np, name)(*given, out=out.host, **keywords)
            return out

        return compute

    for name in CREATING:
        setattr(module, name, creating(name))
    for name in COMPUTING:
        setattr(module, name, computing(name))
    module.float32 = np.float32
    module.arange = lambda stop, dtype: DeviceArray(np.arange(stop, dtype=dtype))
    module.asarray = lambda array: array if isinstance(array, DeviceArray) else DeviceArray(np.array(array))
    module.asnumpy = lambda array: array.host.copy()
    module.copyto = lambda target, source: np.copyto(target.host, on_host(source))
    module.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))
    module.cuda = SimpleNamespace(
        is_available=lambda: True,
        runtime=SimpleNamespace(getDeviceProperties=lambda _: {"name": b"Make-believe GPU"}),
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
    )
    vars(module).update(changes)
    return module


def _as_strided(array: DeviceArray, shape: tuple[int, ...], strides: tuple[int, ...]) -> DeviceArray:
    return DeviceArray(np.lib.stride_tricks.as_strided(array.host, shape, strides))
