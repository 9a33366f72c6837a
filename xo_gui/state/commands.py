"""Commands: what the user can ask of training and of the comparison; views and actions emit them, the controllers
execute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from engine.data import PoolSettings, TrainingData
from engine.nn import RunPoint
from engine.training import TrainingConfig


@dataclass(frozen=True)
class Start:
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
class Restart:
    """Begin a new run from the initial weights, those of `seed` if it is given; earlier branches stay."""

    seed: int | None = None


@dataclass(frozen=True)
class TrainFromCurrentWeights:
    """Begin a new run from the weights shown."""


@dataclass(frozen=True)
class ShowPoint:
    """Show a point of the training history; None for the latest."""

    point: RunPoint | None


@dataclass(frozen=True)
class SetConfig:
    """Train with these hyperparameters from the next step on."""

    config: TrainingConfig


@dataclass(frozen=True)
class SetData:
    """Train on these examples from the next run on."""

    data: PoolSettings


@dataclass(frozen=True)
class BranchWithNewData:
    """Continue from here on a new branch, with the examples of the latest SetData."""


@dataclass(frozen=True)
class SetSpeedLimit:
    """Limit the steps per second; None for full speed."""

    steps_per_second: float | None


@dataclass(frozen=True)
class SetBranchVisible:
    """Show or hide a branch in the charts."""

    branch: int
    visible: bool


@dataclass(frozen=True)
class RenameBranch:
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
class CompareWithCurrent:
    """Compare with a copy of the weights shown now."""


@dataclass(frozen=True)
class SwapModels:
    """Swap the two compared models."""


@dataclass(frozen=True)
class StopComparing:
    """Keep only the first model."""


Command: TypeAlias = (
    Start
    | Pause
    | OneStep
    | OneEpoch
    | Restart
    | TrainFromCurrentWeights
    | ShowPoint
    | SetConfig
    | SetData
    | BranchWithNewData
    | SetSpeedLimit
    | SetBranchVisible
    | RenameBranch
    | CompareWithPreset
    | CompareWithFile
    | CompareWithCurrent
    | SwapModels
    | StopComparing
)


@dataclass(frozen=True)
class TrainingSettings:
    """The current settings of training, for the Views to show.

    config: the hyperparameters.
    data: the examples of the next run.
    speed_limit: the most steps per second; None for full speed.
    running: whether training is to run.
    shown_point: the point of the history shown; None for the latest.
    default_data: the examples this network starts with.
    training_data: what the current branch is trained on; None if there is none.
    live: whether the predictions shown use the weights in training.
    hidden_branches: numbers of the branches that the charts leave out.
    """

    config: TrainingConfig
    data: PoolSettings
    speed_limit: float | None = None
    running: bool = False
    shown_point: RunPoint | None = None
    default_data: PoolSettings | None = None
    training_data: TrainingData | None = None
    live: bool = False
    hidden_branches: frozenset[int] = frozenset()
