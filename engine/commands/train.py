"""`xo train`: trains a preset's network on generated drawings and writes it as a model file."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from engine.backend import Backend, choose_backend, one_blas_thread
from engine.calibration import Calibration, calibrate
from engine.datasets.sources import Generated
from engine.document import Subject
from engine.evaluation import Score, judge
from engine.losses import softmax
from engine.network import Network
from engine.presets import PRESETS, preset
from engine.recipe import Recipe
from engine.storage.models import save_model
from engine.training import Step, Trainer

# Options of a recipe that the command line may set, with what they mean.
OPTIONS = {
    "seed": "of the first weights, the drawings and their order",
    "epochs": "how many times a fresh set of drawings is gone through",
    "examples": "drawings an epoch",
    "batch": "drawings a step",
}


def add(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("train", help="train a network on generated drawings", description=__doc__)
    parser.add_argument("--preset", default="default", choices=list(PRESETS), help="the network (default: default)")
    parser.add_argument("--out", type=Path, required=True, help="the model file to write, ending in .safetensors")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    for name, meaning in OPTIONS.items():
        parser.add_argument(f"--{name}", type=int, help=f"{meaning} (default: the preset's)")
    parser.add_argument("--rate", type=float, help="learning rate at the start (default: the preset's)")


def run(args: argparse.Namespace) -> int:
    """Train, judge, choose the threshold, save. Raises ValueError for what cannot be."""
    with one_blas_thread():  # or the bytes would depend on how many there are
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    if args.out.suffix != ".safetensors":
        raise ValueError(f"{args.out} cannot hold a model: give --out a name that ends in .safetensors.")
    chosen = preset(args.preset)
    if chosen.recipe is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    recipe = _recipe(chosen.recipe, args)
    backend = choose_backend(args.device)
    print(f"{chosen.name} on {backend.title} ({backend.reason}), seed {recipe.seed}")
    source = Generated(recipe.data, recipe.examples, recipe.seed)
    trainer = Trainer(chosen.network, source, recipe, backend)
    _learn(trainer, recipe)
    values = trainer.parameters()
    held_out = source.held_out(recipe.held_out)
    judged = judge(chosen.network, values, held_out, backend)
    found = calibrate(softmax(judged.scores), held_out.labels, chosen.network.classes)
    _report(judged.score, found)
    origin = _origin(args, recipe, chosen.network, backend, judged.score, found)
    save_model(args.out, Subject(chosen.title, chosen.network, values, found.threshold, origin))
    print(f"wrote {args.out}")
    return 0


def _recipe(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    given = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    if args.rate is not None:
        given["optimizer"] = replace(recipe.optimizer, rate=args.rate)
    return replace(recipe, **given)


def _learn(trainer: Trainer, recipe: Recipe) -> None:
    """Goes through all steps, with one line an epoch."""
    begun, losses = perf_counter(), []
    per_epoch = -(-recipe.examples // recipe.batch)
    for step in trainer.steps():
        if not isinstance(step, Step):
            continue
        losses.append(step.loss)
        if sys.stdout.isatty() and step.number % 20 == 0:
            print(f"\repoch {step.epoch}/{recipe.epochs}, step {step.number}, loss {step.loss:.4f} ", end="")
        if step.number % per_epoch == 0:
            speed = step.number * recipe.batch / (perf_counter() - begun)
            end = "\r" if sys.stdout.isatty() else ""
            print(f"{end}epoch {step.epoch}/{recipe.epochs}  loss {np.mean(losses):.4f}  {speed:,.0f} drawings/s")
            losses.clear()


def _report(score: Score, found: Calibration) -> None:
    sides = ", ".join(f"{name} {share:.2%}" for name, share in score.by_class.items())
    print(f"held out: {score.accuracy:.2%} of X and O read rightly ({sides}), loss {score.loss:.4f}")
    named = ", ".join(f"{name} {share:.2%}" for name, share in found.named.items())
    print(f'with "unsure" below {found.threshold:.3f}: {named} named rightly, {found.wrong:.2%} named wrongly')


def _origin(
    args: argparse.Namespace,
    recipe: Recipe,
    network: Network,
    backend: Backend,
    score: Score,
    found: Calibration,
) -> dict[str, Any]:
    """What the model file says of where it comes from; nothing in it depends on when or in which folder."""
    words = ["xo", "train", "--preset", args.preset, "--seed", str(recipe.seed), "--out", args.out.name]
    for name in ("epochs", "examples", "batch", "rate"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    described = asdict(recipe)
    for part in ("optimizer", "schedule"):
        described[part]["kind"] = getattr(recipe, part).kind
    return {
        "command": shlex.join(words),
        "recipe": described,
        "device": backend.name,
        "versions": {"xo-gui": version("xo-gui"), "numpy": np.__version__},
        "held_out": {
            "accuracy": round(score.accuracy, 5),
            "loss": round(score.loss, 6),
            "named": {name: round(share, 5) for name, share in found.named.items()},
            "wrong": round(found.wrong, 5),
        },
    }
