"""How NumPy's functions become prepared calls. Not an operation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.backends.ops import Array, Call


def call(function: Callable[..., object], *arguments: object, out: Array) -> Call:
    """One prepared call of a universal function, whose result goes to `out`."""
    if function in (np.maximum, np.minimum):  # NumPy wants the keyword there
        return function, arguments, {"out": out}
    return function, (*arguments, out), {}  # by position: a keyword costs a tenth of a small call


def run(function: Callable[..., object], *arguments: object, **keywords: object) -> Call:
    """One prepared call that says itself where its result goes."""
    return function, arguments, keywords
