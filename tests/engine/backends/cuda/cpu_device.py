"""CpuDevice: a CudaDevice on the CPU, which compiles kernels with g++ and runs their threads one by one (slow)."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import pytest

from engine.backends import Calls, replay
from engine.backends.cuda.device import launches
from engine.backends.cuda.launch import kernel_source
from tests.engine.backends.cuda.build_folder import build_folder

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-w")
# Sanitizers of the compiler, such as "address,undefined"; the address sanitizer has to be loaded before Python.
SANITIZERS = os.environ.get("XO_SANITIZE_KERNELS", "")
if SANITIZERS:
    # Stacks of fibers are none of those that the sanitizer knows.
    FLAGS += (f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all", "-fsanitize-sections=shared_memory", "-g")
    FLAGS += ("--param", "asan-stack=0")
# The order in which threads and blocks run; any other number is the seed of a random one.
IN_ORDER, REVERSED = 0, 1
# Guard elements around every array: reading one makes a result NaN, writing one fails. A sanitizer has its own.
GUARD = 0 if "address" in SANITIZERS else 64

needs_compiler = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("g++") is None,
    reason="kernels run on a processor only under Linux, with g++",
)


class DeviceArray:
    """An array of the fake device, without arithmetic and without implicit conversion to NumPy."""

    def __init__(self, host: np.ndarray, whole: np.ndarray) -> None:
        self.host, self.whole = host, whole
        self.base: DeviceArray | None = None

    def __array__(self, *_: object, **__: object) -> None:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __getattr__(self, name: str) -> Any:
        if name not in ("shape", "dtype", "strides", "ndim", "size", "nbytes"):
            raise AttributeError(f"an array of this device has no {name}")
        return getattr(self.host, name)

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, place: Any) -> DeviceArray:
        part = self.host[place]
        assert isinstance(part, np.ndarray), "a single number would have to be fetched"
        return self._part(part)

    @property
    def T(self) -> DeviceArray:
        return self._part(self.host.T)

    def transpose(self, *axes: int) -> DeviceArray:
        return self._part(self.host.transpose(*axes))

    def reshape(self, *shape: Any) -> DeviceArray:
        part = self.host.reshape(*shape)
        assert np.shares_memory(part, self.host) or part.size == 0, "this reshape would copy"
        return self._part(part)

    def _part(self, host: np.ndarray) -> DeviceArray:
        part = copy(self)
        part.host, part.base = host, self if self.base is None else self.base
        return part


class CpuDevice:
    """A CudaDevice on the CPU.

    order: of the threads of a block, and of blocks: IN_ORDER, REVERSED, or the seed of a random one.
    launches: names of the kernels run so far. ran: each with its options.
    host_work: number of allocations and transfers.
    """

    def __init__(self, processors: int = 8, order: int = IN_ORDER) -> None:
        self.processors, self.order = processors, order
        self.ran: set[tuple[str, tuple[str, ...]]] = set()
        self.launches: list[str] = []
        self.host_work = 0

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return self.from_host(np.zeros(shape, dtype))

    def from_host(self, values: np.ndarray) -> DeviceArray:
        self.host_work += 1
        guard = GUARD * values.dtype.itemsize
        whole = np.full(values.nbytes + 2 * guard, 0xFF, np.uint8)
        host = whole[guard : guard + values.nbytes].view(values.dtype).reshape(values.shape)
        host[...] = values
        return DeviceArray(host, whole)

    def upload(self, values: np.ndarray, array: DeviceArray) -> None:
        self.host_work += 1
        assert array.host.flags.c_contiguous
        assert values.dtype == array.dtype
        np.copyto(array.host, values)

    def to_host(self, array: DeviceArray) -> np.ndarray:
        self.host_work += 1
        assert array.host.flags.c_contiguous
        return array.host.copy()

    def pinned_array(self, shape: tuple[int, ...], dtype: Any) -> tuple[np.ndarray, DeviceArray]:
        array = self.zeros(shape, dtype)
        return array.host, array

    def address(self, array: DeviceArray) -> int:
        return int(array.host.__array_interface__["data"][0])

    def load(self, source: str, options: tuple[str, ...]) -> CpuModule:
        return CpuModule(self, compiled(source, options), options)

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(times):
                replay(calls)

        return run

    def synchronize(self) -> None:
        """All work is synchronous."""


class CpuModule:
    """A shared library compiled from a kernel's source."""

    def __init__(self, device: CpuDevice, library: ctypes.CDLL, options: tuple[str, ...]) -> None:
        self._device, self._library, self._options = device, library, options

    def get_function(self, name: str) -> Callable[..., None]:
        run = getattr(self._library, f"run_{name}")

        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            self._device.launches.append(name)
            self._device.ran.add((name, self._options))
            assert 0 < np.prod(block) <= 1024
            assert all(0 < side < 65536 for side in grid[1:])
            dimensions = (ctypes.c_int * 6)(*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
            cells = [cell(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(cells))(*(each.ctypes.data for each in cells))
            failed = run(dimensions, pointers, self._device.order)
            assert not failed, f"not all threads of {name} reached the same barrier"
            check_guards(arguments, name)

        return launch


def cell(argument: Any) -> np.ndarray:
    """The bytes of an argument: an array's address, or a scalar or structure."""
    if isinstance(argument, DeviceArray):
        return np.array(argument.host.__array_interface__["data"][0], np.uintp)
    assert isinstance(argument, np.generic) or (isinstance(argument, np.ndarray) and argument.size == 1)
    return np.asarray(argument)


def check_guards(arguments: tuple[Any, ...], name: str) -> None:
    for argument in arguments:
        if isinstance(argument, DeviceArray) and GUARD:
            guard = GUARD * argument.dtype.itemsize
            ends = argument.whole[:guard], argument.whole[-guard:]
            assert all((end == 0xFF).all() for end in ends), f"{name} wrote beyond an array"


def compile_ahead(calls: Calls) -> None:
    """Compile all kernels of these calls in parallel."""
    wanted = {(launch.kernel, launch.defines, launch.options) for launch in launches(calls)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda each: compiled(kernel_source(*each[:2]), each[2]), sorted(wanted)))


@cache
def compiled(source: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """The shared library of a kernel's source. Raises ValueError with the compiler's messages."""
    names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\((?:[^()]|\([^()]*\))*\)\s+)?(\w+)\s*\(", source)
    text = "\n".join((HEADER.read_text("utf-8"), source, *(f"EXPORT({name})" for name in names)))
    digest = hashlib.sha256(repr((text, options, FLAGS)).encode()).hexdigest()[:24]
    library = build_folder() / f"{digest}.so"
    if not library.exists():
        code = build_folder() / f"{digest}.{os.getpid()}-{get_ident()}.cpp"
        code.write_text(text, "utf-8")
        fresh = build_folder() / f"{digest}.{os.getpid()}-{get_ident()}.so"
        command = ["g++", *FLAGS, *(option for option in options if option.startswith("-D")), str(code)]
        result = subprocess.run([*command, "-o", str(fresh)], capture_output=True, text=True, check=False)
        if result.returncode:
            raise ValueError(result.stderr)
        fresh.replace(library)
        code.unlink()
    return ctypes.CDLL(str(library))
