"""Training messages: the TrainingRequest of the window and the TrainingReport of the engine.

Each is complete in itself, so that a dropped one loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.backends import HostArray
from engine.data import Dataset, LabelledSample, PoolSettings, TrainingData
from engine.nn import Model, RunPoint
from engine.nn.layers import Arrays
from engine.training import (
    Branch,
    BranchOrigin,
    SavedRun,
    StopReason,
    TrainingConfig,
)

TrainingState: TypeAlias = Literal["preparing", "running", "paused", "ended", "diverged", "failed"]


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """The training the window asks for.

    run_id: rises with each new branch, and whenever an earlier run is taken up again.
    resumes: the run_id of the request that began the branch, None for this one.
    edited: the network is an edit of that at `origin`, a RunPoint: the branch begins there, in the same history,
        with the weights and the optimizer state of the layers that stayed.
    model: the network, and the weights for origin "weights".
    origin: "fresh" for weights initialized from the configuration's seed, "weights" for those of the model, a
        RunPoint to continue from, or "kept" to resume `saved_run` without a new branch.
    branch_name: name of the new branch, as `History.new_name` completes it when the branch is begun.
    config: settings from now on.
    data, labelled_samples: the examples.
    running: train, otherwise pause.
    stop_at_step: the step to pause at, None for none.
    speed_limit: steps per second at most, None for no limit.
    shown_point: the point of the history to show, None for the current one.
    saved_run: history of an earlier session, restored first.
    branch_names: names given by the user, by branch number.
    """

    run_id: int
    model: Model
    origin: Literal["fresh", "weights", "kept"] | RunPoint
    branch_name: str
    config: TrainingConfig
    data: PoolSettings
    labelled_samples: tuple[LabelledSample, ...] = ()
    running: bool = False
    stop_at_step: int | None = None
    speed_limit: float | None = None
    shown_point: RunPoint | None = None
    saved_run: SavedRun | None = None
    branch_names: Mapping[int, str] = field(default_factory=dict)
    resumes: int | None = None
    edited: bool = False

    @property
    def branch_id(self) -> int:
        """The run_id of the request that began the branch."""
        return self.run_id if self.resumes is None else self.resumes

    @property
    def training_data(self) -> TrainingData:
        """The training data of the branch."""
        return TrainingData(self.data, self.labelled_samples)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """The parameters at a stored point of the history."""

    point: RunPoint
    parameters: Arrays


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """The state of a training run, read-only.

    run_id, request: of the TrainingRequest it answers, so that the report of an earlier request is recognized.
    state, message: why training stands still, one sentence.
    stop_reason: the stop condition that ended the run, if one did.
    accuracy: of the last evaluation on the held-out examples.
    data_progress: share of the examples that is generated, 0 to 1.
    current_point: the last step made; while a branch is prepared, the point it begins from, branch -1 for none.
    shown_point, is_exact: the point the predictions belong to; False while it is only the nearest keyframe.
    steps_per_second: over the last second, or the last step if it took longer; None before a step is made.
    restart_point: the last stable point after divergence, the best one after early stopping.
    branches, branch_origins: all branches of the history.
    keyframes: some stored points from the start of the branch to the current step.
    examples, held_out: the training set, of the last step's epoch where each has new examples, and the held-out
        examples at `shown_point`.
    batch: (n,) indices into `examples` of the last step's batch.
    gradients: of the last step, by parameter name.
    saved_run: everything needed to resume in another session; up to 10 s of training old, current when paused.
    """

    run_id: int
    request: TrainingRequest
    state: TrainingState
    message: str
    stop_reason: StopReason | None
    accuracy: float
    data_progress: float
    current_point: RunPoint
    shown_point: RunPoint
    is_exact: bool
    steps_per_epoch: int
    steps_per_second: float | None
    restart_point: RunPoint | None
    branches: tuple[Branch, ...]
    branch_origins: tuple[BranchOrigin, ...]
    keyframes: tuple[Keyframe, ...]
    examples: Dataset | None
    held_out: Dataset | None
    batch: HostArray
    gradients: Arrays
    saved_run: SavedRun | None = None

    @property
    def is_changing(self) -> bool:
        """Whether the parameters shown change continuously, by training or a drag on the timeline."""
        return not self.is_exact or self.state in ("preparing", "running")

    def epoch_of(self, step: int) -> int:
        """The epoch of a step, from 1."""
        return max(step - 1, 0) // max(self.steps_per_epoch, 1) + 1
