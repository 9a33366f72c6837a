"""Settings on the command line: `cosine:final=0.01,warmup=0.05` as what it describes. Not the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from engine.datasets.augmented import Augmentation
from engine.datasets.xo_settings import XOSettings
from engine.optimizers import OPTIMIZERS, SGD, Optimizer
from engine.recipe import part
from engine.schedules import SCHEDULES, Schedule

Chosen = TypeVar("Chosen")
_SWITCHES: Final = {"yes": True, "no": False}
DRAWINGS: Final = "xo"  # what the generator's settings begin with


def optimizer_from(text: str) -> Optimizer:
    """`sgd`, `adamw:decay=0.1`. Raises ValueError with one sentence."""
    return _chosen("optimizer", OPTIMIZERS, text)


def schedule_from(text: str) -> Schedule:
    """`cosine:final=0.01`. Raises ValueError with one sentence."""
    return _chosen("schedule", SCHEDULES, text)


def with_momentum(optimizer: Optimizer, momentum: float) -> Optimizer:
    """Raises ValueError for an optimizer that has none."""
    if not isinstance(optimizer, SGD):
        raise ValueError(f"Momentum belongs to sgd, not to {optimizer.kind}; add --optimizer sgd, or leave it out.")
    return replace(optimizer, momentum=momentum)


def is_drawings(text: str) -> bool:
    """Whether --data means generated drawings, and no file: `xo`, `xo:size=0.3..0.9`."""
    return text == DRAWINGS or text.startswith(f"{DRAWINGS}:")


def drawings_from(text: str, usual: XOSettings) -> XOSettings:
    """`xo:size=0.3..0.9,neither=0.25`, a range also as one number, and what it does not say as usual.

    Raises ValueError with one sentence.
    """
    given = _named("drawings", text.partition(":")[2])
    for name, value in given.items():
        # One number where a range is meant stands for itself alone.
        if isinstance(getattr(usual, name, None), tuple) and isinstance(value, str):
            given[name] = [value, value]
    read = part("drawings", XOSettings, given, strict=False)
    return replace(usual, **{name: getattr(read, name) for name in given})


def augmentation_from(text: str) -> Augmentation:
    """`shift=0.1,flip=yes`. Raises ValueError with one sentence."""
    given = {name: _SWITCHES.get(str(value), value) for name, value in _named("augmentation", text).items()}
    return part("augmentation", Augmentation, given, strict=False)


def _chosen(name: str, table: Mapping[str, type[Chosen]], text: str) -> Chosen:
    kind, _, settings = text.partition(":")
    if kind not in table:
        raise ValueError(f"There is no {name} called {kind!r}; there are {', '.join(table)}.")
    given = {name: _SWITCHES.get(str(value), value) for name, value in _named(name, settings).items()}
    return part(name, table[kind], given, strict=False)


def _named(what: str, text: str) -> dict[str, str | list[str]]:
    """`a=1,b=0.2..0.3` as words by name, a range as its two ends."""
    found: dict[str, str | list[str]] = {}
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not value:
            raise ValueError(f"The {what} cannot be told from {item!r}; write NAME=VALUE or NAME=LOW..HIGH.")
        if name in found:
            raise ValueError(f"The {what} are told {name} twice; leave one out.")
        found[name] = value.split("..") if ".." in value else value
    return found
