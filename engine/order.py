"""Order: which examples every step of an epoch sees, and at what learning rate. It holds no examples, and makes no
step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def order_of(recipe: Recipe, count: int, epoch: int) -> HostArray:
    """Places among `count` examples, (steps, batch) int64, a row a step, of which a last, shorter batch uses the
    start."""
    steps = -(-count // recipe.batch)
    order = np.zeros((steps, min(recipe.batch, count)), np.int64)
    order.ravel()[:count] = np.random.default_rng((recipe.seed, epoch)).permutation(count)
    return order


def rates_of(recipe: Recipe, count: int, epoch: int) -> HostArray:
    """The learning rate of each step of an epoch, (steps,) float32."""
    steps = -(-count // recipe.batch)
    total, first = recipe.epochs * steps, epoch * steps
    factors = [recipe.schedule.factor((first + place) / total) for place in range(steps)]
    rates: HostArray = (recipe.optimizer.rate * np.array(factors)).astype(np.float32)
    return rates


@dataclass(frozen=True, eq=False)
class Coming:
    """What the next step will see. epoch, row: from 0, which step of which epoch; places: (n,) int64, its batch;
    rate: float32."""

    epoch: int
    row: int
    places: HostArray
    rate: np.float32


def coming(recipe: Recipe, count: int, made: int) -> Coming | None:
    """The step after `made`, None when all epochs are done."""
    epoch, row = divmod(made, -(-count // recipe.batch))
    if epoch >= recipe.epochs:
        return None
    size = min(recipe.batch, count - row * recipe.batch)
    places = order_of(recipe, count, epoch)[row, :size]
    return Coming(epoch, row, places, rates_of(recipe, count, epoch)[row])
