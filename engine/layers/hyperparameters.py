"""Hyperparameters: what the settings of layers must be, and the sentences that say so. They know no layer."""

from __future__ import annotations

import reprlib

# No size, stride, padding or number of features is larger: what is drawn and computed here never comes near it, and
# a pool alone looks at every place of its window.
LARGEST = 1 << 16


def need(layer: object, name: str, fits: bool, wanted: str) -> None:
    """Raises ValueError, naming the layer's kind, unless the hyperparameter fits; `wanted` says what it must be."""
    if not fits:
        given = reprlib.repr(getattr(layer, name))
        raise ValueError(f"{type(layer).__name__}'s {name} must be {wanted}, not {given}.")


def need_whole(layer: object, name: str, least: int, otherwise: str = "") -> None:
    """Raises ValueError unless the hyperparameter is a whole number from `least` to LARGEST, or is `otherwise`."""
    value = getattr(layer, name)
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST
    other = f' or "{otherwise}"' if otherwise else ""
    wanted = f"a whole number from {least} to {LARGEST:,}{other}"
    need(layer, name, fits or (bool(otherwise) and value == otherwise), wanted)


def need_flag(layer: object, name: str) -> None:
    """Raises ValueError unless the hyperparameter is True or False."""
    need(layer, name, isinstance(getattr(layer, name), bool), "True or False")


def need_number(layer: object, name: str, least: float, most: float, *, beyond_least: bool = False) -> None:
    """Raises ValueError unless the hyperparameter is a number from `least` (or, with `beyond_least`, above it) to
    `most`."""
    value = getattr(layer, name)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    start = f"above {least:g}, at most" if beyond_least else f"from {least:g} to"
    need(layer, name, fits and not (beyond_least and value == least), f"a number {start} {most:g}")
