"""Datasets: where they come from, and the table of the kinds of data.

To add a kind, write a module with a frozen settings dataclass and a function (settings, count, seed) -> Dataset,
and add a line to DATA_KINDS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.data.dataset import Examples
from engine.data.xo import generator
from engine.data.xo.settings import XOSettings


@dataclass(frozen=True)
class Kind:
    """A kind of data: its title, the class of its settings, and generate(settings, count, seed)."""

    title: str
    settings: type[Any]
    examples: Callable[[Any, int, int], Examples]


KINDS: Final[dict[str, Kind]] = {
    "xo": Kind("Drawn X and O", XOSettings, generator.examples),
}
