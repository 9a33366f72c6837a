"""Opening files: reads a model, a project or an input, depending on the suffix."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.data import DataKind, InputSample
from engine.documents.document import check_input
from engine.documents.model_file import load_model
from engine.documents.project_file import SUFFIX, ProjectState, load_project
from engine.formats import first_bytes, is_idx, other_program, quoted
from engine.nn import Model

_TABLES: Final = (".csv", ".tsv", ".npy", ".xlsx", ".parquet")
_ARCHIVES: Final = (".tar", ".tgz", ".rar", ".7z")


@dataclass(frozen=True)
class OpenRequest:
    """A request to open a file, numbered from 1, so that a repeated Request does not open it again.

    kind: as which kind of data a file is read that is neither a model nor a project
    """

    number: int
    path: Path
    kind: DataKind[Any, Any]


@dataclass(frozen=True, eq=False)
class OpenResult:
    """The result of an OpenRequest: a model, an input, a project, or an error message.

    note: a sentence on a file that is read but not quite whole
    """

    request: OpenRequest
    content: Model | InputSample[Any] | ProjectState | None
    error: str = ""
    note: str = ""


def read_file(
    path: Path,
    kind: DataKind[Any, Any],
    note: Callable[[str], None] | None = None,
    proceed: Callable[[], None] | None = None,
) -> Model | InputSample[Any] | ProjectState:
    """Reads a project, a model or, with any other suffix, an input of this kind of data.

    A model that reads no input of its kind of data is refused here, whatever it was opened for, and so is a project
    that holds one. A data set is refused with the command that reads it. note and proceed: as of `read_source`.
    Raises ValueError or OSError, one sentence.
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        project = load_project(path)
        for model in project.document.models:
            check_input(model)
        return project
    if path.suffix.lower() == ".safetensors" or other_program(path, first_bytes(path)):
        model = load_model(path)
        check_input(model)
        return model
    if sentence := command_sentence(path):
        raise ValueError(sentence)
    return InputSample(kind, kind.read_source(path, note, proceed))


def command_sentence(path: Path) -> str:
    """Which commands read what is at `path`, if that is no picture; "" if it is one, or unknown."""
    train, classify = (f"xo {name} {shlex.quote(str(path))}" for name in ("train --data", "classify"))
    suffix = path.suffix.lower()
    if path.is_dir():
        return f"{quoted(path.name)} is a folder: {train} trains on it, {classify} reads its pictures."
    if suffix == ".npz":
        return f"{quoted(path.name)} is a data set: {train} trains on it, {classify} reads its pictures."
    if suffix == ".zip" or (path.is_file() and is_idx(path)):
        return f"{quoted(path.name)} is a data set: {train} trains on it."
    if suffix in _TABLES:
        return (
            f"{quoted(path.name)} is a table, not a picture; xo train --data reads tables saved as an npz with the "
            "arrays images and labels."
        )
    if suffix in _ARCHIVES:
        return f"{quoted(path.name)} is an archive; unpack it, then xo train --data reads the folder."
    if suffix == ".checkpoint":
        return f"{quoted(path.name)} is an interrupted run: xo train --resume {shlex.quote(str(path))} goes on."
    if suffix == ".safetensors":
        return f"{quoted(path.name)} is a model: xo classify --model {shlex.quote(str(path))} PICTURE uses it."
    if suffix == SUFFIX:
        return (
            f"{quoted(path.name)} is a session of the window: python3 -m xo_gui {shlex.quote(str(path))} opens it."
        )
    return ""


def open_file(request: OpenRequest, proceed: Callable[[], None] | None = None) -> OpenResult:
    """Reads the file; errors become a message. proceed: as of `read_source`."""
    notes: list[str] = []
    try:
        content = read_file(request.path, request.kind, notes.append, proceed)
        return OpenResult(request, content, note=" ".join(notes))
    except (ValueError, OSError) as error:
        return OpenResult(request, None, str(error))
