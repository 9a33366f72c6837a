"""Formula text: numbers of a formula with as many digits as give the result that is shown, to the digits shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from engine.backends import HostArray
from xo_gui.widgets.number_text import MINUS, NARROW_SPACE, NO_VALUE

# Writes a number with so many digits more than usual.
NumberForm: TypeAlias = Callable[[float, int], str]
# From the numbers of a formula, its results.
Computation: TypeAlias = "Callable[[HostArray], float | Sequence[float] | HostArray]"

APPROXIMATELY = "≈"
# More digits than float64 has tell nothing.
MAX_EXTRA_DIGITS = 13
# A result this close to where it would be rounded the other way is a tie.
_TIE = 1e-9

_Text = TypeVar("_Text")


@dataclass(frozen=True)
class Operands:
    """The numbers of a formula as shown.

    extra_digits: digits beyond the usual.
    give_result: whether the numbers as shown give the result as shown.
    """

    texts: tuple[str, ...]
    extra_digits: int
    give_result: bool

    def result(self, text: str) -> str:
        """The result, marked where it does not follow to the digits shown: "≈ +0.24"."""
        return text if self.give_result else f"{APPROXIMATELY} {text}"


def result_text(computed: float, write: Callable[[float], str], shown: str) -> str:
    """A result as shown, marked where the number computed from what is shown is written otherwise."""
    return shown if _is_shown(computed, write, shown, 0.0) else f"{APPROXIMATELY} {shown}"


def operands(
    values: Sequence[float],
    compute: Computation,
    write: Callable[[float], str],
    shown: str | Sequence[str],
    form: NumberForm | Sequence[NumberForm],
) -> Operands:
    """The fewest digits with which `compute` of the numbers as shown gives the results as shown.

    write: writes a result, as in `shown`.
    form: how the numbers are written, one for all or one for each.
    """
    results = (shown,) if isinstance(shown, str) else tuple(shown)
    forms = [form] * len(values) if callable(form) else list(form)

    def texts(extra: int) -> tuple[str, ...]:
        return tuple(one(value, extra) for one, value in zip(forms, values, strict=True))

    def agrees(tried: tuple[str, ...], ties: tuple[float, ...]) -> bool:
        with np.errstate(all="ignore"):  # of numbers that are 0 as shown, or infinite
            computed = np.atleast_1d(compute(np.array([shown_number(text) for text in tried])))
        return all(
            _is_shown(float(value), write, result, tie)
            for tie in ties
            for value, result in zip(computed, results, strict=True)
        )

    if not np.isfinite(values).all():
        return Operands(texts(0), 0, True)  # says nothing that could be recomputed
    for ties in ((-_TIE, 0.0, _TIE), (0.0,)):
        tried, extra = fewest_digits(texts, partial(agrees, ties=ties))
        if extra is not None:
            return Operands(tried, extra, True)
    return Operands(texts(0), 0, False)


def fewest_digits(write: Callable[[int], _Text], agrees: Callable[[_Text], bool]) -> tuple[_Text, int | None]:
    """The text with the fewest extra digits that agrees, and how many; with none, and None, where none agrees."""
    for extra in range(MAX_EXTRA_DIGITS + 1):
        if agrees(text := write(extra)):
            return text, extra
    return write(0), None


def _is_shown(value: float, write: Callable[[float], str], shown: str, tie: float) -> bool:
    return write(value * (1 + tie)) == shown


def shown_number(text: str) -> float:
    """The number that a reader sees: of "−12.5", "+1e−7", ".29", "1 024", "∞"."""
    plain = text.replace(MINUS, "-").replace(NARROW_SPACE, "").replace("∞", "inf").strip()
    return float("nan") if plain in ("?", NO_VALUE) else float(plain)
