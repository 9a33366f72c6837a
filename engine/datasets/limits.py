"""What every data set from files must keep to: its size, and classes to tell apart. Not the formats' own limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.storage.atomic import MEBIBYTE, StorageError, shown
from engine.storage.labelled import PICTURES_LIMIT


def check_room(path: Path, count: int, side: int) -> None:
    """Raises StorageError if so many pictures of side x side take more than a data set may."""
    if count * side * side > PICTURES_LIMIT:
        raise StorageError(
            f"{shown(path)} has {count:,} pictures, which at {side} × {side} pixels take more than the "
            f"{PICTURES_LIMIT * 4 // MEBIBYTE:,} MiB that are read; use fewer, or a network with a smaller input."
        )


def check_classes(path: Path, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raises StorageError if fewer than two classes have pictures."""
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        only = f"one class only, {shown(classes[present[0]])}" if len(present) else "no class"
        raise StorageError(f"{shown(path)} has pictures of {only}; a network needs two or more to tell apart.")
