"""Machine: the hardware and software that a measurement ran on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.installation import blas_text, core_count, cupy_version, program_version

# Each changes the speed of a contender, so a report lists those that are set.
SPEED_VARIABLES = (
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
    """The machine of a measurement.

    processor, flags: the CPU and its SIMD extensions
    cores: those this process may use
    device: what computes
    versions: of everything whose speed is measured, by name
    variables: those of SPEED_VARIABLES that are set
    load: the load average of the minute before the measurement, None if unknown
    """

    processor: str
    cores: int
    flags: str
    system: str
    device: str
    versions: dict[str, str]
    variables: dict[str, str]
    load: float | None = None


def this_machine(device: str, versions: Mapping[str, str]) -> Machine:
    """This machine. device: what computes; versions: of the contenders measured beside the engine."""
    own = {
        "xo": program_version(),
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__} ({blas_text()})",
    }
    own |= {"CuPy": cupy} if (cupy := cupy_version()) else {}
    return Machine(
        processor_name(),
        core_count(),
        simd_extensions(),
        f"{system_name()} {platform.machine()}",
        device,
        own | dict(versions),
        {name: os.environ[name] for name in SPEED_VARIABLES if name in os.environ},
        round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def processor_name() -> str:
    """The CPU's model name, if the system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def system_name() -> str:
    """The operating system's name and version; the distribution's on Linux."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def gpu_driver_text() -> str:
    """NVIDIA's driver, with its number where the system tells it in a file, as Linux does."""
    path = Path("/proc/driver/nvidia/version")
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return "a driver" if found is None else f"driver {found[1]}"


def simd_extensions() -> str:
    """The SIMD extensions that NumPy detected, widest last."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    extensions = config.get("SIMD Extensions", {})
    return ", ".join([*extensions.get("baseline", []), *extensions.get("found", [])]) or "unknown"
