"""`xo robustness`: accuracy of a network and of template matching on drawings that are shifted, scaled, rotated,
thick or noisy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine.backends import Backend
from engine.charts import Plot, small_multiples_chart
from engine.cli.classify import add_model_arguments, chosen_model
from engine.cli.device import ChosenDevice
from engine.cli.json_text import json_text
from engine.data import VariedProperty
from engine.explain import RobustnessResult, RobustnessTest
from engine.formats import write_atomically
from engine.nn import Model


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "robustness",
        help="measure the accuracy on shifted, scaled, rotated, thick and noisy drawings",
        description="Measure the accuracy of a network and of template matching on drawings with one property "
        "varied.",
    )
    add_model_arguments(parser)
    parser.add_argument("--svg", metavar="FILE", type=Path, help="plot the curves")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run all tests and print the result. Raises ValueError for a network with another input or other classes."""
    model = chosen_model(args)
    result = ChosenDevice(args.device).compute(lambda backend: _tested(model, backend))
    if args.svg is not None:
        write_atomically(args.svg, _picture(model, result).encode())
    if args.json:
        print(json_text(_json(result)))
    else:
        print(_table(result))
    return 0


def _tested(model: Model, backend: Backend) -> RobustnessResult:
    test = RobustnessTest(model.network, model.parameters, backend)
    while not test.is_done:
        test.advance()
    return test.result()


def _json(result: RobustnessResult) -> dict[str, Any]:
    network, template = (
        result.accuracy(result.network_correct).round(4),
        result.accuracy(result.template_correct).round(4),
    )
    return {
        "drawings": int(result.counts.min()),
        "properties": [
            {
                "name": each.name,
                "unit": each.unit,
                "values": list(each.values),
                "network": network[row].tolist(),
                "whole_image": template[row].tolist(),
            }
            for row, each in enumerate(result.properties)
        ],
    }


def _table(result: RobustnessResult) -> str:
    """Markdown tables: a row for each curve, in percent; the default value of a property in brackets."""
    lines = [f"Accuracy in percent, on {int(result.counts.min())} drawings at each value:", ""]
    curves = (
        ("network", result.accuracy(result.network_correct)),
        ("template matching", result.accuracy(result.template_correct)),
    )
    for row, each in enumerate(result.properties):
        heads = [
            f"[{_value(each, value)}]" if value == each.baseline else _value(each, value) for value in each.values
        ]
        lines += [f"| {each.name}, {each.unit} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, accuracy in curves:
            lines.append(f"| {name} | " + " | ".join(f"{round(100 * a, 1):g}" for a in accuracy[row]) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _picture(model: Model, result: RobustnessResult) -> str:
    """The curves as SVG."""
    network, template = result.accuracy(result.network_correct), result.accuracy(result.template_correct)
    plots = [
        Plot(
            f"{each.name}, {each.unit}",
            (
                _value(each, each.values[0]),
                _value(each, each.values[len(each.values) // 2]),
                _value(each, each.values[-1]),
            ),
            (network[row].tolist(), template[row].tolist()),
        )
        for row, each in enumerate(result.properties)
    ]
    subtitle = (
        f"accuracy on {int(result.counts.min())} drawings of {' and '.join(model.network.classes)} at each value; "
        "all other properties at their defaults"
    )
    _, height, width = result.input_shape
    title = f"{model.name} network, {height} × {width} pixels, and template matching"
    return small_multiples_chart(title, subtitle, ("network", "template matching"), plots, 0.5)


def _value(each: VariedProperty, value: float) -> str:
    return f"{value:.0f}" if each.unit == "degrees" else f"{value:.3g}"
