"""Kept run: training with its history, as it can be put aside and gone on from. It neither trains nor is a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from engine.checkpoint import Checkpoint
from engine.data.pool import Lesson
from engine.history import History, Line, frame_bytes
from engine.nn.model import Moment
from engine.nn.network import Network

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
