"""Usual: what a network learns by and from in the window if nobody wishes for anything else. It wishes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from engine.data.pool import PoolSettings
from engine.documents.presets import PRESETS
from engine.nn.network import Network
from engine.training.optimizers import AdamW
from engine.training.recipe import Cosine, Recipe

# What a network is trained by in the window: soon good, and long enough to watch.
WATCHED = Recipe(AdamW(0.008, decay=0.02), Cosine(0.05), epochs=20)


@lru_cache(maxsize=8)
def usual_data(network: Network, seed: int) -> PoolSettings:
    """The drawings that a network learns from: its preset's, if it is one's."""
    known = next((p.recipe for p in PRESETS.values() if p.recipe and p.network == network), WATCHED)
    return PoolSettings(replace(known.data, side=network.input_shape[1]), seed=seed)
