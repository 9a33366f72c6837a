"""`xo robustness`: how many drawings are read rightly when they are shifted, sized, turned, thick or noisy, by
a network and by whole-image comparison. It trains nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.classify import add_subject, chosen_subject

if TYPE_CHECKING:
    from engine.data.xo.variations import Property
    from engine.explain.robustness import Robustness
    from engine.nn.model import Subject


def add(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "robustness",
        help="how well shifted, sized, turned, thick and noisy drawings are read",
        description="Read drawings with one property varied, by a network and by comparison with one X and one O.",
    )
    add_subject(parser)
    parser.add_argument("--svg", metavar="FILE", type=Path, help="draw the curves")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Try all drawings, print what was found. Raises ValueError for a network for other pictures."""
    from engine.backends.backend import choose_backend
    from engine.explain.robustness import Trial
    from engine.formats.atomic_file import write_atomically

    subject = chosen_subject(args)
    trial = Trial(subject.network, subject.parameters, choose_backend(args.device))
    while not trial.done:
        trial.advance()
    found = trial.report()
    if args.svg is not None:
        write_atomically(args.svg, _picture(subject, found).encode())
    if args.json:
        print(json.dumps(_plain(found)))
    else:
        print(_table(found))
    return 0


def _plain(found: Robustness) -> dict[str, Any]:
    """The curves as lists of numbers."""
    network, whole = found.shares(found.network).round(4), found.shares(found.whole_image).round(4)
    return {
        "drawings": int(found.tried.min()),
        "properties": [
            {
                "name": each.name,
                "unit": each.unit,
                "values": list(each.values),
                "network": network[row].tolist(),
                "whole_image": whole[row].tolist(),
            }
            for row, each in enumerate(found.properties)
        ],
    }


def _table(found: Robustness) -> str:
    """A Markdown table: a row for each curve, percents; the usual value of a property in brackets."""
    lines = [f"Of {int(found.tried.min())} drawings at each value, read rightly in percent:", ""]
    rights = (("network", found.shares(found.network)), ("whole image", found.shares(found.whole_image)))
    for row, each in enumerate(found.properties):
        heads = [
            f"[{_value(each, value)}]" if value == each.usual else _value(each, value) for value in each.values
        ]
        lines += [f"| {each.name}, {each.unit} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, shares in rights:
            lines.append(f"| {name} | " + " | ".join(f"{round(100 * share, 1):g}" for share in shares[row]) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _picture(subject: Subject, found: Robustness) -> str:
    """The curves as SVG."""
    from engine.charts import Plot, multiples_chart

    network, whole = found.shares(found.network), found.shares(found.whole_image)
    plots = [
        Plot(
            f"{each.name}, {each.unit}",
            (
                _value(each, each.values[0]),
                _value(each, each.values[len(each.values) // 2]),
                _value(each, each.values[-1]),
            ),
            (network[row].tolist(), whole[row].tolist()),
        )
        for row, each in enumerate(found.properties)
    ]
    subtitle = (
        f"X and O read rightly, of {int(found.tried.min())} drawings at each value; all else about them is as usual"
    )
    title = f"{subject.name} network, {found.side} × {found.side} pixels, and whole-image comparison"
    return multiples_chart(title, subtitle, ("network", "whole image"), plots, 0.5)


def _value(each: Property, value: float) -> str:
    return f"{value:.0f}" if each.unit == "degrees" else f"{value:.3g}"
