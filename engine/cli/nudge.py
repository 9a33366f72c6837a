"""`xo nudge`: learning as the article tells it, a value at a time, watched or set beside backpropagation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from engine.charts import Line, log_chart
from engine.data.pool import Fixed
from engine.data.xo.article import article_examples
from engine.documents.presets import ARTICLE_FEATURES, TRAINABLE_WALKTHROUGH
from engine.formats.atomic_file import write_atomically
from engine.nn.layers import Values
from engine.nn.losses import targets
from engine.nudging import Curve, Nudge, Nudger, Nudging, backpropagated, central_differences, compare
from engine.training.optimizers import SGD
from engine.training.recipe import Recipe

LOWEST = 1e-6  # an error below it is drawn and written as below it
TITLE = "Error against multiplies: backpropagation and nudging"


def add(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "nudge",
        help="learn as the article tells it: every value a little up, a little down",
        description="Learns the article's ten 9 x 9 pictures by nudging every value a little up and a little down, "
        "and by backpropagation from the same start, and prints the error that each has left after so many "
        "multiplies.",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first weights and the order (default: 1)")
    parser.add_argument(
        "--handmade", action="store_true", help="begin with the article's three features instead of drawn ones"
    )
    parser.add_argument("--size", type=float, default=0.3, help="how far a nudge goes (default: 0.3)")
    parser.add_argument("--rate", type=float, default=0.1, help="backpropagation's learning rate (default: 0.1)")
    parser.add_argument("--batch", type=int, default=1, help="pictures looked at at once (default: 1)")
    parser.add_argument("--shuffle", action="store_true", help="nudge the values in an order drawn anew each time")
    parser.add_argument(
        "--multiplies", type=int, default=20_000_000, help="what each rule may spend (default: 20,000,000)"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--steps", type=int, metavar="N", help="print the first N nudges instead")
    other.add_argument(
        "--check", action="store_true", help="print every value's central difference beside its gradient instead"
    )
    other.add_argument("--svg", type=Path, metavar="FILE", help="draw the comparison, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for. Raises ValueError for numbers that mean nothing, StorageError for a file."""
    nudging = Nudging(args.size, shuffled=args.shuffle, batch=args.batch, seed=args.seed)
    if args.steps is not None:
        _watch(args, nudging)
    elif args.check:
        _check(args)
    else:
        _compare(args, nudging)
    return 0


def _start(args: argparse.Namespace) -> Values:
    """Drawn parameters; of which the features may be the article's, divided by 9 where it takes a mean."""
    if args.seed < 0:
        raise ValueError(f"A seed is a whole number from 0 up, not {args.seed}.")
    values = TRAINABLE_WALKTHROUGH.initial(args.seed)
    if args.handmade:
        name = "01-conv2d.weight"
        values[name] = (ARTICLE_FEATURES / ARTICLE_FEATURES[0].size).astype(values[name].dtype)
    return values


# -- watching ----------------------------------------------------------------------------------------------------


def _watch(args: argparse.Namespace, nudging: Nudging) -> None:
    if args.steps < 1:
        raise ValueError(f"There is nothing to watch in {args.steps} steps; ask for 1 or more.")
    nudger = Nudger(TRAINABLE_WALKTHROUGH, Fixed(article_examples()), nudging, _start(args))
    for nudge in islice(nudger.nudges(), args.steps):
        print(json.dumps(_nudge_json(nudge)) if args.json else _nudge_line(nudge))


def _nudge_line(nudge: Nudge) -> str:
    place = ", ".join(map(str, nudge.index))
    outcome = {"up": "higher", "down": "lower", "same": "as it was"}[nudge.kept]
    errors = f"error {nudge.error:.6f}, higher {nudge.error_up:.6f}, lower {nudge.error_down:.6f}"
    return f"{nudge.number:>6}  {f'{nudge.name}[{place}]':<28} {nudge.before:+.4f}  {errors}: {outcome}"


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
        "kept": nudge.kept,
    }


# -- checking ----------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> None:
    """Each value's slope by trying and by backpropagation, of the mean error of all ten pictures at the start."""
    network, given = TRAINABLE_WALKTHROUGH, article_examples()
    start = _start(args)
    shares = targets(given.labels, len(given.classes), np.float64)
    found = central_differences(network, start, given.images, shares)
    gradients = backpropagated(network, start, given.images, shares)
    apart = []
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            slope, sentence = float(found.slopes[name][index]), found.sentence(name, index)
            if sentence is None:
                apart.append(abs(slope - float(gradient[index])))
            _print_slope(args.json, name, index, slope, float(gradient[index]), sentence)
    if not args.json:
        kinks = sum(int(kinked.sum()) for kinked in found.kinked.values())
        furthest = f", at most {max(apart):.1e} apart" if apart else ""
        print(f"{len(apart)} values away from kinks and ties{furthest}; {kinks} values at one.")


def _print_slope(
    as_json: bool, name: str, index: tuple[int, ...], slope: float, gradient: float, sentence: str | None
) -> None:
    if as_json:
        about = {"name": name, "index": index, "central": slope, "gradient": gradient, "kink": sentence}
        print(json.dumps(about))
        return
    place = f"{name}[{', '.join(map(str, index))}]"
    print(f"{place:<28} central {slope:+.9f}  backpropagation {gradient:+.9f}  {sentence or ''}".rstrip())


# -- comparing ---------------------------------------------------------------------------------------------------


def _compare(args: argparse.Namespace, nudging: Nudging) -> None:
    marks, shown = _marks(args.multiplies)
    recipe = Recipe(SGD(args.rate, momentum=0), batch=args.batch, epochs=args.multiplies, seed=args.seed)
    curves = compare(TRAINABLE_WALKTHROUGH, article_examples(), _start(args), marks, recipe, nudging)
    if args.svg is not None:
        write_atomically(args.svg, _picture(args, curves).encode())
    if args.json:
        for curve in curves:
            print(json.dumps({"rule": curve.rule, "multiplies": curve.multiplies, "updates": curve.updates,
                              "errors": curve.errors}))  # fmt: skip
        return
    print("\n".join(_table(curves, shown)))
    if args.svg is not None:
        print(f"wrote {args.svg}")


def _marks(most: int) -> tuple[list[int], list[int]]:
    """Where errors are measured, and which of these make a row of the table: from 10,000 up to `most`."""
    if most < 20_000:
        raise ValueError(f"{most:,} multiplies are too few to learn with; give --multiplies 20000 or more.")
    shown = [step * 10**power for power in range(4, 13) for step in (1, 2, 5) if step * 10**power < most]
    fine = [round(10 ** (power / 12)) for power in range(12 * 3, 12 * 13) if 10 ** (power / 12) < most]
    return sorted({*shown, *fine, most}), [*shown, most]


def _table(curves: list[Curve], shown: list[int]) -> Iterator[str]:
    """Markdown: one row a mark, one column a rule."""
    yield "| multiplies | " + " | ".join(curve.rule for curve in curves) + " |"
    yield "|" + "---:|" * (len(curves) + 1)
    for mark in (0, *shown):
        cells = [_error_text(next(error for spent, error in _points(curve) if spent >= mark)) for curve in curves]
        yield f"| {mark:,} | " + " | ".join(cells) + " |"


def _points(curve: Curve) -> Iterator[tuple[int, float]]:
    return zip(curve.multiplies, curve.errors, strict=True)


def _error_text(error: float) -> str:
    return f"below {LOWEST:.6f}" if error < LOWEST else f"{error:.6f}" if error < 0.01 else f"{error:.3f}"


def _picture(args: argparse.Namespace, curves: list[Curve]) -> str:
    subtitle = (
        f"the article's ten 9 x 9 pictures, {args.batch} at a time; rate {args.rate:g}, nudges of {args.size:g}; "
        f"seed {args.seed}"
    )
    lines = [Line(curve.rule, curve.multiplies, curve.errors) for curve in curves]
    return log_chart(TITLE, subtitle, "multiplies spent", "mean error", lines, LOWEST)
