"""Project files: the Document, training and its history, as a safetensors file.

Drawings, weights, curves and keyframes are tensors, all else is in the header. Files are not trusted. The field
names of _ProjectHeader and the keys of the description are keys in saved files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np

from engine.backends import HostArray
from engine.data import LabelledDrawing, PoolSettings, TrainingData
from engine.documents.document import Document
from engine.documents.model_file import parse_name, stored_value_count
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
from engine.drawings import WHOLE_FRAME, Drawing, DrawingTransform, Stroke
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
from engine.nn import Model, Network, RunPoint
from engine.training import SavedRun, TrainingConfig

_Arrays: TypeAlias = "dict[str, HostArray]"

FORMAT_VERSION: Final = 2
FILE_LIMIT: Final = 1024 * MEBIBYTE
SUFFIX: Final = ".session"

_MAX_BRANCHES: Final = 10_000
_MAX_STROKES: Final = 100_000
# The tensors of drawings, with the number of their columns, 0 for one dimension.
_DRAWING_COLUMNS: Final = {"points": 3, "strokes": 4, "transforms": 11, "sizes": 2, "images": 0}
_COLUMNS_BEFORE_CROP: Final = 6  # of the transforms, in files without invert and crop
# Seconds since 1970; no calendar knows later times.
_LATEST_TIME = 1 << 37
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
    own: indices of the document's labelled drawings
    labels, weights: of all labelled drawings of the file
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


def save_project(path: FilePath, project: ProjectState) -> None:
    """Writes a project file, in pieces that let other threads run. Raises FileError."""
    document, run = project.document, project.run
    drawings = _DrawingTable(document, run)
    header = _ProjectHeader(
        project.saved_at, project.was_running, project.was_closed, project.live, document.fit_to_frame,
        project.speed_limit,
        None if project.shown_point is None else (project.shown_point.branch, project.shown_point.step),
        None if run is None else (run.current_point.branch, run.current_point.step),
        1 if run is None else run.spacing,
        dict(project.branch_names), drawings.indices(document.labelled_drawings), drawings.labels, drawings.weights,
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
                training_data_to_json(
                    origin.training_data, drawings.indices(origin.training_data.labelled_drawings)
                ),
                origin.initial_model,
            )
            for line, origin in zip(lines, origins, strict=True)
        ],
    }
    tensors: dict[str, HostArray | Sequence[HostArray]] = {
        f"drawings.{name}": values for name, values in drawings_to_arrays(drawings.drawings).items()
    }
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


class _DrawingTable:
    """All drawings of a project, each once: the document's input drawing, then the labelled drawings."""

    def __init__(self, document: Document, run: SavedRun | None) -> None:
        origins = () if run is None else run.branch_origins
        labelled = [
            *document.labelled_drawings,
            *(each for origin in origins for each in origin.training_data.labelled_drawings),
        ]
        unique = list({id(each): each for each in labelled}.values())
        self._index = {id(each): index for index, each in enumerate(unique)}
        self.drawings = [document.drawing, *(each.drawing for each in unique)]
        self.labels, self.weights = [each.label for each in unique], [each.weight for each in unique]

    def indices(self, labelled: Sequence[LabelledDrawing]) -> list[int]:
        """Indices into the labelled drawings."""
        return [self._index[id(each)] for each in labelled]


def _model_entry(model: Model) -> Json:
    point = model.run_point
    return {
        "name": model.name,
        "network": model.network.to_json(),
        "threshold": model.threshold,
        "origin": dict(model.origin),
        "moment": None if point is None else [point.branch, point.step],
    }


def _parse_project(data: bytes) -> ProjectState:
    """Parses the bytes of a project file. Raises ValueError with a message as of InvalidFile."""
    file = with_layer_ids(unpack(data, "session", FORMAT_VERSION))
    description, header, tensors = file.description, _parse_project_header(file.description), checked_arrays(file)
    drawings = drawings_from_arrays(_with_prefix("drawings", tensors))
    if len(drawings) != 1 + len(header.labels) or len(header.labels) != len(header.weights):
        raise InvalidFile("holds drawings that do not fit their labels")
    labelled = [
        LabelledDrawing(drawing, label, weight)
        for drawing, label, weight in zip(drawings[1:], header.labels, header.weights, strict=True)
    ]
    models = tuple(
        _parse_model(entry, _with_prefix(f"subject.{index}", tensors))
        for index, entry in enumerate(_list(description, "subjects"))
    )
    document = Document(drawings[0], models, header.fit, _select(labelled, header.own))
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
    description: Json, header: _ProjectHeader, tensors: _Arrays, labelled: list[LabelledDrawing]
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
    return Model(parse_name(entry), network, parameters, threshold, origin, point)


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


def _select(labelled: Sequence[LabelledDrawing], indices: Sequence[int]) -> tuple[LabelledDrawing, ...]:
    if any(index >= len(labelled) for index in indices):
        raise InvalidFile("is trained on drawings that are not there")
    return tuple(labelled[index] for index in indices)


# --- drawings


def drawings_to_arrays(drawings: Sequence[Drawing]) -> dict[str, HostArray]:
    """Drawings as arrays, by tensor name.

    points (p, 3): of all strokes, concatenated
    strokes (s, 4): index of the drawing, number of points, whether it erases, grid
    transforms (n, 11): the fields of DrawingTransform, of which the crop is four
    sizes (n, 2): height and width of the images, 0 without an image
    images: their values, concatenated
    """
    strokes = [(index, stroke) for index, drawing in enumerate(drawings) for stroke in drawing.strokes]
    images = [drawing.image for drawing in drawings]
    rows = [(index, len(stroke.points), stroke.erase, stroke.grid) for index, stroke in strokes]
    return {
        "points": np.concatenate([np.zeros((0, 3), np.float32), *(stroke.points for _, stroke in strokes)]),
        "strokes": np.array(rows, np.float64).reshape(-1, 4),
        "transforms": np.array([_transform_row(drawing.transform) for drawing in drawings], np.float64).reshape(
            -1, 11
        ),
        "sizes": np.array([(0, 0) if i is None else i.shape for i in images], np.float64).reshape(-1, 2),
        "images": np.concatenate([np.zeros(0, np.float32), *(i.ravel() for i in images if i is not None)]),
    }


def drawings_from_arrays(arrays: Mapping[str, HostArray]) -> list[Drawing]:
    """The inverse of `drawings_to_arrays`. Raises InvalidFile, or ValueError for an invalid drawing."""
    points, strokes, transforms, sizes, images = (_drawing_array(arrays, name) for name in _DRAWING_COLUMNS)
    if len(strokes) > _MAX_STROKES:
        raise InvalidFile(f"holds {len(strokes):,} strokes, more than {_MAX_STROKES:,}")
    count, ends = len(transforms), np.cumsum(strokes[:, 1])
    if len(sizes) != count or (len(ends) and ends[-1] != len(points)) or images.size != sizes.prod(1).sum():
        raise InvalidFile("holds drawings whose parts do not fit together")
    if not all(_are_counts(values) for values in (strokes, sizes)) or (strokes[:, 0] >= count).any():
        raise InvalidFile("holds strokes of drawings that are not there")
    strokes_of: list[list[Stroke]] = [[] for _ in range(count)]
    for end, (index, length, erase, grid) in zip(ends.astype(int), strokes.astype(int).tolist(), strict=True):
        strokes_of[index].append(Stroke(points[end - length : end].copy(), bool(erase), grid))
    drawings, start = [], 0
    for its_strokes, transform, (height, width) in zip(
        strokes_of, transforms, sizes.astype(int).tolist(), strict=True
    ):
        image = images[start : start + height * width].reshape(height, width).copy() if height * width else None
        start += height * width
        drawings.append(Drawing(tuple(its_strokes), image, _parse_transform(transform.tolist())))
    return drawings


def _transform_row(transform: DrawingTransform) -> tuple[float, ...]:
    moves = (transform.shift_x, transform.shift_y, transform.size, transform.rotate, transform.bend)
    return *moves, transform.thicken, float(transform.invert), *transform.crop


def _parse_transform(row: list[float]) -> DrawingTransform:
    shift_x, shift_y, size, rotate, bend, thicken, invert, left, top, right, bottom = row
    if invert not in (0, 1):
        raise InvalidFile("holds a picture that is neither inverted nor not")
    return DrawingTransform(shift_x, shift_y, size, rotate, bend, thicken, bool(invert), (left, top, right, bottom))


def _drawing_array(arrays: Mapping[str, HostArray], name: str) -> HostArray:
    columns = _DRAWING_COLUMNS[name]
    array = arrays.get(name)
    if name == "transforms" and array is not None and array.shape[1:] == (_COLUMNS_BEFORE_CROP,):
        added = np.array([0.0, *WHOLE_FRAME])
        array = np.column_stack([array, np.tile(added, (len(array), 1))])
    if array is None or array.shape[1:] != ((columns,) if columns else ()) or not array.ndim:
        raise InvalidFile(f"lacks the {name} of its drawings")
    return array


def _are_counts(values: HostArray) -> bool:
    """Whether all values are integers from 0 to 2**31 - 1."""
    return bool(((values >= 0) & (values < 2**31) & (values == np.floor(values))).all())
