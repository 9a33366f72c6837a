"""Goal: what a window wants training to do, and Training: what came of it. Neither does anything.

Each is complete in itself, so that a dropped one loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.data.dataset import Examples
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Lesson, PoolSettings
from engine.explain.step_trace import Dissection, Inspection
from engine.nn.layers import Values
from engine.nn.model import Moment, Subject
from engine.training.evaluation import Judgement
from engine.training.history import Branch, KeptRun, Origin
from engine.training.layer_statistics import Statistics
from engine.training.recipe import Recipe
from engine.training.trainer import End

HostArray: TypeAlias = "np.ndarray[Any, Any]"
State: TypeAlias = Literal["preparing", "running", "paused", "ended", "diverged", "failed"]


@dataclass(frozen=True, eq=False)
class Goal:
    """What training should be doing, from the window.

    number: rises with each branch wished for. subject: the network, and the weights for origin "weights". origin:
    "fresh", the weights of the recipe's seed; "weights", the subject's own; the moment to go on from; or "kept", no
    new branch, but where `kept` stands. kept: the history of an earlier session, to be taken up first. name: of
    the branch. recipe: as it should be from now on. data, own: the examples. running; until: the step to pause at,
    None for none; pace: steps a second, None for as fast as it goes. look: the moment looked back at, None for now.
    inspection: what is looked at of the step that comes after the moment shown, None while nobody looks. inside:
    whether somebody looks at how weights, values and gradients are spread. names: what the person calls branches,
    by number.
    """

    number: int
    subject: Subject
    origin: Literal["fresh", "weights", "kept"] | Moment
    name: str
    recipe: Recipe
    data: PoolSettings
    own: tuple[OwnDrawing, ...] = ()
    running: bool = False
    until: int | None = None
    pace: float | None = None
    look: Moment | None = None
    inspection: Inspection | None = None
    inside: bool = False
    kept: KeptRun | None = None
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def lesson(self) -> Lesson:
        """What the branch learns from."""
        return Lesson(self.data, self.own)


@dataclass(frozen=True, eq=False)
class Frame:
    """The parameters at a moment that was kept."""

    moment: Moment
    parameters: Values


@dataclass(frozen=True, eq=False)
class Training:
    """What came of a Goal, read-only.

    goal: its number; answers: the Goal itself, so that what came of an earlier wish is never taken for what
    came of the latest. state, and words: why it stands still, one sentence; ended: the stop condition, if one
    did it; accuracy: on the held-out examples, when they were read last. prepared: the share of the examples
    that is made. now: where training stands; shown: the moment the readings are of; exact: whether that is the
    one looked at, and not yet the nearest kept one. epoch: from 1. speed: steps a second lately. good: after
    divergence, the last moment before it showed; where patience ended it, the best one. branches, and each one's
    origin; frames: some kept moments from the start of the branch until now. judgement: how the held-out examples
    are read at `shown`, None while it is not known. kept: all that it takes to go on with it in another session, at
    most some 10 s of training old, and of now where it stands still. batch: (n,) places in `examples` of the last
    step's batch. gradients: of the last step, by name. statistics: what was found last inside the network, at its
    own moment.
    """

    goal: int
    answers: Goal
    state: State
    words: str
    ended: End | None
    accuracy: float
    prepared: float
    now: Moment
    shown: Moment
    exact: bool
    epoch: int
    steps_an_epoch: int
    speed: float
    good: Moment | None
    branches: tuple[Branch, ...]
    origins: tuple[Origin, ...]
    frames: tuple[Frame, ...]
    judgement: Judgement | None
    examples: Examples | None
    held_out: Examples | None
    batch: HostArray
    gradients: Values
    dissection: Dissection | None = None
    statistics: Statistics | None = None
    kept: KeptRun | None = None
