"""What is installed: shipped files, in a checkout or a wheel, versions, the BLAS library, and cores."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def asset_path(name: str) -> Path:
    """The path of the shipped file `name`, such as "default.safetensors" or "fonts/Inter-Regular.otf".

    Raises FileNotFoundError, with what to do, if it is missing.
    """
    for folder in (_HERE.parent / "assets", _HERE / "shipped"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"The file {name}, which comes with this program, is missing; install the program again."
    )


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def program_version() -> str:
    """The installed version of this program, "unknown (not installed)" in a bare checkout."""
    return installed_version("xo-gui") or "unknown (not installed)"


def cupy_version() -> str | None:
    """CuPy's version without importing it, which would take a second and may fail. None if it is not installed."""
    names = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
    versions = [f"{version} ({name})" for name in names if (version := installed_version(name))]
    return ", ".join(versions) or None


def blas_text() -> str:
    """NumPy's BLAS library, its kernels and its threads."""
    from threadpoolctl import threadpool_info

    libraries = [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]
    if not libraries:
        return "BLAS unknown"
    return ", ".join(
        f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'unnamed')} kernels, "
        f"{pool['num_threads']} threads"
        for pool in libraries
    )


def core_count() -> int:
    """The cores that this process may use, or all if unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
