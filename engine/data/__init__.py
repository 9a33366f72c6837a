"""Where examples come from: one file for each kind of data, and the table of them. No training.

To add a kind, write a file with a frozen settings dataclass and a function from settings, a count and a seed
to Examples, and add a line to KINDS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.data.dataset import Examples
from engine.data.xo import generator


@dataclass(frozen=True)
class Kind:
    """A kind of data: its title, the class of its settings, and examples(settings, count, seed)."""

    title: str
    settings: type[Any]
    examples: Callable[[Any, int, int], Examples]


KINDS: Final[dict[str, Kind]] = {
    "xo": Kind("Drawn X and O", generator.XOSettings, generator.examples),
}
