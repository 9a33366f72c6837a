"""Number text: how the window formats values, limits, counts, shares and times."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.nn import Network

NARROW_SPACE = "\u202f"
MINUS = "\u2212"
TINY = 1e-7
NO_VALUE = "–"


def integer_text(value: int) -> str:
    """An integer with a narrow no-break space as thousands separator: 1 024."""
    return f"{value:,}".replace(",", NARROW_SPACE)


def signed_text(value: float, extra: int = 0) -> str:
    """A value with its sign in two decimals, or `extra` more: +0.24, −12.50; 0.00 has no sign, infinity is −∞."""
    if math.isinf(value):
        return ("+" if value > 0 else MINUS) + "∞"
    places = (2 if abs(value) < 99.95 else 0) + extra
    text = f"{abs(value):.{places}f}"
    return text if not any(digit in "123456789" for digit in text) else ("+" if value > 0 else MINUS) + text


def limit_text(value: float) -> str:
    """A colour limit in two digits, as short as possible: 5.5, 13, 0.71, −0.5, 125."""
    text = f"{abs(value):.2g}" if abs(value) < 99.5 else f"{abs(value):.0f}"
    if value and not 0.001 <= abs(value) < 1e5:
        digits, power = f"{abs(value):.0e}".split("e")
        text = f"{digits}e{int(power)}".replace("-", MINUS)
    return (MINUS if value < 0 else "") + text


def count_text(value: int) -> str:
    """A count in few digits: 819, 205 k, 1.2 M."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            share = value / size
            return f"{share:.1f}{NARROW_SPACE}{unit}" if share < 9.95 else f"{share:.0f}{NARROW_SPACE}{unit}"
    return integer_text(value)


def duration_text(seconds: float) -> str:
    """A time in two or three digits: 11 µs, 1.2 ms."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.1f}{NARROW_SPACE}{unit}"
    return f"{seconds * 1e6:.0f}{NARROW_SPACE}µs"


def range_text(cells: range) -> str:
    """Rows or columns counted from 1: "12", "10–14"."""
    return str(cells.start + 1) if len(cells) == 1 else f"{cells.start + 1}–{cells.stop}"


def short_text(value: float, extra: int = 0) -> str:
    """A number in three significant digits: 0.0123, −4.2e−05. extra: more digits."""
    text = f"{abs(value):.{3 + extra}g}"
    return (MINUS if value < 0 else "") + text.replace("e-", f"e{MINUS}")


def percent_text(share: float) -> str:
    """A share in whole percent, with one decimal where that would round to 0 or 100: "99.7 %", "<0.1 %"."""
    if share <= 0 or share >= 1 or 0.005 <= share < 0.995:
        return f"{100 * share:.0f} %"
    return _tenths_text(round(1000 * share), share)


def percent_texts(shares: Sequence[float]) -> list[str]:
    """The shares of a whole, rounded so that what is shown adds up as they do: the largest remainders are rounded
    up. All have one decimal where one of them would round to 0 or 100."""
    if not all(map(math.isfinite, shares)):
        return [percent_text(share) if math.isfinite(share) else NO_VALUE for share in shares]
    has_decimal = any(0 < share < 0.005 or 0.995 <= share < 1 for share in shares)
    units = 1000 if has_decimal else 100
    counts = [math.floor(units * share) for share in shares]
    remainders = [units * share - count for share, count in zip(shares, counts, strict=True)]
    missing = round(units * math.fsum(shares)) - sum(counts)
    for index in sorted(range(len(shares)), key=lambda at: -remainders[at])[: max(missing, 0)]:
        counts[index] += 1
    if not has_decimal:
        return [f"{count} %" for count in counts]
    return [_tenths_text(count, share) for count, share in zip(counts, shares, strict=True)]


def _tenths_text(tenths: int, share: float) -> str:
    """Tenths of a percent; a share that is not 0, or not all, is not said to be."""
    if tenths <= 0:
        return "<0.1 %" if share > 0 else "0 %"
    if tenths >= 1000:
        return ">99.9 %" if share < 1 else "100 %"
    return f"{tenths / 10:.1f} %"


def vote_text(network: Network, vote: float) -> str:
    """A vote in percent, or where votes are scores a number such as 0.56; a dash for values that are not finite."""
    if not math.isfinite(vote):
        return NO_VALUE
    return f"{vote:.2f}" if network.vote == "score" else percent_text(_softmax_share(vote))


def vote_texts(network: Network, votes: Sequence[float]) -> list[str]:
    """All votes of a prediction, as `vote_text`; shares add up to 100 as shown."""
    if network.vote == "score" or not all(map(math.isfinite, votes)):
        return [vote_text(network, vote) for vote in votes]
    return percent_texts([_softmax_share(vote) for vote in votes])


def _softmax_share(vote: float) -> float:
    """Softmax never reaches 0 or 1; float32 rounds to them."""
    return min(max(vote, 1e-9), 1 - 1e-9)


def fixed_text(value: float, truncate: bool = False, extra: int = 0) -> str:
    """A value with two decimals and its sign, like `signed_text`; small values by their first digit: +0.0004.

    truncate: to two decimals instead of rounding, as the article does: +0.55 for 5 / 9. Values below TINY are 0.
    extra: more digits.
    """
    if truncate:
        return signed_text(truncated(value))
    if TINY * 10.0**-extra <= abs(value) < 0.5 * 10.0 ** -(2 + extra):
        text = f"{abs(value):.{1 + extra}g}".replace("e-0", "e-").replace("-", MINUS)
        return ("+" if value > 0 else MINUS) + text
    return signed_text(value, extra)


def cell_text(value: float, truncate: bool = False, extra: int = 0) -> str:
    """A value for a small cell: ".29", "−.36", "1", "12", "0", "2e6". extra: more digits."""
    if not math.isfinite(value):
        return "?"
    value = truncated(value) if truncate else value
    size = abs(value)
    if size >= 9999.5:
        digits, power = f"{size:.{extra}e}".split("e")
        return (MINUS if value < 0 else "") + f"{digits}e{int(power)}"
    if value == round(value) and size < 100:
        return (MINUS if value < 0 else "") + f"{size:.0f}"
    places = (2 if size < 0.995 else 1 if size < 9.95 else 0) + extra
    text = f"{size:.{places}f}".removeprefix("0" if size < 0.995 else "")
    return (MINUS if value < 0 and any(digit in "123456789" for digit in text) else "") + text


def percent_loss_text(share: float) -> str:
    """A loss in percent, positive losses with a minus: "−3.5 %", "0 %"."""
    text = f"{abs(100 * share):.1f}".removesuffix(".0")
    return f"{'' if text == '0' else MINUS if share > 0 else '+'}{text} %"


def truncated(value: float) -> float:
    """Truncate a value to two decimals, with a tolerance for rounding errors."""
    if not math.isfinite(value):
        return value
    return math.trunc(value * 100 + math.copysign(1e-4, value)) / 100


def four_digit_text(value: float, extra: int = 0) -> str:
    """A number in four significant digits: 0.4602, −12.35, 2.1e−7. extra: more digits."""
    if value == 0 or value != value:
        return "0" if value == 0 else "?"
    if math.isinf(value):
        return ("" if value > 0 else MINUS) + "∞"
    text = f"{abs(value):.{4 + extra}g}"
    if not 1e-4 <= abs(value) < 1e6:
        digits, power = f"{abs(value):.{2 + extra}e}".split("e")
        text = f"{digits.rstrip('0').rstrip('.')}e{int(power)}".replace("-", MINUS)
    return (MINUS if value < 0 else "") + text
