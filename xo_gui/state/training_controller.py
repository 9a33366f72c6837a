"""TrainingControl: turns what the person wishes of training into one Goal for the engine, and makes what training
came to the Document's. It trains nothing and shows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import count
from typing import Literal
from weakref import WeakSet

from PySide6.QtCore import QCoreApplication, QObject, Signal

from engine.data.pool import Lesson, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.documents.presets import PRESETS
from engine.documents.project_file import Work
from engine.explain.step_trace import Inspection
from engine.nn.model import Moment, Subject
from engine.nn.network import Network
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Goal, Training
from engine.training.history import KeptRun
from engine.training.optimizers import AdamW
from engine.training.recipe import Cosine, Recipe
from xo_gui.state.as_command import Told, of_a_run, of_a_start
from xo_gui.state.commands import (
    DataLook,
    Inspect,
    Intent,
    LearnBy,
    LearnFrom,
    LearnOn,
    Look,
    LookAtData,
    LookInside,
    OneEpoch,
    OneStep,
    Pace,
    Pause,
    Rename,
    ShowBranch,
    StartOver,
    Train,
    TrainOn,
    Wish,
)
from xo_gui.state.session import Session


def ending(training: Training) -> str:
    """One sentence, or "" if no stop condition ended the run."""
    recipe = training.answers.recipe
    match training.ended:
        case "epochs":
            said = _tr("Epoch {0} of {0} is done: give it more epochs to go on.").format(recipe.epochs)
        case "steps":
            said = _tr("Step {0} was to be the last: raise the limit or take it away to go on.")
            said = said.format(recipe.steps)
        case "target":
            said = _tr("It reads {0} % of what is held out rightly: raise the target or take it away to go on.")
            said = said.format(f"{100 * training.accuracy:.4g}")
        case "patience":
            said = _tr("No lower error in the last {0} epochs: raise the patience or take it away to go on.")
            if recipe.patience == 1:
                said = _tr("No lower error in the last epoch: raise the patience or take it away to go on.")
            said = said.format(recipe.patience)
        case "seconds":
            said = _tr("The {0} s of training are up: give it more time or take the limit away to go on.")
            said = said.format(f"{recipe.seconds:g}")
        case None:
            said = ""
    return said


def _tr(text: str) -> str:
    return QCoreApplication.translate("Endings", text)


class BranchNames:
    """By the branch's number: the names the person gave, and the branches that are not drawn."""

    def __init__(self) -> None:
        self._given: dict[int, str] = {}
        self._hidden: set[int] = set()
        self._taken: tuple[str, ...] = ()

    @property
    def given(self) -> dict[int, str]:
        """The names the person gave, as they are now."""
        return dict(self._given)

    @property
    def hidden(self) -> frozenset[int]:
        """The branches that are not drawn."""
        return frozenset(self._hidden)

    def call(self, branch: int, name: str) -> None:
        """The person calls a branch so."""
        self._given[branch] = name

    def show(self, branch: int, shown: bool) -> None:
        """Draw a branch, or do not."""
        (self._hidden.discard if shown else self._hidden.add)(branch)

    def take(self, names: Iterable[str]) -> None:
        """These are the names of all branches that there are."""
        self._taken = tuple(names)

    def begin_anew(self, given: Mapping[int, str] | None = None, taken: Iterable[str] = ()) -> None:
        """Other branches take the place of all there were."""
        self._given, self._taken = dict(given or {}), tuple(taken)
        self._hidden.clear()

    def not_taken(self, name: str, numbered: str) -> str:
        """The name, or if a branch has it already, numbered: "{0} ({1})", the name and the first free number."""
        number, wished = 2, name
        while wished in self._taken:
            wished, number = numbered.format(name, number), number + 1
        return wished


# What a network is trained by in the window: soon good, and long enough to watch.
WATCHED = Recipe(AdamW(0.008, decay=0.02), Cosine(0.05), epochs=20)


@lru_cache(maxsize=8)
def usual_data(network: Network, seed: int) -> PoolSettings:
    """The drawings that a network learns from: its preset's, if it is one's."""
    known = next((p.recipe for p in PRESETS.values() if p.recipe and p.network == network), WATCHED)
    return PoolSettings(replace(known.data, side=network.input_shape[1]), seed=seed)


_STANDING = ("paused", "ended", "diverged", "failed")


class TrainingControl(QObject):
    """Owner of the Goal, which is None until training is first asked for.

    changed: the goal or the intent is another, so the engine should be asked and the Views told. said(text): why a
    wish was not done.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._numbers = count(1)
        self._recipe, self._data = WATCHED, PoolSettings(WATCHED.data)
        self.looked: DataLook = ""
        self._pace: float | None = None
        self._inside = False
        self._names = BranchNames()
        self._inspection: Inspection | None = None
        self.goal: Goal | None = None
        self.training: Training | None = None
        self._mine: Subject | None = None
        # Subjects whose moments are places in the history that the engine has, and the last goal in it: undo may
        # come back to them from another network.
        self._ours: WeakSet[Subject] = WeakSet()
        self._seen = session.document.subjects[0]
        self._last: Goal | None = None
        # The history of an earlier session, and what the engine last gave to be kept of training.
        self._kept: KeptRun | None = None
        self._latest: KeptRun | None = None
        self._standing = True
        self._take_up(self._seen)
        session.changed.connect(self._document_changed)

    # -- what it stands for ------------------------------------------------------------------------------------

    @property
    def intent(self) -> Intent:
        """What training is told to do now."""
        goal = self.goal
        if goal is None:
            return Intent(self._recipe, self._data, self._pace, usual=self._usual)
        running, look, hidden = goal.running, goal.look, self._names.hidden
        lesson, live = goal.lesson, self.live
        return Intent(self._recipe, self._data, self._pace, running, look, self._usual, lesson, live, hidden)

    @property
    def live(self) -> bool:
        """Whether the drawing is read by training's parameters rather than the Document's."""
        return self.goal is not None and self._session.document.subjects[0] is self._mine

    @property
    def stands(self) -> bool:
        """Whether what training came to is the Document's."""
        return self._standing

    def answered(self, training: Training) -> bool:
        """Whether this came of the goal there is now, and has begun a branch."""
        return self.goal is not None and training.goal == self.goal.number and training.shown.branch >= 0

    def know(self, subject: Subject) -> None:
        """`subject` is a moment of the history that the engine has: where it is the first, one stands there."""
        self._ours.add(subject)

    @property
    def sampled(self) -> XOSettings | None:
        """The generator's settings that somebody looks at."""
        return self._data.drawing if self.looked == "samples" else None

    # -- what the engine says ----------------------------------------------------------------------------------

    def hear(self, snapshot: Snapshot) -> None:
        """Take in how training stands; when it has come to stand, its weights become the Document's, as one
        undo."""
        training = snapshot.training
        if training is None or self.goal is None or training.goal != self.goal.number:
            return
        self.training = training
        self._names.take(branch.name for branch in training.branches)
        self._latest = training.kept or self._latest
        if training.answers is not self.goal:
            return  # it stood still, or ran, before it heard the latest
        if training.state not in _STANDING:
            return
        mine = self._mine
        if self._standing or not snapshot.readings or mine is None or not self.live:
            return
        subject = snapshot.readings[0].subject
        if training.shown == training.now and subject is not mine:
            self._standing = True
            if training.state == "diverged":
                self.said.emit(training.words)
            new = mine not in self._ours or mine.moment != training.now  # or it ended at once
            if new:
                self._adopt(subject, training)
        if self.goal.running:
            self._set(replace(self.goal, running=False))

    def _adopt(self, subject: Subject, training: Training) -> None:
        self._mine = replace(subject, moment=training.now, origin={})
        self._seen = self._mine
        self._ours.add(self._mine)
        self._session.replace_subject(self._mine, self.tr("training to step {0}").format(training.now.step))

    def _document_changed(self) -> None:
        """Another network was chosen, or training undone: what runs stands still first."""
        subject = self._session.document.subjects[0]
        if subject is self._seen:
            return
        self._seen, self._standing = subject, True
        if subject in self._ours:
            self._come_back(subject)
        elif subject.network != self._network:
            self._take_up(subject)
        elif self.goal is not None:
            if subject is self._mine:
                self._mine = None  # what the run has come to from it never was the Document's
            self._set(replace(self.goal, running=False, look=None))

    def _come_back(self, subject: Subject) -> None:
        """A moment of the history is the Document's again: stand there."""
        self._mine, self._network, goal = subject, subject.network, self.goal or self._last
        if goal is None:
            return
        if self.goal is None:  # another network was here meanwhile
            self._recipe, self._data = goal.recipe, goal.data
        self._set(replace(goal, running=False, look=subject.moment, inspection=self._inspection))

    def _take_up(self, subject: Subject) -> None:
        """Another network: nothing has been asked for yet. Its preset says which examples it reads."""
        self._recipe = replace(self._recipe, frozen=())  # another network has other layers
        self.goal, self.training, self._mine, self._network = None, None, subject, subject.network
        self._data = replace(self._data, drawing=self._usual.drawing)
        self.changed.emit()

    # -- what the person says ----------------------------------------------------------------------------------

    def wish(self, wish: Wish) -> None:
        """Do what is wished for, as far as it makes sense now."""
        goal = self.goal
        match wish:
            case Train():
                self._train(None)
            case Pause() if goal is not None and goal.running:
                self._set(replace(goal, running=False))
            case OneStep():
                self._train(self._made + 1)
            case OneEpoch():
                per_epoch = -(-self._lesson.count // self._recipe.batch)
                self._train((self._made // per_epoch + 1) * per_epoch)
            case StartOver(seed):
                if seed is not None:
                    self._recipe = replace(self._recipe, seed=seed)
                    self._data = replace(self._data, seed=seed)
                self._begin("fresh", self._start_name, 0)
            case TrainOn():
                name = self.tr("from {0}").format(self._session.document.subjects[0].name)
                self._begin("weights", name, None)
            case Look(moment) if goal is not None and goal.look != moment:
                self._set(replace(goal, look=moment))
            case LearnBy(recipe):
                self._learn_by(recipe)
            case LearnFrom(data):
                self._data = data
                self._set(goal)
            case LookAtData(what) if what != self.looked:
                self.looked = what
                self._set(goal)
            case LearnOn():
                self._learn_on()
            case Pace(steps):
                self._pace = steps
                self._set(goal and replace(goal, pace=steps))
            case LookInside(on) if on != self._inside:
                self._inside = on
                self._set(goal and replace(goal, inside=on))
            case Inspect(inspection) if inspection != self._inspection:
                self._inspection = inspection
                self._set(goal and replace(goal, inspection=inspection))
            case ShowBranch(branch, shown):
                self._names.show(branch, shown)
                self.changed.emit()
            case Rename(branch, name) if goal is not None and name.strip():
                self._names.call(branch, name.strip())
                self._set(replace(goal, names=self._names.given))

    def _train(self, until: int | None) -> None:
        """Go on from where the person stands in the history, or start afresh if that is nowhere yet."""
        goal, training = self.goal, self.training
        if goal is None or not self.live:
            self._begin("fresh", self._start_name, until)
        elif training is None:  # nothing has come of it yet
            if goal.look is not None:
                self._branch(goal.look, until)
            else:
                self._standing = False
                self._set(replace(goal, running=True, until=until))
        elif goal.look is None and training.ended is not None and training.answers.recipe == goal.recipe:
            self.said.emit(ending(training))  # only another recipe lets it go on
        elif training.state in ("diverged", "failed"):
            self._branch(goal.look or training.good or training.now, until)
        elif goal.look is not None and goal.look != training.now:
            self._branch(goal.look, until)
        else:
            self._standing = False
            self._set(replace(goal, running=True, until=until, look=None))

    def _learn_by(self, recipe: Recipe) -> None:
        """Another recipe from now on; one that this network cannot learn by changes nothing."""
        try:
            self._network.places(recipe.frozen)
        except ValueError as error:
            self.said.emit(str(error))
            self.changed.emit()  # what shows another recipe than this shows it again
            return
        self._recipe = recipe
        self._set(self.goal and replace(self.goal, recipe=recipe))

    def told(self, device: str) -> Told:
        """The command that makes what is on the screen. Raises ValueError if there is none."""
        subject, training = self._session.document.subjects[0], self.training
        if self.live and training is not None and training.branches and training.now.branch >= 0:
            return of_a_run(subject, self.intent, training, device)
        return of_a_start(subject, self.intent, self._lesson, device)

    def _learn_on(self) -> None:
        """A branch on other examples from where the person stands; afresh if that is nowhere yet."""
        goal, training = self.goal, self.training
        if goal is None or not self.live:
            self._begin("fresh", self._start_name, None)
        elif goal.origin != "kept" and (training is None or not training.branches):
            self._begin(goal.origin, goal.name, None)
        elif training is None:
            self._branch(self._stands_at(goal), None)
        else:
            last = training.good if training.state == "diverged" else None
            self._branch(goal.look or last or training.now, None)

    def _branch(self, at: Moment, until: int | None) -> None:
        self._begin(at, self.tr("from step {0}").format(at.step), until)

    def _begin(self, origin: Literal["fresh", "weights"] | Moment, name: str, until: int | None) -> None:
        """Wish for a branch."""
        self._standing, self._mine = False, self._session.document.subjects[0]
        if self._last is not None and self._last.subject.network != self._mine.network:
            self._ours.clear()
            self._names.begin_anew()
            self._latest = self._history
        self.training = None
        recipe, data, number = self._recipe, self._data, next(self._numbers)
        own = self._session.document.own
        name = self._names.not_taken(name, self.tr("{0} ({1})"))
        goal = Goal(number, self._mine, origin, name, recipe, data, own, True, until, self._pace)
        goal = replace(goal, kept=self._history, names=self._names.given)
        self._set(replace(goal, inside=self._inside, inspection=self._inspection))

    @property
    def _history(self) -> KeptRun | None:
        """The history of an earlier session that this network's training goes on in."""
        kept, mine = self._kept, self._mine
        return kept if kept is not None and mine is not None and kept.network == mine.network else None

    # -- from one session to the next --------------------------------------------------------------------------

    @property
    def kept(self) -> KeptRun | None:
        """What the engine last gave to be kept of training."""
        return None if self.goal is None else self._latest

    def work(self, latest: KeptRun | None = None) -> Work:
        """All that one would want back of the session as it stands. What training has come to is in the Document
        before it stands still. latest: the run as it is, where that is known better."""
        goal, document = self.goal, self._session.settled
        run = self.kept if latest is None or goal is None else latest
        subject = document.subjects[0]
        if run is not None and run.network != subject.network:
            run = None
        live = run is not None and self.live and (subject.moment is None or subject.moment in run)
        if run is not None and goal is not None and live and not self._standing and run.goal == goal.number:
            subject = replace(subject, parameters=run.standing.parameters, moment=run.now, origin={})
            document = replace(document, subjects=(subject, *document.subjects[1:]))
        if any(other.moment is not None and other not in self._ours for other in document.subjects[1:]):
            # It is of a history that is gone; the one that is kept has another moment at that place.
            others = tuple(replace(other, moment=None) for other in document.subjects[1:])
            document = replace(document, subjects=(document.subjects[0], *others))
        look = goal.look if goal is not None and live else None
        if look is not None and run is not None and look not in run:
            look = None
        running = goal is not None and goal.running
        names = self._names.given
        return Work(document, self._recipe, self._data, run, self._pace, look, names, live, running=running)

    def restore(self, work: Work) -> None:
        """Go on with the work of an earlier session, as one undo."""
        subject, run = work.document.subjects[0], work.run
        self._recipe, self._data, self._pace = work.recipe, work.data, work.pace
        self._names.begin_anew(work.names, () if run is None else [line.branch.name for line in run.lines])
        self._ours.clear()
        self._seen, self._network, self.training, self._standing = subject, subject.network, None, True
        self._mine, self._kept, self._latest, self._last, goal = subject, run, run, None, None
        if run is not None:
            lesson, branch = run.origins[run.now.branch].lesson, run.lines[run.now.branch].branch
            # Its seed belongs to a branch; another start may have been wished for that never came.
            self._recipe = replace(work.recipe, seed=branch.recipes[-1][1].seed)
            number = next(self._numbers)
            goal = Goal(number, subject, "kept", branch.name, self._recipe, lesson.data, lesson.own)
            goal = replace(goal, pace=work.pace, look=work.look, inside=self._inside, kept=run, names=work.names)
            goal = replace(goal, inspection=self._inspection)
            for other in work.document.subjects[1:]:
                if other.network == run.network and other.moment is not None and other.moment in run:
                    self._ours.add(other)
            if work.live:
                self._ours.add(subject)
            else:
                self._mine = None
        self._session.edit(work.document, self.tr("restoring a session"))
        self._set(goal)

    @property
    def _lesson(self) -> Lesson:
        """What is learnt from: by the branch under way, or else by the next one."""
        if self.goal is not None and self.live:
            return self.goal.lesson
        return Lesson(self._data, self._session.document.own)

    @property
    def _usual(self) -> PoolSettings:
        """What this network learns from if nobody wishes for anything else."""
        return usual_data(self._network, self._data.seed)

    @property
    def _made(self) -> int:
        goal, training = self.goal, self.training
        if goal is None:
            return 0
        if goal.look is not None:
            return goal.look.step
        if training is not None:
            return training.now.step
        if goal.kept is not None and goal.origin == "kept":
            return goal.kept.now.step
        return goal.origin.step if isinstance(goal.origin, Moment) else 0

    @staticmethod
    def _stands_at(goal: Goal) -> Moment:
        """Where an earlier session stood, or looked at."""
        assert goal.kept is not None
        return goal.look or goal.kept.now

    @property
    def _start_name(self) -> str:
        return self.tr("start {0}").format(self._recipe.seed)

    def _set(self, goal: Goal | None) -> None:
        self.goal, self._last = goal, goal or self._last
        self.changed.emit()
