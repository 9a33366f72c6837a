"""Watching: what is computed only while somebody looks at it, and nobody waits for: how varied drawings, the
person's own and the held-out ones are read. It knows no Request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from engine.backends.backend import Backend, DeviceError
from engine.data.pool import PoolSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.explain.robustness import Robustness, Trials, tries
from engine.goal import Training
from engine.judging import HeldOut, Judging
from engine.nn.model import Subject
from engine.own_reader import OwnReader, Verdict

log = logging.getLogger(__name__)

# Seconds: a slider that is dragged waits for no more than this.
SHORT: Final = 0.004

_ROBUSTNESS, _OWN = "How well varied drawings are read", "How your own drawings are read"
_HELD_OUT = "How held-out drawings are read"


class Side(Protocol):
    """Something that is computed a slice at a time."""

    @property
    def busy(self) -> bool:
        """Whether `work` would get anything done."""

    def work(self, seconds: float) -> None:
        """Go on for about so long."""

    def give_up(self) -> None:
        """Do nothing more until something else is asked for."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What somebody looks at. robustness: how varied drawings are read; own: the person's own; held_out: the ones
    held out of these, None if nobody does."""

    robustness: bool = False
    own: bool = False
    held_out: PoolSettings | None = None


@dataclass(frozen=True, eq=False)
class Watched:
    """What is known of what is looked at, read-only."""

    robustness: Robustness | None = None
    own: Mapping[Drawing, Verdict] = field(default_factory=dict)
    held_out: HeldOut | None = None


class Watching:
    """One of each kind, kept while somebody looks. notify: told one sentence when something cannot be computed,
    which is then left; nothing here raises."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._trials: Trials | None = None
        self._own: OwnReader | None = None
        self._judging: Judging | None = None
        self._turn = 0

    def follow(
        self, looks: Looks, document: Document, subject: Subject, training: Training | None, backend: Backend
    ) -> Watched:
        """What is known, and what is to be computed from now on. subject: the document's first one, or that with
        the parameters of the moment that `training` shows."""
        shown = None if subject is document.subjects[0] else training
        return Watched(
            self._robustness(looks, subject, shown, backend),
            self._own_verdicts(looks, document, subject, shown, backend),
            self._held_out(looks, subject, shown, backend),
        )

    def rest(self) -> Watched:
        """Nothing is looked at."""
        self._trials = self._own = self._judging = None
        return Watched()

    @property
    def busy(self) -> bool:
        """Whether there is something to compute."""
        return any(side.busy for side, _ in self._sides())

    def work(self, seconds: float) -> None:
        """Go on with one of them, another at each call, for about so long, but no longer than SHORT."""
        due = [(side, what) for side, what in self._sides() if side.busy]
        self._turn += 1
        if due:
            side, what = due[self._turn % len(due)]
            self._surely(lambda: side.work(min(seconds, SHORT)), side, what)

    def _sides(self) -> list[tuple[Side, str]]:
        sides = ((self._trials, _ROBUSTNESS), (self._own, _OWN), (self._judging, _HELD_OUT))
        return [(side, what) for side, what in sides if side is not None]

    def _robustness(
        self, looks: Looks, subject: Subject, shown: Training | None, backend: Backend
    ) -> Robustness | None:
        if not looks.robustness or not tries(subject.network):
            self._trials = None
            return None
        trials = self._trials = self._trials or Trials(backend)
        self._surely(lambda: trials.follow(subject, shown), trials, _ROBUSTNESS)
        return trials.report()

    def _own_verdicts(
        self, looks: Looks, document: Document, subject: Subject, shown: Training | None, backend: Backend
    ) -> Mapping[Drawing, Verdict]:
        if not looks.own or not document.own:
            self._own = None
            return {}
        own = self._own = self._own or OwnReader(backend)
        self._surely(lambda: own.follow(document.own, subject, shown), own, _OWN)
        return own.report()

    def _held_out(self, looks: Looks, subject: Subject, shown: Training | None, backend: Backend) -> HeldOut | None:
        """Training judges its own parameters by itself."""
        settings = looks.held_out
        fits = (
            settings is not None
            and tries(subject.network)
            and settings.drawing.side == subject.network.input_shape[1]
        )
        if settings is None or not fits or shown is not None:
            self._judging = None
            return None
        judging = self._judging = self._judging or Judging(backend)
        self._surely(lambda: judging.follow(subject, settings), judging, _HELD_OUT)
        return judging.report()

    def _surely(self, act: Callable[[], None], side: Side, what: str) -> None:
        """Do it; if it cannot be done, say what is not known and leave it."""
        try:
            act()
        except (ValueError, DeviceError) as error:
            self._notify(f"{error} {what} is not known.")
            side.give_up()
        except Exception as error:
            log.exception("a side matter failed: %s", what)
            self._notify(f"{what} is not known, {type(error).__name__}: {error}. The log has more.")
            side.give_up()
