"""Judging: how a network that is not being trained reads the held-out drawings it would be judged by, which are
made and read piece by piece, so that whoever asks can stop in between. Nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from engine.backends.backend import Backend
from engine.data.dataset import Examples
from engine.data.pool import HELD_OUT, PIECE, PoolSettings, piece
from engine.evaluation import Judge, Judgement
from engine.nn.model import Subject

SLICE: Final = 0.005  # seconds: about so long is a piece of a large network's pass


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out examples, and what was made of them."""

    examples: Examples
    judgement: Judgement


class Judging:
    """Judges the subject last asked for on the held-out examples of the settings last asked for."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._subject: Subject | None = None
        self._settings: PoolSettings | None = None
        self._examples: Examples | None = None
        self._pieces: Iterator[None] | None = None
        self._found: HeldOut | None = None

    def follow(self, subject: Subject, settings: PoolSettings) -> None:
        """Judge this subject on these, unless that has been done or given up. Its network reads pictures of the
        settings' side and tells X from O."""
        if subject is self._subject and settings == self._settings:
            return
        if settings != self._settings:
            self._examples = self._found = None
        self._subject, self._settings = subject, settings
        self._pieces = self._work(subject, settings)

    @property
    def busy(self) -> bool:
        """Whether it is not done yet."""
        return self._pieces is not None

    def work(self, seconds: float) -> None:
        """Go on for about so long. Raises what Judge raises, for a network that is too large."""
        ends = perf_counter() + seconds
        while self._pieces is not None and perf_counter() < ends:
            if next(self._pieces, self) is self:
                self._pieces = None

    def give_up(self) -> None:
        """Judge nothing until something else is asked for."""
        self._pieces = None

    def report(self) -> HeldOut | None:
        """What was found last; None before anything was."""
        return self._found

    def _work(self, subject: Subject, settings: PoolSettings) -> Iterator[None]:
        if self._examples is None:
            parts = []
            for number in range(-(-settings.held_out // PIECE)):
                parts.append(piece(settings, HELD_OUT, number))
                yield
            images, labels = (
                np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels")
            )
            self._examples = Examples(images, labels, parts[0].classes)
        examples = self._examples
        for judgement in Judge(subject.network, self._backend, examples).pieces(subject.parameters, SLICE):
            if judgement is not None:
                self._found = HeldOut(examples, judgement)
            yield
