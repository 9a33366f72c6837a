"""Training run of the window: trains in slices, branches, and replays points of the history."""

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

SLICE: Final = 0.010  # seconds of a slice of a step or evaluation
LOOKING: Final = 0.003  # seconds of a slice while a point of the history is replayed
EVERY: Final = 0.25  # seconds between two copies of the gradients
FRAMES: Final = 12


class Run:
    """Carries out TrainingRequests on one backend, in slices."""

    def __init__(self, backend: Backend, budget: int = BUDGET, hand_over: HandOver | None = None) -> None:
        self._data, self._budget, self._save_throttle = Lessons(backend), budget, hand_over or HandOver()
        self._restored: KeptRun | None = None
        self._request: Goal | None = None
        self._history: History | None = None
        self._trainer: Trainer | None = None
        self._slices: Iterator[Step | Judged | None] | None = None
        self._branch = -1
        self._state: State = "paused"
        self._suspended = False
        self._message = ""
        self._cursor = LookBack(self._data.replay, self._data.of)
        self._origin_replay: Replay | None = None
        self._evaluations = Judgements()
        self._next_step_at = 0.0
        self._step_rate = Speed()
        self._latest_gradients = Lately()
        self._jobs: Onlookers | None = None
        self._within_step = False  # a step is partly made

    # -- requests ----------------------------------------------------------------------------------------------

    def follow(self, request: Goal) -> None:
        """Set what to train. Raises ValueError or ShapeError if it cannot be trained, and stands still."""
        before, self._request, self._suspended = self._request, request, False
        self._data.wish(request.subject.network, request.lesson)
        if before is None or request.number != before.number:
            self._start(request, before)
        elif request.recipe != before.recipe:
            self._change_recipe(request)
        self._rename_branches()
        if self._state in ("running", "paused"):
            self._state = "running" if self._should_run() else "paused"
        if request.look is not None and self._history is not None and self._state != "preparing":
            self._cursor.turn(self._history, request.look)

    def rest(self) -> None:
        """Do nothing until the next request; the state is kept."""
        self._suspended = True

    @property
    def busy(self) -> bool:
        """Whether work is left."""
        if self._suspended:
            return False
        active = self._state in ("preparing", "running")
        return active or self._replay_is_due() or self._evaluation_is_due() or self._jobs_are_due()

    def work(self, seconds: float) -> None:
        """Continue for about `seconds`: generate examples, replay the point shown, train.

        Divergence becomes a state: TrainingError is never raised.
        """
        # The timeline is being dragged: a slice of the replay must not hold up the next frame.
        deadline = perf_counter() + (min(seconds, LOOKING) if self._replay_is_due() else seconds)
        while self.busy and perf_counter() < deadline:
            if self._state == "preparing":
                self._prepare()
            elif self._replay_is_due():
                self._advance_replay(deadline)
            elif self._jobs_are_due():
                self._advance_jobs()
            elif self._state != "running":
                self._evaluate()
            elif (waiting := self._next_step_at - perf_counter()) > 0:
                sleep(min(waiting, max(0.0, deadline - perf_counter())))
            else:
                self._train()

    def hear(self) -> list[str]:
        """New messages about the device, one sentence each."""
        trainers = [self._trainer, None if self._cursor.replay is None else self._cursor.replay.trainer]
        messages = [message for trainer in trainers if trainer is not None for message in trainer.words]
        for trainer in trainers:
            if trainer is not None:
                self._data.backend = trainer.backend
                trainer.words.clear()
        return messages

    def fail(self, message: str) -> None:
        """Stand still until another branch is requested, and report why."""
        self._state, self._message, self._slices = "failed", message, None

    # -- reports -----------------------------------------------------------------------------------------------

    def parameters(self) -> Parameters | None:
        """The parameters of the point shown; None before there are any."""
        if self._cursor.replay is not None and self._request is not None and self._request.look is not None:
            return self._cursor.replay.parameters
        return None if self._trainer is None else self._trainer.parameters()

    def report(self) -> Training | None:
        """The state of training; None without a request."""
        request, history = self._request, self._history
        if request is None or self._suspended:
            return None
        trainer, pool, jobs = self._trainer, self._data.wished, self._jobs
        current = Moment(self._branch, trainer.made if trainer is not None else 0)
        replay = self._cursor.replay if request.look is not None else None
        shown = current if replay is None else replay.at
        per_epoch = trainer.steps_an_epoch if trainer is not None else 0
        shown_pool = self._data.of(shown.branch)
        return Training(
            goal=request.number,
            answers=request,
            state=self._state,
            words=self._message,
            ended=trainer.ended if trainer is not None and self._state == "ended" else None,
            accuracy=trainer.accuracy if trainer is not None else math.nan,
            prepared=pool.done,
            now=current,
            shown=shown,
            exact=replay is None or replay.exact,
            epoch=1 if not per_epoch else min(current.step // per_epoch + 1, request.recipe.epochs),
            steps_an_epoch=per_epoch,
            speed=self._step_rate.value if self._state == "running" else 0.0,
            branches=() if history is None else history.branches(),
            origins=tuple(self._data.origins),
            frames=frames_of(history, current.branch if request.look is None else request.look.branch),
            good=self._restart_point(),
            judgement=self._evaluations.at(shown, self._state == "running"),
            examples=pool.training if pool.done >= 1 else None,
            held_out=shown_pool.held_out if shown_pool.done >= 1 else None,
            batch=trainer.last_batch if trainer is not None else np.zeros(0, np.int64),
            gradients=self._latest_gradients.gradients(trainer),
            dissection=None if jobs is None or trainer is None or request.inspection is None else jobs.dissection,
            statistics=None if jobs is None else jobs.statistics,
            kept=self.kept(at_once=self._state not in ("preparing", "running")),
        )

    def kept(self, *, at_once: bool) -> KeptRun | None:
        """The run to save for another session.

        at_once: the current state, otherwise possibly one some seconds old.
        """
        request, history, trainer = self._request, self._history, self._trainer
        if request is None or history is None or trainer is None:
            return self._restored if self._save_throttle.last is None else self._save_throttle.last
        current = Moment(self._branch, trainer.made)
        origins, network = self._data.origins, request.subject.network
        return self._save_throttle.kept(
            request.number, network, history, origins, current, trainer.checkpoint, at_once=at_once
        )

    def _restart_point(self) -> Moment | None:
        """The last stable point after divergence, the best one after early stopping."""
        stopped_early = self._state == "ended" and self._trainer is not None and self._trainer.ended == "patience"
        if self._history is None or self._request is None or not (stopped_early or self._state == "diverged"):
            return None
        branch = self._history.branches()[self._branch]
        return best(branch) if stopped_early else last_good(branch, len(self._request.subject.network.classes))

    # -- branches ----------------------------------------------------------------------------------------------

    def _start(self, request: Goal, before: Goal | None) -> None:
        """Prepare a new branch. Raises ValueError if the network has other classes than the generated drawings."""
        self._message, self._slices, self._trainer, self._origin_replay = "", None, None, None
        self._cursor.forget()
        network = request.subject.network
        if before is None or network != before.subject.network or request.kept is not self._restored:
            self._history, self._branch, self._data.origins, self._restored = None, -1, [], request.kept
            self._jobs = None
            self._evaluations.clear()
            self._save_throttle.forget()
            if request.kept is not None:
                self._restore(request.kept)
        if network.classes != CLASSES:
            raise ValueError(
                f"{request.subject.name} tells {' and '.join(network.classes)} apart, but the drawings made here "
                f"are {' and '.join(CLASSES)}; train it on its own pictures with xo train --data."
            )
        self._state = "preparing"
        if not isinstance(request.origin, Moment):
            self._data.need()

    def _restore(self, saved: KeptRun) -> None:
        self._history = History.taken_up(saved.lines, saved.spacing, self._budget)
        self._branch, self._data.origins = saved.now.branch, list(saved.origins)

    def _rename_branches(self) -> None:
        if self._request is not None and self._history is not None:
            for number, name in self._request.names.items():
                self._history.rename(number, name)

    def _prepare(self) -> None:
        """Generate examples, also those of the parent branch; when all are complete, begin the branch."""
        request, history = self._request, self._history
        assert request is not None
        parent = None
        if isinstance(request.origin, Moment) and history is not None:
            parent = history.nearest(request.origin)[0].branch
        if self._data.grow(parent) and self._advance_to_origin():
            self._begin_branch()
            self._state = "running" if self._step_is_wanted() else "paused"

    def _advance_to_origin(self) -> bool:
        """Replay one slice towards the point to continue from; True once it is reached."""
        origin = None if self._request is None else self._request.origin
        if not isinstance(origin, Moment) or self._history is None:
            return True
        if self._origin_replay is None or self._origin_replay.wished != origin:
            self._origin_replay = self._data.replay(self._history, origin)
        if not self._origin_replay.exact:
            self._origin_replay.advance()
        return self._origin_replay.exact

    def _begin_branch(self) -> None:
        """Add a branch to the history and create its trainer."""
        request = self._request
        assert request is not None
        if request.origin == "kept" and request.kept is not None:
            self._resume(request, request.kept)
            return
        parent, replay, self._origin_replay = None, self._origin_replay, None
        model = request.subject if request.origin == "weights" else None
        if replay is not None:
            parent = replay.wished
            self._trainer = self._data.trainer(request.recipe, replay.checkpoint)
        else:
            self._trainer = self._data.trainer(request.recipe, values=None if model is None else model.parameters)
        self._create_jobs(request)
        start = self._trainer.checkpoint()
        if self._history is None:
            self._history = History(frame_bytes(start), self._budget)
        # Where the recipe differs from the parent's, the first step marks the change.
        recipe = request.recipe if parent is None else self._history.recipe_at(parent)[0]
        self._branch = self._history.begin(request.name, recipe, start.steps, start, parent)
        self._data.origins.append(Origin(request.lesson, None if model is None else model.name))

    def _resume(self, request: Goal, saved: KeptRun) -> None:
        """Continue the branch of an earlier session."""
        assert self._history is not None
        recipe, _ = self._history.recipe_at(saved.now)
        self._branch, self._trainer = saved.now.branch, self._data.trainer(recipe, saved.standing)
        self._create_jobs(request)
        if request.recipe != recipe:
            self._change_recipe(request)

    def _create_jobs(self, request: Goal) -> None:
        data, network = self._data, request.subject.network
        self._jobs = Onlookers(network, data.wished.training, data.backend, self._jobs)

    def _change_recipe(self, request: Goal) -> None:
        """Continue with another recipe, which the next step marks; a diverged or failed run stays so."""
        if self._trainer is None or self._state in ("diverged", "failed"):
            return
        self._trainer, self._slices = self._data.trainer(request.recipe, self._trainer.checkpoint()), None
        if self._trainer.ended is not None:
            self._state, self._message = "ended", ENDS[self._trainer.ended]
        elif self._state == "ended":
            self._state, self._message = "paused", ""

    # -- steps -------------------------------------------------------------------------------------------------

    def _step_is_wanted(self) -> bool:
        request, made = self._request, self._trainer.made if self._trainer is not None else 0
        return request is not None and request.running and (request.until is None or made < request.until)

    def _should_run(self) -> bool:
        """Whether a step is to be made, or the evaluation that belongs to an epoch's last step."""
        return self._step_is_wanted() or (self._trainer is not None and self._trainer.judging)

    def _train(self) -> None:
        """One slice of a step."""
        trainer, history = self._trainer, self._history
        assert trainer is not None
        assert history is not None
        if self._slices is None:
            self._slices = trainer.pieces()
        try:
            event = next(self._slices, None)
        except TrainingError as error:
            history.pin(Moment(self._branch, trainer.made), trainer.checkpoint())
            self._state, self._message, self._slices = "diverged", str(error), None
            return
        self._within_step = event is None
        if isinstance(event, Step):
            self._record_step(event)
        elif isinstance(event, Judged):
            metrics = event.judgement.score
            history.judge(self._branch, event.number, metrics.loss, metrics.accuracy)
            point = Moment(self._branch, event.number)
            self._evaluations.remember(point, event.judgement)
            if self._jobs is not None:
                self._jobs.epoch_over(point, trainer.parameters(), SLICE)
        if trainer.ended is not None:
            self._state, self._message, self._slices = "ended", ENDS[trainer.ended], None
        elif not self._should_run():
            self._state = "paused"

    def _record_step(self, step: Step) -> None:
        trainer, history, request = self._trainer, self._history, self._request
        assert trainer is not None
        assert history is not None
        assert request is not None
        before = history.recipe_at(Moment(self._branch, step.number - 1))[0]
        if before != trainer.recipe:
            text = ", ".join(changes(before, trainer.recipe))
            history.change(self._branch, step.number - 1, trainer.recipe, text)
        history.record(self._branch, step.number, step.loss, step.rate, trainer.checkpoint)
        self._step_rate.count()
        if request.pace is not None:
            self._next_step_at = max(self._next_step_at, perf_counter()) + 1 / request.pace

    # -- replay ------------------------------------------------------------------------------------------------

    def _replay_is_due(self) -> bool:
        look = None if self._request is None else self._request.look
        return look is not None and self._history is not None and self._cursor.due(look)

    def _advance_replay(self, deadline: float) -> None:
        assert self._request is not None
        assert self._request.look is not None
        assert self._history is not None
        self._cursor.advance(self._history, self._request.look, deadline)

    # -- evaluation --------------------------------------------------------------------------------------------

    def _idle_point(self) -> Moment | None:
        """The point shown while its parameters do not change, None otherwise."""
        if self._trainer is None or self._state in ("preparing", "running"):
            return None
        if self._request is None or self._request.look is None:
            return Moment(self._branch, self._trainer.made)
        replay = self._cursor.replay
        return replay.at if replay is not None and replay.exact else None

    def _evaluation_is_due(self) -> bool:
        point = self._idle_point()
        return point is not None and point not in self._evaluations

    def _evaluate(self) -> None:
        """One slice of the evaluation of the parameters shown on the held-out examples."""
        point, request = self._idle_point(), self._request
        assert point is not None
        assert request is not None
        pool = self._data.of(point.branch)
        if pool.done < 1:
            pool.grow()
            return
        network, backend = request.subject.network, self._data.backend
        self._evaluations.advance(point, network, backend, pool.held_out, self.parameters, SLICE)

    # -- jobs --------------------------------------------------------------------------------------------------

    def _status(self) -> Standing | None:
        if self._request is None or self._trainer is None:
            return None
        current = Moment(self._branch, self._trainer.made)
        return Standing(self._request, self._state, current, self._cursor.replay, self._within_step)

    def _jobs_are_due(self) -> bool:
        status = self._status()
        return status is not None and self._jobs is not None and self._jobs.due(status)

    def _advance_jobs(self) -> None:
        status = self._status()
        assert status is not None
        assert self._trainer is not None
        assert self._history is not None
        assert self._jobs is not None
        context = Sources(self._trainer, self.parameters, self._history, self._data.of, self._data.replay)
        self._next_step_at = max(self._next_step_at, self._jobs.advance(status, context))


class Lessons:
    """The examples of all branches, and the trainers on them.

    backend: of new trainers; replaced when the device is lost. origins: of every branch, by number.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.origins = backend, list[Origin]()
        self._pools = Pools()
        self._network: Network | None = None
        self._current: Lesson | None = None

    def wish(self, network: Network, data: Lesson) -> None:
        """Set the network, and the training data of the current or next branch."""
        self._network, self._current = network, data

    def need(self) -> None:
        """Keep the examples of the current branch only."""
        assert self._current is not None
        self._pools.need(self._current)

    @property
    def wished(self) -> Pool:
        """The examples of the current branch, which may not be complete yet."""
        assert self._current is not None
        return self._pools.of(self._current)

    def of(self, branch: int) -> Pool:
        """The examples of a branch; those of the current one if it does not exist yet."""
        known = 0 <= branch < len(self.origins)
        return self._pools.of(self.origins[branch].lesson) if known else self.wished

    def grow(self, parent: int | None) -> bool:
        """Generate examples of the current branch, then of its parent; True once all are complete."""
        for pool in [self.wished] if parent is None else [self.wished, self.of(parent)]:
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
        """A trainer on the given training data, by default that of the current branch.

        The optimizer state of the checkpoint is dropped if it belongs to another optimizer.
        """
        assert self._network is not None
        if checkpoint is not None:
            checkpoint = fitting(checkpoint, recipe)
        pool = self.wished if lesson is None else self._pools.of(lesson)
        source, held_out = Fixed(pool.training), pool.held_out
        return Trainer(self._network, source, recipe, self.backend, values, held_out, checkpoint, slice=SLICE)

    def replay(self, history: History, target: Moment, before: Moment | None = None) -> Replay:
        """The Replay to a point, on the examples of its branch."""
        assert self._current is not None
        data = self.origins[history.nearest(before or target)[0].branch].lesson
        self._pools.need(self._current, data)
        return Replay(history, target, partial(self.trainer, lesson=data), before)


class Speed:
    """Steps per second, over about the last half second."""

    def __init__(self) -> None:
        self._since, self._count, self.value = perf_counter(), 0, 0.0

    def count(self) -> None:
        """Count one step."""
        self._count += 1
        passed = perf_counter() - self._since
        if passed > 0.5:
            self.value, self._since, self._count = self._count / passed, perf_counter(), 0


class Lately:
    """The gradients copied to the host last; none before the first copy."""

    def __init__(self) -> None:
        self._gradients: Values = {}
        self._copied_at = 0.0

    def gradients(self, trainer: Trainer | None) -> Values:
        """Gradients of a recent step by parameter name, copied anew every GRADIENT_COPY_INTERVAL seconds."""
        now = perf_counter()
        if trainer is not None and now - self._copied_at > EVERY:
            self._gradients, self._copied_at = trainer.gradients(), now
        return self._gradients


def frames_of(history: History | None, branch: int) -> tuple[Frame, ...]:
    """At most MAX_TIMELINE_KEYFRAMES keyframes of a branch and its ancestors, evenly spread over the steps, the
    first and the last included; none without such a branch."""
    if history is None or branch < 0:
        return ()
    stored = _keyframe_steps(history, branch)
    targets = np.linspace(stored[0], stored[-1], min(FRAMES, len(stored)))
    steps = sorted({_nearest(stored, target) for target in targets.tolist()})
    # A point before the branch's start is named as one of this branch, the one shown.
    points = [Moment(branch, step) for step in steps]
    return tuple(Frame(point, history.nearest(point)[1].parameters) for point in points)


def _keyframe_steps(history: History, number: int) -> list[int]:
    """The steps of all keyframes of a branch and its ancestors, in order."""
    branches = history.branches()
    branch, steps = branches[number], list(branches[number].keyframes)
    while branch.parent is not None:
        start, branch = branch.parent.step, branches[branch.parent.branch]
        steps = [*(step for step in branch.keyframes if step < start), *(step for step in steps if step >= start)]
    return steps


def _nearest(steps: list[int], target: float) -> int:
    """The step nearest to the target, the earlier of two."""
    index = bisect_left(steps, target)
    around = steps[max(0, index - 1) : index + 1]
    return min(around, key=lambda step: abs(step - target))
