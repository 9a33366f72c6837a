"""Run: training as a window asks for it: in slices, looked back into, branched. It knows no thread and no
window."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from time import perf_counter, sleep
from typing import Final

import numpy as np

from engine.backends.backend import Backend
from engine.data.pool import Fixed, Lesson, Pool, Pools
from engine.data.xo.generator import CLASSES
from engine.nn.layers import Values
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.runtime.jobs import Onlookers, Sources, Standing
from engine.runtime.training_protocol import Frame, Goal, State, Training
from engine.training.checkpoint import Checkpoint, fitting
from engine.training.evaluation import Judgements
from engine.training.history import BUDGET, HandOver, History, KeptRun, Origin, best, frame_bytes, last_good
from engine.training.recipe import Recipe, changes
from engine.training.replay import LookBack, Replay
from engine.training.trainer import ENDS, Judged, Step, Trainer, TrainingError

SLICE: Final = 0.010  # seconds after which a step or judgement may be left for something else


class Lessons:
    """backend: where trainers are made; another one when a device is lost. origins: of every branch, by number."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.origins = backend, list[Origin]()
        self._pools = Pools()
        self._network: Network | None = None
        self._wished: Lesson | None = None

    def wish(self, network: Network, lesson: Lesson) -> None:
        """The network that learns, and what the branch that is trained, or is to begin, learns from."""
        self._network, self._wished = network, lesson

    def need(self) -> None:
        """Only the examples of the branch that is wished for are needed."""
        assert self._wished is not None
        self._pools.need(self._wished)

    @property
    def wished(self) -> Pool:
        """The examples of the branch that is wished for, which may have to grow."""
        assert self._wished is not None
        return self._pools.of(self._wished)

    def of(self, branch: int) -> Pool:
        """The examples that a branch learns from; before there is any, those that are wished for."""
        known = 0 <= branch < len(self.origins)
        return self._pools.of(self.origins[branch].lesson) if known else self.wished

    def grow(self, left: int | None) -> bool:
        """A piece of the examples wished for, or else of those of the branch left; whether all were there."""
        for pool in [self.wished] if left is None else [self.wished, self.of(left)]:
            if pool.done < 1:
                pool.grow()
                return False
        return True

    def trainer(
        self,
        recipe: Recipe,
        checkpoint: Checkpoint | None = None,
        values: Parameters | None = None,
        lesson: Lesson | None = None,
    ) -> Trainer:
        """A trainer on the examples of a lesson, those wished for if none is given. What one optimizer remembers
        means nothing to another."""
        assert self._network is not None
        if checkpoint is not None:
            checkpoint = fitting(checkpoint, recipe)
        pool = self.wished if lesson is None else self._pools.of(lesson)
        source, held_out = Fixed(pool.training), pool.held_out
        return Trainer(self._network, source, recipe, self.backend, values, held_out, checkpoint, slice=SLICE)

    def replay(self, history: History, wished: Moment, before: Moment | None = None) -> Replay:
        """The way to a moment, on the examples of its branch. before: see Replay."""
        assert self._wished is not None
        lesson = self.origins[history.nearest(before or wished)[0].branch].lesson
        self._pools.need(self._wished, lesson)
        return Replay(history, wished, partial(self.trainer, lesson=lesson), before)


class Speed:
    """Steps a second over the last second or so."""

    def __init__(self) -> None:
        self._since, self._count, self.value = perf_counter(), 0, 0.0

    def count(self) -> None:
        """One more step."""
        self._count += 1
        passed = perf_counter() - self._since
        if passed > 0.5:
            self.value, self._since, self._count = self._count / passed, perf_counter(), 0


EVERY: Final = 0.25  # seconds between copies


class Lately:
    """Those copied last; none before the first."""

    def __init__(self) -> None:
        self._gradients: Values = {}
        self._at = 0.0

    def gradients(self, trainer: Trainer | None) -> Values:
        """Of the trainer's last step, or of one some moments ago, by name."""
        now = perf_counter()
        if trainer is not None and now - self._at > EVERY:
            self._gradients, self._at = trainer.gradients(), now
        return self._gradients


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


LOOKING: Final = 0.003  # seconds of a slice while somebody looks back


class Run:
    """Follows Goals on one backend, a slice at a time."""

    def __init__(self, backend: Backend, budget: int = BUDGET, hand_over: HandOver | None = None) -> None:
        self._lessons, self._budget, self._hand_over = Lessons(backend), budget, hand_over or HandOver()
        self._taken: KeptRun | None = None
        self._goal: Goal | None = None
        self._history: History | None = None
        self._trainer: Trainer | None = None
        self._pieces: Iterator[Step | Judged | None] | None = None
        self._branch = -1
        self._state: State = "paused"
        self._resting = False
        self._words = ""
        self._back = LookBack(self._lessons.replay, self._lessons.of)
        self._way: Replay | None = None
        self._judgements = Judgements()
        self._due = 0.0
        self._speed = Speed()
        self._lately = Lately()
        self._onlookers: Onlookers | None = None
        self._within = False  # a step, of which a piece is made

    # -- what is asked for -------------------------------------------------------------------------------------

    def follow(self, goal: Goal) -> None:
        """Make this the goal. Raises ValueError or ShapeError if it cannot be, and then stands still."""
        before, self._goal, self._resting = self._goal, goal, False
        self._lessons.wish(goal.subject.network, goal.lesson)
        if before is None or goal.number != before.number:
            self._start(goal, before)
        elif goal.recipe != before.recipe:
            self._change(goal)
        self._name()
        if self._state in ("running", "paused"):
            self._state = "running" if self._goes_on() else "paused"
        if goal.look is not None and self._history is not None and self._state != "preparing":
            self._back.turn(self._history, goal.look)

    def _name(self) -> None:
        """Call the branches what the person does."""
        if self._goal is not None and self._history is not None:
            for number, name in self._goal.names.items():
                self._history.rename(number, name)

    def rest(self) -> None:
        """Do nothing more until a goal is given again; nobody looks. What was is kept."""
        self._resting = True

    @property
    def busy(self) -> bool:
        """Whether a slice would get anything done."""
        if self._resting:
            return False
        going = self._state in ("preparing", "running")
        return going or self._replay_due() or self._judgement_due() or self._looked_on()

    def work(self, seconds: float) -> None:
        """Go on for about so long: make examples, replay the moment looked at, train. Never raises TrainingError:
        divergence is a state."""
        # Whoever looks back drags: a slice of the way there must not hold up the next picture.
        ends = perf_counter() + (min(seconds, LOOKING) if self._replay_due() else seconds)
        while self.busy and perf_counter() < ends:
            if self._state == "preparing":
                self._prepare()
            elif self._replay_due():
                self._look_back(ends)
            elif self._looked_on():
                self._look_on()
            elif self._state != "running":
                self._judge()
            elif (waiting := self._due - perf_counter()) > 0:
                sleep(min(waiting, max(0.0, ends - perf_counter())))
            else:
                self._train()

    def hear(self) -> list[str]:
        """What has happened to the device since this was last asked, one sentence each."""
        trainers = [self._trainer, None if self._back.replay is None else self._back.replay.trainer]
        said = [words for trainer in trainers if trainer is not None for words in trainer.words]
        for trainer in trainers:
            if trainer is not None:
                self._lessons.backend = trainer.backend
                trainer.words.clear()
        return said

    def fail(self, words: str) -> None:
        """Stand still until another branch is wished for, and say why."""
        self._state, self._words, self._pieces = "failed", words, None

    # -- what came of it ---------------------------------------------------------------------------------------

    def parameters(self) -> Parameters | None:
        """The parameters of the moment shown; None before there are any."""
        if self._back.replay is not None and self._goal is not None and self._goal.look is not None:
            return self._back.replay.parameters
        return None if self._trainer is None else self._trainer.parameters()

    def report(self) -> Training | None:
        """How training stands; None while none is asked for."""
        goal, history = self._goal, self._history
        if goal is None or self._resting:
            return None
        trainer, pool, on = self._trainer, self._lessons.wished, self._onlookers
        now = Moment(self._branch, trainer.made if trainer is not None else 0)
        looked = self._back.replay if goal.look is not None else None
        shown = now if looked is None else looked.at
        per_epoch = trainer.steps_an_epoch if trainer is not None else 0
        then = self._lessons.of(shown.branch)
        return Training(
            goal=goal.number,
            answers=goal,
            state=self._state,
            words=self._words,
            ended=trainer.ended if trainer is not None and self._state == "ended" else None,
            accuracy=trainer.accuracy if trainer is not None else math.nan,
            prepared=pool.done,
            now=now,
            shown=shown,
            exact=looked is None or looked.exact,
            epoch=1 if not per_epoch else min(now.step // per_epoch + 1, goal.recipe.epochs),
            steps_an_epoch=per_epoch,
            speed=self._speed.value if self._state == "running" else 0.0,
            branches=() if history is None else history.branches(),
            origins=tuple(self._lessons.origins),
            frames=frames_of(history, now.branch if goal.look is None else goal.look.branch),
            good=self._good(),
            judgement=self._judgements.at(shown, self._state == "running"),
            examples=pool.training if pool.done >= 1 else None,
            held_out=then.held_out if then.done >= 1 else None,
            batch=trainer.last_batch if trainer is not None else np.zeros(0, np.int64),
            gradients=self._lately.gradients(trainer),
            dissection=None if on is None or trainer is None or goal.inspection is None else on.dissection,
            statistics=None if on is None else on.statistics,
            kept=self.kept(at_once=self._state not in ("preparing", "running")),
        )

    def kept(self, *, at_once: bool) -> KeptRun | None:
        """What is to be kept for another session; at_once: as it is now, and not some seconds ago."""
        goal, history, trainer = self._goal, self._history, self._trainer
        if goal is None or history is None or trainer is None:
            return self._taken if self._hand_over.last is None else self._hand_over.last
        now = Moment(self._branch, trainer.made)
        origins, network = self._lessons.origins, goal.subject.network
        return self._hand_over.kept(
            goal.number, network, history, origins, now, trainer.checkpoint, at_once=at_once
        )

    # -- slices ------------------------------------------------------------------------------------------------

    def _start(self, goal: Goal, before: Goal | None) -> None:
        """Lay out the branch that the goal wishes for. Raises ValueError if the network cannot learn from
        drawings."""
        self._words, self._pieces, self._trainer, self._way = "", None, None, None
        self._back.forget()
        if before is None or goal.subject.network != before.subject.network or goal.kept is not self._taken:
            self._history, self._branch, self._lessons.origins, self._taken = None, -1, [], goal.kept
            self._onlookers = None
            self._judgements.clear()
            self._hand_over.forget()
            if goal.kept is not None:
                self._take_up(goal.kept)
        network = goal.subject.network
        if network.classes != CLASSES:
            raise ValueError(
                f"{goal.subject.name} tells {' and '.join(network.classes)} apart, but the drawings made here are "
                f"{' and '.join(CLASSES)}; train it on its own pictures with xo train --data."
            )
        self._state = "preparing"
        if not isinstance(goal.origin, Moment):
            self._lessons.need()

    def _take_up(self, kept: KeptRun) -> None:
        """The history of an earlier session."""
        self._history = History.taken_up(kept.lines, kept.spacing, self._budget)
        self._branch, self._lessons.origins = kept.now.branch, list(kept.origins)

    def _prepare(self) -> None:
        """Make a piece of the examples; when all are there, those of the branch it leaves too, begin the branch."""
        goal, history = self._goal, self._history
        assert goal is not None
        left = None
        if isinstance(goal.origin, Moment) and history is not None:
            left = history.nearest(goal.origin)[0].branch
        if self._lessons.grow(left) and self._arrives():
            self._begin()
            self._state = "running" if self._wants_step() else "paused"

    def _arrives(self) -> bool:
        """Whether the moment to go on from is reached; if not, one piece of a step further on the way there."""
        origin = None if self._goal is None else self._goal.origin
        if not isinstance(origin, Moment) or self._history is None:
            return True
        if self._way is None or self._way.wished != origin:
            self._way = self._lessons.replay(self._history, origin)
        if not self._way.exact:
            self._way.advance()
        return self._way.exact

    def _begin(self) -> None:
        """A branch in the history, and a trainer that stands at its start."""
        goal = self._goal
        assert goal is not None
        if goal.origin == "kept" and goal.kept is not None:
            self._go_on(goal, goal.kept)
            return
        parent, way, self._way = None, self._way, None
        given = goal.subject if goal.origin == "weights" else None
        if way is not None:
            parent = way.wished
            self._trainer = self._lessons.trainer(goal.recipe, way.checkpoint)
        else:
            self._trainer = self._lessons.trainer(goal.recipe, values=None if given is None else given.parameters)
        self._let_look_on(goal)
        start = self._trainer.checkpoint()
        if self._history is None:
            self._history = History(frame_bytes(start), self._budget)
        # Where it goes on by another recipe than its parent's, its first step marks the change.
        recipe = goal.recipe if parent is None else self._history.recipe_at(parent)[0]
        self._branch = self._history.begin(goal.name, recipe, start.steps, start, parent)
        self._lessons.origins.append(Origin(goal.lesson, None if given is None else given.name))

    def _go_on(self, goal: Goal, kept: KeptRun) -> None:
        """Stand where an earlier session stood, on its branch."""
        assert self._history is not None
        recipe, _ = self._history.recipe_at(kept.now)
        self._branch, self._trainer = kept.now.branch, self._lessons.trainer(recipe, kept.standing)
        self._let_look_on(goal)
        if goal.recipe != recipe:
            self._change(goal)

    def _let_look_on(self, goal: Goal) -> None:
        """Onlookers of the branch that begins or is gone on with."""
        lessons, network = self._lessons, goal.subject.network
        self._onlookers = Onlookers(network, lessons.wished.training, lessons.backend, self._onlookers)

    def _change(self, goal: Goal) -> None:
        """Go on by another recipe; the next step marks it. What diverged or failed does not go on."""
        if self._trainer is None or self._state in ("diverged", "failed"):
            return
        self._trainer, self._pieces = self._lessons.trainer(goal.recipe, self._trainer.checkpoint()), None
        if self._trainer.ended is not None:
            self._state, self._words = "ended", ENDS[self._trainer.ended]
        elif self._state == "ended":
            self._state, self._words = "paused", ""

    def _wants_step(self) -> bool:
        goal, made = self._goal, self._trainer.made if self._trainer is not None else 0
        return goal is not None and goal.running and (goal.until is None or made < goal.until)

    def _goes_on(self) -> bool:
        """Whether there is a step to make, or an epoch's judgement, which belongs to its last step."""
        return self._wants_step() or (self._trainer is not None and self._trainer.judging)

    def _train(self) -> None:
        """One piece of a step."""
        trainer, history = self._trainer, self._history
        assert trainer is not None
        assert history is not None
        if self._pieces is None:
            self._pieces = trainer.pieces()
        try:
            event = next(self._pieces, None)
        except TrainingError as error:
            history.pin(Moment(self._branch, trainer.made), trainer.checkpoint())
            self._state, self._words, self._pieces = "diverged", str(error), None
            return
        self._within = event is None
        if isinstance(event, Step):
            self._keep(event)
        elif isinstance(event, Judged):
            score = event.judgement.score
            history.judge(self._branch, event.number, score.loss, score.accuracy)
            at = Moment(self._branch, event.number)
            self._judgements.remember(at, event.judgement)
            if self._onlookers is not None:
                self._onlookers.epoch_over(at, trainer.parameters(), SLICE)
        if trainer.ended is not None:
            self._state, self._words, self._pieces = "ended", ENDS[trainer.ended], None
        elif not self._goes_on():
            self._state = "paused"

    def _keep(self, step: Step) -> None:
        """Write a step into the history."""
        trainer, history, goal = self._trainer, self._history, self._goal
        assert trainer is not None
        assert history is not None
        assert goal is not None
        before = history.recipe_at(Moment(self._branch, step.number - 1))[0]
        if before != trainer.recipe:
            text = ", ".join(changes(before, trainer.recipe))
            history.change(self._branch, step.number - 1, trainer.recipe, text)
        history.record(self._branch, step.number, step.loss, step.rate, trainer.checkpoint)
        self._speed.count()
        if goal.pace is not None:
            self._due = max(self._due, perf_counter()) + 1 / goal.pace

    # -- looking back ------------------------------------------------------------------------------------------

    def _replay_due(self) -> bool:
        goal = self._goal
        return (
            goal is not None and goal.look is not None and self._history is not None and self._back.due(goal.look)
        )

    def _look_back(self, ends: float) -> None:
        assert self._goal is not None
        assert self._goal.look is not None
        assert self._history is not None
        self._back.advance(self._history, self._goal.look, ends)

    # -- judging -----------------------------------------------------------------------------------------------

    def _standing_at(self) -> Moment | None:
        """The moment whose parameters stand still to be judged, if any do."""
        if self._trainer is None or self._state in ("preparing", "running"):
            return None
        if self._goal is None or self._goal.look is None:
            return Moment(self._branch, self._trainer.made)
        return self._back.replay.at if self._back.replay is not None and self._back.replay.exact else None

    def _judgement_due(self) -> bool:
        at = self._standing_at()
        return at is not None and at not in self._judgements

    def _judge(self) -> None:
        """One piece of reading the held-out examples by the parameters that stand still."""
        at, goal = self._standing_at(), self._goal
        assert at is not None
        assert goal is not None
        pool = self._lessons.of(at.branch)
        if pool.done < 1:
            pool.grow()
            return
        network, backend = goal.subject.network, self._lessons.backend
        self._judgements.advance(at, network, backend, pool.held_out, self.parameters, SLICE)

    # -- looking on --------------------------------------------------------------------------------------------

    def _standing(self) -> Standing | None:
        if self._goal is None or self._trainer is None:
            return None
        now = Moment(self._branch, self._trainer.made)
        return Standing(self._goal, self._state, now, self._back.replay, self._within)

    def _looked_on(self) -> bool:
        standing = self._standing()
        return standing is not None and self._onlookers is not None and self._onlookers.due(standing)

    def _look_on(self) -> None:
        standing = self._standing()
        assert standing is not None
        assert self._trainer is not None
        assert self._history is not None
        assert self._onlookers is not None
        given = Sources(self._trainer, self.parameters, self._history, self._lessons.of, self._lessons.replay)
        self._due = max(self._due, self._onlookers.advance(standing, given))

    # -- parts of the report -----------------------------------------------------------------------------------

    def _good(self) -> Moment | None:
        """After divergence, the last moment before it showed; after patience ended the run, the best one."""
        tired = self._state == "ended" and self._trainer is not None and self._trainer.ended == "patience"
        if self._history is None or self._goal is None or not (tired or self._state == "diverged"):
            return None
        branch = self._history.branches()[self._branch]
        return best(branch) if tired else last_good(branch, len(self._goal.subject.network.classes))
