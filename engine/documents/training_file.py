"""Checkpoint files: a training run that was interrupted, with all that it goes on from. Not models: see models.

The parameters, what the optimizer remembers and the best parameters are tensors, named parameters.01-conv2d.weight,
memory.velocity.01-conv2d.weight and best.01-conv2d.weight; all else is in the header. A file is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
import numpy as np

from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Lesson, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.documents.model_file import check_count, learnt_values, name_in, needed_values, network_in
from engine.formats.atomic_file import MEBIBYTE, Damage, FilePath, StorageError, read_whole, shown, write_atomically
from engine.formats.safetensors_file import Json, Unpacked, clause, end_of, pack, unpack
from engine.nn.layers import Values
from engine.nn.model import Moment
from engine.nn.network import Network
from engine.training.checkpoint import Checkpoint
from engine.training.history import Branch, Curves, Line, Mark, Origin
from engine.training.recipe import Recipe, part

FORMAT_VERSION = 1
# A model's weights, the best ones, and two vectors of the optimizer.
FILE_LIMIT = 4 * 64 * MEBIBYTE

_LONGEST_COMMAND = 20_000
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Commands = tuple[Annotated[str, msgspec.Meta(max_length=_LONGEST_COMMAND)], ...]
_Part = TypeVar("_Part")
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class FileData:
    """Examples from a folder or file. path: where it was; hold_out: the share that is held out; digest: of all
    examples, so that a run that goes on notices if they are no longer the same."""

    path: str
    hold_out: _Share
    digest: str


@dataclass(frozen=True, eq=False)
class InterruptedRun:
    """Everything that belongs to a training run: nothing else is needed to go on.

    name: what its network is called. commands: the words it was begun with, and those that changed it since.
    data: the files it learns from, None where the recipe's generator draws.
    """

    name: str
    network: Network
    recipe: Recipe
    checkpoint: Checkpoint
    commands: tuple[str, ...] = ()
    data: FileData | None = None


class _Standing(msgspec.Struct, forbid_unknown_fields=True):
    """A Checkpoint without its arrays. accuracy, best: null where there is none yet."""

    steps: _Count
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    loss_sum: float
    judged: _Count
    accuracy: _Share | None
    best: float | None
    stale: _Count


def save_checkpoint(path: FilePath, run: InterruptedRun) -> None:
    """Write the run; the same run gives the same bytes. Raises StorageError if it cannot be written, or could not
    be read again."""
    at = run.checkpoint
    standing = _Standing(
        at.steps,
        at.seconds,
        at.loss_sum,
        at.judged,
        at.accuracy if math.isfinite(at.accuracy) else None,
        at.best if math.isfinite(at.best) else None,
        at.stale,
    )
    description = {
        "kind": "run",
        "version": FORMAT_VERSION,
        "name": run.name,
        "network": run.network.to_json(),
        "recipe": run.recipe.to_json(),
        "standing": msgspec.to_builtins(standing),
        "commands": list(run.commands),
        "data": msgspec.to_builtins(run.data),
    }
    groups = {"parameters": at.parameters, "memory": at.memory, "best": at.best_parameters or {}}
    tensors = {f"{group}.{name}": array for group, values in groups.items() for name, array in values.items()}
    try:
        data = pack(description, tensors, FILE_LIMIT)
        _run(data)  # nothing is written that could not be opened again
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"{shown(path)} was not saved: the run {end_of(error)}.") from error
    write_atomically(path, data)


def load_checkpoint(path: FilePath) -> InterruptedRun:
    """The run in a checkpoint file, its arrays float32 and read-only.

    Raises StorageError, one sentence that names the file and says what is wrong with it.
    """
    data = read_whole(path, FILE_LIMIT)
    try:
        return _run(data)
    except ValueError as error:
        raise StorageError(f"{shown(path)} cannot be gone on from: it {end_of(error)}.") from error


def _run(data: bytes) -> InterruptedRun:
    """The run in a file's bytes. Raises ValueError, to follow "it"."""
    file = unpack(data, "run", FORMAT_VERSION)
    description = file.description
    network, recipe = network_in(description), _recipe(description)
    standing = _converted(description, "standing", _Standing)
    if not all(map(math.isfinite, (standing.seconds, standing.loss_sum, standing.best or 0.0))):
        raise Damage("stands at numbers that are not finite")
    _check_names(file)
    for group, needed in _needed(network, recipe).items():
        found = {name: tensor for name, tensor in file.tensors.items() if name.startswith(f"{group}.")}
        if found or group != "best":
            check_count(needed, found, f"values called {group}")
    values = _groups(file.values())
    checkpoint = Checkpoint(
        values["parameters"],
        values["memory"],
        standing.steps,
        standing.seconds,
        standing.loss_sum,
        standing.judged,
        math.nan if standing.accuracy is None else standing.accuracy,
        math.inf if standing.best is None else standing.best,
        standing.stale,
        values["best"] or None,
    )
    _check_values(network, recipe, checkpoint)
    return InterruptedRun(
        name_in(description),
        network,
        recipe,
        checkpoint,
        _converted(description, "commands", _Commands),
        None if description.get("data") is None else _converted(description, "data", FileData),
    )


def _check_names(file: Unpacked) -> None:
    for name in file.tensors:
        if name.partition(".")[0] not in ("parameters", "memory", "best"):
            raise Damage(f"holds {name[:80]!r}, which belongs to no run")


def _needed(network: Network, recipe: Recipe) -> dict[str, int]:
    """How many values there must be of each group."""
    remembered = len(recipe.optimizer.vectors) * learnt_values(network) + 1
    return {"parameters": needed_values(network), "memory": remembered, "best": needed_values(network)}


def _groups(values: Values) -> dict[str, Values]:
    """Tensors by the first part of their names."""
    groups: dict[str, Values] = {"parameters": {}, "memory": {}, "best": {}}
    for name, array in values.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = array
    return groups


def _check_values(network: Network, recipe: Recipe, checkpoint: Checkpoint) -> None:
    """Names, shapes and numbers. Raises ShapeError or ValueError."""
    network.check(checkpoint.parameters)
    if checkpoint.best_parameters is not None:
        network.check(checkpoint.best_parameters)
    shapes = network.parameter_shapes
    for name, values in checkpoint.memory.items():
        kind, _, parameter = name.partition(".")
        fits = kind in recipe.optimizer.vectors and shapes.get(parameter) == values.shape
        if not fits and (name, values.shape) != ("count", (1,)):
            raise Damage(f"remembers {name[:80]!r} of its optimizer, which has no place for it")
        if not np.isfinite(values).all():
            raise Damage(f"remembers {name[:80]!r} of its optimizer with values that are not finite numbers")


def _recipe(description: Json) -> Recipe:
    try:
        return Recipe.from_json(_object(description, "recipe"))
    except ValueError as error:
        raise Damage(f"has a recipe that cannot be: {clause(error)}") from error


def _converted(description: Json, name: str, kind: type[_Part]) -> _Part:
    try:
        return msgspec.convert(description.get(name), kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise Damage(f"says its {name} in a form that is not expected ({clause(error)})") from error


def _object(description: Json, name: str) -> Mapping[str, Any]:
    found = description.get(name)
    if not isinstance(found, dict):
        raise Damage(f"has no {name}")
    return found


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
