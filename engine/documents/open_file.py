"""Opening: reading a file a person chose, whatever its kind, as something the window can show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from engine.documents.model_file import load_model
from engine.documents.project_file import SUFFIX, Work, load_session
from engine.formats.pictures import read_picture
from engine.nn.model import Subject

HostArray: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Opening:
    """A wish to open a file; numbered from 1, so that a repeated Request does not open it again."""

    number: int
    path: Path


@dataclass(frozen=True, eq=False)
class Opened:
    """What came of an Opening: a network, a picture (H, W) float32 in -1..1, the work of a session, or one sentence
    on why none of them."""

    opening: Opening
    found: Subject | HostArray | Work | None
    trouble: str = ""


def read_file(path: Path) -> Subject | HostArray | Work:
    """A model file as a Subject, a session file as its Work, anything else as a picture. Raises ValueError or
    OSError, one sentence."""
    if path.is_dir():
        raise ValueError(f"{path.name} is a folder; open one picture or one model file.")
    if path.suffix.lower() == SUFFIX:
        return load_session(path)
    return load_model(path) if path.suffix.lower() == ".safetensors" else read_picture(path)


def answer(opening: Opening) -> Opened:
    """Read the file; what goes wrong becomes a sentence."""
    try:
        return Opened(opening, read_file(opening.path))
    except (ValueError, OSError) as error:
        return Opened(opening, None, str(error))
