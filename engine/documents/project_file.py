"""Project files: the Document, training and its history, as a safetensors file.

Inputs, weights, curves and keyframes are tensors, all else is in the header. Files are not trusted. The field
names of _ProjectHeader and the keys of the description are keys in saved files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np

from engine.backends import HostArray
from engine.data import (
    DATA_KINDS,
    DEFAULT_KIND,
    MAX_OWN_CLASSES,
    InputSample,
    LabelledSample,
    PoolSettings,
    TrainingData,
    input_kind,
)
from engine.documents.document import Document
from engine.documents.model_file import parse_name, shipped_model, stored_value_count
from engine.documents.network_entry import parse_network, with_layer_ids
from engine.documents.training_file import (
    branch_description,
    branch_to_arrays,
    parse_branch,
    parse_config,
    parse_origin,
    parse_training_data,
    training_data_to_json,
)
from engine.formats import (
    HEADER_LIMIT,
    MEBIBYTE,
    FileError,
    FilePath,
    InvalidFile,
    Json,
    checked_arrays,
    checked_size,
    one_line,
    pack_stacks,
    quoted,
    read_bytes,
    read_description,
    reason_text,
    unpack,
    write_atomically,
)
from engine.installation import asset_path
from engine.nn import Model, Network, RunPoint
from engine.training import SavedRun, TrainingConfig

_Arrays: TypeAlias = "dict[str, HostArray]"

FORMAT_VERSION: Final = 3
FILE_LIMIT: Final = 1024 * MEBIBYTE
SUFFIX: Final = ".session"
_FIRST_WITH_KINDS: Final = 3  # the version since which a file says of which kinds its inputs are

_MAX_BRANCHES: Final = 10_000
# Seconds since 1970; no calendar knows later times.
_LATEST_TIME = 1 << 37
_ClassName: TypeAlias = Annotated[str, msgspec.Meta(max_length=20_000)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


@dataclass(frozen=True, eq=False)
class ProjectState:
    """The state of the program that a project file holds.

    configuration, data, pace: the training settings; pace in steps per second, None for unlimited
    run: training and its history, None if there is none
    shown_point: the point of the history that is shown, None for the current one
    branch_names: by number, as given by the user
    live: whether the first model is a point of the run's history
    saved_at: seconds since 1970
    was_running: whether training was running
    was_closed: whether the window was closed normally afterwards
    """

    document: Document
    config: TrainingConfig
    data: PoolSettings
    run: SavedRun | None = None
    speed_limit: float | None = None
    shown_point: RunPoint | None = None
    branch_names: Mapping[int, str] = field(default_factory=dict)
    live: bool = False
    saved_at: float = 0.0
    was_running: bool = False
    was_closed: bool = False

    @property
    def summary(self) -> ProjectSummary:
        """The summary that its file would have."""
        step = None if self.run is None else self.run.current_point.step
        return ProjectSummary(self.saved_at, step, self.was_running, self.was_closed, self.document.models[0].name)


@dataclass(frozen=True)
class ProjectSummary:
    """A summary of a project file. step: of training, None if there is none. network: the first model's name."""

    saved_at: float
    step: int | None
    was_running: bool
    was_closed: bool
    network: str


class _ProjectHeader(msgspec.Struct):
    """The header without networks and branches.

    look, now: (branch, step) of the shown point and of training
    own: indices of the document's labelled samples
    labels, weights: of all labelled samples of the file
    inputs: the kinds of the document's input and of all labelled samples; files before version 3 have none, and
        drawings of the default kind
    marks: the numbers of the colours and shapes of classes
    """

    saved: float
    running: bool
    closed: bool
    live: bool
    fit: bool
    pace: Annotated[float, msgspec.Meta(gt=0)] | None
    look: tuple[_Count, _Count] | None
    now: tuple[_Count, _Count] | None
    spacing: Annotated[int, msgspec.Meta(ge=1, le=2**40)]
    names: dict[_Count, Annotated[str, msgspec.Meta(max_length=20_000)]]
    own: list[_Count]
    labels: list[Annotated[str, msgspec.Meta(max_length=200)]]
    weights: list[_Count]
    inputs: list[str] = msgspec.field(default_factory=list)
    marks: dict[_ClassName, Annotated[int, msgspec.Meta(ge=0, lt=MAX_OWN_CLASSES)]] = msgspec.field(
        default_factory=dict
    )


def save_project(path: FilePath, project: ProjectState) -> None:
    """Writes a project file, in pieces that let other threads run. Raises FileError."""
    document, run = project.document, project.run
    inputs = _InputTable(document, run)
    header = _ProjectHeader(
        project.saved_at, project.was_running, project.was_closed, project.live, document.fit_to_frame,
        project.speed_limit,
        None if project.shown_point is None else (project.shown_point.branch, project.shown_point.step),
        None if run is None else (run.current_point.branch, run.current_point.step),
        1 if run is None else run.spacing,
        dict(project.branch_names), inputs.indices(document.labelled_samples), inputs.labels, inputs.weights,
        [sample.kind.name for sample in inputs.samples], dict(document.class_marks),
    )  # fmt: skip
    lines, origins = ((), ()) if run is None else (run.branches, run.branch_origins)
    networks: list[Network] = []
    for line in lines:
        if line.branch.network not in networks:
            networks.append(line.branch.network)
    description = {
        "kind": "session",
        "version": FORMAT_VERSION,
        "told": msgspec.to_builtins(header, str_keys=True),
        "subjects": [_model_entry(subject) for subject in document.models],
        "networks": [network.to_json() for network in networks],
        "recipe": project.config.to_json(),
        "data": training_data_to_json(TrainingData(project.data), []),
        "branches": [
            branch_description(
                line,
                networks.index(line.branch.network),
                training_data_to_json(origin.training_data, inputs.indices(origin.training_data.labelled_samples)),
                origin.initial_model,
            )
            for line, origin in zip(lines, origins, strict=True)
        ],
    }
    tensors: dict[str, HostArray | Sequence[HostArray]] = dict(_samples_to_arrays(inputs.samples))
    for index, model in enumerate(document.models):
        tensors |= {f"subject.{index}.{name}": np.asarray(values) for name, values in model.parameters.items()}
    for index, line in enumerate(lines):
        tensors |= {f"branch.{index}.{name}": values for name, values in branch_to_arrays(line).items()}
    try:
        buffers = pack_stacks(description, tensors, FILE_LIMIT)
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{quoted(path)} was not saved: the project {reason_text(error)}.") from error
    write_atomically(path, bytes(buffers[0]), *buffers[1:])


def load_project(path: FilePath) -> ProjectState:
    """Reads a project file; arrays are read-only.

    Raises FileError, one sentence that names the file and says what is wrong with it.
    """
    data = read_bytes(path, FILE_LIMIT)
    try:
        return _parse_project(data)
    except ValueError as error:
        raise FileError(f"{quoted(path)} cannot be restored: it {reason_text(error)}.") from error


@lru_cache
def shipped_run(name: str) -> ProjectState | None:
    """The recorded training of the shipped weights of the preset called `name`, whose last point they are; None
    where none of these very weights is shipped.

    Raises as shipped_model, and FileError if its file is damaged.
    """
    try:
        path = asset_path(f"{name}{SUFFIX}")
    except FileNotFoundError:
        return None
    project, shipped = load_project(path), shipped_model(name)
    model = project.document.models[0]
    is_same = model.network == shipped.network and all(
        np.array_equal(values, shipped.parameters[parameter]) for parameter, values in model.parameters.items()
    )
    return project if is_same and project.run is not None else None


def read_project_summary(path: FilePath) -> ProjectSummary:
    """Reads the summary of a project file, from its header only. Raises FileError."""
    checked_size(path, FILE_LIMIT)
    try:
        with open(path, "rb") as file:
            description = read_description(file.read(8 + HEADER_LIMIT), "session", FORMAT_VERSION)
        header = _parse_project_header(description)
    except OSError as error:
        raise FileError(f"{quoted(path)} cannot be read: {one_line(error)}.") from error
    except ValueError as error:
        raise FileError(f"{quoted(path)} cannot be restored: it {reason_text(error)}.") from error
    step = None if header.now is None else header.now[1]
    return ProjectSummary(header.saved, step, header.running, header.closed, _network_name(description))


def _network_name(description: Json) -> str:
    """The name of a project's first model; "" if there is none."""
    models = description.get("subjects")
    first = models[0] if isinstance(models, list) and models else None
    name = first.get("name") if isinstance(first, dict) else None
    return name if isinstance(name, str) else ""


# --- header


class _InputTable:
    """All inputs of a project, each once: the document's, then the labelled ones."""

    def __init__(self, document: Document, run: SavedRun | None) -> None:
        origins = () if run is None else run.branch_origins
        labelled = [
            *document.labelled_samples,
            *(each for origin in origins for each in origin.training_data.labelled_samples),
        ]
        unique = list({id(each): each for each in labelled}.values())
        self._index = {id(each): index for index, each in enumerate(unique)}
        self.samples = [document.input, *(each.sample for each in unique)]
        self.labels, self.weights = [each.label for each in unique], [each.weight for each in unique]

    def indices(self, labelled: Sequence[LabelledSample]) -> list[int]:
        """Indices into the labelled samples."""
        return [self._index[id(each)] for each in labelled]


def _model_entry(model: Model) -> Json:
    point = model.run_point
    return {
        "name": model.name,
        "network": model.network.to_json(),
        "threshold": model.threshold,
        "origin": dict(model.origin),
        "moment": None if point is None else [point.branch, point.step],
        "fresh": None if model.fresh_classes is None else list(model.fresh_classes),
    }


def _parse_project(data: bytes) -> ProjectState:
    """Parses the bytes of a project file. Raises ValueError with a message as of InvalidFile."""
    file = with_layer_ids(unpack(data, "session", FORMAT_VERSION))
    description, header, tensors = file.description, _parse_project_header(file.description), checked_arrays(file)
    samples = _samples_from_arrays(header, tensors, description["version"])
    labelled = [
        LabelledSample(sample, label, weight)
        for sample, label, weight in zip(samples[1:], header.labels, header.weights, strict=True)
    ]
    models = tuple(
        _parse_model(entry, _with_prefix(f"subject.{index}", tensors))
        for index, entry in enumerate(_list(description, "subjects"))
    )
    if models and not samples[0].has_source_of(input_kind(models[0].network)):
        raise InvalidFile("holds an input that is none of its network")
    document = Document(samples[0], models, header.fit, _select(labelled, header.own), header.marks)
    return ProjectState(
        document,
        parse_config(description.get("recipe")),
        parse_training_data(description.get("data"), labelled).generated,
        _parse_run(description, header, tensors, labelled),
        header.pace,
        None if header.look is None else RunPoint(*header.look),
        header.names,
        header.live,
        header.saved,
        header.running,
        header.closed,
    )


def _parse_run(
    description: Json, header: _ProjectHeader, tensors: _Arrays, labelled: list[LabelledSample]
) -> SavedRun | None:
    """The run in a file, None if there is none. Raises ValueError."""
    if header.now is None:
        return None
    networks = [parse_network({"network": entry}) for entry in _list(description, "networks")]
    entries = _list(description, "branches")
    if not 0 < len(entries) <= _MAX_BRANCHES:
        raise InvalidFile(f"has {len(entries):,} branches, not 1 to {_MAX_BRANCHES:,}")
    lines = [
        parse_branch(index, entry, _with_prefix(f"branch.{index}", tensors), networks)
        for index, entry in enumerate(entries)
    ]
    origins = tuple(parse_origin(entry, labelled) for entry in entries)
    for line in lines:
        parent = line.branch.parent
        if parent is not None and not (
            parent.branch < line.branch.number and parent.step <= lines[parent.branch].branch.end
        ):
            raise InvalidFile("has a branch that leaves its parent where that has never been")
    now = RunPoint(*header.now)
    if now.branch >= len(lines) or now.step not in lines[now.branch].keyframes:
        raise InvalidFile("has no keyframe at its current step")
    cursor = now if header.look is None else RunPoint(*header.look)
    if cursor.branch >= len(lines) or cursor.step > lines[cursor.branch].branch.end:
        raise InvalidFile("shows a step of its history that does not exist")
    if header.spacing & (header.spacing - 1):
        raise InvalidFile("has a spacing of keyframes that is not a power of two")
    return SavedRun(tuple(lines), origins, now, header.spacing)


def _parse_model(entry: Json, parameters: _Arrays) -> Model:
    network, threshold, origin = parse_network(entry), entry.get("threshold"), entry.get("origin")
    count = sum(array.size for array in parameters.values())
    if count != stored_value_count(network):
        raise InvalidFile(f"holds {count:,} weights where its network needs {stored_value_count(network):,}")
    if threshold is not None and (
        isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1
    ):
        raise InvalidFile("has a threshold that is not a number from 0 to 1")
    if not isinstance(origin, dict):
        raise InvalidFile("has an origin that is not a JSON object")
    moment = entry.get("moment")
    point = None if moment is None else RunPoint(*_convert(moment, tuple[_Count, _Count], "moment"))
    fresh = entry.get("fresh")
    if fresh is not None:
        fresh = _convert(fresh, tuple[_ClassName, ...], "fresh")
        if not set(fresh) <= set(network.classes):
            raise InvalidFile("has a new class that its network does not know")
    return Model(parse_name(entry), network, parameters, threshold, origin, point, fresh)


def _parse_project_header(description: Json) -> _ProjectHeader:
    header: _ProjectHeader = _convert(description.get("told"), _ProjectHeader, "told")
    if not 0 <= header.saved < _LATEST_TIME:
        raise InvalidFile("has an invalid time of saving")
    return header


def _convert(value: object, kind: Any, key: str) -> Any:
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidFile(f"has an invalid entry {key!r} ({one_line(error)})") from error


def _list(description: Json, key: str) -> list[dict[str, Any]]:
    entries = description.get(key)
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise InvalidFile(f"has no {key}")
    return entries


def _with_prefix(prefix: str, tensors: _Arrays) -> _Arrays:
    """The arrays whose names begin with "prefix.", by the rest of their names."""
    return {name[len(prefix) + 1 :]: array for name, array in tensors.items() if name.startswith(f"{prefix}.")}


def _select(labelled: Sequence[LabelledSample], indices: Sequence[int]) -> tuple[LabelledSample, ...]:
    if any(index >= len(labelled) for index in indices):
        raise InvalidFile("is trained on drawings that are not there")
    return tuple(labelled[index] for index in indices)


# --- inputs


def _samples_to_arrays(samples: Sequence[InputSample[Any]]) -> _Arrays:
    """The sources as tensors: those of each kind together, by its name, in their order."""
    kinds = {sample.kind.name: sample.kind for sample in samples}
    return {
        f"inputs.{name}.{tensor}": array
        for name, kind in kinds.items()
        for tensor, array in kind.sources_to_arrays(
            [sample.source for sample in samples if sample.kind is kind]
        ).items()
    }


def _samples_from_arrays(header: _ProjectHeader, tensors: _Arrays, version: int) -> list[InputSample[Any]]:
    """The document's input and all labelled samples of a file. Raises ValueError."""
    names = header.inputs
    if version < _FIRST_WITH_KINDS:
        names = [DEFAULT_KIND] * (1 + len(header.labels))
        tensors = {
            f"inputs.{DEFAULT_KIND}.{name}": array for name, array in _with_prefix("drawings", tensors).items()
        }
    if len(names) != 1 + len(header.labels) or len(header.labels) != len(header.weights):
        raise InvalidFile("holds inputs that do not fit their labels")
    sources = {name: iter(_sources(name, names.count(name), tensors)) for name in dict.fromkeys(names)}
    return [next(sources[name]) for name in names]


def _sources(name: str, count: int, tensors: _Arrays) -> list[InputSample[Any]]:
    """All samples of the kind with this name."""
    kind = DATA_KINDS.get(name)
    if kind is None:
        known = ", ".join(DATA_KINDS)
        raise InvalidFile(f"holds an input of the kind {name[:80]!r}, and the kinds that can be read are {known}")
    sources = kind.sources_from_arrays(_with_prefix(f"inputs.{name}", tensors))
    if len(sources) != count:
        raise InvalidFile(f"holds {len(sources):,} {kind.plural} where there should be {count:,}")
    return [InputSample(kind, source) for source in sources]
