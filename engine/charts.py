"""Charts of curves whose two axes are logarithmic, drawn as one SVG picture. They read and write no file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

TEXT, FAINT, GRID = "#1f2430", "#5b6472", "#e4e7eb"


def beginning(width: int, height: int, title: str) -> list[str]:
    """The first lines of a picture on white, `title` being what a screen reader says of it."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]


def text(
    x: float, y: float, words: str, *, size: int = 12, weight: int = 400, fill: str = TEXT, anchor: str = "start"
) -> str:
    """Words at a place of a picture."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 86, 206, 92, 56
# Colours that the colour-blind tell apart (Okabe and Ito 2008), each with a dash of its own.
STYLES: Final = (("#0072b2", ""), ("#d55e00", "7 4"), ("#5b6472", "2 4"), ("#009e73", "10 3 2 3"))
APART = 17  # pixels between the names of curves


@dataclass(frozen=True)
class Line:
    """One curve: its name, and its points, of which those that are not above 0 lie on the edge."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


class LogAxis:
    """Values from `low` to `high`, above 0, on a logarithmic axis between two places of a picture; what lies beyond
    is put on the edge."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._high = math.log10(low), math.log10(high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """Where a value stands, in pixels."""
        at = math.log10(value) if value > 0 else -math.inf
        share = (min(max(at, self._low), self._high) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round numbers inside: powers of ten, with 2 and 5 times them where there is room."""
        steps = (1,) if self._high - self._low > 2.5 else (1, 2, 5)
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        found = [step * 10.0**power for power in powers for step in steps]
        return [value for value in found if self._low - 1e-9 <= math.log10(value) <= self._high + 1e-9]


def log_chart(title: str, subtitle: str, x_title: str, y_title: str, lines: Sequence[Line], lowest: float) -> str:
    """The SVG document. Values below `lowest` are drawn at it; the x-axis begins at the least x above 0.

    Every curve is told by its colour, its dash and its name at its end. Raises ValueError without two different x.
    """
    xs = sorted({x for line in lines for x in line.xs if x > 0})
    if len(xs) < 2:
        raise ValueError("A chart needs points at two different places or more.")
    across = LogAxis(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    highest = max([2 * lowest, *(y for line in lines for y in line.ys)])
    up = LogAxis(lowest, highest, HEIGHT - BOTTOM, TOP)
    parts = [
        *beginning(WIDTH, HEIGHT, title),
        text(20, 28, title, size=16, weight=600),
        text(20, 48, subtitle, fill=FAINT),
        *_grid(across, up, x_title, y_title, lowest),
    ]
    heights = _names_apart([up(line.ys[-1]) for line in lines])
    for place, (line, height) in enumerate(zip(lines, heights, strict=True)):
        parts += _line(line, across, up, height, *STYLES[place % len(STYLES)])
    return "\n".join([*parts, "</svg>", ""])


def number_text(value: float) -> str:
    """A tick's number as people write it: 0.001, 10,000, 3 million."""
    if value >= 1e6:
        return f"{value / 1e6:g} million"
    return f"{value:,.0f}" if value >= 1 else f"{value:.9f}".rstrip("0")


def _line(line: Line, across: LogAxis, up: LogAxis, name_height: float, colour: str, dash: str) -> list[str]:
    points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(line.xs, line.ys, strict=True))
    end_x, end_y = across(line.xs[-1]), up(line.ys[-1])
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        'stroke-linejoin="round"/>',
        f'<path d="M{end_x:.1f} {end_y:.1f}L{WIDTH - RIGHT + 10} {name_height:.1f}h26" fill="none" '
        f'stroke="{colour}" stroke-dasharray="{dash}" stroke-width="1.5"/>',
        text(WIDTH - RIGHT + 42, name_height + 4, line.name),
    ]


def _names_apart(heights: Sequence[float]) -> list[float]:
    """Where names stand, near their curves but not over each other: pushed down, then up from the bottom."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    placed = list(heights)
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + APART)
    limit = float(HEIGHT - BOTTOM)
    for place in reversed(order):
        placed[place] = min(placed[place], limit)
        limit = placed[place] - APART
    return placed


def _grid(across: LogAxis, up: LogAxis, x_title: str, y_title: str, lowest: float) -> list[str]:
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    parts = []
    for value in up.ticks():
        parts.append(f'<path d="M{left} {up(value):.1f}H{right}" stroke="{GRID}"/>')
        edge = "≤ " if value <= lowest else ""  # what lies below is drawn there, too
        parts.append(text(left - 8, up(value) + 4, edge + number_text(value), fill=FAINT, anchor="end"))
    for value in across.ticks():
        parts.append(f'<path d="M{across(value):.1f} {top}V{bottom}" stroke="{GRID}"/>')
        parts.append(text(across(value), bottom + 18, number_text(value), fill=FAINT, anchor="middle"))
    parts.append(text((left + right) / 2, bottom + 42, x_title, anchor="middle"))
    parts.append(text(20, top - 16, y_title))
    return parts


PLOT_WIDE, PLOT_HIGH, MULTIPLES_CHART_LEFT, MULTIPLES_CHART_TOP, MULTIPLES_CHART_APART, BELOW = (
    150,
    120,
    56,
    98,
    22,
    66,
)
# Colours that the colour-blind tell apart (Okabe and Ito 2008), each with a dash of its own.
MULTIPLES_CHART_STYLES: Final = (("#0072b2", ""), ("#d55e00", "6 4"), ("#009e73", "2 3"))


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
    wide = MULTIPLES_CHART_LEFT + len(plots) * (PLOT_WIDE + MULTIPLES_CHART_APART)
    high = MULTIPLES_CHART_TOP + PLOT_HIGH + BELOW - 22
    parts = [
        *beginning(wide, high, title),
        text(20, 26, title, size=16, weight=600),
        text(20, 46, subtitle, fill=FAINT),
        *_key((*names, "chance"), wide),
    ]
    for place, plot in enumerate(plots):
        parts += _plot(
            plot, MULTIPLES_CHART_LEFT + place * (PLOT_WIDE + MULTIPLES_CHART_APART), chance, first=place == 0
        )
    return "\n".join([*parts, "</svg>", ""])


def _key(names: Sequence[str], wide: int) -> list[str]:
    parts, x = [], 20.0
    for (colour, dash), name in zip(
        (*MULTIPLES_CHART_STYLES[: len(names) - 1], (FAINT, "1 4")), names, strict=True
    ):
        parts.append(f'<path d="M{x:.0f} 62h26" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(text(x + 32, 66, name))
        x += 60 + 7 * len(name)
    return parts


def _plot(plot: Plot, left: float, chance: float, first: bool) -> list[str]:
    bottom, right = MULTIPLES_CHART_TOP + PLOT_HIGH, left + PLOT_WIDE
    parts = [text(left, MULTIPLES_CHART_TOP - 8, plot.title, weight=600)]
    for share in (0.0, 0.5, 1.0):
        y = bottom - PLOT_HIGH * share
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{GRID}"/>')
        if first:
            parts.append(text(left - 8, y + 4, f"{100 * share:.0f} %", fill=FAINT, anchor="end"))
    y = bottom - PLOT_HIGH * chance
    parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{FAINT}" stroke-dasharray="1 4"/>')
    for share, words, anchor in zip((0.0, 0.5, 1.0), plot.ticks, ("start", "middle", "end"), strict=True):
        parts.append(text(left + PLOT_WIDE * share, bottom + 17, words, fill=FAINT, anchor=anchor))
    for curve, (colour, dash) in reversed(list(zip(plot.curves, MULTIPLES_CHART_STYLES, strict=False))):
        parts += _curve(curve, left, colour, dash)
    return parts


def _curve(curve: Sequence[float], left: float, colour: str, dash: str) -> list[str]:
    """A curve as lines between its points, none where one is not known."""
    bottom, last = MULTIPLES_CHART_TOP + PLOT_HIGH, max(len(curve) - 1, 1)
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
