"""Finds the files this program ships with, in a checkout and in an installed wheel. It does not read them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def asset(name: str) -> Path:
    """The path of the shipped file `name`, such as "default.safetensors" or "fonts/Inter-Regular.otf".

    Raises FileNotFoundError, saying what to do, if it is not there.
    """
    for folder in (_HERE.parent / "assets", _HERE / "shipped"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"The file {name}, which comes with this program, is missing; install the program again."
    )


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, None if it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def program_version() -> str:
    """The version of this program that is installed, or a word for a checkout that is not."""
    return installed("xo-gui") or "unknown (not installed)"


def cupy_version() -> str | None:
    """CuPy's version; importing it would take a second and may fail. None if it is not installed."""
    names = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
    found = [f"{version} ({name})" for name in names if (version := installed(name))]
    return ", ".join(found) or None
