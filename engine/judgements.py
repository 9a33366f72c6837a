"""Judgements: how the held-out examples were read at the moments of a training, as far as somebody stood there. It
trains nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from engine.backends.backend import Backend
from engine.data.dataset import Examples
from engine.evaluation import Judge, Judgement
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters

MOST: Final = 400  # kept at most


class Judgements:
    """The judgements of one network, a piece at a time."""

    def __init__(self) -> None:
        self._known: dict[Moment, Judgement] = {}
        self._under_way: tuple[Moment, Iterator[Judgement | None]] | None = None

    def __contains__(self, at: Moment) -> bool:
        return at in self._known

    def clear(self) -> None:
        """Forget all: another network begins."""
        self._known.clear()
        self._under_way = None

    def remember(self, at: Moment, judgement: Judgement) -> None:
        """Keep a judgement, and forget the oldest where there are many."""
        self._known[at] = judgement
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def advance(
        self,
        at: Moment,
        network: Network,
        backend: Backend,
        held_out: Examples,
        parameters: Callable[[], Parameters | None],
        seconds: float = math.inf,
    ) -> None:
        """One piece of reading the held-out examples by the parameters of `at`, which are asked for once.
        seconds: after which a piece may end."""
        if self._under_way is None or self._under_way[0] != at:
            now = parameters()
            assert now is not None
            self._under_way = at, Judge(network, backend, held_out).pieces(now, seconds)
        judgement = next(self._under_way[1])
        if judgement is not None:
            self.remember(at, judgement)

    def at(self, shown: Moment, running: bool) -> Judgement | None:
        """How they are read at a moment; while it trains, as they were read last before it."""
        if not running or shown in self._known:
            return self._known.get(shown)
        steps = [at.step for at in self._known if at.branch == shown.branch and at.step <= shown.step]
        return self._known[Moment(shown.branch, max(steps))] if steps else None
