"""Frames: some kept moments on the way to where a branch stands, from its very start. It replays nothing."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import numpy as np

from engine.goal import Frame
from engine.history import History
from engine.nn.model import Moment

FRAMES: Final = 12


def frames_of(history: History | None, branch: int) -> tuple[Frame, ...]:
    """At most FRAMES kept moments of a branch and of those it came from, spread evenly over their steps, the first
    and the last among them; none where there is no such branch."""
    if history is None or branch < 0:
        return ()
    kept = _kept(history, branch)
    wanted = np.linspace(kept[0], kept[-1], min(FRAMES, len(kept)))
    steps = sorted({_nearest(kept, wish) for wish in wanted.tolist()})
    # A moment before the branch's start is named as one of this branch: that is the way somebody looks at.
    at = [Moment(branch, step) for step in steps]
    return tuple(Frame(moment, history.nearest(moment)[1].parameters) for moment in at)


def _kept(history: History, branch: int) -> list[int]:
    """The steps of all keyframes on the way, in order."""
    branches = history.branches()
    line, kept = branches[branch], list(branches[branch].keyframes)
    while line.parent is not None:
        left, line = line.parent.step, branches[line.parent.branch]
        kept = [*(step for step in line.keyframes if step < left), *(step for step in kept if step >= left)]
    return kept


def _nearest(kept: list[int], wish: float) -> int:
    """The kept step that is nearest to a wished one, the earlier of two."""
    place = bisect_left(kept, wish)
    around = kept[max(0, place - 1) : place + 1]
    return min(around, key=lambda step: abs(step - wish))
