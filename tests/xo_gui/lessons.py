"""The strokes and the data settings that a child process uses and its parent expects."""

from __future__ import annotations

import numpy as np

STROKES = (
    np.array([[0.2, 0.2, 0.1], [0.8, 0.8, 0.1]], np.float32),
    np.array([[0.8, 0.2, 0.1], [0.2, 0.8, 0.1]], np.float32),
)
DATA = {"count": 600, "held_out": 100}
