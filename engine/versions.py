"""Versions of what is installed, told without importing it. Not of the files that it writes."""

from __future__ import annotations

from importlib import metadata


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
