"""History: what training leaves behind: branches, their curves, and keyframes from which any moment can be had
again.

It only ever grows, but for keyframes, which are thinned to stay within a budget: what lies between two of them is
replayed, exactly, by engine/runtime/training_run.py. It trains nothing itself.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from engine.data.pool import Lesson
from engine.nn.model import Moment
from engine.nn.network import Network
from engine.training.checkpoint import Checkpoint
from engine.training.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"

BUDGET = 256 * 2**20
# However small a network is: all are gone through for each picture of its training.
MOST_FRAMES = 4_096
_FIRST_ROOM = 1024
_HOLDING = 256


@dataclass(frozen=True)
class Mark:
    """Something that was changed at a step, in a few words."""

    step: int
    text: str


@dataclass(frozen=True, eq=False)
class Curves:
    """What was measured along a branch, read-only. steps (n,) int64, losses and rates (n,) float32: of every step;
    judged (m,) int64, held_out_losses and accuracies (m,) float32: after the steps at which held-out examples were
    read; recalled (k,) int64, training_accuracies (k,) float32: the same of some that are learnt from."""

    steps: HostArray
    losses: HostArray
    rates: HostArray
    judged: HostArray
    held_out_losses: HostArray
    accuracies: HostArray
    recalled: HostArray
    training_accuracies: HostArray


@dataclass(frozen=True, eq=False)
class Branch:
    """One line of training as it stands: where it left its parent (None for a first one), its name, how far it
    goes, its curves, marks, the steps at which it has keyframes, and by which recipes it learnt, each from the step
    beside it on."""

    number: int
    name: str
    parent: Moment | None
    start: int
    end: int
    curves: Curves
    marks: tuple[Mark, ...]
    keyframes: tuple[int, ...]
    recipes: tuple[tuple[int, Recipe], ...]


def ancestry(branches: Sequence[Branch], moment: Moment) -> tuple[Moment, ...]:
    """The way to `moment` from a first branch: the last moment of it on every branch that it leads over."""
    branch = branches[moment.branch]
    if branch.parent is None:
        return (moment,)
    before = ancestry(branches, Moment(branch.parent.branch, min(branch.parent.step, moment.step)))
    return before if moment.step <= branch.start else (*before, moment)


def lineage(branches: Sequence[Branch], moment: Moment) -> tuple[tuple[int, Recipe], ...]:
    """By which recipes the steps up to `moment` were made, the branches it came from included, each with the step
    from which on it held."""
    way = ancestry(branches, moment)
    found = [branches[way[0].branch].recipes[0]]
    for at in way:
        for step, recipe in branches[at.branch].recipes:
            if step < at.step and recipe != found[-1][1]:
                found.append((step, recipe))
    return tuple(found)


def best(branch: Branch) -> Moment | None:
    """Where the held-out examples were read with the least error, None if they were not read."""
    errors = branch.curves.held_out_losses
    return Moment(branch.number, int(branch.curves.judged[int(errors.argmin())])) if len(errors) else None


def last_good(branch: Branch, classes: int) -> Moment:
    """The last moment of a branch before the errors went beyond twice that of equal votes."""
    fine = np.flatnonzero(branch.curves.losses <= 2 * math.log(classes))
    # A step's error is that of the weights before it.
    return Moment(branch.number, int(branch.curves.steps[fine[-1]]) - 1 if len(fine) else branch.start)


@dataclass(frozen=True, eq=False)
class Line:
    """A branch with all that it takes to go on with it. keyframes: by their steps, its start among them; pinned:
    those that are never thinned away."""

    branch: Branch
    keyframes: Mapping[int, Checkpoint]
    pinned: frozenset[int]


class Column:
    """Numbers that are only ever appended. What was given out as a view stays as it was."""

    def __init__(self, dtype: Any, start: HostArray | None = None) -> None:
        start = np.zeros(0) if start is None else start
        self._count = len(start)
        self._room = np.zeros(max(_FIRST_ROOM, self._count), dtype)
        self._room[: self._count] = start

    def __len__(self) -> int:
        return self._count

    def append(self, value: float) -> None:
        """One more; twice the room where it is full, so that appending stays cheap however long the run."""
        if self._count == len(self._room):
            # A new array: whoever holds the old one goes on seeing what it saw.
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        self._room[self._count] = value
        self._count += 1

    def view(self) -> HostArray:
        """All so far, read-only, not copied."""
        seen = self._room[: self._count]
        seen.flags.writeable = False
        return seen


@dataclass
class _Line:
    """A branch while it grows."""

    number: int
    name: str
    parent: Moment | None
    start: int
    end: int
    recipes: list[tuple[int, Recipe]]
    steps: Column = field(default_factory=lambda: Column(np.int64))
    losses: Column = field(default_factory=lambda: Column(np.float32))
    rates: Column = field(default_factory=lambda: Column(np.float32))
    judged: Column = field(default_factory=lambda: Column(np.int64))
    held_out_losses: Column = field(default_factory=lambda: Column(np.float32))
    accuracies: Column = field(default_factory=lambda: Column(np.float32))
    recalled: Column = field(default_factory=lambda: Column(np.int64))
    training_accuracies: Column = field(default_factory=lambda: Column(np.float32))
    marks: list[Mark] = field(default_factory=list)
    keyframes: dict[int, Checkpoint] = field(default_factory=dict)
    pinned: set[int] = field(default_factory=set)


def frame_bytes(keyframe: Checkpoint) -> int:
    """What a keyframe takes in memory, the arrays themselves and what holds them."""
    groups = (keyframe.parameters, keyframe.memory, keyframe.best_parameters or {})
    return sum(array.nbytes + _HOLDING for group in groups for array in group.values())


class History:
    """All branches of one network's training. frame_bytes: what one keyframe takes; budget: what all may take.

    Keyframes are kept at every multiple of `spacing` steps; when they outgrow the budget the spacing doubles and
    what no longer falls on it is dropped, so that any moment is at most spacing - 1 steps from one. A branch's
    first and last keyframe always stay.
    """

    def __init__(self, frame_bytes: int, budget: int = BUDGET) -> None:
        self._most = min(max(4, budget // max(frame_bytes, 1)), MOST_FRAMES)
        self._lines: list[_Line] = []
        self.spacing = 1
        self.changes = 0  # rises with everything that is written

    @classmethod
    def taken_up(cls, lines: Sequence[Line], spacing: int, budget: int = BUDGET) -> History:
        """The history that has these lines, spaced so; the opposite of `lines`."""
        history = cls(frame_bytes(next(iter(lines[0].keyframes.values()))), budget)
        history.spacing = spacing
        for line in lines:
            branch, curves = line.branch, line.branch.curves
            history._lines.append(
                _Line(
                    branch.number,
                    branch.name,
                    branch.parent,
                    branch.start,
                    branch.end,
                    list(branch.recipes),
                    Column(np.int64, curves.steps),
                    Column(np.float32, curves.losses),
                    Column(np.float32, curves.rates),
                    Column(np.int64, curves.judged),
                    Column(np.float32, curves.held_out_losses),
                    Column(np.float32, curves.accuracies),
                    Column(np.int64, curves.recalled),
                    Column(np.float32, curves.training_accuracies),
                    list(branch.marks),
                    dict(line.keyframes),
                    set(line.pinned),
                )
            )
        history._thin()
        return history

    def lines(self) -> tuple[Line, ...]:
        """All branches as they stand, with what it takes to go on with them; arrays are shared, not copied."""
        return tuple(Line(self._seen(line), dict(line.keyframes), frozenset(line.pinned)) for line in self._lines)

    def begin(
        self, name: str, recipe: Recipe, step: int, keyframe: Checkpoint, parent: Moment | None = None
    ) -> int:
        """A new branch that starts at `step` with `keyframe`; returns its number."""
        self.changes += 1
        number = len(self._lines)
        line = _Line(number, name, parent, step, step, [(step, recipe)])
        line.keyframes[step] = keyframe
        line.pinned.add(step)
        self._lines.append(line)
        self._thin()
        return number

    def rename(self, branch: int, name: str) -> None:
        """Call a branch something else, if there is one of this number."""
        if branch < len(self._lines) and self._lines[branch].name != name:
            self._lines[branch].name = name
            self.changes += 1

    def change(self, branch: int, step: int, recipe: Recipe, text: str) -> None:
        """From `step` on the branch learns by another recipe; the mark says what changed."""
        self.changes += 1
        line = self._lines[branch]
        if line.recipes[-1][0] == step:
            line.recipes.pop()
        line.recipes.append((step, recipe))
        line.marks.append(Mark(step, text))

    def recipe_at(self, moment: Moment) -> tuple[Recipe, int | None]:
        """By which recipe the step after `moment` was made, and the step at which another took over, if one did."""
        line = self._lines[moment.branch]
        if moment.step < line.start and line.parent is not None:
            return self.recipe_at(Moment(line.parent.branch, moment.step))
        recipes = line.recipes
        place = max(0, bisect_right([step for step, _ in recipes], moment.step) - 1)
        return recipes[place][1], recipes[place + 1][0] if place + 1 < len(recipes) else None

    def record(self, branch: int, step: int, loss: float, rate: float, keyframe: Callable[[], Checkpoint]) -> None:
        """One more step was made; `keyframe` gives what is needed to go on from after it, if it is to be kept."""
        line = self._lines[branch]
        line.end = step
        self.changes += 1
        line.steps.append(step)
        line.losses.append(loss)
        line.rates.append(rate)
        if step % self.spacing == 0:
            line.keyframes[step] = keyframe()
            self._thin()

    def judge(self, branch: int, step: int, loss: float, accuracy: float) -> None:
        """The held-out examples were read after `step`."""
        line = self._lines[branch]
        self.changes += 1
        line.judged.append(step)
        line.held_out_losses.append(loss)
        line.accuracies.append(accuracy)

    def recall(self, branch: int, step: int, accuracy: float) -> None:
        """Some of the examples that are learnt from were read after `step`."""
        line = self._lines[branch]
        self.changes += 1
        line.recalled.append(step)
        line.training_accuracies.append(accuracy)

    def pin(self, moment: Moment, keyframe: Checkpoint) -> None:
        """Keep this moment whatever the spacing."""
        line = self._lines[moment.branch]
        self.changes += 1
        line.keyframes[moment.step] = keyframe
        line.pinned.add(moment.step)

    def nearest(self, moment: Moment) -> tuple[Moment, Checkpoint]:
        """The last keyframe at or before `moment`, looked for on its branch and then on those it came from.

        Raises KeyError for a branch that is not there.
        """
        if not 0 <= moment.branch < len(self._lines):
            raise KeyError(f"there is no branch {moment.branch}")
        line = self._lines[moment.branch]
        if moment.step < line.start and line.parent is not None:
            return self.nearest(Moment(line.parent.branch, moment.step))
        step = max((step for step in line.keyframes if step <= moment.step), default=line.start)
        return Moment(line.number, step), line.keyframes[step]

    def branches(self) -> tuple[Branch, ...]:
        """All branches as they stand."""
        return tuple(self._seen(line) for line in self._lines)

    @property
    def frames(self) -> int:
        """How many keyframes there are."""
        return sum(len(line.keyframes) for line in self._lines)

    def _seen(self, line: _Line) -> Branch:
        measured = (line.steps, line.losses, line.rates, line.judged, line.held_out_losses, line.accuracies)
        columns = (*measured, line.recalled, line.training_accuracies)
        curves = Curves(*(column.view() for column in columns))
        frames = tuple(sorted(line.keyframes))
        marks, recipes = tuple(line.marks), tuple(line.recipes)
        return Branch(line.number, line.name, line.parent, line.start, line.end, curves, marks, frames, recipes)

    def _thin(self) -> None:
        while self.frames > self._most and self.spacing < 2**30:
            self.spacing *= 2
            for line in self._lines:
                for step in [step for step in line.keyframes if step % self.spacing and step not in line.pinned]:
                    del line.keyframes[step]


# Seconds of training between two that are handed over, and what the keyframes of one may take in bytes.
EVERY: Final = 10.0
KEPT_BUDGET: Final = 8 * 2**20


@dataclass(frozen=True)
class Origin:
    """What a branch began with. lesson: what it learns from. given: None where its weights were fresh ones of the
    recipe's seed, or those of the moment it left; else the name of the network whose own they were."""

    lesson: Lesson
    given: str | None


@dataclass(frozen=True, eq=False)
class KeptRun:
    """Where training stands, and its history. network: what learns. lines: all branches; origins: what each began
    with. now: where it stands, a keyframe of its line. spacing: of the history that it was taken from. goal: the
    number of the Goal that led there; 0: one of an earlier session."""

    network: Network
    lines: tuple[Line, ...]
    origins: tuple[Origin, ...]
    now: Moment
    spacing: int
    goal: int = 0

    def __contains__(self, moment: Moment) -> bool:
        """Whether its history has this moment."""
        return 0 <= moment.branch < len(self.lines) and moment.step <= self.lines[moment.branch].branch.end

    @property
    def standing(self) -> Checkpoint:
        """Where it goes on from."""
        return self.lines[self.now.branch].keyframes[self.now.step]


class HandOver:
    """Gives what is to be kept of a run: anew every so many seconds while it trains, and when it has come to stand;
    in between the same again. Arrays are shared, so that it costs one copy of the parameters."""

    def __init__(self, every: float = EVERY, budget: int = KEPT_BUDGET) -> None:
        self._every, self._budget = every, budget
        self.last: KeptRun | None = None
        self._changes = -1
        self._at = perf_counter()

    def forget(self) -> None:
        """Another history begins."""
        self.last, self._changes = None, -1

    def kept(
        self,
        goal: int,
        network: Network,
        history: History,
        origins: Sequence[Origin],
        now: Moment,
        checkpoint: Callable[[], Checkpoint],
        *,
        at_once: bool,
    ) -> KeptRun | None:
        """The run as it is to be kept; at_once: whether to look now, whenever that was done last."""
        known = self.last is not None and self.last.now == now and self._changes == history.changes
        if known or not (at_once or perf_counter() - self._at >= self._every):
            return self.last
        lines = list(history.lines())
        line = lines[now.branch]
        lines[now.branch] = replace(line, keyframes={**line.keyframes, now.step: checkpoint()})
        kept = thinned(lines, now, history.spacing, self._budget)
        self.last = KeptRun(network, kept, tuple(origins), now, history.spacing, goal)
        self._changes, self._at = history.changes, perf_counter()
        return self.last


def thinned(lines: Sequence[Line], now: Moment, spacing: int, budget: int) -> tuple[Line, ...]:
    """The lines with as many keyframes as the budget has room for, spread evenly: those at multiples of `spacing`,
    or of twice that, and so on; where each line starts and where it stands now always. The moments between are had
    by replaying, exactly."""
    most = max(1, budget // max(frame_bytes(lines[0].keyframes[lines[0].branch.start]), 1))
    kept = [_thinned(line, now, spacing) for line in lines]
    while sum(len(line.keyframes) for line in kept) > most and spacing < 2**30:
        spacing *= 2
        kept = [_thinned(line, now, spacing) for line in kept]
    return tuple(kept)


def _thinned(line: Line, now: Moment, spacing: int) -> Line:
    ends = {line.branch.start} | ({now.step} if now.branch == line.branch.number else set())
    frames = {step: at for step, at in line.keyframes.items() if not step % spacing or step in ends}
    branch = replace(line.branch, keyframes=tuple(sorted(frames)))
    return replace(line, branch=branch, keyframes=frames, pinned=line.pinned & frames.keys())
