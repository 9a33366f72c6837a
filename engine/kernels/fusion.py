"""Fusion: fewer launches for the same work, and which of them may run at the same time. What comes out computes
what went in, to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.backends.ops import Calls
from engine.kernels.launch import Blocks, Launch, Segments


def launches(calls: Calls) -> list[Launch]:
    """The launches that calls of KernelOperations are. Raises TypeError for any other call."""
    found = []
    for function, _, _ in calls:
        if not isinstance(function, Launch):
            raise TypeError(f"Only launches of kernels can be put together, not {function!r}.")
        found.append(function)
    return found


def fused(calls: Calls) -> Calls:
    """The same work in fewer launches.

    A function of single values is done at once by the thread that has just made the value it needs, and such
    functions that do not need each other work side by side. A launch moves forward past those that it does not
    have to wait for, but never past one that it does.
    """
    done: list[Launch] = []
    for launch in launches(calls):
        if not (isinstance(launch, Segments) and _join(launch, done)):
            done.append(launch)
    return [(launch, (), {}) for launch in done]


def _join(launch: Segments, done: list[Launch]) -> bool:
    """Put a launch of one function into an earlier one, if there is one that takes it."""
    ((function,),) = launch.segments
    beside: tuple[int, Segments] | None = None
    for place in reversed(range(len(done))):
        earlier = done[place]
        if launch.hinders(earlier):
            together = earlier.followed_by(function) if isinstance(earlier, Blocks | Segments) else None
            if together is not None:
                done[place] = together
                return True
            break
        # The earliest place is the best: there it is least in the way of what follows.
        if isinstance(earlier, Segments) and (wider := earlier.beside(launch)) is not None:
            beside = place, wider
    if beside is None:
        return False
    done[beside[0]] = beside[1]
    return True


@dataclass(frozen=True)
class Turn:
    """When a launch runs: after all before it in its lane, 0 or 1, and after the launches of those numbers in the
    other lane."""

    lane: int
    after: tuple[int, ...]


def turns(found: Sequence[Launch]) -> list[Turn]:
    """For launches in an order in which they could run one by one: two lanes, the second for what need not wait for
    the last launch of the first, such as the gradient of a layer's weights beside that of its input."""
    made: list[Turn] = []
    # Of each lane, the number of its last launch, and up to which one of the other it has waited.
    lasts, seen = [-1, -1], [-1, -1]
    for number, launch in enumerate(found):
        needs = [earlier for earlier in range(number) if launch.hinders(found[earlier])]
        latest = max(needs, default=-1)
        # Behind the launch that it waits for longest, if that is the last of its lane; else beside what follows.
        lane = made[latest].lane if latest >= 0 else 0
        if lasts[lane] > latest:
            lane = 1 - lane
        others = [earlier for earlier in needs if made[earlier].lane != lane and earlier > seen[lane]]
        after = (max(others),) if others else ()
        if after:
            seen[lane] = after[0]
        lasts[lane] = number
        made.append(Turn(lane, after))
    return made
