"""Clipboard: pictures in and out of it. It keeps nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from PySide6.QtGui import QGuiApplication, QImage

from engine.formats.pictures import as_ink

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def put(image: QImage) -> None:
    """Copy a picture."""
    QGuiApplication.clipboard().setImage(image)


def take() -> HostArray:
    """The copied picture as ink (H, W) float32, -1 to 1. Raises ValueError if there is none."""
    image = QGuiApplication.clipboard().image()
    if image.isNull():
        raise ValueError("There is no picture to paste; copy one first.")
    grey = image.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(grey.constBits(), np.uint8).reshape(grey.height(), grey.bytesPerLine())
    return as_ink(rows[:, : grey.width()].astype(np.float32) / 255)
