"""As command: the `xo train` that makes the weights on the screen again, and what it does not hold. It runs
nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QCoreApplication

from engine.cli.train_options import words_of
from engine.data.pool import Lesson
from engine.data.xo.generator import CLASSES
from engine.documents.presets import PRESETS
from engine.nn.model import Moment, Subject
from engine.runtime.training_protocol import Training
from engine.training.history import Branch, Origin, ancestry, lineage
from engine.training.recipe import Recipe, changes, endless
from xo_gui.state.commands import Intent


@dataclass(frozen=True)
class Told:
    """command: one line for a shell. step: after how many steps it has the weights on the screen, None where it
    makes the whole run. lacks: what it does not hold, each in a few words."""

    command: str
    step: int | None
    lacks: tuple[str, ...]


def of_a_start(subject: Subject, intent: Intent, lesson: Lesson, device: str) -> Told:
    """The run that Train would begin. Raises ValueError if `xo train` has no words for it."""
    return _told(subject, intent.recipe, Origin(lesson, None), None, [], device)


def of_a_run(subject: Subject, intent: Intent, training: Training, device: str) -> Told:
    """The run that made what is on the screen, up to there; while it goes on, all of it. Raises ValueError if
    `xo train` has no words for it."""
    at = intent.look or training.now
    way, recipes = ancestry(training.branches, at), lineage(training.branches, at)
    changed = [*_changed_recipes(recipes), *_changed_lessons(training.branches, training.origins, way)]
    step = None if intent.running or not at.step else at.step
    return _told(subject, recipes[0][1], training.origins[way[0].branch], step, changed, device)


def _check(subject: Subject) -> None:
    """Raises ValueError for a network that learns from other pictures than drawings."""
    if subject.network.classes != CLASSES:
        said = _tr("{0} tells {1} apart, which no drawing here is: give xo train its own pictures with --data.")
        raise ValueError(said.format(subject.name, _tr(" and ").join(subject.network.classes)))


def _told(
    subject: Subject, recipe: Recipe, origin: Origin, step: int | None, changed: Sequence[str], device: str
) -> Told:
    if step is not None:  # to the very step, whatever would have ended it
        recipe = replace(endless(recipe), steps=step)
    _check(subject)
    data = origin.lesson.data
    recipe = replace(recipe, data=data.drawing, examples=data.count, held_out=data.held_out, fresh=False)
    recipe = replace(recipe, data_seed=None if data.seed == recipe.seed else data.seed)
    start, missing = _start(subject, origin)
    words = ["xo", "train", *words_of(recipe, start), "--device", device, "--out", "trained.safetensors"]
    lacks = [*missing, *changed]
    if own := origin.lesson.count - data.count:
        lacks.insert(0, _tr("your own drawings ({0} of the examples)").format(own))
    return Told(shlex.join(words), step, tuple(lacks))


def _start(subject: Subject, origin: Origin) -> tuple[list[str], list[str]]:
    """What the command begins with, and what it needs for it that is not in it."""
    presets = [name for name, known in PRESETS.items() if known.recipe and known.network == subject.network]
    if presets and origin.given is None:
        return ["--preset", presets[0]], []
    file = f"{origin.given or subject.name}.safetensors"
    if origin.given is None:
        lack = _tr("the network, which it reads from {0}: save it there first").format(file)
        return ["--model", file, "--from-scratch"], [lack]
    return ["--model", file], [_tr("the weights training began with, which it reads from {0}").format(file)]


def _changed_recipes(recipes: Sequence[tuple[int, Recipe]]) -> list[str]:
    """What else was learnt by on the way; when it was to end made no difference to the weights."""
    found, (_, before) = [], recipes[0]
    for step, recipe in recipes[1:]:
        if words := ", ".join(changes(endless(before), endless(recipe))):
            found.append(_tr("the change at step {0}: {1}").format(step, words))
        before = recipe
    return found


def _changed_lessons(branches: Sequence[Branch], origins: Sequence[Origin], way: Sequence[Moment]) -> list[str]:
    """Where other examples were learnt from on the way."""
    found, before = [], origins[way[0].branch].lesson
    for at in way[1:]:
        lesson = origins[at.branch].lesson
        if lesson != before:
            found.append(_tr("the other examples from step {0} on").format(branches[at.branch].start))
        before = lesson
    return found


def _tr(text: str) -> str:
    return QCoreApplication.translate("AsCommand", text)
