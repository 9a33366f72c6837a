"""`xo nudge`: the article's way of learning, one value at a time, traced step by step or compared with
backpropagation."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from engine.charts import ChartLine, log_chart
from engine.cli.json_text import json_text
from engine.data import FixedSource
from engine.data.xo import article_examples
from engine.documents import ARTICLE_KERNELS, TRAINABLE_WALKTHROUGH
from engine.formats import quoted, write_atomically
from engine.nn import targets
from engine.nn.layers import Arrays
from engine.nudging import (
    Nudge,
    Nudger,
    NudgingConfig,
    RuleCurve,
    backprop_gradients,
    central_difference_gradients,
    compare_rules,
)
from engine.training import SGD, TrainingConfig

LOWEST = 1e-6  # errors below it are drawn at it and written as "below"
TITLE = "Error against multiplies: backpropagation and nudging"


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "nudge",
        help="learn the article's way: every value a little up, a little down",
        description="Learn the article's ten 9 x 9 pictures by nudging every value a little up and a little down, "
        "and by backpropagation from the same start, and print the error of both after equal numbers of "
        "multiplies.",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the initial weights and the order (default: 1)")
    parser.add_argument(
        "--handmade", action="store_true", help="start with the article's three features instead of random ones"
    )
    parser.add_argument("--size", type=float, default=0.3, help="size of a nudge (default: 0.3)")
    parser.add_argument("--rate", type=float, default=0.1, help="backpropagation's learning rate (default: 0.1)")
    parser.add_argument("--batch", type=int, default=1, help="pictures in a batch (default: 1)")
    parser.add_argument("--shuffle", action="store_true", help="nudge the values in a new random order each time")
    parser.add_argument(
        "--multiplies", type=int, default=20_000_000, help="budget of each method (default: 20,000,000)"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--steps", type=int, metavar="N", help="print the first N nudges instead")
    other.add_argument(
        "--check", action="store_true", help="print every value's central difference and its gradient instead"
    )
    other.add_argument("--svg", type=Path, metavar="FILE", help="also plot the comparison")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print nudges, the gradient check or the comparison. Raises ValueError for invalid numbers, FileError for a
    file."""
    nudging = NudgingConfig(args.size, shuffled=args.shuffle, batch=args.batch, seed=args.seed)
    if args.steps is not None:
        _print_nudges(args, nudging)
    elif args.check:
        _check(args)
    else:
        _compare(args, nudging)
    return 0


def _initial(args: argparse.Namespace) -> Arrays:
    """Random initial parameters, with --handmade the article's features, divided by 9 for its mean."""
    if args.seed < 0:
        raise ValueError(f"A seed is a whole number of at least 0, not {args.seed}.")
    values = TRAINABLE_WALKTHROUGH.initial_parameters(args.seed)
    if args.handmade:
        name = "conv2d-1.weight"
        values[name] = (ARTICLE_KERNELS / ARTICLE_KERNELS[0].size).astype(values[name].dtype)
    return values


def _print_nudges(args: argparse.Namespace, nudging: NudgingConfig) -> None:
    if args.steps < 1:
        raise ValueError(f"There is nothing to print for {args.steps} steps; give --steps 1 or more.")
    nudger = Nudger(TRAINABLE_WALKTHROUGH, FixedSource(article_examples()), nudging, _initial(args))
    for nudge in islice(nudger.iter_nudges(), args.steps):
        print(json_text(_nudge_json(nudge)) if args.json else _nudge_line(nudge))


def _nudge_line(nudge: Nudge) -> str:
    index = ", ".join(map(str, nudge.index))
    outcome = {"up": "higher", "down": "lower", "same": "unchanged"}[nudge.direction]
    errors = f"error {nudge.error:.6f}, higher {nudge.error_up:.6f}, lower {nudge.error_down:.6f}"
    return f"{nudge.number:>6}  {f'{nudge.name}[{index}]':<28} {nudge.before:+.4f}  {errors}: {outcome}"


def _nudge_json(nudge: Nudge) -> dict[str, Any]:
    return {
        "number": nudge.number,
        "epoch": nudge.epoch,
        "examples": nudge.examples,
        "name": nudge.name,
        "index": nudge.index,
        "before": nudge.before,
        "size": nudge.size,
        "error": nudge.error,
        "error_up": nudge.error_up,
        "error_down": nudge.error_down,
        "kept": nudge.direction,
    }


def _check(args: argparse.Namespace) -> None:
    """Print each value's central difference and gradient, of the mean error of all ten pictures at the start."""
    network, dataset = TRAINABLE_WALKTHROUGH, article_examples()
    initial = _initial(args)
    shares = targets(dataset.labels, len(dataset.classes), np.float64)
    differences = central_difference_gradients(network, initial, dataset.images, shares)
    gradients = backprop_gradients(network, initial, dataset.images, shares)
    deviations = []
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            central, kink = float(differences.slopes[name][index]), differences.message(name, index)
            if kink is None:
                deviations.append(abs(central - float(gradient[index])))
            _print_gradients(args.json, name, index, central, float(gradient[index]), kink)
    if not args.json:
        kinks = sum(int(kinked.sum()) for kinked in differences.kinked.values())
        largest = f", at most {max(deviations):.1e} apart" if deviations else ""
        print(f"{len(deviations)} values away from kinks and ties{largest}; {kinks} values at one.")


def _print_gradients(
    as_json: bool, name: str, index: tuple[int, ...], central: float, gradient: float, kink: str | None
) -> None:
    if as_json:
        line = {"name": name, "index": index, "central": central, "gradient": gradient, "kink": kink}
        print(json_text(line))
        return
    parameter = f"{name}[{', '.join(map(str, index))}]"
    print(f"{parameter:<28} central {central:+.9f}  backpropagation {gradient:+.9f}  {kink or ''}".rstrip())


def _compare(args: argparse.Namespace, nudging: NudgingConfig) -> None:
    marks, rows = _marks(args.multiplies)
    config = TrainingConfig(SGD(args.rate, momentum=0), batch=args.batch, epochs=args.multiplies, seed=args.seed)
    curves = compare_rules(TRAINABLE_WALKTHROUGH, article_examples(), _initial(args), marks, config, nudging)
    if args.svg is not None:
        write_atomically(args.svg, _picture(args, curves).encode())
    if args.json:
        for curve in curves:
            print(json_text({"rule": curve.rule, "multiplies": curve.multiplies, "updates": curve.updates,
                              "errors": curve.errors}))  # fmt: skip
        return
    print("\n".join(_table(curves, rows)))
    if args.svg is not None:
        print(f"wrote {quoted(args.svg)}")


def _marks(most: int) -> tuple[list[int], list[int]]:
    """The numbers of multiplies at which errors are measured, and those that are rows of the table: from 10,000 up
    to `most`."""
    if most < 20_000:
        raise ValueError(f"{most:,} multiplies are too few to learn with; give --multiplies 20000 or more.")
    rows = [step * 10**power for power in range(4, 13) for step in (1, 2, 5) if step * 10**power < most]
    fine = [round(10 ** (power / 12)) for power in range(12 * 3, 12 * 13) if 10 ** (power / 12) < most]
    return sorted({*rows, *fine, most}), [*rows, most]


def _table(curves: list[RuleCurve], rows: list[int]) -> Iterator[str]:
    """Markdown: a row for each mark, a column for each method."""
    yield "| multiplies | " + " | ".join(curve.rule for curve in curves) + " |"
    yield "|" + "---:|" * (len(curves) + 1)
    for mark in (0, *rows):
        cells = [_error_text(next(error for spent, error in _points(curve) if spent >= mark)) for curve in curves]
        yield f"| {mark:,} | " + " | ".join(cells) + " |"


def _points(curve: RuleCurve) -> Iterator[tuple[int, float]]:
    return zip(curve.multiplies, curve.errors, strict=True)


def _error_text(error: float) -> str:
    return f"below {LOWEST:.6f}" if error < LOWEST else f"{error:.6f}" if error < 0.01 else f"{error:.3f}"


def _picture(args: argparse.Namespace, curves: list[RuleCurve]) -> str:
    subtitle = (
        f"the article's ten 9 x 9 pictures, batches of {args.batch}; rate {args.rate:g}, nudges of {args.size:g}; "
        f"seed {args.seed}"
    )
    lines = [ChartLine(curve.rule, curve.multiplies, curve.errors) for curve in curves]
    return log_chart(TITLE, subtitle, "multiplies spent", "mean error", lines, LOWEST)
