"""Finds the files this program ships with, in a checkout and in an installed wheel. It does not read them."""

from __future__ import annotations

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
