"""Charts of several small plots side by side, each with the same two or three curves of shares, as one SVG picture.
They read and write no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from engine.svg import FAINT, GRID, beginning, text

PLOT_WIDE, PLOT_HIGH, LEFT, TOP, APART, BELOW = 150, 120, 56, 98, 22, 66
# Colours that the colour-blind tell apart (Okabe and Ito 2008), each with a dash of its own.
STYLES: Final = (("#0072b2", ""), ("#d55e00", "6 4"), ("#009e73", "2 3"))


@dataclass(frozen=True)
class Plot:
    """One small plot. title: above it. ticks: what stands below the first, the middle and the last place of its
    axis. curves: one for each name of the chart, shares from 0 to 1 at equally distant places."""

    title: str
    ticks: tuple[str, str, str]
    curves: tuple[Sequence[float], ...]


def multiples_chart(title: str, subtitle: str, names: Sequence[str], plots: Sequence[Plot], chance: float) -> str:
    """The SVG document. chance: a dotted line in every plot. Each curve is told by colour and dash, and named in a
    row below the subtitle. Raises ValueError for a plot that has not one curve for each name."""
    if any(len(plot.curves) != len(names) for plot in plots):
        raise ValueError(f"Every plot needs {len(names)} curves, one for each of {', '.join(names)}.")
    wide = LEFT + len(plots) * (PLOT_WIDE + APART)
    high = TOP + PLOT_HIGH + BELOW - 22
    parts = [
        *beginning(wide, high, title),
        text(20, 26, title, size=16, weight=600),
        text(20, 46, subtitle, fill=FAINT),
        *_key((*names, "chance"), wide),
    ]
    for place, plot in enumerate(plots):
        parts += _plot(plot, LEFT + place * (PLOT_WIDE + APART), chance, first=place == 0)
    return "\n".join([*parts, "</svg>", ""])


def _key(names: Sequence[str], wide: int) -> list[str]:
    parts, x = [], 20.0
    for (colour, dash), name in zip((*STYLES[: len(names) - 1], (FAINT, "1 4")), names, strict=True):
        parts.append(f'<path d="M{x:.0f} 62h26" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(text(x + 32, 66, name))
        x += 60 + 7 * len(name)
    return parts


def _plot(plot: Plot, left: float, chance: float, first: bool) -> list[str]:
    bottom, right = TOP + PLOT_HIGH, left + PLOT_WIDE
    parts = [text(left, TOP - 8, plot.title, weight=600)]
    for share in (0.0, 0.5, 1.0):
        y = bottom - PLOT_HIGH * share
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{GRID}"/>')
        if first:
            parts.append(text(left - 8, y + 4, f"{100 * share:.0f} %", fill=FAINT, anchor="end"))
    y = bottom - PLOT_HIGH * chance
    parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{FAINT}" stroke-dasharray="1 4"/>')
    for share, words, anchor in zip((0.0, 0.5, 1.0), plot.ticks, ("start", "middle", "end"), strict=True):
        parts.append(text(left + PLOT_WIDE * share, bottom + 17, words, fill=FAINT, anchor=anchor))
    for curve, (colour, dash) in reversed(list(zip(plot.curves, STYLES, strict=False))):
        parts += _curve(curve, left, colour, dash)
    return parts


def _curve(curve: Sequence[float], left: float, colour: str, dash: str) -> list[str]:
    """A curve as lines between its points, none where one is not known."""
    bottom, last = TOP + PLOT_HIGH, max(len(curve) - 1, 1)
    places = [(left + PLOT_WIDE * at / last, bottom - PLOT_HIGH * share) for at, share in enumerate(curve)]
    steps = "".join(
        f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}"
        if at == 0 or curve[at - 1] != curve[at - 1]
        else f"L{b[0]:.1f} {b[1]:.1f}"
        for at, (a, b) in enumerate(pairwise(places))
        if curve[at] == curve[at] and curve[at + 1] == curve[at + 1]
    )
    return [
        f'<path d="{steps}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        'stroke-linejoin="round"/>'
    ]
