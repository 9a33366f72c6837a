"""Training in files: checkpoint files, from which training is resumed, and the branches of a project file.

In a checkpoint file the parameters, the optimizer state and the best parameters are tensors, named
parameters.conv2d-1.weight, memory.velocity.conv2d-1.weight and best.conv2d-1.weight; all else is in the header.
Files are not trusted. The field names of the structs here, and of the dataclasses that are converted by msgspec,
are keys in saved files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final, TypedDict, TypeVar

import msgspec
import numpy as np

from engine.backends import HostArray
from engine.data import (
    LabelledSample,
    PoolSettings,
    TrainingData,
    data_settings_from_json,
    data_settings_to_json,
)
from engine.documents.model_file import (
    check_value_count,
    parse_name,
    stored_value_count,
    trainable_value_count,
)
from engine.documents.network_entry import parse_network, with_layer_ids
from engine.formats import (
    MEBIBYTE,
    FileError,
    FilePath,
    InvalidFile,
    Json,
    TensorFile,
    one_line,
    pack,
    quoted,
    read_bytes,
    reason_text,
    unpack,
    write_atomically,
)
from engine.nn import Network, RunPoint
from engine.nn.layers import Arrays
from engine.training import (
    Branch,
    BranchOrigin,
    BranchRecord,
    Checkpoint,
    Curves,
    Mark,
    TrainingConfig,
)

FORMAT_VERSION = 2
# A model's weights, the best ones, and two vectors of the optimizer.
FILE_LIMIT = 4 * 64 * MEBIBYTE

_MAX_NAME_LENGTH: Final = 200
_MAX_EXAMPLES: Final = 1_000_000
_GROUPS: Final = ("parameters", "memory", "best")
# The tensors of a branch, in this order.
_CURVE_KEYS: Final = (
    "steps", "losses", "rates", "judged", "held_out_losses", "accuracies", "recalled", "training_accuracies",
)  # fmt: skip
_KEYFRAME_COLUMNS: Final = 7  # as in _keyframe_row
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Commands = tuple[_Text, ...]
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class FileData:
    """A data set read from a folder or file.

    path: where it was
    hold_out: the fraction that is held out
    digest: of all examples, to detect changes when training is resumed
    """

    path: str
    hold_out: _Fraction
    digest: str


@dataclass(frozen=True, eq=False)
class InterruptedRun:
    """All state of a training run that is needed to resume it.

    name: of the model
    commands: the command line that started it, and those that changed it since
    data: the files with the training data, None for generated drawings
    """

    name: str
    network: Network
    config: TrainingConfig
    checkpoint: Checkpoint
    commands: tuple[str, ...] = ()
    data: FileData | None = None


class _PoolEntry(TypedDict, total=False):
    """The settings of a pool beside those of its generator; files of earlier versions lack some."""

    count: int
    held_out: int
    seed: int
    fresh: bool


class _CheckpointHeader(msgspec.Struct, forbid_unknown_fields=True):
    """A Checkpoint without its arrays. accuracy, best: None before the first evaluation."""

    steps: _Count
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    loss_sum: float
    judged: _Count
    accuracy: _Fraction | None
    best: float | None
    stale: _Count


def save_checkpoint(path: FilePath, run: InterruptedRun) -> None:
    """Writes a checkpoint file; the same run gives the same bytes. Raises FileError if it cannot be written, or
    could not be read again."""
    checkpoint = run.checkpoint
    header = _CheckpointHeader(
        checkpoint.steps,
        checkpoint.seconds,
        checkpoint.loss_sum,
        checkpoint.evaluated_epochs,
        checkpoint.accuracy if math.isfinite(checkpoint.accuracy) else None,
        checkpoint.best_loss if math.isfinite(checkpoint.best_loss) else None,
        checkpoint.epochs_since_best,
    )
    description = {
        "kind": "run",
        "version": FORMAT_VERSION,
        "name": run.name,
        "network": run.network.to_json(),
        "recipe": run.config.to_json(),
        "standing": msgspec.to_builtins(header),
        "commands": list(run.commands),
        "data": msgspec.to_builtins(run.data),
    }
    groups = {
        "parameters": checkpoint.parameters,
        "memory": checkpoint.optimizer_state,
        "best": checkpoint.best_parameters or {},
    }
    tensors = {f"{group}.{name}": array for group, values in groups.items() for name, array in values.items()}
    try:
        data = pack(description, tensors, FILE_LIMIT)
        _parse_run(data)  # ensures that the file can be read again
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{quoted(path)} was not saved: the run {reason_text(error)}.") from error
    write_atomically(path, data)


def load_checkpoint(path: FilePath) -> InterruptedRun:
    """Reads a checkpoint file; its arrays are float32 and read-only.

    Raises FileError, one sentence that names the file and says what is wrong with it.
    """
    data = read_bytes(path, FILE_LIMIT)
    try:
        return _parse_run(data)
    except ValueError as error:
        raise FileError(f"{quoted(path)} cannot be resumed from: it {reason_text(error)}.") from error


def _parse_run(data: bytes) -> InterruptedRun:
    """Parses the bytes of a checkpoint file. Raises ValueError with a message as of InvalidFile."""
    file = with_layer_ids(unpack(data, "run", FORMAT_VERSION))
    description = file.description
    network, config = parse_network(description), parse_config(description.get("recipe"))
    header = _convert(description, "standing", _CheckpointHeader)
    if not all(map(math.isfinite, (header.seconds, header.loss_sum, header.best or 0.0))):
        raise InvalidFile("has a checkpoint with numbers that are not finite")
    _check_tensor_names(file)
    for group, count in _value_counts(network, config).items():
        tensors = {name: tensor for name, tensor in file.tensors.items() if name.startswith(f"{group}.")}
        if tensors or group != "best":
            check_value_count(count, tensors, f"values called {group}")
    arrays = _by_group(file.float32_arrays())
    checkpoint = Checkpoint(
        arrays["parameters"],
        arrays["memory"],
        header.steps,
        header.seconds,
        header.loss_sum,
        header.judged,
        math.nan if header.accuracy is None else header.accuracy,
        math.inf if header.best is None else header.best,
        header.stale,
        arrays["best"] or None,
    )
    _check_checkpoint(network, config, checkpoint)
    return InterruptedRun(
        parse_name(description),
        network,
        config,
        checkpoint,
        _convert(description, "commands", _Commands),
        None if description.get("data") is None else _convert(description, "data", FileData),
    )


def _check_tensor_names(file: TensorFile) -> None:
    for name in file.tensors:
        if name.partition(".")[0] not in _GROUPS:
            raise InvalidFile(f"holds {name[:80]!r}, which belongs to no run")


def _value_counts(network: Network, config: TrainingConfig) -> dict[str, int]:
    """The number of values that each group of tensors must have."""
    optimizer_state = len(config.optimizer.state_names) * trainable_value_count(network) + 1
    return {
        "parameters": stored_value_count(network),
        "memory": optimizer_state,
        "best": stored_value_count(network),
    }


def _by_group(arrays: Arrays) -> dict[str, Arrays]:
    """Arrays by the first part of their names, then by the rest."""
    groups: dict[str, Arrays] = {group: {} for group in _GROUPS}
    for name, array in arrays.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = array
    return groups


def _check_checkpoint(network: Network, config: TrainingConfig, checkpoint: Checkpoint) -> None:
    """Checks names, shapes and values of the arrays. Raises ShapeError or ValueError."""
    network.check_parameters(checkpoint.parameters)
    if checkpoint.best_parameters is not None:
        network.check_parameters(checkpoint.best_parameters)
    shapes = network.parameter_shapes
    for name, values in checkpoint.optimizer_state.items():
        vector, _, parameter = name.partition(".")
        is_known = vector in config.optimizer.state_names and shapes.get(parameter) == values.shape
        if not is_known and (name, values.shape) != ("count", (1,)):
            raise InvalidFile(f"holds an optimizer state {name[:80]!r} that its optimizer does not have")
        if not np.isfinite(values).all():
            raise InvalidFile(f"holds an optimizer state {name[:80]!r} with values that are not finite numbers")


def _convert(description: Json, key: str, kind: type[_Part]) -> _Part:
    try:
        return msgspec.convert(description.get(key), kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidFile(f"has an invalid entry {key!r} ({one_line(error)})") from error


# --- branches of the history, in project files


class _KeyframeSet(msgspec.Struct):
    """Consecutive keyframes with the same arrays.

    count: number of keyframes
    memory: names of the arrays of the optimizer state
    best: whether the best parameters are included
    """

    count: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    memory: list[_Text]
    best: bool


class _BranchHeader(msgspec.Struct):
    """A branch without its arrays."""

    name: _Text
    parent: tuple[_Count, _Count] | None
    start: _Count
    end: _Count
    marks: list[tuple[_Count, _Text]]
    pinned: list[_Count]
    sets: list[_KeyframeSet]
    network: _Count


def branch_description(line: BranchRecord, network: int, training_data: Json, given: str | None) -> Json:
    """The entry of a branch in the header.

    network: the index of its network in the file
    lesson: its training data, as of `training_data_to_json`
    given: the name of the model with whose weights it started, None for initial weights
    """
    branch = line.branch
    header = _BranchHeader(
        branch.name,
        None if branch.parent is None else (branch.parent.branch, branch.parent.step),
        branch.start,
        branch.end,
        [(mark.step, mark.text) for mark in branch.marks],
        sorted(line.pinned),
        [_KeyframeSet(len(frames), list(memory), best) for (memory, best), frames in _keyframe_sets(line)],
        network,
    )
    configs = [[step, config.to_json()] for step, config in branch.configs]
    entry: dict[str, Any] = msgspec.to_builtins(header)
    return entry | {"recipes": configs, "lesson": training_data, "given": given}


def branch_to_arrays(line: BranchRecord) -> dict[str, HostArray | Sequence[HostArray]]:
    """The curves and the stacked keyframes of a branch, by tensor name."""
    curves = line.branch.curves
    arrays: dict[str, HostArray | Sequence[HostArray]] = {
        "steps": curves.steps.astype(np.float64),
        "losses": curves.losses,
        "rates": curves.rates,
        "judged": curves.held_out_steps.astype(np.float64),
        "held_out_losses": curves.held_out_losses,
        "accuracies": curves.held_out_accuracies,
        "recalled": curves.training_accuracy_steps.astype(np.float64),
        "training_accuracies": curves.training_accuracies,
    }
    for index, ((memory, best), frames) in enumerate(_keyframe_sets(line)):
        prefix = f"set.{index}"
        arrays[f"{prefix}.standing"] = np.array([_keyframe_row(frame) for frame in frames], np.float64)
        for name in frames[0].parameters:
            arrays[f"{prefix}.parameters.{name}"] = [frame.parameters[name] for frame in frames]
            if best:
                arrays[f"{prefix}.best.{name}"] = [(frame.best_parameters or {})[name] for frame in frames]
        for name in memory:
            arrays[f"{prefix}.memory.{name}"] = [frame.optimizer_state[name] for frame in frames]
    return arrays


def _keyframe_row(frame: Checkpoint) -> list[float]:
    return [
        frame.steps, frame.seconds, frame.loss_sum, frame.evaluated_epochs, frame.accuracy, frame.best_loss,
        frame.epochs_since_best,
    ]  # fmt: skip


def _keyframe_sets(line: BranchRecord) -> Iterator[tuple[tuple[tuple[str, ...], bool], list[Checkpoint]]]:
    """Keyframes by step, grouped by (names of the optimizer state, whether they have best parameters)."""
    frames = [line.keyframes[step] for step in sorted(line.keyframes)]
    for kind, group in groupby(
        frames, lambda frame: (tuple(sorted(frame.optimizer_state)), frame.best_parameters is not None)
    ):
        yield kind, list(group)


def parse_branch(
    number: int, entry: Json, arrays: Mapping[str, HostArray], networks: Sequence[Network]
) -> BranchRecord:
    """Parses the branch `number` from its entry in the header and its arrays, by tensor name; `networks`: those of
    the file. Raises ValueError."""
    try:
        header = msgspec.convert({key: entry.get(key) for key in _BranchHeader.__struct_fields__}, _BranchHeader)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidFile(f"has an invalid branch ({one_line(error)})") from error
    if header.network >= len(networks):
        raise InvalidFile("has a branch whose network is not there")
    network = networks[header.network]
    if header.parent is not None and header.parent[1] != header.start:
        raise InvalidFile("has a branch that does not start where it leaves its parent")
    keyframes = {
        frame.steps: frame
        for index, each in enumerate(header.sets)
        for frame in _parse_keyframes(index, each, arrays, network)
    }
    if header.start not in keyframes or not all(header.start <= step <= header.end for step in keyframes):
        raise InvalidFile("has a branch without a keyframe at its start, or with one beyond its end")
    branch = Branch(
        number,
        header.name,
        network,
        None if header.parent is None else RunPoint(*header.parent),
        header.start,
        header.end,
        _parse_curves(header, arrays),
        tuple(Mark(step, text) for step, text in header.marks),
        tuple(sorted(keyframes)),
        _parse_configs(entry, header.start, network),
    )
    return BranchRecord(branch, keyframes, frozenset(header.pinned) & keyframes.keys())


def _parse_curves(header: _BranchHeader, arrays: Mapping[str, HostArray]) -> Curves:
    steps, losses, rates, judged, held_out_losses, accuracies, recalled, training_accuracies = (
        np.zeros(0) if (array := arrays.get(key)) is None or array.ndim != 1 else array for key in _CURVE_KEYS
    )
    measured = (
        (steps, (losses, rates)),
        (judged, (held_out_losses, accuracies)),
        (recalled, (training_accuracies,)),
    )
    for at, curves in measured:
        is_inside = bool(((at >= header.start) & (at <= header.end) & (at == np.floor(at))).all())
        # A step may be evaluated twice, if the number of steps of an epoch was changed.
        if not is_inside or (np.diff(at) < 0).any() or any(len(curve) != len(at) for curve in curves):
            raise InvalidFile("has curves that do not fit their branch")
    if len(steps) != header.end - header.start or (np.diff(steps) <= 0).any():
        raise InvalidFile("has a branch with more steps, or fewer, than its curve")
    whole = [at.astype(np.int64) for at in (steps, judged, recalled)]
    return Curves(whole[0], losses, rates, whole[1], held_out_losses, accuracies, whole[2], training_accuracies)


def _parse_keyframes(
    index: int, header: _KeyframeSet, arrays: Mapping[str, HostArray], network: Network
) -> Iterator[Checkpoint]:
    """The keyframes of a set. Raises ValueError."""
    prefix, count, shapes = f"set.{index}", header.count, network.parameter_shapes
    rows = arrays.get(f"{prefix}.standing")
    if rows is None or rows.shape != (count, _KEYFRAME_COLUMNS):
        raise InvalidFile("has a wrong number of keyframes")
    names = {"parameters": list(shapes), "memory": header.memory, "best": list(shapes) if header.best else []}
    stacks = {group: {name: arrays.get(f"{prefix}.{group}.{name}") for name in names[group]} for group in names}
    for group, named_stacks in stacks.items():
        for name, stack in named_stacks.items():
            shape = (1,) if (group, name) == ("memory", "count") else shapes.get(_parameter_name(group, name))
            if stack is None or shape is None or stack.shape != (count, *shape) or not np.isfinite(stack).all():
                raise InvalidFile(f"has keyframes without a valid {group} {name[:80]}")
    for row in range(count):
        frame: dict[str, dict[str, HostArray]] = {
            group: {name: stack[row] for name, stack in named_stacks.items() if stack is not None}
            for group, named_stacks in stacks.items()
        }
        steps, seconds, loss_sum, judged, accuracy, best, stale = rows[row].tolist()
        if not all(0 <= whole < 2**53 and whole == int(whole) for whole in (steps, judged, stale)) or not (
            0 <= seconds < 1e12
        ):
            raise InvalidFile("has keyframes with invalid counts")
        yield Checkpoint(
            frame["parameters"], frame["memory"], int(steps), seconds, loss_sum, int(judged), accuracy, best,
            int(stale), frame["best"] or None,
        )  # fmt: skip


def _parameter_name(group: str, name: str) -> str:
    """The parameter of a tensor; vectors of the optimizer have names such as velocity.conv2d-1.weight."""
    return name.partition(".")[2] if group == "memory" else name


def _parse_configs(entry: Json, start: int, network: Network) -> tuple[tuple[int, TrainingConfig], ...]:
    pairs = entry.get("recipes")
    if not isinstance(pairs, list) or not pairs:
        raise InvalidFile("has a branch without a recipe")
    configs = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is int):
            raise InvalidFile("has a recipe without a first step")
        config = parse_config(pair[1])
        network.layer_indices(config.frozen)
        configs.append((pair[0], config))
    steps = [step for step, _ in configs]
    if steps[0] != start or steps != sorted(set(steps)):
        raise InvalidFile("has recipes that do not follow each other")
    return tuple(configs)


def parse_config(value: object) -> TrainingConfig:
    """Parses a configuration from its JSON. Raises InvalidFile."""
    if not isinstance(value, dict):
        raise InvalidFile("has no recipe")
    try:
        return TrainingConfig.from_json(value)
    except (ValueError, TypeError) as error:
        raise InvalidFile(f"has an invalid recipe: {one_line(error)}") from error


def training_data_to_json(training_data: TrainingData, labelled_indices: Sequence[int]) -> Json:
    """Training data as JSON, with its labelled drawings as indices into all drawings of the file.

    drawing: the settings of the generator, of whatever kind
    """
    pool = training_data.generated
    settings = {
        "drawing": data_settings_to_json(pool.generator),
        **{key: getattr(pool, key) for key in _PoolEntry.__annotations__},
    }
    return {"data": settings, "own": list(labelled_indices)}


def parse_origin(entry: Json, labelled: Sequence[LabelledSample]) -> BranchOrigin:
    """Parses the origin of a branch; `labelled`: all labelled drawings of the file. Raises InvalidFile."""
    name = entry.get("given")
    if name is not None and not (isinstance(name, str) and len(name) <= _MAX_NAME_LENGTH):
        raise InvalidFile("does not name the model with whose weights a branch started")
    return BranchOrigin(parse_training_data(entry.get("lesson"), labelled), name)


def parse_training_data(value: object, labelled: Sequence[LabelledSample]) -> TrainingData:
    """Parses training data from its JSON; `labelled`: all labelled drawings of the file. Raises InvalidFile."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), dict) or "own" not in value:
        raise InvalidFile("does not describe its training data")
    settings = value["data"]
    try:
        generator = data_settings_from_json(settings.get("drawing"))
        counts = {key: settings[key] for key in _PoolEntry.__annotations__ if key in settings}
        pool_settings = PoolSettings(generator, **msgspec.convert(counts, _PoolEntry))
        indices = msgspec.convert(value["own"], list[_Count])
    except (ValueError, OverflowError) as error:
        raise InvalidFile(f"has invalid training data: {one_line(error)}") from error
    if pool_settings.count + pool_settings.held_out > _MAX_EXAMPLES or any(i >= len(labelled) for i in indices):
        raise InvalidFile(f"is trained on drawings that are not there, or from more than {_MAX_EXAMPLES:,}")
    return TrainingData(pool_settings, tuple(labelled[index] for index in indices))
