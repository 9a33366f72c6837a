"""Numerals: how the window writes values, levels, counts and times. It knows no widget and no translation."""

from __future__ import annotations

import math

from engine.nn.network import Network

NARROW_SPACE = "\u202f"


def number(value: int) -> str:
    """A whole number as people read it: 1 024, with a narrow space that does not break."""
    return f"{value:,}".replace(",", NARROW_SPACE)


MINUS = "\u2212"
TINY = 1e-7
NONE = "–"


def signed(value: float) -> str:
    """A value with its sign, three figures: +0.24, −12.5; 0.00 has none; beyond all numbers −∞."""
    if math.isinf(value):
        return ("+" if value > 0 else MINUS) + "∞"
    places = 2 if abs(value) < 99.95 else 0
    text = f"{abs(value):.{places}f}"
    return text if not any(figure in "123456789" for figure in text) else ("+" if value > 0 else MINUS) + text


def level(value: float) -> str:
    """A level in at most two figures, as short as it can be: 5.5, 13, 0.71, −0.5, 125."""
    text = f"{abs(value):.2g}" if abs(value) < 99.5 else f"{abs(value):.0f}"
    if value and not 0.001 <= abs(value) < 1e5:
        digits, power = f"{abs(value):.0e}".split("e")
        text = f"{digits}e{int(power)}".replace("-", MINUS)
    return (MINUS if value < 0 else "") + text


def count(value: int) -> str:
    """A large number in few figures: 819, 205 k, 1.2 M."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            share = value / size
            return f"{share:.1f}{NARROW_SPACE}{unit}" if share < 9.95 else f"{share:.0f}{NARROW_SPACE}{unit}"
    return number(value)


def duration(seconds: float) -> str:
    """A time in two or three figures: 11 µs, 1.2 ms."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.1f}{NARROW_SPACE}{unit}"
    return f"{seconds * 1e6:.0f}{NARROW_SPACE}µs"


def span(cells: range) -> str:
    """Rows or columns counted from 1: "12", "10–14"."""
    return str(cells.start + 1) if len(cells) == 1 else f"{cells.start + 1}–{cells.stop}"


def short(value: float) -> str:
    """A number in three figures: 0.0123, −4.2e−05."""
    text = f"{abs(value):.3g}"
    return (MINUS if value < 0 else "") + text.replace("e-", f"e{MINUS}")


def percent(share: float) -> str:
    """A share in whole percent; with one decimal where whole percent would say all or nothing: "99.7 %"."""
    if share <= 0 or share >= 1 or 0.005 <= share < 0.995:
        return f"{100 * share:.0f} %"
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def vote_text(network: Network, vote: float) -> str:
    """A vote as it is shown: a share in percent, or where votes are scores a number such as 0.56; a dash where
    values ran away."""
    if not math.isfinite(vote):
        return NONE
    # Softmax is never sure; float32 rounds it up to 1, and "100 %" beside "0.1 %" would be no sum.
    return f"{vote:.2f}" if network.vote == "score" else percent(min(max(vote, 1e-6), 1 - 1e-6))


def fixed(value: float, cut: bool = False) -> str:
    """A value with two decimals and its sign, as `signed`; or with the further ones cut off, as the article does:
    +0.55 for 5 / 9. What would be lost so is told by its first figure: +0.0004; less than TINY is nothing."""
    if not cut and TINY <= abs(value) < 0.005:
        return ("+" if value > 0 else MINUS) + f"{abs(value):.1g}".replace("e-0", f"e{MINUS}")
    return signed(cut_off(value) if cut else value)


def cell_text(value: float, cut: bool = False) -> str:
    """A value as it stands in a small cell: ".29", "−.36", "1", "12", "0" for none."""
    if not math.isfinite(value):
        return "?"
    value = cut_off(value) if cut else value
    size = abs(value)
    if value == round(value) and size < 100:
        return (MINUS if value < 0 else "") + f"{size:.0f}"
    text = f"{size:.2f}"[1:] if size < 0.995 else f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
    return (MINUS if value < 0 and any(figure in "123456789" for figure in text) else "") + text


def percent_lost(share: float) -> str:
    """By how many of a hundred fewer: "−3.5 %", "0 %"."""
    text = f"{abs(100 * share):.1f}".removesuffix(".0")
    return f"{'' if text == '0' else MINUS if share > 0 else '+'}{text} %"


def cut_off(value: float) -> float:
    """The value without what follows its second decimal; what is only not whole by rounding errors stays whole."""
    if not math.isfinite(value):
        return value
    return math.trunc(value * 100 + math.copysign(1e-4, value)) / 100


def figures(value: float) -> str:
    """A number in four figures, whatever its size: 0.4602, −12.35, 2.1e−7."""
    if value == 0 or value != value:
        return "0" if value == 0 else "?"
    text = f"{abs(value):.4g}"
    if not 1e-4 <= abs(value) < 1e6:
        digits, power = f"{abs(value):.2e}".split("e")
        text = f"{digits.rstrip('0').rstrip('.')}e{int(power)}".replace("-", MINUS)
    return (MINUS if value < 0 else "") + text
