"""Words: a run told as the words of an `xo train` that makes it again. The way back from `settings` and `task`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from engine.commands.train.settings import DRAWINGS
from engine.datasets.xo_settings import XOSettings
from engine.optimizers import Optimizer
from engine.presets import DEFAULT, PRESETS
from engine.recipe import Recipe
from engine.schedules import Schedule

# Options that are told only where they are not what the command would take anyway, and how each is called.
_UNLESS_USUAL: Final = ("l2", "clip", "steps", "patience", "target", "seconds")


def words_of(recipe: Recipe, start: Sequence[str]) -> list[str]:
    """What follows `xo train`. recipe: its drawings are a pool's, whatever `fresh` says. start: what says which
    network and weights to begin with: --preset NAME, or --model FILE, maybe with --from-scratch.

    Raises ValueError for a recipe that the words cannot tell: without a limit that the preset's recipe has.
    """
    usual = _usual(start)
    words = [*start, "--seed", str(recipe.seed)]
    if recipe.data_seed is not None:
        words += ["--data-seed", str(recipe.data_seed)]
    words += ["--fixed"]
    words += ["--examples", str(recipe.examples), "--hold-out", repr(recipe.held_out / recipe.examples)]
    if drawn := _settings(recipe.data, usual.data, leave_out="side"):
        words += ["--data", f"{DRAWINGS}:{drawn}"]
    words += ["--optimizer", _part(recipe.optimizer), "--schedule", _part(recipe.schedule)]
    words += ["--batch", str(recipe.batch), "--epochs", str(recipe.epochs)]
    for name in _UNLESS_USUAL:
        value = getattr(recipe, name)
        if value is None and getattr(usual, name) is not None:
            raise ValueError(f"xo train has no word for a run without {name}.")
        if value is not None and value != getattr(usual, name):
            words += [f"--{name}", _number(value)]
    return words + (["--freeze", ",".join(recipe.frozen)] if recipe.frozen else [])


def _usual(start: Sequence[str]) -> Recipe:
    """The recipe that the command begins with before it hears of settings."""
    chosen = PRESETS[start[1]] if start[0] == "--preset" else DEFAULT
    if chosen.recipe is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    return chosen.recipe


def _part(part: Optimizer | Schedule) -> str:
    """`adamw:rate=0.003,decay=0.02`: every setting that is not its kind's own."""
    told = _settings(part, type(part)())
    return f"{part.kind}:{told}" if told else part.kind


def _settings(part: Optimizer | Schedule | XOSettings, usual: Any, leave_out: str = "") -> str:
    told = {each.name: getattr(part, each.name) for each in fields(part) if each.name != leave_out}
    return ",".join(f"{name}={_number(value)}" for name, value in told.items() if value != getattr(usual, name))


def _number(value: object) -> str:
    """As the settings are read: yes and no, and a range as its two ends; no digit is lost."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "..".join(map(repr, value)) if isinstance(value, tuple) else repr(value)
