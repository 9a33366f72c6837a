"""How a file that cannot be read is refused: in one sentence that names it. Not what is wrong with the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def refusal(path: Path, read: Callable[[], object]) -> str:
    """The sentence with which `read` refuses, without the path, which holds the name of the test."""
    with pytest.raises(ValueError, match=r"\.$") as raised:
        read()
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence.replace(str(path), "")
