"""Error messages about files that cannot be read: one sentence that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def error_sentence(path: Path, read: Callable[[], object]) -> str:
    """The message that `read` raises, without the path, which contains the name of the test."""
    with pytest.raises(ValueError, match=r"\.$") as raised:
        read()
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence.replace(str(path), "")
