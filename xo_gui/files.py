"""Files: what the window opens and saves, whatever their kind. How each kind is written is engine.storage's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QImage

from engine.document import Subject
from engine.storage.atomic import write_atomically
from engine.storage.models import load_model
from engine.storage.pictures import read_picture

HostArray: TypeAlias = "np.ndarray[Any, Any]"
Save: TypeAlias = Callable[[], object]


def read(path: Path) -> Subject | HostArray:
    """A model file as a Subject, anything else as a picture (H, W). Raises ValueError or OSError, one sentence."""
    if path.is_dir():
        raise ValueError(f"{path.name} is a folder; open one picture or one model file.")
    return load_model(path) if path.suffix.lower() == ".safetensors" else read_picture(path)


def write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. Raises ValueError with one sentence."""
    write_atomically(path, data)


def png(image: QImage) -> bytes:
    """The picture as a PNG file's bytes."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not image.save(buffer, b"PNG"):
        raise ValueError("The picture could not be turned into a PNG file.")
    return bytes(buffer.data().data())
