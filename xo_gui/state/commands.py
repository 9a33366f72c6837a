"""Wishes: what a person can ask of training, and of what the network is compared with, as a View passes it on. They
are words; training_controller.py and comparison_controller.py act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.data.pool import Lesson, PoolSettings
from engine.explain.step_trace import Inspection
from engine.nn.model import Moment
from engine.training.recipe import Recipe

DataLook: TypeAlias = Literal["", "samples", "own"]


@dataclass(frozen=True)
class Train:
    """Train until told otherwise; from the moment looked at, if one is."""


@dataclass(frozen=True)
class Pause:
    """Stand still."""


@dataclass(frozen=True)
class OneStep:
    """One step, then stand still."""


@dataclass(frozen=True)
class OneEpoch:
    """To the end of this epoch, then stand still."""


@dataclass(frozen=True)
class StartOver:
    """Back to the start, beside what was: the same one, or that of another seed."""

    seed: int | None = None


@dataclass(frozen=True)
class TrainOn:
    """Train on from the weights on the screen, wherever they come from."""


@dataclass(frozen=True)
class Look:
    """Look back at a moment; None is now."""

    moment: Moment | None


@dataclass(frozen=True)
class LearnBy:
    """Learn by this recipe from now on."""

    recipe: Recipe


@dataclass(frozen=True)
class LearnFrom:
    """Learn from these examples from the next start on."""

    data: PoolSettings


@dataclass(frozen=True)
class LookAtData:
    """Show a few drawings by the settings as they are wished for, or how own drawings are read, or neither."""

    what: DataLook


@dataclass(frozen=True)
class LearnOn:
    """Go on from here, as a branch that learns from the examples as they are wished for now."""


@dataclass(frozen=True)
class Pace:
    """So many steps a second at most; None for as fast as it goes."""

    steps: float | None


@dataclass(frozen=True)
class ShowBranch:
    """Whether a branch is drawn beside the others."""

    branch: int
    shown: bool


@dataclass(frozen=True)
class LookInside:
    """Whether somebody looks at how weights, values and gradients are spread, so that they are worth counting."""

    on: bool


@dataclass(frozen=True)
class Inspect:
    """Take the coming step apart, and look at this of it; None: nobody looks any more."""

    inspection: Inspection | None


@dataclass(frozen=True)
class Rename:
    """Call a branch something else."""

    branch: int
    name: str


@dataclass(frozen=True)
class CompareWithPreset:
    """Let the preset of this name read the drawing, too."""

    name: str


@dataclass(frozen=True)
class CompareWithFile:
    """Ask for a model file, and let its network read the drawing, too."""


@dataclass(frozen=True)
class CompareWithThis:
    """Hold the network as it is now, or at the moment looked at, beside what becomes of it."""


@dataclass(frozen=True)
class Swap:
    """Let the two networks that are compared change places."""


@dataclass(frozen=True)
class StopComparing:
    """Let only the first network read the drawing."""


Wish: TypeAlias = (
    Train
    | Pause
    | OneStep
    | OneEpoch
    | StartOver
    | TrainOn
    | Look
    | LearnBy
    | LearnFrom
    | LearnOn
    | Pace
    | LookInside
    | LookAtData
    | Inspect
    | ShowBranch
    | Rename
    | CompareWithPreset
    | CompareWithFile
    | CompareWithThis
    | Swap
    | StopComparing
)


@dataclass(frozen=True)
class Intent:
    """What training is told to do now, for the Views to show: by which recipe, from which examples, at what pace,
    whether it runs, and the moment looked back at. usual: the examples this network starts with; lesson: what the
    branch under way learns from, None if there is none. live: whether the drawing is read by training's weights.
    hidden: the branches, by number, that are not drawn."""

    recipe: Recipe
    data: PoolSettings
    pace: float | None = None
    running: bool = False
    look: Moment | None = None
    usual: PoolSettings | None = None
    lesson: Lesson | None = None
    live: bool = False
    hidden: frozenset[int] = frozenset()
