"""Files: what the window saves. How each kind is written, and all opening, is the engine's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QImageWriter

from engine.formats.atomic_file import write_atomically

Save: TypeAlias = Callable[[], object]


def write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. Raises ValueError with one sentence."""
    write_atomically(path, data)


def png(image: QImage) -> bytes:
    """The picture as a PNG file's bytes."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not QImageWriter(buffer, QByteArray(b"png")).write(image):
        raise ValueError("The picture could not be turned into a PNG file.")
    return bytes(buffer.data().data())
