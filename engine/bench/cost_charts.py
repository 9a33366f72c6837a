"""Cost chart: measured cost curves as one small SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.bench.report import ScalingCurve
from engine.charts import GRID, SECONDARY_TEXT, TEXT, LogAxis, svg_header, svg_text, tick_text

PANEL_WIDTH, PANEL_HEIGHT, GAP, MARGIN = 340, 250, 30, 22
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 40, 44
# Distinct in lightness, dash and marker as well as hue.
TIME, MULTIPLIES = "#0b5fa5", "#b3541e"


def cost_chart(curves: Sequence[ScalingCurve], title: str, subtitle: str) -> str:
    """The SVG document, two panels a row, on logarithmic axes: measured time with its quartiles, and a line
    proportional to the multiplies through the last point's time."""
    across = 2
    down = -(-len(curves) // across)
    width = 2 * MARGIN + across * PANEL_WIDTH + (across - 1) * GAP
    height = 2 * MARGIN + 46 + down * PANEL_HEIGHT + (down - 1) * GAP
    parts = [
        *svg_header(width, height, title),
        svg_text(MARGIN, MARGIN + 14, title, size=16, weight=600),
        svg_text(MARGIN, MARGIN + 34, subtitle, fill=SECONDARY_TEXT),
        *_legend(width - MARGIN - 346, MARGIN + 10),
    ]
    for place, curve in enumerate(curves):
        x = MARGIN + place % across * (PANEL_WIDTH + GAP)
        y = MARGIN + 46 + place // across * (PANEL_HEIGHT + GAP)
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(curve))}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _legend(x: float, y: float) -> list[str]:
    return [
        f'<path d="M{x} {y}h26" stroke="{TIME}" stroke-width="2"/>',
        f'<circle cx="{x + 13}" cy="{y}" r="3.2" fill="{TIME}"/>',
        svg_text(x + 32, y + 4, "time, median and quartiles"),
        f'<path d="M{x + 212} {y}h26" stroke="{MULTIPLIES}" stroke-width="1.5" stroke-dasharray="5 4"/>',
        svg_text(x + 244, y + 4, "as the multiplies"),
    ]


def _panel(curve: ScalingCurve) -> list[str]:
    milliseconds = [1000 * value for value in (*curve.low, *curve.high)]
    expected = [1000 * curve.seconds[-1] * m / curve.multiplies[-1] for m in curve.multiplies]
    across = _axis(curve.at, LEFT, PANEL_WIDTH - RIGHT)
    up = _axis([*milliseconds, *expected], PANEL_HEIGHT - BOTTOM, TOP)
    parts = [svg_text(0, 14, f"Cost against {curve.of}", size=13, weight=600)]
    slopes = f"slope: multiplies {curve.multiplies_slope:.2f}, time {curve.seconds_slope:.2f}"
    parts.append(svg_text(0, 30, slopes, fill=SECONDARY_TEXT))
    parts += _grid(across, up, curve.of)
    line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(curve.at, expected, strict=True))
    parts.append(
        f'<polyline points="{line}" fill="none" stroke="{MULTIPLIES}" stroke-width="1.5" stroke-dasharray="5 4"/>'
    )
    times = [1000 * value for value in curve.seconds]
    line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(curve.at, times, strict=True))
    parts.append(f'<polyline points="{line}" fill="none" stroke="{TIME}" stroke-width="2"/>')
    for x, y, low, high in zip(curve.at, times, curve.low, curve.high, strict=True):
        column = f"{across(x):.1f}"
        parts.append(
            f'<path d="M{column} {up(1000 * low):.1f}V{up(1000 * high):.1f}" stroke="{TIME}" stroke-width="1"/>'
            f'<circle cx="{column}" cy="{up(y):.1f}" r="3.2" fill="{TIME}"/>'
        )
    return parts


def _grid(across: LogAxis, up: LogAxis, of: str) -> list[str]:
    parts = []
    for value in up.ticks():
        parts.append(f'<path d="M{LEFT} {up(value):.1f}H{PANEL_WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(svg_text(LEFT - 6, up(value) + 4, tick_text(value), fill=SECONDARY_TEXT, anchor="end"))
    for value in across.ticks():
        parts.append(f'<path d="M{across(value):.1f} {TOP}V{PANEL_HEIGHT - BOTTOM}" stroke="{GRID}"/>')
        parts.append(
            svg_text(
                across(value), PANEL_HEIGHT - BOTTOM + 16, tick_text(value), fill=SECONDARY_TEXT, anchor="middle"
            )
        )
    middle = (LEFT + PANEL_WIDTH - RIGHT) / 2
    parts.append(svg_text(middle, PANEL_HEIGHT - BOTTOM + 34, of, anchor="middle"))
    parts.append(
        f'<text transform="translate(12 {(TOP + PANEL_HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)" fill="{TEXT}" '
        'text-anchor="middle">milliseconds</text>'
    )
    return parts


def _axis(values: Sequence[float], start: float, end: float) -> LogAxis:
    """An axis that reaches a little beyond positive values, between two pixel positions."""
    low, high = min(values), max(values)
    room = 10 ** max(0.04 * math.log10(high / low), 0.02)
    return LogAxis(low / room, high * room, start, end)
