"""Shipped files and installed versions, in a checkout and in an installed wheel."""

from __future__ import annotations

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
