"""Charts as SVG: curves on logarithmic axes, and rows of small plots; tables as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

TEXT, SECONDARY_TEXT, GRID = "#1f2430", "#5b6472", "#e4e7eb"


def svg_header(width: int, height: int, title: str) -> list[str]:
    """The first lines of an SVG on white; `title` is its accessible name."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]


def svg_text(
    x: float, y: float, content: str, *, size: int = 12, weight: int = 400, fill: str = TEXT, anchor: str = "start"
) -> str:
    """An SVG text element."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(content)}</text>'
    )


WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 86, 206, 92, 56
# Colour-blind safe colours (Okabe and Ito 2008), each with a dash pattern of its own.
STYLES: Final = (("#0072b2", ""), ("#d55e00", "7 4"), ("#5b6472", "2 4"), ("#009e73", "10 3 2 3"))
LABEL_SPACING = 17  # pixels between the labels of curves
# The least distance, in decades, of 1 to 9 times the powers of ten, and of 1, 2 and 5 times.
TICK_FACTORS: Final[tuple[tuple[float, tuple[int, ...]], ...]] = (
    (math.log10(10 / 9), tuple(range(1, 10))),
    (math.log10(2), (1, 2, 5)),
)
MOST_TICKS = 9


@dataclass(frozen=True)
class ChartLine:
    """A curve: its name and points; those not above 0 are drawn on the edge."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


def log_ticks(low: float, high: float, gap: float) -> list[float]:
    """Round numbers from `low` to `high`, above 0, for the labels of a logarithmic axis; at least two.

    gap: the least distance of two labels, in decades. They are 1 to 9 times every power of ten, or 1, 2 and 5
    times, or powers alone; where fewer than two lie inside, multiples of 1, 2 or 5 times a smaller power of ten.
    """
    exponents = math.log10(low), math.log10(high)
    every = max(1, math.ceil(gap - 1e-9))
    powers = range(math.floor(exponents[0] / every) * every, math.ceil(exponents[1]) + 1, every)
    factors = next((factors for least, factors in TICK_FACTORS if least >= gap), (1,))
    candidates = [factor * 10.0**power for power in powers for factor in factors]
    inside = [value for value in candidates if exponents[0] - 1e-9 <= math.log10(value) <= exponents[1] + 1e-9]
    return inside if len(inside) > 1 else _multiples(low, high)


def _multiples(low: float, high: float) -> list[float]:
    """The multiples from `low` to `high` of the largest of 1, 2 or 5 times a power of ten that has two of them."""
    power = math.ceil(math.log10(high))
    while True:
        for digit in (5, 2, 1):
            step = digit * 10.0**power
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last > first:
                return [round(at * digit * 10.0**power, max(0, -power)) for at in range(first, last + 1)]
        power -= 1


class LogAxis:
    """A logarithmic axis for values from `low` to `high`, above 0, between two pixel positions; values beyond are
    drawn on the edge."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._high = math.log10(low), math.log10(high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """The position of a value, in pixels."""
        exponent = math.log10(value) if value > 0 else -math.inf
        share = (min(max(exponent, self._low), self._high) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round numbers inside, about nine at most."""
        return log_ticks(10**self._low, 10**self._high, (self._high - self._low) / MOST_TICKS)


def log_chart(
    title: str, subtitle: str, x_title: str, y_title: str, lines: Sequence[ChartLine], lowest: float
) -> str:
    """The SVG document of curves on two logarithmic axes.

    lowest: smaller values are drawn here; the x-axis starts at the least x above 0. Every curve has its own colour
        and dash, and its name at its end. Raises ValueError without two different x.
    """
    xs = sorted({x for line in lines for x in line.xs if x > 0})
    if len(xs) < 2:
        raise ValueError("A chart needs points at two or more different x.")
    across = LogAxis(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    highest = max([2 * lowest, *(y for line in lines for y in line.ys)])
    up = LogAxis(lowest, highest, HEIGHT - BOTTOM, TOP)
    parts = [
        *svg_header(WIDTH, HEIGHT, title),
        svg_text(20, 28, title, size=16, weight=600),
        svg_text(20, 48, subtitle, fill=SECONDARY_TEXT),
        *_grid(across, up, x_title, y_title, lowest),
    ]
    heights = _label_heights([up(line.ys[-1]) for line in lines])
    for index, (line, height) in enumerate(zip(lines, heights, strict=True)):
        parts += _line(line, across, up, height, *STYLES[index % len(STYLES)])
    return "\n".join([*parts, "</svg>", ""])


def tick_text(value: float) -> str:
    """The label of a tick: 0.001, 10,000, 3 million."""
    if value >= 1e6:
        return f"{value / 1e6:g} million"
    return f"{value:,.10g}" if value >= 1 else f"{value:.9f}".rstrip("0")


def _line(line: ChartLine, across: LogAxis, up: LogAxis, name_height: float, colour: str, dash: str) -> list[str]:
    points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(line.xs, line.ys, strict=True))
    end_x, end_y = across(line.xs[-1]), up(line.ys[-1])
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        'stroke-linejoin="round"/>',
        f'<path d="M{end_x:.1f} {end_y:.1f}L{WIDTH - RIGHT + 10} {name_height:.1f}h26" fill="none" '
        f'stroke="{colour}" stroke-dasharray="{dash}" stroke-width="1.5"/>',
        svg_text(WIDTH - RIGHT + 42, name_height + 4, line.name),
    ]


def _label_heights(heights: Sequence[float]) -> list[float]:
    """Heights of labels near their curves but apart: pushed down, then up from the bottom."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + LABEL_SPACING)
    limit = float(HEIGHT - BOTTOM)
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - LABEL_SPACING
    return placed


def _grid(across: LogAxis, up: LogAxis, x_title: str, y_title: str, lowest: float) -> list[str]:
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    parts = []
    for value in up.ticks():
        parts.append(f'<path d="M{left} {up(value):.1f}H{right}" stroke="{GRID}"/>')
        edge = "≤ " if value <= lowest else ""  # smaller values are drawn there, too
        parts.append(svg_text(left - 8, up(value) + 4, edge + tick_text(value), fill=SECONDARY_TEXT, anchor="end"))
    for value in across.ticks():
        parts.append(f'<path d="M{across(value):.1f} {top}V{bottom}" stroke="{GRID}"/>')
        parts.append(svg_text(across(value), bottom + 18, tick_text(value), fill=SECONDARY_TEXT, anchor="middle"))
    parts.append(svg_text((left + right) / 2, bottom + 42, x_title, anchor="middle"))
    parts.append(svg_text(20, top - 16, y_title))
    return parts


PLOT_WIDTH, PLOT_HEIGHT, PLOT_GAP = 150, 120, 22
PLOTS_LEFT, PLOTS_TOP, PLOTS_BOTTOM = 56, 98, 66
PLOT_STYLES: Final = (("#0072b2", ""), ("#d55e00", "6 4"), ("#009e73", "2 3"))


@dataclass(frozen=True)
class Plot:
    """One small plot.

    title: above it
    ticks: below the first, the middle and the last position of the x-axis
    curves: one per name of the chart, values from 0 to 1 at equal distances; NaN where unknown
    """

    title: str
    ticks: tuple[str, str, str]
    curves: tuple[Sequence[float], ...]


def small_multiples_chart(
    title: str, subtitle: str, names: Sequence[str], plots: Sequence[Plot], chance: float
) -> str:
    """The SVG document of a row of small plots (small multiples).

    chance: a dotted line in every plot. Each curve has its own colour and dash, explained in a legend. Raises
        ValueError for a plot without exactly one curve per name.
    """
    if any(len(plot.curves) != len(names) for plot in plots):
        raise ValueError(f"Every plot needs {len(names)} curves, one for each of {', '.join(names)}.")
    width = PLOTS_LEFT + len(plots) * (PLOT_WIDTH + PLOT_GAP)
    height = PLOTS_TOP + PLOT_HEIGHT + PLOTS_BOTTOM - 22
    parts = [
        *svg_header(width, height, title),
        svg_text(20, 26, title, size=16, weight=600),
        svg_text(20, 46, subtitle, fill=SECONDARY_TEXT),
        *_legend((*names, "chance")),
    ]
    for index, plot in enumerate(plots):
        parts += _plot(plot, PLOTS_LEFT + index * (PLOT_WIDTH + PLOT_GAP), chance, first=index == 0)
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], 20.0
    for (colour, dash), name in zip((*PLOT_STYLES[: len(names) - 1], (SECONDARY_TEXT, "1 4")), names, strict=True):
        parts.append(f'<path d="M{x:.0f} 62h26" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(svg_text(x + 32, 66, name))
        x += 60 + 7 * len(name)
    return parts


def _plot(plot: Plot, left: float, chance: float, first: bool) -> list[str]:
    bottom, right = PLOTS_TOP + PLOT_HEIGHT, left + PLOT_WIDTH
    parts = [svg_text(left, PLOTS_TOP - 8, plot.title, weight=600)]
    for share in (0.0, 0.5, 1.0):
        y = bottom - PLOT_HEIGHT * share
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{GRID}"/>')
        if first:
            parts.append(svg_text(left - 8, y + 4, f"{100 * share:.0f} %", fill=SECONDARY_TEXT, anchor="end"))
    y = bottom - PLOT_HEIGHT * chance
    parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{SECONDARY_TEXT}" stroke-dasharray="1 4"/>')
    for share, words, anchor in zip((0.0, 0.5, 1.0), plot.ticks, ("start", "middle", "end"), strict=True):
        parts.append(svg_text(left + PLOT_WIDTH * share, bottom + 17, words, fill=SECONDARY_TEXT, anchor=anchor))
    for curve, (colour, dash) in reversed(list(zip(plot.curves, PLOT_STYLES, strict=False))):
        parts += _curve(curve, left, colour, dash)
    return parts


def _curve(curve: Sequence[float], left: float, colour: str, dash: str) -> list[str]:
    """A curve as line segments, interrupted where a value is NaN."""
    bottom, last = PLOTS_TOP + PLOT_HEIGHT, max(len(curve) - 1, 1)
    points = [(left + PLOT_WIDTH * index / last, bottom - PLOT_HEIGHT * share) for index, share in enumerate(curve)]
    steps = "".join(
        f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}"
        if index == 0 or curve[index - 1] != curve[index - 1]
        else f"L{b[0]:.1f} {b[1]:.1f}"
        for index, (a, b) in enumerate(pairwise(points))
        if curve[index] == curve[index] and curve[index + 1] == curve[index + 1]
    )
    return [
        f'<path d="{steps}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        'stroke-linejoin="round"/>'
    ]


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML; the first column is text, the others are numbers."""
    cells = [
        "".join(f"<{tag} style='text-align:{'right' if column else 'left'}'>{escape(text)}</{tag}>"
                for column, text in enumerate(row))
        for tag, row in (("th", header), *(("td", row) for row in rows))
    ]  # fmt: skip
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
