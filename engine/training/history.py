"""Training history: branches with their curves, and keyframes from which any step can be replayed exactly.

It only grows, except that keyframes are thinned to stay within a memory budget; engine/training/replay.py replays
the steps between two of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from engine.backends import HostArray
from engine.data import TrainingData
from engine.nn import Network, RunPoint
from engine.training.checkpoint import Checkpoint
from engine.training.config import TrainingConfig

HISTORY_BYTES = 256 * 2**20
# Independent of the budget, because each report goes through all keyframes.
MAX_KEYFRAMES = 4_096
_INITIAL_CAPACITY = 1024
_ARRAY_OVERHEAD = 256  # bytes of an array object


@dataclass(frozen=True)
class Mark:
    """A change at a step, in a few words."""

    step: int
    text: str


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of a branch, read-only.

    steps (n,) int64, losses and rates (n,) float32: of every step.
    held_out_steps (m,) int64, held_out_losses and held_out_accuracies (m,) float32: of every evaluation.
    training_accuracy_steps (k,) int64, training_accuracies (k,) float32: accuracy on a sample of the training set.
    """

    steps: HostArray
    losses: HostArray
    rates: HostArray
    held_out_steps: HostArray
    held_out_losses: HostArray
    held_out_accuracies: HostArray
    training_accuracy_steps: HostArray
    training_accuracies: HostArray


@dataclass(frozen=True, eq=False)
class Branch:
    """The state of one branch.

    parent: the point where it left its parent, None for a first branch.
    network: what was trained, that of its parent or an edit of it.
    start, end: its first and last step.
    keyframes: the steps of its keyframes.
    configs: each with the step from which it applies.
    """

    number: int
    name: str
    network: Network
    parent: RunPoint | None
    start: int
    end: int
    curves: Curves
    marks: tuple[Mark, ...]
    keyframes: tuple[int, ...]
    configs: tuple[tuple[int, TrainingConfig], ...]


def ancestry(branches: Sequence[Branch], point: RunPoint) -> tuple[RunPoint, ...]:
    """The last point on each branch along the path from a first branch to `point`."""
    branch = branches[point.branch]
    if branch.parent is None:
        return (point,)
    before = ancestry(branches, RunPoint(branch.parent.branch, min(branch.parent.step, point.step)))
    return before if point.step <= branch.start else (*before, point)


def configs_up_to(branches: Sequence[Branch], point: RunPoint) -> tuple[tuple[int, TrainingConfig], ...]:
    """The configurations of all steps up to `point`, ancestors included, each with the step where it begins."""
    path = ancestry(branches, point)
    found = [branches[path[0].branch].configs[0]]
    for last in path:
        for step, config in branches[last.branch].configs:
            if step < last.step and config != found[-1][1]:
                found.append((step, config))
    return tuple(found)


def best_point(branch: Branch) -> RunPoint | None:
    """The point with the lowest loss on the held-out examples, the first of equal ones; None without any loss that
    is a number."""
    losses = branch.curves.held_out_losses
    if np.isnan(losses).all():
        return None
    return RunPoint(branch.number, int(branch.curves.held_out_steps[int(np.nanargmin(losses))]))


def last_stable_point(branch: Branch, classes: int) -> RunPoint:
    """The last point of a branch whose loss was at most twice that of uniform votes."""
    stable = np.flatnonzero(branch.curves.losses <= 2 * math.log(classes))
    # A step's loss is that of the weights before it.
    return RunPoint(branch.number, int(branch.curves.steps[stable[-1]]) - 1 if len(stable) else branch.start)


@dataclass(frozen=True, eq=False)
class BranchRecord:
    """A branch with everything needed to continue it.

    keyframes: by step, that of the start included. pinned: the steps of those that are never thinned.
    """

    branch: Branch
    keyframes: Mapping[int, Checkpoint]
    pinned: frozenset[int]


class GrowingArray:
    """An append-only array; views returned earlier keep their content."""

    def __init__(self, dtype: Any, start: HostArray | None = None) -> None:
        start = np.zeros(0) if start is None else start
        self._count = len(start)
        self._buffer = np.zeros(max(_INITIAL_CAPACITY, self._count), dtype)
        self._buffer[: self._count] = start

    def __len__(self) -> int:
        return self._count

    def append(self, value: float) -> None:
        """Append one value, in amortized constant time."""
        if self._count == len(self._buffer):
            # A new array, so that views of the old one stay valid.
            self._buffer = np.concatenate([self._buffer, np.zeros_like(self._buffer)])
        self._buffer[self._count] = value
        self._count += 1

    def view(self) -> HostArray:
        """All values so far, a read-only view."""
        values = self._buffer[: self._count]
        values.flags.writeable = False
        return values


@dataclass
class _GrowingBranch:
    """A branch that steps are still added to."""

    number: int
    name: str
    network: Network
    parent: RunPoint | None
    start: int
    end: int
    configs: list[tuple[int, TrainingConfig]]
    steps: GrowingArray = field(default_factory=lambda: GrowingArray(np.int64))
    losses: GrowingArray = field(default_factory=lambda: GrowingArray(np.float32))
    rates: GrowingArray = field(default_factory=lambda: GrowingArray(np.float32))
    held_out_steps: GrowingArray = field(default_factory=lambda: GrowingArray(np.int64))
    held_out_losses: GrowingArray = field(default_factory=lambda: GrowingArray(np.float32))
    held_out_accuracies: GrowingArray = field(default_factory=lambda: GrowingArray(np.float32))
    training_accuracy_steps: GrowingArray = field(default_factory=lambda: GrowingArray(np.int64))
    training_accuracies: GrowingArray = field(default_factory=lambda: GrowingArray(np.float32))
    marks: list[Mark] = field(default_factory=list)
    keyframes: dict[int, Checkpoint] = field(default_factory=dict)
    pinned: set[int] = field(default_factory=set)


def keyframe_bytes(keyframe: Checkpoint) -> int:
    """Bytes a keyframe takes in memory, array objects included."""
    groups = (keyframe.parameters, keyframe.optimizer_state, keyframe.best_parameters or {})
    return sum(array.nbytes + _ARRAY_OVERHEAD for group in groups for array in group.values())


class History:
    """All branches of the training of one network, and of those that were made from it by edits.

    Keyframes are kept at every multiple of `spacing` steps. When they exceed the budget the spacing doubles and
    those off it are dropped, so that any step is at most spacing - 1 steps from one. A branch's first keyframe and
    pinned ones always stay.

    keyframe_bytes: size of one keyframe, the largest of all networks, 0 for that of the first branch.
    budget: bytes all keyframes may take.
    """

    def __init__(self, keyframe_bytes: int = 0, budget: int = HISTORY_BYTES) -> None:
        self._keyframe_bytes, self._budget = keyframe_bytes, budget
        self._branches: list[_GrowingBranch] = []
        self.spacing = 1
        self.revision = 0  # rises with every change

    @classmethod
    def from_records(cls, records: Sequence[BranchRecord], spacing: int, budget: int = HISTORY_BYTES) -> History:
        """A history restored from `records`."""
        history = cls(_largest_keyframe(records), budget)
        history.spacing = spacing
        for record in records:
            branch, curves = record.branch, record.branch.curves
            history._branches.append(
                _GrowingBranch(
                    branch.number,
                    branch.name,
                    branch.network,
                    branch.parent,
                    branch.start,
                    branch.end,
                    list(branch.configs),
                    GrowingArray(np.int64, curves.steps),
                    GrowingArray(np.float32, curves.losses),
                    GrowingArray(np.float32, curves.rates),
                    GrowingArray(np.int64, curves.held_out_steps),
                    GrowingArray(np.float32, curves.held_out_losses),
                    GrowingArray(np.float32, curves.held_out_accuracies),
                    GrowingArray(np.int64, curves.training_accuracy_steps),
                    GrowingArray(np.float32, curves.training_accuracies),
                    list(branch.marks),
                    dict(record.keyframes),
                    set(record.pinned),
                )
            )
        history._thin()
        return history

    def records(self) -> tuple[BranchRecord, ...]:
        """All branches with everything needed to continue them; arrays are shared, not copied."""
        return tuple(
            BranchRecord(self._frozen(branch), dict(branch.keyframes), frozenset(branch.pinned))
            for branch in self._branches
        )

    def add_branch(
        self,
        name: str,
        network: Network,
        config: TrainingConfig,
        step: int,
        keyframe: Checkpoint,
        parent: RunPoint | None = None,
    ) -> int:
        """Add a branch that starts at `step` with `keyframe`; returns its number."""
        self.revision += 1
        number = len(self._branches)
        branch = _GrowingBranch(number, name, network, parent, step, step, [(step, config)])
        if not self._keyframe_bytes or (self._branches and network != self._branches[0].network):
            self._keyframe_bytes = max(self._keyframe_bytes, keyframe_bytes(keyframe))
        branch.keyframes[step] = keyframe
        branch.pinned.add(step)
        self._branches.append(branch)
        self._thin()
        return number

    def new_name(self, name: str) -> str:
        """The name for a branch to be added: "{run}" in it becomes the number of its run, from 1, and a name that
        another branch has gets the first free number from 2."""
        runs = sum(branch.parent is None for branch in self._branches)
        taken = {branch.name for branch in self._branches}
        name = unique = name.replace("{run}", str(runs + 1))
        number = 2
        while unique in taken:
            unique, number = f"{name} ({number})", number + 1
        return unique

    def rename(self, number: int, name: str) -> None:
        """Rename a branch; an unknown number is ignored."""
        if number < len(self._branches) and self._branches[number].name != name:
            self._branches[number].name = name
            self.revision += 1

    def change_config(self, number: int, step: int, config: TrainingConfig, text: str) -> None:
        """Set the configuration of a branch from `step` on, with a mark."""
        self.revision += 1
        branch = self._branches[number]
        if branch.configs[-1][0] == step:
            branch.configs.pop()
        branch.configs.append((step, config))
        branch.marks.append(Mark(step, text))

    def config_at(self, point: RunPoint) -> tuple[TrainingConfig, int | None]:
        """The configuration of the step after `point`, and the step at which the next one replaced it, if any."""
        branch = self._branches[point.branch]
        if point.step < branch.start and branch.parent is not None:
            return self.config_at(RunPoint(branch.parent.branch, point.step))
        configs = branch.configs
        index = max(0, bisect_right([step for step, _ in configs], point.step) - 1)
        return configs[index][1], configs[index + 1][0] if index + 1 < len(configs) else None

    def network_at(self, point: RunPoint) -> Network:
        """The network that was trained at `point`, as of the branch itself from its start on."""
        branch = self._branches[point.branch]
        if point.step < branch.start and branch.parent is not None:
            return self.network_at(RunPoint(branch.parent.branch, point.step))
        return branch.network

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network of each branch."""
        return tuple(branch.network for branch in self._branches)

    def __contains__(self, point: RunPoint) -> bool:
        return 0 <= point.branch < len(self._branches) and point.step <= self._branches[point.branch].end

    @property
    def is_empty(self) -> bool:
        """Whether there is no branch."""
        return not self._branches

    def record_step(
        self, number: int, step: int, loss: float, rate: float, keyframe: Callable[[], Checkpoint]
    ) -> None:
        """Record a step; `keyframe` is called for the checkpoint after it, if that is kept."""
        branch = self._branches[number]
        branch.end = step
        self.revision += 1
        branch.steps.append(step)
        branch.losses.append(loss)
        branch.rates.append(rate)
        if step % self.spacing == 0:
            branch.keyframes[step] = keyframe()
            self._thin()

    def record_evaluation(self, number: int, step: int, loss: float, accuracy: float) -> None:
        """Record an evaluation on the held-out examples after `step`."""
        branch = self._branches[number]
        self.revision += 1
        branch.held_out_steps.append(step)
        branch.held_out_losses.append(loss)
        branch.held_out_accuracies.append(accuracy)

    def record_training_accuracy(self, number: int, step: int, accuracy: float) -> None:
        """Record the accuracy on a sample of the training set after `step`."""
        branch = self._branches[number]
        self.revision += 1
        branch.training_accuracy_steps.append(step)
        branch.training_accuracies.append(accuracy)

    def pin(self, point: RunPoint, keyframe: Checkpoint) -> None:
        """Keep a keyframe at this point, regardless of the spacing."""
        branch = self._branches[point.branch]
        self.revision += 1
        branch.keyframes[point.step] = keyframe
        branch.pinned.add(point.step)

    def nearest_keyframe(self, point: RunPoint) -> tuple[RunPoint, Checkpoint]:
        """The last keyframe at or before `point`, on its branch or an ancestor. Raises KeyError for an unknown
        branch."""
        if not 0 <= point.branch < len(self._branches):
            raise KeyError(f"there is no branch {point.branch}")
        branch = self._branches[point.branch]
        if point.step < branch.start and branch.parent is not None:
            return self.nearest_keyframe(RunPoint(branch.parent.branch, point.step))
        step = max((step for step in branch.keyframes if step <= point.step), default=branch.start)
        return RunPoint(branch.number, step), branch.keyframes[step]

    def spread_keyframes(self, number: int, most: int) -> tuple[tuple[RunPoint, Checkpoint], ...]:
        """All keyframes of a branch and its ancestors, or `most` at most that are evenly spread over the steps, the
        first and the last included; of two that lie so close that they look the same, the later. A point before the
        branch's start is named as one of this branch."""
        steps = stored = self._keyframe_steps(number)
        if len(stored) > most:
            targets = np.linspace(stored[0], stored[-1], most)
            steps = sorted({_nearest(stored, target) for target in targets.tolist()})
        following = [*steps[1:], math.inf]
        points = [
            RunPoint(number, step) for step, after in zip(steps, following, strict=True) if _differ(step, after)
        ]
        return tuple((point, self.nearest_keyframe(point)[1]) for point in points)

    def _keyframe_steps(self, number: int) -> list[int]:
        """The steps of all keyframes of a branch and its ancestors, in order."""
        branch = self._branches[number]
        steps = sorted(branch.keyframes)
        while branch.parent is not None:
            start, branch = branch.parent.step, self._branches[branch.parent.branch]
            earlier = [step for step in sorted(branch.keyframes) if step < start]
            steps = [*earlier, *(step for step in steps if step >= start)]
        return steps

    def branches(self) -> tuple[Branch, ...]:
        """All branches, read-only."""
        return tuple(self._frozen(branch) for branch in self._branches)

    @property
    def keyframe_count(self) -> int:
        """Number of keyframes."""
        return sum(len(branch.keyframes) for branch in self._branches)

    def _frozen(self, growing: _GrowingBranch) -> Branch:
        held_out = (growing.held_out_steps, growing.held_out_losses, growing.held_out_accuracies)
        training = (growing.training_accuracy_steps, growing.training_accuracies)
        columns = (growing.steps, growing.losses, growing.rates, *held_out, *training)
        return Branch(
            growing.number,
            growing.name,
            growing.network,
            growing.parent,
            growing.start,
            growing.end,
            Curves(*(column.view() for column in columns)),
            tuple(growing.marks),
            tuple(sorted(growing.keyframes)),
            tuple(growing.configs),
        )

    def thin_to(self, budget: int) -> None:
        """Drop keyframes until the rest takes at most `budget` bytes, while there are any that may be dropped."""
        self._thin(self._keyframes_within(budget))

    def _keyframes_within(self, budget: int) -> int:
        return min(max(4, budget // max(1, self._keyframe_bytes)), MAX_KEYFRAMES)

    def _thin(self, most: int | None = None) -> None:
        most = self._keyframes_within(self._budget) if most is None else most
        while self.keyframe_count > most and any(each.keyframes.keys() - each.pinned for each in self._branches):
            self.spacing *= 2
            for branch in self._branches:
                off = [step for step in branch.keyframes if step % self.spacing and step not in branch.pinned]
                for step in off:
                    del branch.keyframes[step]


def _differ(step: int, after: float) -> bool:
    """Whether a keyframe may look other than the one after it: more than a hundredth of the steps lies between."""
    return step < 0.99 * after


def _nearest(steps: list[int], target: float) -> int:
    """The step nearest to the target, the earlier of two."""
    index = bisect_left(steps, target)
    around = steps[max(0, index - 1) : index + 1]
    return min(around, key=lambda step: abs(step - target))


# Seconds of training between two saved copies of a run, and the bytes the keyframes of one may take.
SAVE_INTERVAL: Final = 10.0
SAVED_KEYFRAME_BYTES: Final = 8 * 2**20


@dataclass(frozen=True)
class BranchOrigin:
    """What a branch started from.

    initial_model: name of the model whose weights it started with, None for initialized weights or those of the
    parent.
    """

    training_data: TrainingData
    initial_model: str | None


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A training run with its history, to be resumed.

    current_point: the last step made, a keyframe of its branch.
    spacing: of the history it was taken from.
    run_id: of the TrainingRequest behind it; 0 for one of an earlier session.
    """

    branches: tuple[BranchRecord, ...]
    branch_origins: tuple[BranchOrigin, ...]
    current_point: RunPoint
    spacing: int
    run_id: int = 0

    def __contains__(self, point: RunPoint) -> bool:
        return 0 <= point.branch < len(self.branches) and point.step <= self.branches[point.branch].branch.end

    @property
    def network(self) -> Network:
        """The network at the current point."""
        return self.branches[self.current_point.branch].branch.network

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network of each branch."""
        return tuple(record.branch.network for record in self.branches)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint to resume from."""
        return self.branches[self.current_point.branch].keyframes[self.current_point.step]


class SaveThrottle:
    """Makes the SavedRun of a run: a new one every `interval` seconds of training and when the run pauses, the last
    one in between. Arrays are shared, so each costs one copy of the parameters."""

    def __init__(self, interval: float = SAVE_INTERVAL, budget: int = SAVED_KEYFRAME_BYTES) -> None:
        self._interval, self._budget = interval, budget
        self.last: SavedRun | None = None
        self._revision = -1
        self._saved_at = perf_counter()

    def reset(self) -> None:
        """Start with another history."""
        self.last, self._revision = None, -1

    def saved_run(
        self,
        run_id: int,
        history: History,
        origins: Sequence[BranchOrigin],
        current: RunPoint,
        checkpoint: Callable[[], Checkpoint],
        *,
        at_once: bool,
    ) -> SavedRun | None:
        """The run to save, None before the first interval is over; at_once: regardless of the interval."""
        known = self.last is not None and self.last.current_point == current and self._revision == history.revision
        if known or not (at_once or perf_counter() - self._saved_at >= self._interval):
            return self.last
        records = list(history.records())
        record = records[current.branch]
        records[current.branch] = replace(record, keyframes={**record.keyframes, current.step: checkpoint()})
        thin = thin_keyframes(records, current, history.spacing, self._budget)
        self.last = SavedRun(thin, tuple(origins), current, history.spacing, run_id)
        self._revision, self._saved_at = history.revision, perf_counter()
        return self.last


def thin_keyframes(
    records: Sequence[BranchRecord], current: RunPoint, spacing: int, budget: int
) -> tuple[BranchRecord, ...]:
    """The branches with as many evenly spread keyframes as the budget allows: those at multiples of `spacing`, of
    twice that, and so on, and always the pinned ones, such as the start of each branch, and the current step."""
    most = max(1, budget // max(_largest_keyframe(records), 1))
    thin = [_thinned(record, current, spacing) for record in records]
    while sum(len(record.keyframes) for record in thin) > most and spacing < 2**30:
        spacing *= 2
        thin = [_thinned(record, current, spacing) for record in thin]
    return tuple(thin)


def _largest_keyframe(records: Sequence[BranchRecord]) -> int:
    """Bytes of the largest keyframe: that of a start may have no optimizer state."""
    return max(keyframe_bytes(keyframe) for record in records for keyframe in record.keyframes.values())


def _thinned(record: BranchRecord, current: RunPoint, spacing: int) -> BranchRecord:
    ends = {record.branch.start} | ({current.step} if current.branch == record.branch.number else set())
    kept = ends | record.pinned
    keyframes = {step: at for step, at in record.keyframes.items() if not step % spacing or step in kept}
    branch = replace(record.branch, keyframes=tuple(sorted(keyframes)))
    return replace(record, branch=branch, keyframes=keyframes, pinned=record.pinned & keyframes.keys())
