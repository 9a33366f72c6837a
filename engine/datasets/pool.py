"""Pool: a fixed set of examples that is made piece by piece, so that whoever makes it can stop in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.datasets.examples import Examples
from engine.datasets.sources import HELD_OUT, TRAINING
from engine.datasets.xo import examples
from engine.datasets.xo_settings import XOSettings

# Drawings made at once: some 10 ms of work.
PIECE: Final = 100


@dataclass(frozen=True)
class PoolSettings:
    """Which examples a pool holds: `count` generated drawings to learn from and `held_out` to judge by, drawn as
    `drawing` says from `seed`; the same settings give the same bytes, in the window and in `xo train --fixed`.
    Raises ValueError for counts below 1."""

    drawing: XOSettings
    count: int = 8_000
    held_out: int = 2_000
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks the counts."""
        for name in ("count", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"The data need {name} of at least 1, not {getattr(self, name)}.")


class Pool:
    """The examples of `settings`, growing at each `grow` until `done`. own: labelled drawings of the person, added
    to those to learn from."""

    def __init__(self, settings: PoolSettings, own: Examples | None = None) -> None:
        self.settings, self._own = settings, own
        self._parts: dict[int, list[Examples]] = {TRAINING: [], HELD_OUT: []}
        self._whole: dict[int, Examples] = {}

    @property
    def done(self) -> float:
        """The share that is made, 1 when nothing is missing."""
        made = sum(len(part) for parts in self._parts.values() for part in parts)
        return made / (self.settings.count + self.settings.held_out)

    def grow(self) -> None:
        """Make one more piece, if one is missing."""
        for which, wanted in ((TRAINING, self.settings.count), (HELD_OUT, self.settings.held_out)):
            parts = self._parts[which]
            made = sum(map(len, parts))
            if made < wanted:
                seed = (self.settings.seed, which, len(parts))
                parts.append(examples(self.settings.drawing, min(PIECE, wanted - made), seed))
                return

    def fill(self) -> None:
        """Make all that are missing."""
        while self.done < 1:
            self.grow()

    @property
    def training(self) -> Examples:
        """Those to learn from. Raises ValueError while some are missing."""
        own = [] if self._own is None else [self._own]
        return self._joined(TRAINING, own)

    @property
    def held_out(self) -> Examples:
        """Those to judge by. Raises ValueError while some are missing."""
        return self._joined(HELD_OUT, [])

    def _joined(self, which: int, more: list[Examples]) -> Examples:
        if self.done < 1:
            raise ValueError("The examples are not all made yet.")
        if which not in self._whole:
            parts = self._parts[which] + more
            images = np.concatenate([part.images for part in parts])
            labels = np.concatenate([part.labels for part in parts])
            self._whole[which] = Examples(images, labels, parts[0].classes)
        return self._whole[which]
