"""Inputs for tests."""

from __future__ import annotations

from typing import Any, Final

from engine.data import DATA_KINDS, DEFAULT_KIND, InputSample
from engine.drawings import Drawing

DRAWINGS: Final = DATA_KINDS[DEFAULT_KIND]


def drawing_sample(drawing: Drawing) -> InputSample[Any]:
    """The drawing as an input of the default kind."""
    return InputSample(DRAWINGS, drawing)
