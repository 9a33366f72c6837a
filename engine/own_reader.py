"""Own reader: what a subject makes of the person's own drawings, a few at a time, so that whoever asks can stop in
between. Nothing is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backends.backend import Backend
from engine.data.labelled_drawings import OwnDrawing
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render
from engine.goal import Training
from engine.nn.inference import verdict, votes_of
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.nn.plan import Plan
from engine.stepper import reading_size

HostArray: TypeAlias = "np.ndarray[Any, Any]"

TOGETHER: Final = 16
# While the weights change all the time: seconds from one reading of all to the next.
HURRIED: Final = 0.5


@dataclass(frozen=True)
class Verdict:
    """What a drawing is read as, a class or "unsure", and the largest vote."""

    word: str
    vote: float


class OwnReader:
    """Keeps the last verdict of every drawing until there is a newer one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._plan: Plan | None = None
        self._subject: Subject | None = None
        self._source: object = None
        self._begun, self._given_up = 0.0, False
        self._pictures: dict[Drawing, HostArray] = {}
        self._waiting: list[Drawing] = []
        self._verdicts: Mapping[Drawing, Verdict] = MappingProxyType({})

    def follow(self, own: Sequence[OwnDrawing], subject: Subject, training: Training | None) -> None:
        """Read these by this subject. training: how training stands if the subject's parameters are those of the
        moment it shows, None if they are its own; while it runs, not every change is followed. Raises what Plan
        raises, for a network that is too large."""
        source: object = subject if training is None else (training.goal, training.shown)
        hurried = training is not None and training.state == "running"
        drawings = list(dict.fromkeys(each.drawing for each in own))
        self._pictures = {each: self._pictures[each] for each in drawings if each in self._pictures}
        if self._subject is None or self._subject.network != subject.network:
            self._subject = subject
            self._lay_out(subject.network)
        self._subject = subject
        if self._given_up:
            return
        kept = {each: self._verdicts[each] for each in drawings if each in self._verdicts}
        if len(kept) != len(self._verdicts):
            self._verdicts = MappingProxyType(kept)
        changed = source != self._source and not (hurried and perf_counter() - self._begun < HURRIED)
        if changed:
            self._source, self._begun, self._waiting = source, perf_counter(), drawings
            assert self._plan is not None
            self._plan.load(subject.parameters)
        else:
            waiting = {*self._waiting, *(each for each in drawings if each not in kept)}
            self._waiting = [each for each in drawings if each in waiting]

    @property
    def busy(self) -> bool:
        """Whether some are not read yet."""
        return bool(self._waiting)

    def work(self, seconds: float) -> None:
        """Read on for about so long."""
        ends = perf_counter() + seconds
        while self._waiting and perf_counter() < ends:
            self._read()

    def give_up(self) -> None:
        """Read none until the network is another."""
        self._waiting, self._given_up = [], True

    def report(self) -> Mapping[Drawing, Verdict]:
        """The last verdict of each that was read, read-only: the same object until there is another."""
        return self._verdicts

    def _lay_out(self, network: Network) -> None:
        self._source, self._waiting, self._plan, self._given_up = None, [], None, False
        self._pictures.clear()
        self._verdicts = MappingProxyType({})
        self._plan = Plan(network, self._backend, max(1, reading_size(network, TOGETHER)))

    def _read(self) -> None:
        """One batch."""
        subject, plan = self._subject, self._plan
        assert subject is not None
        assert plan is not None
        side, size = subject.network.input_shape[1], plan.batch
        some, self._waiting = self._waiting[:size], self._waiting[size:]
        for drawing in some:
            if drawing not in self._pictures:
                self._pictures[drawing] = render(drawing, side)
        pictures = [self._pictures[drawing] for drawing in some]
        batch = np.zeros((size, *subject.network.input_shape), np.float32)
        batch[: len(some), 0] = pictures
        # Weights may be so large that their products overflow; the verdict is then "unsure", not a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._backend.operations.to_host(plan.forward(batch)).T[: len(some)]
            votes = votes_of(subject.network, scores)
        found = dict(self._verdicts)
        for drawing, picture, vote in zip(some, pictures, votes, strict=True):
            found[drawing] = Verdict(verdict(subject, vote, picture), float(vote.max()))
        self._verdicts = MappingProxyType(found)
