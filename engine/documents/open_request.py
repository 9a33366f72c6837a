"""Opening files: reads a model, a project or a picture, depending on the suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.backends import HostArray
from engine.documents.model_file import load_model
from engine.documents.project_file import SUFFIX, ProjectState, load_project
from engine.formats import read_picture
from engine.nn import Model


@dataclass(frozen=True)
class OpenRequest:
    """A request to open a file, numbered from 1, so that a repeated Request does not open it again."""

    number: int
    path: Path


@dataclass(frozen=True, eq=False)
class OpenResult:
    """The result of an OpenRequest: a model, a picture (H, W) float32 in -1..1, a project, or an error message."""

    request: OpenRequest
    content: Model | HostArray | ProjectState | None
    error: str = ""


def read_file(path: Path) -> Model | HostArray | ProjectState:
    """Reads a project, a model or, with any other suffix, a picture. Raises ValueError or OSError, one sentence."""
    if path.is_dir():
        raise ValueError(f"{path.name} is a folder; open one picture or one model file.")
    if path.suffix.lower() == SUFFIX:
        return load_project(path)
    return load_model(path) if path.suffix.lower() == ".safetensors" else read_picture(path)


def open_file(request: OpenRequest) -> OpenResult:
    """Reads the file; errors become a message."""
    try:
        return OpenResult(request, read_file(request.path))
    except (ValueError, OSError) as error:
        return OpenResult(request, None, str(error))
