"""NVRTC, NVIDIA's compiler for CUDA C, from the wheel nvidia-cuda-nvrtc; needs no GPU."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from threading import get_ident

import pytest

from tests.engine.backends.cuda.build_folder import build_folder

# What CuPy 14 adds to a kernel's own options, beside folders of header files, of which the kernels include none
# (cupy/cuda/compiler.py).
CUPY_FLAGS = (
    "-ftz=true",
    "--device-as-default-execution-space",
)
PATTERN = "nvrtc64_*_0.dll" if sys.platform == "win32" else "libnvrtc.so.*"


@cache
def library_path() -> Path | None:
    """The library file, None if it is not installed."""
    spec = importlib.util.find_spec("nvidia")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [path for place in places for path in Path(place).rglob(PATTERN) if "alt" not in path.name]
    return max(found, default=None)


needs_nvrtc = pytest.mark.skipif(
    not sys.platform.startswith(("linux", "win32")), reason="NVIDIA's compiler exists for Linux and Windows only"
)


@cache
def library() -> ctypes.CDLL:
    path = library_path()
    assert path is not None, "the wheel nvidia-cuda-nvrtc of the test extra is not installed"
    return ctypes.CDLL(str(path))


def compile_for(architecture: int, source: str, options: tuple[str, ...], virtual: bool = False) -> str:
    """Compile for an architecture such as 90, and return the log on registers and spills, cached between runs.

    virtual: compile to PTX only.

    Raises AssertionError with the compiler's log.
    """
    target = (f"compute_{architecture}",) if virtual else (f"sm_{architecture}", "--ptxas-options=-v")
    given = ("--std=c++17", *options, f"-arch={target[0]}", *target[1:], *CUPY_FLAGS)
    digest = hashlib.sha256(repr((version(), source, given)).encode()).hexdigest()[:24]
    said = build_folder() / f"{digest}.log"
    if not said.exists():
        fresh = build_folder() / f"{digest}.{os.getpid()}-{get_ident()}.log"
        fresh.write_text(_compile(source, given), "utf-8")
        fresh.replace(said)
    return said.read_text("utf-8")


def version() -> tuple[int, int]:
    """The version of NVRTC."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    checked(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return major.value, minor.value


def _compile(source: str, options: tuple[str, ...]) -> str:
    nvrtc, program = library(), ctypes.c_void_p()
    checked(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None))
    words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), words)
    size = ctypes.c_size_t()
    checked(nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
    log = ctypes.create_string_buffer(size.value)
    checked(nvrtc.nvrtcGetProgramLog(program, log))
    checked(nvrtc.nvrtcDestroyProgram(ctypes.byref(program)))
    text = log.value.decode()
    assert not failed, f"{' '.join(options)}\n{text}"
    return text


def checked(code: int) -> None:
    assert code == 0, f"NVRTC returned error {code}"
