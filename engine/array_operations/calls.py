"""How NumPy's functions become prepared calls. Not an operation."""

from __future__ import annotations

from collections.abc import Callable

from engine.operations import Array, Call


def call(function: Callable[..., object], *arguments: object, out: Array) -> Call:
    """One prepared call whose result goes to `out`."""
    return function, arguments, {"out": out}


def run(function: Callable[..., object], *arguments: object, **keywords: object) -> Call:
    """One prepared call that says itself where its result goes."""
    return function, arguments, keywords
