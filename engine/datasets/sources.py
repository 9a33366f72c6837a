"""Sources: where a run's examples come from, epoch by epoch. Not how they are learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.datasets.examples import Examples
from engine.datasets.xo import examples
from engine.datasets.xo_settings import XOSettings

# Second words of the generator's seeds, so that no held-out drawing is ever trained on.
TRAINING, HELD_OUT = 0, 1


class Source(Protocol):
    """Where the examples of an epoch come from."""

    @property
    def count(self) -> int:
        """How many examples an epoch has, the same for each."""
        ...

    def epoch(self, number: int) -> Examples:
        """The examples of epoch `number`, from 0; the same number gives the same examples."""
        ...


@dataclass(frozen=True)
class Generated:
    """A source of fresh generated drawings: `count` new ones an epoch. Held-out ones never share their seed."""

    settings: XOSettings
    count: int
    seed: int

    def epoch(self, number: int) -> Examples:
        """The drawings of epoch `number`."""
        return examples(self.settings, self.count, (self.seed, TRAINING, number))

    def held_out(self, count: int) -> Examples:
        """`count` drawings that no epoch gives."""
        return examples(self.settings, count, (self.seed, HELD_OUT))


@dataclass(frozen=True)
class Fixed:
    """A source that gives the same examples in every epoch."""

    examples: Examples

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.examples)

    def epoch(self, number: int) -> Examples:
        """The examples."""
        return self.examples
