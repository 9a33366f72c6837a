"""TrainingControl: what the person wants training to do, as one Goal. It trains nothing and shows nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from PySide6.QtCore import QObject, Signal

from engine.datasets.examples import Examples
from engine.datasets.pool import PoolSettings
from engine.document import Subject
from engine.goal import Goal, Training
from engine.history import Moment
from engine.optimizers import AdamW
from engine.presets import PRESETS
from engine.recipe import Recipe
from engine.schedules import Cosine

# What a network is trained by in the window unless its preset says otherwise: soon good, and long enough to watch.
WATCHED = Recipe(AdamW(0.003, decay=0.02), Cosine(0.05), epochs=60)


class TrainingControl(QObject):
    """Owner of the Goal. `goal` is None until the person first asks for training.

    changed: the goal is another; the window asks the engine again. settled(training): training has come to stand,
    and its parameters can become the Document's.
    """

    changed = Signal()
    settled = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.goal: Goal | None = None
        self.training: Training | None = None
        self.recipe = WATCHED
        self.data = PoolSettings(WATCHED.data)
        self._own: Examples | None = None
        self._numbers = count(1)
        self._standing = True

    # -- what the engine says ----------------------------------------------------------------------------------

    def hear(self, training: Training | None) -> None:
        """Take in how training stands."""
        if training is None or self.goal is None or training.goal != self.goal.number:
            return
        self.training = training
        standing = training.state in ("paused", "ended", "diverged", "failed")
        if standing and not self._standing:
            self._standing = True
            if self.goal.running:
                self._set(replace(self.goal, running=False))
            self.settled.emit(training)
        elif not standing:
            self._standing = False

    @property
    def running(self) -> bool:
        """Whether training goes on, as far as the person is concerned."""
        return self.goal is not None and self.goal.running

    # -- what the person says ----------------------------------------------------------------------------------

    def use(self, subject: Subject) -> None:
        """Another network is on the screen: its preset's way of training, and no goal until one is asked for."""
        known = next((p for p in PRESETS.values() if p.network == subject.network and p.recipe), None)
        data = known.recipe.data if known is not None and known.recipe is not None else WATCHED.data
        self.recipe = WATCHED
        self.data = replace(self.data, drawing=replace(data, side=subject.network.input_shape[1]))
        self.goal, self.training, self._standing = None, None, True
        self.changed.emit()

    def run(self, subject: Subject, until: int | None = None) -> None:
        """Train: go on from where the subject stands, or start afresh if it does not stand anywhere yet."""
        goal, training = self.goal, self.training
        if goal is None or training is None:
            self._begin(subject, "fresh", self.tr("start {0}").format(self.recipe.seed), until)
        elif goal.look is not None or training.state in ("diverged", "failed"):
            at = goal.look or training.good or training.now
            self._begin(subject, at, self._branch_name(at), until)
        elif subject.moment is not None and subject.moment != training.now:
            self._begin(subject, subject.moment, self._branch_name(subject.moment), until)
        else:
            self._set(replace(goal, running=True, until=until, recipe=self.recipe))

    def pause(self) -> None:
        """Stand still after the step under way."""
        if self.goal is not None and self.goal.running:
            self._set(replace(self.goal, running=False))

    def step(self, subject: Subject) -> None:
        """One step, then stand still."""
        self.run(subject, self._made + 1)

    def epoch(self, subject: Subject) -> None:
        """To the end of this epoch, then stand still."""
        per_epoch = -(-(self.data.count + (0 if self._own is None else len(self._own))) // self.recipe.batch)
        self.run(subject, (self._made // per_epoch + 1) * per_epoch)

    def reset(self, subject: Subject, seed: int | None = None) -> None:
        """Back to the start, the same or that of another seed, as a branch of its own; nothing is overwritten."""
        if seed is not None:
            self.recipe = replace(self.recipe, seed=seed)
        self._begin(subject, "fresh", self.tr("start {0}").format(self.recipe.seed), 0)

    def continue_weights(self, subject: Subject) -> None:
        """Train on from the weights on the screen, wherever they come from."""
        self._begin(subject, "weights", self.tr("from {0}").format(subject.name), None)

    def look(self, moment: Moment | None) -> None:
        """Look back at a moment; None is now."""
        if self.goal is not None and self.goal.look != moment:
            self._set(replace(self.goal, look=moment))

    def change(self, recipe: Recipe) -> None:
        """Learn by this recipe from now on."""
        self.recipe = recipe
        if self.goal is not None:
            self._set(replace(self.goal, recipe=recipe))

    def set_pace(self, pace: float | None) -> None:
        """So many steps a second at most; None for as fast as it goes."""
        self._pace = pace
        if self.goal is not None:
            self._set(replace(self.goal, pace=pace))

    def set_data(self, data: PoolSettings, own: Examples | None = None) -> None:
        """Learn from these examples the next time training starts."""
        self.data, self._own = data, own

    # ----------------------------------------------------------------------------------------------------------

    _pace: float | None = None

    @property
    def _made(self) -> int:
        if self.goal is None or self.training is None:
            return 0
        return self.goal.look.step if self.goal.look is not None else self.training.now.step

    def _branch_name(self, at: Moment) -> str:
        return self.tr("from step {0}").format(at.step)

    def _begin(self, subject: Subject, origin: object, name: str, until: int | None) -> None:
        """Wish for a branch."""
        self._standing = False
        self._set(
            Goal(
                next(self._numbers),
                subject,
                origin,  # type: ignore[arg-type]
                name,
                self.recipe,
                self.data,
                self._own,
                True,
                until,
                self._pace,
            )
        )

    def _set(self, goal: Goal) -> None:
        self.goal = goal
        self.changed.emit()
