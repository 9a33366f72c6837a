"""Session files: the work of a window, as it would be wanted back: its Document, its training and the history.

A tensor file (see streams): drawings, weights, curves and keyframes are arrays, all else is in the header. A file
is not trusted. Where a Document will have a file format of its own, this is what it grows from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np

from engine.data.labelled_drawings import OwnDrawing
from engine.data.pool import Lesson, PoolSettings
from engine.documents.document import Document
from engine.documents.model_file import name_in, needed_values, network_in
from engine.documents.training_file import (
    branch_arrays,
    branch_in,
    described_branch,
    lesson_in,
    lesson_json,
    origin_in,
    recipe_in,
)
from engine.drawings.drawing import Drawing, Stroke, Transform
from engine.formats.atomic_file import MEBIBYTE, Damage, FilePath, StorageError, read_whole, shown, write_atomically
from engine.formats.safetensors_file import HEADER_LIMIT, Json, arrays, clause, described, end_of, pieces, unpack
from engine.nn.model import Moment, Subject
from engine.training.history import KeptRun
from engine.training.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"

_NAMES: Final = ("points", "strokes", "transforms", "sizes", "images")
_MOST_STROKES: Final = 100_000


def drawing_arrays(drawings: Sequence[Drawing]) -> dict[str, HostArray]:
    """points (p, 3): of all strokes, one after the other; strokes (s, 4): the drawing of each, how many points it
    has, whether it erases, its grid; transforms (n, 6); sizes (n, 2): of the pictures, 0 where there is none;
    images: their values, one after the other."""
    strokes = [(place, stroke) for place, drawing in enumerate(drawings) for stroke in drawing.strokes]
    images = [drawing.image for drawing in drawings]
    told = [(place, len(stroke.points), stroke.erase, stroke.grid) for place, stroke in strokes]
    return {
        "points": np.concatenate([np.zeros((0, 3), np.float32), *(stroke.points for _, stroke in strokes)]),
        "strokes": np.array(told, np.float64).reshape(-1, 4),
        "transforms": np.array([astuple(drawing.transform) for drawing in drawings], np.float64).reshape(-1, 6),
        "sizes": np.array([(0, 0) if i is None else i.shape for i in images], np.float64).reshape(-1, 2),
        "images": np.concatenate([np.zeros(0, np.float32), *(i.ravel() for i in images if i is not None)]),
    }


def drawings_in(arrays: Mapping[str, HostArray]) -> list[Drawing]:
    """The drawings that drawing_arrays gave. Raises Damage, or ValueError for a drawing that cannot be."""
    points, strokes, transforms, sizes, images = (_array(arrays, name) for name in _NAMES)
    if len(strokes) > _MOST_STROKES:
        raise Damage(f"holds {len(strokes):,} strokes, more than {_MOST_STROKES:,}")
    count, ends = len(transforms), np.cumsum(strokes[:, 1])
    if len(sizes) != count or (len(ends) and ends[-1] != len(points)) or images.size != sizes.prod(1).sum():
        raise Damage("holds drawings whose parts do not fit together")
    if not all(_whole(values) for values in (strokes, sizes)) or (strokes[:, 0] >= count).any():
        raise Damage("holds strokes of drawings that are not there")
    drawn: list[list[Stroke]] = [[] for _ in range(count)]
    for end, (place, length, erase, grid) in zip(ends.astype(int), strokes.astype(int).tolist(), strict=True):
        drawn[place].append(Stroke(points[end - length : end].copy(), bool(erase), grid))
    found, at = [], 0
    for its_strokes, transform, (height, width) in zip(drawn, transforms, sizes.astype(int).tolist(), strict=True):
        image = images[at : at + height * width].reshape(height, width).copy() if height * width else None
        at += height * width
        found.append(Drawing(tuple(its_strokes), image, Transform(*transform.tolist())))
    return found


def _array(arrays: Mapping[str, HostArray], name: str) -> HostArray:
    columns = {"points": 3, "strokes": 4, "transforms": 6, "sizes": 2}.get(name)
    found = arrays.get(name)
    shape = (-1,) if columns is None else (-1, columns)
    if found is None or found.ndim != len(shape) or found.shape[1:] != shape[1:]:
        raise Damage(f"lacks the {name} of its drawings")
    return found


def _whole(values: HostArray) -> bool:
    """Whether all are whole numbers from 0 on that can be counted with."""
    return bool(((values >= 0) & (values < 2**31) & (values == np.floor(values))).all())


Values: TypeAlias = "dict[str, HostArray]"

FORMAT_VERSION: Final = 1
FILE_LIMIT: Final = 1024 * MEBIBYTE
SUFFIX: Final = ".session"

_MOST_BRANCHES: Final = 10_000
_Place = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


@dataclass(frozen=True, eq=False)
class Work:
    """What a window would want back.

    run: training and its history, None if there is none. recipe, data, pace: by which it is told to learn. look:
    the moment looked back at. names: what the person calls branches. live: whether the first subject stands in the
    run's history. saved: seconds since 1970. running: whether it trained just then. closed: whether the window was
    closed in the usual way after it.
    """

    document: Document
    recipe: Recipe
    data: PoolSettings
    run: KeptRun | None = None
    pace: float | None = None
    look: Moment | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    live: bool = False
    saved: float = 0.0
    running: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Digest:
    """A session file in a few words. step: where training stood, None if there was none."""

    saved: float
    step: int | None
    running: bool
    closed: bool


class _Told(msgspec.Struct):
    """What a header says beside its networks and branches."""

    saved: float
    running: bool
    closed: bool
    live: bool
    fit: bool
    pace: Annotated[float, msgspec.Meta(gt=0)] | None
    look: tuple[_Place, _Place] | None
    now: tuple[_Place, _Place] | None
    spacing: Annotated[int, msgspec.Meta(ge=1, le=2**40)]
    names: dict[_Place, Annotated[str, msgspec.Meta(max_length=20_000)]]
    own: list[_Place]
    labels: list[Annotated[str, msgspec.Meta(max_length=200)]]
    weights: list[_Place]


def save_session(path: FilePath, work: Work) -> None:
    """Write the work; it is written in pieces that let other threads run. Raises StorageError."""
    document, run = work.document, work.run
    own = _Own(document, run)
    told = _Told(
        work.saved, work.running, work.closed, work.live, document.fit, work.pace,
        None if work.look is None else (work.look.branch, work.look.step),
        None if run is None else (run.now.branch, run.now.step),
        1 if run is None else run.spacing,
        dict(work.names), own.places(document.own), own.labels, own.weights,
    )  # fmt: skip
    lines, origins = ((), ()) if run is None else (run.lines, run.origins)
    description = {
        "kind": "session",
        "version": FORMAT_VERSION,
        "told": msgspec.to_builtins(told, str_keys=True),
        "subjects": [_described_subject(subject) for subject in document.subjects],
        "network": None if run is None else run.network.to_json(),
        "recipe": work.recipe.to_json(),
        "data": lesson_json(Lesson(work.data), []),
        "branches": [
            described_branch(line, lesson_json(origin.lesson, own.places(origin.lesson.own)), origin.given)
            for line, origin in zip(lines, origins, strict=True)
        ],
    }
    tensors: dict[str, HostArray | Sequence[HostArray]] = {
        f"drawings.{name}": values for name, values in drawing_arrays(own.drawings).items()
    }
    for place, subject in enumerate(document.subjects):
        tensors |= {f"subject.{place}.{name}": np.asarray(values) for name, values in subject.parameters.items()}
    for place, line in enumerate(lines):
        tensors |= {f"branch.{place}.{name}": values for name, values in branch_arrays(line).items()}
    try:
        parts = pieces(description, tensors, FILE_LIMIT)
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"{shown(path)} was not saved: the work {end_of(error)}.") from error
    write_atomically(path, bytes(parts[0]), *parts[1:])


def load_session(path: FilePath) -> Work:
    """The work in a session file, arrays read-only. Raises StorageError, one sentence that names the file and says
    what is wrong with it."""
    data = read_whole(path, FILE_LIMIT)
    try:
        return _work(data)
    except ValueError as error:
        raise StorageError(f"{shown(path)} cannot be restored: it {end_of(error)}.") from error


def session_digest(path: FilePath) -> Digest:
    """What a session file is about, from its header alone. Raises StorageError."""
    try:
        with open(path, "rb") as file:
            description = described(file.read(8 + HEADER_LIMIT), "session", FORMAT_VERSION)
        told = _told(description)
    except OSError as error:
        raise StorageError(f"{shown(path)} cannot be read: {clause(error)}.") from error
    except ValueError as error:
        raise StorageError(f"{shown(path)} cannot be restored: it {end_of(error)}.") from error
    return Digest(told.saved, None if told.now is None else told.now[1], told.running, told.closed)


class _Own:
    """Every drawing once: the Document's own at place 0, then those kept to learn from, each with its label."""

    def __init__(self, document: Document, run: KeptRun | None) -> None:
        origins = () if run is None else run.origins
        kept = [*document.own, *(each for origin in origins for each in origin.lesson.own)]
        unique = list({id(each): each for each in kept}.values())
        self._place = {id(each): place for place, each in enumerate(unique)}
        self.drawings = [document.drawing, *(each.drawing for each in unique)]
        self.labels, self.weights = [each.label for each in unique], [each.weight for each in unique]

    def places(self, own: Sequence[OwnDrawing]) -> list[int]:
        """Which of them these are."""
        return [self._place[id(each)] for each in own]


def _described_subject(subject: Subject) -> Json:
    moment = subject.moment
    return {
        "name": subject.name,
        "network": subject.network.to_json(),
        "threshold": subject.threshold,
        "origin": dict(subject.origin),
        "moment": None if moment is None else [moment.branch, moment.step],
    }


def _work(data: bytes) -> Work:
    """The work in a file's bytes. Raises ValueError, to follow "it"."""
    file = unpack(data, "session", FORMAT_VERSION)
    description, told, found = file.description, _told(file.description), arrays(file)
    drawings = drawings_in(_under("drawings", found))
    if len(drawings) != 1 + len(told.labels) or len(told.labels) != len(told.weights):
        raise Damage("holds drawings that do not fit their labels")
    labelled = zip(drawings[1:], told.labels, told.weights, strict=True)
    own = [OwnDrawing(drawing, label, weight) for drawing, label, weight in labelled]
    subjects = tuple(
        _subject(described_subject, _under(f"subject.{place}", found))
        for place, described_subject in enumerate(_list(description, "subjects"))
    )
    document = Document(drawings[0], subjects, told.fit, _chosen(own, told.own))
    return Work(
        document,
        recipe_in(description.get("recipe")),
        lesson_in(description.get("data"), own).data,
        _run(description, told, found, own),
        told.pace,
        None if told.look is None else Moment(*told.look),
        told.names,
        told.live,
        told.saved,
        told.running,
        told.closed,
    )


def _run(description: Json, told: _Told, found: Values, own: list[OwnDrawing]) -> KeptRun | None:
    """The run in a file. Raises ValueError."""
    if told.now is None:
        return None
    network, given = network_in(description), _list(description, "branches")
    if not 0 < len(given) <= _MOST_BRANCHES:
        raise Damage(f"has {len(given):,} branches, not 1 to {_MOST_BRANCHES:,}")
    lines = [branch_in(place, line, _under(f"branch.{place}", found), network) for place, line in enumerate(given)]
    origins = tuple(origin_in(line, own) for line in given)
    for line in lines:
        parent = line.branch.parent
        if parent is not None and not (
            parent.branch < line.branch.number and parent.step <= lines[parent.branch].branch.end
        ):
            raise Damage("has a branch that leaves another where that has never been")
    now = Moment(*told.now)
    if now.branch >= len(lines) or now.step not in lines[now.branch].keyframes:
        raise Damage("does not hold the moment at which it stood")
    look = now if told.look is None else Moment(*told.look)
    if look.branch >= len(lines) or look.step > lines[look.branch].branch.end:
        raise Damage("looks back at a moment that never was")
    if told.spacing & (told.spacing - 1):
        raise Damage("spaces its keyframes in a way that is not expected")
    return KeptRun(network, tuple(lines), origins, now, told.spacing)


def _subject(given: Json, values: Values) -> Subject:
    network, threshold, origin = network_in(given), given.get("threshold"), given.get("origin")
    held = sum(array.size for array in values.values())
    if held != needed_values(network):
        raise Damage(f"holds {held:,} weights where its network needs {needed_values(network):,}")
    if threshold is not None and (
        isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1
    ):
        raise Damage("has a threshold that is not a number from 0 to 1")
    if not isinstance(origin, dict):
        raise Damage("does not say where its network comes from in the form that is expected")
    moment = given.get("moment")
    place = None if moment is None else Moment(*_converted(moment, tuple[_Place, _Place], "moment"))
    return Subject(name_in(given), network, values, threshold, origin, place)


def _told(description: Json) -> _Told:
    told: _Told = _converted(description.get("told"), _Told, "work")
    if not math.isfinite(told.saved):
        raise Damage("says that it was saved at no time")
    return told


def _converted(given: object, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(given, kind, str_keys=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise Damage(f"says its {name} in a form that is not expected ({clause(error)})") from error


def _list(description: Json, name: str) -> list[dict[str, Any]]:
    found = description.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Damage(f"has no {name}")
    return found


def _under(prefix: str, found: Values) -> Values:
    """The arrays whose names begin so, by the rest of their names."""
    return {name[len(prefix) + 1 :]: array for name, array in found.items() if name.startswith(f"{prefix}.")}


def _chosen(own: Sequence[OwnDrawing], places: Sequence[int]) -> tuple[OwnDrawing, ...]:
    if any(place >= len(own) for place in places):
        raise Damage("learns from drawings that are not there")
    return tuple(own[place] for place in places)
