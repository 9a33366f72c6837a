"""Samples: a few generated drawings that show what the settings do. They are not learnt from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.data.dataset import Examples
from engine.datasets.xo import examples
from engine.datasets.xo_settings import XOSettings

EACH: Final = 6  # of X, of O, and of neither
MOST_SIDE: Final = 128  # pixels: larger ones would take too long to be made while a slider moves
_SEED: Final = 1


@dataclass(frozen=True, eq=False)
class Samples:
    """settings: those asked for. examples: X first, then O, then neither, EACH of each."""

    settings: XOSettings
    examples: Examples


def samples(settings: XOSettings) -> Samples:
    """Drawings by these settings: always of the same seed, so that other settings show the same hand, changed by
    nothing but what differs. As many are neither as are X, whatever share the settings ask for."""
    shown = replace(settings, neither=1 / 3, side=min(settings.side, MOST_SIDE))
    made = examples(shown, 3 * EACH, _SEED)
    return Samples(settings, made.take(np.argsort(made.labels % 3, kind="stable")))
