"""Checkpoint files: a training run that was interrupted, with all that it goes on from. Not models: see models.

The parameters, what the optimizer remembers and the best parameters are tensors, named parameters.01-conv2d.weight,
memory.velocity.01-conv2d.weight and best.01-conv2d.weight; all else is in the header. A file is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from engine.checkpoint import Checkpoint
from engine.layers import Values
from engine.network import Network
from engine.recipe import Recipe
from engine.storage.atomic import MEBIBYTE, Damage, FilePath, StorageError, read_whole, shown, write_atomically
from engine.storage.networks import check_count, learnt_values, name_in, needed_values, network_in
from engine.storage.tensors import Json, Unpacked, clause, end_of, pack, unpack

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
