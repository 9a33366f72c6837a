"""Commands: what the user can ask of training and of the comparison; views and actions emit them, the controllers
execute them."""

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
    """Train until a stop condition or Pause; from the shown point, if the history is being viewed."""


@dataclass(frozen=True)
class Pause:
    """Pause training."""


@dataclass(frozen=True)
class OneStep:
    """Train for one step, then pause."""


@dataclass(frozen=True)
class OneEpoch:
    """Train to the end of this epoch, then pause."""


@dataclass(frozen=True)
class StartOver:
    """Begin a new run from the initial weights, those of `seed` if it is given; earlier branches stay."""

    seed: int | None = None


@dataclass(frozen=True)
class TrainOn:
    """Begin a new run from the weights shown."""


@dataclass(frozen=True)
class Look:
    """Show a point of the training history; None for the latest."""

    moment: Moment | None


@dataclass(frozen=True)
class LearnBy:
    """Train with these hyperparameters from the next step on."""

    recipe: Recipe


@dataclass(frozen=True)
class LearnFrom:
    """Train on these examples from the next run on."""

    data: PoolSettings


@dataclass(frozen=True)
class LookAtData:
    """Preview the data: generated examples, predictions for the user's own drawings, or nothing."""

    what: DataLook


@dataclass(frozen=True)
class LearnOn:
    """Continue from here on a new branch, with the examples of the latest SetData."""


@dataclass(frozen=True)
class Pace:
    """Limit the steps per second; None for full speed."""

    steps: float | None


@dataclass(frozen=True)
class ShowBranch:
    """Show or hide a branch in the charts."""

    branch: int
    shown: bool


@dataclass(frozen=True)
class LookInside:
    """Start or stop computing the histograms of weights, activations and gradients."""

    on: bool


@dataclass(frozen=True)
class Inspect:
    """Trace the next training step for this query; None to stop."""

    inspection: Inspection | None


@dataclass(frozen=True)
class Rename:
    """Rename a branch."""

    branch: int
    name: str


@dataclass(frozen=True)
class CompareWithPreset:
    """Compare with the preset of this name."""

    name: str


@dataclass(frozen=True)
class CompareWithFile:
    """Ask for a model file, and compare with its network."""


@dataclass(frozen=True)
class CompareWithThis:
    """Compare with a copy of the weights shown now."""


@dataclass(frozen=True)
class Swap:
    """Swap the two compared models."""


@dataclass(frozen=True)
class StopComparing:
    """Keep only the first model."""


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
    """The current settings of training, for the Views to show.

    recipe: the hyperparameters.
    data: the examples of the next run.
    speed_limit: the most steps per second; None for full speed.
    running: whether training is to run.
    shown_point: the point of the history shown; None for the latest.
    default_data: the examples this network starts with.
    training_data: what the current branch is trained on; None if there is none.
    live: whether the predictions shown use the weights in training.
    hidden_branches: numbers of the branches that the charts leave out.
    """

    recipe: Recipe
    data: PoolSettings
    pace: float | None = None
    running: bool = False
    look: Moment | None = None
    usual: PoolSettings | None = None
    lesson: Lesson | None = None
    live: bool = False
    hidden: frozenset[int] = frozenset()
