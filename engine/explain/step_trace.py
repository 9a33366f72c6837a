"""Dissection: one step of training, taken apart: what it is asked for, and what came of it. It computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.nn.layers import Products, Values
from engine.nn.model import Moment
from engine.nn.network import Network
from engine.nudging import Nudge
from engine.training.optimizers import Line
from engine.training.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Place: TypeAlias = "tuple[str, tuple[int, ...]]"


@dataclass(frozen=True)
class Inspection:
    """What somebody looks at of the coming step. example: which of its batch is followed through the network, from
    0. maps: so many maps, or values, of each layer at most. weight: name and index of the value whose arithmetic is
    looked at, if any; nudge: how far it is nudged up and down."""

    example: int = 0
    maps: int = 64
    weight: Place | None = None
    nudge: float = 0.1


@dataclass(frozen=True, eq=False)
class Update:
    """The change of every value, as the step makes it to the byte.

    before, after: all values by name, what layers gather included. gradients: of the batch's mean error, before l2
    and clipping; moved: what the optimizer gets, l2 and clipping included. remembered, remembers: the optimizer's
    memory before and after, named as in a Checkpoint. rate: of this step. fine: False if a number was not finite,
    so that the step is refused and nothing changes.
    """

    before: Values
    gradients: Values
    moved: Values
    after: Values
    remembered: Values
    remembers: Values
    rate: float
    fine: bool

    def change(self, name: str) -> HostArray:
        """What the step adds to a parameter."""
        change: HostArray = self.after[name] - self.before[name]
        return change


@dataclass(frozen=True, eq=False)
class ExamplePass:
    """One example on its way through the network and back.

    example: which of the batch. outputs: the input and each layer's output, (C, H, W) or (n,), at most as many maps
    as were asked for. gradients: of the batch's summed errors in each of those values: how fast the error rises
    with it. scores, votes, shares: (classes,), the last layer's, their softmax, and what it should be. error: of
    this example.
    """

    example: int
    outputs: tuple[HostArray, ...]
    gradients: tuple[HostArray, ...]
    scores: HostArray
    votes: HostArray
    shares: HostArray
    error: float


@dataclass(frozen=True, eq=False)
class Nudged:
    """The article's way with one value, beside backpropagation; all in float64, of the network as it reads.

    nudge: the batch's mean error with it as it is, higher and lower, and what is kept. slope: the error's gradient
    in it by backpropagation; central: by trying, half a width of `step` to each side. kink: why the two may differ,
    None where they agree. at_rest: whether the network reads otherwise than it learns, by dropout or batch norm, so
    that the step's own gradient is another.
    """

    nudge: Nudge
    slope: float
    central: float
    step: float
    kink: str | None
    at_rest: bool

    @property
    def agrees(self) -> bool | None:
        """Whether the nudge that is kept goes the way backpropagation says; None where neither nudge helps, or the
        slope is 0."""
        if self.nudge.kept == "same" or self.slope == 0:
            return None
        return (self.nudge.kept == "up") == (self.slope < 0)


@dataclass(frozen=True, eq=False)
class Worked:
    """One value, and the numbers of the step plugged into its formula.

    before, after; gradient: of the batch's mean error. sums: (N,), each example's part of N times that, and
    products: what the followed example's part is the sum of; None where the gradient is no such sum, or its layer
    is frozen. lines: from the gradient to the new value. nudged: None until it has been tried.
    """

    place: Place
    before: float
    after: float
    gradient: float
    frozen: bool
    sums: HostArray | None
    products: Products | None
    lines: tuple[Line, ...]
    nudged: Nudged | None


@dataclass(frozen=True, eq=False)
class Dissection:
    """The step after `moment` by `recipe`, read-only.

    epoch, row: from 0, the how manieth step of which epoch. places: (N,), its batch, as places among the examples;
    errors: (N,), of each before the step. words: why there is nothing else, one sentence.
    """

    moment: Moment
    recipe: Recipe
    network: Network
    epoch: int
    places: HostArray
    errors: HostArray
    update: Update | None
    seen: ExamplePass | None
    worked: Worked | None
    words: str = ""

    @property
    def error(self) -> float:
        """The batch's mean error before the step."""
        return float(self.errors.mean())
