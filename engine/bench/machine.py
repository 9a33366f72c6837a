"""Machine: what a measurement ran on, so that a figure can be read by someone who was not there."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_info

from engine.installation import cupy_version, program_version

# Each changes how fast somebody computes here, so a figure that was taken with one says so.
TELLING = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OMP_PROC_BIND",
    "GOMP_CPU_AFFINITY",
    "GOMP_SPINCOUNT",
    "MKL_NUM_THREADS",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "NPY_DISABLE_CPU_FEATURES",
    "MALLOC_ARENA_MAX",
    "LD_PRELOAD",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
)


class Machine(msgspec.Struct, frozen=True):
    """processor, flags, cores: of the processor, cores being those this process may use; device: who computes.

    versions: of everything whose speed is measured, by name; variables: those of TELLING that are set. load: how
    many processes were busy in the minute before the measurement, None where the system does not say.
    """

    processor: str
    cores: int
    flags: str
    system: str
    device: str
    versions: dict[str, str]
    variables: dict[str, str]
    load: float | None = None


def machine(device: str, versions: Mapping[str, str]) -> Machine:
    """This one. device: who computes; versions: of the partners that are measured beside the engine."""
    own = {"xo": program_version(), "Python": platform.python_version(), "NumPy": f"{np.__version__} ({blas()})"}
    own |= {"CuPy": found} if (found := cupy_version()) else {}
    return Machine(
        processor(),
        cores(),
        flags(),
        f"{system()} {platform.machine()}",
        device,
        own | dict(versions),
        {name: os.environ[name] for name in TELLING if name in os.environ},
        round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def processor() -> str:
    """The processor's name, as well as the system knows it."""
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def system() -> str:
    """The operating system's name and version; of a Linux, the distribution's."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def flags() -> str:
    """The instruction sets that NumPy found, widest last."""
    found: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    named = found.get("SIMD Extensions", {})
    return ", ".join([*named.get("baseline", []), *named.get("found", [])]) or "unknown"


def blas() -> str:
    """The library that NumPy multiplies matrices with, its kernels and its threads."""
    found = [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]
    if not found:
        return "BLAS unknown"
    return ", ".join(
        f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'unnamed')} kernels, "
        f"{pool['num_threads']} threads"
        for pool in found
    )


def cores() -> int:
    """Those this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
