"""Branches in files: a line of training as arrays and plain values: curves, recipes, lesson, keyframes.

Keyframes that remember the same things are stacked, so that a file has few tensors however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np

from engine.checkpoint import Checkpoint
from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Lesson, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.history import Branch, Curves, Line, Mark, Moment
from engine.kept import Origin
from engine.network import Network
from engine.recipe import Recipe, part
from engine.storage.atomic import Damage
from engine.storage.tensors import Json, clause

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_LONGEST_NAME: Final = 200
_MOST_EXAMPLES: Final = 1_000_000
_MEASURED: Final = ("steps", "losses", "rates", "judged", "held_out_losses", "accuracies")
_CURVES: Final = (*_MEASURED, "recalled", "training_accuracies")
_WHOLE: Final = ("steps", "judged", "recalled")
# Of each keyframe, in this order.
_STANDING: Final = ("steps", "seconds", "loss_sum", "judged", "accuracy", "best", "stale")
_Step = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class _Set(msgspec.Struct):
    """Keyframes that remember the same: how many, the names of the optimizer's memory, whether best weights are
    among it."""

    count: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    memory: list[_Text]
    best: bool


class _Line(msgspec.Struct):
    """A branch without its arrays."""

    name: _Text
    parent: tuple[_Step, _Step] | None
    start: _Step
    end: _Step
    marks: list[tuple[_Step, _Text]]
    pinned: list[_Step]
    sets: list[_Set]


def described_branch(line: Line, lesson: Json, given: str | None) -> Json:
    """What the header says of a branch."""
    branch = line.branch
    told = _Line(
        branch.name,
        None if branch.parent is None else (branch.parent.branch, branch.parent.step),
        branch.start,
        branch.end,
        [(mark.step, mark.text) for mark in branch.marks],
        sorted(line.pinned),
        [_Set(len(frames), list(memory), best) for (memory, best), frames in _sets(line)],
    )
    recipes = [[step, recipe.to_json()] for step, recipe in branch.recipes]
    plain: dict[str, Any] = msgspec.to_builtins(told)
    return plain | {"recipes": recipes, "lesson": lesson, "given": given}


def branch_arrays(line: Line) -> dict[str, HostArray | Sequence[HostArray]]:
    """The curves and the stacked keyframes of a branch."""
    curves = line.branch.curves
    found: dict[str, HostArray | Sequence[HostArray]] = {
        name: getattr(curves, name).astype(np.float64) if name in _WHOLE else getattr(curves, name)
        for name in _CURVES
    }
    for place, ((memory, best), frames) in enumerate(_sets(line)):
        prefix = f"set.{place}"
        standing = [[getattr(frame, name) for name in _STANDING] for frame in frames]
        found[f"{prefix}.standing"] = np.array(standing, np.float64)
        for name in frames[0].parameters:
            found[f"{prefix}.parameters.{name}"] = [frame.parameters[name] for frame in frames]
            if best:
                found[f"{prefix}.best.{name}"] = [(frame.best_parameters or {})[name] for frame in frames]
        for name in memory:
            found[f"{prefix}.memory.{name}"] = [frame.memory[name] for frame in frames]
    return found


def _sets(line: Line) -> Iterator[tuple[tuple[tuple[str, ...], bool], list[Checkpoint]]]:
    """Keyframes in order, those that remember the same together."""
    frames = [line.keyframes[step] for step in sorted(line.keyframes)]
    for kind, same in groupby(
        frames, lambda frame: (tuple(sorted(frame.memory)), frame.best_parameters is not None)
    ):
        yield kind, list(same)


def branch_in(number: int, given: Json, arrays: Mapping[str, HostArray], network: Network) -> Line:
    """The branch that was described so. Raises ValueError, to follow "it"."""
    try:
        told = msgspec.convert({name: given.get(name) for name in _Line.__struct_fields__}, _Line)
    except (msgspec.ValidationError, OverflowError) as error:
        raise Damage(f"describes a branch in a form that is not expected ({clause(error)})") from error
    if told.parent is not None and told.parent[1] != told.start:
        raise Damage("has a branch that does not start where it leaves another")
    keyframes = {
        frame.steps: frame
        for place, each in enumerate(told.sets)
        for frame in _frames(place, each, arrays, network)
    }
    if told.start not in keyframes or not all(told.start <= step <= told.end for step in keyframes):
        raise Damage("has a branch that lacks its start, or reaches beyond its end")
    marks = tuple(Mark(step, text) for step, text in told.marks)
    branch = Branch(
        number,
        told.name,
        None if told.parent is None else Moment(*told.parent),
        told.start,
        told.end,
        _curves(told, arrays),
        marks,
        tuple(sorted(keyframes)),
        _recipes(given, told.start, network),
    )
    return Line(branch, keyframes, frozenset(told.pinned) & keyframes.keys())


def _curves(told: _Line, arrays: Mapping[str, HostArray]) -> Curves:
    found = [arrays.get(name) for name in _CURVES]
    steps, losses, rates, judged, held_out, accuracies, recalled, learnt = (
        np.zeros(0) if array is None or array.ndim != 1 else array for array in found
    )
    measured = ((steps, (losses, rates)), (judged, (held_out, accuracies)), (recalled, (learnt,)))
    for places, curves in measured:
        inside = bool(((places >= told.start) & (places <= told.end) & (places == np.floor(places))).all())
        # The same step may be judged twice, where an epoch has become another number of steps.
        if not inside or (np.diff(places) < 0).any() or any(len(curve) != len(places) for curve in curves):
            raise Damage("has curves that do not fit their branch")
    if len(steps) != told.end - told.start or (np.diff(steps) <= 0).any():
        raise Damage("has a branch with more steps, or fewer, than its curve")
    whole = [places.astype(np.int64) for places in (steps, judged, recalled)]
    return Curves(whole[0], losses, rates, whole[1], held_out, accuracies, whole[2], learnt)


def _frames(place: int, told: _Set, arrays: Mapping[str, HostArray], network: Network) -> Iterator[Checkpoint]:
    """The keyframes of a set. Raises ValueError."""
    prefix, count, names = f"set.{place}", told.count, network.parameter_shapes
    standing = arrays.get(f"{prefix}.standing")
    if standing is None or standing.shape != (count, len(_STANDING)):
        raise Damage("says wrongly how many keyframes there are")
    groups = [("parameters", list(names)), ("memory", told.memory), ("best", list(names) if told.best else [])]
    stacks = {group: {name: arrays.get(f"{prefix}.{group}.{name}") for name in each} for group, each in groups}
    for group, values in stacks.items():
        for name, stack in values.items():
            shape = (1,) if (group, name) == ("memory", "count") else names.get(_parameter(group, name))
            if stack is None or shape is None or stack.shape != (count, *shape) or not np.isfinite(stack).all():
                raise Damage(f"has keyframes without a good {group} {name[:80]}")
    for row in range(count):
        taken: dict[str, dict[str, HostArray]] = {
            group: {name: stack[row] for name, stack in values.items() if stack is not None}
            for group, values in stacks.items()
        }
        steps, seconds, loss_sum, judged, accuracy, best, stale = standing[row].tolist()
        if not all(0 <= whole < 2**53 and whole == int(whole) for whole in (steps, judged, stale)) or not (
            0 <= seconds < 1e12
        ):
            raise Damage("has keyframes that stand nowhere")
        yield Checkpoint(
            taken["parameters"], taken["memory"], int(steps), seconds, loss_sum, int(judged), accuracy, best,
            int(stale), taken["best"] or None,
        )  # fmt: skip


def _parameter(group: str, name: str) -> str:
    """Of which parameter a tensor is: the optimizer's vectors are named velocity.01-conv2d.weight."""
    return name.partition(".")[2] if group == "memory" else name


def _recipes(given: Json, start: int, network: Network) -> tuple[tuple[int, Recipe], ...]:
    pairs = given.get("recipes")
    if not isinstance(pairs, list) or not pairs:
        raise Damage("has a branch without a recipe")
    found = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is int):
            raise Damage("has a recipe that begins nowhere")
        recipe = recipe_in(pair[1])
        network.places(recipe.frozen)
        found.append((pair[0], recipe))
    steps = [step for step, _ in found]
    if steps[0] != start or steps != sorted(set(steps)):
        raise Damage("has recipes that do not follow each other")
    return tuple(found)


def recipe_in(given: object) -> Recipe:
    """A recipe that was described by to_json. Raises Damage."""
    if not isinstance(given, dict):
        raise Damage("has no recipe")
    try:
        return Recipe.from_json(given)
    except (ValueError, TypeError) as error:
        raise Damage(f"has a recipe that cannot be: {clause(error)}") from error


def lesson_json(lesson: Lesson, own: Sequence[int]) -> Json:
    """What a lesson is, its drawings as places among all of them."""
    plain: dict[str, Any] = msgspec.to_builtins(lesson.data)
    return {"data": plain, "own": list(own)}


def origin_in(given: Json, own: Sequence[OwnDrawing]) -> Origin:
    """What a branch began with. Raises Damage."""
    name = given.get("given")
    if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_NAME):
        raise Damage("does not say with whose weights a branch began")
    return Origin(lesson_in(given.get("lesson"), own), name)


def lesson_in(given: object, own: Sequence[OwnDrawing]) -> Lesson:
    """The lesson that was described so; `own`: all drawings. Raises Damage."""
    if not isinstance(given, dict) or not isinstance(given.get("data"), dict) or "own" not in given:
        raise Damage("does not say what it learns from")
    settings = dict(given["data"])
    try:
        drawing = part("data", XOSettings, settings.pop("drawing", None))
        rest = msgspec.convert({**settings, "drawing": msgspec.to_builtins(drawing)}, PoolSettings)
        places = msgspec.convert(given["own"], list[_Step])
    except (ValueError, OverflowError) as error:
        raise Damage(f"learns from examples that cannot be: {clause(error)}") from error
    if rest.count + rest.held_out > _MOST_EXAMPLES or any(place >= len(own) for place in places):
        raise Damage(f"learns from drawings that are not there, or from more than {_MOST_EXAMPLES:,}")
    return Lesson(rest, tuple(own[place] for place in places))
