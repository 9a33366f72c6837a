"""LookBack: the moment of the history that is looked at: the nearest kept one at once, then the way there. It knows
no Goal and trains nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, sleep
from typing import Final

from engine.data.pool import Pool
from engine.history import History
from engine.nn.model import Moment
from engine.replay import Replay

PASSING: Final = 0.050  # seconds after which a moment looked at is not only passed by


class LookBack:
    """way: the way to a moment, on the examples of its branch. pool_of: a branch's examples, which may have
    to grow first."""

    def __init__(self, way: Callable[[History, Moment], Replay], pool_of: Callable[[int], Pool]) -> None:
        self._way, self._pool_of = way, pool_of
        self.replay: Replay | None = None
        self._turned_at = 0.0

    def forget(self) -> None:
        """Look at nothing."""
        self.replay = None

    def due(self, look: Moment) -> bool:
        """Whether there is something left of the way there."""
        return self.replay is None or self.replay.wished != look or not self.replay.exact

    def turn(self, history: History, look: Moment) -> None:
        """Show the kept moment nearest to this one, unless this is the one looked at anyway."""
        if self.replay is None or self.replay.wished != look:
            self.replay, self._turned_at = self._way(history, look), perf_counter()

    def advance(self, history: History, look: Moment, ends: float) -> None:
        """A piece of the way, once the moment is not only passed by: to set out takes as long as some pictures of a
        drag. Until then it waits, at most until perf_counter() is `ends`."""
        self.turn(history, look)
        assert self.replay is not None
        waiting = self._turned_at + PASSING - perf_counter()
        if (pool := self._pool_of(self.replay.at.branch)).done < 1:
            pool.grow()
        elif self.replay.exact:
            return
        elif waiting > 0:
            sleep(min(waiting, max(0.0, ends - perf_counter())))
        else:
            self.replay.advance()
