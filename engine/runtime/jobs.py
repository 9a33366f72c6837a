"""Watching: what is computed only while somebody looks at it, and nobody waits for: how varied drawings, the
person's own and the held-out ones are read. It knows no Request."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from engine.backends.backend import Backend, DeviceError
from engine.data.dataset import Examples
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Pool, PoolSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render
from engine.explain.robustness import HURRIED_ROUNDS, HURRIED_SECONDS, ROUNDS, Robustness, Trial, tries
from engine.explain.step_trace import Dissection
from engine.explain.step_tracer import Wanted, Watch
from engine.nn.inference import verdict, votes_of
from engine.nn.model import Moment, Subject
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.runtime.training_protocol import Goal, State, Training
from engine.training.checkpoint import Checkpoint, fitting
from engine.training.evaluation import HeldOut, Judging, Recall
from engine.training.history import History
from engine.training.layer_statistics import Move, Observer, Statistics
from engine.training.replay import Replay
from engine.training.train_step import reading_size
from engine.training.trainer import Trainer

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


class Trials:
    """Which parameters are tried now: those of the moment shown, from the beginning whenever they are others."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._trial: Trial | None = None
        self._before: Robustness | None = None
        self._network: Network | None = None
        self._hurried, self._begun = False, 0.0

    def follow(self, subject: Subject, training: Training | None) -> None:
        """Try this subject's parameters. training: how training stands if they are those of the moment it shows,
        None if they are the subject's own. Raises what Trial raises, once for a network."""
        network, moment = subject.network, None if training is None else training.shown
        source: object = subject if training is None else (training.goal, moment)
        changing = training is not None and (not training.exact or training.state in ("preparing", "running"))
        known, self._hurried = self._network == network, changing
        if known and not self._due(source):
            return
        self._before = self.report() if known else None
        self._network, self._trial, self._begun = network, None, perf_counter()
        self._trial = Trial(network, subject.parameters, self._backend, source, moment)

    def give_up(self) -> None:
        """Try nothing more until there is another network."""
        self._trial = self._before = None

    def _due(self, source: object) -> bool:
        """Whether the parameters from `source` should be tried in place of those that are."""
        trial = self._trial
        if trial is None or trial.source == source:
            return False
        return not self._hurried or (trial.rounds >= 1 and perf_counter() - self._begun >= HURRIED_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether there is more to try now."""
        trial = self._trial
        return trial is not None and trial.rounds < (HURRIED_ROUNDS if self._hurried else ROUNDS)

    def work(self, seconds: float) -> None:
        """Go on for about so long."""
        ends = perf_counter() + seconds
        while self.busy and perf_counter() < ends:
            assert self._trial is not None
            self._trial.advance()

    def report(self) -> Robustness | None:
        """What has been found; of the parameters before while too little is known of the present ones."""
        if self._trial is None or (self._trial.rounds < 1 and self._before is not None):
            return self._before
        return self._trial.report()


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


@dataclass(frozen=True)
class Sources:
    """Where training keeps what is looked at: the trainer as it stands and its parameters, or those looked back at;
    the history; the examples of a branch by its number, which may have to grow; and the way to a moment that does
    not begin after another."""

    trainer: Trainer
    parameters: Callable[[], Parameters | None]
    history: History
    pool_of: Callable[[int], Pool]
    way: Callable[[History, Moment, Moment], Replay]


class Insight:
    """Looks into one network at the moment that is shown."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self._observer = Observer(network, backend)
        self._at, self._passing = Moment(-1, -1), False

    @property
    def found(self) -> Statistics | None:
        """What was found last."""
        return self._observer.latest

    def due(self, goal: Goal, state: State, now: Moment, replay: Replay | None, within: bool) -> bool:
        """Whether there is something to find out. Of a moment that is only passed by, it is looked from time to
        time, but not within a step; of one that stands, once."""
        if state in ("preparing", "failed"):
            return False
        if goal.look is None:
            self._at, self._passing = now, state == "running"
        elif replay is None or not replay.exact or replay.wished != goal.look:
            return False
        else:
            self._at, self._passing = replay.at, False
        if self._passing and within and not self._observer.busy:
            return False
        return self._observer.due(self._at, goal.inside, self._passing)

    def advance(self, goal: Goal, given: Sources) -> None:
        """One piece, when something is due."""
        pool = given.pool_of(self._at.branch)
        if pool.done < 1:
            pool.grow()
            return
        at = goal.look or self._at

        def moves() -> Iterator[Move | None]:
            return _last_step(given, at, back=goal.look is not None)

        self._observer.advance(self._at, goal.inside, self._passing, pool.held_out, given.parameters, moves)


def _last_step(given: Sources, at: Moment, back: bool) -> Iterator[Move | None]:
    """What the step that led to `at` did; one looked back at is made once more, and so is one that another trainer
    made."""
    if not back and (move := given.trainer.last_move()) is not None:
        yield move
        return
    before = replace(at, step=at.step - 1)
    while (pool := given.pool_of(given.history.nearest(before)[0].branch)).done < 1:
        pool.grow()
        yield None
    yield from given.way(given.history, at, before).last_step()


# Steps a second, at most, of which each is taken apart before it is made.
SLOW: Final = 1.0
_WITHOUT_STEPS: Final = ("preparing", "diverged", "failed")


class SlowMotion:
    """The steps of one branch, taken apart on one backend."""

    def __init__(self, network: Network, examples: Examples, backend: Backend) -> None:
        self._watch = Watch(network, examples, backend)
        self._wanted: Wanted | None = None

    @property
    def found(self) -> Dissection | None:
        """The step last taken apart."""
        return self._watch.found

    def due(self, goal: Goal, state: State, now: Moment, replay: Replay | None) -> bool:
        """Whether there is something to do for the step that would come after the moment shown."""
        self._wanted = _wanted(goal, state, now, replay)
        return self._watch.due(self._wanted)

    def advance(self, goal: Goal, state: State, checkpoint: Callable[[], Checkpoint]) -> float:
        """One piece, when something is due. Returns until when, perf_counter() seconds, the next step should wait,
        so that a step that goes slowly is seen before it is made."""
        wanted = self._wanted
        assert wanted is not None
        ended = self._watch.advance(wanted, lambda: fitting(checkpoint(), wanted.recipe))
        slow = state == "running" and goal.until is None and not wanted.fast
        return perf_counter() + 1 / goal.pace if ended and slow and goal.pace is not None else 0.0


def _wanted(goal: Goal, state: State, now: Moment, replay: Replay | None) -> Wanted | None:
    """What is looked at, if it stands there exactly."""
    if goal.inspection is None or state in _WITHOUT_STEPS:
        return None
    if goal.look is None:
        fast = state == "running" and (goal.pace or math.inf) > SLOW
        return Wanted(now, goal.recipe, goal.inspection, fast)
    if replay is None or not replay.exact or replay.wished != goal.look:
        return None
    return Wanted(goal.look, goal.recipe, goal.inspection, False)


@dataclass(frozen=True)
class Standing:
    """How training stands: goal, state, the moment, the way to the one looked back at, and whether a piece of a
    step is made."""

    goal: Goal
    state: State
    now: Moment
    replay: Replay | None
    within: bool


class Onlookers:
    """Those of one branch. before: those of the branch before it, of the same history."""

    def __init__(self, network: Network, learnt_from: Examples, backend: Backend, before: Onlookers | None) -> None:
        self._slow = SlowMotion(network, learnt_from, backend)
        self._insight: Insight = before._insight if before is not None else Insight(network, backend)
        self._recall = Recall(network, backend, learnt_from)

    @property
    def dissection(self) -> Dissection | None:
        """The step last taken apart."""
        return self._slow.found

    @property
    def statistics(self) -> Statistics | None:
        """What was found last inside the network."""
        return self._insight.found

    def due(self, standing: Standing) -> bool:
        """Whether any of them has something to do."""
        return self._apart_due(standing) or self._inside_due(standing) or self._recall.busy

    def advance(self, standing: Standing, given: Sources) -> float:
        """One piece of what is due. Returns until when, perf_counter() seconds, the next step should wait."""
        goal = standing.goal
        if self._apart_due(standing):
            back = standing.replay if goal.look is not None else None
            state = given.trainer.checkpoint if back is None else lambda: back.checkpoint
            return self._slow.advance(goal, standing.state, state)
        if self._inside_due(standing):
            self._insight.advance(goal, given)
        elif self._recall.busy:
            self._recall.advance(given.history)
        return 0.0

    def epoch_over(self, at: Moment, parameters: Parameters, seconds: float) -> None:
        """An epoch ended at a moment. seconds: after which a piece of what follows may end."""
        self._recall.begin(at, parameters, seconds)

    def _apart_due(self, standing: Standing) -> bool:
        return self._slow.due(standing.goal, standing.state, standing.now, standing.replay)

    def _inside_due(self, standing: Standing) -> bool:
        return self._insight.due(standing.goal, standing.state, standing.now, standing.replay, standing.within)
